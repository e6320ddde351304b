"""Base of the models trained by the library ``implicit``: its loop, which is left from its callback."""

from __future__ import annotations

import contextlib
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
from fastautorec.baselines._epochs import Epochs, check_single_phase
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
            training = Epochs(self, run, lambda: self._taken(library_model, run))

            def after_epoch(*_: object) -> None:
                run.progress.users(run.train.shape[0])
                for factors in (library_model.user_factors, library_model.item_factors):
                    if not np.isfinite(np.einsum("ij,ij->", factors, factors)):
                        raise DivergedError(
                            f"training of {type(self).__name__} diverged in epoch {training.number}: {self!r}; use a "
                            "smaller `learning_rate` or another `regularization`"
                        )
                if training.end():
                    raise _EnoughError

            run.progress.epochs(PREDICTION, run.train.shape[0], epochs)
            with contextlib.suppress(_EnoughError):
                library_model.fit(self._confidences(run), show_progress=False, callback=after_epoch)
            return training.kept()

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
