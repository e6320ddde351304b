"""Room for BLAS under a limit of addresses (`ulimit -v`): OpenBLAS ends the process where it gets no memory.

Each thread that multiplies takes a buffer, which OpenBLAS keeps for the next one. So buffers are taken and given back
before any thread needs them, and no more threads compute than there are buffers.
"""

from __future__ import annotations

import ctypes
import mmap
import threading
from collections.abc import Iterator
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

BUFFER = 32 << 20  # bytes of a buffer in the usual builds
MARGIN = 32 << 20  # bytes left for other things

_lock = threading.Lock()
_known = 0  # number of buffers that each library has


def threads_with_room(wanted: int) -> int:
    """Return how many threads may multiply at a time: ``wanted``, or as many as the limit of addresses leaves room for.

    Raises
    ------
    MemoryError
        If there is room for none.
    """
    global _known  # noqa: PLW0603  of the process, like the limit
    if wanted <= _known:
        return wanted
    with _lock:
        _known = max(_known, _take(_calls(), wanted))
    if not _known:
        raise MemoryError(
            "the limit of addresses (`ulimit -v`) leaves no room for BLAS: raise it, or set OPENBLAS_NUM_THREADS=1 "
            "before Python starts, which leaves more of it"
        )
    return min(wanted, _known)


@cache
def _calls() -> tuple[tuple[Any, Any], ...]:
    return tuple(_found())


def _found() -> Iterator[tuple[Any, Any]]:
    for library in ThreadpoolController().lib_controllers:
        take, give = (getattr(library.dynlib, f"blas_memory_{name}", None) for name in ("alloc", "free"))
        if library.internal_api == "openblas" and take is not None and give is not None:
            take.argtypes, take.restype = [ctypes.c_int], ctypes.c_void_p
            give.argtypes, give.restype = [ctypes.c_void_p], None
            yield take, give


def _take(libraries: tuple[tuple[Any, Any], ...], wanted: int) -> int:
    """Have each library make buffers, and return for how many threads there are some; arrays get as much room."""
    if not libraries:
        return wanted
    held: list[list[int]] = []
    each = len(libraries) * BUFFER
    while len(held) < wanted and _is_room(each + max(MARGIN, len(held) * each)):
        held.append([take(0) for take, _ in libraries])
    for buffers in held:
        for (_, give), buffer in zip(libraries, buffers, strict=True):
            give(buffer)
    return len(held)


def _is_room(size: int) -> bool:
    try:
        mmap.mmap(-1, size).close()
    except (OSError, ValueError):
        return False
    return True
