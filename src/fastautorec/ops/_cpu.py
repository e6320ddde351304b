"""Where the public operations run."""

from __future__ import annotations

from fastautorec._backends import get_backend
from fastautorec._operations import Operations


def on_cpu(num_threads: int | None) -> Operations:
    """Return the operations of the native core."""
    return Operations(get_backend("cpu", num_threads))
