"""Description of data and their source as text: long, and in two lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec._compute.csr import Csr
from fastautorec._printed import html_table
from fastautorec.data._missing import ROWS, Counts, listed
from fastautorec.data._repeats import LAST, Repeats
from fastautorec.data._roles import shown

_FIRST = 5
_FEW, _MANY = 5, 40  # columns that are listed in the short and the long form
_VALUES = 20  # different ratings that are listed
_SECONDS = (10**8, 10**11)  # times from 1973 on, which are dates in seconds and not in another unit
_MILLISECONDS = (10**11, 10**13)  # from 1973 on as well; 20240131235959 is none of them


@dataclass
class Source:
    """What was taken from a file.

    Attributes
    ----------
    path, format : str
    separator : str or None
        As a message names it; None where the format has none.
    n_columns : int or None
    headings : dict of str
        The name or place of the column of each role.
    evidence : dict of str
        How each was found; empty where the format says.
    form : str
        What else was told from the file.
    ignored : list of str
        Columns that have no role.
    numeric : list of str or None
        Those of them that hold numbers in the first lines; None where it was not looked for.
    rated : list of str
        Those of them that look like ratings.
    notes : list of str
        What the reader should know besides.
    dropped : list of (int, str)
        How many rows were left out, and why.
    repeated : int
        Rows whose user and item had come before.
    repeats : str
        At which of its times a pair counts, one of `fastautorec.data._repeats.REPEATS`.
    lacking : Counter
        How many rows lack a value and were left out, by role, and in all.
    n_whole : int
        The other rows, before ratings leave some out.
    times : str or None
        What the times are, one of `fastautorec.data._times.KINDS`; None where there are none, or that is not known.
    ratings : dict or None
        How often each rating occurs in the file, if it was counted.
    gaps : dict of str
        For "user" and "item" what was told of ids that may stand for no value.
    """

    path: str
    format: str
    separator: str | None
    n_columns: int | None
    headings: Mapping[str, str]
    evidence: Mapping[str, str]
    form: str = ""
    ignored: list[str] = field(default_factory=list)
    numeric: list[str] | None = None
    rated: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    dropped: list[tuple[int, str]] = field(default_factory=list)
    repeated: int = 0
    repeats: str = LAST
    lacking: Counts = field(default_factory=Counter)
    n_whole: int = 0
    times: str | None = None
    ratings: dict[float, int] | None = None
    gaps: dict[str, str] = field(default_factory=dict)

    def take_missing(self, counts: Counts) -> None:
        """Note how many rows were left out because they lack a value."""
        self.lacking = counts
        if counts:
            self.dropped.append((counts[ROWS], f"missing values ({listed(counts, self.headings)})"))

    def take_ratings(self, ratings: Any, threshold: float | None, n_rows: int) -> int:
        """Note what is left out for ratings, or that all count; return how many of so many rows are left."""
        if ratings is None or not len(ratings):
            return n_rows
        if threshold is None:
            low, high = float(ratings.min()), float(ratings.max())
            span = f"from {low:g} to {high:g}" if low < high else f"of {low:g}"
            self.notes.append(f"ratings {span} are not used: without a threshold every row counts")
            return n_rows
        with np.errstate(over="ignore"):  # narrow ratings may not reach the threshold
            left = int(np.count_nonzero(ratings >= threshold))
        self.dropped.append((n_rows - left, f"ratings below {threshold:g}"))
        return left


class Description:
    """The facts about interactions; ``str`` gives all of them, ``lines`` the two that matter most.

    Parameters
    ----------
    shape : tuple of int
    nnz : int
    times : (first, last) or None
    first : list of (user, item, time or None)
    source : Source or None
        None for data that do not come from a file.
    repeats : Repeats or None
        What they remember of pairs that came several times.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        nnz: int,
        times: tuple[Any, Any] | None,
        first: list[tuple[Any, Any, Any]],
        source: Source | None,
        repeats: Repeats | None,
    ) -> None:
        self._shape, self._nnz, self._times, self._first = shape, nnz, times, first
        self.source, self._repeats = source, repeats

    @classmethod
    def of(cls, csr: Csr, data: Any, timestamps: npt.NDArray[Any] | None) -> Description:
        """Describe Interactions, of which these are the matrix and the times."""
        n = min(_FIRST, csr.nnz)
        rows = np.searchsorted(csr.indptr, np.arange(n), side="right") - 1
        times = None if timestamps is None or not csr.nnz else timestamps
        moments = [None] * n if times is None else times[:n].tolist()
        users, items = data.user_ids[rows].tolist(), data.item_ids[csr.indices[:n]].tolist()
        span = None if times is None else (times.min().item(), times.max().item())
        first = list(zip(users, items, moments, strict=True))
        return cls(csr.shape, csr.nnz, span, first, data._source, data._repeats)

    def lines(self) -> list[str]:
        """Return the short form: what was taken from where, and what it holds."""
        facts = ", ".join(self._counts())
        if self.source is None:
            return ["interactions that were not read from a file", facts]
        notes = [f"{count:,} rows left out for {why}" for count, why in self.source.dropped if count]
        return [
            f"{Path(self.source.path).name}: {self._taken(self.source)}",
            "; ".join([facts, *notes, *self.source.notes]),
        ]

    def _rows(self) -> list[tuple[str, str]]:
        source = self.source
        rows = [] if source is None else self._of_source(source)
        m, n = self._shape
        rows += [
            ("users", f"{m:,}"),
            ("items", f"{n:,}"),
            ("interactions", f"{self._nnz:,} ({100 * self._nnz / max(m * n, 1):.3g} % of all pairs)"),
        ]
        if source is None and self._repeats is not None and self._repeats.count:
            told = f"{self._repeats.count:,} at several times in the rows that were read, each counted once, at its "
            rows.append(("repeated pairs", f"{told}{_which(self._repeats.which)} time"))
        if source is not None:
            summed = ", with the sum of its weights" if "weights" in source.headings else ""
            at = "" if self._times is None else f", at its {_which(source.repeats)} time"
            again = f"{source.repeated:,} rows, each pair counted once{at}{summed}" if source.repeated else "none"
            rows.append(("repeated pairs", again))
        if self._times is not None:
            rows.append(("times", " to ".join(map(_time, self._times))))
        if source is not None and source.ratings is not None:
            rows.append(("ratings", _values(source.ratings)))
        if source is not None:
            rows += [("left out", f"{count:,} rows: {why}") for count, why in source.dropped] or [
                ("left out", "nothing")
            ]
        for number, (user, item, time) in enumerate(self._first):
            when = "" if time is None else f" at {_time(time)}"
            rows.append(("first" if number == 0 else "", f"user {user!r}, item {item!r}{when}"))
        return rows

    def __str__(self) -> str:
        rows = self._rows()
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {text}".rstrip() for name, text in rows)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        return html_table(self._rows(), heading=False)

    def _counts(self) -> list[str]:
        m, n = self._shape
        span = [] if self._times is None else [_span(*self._times)]
        return [f"{m:,} users", f"{n:,} items", f"{self._nnz:,} interactions", *span]

    def _of_source(self, source: Source) -> list[tuple[str, str]]:
        rows = [("file", source.path), ("format", self._format(source)), *(("note", note) for note in source.notes)]
        for number, (role, heading) in enumerate(source.headings.items()):
            how = f" ({source.evidence[role]})" if role in source.evidence else ""
            rows.append(("columns" if number == 0 else "", f"{heading} → {role}{how}"))
        return [*rows, ("ignored", shown(source.ignored, _MANY))] if source.ignored else rows

    def _format(self, source: Source) -> str:
        separated = "" if source.separator is None else f", separated by {source.separator}"
        columns = "" if source.n_columns is None else f", {source.n_columns} columns"
        return f"{source.format}{separated}{columns}{f', {source.form}' if source.form else ''}"

    def _taken(self, source: Source) -> str:
        ways = set(source.evidence.values())
        each = len(ways) > 1
        columns = [
            f"{heading} → {role}{f' ({source.evidence[role]})' if each else ''}"
            for role, heading in source.headings.items()
        ]
        how = f" ({ways.pop()})" if len(ways) == 1 else ""
        ignored = f"; ignored: {shown(source.ignored, _FEW)}" if source.ignored else ""
        return f"{self._format(source)}: {', '.join(columns)}{how}{ignored}"


def _which(repeats: str) -> str:
    return "latest" if repeats == LAST else "first"


def _span(first: Any, last: Any) -> str:
    begin, end = _time(first), _time(last)
    return f"{begin} to {end}" if begin != str(first) else f"times {begin} to {end}"


def _time(value: Any) -> str:
    for (low, high), unit in ((_SECONDS, 1), (_MILLISECONDS, 1000)):
        if low <= value < high:
            return datetime.fromtimestamp(value / unit, timezone.utc).strftime("%Y-%m-%d")
    return str(value)


def _values(counts: Mapping[float, int]) -> str:
    shown = [f"{value:g} ({count:,})" for value, count in list(counts.items())[:_VALUES]]
    more = [f"and {len(counts) - _VALUES:,} other values"] if len(counts) > _VALUES else []
    return ", ".join([*shown, *more])
