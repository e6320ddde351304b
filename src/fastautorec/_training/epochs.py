"""The training loop of the autoencoders: batches, phases of the four modes, schedules."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
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
from fastautorec._training.run import FitRun, Seeds
from fastautorec._training.stopping import Stopping
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
class Options:
    """How an autoencoder is fitted; the parameters of the models of the same names."""

    factors: int
    activation: str
    normalize: str | None
    init: str
    dropout: float
    intercept: str | None  # None where none is fitted
    intercept_penalty: float
    popularity_discount: float
    regularization: float | Sequence[float]
    optimizer: str
    learning_rate: float
    schedule: str
    weight_decay: float
    batch_size: int | None
    epochs: tuple[int, ...]  # of each phase
    patience: int
    updatable: bool


@dataclass
class LoopState(Stopping):
    """How far training has come: with the arrays of an `EpochLoop`, all that a continuation needs."""

    phase: int = 0
    total: int = 0  # epochs of all phases; numbers the random streams
    stopped: bool = False  # by a callback
    loss: float = math.nan  # the last finite one
    kept: tuple[int, ...] = ()  # the epoch whose state each ended phase has left


class EpochLoop:
    """Trains a network in place, phase by phase."""

    def __init__(
        self,
        run: FitRun,
        network: Network,
        encoder: Encoder,
        heads: dict[str, Head],
        options: Options,
        seeds: Seeds,
        decay: float,
        notes: dict[str, Any],
    ) -> None:
        """Take what to train on users who all have interactions.

        ``decay`` is λ / m of the encoder; ``notes`` go into checkpoints.
        """
        self.network, self.state, self.interrupted = network, LoopState(), False
        self._notes = notes
        self.heads = heads
        self._run, self._options, self._seeds, self._decay = run, options, seeds, decay
        self._encoder = encoder  # of the network's own arrays
        self._batch_size = options.batch_size or run.train.shape[0]
        self._hidden = run.backend.zeros(self._batch_size, encoder.width)
        self._grad = run.backend.zeros(self._batch_size, encoder.width)
        self._parameters: dict[str, Parameter] = {}
        self._best: Network | None = None

    def train(self, number: int, phase: Phase, validate: Callable[[], float | None]) -> None:
        """Train one phase until it has converged and leave the best state in the network.

        ``validate`` returns the metric of the network's present state, or None where there is nothing to validate on:
        then the loss decides when to stop, and the last state is kept.
        """
        epochs, patience = self._options.epochs[number], self._options.patience
        # DivergedError reports numbers that are too large, so NumPy's warnings are not needed
        with np.errstate(over="ignore", invalid="ignore"):
            try:
                if not self._parameters or self.state.phase != number:
                    self.begin(number, phase, validate)
                state = self.state
                self._run.progress.epochs(phase.name, self._run.train.shape[0], epochs - state.epoch)
                while not state.stopped and state.epoch < epochs and state.stale < patience:
                    self._record_epoch(phase, validate)
            except KeyboardInterrupt:
                if not self._run.keep_on_interrupt:
                    raise
                self.interrupted = True
            self._finish(phase)

    def snapshot(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """Return what a continuation needs: numbers, and arrays by name."""
        arrays = _named("network", self.network.arrays())
        if self._best is not None:
            arrays |= _named("best", self._best.arrays())
        for name, parameter in self._parameters.items():
            arrays |= _named(f"moments.{name}", parameter.moments())
        steps = {name: parameter.step for name, parameter in self._parameters.items()}
        header = {"progress": asdict(self.state), "steps": steps, "history": self._run.history, "notes": self._notes}
        return header, {name: self._run.backend.to_host(array) for name, array in arrays.items()}

    def restore(self, phases: tuple[Phase, ...], header: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> None:
        """Take up the state of a loop of the same model and data."""
        self.state = LoopState(**header["progress"])
        self.state.kept = tuple(self.state.kept)
        self._run.history[:] = header["history"]
        self._fill(_named("network", self.network.arrays()), arrays)
        self._parameters = self._make_parameters(phases[self.state.phase])
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
        self._best = None  # set first: after Ctrl-C the last phase's state must not be taken for one of this phase
        self.state = LoopState(phase=number, total=self.state.total, kept=self.state.kept)
        self._parameters = self._make_parameters(phase)
        metric = validate()
        if metric is not None:
            self.state.best_metric = metric
            self._best = self.network.copy(self._run.backend)
            self.state.stopped = self._run.record(phase.name, epoch=0, metric=metric)

    def epoch(self, phase: Phase) -> dict[str, float]:
        """Train on every user once and return the mean loss of each head."""
        options, state = self._options, self.state
        factor = SCHEDULES[options.schedule](state.epoch / options.epochs[state.phase])
        for parameter in self._parameters.values():
            parameter.learning_rate = options.learning_rate * factor
        state.epoch += 1
        state.total += 1
        order = np.random.default_rng([self._seeds.order, state.total]).permutation(self._run.train.shape[0])
        losses: dict[str, list[Any]] = {head: [] for head in phase.heads}
        with single_threaded_blas:
            for batch in self._run.train.batches(order, self._batch_size):
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
        self.state.stopped = self._run.record(
            phase.name, self.state.epoch, seconds, loss=self.state.loss, **by_head, metric=metric
        )
        if self._run.checkpoint is not None:
            self._run.checkpoint.write(self.snapshot)

    def _make_parameters(self, phase: Phase) -> dict[str, Parameter]:
        options, arrays, k = self._options, self.network.arrays(), self.network.encoder.shape[1]
        made = {}
        for name in (*(("encoder", "bias") if phase.encoder else ()), *phase.heads):
            head = self.heads.get(name)
            decay, bias_decay = (head.decay, head.bias_decay) if head else (self._decay, 0.0)
            made[name] = Parameter(
                arrays[name],
                options.optimizer,
                decay=0.0 if name == "bias" else 2 * decay,
                last_decay=2 * bias_decay,
                bias_column=arrays[name].shape[1] > k,
                beta1=0.0 if options.optimizer == "sgd" else 0.9,
            )
        return made

    def _batch(self, phase: Phase, batch: Csr, losses: dict[str, list[Any]]) -> None:
        options, backend, encoder = self._options, self._run.backend, self._encoder
        inputs = encoder.inputs(batch)
        if options.dropout:
            inputs = backend.drop_entries(inputs, options.dropout, self._seeds.dropout, self.state.total)
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
                losses[name].append(head.loss.step(backend, hidden, parameter, batch, scale, grad, self.state.total))
            if grad is not None:
                delta = grad[:, :k]
                bias_grad = backend.activation_backward(hidden[:, :k], delta, encoder.activation)
                backend.optimizer_step(self._parameters["bias"], bias_grad)
                backend.encode_backward(inputs, delta, parameter=self._parameters["encoder"])

    def _diverged(self, what: str) -> DivergedError:
        last = self.state.loss
        before = "no loss was finite" if math.isnan(last) else f"the last finite loss was {last:.4g}"
        return DivergedError(
            f"training diverged in epoch {self.state.epoch}: {what} with "
            f"`learning_rate`={self._options.learning_rate:g} ({before}); use a smaller learning rate, or a larger "
            "`weight_decay`"
        )

    def _judge(self, metric: float | None, loss: float) -> None:
        """Note the loss and whether this epoch is the best so far; keep a copy of the best validated state."""
        self.state.loss = loss
        if not self.state.judge(-loss if metric is None else metric) or metric is None:
            return
        if self._best is None:
            self._best = self.network.copy(self._run.backend)
            return
        try:
            self._best.assign(self.network)
        except KeyboardInterrupt:
            self._best.assign(self.network)  # never keep half of a state
            raise

    def _finish(self, phase: Phase) -> None:
        """Restore the best state where there is one."""
        state = self.state
        kept = state.epoch if self._best is None else state.best_epoch
        state.kept += (kept,)
        state.total -= state.epoch - kept  # the next phase goes on as if there had been no further epochs
        if self._best is not None:
            self.network.assign(self._best)
            self._run.mark_restored(phase.name, state.best_epoch)
        for name, value in self.network.arrays().items():
            # A saturated output hides large weights from the loss.
            if not self._run.backend.sum_of_squares(value) < LARGEST:
                raise self._diverged(f"weights of the {name} have grown beyond what float32 can square")


def _named(prefix: str, arrays: dict[str, FloatArray]) -> dict[str, npt.NDArray[Any]]:
    return {f"{prefix}.{name}": array for name, array in arrays.items()}
