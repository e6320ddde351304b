"""Libraries of the extras, imported when something needs them and not before."""

from __future__ import annotations

import importlib
from typing import Any


def require(module: str, user: str, extra: str | None = None, instead: str = "") -> Any:
    """Return an imported module that ``user`` needs, of an extra or of none.

    Raises
    ------
    ImportError
        If it cannot be imported; the message names what to install, or what to use ``instead``.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        wanted = package if extra is None else f"'fastautorec[{extra}]'"
        otherwise = f", or use {instead}" if instead else ""
        raise ImportError(f"`{user}` needs the package {package}; pip install {wanted}{otherwise}") from error
