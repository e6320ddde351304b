"""Threads: how many, and dense work in fixed blocks, or in tiles that shrink where memory does not hold them.

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
from functools import cache, partial
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from fastautorec._checks import check_int
from fastautorec._compute.addresses import threads_with_room
from fastautorec._compute.blas import single_threaded_blas

if TYPE_CHECKING:
    from fastautorec._compute.protocol import Backend, FloatArray

CGROUP = Path("/sys/fs/cgroup")
GROUPS = Path("/proc/self/cgroup")  # of this process
ENVIRONMENT_VARIABLE = "FASTAUTOREC_NUM_THREADS"
MAX_THREADS = 2**31 - 1
BLOCK_ROWS = 512  # of dense products: large enough for BLAS to be at full speed, small enough to share out

GRAM_ROWS = 1024  # of one block of a cross product
GRAM_BLOCKS, GRAM_BYTES = 16, 64 << 20  # so many at a time, if they are not larger

Result = TypeVar("Result")
Floats = npt.NDArray[np.floating[Any]]


def resolve_num_threads(num_threads: int | None) -> int:
    """Return the given number of threads, or FASTAUTOREC_NUM_THREADS, or the number of usable processors."""
    return threads_with_room(_wanted_threads(num_threads))


def _wanted_threads(num_threads: int | None) -> int:
    if num_threads is not None:
        return check_int("num_threads", check_int("num_threads", num_threads, 1), 1, MAX_THREADS)
    setting = os.environ.get(ENVIRONMENT_VARIABLE, "")
    if setting:
        if not (setting.isascii() and setting.isdigit() and len(setting) < 20 and 0 < int(setting) <= MAX_THREADS):
            raise ValueError(
                f"the environment variable {ENVIRONMENT_VARIABLE} must be an integer >= 1, got {setting!r}"
            )
        return int(setting)
    return usable_cpus()


def usable_cpus() -> int:
    """Return the number of processors that are worth a thread each, at least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(CGROUP, GROUPS)
    return allowed if quota is None else max(1, min(allowed, quota))


@cache
def _quota(root: Path, groups: Path) -> int | None:
    """Return the smallest quota of the group of this process and of those around it, rounded up, or None."""
    quotas = []
    try:
        lines = groups.read_text("utf-8").splitlines()
    except OSError:  # not Linux
        return None
    for line in lines:
        _, controllers, name = line.split(":", 2)
        inside = Path(name.lstrip("/"))
        if not controllers:  # version 2
            quotas += [_read(root / group / "cpu.max") for group in (inside, *inside.parents)]
        elif "cpu" in controllers.split(","):
            for group in (inside, *inside.parents):
                folder = root / "cpu" / group
                quotas.append(_read(folder / "cpu.cfs_quota_us", folder / "cpu.cfs_period_us"))
    known = [quota for quota in quotas if quota is not None]
    return min(known) if known else None


def _read(*paths: Path) -> int | None:
    """Return the quota that is written in one or two files: microseconds of work, and of the time for it."""
    try:
        quota, period = " ".join(path.read_text("ascii") for path in paths).split()
        return -(-int(quota) // int(period)) if int(quota) > 0 else None  # "max" and -1 mean no quota
    except (OSError, ValueError, ZeroDivisionError):
        return None


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


def over_tiles(
    backend: Backend, users: int, tile: int, columns: int, work: Callable[[int, int, FloatArray], None]
) -> None:
    """Call ``work(start, stop, buffer)`` for consecutive tiles of users, with a float32 matrix of a row for each.

    Where memory gives out, the same users come again in tiles half as large: work must not have changed anything
    before its last allocation.
    """
    start, buffer = 0, None
    while start < users:
        stop = min(start + tile, users)
        try:
            if buffer is None:
                buffer = backend.empty(min(tile, users), columns)
            work(start, stop, buffer[: stop - start])
        except backend.out_of_memory:
            buffer = None
            tile = backend.halved(stop - start)
        else:
            start = stop


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
                except RuntimeError:  # no more threads to be had: those there are do the work
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
