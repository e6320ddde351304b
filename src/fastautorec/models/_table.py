"""Lists of items as a table with names: a row for each recommendation, or for each item that is alike."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from fastautorec._compute.protocol import FloatArray, IdArray
from fastautorec._printed import html_table, html_text, table_lines
from fastautorec.data._frames import Coded, Frames
from fastautorec.data._texts import is_text
from fastautorec.models._labels import Array, Labels

if TYPE_CHECKING:
    from typing_extensions import Self

SHOWN = 10  # rows that a table prints
BLOCK = 1 << 14  # users whose rows are Python objects at the same time


class NamedLists(Frames):
    """Lists of items with names, a row for each item: what the tables of this library have in common.

    Attributes
    ----------
    columns : tuple of str
        Who or what a list is of, the items in it, their ranks from 1 on, and their scores.
    """

    columns: tuple[str, ...]
    _row: type[tuple[Any, ...]]

    def __init__(
        self, asked: Array, ids: IdArray, scores: FloatArray, item_ids: Array | None, reasons: IdArray | None = None
    ) -> None:
        self._asked, self._ids, self._scores, self._item_ids, self._reasons = asked, ids, scores, item_ids, reasons

    @cached_property
    def _lengths(self) -> npt.NDArray[np.int64]:
        """How many rows each user has."""
        lengths: npt.NDArray[np.int64] = (self._ids >= 0).sum(axis=1)
        return lengths

    def _filled(self, places: npt.NDArray[Any]) -> Array:
        """Return what stands in the places (q, N) that hold an item, row by row."""
        full = self._ids[:, -1].min(initial=0) >= 0  # free places are the last ones of a list
        return places.flatten() if full else places[self._ids >= 0]

    def __len__(self) -> int:
        return int(self._lengths.sum())

    def __getitem__(self, column: str) -> Array:
        """Return a column as an array."""
        if column not in self.columns:
            raise KeyError(f"no column {column!r}; the table has {', '.join(self.columns)}")
        if column == self.columns[0]:
            return np.repeat(self._asked, self._lengths)
        if column == "rank":
            return self._filled(np.broadcast_to(np.arange(1, self._ids.shape[1] + 1, dtype=np.int32), self._ids.shape))
        if column == "score":
            return self._filled(self._scores)
        if column == "because":
            return self._because()
        return self._named(self._filled(self._ids))

    def _named(self, numbers: IdArray) -> Array:
        return numbers.astype(np.int64) if self._item_ids is None else self._item_ids[numbers]

    def _because(self) -> Array:
        """Return the reasons of each row as a list."""
        assert self._reasons is not None
        reasons = self._reasons[self._ids >= 0]
        there = reasons >= 0
        names = iter(self._named(reasons[there]).tolist())
        counts = there.sum(axis=1).tolist()
        return np.fromiter((list(islice(names, count)) for count in counts), object, len(counts))

    def __iter__(self) -> Iterator[Any]:
        for start in range(0, len(self._ids), BLOCK):
            part = self._of(slice(start, start + BLOCK))
            yield from map(self._row, *(part[name].tolist() for name in self.columns))

    def _of(self, some: slice | npt.NDArray[np.int64]) -> Self:
        """Return the table of some of the lists."""
        part = copy(self)
        vars(part).pop("_lengths", None)
        part._asked, part._ids, part._scores = self._asked[some], self._ids[some], self._scores[some]
        part._reasons = None if self._reasons is None else self._reasons[some]
        return part

    def to_dict(self) -> dict[Any, list[Any]]:
        """Return each list, best first: the form of histories that `recommend_table` takes.

        Where no item is left the list is empty.
        """
        items, lengths = iter(self[self.columns[1]].tolist()), self._lengths.tolist()
        return {asked: list(islice(items, length)) for asked, length in zip(self._asked.tolist(), lengths, strict=True)}

    def _named_columns(self) -> dict[str, Array | Coded]:
        asked = Coded(self._asked, np.repeat(np.arange(len(self._asked)), self._lengths))
        coded = {self.columns[0]: asked}
        if self._item_ids is not None:
            coded[self.columns[1]] = Coded(self._item_ids, self._filled(self._ids))
        return {name: coded[name] if name in coded else self[name] for name in self.columns}

    def _lists_of_texts(self) -> dict[str, bool]:
        texts = self._item_ids is not None and is_text(self._item_ids)
        return {} if self._reasons is None else {"because": texts}

    def _head(self) -> list[list[str]]:
        """Return the heading and the first rows as texts."""
        some = np.flatnonzero(self._lengths)[:SHOWN]  # users without rows take no place
        rows = [[_shown(cell) for cell in row] for row in islice(self._of(some), SHOWN)]
        return [list(self.columns), *rows]

    def __repr__(self) -> str:
        """Return the first rows, and how many there are."""
        more = len(self) - SHOWN
        return "\n".join([*table_lines(self._head()), *([f"... {more:,} more rows"] if more > 0 else [])])

    def _repr_html_(self) -> str:
        """Return the first rows for notebooks."""
        return html_table(self._head()) + html_text(self._counted())

    def _counted(self) -> str:
        """Return what is in the table in words."""
        raise NotImplementedError


class Recommendation(NamedTuple):
    """A row of a `RecommendationTable`."""

    user: Any
    item: Any
    rank: int
    score: float


class ExplainedRecommendation(NamedTuple):
    """A row of a `RecommendationTable` with reasons."""

    user: Any
    item: Any
    rank: int
    score: float
    because: list[Any]


class RecommendationTable(NamedLists):
    """Recommended items with names, a row for each: what `recommend_table` returns.

    Rows are in the order of the users that were asked for, and of the ranks of each. A list that has fewer items than
    were asked for has fewer rows; a user for whom no item is left has none. ``len``, iteration (named tuples of
    Python's own values) and ``table["item"]`` work on rows.

    It is no data frame, because this library needs none: columns are NumPy arrays, and ``to_pandas``, ``to_polars`` and
    ``to_arrow`` make data frames of them.

    Attributes
    ----------
    columns : tuple of str
        ``("user", "item", "rank", "score")``: ids, or numbers where there are no ids; ranks from 1 on, int32; float32.
        With reasons also ``"because"``, a list of ids in each row.
    users : array (q,)
        The users who were asked for, also those who have no row.
    cold_users : array
        Those of whose history nothing is known. Unless they were dropped, they got the most popular items, or what a
        model with biases gives to all.
    unknown_items : list
        Distinct ids in the histories that the model does not know.

    Examples
    --------
    >>> import fastautorec as far
    >>> model = far.EASE().fit(far.datasets.load_example())
    >>> table = model.recommend_table({"ann": ["python3", "git"], "bob": ["vim"]}, N=2)
    >>> table["user"].tolist(), table["rank"].tolist()
    (['ann', 'ann', 'bob', 'bob'], [1, 2, 1, 2])
    >>> len(table), len(table.cold_users), table.unknown_items
    (4, 0, [])
    >>> [row.item for row in table if row.user == "ann"] == table.to_dict()["ann"]
    True
    """

    columns: tuple[str, ...] = ("user", "item", "rank", "score")
    _row: type[tuple[Any, ...]] = Recommendation

    def __init__(
        self, users: Array, ids: IdArray, scores: FloatArray, item_ids: Array | None,
        cold: npt.NDArray[np.bool_], unknown_items: Labels, reasons: IdArray | None = None,
    ) -> None:  # fmt: skip
        super().__init__(users, ids, scores, item_ids, reasons)
        self._cold, self.unknown_items = cold, list(unknown_items)
        if reasons is not None:
            self.columns, self._row = (*self.columns, "because"), ExplainedRecommendation

    @property
    def users(self) -> Array:
        """The users who were asked for."""
        return self._asked

    @property
    def cold_users(self) -> Array:
        """The users of whose history nothing is known."""
        return self.users[self._cold]

    def _counted(self) -> str:
        return f"{len(self):,} recommendations for {len(self.users):,} users"


class SimilarItem(NamedTuple):
    """A row of a `SimilarityTable`."""

    item: Any
    similar: Any
    rank: int
    score: float


class SimilarUser(NamedTuple):
    """A row of a `SimilarityTable` of users."""

    user: Any
    similar: Any
    rank: int
    score: float


class SimilarityTable(NamedLists):
    """Items or users who are alike, with names, a row for each: what `similar_table` and `similar_users_table` return.

    It is a `RecommendationTable` in all but the columns.

    Attributes
    ----------
    columns : tuple of str
        ``("item", "similar", "rank", "score")``, the first one ``"user"`` of users: ids, or numbers where there are no
        ids; ranks from 1 on, int32; the cosine, float32.

    Examples
    --------
    >>> import fastautorec as far
    >>> model = far.NCEAutoRec(factors=64).fit(far.datasets.load_example())
    >>> table = model.similar_table(["git", "vim"], N=3)
    >>> table["item"].tolist(), table["rank"].tolist()
    (['git', 'git', 'git', 'vim', 'vim', 'vim'], [1, 2, 3, 1, 2, 3])
    """

    def __init__(
        self, asked: Array, ids: IdArray, scores: FloatArray, names: Array | None, of: Literal["item", "user"] = "item"
    ) -> None:
        super().__init__(asked, ids, scores, names)
        self.columns, self._row = (of, "similar", "rank", "score"), SimilarItem if of == "item" else SimilarUser

    def _counted(self) -> str:
        return f"{len(self):,} {self.columns[0]}s that are like {len(self._asked):,}"


def _shown(cell: Any) -> str:
    """Return a cell as it is printed."""
    if isinstance(cell, list):
        return ", ".join(map(str, cell))
    return f"{round(cell, 4) + 0.0:.4f}" if isinstance(cell, float) else str(cell)  # never -0.0000
