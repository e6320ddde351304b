"""Checks of scalars, names of metrics, and defaults that adapt to small data: the same words everywhere."""

from __future__ import annotations

import math
import os
import sys
import warnings
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from itertools import product
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np

METRICS = ("NDCG", "MAP", "Precision", "Recall", "F1")  # those at a list length; "paper" has no NDCG among them
RANK_METRICS = ("MRR", "HitRate", "AUC")  # further ones, from the ranks of test items


def small_seed(name: str, seed: int) -> int:
    """Return a seed that files and tables can hold as an integer of 64 bits."""
    if seed >= 2**63:
        raise ValueError(f"`{name}` must be < 2**63, got {seed}")
    return seed


def kind(value: object) -> str:
    """Return the name of a type for messages."""
    return f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")


FEW = 3  # examples in a message
_PACKAGE = str(Path(__file__).parent) + os.sep


def few(values: Sequence[Any]) -> str:
    """Return the first of some values for a message."""
    return ", ".join([*map(repr, values[:FEW]), *(["..."] if len(values) > FEW else [])])


def warn_caller(text: str) -> None:
    """Warn with the line of the user's program that called this library, however deep it was called."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, level = frame.f_back, level + 1
    warnings.warn(text, UserWarning, stacklevel=level)


class Default(int):
    """The number that a parameter has where the user gives none.

    It is a plain integer in every respect, printed, compared, copied and stored as one; only its kind tells that
    the user did not give it: ``NCEAutoRec(factors=300)`` gives it, ``NCEAutoRec()`` does not.
    """


def adapted(value: int, most: int) -> int:
    """Return ``value``, or ``most`` where a default is larger than that."""
    return min(int(value), most) if isinstance(value, Default) else value


def fitting(values: Iterable[int], most: int) -> tuple[int, ...]:
    """Return ascending values without the defaults that are larger than ``most``, but for ``most`` if none is left."""
    kept = tuple(int(value) for value in values if value <= most or not isinstance(value, Default))
    return kept or (most,)


MAX_ITEMS = 2**31 - 1


def check_int(name: str, value: object, minimum: int, maximum: int | None = None) -> int:
    """Return ``value`` as an int within [minimum, maximum]."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"`{name}` must be an integer, got {kind(value)}")
    number = int(value)
    if number < minimum or (maximum is not None and number > maximum):
        raise ValueError(f"`{name}` must be {_interval(minimum, maximum)}, got {number}")
    return number


def sizes_of(name: str, given: tuple[Any, ...], otherwise: str) -> tuple[int, int, int]:
    """Return users, items and interactions of data that need not be there yet."""
    if len(given) != 3:
        raise ValueError(f"`{name}` must be (users, items, interactions) or {otherwise}, got {given!r}")
    m, n, nnz = (check_int(word, value, 1) for word, value in zip(("m", "n", "nnz"), given, strict=True))
    if nnz > m * n:
        raise ValueError(
            f"`{name}` must be (users, items, interactions) with one interaction of a user and an item at most, "
            f"{m * n:,} here, got {nnz:,}; in which order are they?"
        )
    return m, n, nnz


def list_length(N: object, most: int, what: str = "items") -> int:
    """Return the length of lists, at most the number of items or users; a default is no longer than that."""
    try:
        return check_int("N", min(int(N), most) if isinstance(N, Default) else N, 1, most)
    except ValueError as error:
        raise ValueError(f"{error}; {most} is the number of {what}") from None


def check_real(
    name: str,
    value: object,
    minimum: float = -math.inf,
    maximum: float = math.inf,
    *,
    below: bool = False,
    above: bool = False,
) -> float:
    """Return ``value`` as a finite float in [minimum, maximum]; ``above`` and ``below`` leave out the end points."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"`{name}` must be a number, got {kind(value)}")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"`{name}` must be finite, got {number}")
    too_low = number <= minimum if above else number < minimum
    too_high = number >= maximum if below else number > maximum
    if too_low or too_high:
        lower = f"{'>' if above else '>='} {minimum:g}" if math.isfinite(minimum) else ""
        upper = f"{'<' if below else '<='} {maximum:g}" if math.isfinite(maximum) else ""
        raise ValueError(f"`{name}` must be {' and '.join(filter(None, (lower, upper)))}, got {number:g}")
    return number


def check_rate(name: str, value: object) -> float:
    """Return a rate of dropout, a float in [0, 1) that float32 does not round to 1."""
    rate = check_real(name, value, 0, 1, below=True)
    if np.float32(rate) == 1:
        raise ValueError(f"`{name}` must be < 1 in float32, got {rate!r}")
    return rate


def check_choice(name: str, value: object, choices: Collection[str | None]) -> None:
    """Raise unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise ValueError(f"`{name}` must be one of {', '.join(map(repr, choices))}, got {value!r}")


def check_grid(name: str, given: object, check: Callable[[str, Any], Any], what: str = "number") -> list[Any]:
    """Return the values of a parameter to choose from, checked and in their order; one value is a grid of one.

    A value that is there several times counts once: it would be tried again to the same end.
    """
    single = (Real, np.bool_) if what == "number" else (Real, np.bool_, str)
    values = [given] if isinstance(given, single) else given
    if isinstance(values, str) or not isinstance(values, (Sequence, np.ndarray)):
        raise TypeError(f"`{name}` must be a {what} or a sequence of {what}s, got {kind(given)}")
    if len(values) == 0:
        raise ValueError(f"`{name}` must hold at least one value, got none; leave it out for what is the default")
    return list(dict.fromkeys(check(name, value) for value in values))


def check_bool(name: str, value: object) -> bool:
    """Return ``value`` as a bool."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"`{name}` must be True or False, got {kind(value)}")
    return bool(value)


def check_path(name: str, value: object) -> Path:
    """Return a path of a file or a folder, which has to have a name and be text."""
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(text, str):
        raise TypeError(f"`{name}` must be a path (str or pathlib.Path), got {kind(text)}")
    if not text or "\0" in text:
        raise ValueError(f"`{name}` must be a path with a name and without NUL characters, got {text!r}")
    return Path(text)


def check_random_state(random_state: object) -> np.random.Generator:
    """Return a NumPy generator; an int (0 included) seeds it, a generator is used as it is."""
    if isinstance(random_state, np.random.Generator):
        return random_state
    return np.random.default_rng(small_seed("random_state", check_int("random_state", random_state, 0)))


def check_metric(metric: object) -> None:
    """Raise unless ``metric`` is the name of a metric that `evaluate` reports."""
    if not isinstance(metric, str):
        raise TypeError(f"`metric` must be the name of a metric, got {type(metric).__name__}")
    family, at, cutoff = metric.partition("@")
    good = (
        metric in ("NDCG", "R-Precision")
        if not at
        else (family in (*METRICS, *RANK_METRICS) and cutoff.isdigit() and int(cutoff) > 0)
    )
    if not good:
        raise ValueError(
            f"`metric` must be 'NDCG', 'R-Precision' or one of {', '.join((*METRICS, *RANK_METRICS))} with a list "
            f"length, such as 'Recall@20', got {metric!r}"
        )


def metric_names(cutoffs: tuple[int, ...], definition: str) -> list[str]:
    """Return the columns of the operation ``ranking_metrics``.

    >>> metric_names((5, 10), "paper")[:4]
    ['R-Precision', 'NDCG', 'MAP@5', 'MAP@10']
    """
    families = METRICS[1:] if definition == "paper" else METRICS
    return ["R-Precision", "NDCG", *map("%s@%d".__mod__, product(families, cutoffs))]


def check_cutoffs(k: object) -> tuple[int, ...]:
    """Return the list lengths ``k`` as an ascending tuple without repeats."""
    values: list[Any]
    if isinstance(k, Integral):
        values = [k]
    elif isinstance(k, Iterable):
        values = list(k)
    else:
        raise TypeError(f"`k` must be an integer or a sequence of integers, got {kind(k)}")
    if not values:
        raise ValueError("`k` must name at least one list length, got none; for example k=(5, 10)")
    checked = {value if isinstance(value, Default) else check_int("k", value, 1, MAX_ITEMS) for value in values}
    return tuple(sorted(checked))


def check_penalties(value: object, may_choose: bool = True, above: bool = False) -> list[float]:
    """Return ``regularization`` as a list of one or more numbers >= 0, each once; more need something to choose by.

    ``above`` asks for numbers > 0.
    """
    values: list[float] = check_grid("regularization", value, partial(check_real, minimum=0, above=above))
    if len(values) > 1 and not may_choose:
        raise ValueError(
            f"`regularization` holds {len(values)} values to choose from, which needs held-out interactions; "
            "pass fit(user_items, validation=...) or a single value"
        )
    return values


def _interval(minimum: int, maximum: int | None) -> str:
    return f">= {minimum}" if maximum is None else f"between {minimum} and {maximum}"
