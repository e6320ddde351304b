"""Base of the AutoRec family: the parameters that all of its models have, their checks, ``fit`` and ``partial_fit``."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, fields, replace
from functools import partial
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fastautorec._checks import (
    Default,
    adapted,
    check_bool,
    check_choice,
    check_int,
    check_metric,
    check_penalties,
    check_random_state,
    check_rate,
    check_real,
)
from fastautorec._compute.arrays import check_rows
from fastautorec._compute.csr import Csr
from fastautorec._compute.inputs import UserItems
from fastautorec._compute.protocol import ACTIVATIONS, Backend, FloatArray
from fastautorec._compute.top_lists import DotScorer
from fastautorec._training import checkpoint as _checkpoint
from fastautorec._training.closed_form import Encoder
from fastautorec._training.epochs import MODES, SCHEDULES, Options
from fastautorec._training.fit import Objective, fit_autoencoder, go_on, update_exactly
from fastautorec._training.run import FitRun, ProgressBar, Seeds, validation_metric
from fastautorec._training.updates import RIDGE_SUMS
from fastautorec.models._contributions import EncoderParts
from fastautorec.models._layers import Layers
from fastautorec.models._memory_plan import Plan, plan_of_training
from fastautorec.models._recommender import Recommender

if TYPE_CHECKING:
    from typing_extensions import Self

FACTORS = Default(200)
EPOCHS = Default(1)
INITS = ("random", "svd")
INTERCEPTS = ("history", "constant")
OPTIMIZERS = ("adam", "adamw", "sgd")
SOLVERS = ("exact", "gradient")

# The paper says relu and a grid for the number of units (section 4.2). It leaves open the optimiser, its rate, the
# batch size and the number of epochs.
PAPER: dict[str, Any] = {
    "factors": 200, "activation": "relu", "normalize": None, "init": "random", "dropout": 0.0, "intercept": "constant",
    "popularity_discount": 0.0, "optimizer": "adam", "learning_rate": 1e-3, "schedule": "constant", "batch_size": 100,
    "epochs": 100,
}  # fmt: skip


@dataclass(repr=False, eq=False)
class Autoencoder(Recommender):
    """Base of the AutoRec family; its fields are the parameters that all of its models have.

    A model says its objective; `fit_autoencoder` fits it. Scores are D₁ h₁ with h₁ = [act(xW + b), g].
    """

    factors: int = FACTORS
    _: KW_ONLY
    activation: str = "relu"
    normalize: str | None = "l2"
    init: str = "random"
    dropout: float = 0.5
    fit_intercept: bool = True
    intercept: str = "history"
    intercept_penalty: float = 1.0
    popularity_discount: float = 0.0
    regularization: float | Sequence[float] = 0.1
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    schedule: str = "constant"
    weight_decay: float = 0.0
    batch_size: int | None = None
    epochs: int | Sequence[int] = 100
    patience: int = 10
    metric: str = "NDCG"
    random_state: int | np.random.Generator = 0
    updatable: bool = False
    device: str = "auto"
    num_threads: int | None = None

    _arrays: ClassVar[dict[str, str]] = {
        "encoder_": "float32 n k",
        "encoder_bias_": "float32 k or None",
        "decoder_": "float32 n k+",
        "embedding_head_": "float32 n k+ or None",
    }
    _paper: ClassVar[dict[str, Any]] = PAPER
    _sums: ClassVar[dict[str, str]] = RIDGE_SUMS

    encoder_: ClassVar[FloatArray]
    encoder_bias_: ClassVar[FloatArray | None]
    decoder_: ClassVar[FloatArray]
    skipped_users_: ClassVar[int]

    @classmethod
    def paper(cls, **overrides: Any) -> Self:
        """Return the model as the paper has it: random start, relu, plain input, no dropout, the equations as printed.

        Where the paper says nothing: Adam with learning rate 0.001, batches of 100, at most 100 epochs.
        """
        return cls(**{**cls._paper, **overrides})

    @abstractmethod
    def _objective(self) -> Objective:
        """Return what the model minimises."""

    def _options(self) -> Options:
        """Return how it is fitted."""
        given = {option.name: getattr(self, option.name) for option in fields(Options)}
        intercept = self.intercept if self.fit_intercept else None
        return Options(**{**given, "intercept": intercept, "epochs": self._epochs_of_phases()})

    def _epochs_of_phases(self) -> tuple[int, ...]:
        """Return the largest number of epochs of each phase."""
        phases = self._objective().phases
        if isinstance(self.epochs, Integral):
            return (check_int("epochs", self.epochs, 0),) * len(phases)
        if not isinstance(self.epochs, (list, tuple, np.ndarray)):
            raise TypeError(f"`epochs` must be an integer or one for each phase, got {type(self.epochs).__name__}")
        if len(self.epochs) != len(phases):
            names = " and ".join(phase.name for phase in phases)
            raise ValueError(f"`epochs` must be one number or one for each phase ({names}), got {len(self.epochs)}")
        return tuple(check_int("epochs", epochs, 0) for epochs in self.epochs)

    # --- fitting ------------------------------------------------------------------------------------------------------

    def fit(
        self,
        user_items: UserItems,
        validation: UserItems | None = None,
        callbacks: Sequence[Callable[[dict[str, Any]], object]] = (),
        show_progress: bool = False,
        *,
        checkpoint: str | PathLike[str] | None = None,
        resume: str | PathLike[str] | None = None,
        keep_on_interrupt: bool = False,
    ) -> Self:
        """Fit the model; an earlier fit is forgotten, and nothing changes if this one fails or is interrupted.

        Parameters
        ----------
        user_items : Interactions or scipy sparse (m, n)
            Binary training interactions. Users without any are skipped and counted (``skipped_users_``).
        validation : Interactions or scipy sparse (m, n), optional
            Held-out interactions of the same users: each phase ends when ``metric`` has not risen for ``patience``
            epochs, and keeps its best state, the one before its first epoch included. Without them the loss decides,
            and the last state is kept.
        callbacks : sequence of callable
            Each is called with every new record of ``history_``; one that returns True ends the phase.
        show_progress : bool
            Show a progress bar with users per second, loss and metric.
        checkpoint : path, optional
            File that is replaced after epochs, as often as a twentieth of the time allows.
        resume : path, optional
            A checkpoint of the same model, data and version to continue from: the result has the same bits as if it
            had not been interrupted (on the CPU).
        keep_on_interrupt : bool
            On Ctrl-C end training and keep the best state so far, instead of raising KeyboardInterrupt.

        Returns
        -------
        self
            The model.

        Raises
        ------
        TypeError, ValueError
            If an argument or a parameter of the model is not usable; the message says how to mend it.
        DivergedError
            If a loss is no longer finite.
        FileNotFoundError
            If there is no folder for ``checkpoint``, or no file ``resume``.
        ModelFileError
            If ``resume`` is no checkpoint, is damaged, or belongs to another model, other data or another version.
        """
        # callbacks may change the current folder
        path, earlier = (None if path is None else Path(path).absolute() for path in (checkpoint, resume))
        return self._run_fit(
            user_items, validation, callbacks, show_progress,
            checkpoint=_checkpoint.Checkpoint(path, earlier, user_items) if path or earlier else None,
            keep_on_interrupt=check_bool("keep_on_interrupt", keep_on_interrupt),
        )  # fmt: skip

    def _fit(self, run: FitRun) -> dict[str, Any]:
        if run.checkpoint is not None:
            run.checkpoint.identify(
                _checkpoint.identity(type(self).__name__, self.get_params(), run.train, run.validation)
            )
        rng = check_random_state(self.random_state)
        metric = partial(validation_metric, self, run=run, metric=self.metric)
        return fit_autoencoder(run, self._objective(), self._options(), rng, metric)

    def partial_fit(self, user_items: UserItems, epochs: int = EPOCHS, *, learning_rate: float | None = None) -> Self:
        """Take in new users: exactly where the model is ``updatable``, by training on their rows where it was trained.

        An exact update adds their rows to the sums over users and solves the prediction head again. The result is that
        of a fit to all users with the same encoder and penalty, to rounding. Training goes on with the last phase of
        the mode and nothing to stop early. Both use the parameters of the last ``fit``: those that were set since count
        for the next one.

        Every row is a new user, whatever the ids: a user that the model has learned already counts twice. Where it is
        ``updatable``, call ``forget(old)`` first, then ``partial_fit(old + new)``.

        Parameters
        ----------
        user_items : Interactions or scipy sparse (q, n)
            Histories of users that the model has not learned: popularities take them in, and the random streams number
            them after all earlier ones.
        epochs : int
            Passes over them in training, by default 1. Old users are not seen again: few epochs, or a small
            ``learning_rate``, forget little.
        learning_rate : float, optional
            Of training, by default that of ``fit``.

        Returns
        -------
        self
            The model.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        TypeError, ValueError
            If an argument is not usable, or the model is an exact solution, of which no epoch was trained, and not
            ``updatable``: a few steps on the squared error of new users would only lead away from it.
        DivergedError
            If a loss is no longer finite; the model keeps its former state.
        """
        model = self._as_fitted()
        if model.sums_ is not None:
            if not isinstance(epochs, Default) or learning_rate is not None:
                raise ValueError(
                    "`epochs` and `learning_rate` must be left out for a model with updatable=True, which takes in new "
                    "users exactly, without training"
                )
            return super().partial_fit(user_items)
        train = model._check_history(model._in_order(user_items))
        if not any(model._epochs_of_phases()):
            raise ValueError(
                f"partial_fit goes on with training, but no epoch was trained of this {type(self).__name__}: it is an "
                "exact solution, which some steps of training on new users would make worse; fit with updatable=True "
                "for exact updates, or fit(user_items) again with the rows of all users"
            )
        if train.nnz == 0:
            raise ValueError("`user_items` must hold at least one interaction, got none; partial_fit learns from them")
        check_int("epochs", epochs, 1)
        if learning_rate is not None:
            model.learning_rate = check_real("learning_rate", learning_rate, 0, above=True)
        backend, seeds = model._backend(), Seeds.drawn(copy.deepcopy(check_random_state(model.random_state)))
        with backend.active(), ProgressBar(type(self).__name__, show=False) as progress:
            run = FitRun(backend, train, None, (), progress)
            self.__dict__.update(go_on(run, model._objective(), model._options(), seeds, epochs, vars(model)))
        return self

    def _solved_by_sums(self) -> bool:
        return self._from_sums and self.init == "svd" and not any(self._epochs_of_phases())

    def _numbered(self, history: Csr, sign: int, rows: Any) -> Csr:
        masks = self.dropout and self.activation != "identity"
        if sign > 0:
            return history  # numbered after all earlier ones
        if not masks:
            return super()._numbered(history, sign, rows)
        if rows is None:
            raise ValueError(
                f"`rows` must be given for dropout={self.dropout:g} with activation={self.activation!r}: the sums hold "
                "random masks, which depend on the rows that the users had in fit; give these, or fit again"
            )
        numbers = check_rows("rows", rows, self.n_users_ + self.skipped_users_)
        if len(numbers) != history.shape[0] or len(np.unique(numbers)) < len(numbers):
            raise ValueError(
                f"`rows` must hold one row for each of the {history.shape[0]} users, none of them twice, got "
                f"{len(numbers)} with {len(np.unique(numbers))} different ones"
            )
        return replace(history.to_host().rebased(), users=numbers)

    def _updated(self, run: FitRun, sign: int) -> dict[str, Any]:
        if sign > 0:
            run.train = run.train.numbered_from(self.n_users_ + self.skipped_users_)
        return update_exactly(run, self._objective(), self._options(), vars(self), sign)

    # --- what a fitted model computes with ----------------------------------------------------------------------------

    def embed(self, user_items: UserItems) -> FloatArray:
        """Return the hidden units of histories.

        Parameters
        ----------
        user_items : Interactions or scipy sparse (q, n)

        Returns
        -------
        float32 (q, factors)
            One row for each history.
        """
        model = self._as_fitted()
        return model._units(model._encoder(), user_items)

    def _encoder(self) -> Encoder:
        intercept = self.intercept if self.fit_intercept else None
        return Encoder(self.encoder_, self.encoder_bias_, self.activation, self.normalize, intercept)

    def _scorer(self) -> DotScorer:
        return self._encoder().scorer(self.decoder_)

    def _layers(self) -> Layers:
        return Layers(self._encoder(), self.decoder_.T)

    def _contributions(self) -> EncoderParts:
        return EncoderParts(self._encoder(), self.decoder_)

    def _item_vectors(self) -> FloatArray:
        return self.encoder_

    def _user_vectors(self, backend: Backend, history: Csr) -> FloatArray:
        return self._encoder().units(backend, history)

    # --- checks and plans ---------------------------------------------------------------------------------------------

    def _adapt_to(self, n_vectors: int) -> None:
        if self.init == "svd":  # mirrored pairs of vectors with relu
            self.factors = adapted(self.factors, n_vectors * (2 if self.activation == "relu" else 1))

    def _check_params(self) -> None:
        check_int("factors", self.factors, 1)
        check_choice("activation", self.activation, ACTIVATIONS)
        check_choice("normalize", self.normalize, ("l2", None))
        check_choice("init", self.init, INITS)
        if self.init == "svd" and self.activation == "relu" and self.factors % 2:
            raise ValueError(
                f"`factors` must be even with activation='relu' and init='svd' (mirrored pairs), got {self.factors}"
            )
        check_rate("dropout", self.dropout)
        check_bool("fit_intercept", self.fit_intercept)
        check_choice("intercept", self.intercept, INTERCEPTS)
        check_real("intercept_penalty", self.intercept_penalty, 0)
        check_real("popularity_discount", self.popularity_discount)
        check_penalties(self.regularization)
        check_choice("optimizer", self.optimizer, OPTIMIZERS)
        check_real("learning_rate", self.learning_rate, 0, above=True)
        check_choice("schedule", self.schedule, tuple(SCHEDULES))
        check_real("weight_decay", self.weight_decay, 0)
        if self.batch_size is not None:
            check_int("batch_size", self.batch_size, 1)
        self._check_epochs()
        check_int("patience", self.patience, 1)
        check_metric(self.metric)
        if check_bool("updatable", self.updatable) and not self._objective().ends_exactly(self._epochs_of_phases()):
            raise ValueError(
                f"`updatable` must be False for this {type(self).__name__}, whose prediction head is no exact solution "
                "of the squared error to the interactions; all models but OHNSAutoRec have one with init='svd' and "
                "epochs=0, those with two heads also with mode='limited' and solver='exact'"
            )

    def _check_two_heads(self, mode: str, solver: str, embedding_weight: float) -> None:
        """Raise unless the parameters are usable, with those that the two-headed models share."""
        check_choice("mode", mode, tuple(MODES))
        check_choice("solver", solver, SOLVERS)
        Autoencoder._check_params(self)
        check_real("embedding_weight", embedding_weight, 0)

    def _check_epochs(self) -> None:
        """Raise if the scores would come from a head that is neither solved nor trained."""
        epochs, objective = self._epochs_of_phases(), self._objective()
        phases = objective.phases
        trained = {head for number, phase in zip(epochs, phases, strict=True) if number for head in phase.heads}
        solved = self.init == "svd" or (trained and len(phases) > 1 and objective.solves_prediction)
        if not solved and objective.output not in trained:
            where = f" in the {phases[-1].name} phase" if trained else ""
            raise ValueError(
                f"`epochs` must be >= 1{where} with init='random', got {self.epochs}; use init='svd' for the exact "
                "solution"
            )

    def _plan(self, m: int, n: int, nnz: int) -> Plan:
        """Return the plan of the exact solutions or, where it needs more, of training."""
        plan = plan_of_training(type(self).__name__, self._objective(), self._options(), self.num_threads, m, n, nnz)
        return plan.with_sums(self.factors + self.fit_intercept if self.updatable else 0)
