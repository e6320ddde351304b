"""Fixtures of the tests of experiments."""

from __future__ import annotations

import pytest

from fastautorec.experiments import _drawings as drawings


@pytest.fixture
def no_figures(monkeypatch):
    monkeypatch.setattr(drawings, "can_draw", lambda: False)
