"""The host: threads of our own, memory, and dense products in blocks; what its backends share.

Our own pool and the BLAS library's threads never multiply: inside our regions BLAS gets one thread, and large dense
work is cut into blocks whose borders do not depend on the number of threads, so results keep the same bits.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import AbstractContextManager, nullcontext
from functools import cache, partial
from queue import SimpleQueue
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from scipy import sparse

from fastautorec._compute import arrays, inputs
from fastautorec._compute.blas import single_threaded_blas
from fastautorec._compute.csr import Csr
from fastautorec._compute.protocol import HOST_SCORES, FloatArray, IdArray

BLOCK_ROWS = 512  # of dense products: large enough for BLAS to be at full speed, small enough to share out
GRAM_ROWS = 1024  # of one block of a cross product
GRAM_COLUMNS = 512  # of a tile of a wide one, of which a block of rows has tiles enough for all threads
GRAM_BLOCKS, GRAM_BYTES = 16, 64 << 20  # blocks at a time, and bytes at most of their products
LINE = 16  # floats of a cache line

Result = TypeVar("Result")
Floats = npt.NDArray[np.floating[Any]]


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
        pending = deque(starts)

        def work() -> None:
            try:
                while True:
                    try:
                        start = pending.popleft()
                    except IndexError:
                        return
                    task(start, min(start + block, size))
            except BaseException:
                pending.clear()
                raise

        helpers = _workers().submit(work, min(num_threads, len(starts)) - 1)
        try:
            work()
        finally:
            pending.clear()
            begun = list(itertools.filterfalse(Future.cancel, helpers))
            wait(begun)  # they write to the caller's arrays
        for helper in begun:
            helper.result()


def interruptible(function: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
    """Call a long LAPACK routine so that Ctrl-C does not have to wait for it; its result is then thrown away."""
    beside = _workers().submit(partial(function, *args, **kwargs), 1)
    return beside[0].result() if beside else function(*args, **kwargs)


class _Workers:
    """Threads that wait for work, as many as were ever asked for, or as the system allows.

    They are daemons: at its end the process does not wait for them, nor for one whose start Ctrl-C cut short.
    """

    def __init__(self) -> None:
        self._tasks: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        self._lock, self._started = threading.Lock(), 0

    def submit(self, function: Callable[[], Any], times: int) -> list[Future[Any]]:
        """Let up to ``times`` workers call ``function``; none where not a single thread can be had."""
        if self._started < times:
            self._start(times)
        futures: list[Future[Any]] = []
        while len(futures) < min(times, self._started):
            futures.append(Future())
            self._tasks.put((futures[-1], function))
        return futures

    def _start(self, wanted: int) -> None:
        with self._lock:
            while self._started < wanted:
                worker = threading.Thread(target=self._serve, name=f"fastautorec_{self._started}", daemon=True)
                try:
                    worker.start()
                except RuntimeError:  # the system gives no more threads: the ones that run do the work
                    return
                self._started += 1

    def _serve(self) -> None:
        while True:
            future, function = self._tasks.get()
            if future.set_running_or_notify_cancel():
                try:
                    with single_threaded_blas:
                        future.set_result(function())
                except BaseException as error:
                    future.set_exception(error)
            del future, function  # nothing is kept alive while waiting


@cache
def _workers() -> _Workers:
    return _Workers()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_workers.cache_clear)  # a child has none of its parent's threads


# --- what users pass, memory, products ------------------------------------------------------------------------------


class HostInputs:
    """Takes NumPy and SciPy only."""

    def on_device(self, given: Any) -> bool:
        return False

    def check_place(self, name: str, given: Any) -> None:
        pass  # the checks below refuse what is elsewhere

    user_items = staticmethod(inputs.check_user_items)
    values = staticmethod(inputs.check_values)
    counts = staticmethod(inputs.check_counts)
    dense = staticmethod(arrays.check_dense)
    ranking = staticmethod(arrays.check_ranking)


class HostArrays:
    """NumPy arrays; everything is where it has to be."""

    num_threads: int
    tile_factor = 1
    scans_codes = False
    score_tiles = HOST_SCORES
    out_of_memory: tuple[type[Exception], ...] = ()
    inputs = HostInputs()

    def active(self) -> AbstractContextManager[Any]:
        return nullcontext()

    def halved(self, tile: int) -> int:
        raise MemoryError  # never called: a MemoryError of the host goes to the caller

    def give(self, matrix: Csr) -> sparse.csr_matrix:
        result = matrix.to_scipy()
        result.indices = result.indices.copy()
        return result

    def new(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        return np.empty(shape, dtype)

    def put(self, matrix: Csr) -> Csr:
        return matrix

    def empty(self, rows: int, columns: int) -> FloatArray:
        return np.empty((rows, columns), np.float32)

    def zeros(self, rows: int, columns: int) -> FloatArray:
        return aligned_zeros(rows, columns)

    def to_device(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return array

    def to_host(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return array

    def scaled_top_items(self, *_: Any, **__: Any) -> tuple[IdArray, FloatArray] | None:
        return None

    def matmul(self, a: FloatArray, b: npt.NDArray[Any], out: FloatArray) -> FloatArray:
        if b.dtype == a.dtype:
            matmul(a, b, out, self.num_threads)
            return out

        def multiply(start: int, stop: int) -> None:
            out[start:stop] = a[start:stop].astype(b.dtype) @ b

        run_blocks(multiply, len(a), BLOCK_ROWS, self.num_threads)
        return out

    def cross_product(self, a: Floats, b: Floats, symmetric: bool = False) -> npt.NDArray[np.float64]:
        """Return aᵀb (k, l) as float64; products of blocks of rows are added up in float64, in the order of the rows.

        With ``b`` the same array as ``a``, only half of the symmetric result is computed.
        """
        if min(a.shape[1], b.shape[1]) > GRAM_COLUMNS:
            return wide_cross_product(a, b, self.num_threads, symmetric or b is a)
        total = np.zeros((a.shape[1], b.shape[1]))
        blocks = -(-len(a) // GRAM_ROWS)
        together = max(1, min(GRAM_BLOCKS, GRAM_BYTES // max(total.nbytes, 1)))
        for begin in range(0, blocks, together):
            parts: list[Any] = [None] * min(together, blocks - begin)

            def multiply(number: int, _: int, begin: int = begin, parts: list[Any] = parts) -> None:
                rows = slice((begin + number) * GRAM_ROWS, (begin + number + 1) * GRAM_ROWS)
                left = a[rows]
                parts[number] = left.T @ (left if b is a else b[rows])

            run_blocks(multiply, len(parts), 1, self.num_threads)
            for part in parts:
                total += part
        return total

    def activation_backward(self, hidden: FloatArray, grad: FloatArray, activation: str) -> FloatArray:
        grad *= activation_slope(hidden, activation)
        sums: FloatArray = grad.sum(axis=0, keepdims=True)
        return sums

    def add_up(self, losses: list[Any]) -> float:
        return float(sum(losses))

    def sum_of_squares(self, matrix: FloatArray) -> float:
        return float(np.einsum("ij,ij->", matrix, matrix, dtype=np.float64))

    def find_ranks(
        self, item_ids: IdArray, test: Csr, lengths: IdArray, starts: npt.NDArray[np.int64], out: IdArray
    ) -> None:
        own = test.rebased()
        for i, (length, start) in enumerate(zip(lengths.tolist(), starts.tolist(), strict=True)):
            listed = item_ids[i, :length].tolist()
            ranks = {item: rank for rank, item in reversed(list(enumerate(listed, 1)))}  # the first place comes last
            wanted = own.indices[own.indptr[i] : own.indptr[i + 1]].tolist()
            out[start : start + len(wanted)] = [ranks.get(item, 0) for item in wanted]


def matmul(a: Floats, b: Floats, out: Floats, num_threads: int) -> Floats:
    """Write ``a @ b`` to ``out`` in blocks of rows of ``a``."""
    if len(a) <= BLOCK_ROWS:
        with single_threaded_blas:
            np.matmul(a, b, out=out)
        return out

    def multiply(start: int, stop: int) -> None:
        np.matmul(a[start:stop], b, out=out[start:stop])

    run_blocks(multiply, len(a), BLOCK_ROWS, num_threads)
    return out


def wide_cross_product(a: Floats, b: Floats, num_threads: int, symmetric: bool) -> npt.NDArray[np.float64]:
    """Return aᵀb as float64, as `HostArrays.cross_product` does, but with a tile of the result as a piece of work."""
    total = np.zeros((a.shape[1], b.shape[1]))
    tiles = [
        (slice(i, i + GRAM_COLUMNS), slice(j, j + GRAM_COLUMNS))
        for i in range(0, len(total), GRAM_COLUMNS)
        for j in range(0, i + 1 if symmetric else total.shape[1], GRAM_COLUMNS)
    ]

    def multiply(number: int, _: int) -> None:
        left, right = tiles[number]
        tile = total[left, right]
        for start in range(0, len(a), GRAM_ROWS):
            rows = slice(start, start + GRAM_ROWS)
            tile += a[rows, left].T @ b[rows, right]
        if symmetric and left != right:
            total[right, left] = tile.T

    run_blocks(multiply, len(tiles), 1, num_threads)
    return total


def aligned_zeros(rows: int, columns: int) -> FloatArray:
    """Return a float32 matrix of zeros whose rows start at cache lines."""
    stride = -(-columns // LINE) * LINE
    flat = np.zeros(rows * stride + LINE, np.float32)
    start = -(flat.ctypes.data // flat.itemsize) % LINE
    return flat[start : start + rows * stride].reshape(rows, stride)[:, :columns]


def activation_slope(hidden: FloatArray, activation: str) -> npt.NDArray[Any] | float:
    """Return act′ at the points whose activations are ``hidden``."""
    if activation == "relu":
        return hidden > 0
    if activation == "tanh":
        return 1 - hidden * hidden
    if activation == "sigmoid":
        return hidden * (1 - hidden)
    return 1.0
