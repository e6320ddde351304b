"""The two exact solutions that the closed-form models share: an SVD embedding, and a ridge head with chosen penalty."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np

from fastautorec._backends.protocol import Backend, FloatArray
from fastautorec._exact import PASSES, Encoder, accumulate_ridge, gram_factor, right_singular_vectors
from fastautorec._sparse import Csr
from fastautorec._validation import check_real
from fastautorec.evaluation import evaluate
from fastautorec.models._encoder import EncoderModel
from fastautorec.models._fitting import FitRun

TARGETS = ("nce", "power")
SELECTION_LENGTH = 50  # of the lists whose NDCG chooses among penalties


def check_penalties(value: object) -> list[float]:
    """Return ``regularization`` as a list of one or more numbers >= 0."""
    values = [value] if isinstance(value, Real) else value
    if isinstance(values, str) or not isinstance(values, (Sequence, np.ndarray)):
        raise TypeError(f"`regularization` must be a number or a sequence of numbers, got {type(value).__name__}")
    if len(values) == 0:
        raise ValueError("`regularization` must hold at least one value, got none")
    return [check_real("regularization", v, 0) for v in values]


def embedding_target(backend: Backend, train: Csr, target: str, beta: float, numerator: str, user_weight: float) -> Csr:
    """Return the matrix that the embedding fits, on the pattern of R, rows scaled by ‖r_i‖₁^(−user_weight)."""
    if target == "nce":
        weighted = backend.nce_transform(train, beta, numerator)
    else:
        own = train.rebased()
        scale = (np.maximum(backend.count_items(train), 1) ** -float(beta)).astype(np.float32)
        weighted = own.with_data(scale[own.indices])
    if user_weight and weighted.data is not None:
        lengths = weighted.row_lengths()
        of_user = (np.maximum(lengths, 1) ** -float(user_weight)).astype(np.float32)
        np.multiply(weighted.data, np.repeat(of_user, lengths), out=weighted.data)
    return weighted


def svd_encoder(
    run: FitRun,
    target: Csr,
    rank: int,
    factors: int,
    spectrum_power: float,
    rng: np.random.Generator,
    passes: int = PASSES,
    any_basis: bool = False,
) -> FloatArray:
    """Return W = V Σᵖ (n, rank) of the truncated SVD of the target.

    ``any_basis`` says that W Q will do for any rotation Q, as for linear units under a ridge penalty: then V Σ needs no
    eigenvectors.
    """
    if rank > min(target.shape):
        m, n = target.shape
        raise ValueError(
            f"`factors`={factors} needs {rank} singular vectors, but a matrix of {m} users and {n} items has at most "
            f"{min(m, n)}; use fewer factors"
        )
    if any_basis and spectrum_power == 1:
        return gram_factor(run.backend, target, rank, rng, run.step)
    vectors, singular = right_singular_vectors(run.backend, target, rank, rng, run.step, passes)
    largest = singular[0] if singular[0] > 0 else 1.0
    relative = np.maximum(singular / largest, np.finfo(np.float32).tiny)
    vectors *= np.where(singular > 0, relative**spectrum_power, 0).astype(np.float32)
    return vectors


class RidgeHeads:
    """Prediction heads of one encoder for several penalties, all from one pass over the data."""

    def __init__(
        self,
        run: FitRun,
        encoder: Encoder,
        dropout: float = 0.0,
        seed: int = 0,
        intercept_penalty: float = 0.0,
        popularity_discount: float = 0.0,
    ) -> None:
        self._run, self._encoder, self._intercept_penalty = run, encoder, intercept_penalty
        self._accumulators = accumulate_ridge(run.backend, run.train, encoder, dropout, seed, run.step)
        self._discount: FloatArray | None = None
        if popularity_discount:
            popularity = np.maximum(run.backend.count_items(run.train), 1).astype(np.float64)
            self._discount = (popularity**-popularity_discount).astype(np.float32)[:, None]

    def fit(self, model: EncoderModel, penalties: list[float]) -> dict[str, Any]:
        """Return the fitted attributes for the penalty with the best validation NDCG, or for the only one."""
        if len(penalties) > 1 and self._run.validation is None:
            raise ValueError(
                f"`regularization` holds {len(penalties)} values to choose from, which needs held-out interactions; "
                "pass fit(user_items, validation=...) or a single value"
            )
        best: dict[str, Any] = {}
        best_metric = -np.inf
        for penalty in penalties:
            fitted = self._solve(penalty)
            metric = self._validate(model, fitted)
            self._run.record("prediction", regularization=penalty, **({} if metric is None else {"metric": metric}))
            if not best or (metric is not None and metric > best_metric):
                best, best_metric = fitted, -np.inf if metric is None else metric
        return best

    def _solve(self, penalty: float) -> dict[str, Any]:
        decoder = self._accumulators.solve(penalty, self._intercept_penalty, self._run.backend.num_threads)
        if self._discount is not None:
            decoder *= self._discount
        return {
            "encoder_": self._encoder.weight,
            "encoder_bias_": self._encoder.bias,
            "decoder_": decoder,
            "regularization_": penalty,
        }

    def _validate(self, model: EncoderModel, fitted: dict[str, Any]) -> float | None:
        if self._run.validation is None:
            return None
        n = self._run.train.n_cols
        candidate = copy.copy(model)
        candidate.__dict__.update(fitted, n_items_=n)
        cutoff = min(SELECTION_LENGTH, n)
        train, held_out = self._run.train.to_scipy(), self._run.validation.to_scipy()
        return float(evaluate(candidate, train, held_out, k=(cutoff,))["NDCG"].mean)
