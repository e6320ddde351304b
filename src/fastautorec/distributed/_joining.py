"""How sums over shards are joined: neighbours, level by level, so that the bits do not depend on who joins them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import numpy as np

Sums = TypeVar("Sums")


def join(these: Any, those: Any) -> Any:
    """Return the sums of two neighbouring groups of shards; neither is changed, so that they may be joined again."""
    if isinstance(these, tuple):
        return tuple(map(join, these, those))
    return these + those


def tree(parts: Sequence[Sums], join: Callable[[Sums, Sums], Sums] = join) -> Sums:
    """Return all parts joined: neighbours first, then neighbouring pairs, and so on; an odd one waits at the end."""
    while len(parts) > 1:
        pairs = [join(parts[i], parts[i + 1]) for i in range(0, len(parts) - 1, 2)]
        parts = pairs + list(parts[len(parts) // 2 * 2 :])
    return parts[0]


def owned(value: Any) -> Any:
    """Return the same value with arrays that are aligned and may be written: engines hand over others."""
    if isinstance(value, np.ndarray):
        return np.require(value, requirements=["ALIGNED", "WRITEABLE"])
    if type(value) in (tuple, list):
        return type(value)(map(owned, value))
    if is_dataclass(value) and not isinstance(value, type):  # an encoder or a target, which are nothing but fields
        return replace(value, **{field.name: owned(getattr(value, field.name)) for field in fields(value)})
    return value
