"""Histories as people have them, with names: Interactions, matrices, dicts, lists of lists, data frames."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastautorec._checks import few, kind, warn_caller
from fastautorec._compute.arrays import check_rows
from fastautorec._compute.csr import Csr
from fastautorec._compute.inputs import check_columns, check_user_items
from fastautorec.data import Interactions
from fastautorec.data import _identity as identity
from fastautorec.data._ids import coded
from fastautorec.data._naming import same_ids
from fastautorec.data._pairs import pair_matrix
from fastautorec.data._rearranging import rearranged
from fastautorec.data._roles import UnclearColumnsError, Words, find_roles, role_of, untyped
from fastautorec.data._texts import is_text
from fastautorec.models import _labels as naming
from fastautorec.models._labels import Array, Items, Labels

Rows = npt.NDArray[np.int64]


class Histories(NamedTuple):
    """Histories in the columns of a model.

    Attributes
    ----------
    users : array (q,)
        Id of each, or row numbers.
    matrix : Csr (q, n)
    unknown : list
        Distinct ids of items that the model does not know, which are left out.
    strange : int
        How many users have a history, but nothing in it that the model knows.
    """

    users: Array
    matrix: Csr
    unknown: Labels
    strange: int


def histories_of(data: Any, users: Any, items: Items, name: str = "data") -> Histories:
    """Return the histories of all users of data, or of some in the order given; messages call the data ``name``.

    Raises
    ------
    TypeError
        If they have none of the forms that `recommend_table` takes, or ids are of another type than the model's.
    ValueError
        If a user is not in the data or named twice, an id is none, or the model knows no item of the data: then they
        are of another shop, or users stand in the place of items.
    """
    found = _found(data, users, items, name)
    if found.unknown and not found.matrix.nnz:
        raise ValueError(
            f"the model knows none of the {len(found.unknown):,} items in `{name}`, such as {few(found.unknown)}; its "
            f"own are such as {few(naming.some(items))}: was it fitted on other data, or do users and items stand in "
            "each other's place? For a user of whom nothing is known pass []"
        )
    return found


def _found(data: Any, users: Any, items: Items, name: str) -> Histories:
    if isinstance(data, Mapping):
        return _of_dict(data, users, items, name)
    if is_frame(data):
        data = from_frame(data, items, name)
    elif isinstance(data, (list, tuple)):
        if data and all(isinstance(given, (str, int)) for given in data[:1]):
            raise TypeError(
                f"`{name}` must hold a list of items for each user, got the list of items {reprlib.repr(data)}; write "
                "[...] around the items of one user, or {user: [...]}"
            )
        rows = np.arange(len(data)) if users is None else _picked_rows(users, len(data))
        picked = data if users is None else [data[row] for row in rows.tolist()]
        return _of_lists(rows, picked, items, name)
    if isinstance(data, Interactions):
        return _of_interactions(data, users, items, name)
    if isinstance(data, (str, bytes)) or not hasattr(data, "shape"):
        raise TypeError(
            f"`{name}` must be a dict or a list of lists of items, a data frame with the columns user and item, "
            f"Interactions or scipy sparse, got {kind(data)}"
        )
    return _of_matrix(data, users, items, name)


# --- dicts and lists --------------------------------------------------------------------------------------------------


def _of_dict(data: Mapping[Any, Any], users: Any, items: Items, name: str) -> Histories:
    if set(data) == {"user", "item"}:
        raise ValueError(
            f"`{name}` is a dict with the keys 'user' and 'item': are these two users, or the columns of a table? Make "
            "a data frame of a table (or Interactions.from_dataframe), and name users otherwise"
        )
    labels = naming.plain_labels(name, list(data))
    if users is None:
        return _of_lists(naming.label_array(labels), list(data.values()), items, name)
    wanted = naming.named_users(users)
    _check_kinds(wanted, labels)
    of = dict(zip(labels, data.values(), strict=True))
    _check_there(wanted, [label not in of for label in wanted], len(of))
    return _of_lists(naming.label_array(wanted), [of[label] for label in wanted], items, name)


def _of_lists(users: Array, lists: Sequence[Any], items: Items, name: str) -> Histories:
    """Return histories from a list of items for each user."""
    if set(map(type, lists)) != {list}:
        lists = [_one_list(user, given, name) for user, given in zip(users.tolist(), lists, strict=True)]
    lengths = np.fromiter(map(len, lists), np.int64, len(lists))
    labels = naming.plain_labels(name, lists[0] if len(lists) == 1 else list(chain.from_iterable(lists)))
    numbers = items.numbers(name, labels)
    if len(lists) == 1:  # one request: nothing is sorted by user
        distinct = sorted(set(numbers.tolist()) - {-1})  # NumPy takes longer for a few rows
        matrix = Csr(np.array([0, len(distinct)]), np.array(distinct, np.int32), None, items.n)
    else:
        rows, known = np.repeat(np.arange(len(lists)), lengths), numbers >= 0
        pairs = pair_matrix(rows[known], numbers[known], (len(lists), items.n))
        matrix = Csr(pairs[0], pairs[1], None, items.n)
    if not len(numbers) or numbers.min() >= 0:
        return Histories(users, matrix, [], 0)
    unknown = list(dict.fromkeys(labels[at] for at in np.flatnonzero(numbers < 0).tolist()))
    return Histories(users, matrix, unknown, _count_strange(lengths, matrix))


def _count_strange(lengths: Rows, matrix: Csr) -> int:
    return int(((lengths > 0) & (matrix.row_lengths() == 0)).sum())


def _one_list(user: Any, given: Any, name: str) -> Sequence[Any]:
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise TypeError(
            f"`{name}` must hold a list of items for each user, got {given!r} ({kind(given)}) for user {user!r}; write "
            "[...] around the items of one user"
        )
    return naming.listed(name, given)


# --- data frames, Interactions, matrices ------------------------------------------------------------------------------


def is_frame(data: Any) -> bool:
    """Return whether data are a table with columns."""
    if isinstance(data, np.ndarray):
        return data.dtype.names is not None
    return any(hasattr(data, has) for has in ("collect", "column_names", "columns"))  # lazy ones first


def from_frame(data: Any, items: Items, name: str) -> Interactions:
    """Return the interactions in a table, whose columns of users and items are found by name as `read_ratings` does.

    A model without ids has its numbers for them, so in a table an integer is the number of an item.
    """
    if hasattr(data, "collect"):
        data = data.collect()
    names = list(data.dtype.names if isinstance(data, np.ndarray) else getattr(data, "column_names", data.columns))
    try:
        place = find_roles(
            [*map(str, names)], len(names), Words(rating=False, timestamp=False), "Interactions.from_dataframe(df"
        ).position
    except UnclearColumnsError as error:
        raise ValueError(f"`{name}` must have one column of users and one of items: {error}") from None
    rated = [heading for heading in names if (role_of(untyped(str(heading))) or (None,))[0] == "rating"]
    if rated:
        warn_caller(
            f"column {rated[0]!r} of `{name}` is not used: every row counts, whatever its rating; to leave low ones "
            f"out, pass Interactions.from_dataframe(df, rating={rated[0]!r}, threshold=...), with the threshold that "
            "the data of `fit` had"
        )
    try:
        table = Interactions.from_dataframe(data, names[place["user"]], names[place["item"]])
    except ValueError as error:
        here = f", in Interactions.from_dataframe(df), and pass what it returns as `{name}`"
        raise ValueError(f"{error}{here if 'missing=' in str(error) else ''}") from None
    if items.ids is not None:
        return table
    items.numbers(name, table.item_ids.tolist())
    numbered: Interactions = identity.renumbered(table, item_ids=np.arange(items.n))
    return numbered


def _of_interactions(data: Interactions, users: Any, items: Items, name: str) -> Histories:
    rows = None if users is None else _rows(data, users)
    given = _rows_of(data, rows, name)
    own, label_of = identity.own_ids(data, identity.ITEMS), items.ids
    matrix, unknown = given, np.empty(0, np.int64)
    if own is not None and label_of is None:
        if is_text(own) or not np.array_equal(own, np.arange(items.n)):  # are its numbers the ids, or the columns?
            naming.refuse_bare(name, items.n, *own[:1].tolist())
    elif own is not None and label_of is not None and own is not label_of:
        naming.check_kind(name, is_text(own), own, "the model", label_of)
        if rows is not None or not same_ids(own, label_of):  # of a few users, only their items are looked up
            used = _columns_of(given)
            place = np.full(len(own), -1)
            place[used] = items.numbers(name, own[used].tolist())
            matrix, weights = rearranged(given.rebased(), given.rebased().data, None, place, items.n)
            matrix = matrix.with_data(weights)
            unknown = used[place[used] < 0]
    check_columns(name, matrix.shape, items.n)
    user_ids = data.user_ids if rows is None else data.user_ids[rows]
    if own is None or not len(unknown):
        return Histories(user_ids, _plain(matrix), [], 0)
    return Histories(user_ids, _plain(matrix), own[unknown].tolist(), _count_strange(given.row_lengths(), matrix))


def _rows_of(data: Interactions, rows: Rows | None, name: str) -> Csr:
    """Return some rows, checked, with weights for their values; not all are read for a few without weights."""
    if rows is None or data.weights is not None:
        whole = check_user_items(name, data)
        whole = whole if data.weights is None else whole.rebased().with_data(data.weights)
        return whole if rows is None else whole.take_rows(rows)
    return check_user_items(name, data.user_items[rows]) if data._csr is None else data._csr.take_rows(rows)


def _columns_of(matrix: Csr) -> Rows:
    """Return the columns that are not empty."""
    used = np.zeros(matrix.n_cols, bool)
    for block in matrix.blocks():
        used[block.rebased().indices] = True
    return np.flatnonzero(used)


def _rows(data: Interactions, users: Any) -> Rows:
    """Return the rows of users by id, or by number where the data has no ids of users."""
    if identity.own_ids(data, identity.USERS) is None:
        return _picked_rows(users, data.shape[0])
    wanted = naming.named_users(users)
    if wanted:
        naming.check_kind("users", isinstance(wanted[0], str), wanted, "`data`", data.user_ids)
    index = data._user_map
    _check_there(wanted, [label not in index for label in wanted], len(index))
    return np.array([index[label] for label in wanted], np.int64)


def _of_matrix(data: Any, users: Any, items: Items, name: str) -> Histories:
    matrix = check_user_items(name, data, items.n)
    rows = None if users is None else _picked_rows(users, matrix.shape[0])
    matrix = matrix if rows is None else matrix.take_rows(rows)
    return Histories(np.arange(matrix.shape[0]) if rows is None else rows, _plain(matrix), [], 0)


def _plain(matrix: Csr) -> Csr:
    return matrix if matrix.users is None else Csr(matrix.indptr, matrix.indices, matrix.data, matrix.n_cols)


# --- users ------------------------------------------------------------------------------------------------------------


def _picked_rows(users: Any, n_rows: int) -> Rows:
    labels = naming.named_users(users)
    if labels and isinstance(labels[0], str):
        raise TypeError(
            f"the users of `data` have no ids, only the row numbers 0 to {n_rows - 1:,}, got the id {labels[0]!r} in "
            "`users`; pass Interactions with user_ids, or row numbers"
        )
    return check_rows("users", np.array(labels, np.int64), n_rows)


def _check_kinds(wanted: Labels, labels: Labels) -> None:
    if wanted and labels:
        ids, _ = coded("data", list(labels[:1]))
        naming.check_kind("users", isinstance(wanted[0], str), wanted, "`data`", ids)


def _check_there(wanted: Labels, absent: Sequence[bool], count: int) -> None:
    if any(absent):
        first = wanted[absent.index(True)]
        raise ValueError(
            f"`users` must be users of `data`, but {sum(absent):,} of {len(wanted):,} are not among its {count:,}, "
            f"such as {first!r}; a new user is asked for by history, {{{first!r}: [items]}}"
        )
