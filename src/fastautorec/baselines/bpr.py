"""BPR: matrix factorisation from pairs of an item that a user has and an item that the user does not have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from fastautorec._checks import check_real
from fastautorec._compute.csr import Csr
from fastautorec._compute.host import matmul
from fastautorec._compute.protocol import Backend, FloatArray
from fastautorec._compute.top_lists import DotScorer
from fastautorec._extras import require
from fastautorec._training.run import FitRun
from fastautorec.baselines._implicit import ImplicitModel
from fastautorec.models._memory_plan import Plan

FOLD_IN_PENALTY = 1e-3  # penalty relative to the mean square of the inputs


@dataclass(repr=False, eq=False)
class BPR(ImplicitModel):
    r"""Bayesian personalised ranking of one-class feedback, by stochastic gradient descent.

    .. math:: \max \; \sum_{(i, j, l)} \log \sigma(x_i \cdot (y_j - y_l) + b_j - b_l)
              - \frac{\lambda}{2} (\lVert x_i \rVert^2 + \lVert y_j \rVert^2 + \lVert y_l \rVert^2 + b_j^2 + b_l^2)

    over interactions (i, j) and items l that user i does not have. Trained by the library ``implicit``, which draws l
    in proportion to its popularity. The best scores are then log p(j|i) − log pop_j, up to a constant; with items drawn
    uniformly, as published, they are log p(j|i). So γ log pop_j is added to the biases, by default with γ = 1.

    The model has a vector for each training user, and none for others. A history that equals that of a training user
    gets the vector of that user (of the first, if several have it), in whatever row it stands. Any other history gets
    an estimate: the linear map of the mean of its items' vectors that fits the vectors of the training users best.

    Parameters
    ----------
    factors : int
        Length of the vectors.
    learning_rate : float
    regularization : float
        λ > 0.
    popularity : float
        γ: 1 stands for uniformly drawn items l, 0 leaves the scores as they were trained.
    epochs : int or sequence of one int
        At most so many passes; each draws as many pairs as there are interactions.
    patience, metric
        As in `WRMF`.
    random_state : int or numpy.random.Generator
        Seed of initial vectors and of the pairs.
    device : {"auto", "cpu"}
        As in `WRMF`.
    num_threads : int, optional
        Threads of everything but the training itself, which has only one, so that the result is always the same.

    Attributes
    ----------
    user_factors_ : float32 (m, factors)
        Vectors x of the training users.
    item_factors_ : float32 (n, factors + 1)
        Vectors y of the items; their biases b with γ log pop in the last column.
    fold_in_ : float32 (factors, factors)
        The map from mean item vectors to users' vectors.
    history_keys_, history_users_ : uint64, int64
        Fingerprints of the training users' histories, ascending, and their rows.
    best_epochs_ : tuple of int
        The epoch whose state was kept.

    Notes
    -----
    ``implicit`` needs the extra ``pip install 'fastautorec[baselines]'``; loading and using a fitted model does not.

    References
    ----------
    Rendle, Freudenthaler, Gantner and Schmidt-Thieme (2009), "BPR: Bayesian personalized ranking from implicit
    feedback".

    Examples
    --------
    >>> import fastautorec as far
    >>> few = far.datasets.synthetic(300, 100, 3000, random_state=0)
    >>> ids, scores = far.baselines.BPR(factors=8, epochs=10).fit(few).recommend(few[:2], N=3)
    >>> ids.shape
    (2, 3)
    """

    _arrays: ClassVar[dict[str, str]] = {
        "user_factors_": "float32 m k",
        "item_factors_": "float32 n k+",
        "fold_in_": "float32 k k",
        "history_keys_": "uint64 h",
        "history_users_": "int64 h",
    }

    user_factors_: ClassVar[FloatArray]
    item_factors_: ClassVar[FloatArray]
    fold_in_: ClassVar[FloatArray]
    history_keys_: ClassVar[npt.NDArray[np.uint64]]
    history_users_: ClassVar[npt.NDArray[np.int64]]

    factors: int = 100
    learning_rate: float = 0.05
    regularization: float = 0.02
    popularity: float = 1.0
    epochs: int | Sequence[int] = 100
    patience: int = 10
    metric: str = "NDCG"
    random_state: int | np.random.Generator = 0
    device: str = "auto"
    num_threads: int | None = None

    def _check_params(self) -> None:
        super()._check_params()
        check_real("learning_rate", self.learning_rate, 0, above=True)
        check_real("popularity", self.popularity)

    def _library_model(self, epochs: int, seed: int, num_threads: int) -> Any:
        return require("implicit.cpu.bpr", "BPR", "baselines").BayesianPersonalizedRanking(
            factors=self.factors, learning_rate=self.learning_rate, regularization=self.regularization,
            iterations=epochs, num_threads=1, random_state=seed,
        )  # fmt: skip

    def _confidences(self, run: FitRun) -> Any:
        matrix = super()._confidences(run)
        if not matrix.indices.flags.writeable:  # such as for data on disk: the library wants writable memory
            matrix.indices = matrix.indices.copy()
        return matrix

    def _taken(self, library_model: Any, run: FitRun) -> dict[str, Any]:
        users, items = library_model.user_factors[:, :-1].copy(), library_model.item_factors.copy()
        items[:, -1] += self.popularity * np.log(np.maximum(run.backend.count_items(run.train), 1))
        keys, rows = np.unique(history_keys(run.train), return_index=True)
        return {
            "user_factors_": users,
            "item_factors_": items,
            "fold_in_": _linear_map(run.backend, _mean_vectors(run.backend, run.train, items), users),
            "history_keys_": keys,
            "history_users_": rows,
        }

    _unexplained: ClassVar[str] = (
        "the vector of a training user was learned with the user and is no function of the items; without one of them "
        "the history would get an estimate, another kind of vector"
    )

    def _scorer(self) -> DotScorer:
        return DotScorer(self._hidden, self.item_factors_)

    def _hidden(self, backend: Backend, history: Csr) -> FloatArray:
        """Return the vectors of histories with a last column of ones for the biases, float32 (q, factors + 1)."""
        vectors = np.ones((history.shape[0], self.item_factors_.shape[1]), np.float32)
        keys = history_keys(history)
        places = np.searchsorted(self.history_keys_, keys).clip(max=len(self.history_keys_) - 1)
        known = (self.history_keys_[places] == keys) & (history.row_lengths() > 0)
        vectors[known, :-1] = self.user_factors_[self.history_users_[places[known]]]
        others = np.flatnonzero(~known)
        if len(others):
            means = _mean_vectors(backend, history.take_rows(others), self.item_factors_)
            vectors[others, :-1] = matmul(means, self.fold_in_, np.empty_like(means), backend.num_threads)
        return vectors

    def _user_vectors(self, backend: Backend, history: Csr) -> FloatArray:
        return self._hidden(backend, history)[:, :-1]

    def _item_vectors(self) -> FloatArray:
        return np.ascontiguousarray(self.item_factors_[:, :-1])

    def _plan(self, m: int, n: int, nnz: int) -> Plan:
        parts = {
            "row pointers": 8 * (m + 1),
            "the user of each interaction, values and item fingerprints": 16 * nnz,
            "vectors of users and items, and of the best epoch": 2 * 4 * (m + n) * (self.factors + 1),
            "mean item vectors": 4 * m * self.factors,
            "fingerprints of histories": 32 * m,
        }
        return Plan("BPR", (m, n), nnz, parts)


def history_keys(history: Csr) -> npt.NDArray[np.uint64]:
    """Return a fingerprint of the set of items in each row, uint64 (q,): the sum of the items' hashes, modulo 2⁶⁴."""
    own = history.rebased()
    sums = np.zeros(own.nnz + 1, np.uint64)
    np.cumsum(_split_mix(own.indices.astype(np.uint64)), out=sums[1:])
    return sums[own.indptr[1:]] - sums[own.indptr[:-1]]


def _split_mix(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return SplitMix64 of the numbers (Steele, Lea and Flood 2014); model files hold it, so it must never change."""
    z = (numbers + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: npt.NDArray[np.uint64] = z ^ (z >> np.uint64(31))
    return mixed


def _mean_vectors(backend: Backend, history: Csr, item_factors: FloatArray) -> FloatArray:
    """Return the mean item vector of each row, biases left out, float32 (q, k)."""
    sums = backend.encode(history, np.ascontiguousarray(item_factors[:, :-1]))
    sums /= np.maximum(history.row_lengths(), 1)[:, None].astype(np.float32)
    return sums


def _linear_map(backend: Backend, inputs: FloatArray, targets: FloatArray) -> FloatArray:
    """Return the ridge regression of targets on inputs, float32 (k, l)."""
    system = backend.cross_product(inputs, inputs)
    system[np.diag_indices_from(system)] += FOLD_IN_PENALTY * np.trace(system) / len(system) + np.finfo(np.float32).tiny
    solution: FloatArray = np.linalg.solve(system, backend.cross_product(inputs, targets)).astype(np.float32)
    return solution
