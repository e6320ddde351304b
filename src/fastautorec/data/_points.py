"""Points and spans of time as their users write them, in the unit of the timestamps that they cut."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec._checks import check_real
from fastautorec.data._times import DAYS, evident, other_unit, time_kind, times, unit_of

Array = npt.NDArray[Any]

PER_SECOND = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
LEAST = 1000  # seconds, or fractions of them, that a window may have by a mere number


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
        values = _in_unit("at", "a date", at, moments, values)
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
    if not len(moments):
        raise ValueError("`data` must hold interactions, got none")
    length = _span(moments, period)
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
        seconds = check_real("period", times("period", [period])[0].item(), 0, above=True)
        length = _in_unit("period", "a duration", period, moments, np.array([seconds]))[0].item()
        return int(length) if length == int(length) else float(length)
    if isinstance(period, str):
        raise TypeError(
            f"`period` must be a number in the unit of the timestamps, or a duration such as datetime.timedelta(days=7)"
            f", got {period!r}"
        )
    length, sample = check_real("period", period, 0, above=True), evident(moments)
    if length < LEAST and sample is not None and unit_of(sample) != DAYS:
        raise ValueError(
            f"`period` is a number in the unit of the timestamps, which look like {unit_of(sample)}, so that {period} "
            f"is hardly a window; give it as datetime.timedelta(days={period}), or (seconds={period}) if that is meant"
        )
    return int(period) if isinstance(period, Integral) else length


def _in_unit(name: str, what: str, value: Any, moments: Array, seconds: Array) -> Array:
    """Return seconds in the unit of the timestamps, which must count from 1970 on as dates and durations do."""
    sample = evident(moments)
    unit = None if sample is None else unit_of(sample)
    if unit not in PER_SECOND:
        given = f"such as {moments[:1].tolist()[0]}" if len(moments) else "none"
        raise ValueError(
            f"`{name}` may be {what} only where the timestamps are seconds since 1970, or thousandths, millionths or "
            f"billionths of them, got {value!r} and timestamps {given}; give a number in their unit"
        )
    per_second = PER_SECOND[unit]
    if per_second == 1:
        return seconds
    micros = np.rint(seconds * 1e6).astype(np.int64)  # dates and durations are no finer, and floats hold no more
    return micros * (per_second // 10**6) if per_second >= 10**6 else micros / (10**6 // per_second)


def shown_time(moment: Any, moments: Array) -> str:
    """Return a time for messages, with its date where the unit of the timestamps is evident."""
    sample = evident(moments)
    unit = None if sample is None else unit_of(sample)
    whole = f"{moment:.0f}" if isinstance(moment, float) else str(moment)
    if unit not in PER_SECOND:
        return whole
    return f"{whole} ({datetime.fromtimestamp(moment // PER_SECOND[unit], timezone.utc):%Y-%m-%d %H:%M:%S})"
