"""Loading models: `load`. Saving is a method of every model."""

from __future__ import annotations

import copy
from os import PathLike
from pathlib import Path

from fastautorec import baselines, models
from fastautorec._training import archive as _model_file
from fastautorec.exceptions import ModelFileError
from fastautorec.models import Recommender

__all__ = ["load"]


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
    OSError
        If there is no such file (FileNotFoundError), or it cannot be opened or read.
    ModelFileError
        If the file is not a model file (the message says what it is), is damaged, or was written by a newer version.

    Examples
    --------
    >>> import fastautorec as far, tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.npz"
    >>> far.Popularity().fit(far.datasets.load_example()).save(path)
    >>> far.load(path)
    Popularity()
    """
    path = Path(path)
    header, arrays = _model_file.read(path)
    name = str(header.get("model"))
    homes = [module for module in (models, baselines) if name in module.__all__]
    if not homes or name == "Recommender":
        raise ModelFileError(f"{path} holds a model of the unknown class {name!r}; update fastautorec")
    cls = getattr(homes[0], name)
    stored = set(cls._stored_arrays())
    for name in {"user_ids_", "item_counts_"} & stored:
        arrays.setdefault(name, None)  # files of earlier versions hold none
    if arrays.keys() != stored:
        raise _model_file.damaged(path, f"it holds the arrays {sorted(arrays)}")
    try:
        ids, n_items = arrays["item_ids_"], header["fitted"]["n_items_"]
        if ids is not None and len(ids) != n_items:
            raise ValueError(f"it holds {len(ids)} item ids where {n_items} are expected")
        model: Recommender = cls._with_params(dict(header["params"]))
        model.__dict__.update(header["fitted"] | arrays, fitted_params_=copy.deepcopy(model.get_params()))
    except (KeyError, TypeError, ValueError) as error:
        raise _model_file.damaged(path, error) from error
    return model
