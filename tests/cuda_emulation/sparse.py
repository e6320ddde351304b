"""A CSR matrix of the emulated device that behaves like ``cupyx.scipy.sparse.csr_matrix``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from cuda_emulation.device import EmulatedDevice


class EmulatedCsr:
    """Three arrays of the device; like CuPy's it may hold zeros, duplicates and ids in any order."""

    format = "csr"

    def __init__(self, device: EmulatedDevice, arrays: tuple[Any, Any, Any], shape: tuple[int, int]) -> None:
        self._device, self.shape = device, shape
        self.data, self.indices, self.indptr = arrays

    @classmethod
    def of(cls, device: EmulatedDevice, matrix: Any) -> EmulatedCsr:
        """Return a copy of a SciPy matrix, as it is stored."""
        csr = matrix if sparse.issparse(matrix) and matrix.format == "csr" else sparse.csr_matrix(matrix)
        arrays = csr.data, csr.indices.astype(np.int32), csr.indptr.astype(np.int32)
        return cls(device, tuple(map(device.to_device, arrays)), csr.shape)

    @property
    def dtype(self) -> Any:
        return self.data.dtype

    @property
    def nnz(self) -> int:
        return len(self.data)

    def get(self) -> sparse.csr_matrix:
        arrays = tuple(array.get() for array in (self.data, self.indices, self.indptr))
        return sparse.csr_matrix(arrays, shape=self.shape)

    def tocsr(self) -> EmulatedCsr:
        return self

    def copy(self) -> EmulatedCsr:
        return EmulatedCsr(self._device, tuple(a.copy() for a in (self.data, self.indices, self.indptr)), self.shape)

    def sum_duplicates(self) -> None:
        self._change("sum_duplicates")

    def eliminate_zeros(self) -> None:
        self._change("eliminate_zeros")

    def _change(self, method: str) -> None:
        host = self.get()
        getattr(host, method)()
        changed = EmulatedCsr.of(self._device, host)
        self.data, self.indices, self.indptr = changed.data, changed.indices, changed.indptr
