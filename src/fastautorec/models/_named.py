"""Names in, names out: lists of a fitted model asked for and given by the ids of users and items."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec._checks import check_choice, check_int, few, list_length, warn_caller
from fastautorec._compute.csr import BLOCK_ENTRIES, Csr, row_blocks
from fastautorec._compute.inputs import UserItems
from fastautorec._compute.popularity import strangers
from fastautorec._compute.protocol import IdArray
from fastautorec._types import ByUser, Frame, Id, Ids
from fastautorec.models._answers import LIST_LENGTH
from fastautorec.models._candidates import candidates, selection
from fastautorec.models._histories import Histories, histories_of
from fastautorec.models._labels import Items, some
from fastautorec.models._similar import Similar
from fastautorec.models._table import RecommendationTable
from fastautorec.rerank import Reranker

COLD = ("popular", "drop", "raise")
REASON_BYTES = 16 << 20  # of explanations at a time


class NamedAnswers(Similar):
    """Fitted models that answer in tables."""

    def recommend_table(
        self,
        data: UserItems | Frame | ByUser | Sequence[Iterable[Id]],
        N: int = LIST_LENGTH,
        users: Ids | None = None,
        filter_already_liked_items: bool = True,
        filter_items: Ids | None = None,
        items: Ids | UserItems | Frame | ByUser | None = None,
        cold_users: str = "popular",
        popularity_discount: float | None = None,
        because: int = 0,
        rerank: Reranker | Sequence[Reranker] | None = None,
        n_candidates: int | None = None,
    ) -> RecommendationTable:
        """Return the best items for users by name, as a table (user, item, rank, score).

        It is `recommend` with ids in place of numbers, and gives the same lists. `recommend` is the shorter way for
        matrices and loops: it gives arrays of one shape, with -1 for "none". They are two methods because they return
        different things.

        Ids are those of the data of ``fit``; a model of a matrix without ids has the numbers of its columns in their
        place. An integer is an id wherever there are ids of users or items, and a number where there are none.

        Parameters
        ----------
        data : dict, list of lists, data frame, Interactions or scipy sparse (q, n)
            Histories, of users seen in ``fit`` or not. A dict has a list of items for each user; the users of a list of
            lists and of a matrix are numbered. A data frame has columns of users and items, found by their names as by
            `Interactions.from_dataframe`; every row counts, whatever its rating, and users come in ascending order: for
            a threshold pass ``Interactions.from_dataframe(df, threshold=...)``. Interactions may have
            other items than the model, in any order. All of it is in host memory.
        N : int
            Length of the lists, at most the number of items; by default 10, or all items where there are fewer.
        users : id or list of ids, optional
            Users of ``data`` whose lists are wanted, in this order; by default all.
        filter_already_liked_items : bool
            Leave out the items of the history.
        filter_items : list, set or column of items, or mask (n,), optional
            Items that must not be listed. A mask has a boolean for each item, in the order of ``item_ids_``; a column
            of pandas whose index holds the ids of all items goes by these, in any order.
        items : list, set or column of items, mask (n,), dict, data frame, Interactions or scipy sparse, optional
            Choose among these items only. A dict, a data frame and Interactions have candidates for each user, in the
            forms of ``data``, and a matrix in a row for each user of the table, in its order. A user without any has no
            row in the table.
        cold_users : {"popular", "drop", "raise"}
            What users get whose history is empty, or has no item that the model knows: popular items, no list, or an
            error.
        popularity_discount : float, optional
            γ in place of the one that the model was fitted with, as in `recommend`.
        because : int
            How many items of the user's history to name as reasons for each item, in a column ``because`` of lists:
            those with the largest contributions to the score above 0, by `explain`.
        rerank, n_candidates
            As in `recommend`.

        Returns
        -------
        RecommendationTable
            With ``to_pandas``, ``to_polars``, ``to_arrow`` and ``to_dict``. It says who was cold, and which items are
            unknown.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        TypeError
            For ids of another type than those of the model or the data, and for ids where there are none.
        ValueError
            For users who are not in ``data`` or named twice, data of which the model knows no item, a mask of another
            length, candidates that leave nothing, cold users where ``cold_users="raise"``, a discount of a model that
            has none, and ``because`` of a model that has no explanations.

        Warns
        -----
        UserWarning
            For ids of items that the model does not know. They are left out. For users without candidates in ``items``
            of each user's own, who have no row, and for candidates of users who are not there. For a column of ratings
            in a data frame, which is not used.

        Examples
        --------
        >>> import fastautorec as far
        >>> packages = far.datasets.load_example()
        >>> model = far.EASE().fit(packages)

        Somebody whom the model has not seen:

        >>> table = model.recommend_table({"ann": ["git", "vim"]}, N=3)
        >>> table.to_dict()["ann"] == [row.item for row in table]
        True

        Some users of the data, and not everything:

        >>> some = packages.user_ids[:2].tolist()
        >>> table = model.recommend_table(packages, users=some, N=5, filter_items=["python3"])
        >>> table.users.tolist() == some, len(table), "python3" in table["item"].tolist()
        (True, 10, False)

        Candidates that another system has found, and why:

        >>> table = model.recommend_table(
        ...     {"ann": ["git", "vim"]}, N=2, items={"ann": ["perl", "python3", "rsync"]}, because=1
        ... )
        >>> table["item"].tolist(), table["because"].tolist()
        (['python3', 'rsync'], [['git'], ['git']])
        """
        model = self._as_fitted()
        check_choice("cold_users", cold_users, COLD)
        n_top = list_length(N, model.n_items_)
        named = self._items_of(model)
        n_named = check_int("because", because, 0, model.n_items_)
        if n_named:
            model._require_explained()
        told: list[str] = []
        unwanted = selection("filter_items", filter_items, named, told)
        histories = histories_of(data, users, named)
        chosen = candidates(items, histories.users, named, told, users is not None)
        matrix, cold = histories.matrix, _cold(model, histories.matrix)
        if cold_users == "raise" and cold.any():
            raise ValueError(_cold_text(histories, cold, named))
        _tell(histories, told, cold_users)
        asked = np.flatnonzero(~cold) if cold_users == "drop" and cold.any() else None
        if asked is not None:
            matrix, chosen = matrix.take_rows(asked), _rows_of(chosen, asked)
        options: dict[str, Any] = {
            "filter_items": unwanted,
            "items": chosen,
            "popularity_discount": popularity_discount,
        }
        options |= {"rerank": rerank, "n_candidates": n_candidates}
        ids, scores = model.recommend(matrix, n_top, filter_already_liked_items, **options)
        reasons = model._reasons(matrix, ids, n_named) if n_named else None
        if asked is not None:
            ids, scores = _spread(ids, asked, len(cold), -1), _spread(scores, asked, len(cold), np.nan)
            reasons = None if reasons is None else _spread(reasons, asked, len(cold), -1)
        return RecommendationTable(histories.users, ids, scores, named.ids, cold, histories.unknown, reasons)

    def _reasons(self, history: Csr, ids: IdArray, n_named: int) -> IdArray:
        """Return the items of each history that speak for the items of its list, int32 (q, N, n_named), -1 for none."""
        reasons = np.empty((*ids.shape, n_named), np.int32)
        each = max(1, REASON_BYTES // (8 * ids.shape[1] * n_named))
        for start in range(0, len(ids), each):
            some = slice(start, start + each)
            explained = self.explain(history.rows(start, min(start + each, len(ids))), ids[some], n_named)
            reasons[some] = np.where(explained.contributions > 0, explained.because, -1)
        return reasons


def _rows_of(chosen: Any, rows: npt.NDArray[np.int64]) -> Any:
    return chosen[rows] if hasattr(chosen, "nnz") else chosen


def _spread(found: npt.NDArray[Any], places: npt.NDArray[np.int64], n: int, nothing: float) -> npt.NDArray[Any]:
    """Return what was found for some of n users at their places, and nothing elsewhere."""
    spread = np.full((n, *found.shape[1:]), nothing, found.dtype)
    spread[places] = found
    return spread


def _cold(model: NamedAnswers, matrix: Csr) -> npt.NDArray[np.bool_]:
    """Return for each history whether nothing in it is known."""
    cold: npt.NDArray[np.bool_] = matrix.row_lengths() == 0
    counts, indices, indptr = model.item_counts_, matrix.indices, matrix.indptr
    if counts is None:  # it is not in the files of earlier versions
        return cold
    for start, stop in row_blocks(indptr, BLOCK_ENTRIES):
        entries = indices[indptr[start] : indptr[stop]]
        if len(entries) and counts[entries].min() == 0:  # else all is known, which a look at them tells soonest
            cold[strangers(model, matrix, start + np.flatnonzero(~cold[start:stop]))] = True
    return cold


def _tell(histories: Histories, told: list[str], cold_users: str) -> None:
    """Warn of items that the model does not know."""
    if histories.unknown:
        told.insert(0, f"{len(histories.unknown):,} items in `data`, such as {few(histories.unknown)}")
    if not told:
        return
    text = f"the model does not know {', and '.join(told)}, and leaves them out"
    if histories.strange:
        answer = "no list" if cold_users == "drop" else "the popular items that a user without history gets"
        text += (
            f"; of {histories.strange:,} of {histories.matrix.shape[0]:,} users it knows nothing, so that they get "
            f"{answer} (`cold_users`)"
        )
    warn_caller(text)


def _cold_text(histories: Histories, cold: npt.NDArray[np.bool_], named: Items) -> str:
    first = int(np.argmax(cold))
    user = histories.users[first : first + 1].tolist()[0]
    unknown = f"; unknown items are such as {few(histories.unknown)}, its own such as {few(some(named))}"
    return (
        f"nothing is known of {int(cold.sum()):,} of {len(cold):,} users, such as "
        f"{user!r}: their histories are empty or hold items that the "
        f"model does not know{unknown if histories.unknown else ''}; give each an item that it knows, or take "
        "cold_users='popular' or 'drop'"
    )
