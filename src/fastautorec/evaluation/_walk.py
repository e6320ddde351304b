"""The walk over all users of an evaluation: lists of a model, handed to a task that measures them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from fastautorec._checks import check_choice, check_cutoffs, fitting
from fastautorec._compute.csr import Csr, LazyRows
from fastautorec._compute.inputs import check_user_items
from fastautorec._compute.popularity import Knowing, popularity_scorer, strangers
from fastautorec._compute.protocol import DEFINITIONS, Backend, FloatArray, IdArray
from fastautorec._compute.top_lists import Scorer, top_lists
from fastautorec.data import _identity as identity
from fastautorec.data._splits import who_has_enough
from fastautorec.rerank import Reranker
from fastautorec.rerank._apply import Reranking


class Model(Knowing, Protocol):
    """What `evaluate` asks of a model; discounts only where it has one, vectors only for re-ranking."""

    def _as_fitted(self) -> Model: ...
    def _check_history(self, user_items: Any, name: str) -> Csr: ...
    def _list_scorer(self) -> Scorer: ...
    def _backend(self) -> Backend: ...
    def _factors(self, backend: Backend, discounts: Sequence[float]) -> FloatArray: ...
    def _item_vectors(self) -> FloatArray: ...

    n_users_: int


@dataclass(frozen=True)
class Learned:
    """What a model was fitted to: the users of each item, int64 (n,) by the columns of ``train``, and all users."""

    counts: npt.NDArray[np.int64]
    users: int

    def has(self, counts: npt.NDArray[np.int64], users: int) -> bool:
        """Return whether so many users, and so many of each item, are all among what the model was fitted to."""
        return self.users == users and bool((self.counts >= counts).all())


class Task:
    """Who is evaluated against what; a subclass takes the lists."""

    n_candidates = 0  # of the best items of a user are re-ranked
    learned: Learned | None = None  # what the model was fitted to

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
        check_length(cutoffs, train.n_cols)
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
    rerankers: tuple[Reranker, ...] = (),
) -> AnyTask:
    """Make a task of a model's lists for every user of ``train``, hand it all of them and return it.

    With ``discounts`` users have a list for each of them, from scores that are made once; where a user's history says
    nothing, the one list of popular items. With ``rerankers`` they have two lists: the plain one, as long as the task
    wants it, and the re-ranked one, as long as the largest ``k``.
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
    cutoffs = check_options(k, definition, seen.n_cols)
    ordered = histories is not train  # the report is about the columns of `train` all the same
    columns = identity.places(item_ids, train.item_ids).astype(np.int32) if ordered else None
    own = check_user_items("train", train) if ordered else seen
    test = identity.aligned("test", test, "train", train)
    if identity.own_ids(train, identity.ITEMS) is None:  # then its columns are those of the model
        test = identity.in_order_of(test, item_ids)
        identity.check_items("test", test, item_ids)
    task = make_task(backend.host, own, test, cutoffs, definition, identity.own_ids(train, identity.USERS))

    task.learned = _learned(model, columns, own.n_cols)

    # Users with many test items need long lists for R-Precision; next to each other, they don't lengthen all lists.
    order = np.argsort(-task.n_test_items, kind="stable")
    rows, lengths = task.users[order], task.list_lengths()[order]
    reranking = Reranking(rerankers, seen.n_cols, lambda: backend.to_host(model._item_vectors()), item_ids)

    def measure(
        scorer: Scorer, places: npt.NDArray[np.int64], factors: FloatArray | None = None, popular: bool = False
    ) -> npt.NDArray[np.int64]:
        """Measure the lists of some users, and return the places of those whose histories say nothing to the model.

        These are left out, unless the lists are the ``popular`` ones that they get: no list is measured twice.
        """
        history, wanted = LazyRows.picked(seen, rows[places]), LazyRows.picked(task.test, rows[places])
        silent = [places[:0]]

        def n_top(start: int, stop: int) -> int:
            return int(lengths[places[start]])

        def take(start: int, stop: int, ids: IdArray, scores: FloatArray) -> None:
            whose, test, ids = places[start:stop], wanted.rows(start, stop), backend.to_host(ids)
            if rerankers:
                own = slice(0, task.n_candidates)
                best = ids[:, own], backend.to_host(scores)[:, own]
                ids = _below(ids, reranking.lists(*best, seen.take_rows(rows[whose]), cutoffs[-1])[0])
            if columns is not None:
                ids = np.where(ids < 0, ids, columns[ids])
            unsure = whose[:0] if popular else whose[backend.to_host(scores[: len(whose), 0]) == 0]
            if len(unsure):
                left_out = np.isin(whose, unsure[np.isin(rows[unsure], strangers(model, seen, rows[unsure]))])
                silent.append(whose[left_out])
                kept = np.flatnonzero(~left_out)
                ids = ids.reshape(-1, len(whose), ids.shape[1])[:, kept].reshape(-1, ids.shape[1])
                whose, test = whose[kept], test.take_rows(kept)
            if len(whose):
                task.measure(order[whose], ids, test, num_threads=1)

        top_lists(backend, scorer, history, n_top, history, take, factors)
        return np.unique(np.concatenate(silent))  # blocks for which memory ran out come twice

    with backend.active():
        silent = measure(model._list_scorer(), np.arange(len(rows)), factors)
        if len(silent):
            measure(popularity_scorer(model, backend), silent, popular=True)
    return task


def check_length(cutoffs: tuple[int, ...], n_items: int) -> None:
    """Raise for lists that are longer than there are items."""
    if cutoffs[-1] > n_items:
        raise ValueError(f"`k` must not exceed the number of items, {n_items}, got {cutoffs[-1]}")


def _learned(model: Model, columns: IdArray | None, n_items: int) -> Learned | None:
    """Return what a model was fitted to, with the items in the order of ``columns``."""
    counts = getattr(model, "item_counts_", None)
    if counts is None:  # a file of an early version
        return None
    if columns is not None:
        there = columns >= 0
        counts = np.bincount(columns[there], counts[there], n_items)
    return Learned(counts, model.n_users_)


def _below(plain: IdArray, others: IdArray) -> IdArray:
    """Return lists, and others that are no longer below them."""
    both = np.full((2, *plain.shape), -1, np.int32)
    both[0], both[1, :, : others.shape[1]] = plain, others
    return both.reshape(-1, plain.shape[1])


def check_options(k: int | tuple[int, ...], definition: str, longest: int) -> tuple[int, ...]:
    """Return list lengths; defaults are those that lists may have."""
    check_choice("definition", definition, DEFINITIONS)
    return fitting(check_cutoffs(k), longest)


def _kind(value: object) -> str:
    return f"the class {value.__qualname__}" if isinstance(value, type) else type(value).__qualname__
