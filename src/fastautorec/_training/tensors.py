"""Model files in the format of safetensors, which programs in other languages read: a JSON header, then the arrays.

The header of the model is in the metadata, and texts are packed as in `archive`. Nothing is ever unpickled.

References
----------
https://github.com/huggingface/safetensors, section "Format".
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from pathlib import Path
from typing import IO, Any

import numpy as np

from fastautorec._files import replace_file
from fastautorec._training import archive

TYPES = {"U8": "|u1", "I32": "<i4", "I64": "<i8", "F32": "<f4", "F64": "<f8"}
NAMES = {dtype: name for name, dtype in TYPES.items()}
METADATA = "__metadata__"
OWN = "fastautorec"  # the key of our header in the metadata
CHECKSUM = "sha256"  # the key of its checksum
LENGTH = 8  # bytes of the length of the JSON
MAX_HEADER = 100_000_000  # bytes of the JSON, a rule of the format


def write(path: Path, header: dict[str, Any], arrays: archive.Arrays) -> None:
    """Write header and arrays; the file at ``path`` is replaced in one step, and only once the new one is complete."""
    header, stored = archive.prepared(header, arrays)
    own = json.dumps(header)
    described: dict[str, Any] = {METADATA: {OWN: own, CHECKSUM: _digest(own)}}
    stored = dict(sorted(stored.items(), key=lambda item: -item[1].itemsize))  # so that each begins at a whole number
    end = 0
    for name, array in stored.items():
        start, end = end, end + array.nbytes
        described[name] = {
            "dtype": NAMES[array.dtype.newbyteorder("<").str], "shape": list(array.shape), "data_offsets": [start, end]
        }  # fmt: skip
    text = json.dumps(described).encode()
    text += b" " * (-len(text) % LENGTH)

    def fill(file: IO[bytes]) -> None:
        file.write(len(text).to_bytes(LENGTH, "little") + text)
        for array in stored.values():
            file.write(array.astype(array.dtype.newbyteorder("<"), copy=False).reshape(-1).view(np.uint8).data)

    replace_file(path, fill)


def is_one(path: Path) -> bool:
    """Return whether a file begins as one of safetensors."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(LENGTH + 1)
    return start[LENGTH:] == b"{" and int.from_bytes(start[:LENGTH], "little") <= MAX_HEADER


def read(path: Path) -> tuple[dict[str, Any], archive.Arrays]:
    """Return header and arrays, checked against their checksums.

    Raises
    ------
    OSError, ModelFileError
        As `fastautorec.load`.
    """
    with path.open("rb") as file:
        try:
            described = json.loads(file.read(int.from_bytes(file.read(LENGTH), "little")))
            metadata = described.pop(METADATA, None) or {}
            if OWN not in metadata:
                raise archive.foreign(path, "a file of safetensors that another program has written")
            if _digest(metadata[OWN]) != metadata.get(CHECKSUM):
                raise ValueError("its header does not match its checksum")
            header = json.loads(metadata[OWN])
            archive.check_version(path, header)
            arrays = _arrays(file, described, header["arrays"])
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise archive.damaged(path, error) from error
    return header, archive.checked(path, header, arrays, archive.MODEL)


def _arrays(file: IO[bytes], described: dict[str, Any], names: dict[str, str | None]) -> archive.Arrays:
    """Return the arrays of a file whose header was read."""
    begin = file.tell()
    size = os.fstat(file.fileno()).st_size - begin
    arrays: archive.Arrays = dict.fromkeys(names)
    total = 0
    for name in (name for name, digest in names.items() if digest is not None):
        dtype, shape = np.dtype(TYPES[described[name]["dtype"]]), tuple(described[name]["shape"])
        start, end = described[name]["data_offsets"]
        total += end - start
        if not 0 <= start <= end <= size or total > size or end - start != dtype.itemsize * math.prod(shape):
            raise ValueError(f"array {name!r} does not fit the file")
        file.seek(begin + start)
        arrays[name] = np.fromfile(file, dtype, math.prod(shape)).reshape(shape)
    return arrays


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
