"""Negative samples on a device: the bits of `fastautorec._compute.sampling`, without waiting for the device."""

from __future__ import annotations

import weakref
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fastautorec._compute.cuda.device import WARP, Array, Device, ceil_div
from fastautorec._compute.cuda.matrix import THREADS, DeviceCsr, Pattern, blocks_for
from fastautorec._compute.sampling import TOTAL_BITS, Sampler

_BLOCKS = 8  # for each multiprocessor
_SHARED_BYTES = 16 << 10  # of one kind of scratch: beyond, too few blocks fit on a multiprocessor
_SCRATCH_BYTES = 64 << 20  # of one kind of scratch, of all blocks: about what the L2 cache holds
_STAGE_BYTES = 256 << 20  # of rows that wait for their place


@dataclass(frozen=True)
class _Tables:
    """A sampler on a device; the last four are None where every draw is a single one."""

    device: Device
    cdf: Array
    guide: Array
    table: Array | None = None
    last: Array | None = None
    base: Array | None = None
    table_guide: Array | None = None


_uploaded: dict[tuple[int, int], _Tables] = {}  # by the identities of the sampler and the device


def sample_negatives(
    device: Device,
    sampler: Sampler,
    users: Array | npt.NDArray[np.int64],
    exclude: DeviceCsr | None,
    seed: int,
    epoch: int,
) -> tuple[DeviceCsr, Array]:
    """Return the pattern S (q, n) of items drawn for ``users``, and the count of each entry.

    Parameters
    ----------
    device : Device
    sampler : Sampler
        Its tables are copied to the device at the first call and stay there for as long as the sampler lives.
    users : int64 (q,)
        On the host or on the device.
    exclude : DeviceCsr (q, n) or None
        Row i holds what user i must not get. A user from whom everything is excluded gets nothing.
    seed, epoch : int

    Returns
    -------
    pattern : DeviceCsr (q, n)
        Its row pointers are known on the device only.
    counts : int32
        As ``pattern.pattern.indices``, with room for q times the longest row.
    """
    xp, room = device.xp, sampler.longest_row
    if isinstance(users, np.ndarray):
        users = device.to_device(users)
    n_users = len(users)
    indptr = xp.zeros(n_users + 1, np.int64)
    ids, counts = xp.empty(n_users * room, np.int32), xp.empty(n_users * room, np.int32)
    lengths = xp.empty(n_users, np.int64)

    rows = min(n_users, max(_STAGE_BYTES // (8 * room), 1))
    staged_ids, staged_counts = xp.empty(rows * room, np.int32), xp.empty(rows * room, np.int32)
    draw = _Drawing(device, sampler, exclude, rows, seed, epoch)
    for start in range(0, n_users, max(rows, 1)):
        stop = min(start + rows, n_users)
        begin = indptr[start : stop + 1]
        draw(staged_ids, staged_counts, lengths[start:stop], users[start:stop], start)
        xp.cumsum(lengths[start:stop], out=begin[1:])
        if start > 0:
            begin[1:] += begin[:1]
        device.launch(
            *("pack_samples.cu", "pack_samples_kernel", blocks_for(device, (stop - start) * WARP), THREADS),
            *(ids, counts, staged_ids, staged_counts, room, begin, stop - start),
        )
    return DeviceCsr(Pattern(device, indptr, ids, sampler.n_items), None, users), counts


class _Drawing:
    """Launches of the kernel that draws, with the scratch of its blocks."""

    def __init__(
        self, device: Device, sampler: Sampler, exclude: DeviceCsr | None, rows: int, seed: int, epoch: int
    ) -> None:
        self.device, self.sampler, self.exclude = device, sampler, exclude
        self.stream = np.uint64(seed), np.uint32(epoch)
        self.tables = _tables(device, sampler)
        longest = 0 if exclude is None else int(exclude.row_lengths().max(initial=0))
        self.cut_room = 2 * longest + 1
        n_items = sampler.n_items
        self.work_room = 2 * ceil_div(n_items, 32) if sampler.counts is None else n_items

        needed = 8 * self.cut_room, 4 * self.work_room
        largest = max((size for size in needed if size > _SHARED_BYTES), default=1)
        self.blocks = min(rows, _BLOCKS * device.multiprocessors, max(_SCRATCH_BYTES // largest, 1))
        self.shared = sum(size for size in needed if size <= _SHARED_BYTES)
        cuts, work = ((size > _SHARED_BYTES) * self.blocks for size in needed)
        self.cuts = device.xp.empty((cuts, self.cut_room), np.uint64) if cuts else None
        self.work = device.xp.empty((work, self.work_room), np.uint32) if work else None

    def __call__(self, ids: Array, counts: Array, lengths: Array, users: Array, first_row: int) -> None:
        tables, sampler = self.tables, self.sampler
        left_out: tuple[Array | None, Array | None] = None, None
        if self.exclude is not None:
            left_out = self.exclude.pattern.indptr[first_row:], self.exclude.pattern.indices
        shift = TOTAL_BITS + 1 - len(sampler.guide).bit_length()
        self.device.launch(
            *("sampling_ops.cu", "sample_negatives_kernel", min(self.blocks, len(users)), THREADS),
            *(ids, counts, lengths, sampler.longest_row, users, len(users), sampler.n_samples),
            *(tables.cdf, sampler.n_items, tables.guide, shift),
            *(tables.table, tables.last, tables.base, tables.table_guide),
            *(*left_out, self.cuts, self.cut_room, self.work, self.work_room),
            *self.stream,
            shared=self.shared,
        )


def _tables(device: Device, sampler: Sampler) -> _Tables:
    """Return the tables of a sampler on a device."""
    key = id(sampler), id(device)
    if key not in _uploaded:
        arrays = [sampler.cdf, sampler.guide]
        if sampler.counts is not None:
            arrays += [sampler.counts.table, sampler.counts.last, sampler.counts.base, sampler.counts.guide]
        _uploaded[key] = _Tables(device, *map(device.to_device, arrays))
        weakref.finalize(sampler, _uploaded.pop, key, None)
    return _uploaded[key]
