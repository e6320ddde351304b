"""Parts of all groups: cases with a seed each, children that are always ended, and the line that counts them."""

from __future__ import annotations

import contextlib
import dis
import faulthandler
import importlib
import linecache
import os
import pickle
import resource
import select
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

PATIENCE = 60.0  # seconds; what takes longer hangs
MEMORY = 8 << 30  # bytes of addresses of a child, beyond which something asks for far too much
SLOW = (
    "optuna",
    "optuna.storages.journal",
    "pandas",
    "polars",
    "pyarrow.parquet",
    "fastautorec.cli",
)  # to import, in each child
FIRST = 100_000
LENGTH = struct.Struct("q")

Case = Callable[[Random, int, Path], "int | None"]  # (random numbers, number, folder) -> how many cases it was


class FaultError(AssertionError):
    """The library did what it must not do."""


def require(condition: object, text: str) -> None:
    """Raise FaultError with a text unless a condition holds."""
    if not condition:
        raise FaultError(text)


def run_group(name: str, seed: int, seconds: float, only: int | None = None) -> int:
    """Run the cases of a group until the time is over, print one line, and return 1 if there was a fault.

    Case ``number`` draws from a generator of its own, so that it can be repeated alone.
    """
    warnings.simplefilter("ignore")  # of forks beside threads, cut journals and the like
    for slow in SLOW:
        with contextlib.suppress(ImportError):
            importlib.import_module(slow)
    module = importlib.import_module(f"faults.{name}")
    cases = faults = 0
    first = ""
    with tempfile.TemporaryDirectory(prefix=f"faults-{name}-", dir=_place()) as root:
        shared, own = Path(root, "shared"), Path(root, "case")
        shared.mkdir()
        case: Case = module.prepare(shared)
        started = time.monotonic()
        number = Random(seed).randrange(FIRST) if only is None else only  # so that short runs see all kinds in time
        while True:
            own.mkdir()
            try:
                cases += case(Random(f"{name} {seed} {number}"), number, own) or 1
            except Exception as error:
                cases += 1
                faults += 1
                if not first:
                    first = f"  first: case {number}: {_told(error)}\n"
                    first += f"  again: PYTHONPATH=tests python -m faults {name} --seed {seed} --case {number}"
                elif "FAULTS_ALL" in os.environ:
                    print(f"  case {number}: {_told(error)}", flush=True)
            shutil.rmtree(own)
            number += 1
            if only is not None or time.monotonic() - started > seconds:
                break
    print(f"{name}: {cases:,} cases, {faults} faults, seed {seed}, {time.monotonic() - started:.0f} s", flush=True)
    if first:
        print(first, flush=True)
    return int(faults > 0)


def _place() -> str | None:
    """Return where folders are made: in memory, unless TMPDIR says otherwise, for syncing a disk takes long."""
    return "/dev/shm" if "TMPDIR" not in os.environ and os.access("/dev/shm", os.W_OK) else None


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, FaultError) else "".join(traceback.format_exception(error))


# --- children -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ending:
    """How a child ended: the value of its work, or the error that it raised, or the signal that ended it."""

    signal: int = 0
    value: Any = None
    error: BaseException | None = None
    trace: str = ""


def fork(work: Callable[[], Any], kill_after: float | None = None, seconds: float = PATIENCE) -> Ending:
    """Do some work in a forked child, which is killed after ``kill_after`` seconds, if given.

    Raises
    ------
    FaultError
        If the child does not end in time, or by a signal that was not sent to it.
    """
    reader, writer = os.pipe()
    sys.stdout.flush()
    with tempfile.TemporaryFile() as log:
        child = os.fork()
        if child == 0:
            _work(work, writer, log.fileno())
        os.close(writer)
        content, told = _read(reader, seconds if kill_after is None else kill_after)
        hangs = content is None and kill_after is None
        if hangs:
            os.kill(child, signal.SIGUSR1)  # has it tell where it is
            time.sleep(1)
        if content is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)  # what it has started
        if content is None and not hangs:  # it may have ended by itself before the signal came
            content, _ = _read(reader, 1, told)
        os.close(reader)
        code = os.waitstatus_to_exitcode(status)
        if not hangs and content:
            return pickle.loads(content)
        if not hangs and code == -signal.SIGKILL:
            return Ending(signal=signal.SIGKILL)
        log.seek(0)
        said = log.read().decode(errors="replace")
        how = f"does not end within {seconds:g} s" if hangs else f"ended with {code}"
        raise FaultError(f"a child {how}:\n{said}")


def value_of(work: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """Return what some work returns in a forked child; FaultError if it raises anything, crashes or hangs."""
    ending = fork(work, seconds=seconds)
    require(not ending.signal, "a child was killed, by the system perhaps for its memory")
    require(ending.error is None, ending.trace)
    return ending.value


def _work(work: Callable[[], Any], writer: int, log: int) -> None:
    """Work, tell how it ended, and end; never returns."""
    status = 1
    try:
        os.setpgid(0, 0)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for number, target in enumerate((nowhere, nowhere, log)):
            os.dup2(target, number)
        faulthandler.enable(2)
        faulthandler.register(signal.SIGUSR1, 2, all_threads=True)
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        if soft == resource.RLIM_INFINITY:
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, hard))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        try:
            ending = Ending(value=work())
        except BaseException as error:
            sys.settrace(None)
            ending = Ending(error=error, trace=traceback.format_exc())
        try:
            content = pickle.dumps(ending)
        except Exception:  # an error that cannot be pickled
            content = pickle.dumps(Ending(error=RuntimeError(repr(ending.error)), trace=ending.trace))
        with os.fdopen(writer, "wb") as file:
            file.write(LENGTH.pack(len(content)) + content)
        status = 0
    finally:
        os._exit(status)


def _read(reader: int, seconds: float, told: bytes = b"") -> tuple[bytes | None, bytes]:
    """Return what a child tells, and all bytes so far; nothing if it dies before it has; None if the time is over."""
    deadline = time.monotonic() + seconds
    while len(told) < LENGTH.size or len(told) < LENGTH.size + LENGTH.unpack_from(told)[0]:
        ready, _, _ = select.select([reader], [], [], max(deadline - time.monotonic(), 0))
        if not ready:
            return None, told
        part = os.read(reader, 1 << 16)
        if not part:
            return b"", told
        told += part
    return told[LENGTH.size :], told


# --- moments --------------------------------------------------------------------------------------------------------

EVENTS = {
    *("open", "shutil.rmtree", "tempfile.mkdtemp", "mmap.__new__"),
    *(f"os.{name}" for name in ("rename", "remove", "rmdir", "mkdir", "truncate", "chmod", "symlink", "scandir")),
}


def at_event(n: int | None, act: Callable[[], None] = lambda: None) -> list[int]:
    """Act at the n-th file event of this process, for the rest of its life; return a list whose length counts them."""
    seen: list[int] = []

    def note(event: str, _: Any) -> None:
        if event in EVENTS:
            seen.append(1)
            if len(seen) == n:
                act()

    def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **words: Any) -> Any:
            note("open", args)
            return function(*args, **words)

        return call

    os.fsync, os.fdopen = wrapped(os.fsync), wrapped(os.fdopen)  # which no hook is told of
    sys.addaudithook(note)
    return seen


@contextlib.contextmanager
def at_line(folders: tuple[str, ...], n: int | None, act: Callable[[], None]) -> Iterator[list[int]]:
    """Act at the n-th line of code in some folders; the list that this yields counts the lines."""
    seen = [0]

    def line(frame: Any, event: str, _: Any) -> Any:
        if event == "line" and not _leaves_with(frame):
            seen[0] += 1
            if seen[0] == n:
                act()
        return line

    def call(frame: Any, event: str, _: Any) -> Any:
        return line if frame.f_code.co_filename.startswith(folders) else None

    before = sys.gettrace()  # that of coverage, say
    sys.settrace(call)
    try:
        yield seen
    finally:
        sys.settrace(before)


ENDS_OF_WITH = {
    "LOAD_CONST",
    "POP_BLOCK",  # Python 3.10
    "SWAP",
    "PUSH_EXC_INFO",
    "WITH_EXCEPT_START",
}  # also with a value or an error


def _leaves_with(frame: Any) -> bool:
    """Return whether a line is the end of a `with` block, before its last call: Python takes no signal there."""
    code = frame.f_code
    if dis.opname[code.co_code[frame.f_lasti]] not in ENDS_OF_WITH:
        return False
    return linecache.getline(code.co_filename, frame.f_lineno).lstrip().startswith("with ")


def kill_self() -> None:
    """End this process as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)
