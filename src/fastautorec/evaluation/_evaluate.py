"""`evaluate` and `evaluate_ranking`: lists of a model, or of anything else, against held-out items."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from scipy import sparse

from fastautorec._checks import MAX_ITEMS, Default, check_choice, check_cutoffs, fitting
from fastautorec._compute import get_backend
from fastautorec._compute.csr import BLOCK_ENTRIES, Csr, LazyRows, row_blocks
from fastautorec._compute.inputs import check_user_items
from fastautorec._compute.protocol import DEFINITIONS, Backend, FloatArray, IdArray, metric_names
from fastautorec._compute.top_lists import Knowing, Scorer, popularity_scorer, strangers, top_lists
from fastautorec.data import _identity as identity
from fastautorec.data._splits import who_has_enough
from fastautorec.evaluation._ranks import RankRecorder, counted_places
from fastautorec.evaluation._report import Report

DEFAULT_K = (Default(5), Default(10), Default(20), Default(50))
BLOCK_LISTS = 1 << 16  # of ready-made rankings, so that memory stays small whatever the number of users


def default_k(n_items: int) -> tuple[int, ...]:
    """Return the lengths of lists where nobody has given any: none is longer than there are items."""
    return fitting(DEFAULT_K, n_items)


class Model(Knowing, Protocol):
    """What `evaluate` asks of a model; other discounts only where it has one."""

    def _as_fitted(self) -> Model: ...
    def _check_history(self, user_items: Any, name: str) -> Csr: ...
    def _list_scorer(self) -> Scorer: ...
    def _backend(self) -> Backend: ...
    def _factors(self, backend: Backend, discounts: Sequence[float]) -> FloatArray: ...


def evaluate(
    model: Model,
    train: Any,
    test: Any,
    k: int | tuple[int, ...] = DEFAULT_K,
    definition: str = "standard",
) -> Report:
    """Recommend for every user of ``train``, training items left out, and compare with ``test``.

    Scores exist only tile by tile. Users whose histories say nothing to the model get popular items, as in
    ``recommend``. Test items that the user also has in ``train`` count as missed, with a note in the
    report.

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
        or items, if ``k`` is not in [1, n], or if no user has both training and test items.

    Examples
    --------
    >>> import fastautorec as far
    >>> train, test = far.split(far.datasets.load_example(), ratios=(0.8, 0.2), by="random")
    >>> report = far.evaluate(far.Popularity().fit(train), train, test, k=10)
    >>> 0 < report["NDCG"].mean < 1
    True
    """
    task = walk(model, train, test, k, definition, _Task)
    return task.report(overlap_notes(task.train, task.test))


def evaluate_ranking(
    item_ids: npt.ArrayLike,
    train: Any,
    test: Any,
    k: int | tuple[int, ...] = DEFAULT_K,
    definition: str = "standard",
    *,
    device: str = "auto",
    num_threads: int | None = None,
) -> Report:
    """Compare ready-made recommendation lists, of any library, with ``test``.

    The lists are taken as they are: -1 is an empty place; an id that a list repeats counts at its first place; a
    training item is one more item that takes a rank, with a note in the report.

    Parameters
    ----------
    item_ids : array_like (m, K), integer
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
    device, num_threads
        What computes the metrics, as for the models.

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
    cutoffs = _check_options(k, definition, min(seen.n_cols, _list_length(item_ids)))
    test = identity.aligned("test", test, "train", train)
    row_ids = identity.own_ids(train, identity.USERS)
    task = _Task(get_backend(device, num_threads).host, seen, test, cutoffs, definition, row_ids)
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


class Task:
    """Who is evaluated against what; a subclass takes the lists."""

    def __init__(
        self,
        backend: Backend,
        train: Csr,
        test: Any,
        cutoffs: tuple[int, ...],
        definition: str,
        row_ids: npt.NDArray[Any] | None,
    ) -> None:
        self.row_ids = row_ids  # of the users of `train`
        self.backend, self.train, self.cutoffs, self.definition = backend, train, cutoffs, definition
        self.test = check_user_items("test", test)
        identity.check_shape("test", self.test, train.shape, "train")
        n_items = train.n_cols
        if cutoffs[-1] > n_items:
            raise ValueError(f"`k` must not exceed the number of items, {n_items}, got {cutoffs[-1]}")
        n_test, has_train = self.test.row_lengths(), train.row_lengths() > 0
        self.n_without_train = int((~has_train).sum())
        self.users = np.flatnonzero(has_train & (n_test > 0)).astype(np.int64)
        if len(self.users) == 0:
            raise ValueError(
                f"`train` and `test` must have a user with items in both, got {train.nnz} training and "
                f"{self.test.nnz} test interactions of {train.shape[0]} users; split each user's items with "
                f"split(data). For ratios such as 0.8, 0.2 {who_has_enough(train.row_lengths() + n_test, (0.8, 0.2))}"
            )
        self.n_test_items = n_test[self.users]

    def list_lengths(self) -> IdArray:
        """Return how long the list of each user has to be, int32 (n_users,)."""
        return np.full(len(self.users), self.cutoffs[-1], np.int32)

    def measure(self, places: npt.NDArray[np.int64], ids: IdArray, test: Csr, num_threads: int) -> None:
        """Take the lists ``ids`` of the users at ``places``, whose test rows are ``test``; any thread, any order.

        Where users have several lists, there are the first ones of all of these users, then the second ones, and so on.
        """
        raise NotImplementedError


AnyTask = TypeVar("AnyTask", bound=Task)


def walk(
    model: Model,
    train: Any,
    test: Any,
    k: int | tuple[int, ...],
    definition: str,
    make_task: Callable[..., AnyTask],
    discounts: Sequence[float] = (),
) -> AnyTask:
    """Make a task of a model's lists for every user of ``train``, hand it all of them and return it.

    With ``discounts`` users have a list for each of them, from scores that are made once; where a user's history says
    nothing, the one list of popular items.
    """
    if isinstance(model, type) or not hasattr(model, "_check_history"):
        raise TypeError(
            f"`model` must be a fitted recommender of this library, got {_kind(model)}; "
            "for lists of another library use evaluate_ranking(item_ids, train, test)"
        )
    model = model._as_fitted()
    backend = model._backend()
    item_ids: Any = getattr(model, "item_ids_", None)
    histories = identity.in_order_of(train, item_ids)
    with backend.active():
        seen = model._check_history(histories, "train").to_host()
        factors = model._factors(backend, discounts) if discounts else None
    cutoffs = _check_options(k, definition, seen.n_cols)
    ordered = histories is not train  # the report is about the columns of `train` all the same
    columns = identity.places(item_ids, train.item_ids).astype(np.int32) if ordered else None
    own = check_user_items("train", train) if ordered else seen
    test = identity.aligned("test", test, "train", train)
    if identity.own_ids(train, identity.ITEMS) is None:  # then its columns are those of the model
        test = identity.in_order_of(test, item_ids)
        identity.check_items("test", test, item_ids)
    task = make_task(backend.host, own, test, cutoffs, definition, identity.own_ids(train, identity.USERS))

    # Users with many test items need long lists for R-Precision; side by side, they don't lengthen everybody's.
    order = np.argsort(-task.n_test_items, kind="stable")
    rows, lengths = task.users[order], task.list_lengths()[order]

    def measure(
        scorer: Scorer, places: npt.NDArray[np.int64], factors: FloatArray | None = None
    ) -> npt.NDArray[np.int64]:
        """Measure the lists of some users, and return the places of those whose best score is 0."""
        history, wanted = LazyRows.picked(seen, rows[places]), LazyRows.picked(task.test, rows[places])
        unsure = [places[:0]]

        def n_top(start: int, stop: int) -> int:
            return int(lengths[places[start]])

        def take(start: int, stop: int, ids: IdArray, scores: FloatArray) -> None:
            whose = places[start:stop]
            unsure.append(whose[backend.to_host(scores[: stop - start, 0]) == 0])
            ids = backend.to_host(ids)
            if columns is not None:
                ids = np.where(ids < 0, ids, columns[ids])
            task.measure(order[whose], ids, wanted.rows(start, stop), num_threads=1)

        top_lists(backend, scorer, history, n_top, history, take, factors)
        return np.sort(np.concatenate(unsure))

    with backend.active():
        unsure = measure(model._list_scorer(), np.arange(len(rows)), factors)
        silent = np.isin(rows[unsure], strangers(model, seen, rows[unsure]))
        if silent.any():
            measure(popularity_scorer(model, backend), unsure[silent])
    return task


class _Task(Task):
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


def _pattern(matrix: Csr) -> sparse.csr_matrix:
    own = matrix.rebased()
    marks = np.ones(own.nnz, np.int8)  # SciPy wants values; these are the smallest
    return sparse.csr_matrix((marks, own.indices, own.indptr), shape=own.shape)


def _count_lists_with(backend: Backend, ids: IdArray, items: Csr) -> int:
    """Return the number of lists that hold one of the user's ``items``: those with a recall of them above 0."""
    length = max(ids.shape[1], 1)
    column = metric_names((length,), "standard").index(f"Recall@{length}")
    return int((backend.ranking_metrics(ids, items, (length,), "standard")[:, column] > 0).sum())


def overlap_notes(train: Csr, test: Csr) -> list[str]:
    overlap = 0
    for rows in row_blocks(train.indptr + test.indptr, BLOCK_ENTRIES):
        overlap += _pattern(train.rows(*rows)).multiply(_pattern(test.rows(*rows))).nnz
    return [f"{overlap:,} test interactions are also in `train`; they count as missed"] if overlap else []


def _check_options(k: int | tuple[int, ...], definition: str, longest: int) -> tuple[int, ...]:
    """Return list lengths; defaults are those that lists may have."""
    check_choice("definition", definition, DEFINITIONS)
    return fitting(check_cutoffs(k), longest)


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


def _kind(value: object) -> str:
    return f"the class {value.__qualname__}" if isinstance(value, type) else type(value).__qualname__
