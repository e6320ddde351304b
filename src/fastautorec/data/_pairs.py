"""Pairs of codes as a canonical sparse matrix."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastautorec.data._repeats import LAST, Mask
from fastautorec.data._texts import is_text

Array = npt.NDArray[Any]
Codes = npt.NDArray[np.int32]


class Pairs(NamedTuple):
    """Distinct pairs as a canonical CSR pattern."""

    indptr: npt.NDArray[np.int64]
    indices: Codes
    times: Array | None
    moved: Mask | None  # which pairs came at different times; None where none came twice


def compact(ids: Array, codes: Codes) -> tuple[Array, Codes]:
    """Return only the ids that occur in ``codes``, and the codes among them."""
    used = np.zeros(len(ids), bool)
    used[codes] = True
    if used.all():
        return ids, codes
    return ids[used], (np.cumsum(used, dtype=np.int32) - np.int32(1))[codes]


def pair_matrix(
    rows: npt.NDArray[Any],
    cols: npt.NDArray[Any],
    shape: tuple[int, int],
    times: Array | None = None,
    repeats: str = LAST,
    moved: Mask | None = None,
) -> Pairs:
    """Return the canonical CSR pattern of (row, column) pairs; a repeated pair counts once, at one of its times.

    ``moved`` tells which of the pairs that are given were joined of several times already.
    """
    key = rows.astype(np.int64)
    key *= shape[1]
    key += cols
    if not np.all(key[1:] > key[:-1]):
        if times is None:
            key = sorted_unique(key)
        else:
            order = np.argsort(key)  # ties in any order, for an end counts: twice as fast as a stable sort
            key, times = key[order], times[order]
            begins = np.flatnonzero(np.concatenate(([True], key[1:] != key[:-1])))
            first, last = np.minimum.reduceat(times, begins), np.maximum.reduceat(times, begins)
            before = None if moved is None else np.logical_or.reduceat(moved[order], begins)
            moved = first != last if before is None else before | (first != last)
            key, times = key[begins], last if repeats == LAST else first
    sorted_rows = key // max(shape[1], 1)
    indptr = np.zeros(shape[0] + 1, np.int64)
    np.cumsum(np.bincount(sorted_rows, minlength=shape[0]), out=indptr[1:])
    sorted_rows *= shape[1]
    key -= sorted_rows
    return Pairs(indptr, key.astype(np.int32), times, moved)


def sorted_unique(values: Array) -> Array:
    """Return the distinct values, ascending. np.unique hashes since NumPy 2.3, which is ten times slower here."""
    # The other sort of NumPy 2.4 ends the process where it gives up on texts: those in several ascending runs, say.
    values = np.sort(values, kind="stable" if is_text(values) else None)
    return values[np.concatenate(([True], values[1:] != values[:-1]))] if values.size else values
