"""The README is one screen, and its example prints what stands below it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[2] / "README.md"


def test_the_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    if not README.exists():
        pytest.skip("the README is not beside the tests")
    monkeypatch.chdir(tmp_path)
    text = README.read_text("utf-8")
    assert text.count("\n") <= 90
    (block,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    exec(compile(block, "README.md", "exec"), {})
    (output,) = re.findall(r"```\n(user +item +rank.*?)```", text, flags=re.DOTALL)
    assert capsys.readouterr().out == output
    assert Path("model.npz").exists()
