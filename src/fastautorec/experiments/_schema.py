"""Reading tables of a TOML file strictly: every key known, every value of its kind, and errors that say where."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

Check = Callable[[Any], Any]  # returns the value to keep, raises ValueError with the rule that it breaks


def read_table(table: Any, where: str, checks: Mapping[str, Check], required: Collection[str] = ()) -> dict[str, Any]:
    """Return the checked values of a table.

    Parameters
    ----------
    table : dict
        As the TOML reader gives it.
    where : str
        What to call the table in a message.
    checks : dict of str to callable
        The known keys.
    required : collection of str
        Those that must be there.

    Returns
    -------
    dict
        The keys that are there.

    Raises
    ------
    ValueError
        For an unknown key (the nearest known one is named), a missing one, or a value that breaks its rule.
    """
    if not isinstance(table, dict):
        raise ValueError(f"{where} must be a table, got {table!r}")
    for key in table:
        if key not in checks:
            raise ValueError(f"{where} has no key `{key}`; {nearest(key, checks)}")
    missing = [key for key in required if key not in table]
    if missing:
        raise ValueError(f"{where} must have the key `{missing[0]}`")
    values = {}
    for key, value in table.items():
        try:
            values[key] = checks[key](value)
        except ValueError as error:
            raise ValueError(f"`{key}` of {where} {error}") from None
    return values


def nearest(word: str, known: Collection[str]) -> str:
    """Return the end of a message: the known word that is most like ``word``, or all of them."""
    lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), lower, n=1, cutoff=0.5)
    return f"did you mean `{lower[close[0]]}`?" if close else f"there are {', '.join(f'`{name}`' for name in known)}"


# --- rules -----------------------------------------------------------------------------------------------------------


def text(value: Any) -> str:
    """Take a text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"must be a text, got {value!r}")
    return value


def character(value: Any) -> str:
    """Take a text, which may be a blank or a tab."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"must be a text, got {value!r}")
    return value


def column(value: Any) -> str | int:
    """Take the name of a column, or its position."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"must be the name of a column or its position, 0 the first, got {value!r}")
    return value


def column_or_none(value: Any) -> str | int | bool:
    """Take a column, or false where none is to be read."""
    return False if value is False else column(value)


def flag(value: Any) -> bool:
    """Take true or false."""
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, got {value!r}")
    return value


def number(value: Any) -> float:
    """Take a finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"must be a number, got {value!r}")
    return value


def count(value: Any) -> int:
    """Take an integer >= 1."""
    return _integer(value, 1)


def seed(value: Any) -> int:
    """Take an integer >= 0 and < 2**63."""
    if _integer(value, 0) >= 2**63:
        raise ValueError(f"must be < 2**63, got {value!r}")
    return int(value)


def table(value: Any) -> dict[str, Any]:
    """Take a table whose keys are checked elsewhere."""
    if not isinstance(value, dict):
        raise ValueError(f"must be a table, got {value!r}")
    return value


def one_of(*choices: str) -> Check:
    """Take one of the given texts."""

    def check(value: Any) -> str:
        if value not in choices:
            hint = f"; {nearest(value, choices)}" if isinstance(value, str) else ""
            raise ValueError(f"must be one of {', '.join(map(repr, choices))}, got {value!r}{hint}")
        return str(value)

    return check


def several(rule: Check, at_least: int = 1, *, distinct: bool = True) -> Check:
    """Take a list of values that each pass ``rule``, without repeats if they are to be distinct; return a tuple."""

    def check(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list) or len(value) < at_least:
            raise ValueError(f"must be a list of {at_least} or more, got {value!r}")
        values = tuple(rule(one) for one in value)
        if distinct and len(set(values)) < len(values):
            raise ValueError(f"must not name anything twice, got {value!r}")
        return values

    return check


def _integer(value: Any, minimum: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise ValueError(f"must be an integer >= {minimum}, got {value!r}")
    return value
