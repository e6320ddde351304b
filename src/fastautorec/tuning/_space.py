"""Spaces of a search: the defaults, and the meaning of the user's words."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from numbers import Real
from typing import Any

import numpy as np

from fastautorec._checks import check_random_state
from fastautorec.models import DLAE, NCEPLRec, Recommender
from fastautorec.models._autoencoder import Autoencoder
from fastautorec.models.dlae_cv import GRIDS

Space = dict[str, Any]

# The grids of the paper (section 4.2.2); its 50,000 and 500,000 negatives are left out, for they cost most and were
# worse than 500 on all of its data sets (Figure 5a).
FACTORS = [50, 100, 200, 500]
DECAYS = [10.0**exponent for exponent in range(-7, 5)]
BETAS = [0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3]
NEGATIVES = [5, 50, 500, 5000]
MODES = ["joint", "alternating", "limited", "full"]
CORRUPTIONS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]

# Values of this library: its penalties are relative, and the paper has no grid for the others.
PENALTIES = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0]
DROPOUTS = [0.0, 0.3, 0.5, 0.7]
NEIGHBOURS = [20, 50, 100, 200, 500]
ACTIVATIONS = ["relu", "identity"]
TRAINING: Space = {"weight_decay": DECAYS, "learning_rate": (1e-4, 3e-3, "log")}
NETWORK: Space = {"factors": FACTORS, "activation": ACTIVATIONS, "dropout": DROPOUTS}
SAMPLED: Space = {"negatives": NEGATIVES, "out": ["sigmoid", "logsigmoid", "tanh"]}
TWO_HEADS: Space = {"mode": MODES, "embedding_weight": (0.01, 1.0, "log")}

DEFAULTS: dict[str, Space] = {
    "AutoRec": {**NETWORK, **TRAINING},
    "OHNSAutoRec": {**NETWORK, **TRAINING, **SAMPLED},
    "NSAutoRec": {**NETWORK, **TRAINING, **SAMPLED, **TWO_HEADS, "regularization": PENALTIES},
    "NCEAutoRec": {
        **NETWORK, "beta": BETAS, "spectrum_power": [0.5, 0.75, 1.0],
        "popularity_discount": [0.0, 0.05, 0.1, 0.15, 0.2], "regularization": PENALTIES,
    },
    "NCEPLRec": {"factors": FACTORS, "beta": BETAS, "regularization": PENALTIES},
    "PureSVD": {"factors": [10, 20, *FACTORS]},
    "EASE": {"regularization": (1.0, 1e4, "log")},
    "DLAE": dict(GRIDS),
    "RP3beta": {"K": NEIGHBOURS, "alpha": (0.0, 2.0), "beta": (0.0, 1.0)},
    "ItemKNN": {"K": NEIGHBOURS, "similarity": ["cosine", "tfidf", "bm25"]},
    "WRMF": {"factors": FACTORS, "alpha": [1.0, 3.0, 10.0, 30.0, 100.0], "regularization": (1.0, 1e3, "log")},
    "BPR": {
        "factors": FACTORS, "learning_rate": (0.01, 0.1, "log"), "regularization": (1e-3, 0.1, "log"),
        "popularity": (0.0, 1.0),
    },
    "CML": {
        "factors": FACTORS, "learning_rate": (0.01, 0.3, "log"), "margin": (0.1, 2.0), "negatives": [5, 20, 50],
        "covariance_weight": (0.1, 100.0, "log"),
    },
    "CDAE": {"factors": FACTORS, "dropout": CORRUPTIONS, **TRAINING},
    "VAECF": {"factors": FACTORS, "dropout": CORRUPTIONS, "beta": (0.05, 1.0), **TRAINING},
}  # fmt: skip


def default_space(model: Recommender, n_vectors: int) -> Space:
    """Return what is tried where the user gives no space; parameters that are set in the model are not.

    There are no more factors than the data have singular vectors.
    """
    space = open_space(model, n_vectors)
    if space is None:
        raise ValueError(f"`space` must be given for {type(model).__name__}, which has no default space")
    if not space:
        raise ValueError(f"`space` must be given: all that is searched by default is set in {model!r}")
    return space


def open_space(model: Recommender, n_vectors: int) -> Space | None:
    """Return the default space without what is set in the model, or None where there is no such space."""
    names = [cls.__name__ for cls in type(model).__mro__ if cls.__name__ in DEFAULTS]
    if not names or chooses_itself(model):
        return None
    space = DEFAULTS[names[0]]
    if names[0] == "NCEAutoRec" and any(model._epochs_of_phases()):  # type: ignore[attr-defined]
        space = {**space, **TRAINING, **TWO_HEADS}
    defaults = type(model)().get_params()
    left = {name: value for name, value in space.items() if getattr(model, name) == defaults[name]}
    if "factors" in left:
        left["factors"] = [k for k in left["factors"] if k <= n_vectors] or [n_vectors]
    return left


def chooses_itself(model: Recommender) -> bool:
    """Return whether the model searches for its parameters when it is fitted."""
    return hasattr(model, "to_estimator")


def chooses_penalty(model: Recommender) -> bool:
    """Return whether one fit of the model tries several values of ``regularization``."""
    return isinstance(model, (Autoencoder, DLAE, NCEPLRec))


def check_space(space: object, model: Recommender, n_vectors: int) -> Space:
    """Return a user's space after a check of its names, or the default one for data with so many singular vectors."""
    if space is None:
        return default_space(model, n_vectors)
    if not isinstance(space, Mapping):
        raise TypeError(f"`space` must be a dict of parameters and what to try for them, got {type(space).__name__}")
    if not space:
        raise ValueError("`space` must name at least one parameter, got none")
    names = [name for name in model.get_params() if name != "metric"]
    for name in space:
        if name not in names:
            raise ValueError(
                f"`space` must hold parameters of {type(model).__name__}, got {name!r}; it has {', '.join(names)}"
            )
    return dict(space)


def check_parameters(model: Recommender) -> None:
    """Raise TypeError or ValueError if a parameter of a model is of a wrong kind or value, its seed included."""
    model._check_params()
    if "random_state" in model.get_params():
        check_random_state(model.get_params()["random_state"])


def check_kinds(kinds: dict[str, Any], model: Recommender) -> None:
    """Raise ValueError if a parameter cannot be of the kind that is tried: no trial could succeed."""
    for name, kind in kinds.items():
        choices = getattr(kind, "choices", None) or [getattr(kind, "low", None)]
        for choice in choices:
            try:
                check_parameters(type(model)(**{**model.get_params(), name: choice}))
            except TypeError as error:
                raise ValueError(f"`space[{name!r}]` holds {choice!r}, but {error}") from None
            except ValueError:
                pass  # it may be possible together with others; if not, the trials tell


def count_points(kinds: dict[str, Any]) -> int | None:
    """Return how many points a space has, or None where there is no limit."""
    counts = [_count(kind) for kind in kinds.values()]
    return None if None in counts else math.prod(count for count in counts if count is not None)


def own_point(kinds: dict[str, Any], model: Recommender, n_vectors: int) -> dict[str, Any]:
    """Return the parameters that the model itself has, of those that are searched, where the space holds them.

    Defaults are those for data with so many singular vectors.
    """
    worker = model._at_work()
    worker._adapt_to(n_vectors)
    own = {name: _held(kind, _plain(getattr(worker, name))) for name, kind in kinds.items()}
    return {name: found[0] for name, found in own.items() if found}


def _held(kind: Any, value: Any) -> list[Any]:
    """Return a value as the kind has it, or nothing if it hasn't."""
    if hasattr(kind, "choices"):
        return [choice for choice in kind.choices if choice == value][:1]
    if not is_number(value) or not kind.low <= value <= kind.high:
        return []
    steps = 0.0 if kind.step is None else (value - kind.low) / kind.step
    return [type(kind.low)(value)] if math.isclose(steps, round(steps)) else []


def all_points(kinds: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the points of a space that has an end."""
    for values in itertools.product(*map(_values, kinds.values())):
        yield dict(zip(kinds, values, strict=True))


def _count(kind: Any) -> int | None:
    if hasattr(kind, "choices"):
        return len(set(kind.choices))
    if kind.single():
        return 1
    return None if kind.step is None else round((kind.high - kind.low) / kind.step) + 1


def _values(kind: Any) -> Iterator[Any]:
    if hasattr(kind, "choices"):
        yield from dict.fromkeys(kind.choices)
        return
    for number in range(_count(kind) or 0):
        yield kind.low + number * (kind.step or 0)


def distributions(space: Space, optuna: Any) -> dict[str, Any]:
    """Return Optuna's distributions for a space."""
    return {name: _distribution(name, value, optuna.distributions) for name, value in space.items()}


def _distribution(name: str, value: Any, kinds: Any) -> Any:
    if isinstance(value, kinds.BaseDistribution):
        return value
    if isinstance(value, list):
        return kinds.CategoricalDistribution(check_choices(name, value))
    if isinstance(value, tuple) and len(value) in (2, 3) and all(is_number(end) for end in value[:2]):
        low, high = (_plain(end) for end in value[:2])
        log = value[2:] == ("log",)
        if (len(value) == 2 or log) and low <= high and math.isfinite(high - low) and (low > 0 or not log):
            whole = isinstance(low, int) and isinstance(high, int)
            kind = kinds.IntDistribution if whole else kinds.FloatDistribution
            return kind(low, high, log=log)
    raise ValueError(
        f"`space[{name!r}]` must be a list of choices, (low, high), (low, high, 'log') or a distribution of Optuna, "
        f"got {value!r}"
    )


def check_choices(name: str, choices: list[Any]) -> list[Any]:
    """Return distinct choices as plain numbers, strings, booleans or None, which studies can store."""
    plain = list(map(_plain, choices))
    if not plain:
        raise ValueError(f"`space[{name!r}]` must hold at least one choice, got none")
    for choice in plain:
        if choice is not None and not isinstance(choice, (bool, int, float, str)):
            raise ValueError(
                f"`space[{name!r}]` must hold numbers, strings, booleans or None, got {choice!r}; leave it out and "
                "set it in the model"
            )
    return list(dict.fromkeys(plain))  # 1 and 1.0 are one


def is_number(value: object) -> bool:
    """Return whether a value is a real number, and no bool."""
    return isinstance(value, Real) and not isinstance(value, bool)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    return value
