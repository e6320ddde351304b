"""Neighbourhoods of items: RP3beta and ItemKNN, whose scores add up the similarities of few items."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy import sparse

from fastautorec._checks import check_choice, check_int, check_real
from fastautorec._compute.csr import Csr
from fastautorec._compute.host import run_blocks
from fastautorec._compute.protocol import Backend, FloatArray, IdArray
from fastautorec._training.run import FitRun
from fastautorec.models._contributions import Parts, padded
from fastautorec.models._layers import Layers
from fastautorec.models._memory_plan import Plan, device_parts
from fastautorec.models._recommender import Recommender

SIMILARITIES = ("cosine", "tfidf", "bm25")
BLOCK_ITEMS = 128  # whose similarities to all items exist at a time, in each thread

Values = npt.NDArray[np.float64]


class NeighbourModel(Recommender):
    """Base of the neighbourhoods: scores x S, S_ij = a_i Σ_u d_u r_ui r_uj b_j, the K largest of each row alone.

    They compute on the host, whatever the device. `similar_items` compares rows of S, all n² of them at once.

    Attributes
    ----------
    neighbours_ : int32 (n, k)
        Item j of row i: the items that item i speaks for, the most similar first; -1 where there are fewer.
    similarities_ : float32 (n, k)
        S_ij of these; 0 where there are fewer.
    """

    _arrays: ClassVar[dict[str, str]] = {"neighbours_": "int32 n k", "similarities_": "float32 n k"}

    K: int
    neighbours_: IdArray
    similarities_: FloatArray

    @abstractmethod
    def _weights(self, matrix: sparse.csr_matrix, popularity: Values) -> tuple[Values, Values, Values]:
        """Return d (m,), a (n,) and b (n,); those of empty rows and columns do not count."""

    def _check_params(self) -> None:
        check_int("K", self.K, 1)

    def _fit(self, run: FitRun) -> dict[str, Any]:
        matrix, host, n = run.known.to_scipy(), run.backend.host, run.train.n_cols
        run.step("similarities")
        popularity = run.item_counts.astype(np.float64)
        with np.errstate(divide="ignore"):  # where a row or column is empty
            users, left, right = self._weights(matrix, popularity)
        left, right = (np.where(popularity > 0, scale, 0) for scale in (left, right))
        weighted, transposed = matrix.astype(np.float64), matrix.T.tocsr().astype(np.float64)
        weighted.data *= np.repeat(users, np.diff(matrix.indptr))
        k = min(self.K, max(n - 1, 1))
        neighbours, similarities = np.empty((n, k), np.int32), np.empty((n, k), np.float32)
        alone = host.with_threads(1)

        def select(start: int, stop: int) -> None:
            product = (transposed[start:stop] @ weighted).toarray()
            product *= right
            product *= left[start:stop, None]
            scores = product.astype(np.float32)
            scores[scores <= 0] = -np.inf
            itself = Csr(np.arange(stop - start + 1), np.arange(start, stop, dtype=np.int32), None, n)
            ids, values = alone.top_items(scores, k, itself)
            neighbours[start:stop], similarities[start:stop] = ids, np.where(ids < 0, 0, values)

        run_blocks(select, n, BLOCK_ITEMS, host.num_threads)
        run.record("prediction")
        to_device = run.backend.to_device
        return {"neighbours_": to_device(neighbours), "similarities_": to_device(similarities)}

    def _matrix(self) -> sparse.csr_matrix:
        """Return S (n, n), on the host."""
        backend = self._backend()
        neighbours, similarities = backend.to_host(self.neighbours_), backend.to_host(self.similarities_)
        found = neighbours >= 0
        indptr = np.concatenate(([0], np.cumsum(found.sum(axis=1))))
        matrix = sparse.csr_matrix((similarities[found], neighbours[found], indptr), shape=(len(found), len(found)))
        matrix.sort_indices()
        return matrix

    def _scorer(self) -> _SparseScorer:
        return _SparseScorer(self._matrix(), self._backend().to_host)

    def _layers(self) -> Layers:
        return Layers(None, self._item_vectors(), chains=1)

    def _contributions(self) -> _SparseParts:
        return _SparseParts(self._matrix())

    def _item_vectors(self) -> FloatArray:
        return self._backend().to_device(self._matrix().toarray())

    def _plan(self, m: int, n: int, nnz: int) -> Plan:
        from_items = min(self.K, max(n - 1, 1))
        parts = {
            "row pointers": 8 * (m + 1),
            "interactions as float64, two ways": 2 * 16 * nnz,
            "similarities of a block of items": self._threads() * BLOCK_ITEMS * n * 40,
            "neighbours": 2 * 8 * n * from_items,
        }
        return Plan(type(self).__name__, (m, n), nnz, parts, device_parts=device_parts(m, n, nnz))

    def _threads(self) -> int:
        return self._fit_backend().host.num_threads


@dataclass(repr=False, eq=False)
class RP3beta(NeighbourModel):
    """Three random steps from a user, to an item, its users and their items, with popular ends held back.

    S_ij = pop_i^−α Σ_u ‖r_u‖₁^−α r_ui r_uj pop_j^−β, of which the K largest of each item i count.

    Parameters
    ----------
    K : int
        Neighbours of each item, at most.
    alpha : float
        α in [0, 2], power of the probabilities of a step.
    beta : float
        β in [0, 2], how much popular items are held back.
    device, num_threads
        As in `NCEAutoRec`; the arithmetic is done on the host.

    References
    ----------
    Christoffel, Paudel, Newell and Bernstein (2015), "Blockbusters and wallflowers: accurate, diverse, and scalable
    recommendations with random walks"; Paudel, Christoffel, Newell and Bernstein (2017), "Updatable, accurate, diverse,
    and scalable recommendations for interactive applications".

    Examples
    --------
    >>> import fastautorec as far
    >>> model = far.RP3beta(beta=0.4).fit(far.datasets.load_example())
    """

    K: int = 100
    alpha: float = 1.0
    beta: float = 0.6
    device: str = "auto"
    num_threads: int | None = None

    def _check_params(self) -> None:
        super()._check_params()
        check_real("alpha", self.alpha, 0, 2)
        check_real("beta", self.beta, 0, 2)

    def _weights(self, matrix: sparse.csr_matrix, popularity: Values) -> tuple[Values, Values, Values]:
        lengths = np.diff(matrix.indptr).astype(np.float64)
        return lengths**-self.alpha, popularity**-self.alpha, popularity**-self.beta


@dataclass(repr=False, eq=False)
class ItemKNN(NeighbourModel):
    """Items by the similarity of their users, of which the K largest of each item count.

    With I_u = log n − log(1 + ‖r_u‖₁), for n items, and p̄ the mean popularity:

    - "cosine": S_ij = Σ_u r_ui r_uj / √(pop_i pop_j);
    - "tfidf": the cosine of columns whose entries are I_u in place of 1;
    - "bm25": S_ij = w_i w_j Σ_u I_u² r_ui r_uj, w_i = (k₁ + 1) / (k₁ (1 − b + b pop_i / p̄) + 1).

    The similarities are those of the library ``implicit``, which counts the item itself among the K; here it is not
    counted.

    Parameters
    ----------
    K : int
        Neighbours of each item, at most.
    similarity : {"cosine", "tfidf", "bm25"}
    K1, B : float
        k₁ ≥ 0 and b in [0, 1] of "bm25".
    device, num_threads
        As in `NCEAutoRec`; the arithmetic is done on the host.

    References
    ----------
    Sarwar, Karypis, Konstan and Riedl (2001), "Item-based collaborative filtering recommendation algorithms".

    Examples
    --------
    >>> import fastautorec as far
    >>> model = far.ItemKNN(K=50, similarity="bm25").fit(far.datasets.load_example())
    """

    K: int = 100
    similarity: str = "cosine"
    K1: float = 1.2
    B: float = 0.75
    device: str = "auto"
    num_threads: int | None = None

    def _check_params(self) -> None:
        super()._check_params()
        check_choice("similarity", self.similarity, SIMILARITIES)
        check_real("K1", self.K1, 0)
        check_real("B", self.B, 0, 1)

    def _weights(self, matrix: sparse.csr_matrix, popularity: Values) -> tuple[Values, Values, Values]:
        if self.similarity == "cosine":
            return np.ones(matrix.shape[0]), popularity**-0.5, popularity**-0.5
        rarity = np.square(np.log(matrix.shape[1]) - np.log1p(np.diff(matrix.indptr)))
        if self.similarity == "tfidf":
            scale = (matrix.T @ rarity) ** -0.5
        else:
            scale = (self.K1 + 1) / (self.K1 * (1 - self.B + self.B * popularity / popularity.mean()) + 1)
        return rarity, scale, scale


class _SparseScorer:
    """Scores x S for a sparse S (n, n) on the host, whose columns of a tile are taken once."""

    def __init__(self, matrix: sparse.csr_matrix, to_host: Callable[[IdArray], IdArray]) -> None:
        self._matrix, self._to_host = matrix, to_host
        self._tiles: dict[tuple[int, int], sparse.csr_matrix] = {}

    @property
    def n_items(self) -> int:
        return int(self._matrix.shape[1])

    def take(self, items: IdArray) -> _SparseScorer:
        return _SparseScorer(self._matrix[:, self._to_host(items)], self._to_host)

    def prepare(self, backend: Backend, history: Csr) -> sparse.csr_matrix:
        return history.to_host().to_scipy()

    def score(self, backend: Backend, prepared: sparse.csr_matrix, users: slice, items: slice, out: FloatArray) -> None:
        tile = (items.start, items.stop)
        if tile not in self._tiles:
            self._tiles[tile] = self._matrix[:, items]
        out[...] = backend.to_device((prepared[users] @ self._tiles[tile]).toarray())


class _SparseParts:
    """Parts of x S for a sparse matrix S (n, n) on the host: its entries."""

    additive, width = True, 1

    def __init__(self, matrix: sparse.csr_matrix) -> None:
        self._matrix = matrix

    def of(self, backend: Backend, rows: Csr, items: IdArray) -> Parts:
        lengths = rows.row_lengths()
        asked = np.repeat(items, lengths, axis=0)
        owned = np.broadcast_to(rows.indices[:, None], asked.shape)
        values = np.asarray(self._matrix[owned.ravel(), asked.ravel()], np.float64).reshape(asked.shape)
        each = padded(values, lengths)
        return each, np.zeros(items.shape), each.sum(axis=1)
