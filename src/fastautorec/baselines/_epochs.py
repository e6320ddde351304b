"""The epochs of a model of one phase: how many, a record of each, and the state that is kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np

from fastautorec._checks import check_int
from fastautorec._training.epochs import PREDICTION
from fastautorec._training.run import FitRun, validation_metric
from fastautorec._training.stopping import Stopping


def check_single_phase(epochs: Any) -> int:
    """Return ``epochs`` as an int >= 1; also a sequence of one, as ``best_epochs_`` is."""
    if isinstance(epochs, Integral):
        return check_int("epochs", epochs, 1)
    if not isinstance(epochs, (list, tuple, np.ndarray)):
        raise TypeError(f"`epochs` must be an integer, got {type(epochs).__name__}")
    if len(epochs) != 1:
        raise ValueError(f"`epochs` must be one number, got {len(epochs)}")
    return check_int("epochs", epochs[0], 1)


class Epochs:
    """The epochs of one fit.

    Parameters
    ----------
    model : Recommender
        Its ``metric`` and ``patience`` count.
    run : FitRun
    fitted : callable
        Returns the fitted attributes of the present state, as copies.
    """

    def __init__(self, model: Any, run: FitRun, fitted: Callable[[], dict[str, Any]]) -> None:
        self._model, self._run, self._fitted = model, run, fitted
        self._stopping = Stopping()
        self._best: dict[str, Any] | None = None
        self._started = time.perf_counter()

    @property
    def number(self) -> int:
        """The number of the epoch that is going on."""
        return self._stopping.epoch + 1

    def end(self, loss: float | None = None, comparable: bool = True) -> bool:
        """Judge and record the epoch, by its loss where there are no validation data; return whether training ends.

        ``comparable`` says whether its loss can be compared with those before.
        """
        run, model, stopping = self._run, self._model, self._stopping
        seconds, metric = time.perf_counter() - self._started, None
        stopping.epoch += 1
        if run.validation is not None:
            fitted = self._fitted()
            metric = validation_metric(model, fitted, run, model.metric)
            if stopping.judge(metric):
                self._best = fitted
        elif loss is not None:
            stopping.judge(-loss, anyway=not comparable)
        asked = run.record(PREDICTION, stopping.epoch, seconds, loss=loss, metric=metric)
        self._started = time.perf_counter()
        return asked or stopping.stale >= model.patience

    def kept(self) -> dict[str, Any]:
        """Return the fitted attributes of the best epoch or, without validation data, of the last one."""
        if self._best is None:
            return self._fitted() | {"best_epochs_": (self._stopping.epoch,)}
        self._run.mark_restored(PREDICTION, self._stopping.best_epoch)
        return self._best | {"best_epochs_": (self._stopping.best_epoch,)}
