"""What the models trained by the library ``implicit`` share: epochs, early stopping, the state that is kept."""

from __future__ import annotations

import contextlib
import time
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastautorec._checks import check_choice, check_int, check_metric, check_random_state, check_real
from fastautorec._compute import get_backend
from fastautorec._compute.blas import single_threaded_blas
from fastautorec._compute.protocol import Backend
from fastautorec._training.epochs import PREDICTION
from fastautorec._training.run import FitRun
from fastautorec._training.validation import validation_metric
from fastautorec.baselines._epochs import check_single_phase
from fastautorec.exceptions import DivergedError
from fastautorec.models._recommender import Recommender

DEVICES = ("auto", "cpu")


class ImplicitModel(Recommender):
    """Base of the models that alternate between users' and items' vectors; a subclass makes the library's model.

    Attributes
    ----------
    best_epochs_ : tuple of int
        The epoch whose state was kept.
    """

    factors: int
    regularization: float
    epochs: int | Sequence[int]
    patience: int
    metric: str
    random_state: int | np.random.Generator

    best_epochs_: tuple[int, ...]

    @abstractmethod
    def _library_model(self, epochs: int, seed: int, num_threads: int) -> Any:
        """Return the unfitted model of the library."""

    def _confidences(self, run: FitRun) -> Any:
        """Return the matrix that the library's model is fitted to, SciPy CSR (m, n), float32."""
        return run.train.to_scipy()

    @abstractmethod
    def _taken(self, library_model: Any, run: FitRun) -> dict[str, Any]:
        """Return the fitted attributes of the present state, as copies."""

    def _fit(self, run: FitRun) -> dict[str, Any]:
        epochs = self._number_of_epochs()
        seed = int(check_random_state(self.random_state).integers(2**31))
        with single_threaded_blas:  # the library has threads of its own
            library_model = self._library_model(epochs, seed, run.backend.num_threads)
            training = _Training(self, library_model, run)
            run.progress.epochs(PREDICTION, run.train.shape[0], epochs)
            with contextlib.suppress(_EnoughError):
                library_model.fit(self._confidences(run), show_progress=False, callback=training.after_epoch)
            return training.finish()

    def _number_of_epochs(self) -> int:
        return check_single_phase(self.epochs)

    def _check_params(self) -> None:
        check_int("factors", self.factors, 1)
        check_real("regularization", self.regularization, 0, above=True)
        self._number_of_epochs()
        check_int("patience", self.patience, 1)
        check_metric(self.metric)
        self._check_device()

    def _check_device(self) -> None:
        check_choice("device", self.device, DEVICES)

    def _fit_backend(self) -> Backend:
        self._check_device()
        return get_backend("cpu", self.num_threads)


class _EnoughError(Exception):
    """Leaves the library's training loop from its callback."""


class _Training:
    """The epochs of one fit: after each of them a record, and a copy of the best state."""

    def __init__(self, model: ImplicitModel, library_model: Any, run: FitRun) -> None:
        self._model, self._library_model, self._run = model, library_model, run
        self._epoch = self._best_epoch = 0
        self._best: tuple[float, dict[str, Any]] | None = None
        self._started = time.perf_counter()

    def after_epoch(self, *_: object) -> None:
        """Take note of an epoch; raise to end training."""
        run, model = self._run, self._model
        seconds = time.perf_counter() - self._started
        self._epoch += 1
        run.progress.users(run.train.shape[0])
        for factors in (self._library_model.user_factors, self._library_model.item_factors):
            if not np.isfinite(np.einsum("ij,ij->", factors, factors)):
                raise DivergedError(
                    f"training of {type(model).__name__} diverged in epoch {self._epoch}: {model!r}; use a smaller "
                    "`learning_rate` or another `regularization`"
                )
        metric = self._validate()
        asked = run.record(PREDICTION, self._epoch, seconds, metric=metric)
        if asked or (metric is not None and self._epoch - self._best_epoch >= model.patience):
            raise _EnoughError
        self._started = time.perf_counter()

    def finish(self) -> dict[str, Any]:
        """Return the fitted attributes of the best epoch or, without validation data, of the last one."""
        if self._best is None:
            return self._model._taken(self._library_model, self._run) | {"best_epochs_": (self._epoch,)}
        self._run.mark_restored(PREDICTION, self._best_epoch)
        return self._best[1] | {"best_epochs_": (self._best_epoch,)}

    def _validate(self) -> float | None:
        """Return the metric of the present state, and keep a copy of the state if it is the best so far."""
        if self._run.validation is None:
            return None
        fitted = self._model._taken(self._library_model, self._run)
        metric = validation_metric(self._model, fitted, self._run, self._model.metric)
        if self._best is None or metric > self._best[0]:
            self._best, self._best_epoch = (metric, fitted), self._epoch
        return metric
