"""Model files: NumPy's npz format with a JSON header. Nothing in them is ever unpickled."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import fastautorec
from fastautorec import models
from fastautorec.exceptions import ModelFileError
from fastautorec.models import Recommender

__all__ = ["load"]

FORMAT = "fastautorec model"
FORMAT_VERSION = 1
HEADER = "header"
IDS = "item_ids_"  # of every model: the caller's own item ids, or None


def load(path: str | PathLike[str]) -> Recommender:
    """Return the fitted model that ``model.save(path)`` wrote.

    Parameters
    ----------
    path : path

    Returns
    -------
    Recommender
        An instance of the class that was saved, with its parameters and fitted attributes.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ModelFileError
        If the file is not a model file, is damaged, or was written by a newer version.

    Examples
    --------
    >>> import fastautorec as far, tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.npz"
    >>> far.Popularity().fit(far.datasets.load_example()).save(path)
    >>> far.load(path)
    Popularity()
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no model file at {path}")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            header = _read_header(path, archive)
            arrays = {name: None if digest is None else archive[name] for name, digest in header["arrays"].items()}
    except ModelFileError:
        raise
    except Exception as error:  # whatever a reader of zip files and arrays may raise on damaged bytes
        raise _damaged(path, error) from error
    for name, array in arrays.items():
        if array is not None and _digest(array) != header["arrays"][name]:
            raise _damaged(path, f"array {name!r} does not match its checksum")
    return _build(path, header, arrays)


def save_model(model: Recommender, path: str | PathLike[str]) -> None:
    """Write a fitted model; the file at ``path`` is replaced in one step, and only once the new one is complete."""
    values = {name: getattr(model, name) for name in (*model._arrays, IDS)}
    arrays = {name: _plain(np.ascontiguousarray(value)) for name, value in values.items() if value is not None}
    header = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "library_version": fastautorec.__version__,
        "model": type(model).__name__,
        "params": {name: _json_param(name, value) for name, value in model.get_params().items()},
        "fitted": {name: getattr(model, name) for name in _scalars(model)},
        "arrays": {name: _digest(arrays[name]) if name in arrays else None for name in values},
    }
    text = np.frombuffer(json.dumps(header).encode(), np.uint8)
    _write_atomically(Path(path), {HEADER: text, **arrays})


def _write_atomically(path: Path, arrays: dict[str, npt.NDArray[Any]]) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)  # the rename itself survives a power cut
    finally:
        os.close(directory)


def _read_header(path: Path, archive: Any) -> dict[str, Any]:
    header = json.loads(archive[HEADER].tobytes().decode()) if HEADER in getattr(archive, "files", ()) else None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ModelFileError(f"{path} is not a fastautorec model file; write one with model.save(path)")
    version = header.get("format_version")
    if not isinstance(version, int) or version < 1:
        raise _damaged(path, f"format version {version!r}")
    if version > FORMAT_VERSION:
        raise ModelFileError(
            f"{path} has model format {version}, written by fastautorec {header.get('library_version')}, but this "
            f"version ({fastautorec.__version__}) reads formats up to {FORMAT_VERSION}; update fastautorec"
        )
    return header


def _build(path: Path, header: dict[str, Any], arrays: dict[str, npt.NDArray[Any] | None]) -> Recommender:
    name = header.get("model")
    if name not in models.__all__ or name == "Recommender":
        raise ModelFileError(f"{path} holds a model of the unknown class {name!r}; update fastautorec")
    cls = getattr(models, name)
    if arrays.keys() != {*cls._arrays, IDS}:
        raise _damaged(path, f"it holds the arrays {sorted(arrays)}")
    try:
        model: Recommender = cls(**header["params"])
        model.__dict__.update(header["fitted"] | arrays)
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, error) from error
    return model


def _scalars(model: Recommender) -> list[str]:
    """Return the names of the fitted attributes that are not arrays."""
    return [name for name in vars(model) if name.endswith("_") and name not in {*model._arrays, IDS}]


def _plain(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return an array without Python objects, which a file could only hold pickled."""
    return array if array.dtype != object else np.array([str(value) for value in array])


def _json_param(name: str, value: Any) -> Any:
    if isinstance(value, np.random.Generator):
        return 0  # a generator's state has moved on; the arrays are what counts
    if isinstance(value, (tuple, np.ndarray)):
        return [_json_param(name, v) for v in value]
    return value.item() if isinstance(value, np.generic) else value


def _digest(array: npt.NDArray[Any]) -> str:
    shape = f"{array.dtype.str} {array.shape} "
    return hashlib.sha256(shape.encode() + np.ascontiguousarray(array).tobytes()).hexdigest()


def _damaged(path: Path, reason: object) -> ModelFileError:
    return ModelFileError(
        f"{path} is not a readable model file ({reason}); it may be truncated or damaged: save it again"
    )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
