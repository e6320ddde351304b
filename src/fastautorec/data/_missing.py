"""Rows that lack a value: which they are, what is told of them, and what is left without them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastautorec.data._arrays import as_array, is_missing, shown
from fastautorec.exceptions import RatingsFileError

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]

MISSING = RAISE, DROP = ("raise", "drop")
BLANKS = "".join(character for character in map(chr, range(0x3001)) if character.isspace())
GAPS = (
    *("nan", "NaN", "NAN", "null", "NULL", "Null", "None", "none", "NONE", "NA", "N/A", "n/a", "<NA>", "NaT", "\\N"),
    *("-", "--", "?", "#N/A", "#NV", "(null)", "undefined", "nil"),
)  # texts that may stand for no value; among ids they may as well be some
NO_VALUES = frozenset(("", *GAPS))  # texts that are no number and no time
IDS = ("user", "item")
ROWS = ""  # in counts, beside the roles: all rows that lack a value
_NOUNS = {"user": "user id", "item": "item id", "timestamp": "time", "weights": "weight"}
_PLAIN = ("Int", "UInt", "Float", "Boolean", "Date", "Time", "Duration", "Decimal")  # types of polars
_ROW = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\bin row ([0-9]+)""")  # what values say is passed over

Counts = Counter[str]


class MissingError(ValueError):
    """Rows that lack a value where none may; the reader adds which file it is."""


class Whole(NamedTuple):
    """Columns without the rows that lack a value in one of them."""

    columns: dict[str, Any]
    rows: npt.NDArray[np.intp] | None  # which ones are left; None where that are all
    counts: Counts  # of the others


def is_gap(role: str, text: str) -> bool:
    """Return whether a text is no value of a role."""
    return not text if role in IDS else text.strip(BLANKS) in NO_VALUES


def noun(role: str) -> str:
    """Return what a row lacks."""
    return _NOUNS.get(role, role)


def listed(counts: Counts, headings: Mapping[str, Any]) -> str:
    """Return how many rows lack a value in each column."""
    of_columns = {str(heading): counts[role] for role, heading in headings.items() if counts[role]}
    return ", ".join(f"{count:,} in {name}" for name, count in of_columns.items())


def told(counts: Counts, n_rows: int, headings: Mapping[str, Any], what: str = "rows") -> str:
    """Return how many of all rows lack a value, and in which columns."""
    return f"{counts[ROWS]:,} of {n_rows:,} {what} lack a value: {listed(counts, headings)}"


def way_on(counts: Counts, what: str = "rows") -> str:
    """Return what to say to read the other rows, or these without what they lack."""
    others = _without(counts)
    return f"say missing='drop' to leave such {what} out{f', or {others}' if others else ''}"


def _without(counts: Counts) -> str:
    """Return how to read no ratings or times, where nothing else is missing that is asked for."""
    lacking = [role for role, count in counts.items() if count and role != ROWS]
    if not set(lacking) <= {"rating", "timestamp"}:
        return ""
    said, nouns = " and ".join(f"{role}=False" for role in lacking), " and ".join(f"{noun(role)}s" for role in lacking)
    return f"{said} to read no {nouns}"


def require_some(
    what: object, left: int, counts: Counts, headings: Mapping[str, Any], failure: type[ValueError] = RatingsFileError
) -> None:
    """Raise where every row of a file or a table lacks a value."""
    if counts[ROWS] and not left:
        others = _without(counts)
        raise failure(
            f"{what}: `missing`={DROP!r} leaves nothing, for all {counts[ROWS]:,} rows lack a value: "
            f"{listed(counts, headings)}; name other columns{f', or say {others}' if others else ''}"
        )


def whole_rows(
    columns: dict[str, Any], headings: Mapping[str, Any], missing: str, place: Callable[[int], str]
) -> Whole:
    """Return the columns of the roles without the rows that lack a value in one of them.

    Raises
    ------
    MissingError
        Where there are such rows and ``missing`` is "raise".
    """
    lacks = {role: lacking(role, headings[role], column) for role, column in columns.items()}
    if not any(mask.any() for mask in lacks.values()) or len(set(map(len, lacks.values()))) > 1:
        return Whole(columns, None, Counter())  # columns of several lengths are refused in other words
    some = np.logical_or.reduce(list(lacks.values()))
    counts = Counter({ROWS: int(some.sum()), **{role: int(mask.sum()) for role, mask in lacks.items()}})
    if missing == RAISE:
        row = int(np.argmax(some))
        role = next(role for role, mask in lacks.items() if mask[row])
        wanted, given = ("an " if role == "item" else "a ") + noun(role), _shown_at(columns[role], row)
        raise MissingError(
            f"column {headings[role]!r} must hold {wanted} in every row, got {given} in {place(row)} "
            f"({told(counts, len(some), headings)}); {way_on(counts)}"
        )
    return Whole({role: _chosen(column, ~some) for role, column in columns.items()}, np.flatnonzero(~some), counts)


def lacking(role: str, name: Any, column: Any) -> Mask:
    """Return which rows of a column have no value."""
    kind = str(getattr(column, "dtype", ""))
    if type(column).__module__.partition(".")[0] == "polars" and (kind.startswith(_PLAIN) or kind == "String"):
        gaps = column.is_null()
        if kind.startswith("Float"):
            gaps = gaps | column.is_nan().fill_null(value=True)
        elif kind == "String":
            texts = column if role in IDS else column.str.strip_chars(BLANKS)
            gaps = gaps | texts.is_in([""] if role in IDS else sorted(NO_VALUES)).fill_null(value=True)
        return np.asarray(gaps.to_numpy(), bool)
    if role in IDS and type(column).__module__.startswith("pyarrow") and str(column.type) in ("string", "large_string"):
        from pyarrow import compute  # noqa: PLC0415  (its own column was given, so it is loaded already)

        return np.asarray(compute.fill_null(compute.equal(column, ""), True).to_numpy(zero_copy_only=False), bool)
    values = _array(name, column)
    if values.dtype.kind == "f":
        return np.isnan(values)
    if values.dtype.kind in "mM":
        return np.isnat(values)
    if values.dtype.kind not in "OUT":
        return np.zeros(len(values), bool)
    gaps = (is_missing(value) or (isinstance(value, str) and is_gap(role, value)) for value in values.tolist())
    return np.fromiter(gaps, bool, len(values))


def _chosen(column: Any, rows: Mask) -> Any:
    """Return some rows of a column, as a column of the same kind: another may not hold its values exactly."""
    package = type(column).__module__.partition(".")[0]
    if package in ("polars", "pyarrow"):
        try:
            return column.filter(rows)
        except NotImplementedError:  # of Arrow, for texts as views and for run-end encoding
            return np.array(column.to_pylist(), object)[rows]
    if package in ("pandas", "numpy"):
        return column[rows]
    return _array("", column)[rows]


def _shown_at(column: Any, row: int) -> str:
    """Return a value that is none, for a message."""
    value = next(iter(_chosen(column, np.arange(len(column)) == row)))
    return shown(value.as_py() if hasattr(value, "as_py") else value)  # pyarrow has scalars of its own


def _array(name: Any, column: Any) -> Array:
    """Return a column as an array; of a list it is one of objects, for NumPy would make one kind of them."""
    return as_array(str(name), np.array(column, object) if isinstance(column, (list, tuple)) else column)


def with_places(place: Callable[[int], str], error: Exception) -> str:
    """Return what an error says of rows, with the places that they have where they were read."""

    def moved(found: re.Match[str]) -> str:
        return found[0] if found[1] is None else f"in {place(int(found[1]))}"

    return _ROW.sub(moved, str(error))
