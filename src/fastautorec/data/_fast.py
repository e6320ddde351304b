"""polars on blocks of text, used only where it provably means what the plain reader does: else the answer is None."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec.data import _missing as missing
from fastautorec.data import _time_texts as time_texts
from fastautorec.data._arrays import is_polars_failure
from fastautorec.data._files import BOM
from fastautorec.data._layouts import Layout
from fastautorec.data._missing import BLANKS, Counts
from fastautorec.data._plain import UNQUOTED, is_date, moments
from fastautorec.data._roles import NUMBERS

_PIECE = 1 << 18  # bytes whose masks stay in the cache
_NEWLINE, _QUOTE, _ZERO, _NINE = b'\n"09'
_ODD_SIGNS = (b"+", b" ", b"\t", b"\v", b"\f")
_INTEGER = r"^(0|-?[1-9][0-9]{0,18})$"

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


class FastReader:
    """Reads blocks of one layout; remembers which columns have turned out to hold texts."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._texts = set(layout.texts)
        self._quoting = layout.separator not in UNQUOTED
        one = len(layout.separator) == 1 and layout.separator.isascii()
        self._usable = (one or layout.separator == "::") and not (layout.decimal_comma or layout.booleans)

    def read(self, block: bytes) -> dict[str, Any] | None:
        """Return the roles of all lines as `PlainReader` does, as polars columns; None where that is unsure."""
        if not self._usable or not block or not _is_clean_text(block):
            return None
        if b"\r" in block:
            if block.count(b"\r") != block.count(b"\r\n"):
                return None
            block = block.replace(b"\r\n", b"\n")
        if not block.endswith(b"\n") or block.endswith(b"\n\n"):
            block = block.rstrip(b"\n") + b"\n"
        data = np.frombuffer(block, np.uint8)
        quotes = self._quoting and b'"' in block
        inside = _inside_quotes(data, ord(self._layout.separator)) if quotes else None
        n_lines = int(np.count_nonzero(data == _NEWLINE))
        if (quotes and inside is None) or not self._is_even(data, inside, n_lines):
            return None
        delimiters = [_NEWLINE, ord(self._layout.separator[0]), *([_QUOTE] if quotes else [])]
        whole = {"user", "item", "timestamp"} - self._texts
        if _has_odd_integers(block, data, delimiters):
            whole -= {"user", "item"}
        frame = self._parse(block, quotes, n_lines, whole)
        if frame is None and whole:
            frame = self._parse(block, quotes, n_lines, set())
        return None if frame is None else self._columns(frame)

    def remember(self, found: dict[str, Any]) -> None:
        """Take note of columns that hold texts in what was read, so that later blocks are not tried as integers."""
        self._texts |= {role for role in ("user", "item") if str(getattr(found[role], "dtype", "")) == "String"}

    def _is_even(self, data: Bytes, inside: Mask | None, n_lines: int) -> bool:
        """Return whether every line has the fields of the layout, as far as polars does not find out by itself."""
        separator, wanted = ord(self._layout.separator[0]), self._layout.n_fields - 1
        mark = data == separator
        if inside is not None:
            mark &= ~inside
        if self._layout.separator == " " and not _is_single_spaced(data, mark):
            return False
        step = len(self._layout.separator)
        if np.count_nonzero(mark) != step * wanted * n_lines:
            return False
        # a line that is too short misses its last field, and if there is none, none is too long
        complete = self._layout.n_fields - 1 in self._layout.position.values() and not self._layout.drop
        if complete and step == 1:
            return True
        places: npt.NDArray[np.intp] = np.flatnonzero(mark)
        if step == 2 and not np.all(places[1::2] == places[::2] + 1):
            return False
        if complete:
            return True
        ends = np.flatnonzero(data == _NEWLINE)
        starts = np.concatenate(([0], ends[:-1]))
        of_line = places.reshape(n_lines, step * wanted)
        return bool(np.all(of_line[:, 0] >= starts) and np.all(of_line[:, -1] < ends))

    def _parse(self, block: bytes, quotes: bool, n_lines: int, whole: set[str]) -> Any:
        """Return the frame of the roles, texts without blanks around them, or None if polars does not take a line."""
        import polars as pl  # noqa: PLC0415  (optional, and slow to import)

        layout = self._layout
        step = len(layout.separator)  # polars separates by one character: "a::b" is read as "a", "", "b"
        width = step * (layout.n_fields - 1) + 1
        schema: dict[str, Any] = {f"field {i}": pl.String for i in range(width)}
        names = {role: f"field {step * position}" for role, position in layout.position.items()}
        for role, name in names.items():
            if role in NUMBERS:
                schema[name] = pl.Float64
            elif role in whole:
                schema[name] = pl.Int64
        try:
            frame = pl.read_csv(
                block,
                separator=layout.separator[0],
                has_header=False,
                schema=schema,
                columns=sorted({step * position for position in layout.position.values()}),
                quote_char='"' if quotes else None,
            )
        except BaseException as error:
            if is_polars_failure(error):
                return None
            raise
        frame = frame.select(pl.col(name).alias(role) for role, name in names.items())
        return frame.with_columns(pl.col(pl.String).str.strip_chars(BLANKS)) if frame.height == n_lines else None

    def _whole(self, frame: Any) -> tuple[Any, Counts] | None:
        """Return the lines that lack no value, and counts of the others; None where these are refused or unsure."""
        import polars as pl  # noqa: PLC0415

        texts = frame.select(pl.col(pl.String))
        gaps = any(frame.null_count().row(0)) or any((column == "").any() for column in texts)
        if not self._layout.drop:
            return None if gaps else (frame, Counter())
        if any(column.is_nan().any() for column in frame.select(pl.col(pl.Float64))):
            return None  # polars takes more texts for NaN
        lacks = {role: missing.lacking(role, role, frame[role]) for role in frame.columns}
        some = np.logical_or.reduce(list(lacks.values()))
        if np.logical_and.reduce(list(lacks.values())).any():  # a line may be blank, which is no row
            return None
        if not some.any():
            return frame, Counter()
        counts = Counter({missing.ROWS: int(some.sum()), **{role: int(mask.sum()) for role, mask in lacks.items()}})
        return frame.filter(pl.Series(~some)), counts

    def _columns(self, frame: Any) -> dict[str, Any] | None:
        import polars as pl  # noqa: PLC0415

        found: dict[str, Any] = {}
        whole = self._whole(frame)
        if whole is None:
            return None
        frame, counts = whole
        for role in self._layout.position:
            column = frame[role]
            if role in NUMBERS and not column.is_finite().all():
                return None
            if role in NUMBERS or column.dtype == pl.Int64:
                found[role] = column
            else:
                found[role] = self._times(column) if role == "timestamp" else self._ids(role, column)
                if found[role] is None:
                    return None
        if self._repeats_header(found):
            return None
        return found | {"lacking": counts} if counts else found

    def _ids(self, role: str, column: Any) -> Any:
        import polars as pl  # noqa: PLC0415

        if role not in self._texts and column.str.contains(_INTEGER).all():
            numbers = column.cast(pl.Int64, strict=False)
            if not numbers.null_count():
                return numbers
        return column

    def _times(self, column: Any) -> Any:
        """Return texts as times, None if one is no time or of another kind than those of the first lines."""
        read, dates = time_texts.read(column), self._layout.dates
        if dates is not None and any(is_date(column[row]) != dates for row in read.unlike(dates)):
            return None
        try:
            return read.times(moments)
        except ValueError:
            return None

    def _repeats_header(self, found: dict[str, Any]) -> bool:
        import polars as pl  # noqa: PLC0415

        names, position = self._layout.names, self._layout.position
        if names is None or any(found[role].dtype != pl.String for role in ("user", "item")):
            return False
        return bool(((found["user"] == names[position["user"]]) & (found["item"] == names[position["item"]])).any())


def _is_clean_text(block: bytes) -> bool:
    if b"\0" in block or block.startswith(BOM):  # polars would drop a mark that is part of the first field
        return False
    if not block.isascii():
        try:
            block.decode()
        except UnicodeDecodeError:
            return False
    return True


def _is_single_spaced(data: Bytes, blank: Mask) -> bool:
    """Return whether blanks stand alone and within lines, so that each separates two fields."""
    edge = blank | (data == _NEWLINE)
    return not (blank[0] or np.any(edge[:-1] & blank[1:]) or np.any(blank[:-1] & edge[1:]) or np.any(data == ord("\t")))


def _inside_quotes(data: Bytes, separator: int) -> Mask | None:
    """Return which bytes are between quotes; None unless every quoted field is a whole field within its line."""
    quote = data == _QUOTE
    places = np.flatnonzero(quote)
    if len(places) % 2:
        return None
    before = np.where(places[::2] > 0, data[places[::2] - 1], _NEWLINE)
    after = data[places[1::2] + 1]
    for edge in (before, after):
        if not np.all((edge == separator) | (edge == _NEWLINE) | (edge == _QUOTE)):
            return None
    inside = np.logical_xor.accumulate(quote)
    return None if np.any(inside & (data == _NEWLINE)) else inside


def _has_odd_integers(block: bytes, data: Bytes, delimiters: list[int]) -> bool:
    """Return whether a field may begin as an integer that does not print as it was written, such as 007, -0 or +4."""
    if _is_odd(block[:1], block[1:2]):
        return True
    firsts = [_ZERO, *(sign for sign in b"-" + b"".join(_ODD_SIGNS) if sign in block)]
    for start in range(0, len(data) - 2, _PIECE):
        piece = data[start : start + _PIECE + 1]
        begins = piece[:-1] == delimiters[0]
        for delimiter in delimiters[1:]:
            begins |= piece[:-1] == delimiter
        for first in firsts:
            found = piece[1:] == first
            found &= begins
            if found.any():
                following = set(data[start + 2 + np.flatnonzero(found[: len(data) - start - 2])].tolist())
                if any(_is_odd(bytes([first]), bytes([second])) for second in following):
                    return True
    return False


def _is_odd(first: bytes, second: bytes) -> bool:
    """Return whether an integer that begins so may print in another way."""
    return (first == b"0" and second.isdigit()) or (first == b"-" and second == b"0") or first in _ODD_SIGNS
