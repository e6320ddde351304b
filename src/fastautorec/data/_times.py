"""Columns of times and of other numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from numbers import Integral, Real
from typing import Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from fastautorec.data import _ids as ids
from fastautorec.data import _time_texts as time_texts
from fastautorec.data._arrays import as_array, is_missing, is_polars, shown

Array = npt.NDArray[Any]

NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_WHOLE = re.compile(r"-?[0-9]{1,19}")
_FRACTION = re.compile(r"(:[0-9]{2})[.,]([0-9]{1,6})[0-9]*")  # of a second
_ZONE = re.compile(r"(:.*[+-][0-9]{2})([0-9]{2})?$")
EXACT = 2**53  # up to which float64 holds every integer
KINDS = ("numbers", "dates", "durations")  # of times, of which a column has one
FIRST, END = -62_135_596_800, 253_402_300_800  # of the years 1 to 9999, in seconds since 1970
LONGEST = 9e12  # seconds that fit int64 in microseconds
SECONDS = {
    "Y": 31_556_952,
    "M": 2_629_746,
    "W": 604_800,
    "D": 86_400,
    "h": 3600,
    "m": 60,
    "s": 1,
    "ms": 1e-3,
    "us": 1e-6,
}
DAYS = "days such as 20240131"
# Numbers of each unit in the years 1980 to 2099.
UNITS = {
    DAYS: (19_800_101, 20_991_232),
    **{
        unit: (315_532_800 * scale, 4_102_444_800 * scale)
        for unit, scale in (("seconds", 1), ("milliseconds", 10**3), ("microseconds", 10**6), ("nanoseconds", 10**9))
    },
}


def numbers(name: str, column: Any) -> npt.NDArray[np.floating[Any]]:
    """Return a column of finite numbers as float64 (rows,); narrower floats stay what they are.

    Those are compared in their own type: 3.3 read as float32 is at least 3.3.
    """
    given = as_array(name, column)
    try:
        narrow = given.dtype in (np.float16, np.float32)
        texts = {x for x in given.tolist() if isinstance(x, str)} if given.dtype.kind in "OUT" else set()
        plain = given.dtype.kind not in "mMc" and all(map(_is_number, texts))
        values = given if narrow else given.astype(np.float64) if plain else None
    except (TypeError, ValueError, OverflowError):
        values = None
    if values is None:
        row, value = next(((row, x) for row, x in enumerate(given) if not _is_number(x)), (0, given[0]))
        raise ValueError(f"column {name!r} must hold finite numbers, got {shown(value)} in row {row}")
    if not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values)))
        raise ValueError(
            f"column {name!r} must hold finite numbers, got {values[row]} in row {row}; drop such rows first"
        )
    return values


def widened(values: Array) -> Array:
    """Return numbers as float64; narrower floats as the numbers that they print as, so that 3.3 is 3.3 in all types."""
    if values.dtype not in (np.float16, np.float32):
        return values.astype(np.float64)
    distinct, codes = np.unique(values, return_inverse=True)
    return np.array([float(str(value)) for value in distinct], np.float64)[codes.ravel()]


def _is_number(value: Any) -> bool:
    if isinstance(value, str) and not NUMBER.fullmatch(value.strip()):
        return False  # float() also takes 1_0, and digits of other scripts
    try:
        return not isinstance(value, (np.datetime64, np.timedelta64, complex)) and math.isfinite(float(value))
    except (TypeError, ValueError, OverflowError):
        return False


def times(name: str, column: Any) -> Array:
    """Return a column of times as int64 or float64: numbers as they are, all else in seconds.

    Dates and ISO 8601 texts become seconds since 1970, and durations become seconds, whatever the unit of the column.
    Texts that are all integers stay integers.
    """
    values = _times(name, column)
    mixed = mixed_units(values)
    if mixed is not None:
        row, what = mixed
        raise ValueError(
            f"column {name!r} must hold times of one unit, got {what}, in row {row}; bring all to one unit"
        )
    return values


def mixed_units(values: Array) -> tuple[int, str] | None:
    """Return the first row whose unit is not that of rows before, and what is there, if two units are clearly there.

    Numbers that count from anywhere else are no times: such columns have some between two units, or below those that
    look like days. Zero and -1 stand for a time that is missing.
    """
    if _in_one_unit(values):  # as nearly always
        return None
    seen = Seen.of(values)
    if not seen.are_mixed():
        return None
    before, row, *_ = sorted(int(np.argmax(values == value)) for value in seen.first if value is not None)
    return row, _unlike(values[row], values[before])


def _in_one_unit(values: Array) -> bool:
    if not values.size:
        return True
    low, high = values.min(), values.max()
    return any(first <= low and high < end for first, end in UNITS.values())


class Seen(NamedTuple):
    """What tells whether times are of one unit; that of several columns is added up."""

    first: tuple[Any, ...]  # of each unit the first time that looks like it, or None
    counts: tuple[int, ...]  # of times below the first unit, in it, between it and the second, and so on
    present: int  # neither 0 nor -1

    @classmethod
    def of(cls, values: Array) -> Seen:
        borders = np.array([border for span in UNITS.values() for border in span])
        places = np.searchsorted(borders, values, side="right")
        counts = np.bincount(places, minlength=len(borders) + 1).tolist()
        first = [values[np.argmax(places == i)].item() if counts[i] else None for i in range(1, len(borders), 2)]
        return cls(tuple(first), tuple(counts), int(np.count_nonzero((values != 0) & (values != -1))))

    def plus(self, other: Seen) -> Seen:
        """Return what is seen in both."""
        firsts, counts = zip(self.first, other.first, strict=True), zip(self.counts, other.counts, strict=True)
        first = (its if mine is None else mine for mine, its in firsts)
        return Seen(tuple(first), tuple(map(sum, counts)), self.present + other.present)

    def are_mixed(self) -> bool:
        """Return whether two units are clearly there; see `mixed_units`."""
        there = [i for i in range(1, len(self.counts), 2) if self.counts[i]]
        if len(there) < 2:
            return False
        days = there[0] == 1
        others = self.present if days else sum(self.counts[there[0] : there[-1] + 1])
        return others <= sum(self.counts[i] for i in there)


def evident(values: Array | None) -> Any:
    """Return a time whose unit is that of all of them, 0 and -1 aside; None where there is none."""
    if values is None or not len(values):
        return None
    for first, end in UNITS.values():
        if first <= values.max() < end:
            alike = (first <= values.min()) or bool(((values >= first) | (values == 0) | (values == -1)).all())
            return values[np.argmax(values >= first)] if alike else None
    return None


def other_unit(value: Any, other: Any) -> str:
    """Return what to say of two times that `evident` found, if they are of different units; else nothing."""
    return "" if None in (value, other) or unit_of(value) == unit_of(other) else _unlike(value, other)


def _unlike(value: Any, other: Any) -> str:
    return f"{value}, which looks like {unit_of(value)}, where the first is {other}, like {unit_of(other)}"


def unit_of(value: Any) -> str:
    """Return the unit that a time looks like, one of `UNITS`."""
    return next(unit for unit, (first, end) in UNITS.items() if first <= value < end)


def _times(name: str, column: Any) -> Array:
    if is_polars(column, "String"):
        if column.null_count():
            _refuse(name, column.is_null().arg_max(), None)
        return _text_times(name, column)
    values = as_array(name, column)
    kind = values.dtype.kind
    if kind in "iu":
        if values.size and int(values.max()) > ids.INT64.max:
            _refuse(name, int(np.argmax(values > ids.INT64.max)), values.max())
        return values.astype(np.int64)
    if kind in "mM":
        if np.isnat(values).any():
            row = int(np.argmax(np.isnat(values)))
            _refuse(name, row, values[row])
        return _in_seconds(name, values)
    return _object_times(name, values.tolist()) if kind in "OUT" else _finite(name, values)


def _finite(name: str, values: Array) -> Array:
    good = np.isfinite(values) if values.dtype.kind == "f" else np.zeros(len(values), bool)
    if not good.all():
        _refuse(name, int(np.argmin(good)), values[np.argmin(good)])
    return values.astype(np.float64)


def _in_seconds(name: str, values: Array) -> Array:
    """Return dates and durations of any unit in seconds; refuse those that only a wrong unit can mean."""
    kind, (unit, count) = values.dtype.kind, np.datetime_data(values.dtype)
    counts, scale = values.astype(np.int64), float(count * SECONDS.get(unit, 1e-9))
    limit = END * 2 if kind == "M" else LONGEST
    if _within(counts, -limit / scale, limit / scale):
        seconds = values.astype(f"{kind}8[us]").astype(np.int64) / 1e6
        if kind == "m" or _within(seconds, FIRST, np.nextafter(END, 0)):
            return seconds
        far = (seconds < FIRST) | (seconds >= END)
    else:
        far = np.abs(counts * scale) > limit
    row = int(np.argmax(far))
    what = "a date in the years 1 to 9999" if kind == "M" else "a duration below 285,000 years"
    raise ValueError(
        f"column {name!r} must hold {what} in every row, got {values[row]} in row {row}; its unit, {unit}, looks "
        "wrong: make it again of the numbers, with the unit that they have"
    )


def _within(values: Array, low: float, high: float) -> bool:
    return not len(values) or bool(values.min() >= low and values.max() <= high)


def parse_time(text: str) -> float:
    """Return a finite number, or an ISO 8601 date and time (UTC unless it says otherwise), as seconds since 1970.

    Databases write " UTC" behind it.
    """
    try:
        number = float(text if text.isascii() and "_" not in text else "no number")
    except ValueError:
        iso = text.strip().removesuffix(" UTC").replace("Z", "+00:00")
        # Python 3.10 reads only fractions of 3 or 6 digits, and only zones such as +02:00.
        iso = _FRACTION.sub(lambda found: f"{found[1]}.{found[2]:0<6}", iso)
        iso = _ZONE.sub(lambda found: f"{found[1]}:{found[2] or '00'}", iso)
        return _since_1970(datetime.fromisoformat(iso))
    if not math.isfinite(number):
        raise ValueError(f"a time must be finite, got {text}")
    return number


def _since_1970(moment: datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


def _seconds(value: Any) -> float | int | None:
    """Return one time, or None where it is none; raise where it cannot be."""
    if isinstance(value, str):
        return parse_time(value)
    if isinstance(value, (bool, np.bool_)) or is_missing(value):
        return None
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, (Real, Decimal)):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, datetime):
        return _since_1970(value)
    if isinstance(value, date):
        return _since_1970(datetime(value.year, value.month, value.day))
    return value.total_seconds() if isinstance(value, timedelta) else None


def _object_times(name: str, values: list[Any]) -> Array:
    if set(map(type, values)) <= {str}:
        return _text_times(name, values)
    missing = next((row for row, x in enumerate(values) if is_missing(x)), None)
    if missing is not None:
        _refuse(name, missing, values[missing])
    return _each(name, values, np.arange(len(values)))


def _text_times(name: str, texts: Any) -> Array:
    def others(texts: Any) -> Array:
        distinct, codes = ids.coded(name, texts)
        return _each(name, distinct.tolist(), codes)[codes]

    # blanks around a time, as columns of fixed width have them, mean nothing; `others` gets the texts as they are
    bare = texts.str.strip_chars(" ") if is_polars(texts, "String") else [text.strip(" ") for text in texts]
    return time_texts.read(bare)._replace(texts=texts).times(others)


def _each(name: str, values: list[Any], codes: Array) -> Array:
    """Return each value as a time; all of them exact integers where they are integers. Rows hold ``values[codes]``."""
    try:
        if all(isinstance(x, Integral) and not isinstance(x, bool) for x in values):
            return np.array(values, np.int64)
        if all(isinstance(x, str) and _WHOLE.fullmatch(x.strip()) for x in values):
            return np.array([int(x) for x in values], np.int64)
    except OverflowError:
        pass  # they are read as floats then
    result = np.empty(len(values), np.float64)
    kinds = np.zeros(len(values), np.uint8)  # 0 is none
    for place, value in enumerate(values):
        try:
            seconds = _seconds(value)
        except (ValueError, OverflowError):
            seconds = None
        if seconds is not None:
            result[place], kinds[place] = seconds, 1 + KINDS.index(_kind(value))
    if not kinds.all():
        row = int(np.argmin(kinds[codes]))
        _refuse(name, row, values[codes[row]])
    if (kinds != kinds[0]).any():
        row = int(np.argmax(kinds[codes] != kinds[codes[0]]))
        raise ValueError(
            f"column {name!r} must hold times of one kind, got {shown(values[codes[0]])} in row 0 and "
            f"{shown(values[codes[row]])} in row {row}; make all of them numbers, or dates, or durations"
        )
    return result


def time_kind(name: str, column: Any) -> str | None:
    """Return what a column of times holds, one of `KINDS`, by its first value; None where there is none."""
    values = as_array(name, column[:1])
    if not len(values):
        return None
    return {"M": "dates", "m": "durations"}.get(values.dtype.kind) or _kind(values.tolist()[0])


def _kind(value: Any) -> str:
    """Return of what kind a time is; a text may be a number or a date."""
    if isinstance(value, str):
        return "numbers" if NUMBER.fullmatch(value.strip()) else "dates"
    return "dates" if isinstance(value, date) else "durations" if isinstance(value, timedelta) else "numbers"


def check_joinable(what: str, parts: Sequence[Array]) -> None:
    """Raise if integers would stand beside floats that cannot hold them."""
    if len({part.dtype.kind for part in parts if len(part)}) < 2:
        return
    for part in parts:
        if part.dtype.kind == "i" and len(part) and not -EXACT <= part.min() <= part.max() <= EXACT:
            raise ValueError(
                f"{what} must have times of one type, got integers such as {part.max()} and floats, which do not hold "
                "such integers exactly; convert one of them first"
            )


def _refuse(name: str, row: int, value: Any) -> NoReturn:
    """Raise for a value that is no time, with the way on."""
    if is_missing(value) or (isinstance(value, str) and value.strip().lower() in ("nan", "nat", "none", "null", "")):
        fix = "drop such rows first"
    elif type(value).__name__ == "Period":
        fix = "take its start: column.dt.to_timestamp()"
    elif isinstance(value, str) and value[:1].isdigit():
        fix = "its parts could mean several days: say which with pandas.to_datetime(column, format=...) or the like"
    else:
        fix = "convert the column first, for example with pandas.to_datetime"
    raise ValueError(
        f"column {name!r} must hold a time in every row (a finite number, a date, or ISO 8601 text such as "
        f"2024-02-01), got {shown(value)} in row {row}; {fix}"
    )
