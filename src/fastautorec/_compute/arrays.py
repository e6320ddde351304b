"""Checks of the arrays that users pass: dense ones, lists of items, ids, rows and weights."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from fastautorec._compute.csr import Csr
from fastautorec._compute.inputs import check_on_host, finite_float32, float32
from fastautorec._compute.labelled import check_no_labels
from fastautorec._compute.refusals import refuse_items, refuse_sparse


def check_dense(
    name: str, array: Any, shape: tuple[int | None, ...], rule: str, *, finite: bool = True
) -> npt.NDArray[np.float32]:
    """Return ``array`` as float32 with contiguous rows, not copied where it is that already.

    Parameters
    ----------
    name : str
        Argument name for the messages.
    array : array_like
    shape : tuple
        Required shape; None leaves an axis free.
    rule : str
        The shape in words, for the messages.
    finite : bool
        Refuse NaN and infinities.
    """
    check_on_host(name, array)
    if sparse.issparse(array):
        refuse_sparse(name, array)
    dense = np.asarray(array)
    if dense.dtype.kind not in "biuf":
        raise TypeError(f"`{name}` must hold real numbers, got dtype {dense.dtype}")
    given = dense.shape
    check_shape(name, given, shape, rule)
    result = finite_float32(name, dense) if finite else float32(dense)
    strides = result.strides
    rows_are_plain = strides[-1] == result.itemsize and (len(given) == 1 or strides[0] >= given[-1] * result.itemsize)
    return result if rows_are_plain else np.ascontiguousarray(result)


def check_ranking(name: str, item_ids: Any, n_rows: int, n_items: int) -> npt.NDArray[np.int32]:
    """Return ranked lists (n_rows, K) of item ids in [0, n_items), -1 for free places, as C-ordered int32."""
    check_on_host(name, item_ids)
    array = np.asarray(item_ids)
    wrong = (array < -1) | (array >= n_items) if array.dtype.kind in "iu" else np.zeros(array.shape, bool)
    check_ranking_facts(name, array.shape, array.dtype, array[wrong][0] if wrong.any() else None, n_rows, n_items)
    return np.ascontiguousarray(array, np.int32)


def check_ids(name: str, ids: Any, n_items: int) -> npt.NDArray[np.int32]:
    """Return item ids as a 1-D int32 array within [0, n_items)."""
    array = np.atleast_1d(np.asarray(ids))
    if array.ndim != 1:
        raise ValueError(f"`{name}` must be one id or a 1-D list of ids, got shape {array.shape}")
    if array.size and array.dtype.kind not in "iu":
        refuse_items(name, ids, array.dtype)
    if array.size and (array.min() < 0 or array.max() >= n_items):
        bad = array[(array < 0) | (array >= n_items)][0]
        raise ValueError(f"`{name}` must hold item ids in [0, {n_items}), got {bad}")
    return array.astype(np.int32)


def check_rows(name: str, rows: Any, n_rows: int) -> npt.NDArray[np.int64]:
    """Return row numbers in [0, n_rows), in any order, as a 1-D int64 array."""
    array = np.asarray(rows)
    if array.ndim != 1:
        raise ValueError(f"`{name}` must be a 1-D list of row numbers, got shape {array.shape}")
    if array.size and array.dtype.kind not in "iu":
        raise TypeError(f"`{name}` must hold integer row numbers, got dtype {array.dtype}")
    wrong = (array < 0) | (array >= n_rows)
    if wrong.any():
        raise ValueError(f"`{name}` must hold row numbers in [0, {n_rows}), got {array[wrong][0]}")
    return np.ascontiguousarray(array, np.int64)


def check_weights(name: str, weights: Any, n_items: int) -> npt.NDArray[np.float64]:
    """Return one weight >= 0 for each item, float64, with a finite sum above 0."""
    check_on_host(name, weights)
    check_no_labels(name, weights, "the columns")
    array = np.asarray(weights)
    if array.shape != (n_items,):
        raise ValueError(f"`{name}` must have one value for each of the {n_items} items, got shape {array.shape}")
    if array.dtype.kind not in "biuf":
        raise TypeError(f"`{name}` must hold real numbers, got dtype {array.dtype}")
    result = array.astype(np.float64)
    wrong = ~(result >= 0) | np.isinf(result)
    if wrong.any():
        raise ValueError(f"`{name}` must hold finite numbers >= 0, got {array[wrong][0]}")
    with np.errstate(over="ignore"):
        total = result.sum()
    if not 0 < total < math.inf:
        raise ValueError(f"`{name}` must have a finite sum > 0, got {total:g}; at least one item must have a chance")
    return result


def check_something_left(exclude: Csr, widths: npt.NDArray[np.uint64]) -> None:
    """Raise unless every row of ``exclude`` leaves an item of positive width."""
    drawable = widths > 0
    needed = int(np.count_nonzero(drawable))
    for i in np.flatnonzero(exclude.row_lengths() >= needed).tolist():
        row = exclude.rows(i, i + 1).to_host()
        if np.count_nonzero(drawable[row.rebased().indices]) == needed:
            raise ValueError(
                "`exclude_positives` must leave every user an item to draw, but row "
                f"{row.user_numbers()[0]} holds all {needed} items that can be drawn; leave that row out"
            )


def check_shape(name: str, given: tuple[int, ...], shape: tuple[int | None, ...], rule: str) -> None:
    """Raise unless a shape is the required one, which ``rule`` puts in words."""
    if len(given) != len(shape) or any(want not in (None, size) for want, size in zip(shape, given, strict=True)):
        raise ValueError(f"`{name}` must have {rule}, got shape {given}")


def check_ranking_facts(
    name: str, shape: tuple[int, ...], dtype: np.dtype[Any], wrong: object, n_rows: int, n_items: int
) -> None:
    """Raise unless ranked lists have this shape and type, and no wrong id."""
    if len(shape) != 2 or shape[0] != n_rows:
        raise ValueError(f"`{name}` must have one row of ranked ids for each of the {n_rows} users, got shape {shape}")
    if dtype.kind not in "iu":
        raise TypeError(f"`{name}` must hold integer item ids, got dtype {dtype}")
    if wrong is not None:
        raise ValueError(f"`{name}` must hold item ids in [0, {n_items}) or -1 for a free place, got {wrong}")
