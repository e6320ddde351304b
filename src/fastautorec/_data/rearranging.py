"""Rows and columns of a canonical matrix in another order, and two matrices joined; times go along."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec._data.columns import pair_matrix
from fastautorec._sparse import BLOCK_ENTRIES, Csr, row_blocks

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
    starts, lengths = csr.indptr[:-1], csr.row_lengths()
    if rows is not None:
        starts, lengths = (np.where(rows < 0, 0, np.append(old, 0)[rows]) for old in (starts, lengths))
    before = np.concatenate(([0], np.cumsum(lengths)))
    stays_sorted = columns is None or ascends(columns[columns >= 0])
    counts, ids_of, times_of = np.zeros(len(lengths), np.int64), [], []
    for first, last in row_blocks(before, BLOCK):
        owner = np.repeat(np.arange(last - first), lengths[first:last])
        entries = np.arange(before[first], before[last]) + (starts - before[:-1])[first:last][owner]
        ids = csr.indices[entries].astype(np.int64)
        if columns is not None:
            ids = columns[ids]
            kept: Any = ids >= 0
            if not stays_sorted:
                kept = np.flatnonzero(kept)
                kept = kept[np.argsort(owner[kept] * n_cols + ids[kept], kind="stable")]
            owner, entries, ids = owner[kept], entries[kept], ids[kept]
        counts[first:last] = np.bincount(owner, minlength=last - first)
        ids_of.append(ids.astype(np.int32))
        if times is not None:
            times_of.append(times[entries])
    indptr = np.concatenate(([0], np.cumsum(counts)))
    indices = np.concatenate(ids_of) if ids_of else np.empty(0, np.int32)
    if times is not None:
        times = np.concatenate(times_of) if times_of else times[:0]
    return Csr(indptr, indices, None, n_cols), times


def union(a: Csr, b: Csr, times_a: Array | None, times_b: Array | None) -> tuple[Csr, Array | None]:
    """Return what is in either of two matrices of one shape; of a pair that is in both, the later time.

    Both have times or neither has, and the storage of both starts at 0.
    """
    (m, n), both = a.shape, a.indptr + b.indptr
    indptr, ids_of, times_of = np.zeros(m + 1, np.int64), [], []
    for first, last in row_blocks(both, BLOCK):
        parts = [matrix.rows(first, last).rebased() for matrix in (a, b)]
        rows = np.concatenate([np.repeat(np.arange(last - first), part.row_lengths()) for part in parts])
        times = None
        if times_a is not None and times_b is not None:
            of_rows = zip((a, b), (times_a, times_b), strict=True)
            times = np.concatenate([its[matrix.indptr[first] : matrix.indptr[last]] for matrix, its in of_rows])
        ids = np.concatenate([part.indices for part in parts])
        own, ids, times = pair_matrix(rows, ids, (last - first, n), times)
        indptr[first + 1 : last + 1] = indptr[first] + own[1:]
        ids_of.append(ids)
        if times is not None:
            times_of.append(times)
    indices = np.concatenate(ids_of) if ids_of else np.empty(0, np.int32)
    joined = np.concatenate(times_of) if times_of else times_a  # without rows there are none to join
    return Csr(indptr, indices, None, n), joined


def ascends(values: Array) -> bool:
    """Return whether each value is above the one before."""
    return bool((values[1:] > values[:-1]).all())
