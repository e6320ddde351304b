"""A run, which is one call of ``fit``: its data, random streams and bars, its records, its validation metric.

A bar that is not shown is not made, and a process that was forked waits for no lock of another.
"""

from __future__ import annotations

import copy
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from tqdm.auto import tqdm

from fastautorec._compute.csr import Csr, LazyRows
from fastautorec._compute.protocol import Backend
from fastautorec._training.checkpoint import Checkpoint
from fastautorec.data._repeats import times_of
from fastautorec.data._splits import held_out
from fastautorec.evaluation import evaluate

SELECTION_LENGTH = 50  # length of the lists whose NDCG or R-Precision chooses

Solution = TypeVar("Solution")
Sums = TypeVar("Sums")

_log = logging.getLogger("fastautorec")


@dataclass(frozen=True)
class Seeds:
    """Seeds of the random streams, the same for all models and modes of one ``random_state``."""

    weights: int
    order: int
    dropout: int
    negatives: int
    masks: int

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Seeds:
        """Return seeds drawn from a generator."""
        return cls(*(int(seed) for seed in rng.integers(2**63, size=5)))


class ProgressBar:
    """A bar over the named steps of exact solutions and then over the users of each phase, or nothing."""

    def __init__(self, title: str, show: bool) -> None:
        self._title, self._show = title, show
        self._bar: Any = None  # made at the first step
        self._training = False

    def step(self, name: str) -> None:
        """Count one step of an exact solution, unless it is part of an epoch's validation."""
        if self._training:
            return
        if self._bar is None:
            self._bar = open_bar(self._show, desc=self._title, unit=" steps")
        self._bar.set_postfix_str(name, refresh=False)
        self._bar.update()

    def epochs(self, phase: str, users: int, epochs: int) -> None:
        """Begin a bar over the users of all epochs of a phase."""
        self._close()
        self._training = True
        title, total = f"{self._title} {phase}", users * epochs
        self._bar = open_bar(self._show, desc=title, total=total, unit=" users", unit_scale=True)

    def users(self, count: int) -> None:
        """Count trained users."""
        if self._bar is not None:
            self._bar.update(count)

    def show(self, **values: Any) -> None:
        """Show the figures of the last epoch."""
        text = ", ".join(f"{name} {v:.4g}" if isinstance(v, float) else f"{name} {v}" for name, v in values.items())
        self._bar.set_postfix_str(text, refresh=False)

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()


class FitRun:
    """One call of ``fit``: checked data, backend, progress and the records made on the way.

    ``train`` is where the operations want it, ``known`` where the caller gave it, with weights for its values where
    the model takes them.
    """

    def __init__(
        self,
        backend: Backend,
        train: Csr,
        validation: Csr | None,
        callbacks: tuple[Callable[[dict[str, Any]], Any], ...],
        progress: ProgressBar,
        checkpoint: Checkpoint | None = None,
        keep_on_interrupt: bool = False,
        weights: npt.NDArray[np.float32] | None = None,
        timed: Any = None,
    ) -> None:
        self.backend, self.validation = backend, validation
        self.known, self.train = train if weights is None else train.rebased().with_data(weights), backend.put(train)
        self.history: list[dict[str, Any]] = []
        self.progress, self.step = progress, progress.step
        self.checkpoint, self.keep_on_interrupt = checkpoint, keep_on_interrupt
        self._timed = timed  # the data of ``known`` as they were given, which may have times
        self._callbacks = callbacks
        self._started = time.perf_counter()

    @cached_property
    def item_counts(self) -> npt.NDArray[np.int64]:
        """Users of each item, int64 (n,)."""
        return self.backend.count_items(self.train)

    def total(self, part: Callable[..., Sums], *state: Any, on_host: bool = False) -> Sums:
        """Return ``part(backend, rows, step, *state)`` of the rows in training: arrays that are sums over users.

        These are all the sums that an exact solution asks of the data; a run over shards adds up the parts of each.
        ``on_host`` asks for the rows where the caller gave them.
        """
        return part(self.backend, self.known.to_host() if on_host else self.train, self.step, *state)

    def measured(self, model: Any, metric: str) -> float:
        """Return a metric ("standard" definition) of a fitted model on the validation data."""
        return held_out_metric(model, self.known.to_host(), self.validation, metric)

    def histories(self, users: npt.NDArray[np.int64]) -> tuple[LazyRows, LazyRows]:
        """Return the known and the held-out rows of some users, in the order given."""
        assert self.validation is not None
        return LazyRows.picked(self.known.to_host(), users), LazyRows.picked(self.validation, users)

    def split(self, rng: np.random.Generator) -> FitRun:
        """Return a run on the same data of which a part of each history is held out: the latest, or at random.

        Raises
        ------
        ValueError
            If no user has two interactions.
        """
        own = self.known.to_host().rebased()
        held = held_out(own, times_of(self._timed), rng)
        check_held_out("user_items", int(np.count_nonzero(held)), own.row_lengths())
        return self.on(own.entries(~held), own.entries(held))

    def keep_users(self, users: npt.NDArray[np.int64]) -> None:
        """Train on some of the users only; validation leaves out those without interactions by itself."""
        self.train = self.train.take_rows(users)

    def on(self, train: Csr, validation: Csr | None) -> FitRun:
        """Return a run on other data that goes on with the bar and the records of this one, and takes time anew."""
        other = FitRun(self.backend, train, validation, self._callbacks, self.progress)
        other.history = self.history
        return other

    def record(self, phase: str, epoch: int = 0, seconds: float | None = None, **values: Any) -> bool:
        """Add a record to ``history_`` and show it to the callbacks; return whether one of them wants to stop.

        ``seconds`` are those since the last record, if not given; values that are None are left out.
        """
        if seconds is None:
            seconds = time.perf_counter() - self._started
        values = {name: value for name, value in values.items() if value is not None}
        entry = {"phase": phase, "epoch": epoch, "seconds": seconds, **values}
        self.history.append(entry)
        _log.debug("%s", entry)
        if epoch:
            self.progress.show(epoch=epoch, **{k: v for k, v in values.items() if k in ("loss", "metric")})
        answers = [callback(entry) is True for callback in self._callbacks]
        self._started = time.perf_counter()
        return any(answers)

    def choose(
        self,
        head: str,
        penalties: list[float],
        solve: Callable[[float], Solution],
        metric: Callable[[Solution], float],
    ) -> tuple[float, Solution]:
        """Return the penalty of best validation metric, or the only one, with its solution; record each of them."""
        best: tuple[float, Solution, float] | None = None
        for penalty in penalties:
            solution = solve(penalty)
            value = None if self.validation is None else metric(solution)
            self.record(head, regularization=penalty, metric=value)
            if best is None or (value is not None and value > best[2]):
                best = penalty, solution, value or 0.0
        assert best is not None
        return best[:2]

    def mark_restored(self, phase: str, epoch: int) -> None:
        """Mark the record of the state that a phase ended with."""
        for entry in reversed(self.history):
            if (entry["phase"], entry["epoch"]) == (phase, epoch) and "metric" in entry:
                entry["restored"] = True
                return


def check_held_out(name: str, held: int, lengths: npt.NDArray[np.int64]) -> None:
    """Raise unless something is held out of histories of these lengths."""
    if not held:
        raise ValueError(
            f"`{name}` must hold a user with 2 or more interactions, of which one can be held out, got none among "
            f"{np.count_nonzero(lengths)} users; pass fit({name}, validation=...)"
        )


# --- a metric on interactions that were held out ---------------------------------------------------------------------


def validation_metric(model: Any, fitted: dict[str, Any], run: FitRun, metric: str = "NDCG") -> float:
    """Return a metric ("standard" definition) that a model with these attributes has on the validation data."""
    assert run.validation is not None
    candidate = copy.copy(model)
    candidate.__dict__.update(fitted, n_items_=run.train.n_cols, item_ids_=None)
    return run.measured(candidate, metric)


def held_out_metric(model: Any, train: Any, held_out: Any, metric: str) -> float:
    """Return a metric ("standard" definition) of a fitted model; lists of 50 where its name has no length."""
    length, name = with_length(metric, model.n_items_)
    return float(evaluate(model, train, held_out, k=(length,)).metric(name).mean)


def with_length(metric: str, n_items: int) -> tuple[int, str]:
    """Return the length of the lists that a metric is about, at most ``n_items``, and its name at that length."""
    family, at, cutoff = metric.partition("@")
    length = min(int(cutoff) if cutoff else SELECTION_LENGTH, n_items)
    return length, f"{family}@{length}" if at else metric


# --- bars -------------------------------------------------------------------------------------------------------------


class _Bar(tqdm):  # type: ignore[misc]
    """A bar without the lock that tqdm shares among forks: a process that is killed while it holds the lock keeps it.

    It has no monitor thread either: every update looks at the clock.
    """

    _lock = threading.RLock()
    monitor_interval = 0

    def __init__(self, **options: Any) -> None:
        super().__init__(miniters=1, **options)


class _NoBar:
    """A bar that shows nothing."""

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
