"""Text files in blocks: the fast reader takes what it can, the plain one the others, and their columns are joined."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from fastautorec._compute import resolve_num_threads
from fastautorec._compute.host import run_blocks
from fastautorec.data import _files as files
from fastautorec.data import _missing as missing
from fastautorec.data import _plain as plain
from fastautorec.data._fast import FastReader
from fastautorec.data._layouts import Layout
from fastautorec.data._times import mixed_units
from fastautorec.exceptions import RatingsFileError

_AHEAD = 8  # blocks at most that are read side by side
_COUNTED = 1 << 21  # lines at most that are looked through to count those without ids, some seconds


def read_delimited(path: Path, layout: Layout, polars: bool) -> tuple[dict[str, Any], Callable[[int], str]]:
    """Return the column of each role of a text file, and what names the line of a row, such as "line 3".

    Lines that are left out are counted as "lacking".

    Columns are int64, float64, or texts (polars column or object array).
    """
    reader, fast = plain.PlainReader(layout), FastReader(layout) if polars else None
    parts: dict[str, list[Any]] = {role: [] for role in layout.position}
    begins: list[tuple[int, int]] = []  # the first row of each block that was read, and the bytes before it
    pending, fault, n_rows = b"", None, 0
    left_out: missing.Counts = Counter()
    preamble = layout.preamble
    for start, data, ahead in _read_ahead(path, fast):
        block, offset = pending + data if pending else data, start - len(pending)
        if preamble:
            skipped, preamble = _skip_lines(block, layout.separator, preamble)
            block, offset = block[skipped:], offset + skipped
        found = ahead if block is data or fast is None else fast.read(block)
        try:
            found = found or reader.read(plain.text_lines(block))
        except plain.OpenQuote as error:
            pending, fault = block, error  # it may end in the next block
            continue
        except plain.DecimalComma:
            raise
        except plain.NoValue as error:
            raise plain.located(path, offset, block, _with_count(error, path, layout, offset, n_rows)) from None
        except plain.LineFault as error:
            raise plain.located(path, offset, block, error) from None
        pending, fault = b"", None
        left_out += found.pop("lacking", Counter())
        if fast is not None:
            fast.remember(found)
        begins.append((n_rows, offset))
        n_rows += len(found["user"])
        for role, part in found.items():
            if len(part):
                parts[role].append(part)
    if fault is not None:
        raise plain.located(path, offset, block, fault)
    missing.require_some(path, n_rows, left_out, layout.headings)
    if not parts["user"]:
        raise RatingsFileError(
            f"{path}: no rating in the file; it must hold lines of user, item[, rating[, timestamp]]"
        )
    columns = {role: join(parts.pop(role), polars) for role in layout.position}

    def record(row: int) -> tuple[int, str]:
        first, offset = begins[bisect_right(begins, row, key=itemgetter(0)) - 1]
        return _record(path, layout, offset, row - first)

    mixed = mixed_units(columns["timestamp"]) if "timestamp" in columns else None
    if mixed is not None:
        row, what = mixed
        raise files.line_error(path, *record(row), f"has the time {what}", "bring all to one unit")
    return columns | {"lacking": left_out}, lambda row: f"line {record(row)[0]}"


def _read_ahead(path: Path, fast: FastReader | None) -> Iterator[tuple[int, bytes, dict[str, Any] | None]]:
    """Yield blocks with the bytes before them and what the fast reader makes of them, several read side by side."""
    blocks, threads = files.blocks(path, files.BLOCK), 1 if fast is None else min(resolve_num_threads(None), _AHEAD)
    group: list[tuple[int, bytes]] = []
    found: list[dict[str, Any] | None] = []

    def read(number: int, _: int) -> None:
        found[number] = None if fast is None else fast.read(group[number][1])

    while group := list(islice(blocks, threads)):
        found = [None] * len(group)
        run_blocks(read, len(group), 1, threads)
        for (start, data), columns in zip(group, found, strict=True):
            yield start, data, columns


def join(parts: list[Any], polars: bool) -> Any:
    """Return the parts of a column as one: numbers as an array; where a part has texts, all become texts."""
    if not polars:
        column = plain.join(parts)
        return np.array(column, object) if isinstance(column, list) else column
    import polars as pl  # noqa: PLC0415  (optional, and slow to import)

    columns = [part if isinstance(part, pl.Series) else pl.Series(part) for part in parts]
    kinds = {column.dtype for column in columns}
    if len(kinds) > 1:  # integers beside texts or beside fractions
        columns = [column.cast(pl.String if pl.String in kinds else pl.Float64) for column in columns]
    column = pl.concat(columns)
    return column if pl.String in kinds else column.to_numpy()


def _record(path: Path, layout: Layout, offset: int, number: int) -> tuple[int, str]:
    """Return the line, from 1, in which a record begins, by its number behind ``offset`` bytes; and its first line."""
    lines: list[str] = []

    def following() -> Iterator[str]:
        for line in _lines_behind(path, offset):
            lines.append(line)
            yield line

    def counts(fields: list[str]) -> bool:
        return not plain.is_blank(fields) and not (layout.drop and plain.lacking(fields, layout.position))

    found = (line for line, fields in plain.records(following(), layout.separator) if counts(fields))
    line = next(islice(found, number, None))
    return files.lines_before(path, offset) + line + 1, lines[line]


def _lines_behind(path: Path, offset: int) -> Iterator[str]:
    """Yield the lines behind so many bytes, which end with a line."""
    for start, data in files.blocks(path, files.BLOCK):
        if start + len(data) > offset:
            yield from plain.text_lines(data[max(offset - start, 0) :])


def _with_count(fault: plain.NoValue, path: Path, layout: Layout, offset: int, before: int) -> plain.LineFault:
    """Return the fault with the number of such lines behind so many bytes, before which there is none in its lines."""
    counts: missing.Counts = Counter()
    n_read, whole = 0, True
    lines = plain.records(_lines_behind(path, offset), layout.separator, layout.n_fields, layout.trusted)
    try:
        for _, fields in islice((line for line in lines if not plain.is_blank(line[1])), _COUNTED):
            n_read += 1
            gaps = plain.lacking(fields, layout.position) if len(fields) == layout.n_fields else []
            counts.update((missing.ROWS, *gaps) if gaps else ())
    except plain.LineFault:  # it is told once these lines are mended
        whole = False
    least = "" if whole and n_read < _COUNTED else "at least "
    told = missing.told(counts, before + n_read, layout.headings, "lines")
    return plain.NoValue(fault.line, f"{fault.fault} ({least}{told})", missing.way_on(counts, "lines"))


def _skip_lines(block: bytes, separator: str, left: int) -> tuple[int, int]:
    """Return how many bytes the first lines with text take, with blank ones before them, and how many are missing."""
    end = 0
    for line in block.splitlines(keepends=True):  # bytes are split at the line ends that count here
        if not left:
            break
        end += len(line)
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        try:
            _, fields = next(plain.records([text], separator))
        except plain.LineFault:
            fields = [text]
        left -= any(field.strip(missing.BLANKS) for field in fields)
    return end, left
