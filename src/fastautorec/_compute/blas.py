"""BLAS libraries: one thread each while any thread of ours computes, and their own number outside."""

from __future__ import annotations

import atexit
import ctypes
import os
import warnings
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy  # noqa: F401  the libraries of both are loaded from here on
import scipy.linalg  # noqa: F401
from threadpoolctl import ThreadpoolController

from fastautorec import _core

# Called by ourselves, not through threadpoolctl: there, in version 3.8 at least, a limit that is set by another thread
# than the one that came first has no effect, and says nothing.
FUNCTIONS = {
    "openblas": ("openblas_get_num_threads", "openblas_set_num_threads"),
    "mkl": ("MKL_Get_Max_Threads", "MKL_Set_Num_Threads"),
    "blis": ("bli_thread_get_num_threads", "bli_thread_set_num_threads"),
    "flexiblas": ("flexiblas_get_num_threads", "flexiblas_set_num_threads"),
}
OPENMP = "omp_get_max_threads", "omp_set_num_threads"  # each thread has a number of its own
AFFIXES = tuple(product(("", "scipy_"), ("", "64_", "_64")))
PATIENCE = 1.0  # seconds that threads inside a region are waited for at the end of the process

single_threaded_blas = _core.SingleThreadedBlas()


def _functions() -> Iterator[tuple[Any, Any, bool]]:
    for library in ThreadpoolController().lib_controllers:
        openmp = library.internal_api == "openblas" and getattr(library, "threading_layer", None) == "openmp"
        names = OPENMP if openmp else FUNCTIONS.get(library.internal_api)
        for before, after in AFFIXES if names else ():
            found = [getattr(library.dynlib, f"{before}{name}{after}", None) for name in names or ()]
            if all(found):
                yield found[0], found[1], openmp
                break


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def _renew() -> None:
    if _core.renew_regions():
        warnings.warn(
            "this process was forked while another thread of its parent computed: BLAS may wait for ever in it; start "
            "processes by 'spawn' or 'forkserver', or set OPENBLAS_NUM_THREADS=1 before Python starts",
            RuntimeWarning,
            stacklevel=2,
        )


for _get, _set, _per_thread in _functions():
    _core.add_blas(_address(_get), _address(_set), _per_thread)
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_renew)
atexit.register(_core.close_regions, PATIENCE)  # a BLAS library gives its memory back at the end of the process
