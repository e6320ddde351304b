"""One call of ``fit``: what it works on, its progress, and the records it leaves."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tqdm.auto import tqdm

from fastautorec._backends.protocol import Backend
from fastautorec._sparse import Csr


class Progress:
    """A tqdm bar over named steps, or nothing."""

    def __init__(self, title: str, show: bool) -> None:
        self._bar = tqdm(desc=title, unit=" steps", disable=not show)

    def step(self, name: str) -> None:
        self._bar.set_postfix_str(name, refresh=False)
        self._bar.update()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()


class FitRun:
    """One call of ``fit``: checked data, backend, progress and the records made on the way."""

    def __init__(
        self,
        backend: Backend,
        train: Csr,
        validation: Csr | None,
        callbacks: tuple[Callable[[dict[str, Any]], Any], ...],
        progress: Progress,
    ) -> None:
        self.backend, self.train, self.validation = backend, train, validation
        self.history: list[dict[str, Any]] = []
        self.step = progress.step
        self._callbacks = callbacks
        self._started = time.perf_counter()

    def record(self, phase: str, **values: Any) -> None:
        """Add a record to ``history_``, seconds since the last one included, and show it to the callbacks."""
        now = time.perf_counter()
        entry = {"phase": phase, "epoch": 0, "seconds": now - self._started, **values}
        self.history.append(entry)
        for callback in self._callbacks:
            callback(entry)
        self._started = time.perf_counter()
