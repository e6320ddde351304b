"""Headings by which a column was taken for a role that another column of the file may have as well."""

from __future__ import annotations

from collections.abc import Sequence

from fastautorec.data import _evidence as evidence
from fastautorec.data._roles import Roles, UnclearColumnsError, is_id, noun_of, role_of, untyped, word_for, words_in
from fastautorec.data._vocabulary import DOUBTED, EVENTS, MERE, NOUNS, OTHER, PROPERTIES, UNRATED

_ELSE = UNRATED | OTHER | EVENTS | PROPERTIES


def check_headings(names: Sequence[str], roles: Roles, rows: evidence.Rows | None) -> None:
    """Raise if a name that tells little gave a column its role while another column may have it as well.

    Parameters
    ----------
    names : sequence of str
    roles : Roles
    rows : sequence of fields, or None
        The first lines; None where only the names are known.

    Raises
    ------
    UnclearColumnsError
        With the arguments to pass.
    """
    even = None if rows is None else [row for row in rows[: evidence.LOOK] if len(row) == len(names)]
    for role in ("user", "item"):
        at = roles.position[role]
        if roles.evidence[role] != "by name" or not _is_doubted(names[at], role):
            continue
        others = [i for i in range(len(names)) if i not in roles.position.values() and _may_be_ids(names[i])]
        if even is not None:
            others = [i for i in others if _are_ids(i, role, roles, even)]
        if others:
            words = " or ".join(f"{role}={word_for(names, i)}" for i in (at, *others[:3]))
            told = " or ".join(repr(untyped(names[i])) for i in others[:3])
            raise UnclearColumnsError(
                f"{untyped(names[at])!r} may be the {role}, or a property of what {told} holds; say which: {words}"
            )
    if roles.evidence.get("rating") == "by name":
        _check_rating(names, roles, even)


def _is_doubted(name: str, role: str) -> bool:
    """Return whether a name is that of a session, a title and the like; an item's id such as page_id is an id."""
    if role_of(untyped(name)) in ((role, 0), (role, 1)) or noun_of(name) not in DOUBTED[role]:
        return False
    return role == "user" or not is_id(name)


def _may_be_ids(name: str) -> bool:
    """Return whether a name is of unknown words, so that it may be that of users or items."""
    words = [word for word in words_in(name) if word not in MERE]
    return bool(words) and role_of(untyped(name)) is None and _ELSE.isdisjoint(words)


def _are_ids(i: int, role: str, roles: Roles, rows: evidence.Rows) -> bool:
    """Return whether a column may hold the users or the items: neither kinds, nor times, nor a property.

    All lines of a session have the same user, and all lines of a user the same salesperson. What is the same in all
    lines of each user is a property of the user.
    """
    values = [row[i] for row in rows]
    held = [value for value in values if value]
    if not held or evidence.are_dates(held) or evidence.are_fractions(held) or evidence.are_moments(held):
        return False
    if len(rows) >= evidence.MANY and len(set(values)) <= evidence.KINDS:
        return False
    owners = [row[roles.position["user"]] for row in rows]
    pairs = len(set(zip(owners, values, strict=True)))
    alike = pairs == len(set(owners))
    if role == "user":
        return alike or pairs == len(set(values)) < len(rows)
    return not alike or len(set(owners)) == len(owners)


def _check_rating(names: Sequence[str], roles: Roles, rows: evidence.Rows | None) -> None:
    """Raise for a name such as movie_rating over what may be the average of the item's ratings."""
    at = roles.position["rating"]
    words = words_in(names[at])
    if len(words) != 2 or words[1] not in ("rating", "ratings") or words[0] not in NOUNS["item"]:
        return
    pairs = [] if rows is None else [(row[roles.position["item"]], row[at]) for row in rows]
    items = {item for item, _ in pairs}
    if len(set(pairs)) > len(items) or (words[0] == "book" and len(pairs) == len(items)):
        return  # as of several users; Book-Crossing's ratings have the other name
    name = word_for(names, at)
    raise UnclearColumnsError(
        f"{untyped(names[at])!r} may be what the user gave or the average of the item; "
        f"say rating={name} or rating=False"
    )
