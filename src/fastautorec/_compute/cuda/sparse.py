"""Operations on sparse matrices: counts, item weights, encoder products, dropout."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fastautorec._compute.cuda.device import WARP, Array, Device, ceil_div, row_stride
from fastautorec._compute.cuda.matrix import THREADS, DeviceCsr, blocks_for
from fastautorec._compute.cuda.optim import step_rows
from fastautorec._compute.parameter import Parameter
from fastautorec._compute.protocol import ACTIVATIONS

TILE_BYTES = 64 << 20  # of hidden units between the two products of a Gram product: most of it stays in the L2 cache
TILE_ENTRIES = 1 << 24  # of an index by item that is made for one product: 1 GB while it is sorted
PARTS_BYTES = 64 << 20
SEGMENT = 128  # entries that a warp sums up while the others wait
COLUMNS = 128  # of a warp

Halving = Callable[[int], int]  # tells a backend that a tile does not fit, and returns the length of the next


def count_items(device: Device, x: DeviceCsr) -> npt.NDArray[np.int64]:
    """Return pop (n,), the number of users of each item, on the host; waits for the device."""
    counts: npt.NDArray[np.int64] = device.to_host(x.pattern.count_items()).astype(np.int64)
    return counts


def nce_transform(device: Device, user_items: DeviceCsr, beta: float, numerator: str) -> DeviceCsr:
    """Return R* on the pattern of R: max(log P - beta log pop_j, 0), P by ``numerator`` (Eq. 16)."""
    xp = device.xp
    total = user_items.nnz if numerator == "interactions" else user_items.shape[0]
    popularity = xp.maximum(user_items.pattern.count_items(), 1)  # items without users never occur in the pattern
    weights = xp.maximum(math.log(max(total, 1)) - beta * xp.log(popularity), 0)
    return user_items.weighted(weights.astype(xp.float32))


def encode(
    device: Device,
    user_items: DeviceCsr,
    weight: Array,
    bias: Array | None = None,
    activation: str = "identity",
    out: Array | None = None,
) -> Array:
    """Return act(X W + b), (q, k)."""
    if out is None:
        out = device.xp.empty((user_items.shape[0], weight.shape[1]), device.xp.float32)
    _sum_lists(device, _rows_of(user_items), weight, out, bias=bias, activation=activation)
    return out


def add_residual(device: Device, x: DeviceCsr, weight: Array, product: Array, scale: float, out: Array) -> None:
    """Add ``scale`` · (``product`` − X W), (q, k), to ``out``."""
    _sum_lists(device, _rows_of(x), weight, out, add=True, product=product, scale=scale)


def encode_backward(
    device: Device,
    x: DeviceCsr,
    grad: Array,
    out: Array | None = None,
    parameter: Parameter | None = None,
    halved: Halving | None = None,
) -> Array:
    """Return X^T grad, (n, k), added to ``out`` where given; or step ``parameter`` by it and return its value."""
    if parameter is not None:
        step_rows(device, x, grad, parameter, 1.0)
        return parameter.value
    return _over_tiles(device, x, max(x.shape[0], 1), lambda part, start, stop: grad[start:stop], out, halved)


def gram_product(device: Device, x: DeviceCsr, block: Array, halved: Halving | None = None) -> Array:
    """Return X^T (X block), (n, k), in tiles of users."""
    size = max(TILE_BYTES // (4 * max(block.shape[1], 1)), 1)
    return _over_tiles(device, x, size, lambda part, start, stop: encode(device, part, block), None, halved)


def drop_entries(device: Device, user_items: DeviceCsr, rate: float, seed: int, epoch: int) -> DeviceCsr:
    """Return X with entries set to 0 with probability ``rate``, the others divided by 1 - rate."""
    own, m = user_items.rebased(), user_items.shape[0]
    pattern = own.pattern
    data = device.xp.empty(len(pattern.indices), device.xp.float32)
    threshold = np.uint32(int(np.float32(rate) * 2.0**32))
    scale = np.float32(1) / (np.float32(1) - np.float32(rate))
    device.launch(
        *("rows.cu", "drop_entries_kernel", blocks_for(device, m * WARP), THREADS),
        *(data, pattern.indptr, own.data, own.users, threshold, scale, np.uint64(seed), np.uint32(epoch), m),
    )
    return own.with_data(data)


@dataclass(frozen=True)
class _Lists:
    """The entries of a matrix by row or by item."""

    begin: Array
    ids: Array
    places: Array | None
    data: Array | None
    capacity: int  # at least the number of entries
    longest: int  # at least the length of the longest list


def _rows_of(x: DeviceCsr) -> _Lists:
    pattern = x.pattern
    return _Lists(pattern.indptr, pattern.indices, None, x.data, pattern.capacity, pattern.longest_row)


def _columns_of(x: DeviceCsr) -> _Lists:
    index = x.pattern.by_item
    return _Lists(index.begin, index.rows, index.places, x.data, x.pattern.capacity, x.shape[0])


def _add_columns(device: Device, x: DeviceCsr, grad: Array, out: Array | None) -> Array:
    """Return X^T grad, added to ``out`` where given."""
    add = out is not None
    if out is None:
        out = device.xp.empty((x.n_cols, grad.shape[1]), device.xp.float32)
    _sum_lists(device, _columns_of(x), grad, out, add=add)
    return out


def _sum_lists(
    device: Device,
    lists: _Lists,
    source: Array,
    out: Array,
    bias: Array | None = None,
    activation: str = "identity",
    add: bool = False,
    product: Array | None = None,
    scale: float = 1.0,
) -> None:
    """Set ``out`` to act(Σ value · source[id] + bias), or add the sums, or ``scale`` · (``product`` − sums), to it."""
    xp, (n_lists, k) = device.xp, out.shape
    segment, n_parts = _segments(lists, k)
    parts = xp.empty((n_parts, k), xp.float32) if n_parts else None
    tiles = ceil_div(k, COLUMNS)
    ends = (
        bias,
        np.int32(ACTIVATIONS.index(activation)),
        add,
        product,
        0 if product is None else row_stride(product),
        scale,
    )
    device.launch(
        *("sparse_ops.cu", "sum_lists_kernel", blocks_for(device, (n_parts + n_lists) * tiles * WARP), THREADS),
        *(out, row_stride(out), parts, n_parts, lists.begin, lists.ids, lists.places, lists.data),
        *(source, row_stride(source), *ends, segment, n_lists, k),
    )
    if n_parts:
        device.launch(
            *("sparse_ops.cu", "join_parts_kernel", blocks_for(device, n_lists * tiles * WARP), THREADS),
            *(out, row_stride(out), parts, lists.begin, *ends, segment, n_lists, k),
        )


def _segments(lists: _Lists, k: int) -> tuple[int, int]:
    """Return the length of segments and the number of parts, 0 where no list is longer than a segment.

    The longest list is done soonest if it has as many segments as a segment has entries.
    """
    segment = SEGMENT
    while segment < lists.longest and (
        segment * segment < lists.longest or _parts(lists, segment) * k * 4 > PARTS_BYTES
    ):
        segment *= 2
    return segment, _parts(lists, segment) if lists.longest > segment else 0


def _parts(lists: _Lists, segment: int) -> int:
    return 2 * ceil_div(lists.capacity, segment)


def _over_tiles(
    device: Device,
    x: DeviceCsr,
    size: int,
    factor: Callable[[DeviceCsr, int, int], Array],
    out: Array | None,
    halved: Halving | None,
) -> Array:
    """Return X^T F, added to ``out`` where given, in tiles of users; ``factor`` makes their rows of F.

    An index by item is made of TILE_ENTRIES or of one row. Where memory gives out, the same users come again in tiles
    of ``halved`` length: nothing is added before the last allocation of a tile.
    """
    m, start = x.shape[0], 0
    while start < m or out is None:
        stop = _tile_end(x, start, size)
        try:
            part = x if stop - start == m else x.rows(start, stop)
            out = _add_columns(device, part, factor(part, start, stop), out)
        except device.out_of_memory:
            if halved is None:
                raise
            size = halved(stop - start)
        else:
            start = stop
    return out


def _tile_end(x: DeviceCsr, start: int, size: int) -> int:
    """Return where a tile of up to ``size`` rows ends that begins at ``start``."""
    m = x.shape[0]
    if start == 0 and size >= m and ("by_item" in x.pattern.__dict__ or x.pattern.capacity <= TILE_ENTRIES):
        return m
    pointers = x.pattern.host_indptr
    fitting = int(np.searchsorted(pointers, pointers[start] + TILE_ENTRIES, side="right")) - 1
    return min(start + size, max(fitting, start + 1), m)
