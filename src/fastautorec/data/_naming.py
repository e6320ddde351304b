"""Names given by the user: columns of data frames, ids of rows and columns, the entry that a time belongs to."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Hashable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from fastautorec._checks import kind
from fastautorec._compute.csr import Csr
from fastautorec._compute.inputs import check_arrays, finite_float32
from fastautorec.data import _columns as columns
from fastautorec.data import _texts as texts
from fastautorec.data._repeats import Repeats, repeats_of

_MAX_SUGGEST = 100_000  # beyond so many ids, looking for a similar name takes too long


def column_names(df: Any) -> list[Any]:
    """Return the names of the columns of a data frame.

    Raises
    ------
    TypeError
        For what is none.
    """
    if isinstance(df, np.ndarray) and df.dtype.names is None:
        raise TypeError(
            f"`df` must be a data frame or a dict of columns, got an array without names of columns, of shape "
            f"{df.shape}; pass a dict such as {{'user': array[:, 0], 'item': array[:, 1]}}"
        )
    if is_lazy(df):
        return list(df.collect_schema().names())
    if hasattr(df, "collect") or not hasattr(df, "__getitem__") or isinstance(df, (str, bytes, list, tuple)):
        hint = "; convert it first, for example with toPandas()" if hasattr(df, "collect") else ""
        raise TypeError(f"`df` must be a data frame or a dict of columns, got {kind(df)}{hint}")
    if isinstance(df, np.ndarray):
        return list(df.dtype.names or ())
    return list(getattr(df, "column_names", None) or getattr(df, "columns", df))


def is_lazy(df: Any) -> bool:
    """Return whether a data frame is a query of polars that has not run."""
    return type(df).__name__ == "LazyFrame" and hasattr(df, "collect_schema")


def require_column(known: list[Any], argument: str, name: Any) -> None:
    """Raise unless a data frame has the column that ``argument`` names."""
    if not isinstance(name, Hashable):
        raise TypeError(f"`{argument}` must be the name of a column of `df`, got {kind(name)}")
    if name not in known:
        raise ValueError(f"`{argument}` must name a column of `df`, got {name!r}; it has {', '.join(map(str, known))}")


def check_labels(name: str, labels: Any, length: int, of: str) -> npt.NDArray[Any]:
    """Return distinct ids in the order given, int64 or texts, as a read-only array."""
    if labels is None:
        return locked(np.arange(length))
    if type(labels) is np.ndarray and labels.shape == (length,) and _are_kept_so(labels):
        return labels if labels.base is None and not labels.flags.writeable else locked(labels.copy())
    ids, codes = columns.factorize(name, labels)
    if len(codes) != length:
        raise ValueError(f"`{name}` must have one id for each of the {length} {of} of `user_items`, got {len(codes)}")
    if len(ids) != length:
        twice = ids[int(np.argmax(np.bincount(codes)))]
        raise ValueError(f"`{name}` must be distinct, got {twice!s} more than once")
    return locked(ids[codes])


def locked(ids: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return ids that are read-only from now on, so that data and models can share them."""
    ids.flags.writeable = False
    return ids


def _are_kept_so(ids: npt.NDArray[Any]) -> bool:
    """Return whether distinct ids have the form already in which they are kept, such as those of other Interactions."""
    return (ids.dtype == np.int64 or texts.is_sound(ids)) and len(columns.sorted_unique(ids)) == len(ids)


def aligned_times(user_items: Any, timestamps: Any, csr: Csr, repeats: str) -> tuple[npt.NDArray[Any], Repeats | None]:
    """Return one time per entry of the canonical matrix, int64 or float64 (nnz,), and what to remember of it."""
    rows, cols, times = _entries("timestamps", user_items, timestamps, csr, columns.times)
    pairs = columns.pair_matrix(rows, cols, csr.shape, times, repeats)
    _require_pattern("timestamps", pairs.indptr, pairs.indices, csr)
    return np.asarray(pairs.times), repeats_of(repeats, pairs.moved)


def aligned_weights(user_items: Any, weights: Any, csr: Csr) -> npt.NDArray[np.float32]:
    """Return one weight per entry of the canonical matrix, float32 (nnz,); those of a repeated one are added up."""
    rows, cols, values = _entries("weights", user_items, weights, csr, checked_weights)
    matrix = summed(rows, cols, values, csr.shape)
    _require_pattern("weights", matrix.indptr, matrix.indices, csr)
    return finite_float32("weights", matrix.data)


def summed(
    rows: npt.NDArray[Any], cols: npt.NDArray[Any], values: npt.NDArray[Any], shape: tuple[int, int]
) -> sparse.csr_matrix:
    """Return values of pairs as a canonical matrix, float64, those of a repeated pair added up."""
    return sparse.coo_matrix((values.astype(np.float64), (rows, cols)), shape=shape).tocsr()


def checked_weights(
    name: str, column: Any, counted: npt.NDArray[np.bool_] | None = None, place: Callable[[int], str] = "row {}".format
) -> npt.NDArray[np.float32]:
    """Return weights as float32, finite, and above 0 in the rows that are counted, or in all; ``place`` names a row."""
    values = finite_float32(name, columns.numbers(name, column))
    good = values > 0 if counted is None else (values > 0) | ~counted
    if not good.all():
        row = int(np.argmin(good))
        raise ValueError(
            f"column {name!r} must hold weights > 0, got {values[row]:g} in {place(row)}; leave out what did not "
            "happen, and say what was liked less by a smaller weight"
        )
    return values


def _entries(
    name: str, user_items: Any, given: Any, csr: Csr, convert: Callable[[str, Any], npt.NDArray[Any]]
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """Return row, column and value of each entry that is given beside those of a matrix."""
    if sparse.issparse(given):
        matrix: Any = given
        if matrix.shape != csr.shape:
            raise ValueError(f"`{name}` must have the shape of `user_items`, {csr.shape}, got {matrix.shape}")
        check_arrays(name, matrix)
        entries = matrix.tocoo()
        values, present = convert(name, entries.data), np.ones(entries.nnz, bool)
    else:
        entries = getattr(user_items, "user_items", user_items).tocoo()
        values, present = convert(name, given), entries.data != 0
        if len(values) != len(present):
            raise ValueError(
                f"`{name}` must have one value for each of the {len(present)} stored entries of `user_items`, "
                f"in their order, got {len(values)}"
            )
    return entries.row[present], entries.col[present], values[present]


def _require_pattern(name: str, indptr: npt.NDArray[Any], indices: npt.NDArray[Any], csr: Csr) -> None:
    if not np.array_equal(indptr, csr.indptr) or not np.array_equal(indices, csr.indices):
        raise ValueError(f"`{name}` must have a stored entry exactly where `user_items` has one")


def same_ids(these: Any, those: Any) -> bool:
    """Return whether two arrays of ids, or None, are the same in the same order."""
    if these is those or these is None or those is None:
        return these is those
    return texts.is_text(these) == texts.is_text(those) and bool(np.array_equal(these, those))


def names_of(labels: npt.NDArray[Any] | None, n: int, numbers: Any) -> npt.NDArray[np.object_]:
    """Return the labels of numbers in [0, n), themselves where there are no labels, and None for -1; same shape."""
    array = np.asarray(numbers)
    if array.size and array.dtype.kind not in "iu":
        raise TypeError(f"`ids` must hold integer item numbers, got dtype {array.dtype}")
    array = array if array.size else array.astype(np.int32)  # an empty list is one of floats
    wrong = (array < -1) | (array >= n)
    if wrong.any():
        raise ValueError(f"`ids` must hold item numbers in [0, {n}), or -1 for none, got {array[wrong][0]}")
    names = np.full(array.shape, None, object)
    found = array >= 0  # NumPy would take -1 for the last one
    names[found] = (array[found] if labels is None else labels[array[found]]).astype(object)
    return names


def find(kind: str, index_of: dict[Any, int], ids: Any) -> int | npt.NDArray[np.int64]:
    """Return the number of an id, or int64 numbers of several."""
    if isinstance(ids, (str, bytes)) or not isinstance(ids, Iterable):
        return _find_one(kind, index_of, ids)
    labels = columns.as_array(f"{kind} ids", ids).tolist() if hasattr(ids, "to_numpy") else ids
    return np.array([_find_one(kind, index_of, label) for label in labels], np.int64)


def _find_one(kind: str, index_of: dict[Any, int], label: Any) -> int:
    if isinstance(label, (bool, np.bool_)):
        raise TypeError(
            f"a {kind} id must be an integer or a string, got {label}; np.flatnonzero gives a mask's numbers"
        )
    try:
        return index_of[label]
    except KeyError:
        pass
    except TypeError:  # no dict can hold it
        raise TypeError(f"a {kind} id must be an integer or a string, got {type(label).__qualname__}") from None
    text = bool(index_of) and isinstance(next(iter(index_of)), str)
    if isinstance(label, str) != text:
        hint = f"; the {kind} ids are {'strings' if text else 'integers'}"
    else:
        near = difflib.get_close_matches(label, index_of) if text and len(index_of) <= _MAX_SUGGEST else []
        hint = (
            f"; did you mean {' or '.join(map(repr, near))}?" if near else f" among the {len(index_of):,} in the data"
        )
    raise KeyError(f"no {kind} {label!r}{hint}")
