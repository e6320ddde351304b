"""What the models of the AutoRec family share: parameters, the start of training, its phases, and what is left."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from fastautorec._checks import Default, check_bool, check_choice, check_int, check_random_state, check_rate, check_real
from fastautorec._compute.csr import Csr
from fastautorec._compute.protocol import ACTIVATIONS, Backend, FloatArray
from fastautorec._training import checkpoint as _checkpoint
from fastautorec._training.epochs import EMBEDDING, PREDICTION, SCHEDULES, Phase
from fastautorec._training.losses import Loss
from fastautorec._training.network import Network
from fastautorec._training.run import FitRun, Progress
from fastautorec.models._encoder import EncoderModel
from fastautorec.models._heads import check_metric, check_penalties
from fastautorec.models._memory_plan import Plan
from fastautorec.models._session import BATCH_SIZE, Seeds, Session, discount

if TYPE_CHECKING:
    from typing_extensions import Self

FACTORS = Default(200)
INITS = ("random", "svd")
INTERCEPTS = ("history", "constant")
OPTIMIZERS = ("adam", "adamw", "sgd")

# The paper says relu and a grid for the number of units (section 4.2). It leaves open the optimiser, its rate, the
# batch size and the number of epochs.
PAPER: dict[str, Any] = {
    "factors": 200, "activation": "relu", "normalize": None, "init": "random", "dropout": 0.0, "intercept": "constant",
    "popularity_discount": 0.0, "optimizer": "adam", "learning_rate": 1e-3, "schedule": "constant", "batch_size": 100,
    "epochs": 100,
}  # fmt: skip


class FittedAutoencoder(EncoderModel):
    """Fitted attributes of the family, apart from the parameters that a dataclass collects."""

    _arrays: ClassVar[tuple[str, ...]] = (*EncoderModel._arrays, "embedding_head_")

    embedding_head_: FloatArray | None
    regularization_: float | None
    decays_: dict[str, tuple[float, float]]
    best_epochs_: tuple[int, ...]
    skipped_users_: int


@dataclass(repr=False, eq=False)
class AutoencoderModel(FittedAutoencoder):
    """Base of the AutoRec family; its fields are the parameters that all of its models have."""

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
    device: str = "auto"
    num_threads: int | None = None

    output_head: ClassVar[str] = PREDICTION
    _paper: ClassVar[dict[str, Any]] = PAPER

    @classmethod
    def paper(cls, **overrides: Any) -> Self:
        """Return the model as the paper has it: random start, relu, plain input, no dropout, the equations as printed.

        Where the paper says nothing: Adam with learning rate 0.001, batches of 100, at most 100 epochs.
        """
        return cls(**{**cls._paper, **overrides})

    # --- what a model says --------------------------------------------------------------------------------------------

    @abstractmethod
    def _losses(self, counts: npt.NDArray[np.int64], m: int, seed: int) -> dict[str, Loss]:
        """Return the loss of each head, for item counts among m users."""

    @abstractmethod
    def _phases(self) -> tuple[Phase, ...]:
        """Return the phases of training."""

    def _epochs_of_phases(self) -> tuple[int, ...]:
        """Return the largest number of epochs of each phase."""
        phases = self._phases()
        if isinstance(self.epochs, Integral):
            return (check_int("epochs", self.epochs, 0),) * len(phases)
        if not isinstance(self.epochs, (list, tuple, np.ndarray)):
            raise TypeError(f"`epochs` must be an integer or one for each phase, got {type(self.epochs).__name__}")
        if len(self.epochs) != len(phases):
            names = " and ".join(phase.name for phase in phases)
            raise ValueError(f"`epochs` must be one number or one for each phase ({names}), got {len(self.epochs)}")
        return tuple(check_int("epochs", epochs, 0) for epochs in self.epochs)

    def _head_weight(self, head: str) -> float:
        """Return the factor of a head's loss in the objective."""
        return 1.0

    def _solves_prediction(self) -> bool:
        """Return whether the prediction head is solved exactly once the embedding phase is over."""
        return False

    def _spectrum_power(self) -> float:
        """Return the exponent of the singular values in an encoder from them."""
        return 1.0

    def _most_factors(self, n_vectors: int) -> int | None:
        if self.init != "svd":
            return None
        return 2 * n_vectors if self.activation == "relu" else n_vectors  # mirrored pairs

    # --- fitting ------------------------------------------------------------------------------------------------------

    def fit(
        self,
        user_items: Any,
        validation: Any = None,
        callbacks: Sequence[Callable[[dict[str, Any]], Any]] = (),
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
        paths = {
            name: None if path is None else Path(path) for name, path in {"path": checkpoint, "resume": resume}.items()
        }
        return self._run_fit(
            user_items, validation, callbacks, show_progress,
            checkpoint=_checkpoint.Checkpoint(**paths, data=user_items),
            keep_on_interrupt=check_bool("keep_on_interrupt", keep_on_interrupt),
        )  # fmt: skip

    def _fit(self, run: FitRun) -> dict[str, Any]:
        if run.checkpoint.active:
            run.checkpoint.identify(
                _checkpoint.identity(type(self).__name__, self.get_params(), run.train, run.validation)
            )
        saved = run.checkpoint.load()
        seeds = self._seeds() if saved is None else Seeds(**saved[0]["notes"]["seeds"])
        return Session(self, run, seeds).fit(check_random_state(self.random_state), saved)

    def _seeds(self) -> Seeds:
        return Seeds.drawn(copy.deepcopy(check_random_state(self.random_state)))

    def partial_fit(self, user_items: Any, epochs: int = 1, *, learning_rate: float | None = None) -> Self:
        """Go on training on the rows of new users, with the last phase of the mode and nothing to stop early.

        It trains as the model was fitted: parameters that were set since count for the next ``fit``.

        Parameters
        ----------
        user_items : Interactions or scipy sparse (q, n)
            Histories of users that were not in ``fit``: popularities take them in, and the random streams number them
            after all earlier ones.
        epochs : int
            Passes over them. Old users are not seen again: few epochs, or a small ``learning_rate``, forget little.
        learning_rate : float, optional
            By default that of ``fit``.

        Returns
        -------
        self

        Raises
        ------
        NotFittedError
            Before ``fit``.
        TypeError, ValueError
            If an argument is not usable, or the model is an exact solution, of which no epoch was trained: a few steps
            on the squared error of new users would only lead away from it. Fit it again, with the rows of all users.
        DivergedError
            If a loss is no longer finite; the model keeps its former state.
        """
        model = self._as_fitted()
        train = model._check_history(model._in_order(user_items))
        if not any(model._epochs_of_phases()):
            raise ValueError(
                f"partial_fit goes on with training, but no epoch was trained of this {type(self).__name__}: it is an "
                "exact solution, which some steps of training on new users would make worse; fit(user_items) again "
                "with the rows of all users, or fit with `epochs` >= 1 first"
            )
        if train.nnz == 0:
            raise ValueError("`user_items` must hold at least one interaction, got none; partial_fit learns from them")
        check_int("epochs", epochs, 1)
        if learning_rate is not None:
            model.learning_rate = check_real("learning_rate", learning_rate, 0, above=True)
        backend = model._backend()
        with backend.active():
            self.__dict__.update(model._go_on(backend, train, epochs))
        return self

    def _go_on(self, backend: Backend, train: Csr, epochs: int) -> dict[str, Any]:
        assert self.item_counts_ is not None  # every version has kept those of this family
        weights: FloatArray = self.decoder_
        if self.popularity_discount:
            weights = weights / backend.to_device(discount(self.item_counts_, self.popularity_discount))
        heads = {self.output_head: weights}
        if self.embedding_head_ is not None:
            heads[EMBEDDING] = self.embedding_head_
        k = self.encoder_.shape[1]
        bias = backend.zeros(1, k) if self.encoder_bias_ is None else self.encoder_bias_[None]
        network = Network(self.encoder_, bias, heads)
        with Progress(type(self).__name__, show=False) as progress:
            run = FitRun(backend, train, None, (), progress)
            session = Session(self, run, self._seeds(), self.item_counts_, self.n_users_)
            return session.go_on(network, self._phases()[-1], epochs)

    # --- checks and what the base class asks for ----------------------------------------------------------------------

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

    def _check_epochs(self) -> None:
        """Raise if the scores would come from a head that is neither solved nor trained."""
        epochs, phases = self._epochs_of_phases(), self._phases()
        trained = {head for number, phase in zip(epochs, phases, strict=True) if number for head in phase.heads}
        solved = self.init == "svd" or (trained and len(phases) > 1 and self._solves_prediction())
        if not solved and self.output_head not in trained:
            where = f" in the {phases[-1].name} phase" if trained else ""
            raise ValueError(
                f"`epochs` must be >= 1{where} with init='random', got {self.epochs}; use init='svd' for the exact "
                "solution"
            )

    def _plan(self, m: int, n: int, nnz: int) -> Plan:
        """Return the plan of the exact solutions or, where it needs more, of training."""
        exact = super()._plan(m, n, nnz)
        if not any(self._epochs_of_phases()):
            return exact
        heads = len({head for phase in self._phases() for head in phase.heads})
        weights = 4 * n * (self.factors + heads * (self.factors + self.fit_intercept))
        batch = min(self.batch_size or BATCH_SIZE, m)
        parts = self._always(m, n) | {
            "weights and their copy in the fitted model": 2 * weights,
            "moments of the optimiser": {"sgd": 0}.get(self.optimizer, 2) * weights,
            "the best weights so far": weights,
            "hidden units of a batch and their gradients": 2 * 4 * batch * (self.factors + self.fit_intercept),
        }
        device = self._always_on_device(m, n, nnz) | {
            "weights, their moments, the best and the fitted ones": 5 * weights,
            "gradients of a step": 4 * n * (self.factors + self.fit_intercept),
        }
        if self.init == "svd":
            parts, device = (max(both, key=lambda p: sum(p.values())) for both in (
                (parts, exact.parts), (device, exact.device_parts)
            ))  # fmt: skip
        return replace(exact, parts=parts, tiles=exact.tiles | {"users in a batch": batch}, device_parts=device)

    def _activation(self) -> str:
        return self.activation

    def _normalize(self) -> str | None:
        return self.normalize

    def _intercept(self) -> str | None:
        return self.intercept if self.fit_intercept else None
