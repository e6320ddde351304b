"""Model folders: one .npy file for each array and a JSON header, which many processes can map. Nothing is unpickled.

A folder appears under its name in one step and is never changed from then on, as one of interactions
(`fastautorec.data._store`). The head of each array has the beginning of its checksum as a comment. So a file of another
array, or of another model, is told without reading it.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec._files import replace_content
from fastautorec._training import archive
from fastautorec.data import _folders
from fastautorec.data import _store as store
from fastautorec.data import _texts as texts
from fastautorec.data._store_writer import array_head, told
from fastautorec.exceptions import ModelFileError

FORMAT = f"fastautorec {archive.MODEL}"
HEADER = store.HEADER
MAX_HEADER = 1 << 28  # bytes of the JSON, which has a record of each epoch
MARK = 16  # digits of a checksum that are in the head of its array


class MappedTexts:
    """Texts of a mapped file, read when they are asked for; until then it acts as their array."""

    ndim = 1
    dtype = np.dtype(np.str_)

    def __init__(self, path: Path, name: str, packed: npt.NDArray[np.uint8], count: int) -> None:
        """Take the bytes of so many texts."""
        self.shape = (count,)
        self._path, self._name, self._packed = path, name, packed
        self._texts: npt.NDArray[Any] | None = None

    def __len__(self) -> int:
        return self.shape[0]

    def load(self) -> npt.NDArray[Any]:
        """Return the texts, the same array each time.

        Raises
        ------
        ModelFileError
            If the bytes are not so many texts.
        """
        if self._texts is None:
            try:
                found = texts.unpack(self._packed)
                if len(found) != len(self):
                    raise ValueError(f"it holds {len(found)} texts where {len(self)} are expected")
            except ValueError as error:
                raise archive.damaged(self._path, f"array {self._name!r}: {error}") from error
            self._texts = found
        return self._texts


Arrays = dict[str, "npt.NDArray[Any] | MappedTexts | None"]


# --- writing ----------------------------------------------------------------------------------------------------------


def write(path: Path, header: dict[str, Any], arrays: archive.Arrays) -> None:
    """Write a folder; a model folder at ``path`` is replaced in one step, and only once the new one is complete.

    Raises
    ------
    FileExistsError
        If what is at ``path`` is no model folder.
    OSError
        If it cannot be written.
    """
    target = Path(os.path.realpath(path))

    def require_room() -> None:
        fix = store.obstacle_of(target, KIND) if os.path.lexists(target) else None
        if fix is not None:
            raise FileExistsError(f"`path`={str(path)!r} exists already; {fix}")

    if not target.parent.is_dir():
        raise FileNotFoundError(f"no folder {target.parent} to save {target.name} in; create it first")
    lengths = {name: len(array) for name, array in arrays.items() if array is not None}
    header, stored = archive.prepared(header, arrays)
    described = {
        name: {"dtype": array.dtype.str, "shape": list(array.shape), "sha256": header["arrays"][name]}
        | ({"texts": lengths[name]} if name in header["texts"] else {})
        for name, array in stored.items()
    }
    header = {**header, "arrays": {name: described.get(name) for name in arrays}}
    del header["texts"]
    with told(path):
        require_room()
        folder = _folders.NewFolder(target, HEADER)
        try:
            for name, array in stored.items():
                _write_array(folder.path / f"{name}.npy", array, described[name]["sha256"][:MARK])
            replace_content(folder.path / HEADER, json.dumps({**header, "checksum": _checksum(header)}, indent=1))
            folder.take_name(require_room)
        finally:
            folder.close()


def _write_array(path: Path, array: npt.NDArray[Any], mark: str) -> None:
    with path.open("xb") as file:
        file.write(array_head(array.dtype, array.shape, mark))
        file.write(array.reshape(-1).view(np.uint8).data)
        file.flush()
        os.fsync(file.fileno())


def _is_file(name: str) -> bool:
    return name == HEADER or name.endswith(".npy")


def _checksum(header: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(header, sort_keys=True).encode()).hexdigest()


# --- reading ----------------------------------------------------------------------------------------------------------


def is_one(path: Path) -> bool:
    """Return whether a path is that of a folder, which may have no name for the moment in which it is replaced."""
    return path.is_dir() or (not path.exists() and bool(_folders.versions_beside(Path(os.path.realpath(path)), HEADER)))


def read(path: Path, mmap: bool, verify: bool) -> tuple[dict[str, Any], Arrays]:
    """Return header and arrays, read and checked against their checksums, or mapped.

    Of what is mapped, the header is checked, and of each array the type, the shape, the length of its file and the
    mark in its head; with ``verify`` all is read and its checksums compared.

    Raises
    ------
    OSError, ModelFileError
        As `fastautorec.load`.
    """
    return store.opened(path, lambda folder: _read(path, folder, mmap, verify), KIND)


def _read(path: Path, folder: int, mmap: bool, verify: bool) -> tuple[dict[str, Any], Arrays]:
    header = _read_header(path, folder)
    arrays: Arrays = {}
    try:
        for name, described in header["arrays"].items():
            arrays[name] = None if described is None else _array(path, folder, name, described, mmap, verify)
    except (ModelFileError, OSError, MemoryError):  # the last two may pass, and the folder be good
        raise
    except Exception as error:  # whatever NumPy may raise on damaged files
        raise archive.damaged(path, error) from error
    return header, arrays


def _array(
    path: Path, folder: int, name: str, described: dict[str, Any], mmap: bool, verify: bool
) -> npt.NDArray[Any] | MappedTexts:
    digest, count = described["sha256"], described.get("texts")
    array = store.map_array(folder, name, described, digest[:MARK])
    if (verify or not mmap) and archive.digest_of(array) != digest:
        raise ValueError(f"array {name!r} does not match its checksum")
    if count is None:
        return array if mmap else np.array(array)
    lazy = MappedTexts(path, name, array, count)
    if verify or not mmap:
        lazy.load()
    return lazy


def _read_header(path: Path, folder: int) -> dict[str, Any]:
    header = store.read_header(path, folder, KIND)
    archive.check_version(path, header)
    if header.pop("checksum", None) != _checksum(header) or not isinstance(header.get("arrays"), dict):
        raise archive.damaged(path, f"{HEADER} does not match its checksum")
    return header


KIND = store.Kind(
    "a model",
    "model file",
    FORMAT,
    MAX_HEADER,
    _is_file,
    archive.damaged,
    lambda path: archive.foreign(path, archive.FOLDER),
)
