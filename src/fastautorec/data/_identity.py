"""Identity of users and items: where two matrices meet, they are compared by id, and aligned or refused.

The rows of a SciPy matrix have no ids, and neither have interactions that were made without them. What has no ids of
its own stays unchecked.
"""

from __future__ import annotations

import hashlib
from itertools import repeat
from typing import Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from fastautorec._checks import kind
from fastautorec._compute.csr import Csr
from fastautorec._compute.inputs import check_matching, check_user_items
from fastautorec.data import _rearranging as rearranging
from fastautorec.data._ids import MAX_SPARE
from fastautorec.data._naming import same_ids
from fastautorec.data._texts import is_text

Ids = npt.NDArray[Any]
Places = npt.NDArray[np.int64]

HASHED = 1 << 16  # ids that are hashed together
MODEL = "the model"


class Axis(NamedTuple):
    """Words for the rows or the columns of a matrix."""

    number: int
    many: str
    place: str
    attribute: str
    method: str


USERS = Axis(0, "users", "row", "user_ids", "with_users")
ITEMS = Axis(1, "items", "column", "item_ids", "with_items")


def own_ids(data: Any, axis: Axis) -> Ids | None:
    """Return the ids of the users or items, or None for numbers that were not given as ids."""
    given = getattr(data, "_ids_given", None)
    ids: Ids | None = getattr(data, axis.attribute) if given is not None and given[axis.number] else None
    return ids


def check_ids(name: str, ids: Any, axis: Axis) -> None:
    """Raise for what holds no ids at all."""
    if hasattr(ids, axis.attribute):
        raise TypeError(f"`{name}` must be ids of {axis.many}, got {kind(ids)}; pass its {axis.attribute}")
    if isinstance(ids, (str, bytes)) or not hasattr(ids, "__len__"):
        raise TypeError(
            f"`{name}` must be ids of {axis.many}, as a list or an array, got {'None' if ids is None else kind(ids)}; "
            f"such as the {axis.attribute} of other data"
        )


def places(ids: Ids, among: Ids) -> Places:
    """Return where each id is in ``among``, int64, -1 where it is not; a text is the integer that prints so."""
    if ids.dtype.kind == among.dtype.kind == "i":
        return _integer_places(ids, among)
    these, those = ids.tolist(), among.tolist()
    if is_text(ids) != is_text(among):
        these, those = map(str, these), map(str, those)
    place = dict(zip(those, range(len(among)), strict=True))
    return np.fromiter(map(place.get, these, repeat(-1)), np.int64, len(ids))


def _integer_places(ids: Ids, among: Ids) -> Places:
    low, high = (int(among.min()), int(among.max())) if len(among) else (0, 0)
    if high - low <= 4 * (len(ids) + len(among)) + MAX_SPARE:  # a table of the range replaces the search
        table: Places = np.full(high - low + 2, -1)
        table[among - low] = np.arange(len(among))
        inside = (ids >= low) & (ids <= high)
        return table.take(ids - low if inside.all() else np.where(inside, ids - low, -1))
    order = np.argsort(among, kind="stable")
    at = np.searchsorted(among, ids, sorter=order)
    at = order[np.minimum(at, len(among) - 1)]
    return np.where(among[at] == ids, at, -1)


def renumbered(data: Any, user_ids: Ids | None = None, item_ids: Ids | None = None) -> Any:
    """Return interactions with the rows and columns of these ids, those of None as they are; itself if all fit."""
    wanted = {
        axis: ids
        for axis, ids in ((USERS, user_ids), (ITEMS, item_ids))
        if ids is not None and not same_ids(getattr(data, axis.attribute), ids)
    }
    if not wanted:
        return data
    moves = {axis: _moves(axis, getattr(data, axis.attribute), ids) for axis, ids in wanted.items()}
    return data._like(*_moved(data, wanted, moves), wanted.get(USERS), wanted.get(ITEMS))


def picked(data: Any, rows: Places | None, columns: Places | None) -> Any:
    """Return interactions with these rows and columns in this order, and all of them for None."""
    wanted, moves = {}, {}
    if rows is not None:
        wanted[USERS], moves[USERS] = data.user_ids[rows], rows
    if columns is not None:
        place: Places = np.full(data.shape[1], -1)
        place[columns] = np.arange(len(columns))
        wanted[ITEMS], moves[ITEMS] = data.item_ids[columns], place
    if not wanted:
        return data
    return data._like(*_moved(data, wanted, moves), wanted.get(USERS), wanted.get(ITEMS))


def _moves(axis: Axis, own: Ids, ids: Ids) -> Places:
    """Return what `rearranged` asks for: the old row of each new one, or the new column of each old one."""
    return places(ids, own) if axis is USERS else places(own, ids)


def _moved(
    data: Any, ids: dict[Axis, Ids], moves: dict[Axis, Places], times: bool = True
) -> tuple[Csr, Ids | None, Ids | None]:
    """Return the matrix in another order, with its times, where they are wanted, and weights."""
    csr = check_user_items("user_items", data)
    n_items = len(ids[ITEMS]) if ITEMS in ids else csr.n_cols
    rows, columns, own = moves.get(USERS), moves.get(ITEMS), data.timestamps if times else None
    if data.weights is None:
        return *rearranging.rearranged(csr, own, rows, columns, n_items), None
    csr, entries = rearranging.rearranged(csr, np.arange(csr.nnz), rows, columns, n_items)
    return csr, None if own is None else own[entries], data.weights[entries]


# --- where two matrices meet ------------------------------------------------------------------------------------------


def aligned(name: str, other: Any, reference_name: str, reference: Any, times: bool = False, way_on: str = "") -> Any:
    """Return ``other`` with the rows and columns of ``reference``: itself where they are the same or have no ids.

    Parameters
    ----------
    name, reference_name : str
        For the message.
    other, reference : Interactions or scipy sparse
    times : bool
        Whether timestamps are wanted, where something is moved.
    way_on : str
        Further arguments of the `align` that the message advises.

    Raises
    ------
    ValueError
        If their users or items are not the same ones, whatever the order.
    """
    wanted: dict[Axis, Ids] = {}
    moves: dict[Axis, Places] = {}
    for axis in (USERS, ITEMS):
        own, ids = own_ids(other, axis), own_ids(reference, axis)
        if own is None or ids is None or same_ids(own, ids):
            continue
        move = _permutation(axis, own, ids)
        if move is None:
            ready_made = f"far.align({reference_name}, {name}{way_on})"
            own_way = f"{name}.{axis.method}({reference_name}.{axis.attribute})"
            fix = f"{own_way}, or {ready_made}"
            if way_on and is_text(own) == is_text(ids):
                fix = f"{ready_made}, with all that both have, or {own_way}, without what `{reference_name}` lacks"
            refuse(axis, name, own, f"`{reference_name}`", ids, fix)
        wanted[axis], moves[axis] = ids, move
    if not wanted:
        return other
    csr, moved_times, weights = _moved(other, wanted, moves, times)
    user_ids, item_ids = (wanted.get(axis, getattr(other, axis.attribute)) for axis in (USERS, ITEMS))
    return other._mapped(csr, user_ids, item_ids, moved_times, weights, other._ids_given, other._repeats)


def check_shape(name: str, other: Csr, shape: tuple[int, int], reference_name: str) -> None:
    """Raise unless ``other`` has the shape of the matrix called ``reference_name``."""
    check_matching(
        name, other, shape, reference_name,
        f"; where rows and columns have ids, make both Interactions(matrix, user_ids, item_ids) and use "
        f"far.align({reference_name}, {name})",
    )  # fmt: skip


def check_items(name: str, user_items: Any, model_ids: Ids | None) -> None:
    """Raise unless the columns are the items of a model, in its order: results count its columns."""
    own = own_ids(user_items, ITEMS)
    if own is None or model_ids is None or same_ids(own, model_ids):
        return
    refuse(ITEMS, name, own, MODEL, model_ids, f"{name}.with_items(model.item_ids_)")


def check_same_users(name: str, other: Any, reference_name: str, reference: Any) -> None:
    """Raise unless the rows are the users of other data, in their order, where both have ids of users."""
    own, ids = own_ids(other, USERS), own_ids(reference, USERS)
    if own is not None and ids is not None and not same_ids(own, ids):
        refuse(USERS, name, own, f"`{reference_name}`", ids, f"{name}.with_users({reference_name}.user_ids)")


def in_order_of(user_items: Any, model_ids: Ids | None) -> Any:
    """Return histories with their columns in the order of the model's, for results that count no columns.

    Other items than the model's are left as they are, for `check_items` to refuse.
    """
    own = own_ids(user_items, ITEMS)
    if own is None or model_ids is None or same_ids(own, model_ids):
        return user_items
    move = _permutation(ITEMS, own, model_ids)
    if move is None:
        return user_items
    csr, times, weights = _moved(user_items, {ITEMS: model_ids}, {ITEMS: move})
    given, marks = user_items._ids_given, user_items._repeats
    return user_items._mapped(csr, user_items.user_ids, model_ids, times, weights, given, marks)


def rows_in(name: str, user_items: Any, model_ids: Ids | None) -> Places | None:
    """Return the row that each user has in a model, int64, or None where one side does not know who its rows are.

    Raises
    ------
    ValueError
        For a user whom the model does not know.
    """
    own = own_ids(user_items, USERS)
    if own is None or model_ids is None:
        return None
    if same_ids(own, model_ids):
        return np.arange(len(own))
    rows = places(own, model_ids)
    if is_text(own) != is_text(model_ids) or (rows < 0).any():
        fix = f"{name}.with_users(model.user_ids_) for those that it knows, or fit again to take in new users"
        refuse(USERS, name, own, MODEL, model_ids, fix)
    return rows


def fingerprint(data: Any) -> str | None:
    """Return a hash of the ids of users and items, or None where there are none."""
    digest = None
    for axis in (USERS, ITEMS):
        ids = own_ids(data, axis)
        if ids is not None:
            digest = digest or hashlib.sha256()
            digest.update(f"{axis.many} {len(ids)} {'texts' if is_text(ids) else 'integers'}\0".encode())
            for start in range(0, len(ids), HASHED):
                digest.update("\0".join(map(str, ids[start : start + HASHED].tolist())).encode() + b"\0")
    return None if digest is None else digest.hexdigest()


def _permutation(axis: Axis, own: Ids, ids: Ids) -> Places | None:
    """Return how rows or columns move where distinct ids are the same in another order, or None."""
    if len(own) != len(ids) or is_text(own) != is_text(ids):
        return None
    moves = _moves(axis, own, ids)
    return None if (moves < 0).any() else moves


def refuse(axis: Axis, name: str, own: Ids, reference: str, ids: Ids, fix: str) -> NoReturn:
    """Raise for ids that are not those of the reference."""
    if is_text(own) != is_text(ids):
        mine, theirs = ("texts" if is_text(some) else "integers" for some in (own, ids))
        raise ValueError(
            f"the ids of the {axis.many} of `{name}` are {mine}, those of {reference} {theirs}: {axis.place} 0 is "
            f"{first_id(own)}, in {reference} {first_id(ids)}; read both alike, convert the ids of one of them "
            f"(Interactions(data, {axis.attribute}=...)), or use {fix} (an integer is found by the text that it prints "
            "as)"
        )
    unknown, missing = places(own, ids) < 0, places(ids, own) < 0
    if not unknown.any() and not missing.any():
        at = int(np.argmax(own != ids))
        what = f"the {axis.many} of {reference} in another order"
    else:
        at = int(np.argmax(unknown if unknown.any() else missing))
        counts = [
            f"{int(unknown.sum()):,} of its {len(own):,} are not there" if unknown.any() else "",
            f"{int(missing.sum()):,} of the {len(ids):,} there are missing" if missing.any() else "",
        ]
        what = f"other {axis.many} than {reference} ({', '.join(filter(None, counts))})"
    if unknown.any() or not missing.any():
        there = f", in {reference} {ids[at]!s}" if at < len(ids) else ""
        first = f"{axis.place} {at} is {own[at]!s}{there}"
    else:
        first = f"it lacks {ids[at]!s}, {axis.place} {at} of {reference}"
    raise ValueError(f"`{name}` has {what}: {first}; use {fix}")


def differing(axis: Axis, name: str, own: Ids, reference: str, ids: Ids) -> str:
    """Return in what the ids of two sides differ that have no interaction in common."""
    common = int((places(ids, own) >= 0).sum())
    if common:
        return f"of its {len(own):,} {axis.many}, {common:,} are among {reference}, but nothing belongs to them"
    mine, theirs = ("texts" if is_text(some) else "integers" for some in (own, ids))
    one, other = first_id(own), first_id(ids)
    if mine == theirs:
        return f"those of {name} are such as {one}, those of {reference} such as {other}"
    return f"the ids of {name} are {mine}, such as {one}, and those of {reference} {theirs}, such as {other}"


def first_id(ids: Ids) -> str:
    """Return the first id as it is written in Python."""
    return repr(ids[:1].tolist()[0]) if len(ids) else "none"
