"""Top lists and their metrics on a device."""

from __future__ import annotations

import numpy as np

from fastautorec._compute.cuda.device import WARP, Array, Device, row_stride
from fastautorec._compute.cuda.matrix import THREADS, DeviceCsr, blocks_for

_MAX_LISTED = 1024  # places that a block lists at a time
_MIN_ROOM = 256  # keys: below, sorting fewer saves less than finding them costs


def top_items(
    device: Device,
    scores: Array,
    n_top: int,
    exclude: DeviceCsr | None = None,
    first_item: int = 0,
    best: tuple[Array, Array] | None = None,
) -> tuple[Array, Array]:
    """Return ids and scores (q, n_top) of the best items of a tile, merged into ``best`` of the earlier tiles.

    Parameters
    ----------
    device : Device
    scores : float32 (q, width)
        Of the items ``first_item`` onwards; rows may be strided.
    n_top : int
        Lists beyond 1,024 places are made 1,024 places at a time.
    exclude : DeviceCsr (q, n) or None
        Items that must not be listed.
    first_item : int
    best : int32 (q, n_top) and float32 (q, n_top), or None
        What this function returned for the earlier tiles.

    Returns
    -------
    ids : int32 (q, n_top)
        By descending score, then ascending id; -1 in free places. NaN and minus infinity are never listed.
    values : float32 (q, n_top)
        NaN in free places.
    """
    xp = device.xp
    n_rows, width = scores.shape
    ids, values = xp.empty((n_rows, n_top), np.int32), xp.empty((n_rows, n_top), np.float32)
    if n_top == 0:
        return ids, values
    earlier = (None, None) if best is None else (xp.ascontiguousarray(best[0]), xp.ascontiguousarray(best[1]))
    left_out = (None, None) if exclude is None else (exclude.pattern.indptr, exclude.pattern.indices)
    listed = min(n_top, _MAX_LISTED)
    room = max(_MIN_ROOM, 1 << (2 * listed - 1).bit_length())  # from 2 to 4 keys for each place
    device.launch(
        *("top_items.cu", "top_items_kernel", n_rows, THREADS),
        *(ids, values, scores, row_stride(scores), n_rows, width, first_item, n_top),
        *(*earlier, *left_out, listed, room),
        shared=8 * room,
    )
    return ids, values


def ranking_metrics(
    device: Device, item_ids: Array, test: DeviceCsr, cutoffs: tuple[int, ...], definition: str
) -> Array:
    """Return one column for each of ``metric_names``, one row for each user; NaN rows without test items.

    Parameters
    ----------
    device : Device
    item_ids : int32 (q, length)
        Ranked lists; ids that no item has are misses, and a repeated id counts at its first place only.
    test : DeviceCsr (q, n)
        Its stored items are what the lists should hold.
    cutoffs : tuple of int
        Ascending; they may exceed the length of the lists.
    definition : {"standard", "paper"}

    Returns
    -------
    float64 (q, columns)
    """
    xp, paper = device.xp, definition == "paper"
    n_rows, length = item_ids.shape
    table = xp.empty((n_rows, 2 + (4 if paper else 5) * len(cutoffs)), np.float64)
    ranks = xp.arange(1, max(cutoffs[-1], test.n_cols if paper else 0) + 1, dtype=np.float64)
    gains = 1 / xp.log2(ranks + 1)
    harmonic = xp.cumsum(1 / ranks) if paper else None
    device.launch(
        *("ranking_metrics.cu", "ranking_metrics_kernel", blocks_for(device, n_rows * WARP), THREADS),
        *(table, item_ids, row_stride(item_ids), n_rows, length, test.pattern.indptr, test.pattern.indices),
        *(device.to_device(np.asarray(cutoffs, np.int64)), len(cutoffs), paper, gains, xp.cumsum(gains), harmonic),
    )
    return table
