"""Interactions on disk: a folder with one .npy file for each array and a JSON header, read by memory mapping.

A folder appears under its name in one step, once everything in it is complete and synced. Nothing is ever unpickled.
Ids that are texts are kept as bytes (see `fastautorec.data._texts`); format 1 had them as wide as the longest one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec._compute.csr import BLOCK_ENTRIES, Csr, ids_ascend, row_blocks
from fastautorec._version import __version__
from fastautorec.data import _texts as texts
from fastautorec.data._columns import sorted_unique
from fastautorec.data._mapped import MappedCsr
from fastautorec.exceptions import InteractionsFileError

FORMAT = "fastautorec interactions"
FORMAT_VERSION = 2
HEADER = "header.json"
NAMES = ("indptr", "indices", "user_ids", "item_ids", "timestamps")  # of which the last may be missing
MATRIX: tuple[tuple[str, npt.DTypeLike], ...] = (("indptr", np.int64), ("indices", np.int32))
CHUNK = 1 << 24  # bytes that are read or written together

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class StoredIds:
    """Ids in a folder, which stay there until they are asked for.

    Attributes
    ----------
    path : Path
        The folder, for messages.
    stored : array
        Integers, texts of a fixed width (format 1), or the bytes of texts.
    count : int
    packed : bool
        Whether they are the bytes of texts.
    """

    path: Path
    stored: Array
    count: int
    packed: bool

    def load(self) -> Array:
        """Return them, integers without a copy.

        Raises
        ------
        InteractionsFileError
            If the bytes are not so many texts.
        """
        if not self.packed:
            return texts.as_text(self.stored) if texts.is_text(self.stored) else self.stored
        try:
            ids = texts.unpack(self.stored)
            _require(len(ids) == self.count, f"there are {len(ids)} ids where {self.count} are expected")
        except ValueError as error:
            raise _damaged(self.path, error) from error
        return ids

    def verify(self) -> None:
        """Raise ValueError unless they can be loaded, with little memory."""
        if self.packed:
            found = sum(map(len, texts.unpacked_blocks(self.stored)))
            _require(found == self.count, f"there are {found} user ids where {self.count} are expected")


@dataclass(frozen=True)
class Stored:
    """What a folder holds; all but the item ids stays on disk until it is looked at."""

    matrix: Csr
    user_ids: StoredIds
    item_ids: Array
    timestamps: Array | None
    ids_given: tuple[bool, bool]  # of users and items; False for mere numbers


# --- writing --------------------------------------------------------------------------------------------------------


class Writer:
    """Writes a folder block by block; a context manager that leaves either the whole folder or nothing.

    Parameters
    ----------
    path : Path
    overwrite : bool
        Replace a folder of interactions that is there.
    """

    def __init__(self, path: Path, overwrite: bool) -> None:
        if os.path.lexists(path) and not (overwrite and _is_store(path)):
            fix = "it holds no interactions: name another" if overwrite else "name another, or pass overwrite=True"
            raise FileExistsError(f"`path`={str(path)!r} exists already; {fix}")
        if not path.parent.is_dir():
            raise FileNotFoundError(f"`path`={str(path)!r} is in a folder that does not exist; create it first")
        self._path = path

    def __enter__(self) -> Writer:
        self._folder = Path(tempfile.mkdtemp(dir=self._path.parent, prefix=f".{self._path.name}.", suffix=".tmp"))
        self._texts: dict[str, bool] = {}  # whether ids are texts, once it is known
        self._empty: dict[str, bool] = {}  # the same of arrays without ids
        self._columns = {name: self._column(name, dtype) for name, dtype in MATRIX}
        self._columns["indptr"].append(np.zeros(1, np.int64))
        self._users = self._nnz = 0
        return self

    def append(self, csr: Csr, user_ids: Array | None, timestamps: Array | None) -> None:
        """Write the next users; ``user_ids`` are their row numbers if not given."""
        own, m = csr.rebased(), csr.shape[0]
        self._columns["indptr"].append(own.indptr[1:] + self._nnz)
        self._columns["indices"].append(own.indices)
        if timestamps is not None:
            if "timestamps" not in self._columns:
                self._columns["timestamps"] = self._column("timestamps", timestamps.dtype)
            self._columns["timestamps"].append(timestamps)
        ids = np.arange(self._users, self._users + m) if user_ids is None else user_ids
        self.append_ids("user_ids", ids)
        self._users, self._nnz = self._users + m, self._nnz + own.nnz

    def append_ids(self, name: str, ids: Array) -> None:
        """Write ids; if there never are any, the first empty array tells their type."""
        is_text = texts.is_text(ids)
        if not len(ids):
            self._empty.setdefault(name, is_text)
            return
        if name not in self._texts:
            self._texts[name] = is_text
            self._columns[name] = self._column(name, np.uint8 if is_text else np.int64)
        if self._texts[name] != is_text:
            raise ValueError("`blocks` must have user ids of one kind, got integers and strings; convert them first")
        for start in range(0, len(ids), texts.BLOCK):
            part = ids[start : start + texts.BLOCK]
            self._columns[name].append(texts.pack(part) if is_text else part)

    def _column(self, name: str, dtype: npt.DTypeLike) -> _Column:
        return _Column(self._folder / f"{name}.npy", np.dtype(dtype))

    def finish(self, item_ids: Array, ids_given: tuple[bool, bool]) -> None:
        """Write the ids and the header, sync everything, and give the folder its name."""
        self.append_ids("item_ids", item_ids)
        for name in ("user_ids", "item_ids"):
            if name not in self._columns:
                self._texts[name] = self._empty.get(name, False)
                self._columns[name] = self._column(name, np.uint8 if self._texts[name] else np.int64)
        header = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "library_version": __version__,
            "shape": [self._users, len(item_ids)],
            "nnz": self._nnz,
            "ids_given": list(ids_given),
            "arrays": {
                name: column.finish() | {"texts": self._texts.get(name, False)}
                for name, column in self._columns.items()
            },
        }
        user_ids = StoredIds(
            self._folder, _map(self._folder, "user_ids"), self._users, self._texts.get("user_ids", False)
        )
        _refuse_repeated(user_ids.load())
        with (self._folder / HEADER).open("w", encoding="utf-8") as file:
            json.dump(header, file, indent=1)
            _sync(file)
        self._folder.chmod(0o777 & ~_umask())
        _sync_folder(self._folder)
        self._give_name()

    def _give_name(self) -> None:
        if os.path.lexists(self._path):
            aside = Path(tempfile.mkdtemp(dir=self._path.parent, prefix=f".{self._path.name}.", suffix=".old"))
            self._path.rename(aside / "old")
            try:
                self._folder.rename(self._path)
            except BaseException:
                (aside / "old").rename(self._path)
                raise
            finally:
                shutil.rmtree(aside)
        else:
            self._folder.rename(self._path)
        _sync_folder(self._path.parent)

    def __exit__(self, *_: object) -> None:
        for column in self._columns.values():
            column.close()
        if self._folder.is_dir():  # under its temporary name: something went wrong
            shutil.rmtree(self._folder, ignore_errors=True)


class _Column:
    """A one-dimensional .npy file that grows; its length is filled in at the end."""

    def __init__(self, path: Path, dtype: np.dtype[Any]) -> None:
        self._dtype, self._length, self._hash = dtype, 0, hashlib.sha256()
        self._file = path.open("wb")
        self._start = self._write_head()

    def append(self, values: Array) -> None:
        if not np.can_cast(values.dtype, self._dtype, "safe"):
            raise ValueError(
                f"`blocks` must have timestamps of one type, got {self._dtype}, then {values.dtype}; convert them first"
            )
        length = _chunk_length(self._dtype)
        for start in range(0, len(values), length):
            part = np.ascontiguousarray(values[start : start + length], self._dtype)
            content = part.tobytes()
            self._file.write(content)
            self._hash.update(content)
        self._length += len(values)

    def finish(self) -> dict[str, Any]:
        """Complete the file and return what the header says of it."""
        self._file.seek(0)
        if self._write_head() != self._start:
            raise OSError(f"{self._file.name}: the head of the file has outgrown its place")
        _sync(self._file)
        self.close()
        return {"dtype": self._dtype.str, "sha256": self._hash.hexdigest()}

    def close(self) -> None:
        self._file.close()

    def _write_head(self) -> int:
        """Write the head of an .npy file; NumPy pads it to 128 bytes for any length."""
        head = {"descr": self._dtype.str, "fortran_order": False, "shape": (self._length,)}
        np.lib.format.write_array_header_1_0(self._file, head)
        return self._file.tell()


def _refuse_repeated(user_ids: Array) -> None:
    if len(sorted_unique(user_ids)) < len(user_ids):
        ordered = np.sort(user_ids)
        twice = ordered[1:][ordered[1:] == ordered[:-1]][:1].tolist()[0]
        raise ValueError(
            f"`blocks` must have user ids that are distinct over all blocks, got {twice!r} more than once; blocks that "
            "are SciPy matrices have their rows numbered"
        )


# --- reading --------------------------------------------------------------------------------------------------------


def read(path: Path, verify: bool) -> Stored:
    """Map the arrays of a folder after a check of the header and of all sizes; ``verify`` reads everything."""
    header = _read_header(path)
    try:
        (m, n), nnz, described = header["shape"], header["nnz"], header["arrays"]
        arrays = {name: _map(path, name) for name in NAMES if name in described}
        for name, array in arrays.items():
            _require(array.dtype.str == described[name]["dtype"], f"array {name!r} has another type")
        lengths = {"indptr": m + 1, "indices": nnz, "user_ids": m, "item_ids": n, "timestamps": nnz}
        packed = {name: described[name].get("texts", False) for name in ("user_ids", "item_ids")}
        for name in NAMES[:4] if "timestamps" not in arrays else NAMES:
            _require(name in arrays and arrays[name].ndim == 1, f"array {name!r} has another shape")
            right = len(arrays[name]) >= lengths[name] if packed.get(name) else len(arrays[name]) == lengths[name]
            _require(right, f"array {name!r} has another length")
        user_ids, item_ids = (StoredIds(path, arrays[name], lengths[name], packed[name]) for name in packed)
        indptr, indices = arrays["indptr"], arrays["indices"]
        _require(indptr.dtype == np.int64 and indices.dtype == np.int32, "the arrays of the matrix have other types")
        _require(indptr[0] == 0 and indptr[-1] == nnz, "the row pointers do not fit the interactions")
        matrix = MappedCsr(path, indptr, indices, n)
        users_given, items_given = header.get("ids_given") or [
            not _are_numbers(arrays[name]) for name in ("user_ids", "item_ids")
        ]
        if verify:
            _verify(matrix, arrays, described)
            user_ids.verify()
        items = item_ids.load()
    except InteractionsFileError:
        raise
    except Exception as error:  # whatever NumPy and JSON may raise on damaged files
        raise _damaged(path, error) from error
    given = bool(users_given), bool(items_given)
    return Stored(matrix, user_ids, np.array(items), arrays.get("timestamps"), given)


def _are_numbers(ids: Array) -> bool:
    """Return whether ids are 0, 1, 2, ...: folders that do not say so hold what nobody has given."""
    ends = ids.dtype.kind in "iu" and (not len(ids) or (ids[0] == 0 and ids[-1] == len(ids) - 1))
    return bool(ends) and np.array_equal(ids, np.arange(len(ids)))


def _map(folder: Path, name: str) -> Array:
    """Return an array of a folder, mapped read-only; an empty one cannot be mapped."""
    path = folder / f"{name}.npy"
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        empty = 0 in np.lib.format.read_array_header_1_0(file)[0]
    mapped: Array = np.load(path, mmap_mode=None if empty else "r", allow_pickle=False)
    return mapped.view(np.ndarray)  # slices of a plain array are cheaper


def _read_header(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise FileNotFoundError(f"no interactions at {path}")
    try:
        header = json.loads((path / HEADER).read_text("utf-8")) if path.is_dir() else None
    except FileNotFoundError:
        header = None
    except (ValueError, OSError) as error:
        raise _damaged(path, error) from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise InteractionsFileError(
            f"{path} is not a folder of fastautorec interactions; write one with data.to_disk(path), and read files of "
            "ratings with read_ratings(path)"
        )
    version = header.get("format_version")
    if not isinstance(version, int) or version < 1:
        raise _damaged(path, f"format version {version!r}")
    if version > FORMAT_VERSION:
        raise InteractionsFileError(
            f"{path} has format {version}, written by fastautorec {header.get('library_version')}, but this version "
            f"({__version__}) reads formats up to {FORMAT_VERSION}; update fastautorec"
        )
    return header


def _verify(matrix: Csr, arrays: dict[str, Array], described: dict[str, Any]) -> None:
    """Raise ValueError unless checksums are right and the matrix is canonical."""
    for name, array in arrays.items():
        digest, length = hashlib.sha256(), _chunk_length(array.dtype)
        for start in range(0, len(array), length):
            digest.update(array[start : start + length].tobytes())
        _require(digest.hexdigest() == described[name]["sha256"], f"array {name!r} does not match its checksum")
    _require(bool((np.diff(matrix.indptr) >= 0).all()), "row pointers decrease")
    for start, stop in row_blocks(matrix.indptr, BLOCK_ENTRIES):
        rows = matrix.rows(start, stop).rebased()
        ids = rows.indices
        _require(not len(ids) or (ids.min() >= 0 and ids.max() < matrix.n_cols), "item ids are out of range")
        _require(ids_ascend(rows.indptr, ids), "item ids of a user do not ascend")


def _chunk_length(dtype: np.dtype[Any]) -> int:
    return max(CHUNK // max(dtype.itemsize, 1), 1)


def _require(condition: bool, reason: str) -> None:
    if not condition:
        raise ValueError(reason)


def _damaged(path: Path, reason: object) -> InteractionsFileError:
    return InteractionsFileError(
        f"{path} is not a readable folder of interactions ({reason}); it may be truncated or damaged: write it again"
    )


def _is_store(path: Path) -> bool:
    try:
        _read_header(path)
    except (InteractionsFileError, FileNotFoundError):
        return False
    return True


# --- the file system ------------------------------------------------------------------------------------------------


def _sync(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    """Return what new folders are not allowed; setting it to read it would change the process for other threads."""
    with tempfile.TemporaryDirectory() as folder:
        probe = Path(folder) / "probe"
        probe.mkdir(0o777)
        return 0o777 & ~probe.stat().st_mode
