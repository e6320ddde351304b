"""WRMF: weighted matrix factorisation by alternating least squares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from fastautorec._checks import check_real, warn_caller
from fastautorec._compute.blas import single_threaded_blas
from fastautorec._compute.csr import Csr
from fastautorec._compute.host import run_blocks
from fastautorec._compute.inputs import UserItems
from fastautorec._compute.protocol import Backend, FloatArray
from fastautorec._compute.top_lists import DotScorer
from fastautorec._extras import require
from fastautorec._training.run import FitRun
from fastautorec.baselines._implicit import ImplicitModel
from fastautorec.models._memory_plan import Plan

COLLAPSED = 1e-2  # ratio of the second singular value of the item vectors to the first
VANISHED = 1e-4  # the first singular value where the penalty has left nothing; else it is above 0.01
FOLD_IN_BYTES = 4 << 20  # bytes of the systems that a thread solves at once: as much as the outer caches hold


@dataclass(repr=False, eq=False)
class WRMF(ImplicitModel):
    r"""Weighted regularised matrix factorisation of one-class feedback (implicit ALS).

    .. math:: \min_{X, Y} \; \sum_{i,j} c_{ij} (r_{ij} - x_i \cdot y_j)^2
              + \lambda (\lVert X \rVert^2 + \lVert Y \rVert^2), \quad c_{ij} = 1 + \alpha w_{ij} r_{ij}

    w is 1, or the weight of an interaction where those given to ``fit`` or as histories have weights.
    Trained by the library ``implicit``, with three steps of conjugate gradients for each least-squares problem. Any
    history is folded in exactly: its vector is the solution x of the objective with Y fixed, so training users and new
    ones are treated alike and no user vectors are kept.

    Parameters
    ----------
    factors : int
        Length of the vectors.
    alpha : float
        α ≥ 0, what an interaction of weight 1 adds to the confidence 1 that all other pairs have.
    regularization : float
        λ > 0. Little data wants little of it: where all vectors come out in one direction, ``fit`` warns.
    epochs : int or sequence of one int
        At most so many times users and items in turn.
    patience : int
        With validation data, training ends when so many epochs in a row were not better than the best one, whose state
        is kept.
    metric : str
        What validation data decide by: a metric of ``evaluate``, such as "NDCG" (lists of 50), "Recall@20".
    random_state : int or numpy.random.Generator
        Seed of the initial vectors.
    device : {"auto", "cpu"}
        Where to compute.
    num_threads : int, optional
        Threads; by default all usable cores. The result is the same for any number.

    Attributes
    ----------
    item_factors_ : float32 (n, factors)
        Y.
    best_epochs_ : tuple of int
        The epoch whose state was kept.

    Notes
    -----
    ``implicit`` needs the extra ``pip install 'fastautorec[baselines]'``; loading and using a fitted model does not.

    References
    ----------
    Hu, Koren and Volinsky (2008), "Collaborative filtering for implicit feedback datasets".
    Takács, Pilászy and Tikk (2011), "Applications of the conjugate gradient method for implicit feedback collaborative
    filtering".

    Examples
    --------
    >>> import fastautorec as far
    >>> few = far.datasets.synthetic(300, 100, 3000, random_state=0)
    >>> ids, scores = far.baselines.WRMF(factors=8, regularization=1).fit(few).recommend(few[:2], N=3)
    >>> ids.shape
    (2, 3)
    """

    _arrays: ClassVar[dict[str, str]] = {"item_factors_": "float32 n k"}
    _takes_weights = True

    item_factors_: ClassVar[FloatArray]

    factors: int = 100
    alpha: float = 4.0
    regularization: float = 50.0
    epochs: int | Sequence[int] = 20
    patience: int = 3
    metric: str = "NDCG"
    random_state: int | np.random.Generator = 0
    device: str = "auto"
    num_threads: int | None = None

    def embed(self, user_items: UserItems) -> FloatArray:
        """Return the vectors of histories.

        Parameters
        ----------
        user_items : Interactions or scipy sparse (q, n)

        Returns
        -------
        float32 (q, factors)
            One row for each history.
        """
        model = self._as_fitted()
        history = model._check_history(model._in_order(user_items))
        vectors: FloatArray = model._scorer().prepare(model._backend(), history)
        return vectors

    def _check_params(self) -> None:
        super()._check_params()
        check_real("alpha", self.alpha, 0)

    def _library_model(self, epochs: int, seed: int, num_threads: int) -> Any:
        return require("implicit.cpu.als", "WRMF", "baselines").AlternatingLeastSquares(
            factors=self.factors, regularization=self.regularization, iterations=epochs, num_threads=num_threads,
            random_state=seed,
        )  # fmt: skip

    def _check_history(self, user_items: Any, name: str = "user_items") -> Csr:
        history = super()._check_history(user_items, name)
        of_rows = isinstance(user_items, Csr)
        weights = user_items.rebased().data if of_rows else getattr(user_items, "weights", None)
        return history if weights is None else history.rebased().with_data(weights)

    def _confidences(self, run: FitRun) -> Any:
        weights = run.known.data
        if weights is None:
            return run.train.to_scipy() * np.float32(1 + self.alpha)
        return run.train.with_data(1 + np.float32(self.alpha) * weights).to_scipy()

    def _fit(self, run: FitRun) -> dict[str, Any]:
        fitted = super()._fit(run)
        warn_of_one_direction(run.backend, fitted["item_factors_"], self.regularization)
        return fitted

    def _taken(self, library_model: Any, run: FitRun) -> dict[str, Any]:
        return {"item_factors_": library_model.item_factors.copy()}

    def _scorer(self) -> DotScorer:
        items, alpha, penalty = self.item_factors_.astype(np.float64), self.alpha, self.regularization
        system = self._backend().cross_product(items, items)
        system[np.diag_indices_from(system)] += penalty
        return DotScorer(lambda backend, history: fold_in(backend, history, items, system, alpha), self.item_factors_)

    def _item_vectors(self) -> FloatArray:
        return self.item_factors_

    def _plan(self, m: int, n: int, nnz: int) -> Plan:
        parts = {
            "row pointers": 8 * (m + 1),
            "confidences by user and by item": 2 * 8 * nnz + 8 * n,
            "vectors of users and items": 4 * (m + n) * self.factors,
            "items' vectors of the best epoch, and in double precision": 12 * n * self.factors,
        }
        return Plan("WRMF", (m, n), nnz, parts)


def warn_of_one_direction(backend: Backend, vectors: FloatArray, regularization: float) -> None:
    """Warn where all vectors have (nearly) one direction, as with too strong a penalty: all lists are then the same."""
    if len(vectors) < 2 or vectors.shape[1] < 2:
        return
    with single_threaded_blas:
        *_, second, first = np.linalg.eigvalsh(backend.cross_product(vectors, vectors))
    if second < COLLAPSED**2 * first or first < VANISHED**2:
        warn_caller(
            f"the item vectors of this WRMF have one direction at most, so that everybody gets the same list: "
            f"`regularization`={regularization:g} is too strong for so few interactions; use a smaller one, such as "
            f"{regularization / 50:g}"
        )


def fold_in(
    backend: Backend,
    history: Csr,
    items: npt.NDArray[np.float64],
    system: npt.NDArray[np.float64],
    alpha: float,
) -> FloatArray:
    """Return the vectors of users (q, k): x = (YᵀY + λI + α Σ wⱼyⱼyⱼᵀ)⁻¹ Σ (1 + αwⱼ) yⱼ, sums over a user's items.

    Users of similar history length are padded to the same one and solved together.

    Parameters
    ----------
    backend : Backend
    history : Csr (q, n)
        Its values are the weights w.
    items : float64 (n, k)
        Y.
    system : float64 (k, k)
        YᵀY + λI.
    alpha : float
    """
    lengths = history.row_lengths()
    by_length = np.argsort(-lengths, kind="stable")
    vectors = np.zeros((len(lengths), len(system)), np.float32)
    blocks = list(_blocks(lengths[by_length], len(system)))

    def solve(number: int, _: int) -> None:
        users = by_length[blocks[number]]
        rows = history.take_rows(users)
        filled = np.arange(lengths[users[0]]) < lengths[users][:, None]
        own = np.zeros((*filled.shape, len(system)))
        own[filled] = items[rows.indices]
        if rows.data is None:
            weighted = alpha * (own.transpose(0, 2, 1) @ own)
            target = (1 + alpha) * own.sum(axis=1)
        else:
            added = np.zeros(filled.shape)
            added[filled] = alpha * rows.data.astype(np.float64)
            weighted = own.transpose(0, 2, 1) @ (own * added[:, :, None])
            target = np.einsum("ul,ulk->uk", 1 + added, own)
        weighted += system
        vectors[users] = np.linalg.solve(weighted, target[:, :, None])[:, :, 0]

    run_blocks(solve, len(blocks), 1, backend.num_threads)
    return vectors


def _blocks(lengths: npt.NDArray[np.int64], k: int) -> Iterator[slice]:
    """Yield the users to be solved together; ``lengths`` fall, and users without a history keep the vector 0."""
    start, end = 0, int(np.count_nonzero(lengths))
    while start < end:
        stop = start + max(1, FOLD_IN_BYTES // (8 * k * int(lengths[start] + 2 * k)))
        yield slice(start, min(stop, end))
        start = stop
