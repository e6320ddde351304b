"""The bytes of model and checkpoint files: NumPy's npz format with a JSON header. Nothing is ever unpickled.

Format 2 keeps texts as bytes (see `fastautorec.data._texts`) and names those arrays in its header; format 1 had them
as wide as the longest one.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import stat
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from fastautorec._files import replace_file
from fastautorec._version import __version__
from fastautorec.data import _texts as texts
from fastautorec.exceptions import ModelFileError

MODEL = "model"
FORMAT_VERSION = 2
HEADER = "header"

FOLDER = "a folder; Interactions.open reads a folder of interactions"

_LOOK = 512  # bytes that tell what a file is
_CHUNK = 1 << 20  # bytes that are read together
_ZIP = b"PK\x03\x04"
_KNOWN = {
    b"PAR1": "a Parquet file; read_ratings reads ratings",
    b"\x93NUMPY": "a NumPy array",
    b"\x1f\x8b": "a gzip file",
    b"\x89HDF": "an HDF5 file",
    **{bytes([0x80, number]): "a pickle, and these are never opened" for number in range(2, 6)},
}

Arrays = dict[str, npt.NDArray[Any] | None]


def write(path: Path, header: dict[str, Any], arrays: Arrays, kind: str = MODEL) -> None:
    """Write header and arrays; the file at ``path`` is replaced in one step, and only once the new one is complete."""
    header, stored = prepared(header, arrays, kind)
    text = np.frombuffer(json.dumps(header).encode(), np.uint8)
    members: dict[str, Any] = {HEADER: text, **stored}
    replace_file(path, lambda file: np.savez(file, **members))


def prepared(
    header: dict[str, Any], arrays: Arrays, kind: str = MODEL
) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Return the header as it is written, which has a checksum of each array, and the arrays that are."""
    plain_arrays = {name: _plain(array) for name, array in arrays.items() if array is not None}
    packed = {name: texts.pack(array) for name, array in plain_arrays.items() if texts.is_text(array)}
    stored = {name: np.ascontiguousarray(array) for name, array in (plain_arrays | packed).items()}
    header = {
        "format": f"fastautorec {kind}",
        "format_version": FORMAT_VERSION,
        "library_version": __version__,
        **header,
        "arrays": {name: digest_of(stored[name]) if name in stored else None for name in arrays},
        "texts": list(packed),
    }
    return plain(header), stored


def read(path: Path, kind: str = MODEL) -> tuple[dict[str, Any], Arrays]:
    """Return header and arrays, checked against their checksums.

    Raises
    ------
    OSError, ModelFileError
        As `fastautorec.load`.
    """
    with _open(path, kind) as file:
        try:
            with np.load(file, allow_pickle=False) as archive:
                header = _read_header(path, archive, kind)
                arrays: Arrays = {
                    name: None if digest is None else _member(archive, name)
                    for name, digest in header["arrays"].items()
                }
        except (ModelFileError, MemoryError):
            raise
        except Exception as error:  # what readers of zip files and arrays may raise on damaged bytes
            if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
                raise  # a disk that cannot be read, say: the file may be good
            raise damaged(path, error, kind) from error
    return header, checked(path, header, arrays, kind)


def checked(path: Path, header: dict[str, Any], arrays: Arrays, kind: str) -> Arrays:
    """Return arrays as they were before they were written, or raise ModelFileError where a checksum says otherwise."""
    for name, array in arrays.items():
        if array is not None and digest_of(array) != header["arrays"][name]:
            raise damaged(path, f"array {name!r} does not match its checksum", kind)
    try:
        for name, array in arrays.items():
            if array is not None and name in header.get("texts", ()):
                arrays[name] = texts.unpack(array)
            elif array is not None and texts.is_text(array):  # format 1
                arrays[name] = texts.as_text(array)
    except (TypeError, ValueError) as error:
        raise damaged(path, f"array {name!r}: {error}", kind) from error
    return arrays


def _open(path: Path, kind: str) -> IO[bytes]:
    """Open a file that may be one of ours, or say what it is."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise FileNotFoundError(f"no {kind} file at {path}") from None
    if stat.S_ISDIR(mode):
        raise foreign(path, FOLDER, kind)
    if not stat.S_ISREG(mode):
        raise foreign(path, "a pipe or a device, and no regular file", kind)
    file = path.open("rb")
    start = file.read(_LOOK)
    file.seek(0)
    if start.startswith(_ZIP):
        return file
    file.close()
    if start and _ZIP.startswith(start):
        raise damaged(path, f"it ends after {len(start)} bytes", kind)
    raise foreign(path, _what_it_is(start), kind)


def _what_it_is(start: bytes) -> str:
    """Return in words what a file is that begins with these bytes, and what to do with it."""
    for beginning, words in _KNOWN.items():
        if start.startswith(beginning):
            return words
    try:
        text = start.decode("utf-8") if len(start) < _LOOK else start[:-4].decode("utf-8", "ignore")
    except UnicodeDecodeError:
        text = "\0"
    if not start:
        return "empty"
    if "\0" in text:
        return "of some other format"
    return f"a text file that begins with {text.splitlines()[0][:40]!r}; read_ratings reads ratings"


def foreign(path: Path, words: str, kind: str = MODEL) -> ModelFileError:
    """Return the error for what is something else, in words."""
    return ModelFileError(f"{path} is not a fastautorec {kind} file: it is {words}")


def _check_sizes(archive: Any) -> None:
    """Raise ValueError where members could take more memory than the file has bytes."""
    members = archive.zip.infolist()
    for info in members:
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise ValueError(f"{info.filename!r} is compressed, which files of this library never are")
    if sum(info.file_size for info in members) > os.fstat(archive.zip.fp.fileno()).st_size:
        raise ValueError("its members are larger than the file")


def _member(archive: Any, name: str) -> npt.NDArray[Any]:
    """Return an array of the file, which takes no more memory than it takes there."""
    member = f"{name}.npy"
    if member not in archive.zip.namelist():
        raise ValueError(f"{name!r} is no array" if name in archive.zip.namelist() else f"{name!r} is not there")
    with archive.zip.open(member) as file:
        np.lib.format.read_magic(file)
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(file)
        if dtype.hasobject:  # our own words, because NumPy's recommend unpickling
            raise ValueError(f"{name!r} holds Python objects, which are never read")
        size = archive.zip.getinfo(member).file_size - file.tell()
        if not dtype.itemsize or math.prod(shape) * dtype.itemsize != size:
            raise ValueError(f"{name!r} has not the size that its head tells")
        content = np.empty(size, np.uint8)
        for start in range(0, size, _CHUNK):
            part = file.read(min(_CHUNK, size - start))
            content[start : start + len(part)] = np.frombuffer(part, np.uint8)
        file.read(1)  # past the end, where the checksum of the archive is looked at
    return content.view(dtype).reshape(shape, order="F" if by_columns else "C")


def damaged(path: Path, reason: object, kind: str = MODEL) -> ModelFileError:
    """Return the error for a file that cannot be understood."""
    return ModelFileError(
        f"{path} is not a readable {kind} file ({reason}); it may be truncated or damaged: save it again"
    )


def _read_header(path: Path, archive: Any, kind: str) -> dict[str, Any]:
    header = None
    if HEADER in getattr(archive, "files", ()):
        _check_sizes(archive)
        header = json.loads(_member(archive, HEADER).tobytes().decode())
    if not isinstance(header, dict) or header.get("format") != f"fastautorec {kind}":
        source = "model.save(path)" if kind == MODEL else "fit(..., checkpoint=path)"
        raise ModelFileError(f"{path} is not a fastautorec {kind} file; write one with {source}")
    check_version(path, header, kind)
    return header


def check_version(path: Path, header: dict[str, Any], kind: str = MODEL) -> None:
    """Raise ModelFileError for the header of a later version."""
    version = header.get("format_version")
    if not isinstance(version, int) or version < 1:
        raise damaged(path, f"format version {version!r}", kind)
    if version > FORMAT_VERSION:
        raise ModelFileError(
            f"{path} has {kind} format {version}, written by fastautorec {header.get('library_version')}, but this "
            f"version ({__version__}) reads formats up to {FORMAT_VERSION}; update fastautorec"
        )


def plain(header: dict[str, Any]) -> Any:
    """Return a header as it will be read back."""
    return json.loads(json.dumps(header, default=_json_value))


def _plain(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return an array without Python objects, which a file could only hold pickled."""
    return array if array.dtype != object else texts.text_array([str(value) for value in array])


def _json_value(value: Any) -> Any:
    if isinstance(value, np.random.Generator):
        return 0  # the state of a generator has moved on since the fit; only the arrays count
    return value.tolist() if isinstance(value, (np.generic, np.ndarray)) else str(value)


def digest_of(array: npt.NDArray[Any]) -> str:
    """Return the SHA-256 of an array with its type and shape."""
    digest = hashlib.sha256(f"{array.dtype.str} {array.shape} ".encode())
    digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
