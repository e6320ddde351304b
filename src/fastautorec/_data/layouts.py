"""What the columns of a rating file mean: its format, separator, header, and where user, item, rating and time are."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fastautorec._validation import check_choice
from fastautorec.exceptions import RatingsFileError

FORMATS = ("auto", "csv", "tsv", "parquet", "movielens", "goodbooks", "netflix", "yahoo")
ROLES = ("user", "item", "rating", "timestamp")
NEVER_PLAY_AGAIN = 255.0  # Yahoo! R1 marks a dislike so; other ratings are 0 to 100

_SEPARATORS = ("::", "\t", ",", ";")
_SAMPLE_BYTES = 1 << 16
_NETFLIX_HEADING = re.compile(r"\d+:")
_YAHOO_NAME = "ydata-ymusic"
_HEADINGS = {
    "user": {"user", "userid", "uid", "customer", "customerid", "reviewer", "reviewerid", "visitorid", "person"},
    "item": {
        *("item", "itemid", "iid", "movie", "movieid", "book", "bookid", "product", "productid", "article"),
        *("articleid", "artist", "artistid", "track", "trackid", "song", "songid", "asin", "parentasin", "isbn"),
    },
    "rating": {"rating", "ratings", "score", "stars", "overall", "bookrating", "value"},
    "timestamp": {"timestamp", "time", "date", "datetime", "unixreviewtime", "ratedat", "createdat"},
}


@dataclass(frozen=True)
class Layout:
    """How to cut a line of a text file.

    Attributes
    ----------
    separator : str
        Between fields; ``"::"`` is the only one of two characters.
    header : bool
        Whether the first line names the columns.
    n_fields : int
        Fields of every line.
    position : dict
        Field number of each role that the file has; ``user`` and ``item`` always.
    integer_ids : dict
        Whether the ids of role ``user`` and ``item`` look like integers in the first lines.
    integer_times : bool
        Whether the times do.
    dropped_rating : float or None
        Rows of this rating are never positive, whatever the threshold.
    """

    separator: str
    header: bool
    n_fields: int
    position: dict[str, int]
    integer_ids: dict[str, bool]
    integer_times: bool = False
    dropped_rating: float | None = None


def find_format(path: Path, requested: str) -> str:
    """Return which reader takes ``path``: "text", "parquet" or "netflix"; raise for a file that is absent or empty."""
    check_choice("format", requested, FORMATS)
    if not path.exists():
        raise FileNotFoundError(f"`path` must name a rating file, but {path} does not exist")
    if path.is_dir():
        if requested in ("auto", "netflix"):
            return "netflix"
        raise IsADirectoryError(f"`path` must name one file for format={requested!r}, got the folder {path}")
    if not path.stat().st_size:
        raise RatingsFileError(f"{path}: the file is empty; it must hold lines of user, item[, rating[, timestamp]]")
    if requested in ("parquet", "netflix"):
        return requested
    if requested == "auto":
        if _head(path, 4) == b"PAR1":
            return "parquet"
        if _NETFLIX_HEADING.fullmatch(sample_lines(path)[0].strip()):
            return "netflix"
    return "text"


def find_layout(path: Path, requested: str) -> Layout:
    """Return the layout of a text file from its name and first lines."""
    lines = sample_lines(path)
    separator = "," if requested == "csv" and "," in lines[0] else "\t" if requested == "tsv" else None
    separator = separator or next((s for s in _SEPARATORS if s in lines[0]), None)
    if separator is None or separator not in lines[0]:
        raise line_error(path, 1, lines[0], "has one field only", "separate user and item by ',', tab, ';' or '::'")
    rows = [[field.strip() for field in row] for row in split_lines(lines, separator)]
    rows = [row for row in rows if any(row)]
    header = _is_header(rows)
    position = _positions(rows[0], header, path, lines[0])
    body = rows[1:] if header else rows
    yahoo = requested == "yahoo" or (requested == "auto" and path.name.startswith(_YAHOO_NAME))
    return Layout(
        separator=separator,
        header=header,
        n_fields=len(rows[0]),
        position=position,
        integer_ids={role: _all_integers(body, position[role]) for role in ("user", "item")},
        integer_times="timestamp" in position and _all_integers(body, position["timestamp"]),
        dropped_rating=NEVER_PLAY_AGAIN if yahoo else None,
    )


def named_positions(names: Sequence[str]) -> dict[str, int]:
    """Return the position of each role whose column bears a well-known name."""
    plain = [re.sub(r"[^a-z]", "", name.lower()) for name in names]
    return {
        role: next(i for i, name in enumerate(plain) if name in known)
        for role, known in _HEADINGS.items()
        if not known.isdisjoint(plain)
    }


def split_lines(lines: Iterable[str], separator: str) -> Iterable[list[str]]:
    """Cut lines into fields; quotes mean what they do in csv."""
    if separator == "::":
        return (line.rstrip("\r\n").split("::") for line in lines)
    return csv.reader(lines, delimiter=separator)


def sample_lines(path: Path) -> list[str]:
    """Return the first whole lines of a file, at least one."""
    head = _head(path, _SAMPLE_BYTES)
    lines = head.decode("utf-8-sig", "replace").splitlines()
    lines = [line for line in (lines[:-1] if len(head) == _SAMPLE_BYTES else lines) if line.strip()]
    if not lines:
        raise RatingsFileError(f"{path}: the file holds no text line; is it a rating file?")
    if any("\0" in line for line in lines):
        raise RatingsFileError(f"{path}: the file is not text; read_ratings takes text and Parquet, unpacked")
    return lines


def line_error(path: Path, number: int, text: str, fault: str, fix: str) -> RatingsFileError:
    """Return the error for one malformed line."""
    shown = text.rstrip("\r\n")
    shown = shown if len(shown) <= 120 else shown[:117] + "..."
    return RatingsFileError(f"{path}, line {number}: {fault}, got {shown!r}; {fix}")


def _head(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        return file.read(size)


def _is_header(rows: list[list[str]]) -> bool:
    first = rows[0]
    if {"user", "item"} <= named_positions(first).keys():
        return True
    if len(first) > 2:
        return not _is_number(first[2]) and (len(rows) == 1 or _is_number(rows[1][2] if len(rows[1]) > 2 else ""))
    return len(rows) > 1 and not _all_integers(rows[:1], 0) and _all_integers(rows[1:2], 0)


def _positions(first: list[str], header: bool, path: Path, line: str) -> dict[str, int]:
    if header and {"user", "item"} <= (named := named_positions(first)).keys():
        return named
    if len(first) > len(ROLES):
        fix = "give the columns a header with user, item, rating and timestamp, or use Interactions.from_dataframe"
        raise line_error(path, 1, line, f"has {len(first)} fields and no header that names user and item", fix)
    return dict(zip(ROLES, range(len(first)), strict=False))


def _all_integers(rows: list[list[str]], position: int) -> bool:
    return all(re.fullmatch(r"-?\d{1,18}", row[position]) for row in rows if len(row) > position)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
