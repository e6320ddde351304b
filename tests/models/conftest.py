"""Data with names, of both kinds."""

from __future__ import annotations

import pytest
from named_data import named

import fastautorec as far


@pytest.fixture(params=[True, False], ids=["texts", "integers"])
def data(request: pytest.FixtureRequest) -> far.Interactions:
    return named(request.param)
