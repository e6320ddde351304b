"""Readers of rating files of every format: polars where it is installed, else plain Python, with the same results."""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from fastautorec.data import _columns as columns
from fastautorec.data import _delimited as delimited
from fastautorec.data import _evidence as evidence
from fastautorec.data import _headings as headings
from fastautorec.data import _lists as lists
from fastautorec.data import _netflix as netflix
from fastautorec.data import _parquet as parquet
from fastautorec.data import _plain as plain
from fastautorec.data._description import Source
from fastautorec.data._layouts import find_format, find_layout
from fastautorec.data._missing import DROP, with_places
from fastautorec.data._roles import NUMBERS, ROLES, Words
from fastautorec.data._separators import separator_name
from fastautorec.exceptions import RatingsFileError

NEVER_PLAY_AGAIN = 255.0  # Yahoo! R1 marks a dislike so; other ratings are 0 to 100
_POLARS = importlib.util.find_spec("polars") is not None
_NETFLIX_NAMES = ("user", "item", "rating", "timestamp")


class Columns(NamedTuple):
    """The columns of a rating file; rating, timestamp and weights are None where the file has none."""

    user: Any
    item: Any
    rating: Any
    timestamp: Any
    weights: Any
    lonely: Any  # users who are named without any item; None where a file cannot name such
    source: Source
    unquoted: bool  # whether quotation marks are part of the ids
    place: Callable[[int], str]  # names a row for a message


def read_columns(path: Any, requested: str, words: Words) -> Columns:
    """Read a rating file of any format, or one part of a data set; see `fastautorec.read_ratings`."""
    words.check()
    kind = "parquet" if isinstance(path, parquet.Part) else find_format(path, requested, words)
    if words.weights is not None and kind in ("netflix", "lists"):
        raise ValueError(f"`weights` must name a column, but {path} is of the format {kind!r}, which has none for them")
    found: dict[str, Any]
    unquoted = False
    place: Callable[[int], str] = partial(parquet.row_of_file, path)
    if kind == "parquet":
        found, roles, names = parquet.read_parquet(path, words, _POLARS)
        place = found.pop("place", place)
        source = Source(str(path), "parquet", None, len(names), _headings(names, roles.position), roles.evidence)
        source.ignored = _others(names, len(names), roles.position)
    elif kind == "netflix":
        found = netflix.read_netflix(path, _POLARS, words.missing == DROP)
        source = Source(str(path), "netflix", None, None, {role: role for role in _NETFLIX_NAMES}, {}, times="dates")
    elif kind == "lists":
        found = lists.read_lists(path)
        source = Source(str(path), "lists", "blanks", None, {"user": "the first", "item": "each other"}, {})
        unquoted = True
    else:
        layout = find_layout(path, requested, words)
        try:
            found, place = delimited.read_delimited(path, layout, _POLARS)
        except plain.DecimalComma:  # the first one of the file
            layout = replace(layout, decimal_comma=True)
            found, place = delimited.read_delimited(path, layout, _POLARS)
        unquoted = layout.separator in plain.UNQUOTED
        form = "decimal comma" if layout.decimal_comma else ""
        times = None if layout.dates is None else "dates" if layout.dates else "numbers"
        source = Source(
            str(path),
            "text",
            separator_name(layout.separator),
            layout.n_fields,
            layout.headings,
            layout.evidence,
            form,
            times=times,
        )
        source.ignored = _others(layout.names, layout.n_fields, layout.position)
        source.numeric = [_heading(layout.names, i) for i in layout.numeric]
        source.rated = [_heading(layout.names, i) for i in layout.rated]
    source.take_missing(found.pop("lacking", Counter()))
    try:
        if kind == "parquet" and "timestamp" in found:
            source.times = columns.time_kind(source.headings["timestamp"], found["timestamp"])
        for role, convert in (*((role, columns.numbers) for role in NUMBERS), ("timestamp", columns.times)):
            if role in found and kind == "parquet":  # the others are converted line by line
                found[role] = convert(source.headings[role], found[role])
        if kind == "parquet":
            headings.check_headings(names, roles, None)
        if kind == "parquet" and source.evidence.get("timestamp") == "by name":
            first = found["timestamp"][: evidence.LOOK].tolist()
            evidence.check_hours(source.headings["timestamp"], 0, [[str(value)] for value in first])
    except ValueError as error:
        raise RatingsFileError(f"{path}: {with_places(place, error)}") from None
    if "rating" in found and _drop_never_play_again(found, requested, source):
        place = "row {}".format  # rows have other numbers now
    return Columns(
        **{role: found.get(role) for role in (*ROLES, "lonely")}, source=source, unquoted=unquoted, place=place
    )


def _heading(names: Any, i: int) -> str:
    return f"column {i}" if names is None else names[i]


def _headings(names: Any, position: dict[str, int]) -> dict[str, str]:
    return {role: _heading(names, i) for role, i in position.items()}


def _others(names: Any, n_fields: int, position: dict[str, int]) -> list[str]:
    return [_heading(names, i) for i in range(n_fields) if i not in position.values()]


def _drop_never_play_again(found: dict[str, Any], requested: str, source: Source) -> bool:
    """Leave out rows of rating 255 where the format says so, or nothing but the ratings themselves tells what they are.

    Return whether rows were left out.

    A column that has a name, or was named by the caller, may hold anything from 0 to 255: there it is only said.
    """
    ratings = found["rating"]
    if not len(ratings) or ratings.max() != NEVER_PLAY_AGAIN:
        return False
    kept = ratings != NEVER_PLAY_AGAIN
    others = ratings[kept]
    alike = len(others) and others.min() >= 0 and others.max() <= 100 and np.array_equal(others, np.floor(others))
    if requested == "yahoo" or (alike and source.evidence.get("rating") == "by position"):
        for role, values in found.items():
            found[role] = values.filter(kept) if hasattr(values, "filter") else columns.as_array(role, values)[kept]
        source.dropped.append((len(ratings) - len(others), 'the rating 255, Yahoo!\'s "never play again"'))
        return True
    if alike:
        count = len(ratings) - len(others)
        source.notes.append(
            f"{count:,} ratings of 255 stand beside ratings up to {others.max():g}; if they are Yahoo!'s \"never play "
            'again", say format="yahoo"'
        )
    return False
