"""Where the public operations run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastautorec._compute import backend_of
from fastautorec._compute.operations import Operations


@contextmanager
def on(num_threads: int | None, *arguments: Any) -> Iterator[Operations]:
    """Give the operations of the native core or, where an argument is on a GPU, of the CUDA kernels."""
    backend = backend_of(arguments, num_threads)
    with backend.active():
        yield Operations(backend)
