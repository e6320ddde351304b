"""Vectors of items for indexes of nearest neighbours, and how much of a model's lists an index finds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastautorec._checks import check_bool, check_choice, check_int, kind
from fastautorec._compute.csr import Csr
from fastautorec._compute.inputs import UserItems
from fastautorec._compute.protocol import FloatArray
from fastautorec._extras import require
from fastautorec._types import FaissIndex, HnswIndex, UsearchIndex
from fastautorec.evaluation._metric import Metric, half_width

if TYPE_CHECKING:
    from fastautorec.models._answers import Answering

BLOCK_USERS = 1024  # histories that an index is asked about together
KINDS = ("flat", "hnsw")
SEED = 100

Numbers = npt.NDArray[np.int64]


class ItemVectors:
    """Vectors of a fitted model whose inner products are its scores; `export_vectors` returns them.

    They stay with the fit that they were made from. The recipes give indexes by inner product, whose labels are the
    numbers of the items, and add items by rising length of their vectors: graphs of neighbours find more that way,
    because the long vectors, which are near to everything, are linked to what is there already. An index knows nothing
    of what a user has: ask it for some more items than you need, and leave those of the history out.

    Attributes
    ----------
    items : float32 (n, d)
        One vector for each item, with the column of the intercept and the popularity discount in it.
    order : int64 (n,)
        Items by rising length of their vectors.
    item_ids : array (n,) or None
        What the items are called in the data of ``fit``.

    Examples
    --------
    >>> import fastautorec as far
    >>> packages = far.datasets.load_example()
    >>> vectors = far.NCEAutoRec(factors=64).fit(packages).export_vectors()
    >>> vectors.items.shape
    (5460, 65)
    >>> vectors.recall(lambda queries, k: (-queries @ vectors.items.T).argsort(axis=1)[:, :k], packages.user_items[:99])
    <Metric Recall@10 1.0000 ±0.0000>
    """

    def __init__(self, items: FloatArray, model: Answering, popularity_discount: float | None) -> None:
        self.items = items
        self.order: Numbers = np.argsort(np.einsum("ij,ij->i", items, items, dtype=np.float64), kind="stable")
        self.item_ids = model.item_ids_
        self._model, self._discount = model, popularity_discount

    def __repr__(self) -> str:
        n, width = self.items.shape
        return f"<ItemVectors of {n:,} items, width {width}, of {self._model!r}>"

    def users(self, user_items: UserItems) -> FloatArray:
        """Return one vector for each history, on the host.

        Parameters
        ----------
        user_items : Interactions or scipy sparse (q, n)
            Histories, as in ``recommend``.

        Returns
        -------
        float32 (q, d)
            Zeros for a history that says nothing to a model without an intercept.

        Raises
        ------
        TypeError, ValueError
            If ``user_items`` is not usable.
        """
        return self._users(self._model._check_history(user_items))

    def _users(self, history: Csr) -> FloatArray:
        backend = self._model._backend()
        with backend.active():
            there = backend.put(history).rows(0, history.shape[0])
            return np.asarray(backend.to_host(self._model._scorer().prepare(backend, there)), np.float32)

    def recall(
        self,
        index: FaissIndex | HnswIndex | UsearchIndex | Callable[[FloatArray, int], npt.ArrayLike],
        user_items: UserItems,
        k: int = 10,
        filter_already_liked_items: bool = True,
    ) -> Metric:
        """Return which share of the lists of ``recommend`` an index finds, with its 95 % interval over users.

        The index is asked for ``k`` items and as many more as the longest history of a block of users has; the items of
        the history are taken out of its answer, and the first ``k`` that are left count. Of equal scores at the end of
        a list, ``recommend`` names the lower number; an index that finds another one of them has missed it.

        Parameters
        ----------
        index : index of faiss, hnswlib, usearch or voyager, or callable
            Labels are the numbers of the items. A callable gets vectors (b, d) and the number of items that are wanted,
            and returns labels (b, wanted), -1 for none.
        user_items : Interactions or scipy sparse (q, n)
            Histories. Those whose vector is zero are left out: they have no nearest items.
        k : int
            Length of the lists, at most the number of items.
        filter_already_liked_items : bool
            As in ``recommend``.

        Returns
        -------
        Metric
            ``mean``, ``half_width`` and ``per_user``.

        Raises
        ------
        TypeError, ValueError
            If an argument is not usable, or no history has a vector.
        RuntimeError
            By hnswlib and voyager, where they find fewer items than they were asked for.
        """
        model, n = self._model, len(self.items)
        k = check_int("k", k, 1, n)
        left_out = check_bool("filter_already_liked_items", filter_already_liked_items)
        search = _search_of(index)
        history = model._check_history(user_items).to_host()
        rows = np.argsort(history.row_lengths(), kind="stable")  # blocks of histories of about one length
        found: list[npt.NDArray[np.float64]] = []
        for start in range(0, len(rows), BLOCK_USERS):
            block = history.take_rows(rows[start : start + BLOCK_USERS])
            vectors = self._users(block)
            has_vector = np.flatnonzero(vectors.any(axis=1))
            if not len(has_vector):
                continue
            block = block.take_rows(has_vector).rebased()
            best, _ = model.recommend(block.to_scipy(), k, left_out, popularity_discount=self._discount)
            more = int(block.row_lengths().max()) if left_out else 0
            wanted = min(k + more, n)
            given = _labels(search(vectors[has_vector], wanted), len(has_vector), wanted, n)
            found.append(_shares(given, best.astype(np.int64), block if left_out else None, k, n))
        if not found:
            raise ValueError("`user_items` must hold a history that says something to the model, got none")
        values = np.concatenate(found)
        return Metric(f"Recall@{k}", values, float(values.mean()), half_width(values))

    # --- recipes ------------------------------------------------------------------------------------------------------

    def to_faiss(self, kind: str = KINDS[0], M: int = 32, ef_construction: int = 200, ef: int = 100) -> FaissIndex:
        """Return an index of faiss by inner product.

        Parameters
        ----------
        kind : {"flat", "hnsw"}
            All items are compared, or a graph of neighbours is walked.
        M, ef_construction, ef : int
            Of the graph: links of an item, and candidates while it is built and asked.

        Returns
        -------
        faiss.IndexIDMap2
            ``search(vectors, k)`` gives scores, the largest first, and labels; where there are fewer than k items, a
            score of -3.4e38 and the label -1.

        Raises
        ------
        TypeError, ValueError
            If an argument is not usable.
        ImportError
            If faiss is not installed.
        """
        check_choice("kind", kind, KINDS)
        links, building, asking = _graph_sizes(M, ef_construction, ef, "ef_construction", "ef")
        faiss = require("faiss", "to_faiss", "faiss")
        width = self.items.shape[1]
        if kind == "flat":
            inner = faiss.IndexFlatIP(width)
        else:  # by its class: strings for index_factory may lose the inner product
            inner = faiss.IndexHNSWFlat(width, links, faiss.METRIC_INNER_PRODUCT)
            inner.hnsw.efConstruction, inner.hnsw.efSearch = building, asking
        index: FaissIndex = faiss.IndexIDMap2(inner)
        index.add_with_ids(self.items[self.order], self.order)
        return index

    def to_hnswlib(self, M: int = 16, ef_construction: int = 200, ef: int = 100, num_threads: int = 1) -> HnswIndex:
        """Return an index of hnswlib by inner product.

        Parameters
        ----------
        M, ef_construction, ef : int
            Links of an item, and candidates while the graph is built and asked. hnswlib does not write ``ef`` to files:
            call ``set_ef`` after loading one.
        num_threads : int
            Threads that build it. With one, the index is the same each time, and items come in by rising length.

        Returns
        -------
        hnswlib.Index
            ``knn_query(vectors, k)`` gives labels and 1 - score, the smallest first; it raises RuntimeError where it
            finds fewer than k items.

        Raises
        ------
        TypeError, ValueError
            If an argument is not usable.
        ImportError
            If hnswlib is not installed.
        """
        links, building, asking = _graph_sizes(M, ef_construction, ef, "ef_construction", "ef")
        threads = check_int("num_threads", num_threads, 1)
        index = require("hnswlib", "to_hnswlib", "hnswlib").Index("ip", self.items.shape[1])
        index.init_index(len(self.items), M=links, ef_construction=building, random_seed=SEED)
        index.set_ef(asking)
        index.add_items(self.items[self.order], self.order, num_threads=threads)
        return index

    def to_usearch(
        self, M: int = 16, expansion_add: int = 128, expansion_search: int = 64, num_threads: int = 1
    ) -> UsearchIndex:
        """Return an index of usearch by inner product, with vectors as float32.

        Parameters
        ----------
        M, expansion_add, expansion_search : int
            Links of an item, and candidates while the graph is built and asked.
        num_threads : int
            Threads that build it. With one, the index is the same each time, and items come in by rising length.

        Returns
        -------
        usearch.index.Index
            ``search(vectors, k)`` gives ``keys`` and ``distances`` of 1 - score, the smallest first. Where there are
            fewer than k items, those of several vectors are filled up with the key 0, which is an item too, and NaN;
            ``counts`` says how many are meant.

        Raises
        ------
        TypeError, ValueError
            If an argument is not usable.
        ImportError
            If usearch is not installed.
        """
        links, building, asking = _graph_sizes(M, expansion_add, expansion_search, "expansion_add", "expansion_search")
        threads = check_int("num_threads", num_threads, 1)
        index: UsearchIndex = require("usearch.index", "to_usearch", "usearch").Index(
            ndim=self.items.shape[1], metric="ip", dtype="f32", connectivity=links,
            expansion_add=building, expansion_search=asking,
        )  # fmt: skip
        index.add(self.order, self.items[self.order], threads=threads)
        return index


def _graph_sizes(links: int, building: int, asking: int, *names: str) -> tuple[int, int, int]:
    sizes = zip(("M", *names), (links, building, asking), (2, 1, 1), strict=True)
    first, second, third = (check_int(name, value, least) for name, value, least in sizes)
    return first, second, third


def _search_of(index: Any) -> Any:
    """Return a function of vectors and a number of items that gives labels, -1 for none."""
    module = type(index).__module__.partition(".")[0]
    if module == "faiss":
        return lambda vectors, wanted: index.search(vectors, wanted)[1]
    if module == "hnswlib":
        return lambda vectors, wanted: index.knn_query(vectors, wanted)[0].astype(np.int64)
    if module == "voyager":
        return lambda vectors, wanted: index.query(vectors, wanted)[0].astype(np.int64)
    if module == "usearch":
        return lambda vectors, wanted: _usearch_labels(index.search(vectors, wanted), len(vectors), wanted)
    if callable(index):
        return index
    raise TypeError(
        "`index` must be an index of faiss, hnswlib, usearch or voyager, or a callable of vectors and a number of "
        f"items that gives labels, got {kind(index)}"
    )


def _usearch_labels(matches: Any, n_vectors: int, wanted: int) -> Numbers:
    """Return the labels of matches, -1 where they are filled up."""
    keys = np.full((n_vectors, wanted), -1, np.int64)
    counts = matches.counts if hasattr(matches, "counts") else np.array([len(matches)])
    given = np.atleast_2d(matches.keys)
    places = np.arange(given.shape[1]) < counts[:, None]
    keys[:, : given.shape[1]][places] = given[places]
    return keys


def _labels(given: Any, n_vectors: int, wanted: int, n: int) -> Numbers:
    """Return what an index gave as int64 (n_vectors, wanted), after a check that it can be labels of items."""
    labels = np.asarray(given)
    if labels.shape != (n_vectors, wanted) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"`index` must give {wanted} labels for each of {n_vectors} vectors, as integers, got "
            f"{kind(given)} of shape {labels.shape} and dtype {labels.dtype}"
        )
    labels = labels.astype(np.int64)
    ordered = np.sort(labels, axis=1)
    if ordered[:, 0].min() < -1 or ordered[:, -1].max() >= n:
        raise ValueError(
            f"`index` must give labels between 0 and {n - 1}, -1 for none, got {ordered.min()} to {ordered.max()}"
        )
    if ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any():
        raise ValueError("`index` must give different labels for a vector, got one twice")
    return labels


def _shares(given: Numbers, best: Numbers, history: Csr | None, k: int, n: int) -> npt.NDArray[np.float64]:
    """Return the share of ``best`` (b, k) that is among the first k of ``given`` that a history may get."""
    rows = np.arange(len(best))[:, None] * n
    allowed = given >= 0
    if history is not None:
        seen = np.repeat(rows[:, 0], history.row_lengths()) + history.indices
        allowed &= ~np.isin(rows + given, seen)
    listed = allowed & (allowed.cumsum(axis=1) <= k)
    there = best >= 0
    hits = (listed & np.isin(rows + given, (rows + best)[there])).sum(axis=1)
    shares: npt.NDArray[np.float64] = hits / np.maximum(there.sum(axis=1), 1)
    return shares
