"""Points and spans of time as their users write them, in the unit of the timestamps that they cut."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec._checks import check_real
from fastautorec.data._times import UNITS, evident, other_unit, time_kind, times

Array = npt.NDArray[Any]


def points_in(moments: Array, at: Any) -> Array:
    """Return ascending points in time, of the type of the timestamps; what is at a point or later is behind it.

    Raises
    ------
    TypeError, ValueError
        For what is no time, another unit than that of the timestamps, points that do not ascend, or a point that has
        nothing before or behind it.
    """
    several = isinstance(at, Iterable) and not isinstance(at, (str, bytes)) and getattr(at, "ndim", 1) > 0
    given = list(at) if several else [at]
    if not given:
        raise ValueError("`at` must be a point in time or several, got none")
    try:
        values, form = times("at", given), time_kind("at", given)
    except ValueError:
        form = None
    if form not in ("numbers", "dates"):
        raise TypeError(
            "`at` must be a number in the unit of the timestamps, a date or ISO 8601 text such as '2024-02-01', or a "
            f"sequence of one of these, got {at!r}"
        )
    if form == "dates":
        _require_seconds("at", "a date", at, moments)
    elif unlike := other_unit(evident(values), evident(moments)):
        raise ValueError(f"`at` must be in the unit of the timestamps, got {unlike}; give it in that unit")
    if (values[1:] <= values[:-1]).any():
        raise ValueError(f"`at` must ascend, got {at!r}")
    if not len(moments) or values[0] <= moments.min() or values[-1] > moments.max():
        span = f"the times go from {moments.min()} to {moments.max()}" if len(moments) else "there are no interactions"
        raise ValueError(
            f"`at` must have interactions before and from each point on, got {values.tolist()}, but {span}"
        )
    if moments.dtype.kind == "i":
        return np.ceil(values).astype(np.int64) if values.dtype.kind == "f" else values
    return values.astype(np.float64)


def window_starts(moments: Array, period: Any, folds: int) -> Array:
    """Return where the last windows of time begin, ascending, of the type of the timestamps; the last ends with them.

    Raises
    ------
    TypeError, ValueError
        For what is no span of time, or more windows than there is time before the last one.
    """
    length = _span(moments, period)
    if not len(moments):
        raise ValueError("`data` must hold interactions, got none")
    first, last = moments.min().item(), moments.max().item()
    before = [last - length * number for number in range(folds, 0, -1)]  # windows hold what is later
    if before[0] < first:
        fit = int((last - first) // length)
        raise ValueError(
            f"`folds`={folds} windows of `period` {period} and training data before them need more time than there is: "
            f"the times go from {first} to {last}; " + (f"at most {fit} fit" if fit else "give a shorter `period`")
        )
    if moments.dtype.kind == "i":
        return np.array([int(value // 1) + 1 for value in before], np.int64)
    return np.nextafter(np.array(before, np.float64), np.inf)


def _span(moments: Array, period: Any) -> int | float:
    """Return a span of time in the unit of the timestamps, above 0."""
    if isinstance(period, (timedelta, np.timedelta64)):
        if np.isnat(np.timedelta64(period)):
            raise ValueError(f"`period` must be a span of time, got {period}")
        _require_seconds("period", "a duration", period, moments)
        return check_real("period", times("period", [period])[0].item(), 0, above=True)
    if isinstance(period, str):
        raise TypeError(
            f"`period` must be a number in the unit of the timestamps, or a duration such as datetime.timedelta(days=7)"
            f", got {period!r}"
        )
    length = check_real("period", period, 0, above=True)
    return int(period) if isinstance(period, Integral) else length


def _require_seconds(name: str, what: str, value: Any, moments: Array) -> None:
    """Raise unless the timestamps are seconds since 1970, in which dates and durations are counted."""
    first, end = UNITS["seconds"]
    sample = evident(moments)
    if sample is None or not first <= sample < end:
        given = f"such as {moments[:1].tolist()[0]}" if len(moments) else "none"
        raise ValueError(
            f"`{name}` may be {what} only where the timestamps are seconds since 1970, got {value!r} and timestamps "
            f"{given}; give a number in their unit"
        )
