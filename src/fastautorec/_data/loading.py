"""From a rating file to interactions, with an account of what was taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fastautorec._data import columns
from fastautorec._data.interactions import Interactions
from fastautorec._data.readers import read_columns
from fastautorec._data.roles import Words
from fastautorec._validation import check_real
from fastautorec.exceptions import RatingsFileError


def load(
    path: Path,
    form: str,
    threshold: float | None,
    words: Words,
    items: Any = None,
    *,
    count_ratings: bool = False,
) -> Interactions:
    """Read a rating file; see `fastautorec.read_ratings`."""
    found = read_columns(path, form, words)
    source, n_rows = found.source, len(found.user)
    if threshold is not None:
        if found.rating is None:
            raise ValueError(f"`threshold` needs ratings, but {path} has none; leave `threshold` out")
        low = int(np.count_nonzero(found.rating < check_real("threshold", threshold)))
        source.dropped.append((low, f"ratings below {threshold:g}"))
        n_rows -= low
    if count_ratings and found.rating is not None:
        values, counts = np.unique(found.rating, return_counts=True)
        source.ratings = dict(zip(values.tolist(), counts.tolist(), strict=True))
    try:
        users = columns.factorize(source.headings["user"], _with_lonely(found.user, found.lonely))
        items_found = columns.factorize(source.headings["item"], found.item)
    except ValueError as error:
        raise RatingsFileError(f"{path}: {error}") from None
    ids, rows = users
    ratings, times = None if threshold is None else found.rating, found.timestamp
    rows = rows[: len(found.item)]
    del found  # before the matrix takes its memory
    data = Interactions._from_columns((ids, rows), items_found, ratings, times, threshold)
    source.repeated = n_rows - data.nnz
    if items is not None:
        known = data.with_items(items)
        source.dropped.append((data.nnz - known.nnz, "items that `items` does not name"))
        data = known
    data._source = source
    return data


def _with_lonely(users: Any, lonely: Any) -> Any:
    """Return the ids of users with items and, behind them, those without."""
    if lonely is None or not len(lonely):
        return users
    if users.dtype.kind == lonely.dtype.kind == "i":
        return np.concatenate((users, lonely))
    return np.array([str(user) for user in (*users.tolist(), *lonely.tolist())], object)
