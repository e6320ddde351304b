"""The tutorials run as they stand, and print what they show."""

from __future__ import annotations

from pathlib import Path

import pytest
from executed_pages import executed, is_same

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "tutorials"
PAGES = sorted(path for path in FOLDER.glob("*.md") if path.name != "index.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_tutorial(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("pandas", "onnx", "onnxruntime"):
        if package in page.read_text("utf-8"):
            pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    for block, printed in executed(page):
        assert is_same(block["shown"] or "", printed), f"{page.name} shows:\n{block['shown']}\nand prints:\n{printed}"


def test_the_index_names_every_tutorial() -> None:
    if not FOLDER.exists():
        pytest.skip("the documentation is not beside the tests")
    index = (FOLDER / "index.md").read_text("utf-8")
    assert len(PAGES) == 5
    for page in PAGES:
        assert f"({page.name})" in index


@pytest.mark.parametrize(
    ("shown", "printed", "expected"),
    [
        ("NDCG 0.1234 ±0.0010", "NDCG   0.1235 ±0.0010", True),
        ("NDCG 0.1234 ±0.0010", "NDCG 0.1236 ±0.0010", False),
        ("3 users", "4 users", False),  # counts are exact
        ("1,234.5", "1,234.6", True),
        ("tent 0.3", "lamp 0.3", False),
        ("0.12", "0.123", False),
        ("", "words", False),
        ("2.1e-301", "8e-300", True),
        ("2.1e-301", "2.1e-30", False),
    ],
)
def test_only_a_last_digit_may_differ(shown: str, printed: str, expected: bool) -> None:
    assert is_same(shown, printed) is expected
