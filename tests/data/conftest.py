"""A store that tests replace and damage."""

from __future__ import annotations

from pathlib import Path

import pytest
import store_faults as faults


@pytest.fixture
def path(tmp_path: Path) -> Path:
    faults.store(0).to_disk(tmp_path / "data")
    return tmp_path / "data"
