"""Work in tiles of users, which shrink where the memory of a device does not hold them."""

from __future__ import annotations

from collections.abc import Callable

from fastautorec._compute.protocol import Backend, FloatArray


def over_tiles(
    backend: Backend, users: int, tile: int, columns: int, work: Callable[[int, int, FloatArray], None]
) -> None:
    """Call ``work(start, stop, buffer)`` for consecutive tiles of users, with a float32 matrix of a row for each.

    Where memory gives out, the same users come again in tiles half as large: work must not have changed anything
    before its last allocation.
    """
    start, buffer = 0, None
    while start < users:
        stop = min(start + tile, users)
        try:
            if buffer is None:
                buffer = backend.empty(min(tile, users), columns)
            work(start, stop, buffer[: stop - start])
        except backend.out_of_memory:
            buffer = None
            tile = backend.halved(stop - start)
        else:
            start = stop
