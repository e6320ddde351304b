"""Roles of columns: user, item, rating and time, by the words of the caller, by name, or by position."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fastautorec._checks import check_choice
from fastautorec.data._missing import MISSING, RAISE
from fastautorec.data._repeats import LAST, REPEATS
from fastautorec.data._vocabulary import EXACT, KNOWN, MERE, NOUNS, OTHER, QUALIFIERS, WEAK

SOUGHT = ("user", "item", "rating", "timestamp")  # looked for where the caller does not say them
ROLES = (*SOUGHT, "weights")
NUMBERS = ("rating", "weights")  # a column may be both

_IDENTITY = 2  # rank from which on a name tells rather a property
_TYPED = re.compile(r"(.*):(token|float|token_seq|float_seq)")


class Words(NamedTuple):
    """What the caller says of a file: a column by name or position for a role, False for none; None to look for it.

    ``repeats`` and ``missing`` are no words on how to read it, but on what its rows mean, and go the same way.
    """

    user: str | int | None = None
    item: str | int | None = None
    rating: str | int | bool | None = None
    timestamp: str | int | bool | None = None
    sep: str | None = None
    header: bool | None = None
    weights: str | int | None = None
    repeats: str = LAST
    missing: str = RAISE

    def given(self) -> dict[str, Any]:
        """Return the roles that were spoken of."""
        return {role: value for role in ROLES if (value := getattr(self, role)) is not None}

    def are_none(self) -> bool:
        """Return whether nothing is said of how to read it."""
        return not self.given() and self.sep is None and self.header is None

    def check(self) -> None:
        """Raise for a word of a kind that cannot be meant."""
        for role, value in self.given().items():
            if value is False and role in ("rating", "timestamp"):
                continue
            if isinstance(value, bool) or not isinstance(value, (str, int)):
                also = ", or False for none" if role in ("rating", "timestamp") else ""
                raise TypeError(f"`{role}` must be the name or the position of a column{also}, got {value!r}")
        if self.sep is not None and not isinstance(self.sep, str):
            raise TypeError(f"`sep` must be a string, got {self.sep!r}")
        if self.sep is not None and (not self.sep or re.search(r'["\r\n\w]', self.sep)):
            raise ValueError(f"`sep` must be what stands between fields, such as ',' or '\\t', got {self.sep!r}")
        if self.header is not None and not isinstance(self.header, bool):
            raise TypeError(f"`header` must be True, False or None, got {self.header!r}")
        self.check_rules()

    def check_rules(self) -> None:
        """Raise for an unknown word on what rows mean."""
        check_choice("repeats", self.repeats, REPEATS)
        check_choice("missing", self.missing, MISSING)


class Roles(NamedTuple):
    """The position of each role that was found, and how it was found."""

    position: dict[str, int]
    evidence: dict[str, str]


class UnclearColumnsError(ValueError):
    """What names and words leave open; the reader adds which file it is."""


def role_of(name: str) -> tuple[str, int] | None:
    """Return the role that a column name tells and how plainly, 0 most; None for a name that tells none."""
    plain = re.sub(r"[\W\d_]+", "", name.lower())
    if not plain or (any(character.isdigit() for character in name) and plain != "isbn"):
        return None  # "user1" is a user, no heading
    for rank, table in enumerate((EXACT, KNOWN)):
        for role, names in table.items():
            if plain in names:
                return role, rank
    words = words_in(name)
    noun = noun_of(name)
    for role, names in NOUNS.items():
        if noun in names:
            alone = len([word for word in words if word not in MERE | QUALIFIERS]) == 1
            return role, 2 if alone and words[-1] in ("id", noun) else 3
    return None


def looks_like_a_heading(name: str) -> bool:
    """Return whether a text is rather the name of a column than a value in it."""
    words = words_in(name)
    if any(character.isdigit() for character in name) or not words:
        return False
    return role_of(name) is not None or words[-1] in MERE or (len(words) == 1 and words[0] in OTHER)


def find_roles(names: Sequence[str] | None, n_fields: int, words: Words, call: str = "read_ratings(path") -> Roles:
    """Return where the roles are: as the caller says, else by the names, else by position.

    Parameters
    ----------
    names : sequence of str, or None
        Names of all columns; None for a file without a header.
    n_fields : int
    words : Words
    call : str
        Where the words are said, for the message.

    Raises
    ------
    UnclearColumnsError
        If user and item are not both clear.
    ValueError
        For a column that there is not.
    """
    given = {role: place(role, value, names, n_fields) for role, value in words.given().items() if value is not False}
    silent = {role for role, value in words.given().items() if value is False}
    twice = [role for role in given if list(given.values()).count(given[role]) > 1]
    twice = [] if twice == list(NUMBERS) else twice
    if twice:
        raise ValueError(f"`{twice[0]}` and `{twice[1]}` must name different columns, both are {given[twice[0]]}")
    found = dict(given)
    if names is None:
        if not given.keys() & {"user", "item"}:
            free = [role for role in SOUGHT if role not in given and role not in silent]
            found |= {
                role: i for i, role in enumerate(SOUGHT) if i < n_fields and i not in found.values() and role in free
            }
        missing = [role for role in ("user", "item") if role not in found]
        if missing:
            told = " and ".join(f"`{role}`" for role in missing)
            raise UnclearColumnsError(f"no header, so {told} must be given too, as a position from 0 to {n_fields - 1}")
        by = "by position"
    else:
        open_roles = [role for role in SOUGHT if role not in given and role not in silent]
        found |= _by_name(names, open_roles, set(given.values()))
        by = "by name"
        for role, i in found.items():
            _refuse_list(role, names[i])
        _require(names, found, call)
    order = {role: found[role] for role in ROLES if role in found}
    return Roles(order, {role: "given" if role in given else by for role in order})


def place(role: str, value: str | int, names: Sequence[str] | None, n_fields: int) -> int:
    """Return the position of a column that the caller names."""
    if isinstance(value, int):
        if not 0 <= value < n_fields:
            raise ValueError(f"`{role}` must be a position from 0 to {n_fields - 1}, got {value}")
        return value
    plain = [] if names is None else [untyped(name) for name in names]
    for known in ([] if names is None else list(names), plain):
        if known.count(value) == 1:
            return known.index(value)
    there = "it has no header" if names is None else f"it has {shown(names)}"
    twice = [] if names is None else [i for i in range(n_fields) if value in (names[i], plain[i])]
    if twice:
        places = " or ".join(f"{role}={i}" for i in twice)
        raise ValueError(f"`{role}` must name a column name that occurs once, got {value!r}; {there}; say {places}")
    raise ValueError(f"`{role}` must name a column of the file, got {value!r}; {there}")


def word_for(names: Sequence[str], i: int) -> str:
    """Return how a caller writes a column: by its name, or by its position where others have that name too."""
    name = untyped(names[i])
    return repr(name) if name and [untyped(other) for other in names].count(name) == 1 else str(i)


def untyped(name: str) -> str:
    """Return a name without the type that RecBole's files append, such as ``:token``."""
    match = _TYPED.fullmatch(name)
    return match[1] if match else name


def shown(names: Sequence[str], most: int = 20) -> str:
    """Return column names for a message."""
    listed = [repr(name) if not name or name != name.strip() or "," in name else name for name in names]
    return ", ".join(listed[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def words_in(name: str) -> list[str]:
    """Return the words that a name is made of, in small letters."""
    spaced = re.sub(r"(?<=[a-zäöü])(?=[A-Z])", " ", untyped(name))
    return [word for word in re.split(r"[\W_]+", spaced.lower()) if word]


def names_several(name: str) -> bool:
    """Return whether a name tells several of something in each row, such as item_ids and products."""
    last = (words_in(name) or [""])[-1]
    nouns = {"id", *(noun for nouns in NOUNS.values() for noun in nouns)}
    return last.endswith("s") and last.removesuffix("s") in nouns and last not in nouns


def noun_of(name: str) -> str:
    """Return what a name is about: its last word that is no mere "id" or "name"."""
    return next((word for word in reversed(words_in(name)) if word not in MERE | QUALIFIERS), "")


def _by_name(names: Sequence[str], roles: Sequence[str], taken: set[int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for role in roles:
        ranks: dict[int, int] = {}
        for i, name in enumerate(names):
            told = role_of(untyped(name))
            if i not in taken and told is not None and told[0] == role and not _is_list(name):
                ranks[i] = told[1]
        if not ranks:
            continue
        rivals = _rivals(names, ranks)
        if len(rivals) > 1:
            several = " and ".join(repr(names[i]) for i in rivals)
            words = [f"{role}={word_for(names, i)}" for i in rivals]
            none = [] if role in ("user", "item") else [f"{role}=False"]
            raise UnclearColumnsError(f"{several} may each be the {role}; say which: {' or '.join([*words, *none])}")
        found[role] = rivals[0]
    return found


def _rivals(names: Sequence[str], ranks: Mapping[int, int]) -> list[int]:
    """Return the columns between which the names leave open which one has the role, the plainest first.

    The plainest name wins alone where it says that it is an id and no other name is as plain, and against names that
    tell mere properties (a title, a session, the name of a customer) or the same thing in other words (customer beside
    customer_id).
    """
    best = min(ranks.values())
    plainest = [i for i, rank in ranks.items() if rank == best]
    if len(plainest) > 1 and len({noun_of(names[i]) for i in plainest}) == 1:
        plainest = [i for i in plainest if is_id(names[i])] or plainest
    plainest = [i for i in plainest if is_id(names[i]) or noun_of(names[i]) not in WEAK] or plainest
    first = plainest[0]
    if len(plainest) > 1 or (best == 0 and is_id(names[first])):
        return plainest
    noun = noun_of(names[first])
    others = [i for i, rank in ranks.items() if best < rank <= _IDENTITY and noun_of(names[i]) not in WEAK | {noun}]
    if is_id(names[first]):  # customer_id beside customer_unique_id
        others += [i for i, rank in ranks.items() if rank == _IDENTITY and _is_qualified(names[i], noun)]
    return [first, *others]


def _is_qualified(name: str, noun: str) -> bool:
    """Return whether a name is that of an id of a noun's, of a certain kind."""
    return is_id(name) and noun_of(name) in noun and not QUALIFIERS.isdisjoint(words_in(name))


def is_id(name: str) -> bool:
    """Return whether a name ends as those of ids do."""
    return untyped(name).lower().endswith("id")


def _require(names: Sequence[str], found: Mapping[str, int], call: str) -> None:
    """Raise unless user and item are there, with the words to use."""
    missing = [role for role in ("user", "item") if role not in found]
    if not missing:
        return
    lists = [name for name in names if _is_list(name)]
    if lists and "item" in missing:
        raise UnclearColumnsError(f"{lists[0]!r} holds a list in each row; name a column with one item in a row")
    example = ", ".join(
        f"{role}={word_for(names, found[role])}" if role in found else f"{role}=COLUMN" for role in ("user", "item")
    )
    known = "".join(f" (only {role}: {names[found[role]]})" for role in ("user", "item") if role in found)
    raise UnclearColumnsError(
        f"no columns named user and item{known}, got {shown(names)}; say which they are: {call}, {example})"
    )


def _is_list(name: str) -> bool:
    match = _TYPED.fullmatch(name)
    return match is not None and match[2].endswith("_seq")


def _refuse_list(role: str, name: str) -> None:
    if _is_list(name):
        raise UnclearColumnsError(f"`{role}` cannot be {name!r}, which holds a list in each row; name a column of ids")
