"""Text files in blocks: the fast reader takes what it can, the plain one the others, and their columns are joined."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from fastautorec._compute.threads import resolve_num_threads, run_blocks
from fastautorec.data import _files as files
from fastautorec.data import _plain as plain
from fastautorec.data._fast import FastReader
from fastautorec.data._layouts import Layout
from fastautorec.exceptions import RatingsFileError

_GAPS = frozenset(("nan", "NaN", "NAN", "null", "NULL", "Null", "None", "NA", "N/A", "n/a", "<NA>", "NaT", "\\N", "-"))
_AHEAD = 8  # blocks at most that are read side by side
_LOOK = 1 << 12  # ids looked at in one go


def read_delimited(path: Path, layout: Layout, polars: bool) -> dict[str, Any]:
    """Return the column of each role of a text file: int64, float64, or texts (polars column or object array)."""
    reader, fast = plain.PlainReader(layout), FastReader(layout) if polars else None
    parts: dict[str, list[Any]] = {role: [] for role in layout.position}
    pending, fault = b"", None
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
        except plain.LineFault as error:
            raise plain.located(path, offset, block, error) from None
        pending, fault = b"", None
        if fast is not None:
            fast.remember(found)
        for role, part in found.items():
            if len(part):
                parts[role].append(part)
    if fault is not None:
        raise plain.located(path, offset, block, fault)
    if not parts["user"]:
        raise RatingsFileError(
            f"{path}: no rating in the file; it must hold lines of user, item[, rating[, timestamp]]"
        )
    for role in ("user", "item"):
        _refuse_gaps(path, role, parts[role])
    return {role: join(parts.pop(role), polars) for role in layout.position}


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


def _refuse_gaps(path: Path, role: str, parts: list[Any]) -> None:
    """Raise if a column of integers is one of texts only for what stands for no value, such as NULL."""
    gap, whole = "", False
    for part in parts:
        if isinstance(part, np.ndarray) or not _holds_texts(part):
            whole = True
            continue
        for start in range(0, len(part), _LOOK):
            texts = list(part[start : start + _LOOK])
            gaps = _GAPS.intersection(texts)
            others = texts if not gaps else [text for text in texts if text not in _GAPS]
            if plain.integers(others) is None:
                return  # texts indeed
            gap = gap or min(gaps, default="")
            whole = whole or bool(others)
    if gap and whole:
        raise RatingsFileError(
            f"{path}: the {role} ids are integers but for {gap!r}, which may stand for no {role}; remove such lines, "
            "or load the file with your data-frame library and call Interactions.from_dataframe"
        )


def _holds_texts(part: Any) -> bool:
    return isinstance(part, list) or str(part.dtype) == "String"


def _skip_lines(block: bytes, separator: str, left: int) -> tuple[int, int]:
    """Return how many bytes the first lines with text take, with blank ones before them, and how many are missing."""
    end = 0
    for line in block.splitlines(keepends=True):  # of bytes: at the line ends that count here
        if not left:
            break
        end += len(line)
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        try:
            _, fields = next(plain.records([text], separator))
        except plain.LineFault:
            fields = [text]
        left -= any(field.strip(plain.BLANKS) for field in fields)
    return end, left
