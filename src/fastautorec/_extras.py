"""Libraries of the extras, imported when something needs them and not before."""

from __future__ import annotations

import importlib
from typing import Any


def require(module: str, user: str, extra: str | None = None) -> Any:
    """Return an imported module that ``user`` needs, of an extra or of none.

    Raises
    ------
    ImportError
        If it cannot be imported; the message names what to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        wanted = package if extra is None else f"'fastautorec[{extra}]'"
        raise ImportError(f"`{user}` needs the package {package}; pip install {wanted}") from error
