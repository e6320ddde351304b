"""Writing interactions to disk, block by block: what `fastautorec.data._store` reads."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec._compute.csr import Csr
from fastautorec._files import replace_content
from fastautorec._version import __version__
from fastautorec.data import _folders
from fastautorec.data import _texts as texts
from fastautorec.data._columns import sorted_unique
from fastautorec.data._repeats import Repeats
from fastautorec.data._store import (
    FORMAT,
    FORMAT_VERSION,
    HEAD,
    HEADER,
    MATRIX,
    NAMES,
    WITHOUT_WEIGHTS,
    Array,
    StoredIds,
    chunk_length,
    map_array,
    obstacle,
)
from fastautorec.data._times import EXACT


class Writer:
    """Writes a folder block by block; a context manager that leaves either the whole folder or nothing.

    Parameters
    ----------
    path : Path
        A symbolic link stays, and what it leads to is replaced.
    overwrite : bool
        Replace a folder of interactions that is there.
    """

    def __init__(self, path: Path, overwrite: bool) -> None:
        self._path, self._overwrite = path, overwrite
        self._target = Path(os.path.realpath(path))
        with told(path):
            self._require_room()
        if not self._target.parent.is_dir():
            raise FileNotFoundError(f"`path`={str(path)!r} is in a folder that does not exist; create it first")

    def _require_room(self) -> None:
        """Raise unless there is nothing at the path that has to stay."""
        if not os.path.lexists(self._target):
            return
        fix = obstacle(self._target) if self._overwrite else "name another, or pass overwrite=True"
        if fix is not None:
            raise FileExistsError(f"`path`={str(self._path)!r} exists already; {fix}")

    def __enter__(self) -> Writer:
        self._texts: dict[str, bool] = {}  # whether ids are texts, once it is known
        self._empty: dict[str, bool] = {}  # the same of arrays without ids
        self._columns: dict[str, _Column] = {}
        self._users = self._nnz = 0
        with told(self._path):
            self._folder = _folders.NewFolder(self._target, HEADER)
        try:
            for name, dtype in MATRIX:
                self._column(name, dtype)
            self._append("indptr", np.zeros(1, np.int64))
        except BaseException:
            self.__exit__()
            raise
        return self

    def append(self, csr: Csr, user_ids: Array | None, timestamps: Array | None, weights: Array | None = None) -> None:
        """Write the next users; ``user_ids`` are their row numbers if not given."""
        own, m = csr.rebased(), csr.shape[0]
        self._append("indptr", own.indptr[1:] + self._nnz)
        self._append("indices", own.indices)
        for name, values in (("timestamps", timestamps), ("weights", weights)):
            if values is not None:
                if name not in self._columns:
                    self._column(name, values.dtype)
                self._append(name, values)
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
            self._column(name, np.uint8 if is_text else np.int64)
        if self._texts[name] != is_text:
            raise ValueError("`blocks` must have user ids of one kind, got integers and strings; convert them first")
        for start in range(0, len(ids), texts.BLOCK):
            part = ids[start : start + texts.BLOCK]
            self._append(name, texts.pack(part) if is_text else part)

    def _column(self, name: str, dtype: npt.DTypeLike) -> None:
        with told(self._path):
            self._columns[name] = _Column(self._folder.path / f"{name}.npy", np.dtype(dtype))

    def _append(self, name: str, values: Array) -> None:
        with told(self._path):
            self._columns[name].append(values)

    def finish(self, item_ids: Array, ids_given: tuple[bool, bool], repeats: Repeats | None = None) -> None:
        """Write the ids and the header, sync everything, and give the folder its name."""
        self.append_ids("item_ids", item_ids)
        for name in ("user_ids", "item_ids"):
            if name not in self._columns:
                self._texts[name] = self._empty.get(name, False)
                self._column(name, np.uint8 if self._texts[name] else np.int64)
        header: dict[str, Any] = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION if "weights" in self._columns else WITHOUT_WEIGHTS,
            "library_version": __version__,
            "shape": [self._users, len(item_ids)],
            "nnz": self._nnz,
            "ids_given": list(ids_given),
            **({} if repeats is None else {"repeats": [repeats.which, repeats.count]}),
            "arrays": {
                name: self._columns[name].described | {"texts": self._texts.get(name, False)}
                for name in NAMES
                if name in self._columns
            },
        }
        header["token"] = token = hashlib.sha256(json.dumps(header).encode()).hexdigest()[:16]
        with told(self._path):
            for column in self._columns.values():
                column.finish(token)
            stored = map_array(self._folder.handle, "user_ids", header["arrays"]["user_ids"], token)
            ids = StoredIds(self._path, "user_ids", stored, self._users, self._texts.get("user_ids", False))
            _refuse_repeated(ids.load())
            replace_content(self._folder.path / HEADER, json.dumps(header, indent=1))
            self._folder.take_name(self._require_room)

    def __exit__(self, *_: object) -> None:
        for column in self._columns.values():
            column.close()
        self._folder.close()


@contextlib.contextmanager
def told(path: Path) -> Iterator[None]:
    """Have troubles of the file system name the folder that was asked for, not the one that was being filled."""
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error


class _Column:
    """A one-dimensional .npy file that grows; its length and the folder's token are filled in at the end."""

    def __init__(self, path: Path, dtype: np.dtype[Any]) -> None:
        self._dtype, self._length, self._hash = dtype, 0, hashlib.sha256()
        self._file = path.open("wb")
        self._write_head("")

    def append(self, values: Array) -> None:
        if not np.can_cast(values.dtype, self._dtype, "safe") or not _fit(values, self._dtype):
            raise ValueError(
                f"`blocks` must have timestamps of one type, got {self._dtype}, then {values.dtype}; convert them first"
            )
        length = chunk_length(self._dtype)
        for start in range(0, len(values), length):
            part = np.ascontiguousarray(values[start : start + length], self._dtype)
            content = part.tobytes()
            self._file.write(content)
            self._hash.update(content)
        self._file.flush()  # a process that is forked now must have nothing of it to write
        self._length += len(values)

    @property
    def described(self) -> dict[str, Any]:
        """What the header says of the array."""
        return {"dtype": self._dtype.str, "sha256": self._hash.hexdigest()}

    def finish(self, token: str) -> None:
        """Complete the file."""
        self._file.seek(0)
        self._write_head(token)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def close(self) -> None:
        """Close the file of a writer that may have failed: what was not written then stays so."""
        with contextlib.suppress(OSError):
            self._file.close()

    def _write_head(self, token: str) -> None:
        self._file.write(array_head(self._dtype, (self._length,), token))
        self._file.flush()


def array_head(dtype: np.dtype[Any], shape: tuple[int, ...], token: str) -> bytes:
    """Return the head of an .npy file, format 1.0, with the token as a comment; of the same size for any shape."""
    head = {"descr": dtype.str, "fortran_order": False, "shape": shape}
    magic = np.lib.format.magic(1, 0)
    size = HEAD - len(magic) - 2
    text = f"{head} # {token}".encode().ljust(size - 1) + b"\n"
    if len(text) > size:
        raise ValueError(f"the head of an array does not fit {HEAD} bytes: {head}")
    return magic + size.to_bytes(2, "little") + text


def _fit(values: Array, dtype: np.dtype[Any]) -> bool:
    """Return whether floats hold all integers exactly, which NumPy calls safe in any case."""
    return dtype.kind != "f" or values.dtype.kind == "f" or not len(values) or int(np.abs(values).max()) <= EXACT


def _refuse_repeated(user_ids: Array) -> None:
    if len(sorted_unique(user_ids)) < len(user_ids):
        ordered = np.sort(user_ids, kind="stable")  # see `sorted_unique`
        twice = ordered[1:][ordered[1:] == ordered[:-1]][:1].tolist()[0]
        raise ValueError(
            f"`blocks` must have user ids that are distinct over all blocks, got {twice!r} more than once; blocks that "
            "are SciPy matrices have their rows numbered"
        )
