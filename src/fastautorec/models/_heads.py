"""The two exact solutions that models share: an SVD embedding, and a ridge head whose penalty is chosen."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

import numpy as np

from fastautorec._checks import check_real
from fastautorec._compute.csr import Csr, singular_vectors
from fastautorec._compute.protocol import Backend, FloatArray
from fastautorec._training.closed_form import (
    INTERACTIONS,
    PASSES,
    Encoder,
    accumulate_ridge,
    gram_factor,
    right_singular_vectors,
)
from fastautorec._training.losses import SquaredError
from fastautorec._training.run import FitRun
from fastautorec.evaluation import evaluate
from fastautorec.models._base import Recommender

SCALE_USERS = 512
METRICS = ("NDCG", "MAP", "Precision", "Recall", "F1")
SELECTION_LENGTH = 50  # of the lists whose NDCG or R-Precision chooses


def check_penalties(value: object, may_choose: bool = True) -> list[float]:
    """Return ``regularization`` as a list of one or more numbers >= 0; more need something to choose by."""
    values = [value] if isinstance(value, Real) else value
    if isinstance(values, str) or not isinstance(values, (Sequence, np.ndarray)):
        raise TypeError(f"`regularization` must be a number or a sequence of numbers, got {type(value).__name__}")
    if len(values) == 0:
        raise ValueError("`regularization` must hold at least one value, got none")
    if len(values) > 1 and not may_choose:
        raise ValueError(
            f"`regularization` holds {len(values)} values to choose from, which needs held-out interactions; "
            "pass fit(user_items, validation=...) or a single value"
        )
    return [check_real("regularization", v, 0) for v in values]


def svd_encoder(
    run: FitRun,
    target: SquaredError,
    rank: int,
    factors: int,
    spectrum_power: float,
    rng: np.random.Generator,
    passes: int = PASSES,
    any_basis: bool = False,
) -> FloatArray:
    """Return W = V Σᵖ (n, rank) of the truncated SVD of the target, up to its scale.

    ``any_basis`` says that W Q will do for any rotation Q, as for linear units under a ridge penalty: then V Σ needs no
    eigenvectors.
    """
    most = singular_vectors(run.train)
    if rank > most:
        users, n = np.count_nonzero(run.train.row_lengths()), run.train.n_cols
        raise ValueError(
            f"`factors`={factors} needs {rank} singular vectors, but a matrix of {users} users with interactions and "
            f"{n} items has at most {most}; use fewer factors, or leave `factors` out to have them chosen"
        )
    target = target.relative()
    if any_basis and spectrum_power == 1:
        return gram_factor(run.backend, run.train, target, rank, rng, run.step)
    vectors, singular = right_singular_vectors(run.backend, run.train, target, rank, rng, run.step, passes)
    largest = singular[0] if singular[0] > 0 else 1.0
    relative = np.maximum(singular / largest, np.finfo(np.float32).tiny)
    vectors *= run.backend.to_device(np.where(singular > 0, relative**spectrum_power, 0).astype(np.float32))
    return vectors


def typical_size(backend: Backend, encoder: Encoder, train: Csr) -> float:
    """Return the root mean square of XW over evenly spaced users, which act() should see as about 1."""
    users = np.arange(0, train.shape[0], -(-train.shape[0] // SCALE_USERS))
    sample = train.take_rows(users).rows(0, len(users))  # which brings them to a device, wherever the others are
    linear = backend.encode(encoder.inputs(sample), encoder.weight)
    size = math.sqrt(backend.sum_of_squares(linear) / linear.size)
    return size if size > 0 else 1.0


class RidgeHead:
    """The exact solution of a squared-error head on a fixed encoder, for several penalties from one pass."""

    def __init__(
        self,
        run: FitRun,
        encoder: Encoder,
        dropout: float = 0.0,
        seed: int = 0,
        intercept_penalty: float = 0.0,
        target: SquaredError = INTERACTIONS,
    ) -> None:
        self._run, self._intercept_penalty = run, intercept_penalty
        self._accumulators = accumulate_ridge(run.backend, run.train, encoder, dropout, seed, run.step, target)

    def solve(self, regularization: float) -> FloatArray:
        """Return D₁ (n, width)."""
        return self._accumulators.solve(self._run.backend, regularization, self._intercept_penalty)

    def penalties(self, regularization: float) -> tuple[float, float]:
        """Return λ of the weights and λ₀ of the intercept."""
        return self._accumulators.penalties(regularization, self._intercept_penalty)

    def choose(
        self,
        penalties: list[float],
        metric: Callable[[FloatArray], float],
        report: Callable[[float, float | None], object] = lambda penalty, metric: None,
    ) -> tuple[float, FloatArray]:
        """Return the penalty of best validation metric, or the only one, with its solution."""
        if self._run.validation is None:
            report(penalties[0], None)
            return penalties[0], self.solve(penalties[0])
        best: tuple[float, FloatArray, float] | None = None
        for penalty in penalties:
            solution = self.solve(penalty)
            value = metric(solution)
            report(penalty, value)
            if best is None or value > best[2]:
                best = penalty, solution, value
        assert best is not None
        return best[:2]


def validation_metric(model: Recommender, fitted: dict[str, Any], run: FitRun, metric: str = "NDCG") -> float:
    """Return a metric ("standard" definition) that a model with these attributes has on the validation data."""
    assert run.validation is not None
    candidate = copy.copy(model)
    candidate.__dict__.update(fitted, n_items_=run.train.n_cols, item_ids_=None)
    return held_out_metric(candidate, run.known.to_host(), run.validation, metric)


def held_out_metric(model: Recommender, train: Any, held_out: Any, metric: str) -> float:
    """Return a metric ("standard" definition) of a fitted model; lists of 50 where its name has no length."""
    family, at, cutoff = metric.partition("@")
    length = min(int(cutoff) if cutoff else SELECTION_LENGTH, model.n_items_)
    report = evaluate(model, train, held_out, k=(length,))
    return float(report[f"{family}@{length}" if at else metric].mean)


def check_metric(metric: object) -> None:
    """Raise unless ``metric`` is the name of a metric of the evaluation module."""
    if not isinstance(metric, str):
        raise TypeError(f"`metric` must be the name of a metric, got {type(metric).__name__}")
    family, at, cutoff = metric.partition("@")
    good = metric in ("NDCG", "R-Precision") if not at else (family in METRICS and cutoff.isdigit() and int(cutoff) > 0)
    if not good:
        raise ValueError(
            f"`metric` must be 'NDCG', 'R-Precision' or one of {', '.join(METRICS)} with a list length, such as "
            f"'Recall@20', got {metric!r}"
        )
