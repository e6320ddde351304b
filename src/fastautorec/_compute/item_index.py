"""Exact lists from a fraction of the arithmetic: a bound of every score from 8-bit codes, then the scores that count.

docs/decisions/kernels.md tells how the bound works; `bounds` is its plain statement.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cache
from typing import Any, NamedTuple
from weakref import ref

import numpy as np
import numpy.typing as npt

from fastautorec import _core
from fastautorec._compute.csr import Csr
from fastautorec._compute.host import matmul, run_blocks
from fastautorec._compute.protocol import Backend, FloatArray, IdArray

ENABLED = True  # switched off by tests and measurements that compare
GROUP, TOGETHER = 16, 4  # items whose codes lie together, and values of each of them
SHORTEST = 16  # rows that are worth coding
MOST = 127  # of a code
FEW_COUNT = 8  # times as much as one of many users does a user in a request for few gain
LOST_SHARE = 10  # this part of the time of all scores may be lost on what is made first
CODES_COST = 100  # users, whose scores of all items take as long as making the codes
ORDER_COST = 3  # blocks of as many users, as finding the order of sums in one
FAILURES = 3  # from which on the successes must be 16 times as many
SHARE_FEW, SHARE_MANY = 32, 160  # of the items: longer lists take all scores, which few or many users have sooner
TASKS_OF_A_THREAD = 4  # at least: with fewer blocks, threads share out the items
POOL = 65_521  # random values for the order of sums: a prime, so that no two rows are equal
UNIT = 2.0**-24  # relative rounding error of float32
SPARE_ROUNDINGS = 32  # of the bound itself
TINY = 1e-35  # more than everything that can underflow

Lists = tuple[IdArray, FloatArray]
Codes = tuple[npt.NDArray[np.uint8], FloatArray, FloatArray, IdArray]
Borders = npt.NDArray[np.int64]
NONE: IdArray = np.empty(0, np.int32)
OWN_ORDER: Borders = np.empty(0, np.int64)  # of sums in products of few rows


def kept_bytes(n: int, k: int) -> int:
    """Return the bytes of n unit vectors of k values, of the marks of those that are zero, and of codes."""
    return n * (4 * k + 1) + coded_bytes(n, k)


def coded_bytes(n: int, k: int) -> int:
    """Return the bytes of the codes of n rows of k values."""
    groups, width = _coded_shape(n, k)
    return groups * (GROUP * (width + 3 * 4) + 4) + 2 * 4 * n


def _coded_shape(n: int, k: int) -> tuple[int, int]:
    return -(-n // GROUP), -(-k // TOGETHER) * TOGETHER


class ItemIndex:
    """The codes of one decoder, made once enough lists were asked for; any thread may ask.

    A decoder that has codes is read-only, for they would not follow a change. Two threads may make the codes at the
    same time; one of the equal results is kept. There is no lock, so a forked child finds none that is held.
    """

    def __init__(self, decoder: FloatArray) -> None:
        self.decoder = decoder
        self._asked = 0
        self._codes: Codes | None = None
        self._unusable = False
        self._failures, self._successes = {True: 0, False: 0}, {True: 0, False: 0}
        self._spent = CODES_COST  # users, as those who ask
        self._ordered: set[int] = set()  # sizes of blocks

    @property
    def nbytes(self) -> int:
        """Bytes of the codes."""
        return 0 if self._codes is None else sum(array.nbytes for array in self._codes)

    def pays(self, users: int, few: bool) -> bool:
        """Note that lists for so many users are asked for; return whether the codes are worth having.

        They are, once making them takes at most a tenth of the time that scores of all items took so far and would take
        now: so even where the bound turns out to save nothing, little is lost.
        """
        self._asked += users * FEW_COUNT if few else users
        return (
            ENABLED
            and _core.code_kernel() != "portable"  # whose loops take longer than all scores
            and not self._unusable
            and self._asked >= LOST_SHARE * self._spent
            and self._failures[few] < FAILURES + self._successes[few] // 16
        )

    def order_pays(self, block: int, widths: Collection[int]) -> bool:
        """Return whether finding the order of sums in blocks of so many users fits into the same tenth of the time.

        ``widths``: of tiles, see `Scan`.
        """
        if block not in self._ordered:
            spent = self._spent + ORDER_COST * block * sum(set(widths)) // len(self.decoder)
            if self._asked < LOST_SHARE * spent:
                return False
            self._spent = spent
            self._ordered.add(block)
        return True

    def lists(
        self,
        hidden: FloatArray,
        exclude: Csr | None,
        masked: IdArray,
        borders: Borders,
        n_top: int,
        num_threads: int,
    ) -> Lists | None:
        """Return the lists that scores of all items would give, or None where the bound leaves too many items.

        ``borders``: how the scores are summed, see `order_of_sums`.
        """
        codes = self._codes or self._encoded(num_threads)
        if codes is None:
            return None
        ids, scores = np.empty((len(hidden), n_top), np.int32), np.empty((len(hidden), n_top), np.float32)
        found = _core.scan_items(hidden, self.decoder, *codes, exclude, masked, borders, ids, scores, num_threads)
        (self._successes if found else self._failures)[len(borders) == 0] += 1
        return (ids, scores) if found else None

    def _encoded(self, num_threads: int) -> Codes | None:
        n, k = self.decoder.shape
        groups, width = _coded_shape(n, k)
        codes = (
            np.empty((groups, width * GROUP), np.uint8),
            np.empty((3, groups * GROUP), np.float32),
            np.empty(groups, np.float32),
            np.empty((2, n), np.int32),
        )
        if not _core.encode_items(self.decoder, *codes, num_threads):
            self._unusable = True
            return None
        self.decoder.flags.writeable = False
        self._codes = codes
        return codes


class Directions(NamedTuple):
    """Vectors of length 1, which of them are zero and stay so, and the index of all, if they are kept."""

    unit: FloatArray
    nowhere: npt.NDArray[np.bool_]
    unit_index: ItemIndex | None = None


class Indexes:
    """The indexes of a fitted model; copies and files of the model have none and make their own."""

    def __init__(self) -> None:
        self._last: ItemIndex | None = None
        self._kept: tuple[FloatArray, Directions] | None = None  # vectors, and what was made of them
        self._asked: Callable[[], FloatArray | None] = lambda: None  # the vectors of the last call, while they exist

    def of(self, decoder: Any) -> ItemIndex | None:
        """Return the index of a decoder, made anew where the model has another decoder now; None for short rows."""
        if not (isinstance(decoder, np.ndarray) and decoder.flags.c_contiguous and decoder.shape[1] >= SHORTEST):
            return None
        index = self._last
        if index is None or index.decoder is not decoder:
            self._last = index = ItemIndex(decoder)
        return index

    def directions(self, vectors: FloatArray, make: Callable[[], Directions]) -> Directions:
        """Return what ``make`` makes of vectors; if they are those of the last call, it is kept with an index.

        So a single call leaves no memory behind, and vectors that a model makes anew for each call are never kept.
        """
        if not ENABLED:
            return make()
        kept = self._kept
        if kept is not None and kept[0] is vectors:
            return kept[1]
        made = make()
        if self._asked() is vectors and vectors.shape[1] >= SHORTEST:
            vectors.flags.writeable = False  # what is kept would not follow a change
            made = made._replace(unit_index=ItemIndex(made.unit))
            self._kept = vectors, made
        else:
            self._kept, self._asked = None, ref(vectors)
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return Indexes, ()

    @property
    def nbytes(self) -> int:
        """Bytes of the codes, and of the directions that are kept."""
        kept = 0
        if self._kept is not None:
            unit, nowhere, index = self._kept[1]
            kept = unit.nbytes + nowhere.nbytes + (0 if index is None else index.nbytes)
        return kept + (0 if self._last is None else self._last.nbytes)


@cache
def order_of_sums(users: int, width: int, k: int) -> Borders | None:
    """Return where the chains of multiply-adds end that BLAS sums products of this shape with, or None.

    OpenBLAS sums along the rows, in blocks whose sums it adds up in order; a scan that is to give its bits sums in the
    same way. Nobody promises that, so each shape is multiplied once, and the bits of both ways are compared for the
    first and the last users and all items, and for all users and some items. Where they differ, scores of all items are
    made as ever.
    """
    values = np.resize(np.random.default_rng(0).standard_normal(POOL, np.float32), (users + width, k))
    a, b = values[:users], values[users:]
    product = matmul(a, b.T, np.empty((users, width), np.float32), 1)
    everybody, everything = np.arange(users), np.arange(width, dtype=np.int32)
    ends = np.unique(np.r_[everybody[:2], everybody[-2:]])
    some = np.unique(np.r_[everything[:16], everything[-16:]])

    def equal(borders: Borders, rows: npt.NDArray[np.int64], items: IdArray) -> bool:
        out = np.empty((len(rows), len(items)), np.float32)
        _core.chain_products(a[rows], b, items, borders, out)
        return bool((out == product[np.ix_(rows, items)]).all())

    for borders in _candidates(k):
        if all(equal(borders, *part) for part in ((ends, some), (ends, everything), (everybody, some))):
            return borders
    return None


def _candidates(k: int) -> list[Borders]:
    """Return borders as OpenBLAS has them for blocks of several lengths, each once."""
    found: dict[tuple[int, ...], None] = {}
    for block in (k, 384, 320, 352, 256, 448, 512, 640, 768, 192, 128):
        for unit in (16, 8, 4):
            borders = [0]
            while borders[-1] < k:
                left = k - borders[-1]
                half = -(-(left // 2) // unit) * unit
                borders.append(borders[-1] + (block if left >= 2 * block else left if left <= block else half))
            found[tuple(borders[1:])] = None
    return [np.array(borders, np.int64) for borders in found]


class Scan:
    """Finds the lists of blocks of users by an index, with the bits of those from scores of all items."""

    def __init__(
        self, index: ItemIndex, masked: IdArray, users: int, block: int, widths: list[int], few_users: int
    ) -> None:
        """Take the ids that no list may have, all users and those of a block, and the widths of tiles of scores.

        ``few_users``: what `multiply_few_rows` is for.
        """
        self._index, self._masked, self._widths, self._few = index, masked, widths, few_users
        sizes = {size for size in (block, users % block) if size > few_users}
        self._blocks = {size for size in sizes if index.order_pays(size, widths)}

    def unanswered(
        self,
        backend: Backend,
        hidden: FloatArray,
        exclude: Csr | None,
        blocks: list[tuple[int, int]],
        n_top: Callable[[int, int], int],
        consume: Callable[[int, int, IdArray, FloatArray], None],
    ) -> list[tuple[int, int]]:
        """Hand on the lists of blocks of users, as `top_lists` does; return the blocks that need scores of all items.

        ``hidden`` and ``exclude`` begin with the users of the first block.
        """
        origin = blocks[0][0]
        left = [True] * len(blocks)

        def find(number: int, num_threads: int) -> None:
            start, stop = blocks[number]
            theirs = None if exclude is None else exclude.rows(start - origin, stop - origin)
            best = self.lists(hidden[start - origin : stop - origin], theirs, n_top(start, stop), num_threads)
            if best is not None:
                consume(start, stop, *best)
                left[number] = False

        if len(blocks) < TASKS_OF_A_THREAD * backend.num_threads:  # threads share out the items of each
            for number in range(len(blocks)):
                find(number, backend.num_threads)
        else:
            run_blocks(lambda number, _: find(number, 1), len(blocks), 1, backend.num_threads)
        return [block for block, is_left in zip(blocks, left, strict=True) if is_left]

    def lists(self, hidden: FloatArray, exclude: Csr | None, n_top: int, num_threads: int) -> Lists | None:
        """Return the lists of users, or None where these need scores of all items."""
        few, n = len(hidden) <= self._few, len(self._index.decoder)
        if n_top * (SHARE_FEW if few else SHARE_MANY) > n:
            return None
        borders: Borders | None = OWN_ORDER
        if not few:
            if len(hidden) not in self._blocks:
                return None
            first, last = (order_of_sums(len(hidden), width, hidden.shape[1]) for width in self._widths)
            borders = first if first is not None and last is not None and np.array_equal(first, last) else None
        if borders is None:
            return None
        return self._index.lists(hidden, exclude, self._masked, borders, n_top, num_threads)


# --- the plain statement ----------------------------------------------------------------------------------------------


def encoded(rows: FloatArray) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float64]]:
    """Return the codes (n, k) of rows, and their steps: a row is its step times its codes, and a rest."""
    steps = (np.abs(rows).max(axis=1, keepdims=True) / np.float32(MOST)).astype(np.float32)
    codes = np.divide(rows, steps, out=np.zeros_like(rows), where=steps > 0)
    return np.clip(np.rint(codes), -MOST, MOST).astype(np.int8), steps.astype(np.float64)


def bounds(hidden: FloatArray, decoder: FloatArray, rounding: float = 1.0) -> npt.NDArray[np.float64]:
    """Return (q, n) bounds that no score exceeds, however its float32 products are summed.

    With h = t c + r and d = s p + e, where c and p are codes: hd = ts(cp) + r(sp) + he, which is at most
    ts(cp) + ‖r‖ ‖sp‖ + ‖h‖ ‖e‖. A sum of k float32 products is off by at most k u ‖h‖ ‖d‖, and ‖d‖ ≤ ‖sp‖ + ‖e‖.
    ``rounding`` is 1; tests take the roundings out.
    """
    (c, t), (p, s) = encoded(hidden), encoded(decoder)
    coded = s * p
    rest = np.linalg.norm(decoder - coded, axis=1)
    rest_of_user = np.linalg.norm(hidden - t * c, axis=1)[:, None]
    norm = np.linalg.norm(hidden.astype(np.float64), axis=1)[:, None]
    slack = rounding * (hidden.shape[1] + SPARE_ROUNDINGS) * UNIT
    sums = c.astype(np.float64) @ p.astype(np.float64).T
    lengths = np.linalg.norm(coded, axis=1)
    most: npt.NDArray[np.float64] = t * s.T * sums
    most += (rest_of_user + slack * norm) * lengths + (1 + slack) * norm * rest + rounding * TINY
    return most
