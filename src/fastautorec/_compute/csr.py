"""The compressed sparse row matrix that operations take: non-owning views, int64 row pointers, int32 item ids."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import sparse

from fastautorec._compute.refusals import refuse_damaged_ids

BLOCK_ENTRIES = 1 << 22  # temporary arrays hold one value for each of so many stored entries at most
CACHED_ENTRIES = 1 << 17  # so many ids and flags fit a processor's cache


def row_blocks(indptr: npt.NDArray[np.int64], size: int) -> Iterator[tuple[int, int]]:
    """Cut the rows into blocks of at most ``size`` entries (a longer row alone): temporary arrays stay small."""
    first, n_rows = 0, len(indptr) - 1
    while first < n_rows:
        last = int(np.searchsorted(indptr, indptr[first] + size, side="right")) - 1
        last = min(max(last, first + 1), n_rows)
        yield first, last
        first = last


def ids_ascend(indptr: npt.NDArray[np.integer], indices: npt.NDArray[np.integer]) -> bool:
    """Return whether the ids of every row ascend without a repeat; row pointers start at 0 and don't decrease."""
    nnz = int(indptr[-1])
    if len(indptr) == 2:  # for one row a direct comparison is faster than the calls below
        return nnz < 2 or not np.count_nonzero(indices[1:nnz] <= indices[: nnz - 1])
    for start in range(0, nnz - 1, CACHED_ENTRIES):
        ids = indices[start : min(start + CACHED_ENTRIES, nnz - 1) + 1]
        falls = ids[1:] <= ids[:-1]
        # numbers of another type would make NumPy convert all pointers
        first, last = np.searchsorted(indptr, np.array([start + 1, start + len(ids)], indptr.dtype))
        falls[indptr[first:last] - (start + 1)] = False  # where a row begins, any id may
        if falls.any():
            return False
    return True


@dataclass(frozen=True)
class Csr:
    """A CSR matrix in canonical form (sorted ids, no duplicates) whose row slices share its memory.

    Attributes
    ----------
    indptr : int64 (m + 1,)
        Row i is stored at ``indptr[i]:indptr[i + 1]``; the first value need not be 0.
    indices : int32
        Item ids, ascending within a row.
    data : float32 or None
        Values, or None where every value is 1.
    n_cols : int
        Number of items n.
    users : int64 (m,) or None
        User number of each row, by which random streams are keyed, or None where row i is user i.
    """

    indptr: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int32]
    data: npt.NDArray[np.float32] | None
    n_cols: int
    users: npt.NDArray[np.int64] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Users and items."""
        return len(self.indptr) - 1, self.n_cols

    @property
    def nnz(self) -> int:
        """Number of stored entries."""
        return int(self.indptr[-1] - self.indptr[0])

    def row_lengths(self) -> npt.NDArray[np.int64]:
        """Return the number of entries of each row, int64 (m,)."""
        return self.indptr[1:] - self.indptr[:-1]  # np.diff takes four times as long for one row

    def user_numbers(self) -> npt.NDArray[np.int64]:
        """Return the user number of each row, int64 (m,)."""
        return np.arange(self.shape[0], dtype=np.int64) if self.users is None else self.users

    def numbered_from(self, first: int) -> Csr:
        """Return the same rows with user numbers that are larger by ``first``."""
        return replace(self, users=self.user_numbers() + first)

    def rows(self, start: int, stop: int) -> Csr:
        """Return rows start..stop as a view."""
        if start == 0 and stop == len(self.indptr) - 1:
            return self
        users = np.arange(start, stop, dtype=np.int64) if self.users is None else self.users[start:stop]
        return Csr(
            self.indptr[start : stop + 1], self.indices, self.data, self.n_cols, users
        )  # half the time of replace

    def columns(self, items: npt.NDArray[np.int32]) -> Csr:
        """Return the columns of ``items`` (ascending, no repeats), renumbered 0, 1, ..."""
        own = self.rebased()
        new_number = np.full(own.n_cols, -1, np.int32)
        new_number[items] = np.arange(len(items), dtype=np.int32)
        renumbered = new_number[own.indices]
        kept = renumbered >= 0
        kept_before = np.concatenate(([0], np.cumsum(kept)))
        data = None if own.data is None else own.data[kept]
        return replace(own, indptr=kept_before[own.indptr], indices=renumbered[kept], data=data, n_cols=len(items))

    def entries(self, kept: npt.NDArray[np.bool_]) -> Csr:
        """Return the same rows with some of the entries only, bool (nnz,), all of them with the value 1."""
        own = self.rebased()
        ends = np.concatenate(([0], np.cumsum(kept, dtype=np.int64)))[own.indptr]
        return Csr(ends, own.indices[kept], None, own.n_cols, own.users)

    def rebased(self) -> Csr:
        """Return the same rows with storage that starts at 0 and ends with the last row."""
        start, stop = int(self.indptr[0]), int(self.indptr[-1])
        if start == 0 and stop == len(self.indices):
            return self
        data = None if self.data is None else self.data[start:stop]
        return replace(self, indptr=self.indptr - start, indices=self.indices[start:stop], data=data)

    def blocks(self) -> Iterator[Csr]:
        """Yield all rows in blocks of limited size, a single row at least."""
        for start, stop in row_blocks(self.indptr, BLOCK_ENTRIES):
            yield self.rows(start, stop)

    def take_rows(self, rows: npt.NDArray[np.int64]) -> Csr:
        """Return the given rows, compact and in their order, with the user numbers that they have here.

        Where they follow each other with only empty rows in between, the result shares the memory of this matrix.
        """
        starts = self.indptr[rows]
        lengths = self.indptr[rows + 1] - starts
        indptr = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(lengths, out=indptr[1:])
        users = rows if self.users is None else self.users[rows]
        span = slice(starts[0], self.indptr[rows[-1] + 1]) if len(rows) else slice(0, 0)
        if span.stop - span.start == indptr[-1] and (rows[1:] > rows[:-1]).all():
            return Csr(indptr, self.indices[span], None if self.data is None else self.data[span], self.n_cols, users)
        indices = np.empty(indptr[-1], np.int32)
        data = None if self.data is None else np.empty(indptr[-1], np.float32)
        for first, last in row_blocks(indptr, BLOCK_ENTRIES // 4):  # positions are of eight bytes, and made twice
            entries = slice(indptr[first], indptr[last])
            positions = np.repeat(starts[first:last] - indptr[first:last], lengths[first:last])
            positions += np.arange(entries.start, entries.stop)
            self.indices.take(positions, out=indices[entries], mode="clip")  # "raise" would make a copy first
            if self.data is not None and data is not None:
                self.data.take(positions, out=data[entries], mode="clip")
        return Csr(indptr, indices, data, self.n_cols, users=users)

    def batches(self, order: npt.NDArray[np.int64], size: int) -> Iterator[Csr]:
        """Yield the rows of ``order``, so many at a time."""
        for start in range(0, len(order), size):
            yield self.take_rows(order[start : start + size])

    def weighted(self, item_weights: npt.NDArray[np.float32] | None, user_power: float = 0.0) -> Csr:
        """Return the same pattern with values w_j len_i^(−``user_power``); w is 1 where not given."""
        own = self.rebased()
        values = None if item_weights is None else item_weights.take(own.indices)
        if user_power:
            lengths = own.row_lengths()
            scale = _powers(lengths, user_power).repeat(lengths)
            values = scale if values is None else np.multiply(values, scale, out=values)
        return own.with_data(values)

    def length_powers(self, power: float, out: npt.NDArray[np.float32]) -> None:
        """Write len_i^(−``power``) of each row to ``out`` (m,)."""
        out[...] = _powers(self.row_lengths(), power)

    def column_squares(self) -> npt.NDArray[np.float64]:
        """Return Σ_i x_ij² of each column, float64 (n,)."""
        total = np.zeros(self.n_cols)
        for block in self.blocks():
            own = block.rebased()
            weights = None if own.data is None else np.square(own.data, dtype=np.float64)
            total += np.bincount(own.indices, weights=weights, minlength=own.n_cols)
        return total

    def with_data(self, data: npt.NDArray[np.float32] | None) -> Csr:
        """Return the same pattern with other values."""
        return Csr(self.indptr, self.indices, data, self.n_cols, self.users)

    def unread(self) -> Csr:
        """Return the same matrix for an operation that checks the item ids as it reads all of them."""
        return self

    def was_read(self, wrong: int) -> None:
        """Take the result of such an operation: the place of the first id out of range, or -1."""
        if wrong >= 0:
            refuse_damaged_ids("user_items", self.n_cols)

    def to_host(self) -> Csr:
        """Return the matrix in host memory: here, itself."""
        return self

    def to_scipy(self) -> sparse.csr_matrix:
        """Return a SciPy matrix, float32, that owns its row pointers."""
        own = self.rebased()
        data = np.ones(own.nnz, np.float32) if own.data is None else own.data
        return sparse.csr_matrix((data, own.indices, own.indptr), shape=self.shape)


@dataclass(frozen=True)
class LazyRows:
    """Rows that are made when they are asked for, so that they are never all there at the same time.

    Attributes
    ----------
    shape : (int, int)
        Users and items.
    rows : callable
        ``rows(start, stop)`` makes some of them.
    indptr : int64 (users + 1,)
        Row i has at most ``indptr[i + 1] - indptr[i]`` entries.
    """

    shape: tuple[int, int]
    rows: Callable[[int, int], Csr]
    indptr: npt.NDArray[np.int64]

    def end_of_block(self, first: int, most: int) -> int:
        """Return where a block of limited size ends that begins with row ``first`` and has at most so many."""
        fitting = int(np.searchsorted(self.indptr, self.indptr[first] + BLOCK_ENTRIES, side="right")) - 1
        return min(max(fitting, first + 1), first + most, self.shape[0])

    @classmethod
    def picked(cls, matrix: Csr, rows: npt.NDArray[np.int64]) -> LazyRows:
        """Return rows of a matrix in the order given."""
        indptr = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(matrix.row_lengths()[rows], out=indptr[1:])
        return cls((len(rows), matrix.n_cols), lambda start, stop: matrix.take_rows(rows[start:stop]), indptr)


def _powers(lengths: npt.NDArray[np.int64], power: float) -> npt.NDArray[np.float32]:
    """Return lengths^(−power), where an empty row counts as one of length 1."""
    at_least_one = np.maximum(lengths, 1, dtype=np.float32)
    if power == 0.5:
        return np.reciprocal(np.sqrt(at_least_one))
    if power == 1:
        return np.reciprocal(at_least_one)
    result: npt.NDArray[np.float32] = (at_least_one.astype(np.float64) ** -power).astype(np.float32)
    return result


def singular_vectors(matrix: Csr) -> int:
    """Return how many singular vectors a matrix can have: users without interactions add none."""
    return min(int(np.count_nonzero(matrix.row_lengths())), matrix.n_cols)
