"""Loading models: `load`. Saving is a method of every model."""

from __future__ import annotations

import copy
from os import PathLike
from pathlib import Path
from typing import Any

from fastautorec import baselines, models
from fastautorec._checks import check_bool, check_path
from fastautorec._training import archive as _model_file
from fastautorec._training import folder as _folder
from fastautorec._training import tensors as _tensors
from fastautorec._version import __version__
from fastautorec.exceptions import ModelFileError
from fastautorec.models import Recommender
from fastautorec.models._stored import SUMS

__all__ = ["load"]


def load(path: str | PathLike[str], mmap: bool = False, verify: bool = False) -> Recommender:
    """Return the fitted model that ``model.save(path)`` wrote.

    Parameters
    ----------
    path : path
    mmap : bool
        Map the arrays of a folder (``save(path, format="folder")``) instead of reading them: it takes milliseconds, and
        all processes of a machine share one copy. Names of items are read when they are first asked for.
    verify : bool
        Compare the checksums of mapped arrays too, which reads all of them once. Without ``mmap`` this is always done.
        Without ``verify`` a mapped file is known to be the right one, whole and of the right size, but not that no bit
        in it has changed.

    Returns
    -------
    Recommender
        An instance of the class that was saved, with its parameters and fitted attributes.

    Raises
    ------
    OSError
        If there is no such file (FileNotFoundError), or it cannot be opened or read.
    TypeError, ValueError
        If ``path``, ``mmap`` or ``verify`` is not usable: a file is read, and only a folder can be mapped.
    ModelFileError
        If it is not a model file or folder (the message says what it is), is damaged, or was written by a newer
        version.

    Examples
    --------
    >>> import fastautorec as far, tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.npz"
    >>> far.Popularity().fit(far.datasets.load_example()).save(path)
    >>> far.load(path)
    Popularity()
    """
    path = check_path("path", path)
    header, arrays = _read(path, check_bool("mmap", mmap), check_bool("verify", verify))
    name = str(header.get("model"))
    homes = [module for module in (models, baselines) if name in module.__all__]
    if not homes or name == "Recommender":
        raise ModelFileError(f"{path} holds a model of the unknown class {name!r}; update fastautorec")
    cls = getattr(homes[0], name)
    params = header.get("params")
    if isinstance(params, dict) and (unknown := sorted(params.keys() - cls().get_params().keys())):
        raise ModelFileError(
            f"{path} holds a {name} of fastautorec {header.get('library_version')}, which has the parameters {unknown} "
            f"that this version ({__version__}) does not have; update fastautorec"
        )
    stored = set(cls._stored_arrays())
    for name in {"user_ids_", "item_counts_"} & stored:
        arrays.setdefault(name, None)  # files of earlier versions hold none
    sums = {name.removeprefix(SUMS): arrays.pop(name) for name in list(arrays) if name.startswith(SUMS)} or None
    if arrays.keys() != stored:
        raise _model_file.damaged(path, f"it holds the arrays {sorted(arrays)}")
    try:
        ids, n_items = arrays["item_ids_"], header["fitted"]["n_items_"]
        if ids is not None and len(ids) != n_items:
            raise ValueError(f"it holds {len(ids)} item ids where {n_items} are expected")
        sizes = {"n": n_items}
        _require_shapes(cls._arrays, arrays, sizes)
        if sums is not None:
            _require_shapes(cls._sums, sums, sizes)
        model: Recommender = cls._with_params(dict(header["params"]))
        fitted = {name: array for name, array in arrays.items() if not isinstance(array, _folder.MappedTexts)}
        model.__dict__.update(header["fitted"] | fitted, sums_=sums, fitted_params_=copy.deepcopy(model.get_params()))
        if mapped := {name: arrays[name] for name in arrays.keys() - fitted.keys()}:
            vars(model)["_mapped"] = mapped
    except (KeyError, TypeError, ValueError) as error:
        raise _model_file.damaged(path, error) from error
    return model


def _read(path: Path, mmap: bool, verify: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    if _folder.is_one(path):
        header, arrays = _folder.read(path, mmap, verify)
        return header, {name: _now(name, array, mmap) for name, array in arrays.items()}
    if mmap and path.is_file():
        raise ValueError(
            f"`mmap` must be False for {path}, which is a file; what can be mapped is a folder, written with "
            "model.save(path, format='folder')"
        )
    return _tensors.read(path) if _tensors.is_one(path) else _model_file.read(path)


def _now(name: str, array: Any, mmap: bool) -> Any:
    """Return texts that have to be there at once as such: only the names of items can wait."""
    waits = mmap and name == "item_ids_"
    return array.load() if isinstance(array, _folder.MappedTexts) and not waits else array


_OTHERS = {"item_counts_": "int64 n or None", "user_ids_": "ids m or None", "item_ids_": "ids n or None"}


def _require_shapes(described: dict[str, str], arrays: dict[str, Any], sizes: dict[str, int]) -> None:
    """Raise ValueError for an array that another program has put there: it would fail where it is first used."""
    if described.keys() - arrays.keys():
        raise ValueError(f"{sorted(described.keys() - arrays.keys())} are not there")
    for name, words in (described | {name: words for name, words in _OTHERS.items() if name in arrays}).items():
        array, (dtype, *axes) = arrays[name], words.removesuffix(" or None").split()
        if array is None:
            if not words.endswith("None"):
                raise ValueError(f"{name!r} is not there")
            continue
        kind = "ids" if array.dtype.kind in "iuUT" and dtype == "ids" else array.dtype.name
        right = kind == dtype and array.dtype.isnative and array.ndim == len(axes)
        for axis, size in zip(axes, array.shape, strict=False):
            letter, more = axis.rstrip("+"), axis.endswith("+")
            known = int(letter) if letter.isdecimal() else sizes.setdefault(letter, size)
            right &= known <= size <= known + more
        if not right:
            raise ValueError(f"{name!r} is {array.dtype} {array.shape} where {words} is expected, with {sizes}")
