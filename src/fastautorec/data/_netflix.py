"""Files of the Netflix Prize: a heading "movie:", then lines "user,rating,date"."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fastautorec.data import _files as files
from fastautorec.data import _plain as plain
from fastautorec.data._arrays import is_polars_failure
from fastautorec.data._missing import BLANKS, ROWS, Counts, require_some
from fastautorec.data._times import NUMBER
from fastautorec.exceptions import RatingsFileError

_BLOCK = 1 << 26  # bytes of text parsed at a time
_LARGEST = float(np.finfo(np.float32).max)  # largest rating that can be kept
_NUMBER = r"(?:0|[1-9][0-9]{0,17})"
_HEADING = re.compile(rf"({_NUMBER}):")
_LINE = re.compile(rf"({_NUMBER}),([^,]*),([^,]*)")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

Row = tuple[int, int, float, int]


def read_netflix(path: Path, polars: bool, drop: bool) -> dict[str, Any]:
    """Return the columns of one file, or of all in a folder; dates as seconds since 1970, int64.

    With ``drop``, lines with an empty field are left out and counted as "lacking".
    """
    paths = _paths(path)
    found = _by_polars(paths) if polars else None
    if found is not None:
        return found
    if polars:
        deque(_rows(paths, drop, Counter()), maxlen=0)  # polars gave up, so a bad line is likely: name it first
    kinds = (("user", np.int64), ("item", np.int64), ("rating", np.float32), ("timestamp", np.int64))
    left_out: Counts = Counter()
    table = np.fromiter(_rows(paths, drop, left_out), dtype=np.dtype(list(kinds)))
    require_some(path, len(table), left_out, {role: role for role, _ in kinds})
    if not len(table):
        raise RatingsFileError(f"{path}: no rating in the file; it must hold lines of user,rating,date")
    return {role: table[role].copy() for role, _ in kinds} | {"lacking": left_out}


def _rows(paths: list[Path], drop: bool, left_out: Counts) -> Iterator[Row]:
    for path in paths:
        movie = None
        for offset, block in files.blocks(path, files.BLOCK):
            try:
                lines = plain.text_lines(block)
                for number, line in enumerate(lines):
                    text = line.strip(BLANKS)
                    if heading := _HEADING.fullmatch(text):
                        movie = int(heading[1])
                    elif text.strip(BLANKS + ","):
                        gaps = _gaps(text) if drop and movie is not None else []
                        if gaps:
                            left_out.update((ROWS, *gaps))
                        else:
                            yield _row(number, text, movie)
            except plain.LineFault as fault:
                raise plain.located(path, offset, block, fault) from None


def _gaps(text: str) -> list[str]:
    """Return of what a line has an empty field; nothing of a line with fewer or more fields than it should have."""
    fields = text.split(",")
    wanted = ("user", "rating", "timestamp")
    return [role for role, field in zip(wanted, fields, strict=False) if len(fields) == 3 and not field.strip(BLANKS)]


def _row(number: int, text: str, movie: int | None) -> Row:
    if movie is None:
        raise plain.LineFault(number, "must be a movie number and a colon before any rating")
    fields = _LINE.fullmatch(text)
    if not fields:
        raise plain.LineFault(number, "must be user,rating,date or a movie number and a colon")
    rating = float(fields[2]) if NUMBER.fullmatch(fields[2]) else np.nan
    if not abs(rating) <= _LARGEST:
        raise plain.LineFault(number, "must have a finite number as its rating")
    try:
        day = np.datetime64(fields[3] if _DATE.fullmatch(fields[3]) else "", "D").astype(np.int64)
    except ValueError:
        day = None
    if day is None or not _DATE.fullmatch(fields[3]):
        raise plain.LineFault(number, "must have an ISO 8601 date as its time")
    return int(fields[1]), movie, rating, int(day) * 86_400


def _by_polars(paths: list[Path]) -> dict[str, Any] | None:
    """Return the columns, or None where any line is not plainly well-formed."""
    import polars as pl  # noqa: PLC0415  (optional, and slow to import)

    parts, movie = [], 0
    try:
        for block in _blocks(paths):
            part, movie = _block(block, movie)
            parts.append(part)
    except ValueError:
        return None
    except BaseException as error:
        if is_polars_failure(error):
            return None
        raise
    frame = pl.concat(parts)
    days = frame["date"].to_physical().to_numpy()
    found = {role: frame[role].to_numpy() for role in ("user", "item", "rating")}
    return {**found, "timestamp": days.astype(np.int64) * 86_400} if len(days) else None


def _block(block: bytes, movie: int) -> tuple[Any, int]:
    import polars as pl  # noqa: PLC0415

    if any(sign in block for sign in b"+ \t\v\f"):
        raise ValueError("numbers or dates in another form")
    # The first line tells polars how many fields there are: headings have one.
    lines = pl.read_csv(
        b"0,0,2000-01-01\n" + block,
        has_header=False,
        schema={"user": pl.String, "rating": pl.Float32, "date": pl.String},
        quote_char=None,
    ).slice(1)
    lines = lines.filter(pl.col("user").is_not_null() | pl.col("rating").is_not_null() | pl.col("date").is_not_null())
    # A number that begins so may not print as it was written.
    if lines.select(pl.any_horizontal(pl.col("user").str.starts_with(sign) for sign in "0-").any()).item():
        raise ValueError("numbers in another form")
    is_heading = pl.col("user").str.ends_with(":") & pl.col("rating").is_null()
    heading = pl.when(is_heading).then(pl.col("user").str.strip_suffix(":"))
    lines = lines.with_columns(item=heading.cast(pl.Int32).forward_fill().fill_null(movie))
    last = int(lines["item"][-1]) if lines.height else movie
    rows = lines.filter(~is_heading)
    if np.count_nonzero(np.frombuffer(block, np.uint8) == ord(",")) != 2 * rows.height:
        raise ValueError("commas behind a heading, or too many")
    if not rows["date"].unique().str.contains(f"^{_DATE.pattern}$").all():
        raise ValueError("dates in another form")
    rows = rows.select(pl.col("user").cast(pl.Int32), "item", "rating", pl.col("date").str.to_date("%Y-%m-%d"))
    if any(count for count in rows.null_count().row(0)) or not rows["rating"].is_finite().all():
        raise ValueError("missing values")
    return rows, last


def _blocks(paths: list[Path]) -> Iterator[bytes]:
    """Yield whole lines of all files, joined, in blocks of bounded size."""
    pending = b""
    for path in paths:
        with files.opened(path) as file:
            data = file.read(_BLOCK)
            if not re.match(rb"[0-9]+:\r?\n", data):
                raise ValueError("no heading")
            while data:
                pending += data
                if len(pending) >= _BLOCK:
                    end = pending.rfind(b"\n") + 1
                    yield pending[:end]
                    pending = pending[end:]
                data = file.read(_BLOCK)
        if pending and not pending.endswith(b"\n"):
            pending += b"\n"
    yield pending


def _paths(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found = sorted(path.glob("mv_*.txt")) or sorted(path.glob("combined_data_*.txt"))
    if not found:
        raise FileNotFoundError(
            f"`path` must hold mv_*.txt, combined_data_*.txt or *.parquet files, the folder {path} has none; "
            + files.joined("FILES")
        )
    return found
