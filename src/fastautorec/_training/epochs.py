"""The training loop: batches, phases of the four modes, early stopping, schedules. There is no other."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec._compute.blas import single_threaded_blas
from fastautorec._compute.csr import Csr
from fastautorec._compute.parameter import Parameter
from fastautorec._compute.protocol import FloatArray
from fastautorec._training.closed_form import Encoder
from fastautorec._training.losses import Loss
from fastautorec._training.network import Network
from fastautorec._training.run import FitRun
from fastautorec.exceptions import DivergedError

EMBEDDING, PREDICTION = "embedding", "prediction"
LARGEST = float(np.finfo(np.float32).max)
SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda done: 1.0,
    "linear": lambda done: 1 - done,
    "cosine": lambda done: (1 + math.cos(math.pi * done)) / 2,
}


@dataclass(frozen=True)
class Phase:
    """A part of training with its own stopping.

    Attributes
    ----------
    name : str
    steps : tuple of tuples of str
        The steps taken for each batch, each on the sum of the losses of some heads.
    encoder : bool
        Whether the steps change the encoder too.
    """

    name: str
    steps: tuple[tuple[str, ...], ...]
    encoder: bool = True

    @property
    def heads(self) -> tuple[str, ...]:
        """The heads that the phase trains."""
        return tuple(dict.fromkeys(head for step in self.steps for head in step))


MODES: dict[str, tuple[Phase, ...]] = {
    "joint": (Phase("joint", ((EMBEDDING, PREDICTION),)),),
    "alternating": (Phase("alternating", ((EMBEDDING,), (PREDICTION,))),),
    "limited": (Phase(EMBEDDING, ((EMBEDDING,),)), Phase(PREDICTION, ((PREDICTION,),), encoder=False)),
    "full": (Phase(EMBEDDING, ((EMBEDDING,),)), Phase(PREDICTION, ((PREDICTION,),))),
}


@dataclass(frozen=True)
class Head:
    """What a head is trained on.

    Attributes
    ----------
    loss : Loss
    weight : float
        Factor of its loss in the objective.
    decay, bias_decay : float
        λ / m of its weights and of its biases.
    """

    loss: Loss
    weight: float = 1.0
    decay: float = 0.0
    bias_decay: float = 0.0


@dataclass(frozen=True)
class Settings:
    """How to train; the parameters of the models of the same names."""

    optimizer: str
    learning_rate: float
    schedule: str
    batch_size: int
    epochs: tuple[int, ...]  # of each phase
    patience: int
    dropout: float
    decay: float  # λ / m of the encoder
    order_seed: int
    dropout_seed: int


@dataclass
class Progression:
    """How far training has come: with the arrays of a `Trainer`, all that a continuation needs."""

    phase: int = 0
    epoch: int = 0  # of the phase
    total: int = 0  # of all phases; numbers the random streams
    best_epoch: int = 0
    best_metric: float = -math.inf
    stale: int = 0  # epochs since the best one
    stopped: bool = False  # by a callback
    loss: float = math.nan  # the last finite one
    kept: tuple[int, ...] = ()  # the epoch whose state each ended phase has left


class Trainer:
    """Trains a network in place, phase by phase."""

    def __init__(
        self,
        run: FitRun,
        network: Network,
        encoder: Encoder,
        heads: dict[str, Head],
        settings: Settings,
        notes: dict[str, Any],
    ) -> None:
        """Take what to train on users who all have interactions; ``notes`` go into checkpoints."""
        self.network, self.progress, self.interrupted = network, Progression(), False
        self._notes = notes
        self.heads = heads
        self._run, self._settings = run, settings
        self._encoder = encoder  # of the network's own arrays
        self._hidden = run.backend.zeros(settings.batch_size, encoder.width)
        self._grad = run.backend.zeros(settings.batch_size, encoder.width)
        self._parameters: dict[str, Parameter] = {}
        self._best: Network | None = None

    def train(self, number: int, phase: Phase, validate: Callable[[], float | None]) -> None:
        """Train one phase until it has converged and leave the best state in the network.

        ``validate`` returns the metric of the network's present state, or None where there is nothing to validate on:
        then the loss decides when to stop, and the last state is kept.
        """
        epochs, patience = self._settings.epochs[number], self._settings.patience
        # DivergedError tells of numbers that are too large, so NumPy need not
        with np.errstate(over="ignore", invalid="ignore"):
            try:
                if not self._parameters or self.progress.phase != number:
                    self.begin(number, phase, validate)
                progress = self.progress
                self._run.progress.epochs(phase.name, self._run.train.shape[0], epochs - progress.epoch)
                while not progress.stopped and progress.epoch < epochs and progress.stale < patience:
                    self._record_epoch(phase, validate)
            except KeyboardInterrupt:
                if not self._run.keep_on_interrupt:
                    raise
                self.interrupted = True
            self._finish(phase)

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """Return what a continuation needs: numbers, and arrays by name."""
        arrays = _named("network", self.network.arrays())
        if self._best is not None:
            arrays |= _named("best", self._best.arrays())
        for name, parameter in self._parameters.items():
            arrays |= _named(f"moments.{name}", parameter.moments())
        steps = {name: parameter.step for name, parameter in self._parameters.items()}
        header = {"progress": asdict(self.progress), "steps": steps, "history": self._run.history, "notes": self._notes}
        return header, {name: self._run.backend.to_host(array) for name, array in arrays.items()}

    def restore(self, phases: tuple[Phase, ...], header: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Take up the state of a trainer of the same model and data."""
        self.progress = Progression(**header["progress"])
        self.progress.kept = tuple(self.progress.kept)
        self._run.history[:] = header["history"]
        self._fill(_named("network", self.network.arrays()), arrays)
        self._parameters = self._make_parameters(phases[self.progress.phase])
        for name, parameter in self._parameters.items():
            parameter.step = header["steps"][name]
            self._fill(_named(f"moments.{name}", parameter.moments()), arrays)
        if "best.encoder" in arrays:
            self._best = self.network.copy(self._run.backend)
            self._fill(_named("best", self._best.arrays()), arrays)

    def _fill(self, arrays: dict[str, npt.NDArray[Any]], values: dict[str, npt.NDArray[Any]]) -> None:
        for name, array in arrays.items():
            array[...] = self._run.backend.to_device(values[name])

    # --- within a phase ----------------------------------------------------------------------------------------------

    def begin(self, number: int, phase: Phase, validate: Callable[[], float | None]) -> None:
        """Enter a phase with fresh moments, and judge the state that it starts from."""
        self._best = None  # first: after Ctrl-C nobody shall take the last phase's state for one of this phase
        self.progress = Progression(phase=number, total=self.progress.total, kept=self.progress.kept)
        self._parameters = self._make_parameters(phase)
        metric = validate()
        if metric is not None:
            self.progress.best_metric = metric
            self._best = self.network.copy(self._run.backend)
            self.progress.stopped = self._run.record(phase.name, epoch=0, metric=metric)

    def epoch(self, phase: Phase) -> dict[str, float]:
        """Train on every user once and return the mean loss of each head."""
        settings, progress = self._settings, self.progress
        factor = SCHEDULES[settings.schedule](progress.epoch / settings.epochs[progress.phase])
        for parameter in self._parameters.values():
            parameter.learning_rate = settings.learning_rate * factor
        progress.epoch += 1
        progress.total += 1
        order = np.random.default_rng([settings.order_seed, progress.total]).permutation(self._run.train.shape[0])
        losses: dict[str, list[Any]] = {head: [] for head in phase.heads}
        with single_threaded_blas:
            for batch in self._run.train.batches(order, settings.batch_size):
                self._batch(phase, batch, losses)
                self._run.progress.users(batch.shape[0])
        totals = {head: self._run.backend.add_up(parts) for head, parts in losses.items()}  # waits for a device
        for head, total in totals.items():
            if not math.isfinite(total):
                raise self._diverged(f"the loss of the {head} head is {total}")
        return {head: total / len(order) for head, total in totals.items()}

    def _record_epoch(self, phase: Phase, validate: Callable[[], float | None]) -> None:
        """Train for one epoch and record it."""
        started = time.perf_counter()
        losses = self.epoch(phase)
        seconds = time.perf_counter() - started
        metric = validate()
        self._judge(metric, sum(self.heads[head].weight * loss for head, loss in losses.items()))
        by_head = {f"{head}_loss": loss for head, loss in losses.items()} if len(losses) > 1 else {}
        self.progress.stopped = self._run.record(
            phase.name, self.progress.epoch, seconds, loss=self.progress.loss, **by_head, metric=metric
        )
        self._run.checkpoint.write(self.state)

    def _make_parameters(self, phase: Phase) -> dict[str, Parameter]:
        settings, arrays, k = self._settings, self.network.arrays(), self.network.encoder.shape[1]
        made = {}
        for name in (*(("encoder", "bias") if phase.encoder else ()), *phase.heads):
            head = self.heads.get(name)
            decay, bias_decay = (head.decay, head.bias_decay) if head else (settings.decay, 0.0)
            made[name] = Parameter(
                arrays[name],
                settings.optimizer,
                decay=0.0 if name == "bias" else 2 * decay,
                last_decay=2 * bias_decay,
                bias_column=arrays[name].shape[1] > k,
                beta1=0.0 if settings.optimizer == "sgd" else 0.9,
            )
        return made

    def _batch(self, phase: Phase, batch: Csr, losses: dict[str, list[Any]]) -> None:
        settings, backend, encoder = self._settings, self._run.backend, self._encoder
        inputs = encoder.inputs(batch)
        if settings.dropout:
            inputs = backend.drop_entries(inputs, settings.dropout, settings.dropout_seed, self.progress.total)
        q, k = batch.shape[0], encoder.weight.shape[1]
        hidden = self._hidden[:q]
        for heads in phase.steps:
            encoder.hidden(backend, inputs, out=hidden)
            grad = self._grad[:q] if phase.encoder else None
            if grad is not None:
                grad[...] = 0
            for name in heads:
                head = self.heads[name]
                parameter = self._parameters[name]
                scale = head.weight / q
                losses[name].append(head.loss.step(backend, hidden, parameter, batch, scale, grad, self.progress.total))
            if grad is not None:
                delta = grad[:, :k]
                bias_grad = backend.activation_backward(hidden[:, :k], delta, encoder.activation)
                backend.optimizer_step(self._parameters["bias"], bias_grad)
                backend.encode_backward(inputs, delta, parameter=self._parameters["encoder"])

    def _diverged(self, what: str) -> DivergedError:
        last = self.progress.loss
        before = "no loss was finite" if math.isnan(last) else f"the last finite loss was {last:.4g}"
        return DivergedError(
            f"training diverged in epoch {self.progress.epoch}: {what} with "
            f"`learning_rate`={self._settings.learning_rate:g} ({before}); use a smaller learning rate, or a larger "
            "`weight_decay`"
        )

    def _judge(self, metric: float | None, loss: float) -> None:
        """Note the loss and whether this epoch is the best so far; keep a copy of the best validated state."""
        progress = self.progress
        progress.loss = loss
        value = -loss if metric is None else metric
        if value > progress.best_metric:
            progress.best_metric, progress.best_epoch, progress.stale = value, progress.epoch, 0
            if metric is not None:
                if self._best is None:
                    self._best = self.network.copy(self._run.backend)
                    return
                try:
                    self._best.assign(self.network)
                except KeyboardInterrupt:
                    self._best.assign(self.network)  # never keep the half of a state
                    raise
        else:
            progress.stale += 1

    def _finish(self, phase: Phase) -> None:
        """Restore the best state where there is one."""
        progress = self.progress
        kept = progress.epoch if self._best is None else progress.best_epoch
        progress.kept += (kept,)
        progress.total -= progress.epoch - kept  # the next phase goes on as if there had been no further epochs
        if self._best is not None:
            self.network.assign(self._best)
            self._run.mark_restored(phase.name, progress.best_epoch)
        for name, value in self.network.arrays().items():
            if not self._run.backend.sum_of_squares(value) < LARGEST:  # a saturated output hides it from the loss
                raise self._diverged(f"weights of the {name} have grown beyond what float32 can square")


def _named(prefix: str, arrays: dict[str, FloatArray]) -> dict[str, npt.NDArray[Any]]:
    return {f"{prefix}.{name}": array for name, array in arrays.items()}
