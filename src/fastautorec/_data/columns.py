"""Columns of any data frame as NumPy arrays: ids to codes, numbers, times, and the canonical matrix of id pairs."""

from __future__ import annotations

from datetime import datetime, timezone
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Codes = npt.NDArray[np.int32]

MAX_SPARE = 1 << 16  # an id range up to 4 rows + this wide is counted in a table, wider ranges are sorted


def as_array(column: Any) -> Array:
    """Return a pandas, polars or pyarrow column, or any sequence, as a 1-D array."""
    array = np.asarray(column.to_numpy() if hasattr(column, "to_numpy") else column)
    if array.ndim != 1:
        raise ValueError(f"a column must have one dimension, got shape {array.shape}")
    return array


def factorize(name: str, column: Any) -> tuple[Array, Codes]:
    """Return the distinct ids in ascending order and the position of every row's id among them.

    Parameters
    ----------
    name : str
        Column name for the messages.
    column : column of integers or strings (rows,)

    Returns
    -------
    ids : int64 or str (n,)
    codes : int32 (rows,)
    """
    if _is_polars_text(column):
        return _factorize_polars(name, column)
    # NumPy would turn the list ["a", 2] into strings without a word.
    values = as_array(np.array(column, object) if isinstance(column, (list, tuple)) else column)
    if values.dtype.kind == "f" and np.array_equal(values, np.floor(values)) and np.isfinite(values).all():
        values = values.astype(np.int64)  # integers that met a missing value on their way become floats
    if values.dtype.kind in "iu":
        return _factorize_integers(values)
    return _factorize_objects(name, values)


def numbers(name: str, column: Any) -> npt.NDArray[np.float64]:
    """Return a column of finite numbers as float64 (rows,)."""
    try:
        values = as_array(column).astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"column {name!r} must hold numbers: {error}") from None
    if not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values)))
        raise ValueError(
            f"column {name!r} must hold finite numbers, got {values[row]} in row {row}; drop such rows first"
        )
    return values


def times(name: str, column: Any) -> Array:
    """Return a column of numbers, dates or ISO 8601 texts as int64 or float64; dates as seconds since 1970."""
    if _is_polars_text(column) or as_array(column).dtype.kind in "OUT":
        texts, codes = _distinct_texts(name, column)
        return np.array([parse_time(text) for text in texts], np.float64)[codes]
    values = as_array(column)
    if values.dtype.kind in "iu":
        return values.astype(np.int64)
    if values.dtype.kind != "M":
        return numbers(name, values)
    if np.isnat(values).any():
        row = int(np.argmax(np.isnat(values)))
        raise ValueError(f"column {name!r} must hold a time in every row, got none in row {row}; drop such rows first")
    return values.astype("datetime64[us]").astype(np.int64) / 1e6


def parse_time(text: str) -> float:
    """Return a number, or an ISO 8601 date and time (UTC unless it says otherwise), as seconds since 1970."""
    try:
        return float(text)
    except ValueError:
        moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


def compact(ids: Array, codes: Codes) -> tuple[Array, Codes]:
    """Return only the ids that occur in ``codes``, and the codes among them."""
    used = np.zeros(len(ids), bool)
    used[codes] = True
    if used.all():
        return ids, codes
    return ids[used], (np.cumsum(used, dtype=np.int32) - np.int32(1))[codes]


def pair_matrix(
    rows: npt.NDArray[Any], cols: npt.NDArray[Any], shape: tuple[int, int], times: Array | None = None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], Array | None]:
    """Return the canonical CSR pattern of (row, column) pairs; a repeated pair counts once, with its latest time.

    Returns
    -------
    indptr : int64 (m + 1,)
    indices : int32 (nnz,)
    times : (nnz,) or None
    """
    key = rows.astype(np.int64)
    key *= shape[1]
    key += cols
    if not np.all(key[1:] > key[:-1]):
        if times is None:
            key = sorted_unique(key)
        else:
            order = np.argsort(key)  # ties in any order, for the latest time counts: twice as fast as a stable sort
            key, times = key[order], times[order]
            first = np.flatnonzero(np.concatenate(([True], key[1:] != key[:-1])))
            key, times = key[first], np.maximum.reduceat(times, first)
    sorted_rows = key // max(shape[1], 1)
    indptr = np.zeros(shape[0] + 1, np.int64)
    np.cumsum(np.bincount(sorted_rows, minlength=shape[0]), out=indptr[1:])
    sorted_rows *= shape[1]
    key -= sorted_rows
    return indptr, key.astype(np.int32), times


def sorted_unique(values: Array) -> Array:
    """Return the distinct values, ascending. np.unique hashes since NumPy 2.3, which is ten times slower here."""
    values = np.sort(values)
    return values[np.concatenate(([True], values[1:] != values[:-1]))] if values.size else values


def _factorize_integers(values: Array) -> tuple[Array, Codes]:
    if not values.size:
        return values.astype(np.int64), np.empty(0, np.int32)
    low, high = int(values.min()), int(values.max())
    if high - low > 4 * values.size + MAX_SPARE:
        ids, codes = np.unique(values, return_inverse=True)
        return ids, codes.astype(np.int32).ravel()
    # A table of the range replaces the sort: ids of rating files are nearly dense.
    offsets = values - values.dtype.type(low)
    used = np.zeros(high - low + 1, bool)
    used[offsets] = True
    position = np.cumsum(used, dtype=np.int32)
    position -= 1
    return np.flatnonzero(used) + low, position[offsets]


def _factorize_objects(name: str, values: Array) -> tuple[Array, Codes]:
    items: list[Any] = values.tolist()
    distinct: set[Any] = set(items)
    bad = next((x for x in distinct if isinstance(x, bool) or not isinstance(x, (str, Integral))), None)
    if bad is not None or None in distinct:
        row = next(row for row, x in enumerate(items) if x is bad)
        raise ValueError(f"column {name!r} must hold integer or string ids without gaps, got {bad!r} in row {row}")
    kinds = {isinstance(x, str) for x in distinct}
    if len(kinds) > 1:
        raise ValueError(f"column {name!r} mixes integer and string ids; convert it to one kind, for example strings")
    ids = sorted(distinct)
    code_of = {x: code for code, x in enumerate(ids)}
    codes = np.fromiter(map(code_of.__getitem__, items), np.int32, len(items))
    try:
        return (np.array(ids, np.int64) if kinds == {False} else np.array(ids, np.str_)), codes
    except OverflowError:
        raise ValueError(f"column {name!r} has integer ids beyond 64 bits, such as {ids[-1]}; use strings") from None


def _factorize_polars(name: str, column: Any) -> tuple[Array, Codes]:
    import polars as pl  # noqa: PLC0415  (its own column was given, so it is loaded already)

    if column.null_count():
        row = column.is_null().arg_max()
        raise ValueError(f"column {name!r} must hold integer or string ids without gaps, got None in row {row}")
    ids = column.unique().sort()
    codes = column.cast(pl.Enum(ids)).to_physical().to_numpy()
    return ids.to_numpy().astype(np.str_), codes.astype(np.int32)


def _distinct_texts(name: str, column: Any) -> tuple[list[str], Codes]:
    if _is_polars_text(column):
        ids, codes = _factorize_polars(name, column)
    else:
        ids, codes = _factorize_objects(name, np.array([str(x) for x in as_array(column).tolist()], object))
    return ids.tolist(), codes


def _is_polars_text(column: Any) -> bool:
    return type(column).__module__.split(".")[0] == "polars" and str(column.dtype) == "String"
