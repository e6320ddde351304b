"""Evidence in the first lines of a text file: where its columns speak against reading them by position."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from fastautorec.data import _plain as plain
from fastautorec.data._roles import (
    NUMBERS,
    UnclearColumnsError,
    Words,
    looks_like_a_heading,
    untyped,
    word_for,
    words_in,
)
from fastautorec.data._times import NUMBER
from fastautorec.data._vocabulary import OPINIONS, UNRATED

Rows = Sequence[Sequence[str]]

WHOLE = re.compile(r"-?[0-9]+")
DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+")
_CLOCK = re.compile(r"[0-2]?[0-9]:[0-5][0-9](:[0-5][0-9](\.[0-9]+)?)?")
_DAY = re.compile(r"(19|20)[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])(([01][0-9]|2[0-3])([0-5][0-9]){2})?")
_SECONDS = re.compile(r"[0-9]{1,19}(\.[0-9]*)?")
_SIZE = re.compile(r"[0-9]{1,19}")
_DIGITS = re.compile(r"[0-9]+")
_COUNTED = re.compile(r"[^\W\d]+[ .-]?[0-9]+")  # such as user1 and node_2
_SIGNS = re.compile(r"[\W_]")
_UNNAMED = "@/\\&=+?!,;"  # signs that no column is named with
_YEARS = (631_152_000, 2_051_222_400)  # 1990 to 2034 in seconds
FEW = 5  # lines of which a pattern may be chance, but is worth to be asked for
MANY = 20  # lines of which a pattern is hardly chance
KINDS = 10  # values that a column of kinds has at most
LOOK = 400  # lines that tell enough
_GAPS = ("", "nan", "na", "null", "-")  # where a matrix has no value
_MELT = (
    "write one line for each pair, as pandas.melt does, and leave out the lines of zeros and gaps, which are no "
    "interactions"
)
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
    return NUMBER.fullmatch(text) is not None or DECIMAL_COMMA.fullmatch(text) is not None


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
    return next((i for test in (are_dates, are_moments) for i in columns if test(column(rows, i))), None)


# -- the first line ------------------------------------------------------------------------------------------------


def is_among_others(rows: Rows) -> bool:
    """Return whether a text of the first line is like those below it: one of them, or one of their form.

    A line that is the same as the first tells nothing: the header of a second file may stand there.
    """
    first, body = rows[0], [row for row in rows[1:LOOK] if len(row) == len(rows[0]) and row != rows[0]]
    columns = {i: [row[i] for row in body] for i, field in enumerate(first) if field and not is_value(field)}
    if any(first[i] in column for i, column in columns.items()):
        return True
    forms = [_has_form(first[i], column) for i, column in columns.items() if column]
    return True in forms and False not in forms


def _has_form(field: str, others: Sequence[str]) -> bool | None:
    """Return whether a text has the form of ids that the others of its column have; None where that is not clear.

    The form is that all have a sign such as ``@`` or ``/``, which no name of a column has, or that all have digits. A
    text with digits must have the length and the signs of another one; a word and a number, as ``user1``, must have its
    word, for columns are named so too.
    """
    unlike = None if len(others) < 3 else False
    shared = set.intersection(*({sign for sign in other if sign in _UNNAMED} for other in others))
    if shared:
        return unlike if shared.isdisjoint(field) else True
    if not all(map(_DIGITS.search, others)):
        return None
    if not _DIGITS.search(field):
        return unlike
    if _COUNTED.fullmatch(field):
        return _DIGITS.sub("0", field) in {_DIGITS.sub("0", other) for other in others} or None
    signs = set(_SIGNS.findall(field))
    return any(len(field) == len(other) and signs <= set(other) for other in others) or None


def ask_for_header(first: Sequence[str], words: Words) -> None:
    """Raise for a first line that may name the columns or be data."""
    if words.given():
        told = "say header=True if it does, or header=False if it is data"
    else:
        counted = first[:3] == ["", "0", "1"]  # a data frame with its index, which is no user
        user, item = (word_for(first, i + counted) for i in (0, 1))
        told = (
            "say header=False if it is data; if it names them, say which are user and item, for example "
            f"read_ratings(path, user={user}, item={item})"
        )
    raise UnclearColumnsError(f"nothing tells whether the first line, {shown_row(first)}, names the columns; {told}")


def comment_fix(first: str) -> str:
    """Return what to do about a first line behind # or %, which may be a comment or name the columns."""
    text = first.lstrip("#% ")
    fields = [field.strip(' "') for field in re.split(r"::|[,;|\t]", text)]
    if any(looks_like_a_heading(field) for field in fields if len(fields) > 1):
        return "say header=True if it names the columns, or remove such lines"
    if any(looks_like_a_heading(word) for word in text.split()):
        return f"remove such lines, or the {first[0]!r} alone if the line names the columns"
    return "remove such lines, or say header=True if the line names the columns, header=False if it is data"


def refuse_sizes(rows: Rows) -> None:
    """Raise if the first line may hold the numbers of users, of items and of entries."""
    even = [row for row in rows[:LOOK] if len(row) == len(rows[0])]
    sizes, below, n_fields = even[0], even[1:], len(rows[0])
    exact = sizes[2:3] == [str(len(below))]
    if n_fields > 3 or len(below) < (3 if exact else FEW if n_fields == 3 else MANY):
        return
    if not all(map(_SIZE.fullmatch, [*sizes, *column(below, 0), *column(below, 1)])):
        return
    highest = [max(int(row[i]) for row in below) for i in (0, 1)]
    largest = all(int(size) >= high for size, high in zip(sizes, highest, strict=False))
    descending = [int(field) for field in below[0][:2]] == highest
    entries = (
        n_fields == 2
        or exact
        or (int(sizes[2]) >= len(below) and all(is_number(row[2]) and int(sizes[2]) > _number(row[2]) for row in below))
    )
    if largest and entries and not descending:
        raise UnclearColumnsError(
            f"the first line, {shown_row(rows[0])}, is as large as any below it, so it may hold the numbers of users "
            "and items; remove it, or say header=False if it is data"
        )


def _is_rating(text: str) -> bool:
    return is_number(text) or text in plain.BOOLEANS


def counts_columns(rows: Rows) -> bool:
    """Return whether the first line is 0, 1, 2, ... as data-frame libraries head columns without names."""
    first = list(rows[0])
    if first != [str(i) for i in range(len(first))] or len(rows) < 2:
        return False
    body = [row for row in rows[1:] if len(row) == len(first)]
    texts = any(body) and any(not any(WHOLE.fullmatch(row[i]) for row in body) for i in range(len(first)))
    if len(first) > 2 or texts:
        return True
    users = [row[0] for row in rows[1:]]
    ascending = all(map(WHOLE.fullmatch, users)) and sorted(users, key=float) == users
    return len(users) >= MANY and first[0] not in users and not ascending  # else rather the pair of 0 and 1


def looks_like_a_matrix(rows: Rows, first: int) -> bool:
    """Return whether all columns from ``first`` on hold numbers or nothing, and there are many."""
    if len(rows) == 0 or len(rows[0]) - first < _WIDE:
        return False
    return all(all(field.lower() in _GAPS or is_number(field) for field in row[first:]) for row in rows)


def counted_at(rows: Rows) -> int | None:
    """Return the field, 0 or 1, that holds the number of fields behind it in every line; None where it may be chance.

    The second one has it only behind users that are all different; where all lines have as many fields, that takes
    four of them and three lines.
    """
    ragged = len({len(row) for row in rows}) > 1
    if ragged and all(row and row[0] == str(len(row) - 1) for row in rows):
        return 0
    second = all(len(row) > 1 and row[1] == str(len(row) - 2) for row in rows)
    different = len({row[0] for row in rows if row}) == len(rows)
    return 1 if second and different and (ragged or (len(rows[0]) > 3 and len(rows) > 2)) else None


def counted_text(i: int) -> str:
    """Return what to say of lines whose first or second field is the number of those behind it."""
    what = "put the user's id in its place" if i == 0 else "remove that number"
    return (
        f"every line has the number of what follows as its {'second' if i else 'first'} field; if these are lists of "
        f"items, {what}, write blanks between the fields and say format='lists'"
    )


def melt_hint(rows: Rows) -> str:
    """Return what to add to an error where columns of small numbers may be a matrix, though not a wide one."""
    texts = [field for row in rows for field in row[1:] if field.lower() not in _GAPS]
    small = bool(texts) and all(NUMBER.fullmatch(text) and -KINDS <= float(text) <= KINDS for text in texts)
    return f"; if each column is an item, {_MELT}" * (small and len(rows[0]) > 3)


def check_whole_columns(rows: Rows, position: Mapping[str, int], names: Sequence[str] | None) -> None:
    """Raise if a column holds in none of the first lines what it is taken for: then no line is to be corrected."""
    for role, i in position.items():
        values = column(rows[:LOOK], i)
        test = {"rating": _is_rating, "weights": is_number, "timestamp": is_value}.get(role, bool)
        if len(values) < 3 or any(map(test, values)):
            continue
        name = f"column {i}" if names is None else repr(untyped(names[i]))
        held = next(filter(None, values), "")
        what = f"no {'number' if role in NUMBERS else 'time'}, but {held!r} and the like," if held else "nothing"
        out = f"leave it out with {role}=False, or " if role in ("rating", "timestamp") else ""
        if role == "rating" and any(value.lower() in OPINIONS for value in values):
            out = "write 1 and 0 for such ratings, or "
        raise UnclearColumnsError(
            f"{name}, taken as the {role}, holds {what} in all of the first {len(values)} lines; {out}say which column "
            f"it is: {role}=COLUMN"
        )


def matrix_text(n_fields: int) -> str:
    """Return what to say of a table with a column for each item."""
    return (
        f"has {n_fields} columns of numbers, which looks like a users x items matrix; give Interactions a SciPy "
        f"matrix of zeros and ones, or {_MELT}"
    )


def numeric_columns(rows: Rows, n_fields: int, taken: Mapping[str, int]) -> list[int]:
    """Return which columns without a role hold numbers."""
    columns = {i: column(rows[:LOOK], i) for i in range(n_fields) if i not in taken.values()}
    return [i for i, values in columns.items() if any(values) and all(is_number(value) for value in values if value)]


def rated_columns(rows: Rows, numeric: Sequence[int], names: Sequence[str] | None) -> list[int]:
    """Return which columns of numbers look like ratings: few of a small range, under a name that tells no other."""
    found = []
    for i in numeric:
        numbers = {_number(value) for value in column(rows[:LOOK], i) if value}
        if len(numbers) <= MANY and min(numbers) >= -KINDS and max(numbers) <= 100:
            found.append(i)
    return [i for i in found if names is None or UNRATED.isdisjoint(words_in(names[i]))]


def check_hours(name: str, at: int, rows: Rows) -> None:
    """Raise if a column of times holds the hours of a day."""
    values = [value for value in column(rows, at) if value]
    few = len(values) >= MANY and len(set(values)) < len(values)
    if few and all(WHOLE.fullmatch(value) and 0 <= float(value) < 24 for value in values):
        raise UnclearColumnsError(
            f"{name!r} holds whole numbers from 0 to 23, which may be hours of a day; say timestamp={name!r} if they "
            "are the order of the interactions, or timestamp=False"
        )


def shown_row(row: Sequence[str]) -> str:
    """Return the fields of a line for a message."""
    text = ", ".join(row)
    return repr(text if len(text) <= 100 else text[:97] + "...")


def column(rows: Rows, i: int) -> list[str]:
    return [row[i] for row in rows if len(row) > i]


def _number(text: str) -> float:
    return float(text.replace(",", "."))


def are_fractions(values: Sequence[str]) -> bool:
    """Return whether all values are numbers, and all are written with a point or one has digits behind it."""
    if not values or not all(NUMBER.fullmatch(value) for value in values):
        return False
    return all("." in value for value in values) or any("." in value and float(value) % 1 for value in values)


def are_dates(values: Sequence[str]) -> bool:
    """Return whether all values are dates, also such as 20240229, or the times of a day."""
    return bool(values) and (
        all(is_date(value) or _CLOCK.fullmatch(value) for value in values) or all(map(_DAY.fullmatch, values))
    )


def are_moments(values: Sequence[str]) -> bool:
    """Return whether all values are seconds, or parts of them, within the years that ratings come from."""
    if not values or not all(_SECONDS.fullmatch(value) for value in values):
        return False
    low, high = _YEARS
    numbers = [int(value.partition(".")[0]) for value in values]
    return any(all(low * unit <= number < high * unit for number in numbers) for unit in (1, 10**3, 10**6, 10**9))
