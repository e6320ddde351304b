"""The compressed sparse row matrix that operations take: non-owning views, int64 row pointers, int32 item ids."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import sparse


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
        return np.diff(self.indptr)

    def user_numbers(self) -> npt.NDArray[np.int64]:
        """Return the user number of each row, int64 (m,)."""
        return np.arange(self.shape[0], dtype=np.int64) if self.users is None else self.users

    def rows(self, start: int, stop: int) -> Csr:
        """Return rows start..stop as a view."""
        users = np.arange(start, stop, dtype=np.int64) if self.users is None else self.users[start:stop]
        return replace(self, indptr=self.indptr[start : stop + 1], users=users)

    def columns(self, items: npt.NDArray[np.int32]) -> Csr:
        """Return the columns of ``items`` (ascending, no repeats), renumbered 0, 1, ..."""
        part = self.to_scipy()[:, items]
        part.sort_indices()
        return Csr(part.indptr.astype(np.int64), part.indices.astype(np.int32), part.data, len(items))

    def rebased(self) -> Csr:
        """Return the same rows with storage that starts at 0 and ends with the last row."""
        start, stop = int(self.indptr[0]), int(self.indptr[-1])
        if start == 0 and stop == len(self.indices):
            return self
        data = None if self.data is None else self.data[start:stop]
        return replace(self, indptr=self.indptr - start, indices=self.indices[start:stop], data=data)

    def take_rows(self, rows: npt.NDArray[np.int64]) -> Csr:
        """Return the given rows, compact and in their order, with the user numbers that they have here."""
        starts = self.indptr[rows]
        lengths = self.indptr[rows + 1] - starts
        indptr = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(lengths, out=indptr[1:])
        positions = np.repeat(starts - indptr[:-1], lengths)
        positions += np.arange(len(positions))
        data = None if self.data is None else self.data.take(positions)
        users = rows if self.users is None else self.users[rows]
        return Csr(indptr, self.indices.take(positions), data, self.n_cols, users=users)

    def with_data(self, data: npt.NDArray[np.float32] | None) -> Csr:
        """Return the same pattern with other values."""
        return replace(self, data=data)

    def to_scipy(self) -> sparse.csr_matrix:
        """Return a SciPy matrix, float32, that owns its row pointers."""
        own = self.rebased()
        data = np.ones(own.nnz, np.float32) if own.data is None else own.data
        return sparse.csr_matrix((data, own.indices, own.indptr), shape=self.shape)
