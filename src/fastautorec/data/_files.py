"""Bytes of rating files, unpacked: their first lines, blocks of whole lines, and the error for one line."""

from __future__ import annotations

import glob
import gzip
import io
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import IO

from fastautorec.exceptions import RatingsFileError

BOM = b"\xef\xbb\xbf"
BLOCK = 1 << 22  # bytes of text looked at in one go
SAMPLE_BYTES = 1 << 16
SAMPLE_LINES = 8  # at least, for one line may be longer than the sample
LONGEST_LINE = 1 << 24
LINE_END = re.compile("\r\n|\r|\n")
_FIRST_NAME = 256  # bytes of a zip archive that hold the name of its first file
_PACKED = {
    b"PK\x03\x04": "a zip archive",
    b"BZh": "packed by bzip2",
    b"\xfd7zXZ\x00": "packed by xz",
    b"(\xb5/\xfd": "packed by zstd",
    b"7z\xbc\xaf": "a 7z archive",
}
_OTHERS = {  # and what loads them
    b"ARROW1": ("a Feather file", "pandas.read_feather(path)"),
    **{b"\x80" + bytes([version, 0x95]): ("a pickle", "pandas.read_pickle(path)") for version in (4, 5)},
    **{b"\x80" + bytes([version]): ("a pickle", "pandas.read_pickle(path)") for version in (2, 3)},
    b"SQLite format 3\0": ("an SQLite database", "pandas.read_sql"),
    b"\x89HDF\r\n": ("an HDF5 file", "pandas.read_hdf(path)"),
    b"\x93NUMPY": ("a NumPy array", "numpy.load(path)"),
    b"\xd0\xcf\x11\xe0": ("an old Excel file", "pandas.read_excel(path)"),
}

_PARQUET = (".parquet", ".parq", ".pq")  # in small or capital letters


def joined(files: str) -> str:
    """Return how to read several files, which ``files`` is the list of."""
    return f"far.Interactions.open(far.distributed.shard({files}, 'NEW FOLDER', n_shards=1)[0]) joins several files"


def not_there(path: Path, argument: str = "path") -> str:
    """Return that there is no such file, and of a pattern, how to list the files."""
    text = f"{path} does not exist"
    if glob.has_magic(str(path)):
        files = f"sorted(glob.glob({str(path)!r}))"
        text += "; patterns are not looked up: " + (joined(files) if argument == "path" else f"pass {files}")
    return text


def is_parquet(name: str) -> bool:
    """Return whether a file is called as Parquet files are."""
    return name.lower().endswith(_PARQUET)


def counts(place: PurePath) -> bool:
    """Return whether a file within a data set is one of its parts: none is that is hidden or begins with "_"."""
    return is_parquet(place.name) and not any(name.startswith(("_", ".")) for name in place.parts)


def parquet_parts(folder: Path) -> list[Path]:
    """Return the Parquet files that count in a folder and below, links too; refuse those that are called otherwise."""
    found: list[Path] = []
    for place, folders, names in os.walk(folder, followlinks=True):
        at = Path(place)
        above = at.parent.resolve()
        if at.is_symlink() and at != folder and at.resolve() in (above, *above.parents):
            raise RatingsFileError(f"{at}: leads back to a folder that it is in; remove this link")
        folders[:] = [name for name in folders if not name.startswith(("_", "."))]
        files = [at / name for name in names if not name.startswith(("_", ".")) and (at / name).is_file()]
        found += filter(_is_part, files)
    return sorted(found)


def _is_part(path: Path) -> bool:
    if not is_parquet(path.name) and os.access(path, os.R_OK):
        with path.open("rb") as file:
            if file.read(4) == b"PAR1":
                raise RatingsFileError(
                    f"{path}: is a Parquet file that is not called so, and would be left out; let its name end in "
                    ".parquet, or begin with _ where it is no part"
                )
    return is_parquet(path.name)


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading, unpacked if gzip has packed it, behind a byte order mark if there is one."""
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        file: IO[bytes] = io.BufferedReader(gzip.GzipFile(fileobj=raw)) if packed else raw
        try:
            if file.read(len(BOM)) != BOM:
                file.seek(0)
            yield file
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise RatingsFileError(f"{path}: not a readable gzip file ({error}); was it cut off on the way?") from None


def head(path: Path, size: int) -> bytes:
    """Return the first bytes of a file."""
    with opened(path) as file:
        return file.read(size)


def sample_lines(path: Path) -> list[str]:
    """Return the first whole lines of a text file that are not blank, at least one; raise if they are no text."""
    with opened(path) as file:
        data = file.read(SAMPLE_BYTES)
        for _ in range(SAMPLE_LINES):
            data += file.readline(LONGEST_LINE)
    if data.startswith(b"PK\x03\x04") and (b"[Content_Types].xml" in data or b"xl/" in data[:SAMPLE_BYTES]):
        raise _other_kind(path, "an Excel file", "pandas.read_excel(path)")
    if data.startswith(b"PK\x03\x04") and b".npy" in data[:_FIRST_NAME]:
        raise RatingsFileError(
            f"{path}: a NumPy archive, as models are saved in, and no rating file; read a model with fastautorec.load, "
            "or name it with --model on the command line"
        )
    for magic, (kind, loader) in _OTHERS.items():
        if data.startswith(magic):
            raise _other_kind(path, kind, loader)
    for magic, kind in _PACKED.items():
        if data.startswith(magic):
            raise RatingsFileError(f"{path}: {kind}; read_ratings takes text, gzip and Parquet, so unpack it first")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise RatingsFileError(f"{path}: not UTF-8 but UTF-16; convert the file, for example: iconv -f utf-16 -t utf-8")
    lines = LINE_END.split(data.decode("utf-8", "replace"))
    lines = [line for line in lines if line.strip()]
    if not lines:
        raise RatingsFileError(f"{path}: the file holds no text line; is it a rating file?")
    return lines


def _other_kind(path: Path, kind: str, loader: str) -> RatingsFileError:
    return RatingsFileError(
        f"{path}: {kind}; read_ratings takes text, gzip and Parquet, so load it with {loader} or the like and call "
        "Interactions.from_dataframe, or write it as CSV or Parquet"
    )


def blocks(path: Path, size: int) -> Iterator[tuple[int, bytes]]:
    """Yield blocks of whole lines of about ``size`` bytes, each with the number of bytes before it."""
    offset = 0
    with opened(path) as file:
        while data := file.read(size):
            data += file.readline()
            yield offset, data
            offset += len(data)


def lines_before(path: Path, offset: int) -> int:
    """Return how many lines end within the first bytes of a text file."""
    count = 0
    for start, data in blocks(path, BLOCK):
        if start >= offset:
            break
        part = data[: offset - start]
        count += part.count(b"\n") + part.count(b"\r") - part.count(b"\r\n")
    return count


def line_error(path: Path, number: int, text: str, fault: str, fix: str) -> RatingsFileError:
    """Return the error for one malformed line."""
    line = text.rstrip("\r\n")
    line = line if len(line) <= 120 else line[:117] + "..."
    return RatingsFileError(f"{path}, line {number}: {fault}, got {line!r}; {fix}")
