"""Libraries of the extras, imported when something needs them and not before."""

from __future__ import annotations

import importlib
from typing import Any


def require(module: str, user: str, extra: str) -> Any:
    """Return an imported module that ``user`` needs.

    Raises
    ------
    ImportError
        If it cannot be imported; the message names the extra.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ImportError(f"`{user}` needs the package {package}; pip install 'fastautorec[{extra}]'") from error
