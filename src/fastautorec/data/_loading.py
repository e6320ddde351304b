"""Loading of a rating file into interactions, with an account of what was taken."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from fastautorec._checks import check_real
from fastautorec.data import _columns as columns
from fastautorec.data import _doubtful as doubtful
from fastautorec.data import _identity as identity
from fastautorec.data import _naming as naming
from fastautorec.data._description import Source
from fastautorec.data._interactions import Interactions
from fastautorec.data._missing import with_places
from fastautorec.data._parquet import Part
from fastautorec.data._readers import Columns, read_columns
from fastautorec.data._roles import Words, untyped
from fastautorec.exceptions import RatingsFileError


def load(
    path: Path | Part,
    form: str,
    threshold: float | None,
    words: Words,
    items: Any = None,
    *,
    count_ratings: bool = False,
) -> Interactions:
    """Read a rating file, or one part of a data set; see `fastautorec.read_ratings`."""
    if items is not None:
        identity.check_ids("items", items, identity.ITEMS)
    found = read_columns(path, form, words)
    source, n_rows, counted = found.source, len(found.user), None
    source.n_whole = n_rows
    if threshold is not None:
        if found.rating is None:
            raise ValueError(f"`threshold` needs ratings, but {path} {_how_to_rate(source)}")
        with np.errstate(over="ignore"):  # narrow ratings may not reach the threshold
            counted = np.asarray(found.rating >= check_real("threshold", threshold))
    n_rows = source.take_ratings(found.rating, threshold, n_rows)
    if count_ratings and found.rating is not None:
        values, counts = np.unique(found.rating, return_counts=True)
        source.ratings = dict(zip(values.tolist(), counts.tolist(), strict=True))
    try:
        users = _factorized(found, "user", _with_lonely(found.user, found.lonely))
        items_found = _factorized(found, "item", found.item)
        for role, ids_and_codes in (("user", users), ("item", items_found)):
            if found.unquoted:
                doubtful.check_quoted_ids(role, ids_and_codes[0], f"{path}: ")
            doubtful.check_lists(role, source.headings[role], ids_and_codes[0])
            # of a few row groups only all of them together can tell whether the others are integers
            refuse = getattr(path, "groups", None) is None
            source.gaps[role] = doubtful.check_gaps(role, *ids_and_codes, found.place, f"{path}: ", refuse)
            doubtful.check_floats(role, ids_and_codes[0], f"{path}: ")
    except ValueError as error:
        raise RatingsFileError(f"{path}: {error}") from None
    weights = _weights(path, found, counted)
    ids, rows = users
    ratings, times = None if threshold is None else found.rating, found.timestamp
    rows = rows[: len(found.item)]
    del found  # before the matrix takes its memory
    if counted is not None and getattr(path, "groups", None) is not None and not counted.any():
        # nothing of a few row groups may count, as long as something of the file does
        rows, items_found = rows[:0], (items_found[0], items_found[1][:0])
        ratings, times, weights = (None if its is None else its[:0] for its in (ratings, times, weights))
    try:
        parts = (ids, rows), items_found, ratings, times, threshold, weights
        data = Interactions._from_columns(*parts, words.repeats)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    source.repeated, source.repeats = n_rows - data.nnz, words.repeats
    if items is not None:
        known = data._with(identity.ITEMS, items)
        if data.nnz and not known.nnz:
            why = "it is empty"
            if len(known.item_ids):
                why = identity.differing(identity.ITEMS, "the file", data.item_ids, "`items`", known.item_ids)
            raise ValueError(f"`items` names none of the items of {path}: {why}")
        source.dropped.append((data.nnz - known.nnz, "items that `items` does not name"))
        data = known
    data._source = source
    return data


def _factorized(found: Columns, role: str, column: Any) -> tuple[Any, Any]:
    """Return the distinct ids, and the place of each row among them."""
    try:
        return columns.factorize(found.source.headings[role], column)
    except ValueError as error:
        raise ValueError(with_places(found.place, error)) from None


def _weights(path: Path | Part, found: Columns, counted: Any) -> Any:
    """Return the weights, which must be above 0 in the rows that are counted; None where the file has none."""
    if found.weights is None:
        return None
    try:
        return naming.checked_weights(found.source.headings["weights"], found.weights, counted, found.place)
    except ValueError as error:
        raise RatingsFileError(f"{path}: {error}") from None


def _how_to_rate(source: Source) -> str:
    """Return what to say where ratings are asked for and no column is known to hold them."""
    if "weights" in source.headings:
        return "has no column for them beside that of the weights; say rating=COLUMN, which may be the same one"
    if not source.ignored:
        return "has no column for them; threshold=None takes every row"
    likely = source.numeric or []
    one = source.rated[0] if len(source.rated) == 1 else ""
    place = re.fullmatch("column ([0-9]+)", one)
    name = place[1] if place else repr(untyped(one)) if one else "COLUMN"
    maybe = "; say" if source.rated else "; if another one does, say"
    first = ", ".join([*likely, *(other for other in source.ignored if other not in likely)][:10])
    more = f" and {len(source.ignored) - 10} more" if len(source.ignored) > 10 else ""
    return f"has no column that is known to hold them{maybe} rating={name} (columns not used: {first}{more})"


def _with_lonely(users: Any, lonely: Any) -> Any:
    """Return the ids of users with items and, behind them, those without."""
    if lonely is None or not len(lonely):
        return users
    if users.dtype.kind == lonely.dtype.kind == "i":
        return np.concatenate((users, lonely))
    return np.array([str(user) for user in (*users.tolist(), *lonely.tolist())], object)
