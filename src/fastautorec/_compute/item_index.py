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

ENABLED = True  # Tests and measurements switch it off to compare with scores of all items.
GROUP = 16  # The codes of so many items are stored together,
TOGETHER = 4  # so many values of each item side by side.
SHORTEST = 16  # Rows with fewer values get no codes.
MOST = 127  # The largest code.

# When codes are made. The unit of time is that of all scores of one user, in a call for many users.
FEW_COUNT = 8  # The index saves so much for a user in a call for few users.
CODES_COST = 100  # Making the codes takes so long.
ORDER_COST = 3  # Finding the order of sums in a block takes so long for each of its users.
LOST_SHARE = 10  # Preparations may take 1/10 of the time that all scores take.
FAILURES = 3  # After so many scans that gave up, there must be 16 successes for each failure.
SHARE_FEW = 32  # All scores are made if lists for few users are longer than 1/32 of the items,
SHARE_MANY = 160  # or lists for many users longer than 1/160, where they take about as long as a scan.
TASKS_OF_A_THREAD = 4  # With fewer blocks for each thread, the threads work on one block together.

POOL = 65_521  # Number of random values in the test of the order of sums. It is prime, so no two rows are equal.
UNIT = 2.0**-24  # The relative rounding error of float32.
SPARE_ROUNDINGS = 32  # The bound has room for so many more roundings, which are its own.
TINY = 1e-35  # Larger than the sum of everything that can underflow.

Lists = tuple[IdArray, FloatArray]
Codes = tuple[npt.NDArray[np.uint8], FloatArray, FloatArray, IdArray]
Borders = npt.NDArray[np.int64]
NONE: IdArray = np.empty(0, np.int32)
OWN_ORDER: Borders = np.empty(0, np.int64)  # Stands for the order of sums in `multiply_few_rows`.


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
    """The codes of one decoder. They are made when enough lists were asked for. Any thread may ask.

    A decoder with codes is read-only, because a change of its values would make the codes wrong. If two threads make
    the codes at the same time, the results are equal and one of them is kept. There is no lock: a forked child could
    inherit it locked.
    """

    def __init__(self, decoder: FloatArray) -> None:
        self.decoder = decoder
        self._asked = 0
        self._codes: Codes | None = None
        self._unusable = False
        self._failures, self._successes = {True: 0, False: 0}, {True: 0, False: 0}
        self._spent = CODES_COST  # the time of all preparations, in the unit of `_asked`
        self._ordered: set[int] = set()  # the sizes of blocks whose order of sums may be looked for

    @property
    def nbytes(self) -> int:
        """Bytes of the codes."""
        return 0 if self._codes is None else sum(array.nbytes for array in self._codes)

    def pays(self, users: int, few: bool) -> bool:
        """Count a call for the lists of so many users, and return whether codes should be used for it.

        They are used when making them takes at most a tenth of the time that all scores take for all calls up to this
        one. So little is lost if the bound then saves nothing.
        """
        self._asked += users * FEW_COUNT if few else users
        return (
            ENABLED
            and _core.code_kernel() != "portable"  # The portable kernel takes longer than all scores.
            and not self._unusable
            and self._asked >= LOST_SHARE * self._spent
            and self._failures[few] < FAILURES + self._successes[few] // 16
        )

    def order_pays(self, block: int, widths: Collection[int]) -> bool:
        """Return whether the order of sums for this size of a block is known, or can be found in the same tenth.

        Parameters
        ----------
        block : int
            Number of users in a block.
        widths : collection of int
            Numbers of items in the tiles of scores, see `Scan`.
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
        """Return the lists that all scores would give, or None if the bound leaves too many items.

        ``borders`` says in which order the products are summed, see `order_of_sums`.
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
        """Return the index of the model's decoder, or None if its rows are too short.

        If the decoder is not the one of the last call, it gets a new index.
        """
        if not (isinstance(decoder, np.ndarray) and decoder.flags.c_contiguous and decoder.shape[1] >= SHORTEST):
            return None
        index = self._last
        if index is None or index.decoder is not decoder:
            self._last = index = ItemIndex(decoder)
        return index

    def directions(self, vectors: FloatArray, make: Callable[[], Directions]) -> Directions:
        """Return the result of ``make``, which computes the directions of ``vectors``.

        It is kept, with an index, if the last call had the same array. So nothing is kept after a single call, or if
        the model makes a new array for each call.
        """
        if not ENABLED:
            return make()
        kept = self._kept
        if kept is not None and kept[0] is vectors:
            return kept[1]
        made = make()
        if self._asked() is vectors and vectors.shape[1] >= SHORTEST:
            vectors.flags.writeable = False  # A change would make what is kept wrong.
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
    """Return the borders of the blocks in which BLAS sums a row for products of this shape, or None if not found.

    OpenBLAS sums each block of a row with a chain of multiply-adds and adds up the sums of the blocks in order. A scan
    must sum in the same way to have the same bits. OpenBLAS does not document this, so one product of each shape is
    compared, bit by bit, with the sums by each candidate: for the first and last users with all items, and for all
    users with some items. If no candidate agrees, lists of this shape are made from all scores.
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
    """Return the borders that OpenBLAS has for several lengths of its blocks, without repetitions."""
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
        """Find out for which sizes of blocks the order of sums is worth finding.

        Parameters
        ----------
        index : ItemIndex
        masked : int32 array
            Ascending ids of items that no list may have.
        users, block : int
            Number of users in all, and in a block.
        widths : list of int
            Numbers of items in the first and the last tile of scores.
        few_users : int
            Blocks of at most so many users have their scores from `multiply_few_rows`.
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
        """Pass the lists of blocks of users to ``consume``, and return the blocks that need all scores.

        The arguments are those of `top_lists`. ``hidden`` and ``exclude`` begin with the users of the first block.
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

        if len(blocks) < TASKS_OF_A_THREAD * backend.num_threads:
            for number in range(len(blocks)):
                find(number, backend.num_threads)
        else:
            run_blocks(lambda number, _: find(number, 1), len(blocks), 1, backend.num_threads)
        return [block for block, is_left in zip(blocks, left, strict=True) if is_left]

    def lists(self, hidden: FloatArray, exclude: Csr | None, n_top: int, num_threads: int) -> Lists | None:
        """Return the lists of the users of a block, or None if they need all scores."""
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
    """Return bounds (q, n). No score exceeds its bound, in whatever order its float32 products are summed.

    With h = t c + r and d = s p + e, where c and p are codes: hd = ts(cp) + r(sp) + he, which is at most
    ts(cp) + ‖r‖ ‖sp‖ + ‖h‖ ‖e‖. A sum of k float32 products is off by at most k u ‖h‖ ‖d‖, and ‖d‖ ≤ ‖sp‖ + ‖e‖.
    ``rounding`` is 1. Tests set it to 0, which leaves no room for roundings.
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
