"""A folder of interactions."""

from __future__ import annotations

from pathlib import Path

import pytest
from sharded import DATA


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    DATA.to_disk(tmp_path / "data")
    return tmp_path / "data"
