"""Full disks, little memory, few descriptors, no threads: a clear error, nothing is left, and it works next time."""

from __future__ import annotations

import ctypes
import os
import resource
import threading
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from fastautorec.data import _readers as readers
from faults.harness import MEMORY, Case, require, value_of
from faults.interrupts import MODELS
from faults.writers import Experiment, RefusedError, Writer, all_writers, digest_of_model, small

NEW_USERS, NEW_MOUNTS = 0x10000000, 0x00020000
REMOUNT, PRIVATE = 32, 1 << 14 | 1 << 18
PAGE = 4096
PLENTY = 64 << 20  # bytes of a disk
TROUBLE = (OSError, MemoryError, RefusedError)  # what may be raised


def prepare(shared: Path) -> Case:
    writers = all_writers(shared)
    kinds = (_full_disk, _full_disk, _short_files, _memory, _descriptors, _threads)

    def case(rng: Random, number: int, folder: Path) -> None:
        turn, place = divmod(number, len(kinds))
        seed, writer = rng.random(), writers[turn % len(writers)]
        value_of(lambda: kinds[place](writer, folder, Random(seed)))

    return case


# --- disks ----------------------------------------------------------------------------------------------------------


def _full_disk(writer: Writer, folder: Path, rng: Random) -> None:
    if not _own_mounts():
        return _short_files(writer, folder, rng)
    over = rng.random() < 0.7
    _mount(folder, 0, PLENTY)
    writer.begin(folder, over)
    disk = os.statvfs(folder)
    used = (disk.f_blocks - disk.f_bfree) * disk.f_frsize
    needed = sum(-(-path.stat().st_size // PAGE) * PAGE for path in writer.new.rglob("*"))
    _mount(folder, REMOUNT, used + max(rng.randint(0, needed // PAGE + 4), 1) * PAGE)
    _tried(lambda: writer.write(folder), writer)
    _mount(folder, REMOUNT, PLENTY)
    writer.check(folder, over)
    return writer.check_again(folder, left=False)


def _short_files(writer: Writer, folder: Path, rng: Random) -> None:
    """No file may be longer than so many bytes, as with a quota."""
    over = rng.random() < 0.7
    writer.begin(folder, over)
    longest = max(path.stat().st_size for path in writer.new.rglob("*") if path.is_file())
    with _Limit(resource.RLIMIT_FSIZE, rng.randint(0, longest)):
        _tried(lambda: writer.write(folder), writer)
    writer.check(folder, over)
    writer.check_again(folder, left=False)


def _own_mounts() -> bool:
    """Give this process mounts that no other process sees, and that end with it."""
    libc = ctypes.CDLL(None, use_errno=True)
    users = 0 if os.getuid() == 0 else NEW_USERS
    return libc.unshare(users | NEW_MOUNTS) == 0 and libc.mount(b"none", b"/", None, PRIVATE, None) == 0


def _mount(folder: Path, flags: int, size: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"none", os.fsencode(folder), b"tmpfs", flags, f"size={size}".encode()):
        raise OSError(ctypes.get_errno(), "mount")


# --- other limits ---------------------------------------------------------------------------------------------------


def _memory(writer: Writer, folder: Path, rng: Random) -> None:
    """So many bytes of addresses more than there are: for a writer, or for a fit, each with one thread."""
    os.environ["FASTAUTOREC_NUM_THREADS"] = "1"
    readers._POLARS = False  # polars ends a process that runs out of memory
    with Path("/proc/self/statm").open() as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    more = int(2 ** rng.uniform(12, 26))
    arrow = isinstance(writer, Experiment)  # so does pyarrow, in which its table is written
    if rng.random() < 0.5 and not arrow:
        writer.begin(folder, True)
        with _Limit(resource.RLIMIT_AS, now + more):
            _tried(lambda: writer.write(folder), writer)
        writer.check(folder, True)
        return writer.check_again(folder, left=False)
    given = rng.choice(MODELS)
    old, new = small(1, 500, 300), small(2, 500, 300)
    fitted = digest_of_model(type(given)(**given.get_params()).fit(new))
    model = type(given)(**given.get_params()).fit(old)
    former = digest_of_model(model)
    with _Limit(resource.RLIMIT_AS, now + more):
        _tried(lambda: (model.fit(new), model.recommend(new)), model)
    require(digest_of_model(model) in (former, fitted), f"{model!r} is neither as before nor fitted")
    return require(digest_of_model(model.fit(new)) == fitted, f"{model!r} has other bits")


def _descriptors(writer: Writer, folder: Path, rng: Random) -> None:
    readers._POLARS = False  # polars does not start in this process again, if it once could not for want of them
    writer.begin(folder, True)
    most = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
    with _Limit(resource.RLIMIT_NOFILE, most + rng.randint(0, 6)):
        _tried(lambda: writer.write(folder), writer)
        _tried(lambda: writer.content(folder), writer)
    writer.check(folder, True)
    writer.check_again(folder, left=False)


def _threads(writer: Writer, folder: Path, rng: Random) -> None:
    """No thread can be started from the n-th on, as in a container with a limit."""
    del writer, folder
    given, left, start = rng.choice(MODELS), [rng.randint(0, 3)], threading.Thread.start

    def start_one_of_few(thread: threading.Thread) -> None:
        if not left[0]:
            raise RuntimeError("can't start new thread")
        left[0] -= 1
        start(thread)

    data = small(1, 300, 200)
    one, few = (type(given)(**{**given.get_params(), "num_threads": n}) for n in (1, 8))
    expected = digest_of_model(one.fit(data))
    lists = one.recommend(data)
    threading.Thread.start = start_one_of_few
    few.fit(data)
    found = few.recommend(data)
    few.num_threads = 1
    require(digest_of_model(few) == expected, f"{given!r} has other bits with few threads")
    require(all(a.tobytes() == b.tobytes() for a, b in zip(found, lists, strict=True)), "other lists with few threads")


class _Limit:
    """A limit of the system, within a block."""

    def __init__(self, what: int, value: int) -> None:
        self._what, self._value = what, value

    def __enter__(self) -> None:
        self._before = resource.getrlimit(self._what)
        resource.setrlimit(self._what, (min(self._value, MEMORY), self._before[1]))

    def __exit__(self, *_: object) -> None:
        resource.setrlimit(self._what, self._before)


def _tried(work: Callable[[], Any], told: object) -> None:
    """Work, or raise FaultError if it raises anything but a clear error."""
    try:
        work()
    except TROUBLE:
        pass
    except Exception as error:
        raise AssertionError(f"{told!r}: {type(error).__name__} where the system has too little") from error
