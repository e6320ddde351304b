"""Texts of times by columns: whole numbers and the usual layouts of dates and times, without a Python call for each.

What texts mean is said in `_times` and `_plain`. A text that is read here has the value that it has there; all others
are left to them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]
Read = Callable[[Bytes, str], tuple[Integers, Mask]]

OTHER, WHOLE, DATE = range(3)  # what a text was read as
_BLOCK = 1 << 15  # texts at a time, whose columns stay in the cache
_EXACT = 2**53  # microseconds up to which float64 holds all
_DAY, _MINUTE, _SECOND = "0000-00-00", "0000-00-00_00:00", "0000-00-00_00:00:00"  # layouts; 0 is any digit
_ALIKE = {"_": " T", ".": ".,", "+": "+-"}  # what else stands for several characters
_ZONES = ("", "Z", " UTC", "+00", "+0000", "+00:00")
_LONGEST = len(_SECOND + ".123456789" + _ZONES[-1])


class Texts(NamedTuple):
    """Texts as far as they were read by columns."""

    texts: Any  # list or polars column
    kinds: npt.NDArray[np.uint8]
    values: Integers  # whole numbers, or microseconds since 1970

    def unlike(self, dates: bool | None) -> list[int]:
        """Return the rows that may be no times, or not of the kind that ``dates`` says, if it does."""
        wanted = (DATE, WHOLE) if dates is None else (DATE,) if dates else (WHOLE,)
        rows: list[int] = np.flatnonzero(~np.isin(self.kinds, wanted)).tolist()
        return rows

    def times(self, others: Callable[[Any], Array]) -> Array:
        """Return times as int64 if all of them are whole numbers, else float64, with dates as seconds since 1970.

        ``others`` does the same one at a time. It gets texts only if not all could be read as one kind. Then one text
        of each kind stands for those that were read, so that the rows in its messages are right.
        """
        whole, date = self.kinds == WHOLE, self.kinds == DATE
        if whole.all():
            return self.values
        if date.all():
            return _seconds(self.values)
        if not (whole.any() or date.any()):
            return others(self.texts)
        remaining = np.array(_listed(self.texts), object)
        for found in filter(np.any, (whole, date)):
            remaining[found] = remaining[np.argmax(found)]
        result = others(remaining)
        result[whole] = self.values[whole]
        if date.any():
            result[date] = _seconds(self.values[date])
        return result


def read(texts: Any) -> Texts:
    """Read a list or a polars column of texts."""
    result = Texts(texts, np.full(len(texts), OTHER, np.uint8), np.zeros(len(texts), np.int64))
    for start in range(0, len(texts), _BLOCK):
        part = slice(start, start + _BLOCK)
        _read(_listed(texts[part]), result.kinds[part], result.values[part])
    return result


def _listed(texts: Any) -> list[str]:
    result: list[str] = texts.to_list() if hasattr(texts, "to_list") else texts
    return result


def _seconds(microseconds: Integers) -> npt.NDArray[np.float64]:
    return np.where(np.abs(microseconds) > _EXACT, microseconds // 10**6, microseconds / 1e6)


def _read(texts: list[str], kinds: npt.NDArray[np.uint8], values: Integers) -> None:
    """Write the kinds and the values of what can be read."""
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    characters = np.frombuffer("".join(texts).encode("ascii", "replace"), np.uint8)
    starts = np.cumsum(lengths) - lengths
    for length in np.unique(np.minimum(lengths, _LONGEST + 1)).tolist():
        rows = np.flatnonzero(lengths == length)
        if len(rows) == len(texts):
            columns = np.ascontiguousarray(characters.reshape(len(rows), length).T)
        else:
            columns = characters[starts[rows] + np.arange(length)[:, None]]
        for layout, kind, reader in _layouts(length):
            has = _has(columns, layout)
            if has.any():
                value, good = reader(columns if has.all() else columns[:, has], layout)
                found = rows[has][good]
                kinds[found], values[found] = kind, value[good]


def _layouts(length: int) -> Iterator[tuple[str, int, Read]]:
    """Yield the layouts of a length, of which a text has one at most."""
    for sign in ("", "-"):
        if 1 <= length - len(sign) <= 19:
            yield sign + "0" * (length - len(sign)), WHOLE, _whole_numbers
    if length == len(_DAY):
        yield _DAY, DATE, _microseconds
    for zone in _ZONES if length <= _LONGEST else ():
        n_digits = length - len(_SECOND + "." + zone)
        if length == len(_MINUTE + zone):
            yield _MINUTE + zone, DATE, _microseconds
        elif length == len(_SECOND + zone):
            yield _SECOND + zone, DATE, _microseconds
        elif n_digits > 0:
            yield f"{_SECOND}.{'0' * n_digits}{zone}", DATE, _microseconds


def _has(columns: Bytes, layout: str) -> Mask:
    """Return which texts have a layout."""
    result = np.ones(columns.shape[1], bool)
    for column, character in zip(columns, layout, strict=True):
        if character == "0":
            result &= column - ord("0") < 10
        else:
            result &= np.logical_or.reduce([column == ord(one) for one in _ALIKE.get(character, character)])
    return result


def _number(columns: Bytes) -> Integers:
    """Return numbers of up to 19 digits; below 0 where int64 does not hold them."""
    value = np.zeros(columns.shape[1], np.int64)
    for column in columns:
        value *= 10
        value += column - ord("0")
    return value


def _whole_numbers(columns: Bytes, layout: str) -> tuple[Integers, Mask]:
    """Return integers, and which of them are right; -0, a float among floats, is none."""
    sign = layout.startswith("-")
    size = _number(columns[sign:])
    return size * (-1 if sign else 1), size >= sign


def _microseconds(columns: Bytes, layout: str) -> tuple[Integers, Mask]:
    """Return times in microseconds since 1970, and which of them are times, with seconds that float64 holds."""
    year, month, day = _number(columns[:4]), _number(columns[5:7]), _number(columns[8:10])
    months = (year - 1970) * 12 + month - 1
    first, end = (column.view("M8[M]").astype("M8[D]").astype(np.int64) for column in (months, months + 1))
    good = (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= end - first)
    seconds = (first + day - 1) * 86_400
    if layout != _DAY:
        clock, good_clock = _clock(columns[11:16])
        good &= good_clock
        seconds += clock * 60
    if layout.startswith(_SECOND):
        second = _number(columns[17:19])
        good &= second < 60
        seconds += second
    sign = layout.find("+")
    if sign >= 0:
        clock, good_clock = _clock(columns[sign + 1 :])
        good &= good_clock
        seconds -= np.where(columns[sign] == ord("-"), -60, 60) * clock
    result = seconds * 10**6
    behind = layout[len(_SECOND) + 1 :] if "." in layout else ""
    n_digits = min(len(behind) - len(behind.lstrip("0")), 6)  # `datetime` drops further ones
    if n_digits:
        fraction = _number(columns[20 : 20 + n_digits]) * 10 ** (6 - n_digits)
        result += fraction
        good &= (fraction == 0) | (np.abs(result) <= _EXACT)
    return result, good


def _clock(columns: Bytes) -> tuple[Integers, Mask]:
    """Return hours and minutes as minutes, and which are there."""
    hour, minute = _number(columns[:2]), _number(columns[2:][-2:])
    return hour * 60 + minute, (hour < 24) & (minute < 60)
