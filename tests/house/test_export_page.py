"""The code of docs/export.md runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "export.md"


def test_the_code_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not PAGE.exists():
        pytest.skip("the documentation is not beside the tests")
    for package in ("onnx", "onnxruntime", "hnswlib"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), flags=re.DOTALL)
    assert len(blocks) == 7
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    model, packages = names["model"], names["packages"]
    assert (
        names["ids"][0].tolist() == packages.item_index(model.recommend_table([["git", "vim"]]).to_dict()[0]).tolist()
    )
    assert names["exact"].mean > 0.999
    assert abs(names["scores"] - model.predict(packages.user_items[:100])).max() < 1e-6
    assert (names["same"].decoder_ == model.decoder_).all()
