"""Tables to draw items with replacement from given weights, made once on the host and read by every backend.

The draws are a specification in integers, so that all backends return the same counts, bit for bit. A user's random
words come from the Philox stream (seed, epoch, user).

Single draws. Draw number t takes 64 random bits r: words 2 (t mod 2) (low) and 2 (t mod 2) + 1 (high) of block t // 2.
It falls on u = (r * total) >> 64 with total = 2**63, and on the item j with cdf[j - 1] <= u < cdf[j], where cdf is
2**63 times the cumulative probability, rounded. An item of weight 0 has no width, so it is never drawn.

Excluded items. Their widths are cut out of the line: total is 2**63 less the widths, and a draw v in [0, total) moves
up by the widths of all excluded items that begin at or before it. That is p restricted to the other items, and no draw
is rejected: a user costs the same however much of p its items hold.

Counts for many draws. Independent counts M_j ~ Poisson(rho p_j), given their sum M, are multinomial(M, p). If M <= N,
N - M single draws complete them to multinomial(N, p); if M > N, the next attempt draws new counts. The decision looks
at M alone, so the counts that it accepts are still multinomial given M. Excluded items have their counts set to 0
before M is summed: the others are then multinomial(M, p restricted), and single draws of the restricted p complete them
too; these draws are about N times the share that the excluded items have of p. rho lies 3 sqrt(N) below N, so that
about one attempt in 740 fails. Attempt a takes for item j word j mod 4 of block 2**31 + a ceil(n / 4) + j // 4, modulo
2**32; where there are counts, single draws stay below block 2**31. A count is the number of values k whose
P(X <= k) 2**32, rounded, is at or below the word, so each probability is exact to 2**-32.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.special import gammaincc

MAX_SAMPLES = 2**31 - 1

TOTAL_BITS = 63  # length of the line that single draws fall on, as a power of two
COUNT_BLOCKS = 2**31  # first block of the words for counts

_MARGIN = 3.0  # standard deviations between rho and N
_DRAWS_PER_ITEM = 1  # from so many draws for each item on, counts are cheaper than single draws
_BUCKETS = 32  # entries of the guide to each table of counts
_MAX_ENTRIES = 1 << 25  # entries of all tables of counts; beyond, their 128 MB cost more than they save
_CHUNK = 1 << 20  # entries computed at a time


@dataclass(frozen=True)
class CountTables:
    """Inverse distribution functions of the Poisson counts, one for each distinct rate.

    Attributes
    ----------
    table : int32 (n,)
        Table of each item.
    last : uint32
        All tables, one after the other, each ended by 2**32 - 1: the last word that still gives count k.
    base : int64 (tables,)
        The entry of count k is ``last[base + k]``.
    guide : int32 (tables, 32)
        The count of word ``b << 27``, from where a search for the words of bucket b begins; of bucket 0 it is the first
        count in the table.
    """

    table: npt.NDArray[np.int32]
    last: npt.NDArray[np.uint32]
    base: npt.NDArray[np.int64]
    guide: npt.NDArray[np.int32]


@dataclass(frozen=True)
class Sampler:
    """What a backend needs to draw ``n_samples`` items for a user.

    Attributes
    ----------
    n_samples : int
        N, the number of draws for each user.
    cdf : uint64 (n,)
        Where each item ends on a line of length 2**63.
    guide : int32 (2**bits,)
        The item at the start of each of 2**bits equal parts of the line.
    counts : CountTables or None
        None where every draw is a single one.
    """

    n_samples: int
    cdf: npt.NDArray[np.uint64]
    guide: npt.NDArray[np.int32]
    counts: CountTables | None

    @property
    def n_items(self) -> int:
        """Number of items n."""
        return len(self.cdf)

    def widths(self) -> npt.NDArray[np.uint64]:
        """Return the length of each item on the line, uint64 (n,)."""
        return np.diff(self.cdf, prepend=np.uint64(0))

    @cached_property
    def longest_row(self) -> int:
        """How many items a user can get at most."""
        return min(self.n_samples, int(np.count_nonzero(self.widths())))


def make_sampler(
    weights: npt.NDArray[np.float64],
    n_samples: int,
    *,
    by_counts: bool | None = None,
    margin: float = _MARGIN,
) -> Sampler:
    """Return the tables for drawing ``n_samples`` items with probability proportional to ``weights``.

    Parameters
    ----------
    weights : float64 (n,), >= 0
        With a finite sum above 0.
    n_samples : int, 1 <= n_samples < 2**31
    by_counts : bool, optional
        Draw Poisson counts first; by default where that is cheaper. For tests, as is ``margin``.
    margin : float
        Standard deviations between rho and N.
    """
    total = np.cumsum(weights)
    cdf = np.rint(np.ldexp(total / total[-1], TOTAL_BITS)).astype(np.uint64)
    bits = max(len(cdf) - 1, 0).bit_length() + 1
    starts = np.arange(1 << bits, dtype=np.uint64) << np.uint64(TOTAL_BITS - bits)
    guide = np.searchsorted(cdf, starts, side="right").astype(np.int32)

    rates, table = np.unique(weights, return_inverse=True)
    rates = rates / total[-1] * max(n_samples - margin * math.sqrt(n_samples), 0)
    if by_counts is None:
        by_counts = n_samples >= _DRAWS_PER_ITEM * len(cdf) and _window(rates)[1].sum() <= _MAX_ENTRIES
    return Sampler(n_samples, cdf, guide, _count_tables(rates, table.astype(np.int32)) if by_counts else None)


def popularity_weights(popularity: npt.NDArray[np.int64], power: float) -> npt.NDArray[np.float64]:
    """Return popularity ** power; items without users take part with power 0 only.

    >>> popularity_weights(np.array([4, 0, 1]), 0.5).tolist()
    [1.0, 0.0, 0.5]
    >>> popularity_weights(np.array([4, 0, 1]), 0).tolist()
    [1.0, 1.0, 1.0]
    """
    if power == 1:
        return popularity.astype(np.float64)  # whole numbers: their sums are not rounded
    weights: npt.NDArray[np.float64] = (popularity / popularity.max()) ** power
    return weights


def _window(rates: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the first count and the number of counts outside which P(X <= k) is 0 or 1 to within 2**-33.

    Chernoff's bounds exp(-t**2 / 2 rate) below the rate and exp(-t**2 / 2 (rate + t / 3)) above it.
    """
    spread = 6.8 * np.sqrt(rates)
    first = np.maximum(np.floor(rates - spread) - 1, 0)
    return first.astype(np.int64), (np.ceil(rates + spread) + 24 - first).astype(np.int64)


def _count_tables(rates: npt.NDArray[np.float64], table: npt.NDArray[np.int32]) -> CountTables:
    """Return the tables of ascending ``rates``; ``table`` names the one of each item."""
    start, size = _window(rates)
    borders = np.searchsorted(np.cumsum(size), np.arange(0, size.sum(), _CHUNK))
    chunks = [
        _entries(rates[part], start[part], size[part])
        for part in map(slice, borders, [*borders[1:], len(rates)])
        if part.start < part.stop
    ]
    last, first, length = (np.concatenate(arrays) for arrays in zip(*chunks, strict=True))
    offset = np.cumsum(length) - length
    base = offset - first

    word = np.arange(_BUCKETS, dtype=np.uint64) << np.uint64(32 - _BUCKETS.bit_length() + 1)
    number = np.arange(len(rates), dtype=np.uint64) << np.uint64(32)  # tables in one ascending order, to search all
    keys = np.repeat(number, length) | last
    found = np.searchsorted(keys, number[:, None] | word) - base[:, None]
    return CountTables(table, last, base, found.astype(np.int32))


def _entries(
    rates: npt.NDArray[np.float64], start: npt.NDArray[np.int64], size: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the tables of some rates: their entries, the first count in each and how many entries it has."""
    table = np.repeat(np.arange(len(rates)), size)
    k = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size - start, size)
    words = np.rint(np.ldexp(gammaincc(k + 1.0, rates[table]), 32))  # P(X <= k)
    words = np.maximum.accumulate(words + table * 2.0**33) - table * 2.0**33  # ascending despite rounding errors
    inner = (words >= 1) & (words < 2**32)
    first = start + np.bincount(table[words < 1], minlength=len(rates))
    length = np.bincount(table[inner], minlength=len(rates))
    entries = np.full(int(length.sum()) + len(rates), 2**32 - 1, np.uint32)
    entries[np.arange(length.sum()) + table[inner]] = words[inner] - 1
    return entries, first, length + 1
