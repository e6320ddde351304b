"""The reader of text files in plain Python, which defines what a file means; the fast one may only do the same."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastautorec.data import _files as files
from fastautorec.data import _time_texts as time_texts
from fastautorec.data._columns import parse_time
from fastautorec.data._missing import BLANKS, NO_VALUES, ROWS, Counts, is_gap, noun
from fastautorec.data._roles import NUMBERS
from fastautorec.data._times import NUMBER
from fastautorec.data._vocabulary import OPINIONS
from fastautorec.exceptions import RatingsFileError

if TYPE_CHECKING:
    from fastautorec.data._layouts import Layout

OTHER_DATE = re.compile(  # such as 31.12.2024, 3/1/23 8:00 or 2024/3/1
    r"([0-9]{4}([-./])[0-9]{1,2}\2[0-9]{1,2}|[0-9]{1,2}([-./])[0-9]{1,2}\3([0-9]{4}|[0-9]{2}))(?=[ T]|$)"
)
words_of = re.compile(r"[^ \t]+").findall  # what blanks separate; str.split knows other blanks too
NOT_UTF8 = (
    "is not UTF-8",
    "look which encoding it has, with the command `file` or in the program that wrote it, and convert the file: "
    "iconv -f ENCODING -t UTF-8, where ENCODING is most likely cp1252 if the text is Western",
)
BOOLEANS = {"True": 1.0, "False": 0.0, "true": 1.0, "false": 0.0}  # as data-frame libraries write them
FIX_LINE = "correct or remove the line"

THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")  # or a decimal comma
_COMMA_NUMBER = re.compile(r"[+-]?[0-9]+(,[0-9]+)?")
_DATE = re.compile(r"[0-9]{4}-")
_WHOLE = re.compile(r"[+-]?[0-9]+")
UNQUOTED = ("\t", "::", " ", "|")  # where quoting is not the custom
_FIX_DATE = (
    "write dates as 2024-02-01 or 2024-02-01 08:30:00, or convert the column with pandas.to_datetime(column, "
    "format=...) and call Interactions.from_dataframe"
)
_FIX_QUOTE = "remove the quotation mark, or double it within a quoted field"
_TRUSTED = 100  # lines of one quoted field that may look like records where quoting is trusted
_CHUNK = 1 << 14  # records whose texts are in memory at a time


class LineFault(Exception):  # noqa: N818  (never leaves the package)
    """What is wrong with a line, by its number among those given, from 0."""

    def __init__(self, line: int, fault: str, fix: str = FIX_LINE) -> None:
        super().__init__(line, fault, fix)
        self.line, self.fault, self.fix = line, fault, fix


class DecimalComma(LineFault):
    """A rating with a decimal comma where the first lines left open how fractions are written."""


class NoValue(LineFault):
    """A line that lacks a value."""


class OpenQuote(LineFault):
    """A quoted field that has no end in the lines given."""


def text_lines(block: bytes) -> list[str]:
    """Return the lines of a block without their ends; raise `LineFault` for bytes that are no text."""
    try:
        text = block.decode()
        bad = text.find("\0")
        if bad >= 0:
            raise LineFault(
                len(files.LINE_END.findall(text[:bad])),
                "holds a NUL byte, so the file is not text",
                "read_ratings takes text, gzip and Parquet",
            )
    except UnicodeDecodeError as error:
        before = block[: error.start].decode()
        raise LineFault(
            len(files.LINE_END.findall(before)),
            *NOT_UTF8,
        ) from None
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return lines


def located(path: Path, offset: int, block: bytes, fault: LineFault) -> RatingsFileError:
    """Return the error for a fault in a block that begins at ``offset``."""
    try:
        text = files.LINE_END.split(block.decode())[fault.line]
    except UnicodeDecodeError:
        text = files.LINE_END.split(block.decode("latin-1"))[fault.line]
    return files.line_error(path, files.lines_before(path, offset) + fault.line + 1, text, fault.fault, fault.fix)


def records(
    lines: Iterable[str], separator: str, n_fields: int | None = None, trusted: bool = False
) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the line that each record begins in, and its fields.

    A quoted field may go on in the next lines, unless one of them looks like a record of its own: then the quotation
    mark may as well be a stray one. Prose does not look so, with a blank behind its commas, and where quoting is
    trusted, some lines that look like records do not matter.

    Raises
    ------
    LineFault
        At the first line that is not well-formed.
    """
    if separator == " ":
        yield from ((number, words_of(line)) for number, line in enumerate(lines))
        return
    quoting = separator not in UNQUOTED
    numbered = enumerate(lines)
    for number, line in numbered:
        if quoting and '"' in line:
            yield number, _quoted_record(number, line, numbered, separator, n_fields, trusted)
        else:
            yield number, line.split(separator)


def _quoted_record(
    number: int,
    line: str,
    following: Iterator[tuple[int, str]],
    separator: str,
    n_fields: int | None,
    trusted: bool,
) -> list[str]:
    fields: list[str] = []
    start, left = 0, _TRUSTED if trusted else 0
    blank = "" if separator.startswith(" ") else " "  # may stand around a quoted field
    while True:
        opening = start
        while blank and line.startswith(blank, opening):
            opening += 1
        if line[opening : opening + 1] != '"':
            end = line.find(separator, start)
            fields.append(line[start:] if end < 0 else line[start:end])
        else:
            pieces: list[str] = []
            begun, at = number, opening + 1
            while (quote := line.find('"', at)) < 0 or line[quote + 1 : quote + 2] == '"':
                if quote >= 0:
                    pieces.append(line[at : quote + 1])
                    at = quote + 2
                    continue
                pieces.append(line[at:] + "\n")
                number, line = next(following, (-1, ""))
                if number < 0:
                    raise OpenQuote(begun, "begins a quoted field that does not end", _FIX_QUOTE)
                parts = line.split(separator)
                prose = any(part.startswith(" ") for part in parts) and not any(f.startswith(" ") for f in fields)
                if len(parts) == n_fields and not prose:
                    left -= 1
                    if left < 0:
                        fault = "begins a quoted field that goes on into what looks like another row"
                        further = "" if trusted else f", or say sep={separator!r} if it is text of several lines"
                        raise LineFault(begun, fault, _FIX_QUOTE + further)
                at = 0
            pieces.append(line[at:quote])
            fields.append("".join(pieces))
            end = quote + 1
            while blank and line.startswith(blank, end):
                end += 1
            if end < len(line) and not line.startswith(separator, end):
                raise LineFault(begun, "has text behind the quotation mark that ends a field", _FIX_QUOTE)
            end = end if end < len(line) else -1
        if end < 0:
            return fields
        start = end + len(separator)


class PlainReader:
    """Reads lines of one layout."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._numbers: dict[str, dict[str, float]] = {role: {} for role in NUMBERS}  # few, and they return often

    def read(self, lines: Sequence[str]) -> dict[str, Any]:
        """Return the roles of all lines: ids as int64 or lists of texts, times as int64 or float64, others as float64.

        Lines that lack a value are counted as "lacking" where there are some.

        Raises
        ------
        LineFault
            At the first malformed line.
        """
        layout = self._layout
        texts: dict[str, list[Any]] = {role: [] for role in layout.position}
        done: dict[str, list[Any]] = {role: [] for role in layout.position}
        at_user, at_item = layout.position["user"], layout.position["item"]
        measures = [(role, layout.position[role]) for role in NUMBERS if role in layout.position]
        at_time = layout.position.get("timestamp", -1)
        users, items, moments = (texts.get(role, []) for role in ("user", "item", "timestamp"))
        timed: list[int] = []  # the line of each of these times
        counts: Counts = Counter()
        heading = (None, None) if layout.names is None else (layout.names[at_user], layout.names[at_item])
        try:
            for number, fields in records(lines, layout.separator, layout.n_fields, layout.trusted):
                if len(fields) != layout.n_fields:
                    if is_blank(fields):
                        continue
                    raise LineFault(
                        number, f"must have {layout.n_fields} fields, has {len(fields)}", self._fix_number()
                    )
                user, item = fields[at_user].strip(BLANKS), fields[at_item].strip(BLANKS)
                time = fields[at_time].strip(BLANKS) if at_time >= 0 else None
                try:
                    if not user or not item or time in NO_VALUES:
                        raise NoValue(number, "")
                    if "\n" in user or "\n" in item:
                        raise LineFault(number, "begins an id that goes on in the next line", _FIX_QUOTE)
                    if (user, item) == heading:
                        raise LineFault(number, "repeats the header", "remove the line; are these two files in one?")
                    for role, at in measures:
                        texts[role].append(self._number(number, role, fields[at].strip(BLANKS)))
                except LineFault:
                    gaps = lacking(fields, layout.position)
                    if not gaps:
                        raise
                    if not is_blank(fields):
                        if not layout.drop:
                            raise NoValue(number, f"has no {noun(gaps[0])}") from None
                        counts.update((ROWS, *gaps))
                    for role, _ in measures:
                        del texts[role][len(users) :]
                    continue
                users.append(user)
                items.append(item)
                if time is not None:
                    moments.append(time)
                    timed.append(number)
                if len(users) == _CHUNK:
                    self._move(texts, timed, done)
        except LineFault:
            self._times(timed, moments)  # one of these may be the first fault
            raise
        self._move(texts, timed, done)
        found = {role: join(parts) for role, parts in done.items()}
        return found | {"lacking": counts} if counts else found

    def _number(self, number: int, role: str, text: str) -> float:
        known = self._numbers[role]
        value = known.get(text)
        if value is None:
            pattern = _COMMA_NUMBER if self._layout.decimal_comma else NUMBER
            if self._has_booleans(role):
                value = BOOLEANS.get(text, math.nan)
            else:
                value = float(text.replace(",", ".")) if pattern.fullmatch(text) else math.nan
            if not math.isfinite(value):
                clear = _COMMA_NUMBER.fullmatch(text) and not THOUSANDS.fullmatch(text)
                fault = DecimalComma if clear and self._layout.decimal_comma is None else LineFault
                raise fault(number, *self._no_number(role, text))
            if len(known) < _CHUNK:
                known[text] = value
        return value

    def _has_booleans(self, role: str) -> bool:
        return role == "rating" and self._layout.booleans

    def _no_number(self, role: str, text: str) -> tuple[str, str]:
        noun = role.removesuffix("s")
        rule = f"must have a finite number as its {noun}"
        if role == "rating" and (text.lower() in OPINIONS or self._layout.booleans):
            return rule, "write 1 and 0 for such ratings"
        if self._layout.decimal_comma and NUMBER.fullmatch(text):
            return f"has a decimal point in {text!r} where other {noun}s have a comma", FIX_LINE
        if THOUSANDS.fullmatch(text):
            number, fraction = text.replace(",", ""), text.replace(",", ".")
            return (
                f"{rule}, but {text!r} may be {number} or {fraction}",
                "write it without the comma or with a decimal point" + self._or(role),
            )
        if _COMMA_NUMBER.fullmatch(text):
            return f"{rule}, but {text!r} has a decimal comma", "write a decimal point"
        return rule, FIX_LINE + self._or(role)

    def _move(self, texts: dict[str, list[Any]], timed: list[int], done: dict[str, list[Any]]) -> None:
        """Convert what was read so far, for Python's texts take much memory."""
        for role, values in texts.items():
            if role in NUMBERS:
                part: Any = np.array(values, np.float64)
            elif role == "timestamp":
                part = self._times(timed, values)
            else:
                part = integers(values)
                part = values.copy() if part is None else part
            if len(part):
                done[role].append(part)
            values.clear()
        timed.clear()

    def _times(self, lines: list[int], texts: list[str]) -> npt.NDArray[Any]:
        """Return the times in these lines; raise `LineFault` at the first that is none, or none of the wanted kind."""
        read = time_texts.read(texts)
        for row in read.unlike(self._layout.dates):
            self._check_moment(lines[row], texts[row])
        return read.times(moments)

    def _check_moment(self, number: int, text: str) -> None:
        try:
            moment(text)
        except ValueError:
            fix = _FIX_DATE if OTHER_DATE.match(text) else FIX_LINE
            raise LineFault(
                number, "must have a number or an ISO 8601 date as its time", fix + self._or("timestamp")
            ) from None
        if self._layout.dates is not None and is_date(text) != self._layout.dates:
            kinds = ("a number", "a date")
            raise LineFault(
                number,
                f"has {kinds[is_date(text)]} as its time where lines before have {kinds[self._layout.dates]}",
                "write all times alike" + self._or("timestamp"),
            )

    def _or(self, role: str) -> str:
        """Return the way out where a column may hold something else than taken for."""
        if role == "weights":
            return ", or say which column holds the weights"
        if self._layout.evidence[role] == "by position":
            return ", or say which columns are which with user= and item="
        return f", or leave the {'times' if role == 'timestamp' else 'ratings'} out with {role}=False"

    def _fix_number(self) -> str:
        separator = self._layout.separator
        quote = "" if separator in UNQUOTED else "; quote a field that contains it"
        return f"{FIX_LINE} (fields are separated by {separator!r}{quote})"


def is_date(text: str) -> bool:
    """Return whether a time is a date, and not a number."""
    return _DATE.match(text) is not None


def moment(text: str) -> int | float:
    """Return a number as it is, or an ISO 8601 date and time as seconds since 1970; raise ValueError for others."""
    if _WHOLE.fullmatch(text) and len(text) <= 20 and -(2**63) <= int(text) < 2**63:
        return int(text)
    if NUMBER.fullmatch(text):
        value = float(text)
    elif is_date(text):
        value = parse_time(text)
    else:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"no time: {text!r}")
    return value


def moments(texts: Iterable[str]) -> npt.NDArray[Any]:
    """Return times as int64 if all of them are whole numbers, else float64."""
    rows = list(texts)
    known = {text: moment(text) for text in dict.fromkeys(rows)}
    whole = all(isinstance(value, int) for value in known.values())
    return np.array([known[text] for text in rows], np.int64 if whole else np.float64)


def integers(texts: list[str]) -> npt.NDArray[np.int64] | None:
    """Return texts as int64, or None unless every one is an integer as Python prints it."""
    try:
        values = list(map(int, texts))
        return np.array(values, np.int64) if list(map(str, values)) == texts else None
    except (ValueError, OverflowError):
        return None


def join(parts: list[Any]) -> Any:
    """Return the parts of one column as one: an array of numbers, or a list of texts if any part is one."""
    if len(parts) == 1:
        return parts[0]
    if any(isinstance(part, list) for part in parts):
        return list(chain.from_iterable(part if isinstance(part, list) else map(str, part.tolist()) for part in parts))
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def lacking(fields: Sequence[str], position: Mapping[str, int]) -> list[str]:
    """Return the roles of which a record has no value."""
    return [role for role, at in position.items() if is_gap(role, fields[at].strip(BLANKS))]


def is_blank(fields: Sequence[str]) -> bool:
    """Return whether a record holds nothing, and is passed over."""
    return not any(field.strip(BLANKS) for field in fields)
