"""Closed-form baselines without a trained hidden layer: Popularity, PureSVD, NCE-PLRec."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from fastautorec._checks import (
    Default,
    adapted,
    check_bool,
    check_choice,
    check_int,
    check_penalties,
    check_random_state,
    check_real,
)
from fastautorec._compute.csr import Csr
from fastautorec._compute.inputs import UserItems
from fastautorec._compute.popularity import constant_scorer
from fastautorec._compute.protocol import NUMERATORS, Backend, FloatArray
from fastautorec._compute.top_lists import DotScorer
from fastautorec._training.closed_form import INTERACTIONS, Encoder, RidgeHead, accumulate_ridge, svd_encoder
from fastautorec._training.losses import SquaredError, item_weights
from fastautorec._training.run import FitRun, validation_metric
from fastautorec._training.updates import RIDGE_SUMS, ridge_sums, updated_ridge
from fastautorec.models._contributions import EncoderParts
from fastautorec.models._layers import Layers
from fastautorec.models._memory_plan import Plan, device_parts, plan_of_exact
from fastautorec.models._recommender import Recommender

PURE_SVD_FACTORS, NCE_PLREC_FACTORS = Default(20), Default(100)
PURE_SVD_PASSES = 8  # the vectors are the whole model, and there are few: more passes let them converge


@dataclass(repr=False, eq=False)
class Popularity(Recommender):
    """Recommends to everyone the items that most users have: the baseline that a model must beat.

    It has no similarities: `similar_items` lists the item itself only.

    Attributes
    ----------
    popularity_ : float32 (n, 1)
        Users of each item.

    Examples
    --------
    >>> import fastautorec as far
    >>> model = far.Popularity().fit(far.datasets.load_example())
    """

    _from_sums: ClassVar[bool] = True
    _arrays: ClassVar[dict[str, str]] = {"popularity_": "float32 n 1"}
    _unexplained: ClassVar[str] = "everybody gets the same scores, whatever the history"
    _users_alike: ClassVar[str] = "to it all users are the same"

    popularity_: ClassVar[FloatArray]

    device: str = "auto"
    num_threads: int | None = None

    def _fit(self, run: FitRun) -> dict[str, Any]:
        run.step("counting")
        fitted = _popularity(run.backend, run.item_counts)
        run.record("prediction")
        return fitted

    def _require_sums(self, wish: str) -> None:
        """Need none: the counts are the model."""

    def _updated(self, run: FitRun, sign: int) -> dict[str, Any]:
        assert self.item_counts_ is not None
        return _popularity(run.backend, self.item_counts_ + sign * run.item_counts)

    def _scorer(self) -> DotScorer:
        return constant_scorer(self.popularity_)

    def _layers(self) -> Layers:
        nothing = Encoder(self._item_vectors()[:, :0], None, "identity", normalize=None, intercept="constant")
        return Layers(nothing, self.popularity_.T)

    def _item_vectors(self) -> FloatArray:
        nothing: FloatArray = self.popularity_ * np.float32(0)
        return nothing

    def _plan(self, m: int, n: int, nnz: int) -> Plan:
        parts = {"row pointers": 8 * (m + 1), "counts": 12 * n}
        return Plan("Popularity", (m, n), nnz, parts, device_parts=device_parts(m, n, nnz))


def _popularity(backend: Backend, counts: npt.NDArray[np.int64]) -> dict[str, Any]:
    return {"popularity_": backend.to_device(counts.astype(np.float32)[:, None])}


class LinearModel(Recommender):
    """Base of the linear models with an encoder, of which the AutoRec family is a generalisation.

    Attributes
    ----------
    encoder_ : float32 (n, k)
        Encoder W, one row for each item.
    decoder_ : float32 (n, k)
        Prediction head D.
    """

    _arrays: ClassVar[dict[str, str]] = {
        "encoder_": "float32 n k",
        "encoder_bias_": "float32 k or None",
        "decoder_": "float32 n k",
    }

    factors: int | Sequence[int]
    encoder_: FloatArray
    encoder_bias_: None
    decoder_: FloatArray

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
        return model._units(linear_encoder(model.encoder_), user_items)

    def _ranks(self, may_choose: bool = True) -> list[int]:
        """Return ``factors`` as ascending numbers, each once; more than one need something to choose by."""
        values = self.factors if isinstance(self.factors, (list, tuple, np.ndarray)) else [self.factors]
        if len(values) == 0:
            raise ValueError("`factors` must hold at least one value, got none")
        ranks = sorted({check_int("factors", value, 1) for value in values})
        if len(ranks) > 1 and not may_choose:
            raise ValueError(
                f"`factors` holds {len(ranks)} values to choose from, which needs held-out interactions; pass "
                "fit(user_items, validation=...) or a single value"
            )
        return ranks

    def _best_rank(self, run: FitRun, fitted_with: Callable[[int], dict[str, Any]]) -> dict[str, Any]:
        """Return the fitted attributes with the first ranks that validation data find best, or the only one."""
        ranks = self._ranks(run.validation is not None)
        if len(ranks) == 1:
            return fitted_with(ranks[0])
        best: dict[str, Any] = {}
        most = -np.inf
        for rank in ranks:
            fitted = fitted_with(rank)
            value = validation_metric(self, fitted, run)
            run.record("rank", factors=rank, metric=value)
            if value > most:
                best, most = fitted, value
        return best

    def _check_params(self) -> None:
        self._ranks()

    def _adapt_to(self, n_vectors: int) -> None:
        if isinstance(self.factors, int):
            self.factors = adapted(self.factors, n_vectors)

    def _scorer(self) -> DotScorer:
        return linear_encoder(self.encoder_).scorer(self.decoder_)

    def _layers(self) -> Layers:
        return Layers(linear_encoder(self.encoder_), self.decoder_.T)

    def _contributions(self) -> EncoderParts:
        return EncoderParts(linear_encoder(self.encoder_), self.decoder_)

    def _item_vectors(self) -> FloatArray:
        return self.encoder_

    def _user_vectors(self, backend: Backend, history: Csr) -> FloatArray:
        return linear_encoder(self.encoder_).units(backend, history)

    def _plan(self, m: int, n: int, nnz: int) -> Plan:
        return plan_of_exact(type(self).__name__, self._ranks()[-1], self.num_threads, m, n, nnz)


def first_columns(weight: FloatArray, rank: int) -> FloatArray:
    """Return W (n, rank) of W (n, k), which is the same array where that is all."""
    return weight if rank == weight.shape[1] else weight[:, :rank].copy()


def first_units(ridge: RidgeHead, rank: int) -> RidgeHead:
    """Return the ridge head of the first hidden units, which has a part of the sums."""
    if rank == len(ridge.noise):
        return ridge
    own = slice(rank)
    return RidgeHead(ridge.gram[own, own], first_columns(ridge.cross, rank), ridge.noise[own, own], ridge.mean_degree)


def linear_encoder(weight: FloatArray) -> Encoder:
    """Return the encoder H = X W."""
    return Encoder(weight, None, "identity", normalize=None, intercept=None)


@dataclass(repr=False, eq=False)
class PureSVD(LinearModel):
    """Truncated SVD of the interactions: scores are x V Vᵀ, the projection of a history on the leading directions.

    Parameters
    ----------
    factors : int or sequence of int
        Singular vectors; by default 20, or as many as the data have. Among several numbers, which share one SVD,
        validation data choose.
    random_state, device, num_threads
        As in `NCEAutoRec`.

    References
    ----------
    Cremonesi, Koren and Turrin (2010), "Performance of recommender algorithms on top-N recommendation tasks".

    Examples
    --------
    >>> import fastautorec as far
    >>> model = far.PureSVD().fit(far.datasets.load_example())
    """

    _from_sums: ClassVar[bool] = True
    _not_updated: ClassVar[str] = "its singular vectors are those of all users together"

    factors: int | Sequence[int] = PURE_SVD_FACTORS
    random_state: int | np.random.Generator = 0
    device: str = "auto"
    num_threads: int | None = None

    def _fit(self, run: FitRun) -> dict[str, Any]:
        most = self._ranks(run.validation is not None)[-1]
        vectors = svd_encoder(
            run, INTERACTIONS, most, most, 0.0, check_random_state(self.random_state), PURE_SVD_PASSES
        )
        run.record("embedding")

        def first(rank: int) -> dict[str, Any]:
            own = first_columns(vectors, rank)
            return {"encoder_": own, "encoder_bias_": None, "decoder_": own}

        return self._best_rank(run, first)


@dataclass(repr=False, eq=False)
class NCEPLRec(LinearModel):
    """Projected linear recommendation with the NCE embedding, the linear ancestor of NCE-AutoRec.

    W = V Σ^½ from the truncated SVD of R* (Eq. 16), then ridge regression of R on R W.

    Parameters
    ----------
    factors : int or sequence of int
        Rank; by default 100, or as many singular vectors as the data have. Among several ranks, which share one SVD and
        one pass over the data, validation data choose.
    beta : float
        Popularity sensitivity of Eq. 16.
    numerator : {"users", "interactions"}
        P of Eq. 16.
    regularization : float or sequence of float
        As in `NCEAutoRec`, relative to the data.
    random_state, device, num_threads, updatable
        As in `NCEAutoRec`.

    References
    ----------
    Wu, Volkovs, Soon, Sanner and Rai (2019), "Noise contrastive estimation for one-class collaborative filtering".

    Examples
    --------
    >>> import fastautorec as far
    >>> model = far.NCEPLRec(factors=50).fit(far.datasets.load_example())
    """

    factors: int | Sequence[int] = NCE_PLREC_FACTORS
    beta: float = 1.1
    numerator: str = "users"
    regularization: float | Sequence[float] = 0.1
    random_state: int | np.random.Generator = 0
    device: str = "auto"
    num_threads: int | None = None
    updatable: bool = False

    _from_sums: ClassVar[bool] = True
    _sums: ClassVar[dict[str, str]] = RIDGE_SUMS

    regularization_: ClassVar[float]

    def _check_params(self) -> None:
        super()._check_params()
        check_real("beta", self.beta)
        check_choice("numerator", self.numerator, NUMERATORS)
        check_penalties(self.regularization)
        check_bool("updatable", self.updatable)

    def _fit(self, run: FitRun) -> dict[str, Any]:
        rng = check_random_state(self.random_state)
        weights = item_weights(run.item_counts, run.train.shape[0], beta=self.beta, numerator=self.numerator)
        target = SquaredError(weights).on(run.backend)
        penalties = check_penalties(self.regularization, run.validation is not None)
        most = self._ranks(run.validation is not None)[-1]
        weight = svd_encoder(run, target, most, most, 0.5, rng)
        run.record("embedding")
        sums = accumulate_ridge(run, linear_encoder(weight), 0.0, 0)

        def first(rank: int) -> dict[str, Any]:
            fitted: dict[str, Any] = {"encoder_": first_columns(weight, rank), "encoder_bias_": None}
            ridge = first_units(sums, rank)
            penalty, decoder = run.choose(
                "prediction",
                penalties,
                partial(ridge.solve, run.backend, intercept_penalty=0.0),
                lambda decoder: validation_metric(self, fitted | {"decoder_": decoder}, run),
            )
            kept = ridge_sums(ridge, run.train, 0, run.backend) if self.updatable else None
            return fitted | {"decoder_": decoder, "regularization_": penalty, "sums_": kept}

        return self._best_rank(run, first)

    def _updated(self, run: FitRun, sign: int) -> dict[str, Any]:
        assert self.sums_ is not None
        assert self.item_counts_ is not None
        counts = self.item_counts_ + sign * run.item_counts
        sums, ridge = updated_ridge(self.sums_, run, linear_encoder(self.encoder_), 0.0, sign, counts)
        decoder = ridge.solve(run.backend, self.regularization_, 0.0)
        somebody = run.backend.to_device((counts > 0).astype(np.float32)[:, None])
        return {"encoder_": self.encoder_ * somebody, "decoder_": decoder, "sums_": sums}

    def _plan(self, m: int, n: int, nnz: int) -> Plan:
        return super()._plan(m, n, nnz).with_sums(self._ranks()[-1] if self.updatable else 0)
