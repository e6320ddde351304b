"""The README's Python blocks run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

README = Path(__file__).resolve().parents[2] / "README.md"


def blocks() -> list[str]:
    if not README.exists():
        pytest.skip("the README is not beside the tests")
    return re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)


def test_blocks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    lines = [f"{u},{i},5,{rng.integers(10**6)}" for u in range(80) for i in rng.choice(60, 12, replace=False)]
    Path("ratings.csv").write_text("userId,movieId,rating,timestamp\n" + "\n".join(lines))
    found = blocks()
    assert len(found) == 9
    for block in found:
        exec(compile(block, "README.md", "exec"), {})
    assert Path("packages.npz").exists()
    printed, told = capsys.readouterr()
    shown = re.findall(r"```\n(sold\.csv: .*?)```", README.read_text(), flags=re.DOTALL)
    assert len(shown) == 1
    assert shown[0] in told  # the README prints what is printed
    (lists,) = re.findall(r"```\n(user +item +rank.*?)```", README.read_text(), flags=re.DOTALL)
    assert lists in printed
    assert "NDCG" in printed
    assert "predicted peak" in printed
