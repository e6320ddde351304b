"""Rows and columns of a canonical matrix in another order, and two matrices joined; times go along."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec._compute.csr import BLOCK_ENTRIES, Csr, row_blocks
from fastautorec.data._columns import pair_matrix

Array = npt.NDArray[Any]
Places = npt.NDArray[np.int64]

BLOCK = BLOCK_ENTRIES // 4  # positions are of eight bytes, and there are several of them for each entry


def rearranged(
    csr: Csr, times: Array | None, rows: Places | None, columns: Places | None, n_cols: int
) -> tuple[Csr, Array | None]:
    """Return chosen rows and columns, and the times of what is left.

    Parameters
    ----------
    csr : Csr (m, n)
        Its storage starts at 0.
    times : (nnz,), optional
    rows : int64 (m',), optional
        The old row that each new one is, -1 for an empty one; without them all rows stay as they are.
    columns : int64 (n,), optional
        The new column that each old one becomes, -1 for one that is left out; without them all stay.
    n_cols : int
        Number of new columns.
    """
    new_column = np.empty(0, np.int32) if columns is None else columns.astype(np.int32)
    starts, lengths = csr.indptr[:-1], csr.row_lengths()
    if rows is not None:
        if columns is not None and csr.nnz <= BLOCK and _are_all(rows, csr.shape[0]) and new_column.min(initial=0) >= 0:
            ids = new_column.take(csr.indices[: csr.nnz])  # one sort does without gathering the rows
            ids, times = _sorted_within_rows(ids, times, lengths, n_cols, rows)
            return Csr(np.concatenate(([0], np.cumsum(lengths[rows]))), ids, None, n_cols), times
        starts, lengths = (np.where(rows < 0, 0, np.append(old, 0)[rows]) for old in (starts, lengths))
    before = np.concatenate(([0], np.cumsum(lengths)))
    position = smallest(csr.nnz)
    shifts = (starts - before[:-1]).astype(position)
    known = new_column >= 0
    stays_sorted, complete = ascends(new_column[known]), bool(known.all())
    parts = []
    for first, last in row_blocks(before, BLOCK):
        own, entries = lengths[first:last], np.arange(before[first], before[last], dtype=position)
        entries += np.repeat(shifts[first:last], own)
        ids, its = csr.indices.take(entries, mode="clip"), None if times is None else times[entries]
        if columns is not None:
            ids = new_column.take(ids)
            if not complete:
                kept = ids >= 0
                own = np.diff(np.concatenate(([0], np.cumsum(kept)))[before[first : last + 1] - before[first]])
                ids, its = ids[kept], None if its is None else its[kept]
            if not stays_sorted:
                ids, its = _sorted_within_rows(ids, its, own, n_cols)
        parts.append((own, ids, its))
    counts, indices = ([part[k] for part in parts] for k in (0, 1))
    indptr = np.concatenate([np.zeros(1, np.int64), *counts]).cumsum()
    csr = Csr(indptr, np.concatenate([np.empty(0, np.int32), *indices]), None, n_cols)
    return csr, None if times is None else np.concatenate([times[:0], *(part[2] for part in parts)])


def _are_all(rows: Places, n_rows: int) -> bool:
    """Return whether distinct rows, or -1, are all that there are."""
    return len(rows) == n_rows and bool((rows >= 0).all())


def _sorted_within_rows(
    ids: npt.NDArray[np.int32], times: Array | None, lengths: Places, n_cols: int, rows: Places | None = None
) -> tuple[npt.NDArray[np.int32], Array | None]:
    """Return the ids in ascending order within each row, and their times; one sort of small keys is the fastest.

    With ``rows`` (m,), the rows come in that order, of which each is one.
    """
    first = np.arange(len(lengths), dtype=smallest(len(lengths) * n_cols)) * n_cols  # key of each row
    own = first
    if rows is not None:
        own = np.empty_like(first)
        own[rows] = first
    keys = np.repeat(own, lengths)
    keys += ids
    if times is None:
        keys.sort()
    else:
        order = np.argsort(keys)
        keys, times = keys[order], times[order]
    keys -= np.repeat(first, lengths if rows is None else lengths[rows])
    return keys.astype(np.int32, copy=False), times


def union(a: Csr, b: Csr, times_a: Array | None, times_b: Array | None, repeats: str) -> tuple[Csr, Array | None, int]:
    """Return what is in either of two matrices of one shape, its times, and how many pairs both have at other times.

    Both have times or neither has, and the storage of both starts at 0.
    """
    (m, n), both = a.shape, a.indptr + b.indptr
    indptr, ids_of, times_of, count = np.zeros(m + 1, np.int64), [], [], 0
    for first, last in row_blocks(both, BLOCK):
        parts = [matrix.rows(first, last).rebased() for matrix in (a, b)]
        rows = np.concatenate([np.repeat(np.arange(last - first), part.row_lengths()) for part in parts])
        times = None
        if times_a is not None and times_b is not None:
            of_rows = zip((a, b), (times_a, times_b), strict=True)
            times = np.concatenate([its[matrix.indptr[first] : matrix.indptr[last]] for matrix, its in of_rows])
        ids = np.concatenate([part.indices for part in parts])
        own, ids, times, moved = pair_matrix(rows, ids, (last - first, n), times, repeats)
        count += 0 if moved is None else int(np.count_nonzero(moved))
        indptr[first + 1 : last + 1] = indptr[first] + own[1:]
        ids_of.append(ids)
        if times is not None:
            times_of.append(times)
    indices = np.concatenate(ids_of) if ids_of else np.empty(0, np.int32)
    joined = np.concatenate(times_of) if times_of else times_a  # without rows there are none to join
    return Csr(indptr, indices, None, n), joined, count


def core(csr: Csr, min_items: int, min_users: int) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], int]:
    """Return the users with so many items and the items with so many users, counted among themselves.

    Returns
    -------
    users, items : bool (m,) and (n,)
    rounds : int
        How often something was left out.
    """
    (m, n), own = csr.shape, csr.rebased()
    rows, columns = np.repeat(np.arange(m, dtype=smallest(m)), own.row_lengths()), own.indices
    rounds = 0
    while True:
        users = np.bincount(rows, minlength=m) >= min_items
        items = np.bincount(columns, minlength=n) >= min_users
        kept = users[rows] & items[columns]
        if kept.all():
            return users, items, rounds
        rows, columns, rounds = rows[kept], columns[kept], rounds + 1


def smallest(largest: int) -> type[np.signedinteger[Any]]:
    """Return the type of integers up to ``largest``."""
    return np.int32 if largest <= np.iinfo(np.int32).max else np.int64


def ascends(values: Array) -> bool:
    """Return whether each value is above the one before."""
    return bool((values[1:] > values[:-1]).all())
