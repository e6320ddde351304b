"""The libraries of the extra ``baselines``, imported when a model is fitted and not before."""

from __future__ import annotations

import importlib
from typing import Any


def require(package: str, model: str) -> Any:
    """Return the imported module ``package``, which ``model`` is trained by.

    Raises
    ------
    ImportError
        If it cannot be imported; the message names the extra.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        name = package.partition(".")[0]
        raise ImportError(f"`{model}` needs the package {name}; pip install 'fastautorec[baselines]'") from error
