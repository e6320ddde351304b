"""Interactions that do not fit on the device: they stay in page-locked memory and come over in blocks of users."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastautorec._compute.csr import Csr
from fastautorec._compute.cuda.device import Device
from fastautorec._compute.cuda.matrix import DeviceCsr

if TYPE_CHECKING:
    from fastautorec._compute.cuda.backend import CudaBackend

SHARE = 0.3  # of the free memory that interactions may take; weights, moments and tiles need the rest
ENTRY_BYTES = 56  # of a stored entry: its id and value, its index by item and what sorting takes for a while
BLOCK_BYTES = 512 << 20  # of such entries that come over together


def fits(device: Device, matrix: Csr) -> bool:
    """Return whether a matrix, with what operations make of it, leaves enough memory for everything else."""
    return ENTRY_BYTES * matrix.nnz <= SHARE * device.free_bytes()


class StreamedCsr:
    """A host matrix of binary rows with the methods of `DeviceCsr`: what is taken from it is on the device."""

    def __init__(self, backend: CudaBackend, matrix: Csr) -> None:
        """Move the ids into page-locked memory, once: copies from it do not wait."""
        own = matrix.rebased()
        ids = backend.device.pinned(own.indices.shape, np.int32)
        ids[...] = own.indices
        self._backend = backend
        self._matrix = Csr(own.indptr, ids, own.data, own.n_cols, own.users)

    @property
    def shape(self) -> tuple[int, int]:
        return self._matrix.shape

    @property
    def n_cols(self) -> int:
        return self._matrix.n_cols

    @property
    def nnz(self) -> int:
        return self._matrix.nnz

    def row_lengths(self) -> npt.NDArray[np.int64]:
        return self._matrix.row_lengths()

    def to_host(self) -> Csr:
        return self._matrix

    def numbered_from(self, first: int) -> StreamedCsr:
        return StreamedCsr(self._backend, self._matrix.numbered_from(first))

    def rows(self, start: int, stop: int) -> DeviceCsr:
        return self._up(self._matrix.rows(start, stop))

    def take_rows(self, rows: npt.NDArray[np.int64]) -> Any:
        return self._backend.put(self._matrix.take_rows(rows))

    def batches(self, order: npt.NDArray[np.int64], size: int) -> Iterator[DeviceCsr]:
        return map(self._up, self._matrix.batches(order, size))

    def blocks(self) -> Iterator[DeviceCsr]:
        """Yield all users in blocks of limited size, a single user's entries at least."""
        indptr, start = self._matrix.indptr, 0
        while start < self.shape[0]:
            limit = indptr[start] + BLOCK_BYTES // ENTRY_BYTES
            stop = max(int(np.searchsorted(indptr, limit, side="right")) - 1, start + 1)
            yield self.rows(start, min(stop, self.shape[0]))
            start = stop

    def _up(self, part: Csr) -> DeviceCsr:
        return DeviceCsr.from_host(self._backend.device, part)
