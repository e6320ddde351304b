"""Readers of rating files: polars where it is installed; plain Python for small files and to name a malformed line."""

from __future__ import annotations

import importlib.util
import math
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastautorec._data.columns import parse_time, times
from fastautorec._data.layouts import ROLES, Layout, find_format, find_layout, line_error, named_positions, split_lines
from fastautorec.exceptions import RatingsFileError

_NETFLIX_BLOCK = 1 << 26  # bytes of text parsed at a time
_NETFLIX_HEADING = re.compile(r"(\d+):")
_INTEGER = re.compile(r"-?\d{1,18}")
_POLARS = importlib.util.find_spec("polars") is not None
_PYARROW = importlib.util.find_spec("pyarrow") is not None


class Columns(NamedTuple):
    """The columns of a rating file; rating and timestamp are None where the file has none."""

    user: Any
    item: Any
    rating: Any = None
    timestamp: Any = None


Row = tuple[str, str, "float | None", "str | None"]


def read_columns(path: Path, requested: str) -> Columns:
    """Read a rating file of any format; see `fastautorec.read_ratings`."""
    kind = find_format(path, requested)
    if kind == "parquet":
        return _read_parquet(path)
    if kind == "netflix":
        files = _netflix_files(path)
        columns = _netflix_by_polars(files) if _POLARS else None
        return columns or _collect(path, _netflix_rows(files), _netflix_rows(files))
    layout = find_layout(path, requested)
    columns = _text_by_polars(path, layout) if _POLARS else None
    return columns or _collect(path, _text_rows(path, layout), _text_rows(path, layout))


# -- polars --------------------------------------------------------------------------------------------------------


def _text_by_polars(path: Path, layout: Layout) -> Columns | None:
    """Return the columns, or None where any line is not as the layout says."""
    import polars as pl  # noqa: PLC0415  (optional, and slow to import)

    inferred: dict[str, Any] = {
        role: pl.Int64 if integer else pl.String for role, integer in layout.integer_ids.items()
    }
    inferred |= {"rating": pl.Float64, "timestamp": pl.Int64 if layout.integer_times else pl.String}
    texts = {"user": pl.String, "item": pl.String, "rating": pl.Float64, "timestamp": pl.String}
    for types in (inferred, texts):
        try:
            return _polars_columns(_scan_text(path, layout, types), layout)
        except (pl.exceptions.PolarsError, ValueError):
            continue
    return None


def _scan_text(path: Path, layout: Layout, types: dict[str, Any]) -> Any:
    import polars as pl  # noqa: PLC0415

    # polars separates by one character: "a::b" is read as "a", "", "b".
    step = len(layout.separator)
    schema: dict[str, Any] = {f"field {i}": pl.String for i in range(step * (layout.n_fields - 1) + 1)}
    names = {role: f"field {step * position}" for role, position in layout.position.items()}
    schema |= {names[role]: types[role] for role in names}
    scan = pl.scan_csv(
        path,
        separator=layout.separator[0],
        has_header=False,
        skip_rows=int(layout.header),
        schema=schema,
        quote_char='"' if step == 1 else None,
        glob=False,
    )
    frame = scan.select(pl.col(name).alias(role) for role, name in names.items())
    return frame.collect()


def _polars_columns(frame: Any, layout: Layout) -> Columns:
    import polars as pl  # noqa: PLC0415

    if any(count for count in frame.null_count().row(0)):
        frame = frame.filter(~pl.all_horizontal(pl.all().is_null()))  # blank lines
    if any(count for count in frame.null_count().row(0)) or not frame.height:
        raise ValueError("missing values")
    if "rating" in frame.columns and not frame["rating"].is_finite().all():
        raise ValueError("ratings that are not finite")
    if layout.dropped_rating is not None and "rating" in frame.columns:
        frame = frame.filter(pl.col("rating") != layout.dropped_rating)
    columns = {role: frame[role] for role in ROLES if role in frame.columns}
    for role in ("user", "item"):
        if columns[role].dtype == pl.String:
            columns[role] = _integers_if_all(columns[role].str.strip_chars())
    if "timestamp" in columns:
        columns["timestamp"] = times("timestamp", columns["timestamp"])
    return Columns(**columns)


def _integers_if_all(column: Any) -> Any:
    import polars as pl  # noqa: PLC0415

    return column.cast(pl.Int64) if column.str.contains(rf"^{_INTEGER.pattern}$").all() else column


def _netflix_by_polars(files: list[Path]) -> Columns | None:
    """Return the columns, or None where any line is malformed."""
    import polars as pl  # noqa: PLC0415

    parts, movie = [], 0
    try:
        for block in _netflix_blocks(files):
            part, movie = _netflix_block(block, movie)
            parts.append(part)
    except (pl.exceptions.PolarsError, ValueError):
        return None
    frame = pl.concat(parts)
    days = frame["date"].to_physical().to_numpy()
    return Columns(frame["user"], frame["item"], frame["rating"], days.astype(np.int64) * 86_400)


def _netflix_block(block: bytes, movie: int) -> tuple[Any, int]:
    import polars as pl  # noqa: PLC0415

    # The first line tells polars how many fields there are: headings have one.
    lines = pl.read_csv(
        b"0,0,2000-01-01\n" + block,
        has_header=False,
        schema={"user": pl.String, "rating": pl.Float32, "date": pl.String},
        quote_char=None,
    ).slice(1)
    lines = lines.filter(pl.col("user").is_not_null() | pl.col("rating").is_not_null() | pl.col("date").is_not_null())
    is_heading = pl.col("user").str.ends_with(":") & pl.col("rating").is_null()
    heading = pl.when(is_heading).then(pl.col("user").str.strip_suffix(":"))
    lines = lines.with_columns(item=heading.cast(pl.Int32).forward_fill().fill_null(movie))
    last = int(lines["item"][-1]) if lines.height else movie
    rows = lines.filter(~is_heading).select(
        pl.col("user").cast(pl.Int32), "item", "rating", pl.col("date").str.to_date("%Y-%m-%d")
    )
    if any(count for count in rows.null_count().row(0)) or not rows["rating"].is_finite().all():
        raise ValueError("missing values")
    return rows, last


def _netflix_blocks(files: list[Path]) -> Iterator[bytes]:
    """Yield whole lines of all files, joined, in blocks of bounded size."""
    pending = b""
    for path in files:
        with path.open("rb") as file:
            if not re.match(rb"\d+:\r?\n", file.read(32)):
                raise ValueError("no heading")
            file.seek(0)
            while data := file.read(_NETFLIX_BLOCK):
                pending += data
                if len(pending) >= _NETFLIX_BLOCK:
                    end = pending.rfind(b"\n") + 1
                    yield pending[:end]
                    pending = pending[end:]
        if pending and not pending.endswith(b"\n"):
            pending += b"\n"
    yield pending


def _read_parquet(path: Path) -> Columns:
    if not _POLARS and not _PYARROW:
        raise ImportError("reading Parquet needs polars or pyarrow: pip install 'fastautorec[data]'")
    try:
        if _POLARS:
            import polars as pl  # noqa: PLC0415

            frame: Any = pl.read_parquet(path, glob=False)
            names = frame.columns
        else:
            from pyarrow import parquet  # noqa: PLC0415

            frame = parquet.read_table(path)
            names = frame.column_names
    except (ValueError, OSError) as error:
        raise _not_parquet(path, error) from error
    except Exception as error:
        if type(error).__module__.startswith("polars"):
            raise _not_parquet(path, error) from error
        raise
    position = named_positions(names)
    if not {"user", "item"} <= position.keys():
        raise RatingsFileError(
            f"{path}: no columns named user and item, got {', '.join(names)}; rename them, or load the file with your "
            "data-frame library and call Interactions.from_dataframe"
        )
    return Columns(**{role: frame[names[i]] for role, i in position.items()})


def _not_parquet(path: Path, error: Exception) -> RatingsFileError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return RatingsFileError(f"{path}: not a readable Parquet file ({reason}); was it cut off on the way?")


# -- plain Python --------------------------------------------------------------------------------------------------


class _Lines:
    """The lines of a UTF-8 file, with the number and text of the latest one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.number = 0
        self.text = ""

    def __enter__(self) -> _Lines:
        self._file = self.path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[str]:
        for line in self._file:
            self.number, self.text = self.number + 1, line
            if not line.isascii():
                self._check_text()
            yield line

    def _check_text(self) -> None:
        try:
            self.text.encode()
        except UnicodeEncodeError:
            self.text = self.text.encode("utf-8", "surrogateescape").decode("latin-1")
            raise self.error("is not UTF-8", "convert the file, for example: iconv -f latin1 -t utf-8") from None

    def error(self, fault: str, fix: str) -> RatingsFileError:
        return line_error(self.path, self.number, self.text, fault, fix)


def _text_rows(path: Path, layout: Layout) -> Iterator[Row]:
    """Yield the rows of a text file; raise at the first malformed line."""
    import csv  # noqa: PLC0415

    with _Lines(path) as lines:
        rows = iter(split_lines(lines, layout.separator))
        if layout.header:
            next(rows)
        try:
            for fields in rows:
                if any(field and not field.isspace() for field in fields):
                    row = _text_row(lines, fields, layout)
                    if row[2] is None or row[2] != layout.dropped_rating:
                        yield row
        except csv.Error as error:
            raise lines.error(f"is not valid csv ({error})", _FIX_LINE) from None


def _text_row(lines: _Lines, fields: list[str], layout: Layout) -> Row:
    if len(fields) != layout.n_fields:
        raise lines.error(f"must have {layout.n_fields} fields, has {len(fields)}", _fix(layout.separator))
    at = layout.position
    user, item = fields[at["user"]].strip(), fields[at["item"]].strip()
    if not user or not item:
        raise lines.error("has no item id" if user else "has no user id", _FIX_LINE)
    rating = _rating(lines, fields[at["rating"]]) if "rating" in at else None
    return user, item, rating, _time(lines, fields[at["timestamp"]]) if "timestamp" in at else None


def _netflix_rows(files: list[Path]) -> Iterator[Row]:
    """Yield the rows of Netflix Prize files: a heading "movie:", then lines "user,rating,date"."""
    for path in files:
        movie = None
        with _Lines(path) as lines:
            for line in lines:
                text = line.strip()
                if not text:
                    continue
                if heading := _NETFLIX_HEADING.fullmatch(text):
                    movie = heading[1]
                    continue
                if movie is None:
                    raise lines.error("must be a movie number and a colon before any rating", _FIX_LINE)
                fields = text.split(",")
                if len(fields) != 3 or not _INTEGER.fullmatch(fields[0]):
                    raise lines.error("must be user,rating,date or a movie number and a colon", _FIX_LINE)
                yield fields[0], movie, _rating(lines, fields[1]), _time(lines, fields[2])


_FIX_LINE = "correct or remove the line"


def _fix(separator: str) -> str:
    return f"correct or remove the line (fields are separated by {separator!r}; quote a field that contains it)"


def _rating(lines: _Lines, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise lines.error("must have a finite number as its rating", _FIX_LINE)
    return value


def _time(lines: _Lines, text: str) -> str:
    try:
        parse_time(text)
    except ValueError:
        raise lines.error("must have a number or an ISO 8601 date as its time", _FIX_LINE) from None
    return text.strip()


def _collect(path: Path, rehearsal: Iterator[Row], rows: Iterator[Row]) -> Columns:
    if _POLARS:
        deque(rehearsal, maxlen=0)  # polars gave up, so a bad line is likely: name it before storing any
    user, item, rating, timestamp = tuple(zip(*rows, strict=True)) or ((), (), (), ())
    if not user:
        raise RatingsFileError(
            f"{path}: no rating in the file; it must hold lines of user, item[, rating[, timestamp]]"
        )
    return Columns(
        _ids(user),
        _ids(item),
        None if rating[0] is None else np.array(rating, np.float64),
        None if timestamp[0] is None else times("timestamp", _ids(timestamp)),
    )


def _ids(texts: tuple[str, ...]) -> Any:
    integers = all(_INTEGER.fullmatch(text) for text in texts)
    return np.array(texts, np.int64) if integers else np.array(texts, object)


def _netflix_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    files = sorted(path.glob("mv_*.txt")) or sorted(path.glob("combined_data_*.txt"))
    if not files:
        raise FileNotFoundError(f"`path` must hold mv_*.txt or combined_data_*.txt files, the folder {path} has none")
    return files
