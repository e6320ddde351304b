"""Interactions out of a data frame: which column is what, by the words of the caller or by name, and what is in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastautorec._checks import check_real, kind
from fastautorec.data import _columns as columns
from fastautorec.data import _doubtful as doubtful
from fastautorec.data import _evidence as evidence
from fastautorec.data import _headings as headings
from fastautorec.data import _naming as naming
from fastautorec.data._description import Source
from fastautorec.data._missing import DROP, RAISE, MissingError, require_some, whole_rows, with_places
from fastautorec.data._roles import ROLES, SOUGHT, Words, find_roles

Ids = tuple[npt.NDArray[Any], columns.Codes]


class Table(NamedTuple):
    """The columns of a data frame, None where it has none, and what was taken for what."""

    users: Ids
    items: Ids
    ratings: npt.NDArray[Any] | None
    times: npt.NDArray[Any] | None
    weights: npt.NDArray[np.float32] | None
    source: Source


def read_table(df: Any, words: Words, threshold: float | None) -> Table:
    """Read a data frame; what is not said of its columns is looked for where the user or the item is not said."""
    names = naming.column_names(df)
    said = words.given()
    evidence_of: Mapping[str, str] = dict.fromkeys(said, "given")
    if not {"user", "item"} <= said.keys():
        said, evidence_of = _by_name(names, said)
    wanted = {role: word for role, word in said.items() if word is not False or role not in SOUGHT[2:]}
    for role, name in wanted.items():
        naming.require_column(names, role, name)
    headings_of = {role: str(wanted[role]) for role in ROLES if role in wanted}
    evidence_of = {role: evidence_of[role] for role in headings_of}
    source = Source(kind(df), "table", None, len(names), headings_of, evidence_of)
    source.ignored = [str(name) for name in names if name not in wanted.values()]
    if naming.is_lazy(df):
        df = df.select(list(dict.fromkeys(wanted.values()))).collect()
    given = {role: df[name] for role, name in wanted.items()}
    if isinstance(df, Mapping):
        _check_same_rows(wanted, given)
    place: Callable[[int], str] = "row {}".format
    if words.missing == DROP:
        whole = whole_rows(given, wanted, DROP, place)
        if whole.rows is not None:
            require_some(source.path, len(whole.rows), whole.counts, wanted, ValueError)
            source.take_missing(whole.counts)
            given, rows = whole.columns, whole.rows
            place = lambda row: f"row {rows[row]}"  # noqa: E731
    try:
        return _read_columns(wanted, given, threshold, source, place)
    except ValueError as error:
        if type(error) is not ValueError:
            raise
        raise ValueError(_missing_in(given, wanted) or with_places(place, error)) from None


def _missing_in(given: dict[str, Any], wanted: dict[str, Any]) -> str:
    """Return what to say of rows that lack a value; nothing where none does."""
    try:
        whole_rows(given, wanted, RAISE, "row {}".format)
    except MissingError as error:
        return str(error)
    except (ValueError, TypeError):  # of a column that is none, as is told already
        pass
    return ""


def _read_columns(
    wanted: dict[str, Any],
    given: dict[str, Any],
    threshold: float | None,
    source: Source,
    place: Callable[[int], str],
) -> Table:
    ratings = columns.numbers(wanted["rating"], given["rating"]) if "rating" in wanted else None
    times = columns.times(wanted["timestamp"], given["timestamp"]) if "timestamp" in wanted else None
    if times is not None and source.evidence["timestamp"] == "by name":
        first = [[str(value)] for value in times[: evidence.LOOK].tolist()]
        evidence.check_hours(wanted["timestamp"], 0, first)
    found = [columns.factorize(wanted[role], given[role]) for role in ("user", "item")]
    for role, ids in zip(("user", "item"), found, strict=True):
        doubtful.check_lists(role, wanted[role], ids[0])
        doubtful.check_gaps(role, *ids, place)
        doubtful.check_floats(role, ids[0])
    weights = None
    if "weights" in wanted:
        with np.errstate(over="ignore"):  # narrow ratings may not reach the threshold
            counted = None if threshold is None or ratings is None else ratings >= check_real("threshold", threshold)
        weights = naming.checked_weights(wanted["weights"], given["weights"], counted)
    return Table(found[0], found[1], ratings, times, weights, source)


def _check_same_rows(names: dict[str, Any], given: dict[str, Any]) -> None:
    """Raise where columns in a dict have indexes that differ: their rows go by them, or by position."""
    indexed = [role for role, column in given.items() if hasattr(getattr(column, "index", None), "equals")]
    for role in indexed[1:]:
        if not given[role].index.equals(given[indexed[0]].index):
            raise ValueError(
                f"columns {names[indexed[0]]!r} and {names[role]!r} must have the same index, got two that differ; "
                "make a data frame of them, which joins them by it, or pass column.to_numpy() where rows go by position"
            )


def _by_name(names: list[Any], said: dict[str, Any]) -> tuple[dict[str, Any], Mapping[str, str]]:
    """Return the column of each role that was said or found by its name, and which of the two."""
    for role, name in said.items():
        if name is not False or role not in SOUGHT[2:]:
            naming.require_column(names, role, name)
    texts = [str(name) for name in names]
    positions: dict[str, Any] = {role: name if name is False else names.index(name) for role, name in said.items()}
    roles = find_roles(texts, len(texts), Words(**positions), "Interactions.from_dataframe(df")
    headings.check_headings(texts, roles, None)
    return {role: names[i] for role, i in roles.position.items()}, roles.evidence
