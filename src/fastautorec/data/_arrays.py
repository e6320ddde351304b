"""Columns of any data frame as NumPy arrays, and what is missing in them."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Set
from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec._checks import kind

Array = npt.NDArray[Any]


def as_array(name: str, column: Any) -> Array:
    """Return a pandas, polars or pyarrow column, or any sequence, as a 1-D array in the machine's byte order."""
    if isinstance(column, (Set, Mapping)):
        raise TypeError(f"`{name}` must be a column or a list, got a {kind(column)}; pass list(...) in an order")
    array = _as_numpy(column)
    if array.ndim == 0:
        hint = "; call collect() first" if hasattr(column, "collect") else ""
        raise TypeError(f"`{name}` must be a column or a list, got {kind(column)}{hint}")
    if array.ndim != 1:
        raise ValueError(
            f"`{name}` must be a column with one dimension, got shape {array.shape}; make one row of each of its values"
        )
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _as_numpy(column: Any) -> Array:
    package = type(column).__module__.partition(".")[0]
    if isinstance(column, np.ma.MaskedArray) and np.ma.is_masked(column):
        values = column.data.astype(object)
        values[np.ma.getmaskarray(column)] = None  # whatever stands under the mask is no value
        return np.asarray(values)
    if package == "pyarrow" and hasattr(column, "type"):
        if hasattr(column.type, "value_type") and hasattr(column.type, "index_type"):  # several chunks lose their gaps
            column = column.cast(column.type.value_type)
        if not hasattr(column, "chunks"):  # one piece, which by itself would be taken without a copy only
            column = column.to_numpy(zero_copy_only=False)
    elif package == "pandas" and type(getattr(column, "dtype", None)).__name__ == "DatetimeTZDtype":
        return np.asarray(column.to_numpy(f"M8[{column.dtype.unit}]"))  # UTC, as times are; else an object for each
    elif is_polars(column, "Int128", "UInt128"):
        column = np.array(column.to_list(), object)
    try:
        return np.asarray(column.to_numpy() if hasattr(column, "to_numpy") else column)
    except ValueError:  # lists in a list
        return np.asarray(column, object)


def is_polars(column: Any, *dtypes: str) -> bool:
    """Return whether a column is one of polars, of one of these types."""
    return type(column).__module__.partition(".")[0] == "polars" and str(getattr(column, "dtype", "")) in dtypes


def is_missing(value: Any) -> bool:
    """Return whether a value stands for none: None, NaN, NaT and pandas' NA."""
    if value is None or value is np.ma.masked or type(value).__name__ == "NAType":
        return True
    try:
        return bool(value != value)  # noqa: PLR0124  (NaN and NaT)
    except Exception:  # whatever the comparison of a foreign type raises
        return False


def shown(value: Any) -> str:
    """Return a value for messages: short, and with its type where it is not plain."""
    if isinstance(value, (np.datetime64, np.timedelta64)):
        return str(value)
    if isinstance(value, np.generic):
        value = value.item()
    plain = isinstance(value, (str, int, float, bytes)) or is_missing(value)
    return reprlib.repr(value) if plain else f"{reprlib.repr(value)} ({kind(value)})"


def is_polars_failure(error: BaseException) -> bool:
    """Return whether polars could not do something: its panics are no `Exception`."""
    return type(error).__name__ == "PanicException" or type(error).__module__.startswith("polars")
