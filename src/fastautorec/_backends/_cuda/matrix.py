"""Sparse matrices on a device, with the manners of `fastautorec._sparse.Csr`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from fastautorec._backends._cuda.device import Array, Device


@dataclass(frozen=True)
class ItemIndex:
    """The entries of a matrix by item, those of an item in the order of the rows: sums over users need no atomics.

    Attributes
    ----------
    begin : int64 (n + 1,)
        Entries begin[j] <= e < begin[j + 1] are those of item j.
    rows : int32
        Row of each entry.
    places : int64
        Where the entry is in the ``indices`` and ``data`` of the matrix.
    """

    begin: Array
    rows: Array
    places: Array


class Pattern:
    """Row pointers and ids, shared by all matrices with the same entries, and their index by item.

    Attributes
    ----------
    indptr : int64 (m + 1,), on the device
        Row i is stored at ``indptr[i]:indptr[i + 1]`` of ``indices``; the first value need not be 0.
    indices : int32, on the device
        Item ids, ascending within a row; it may be longer than the last row needs.
    """

    def __init__(
        self,
        device: Device,
        indptr: Array,
        indices: Array,
        n_cols: int,
        host_indptr: npt.NDArray[np.int64] | None = None,
        by_item: ItemIndex | None = None,
    ) -> None:
        self.device, self.indptr, self.indices, self.n_cols = device, indptr, indices, n_cols
        if host_indptr is not None:
            self.host_indptr = host_indptr
        if by_item is not None:
            self.by_item = by_item

    @cached_property
    def host_indptr(self) -> npt.NDArray[np.int64]:
        """The row pointers on the host; where nobody knew them before, the first look waits for the device."""
        copy: npt.NDArray[np.int64] = self.device.to_host(self.indptr)
        return copy

    @cached_property
    def by_item(self) -> ItemIndex:
        """The index by item."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class DeviceCsr:
    """A CSR matrix on a device: a pattern and values.

    Attributes
    ----------
    pattern : Pattern
    data : float32, on the device, or None
        One value for each of ``pattern.indices``, or None where every value is 1.
    users : int64 (m,), on the device, or None
        User number of each row, by which random streams are keyed, or None where row i is user i.
    """

    pattern: Pattern
    data: Array | None = None
    users: Array | None = None

    @property
    def device(self) -> Device:
        return self.pattern.device

    @property
    def n_cols(self) -> int:
        return self.pattern.n_cols

    @property
    def shape(self) -> tuple[int, int]:
        """Users and items."""
        return len(self.pattern.indptr) - 1, self.pattern.n_cols

    @property
    def nnz(self) -> int:
        """Number of stored entries."""
        pointers = self.pattern.host_indptr
        return int(pointers[-1] - pointers[0])

    def row_lengths(self) -> npt.NDArray[np.int64]:
        """Return the number of entries of each row, int64 (m,), on the host."""
        return np.diff(self.pattern.host_indptr)
