"""Time to the best validation NDCG: curves over seconds of training, validation left out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import sparse

from benchmarks._common import Sizes
from benchmarks._training import Training
from fastautorec._training.epochs import EMBEDDING
from fastautorec._training.run import validation_metric
from fastautorec.models import _autoencoder

Matrix = sparse.csr_matrix


@dataclass
class Curve:
    """How one training came to its accuracy.

    Attributes
    ----------
    points : list of (seconds, validation NDCG)
    epochs : list of float
        Seconds of each.
    """

    points: list[tuple[float, float]] = field(default_factory=list)
    epochs: list[float] = field(default_factory=list)

    @property
    def best(self) -> float:
        return max(value for _, value in self.points)

    def seconds_to(self, value: float) -> float:
        """Return when this value was reached."""
        return next(seconds for seconds, reached in self.points if reached >= value)


class Clock:
    """Seconds since the start without those spent in `pause`."""

    def __init__(self) -> None:
        self._start, self._paused = time.perf_counter(), 0.0

    def __call__(self) -> float:
        return time.perf_counter() - self._start - self._paused

    @contextmanager
    def pause(self) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self._paused += time.perf_counter() - began


def ours(model: Any, train: Matrix, validation: Matrix, sizes: Sizes) -> Curve:
    """Fit a model, and note its validation metric wherever the head that recommends is judged."""
    curve, clock, phases = Curve(), Clock(), len(model._objective().phases)

    def timed(*args: Any, **kwargs: Any) -> float:
        with clock.pause():
            return validation_metric(*args, **kwargs)

    def note(record: dict[str, Any]) -> bool:
        if record["epoch"]:
            curve.epochs.append(record["seconds"])
        judges_other_head = record["phase"] == EMBEDDING and model._objective().output != EMBEDDING
        if "metric" in record and not (judges_other_head and not model._objective().solves_prediction):
            curve.points.append((clock(), record["metric"]))
        return clock() > _end_of_phase(sizes.seconds, record["phase"], phases)

    _autoencoder.validation_metric = timed
    try:
        model.fit(train, validation=validation, callbacks=[note])
    finally:
        _autoencoder.validation_metric = validation_metric
    return curve


def by_torch(model: Any, train: Matrix, validation: Matrix, sizes: Sizes) -> Curve:
    """Train the dense network in PyTorch by the settings of the model, with the same stopping."""
    training = Training(model, train, validation)
    curve, clock, phases = Curve(), Clock(), training.phases
    network, losses = training.torch_network(), training.torch_losses()

    def metric(head: str) -> float:
        weights, bias = (part[head].detach().numpy() for part in (network.weights, network.biases))
        fitted = {
            "encoder_": network.encoder.detach().numpy(),
            "encoder_bias_": network.encoder_bias.detach().numpy(),
            "decoder_": np.hstack([weights, bias[:, None]]),
            "fitted_params_": model.get_params(),
        }
        return validation_metric(model, fitted, training.run)

    for phase in phases:
        judged = EMBEDDING if phase.name == EMBEDDING else model._objective().output
        trainer = training.torch_trainer(network, losses, phase)
        best = _train(
            trainer.epoch, lambda head=judged: metric(head), lambda: _copied(network), curve, clock, train,
            epochs=model.epochs, patience=model.patience, noted=judged == model._objective().output,
            limit=_end_of_phase(sizes.seconds, phase.name, len(phases)),
        )  # fmt: skip
        network.load_state_dict(best)
    return curve


def by_recbole(name: str, train: Matrix, validation: Matrix, sizes: Sizes, patience: int) -> Curve:
    """Train a model of RecBole by its defaults, judged after every epoch by this library's NDCG."""
    from benchmarks._recbole import RecBole  # noqa: PLC0415  only where RecBole is installed

    peer, curve, clock = RecBole(name, train), Curve(), Clock()
    _train(
        lambda _: peer.epoch(), lambda: peer.ndcg(validation), lambda: None, curve, clock, train,
        epochs=sizes.epochs, patience=patience, noted=True, limit=sizes.seconds,
    )  # fmt: skip
    return curve


def _train(
    epoch: Callable[[Any], Any],
    metric: Callable[[], float],
    state: Callable[[], Any],
    curve: Curve,
    clock: Clock,
    train: Matrix,
    *,
    epochs: int,
    patience: int,
    noted: bool,
    limit: float,
) -> Any:
    """Train until validation has not risen for some epochs; return the best state."""
    rng, users = np.random.default_rng(0), np.flatnonzero(np.diff(train.indptr))

    def judged() -> float:
        with clock.pause():
            value = metric()
        if noted:
            curve.points.append((clock(), value))
        return value

    best, stale, kept = judged(), 0, state()
    for _ in range(epochs):
        began = clock()
        epoch(rng.permutation(users))
        curve.epochs.append(clock() - began)
        value = judged()
        stale += 1
        if value > best:
            best, stale, kept = value, 0, state()
        if stale >= patience or clock() > limit:
            break
    return kept


def _end_of_phase(limit: float, phase: str, phases: int) -> float:
    """Return when a phase has to end: the first of two has half of the time."""
    return limit / 2 if phase == EMBEDDING and phases > 1 else limit


def _copied(network: Any) -> dict[str, Any]:
    return {name: value.clone() for name, value in network.state_dict().items()}
