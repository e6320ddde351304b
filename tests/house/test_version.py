"""The version is the same wherever it is written, and files of former versions are there to be tried."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import fastautorec as far

ROOT = Path(__file__).resolve().parents[2]


def text(name: str) -> str:
    if not (ROOT / name).exists():
        pytest.skip("the repository is not beside the tests")
    return (ROOT / name).read_text("utf-8")


def test_the_version_is_that_of_the_citation() -> None:
    assert f"version: {far.__version__}\n" in text("CITATION.cff")


def test_the_changelog_has_the_version_and_a_date_below_unreleased() -> None:
    headings = re.findall(r"^## (.*)$", text("CHANGELOG.md"), flags=re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert re.fullmatch(re.escape(far.__version__) + r" \(\d{4}-\d\d-\d\d\)", headings[1])
