"""The models that an experiment may name, found when they are wanted."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from fastautorec import models
from fastautorec.experiments import _schema as schema
from fastautorec.models import Recommender

FREE = ("random_state", "device", "num_threads")  # they belong to the run, not to the model


def class_names() -> tuple[str, ...]:
    """Return the names of all models."""
    baselines = importlib.import_module("fastautorec.baselines")
    own = (name for name in models.__all__ if name != "Recommender")
    return (*own, *baselines.__all__)


def find_class(name: str) -> type[Recommender]:
    """Return the model class of that name.

    Raises
    ------
    ValueError
        If there is none.
    ImportError
        If it needs a package that is not installed; the message names the extra.
    """
    if name not in class_names():
        raise ValueError(f"there is no model class {name!r}; {schema.nearest(name, class_names())}")
    home = models if name in models.__all__ else importlib.import_module("fastautorec.baselines")
    cls: type[Recommender] = getattr(home, name)
    return cls


def check_model(name: str, params: Mapping[str, Any], paper: bool) -> None:
    """Raise ValueError or TypeError if there is no such model, or it does not take these parameters."""
    try:
        cls = find_class(name)
    except ImportError:
        return  # told when it is its turn, so that the others can run
    known = tuple(param for param in cls._param_names() if param not in FREE)
    for param in params:
        if param in FREE:
            raise ValueError(
                f"`params` must not hold `{param}`; seeds are given beside them, the rest is not the model's"
            )
        if param not in known:
            raise ValueError(f"{name} has no parameter `{param}`; {schema.nearest(param, known)}")
    if paper and not hasattr(cls, "paper"):
        raise ValueError(f"{name} has no configuration of the paper; leave out `paper`")
    make_model(name, params, paper, seed=0)._check_params()


def make_model(name: str, params: Mapping[str, Any], paper: bool, seed: int) -> Recommender:
    """Return an unfitted model."""
    cls = find_class(name)
    given = dict(params)
    if takes_seed(cls):
        given["random_state"] = seed
    model: Recommender = cls.paper(**given) if paper else cls(**given)  # type: ignore[attr-defined]
    return model


def takes_seed(cls: type[Recommender]) -> bool:
    """Return whether a model draws random numbers."""
    return "random_state" in cls._param_names()
