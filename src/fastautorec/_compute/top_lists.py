"""Scores in tiles of users × items, each tile cut to its best items at once: no (users, items) array ever exists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fastautorec._compute.csr import Csr, LazyRows
from fastautorec._compute.host import run_blocks
from fastautorec._compute.item_index import NONE, ItemIndex, Scan
from fastautorec._compute.protocol import Backend, FloatArray, IdArray, ScoreTiles

TILES_PREPARED = 32  # hidden units are made for so many tiles at once
FEW_USERS = 8  # are scored sooner than handed to a thread; threads share out the items inside the operations
WIDE_TILE = 1 << 17  # items of a tile for so few users
TASKS_OF_A_THREAD = 4  # at least, where there are so many tiles: so that no thread waits long for the last one
SCALED_PARTS = 8  # of a tile are scaled one after the other
COPYING = 16  # users whose scores for an item take as long as copying what the item is scored by

Lists = tuple[IdArray, FloatArray]


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

    def __init__(
        self, hidden: Callable[[Backend, Csr], FloatArray], decoder: FloatArray, index: ItemIndex | None = None
    ) -> None:
        self.prepare = hidden
        self.decoder = decoder
        self.index = index  # of this decoder, which nothing changes any more

    @property
    def n_items(self) -> int:
        return len(self.decoder)

    def take(self, items: IdArray) -> DotScorer:
        return DotScorer(self.prepare, self.decoder[items])

    def score(self, backend: Backend, prepared: FloatArray, users: slice, items: slice, out: FloatArray) -> None:
        backend.matmul(prepared[users], self.decoder[items].T, out)


class MaskedScorer:
    """Scores of another scorer, but minus infinity for some items, so that no list has them."""

    def __init__(self, scorer: Scorer, masked: npt.NDArray[np.int64]) -> None:
        """Take the ids of the items, ascending and on the host."""
        self.scorer, self.masked = scorer, masked
        self.prepare = scorer.prepare

    @property
    def n_items(self) -> int:
        return self.scorer.n_items

    def take(self, items: IdArray) -> Scorer:
        return self.scorer.take(items)

    def score(self, backend: Backend, prepared: Any, users: slice, items: slice, out: FloatArray) -> None:
        self.scorer.score(backend, prepared, users, items, out)
        start, stop = np.searchsorted(self.masked, (items.start, items.stop))
        if start < stop:
            out[:, backend.to_device(self.masked[start:stop] - items.start)] = -np.inf


def copying_pays(n_taken: int, n_users: int, n_items: int) -> bool:
    """Return whether copying what some items are scored by takes less time than scoring all items, most for nothing."""
    return n_taken * (n_users + COPYING) < n_items * n_users


def tile_shape(tiles: ScoreTiles, n_users: int, n_items: int) -> tuple[int, int]:
    """Return users and items of a tile; the same for any number of threads, so that results are too."""
    widest = tiles.items if n_users > FEW_USERS else max(tiles.items, WIDE_TILE)
    parts = -(-n_items // widest) or 1
    items = -(-n_items // parts)  # all of about one size: threads share them out
    users = max(FEW_USERS, min(tiles.users, tiles.size // (4 * max(items, 1))))
    return min(users, max(n_users, 1)), items


def top_lists(
    backend: Backend,
    scorer: Scorer,
    history: Csr | LazyRows,
    n_top: Callable[[int, int], int],
    exclude: Csr | LazyRows | None,
    consume: Callable[[int, int, IdArray, FloatArray], None],
    factors: FloatArray | None = None,
) -> None:
    """Hand the best items of every block of users to ``consume(start, stop, ids, scores)``, blocks in any order.

    Parameters
    ----------
    backend : Backend
        Its threads share out blocks of users and, where these are few, parts of the items too.
    scorer : Scorer
    history : Csr or LazyRows (q, n)
        Rows to score; those of the host come over in groups, and what is made for a group is of limited size.
    n_top : callable
        Length of the lists of users start..stop.
    exclude : Csr or LazyRows (q, scorer.n_items), or None
        Items that must not be listed.
    consume : callable
        Runs in any thread and may write only to its own rows.
    factors : float32 (G, scorer.n_items), optional
        Then users have G lists, of their scores times each row of factors; scores are made once. The arrays that
        ``consume`` gets have the first lists of all users, then the second ones, and so on.
    """
    total = history.shape[0]
    users, items = tile_shape(backend.score_tiles, total, scorer.n_items)
    few = total <= FEW_USERS
    scan = None if factors is not None else scan_of(backend, scorer, total, (users, items))
    selector = Selector(backend if few else backend.with_threads(1), scorer, factors)

    def group(begin: int, end: int) -> None:
        known = _on_device(backend, history, begin, end)
        unwanted = known if exclude is history or exclude is None else _on_device(backend, exclude, begin, end)
        left_out = None if exclude is None else unwanted
        prepared = scorer.prepare(backend, known)
        blocks = [(start, min(start + users, end)) for start in range(begin, end, users)]
        blocks = scan.unanswered(backend, prepared, left_out, blocks, n_top, consume) if scan else blocks
        if not blocks:
            return
        wanted = 1 if few or backend.num_threads == 1 else -(-TASKS_OF_A_THREAD * backend.num_threads // len(blocks))
        bounds = part_bounds(scorer.n_items, items, wanted)
        n_parts = len(bounds) - 1
        lists: dict[int, Lists] = {}

        def select(task: int, _: int) -> None:
            number, part = divmod(task, n_parts)
            start, stop = blocks[number]
            left, right = bounds[part], bounds[part + 1]
            length = n_top(start, stop) if n_parts == 1 else min(n_top(start, stop), right - left)
            rows = slice(start - begin, stop - begin)
            best = selector.best(prepared, left_out, rows, range(left, right, items), length)
            if n_parts == 1:
                consume(start, stop, *best)
            else:
                lists[task] = best

        def join(number: int, _: int) -> None:
            start, stop = blocks[number]
            parts = [lists[number * n_parts + part] for part in range(n_parts)]
            consume(start, stop, *joined(selector.backend, parts, n_top(start, stop)))

        if few:
            for number in range(len(blocks)):
                select(number, number + 1)
            return
        run_blocks(select, len(blocks) * n_parts, 1, backend.num_threads)
        if n_parts > 1:
            run_blocks(join, len(blocks), 1, backend.num_threads)

    begin = 0
    while begin < total:
        end = min(begin + users * TILES_PREPARED, total)
        for rows in (history, exclude):
            if isinstance(rows, LazyRows):
                end = rows.end_of_block(begin, end - begin)
        try:
            group(begin, end)
        except backend.out_of_memory:
            selector.forget()
            users = backend.halved(users)
        else:
            begin = end


def scan_of(backend: Backend, scorer: Scorer, users: int, tile: tuple[int, int]) -> Scan | None:
    """Return what finds lists without all scores, for so many users and tiles of a shape, or None."""
    masked, plain = NONE, scorer
    if isinstance(scorer, MaskedScorer):
        masked, plain = scorer.masked.astype(np.int32), scorer.scorer
    index, few = plain.index if isinstance(plain, DotScorer) else None, users <= FEW_USERS
    if index is None or not backend.scans_codes or not index.pays(users, few):
        return None
    n, (block, items) = scorer.n_items, tile
    return Scan(index, masked, users, block, [min(items, n), n % items or items], FEW_USERS)


def _on_device(backend: Backend, matrix: Csr | LazyRows, start: int, stop: int) -> Csr:
    return backend.put(matrix.rows(start, stop)).rows(0, stop - start)


class Selector:
    """Scores tiles one after the other and keeps the best items, in any number of threads at the same time."""

    def __init__(self, backend: Backend, scorer: Scorer, factors: FloatArray | None) -> None:
        self.backend, self._scorer, self._factors = backend, scorer, factors
        self._free: list[FloatArray] = []  # tiles for reuse, one for each thread: fresh memory costs as much as filling

    def best(self, prepared: Any, exclude: Csr | None, rows: slice, tiles: range, length: int) -> Lists:
        """Return lists for some rows of the prepared users and of ``exclude``; a tile starts at each of ``tiles``."""
        users = rows.stop - rows.start
        left_out = None if exclude is None else exclude.rows(rows.start, rows.stop)
        size, rows_scaled = users * tiles.step, self._rows_scaled(users, tiles.step)
        best, buffer = None, self._buffer(size + rows_scaled * tiles.step)
        for first in tiles:
            last = min(first + tiles.step, tiles.stop)
            scores = buffer[: users * (last - first)].reshape(users, last - first)
            self._scorer.score(self.backend, prepared, rows, slice(first, last), scores)
            if self._factors is None:
                best = self.backend.top_items(scores, length, left_out, first, best)
            else:
                best = self._best_of_each(scores, buffer[size:], rows_scaled, length, left_out, first, best)
        self._free.append(buffer)
        assert best is not None  # a matrix has at least one column
        return best

    def _rows_scaled(self, users: int, width: int) -> int:
        """Return how many rows of a tile are scaled at once, so that their scaled scores stay in a near cache."""
        if self._factors is None:
            return 0
        return min(max(self.backend.score_tiles.size // SCALED_PARTS // (4 * max(width, 1)), 1), users)

    def _best_of_each(
        self,
        scores: FloatArray,
        buffer: FloatArray,
        rows: int,
        length: int,
        exclude: Csr | None,
        first: int,
        best: Lists | None,
    ) -> Lists:
        """Return the lists by each row of factors, copy by copy; so many rows at a time are scaled in the buffer."""
        assert self._factors is not None
        backend, (users, width), copies = self.backend, scores.shape, len(self._factors)
        factors = self._factors[:, first : first + width]
        at_once = backend.scaled_top_items(scores, factors, length, exclude, first, best)
        if at_once is not None:
            return at_once
        found = best or (backend.new((copies * users, length), np.int32), backend.empty(copies * users, length))
        for start in range(0, users, rows):
            stop = min(start + rows, users)
            scaled = buffer[: (stop - start) * width].reshape(stop - start, width)
            left_out = None if exclude is None else exclude.rows(start, stop)
            for copy in range(copies):
                own = slice(copy * users + start, copy * users + stop)
                np.multiply(scores[start:stop], factors[copy], out=scaled)
                earlier = None if best is None else (found[0][own], found[1][own])
                found[0][own], found[1][own] = backend.top_items(scaled, length, left_out, first, earlier)
        return found

    def _buffer(self, size: int) -> FloatArray:
        try:
            buffer = self._free.pop()
        except IndexError:  # asking first would not do: another thread may take the last one meanwhile
            return self.backend.new((size,), np.float32)
        return buffer if len(buffer) >= size else self.backend.new((size,), np.float32)

    def forget(self) -> None:
        """Give up the tiles."""
        self._free.clear()


def part_bounds(n_items: int, items: int, wanted: int) -> list[int]:
    """Return where each of at most ``wanted`` parts of the items begins, and where the last one ends.

    A part is some whole tiles of so many ``items``: the scores of a tile are the same whatever the parts are.
    """
    tiles = -(-n_items // items)
    n_parts = max(1, min(wanted, tiles))
    return [tiles * part // n_parts * items for part in range(n_parts)] + [n_items]


def joined(backend: Backend, lists: list[Lists], n_top: int) -> Lists:
    """Return the best of lists for the same users, each of a part of the items that ends before the next begins."""
    ids = np.concatenate([part[0] for part in lists], axis=1)
    places, scores = backend.top_items(np.concatenate([part[1] for part in lists], axis=1), n_top)
    found = np.take_along_axis(ids, np.maximum(places, 0), axis=1)  # of equal scores the first place has the lower id
    found[places < 0] = -1
    return found, scores


def lists_of(
    scorer: Scorer,
    backend: Backend,
    history: Csr,
    n_top: int,
    known: bool,
    allowed: npt.NDArray[np.bool_] | None,
    on_device: bool,
) -> Lists:
    """Return ids and scores (q, n_top) of the best items by one scorer.

    Parameters
    ----------
    scorer : Scorer
    backend : Backend
        Active.
    history : Csr (q, n)
        On the host, or on the device.
    n_top : int
    known : bool
        Whether items of the history may be listed.
    allowed : bool (n,) or None
        Whether an item may be listed.
    on_device : bool
        Whether the result stays there.
    """
    there = backend.put(history)
    exclude: Csr | LazyRows | None = None if known else there
    scorer, candidates = restricted(scorer, backend, allowed, *history.shape)
    if candidates is not None and not known:
        exclude = _columns(history.to_host(), candidates)
    return lists_among(scorer, candidates, backend, there, n_top, exclude, on_device)


def lists_among(
    scorer: Scorer,
    items: IdArray | None,
    backend: Backend,
    history: Csr,
    n_top: int,
    exclude: Csr | LazyRows | None,
    on_device: bool,
) -> Lists:
    """Return ids and scores (q, n_top) of the best of the ``items`` that the scorer scores, of all where it is None."""
    chosen = None if items is None else backend.to_device(items)
    shape, memory = (history.shape[0], n_top), backend if on_device else backend.host
    ids, scores = memory.new(shape, np.int32), memory.new(shape, np.float32)

    def store(start: int, stop: int, best: IdArray, values: FloatArray) -> None:
        named = best if chosen is None else np.where(best < 0, np.int32(-1), chosen[best])
        ids[start:stop] = named if on_device else backend.to_host(named)
        scores[start:stop] = values if on_device else backend.to_host(values)

    top_lists(backend, scorer, history, lambda _start, _stop: n_top, exclude, store)
    return ids, scores


def restricted(
    scorer: Scorer, backend: Backend, allowed: npt.NDArray[np.bool_] | None, n_users: int, n_items: int
) -> tuple[Scorer, IdArray | None]:
    """Return a scorer that lists only what is ``allowed``, and the items that it scores where these are not all."""
    if allowed is None:
        return scorer, None
    candidates = np.flatnonzero(allowed).astype(np.int32)
    if copying_pays(len(candidates), n_users, n_items):
        return scorer.take(backend.to_device(candidates)), candidates
    return MaskedScorer(scorer, np.flatnonzero(~allowed)), None


def _columns(matrix: Csr, items: IdArray) -> LazyRows:
    shape = matrix.shape[0], len(items)
    return LazyRows(shape, lambda start, stop: matrix.rows(start, stop).columns(items), matrix.indptr)
