"""Sparse matrices on a device, with the methods of `fastautorec._compute.csr.Csr`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import sparse

from fastautorec._compute.csr import Csr
from fastautorec._compute.cuda.device import WARP, Array, Device, ceil_div

HostPointers = npt.NDArray[np.int64]

THREADS = 256  # of a block
BATCH_BYTES = 256 << 20  # of the batches that are prepared together
_ENTRY_BYTES = 56  # of an entry of a prepared batch, what sorting needs for a while among them
_ITEM_BYTES = 12  # of an item of a prepared batch


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
        Row i is stored at ``indptr[i]:indptr[i + 1]`` of ``indices``.
    indices : int32, on the device
        Item ids, ascending within a row. Where the rows were made on the device, whose pointers the host does not
        know, there may be unused places before and behind them.
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
        """The row pointers on the host; where they are not known yet, the first look waits for the device."""
        copy: npt.NDArray[np.int64] = self.device.to_host(self.indptr)
        return copy

    @property
    def capacity(self) -> int:
        """The number of entries, or more where the host does not know."""
        if "host_indptr" not in self.__dict__:
            return len(self.indices)
        return int(self.host_indptr[-1] - self.host_indptr[0])

    @cached_property
    def compact(self) -> Pattern:
        """The same rows stored from 0 to the end; itself where they are so already, or where the host does not know.

        What is made of it needs no room for other rows, and all of that shares one index by item.
        """
        if self.capacity == len(self.indices):
            return self
        first, last = int(self.host_indptr[0]), int(self.host_indptr[-1])
        indices = self.indices[first:last]
        return Pattern(self.device, self.indptr - first, indices, self.n_cols, self.host_indptr - first)

    @cached_property
    def longest_row(self) -> int:
        """The length of the longest row, or more where the host does not know."""
        if "host_indptr" not in self.__dict__:
            return min(self.n_cols, len(self.indices))
        return int(np.diff(self.host_indptr).max(initial=0))

    @cached_property
    def by_item(self) -> ItemIndex:
        """The index by item; made at the first look, without waiting for the device."""
        if self.compact is not self:
            index = self.compact.by_item
            return ItemIndex(index.begin, index.rows, index.places + int(self.host_indptr[0]))
        return _index_items(self.device, self.indptr, self.indices, self.n_cols)

    def count_items(self) -> Array:
        """Return the number of entries of each item, int32 (n,), on the device."""
        counts = self.device.xp.zeros(self.n_cols, self.device.xp.int32)
        first, last = int(self.host_indptr[0]), int(self.host_indptr[-1])
        self.device.launch(
            *("rows.cu", "count_items_kernel", blocks_for(self.device, last - first), THREADS),
            *(counts, self.indices[first:last], last - first),
        )
        return counts


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

    @classmethod
    def from_host(cls, device: Device, matrix: Csr) -> DeviceCsr:
        """Return a copy of a matrix on the device; its row pointers stay known on the host."""
        own = matrix.rebased()
        up = device.to_device
        pattern = Pattern(device, up(own.indptr), up(own.indices), own.n_cols, own.indptr)
        data, users = (None if array is None else up(array) for array in (own.data, own.users))
        return cls(pattern, data, users)

    def to_host(self) -> Csr:
        """Return a copy on the host; waits for the device."""
        pattern, down = self.pattern, self.device.to_host
        start, stop = int(pattern.host_indptr[0]), int(pattern.host_indptr[-1])
        data = None if self.data is None else down(self.data[start:stop])
        users = None if self.users is None else down(self.users)
        return Csr(pattern.host_indptr - start, down(pattern.indices[start:stop]), data, self.n_cols, users)

    def to_scipy(self) -> sparse.csr_matrix:
        """Return a SciPy matrix, float32; waits for the device."""
        return self.to_host().to_scipy()

    def user_numbers(self) -> Array:
        """Return the user number of each row, int64 (m,), on the device."""
        xp = self.device.xp
        return xp.arange(self.shape[0], dtype=xp.int64) if self.users is None else self.users

    def numbered_from(self, first: int) -> DeviceCsr:
        """Return the same rows with user numbers that are larger by ``first``."""
        return replace(self, users=self.user_numbers() + first)

    def rows(self, start: int, stop: int) -> DeviceCsr:
        """Return rows start..stop, which share the ids and values of this matrix."""
        pattern, xp = self.pattern, self.device.xp
        known = pattern.__dict__.get("host_indptr")
        host_indptr = None if known is None else known[start : stop + 1]
        indptr = pattern.indptr[start : stop + 1]
        users = xp.arange(start, stop, dtype=xp.int64) if self.users is None else self.users[start:stop]
        return DeviceCsr(Pattern(self.device, indptr, pattern.indices, self.n_cols, host_indptr), self.data, users)

    def rebased(self) -> DeviceCsr:
        """Return the same rows stored from 0 to the end, where the host knows where they are."""
        pattern = self.pattern.compact
        if pattern is self.pattern:
            return self
        first, last = int(self.pattern.host_indptr[0]), int(self.pattern.host_indptr[-1])
        return DeviceCsr(pattern, None if self.data is None else self.data[first:last], self.users)

    def with_data(self, data: Array | None) -> DeviceCsr:
        """Return the same pattern, its index by item included, with other values."""
        return replace(self, data=data)

    def take_rows(self, rows: npt.NDArray[np.int64]) -> DeviceCsr:
        """Return the given rows, compact and in their order, with the user numbers that they have here.

        ``rows`` is on the host, int64.
        """
        indptr = _pointers(self.row_lengths()[rows])
        uploaded = self.device.to_device(np.concatenate([rows, indptr]))
        q = len(rows)
        indices, data, users = self._copy_rows(uploaded[:q], uploaded[q:], int(indptr[-1]))
        return DeviceCsr(Pattern(self.device, uploaded[q:], indices, self.n_cols, indptr), data, users)

    def batches(self, order: npt.NDArray[np.int64], size: int) -> Iterator[DeviceCsr]:
        """Yield ``take_rows(order[start : start + size])`` for each start 0, size, ..., with its index by item made.

        Several batches are cut and indexed together, as many as fit into BATCH_BYTES, without waiting for the device.
        """
        lengths = self.row_lengths()[order]
        nnz = np.add.reduceat(lengths, np.arange(0, len(order), size)) if len(order) else lengths
        need = nnz * _ENTRY_BYTES + self.n_cols * _ITEM_BYTES
        first = 0
        while first < len(need):
            fitting = int(np.searchsorted(np.cumsum(need[first:]), BATCH_BYTES, side="right"))
            stop = first + max(fitting, 1)
            rows = slice(first * size, stop * size)
            yield from self._batch_group(order[rows], lengths[rows], size)
            first = stop

    def weighted(self, item_weights: Array | None, user_power: float = 0.0) -> DeviceCsr:
        """Return the same pattern with values w_j · len_i^(−user_power), for rows without entries as if they had one.

        ``item_weights`` is float32 (n,), or None where every w_j is 1. Values of this matrix do not count.
        """
        own, m = self.rebased(), self.shape[0]
        pattern = own.pattern
        data = self.device.xp.empty(len(pattern.indices), self.device.xp.float32)
        self.device.launch(
            *("rows.cu", "weight_entries_kernel", blocks_for(self.device, m * WARP), THREADS),
            *(data, pattern.indptr, pattern.indices, item_weights, float(user_power), m),
        )
        return own.with_data(data)

    def length_powers(self, power: float, out: Array) -> None:
        """Set ``out``, float32 (m,), a column of a matrix maybe, to len_i^(−power), empty rows as if they had one."""
        m = self.shape[0]
        stride = out.strides[0] // out.itemsize
        self.device.launch(
            *("rows.cu", "length_powers_kernel", blocks_for(self.device, m), THREADS),
            *(out[:1], stride, self.pattern.indptr, float(power), m),
        )

    def column_squares(self) -> npt.NDArray[np.float64]:
        """Return Σ_i x_ij², float64 (n,), on the host; waits for the device."""
        if self.data is None:
            counts: npt.NDArray[np.float64] = self.device.to_host(self.pattern.count_items()).astype(np.float64)
            return counts
        xp, index, n = self.device.xp, self.pattern.by_item, self.n_cols
        squares = xp.empty(n, xp.float64)
        self.device.launch(
            *("item_index.cu", "column_squares_kernel", blocks_for(self.device, n * WARP), THREADS),
            *(squares, index.begin, index.places, self.data, n),
        )
        copy: npt.NDArray[np.float64] = self.device.to_host(squares)
        return copy

    def _batch_group(
        self, rows: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], size: int
    ) -> Iterator[DeviceCsr]:
        """Yield the batches of ``rows``; their arrays are parts of common ones."""
        device, n, q = self.device, self.n_cols, len(rows)
        starts = np.arange(0, q, size)
        indptr = _pointers(lengths)
        # each batch also has pointers of its own that start at 0, one after the other
        own = [indptr[start : start + size + 1] - indptr[start] for start in starts]
        uploaded = device.to_device(np.concatenate([rows, indptr, *own]))
        group_rows, group_indptr, own_pointers = uploaded[:q], uploaded[q : 2 * q + 1], uploaded[2 * q + 1 :]
        indices, data, users = self._copy_rows(group_rows, group_indptr, int(indptr[-1]))
        index = _index_items(device, group_indptr, indices, n, size)
        for number, (start, host_indptr) in enumerate(zip(starts, own, strict=True)):
            stop, begin = start + len(host_indptr) - 1, number * n
            entries = slice(int(indptr[start]), int(indptr[stop]))
            first_pointer = start + number
            pattern = Pattern(
                device,
                own_pointers[first_pointer : first_pointer + len(host_indptr)],
                indices[entries],
                n,
                host_indptr,
                ItemIndex(index.begin[begin : begin + n + 1], index.rows, index.places),
            )
            yield DeviceCsr(pattern, None if data is None else data[entries], users[start:stop])

    def _copy_rows(self, rows: Array, begin: Array, nnz: int) -> tuple[Array, Array | None, Array]:
        """Return ids, values and user numbers of ``rows``, those of row i from ``begin[i]`` on."""
        device, xp, pattern, q = self.device, self.device.xp, self.pattern, len(rows)
        ids = xp.empty(nnz, xp.int32)
        data = None if self.data is None else xp.empty(nnz, xp.float32)
        users = None if self.users is None else xp.empty(q, xp.int64)
        device.launch(
            *("rows.cu", "take_rows_kernel", blocks_for(device, q * WARP), THREADS),
            *(ids, data, users, begin, rows, pattern.indices, self.data, pattern.indptr, self.users, q),
        )
        return ids, data, rows if users is None else users


def blocks_for(device: Device, threads: int) -> int:
    """Return how many blocks of THREADS to launch for so many threads of work, at most what keeps the device busy."""
    return min(ceil_div(threads, THREADS), 32 * device.multiprocessors)


def _pointers(lengths: npt.NDArray[np.int64]) -> HostPointers:
    indptr = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=indptr[1:])
    return indptr


def _index_items(device: Device, indptr: Array, indices: Array, n_cols: int, size: int | None = None) -> ItemIndex:
    """Return the index of all entries, some of which may belong to no row.

    With ``size``, batches of so many rows have their lists one after the other, n for each, and ``rows`` and
    ``places`` count within the batch.
    """
    xp, m, nnz = device.xp, len(indptr) - 1, len(indices)
    rows_per_batch = max(m, 1) if size is None else size
    last_key = max(ceil_div(m, rows_per_batch), 1) * n_cols  # of entries of no row; BATCH_BYTES keeps it within int32
    rows, places = xp.empty(nnz, xp.int32), xp.empty(nnz, xp.int64)
    if nnz == 0:
        return ItemIndex(xp.zeros(last_key + 1, xp.int64), rows, places)
    keys = xp.full(nnz, last_key, xp.int32)
    row_of = xp.empty(nnz, xp.int32)
    counts = xp.zeros(last_key + 1, xp.int32)
    device.launch(
        *("item_index.cu", "item_keys_kernel", blocks_for(device, m * WARP), THREADS),
        *(keys, row_of, counts, indptr, indices, rows_per_batch, n_cols, m),
    )
    order = xp.argsort(keys, kind="stable")
    device.launch(
        *("item_index.cu", "item_places_kernel", blocks_for(device, nnz), THREADS),
        *(rows, places, order, row_of, None if size is None else indptr, rows_per_batch, nnz),
    )
    return ItemIndex(xp.cumsum(counts, dtype=xp.int64), rows, places)
