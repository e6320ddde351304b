"""The folder of an experiment: one run at a time, and results that are there whole or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec._training import archive as _model_file
from fastautorec._version import __version__
from fastautorec.exceptions import ModelFileError

KIND = "run"
RUNS = "runs"

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Stored:
    """What is kept of a run: figures for each user, and plain values."""

    values: dict[str, Any]
    arrays: Arrays


class Store:
    """A folder that one process at a time works in; used as a context.

    Parameters
    ----------
    folder : Path
        Made if it is not there.

    Raises
    ------
    BlockingIOError
        On entering, if another process works in it. The lock is gone with its process, even if that is
        killed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._lock = -1

    def __enter__(self) -> Store:
        (self.folder / RUNS).mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(self._lock, 32).decode("ascii", "replace").strip()
            os.close(self._lock)
            raise BlockingIOError(
                f"another run{f', process {owner},' if owner else ''} is working in {self.folder}; wait for it, or "
                "take another folder with --output"
            ) from None
        except OSError:  # a file system without locks, say
            os.close(self._lock)
            raise
        os.truncate(self._lock, 0)
        os.write(self._lock, f"{os.getpid()}\n".encode())
        return self

    def __exit__(self, *_: object) -> None:
        os.truncate(self._lock, 0)
        os.close(self._lock)

    def load(self, key: str) -> Stored | None:
        """Return a finished run, or None where there is none that can be read."""
        try:
            values, arrays = _model_file.read(self._path(key), KIND)
        except (FileNotFoundError, ModelFileError):
            return None
        return Stored(values["values"], {name: array for name, array in arrays.items() if array is not None})

    def save(self, key: str, stored: Stored) -> Stored:
        """Keep a run, and return it as it will be read back."""
        _model_file.write(self._path(key), {"values": stored.values}, dict(stored.arrays), KIND)
        return Stored(_model_file.plain(stored.values), stored.arrays)

    def checkpoint(self, key: str) -> Path:
        """Return where an unfinished run may keep its state."""
        return self.folder / RUNS / f"{key}.unfinished"

    def _path(self, key: str) -> Path:
        return self.folder / RUNS / f"{key}.npz"


def key_of(**what: Any) -> str:
    """Return the hash of everything that a result depends on, the version of the library included.

    >>> key_of(seed=0) == key_of(seed=0) != key_of(seed=1)
    True
    """
    text = json.dumps({"version": __version__, **what}, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _plain(value: Any) -> Any:
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be part of a key")
