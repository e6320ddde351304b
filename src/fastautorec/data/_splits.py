"""Parts of a split: which one each interaction belongs to, per user, without a loop over users."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec._compute.csr import Csr, row_blocks

IntArray = npt.NDArray[np.int64]
Parts = npt.NDArray[np.integer[Any]]
Cuts = Callable[[IntArray], IntArray]  # where rows of these lengths are cut, (parts - 1, m)

BLOCK = 1 << 22  # stored entries sorted at a time
LEFT_OUT = -1  # in no part
HELD_OUT = 0.1  # of each history, to choose by


def check_ratios(ratios: Any) -> tuple[float, ...]:
    """Return ``ratios`` as floats: two or more, positive, with sum 1."""
    if not isinstance(ratios, (Sequence, np.ndarray)) or not all(isinstance(ratio, Real) for ratio in ratios):
        raise TypeError(f"`ratios` must be a sequence of numbers such as (0.5, 0.2, 0.3), got {ratios!r}")
    values = tuple(float(ratio) for ratio in ratios)
    if len(values) < 2 or not all(value > 0 for value in values) or not math.isclose(sum(values), 1, abs_tol=1e-6):
        raise ValueError(f"`ratios` must be two or more positive numbers with sum 1, got {values}")
    return values


def shares(values: Sequence[float]) -> tuple[float, ...]:
    """Return ratios from words of a user: whole numbers are weights, and others must have the sum 1.

    >>> shares([2, 1, 1]), shares([0.8, 0.2])
    ((0.5, 0.25, 0.25), (0.8, 0.2))
    """
    whole = all(value == int(value) for value in values)
    return check_ratios([value / sum(values) for value in values] if whole and sum(values) > 0 else list(values))


def cut_points(lengths: IntArray, ratios: tuple[float, ...]) -> IntArray:
    """Return where each row is cut, int64 (parts - 1, m): the cumulative ratios of its length, rounded up.

    Rounding up gives the earlier part the odd interaction, so every user with history has some to train on. It is
    how the published MovieLens-1M split was made.
    """
    # 0.7 * 10 must be 7 and not 7.000000000000001, which would round up to 8.
    return np.stack([np.ceil(lengths * total - 1e-6).astype(np.int64) for total in np.cumsum(ratios)[:-1]])


def empty_part(indptr: npt.NDArray[np.integer], ratios: tuple[float, ...]) -> str:
    """Return what to say if the parts that ``ratios`` make leave one of them empty, else an empty text."""
    lengths = np.diff(indptr).astype(np.int64)
    filled = _part_lengths(lengths, ratios).any(axis=1)
    if filled.all() or not lengths.any():
        return ""
    return (
        f"part {1 + int(np.argmin(filled))} of {len(ratios)} is empty: for the ratios "
        f"{', '.join(f'{ratio:.3g}' for ratio in ratios)} {who_has_enough(lengths, ratios)}"
    )


def who_has_enough(lengths: IntArray, ratios: tuple[float, ...]) -> str:
    """Return how many interactions a user needs to have one in every part, and how many users have so many."""
    needed = _needed(ratios)
    return (
        f"users need {needed:,} or more interactions to have one in every part, and {(lengths >= needed).sum():,} of "
        f"{len(lengths):,} have so many; the longest history has {lengths.max(initial=0):,}"
    )


def _part_lengths(lengths: IntArray, ratios: tuple[float, ...]) -> IntArray:
    """Return the number of interactions in each part of each row, int64 (parts, m)."""
    cuts = np.minimum(cut_points(lengths, ratios), lengths)
    return np.diff(cuts, axis=0, prepend=0, append=lengths[None])


def _needed(ratios: tuple[float, ...]) -> int:
    """Return the least number of interactions from which on every part of a row has one.

    >>> _needed((0.5, 0.2, 0.3)), _needed((0.8, 0.2)), _needed((1 / 3, 1 / 3, 1 / 3))
    (4, 5, 3)
    """
    enough = math.ceil(2 / min(ratios))  # each part is as long as its share or up to one shorter
    if enough > BLOCK:
        return enough
    return 1 + int(np.flatnonzero(~_part_lengths(np.arange(enough + 1), ratios).all(axis=0))[-1])


def share_cuts(ratios: tuple[float, ...]) -> Cuts:
    """Return what cuts rows by shares of their lengths."""
    return lambda lengths: cut_points(lengths, ratios)


def last_cuts(counts: tuple[int, ...]) -> Cuts:
    """Return what cuts so many entries of each row for the parts after the first; rows that are too short stay whole.

    >>> last_cuts((1, 2))(np.array([5, 4, 3]))
    array([[2, 1, 3],
           [3, 2, 3]])
    """
    behind = np.cumsum(counts[::-1])[::-1]

    def cuts(lengths: IntArray) -> IntArray:
        short = lengths <= behind[0]
        return np.stack([np.where(short, lengths, lengths - count) for count in behind])

    return cuts


def whole_histories(lengths: IntArray, counts: tuple[int, ...]) -> str:
    """Return what to say of users who have too few interactions to hold out so many, if there are any."""
    short = (lengths > 0) & (lengths <= sum(counts))
    if not short.any():
        return ""
    return (
        f"{int(short.sum()):,} of {int((lengths > 0).sum()):,} users have {sum(counts):,} interactions or fewer, which "
        "all stay in part 1"
    )


def assign_parts(indptr: IntArray, cuts: Cuts, order_by: npt.NDArray[Any]) -> Parts:
    """Return the part of each stored entry, int16 (nnz,), rows cut in the order of ``order_by``, ties as stored."""
    part = np.empty(len(order_by), np.int16)
    for first, last in row_blocks(indptr, BLOCK):
        local = indptr[first : last + 1] - indptr[first]
        entries = slice(indptr[first], indptr[last])
        part[entries] = _assign_block(local, cuts(np.diff(local)), order_by[entries])
    return part


def held_counts(lengths: IntArray, rng: np.random.Generator, share: float = HELD_OUT) -> npt.NDArray[np.int64]:
    """Return how many entries to hold out of rows of these lengths, int64 (m,): a share of each, by default a tenth.

    Where that is no whole number, chance rounds it, so that rows too short for a whole entry hold out one as often as
    their length says; a row keeps at least one. The total is the share of all, rounded up.
    """
    lengths = lengths.astype(np.int64)
    wanted = np.where(lengths > 1, lengths * share, 0.0)
    order = rng.permutation(len(lengths))
    before = np.cumsum(wanted[order])
    rounding = math.ceil(before[-1] - 1e-6) - before[-1] if len(before) else 0.0
    counts = np.empty_like(lengths)
    counts[order] = np.diff(np.floor(before + rounding + 1e-6).astype(np.int64), prepend=0)
    return counts


def last_entries(indptr: IntArray, counts: IntArray, order_by: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return which stored entries are the last of their row by ``order_by``, so many of each row, bool (nnz,)."""
    cut = np.diff(indptr) - counts
    held = np.empty(len(order_by), bool)
    for first, last in row_blocks(indptr, BLOCK):
        entries = slice(indptr[first], indptr[last])
        local = indptr[first : last + 1] - indptr[first]
        held[entries] = _assign_block(local, cut[None, first:last], order_by[entries])
    return held


def held_out(
    csr: Csr, timestamps: npt.NDArray[Any] | None, rng: np.random.Generator, share: float = HELD_OUT
) -> npt.NDArray[np.bool_]:
    """Return which stored entries choices are judged by, bool (nnz,): a share of each row, the latest or at random.

    What is left is nearly as long as the histories that the model will be used on: the best setting depends on that.
    """
    order_by = random_order(csr.nnz, rng) if timestamps is None else timestamps
    return last_entries(csr.rebased().indptr, held_counts(csr.row_lengths(), rng, share), order_by)


def random_order(count: int, rng: np.random.Generator) -> npt.NDArray[np.uint32]:
    """Return numbers to sort entries by at random, uint32 (count,); drawn part by part they are the same."""
    return rng.integers(2**32, size=count, dtype=np.uint32)


def _assign_block(indptr: IntArray, cuts: IntArray, order_by: npt.NDArray[Any]) -> Parts:
    """Return the part of each entry of rows that are cut at ``cuts`` (parts - 1, rows)."""
    lengths = np.diff(indptr)
    rows = np.repeat(np.arange(len(lengths)), lengths)
    rank = np.arange(len(rows)) - indptr[rows]
    part = np.zeros(len(rows), np.int16)
    for cut in cuts:
        part += rank >= cut[rows]
    result = np.empty_like(part)
    result[_order_within_rows(rows, order_by)] = part
    return result


def deal(csr: Csr, n_parts: int, rng: np.random.Generator) -> Parts:
    """Return the part of each stored entry, int64 (nnz,): each row dealt at random, first to any of the parts."""
    own, lengths = csr.rebased(), csr.row_lengths()
    rows = np.repeat(np.arange(len(lengths)), lengths)
    order = _order_within_rows(rows, rng.integers(2**32, size=own.nnz, dtype=np.uint32))
    place = np.arange(own.nnz) - own.indptr[rows] + rng.integers(n_parts, size=len(lengths))[rows]
    part = np.empty_like(place)
    part[order] = place % n_parts
    return part


def parts_between(times: npt.NDArray[Any], borders: npt.NDArray[Any]) -> Parts:
    """Return the part of each stored entry, int32 (nnz,): how many of the ascending borders it is at or behind."""
    part = np.empty(len(times), np.int32)
    for start in range(0, len(times), BLOCK):
        part[start : start + BLOCK] = np.searchsorted(borders, times[start : start + BLOCK], side="right")
    return part


def strangers(csr: Csr, part: Parts, number: int) -> tuple[npt.NDArray[np.bool_], int, int]:
    """Return which entries of a part are of users or items that no part before has, and how many these are.

    Returns
    -------
    strange : bool (nnz,)
    users, items : int
        Users and items of this part that no part before has.
    """
    (m, n), rows = csr.shape, np.repeat(np.arange(csr.shape[0]), csr.row_lengths())
    before, here = (part >= 0) & (part < number), part == number
    strange, counts = np.zeros(len(part), np.bool_), []
    for of, size in ((rows, m), (csr.indices, n)):
        known, present = np.zeros((2, size), np.bool_)
        known[of[before]] = True
        present[of[here]] = True
        strange |= here & ~known[of]
        counts.append(int((present & ~known).sum()))
    return strange, counts[0], counts[1]


def _order_within_rows(rows: IntArray, values: npt.NDArray[Any]) -> IntArray:
    """Sort by row and value. One sort of (row, value) packed in 64 bits is 20 times faster than lexsort."""
    if (
        values.size
        and values.dtype.kind == "f"
        and np.array_equal(values, np.rint(values))
        and np.abs(values).max() < 2**53
    ):
        values = values.astype(np.int64)
    if values.size and values.dtype.kind in "iu":
        low, high = int(values.min()), int(values.max())
        bits = (high - low).bit_length()
        if bits + int(rows[-1]).bit_length() <= 63:
            return np.argsort((rows << bits) | (values - values.dtype.type(low)).astype(np.int64), kind="stable")
    return np.lexsort((values, rows))
