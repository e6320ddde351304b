"""Progress bars: none is made that is not shown, and a process that was forked waits for no lock of another."""

from __future__ import annotations

import os
import threading
from typing import Any

from tqdm.auto import tqdm


class _Bar(tqdm):  # type: ignore[misc]
    """A bar without the lock that tqdm shares with all forks: one that is killed while it holds it never gives it back.

    Nor is there a thread that watches it: every update looks at the clock.
    """

    _lock = threading.RLock()
    monitor_interval = 0

    def __init__(self, **options: Any) -> None:
        super().__init__(miniters=1, **options)


class _NoBar:
    """Takes what a bar takes and shows nothing."""

    def update(self, _: int = 1) -> None:
        pass

    def set_postfix_str(self, _: str, **__: bool) -> None:
        pass

    def close(self) -> None:
        pass

    def __enter__(self) -> _NoBar:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def open_bar(show: bool, **options: Any) -> Any:
    """Return a bar with tqdm's options, or what can be used as one."""
    return _Bar(**options) if show else _NoBar()


def _renew_lock() -> None:
    _Bar.set_lock(threading.RLock())


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_renew_lock)  # a thread of the parent may have held it
