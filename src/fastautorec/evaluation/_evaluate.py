"""`evaluate` and `evaluate_ranking`: lists of a model, or of anything else, against held-out items."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from fastautorec._checks import MAX_ITEMS, Default, fitting, metric_names
from fastautorec._compute import get_backend
from fastautorec._compute.csr import BLOCK_ENTRIES, Csr, row_blocks
from fastautorec._compute.inputs import UserItems, check_user_items
from fastautorec._compute.protocol import Backend, IdArray
from fastautorec.data import _identity as identity
from fastautorec.evaluation._ranks import RankRecorder, counted_places
from fastautorec.evaluation._receipt import Receipt
from fastautorec.evaluation._report import Report
from fastautorec.evaluation._walk import Learned, Model, Task, check_options, walk
from fastautorec.rerank import Reranker
from fastautorec.rerank._apply import candidates_of, check_rerankers

DEFAULT_K = (Default(5), Default(10), Default(20), Default(50))
BLOCK_LISTS = 1 << 16  # of ready-made rankings, so that memory stays small whatever the number of users


def default_k(n_items: int) -> tuple[int, ...]:
    """Return the default lengths of lists that are not longer than there are items."""
    return fitting(DEFAULT_K, n_items)


def evaluate(
    model: Model,
    train: UserItems,
    test: UserItems,
    k: int | tuple[int, ...] = DEFAULT_K,
    definition: str = "standard",
    popularity_discount: float | None = None,
    rerank: Reranker | Sequence[Reranker] | None = None,
    n_candidates: int | None = None,
) -> Report:
    """Recommend for every user of ``train``, without training items, and compare with ``test``.

    Scores exist only tile by tile. Users whose histories say nothing to the model get popular items, as in
    ``recommend``. Notes in the report tell of test items that the user also has in ``train``, which count as missed,
    and of a model that was fitted to the test data too.

    Parameters
    ----------
    model : fitted recommender
    train : Interactions or scipy sparse (m, n), binary
        Histories to recommend from. For a final test, pass train + validation.
    test : Interactions or scipy sparse (m, n), binary
        What the users chose later.
    k : int or sequence of int
        List lengths, at most n; by default those of 5, 10, 20 and 50 that n allows.
    definition : {"standard", "paper"}
        See the table at the top of ``fastautorec.evaluation``.
    popularity_discount : float, optional
        γ in place of the one that the model was fitted with: the lists are those of
        ``recommend(..., popularity_discount=)``. `popularity_tradeoff` tells how several of them do.
    rerank : re-ranker or sequence of them, optional
        From ``fastautorec.rerank``: the report is about the lists of `recommend` with them, as long as the largest
        ``k``, and its ``receipt`` compares these with the plain ones, user by user. Scores are made once.
    n_candidates : int, optional
        As in `recommend`, for lists as long as the largest ``k``.

    Returns
    -------
    Report
        ``report["NDCG"].mean``, ``.half_width``, ``.per_user``; ``print(report)`` shows the table.

    Raises
    ------
    NotFittedError
        If the model is not fitted.
    TypeError, ValueError
        If the matrices are not binary, sparse and of the model's width, if they differ in shape or in the ids of users
        or items, if ``k`` is not in [1, n], if no user has both training and test items, for a discount that is not
        finite or of a model without one, or for what is no re-ranker.

    Examples
    --------
    >>> import fastautorec as far
    >>> train, test = far.split(far.datasets.load_example(), ratios=(0.8, 0.2), by="random")
    >>> report = far.evaluate(far.Popularity().fit(train), train, test, k=10)
    >>> 0 < report["NDCG"].mean < 1
    True
    """
    rerankers = check_rerankers(rerank)
    discounts = () if popularity_discount is None else (popularity_discount,)
    if not rerankers:
        candidates_of(n_candidates, 1, MAX_ITEMS, False)
        task = walk(model, train, test, k, definition, Measures, discounts)
        return task.report(notes_on(task))
    pair = walk(model, train, test, k, definition, partial(_Pair, n_candidates), discounts, rerankers)
    return pair.report(notes_on(pair), rerankers)


def evaluate_ranking(
    item_ids: npt.ArrayLike,
    train: UserItems,
    test: UserItems,
    k: int | tuple[int, ...] = DEFAULT_K,
    definition: str = "standard",
    *,
    device: str = "auto",
    num_threads: int | None = None,
) -> Report:
    """Compare ready-made recommendation lists, of any library, with ``test``.

    The lists are taken as they are: -1 is an empty place; an id that a list repeats counts at its first place; a
    training item takes a rank like any other, and a note in the report tells of it.

    Parameters
    ----------
    item_ids : array_like (m, K), int
        Row u holds the columns of the items recommended to user u of ``train``, best first; K at least the largest
        ``k``. With "standard", R-Precision needs as many places as a user has test items; the report notes where there
        are fewer. With "paper", places after the largest ``k`` are ignored.
    train : Interactions or scipy sparse (m, n), binary
        Histories that the lists were made from. For a final test, pass train + validation.
    test : Interactions or scipy sparse (m, n), binary
        What the users chose later.
    k : int or sequence of int
        List lengths, at most n and at most K; by default those of 5, 10, 20 and 50 that these allow.
    definition : {"standard", "paper"}
        See the table at the top of ``fastautorec.evaluation``.
    device : {"auto", "cpu", "cuda", "reference"}
        Where to compute the metrics.
    num_threads : int, optional
        Threads; by default all usable cores. The result is the same for any number.

    Returns
    -------
    Report
        ``report["NDCG"].mean``, ``.half_width``, ``.per_user``; ``print(report)`` shows the table.

    Raises
    ------
    TypeError
        If ``item_ids`` is not an array of integers.
    ValueError
        If ids are outside [-1, n), if shapes or the ids of users or items don't match, if ``k`` is not in
        [1, min(n, K)], or if no user has both training and test items.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_matrix
    >>> from fastautorec.evaluation import evaluate_ranking
    >>> train = csr_matrix([[1, 0, 0, 0], [0, 1, 0, 0]])
    >>> test = csr_matrix([[0, 1, 1, 0], [0, 0, 0, 1]])
    >>> report = evaluate_ranking(np.array([[2, 3], [0, 3]]), train, test, k=(1, 2))
    >>> report["Recall@2"].per_user
    array([0.5, 1. ])
    >>> round(report["NDCG@2"].mean, 4)
    0.622
    """
    seen = check_user_items("train", train)
    cutoffs = check_options(k, definition, min(seen.n_cols, _list_length(item_ids)))
    test = identity.aligned("test", test, "train", train)
    row_ids = identity.own_ids(train, identity.USERS)
    task = Measures(get_backend(device, num_threads).host, seen, test, cutoffs, definition, row_ids)
    lists = _check_lists(item_ids, seen.shape, cutoffs[-1])
    with_seen = 0
    for start in range(0, len(task.users), BLOCK_LISTS):
        places = np.arange(start, min(start + BLOCK_LISTS, len(task.users)))
        rows = task.users[places]
        block = np.ascontiguousarray(lists[rows], np.int32)
        task.measure(places, block, task.test.take_rows(rows), task.backend.num_threads)
        with_seen += _count_lists_with(task.backend, block, seen.take_rows(rows))
    notes = [f"the lists of {with_seen:,} users hold items that the user has in `train`"] if with_seen else []
    return task.report(notes)


class Measures(Task):
    """The figures of a report as they come in."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.names = metric_names(self.cutoffs, self.definition)
        self.table = np.empty((len(self.names), len(self.users)))
        self.recorder = RankRecorder(self.test.take_rows(self.users), self.cutoffs, self.definition)

    def list_lengths(self) -> IdArray:
        return counted_places(self.n_test_items, self.cutoffs, self.definition)

    def measure(self, places: npt.NDArray[np.int64], ids: IdArray, test: Csr, num_threads: int) -> None:
        """Record the lists ``ids`` of the users at ``places``, whose test rows are ``test``; any thread, any order."""
        if self.definition == "paper":
            ids = ids[:, : self.cutoffs[-1]]
        backend = self.backend.with_threads(num_threads)
        self.table[:, places] = backend.ranking_metrics(ids, test, self.cutoffs, self.definition).T
        self.recorder.record(backend.host, places, ids, test)

    def report(self, notes: list[str]) -> Report:
        return Report(
            dict(zip(self.names, self.table, strict=True)),
            self.recorder.ranks,
            self.recorder.heads,
            definition=self.definition,
            k=self.cutoffs,
            users=self.users,
            item_popularity=self.backend.count_items(self.train),
            history_lengths=self.train.row_lengths()[self.users],
            n_rows=self.train.shape[0],
            n_without_train=self.n_without_train,
            notes=notes,
            row_ids=self.row_ids,
        )


class _Pair(Task):
    """The figures of two reports: of the plain lists and of the re-ranked ones."""

    def __init__(self, n_candidates: int | None, *given: Any) -> None:
        super().__init__(*given)
        self.n_candidates = candidates_of(n_candidates, self.cutoffs[-1], self.train.n_cols, True)
        self._tasks = Measures(*given), Measures(*given)

    def list_lengths(self) -> IdArray:
        lengths: IdArray = np.maximum(self._tasks[0].list_lengths(), np.int32(self.n_candidates))
        return lengths

    def measure(self, places: npt.NDArray[np.int64], ids: IdArray, test: Csr, num_threads: int) -> None:
        plain, other = ids.reshape(2, len(places), -1)
        self._tasks[0].measure(places, plain, test, num_threads)
        self._tasks[1].measure(places, np.ascontiguousarray(other[:, : self.cutoffs[-1]]), test, num_threads)

    def report(self, notes: list[str], rerankers: tuple[Reranker, ...]) -> Report:
        plain, report = (task.report(notes) for task in self._tasks)
        report.receipt = Receipt.of(report, plain, self.train, rerankers, self.n_candidates)
        return report


def _pattern(matrix: Csr) -> sparse.csr_matrix:
    own = matrix.rebased()
    marks = np.ones(own.nnz, np.int8)  # SciPy wants values; these are the smallest
    return sparse.csr_matrix((marks, own.indices, own.indptr), shape=own.shape)


def _count_lists_with(backend: Backend, ids: IdArray, items: Csr) -> int:
    """Return the number of lists that hold one of the user's ``items``: those with a recall of them above 0."""
    length = max(ids.shape[1], 1)
    column = metric_names((length,), "standard").index(f"Recall@{length}")
    return int((backend.ranking_metrics(ids, items, (length,), "standard")[:, column] > 0).sum())


def notes_on(task: Task) -> list[str]:
    """Return what to know before trusting the figures of a model."""
    overlap = count_overlap(task.train, task.test)
    both, users = train_and_test(task.backend, task.train, task.test)
    return [*overlap_notes(int(overlap.sum())), *learned_notes(task.learned, both - overlap, users)]


def train_and_test(backend: Backend, train: Csr, test: Csr) -> tuple[npt.NDArray[np.int64], int]:
    """Return the users of each item in both together, int64 (n,), and the number of users."""
    counts = backend.count_items(train) + backend.count_items(test)
    return counts, int(np.count_nonzero(train.row_lengths() + test.row_lengths()))


def learned_notes(learned: Learned | None, counts: npt.NDArray[np.int64], users: int) -> list[str]:
    """Return the note on a model that was fitted to the test interactions too, as its counts of items tell."""
    if learned is None or not learned.has(counts, users):
        return []
    return [
        "the model was fitted to as many users and at least as many interactions as `train` and `test` have: it knows "
        "what it is tested on; fit it to `train`"
    ]


def count_overlap(train: Csr, test: Csr) -> npt.NDArray[np.int64]:
    """Return the number of test interactions of each item that are also training interactions, int64 (n,)."""
    counts = np.zeros(train.n_cols, np.int64)
    for rows in row_blocks(train.indptr + test.indptr, BLOCK_ENTRIES):
        twice = _pattern(train.rows(*rows)).multiply(_pattern(test.rows(*rows))).tocsr()
        counts += np.bincount(twice.indices, minlength=train.n_cols)
    return counts


def overlap_notes(overlap: int) -> list[str]:
    """Return the note on so many test interactions that are also training interactions."""
    return [f"{overlap:,} test interactions are also in `train`; they count as missed"] if overlap else []


def _list_length(item_ids: npt.ArrayLike) -> int:
    shape = np.shape(item_ids)
    return max(shape[1], 1) if len(shape) == 2 else MAX_ITEMS  # a wrong shape is refused later, in its own words


def _check_lists(item_ids: npt.ArrayLike, shape: tuple[int, int], longest: int) -> npt.NDArray[np.integer]:
    if isinstance(item_ids, np.ma.MaskedArray) and np.ma.is_masked(item_ids):
        row = int(np.argmax(np.ma.getmaskarray(item_ids).any(axis=-1)))
        raise ValueError(
            f"`item_ids` must hold no masked values, got some in row {row}; item_ids.filled(-1) makes them empty places"
        )
    lists = np.asarray(item_ids)
    if not np.issubdtype(lists.dtype, np.integer):
        raise TypeError(f"`item_ids` must hold integer item ids, got dtype {lists.dtype}")
    if lists.ndim != 2 or lists.shape[0] != shape[0]:
        raise ValueError(
            f"`item_ids` must have one row for each of the {shape[0]} users of `train`, got shape {lists.shape}"
        )
    if lists.shape[1] < longest:
        raise ValueError(
            f"`k` asks for lists of {longest}, but `item_ids` has {lists.shape[1]} columns; "
            f"pass longer lists (padded with -1 where a user has fewer) or a smaller k"
        )
    if lists.min() < -1 or lists.max() >= shape[1]:
        user, place = np.argwhere((lists < -1) | (lists >= shape[1]))[0]
        raise ValueError(
            f"`item_ids` must be in [0, {shape[1]}), or -1 for an empty place, got {lists[user, place]} in row {user}"
        )
    return lists
