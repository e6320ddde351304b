"""Whether the columns of a text file without a header look like what they are taken for by their position."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

from fastautorec.data._evidence import (
    FEW,
    KINDS,
    LOOK,
    MANY,
    WHOLE,
    Rows,
    are_dates,
    are_fractions,
    are_moments,
    column,
    counted_at,
    counted_text,
    is_number,
    is_value,
    looks_like_a_matrix,
    matrix_text,
    say_columns,
    shown_row,
    times_column,
)
from fastautorec.data._roles import SOUGHT, UnclearColumnsError
from fastautorec.data._times import NUMBER
from fastautorec.data._vocabulary import EVENTS

_LARGE = 10**8  # a number as large is hardly a rating
_HUNDRED = 100  # lines that tell whether a column has few values


def check_positions(rows: Rows, position: Mapping[str, int], separator: str) -> None:
    """Raise if the columns of a file without a header do not look like what they are taken for by their position.

    Parameters
    ----------
    rows : lists of fields
        The first lines.
    position : dict
        Column of each role that was found by position.
    separator : str

    Raises
    ------
    UnclearColumnsError
        With the words to say.
    """
    even = [row for row in rows[:LOOK] if len(row) == len(rows[0])]
    n_fields = len(even[0])
    if n_fields > len(SOUGHT):
        if looks_like_a_matrix(even, 1):
            raise UnclearColumnsError(matrix_text(n_fields))
        raise UnclearColumnsError(
            f"has {n_fields} fields and no header that names user and item, got {shown_row(even[0])}; "
            f"{say_columns(n_fields, times_column(even))}"
        )
    columns = [column(even, number) for number in range(n_fields)]
    if _are_marks(columns):
        raise UnclearColumnsError(f"{matrix_text(n_fields)}; if they are none, {say_columns(n_fields)}")
    if counted_at(even) == 1 and not (are_dates(columns[-1]) or are_moments(columns[-1])):
        raise UnclearColumnsError(f"no header, and {counted_text(1)}; else {say_columns(n_fields)}")
    for role, i in position.items():
        fault, told = _unlike(role, i, columns)
        if fault:
            if role == "timestamp" and separator == "," and all(len(value) < 3 for value in columns[i]):
                told += ". Is it the part behind a decimal comma? Then write a point, or separate the columns by ';'"
            raise UnclearColumnsError(f"no header, and column {i} holds {fault}, where the {role} is expected; {told}")
        index = _index(columns) if role == "user" and i == 0 and n_fields > 2 else ""
        if index:
            raise UnclearColumnsError(
                f"no header, and column 0 {index} while column 1 repeats, so column 0 may be an index and no user; "
                f"{say_columns(n_fields)}"
            )


def _unlike(role: str, i: int, columns: Sequence[Sequence[str]]) -> tuple[str, str]:
    """Return what a column holds that is not its role, and what to say; empty texts where it may be its role."""
    values, n_fields = columns[i], len(columns)
    say = say_columns(n_fields)
    if role != "timestamp":
        rival = any(are_dates(other) or are_moments(other) for other in columns[i + 1 :])
        if are_dates(values) or (are_moments(values) and (role == "rating" or (n_fields > 2 and not rival))):
            return f"what looks like times, such as {values[0]}", say_columns(n_fields, i)
    if role in ("user", "item"):
        if are_fractions(values):
            return f"numbers with a decimal point, such as {values[0]}", say
        if all(_letters(value) in EVENTS for value in values):
            return f"kinds of events, such as {values[0]!r}", say
        if _are_kinds(i, 2 if role == "user" else 1, columns):
            return f"a few values in turn, such as {values[0]!r}, while the next column has many", say
        return "", ""
    test = is_number if role == "rating" else is_value
    texts = [value for value in values if value and not test(value)]
    if 2 * len(texts) > len(values):
        return f"text, such as {texts[0]!r}", say
    if role == "rating" and all(WHOLE.fullmatch(value) and float(value) >= _LARGE for value in values):
        return f"numbers as large as {values[0]}", say
    if role == "timestamp" and (fault := _no_order(i, columns)):
        return fault, f"say timestamp={i} if they are the times or the order of the interactions, or timestamp=False"
    return "", ""


def _are_marks(columns: Sequence[Sequence[str]]) -> bool:
    """Return whether a table holds zeros and ones only, or behind what may name its rows."""
    are = [set(values) <= {"0", "1"} for values in columns]
    if len({value for values in columns[1:] for value in values}) < 2:
        return False
    enough = MANY if len(columns) == 2 else 2 if are[0] else FEW
    return all(are[1:]) and (are[0] or len(columns) > 2) and len(columns[0]) >= enough


def _are_kinds(i: int, others: int, columns: Sequence[Sequence[str]]) -> bool:
    """Return whether a column has few values in turn, and the next ones, of the users and items, have many."""
    values = columns[i]
    few = len(set(values))
    turns = sum(one != other for one, other in pairwise(values))
    if len(values) < _HUNDRED or few > KINDS or turns < 2 * few:
        return False
    following = columns[i + 1 : i + 1 + others]
    return len(following) == others and all(
        len(set(other)) >= 5 * few and not any(test(other) for test in (are_fractions, are_dates, are_moments))
        for other in following
    )


def _no_order(i: int, columns: Sequence[Sequence[str]]) -> str:
    """Return what a column holds that is hardly a time nor an order; empty where it may be."""
    numbers = [float(value) for value in columns[i] if NUMBER.fullmatch(value)]
    if len(numbers) < len(columns[i]) or are_dates(columns[i]) or are_moments(columns[i]):
        return ""
    if max(numbers) < 100:
        return f"numbers below 100, such as {columns[i][0]}"
    if min(numbers) < 0 or are_fractions(columns[i]):
        return f"numbers that are negative or have fractions, such as {min(columns[i], key=float)}"
    for owner, ids in (("an item", columns[1]), ("a user", columns[0])):
        if _are_properties(columns[i], ids):
            return f"the same number in all lines of {owner}, such as {columns[i][0]}, as a year or a price"
    return ""


def _are_properties(values: Sequence[str], ids: Sequence[str]) -> bool:
    """Return whether each of several ids that come again always has the same value."""
    counts, held = Counter(ids), len(set(zip(ids, values, strict=True)))
    several = sum(count > 1 for count in counts.values()) >= FEW and len(ids) - len(counts) >= MANY
    return several and held == len(counts)


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.lower())


def _index(columns: Sequence[Sequence[str]]) -> str:
    """Return what makes the first column look like an index while the next one repeats; else nothing."""
    first, second = columns[:2]
    if len(set(second)) == len(second) or len(set(first)) < len(first) or len(first) < FEW:
        return ""
    numbers = [float(value) for value in first] if all(map(WHOLE.fullmatch, first)) else []
    if numbers and numbers[0] in (0, 1) and numbers == [numbers[0] + i for i in range(len(numbers))]:
        return "counts the lines"
    if len(first) < MANY:
        return ""
    fits = len(columns) > 3 and (are_dates(columns[3]) or are_moments(columns[3]))  # user, item, rating, time
    return "" if fits and (not numbers or sorted(numbers) != numbers) else "is another one in each line"
