"""Synthetic interactions: Zipf popularity, log-normal activity, taste clusters; drawn in blocks of users."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fastautorec._compute import usable_cpus
from fastautorec._compute.csr import row_blocks
from fastautorec._compute.host import run_blocks
from fastautorec.data._columns import sorted_unique

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
Random = np.random.Generator

BLOCK = 1 << 20  # interactions per block: bounds the memory; the blocks are part of what a seed means
THREADS = 4  # blocks at work at a time, at most
TASTE_ROUNDS = 4  # draws by taste; a user who then still lacks items has used up the favourites
POPULAR_ROUNDS = 3  # draws by popularity, then evenly, before the very few rows that still lack items are drawn exactly
ROUNDS = 20
DENSE = 4  # rows with more than n / 4 items are drawn exactly from the start
EXACT_KEYS = 1 << 21  # rows x items of one exact draw

ZIPF_EXPONENT = 1.3
ZIPF_SHIFT = 1 / 200  # share of the items; it flattens the head, as in real catalogues
ACTIVITY_SIGMA = 1.0
CLUSTERS = 1.0  # times the square root of the number of items
SHARES = (10, 5, 3, 2)  # in twentieths, a user's draws from three favourite clusters and from all items


@dataclass(frozen=True)
class Catalogue:
    """Items sorted by cluster, with their popularity.

    Attributes
    ----------
    items : int32 (n,)
        Item ids, cluster by cluster.
    popularity : float64 (n,)
        In the same order; sums to 1.
    cumulative : float64 (n,)
        Running sum of it.
    bounds : int64 (clusters + 1,)
        Where each cluster starts in ``items``.
    """

    items: npt.NDArray[np.int32]
    popularity: FloatArray
    cumulative: FloatArray
    bounds: IntArray


def draw(n_users: int, n_items: int, nnz: int, seed: int) -> tuple[IntArray, npt.NDArray[np.int32]]:
    """Return the canonical CSR pattern, indptr and indices, of exactly ``nnz`` interactions."""
    rng = np.random.default_rng([seed, 0])
    lengths = _activity(n_users, n_items, nnz, rng)
    catalogue = _catalogue(n_items, rng)
    indptr = np.concatenate(([0], np.cumsum(lengths)))
    indices = np.empty(nnz, np.int32)

    blocks = list(row_blocks(indptr, BLOCK))

    def fill(number: int, _: int) -> None:
        first, last = blocks[number]
        block_rng = np.random.default_rng([seed, 1, number])
        indices[indptr[first] : indptr[last]] = _draw_block(lengths[first:last], catalogue, block_rng)

    # Every block has its own random stream: the number of threads changes nothing but the time.
    run_blocks(fill, len(blocks), 1, min(THREADS, usable_cpus()))
    return indptr, indices


def _activity(n_users: int, n_items: int, nnz: int, rng: Random) -> IntArray:
    """Return interactions per user, log-normal, each at most ``n_items``, with sum ``nnz``."""
    weight = rng.lognormal(sigma=ACTIVITY_SIGMA, size=n_users)
    offset = rng.random(n_users)  # rounds up or down at random
    base = int(nnz >= n_users)
    cap = min(n_items, max(n_items // 2, -(-nnz // n_users)))

    def scaled(scale: float) -> IntArray:
        return np.minimum(base + (scale * weight + offset).astype(np.int64), cap)

    # The sum grows with the scale: halve the interval until what is missing is a handful.
    low, high = 0.0, cap / float(weight.min())
    lengths = np.full(n_users, base)
    for _ in range(50):
        middle = (low + high) / 2
        trial = scaled(middle)
        if trial.sum() <= nnz:
            low, lengths = middle, trial
        else:
            high = middle
    while (missing := nnz - int(lengths.sum())) > 0:
        lengths[rng.permutation(np.flatnonzero(lengths < cap))[:missing]] += 1
    return lengths


def _catalogue(n_items: int, rng: Random) -> Catalogue:
    rank = rng.permutation(n_items)
    weight = (rank + 1 + ZIPF_SHIFT * n_items) ** -ZIPF_EXPONENT
    cluster = rng.integers(max(round(CLUSTERS * n_items**0.5), 1), size=n_items)
    items = np.argsort(cluster, kind="stable")
    popularity = weight[items] / weight.sum()
    sizes = np.bincount(cluster)
    bounds = np.concatenate(([0], np.cumsum(sizes[sizes > 0])))
    return Catalogue(items.astype(np.int32), popularity, np.cumsum(popularity), bounds)


def _draw_block(lengths: IntArray, catalogue: Catalogue, rng: Random) -> npt.NDArray[np.int32]:
    """Return item ids, ascending within each row, for rows of the given lengths."""
    n = len(catalogue.items)
    favourites = rng.integers(len(catalogue.bounds) - 1, size=(len(lengths), len(SHARES) - 1))
    missing = np.where(lengths > n // DENSE, 0, lengths)
    keys = np.empty(0, np.int64)  # row * n + item
    for number in range(ROUNDS):
        # Exactly what is missing is drawn, so that nothing has to be thrown away but repeats.
        rows = np.repeat(np.arange(len(lengths)), missing)
        if not rows.size:
            break
        if number < TASTE_ROUNDS:
            items = _draw_items(rows, favourites, catalogue, rng)
        elif number < TASTE_ROUNDS + POPULAR_ROUNDS:
            items = _inverse(catalogue, rng.random(rows.size))
        else:
            items = rng.integers(n, size=rows.size, dtype=np.int32)
        keys = sorted_unique(np.concatenate((keys, rows * n + items)))
        found = np.diff(np.searchsorted(keys, np.arange(len(lengths) + 1) * n))
        missing = np.where(missing > 0, lengths - found, 0)
    exact = np.flatnonzero((missing > 0) | (lengths > n // DENSE))
    if exact.size:
        keys = keys[~np.isin(keys // n, exact)]
        keys = np.sort(np.concatenate((keys, _draw_exactly(exact, lengths[exact], favourites[exact], catalogue, rng))))
    return (keys % n).astype(np.int32)


def _draw_items(rows: IntArray, favourites: IntArray, catalogue: Catalogue, rng: Random) -> npt.NDArray[np.int32]:
    """Draw one item for each of ``rows`` by the taste of that row."""
    start = np.append(0.0, catalogue.cumulative)
    # One more "cluster", the last column of everyone's favourites, is the whole catalogue.
    low = np.append(start[catalogue.bounds[:-1]], 0.0)
    width = np.append(start[catalogue.bounds[1:]], start[-1]) - low
    choices = np.column_stack((favourites, np.full(len(favourites), len(low) - 1)))
    slots = np.repeat(np.arange(len(SHARES)), SHARES)
    cluster = choices.ravel()[rows * len(SHARES) + slots[rng.integers(len(slots), size=len(rows))]]
    return _inverse(catalogue, low[cluster] + rng.random(len(rows)) * width[cluster])


def _inverse(catalogue: Catalogue, point: FloatArray) -> npt.NDArray[np.int32]:
    """Return the items at points of the cumulative popularity."""
    position = np.searchsorted(catalogue.cumulative, point, side="right")
    return catalogue.items[np.minimum(position, len(catalogue.items) - 1)]


def _draw_exactly(
    rows: IntArray, lengths: IntArray, favourites: IntArray, catalogue: Catalogue, rng: Random
) -> IntArray:
    """Draw without replacement by exponential keys: the items with the smallest keys, whatever their number."""
    n = len(catalogue.items)
    cluster_of = np.repeat(np.arange(len(catalogue.bounds) - 1), np.diff(catalogue.bounds))
    cluster_mass = np.add.reduceat(catalogue.popularity, catalogue.bounds[:-1])
    step = max(EXACT_KEYS // n, 1)
    drawn = []
    for part in (slice(start, start + step) for start in range(0, len(rows), step)):
        boost = np.full((len(rows[part]), len(cluster_mass)), float(SHARES[-1]))
        for favourite, share in zip(favourites[part].T, SHARES[:-1], strict=True):
            boost[np.arange(len(boost)), favourite] += share / cluster_mass[favourite]
        keys = rng.standard_exponential((len(boost), n)) / (boost[:, cluster_of] * catalogue.popularity)
        order = np.argsort(keys, axis=1)
        chosen = np.arange(n) < lengths[part][:, None]
        owner = np.broadcast_to(rows[part][:, None], chosen.shape)
        drawn.append(owner[chosen] * n + catalogue.items[order[chosen]])
    return np.concatenate(drawn)
