"""Scores in tiles of users × items, each tile cut to its best items at once: no (users, items) array ever exists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from fastautorec._backends.protocol import Backend, FloatArray, IdArray, ScoreTiles
from fastautorec._parallel import run_blocks
from fastautorec._sparse import Csr, LazyRows

TILES_PREPARED = 32  # hidden units are made for so many tiles at once


class Scorer(Protocol):
    """What a fitted model offers for scoring."""

    @property
    def n_items(self) -> int:
        """Number of items that are scored."""

    def take(self, items: IdArray) -> Scorer:
        """Return the scorer of these items only, in this order."""

    def prepare(self, backend: Backend, history: Csr) -> Any:
        """Return what scoring these users needs: their hidden units, say."""

    def score(self, backend: Backend, prepared: Any, users: slice, items: slice, out: FloatArray) -> None:
        """Write the scores of some of the prepared users and some items to ``out``."""


class DotScorer:
    """Scores H Dᵀ: hidden units of the users (from ``hidden(backend, history)``) times one row of D for each item."""

    def __init__(self, hidden: Callable[[Backend, Csr], FloatArray], decoder: FloatArray) -> None:
        self.prepare = hidden
        self._decoder = decoder

    @property
    def n_items(self) -> int:
        return len(self._decoder)

    def take(self, items: IdArray) -> DotScorer:
        return DotScorer(self.prepare, self._decoder[items])

    def score(self, backend: Backend, prepared: FloatArray, users: slice, items: slice, out: FloatArray) -> None:
        backend.matmul(prepared[users], self._decoder[items].T, out)


def tile_shape(tiles: ScoreTiles, n_users: int, n_items: int) -> tuple[int, int]:
    """Return users and items of a tile; the same for any number of threads, so that results are too."""
    items = min(n_items, tiles.items)
    users = max(8, min(tiles.users, tiles.size // (4 * max(items, 1))))
    return min(users, max(n_users, 1)), items


def top_lists(
    backend: Backend,
    scorer: Scorer,
    history: Csr | LazyRows,
    n_top: Callable[[int, int], int],
    exclude: Csr | LazyRows | None,
    consume: Callable[[int, int, IdArray, FloatArray], None],
) -> None:
    """Hand the best items of every block of users to ``consume(start, stop, ids, scores)``, blocks in any order.

    Parameters
    ----------
    backend : Backend
        Tiles are shared out over its threads.
    scorer : Scorer
    history : Csr or LazyRows (q, n)
        Rows to score; those of the host come over in groups.
    n_top : callable
        Length of the lists of users start..stop.
    exclude : Csr or LazyRows (q, scorer.n_items), or None
        Items that must not be listed.
    consume : callable
        Runs in the thread of the tile and may write only to its own rows.
    """
    total = history.shape[0]
    users, items = tile_shape(backend.score_tiles, total, scorer.n_items)
    single = backend.with_threads(1)
    free: list[FloatArray] = []  # tiles for reuse, one for each thread: fresh memory costs as much as filling it

    def group(begin: int, end: int) -> None:
        known = _on_device(backend, history, begin, end)
        unwanted = known if exclude is history or exclude is None else _on_device(backend, exclude, begin, end)
        prepared = scorer.prepare(backend, known)

        def tile(first_user: int, last_user: int) -> None:
            start, stop = begin + first_user, begin + last_user
            left_out = None if exclude is None else unwanted.rows(first_user, last_user)
            length, best = n_top(start, stop), None
            try:
                buffer = free.pop()
            except IndexError:  # asking first would not do: another thread may take the last one meanwhile
                buffer = backend.new((users * items,), np.float32)
            for first in range(0, scorer.n_items, items):
                last = min(first + items, scorer.n_items)
                scores = buffer[: (stop - start) * (last - first)].reshape(stop - start, last - first)
                scorer.score(single, prepared, slice(first_user, last_user), slice(first, last), scores)
                best = single.top_items(scores, length, left_out, first, best)
            free.append(buffer)
            assert best is not None  # a matrix has at least one column
            consume(start, stop, *best)

        run_blocks(tile, end - begin, users, backend.num_threads)

    begin = 0
    while begin < total:
        end = min(begin + users * TILES_PREPARED, total)
        try:
            group(begin, end)
        except backend.out_of_memory:
            free.clear()
            users = backend.halved(users)
        else:
            begin = end


def _on_device(backend: Backend, matrix: Csr | LazyRows, start: int, stop: int) -> Csr:
    return backend.put(matrix.rows(start, stop)).rows(0, stop - start)
