"""Cases of a grid that the fast lane keeps; the others have the mark `grid` and run with `make test-grid`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def keeping(few: Iterable[Any], cases: Iterable[Any]) -> list[Any]:
    """Return the cases of a parametrization with the mark `grid` on all but ``few``, each of which must be there."""
    few, cases = list(few), list(cases)
    missing = [case for case in few if case not in cases]
    if missing:
        raise ValueError(f"`few` must hold cases, got {missing}")
    return [case if case in few else marked(case) for case in cases]


def marked(case: Any) -> Any:
    """Return a case, of one value or a tuple of several, with the mark `grid`."""
    return pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.grid)
