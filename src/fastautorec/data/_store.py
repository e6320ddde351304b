"""Interactions on disk: a folder with one .npy file for each array and a JSON header, read by memory mapping.

A folder appears under its name in one step, once everything in it is complete and synced, and is never changed from
then on: it is replaced as a whole. An open one stays the same folder, whatever gets its name. A token in the
header and in the head of each array tells files of different folders apart, as a copy over another folder may leave
them; it is a hash of the content, so that the same interactions are the same bytes. Nothing is ever unpickled. Ids that
are texts are kept as bytes (see `fastautorec.data._texts`); format 1 had them as wide as the longest one. Format 3 has
weights.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import stat
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from fastautorec._compute.csr import BLOCK_ENTRIES, Csr, ids_ascend, row_blocks
from fastautorec._version import __version__
from fastautorec.data import _folders
from fastautorec.data import _texts as texts
from fastautorec.data._mapped import Mapped, MappedCsr
from fastautorec.data._repeats import REPEATS, Repeats
from fastautorec.exceptions import InteractionsFileError

FORMAT = "fastautorec interactions"
FORMAT_VERSION, WITHOUT_WEIGHTS = 3, 2
HEADER = "header.json"
NAMES = ("indptr", "indices", "user_ids", "item_ids", "timestamps", "weights")  # the last two may be missing
FILES = frozenset({HEADER, *(f"{name}.npy" for name in NAMES)})  # of a folder, in any format
MATRIX: tuple[tuple[str, npt.DTypeLike], ...] = (("indptr", np.int64), ("indices", np.int32))
_MARK = re.compile(rb" # [0-9a-f]{16} *\n$")  # the token at the end of an array's head
CHUNK = 1 << 24  # bytes that are read or written together
HEAD = 128  # bytes before an array
MAX_HEADER = 1 << 20  # bytes of the JSON
PAUSE = 0.01  # seconds, while a writer that cannot exchange folders gives one its name

Array = npt.NDArray[Any]
T = TypeVar("T")


@dataclass(frozen=True)
class StoredIds:
    """Ids in a folder, which stay there until they are asked for.

    Attributes
    ----------
    path : Path
        The folder, for messages.
    name : str
        The array, likewise.
    stored : array
        Integers, texts of a fixed width (format 1), or the bytes of texts.
    count : int
    packed : bool
        Whether they are the bytes of texts.
    """

    path: Path
    name: str
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
        Mapped(self.path, self.name, self.stored).require_whole()
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
    weights: Array | None
    ids_given: tuple[bool, bool]  # for users and items; False for mere numbers
    repeats: Repeats | None


def read(path: Path, verify: bool) -> Stored:
    """Map the arrays of a folder after a check of the header and of all sizes; ``verify`` reads everything.

    All files are those of one folder, also where another process replaces it meanwhile: then it is read again.
    """
    return opened(path, lambda folder: _read(path, folder, verify), INTERACTIONS)


def obstacle(path: Path) -> str | None:
    """Return why what is at a path may not be replaced, or None: all that would be lost are files of interactions."""
    return obstacle_of(path, INTERACTIONS, _is_marked)


def obstacle_of(path: Path, kind: Kind, is_marked: Callable[[int], bool] = lambda _: False) -> str | None:
    """Return why what is at a path may not be replaced by a folder of a kind, or None.

    ``is_marked`` tells from the handle of a folder whether it is of this kind where its header does not say so.
    """
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except NotADirectoryError:
        return "it is no folder: name another"
    except FileNotFoundError:  # it was taken away
        return None
    try:
        if _folders.is_at(folder, Path()):
            return "it is the current folder, which would be removed: change to another first, with os.chdir('..')"
        with os.scandir(folder) as entries:
            there = list(entries)
        foreign = sorted(e.name for e in there if not kind.is_file(e.name) or e.is_dir(follow_symlinks=False))
        if foreign:
            return f"it holds {foreign[0]!r}, which is no file of {kind.what}: move that elsewhere, or name another"
        if not there or _is_named(folder, kind) or is_marked(folder):
            return None
        if not _folders.is_at(folder, path):  # another writer has replaced it, and is removing its files
            return obstacle_of(path, kind, is_marked)
        return f"neither its {HEADER} nor an array in it says that it holds {kind.what}: remove it, or name another"
    finally:
        os.close(folder)


def _is_named(folder: int, kind: Kind) -> bool:
    """Return whether the header says that a folder is of a kind."""
    try:
        return bool(_header(folder, kind).get("format") == kind.format)
    except (FileNotFoundError, ValueError, RecursionError):  # damage, which another version mends
        return False


def _is_marked(folder: int) -> bool:
    """Return whether an array has a token in its head: others may have arrays of these names too."""
    for name in FILES - {HEADER}:
        try:
            with _open_in(folder, name) as file:
                if _MARK.search(file.read(HEAD)):
                    return True
        except (FileNotFoundError, ValueError):
            continue
    return False


class Kind(NamedTuple):
    """What folders of one kind have in common, and errors for those that cannot be read or are of another kind."""

    what: str  # "a model": what such a folder holds
    name: str  # "model file": what is missing where there is none
    format: str
    most: int  # bytes of the header
    is_file: Callable[[str], bool]  # whether a name is one of a file that such a folder has
    damaged: Callable[[Path, object], Exception]
    foreign: Callable[[Path], Exception]


def opened(path: Path, look: Callable[[int], T], kind: Kind) -> T:
    """Return what ``look`` makes of a folder's handle; again, if the folder was replaced and removed meanwhile."""
    was_there = False
    for _ in range(_folders.TRIES):
        folder = _open_folder(path, kind)
        was_there = folder is not None
        if folder is None:
            time.sleep(PAUSE)
            continue
        try:
            return look(folder)
        except FileNotFoundError as error:
            if _folders.is_at(folder, path):
                raise kind.damaged(path, f"{error.filename} is missing") from error
        except OSError as error:
            if not isinstance(error.filename, str) or error.errno is None:
                raise
            raise OSError(error.errno, os.strerror(error.errno), str(path / error.filename)) from error
        finally:
            os.close(folder)
    if was_there:
        raise OSError(f"{path} was replaced whenever it was opened, {_folders.TRIES} times; open it when that ends")
    raise _missing(path, kind, _folders.abandoned_beside(_target(path), HEADER))


def _read(path: Path, folder: int, verify: bool) -> Stored:
    header = read_header(path, folder, INTERACTIONS)
    _check_version(path, header)
    try:
        (m, n), nnz, described = header["shape"], header["nnz"], header["arrays"]
        arrays = {
            name: map_array(folder, name, described[name], header.get("token")) for name in NAMES if name in described
        }
        lengths = {"indptr": m + 1, "indices": nnz, "user_ids": m, "item_ids": n, "timestamps": nnz, "weights": nnz}
        packed = {name: described[name].get("texts", False) for name in ("user_ids", "item_ids")}
        for name in dict.fromkeys((*NAMES[:4], *arrays)):
            _require(name in arrays, f"array {name!r} is not there")
            right = len(arrays[name]) >= lengths[name] if packed.get(name) else len(arrays[name]) == lengths[name]
            _require(right, f"array {name!r} has another length")
        user_ids, item_ids = (StoredIds(path, name, arrays[name], lengths[name], packed[name]) for name in packed)
        indptr, indices = arrays["indptr"], arrays["indices"]
        _require(indptr.dtype == np.int64 and indices.dtype == np.int32, "the arrays of the matrix have other types")
        _require("weights" not in arrays or arrays["weights"].dtype == np.float32, "the weights have another type")
        _require(indptr[0] == 0 and indptr[-1] == nnz, "the row pointers do not fit the interactions")
        matrix = MappedCsr(path, arrays, n, header.get("token"))
        users_given, items_given = header.get("ids_given") or [
            not _are_numbers(arrays[name]) for name in ("user_ids", "item_ids")
        ]
        if verify:
            _verify(matrix, arrays, described)
            user_ids.verify()
        items, repeats = item_ids.load(), None
        if "repeats" in header:  # not in folders that are older than it
            which, count = header["repeats"]
            _require(which in REPEATS and isinstance(count, int), "it does not tell how pairs count that repeat")
            repeats = Repeats(which, count)
    except (InteractionsFileError, OSError, MemoryError):  # the last two may pass, and the folder be good
        raise
    except Exception as error:  # whatever NumPy and JSON may raise on damaged files
        raise _damaged(path, error) from error
    given = bool(users_given), bool(items_given)
    return Stored(matrix, user_ids, np.array(items), arrays.get("timestamps"), arrays.get("weights"), given, repeats)


def _are_numbers(ids: Array) -> bool:
    """Return whether ids are 0, 1, 2, ...: where a folder does not say so, such ids were not given."""
    ends = ids.dtype.kind in "iu" and (not len(ids) or (ids[0] == 0 and ids[-1] == len(ids) - 1))
    return bool(ends) and np.array_equal(ids, np.arange(len(ids)))


def map_array(folder: int, name: str, described: dict[str, Any], token: str | None) -> Array:
    """Return an array of a folder, mapped read-only; it has one axis where no ``shape`` is described."""
    with _open_in(folder, f"{name}.npy") as file:
        head = file.read(HEAD)
        file.seek(0)
        np.lib.format.read_magic(file)
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(file)
        start, size = file.tell(), os.fstat(file.fileno()).st_size
        _require(token is None or token.encode() in head, f"array {name!r} belongs to another folder: copy both whole")
        _require(dtype.str == described["dtype"] and not dtype.hasobject, f"array {name!r} has another type")
        wanted = described.get("shape")
        same = len(shape) == 1 if wanted is None else list(shape) == wanted and not by_columns
        _require(same, f"array {name!r} has another shape")
        right = size == start + math.prod(shape) * dtype.itemsize and start % dtype.alignment == 0
        _require(right and dtype.itemsize > 0, f"array {name!r} has not the size that its head tells")
        mapped = mmap(file.fileno(), 0, access=ACCESS_READ)
    array: Array = np.ndarray(shape, dtype, mapped, start)
    return array


def _open_folder(path: Path, kind: Kind) -> int | None:
    """Return a handle of a folder, or None if a writer may be about to give one this name."""
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        if _folders.versions_beside(_target(path), HEADER) or path.exists():
            return None
        raise _missing(path, kind, ()) from None
    except NotADirectoryError:
        raise (kind.foreign(path) if path.exists() else _missing(path, kind, ())) from None


def _target(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _missing(path: Path, kind: Kind, left: Sequence[Path]) -> FileNotFoundError:
    hint = f", where a writer was stopped; what it has left is complete: rename {' or '.join(map(str, left))}"
    return FileNotFoundError(f"no {kind.name} at {path}{hint if left else ''}")


def _foreign(path: Path) -> InteractionsFileError:
    first = path / "shard-00000"
    if first.is_dir():
        return InteractionsFileError(
            f"{path} is the output of distributed.shard, whose subfolders are the folders of interactions; open "
            f"{first}, or pass all of it to distributed.fit"
        )
    return InteractionsFileError(
        f"{path} is not a folder of fastautorec interactions; write one with data.to_disk(path), and read files of "
        "ratings with read_ratings(path)"
    )


def _open_in(folder: int, name: str) -> IO[bytes]:
    """Open a regular file of a folder; one that is none is not waited for."""
    handle = os.open(name, os.O_RDONLY | os.O_NONBLOCK, dir_fd=folder)
    mode = os.fstat(handle).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(handle, "rb")
    os.close(handle)
    raise ValueError(f"{name} is a folder; move it elsewhere" if stat.S_ISDIR(mode) else f"{name} is no regular file")


def _header(folder: int, kind: Kind) -> dict[str, Any]:
    with _open_in(folder, HEADER) as file:
        content = file.read(kind.most + 1)
    _require(len(content) <= kind.most, f"{HEADER} is too long")
    header = json.loads(content.decode("utf-8"))
    return header if isinstance(header, dict) else {}


def read_header(path: Path, folder: int, kind: Kind) -> dict[str, Any]:
    """Return what the header of a folder of a kind says."""
    try:
        header = _header(folder, kind)
    except FileNotFoundError:
        if _folders.is_at(folder, path) and not any(map(kind.is_file, os.listdir(folder))):
            raise kind.foreign(path) from None
        raise  # it was replaced, or only this file is missing
    except (ValueError, RecursionError) as error:
        raise kind.damaged(path, error) from error
    if header.get("format") != kind.format:
        raise kind.foreign(path)
    return header


def _check_version(path: Path, header: dict[str, Any]) -> None:
    version = header.get("format_version")
    if not isinstance(version, int) or version < 1:
        raise _damaged(path, f"format version {version!r}")
    if version > FORMAT_VERSION:
        raise InteractionsFileError(
            f"{path} has format {version}, written by fastautorec {header.get('library_version')}, but this version "
            f"({__version__}) reads formats up to {FORMAT_VERSION}; update fastautorec"
        )


def _verify(matrix: Csr, arrays: dict[str, Array], described: dict[str, Any]) -> None:
    """Raise ValueError unless checksums are right and the matrix is canonical."""
    for name, array in arrays.items():
        digest, length = hashlib.sha256(), chunk_length(array.dtype)
        for start in range(0, len(array), length):
            digest.update(array[start : start + length].tobytes())
        _require(digest.hexdigest() == described[name]["sha256"], f"array {name!r} does not match its checksum")
    _require(bool((np.diff(matrix.indptr) >= 0).all()), "row pointers decrease")
    for start, stop in row_blocks(matrix.indptr, BLOCK_ENTRIES):
        rows = matrix.rows(start, stop).rebased()
        ids = rows.indices
        _require(not len(ids) or (ids.min() >= 0 and ids.max() < matrix.n_cols), "item ids are out of range")
        _require(ids_ascend(rows.indptr, ids), "item ids of a user do not ascend")


def chunk_length(dtype: np.dtype[Any]) -> int:
    return max(CHUNK // max(dtype.itemsize, 1), 1)


def _require(condition: bool, reason: str) -> None:
    if not condition:
        raise ValueError(reason)


def _damaged(path: Path, reason: object) -> InteractionsFileError:
    return InteractionsFileError(
        f"{path} is not a readable folder of interactions ({reason}); it may be truncated or damaged: write it again "
        "with overwrite=True"
    )


INTERACTIONS = Kind("interactions", "interactions", FORMAT, MAX_HEADER, FILES.__contains__, _damaged, _foreign)
