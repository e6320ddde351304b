"""Threads: how many, and dense work in fixed blocks.

Our own pool and the BLAS library's threads never multiply: inside our regions BLAS gets one thread, and large dense
work is cut into blocks whose borders do not depend on the number of threads, so results keep the same bits.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from scipy import linalg
from threadpoolctl import ThreadpoolController

from fastautorec._validation import check_int

ENVIRONMENT_VARIABLE = "FASTAUTOREC_NUM_THREADS"
BLOCK_ROWS = 512  # of dense products: large enough for BLAS to be at full speed, small enough to share out

GRAM_ROWS = 1024  # of one block of a cross product
GRAM_BLOCKS, GRAM_BYTES = 16, 64 << 20  # so many at a time, if they are not larger
INVERSE_LEAF = 256

Result = TypeVar("Result")
Floats = npt.NDArray[np.floating[Any]]


def resolve_num_threads(num_threads: int | None) -> int:
    """Return the given number of threads, or FASTAUTOREC_NUM_THREADS, or the number of usable cores."""
    if num_threads is not None:
        return check_int("num_threads", num_threads, 1)
    setting = os.environ.get(ENVIRONMENT_VARIABLE, "")
    if setting:
        if not (setting.isascii() and setting.isdigit()) or int(setting) == 0:
            raise ValueError(
                f"the environment variable {ENVIRONMENT_VARIABLE} must be an integer >= 1, got {setting!r}"
            )
        return int(setting)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


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
                self._limit = _controller().limit(limits=1, user_api="blas")

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
        _run_in_pool(task, starts, num_threads)


def _run_in_pool(task: Callable[[int, int], None], starts: range, num_threads: int) -> None:
    stop = threading.Event()

    def guarded(start: int) -> None:
        if stop.is_set():
            return
        try:
            task(start, min(start + starts.step, starts.stop))
        except BaseException:
            stop.set()
            raise

    futures = [_pool(num_threads).submit(guarded, start) for start in starts]
    try:
        for future in futures:
            future.result()
    except BaseException:
        stop.set()
        wait(futures)  # they write to the caller's arrays
        raise


def interruptible(function: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
    """Call a long LAPACK routine so that Ctrl-C does not have to wait for it; its result is then thrown away."""
    return _pool(1).submit(function, *args, **kwargs).result()


@cache
def _pool(num_threads: int) -> ThreadPoolExecutor:
    """Return a pool whose threads run already.

    Another thread starts them, for Ctrl-C only comes to the main one: the executor would lose sight of a worker whose
    start was interrupted, and the process would wait for it for ever at its end.
    """
    pool = ThreadPoolExecutor(num_threads, thread_name_prefix="fastautorec")
    starter = threading.Thread(target=_start_workers, args=(pool, num_threads))
    starter.start()
    starter.join()
    return pool


def _start_workers(pool: ThreadPoolExecutor, num_threads: int) -> None:
    everybody = threading.Barrier(num_threads)
    wait([pool.submit(everybody.wait) for _ in range(num_threads)])


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a child has none of its parent's threads


def matmul(a: Floats, b: Floats, out: Floats, num_threads: int) -> Floats:
    """Write ``a @ b`` to ``out`` in blocks of rows of ``a``."""

    def multiply(start: int, stop: int) -> None:
        np.matmul(a[start:stop], b, out=out[start:stop])

    run_blocks(multiply, len(a), BLOCK_ROWS, num_threads)
    return out


def cross_product(a: Floats, b: Floats, num_threads: int) -> npt.NDArray[np.float64]:
    """Return aᵀb (k, l) as float64; products of blocks of rows are added up in float64, in the order of the rows.

    With ``b`` the same array as ``a``, NumPy computes only half of the symmetric result.
    """
    total = np.zeros((a.shape[1], b.shape[1]))
    blocks = -(-len(a) // GRAM_ROWS)
    together = max(1, min(GRAM_BLOCKS, GRAM_BYTES // max(total.nbytes, 1)))
    for begin in range(0, blocks, together):
        parts: list[Any] = [None] * min(together, blocks - begin)

        def multiply(number: int, _: int, begin: int = begin, parts: list[Any] = parts) -> None:
            rows = slice((begin + number) * GRAM_ROWS, (begin + number + 1) * GRAM_ROWS)
            left = a[rows]
            parts[number] = left.T @ (left if b is a else b[rows])

        run_blocks(multiply, len(parts), 1, num_threads)
        for part in parts:
            total += part
    return total


def spd_inverse(matrix: npt.NDArray[np.float64], num_threads: int) -> npt.NDArray[np.float64]:
    """Return the inverse of a symmetric positive definite matrix, by halves and their Schur complement.

    As many multiplications as LAPACK's, but nearly all of them in blocked products: they use every thread, keep their
    bits whatever the number of threads, and let Ctrl-C through.
    """
    n = len(matrix)
    if n <= INVERSE_LEAF:
        with single_threaded_blas:
            return np.asarray(linalg.cho_solve(linalg.cho_factor(matrix), np.eye(n)))

    def product(a: Floats, b: Floats) -> Floats:
        return matmul(a, b, np.empty((len(a), b.shape[1])), num_threads)

    half = n // 2
    upper, lower, last = matrix[:half, :half], matrix[half:, :half], matrix[half:, half:]
    first = spd_inverse(upper, num_threads)
    ratio = product(lower, first)
    schur = spd_inverse(last - product(ratio, lower.T), num_threads)
    across = product(schur, ratio)
    inverse = np.empty_like(matrix)
    inverse[half:, half:] = schur
    inverse[half:, :half] = -across
    inverse[:half, half:] = -across.T
    inverse[:half, :half] = first + product(ratio.T, across)
    return inverse
