"""Checkpoints: everything that continues a training run bit for bit, written now and then and in one step."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec._compute.csr import Csr
from fastautorec._files import target_of
from fastautorec._training import archive as _model_file
from fastautorec._version import __version__
from fastautorec.data._identity import fingerprint
from fastautorec.exceptions import ModelFileError

KIND = "checkpoint"
ENTRIES = {"identity", "progress", "steps", "history", "notes"}  # of the header
SHARE = 0.05  # of the time may go into writing
FREE_PARAMS = {"device", "num_threads"}  # they don't change the result

Arrays = dict[str, npt.NDArray[Any]]


class Checkpoint:
    """Where to write checkpoints and where to continue from.

    Parameters
    ----------
    path : Path, optional
        Written after epochs, as often as a twentieth of the time allows.
    resume : Path, optional
        An earlier one to continue from.
    data : Interactions or scipy sparse, optional
        The training data, whose ids must be the same in a continuation.

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If ``path`` cannot be written for want of a folder, or because it is one: now, not after an epoch.
    OSError
        If it is a device, a pipe or a socket.
    """

    def __init__(self, path: Path | None = None, resume: Path | None = None, data: Any = None) -> None:
        if path is not None and not path.parent.is_dir():
            raise FileNotFoundError(f"`checkpoint`={str(path)!r} is in a folder that does not exist; create it first")
        if path is not None and path.is_dir():
            raise IsADirectoryError(f"`checkpoint`={str(path)!r} is a folder; name a file in it")
        if path is not None:
            target_of(path)
        self._path, self._resume, self._data = path, resume, data
        self._identity: dict[str, Any] = {}
        self._next = 0.0

    @property
    def active(self) -> bool:
        """Whether there is a file to write or to read."""
        return self._path is not None or self._resume is not None

    def identify(self, identity: dict[str, Any]) -> None:
        """Say what must be the same in a run and in its continuation."""
        self._identity = identity | {"ids": fingerprint(self._data)}

    def load(self) -> tuple[dict[str, Any], Arrays] | None:
        """Return header and arrays to continue from, or None."""
        if self._resume is None:
            return None
        header, arrays = _model_file.read(self._resume, KIND)
        missing = ENTRIES - header.keys()
        if missing:
            raise _model_file.damaged(self._resume, f"its header lacks {', '.join(sorted(missing))}", KIND)
        for name, here in self._identity.items():
            there = header["identity"].get(name)
            if there != here:
                raise ModelFileError(_difference(self._resume, name, there, here))
        return header, {name: array for name, array in arrays.items() if array is not None}

    def write(self, state: Callable[[], tuple[dict[str, Any], Arrays]]) -> None:
        """Write what ``state`` returns, unless the last time is too short ago."""
        started = time.perf_counter()
        if self._path is None or started < self._next:
            return
        header, arrays = state()
        _model_file.write(self._path, header | {"identity": self._identity}, dict(arrays), KIND)
        ended = time.perf_counter()
        self._next = ended + (ended - started) / SHARE


def identity(
    model: str, params: dict[str, Any], train: Csr | list[Any], validation: Csr | list[Any] | None = None
) -> dict[str, Any]:
    """Return what a run must share with the one that it continues; data that are not here are told by a list."""
    kept = {name: value for name, value in params.items() if name not in FREE_PARAMS}
    if isinstance(kept.get("random_state"), np.random.Generator):
        kept["random_state"] = "a generator"
    return {
        "version": __version__,
        "model": model,
        "parameters": _model_file.plain(kept),
        "training data": _fingerprint(train),
        "validation data": None if validation is None else _fingerprint(validation),
    }


def _fingerprint(matrix: Csr | list[Any]) -> Any:
    if isinstance(matrix, list):
        return matrix
    own = matrix.to_host().rebased()
    digest = hashlib.sha256(f"{own.shape}".encode())
    digest.update(np.ascontiguousarray(own.indptr).data)
    digest.update(np.ascontiguousarray(own.indices).data)
    return digest.hexdigest()


def _difference(path: Path, name: str, there: Any, here: Any) -> str:
    if name == "parameters" and isinstance(there, dict):
        changed = [key for key in here if there.get(key) != here[key]]
        details = ", ".join(f"{key}={there.get(key)!r} there and {here[key]!r} here" for key in changed)
    elif name == "ids" or name.endswith("data"):
        others = "other ids" if name == "ids" else "other interactions"
        details = others if there and here else f"{'some' if there else 'none'} there"
    else:
        details = f"{there!r} there, {here!r} here"
    return (
        f"`resume`={str(path)!r} belongs to another run: its {name} differ ({details}); continue with the same model, "
        "parameters, data and version, or leave out `resume`"
    )
