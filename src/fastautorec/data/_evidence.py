"""What the first lines of a text file say of its columns: where they speak against reading them by position."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from fastautorec.data import _plain as plain
from fastautorec.data._roles import ROLES, UnclearColumnsError

Rows = Sequence[Sequence[str]]

WHOLE = re.compile(r"-?[0-9]+")
DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+")
_LARGE = 10**8  # a number as large is hardly a rating
_YEARS = (946_684_800, 2_051_222_400)  # 2000 to 2034 in seconds
_FEW = 5  # lines of which a pattern may be chance, but is worth to be asked for
_MANY = 20  # lines of which a pattern is hardly chance
LOOK = 400  # lines that tell enough
_WIDE = 8  # columns of numbers from which on a table is rather a matrix


def say_columns(n_fields: int, times: int | None = None) -> str:
    """Return the words to say for a file without a header."""
    moment = "" if times is None else f", timestamp={times}"
    return (
        f"say which columns they are: read_ratings(path, user=COLUMN, item=COLUMN{moment}), "
        f"each a position from 0 to {n_fields - 1}"
    )


def is_number(text: str) -> bool:
    """Return whether a text is a number, with a decimal point or comma."""
    return plain.NUMBER.fullmatch(text) is not None or DECIMAL_COMMA.fullmatch(text) is not None


def is_date(text: str) -> bool:
    """Return whether a text is a date, in the form that is read or in another."""
    if plain.OTHER_DATE.match(text):
        return True
    try:
        plain.moment(text)
    except ValueError:
        return False
    return not is_number(text)


def is_value(text: str) -> bool:
    """Return whether a text is a number or a time, which a column name is not."""
    return is_number(text) or text.lower() in ("nan", "inf", "-inf") or is_date(text)


def are_whole(rows: Rows, position: int) -> bool:
    """Return whether a column holds integers only."""
    return all(WHOLE.fullmatch(row[position]) for row in rows if len(row) > position)


def times_column(rows: Rows) -> int | None:
    """Return the first column that looks like times: dates, or seconds or milliseconds of the years from 2000 on."""
    columns = range(len(rows[0]))
    return next((i for test in (_are_dates, _are_moments) for i in columns if test(_column(rows, i))), None)


def check_positions(rows: Rows, position: Mapping[str, int]) -> None:
    """Raise if the columns of a file without a header do not look like what they are taken for by their position.

    Parameters
    ----------
    rows : lists of fields
        The first lines.
    position : dict
        Column of each role that was found by position.

    Raises
    ------
    UnclearColumnsError
        With the words to say.
    """
    even = [row for row in rows[:LOOK] if len(row) == len(rows[0])]
    n_fields = len(even[0])
    if n_fields > len(ROLES):
        if looks_like_a_matrix(even, 1):
            raise UnclearColumnsError(matrix_text(n_fields))
        raise UnclearColumnsError(
            f"has {n_fields} fields and no header that names user and item, got {shown_row(even[0])}; "
            f"{say_columns(n_fields, times_column(even))}"
        )
    for role, i in position.items():
        _check_column(role, i, [_column(even, number) for number in range(n_fields)])
    index = _index([_column(even, i) for i in range(n_fields)]) if position.get("user") == 0 and n_fields > 2 else ""
    if index:
        raise UnclearColumnsError(
            f"no header, and column 0 {index} while column 1 repeats, so column 0 may be an index and no user; "
            f"{say_columns(n_fields)}"
        )


def _check_column(role: str, i: int, columns: Sequence[Sequence[str]]) -> None:
    values, n_fields, there = columns[i], len(columns), f"no header, and column {i} holds"
    if role != "timestamp":
        rival = any(_are_dates(other) or _are_moments(other) for other in columns[i + 1 :])
        if _are_dates(values) or (_are_moments(values) and (role == "rating" or (n_fields > 2 and not rival))):
            raise UnclearColumnsError(
                f"{there} what looks like times, such as {values[0]}, where the {role} is expected; "
                f"{say_columns(n_fields, i)}"
            )
    if role in ("user", "item"):
        return
    test = is_number if role == "rating" else is_value
    texts = [value for value in values if value and not test(value)]
    if 2 * len(texts) > len(values):
        raise UnclearColumnsError(
            f"{there} text, such as {texts[0]!r}, where the {role} is expected; {say_columns(n_fields)}"
        )
    if role == "rating" and all(WHOLE.fullmatch(value) and int(value) >= _LARGE for value in values):
        raise UnclearColumnsError(
            f"{there} numbers as large as {values[0]}, where the rating is expected; {say_columns(n_fields)}"
        )


def counts_columns(rows: Rows) -> bool:
    """Return whether the first line is 0, 1, 2, ... as data-frame libraries head columns without names."""
    first = list(rows[0])
    if first != [str(i) for i in range(len(first))] or len(rows) < 2:
        return False
    if len(first) > 2:
        return True
    users = [row[0] for row in rows[1:]]
    ascending = all(map(WHOLE.fullmatch, users)) and sorted(users, key=int) == users
    return len(users) >= _MANY and first[0] not in users and not ascending  # else rather the pair of 0 and 1


def looks_like_a_matrix(rows: Rows, first: int) -> bool:
    """Return whether all columns from ``first`` on hold numbers or nothing, and there are many."""
    if len(rows) == 0 or len(rows[0]) - first < _WIDE:
        return False
    return all(all(not field or is_number(field) for field in row[first:]) for row in rows)


def matrix_text(n_fields: int) -> str:
    """Return what to say of a table with a column for each item."""
    return (
        f"has {n_fields} columns of numbers, which looks like a users x items matrix; give Interactions a SciPy "
        "matrix of zeros and ones, or write one line for each pair, as pandas.melt does"
    )


def numeric_columns(rows: Rows, taken: Mapping[str, int]) -> list[int]:
    """Return which columns without a role hold numbers."""
    columns = {i: _column(rows[:LOOK], i) for i in range(len(rows[0])) if i not in taken.values()}
    return [i for i, values in columns.items() if values and all(is_number(value) for value in values if value)]


def check_hours(name: str, at: int, rows: Rows) -> None:
    """Raise if a column of times holds the hours of a day."""
    values = [value for value in _column(rows, at) if value]
    few = len(values) >= _MANY and len(set(values)) < len(values)
    if few and all(WHOLE.fullmatch(value) and 0 <= int(value) < 24 for value in values):
        raise UnclearColumnsError(
            f"{name!r} holds whole numbers from 0 to 23, which may be hours of a day; say timestamp={name!r} if they "
            "are the order of the interactions, or timestamp=False"
        )


def shown_row(row: Sequence[str]) -> str:
    """Return the fields of a line for a message."""
    text = ", ".join(row)
    return repr(text if len(text) <= 100 else text[:97] + "...")


def _column(rows: Rows, i: int) -> list[str]:
    return [row[i] for row in rows if len(row) > i]


def _are_dates(values: Sequence[str]) -> bool:
    return bool(values) and all(is_date(value) for value in values)


def _are_moments(values: Sequence[str]) -> bool:
    """Return whether all values are seconds or milliseconds within the years that ratings come from."""
    if not values or not all(WHOLE.fullmatch(value) for value in values):
        return False
    low, high = _YEARS
    numbers = [int(value) for value in values]
    return any(all(low * unit <= number < high * unit for number in numbers) for unit in (1, 1000))


def _index(columns: Sequence[Sequence[str]]) -> str:
    """Return what makes the first column look like an index while the next one repeats; else nothing."""
    first, second = columns[:2]
    if len(set(second)) == len(second) or len(set(first)) < len(first) or len(first) < _FEW:
        return ""
    numbers = [int(value) for value in first] if all(map(WHOLE.fullmatch, first)) else []
    if numbers and numbers[0] in (0, 1) and numbers == list(range(numbers[0], numbers[0] + len(numbers))):
        return "counts the lines"
    if len(first) < _MANY:
        return ""
    fits = len(columns) > 3 and (_are_dates(columns[3]) or _are_moments(columns[3]))  # user, item, rating, time
    return "" if fits and (not numbers or sorted(numbers) != numbers) else "is another one in each line"
