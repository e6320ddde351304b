"""Scores in tiles of users × items, each tile cut to its best items at once: no (users, items) array ever exists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from fastautorec._backends.protocol import Backend, FloatArray, IdArray
from fastautorec._parallel import matmul, run_blocks
from fastautorec._sparse import Csr

TILE_BYTES = 1 << 20  # of scores, for each thread: about a core's second-level cache
TILE_ITEMS = 1 << 14
MAX_TILE_USERS = 256


class Scorer(Protocol):
    """What a fitted model offers for scoring."""

    @property
    def n_items(self) -> int:
        """Number of items that are scored."""

    def take(self, items: IdArray) -> Scorer:
        """Return the scorer of these items only, in this order."""

    def prepare(self, backend: Backend, history: Csr) -> Any:
        """Return what a tile of users needs: their hidden units, say."""

    def score(self, backend: Backend, prepared: Any, first: int, last: int, out: FloatArray) -> None:
        """Write the scores (users, last - first) of items first..last to ``out``."""


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

    def score(self, backend: Backend, prepared: FloatArray, first: int, last: int, out: FloatArray) -> None:
        matmul(prepared, self._decoder[first:last].T, out, backend.num_threads)


def tile_shape(n_users: int, n_items: int) -> tuple[int, int]:
    """Return users and items of a tile; the same for any number of threads, so that results are too."""
    items = min(n_items, TILE_ITEMS)
    users = max(8, min(MAX_TILE_USERS, TILE_BYTES // (4 * max(items, 1))))
    return min(users, max(n_users, 1)), items


def top_lists(
    backend: Backend,
    scorer: Scorer,
    history: Csr,
    n_top: Callable[[int, int], int],
    exclude: Csr | None,
    consume: Callable[[int, int, IdArray, FloatArray], None],
) -> None:
    """Hand the best items of every block of users to ``consume(start, stop, ids, scores)``, blocks in any order.

    Parameters
    ----------
    backend : Backend
        Tiles are shared out over its threads.
    scorer : Scorer
    history : Csr (q, n)
        Rows to score.
    n_top : callable
        Length of the lists of users start..stop.
    exclude : Csr (q, scorer.n_items) or None
        Items that must not be listed.
    consume : callable
        Runs in the thread of the tile and may write only to its own rows.
    """
    users, items = tile_shape(history.shape[0], scorer.n_items)
    single = backend.with_threads(1)

    def one_tile(start: int, stop: int) -> None:
        prepared = scorer.prepare(single, history.rows(start, stop))
        left_out = None if exclude is None else exclude.rows(start, stop)
        length = n_top(start, stop)
        buffer = np.empty((stop - start, items), np.float32)
        best = None
        for first in range(0, scorer.n_items, items):
            last = min(first + items, scorer.n_items)
            scores = buffer[:, : last - first]
            scorer.score(single, prepared, first, last, scores)
            best = single.top_items(scores, length, left_out, first, best)
        if best is not None:
            consume(start, stop, *best)

    run_blocks(one_tile, history.shape[0], users, backend.num_threads)
