"""What the first lines of a text file say of its columns: where they speak against reading them by position."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

from fastautorec.data import _plain as plain
from fastautorec.data._roles import ROLES, UnclearColumnsError, Words, word_for
from fastautorec.data._vocabulary import EVENTS

Rows = Sequence[Sequence[str]]

WHOLE = re.compile(r"-?[0-9]+")
DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+")
_CLOCK = re.compile(r"[0-2]?[0-9]:[0-5][0-9](:[0-5][0-9](\.[0-9]+)?)?")
_DAY = re.compile(r"(19|20)[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])")  # such as 20240229
_SECONDS = re.compile(r"[0-9]+(\.[0-9]*)?")
_DIGITS = re.compile(r"[0-9]+")
_COUNTED = re.compile(r"[^\W\d]+[ .-]?[0-9]+")  # such as user1 and node_2
_UNNAMED = re.compile(r"[@/\\&=+?!,;]")  # signs that no column is named with
_LARGE = 10**8  # a number as large is hardly a rating
_YEARS = (631_152_000, 2_051_222_400)  # 1990 to 2034 in seconds
_FEW = 5  # lines of which a pattern may be chance, but is worth to be asked for
_MANY = 20  # lines of which a pattern is hardly chance
_HUNDRED = 100  # lines that tell whether a column has few values
_KINDS = 10  # values that a column of kinds has at most
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
    """Return the first column that looks like times: dates, or seconds or parts of them of the years from 1990 on."""
    columns = range(len(rows[0]))
    return next((i for test in (_are_dates, _are_moments) for i in columns if test(_column(rows, i))), None)


# -- the first line ------------------------------------------------------------------------------------------------


def is_among_others(rows: Rows) -> bool:
    """Return whether the first line is like those below it: it has a value of its column, or one of the same form.

    A line that is the same as the first tells nothing: the header of a second file may stand there.
    """
    first, body = rows[0], [row for row in rows[1:LOOK] if len(row) == len(rows[0]) and row != rows[0]]
    columns = [[row[i] for row in body] for i in range(len(first))]
    return any(field in column or _is_alike(field, column) for field, column in zip(first, columns, strict=True))


def _is_alike(field: str, others: Sequence[str]) -> bool:
    """Return whether a text has the form of ids that all others of its column have too, and names of columns have not.

    That is signs such as ``@`` or ``/``, or digits in a text that is as long as another; for a word and a number, as
    in ``user1``, that word, for columns are named so too.
    """
    if not others:
        return False
    if any(all(sign in other for other in others) for sign in _UNNAMED.findall(field)):
        return True
    if not all(map(_DIGITS.search, [field, *others])):
        return False
    if _COUNTED.fullmatch(field):
        return _DIGITS.sub("0", field) in {_DIGITS.sub("0", other) for other in others}
    return len(field) in map(len, others)


def ask_for_header(first: Sequence[str], words: Words) -> None:
    """Raise for a first line that may name the columns or be data."""
    if words.given():
        told = "say header=True if it does, or header=False if it is data"
    else:
        user, item = (word_for(first, i) for i in (0, 1))
        told = (
            "say header=False if it is data; if it names them, say which are user and item, for example "
            f"read_ratings(path, user={user}, item={item})"
        )
    raise UnclearColumnsError(f"nothing tells whether the first line, {shown_row(first)}, names the columns; {told}")


def refuse_sizes(rows: Rows) -> None:
    """Raise if the first line may hold the numbers of users, of items and of entries."""
    even = [row for row in rows[:LOOK] if len(row) == len(rows[0])]
    if len(even) <= (_FEW if len(rows[0]) > 2 else _MANY) or not all(are_whole(even, i) for i in range(len(rows[0]))):
        return
    sizes, below = _whole(even[0]), [_whole(row) for row in even[1:]]
    highest = [max(values) for values in zip(*below, strict=True)]
    entries = sizes[2:3]
    counted = all(number >= len(below) and number > highest[2] for number in entries)
    descending = below[0][:2] == highest[:2]
    if counted and not descending and all(size >= high for size, high in zip(sizes[:2], highest, strict=False)):
        raise UnclearColumnsError(
            f"the first line, {shown_row(rows[0])}, is as large as any below it, so it may hold the numbers of users "
            "and items; remove it, or, if it is data, say which columns are which: read_ratings(path, user=0, item=1)"
        )


# -- columns by position -------------------------------------------------------------------------------------------


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
    if n_fields > len(ROLES):
        if looks_like_a_matrix(even, 1):
            raise UnclearColumnsError(matrix_text(n_fields))
        raise UnclearColumnsError(
            f"has {n_fields} fields and no header that names user and item, got {shown_row(even[0])}; "
            f"{say_columns(n_fields, times_column(even))}"
        )
    columns = [_column(even, number) for number in range(n_fields)]
    if _are_marks(columns):
        raise UnclearColumnsError(f"{matrix_text(n_fields)}; if they are none, {say_columns(n_fields)}")
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
        rival = any(_are_dates(other) or _are_moments(other) for other in columns[i + 1 :])
        if _are_dates(values) or (_are_moments(values) and (role == "rating" or (n_fields > 2 and not rival))):
            return f"what looks like times, such as {values[0]}", say_columns(n_fields, i)
    if role in ("user", "item"):
        if _are_fractions(values):
            return f"numbers with fractions, such as {values[0]}", say
        if all(_letters(value) in EVENTS for value in values):
            return f"kinds of events, such as {values[0]!r}", say
        if _are_kinds(i, 2 if role == "user" else 1, columns):
            return f"a few values in turn, such as {values[0]!r}, and a later column has many", say
        return "", ""
    test = is_number if role == "rating" else is_value
    texts = [value for value in values if value and not test(value)]
    if 2 * len(texts) > len(values):
        return f"text, such as {texts[0]!r}", say
    if role == "rating" and all(WHOLE.fullmatch(value) and int(value) >= _LARGE for value in values):
        return f"numbers as large as {values[0]}", say
    if role == "timestamp" and (fault := _no_order(i, columns)):
        return fault, f"say timestamp={i} if they are the times or the order of the interactions, or timestamp=False"
    return "", ""


def _are_marks(columns: Sequence[Sequence[str]]) -> bool:
    """Return whether a table holds zeros and ones only, or behind what may name its rows."""
    are = [set(column) <= {"0", "1"} for column in columns]
    if len({value for column in columns[1:] for value in column}) < 2:
        return False
    enough = _MANY if len(columns) == 2 else 2 if are[0] else _FEW
    return all(are[1:]) and (are[0] or len(columns) > 2) and len(columns[0]) >= enough


def _are_kinds(i: int, others: int, columns: Sequence[Sequence[str]]) -> bool:
    """Return whether a column has few values in turn, and as many later columns as are to be found may be ids."""
    values = columns[i]
    few = len(set(values))
    turns = sum(one != other for one, other in pairwise(values))
    if len(values) < _HUNDRED or few > _KINDS or turns < 2 * few:
        return False
    many = [len(set(column)) >= 5 * few and not _are_numbers_in_time(column) for column in columns[i + 1 :]]
    return sum(many) >= others


def _are_numbers_in_time(values: Sequence[str]) -> bool:
    return _are_fractions(values) or _are_dates(values) or _are_moments(values)


def _no_order(i: int, columns: Sequence[Sequence[str]]) -> str:
    """Return what a column holds that is hardly a time nor an order; empty where it may be."""
    numbers = [float(value) for value in columns[i] if plain.NUMBER.fullmatch(value)]
    if len(numbers) < len(columns[i]) or _are_dates(columns[i]) or _are_moments(columns[i]):
        return ""
    if max(numbers) < 100:
        return f"numbers below 100, such as {columns[i][0]}"
    if min(numbers) < 0 or _are_fractions(columns[i]):
        return f"numbers that are negative or have fractions, such as {min(columns[i], key=float)}"
    of_item: dict[str, set[str]] = {}
    for item, value in zip(columns[1], columns[i], strict=True):
        of_item.setdefault(item, set()).add(value)
    again = len(columns[1]) - len(of_item)
    if again >= _MANY and all(len(values) == 1 for values in of_item.values()):
        return f"the same number in all lines of an item, such as {columns[i][0]}, as a year or a price"
    return ""


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


def _whole(fields: Sequence[str]) -> list[int]:
    return [int(field) for field in fields]


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.lower())


def _are_fractions(values: Sequence[str]) -> bool:
    """Return whether all values are numbers, and all are written with a point or one has digits behind it."""
    if not values or not all(plain.NUMBER.fullmatch(value) for value in values):
        return False
    return all("." in value for value in values) or any("." in value and float(value) % 1 for value in values)


def _are_dates(values: Sequence[str]) -> bool:
    """Return whether all values are dates, also such as 20240229, or the times of a day."""
    return bool(values) and (
        all(is_date(value) or _CLOCK.fullmatch(value) for value in values) or all(map(_DAY.fullmatch, values))
    )


def _are_moments(values: Sequence[str]) -> bool:
    """Return whether all values are seconds, or parts of them, within the years that ratings come from."""
    if not values or not all(_SECONDS.fullmatch(value) for value in values):
        return False
    low, high = _YEARS
    numbers = [int(value.partition(".")[0]) for value in values]
    return any(all(low * unit <= number < high * unit for number in numbers) for unit in (1, 10**3, 10**6, 10**9))


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
