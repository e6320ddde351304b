"""Threads: how many, and dense work in fixed blocks.

Our own pool and the BLAS library's threads never multiply: inside our regions BLAS gets one thread, and large dense
work is cut into blocks whose borders do not depend on the number of threads, so results keep the same bits.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController

from fastautorec._validation import check_int

ENVIRONMENT_VARIABLE = "FASTAUTOREC_NUM_THREADS"
BLOCK_ROWS = 512  # of dense products: large enough for BLAS to be at full speed, small enough to share out

GRAM_ROWS, GRAM_COLUMNS = 4096, 64

FloatArray = npt.NDArray[np.float32]


def resolve_num_threads(num_threads: int | None) -> int:
    """Return the given number of threads, or FASTAUTOREC_NUM_THREADS, or the number of usable cores."""
    if num_threads is not None:
        return check_int("num_threads", num_threads, 1)
    setting = os.environ.get(ENVIRONMENT_VARIABLE, "")
    if setting:
        if not setting.isdigit() or int(setting) == 0:
            raise ValueError(
                f"the environment variable {ENVIRONMENT_VARIABLE} must be an integer >= 1, got {setting!r}"
            )
        return int(setting)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def blas_threads(num_threads: int) -> Any:
    """Return a context in which BLAS has this many threads."""
    return _controller().limit(limits=num_threads, user_api="blas")


class _SingleThreadedBlas:
    """Gives BLAS one thread while any region is open; the first one in limits it, the last one out restores it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = 0
        self._limit: Any = None

    def __enter__(self) -> None:
        with self._lock:
            self._open += 1
            if self._open == 1:
                self._limit = blas_threads(1)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._open -= 1
            if self._open == 0:
                self._limit.restore_original_limits()


single_threaded_blas = _SingleThreadedBlas()


def run_blocks(task: Callable[[int, int], None], size: int, block: int, num_threads: int) -> None:
    """Call ``task(start, stop)`` for consecutive blocks of ``range(size)``, BLAS on one thread in each.

    The first exception (Ctrl-C included) cancels the blocks that have not started.
    """
    starts = range(0, size, block)
    with single_threaded_blas:
        if num_threads == 1 or len(starts) <= 1:
            for start in starts:
                task(start, min(start + block, size))
            return
        with ThreadPoolExecutor(min(num_threads, len(starts))) as pool:
            futures: list[Future[None]] = [pool.submit(task, start, min(start + block, size)) for start in starts]
            try:
                done, _ = wait(futures, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise


def matmul(a: FloatArray, b: FloatArray, out: FloatArray, num_threads: int) -> FloatArray:
    """Write ``a @ b`` to ``out`` in blocks of rows of ``a``."""

    def multiply(start: int, stop: int) -> None:
        np.matmul(a[start:stop], b, out=out[start:stop])

    run_blocks(multiply, len(a), BLOCK_ROWS, num_threads)
    return out


def gram(a: npt.NDArray[np.floating], b: npt.NDArray[np.floating], num_threads: int) -> npt.NDArray[np.float64]:
    """Return aᵀ b (k, l) as float64; products of float32 arrays are added up in float64 block by block."""
    total = np.zeros((a.shape[1], b.shape[1]))

    def multiply(first: int, last: int) -> None:
        for start in range(0, len(a), GRAM_ROWS):
            rows = slice(start, start + GRAM_ROWS)
            total[:, first:last] += a[rows].T @ b[rows, first:last]

    run_blocks(multiply, b.shape[1], GRAM_COLUMNS, num_threads)
    return total
