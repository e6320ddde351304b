"""Columns of ids: which ids there are, and which one each row has. Exactly, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from numbers import Integral
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from fastautorec.data import _texts as texts
from fastautorec.data._arrays import as_array, is_missing, is_polars, is_polars_failure, shown

Array = npt.NDArray[Any]
Codes = npt.NDArray[np.int32]

MAX_SPARE = 1 << 16  # an id range up to 4 rows + this wide is counted in a table, wider ranges are sorted
INT64 = np.iinfo(np.int64)


def factorize(name: str, column: Any) -> tuple[Array, Codes]:
    """Return the distinct ids in ascending order and the position of every row's id among them.

    Parameters
    ----------
    name : str
        Column name for the messages.
    column : column of integers or strings (rows,)
        Floats and decimals that are whole numbers are integers, where no other integer could be meant.

    Returns
    -------
    ids : int64 or text (n,)
    codes : int32 (rows,)

    Raises
    ------
    ValueError
        For a missing id, or else the first one that is neither an integer nor a text; with its row.
    """
    ids, codes = coded(name, column)
    if texts.is_text(ids) and len(ids) and not ids[0]:
        row = int(np.argmin(codes))
        raise ValueError(
            f"column {name!r} must hold integer or string ids without gaps, got an empty text in row {row}, which "
            "names no user or item; drop such rows first, or give them an id"
        )
    return ids, codes


def whole_numbers(name: str, column: Any) -> Array:
    """Return a column of ids as an array that others can be joined to: floats, by their own precision, as integers."""
    values = as_array(name, column)
    return _whole_numbers(name, values) if values.dtype.kind == "f" else values


def coded(name: str, column: Any) -> tuple[Array, Codes]:
    """Return the same for a column in which an empty text is one like any other."""
    if is_polars(column, "String"):
        try:
            return _factorize_polars(name, column)
        except BaseException as error:  # without threads or descriptors to be had, polars panics from then on
            if not is_polars_failure(error):
                raise
            column = column.to_list()
    # NumPy would turn the list ["a", 2] into strings without a word.
    values = as_array(name, np.array(column, object) if isinstance(column, (list, tuple)) else column)
    if values.dtype.kind in "iu":
        return _factorize_integers(name, values)
    if values.dtype.kind == "f":
        return _factorize_integers(name, _whole_numbers(name, values))
    if values.dtype.kind in "UTO":
        return _factorize_objects(name, values)
    missing = np.isnat(values) if values.dtype.kind in "mM" else np.zeros(len(values), bool)
    if len(values):
        _refuse(name, int(np.argmax(missing)), values[np.argmax(missing)])
    return np.empty(0, np.int64), np.empty(0, np.int32)


def _refuse(name: str, row: int, value: Any) -> NoReturn:
    """Raise for a value that is no id, with the way on."""
    if is_missing(value):
        fix = "drop such rows first, or give them an id"
    elif isinstance(value, (bytes, bytearray)):
        fix = "decode the column first, for example [x.decode() for x in column]"
    elif isinstance(value, (float, np.floating, Decimal)):
        fix = "convert the column to integers where it is made, or to strings"
    elif isinstance(value, (bool, np.bool_)):
        fix = "True and False name nothing; give the names"
    elif isinstance(value, int):
        fix = "integers beyond 64 bits (signed) can be ids as strings: [str(x) for x in column]"
    elif isinstance(value, (list, tuple, set, dict, np.ndarray)):
        fix = "make one row of each of its values first (explode in pandas and polars)"
    else:
        fix = "convert the column to strings: [str(x) for x in column]"
    raise ValueError(
        f"column {name!r} must hold integer or string ids without gaps, got {shown(value)} in row {row}; {fix}"
    )


def _float_limit(dtype: np.dtype[Any]) -> float:
    """Return the number from which on neighbouring integers are one float of this type, such as 2**53."""
    return float(2.0 ** min(np.finfo(dtype).nmant + 1, 63))


def _whole_numbers(name: str, values: Array) -> Array:
    """Return floats that are whole numbers as integers, such as those that met a missing value on their way."""
    limit = _float_limit(values.dtype)
    if len(values) and not (
        values.min() > -limit and values.max() < limit and np.array_equal(values, np.floor(values))
    ):
        missing = np.isnan(values)
        with np.errstate(invalid="ignore"):
            bad = missing if missing.any() else (values != np.floor(values)) | (np.abs(values) >= limit)
        row = int(np.argmax(bad))
        _refuse(name, row, float(values[row]))
    return values.astype(np.int64)


def _factorize_integers(name: str, values: Array) -> tuple[Array, Codes]:
    if not values.size:
        return values.astype(np.int64), np.empty(0, np.int32)
    low, high = int(values.min()), int(values.max())
    if high > INT64.max:
        row = int(np.argmax(values > np.uint64(INT64.max)))
        _refuse(name, row, int(values[row]))
    if high - low > 4 * values.size + MAX_SPARE:
        ids, codes = np.unique(values, return_inverse=True)
        return ids.astype(np.int64), codes.astype(np.int32).ravel()
    # A table of the range replaces the sort: ids of rating files are nearly dense. The distance from the lowest id
    # always fits the unsigned type of the same width, where the subtraction wraps around to it.
    unsigned = np.dtype(f"u{values.itemsize}")
    offsets = values.view(unsigned) - unsigned.type(low % (1 << 8 * values.itemsize))
    if high - low < 1 << 8 * values.itemsize - 1:
        offsets = offsets.view(f"i{values.itemsize}")  # by signed integers, indexing is faster
    used = np.zeros(high - low + 1, bool)
    used[offsets] = True
    position = np.cumsum(used, dtype=np.int32)
    position -= 1
    return np.flatnonzero(used) + np.int64(low), position[offsets]


def _factorize_objects(name: str, values: Array) -> tuple[Array, Codes]:
    items: list[Any] = values.tolist()
    try:
        distinct = set(items)
    except TypeError:  # lists, for example
        distinct = set()
    if distinct and set(map(type, distinct)) <= {str}:
        return _factorize_texts(name, items, distinct)
    kinds = set(map(type, items))  # the kind of each, as True is 1 in a set
    if not kinds <= {int}:
        items = _exact(name, items)
        kinds = set(map(type, items))
    if len(kinds) > 1:
        text = next(x for x in items if isinstance(x, str))
        number = next(x for x in items if not isinstance(x, str))
        raise ValueError(
            f"column {name!r} mixes integer and string ids, such as {number} and {text!r}; convert it to one kind, for "
            "example strings"
        )
    if kinds != {int}:
        return _factorize_texts(name, items, set(items))
    try:
        return _factorize_integers(name, np.array(items, np.int64))
    except OverflowError:
        row = next(row for row, x in enumerate(items) if not INT64.min <= x <= INT64.max)
        _refuse(name, row, items[row])


def _exact(name: str, items: list[Any]) -> list[Any]:
    """Return every value as an int or a str; refuse the first that is missing, else the first that is neither."""
    result = [_as_id(x) for x in items]
    bad = [row for row, x in enumerate(result) if x is None]
    if bad:
        row = next((row for row in bad if is_missing(items[row])), bad[0])
        _refuse(name, row, items[row])
    return result


def _as_id(value: Any) -> int | str | None:
    if isinstance(value, str):
        return str.__str__(value)  # not what a subclass, such as a member of an enumeration, prints
    if isinstance(value, (bool, np.bool_)):
        return None
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Decimal):
        return int(value) if value.is_finite() and value == value.to_integral_value() else None
    if isinstance(value, (float, np.floating)):
        exact = float(value).is_integer() and abs(value) < _float_limit(np.asarray(value).dtype)
        return int(value) if exact else None
    return None


def _factorize_texts(name: str, items: list[str], occurring: set[str]) -> tuple[Array, Codes]:
    distinct = sorted(occurring)
    _check_texts(name, distinct, items.index)
    code_of = {x: code for code, x in enumerate(distinct)}
    codes = np.fromiter(map(code_of.__getitem__, items), np.int32, len(items))
    return _text_array(name, distinct), codes


def _factorize_polars(name: str, column: Any) -> tuple[Array, Codes]:
    import polars as pl  # noqa: PLC0415  (its own column was given, so it is loaded already)

    if column.null_count():
        _refuse(name, column.is_null().arg_max(), None)
    ids = column.unique().sort()
    codes = column.cast(pl.Enum(ids)).to_physical().to_numpy()
    distinct = ids.to_list()
    _check_texts(name, distinct, lambda text: (column == text).arg_max())
    return _text_array(name, distinct), codes.astype(np.int32)


def _check_texts(name: str, distinct: list[str], row_of: Callable[[str], int]) -> None:
    found = texts.fault(distinct)
    if found is not None:
        place, reason = found
        raise ValueError(
            f"column {name!r} must hold texts that files can keep, got {distinct[place]!r} with {reason} in row "
            f"{row_of(distinct[place])}; replace it first"
        )


def _text_array(name: str, distinct: list[str]) -> Array:
    try:
        return texts.text_array(distinct)
    except ValueError as error:
        raise ValueError(f"column {name!r}: {error}") from None
