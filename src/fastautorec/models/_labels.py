"""Ids that a user writes, as numbers: of the items of a model, of the users of data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from itertools import repeat
from typing import Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from fastautorec._checks import FEW, kind
from fastautorec._compute.labelled import check_no_mask, labels_of, places_of_items
from fastautorec.data import _identity as identity
from fastautorec.data._arrays import is_missing
from fastautorec.data._columns import as_array
from fastautorec.data._ids import coded
from fastautorec.data._texts import is_text, text_array

Array = npt.NDArray[Any]
Numbers = npt.NDArray[np.int64]
Labels = Sequence[Any]  # Python integers, or texts

MANY = 1 << 12  # from so many integers on, arrays are faster than a dict

_PLAIN: tuple[set[type], ...] = ({int}, {str}, set())  # kinds of labels that need no second check


class LabelIndex:
    """The numbers of labels, looked up in a table that is made once: one request asks for a few of them.

    A copy or a pickle of a model leaves the table out, and the next request makes it again.
    """

    def __init__(self, labels: Array | None = None) -> None:
        self.labels = labels
        self.numbers = {} if labels is None else dict(zip(labels.tolist(), range(len(labels)), strict=True))

    def __reduce__(self) -> tuple[Any, ...]:
        return LabelIndex, ()


class Items(NamedTuple):
    """The items of a fitted model under the names that a call uses.

    Attributes
    ----------
    n : int
    ids : array (n,) or None
        None where the model was fitted without: then items are called by their numbers.
    look_up : callable
        Returns the number of each id, for a few of them.
    """

    n: int
    ids: Array | None
    look_up: Callable[[], dict[Any, int]]

    def numbers(self, name: str, labels: Labels) -> Numbers:
        """Return the number of each label of an argument, int64, -1 for an id that the model does not know.

        Raises
        ------
        TypeError
            For texts where the model has integers or numbers, and the other way round.
        ValueError
            For a number that no item has.
        """
        if not labels:
            return np.empty(0, np.int64)
        text = isinstance(labels[0], str)
        if self.ids is None:
            if text:
                refuse_bare(name, self.n, labels[0])
            try:
                numbers = np.array(labels, np.int64)
                wrong = (numbers < 0) | (numbers >= self.n)
            except OverflowError:
                numbers, wrong = np.empty(0, np.int64), np.array([not 0 <= label < self.n for label in labels])
            if wrong.any():
                raise ValueError(
                    f"`{name}` must hold item numbers in [0, {self.n}), got {labels[int(np.argmax(wrong))]}; the model "
                    "was fitted without item ids"
                )
            return numbers
        check_kind(name, text, labels, "the model", self.ids)
        if not text and len(labels) > MANY:
            try:
                return identity.places(np.array(labels, np.int64), self.ids)
            except OverflowError:  # an integer that no model has
                pass
        return np.fromiter(map(self.look_up().get, labels, repeat(-1)), np.int64, len(labels))


def check_kind(name: str, text: bool, labels: Array | Labels, whose: str, ids: Array) -> None:
    """Raise where ids are texts on one side and integers on the other, or the other way round."""
    if len(labels) and len(ids) and text != is_text(ids):
        mine, theirs = ("texts", "integers") if text else ("integers", "texts")
        convert = "int" if text else "str"
        first = identity.first_id(np.array(labels[:1]))
        raise TypeError(
            f"the ids in `{name}` are {mine}, such as {first}, those of {whose} {theirs}, such as "
            f"{identity.first_id(ids)}; convert them with {convert}(...)"
        )


def refuse_bare(name: str, n: int, label: Any) -> NoReturn:
    """Raise for ids where the model has none."""
    raise TypeError(
        f"the model was fitted on a matrix without item ids and knows its items by the numbers 0 to {n - 1:,} alone, "
        f"got the id {label!r} in `{name}`; fit it on Interactions with item_ids, or pass numbers"
    )


def plain_labels(name: str, given: Any) -> Labels:
    """Return one id, a list, a set or a column of them as integers of Python or as texts, in their order."""
    values = listed(name, given)
    if set(map(type, values)) in _PLAIN:
        return values
    missing = [value for value in values if is_missing(value)]
    if missing:
        raise ValueError(f"`{name}` must hold ids, got {missing[0]!r} in the place of one; leave it out")
    try:
        ids, codes = coded(name, list(values))
    except ValueError as error:  # it speaks of a column of a table
        raise ValueError(str(error).replace(f"column {name!r}", f"`{name}`", 1)) from None
    chosen: list[Any] = ids[codes].tolist()
    return chosen


def listed(name: str, given: Any) -> Sequence[Any]:
    """Return one value, a list, a set or a column as a list."""
    if isinstance(given, (list, tuple)):
        return given
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        return [given]
    if isinstance(given, Set) or not hasattr(given, "__array__"):
        return list(given)
    values: list[Any] = as_array(name, given).tolist()
    return values


def selected(name: str, given: Any, items: Items) -> tuple[npt.NDArray[np.int32], Labels]:
    """Return the numbers of items that an argument selects, and the ids in it that the model does not know.

    Parameters
    ----------
    name : str
    given : id, list, set, column of any data frame, or mask (n,)
        A mask with an index, as pandas has, goes by its labels, in whatever order.
    items : Items
    """
    if isinstance(given, Mapping):
        raise TypeError(
            f"`{name}` must be ids of items or a mask, got a {kind(given)}; of a dict of True and False by id pass "
            "[id for id, value in the_dict.items() if value]"
        )
    check_one_list(name, given, "{user: [items]}")
    values = listed(name, given)
    kinds = set(map(type, values))
    if kinds and kinds <= {bool, np.bool_}:
        index = labels_of(given)
        places = None if index is None else places_of_items(name, index, items.ids, items.n)
        if index is not None and places is not None:
            mask = np.array(values, bool)
            other = np.ones(len(index), bool)
            other[places] = False
            return np.flatnonzero(mask[places]).astype(np.int32), [index[at] for at in np.flatnonzero(mask & other)]
        if len(values) != items.n:
            raise ValueError(
                f"`{name}` is a mask of length {len(values)}, but the model has {items.n} items; give one value for "
                "each of them, in their order, or ids"
            )
        return np.flatnonzero(np.array(values, bool)).astype(np.int32), []
    labels = plain_labels(name, values)
    numbers = items.numbers(name, labels)
    check_no_mask(name, labels, items.n)
    known = numbers >= 0
    if known.all():
        return numbers.astype(np.int32), []
    return numbers[known].astype(np.int32), [label for label, there in zip(labels, known, strict=True) if not there]


def check_one_list(name: str, given: Any, way: str) -> None:
    """Raise for a list of lists where one list of items for all users is wanted; ``way`` is that of each user's own."""
    first = next(iter(given), None) if isinstance(given, (list, tuple)) else None
    if isinstance(first, (list, tuple, Set, np.ndarray)) or getattr(given, "ndim", 1) > 1:
        own = f"; candidates of each user's own are {way}" if name == "items" else ""
        raise TypeError(f"`{name}` must be one list of items, the same for all users, got a list of lists{own}")


def named_users(users: Any) -> Labels:
    """Return the ids of users that a caller wants, each once."""
    if isinstance(users, Mapping):
        raise TypeError(
            f"`users` must be ids of users, got a {kind(users)}; of a dict by user pass list(users), and histories, "
            "{user: [items]}, go to recommend_table in place of data"
        )
    labels = plain_labels("users", users)
    check_distinct(labels)
    return labels


def check_distinct(labels: Labels, name: str = "users") -> None:
    """Raise if an argument names one twice."""
    if len(set(labels)) < len(labels):
        twice = next(label for label, count in Counter(labels).items() if count > 1)
        raise ValueError(f"`{name}` must be distinct, got {twice!r} more than once; drop the repeats")


def label_array(labels: Labels) -> Array:
    """Return labels as an array of the type that all ids have."""
    labels = list(labels)
    if labels and isinstance(labels[0], str):
        return text_array(labels)
    try:
        return np.array(labels, np.int64)
    except OverflowError:
        ids, codes = coded("user", labels)  # says which one
        return ids[codes]


def some(named: Items) -> Labels:
    """Return the first items of a model for a message."""
    ids = np.arange(min(named.n, FEW)) if named.ids is None else named.ids[:FEW]
    some: list[Any] = ids.tolist()
    return some
