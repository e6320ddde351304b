"""What separates the fields of a text file, from its first lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from fastautorec.data import _files as files
from fastautorec.data import _plain as plain
from fastautorec.data._missing import BLANKS
from fastautorec.exceptions import RatingsFileError

SEPARATORS = ("::", "\t", ",", ";", "|")
SEPARATE = "separate user and item by ',', tab, ';', '|' or '::', or say sep="

_NAMES = {"::": "'::'", "\t": "tab", " ": "blanks"}
_LOOK = 400  # lines that tell enough
_INNER = {"\t": r"\t", ",": r",(?! )", ";": r";", "|": r"\|"}  # what may separate within a field; prose has ", "
_CODE = r"[^\s,;|]*[0-9][^\s,;|]*"  # such as 10 and i7
_WHOLE = "[0-9]+"
_CLOCK = re.compile(r"[0-2]?[0-9]:[0-5][0-9](:[0-5][0-9])?")


def separator_name(separator: str) -> str:
    """Return the word for a separator in a message."""
    return _NAMES.get(separator, repr(separator))


def rows_of(lines: Sequence[str], separator: str) -> list[list[str]]:
    """Return the fields of the sampled lines, as far as they are well-formed; at least those of one line."""
    rows: list[list[str]] = []
    try:
        for _, fields in plain.records(lines, separator):
            stripped = [field.strip(BLANKS) for field in fields]
            if any(stripped):
                rows.append(stripped)
    except plain.LineFault:
        pass  # the reader will name it
    return rows or [lines[0].split(separator)]


def find_separator(path: Path, lines: Sequence[str], requested: str) -> str:
    """Return the separator that gives the same number of fields, and most, in every line of the sample."""
    known = {"csv": (",", ";"), "tsv": ("\t",)}.get(requested, SEPARATORS)
    there = [s for s in known if s in lines[0]] or [s for s in SEPARATORS if s in lines[0]]
    if not there:
        there = [" "] if " " in lines[0].strip() else []
    if not there:
        raise files.line_error(path, 1, lines[0], "has one field only", SEPARATE)
    found = there[0] if len(there) == 1 else _best(path, lines, there)
    _refuse_inner(path, lines, found)
    return found


def _best(path: Path, lines: Sequence[str], there: Sequence[str]) -> str:
    fields = {s: {len(row) for row in rows_of(lines, s)} for s in there}
    even = {s: min(counts) for s, counts in fields.items() if len(counts) == 1 and min(counts) > 1}
    best = [s for s in even if even[s] == max(even.values())]
    if len(best) == 1:
        return best[0]
    told = " and ".join(separator_name(s) for s in best or there)
    why = f"{told} each give {max(even.values())} fields" if best else f"{told} give different numbers of fields"
    raise _unclear(path, lines, why, f"for example sep={(best or there)[0]!r}")


def _refuse_inner(path: Path, lines: Sequence[str], separator: str) -> None:
    """Raise where the first field of the lines, or the second of two, holds what may separate fields as well.

    A blank or a comma may be part of a name, of a time or of a rating, so not each of them counts.
    """
    rows = rows_of(lines[:_LOOK], separator)
    for i in (0, 1):
        fields = [row[i] for row in rows if len(row) > i]
        inner = _inner(fields, separator)
        if i and len(rows[0]) > 2 and inner != "\t":
            continue  # a rating, a time, or a title
        behind = [row[1] for row in rows if len(row) == 2]
        if not inner and separator == "," and i == 0 and _are_decimals(fields, behind):
            inner = " "
        if inner:
            place = "first" if i == 0 else "second"
            held = next(field for field in fields if inner in field)
            why = f"{separator_name(separator)} leaves {held[:60]!r} as the {place} field"
            ways = (
                f"sep={inner!r} or sep={separator!r}; if each line has a user and the items, write blanks between them "
                "and say format='lists'"
            )
            raise _unclear(path, lines, why, ways)


def _inner(fields: Sequence[str], separator: str) -> str:
    """Return what else may separate the parts of fields; an empty text where nothing does."""
    for sign, pattern in _INNER.items():
        if sign == separator or not fields:
            continue
        holding = sum(sign in field for field in fields)
        codes = re.compile(f"{_CODE}(?: ?{re.escape(sign)} ?{_CODE})*")
        if all(re.search(pattern, field) for field in fields):
            return sign
        if 2 * holding >= len(fields) and all(map(codes.fullmatch, fields)):
            return sign
    for sign in (" ", ":"):  # both are part of many texts, but hardly of numbers
        numbers = re.compile(f"{_WHOLE}(?:{sign}+{_WHOLE})*")
        holding = sum(sign in field and not _CLOCK.fullmatch(field) for field in fields)
        if sign not in separator and 2 * holding >= len(fields) > 0 and all(map(numbers.fullmatch, fields)):
            return sign
    return ""


def _are_decimals(fields: Sequence[str], behind: Sequence[str]) -> bool:
    """Return whether the comma between two fields is rather within a number, as in ``ann tea 4,5``."""
    lengths = {len(field.split()) for field in fields}
    if len(fields) != len(behind) or len(lengths) > 1 or max(lengths, default=0) < 3:
        return False
    return all(re.search(r" [0-9]+$", field) for field in fields) and all(map(re.compile(_WHOLE).fullmatch, behind))


def _unclear(path: Path, lines: Sequence[str], why: str, ways: str) -> RatingsFileError:
    return RatingsFileError(
        f"{path}: what separates the fields is not clear: {why} in the first lines, such as {lines[0][:120]!r}; "
        f"say which, {ways}"
    )
