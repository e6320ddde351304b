"""Standard output and error of a command: a job of cron may have none, and a reader may go before the end."""

from __future__ import annotations

import contextlib
import io
import os
import select
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

_GONE = select.POLLERR | select.POLLHUP | select.POLLNVAL if hasattr(select, "poll") else 0


def say(text: str) -> None:
    """Print a line about progress or trouble to standard error, if it is open; only results go to standard output."""
    with contextlib.suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def ready(words: Callable[[str], str]) -> Iterator[None]:
    """Give the command streams that can be written to, and show warnings as lines, in the words of the command."""

    def show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
        say(f"fastautorec: note: {words(' '.join(str(message).split()))}")

    _open_what_is_closed()
    if _reader_is_gone(2):
        _to_nowhere(2)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # an id that the terminal cannot show is no reason to stop
    with warnings.catch_warnings():
        warnings.filterwarnings("default", category=UserWarning, module="fastautorec")
        warnings.showwarning = show_warning
        try:
            yield
        finally:
            _let_go(sys.stderr)


def check_output() -> None:
    """Raise if there is no standard output, for a command that has nothing else to give."""
    if getattr(sys.stdout, "name", None) == os.devnull:
        raise OSError("standard output is closed, so that there is nowhere to write the result; redirect it to a file")


def silence_output() -> None:
    """End without a message where the reader of a pipe has gone, also at exit, when Python flushes what is left."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        _to_nowhere(sys.stdout.fileno())


def _let_go(stream: Any) -> None:
    """Write what a stream holds, or drop it where that fails: Python would try again at exit, and fail with 120."""
    try:
        stream.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            _to_nowhere(stream.fileno())


def _open_what_is_closed() -> None:
    """Put the null device where a standard stream is closed; the next file would take its number, and get its text."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, which is this one
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123  as long as Python runs


def _reader_is_gone(number: int) -> bool:
    if not _GONE:
        return False
    poll = select.poll()
    poll.register(number, select.POLLOUT)
    return any(event & _GONE for _, event in poll.poll(0))


def _to_nowhere(number: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)
