"""Base of the models trained by PyTorch: the loop over mini-batches, devices and threads."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from fastautorec._checks import check_choice, check_int, check_metric, check_random_state, check_rate, check_real
from fastautorec._compute import get_backend, resolve_num_threads
from fastautorec._compute.csr import Csr
from fastautorec._compute.protocol import Backend, FloatArray
from fastautorec._extras import require
from fastautorec._training.epochs import PREDICTION
from fastautorec._training.run import FitRun
from fastautorec.baselines._epochs import Epochs, check_single_phase
from fastautorec.data import _identity as identity
from fastautorec.exceptions import BackendUnavailableError, DivergedError
from fastautorec.models._memory_plan import Plan
from fastautorec.models._recommender import Recommender

DEVICES = ("auto", "cpu", "cuda")
TORCH_BYTES = 64 << 20  # measured

Arrays = dict[str, npt.NDArray[Any]]
Tensors = dict[str, Any]


@dataclass(repr=False, eq=False)
class TorchModel(Recommender):
    """Base of the models trained by PyTorch; a subclass says its weights, its batches and its loss.

    Random numbers are drawn by NumPy on the host, so that every device sees the same ones and PyTorch's own generators
    are left alone. A fitted model holds NumPy arrays and needs no PyTorch.
    """

    factors: int = 200
    _: KW_ONLY
    learning_rate: float = 1e-3
    batch_size: int = 500
    epochs: int | Sequence[int] = 100
    patience: int = 5
    metric: str = "NDCG"
    random_state: int | np.random.Generator = 0
    device: str = "auto"
    num_threads: int | None = None

    best_epochs_: ClassVar[tuple[int, ...]]
    trained_on_: ClassVar[str]

    # --- what a model says --------------------------------------------------------------------------------------------

    @abstractmethod
    def _start(self, m: int, n: int, rng: np.random.Generator) -> dict[str, FloatArray]:
        """Return the weights that training starts from, by name."""

    @abstractmethod
    def _batches(self, train: Csr, rng: np.random.Generator, epoch: int) -> Iterator[Arrays]:
        """Yield the batches of an epoch, host arrays by name; the length of "users" is the size of a batch."""

    @abstractmethod
    def _loss(self, torch: Any, weights: Tensors, batch: Tensors) -> Any:
        """Return the mean loss of a batch, a scalar tensor."""

    @abstractmethod
    def _optimizer(self, torch: Any, weights: Tensors) -> Any:
        """Return the optimiser of the weights."""

    def _annealing_epochs(self) -> int:
        """Return for how many epochs the objective itself changes: their losses cannot be compared."""
        return 0

    @abstractmethod
    def _taken(self, weights: dict[str, FloatArray], train: Csr) -> dict[str, Any]:
        """Return the fitted arrays of the present weights."""

    @abstractmethod
    def _sizes(self, m: int, n: int, nnz: int) -> tuple[int, int]:
        """Return the numbers of weights, and of values (of four bytes) that an epoch and a batch make, for plans."""

    # --- fitting ------------------------------------------------------------------------------------------------------

    def _fit(self, run: FitRun) -> dict[str, Any]:
        torch = require("torch", type(self).__name__, "baselines")
        device = choose_device(torch, self.device)
        with torch_threads(torch, resolve_num_threads(self.num_threads)):
            fitted = _Training(self, run, torch, device).train()
        return fitted | {"trained_on_": device}

    def _number_of_epochs(self) -> int:
        return check_single_phase(self.epochs)

    def _check_params(self) -> None:
        check_int("factors", self.factors, 1)
        check_real("learning_rate", self.learning_rate, 0, above=True)
        check_int("batch_size", self.batch_size, 1)
        self._number_of_epochs()
        check_int("patience", self.patience, 1)
        check_metric(self.metric)
        check_choice("device", self.device, DEVICES)

    def _fit_backend(self) -> Backend:
        check_choice("device", self.device, DEVICES)
        return get_backend("cpu", self.num_threads)  # for scores and metrics; PyTorch trains on `device`

    def _plan(self, m: int, n: int, nnz: int) -> Plan:
        weights, values = self._sizes(m, n, nnz)
        parts = {
            "row pointers": 8 * (m + 1),
            "buffers of PyTorch": TORCH_BYTES,
            "weights, gradients and the state of the optimiser": 4 * 4 * weights,
            "the fitted arrays, the best ones too": 2 * 4 * weights,
            "what an epoch and a batch make": 4 * values,
        }
        return Plan(type(self).__name__, (m, n), nnz, parts, {"rows in a batch": self.batch_size})


class UserModel(TorchModel):
    """Base of the models with a vector for each training user: found by id, or row i is user i where there are none.

    Attributes
    ----------
    user_ids_ : array (m,) or None
        Ids of the training users, where the data had some.
    """

    user_ids_: npt.NDArray[Any] | None = None

    @classmethod
    def _stored_arrays(cls) -> tuple[str, ...]:
        return (*super()._stored_arrays(), "user_ids_")

    def _ids_of(self, user_items: Any) -> dict[str, Any]:
        return super()._ids_of(user_items) | {"user_ids_": identity.own_ids(user_items, identity.USERS)}

    def _require_histories(self) -> None:
        raise ValueError(
            f"{type(self).__name__} has a vector for each user of fit and cannot answer by a history alone; pass all "
            "users to recommend, or use another model"
        )

    def _check_history(self, user_items: Any, name: str = "user_items") -> Csr:
        history = super()._check_history(user_items, name)
        rows = identity.rows_in(name, user_items, self.user_ids_)
        if rows is not None:
            return replace(history, users=rows)
        if history.shape[0] != self.n_users_:
            raise ValueError(
                f"`{name}` must have one row for each of the {self.n_users_} users that {type(self).__name__} was "
                f"fitted on (row i is user i), got {history.shape[0]} rows; pass all of them and choose among the "
                "results, or use Interactions with user_ids in fit and here, found by id; new users need a new fit"
            )
        return history


class _Training:
    """The epochs of one fit: batches and steps."""

    def __init__(self, model: TorchModel, run: FitRun, torch: Any, device: str) -> None:
        self._model, self._run, self._torch, self._device = model, run, torch, device
        self._rng = check_random_state(model.random_state)
        start = model._start(*run.train.shape, self._rng)
        self._weights = {name: tensor.requires_grad_() for name, tensor in self._tensors(start).items()}
        self._optimizer = model._optimizer(torch, self._weights)

    def train(self) -> dict[str, Any]:
        """Train until nothing gets better and return the fitted attributes of the state that is kept."""
        model, run, last = self._model, self._run, self._model._number_of_epochs()
        run.progress.epochs(PREDICTION, run.train.shape[0], last)
        epochs = Epochs(model, run, self._fitted)
        while epochs.number <= last:
            number = epochs.number
            loss = self._epoch(number)
            if not math.isfinite(loss):
                raise DivergedError(
                    f"training diverged in epoch {number}: the loss is {loss} with "
                    f"`learning_rate`={model.learning_rate:g}; use a smaller learning rate"
                )
            if epochs.end(loss, comparable=number > model._annealing_epochs()):
                break
        return epochs.kept()

    def _epoch(self, number: int) -> float:
        """Train for one epoch and return its mean loss."""
        total, count = self._torch.zeros((), dtype=self._torch.float64, device=self._device), 0
        with self._torch.enable_grad():
            for batch in self._model._batches(self._run.train, self._rng, number):
                size = len(batch["users"])
                total += self._step(batch) * size
                count += size
                self._run.progress.users(int(batch["done"]))
        return float(total) / count

    def _step(self, batch: Arrays) -> Any:
        """Take a step on a batch and return its loss; nothing here waits for the device."""
        self._optimizer.zero_grad()
        loss = self._model._loss(self._torch, self._weights, self._tensors(batch))
        loss.backward()
        self._optimizer.step()
        return loss.detach()

    def _fitted(self) -> dict[str, Any]:
        """Return the fitted attributes of the present state, as copies."""
        weights = {name: tensor.detach().cpu().numpy().copy() for name, tensor in self._weights.items()}
        return self._model._taken(weights, self._run.train) | {"n_users_": self._run.train.shape[0]}

    def _tensors(self, arrays: Arrays) -> Tensors:
        return {name: self._torch.as_tensor(array).to(self._device) for name, array in arrays.items()}


# --- batches of users -------------------------------------------------------------------------------------------------


def user_batches(
    train: Csr, batch_size: int, dropout: float, unit_length: bool, rng: np.random.Generator
) -> Iterator[Arrays]:
    """Yield the users with interactions in random order, as the arrays of a sparse batch.

    Parameters
    ----------
    train : Csr (m, n)
    batch_size : int
        Users in a batch.
    dropout : float
        Rate of entries that the input loses; the others are divided by 1 − rate.
    unit_length : bool
        Scale each user's input to unit length, before dropout.
    rng : numpy.random.Generator

    Yields
    ------
    dict of str to array
        "users" int64 (q,); of their entries "rows" int64 (the place of the user in the batch), "items" int64 and
        "values" float32 (of the input); "starts" int64 (q,), where each user's entries begin; "done", the users.
    """
    users = rng.permutation(np.flatnonzero(train.row_lengths()))
    for begin in range(0, len(users), batch_size):
        chosen = users[begin : begin + batch_size]
        batch = train.take_rows(chosen)
        lengths = batch.row_lengths()
        values = np.repeat(lengths**-0.5, lengths) if unit_length else np.ones(batch.nnz)
        if dropout:
            values *= (rng.random(batch.nnz) >= dropout) / (1 - dropout)
        yield {
            "users": chosen,
            "rows": np.repeat(np.arange(len(chosen)), lengths),
            "items": batch.indices.astype(np.int64),
            "values": values.astype(np.float32),
            "starts": batch.indptr[:-1],
            "done": np.asarray(len(chosen)),
        }


def encode(torch: Any, weight: Any, batch: Tensors) -> Any:
    """Return X W (q, k) of a sparse batch."""
    return torch.nn.functional.embedding_bag(
        batch["items"], weight, batch["starts"], mode="sum", per_sample_weights=batch["values"]
    )


def glorot(rng: np.random.Generator, rows: int, columns: int) -> FloatArray:
    """Return weights drawn uniformly with the limits of Glorot and Bengio (2010), float32 (rows, columns)."""
    limit = math.sqrt(6 / (rows + columns))
    return rng.uniform(-limit, limit, (rows, columns)).astype(np.float32)


def trained_rows(encoder: FloatArray, train: Csr) -> FloatArray:
    """Return the encoder with zeros for items without users: theirs are the numbers that training began with."""
    seen = np.zeros(train.n_cols, bool)
    seen[train.rebased().indices] = True
    rows: FloatArray = encoder * seen[:, None].astype(np.float32)
    return rows


def adam(torch: Any, weights: Tensors, learning_rate: float, weight_decay: float) -> Any:
    """Return Adam for the weights; those whose names end in "bias" do not decay."""
    biases = [tensor for name, tensor in weights.items() if name.endswith("bias")]
    others = [tensor for name, tensor in weights.items() if not name.endswith("bias")]
    groups = [{"params": others, "weight_decay": weight_decay}, {"params": biases, "weight_decay": 0.0}]
    return torch.optim.Adam(groups, lr=learning_rate)


def check_autoencoder(dropout: float, weight_decay: float) -> None:
    """Check the parameters that the autoencoders share."""
    check_rate("dropout", dropout)
    check_real("weight_decay", weight_decay, 0)


# --- devices and threads ----------------------------------------------------------------------------------------------


def choose_device(torch: Any, device: str) -> str:
    """Return the PyTorch device for "auto", "cpu" or "cuda".

    Raises
    ------
    BackendUnavailableError
        If "cuda" was asked for and PyTorch finds no such device.
    """
    available = torch.cuda.is_available()
    if device == "auto":
        return "cuda" if available else "cpu"
    if device == "cuda" and not available:
        raise BackendUnavailableError(
            f"`device` is 'cuda', but PyTorch {torch.__version__} finds no CUDA device; use device='cpu' (or 'auto'), "
            "or install PyTorch for CUDA"
        )
    return device


@contextmanager
def torch_threads(torch: Any, num_threads: int) -> Iterator[None]:
    """Give PyTorch so many threads while the block runs."""
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
