"""The libraries of the extra ``baselines``, imported when a model is fitted and not before."""

from __future__ import annotations

from typing import Any

from fastautorec import _extras


def require(package: str, model: str) -> Any:
    """Return the imported module ``package``, which ``model`` is trained by, or raise as `_extras.require`."""
    return _extras.require(package, model, "baselines")
