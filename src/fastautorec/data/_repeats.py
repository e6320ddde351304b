"""Pairs that come several times: at which time they count, and what to say where data are cut by time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec._checks import check_choice, warn_caller

REPEATS = LAST, FIRST = ("last", "first")  # as the other libraries call what they keep of rows that repeat

GIVE_TIMES = (
    "give `timestamps` of the stored entries (pairs of Interactions count once already: read their rows with "
    f"repeats={FIRST!r})"
)

Mask = npt.NDArray[np.bool_]


class Repeats:
    """What is remembered of pairs that came several times; all data that are made of the same rows share it.

    Parameters
    ----------
    which : {"last", "first"}
        The time at which they count.
    count : int
        How many of them came at different times.
    moved : bool (nnz,), optional
        Which of the pairs that were read.
    """

    def __init__(self, which: str, count: int, moved: Mask | None = None) -> None:
        self.which, self.count, self._told = which, count, False
        self._moved = None if moved is None else (np.packbits(moved), len(moved))

    def __reduce__(self) -> tuple[Any, ...]:
        return Repeats, (self.which, self.count)  # neither what was told nor what a shard alone asks for

    @property
    def moved(self) -> Mask | None:
        """Which of the pairs that were read came at different times; None where none did."""
        return None if self._moved is None else np.unpackbits(self._moved[0], count=self._moved[1]).astype(bool)

    def tell(self) -> None:
        """Warn, once, of pairs that a cut in time puts where they were not new any more."""
        if self.which == LAST and self.count and not self._told:
            self._told = True
            warn_caller(
                f"in the rows that were read, {self.count:,} pairs of user and item came at several times, and count "
                "at the latest: what a user had before a cut in time and again after it is tested as if it were new; "
                "to test what is new to a user alone, read the rows with repeats='first'"
            )


def repeats_of(which: str, moved: Mask | None) -> Repeats | None:
    """Return what to remember of pairs; None where there is nothing."""
    count = 0 if moved is None else int(np.count_nonzero(moved))
    return Repeats(which, count, moved if count else None) if count or which == FIRST else None


def joined(given: Iterable[Repeats | None], more: int = 0) -> Repeats | None:
    """Return what to remember of data put together, where so many pairs more are in several of them."""
    marks = list(given)
    known = list({id(mark): mark for mark in marks if mark is not None}.values())  # once of parts of one whole
    which = which_of(marks)
    count = more + sum(mark.count for mark in known if mark.which == which)
    if not count and which == LAST:
        return None
    result = Repeats(which, count)
    result._told = not more and all(mark._told for mark in known)
    return result


def which_of(given: Iterable[Repeats | None]) -> str:
    """Return at which time pairs count that are in several data: at the first where they do so in all of them."""
    return FIRST if all(mark is not None and mark.which == FIRST for mark in given) else LAST


def tell_repeats(data: Any) -> None:
    """Warn, once for all that is made of the same rows, where data that are cut by time have pairs that repeat."""
    mark: Repeats | None = getattr(data, "_repeats", None)
    if mark is not None:
        mark.tell()


def times_of(data: Any) -> npt.NDArray[Any] | None:
    """Return the times to cut data by, None where there are none; warn of pairs that repeat."""
    times: npt.NDArray[Any] | None = getattr(data, "timestamps", None)
    if times is not None:
        tell_repeats(data)
    return times


def check_repeats(which: object, timed: bool, fix: str) -> None:
    """Raise for an unknown word, or for the first time where there are no times."""
    check_choice("repeats", which, REPEATS)
    if which == FIRST and not timed:
        raise ValueError(f"`repeats`={FIRST!r} needs timestamps, got none; {fix}, or leave `repeats` out")
