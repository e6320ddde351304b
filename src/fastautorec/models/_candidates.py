"""Which items may be listed: by number or by name, for all users or for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from fastautorec._checks import few, warn_caller
from fastautorec._compute.arrays import check_ids
from fastautorec._compute.csr import Csr
from fastautorec._compute.labelled import check_no_mask
from fastautorec.data import _identity as identity
from fastautorec.data._rearranging import rearranged
from fastautorec.data._texts import is_text
from fastautorec.models._histories import histories_of, is_frame
from fastautorec.models._labels import Array, Items, check_kind, check_one_list, selected, some


def allowed_items(items: Any, filter_items: Any, n: int) -> npt.NDArray[np.bool_] | None:
    """Return for each of n items whether it may be listed, or None where all may."""
    if items is None and filter_items is None:
        return None
    allowed = np.full(n, items is None)
    if items is not None:
        allowed[_numbers("items", items, n)] = True
    if filter_items is not None:
        allowed[_numbers("filter_items", filter_items, n)] = False
    if not allowed.any():
        _refuse_nothing()
    return allowed


def own_candidates(own: Csr, filter_items: Any, n_rows: int) -> Csr:
    """Return the items that may be listed for each of so many histories, without those that no user may get."""
    if own.shape[0] != n_rows:
        raise ValueError(
            f"`items` must have the candidates for each of the {n_rows:,} lists in a row of its own, got "
            f"{own.shape[0]:,} rows; for the same candidates for all pass a list of items"
        )
    if filter_items is not None:
        unwanted = np.zeros(own.n_cols, bool)
        unwanted[_numbers("filter_items", filter_items, own.n_cols)] = True
        own = without(own, unwanted)
    if n_rows and not own.nnz:
        _refuse_nothing()
    return own


def without(own: Csr, unwanted: npt.NDArray[np.bool_]) -> Csr:
    """Return candidates but for unwanted items."""
    own = own.rebased()
    kept = ~unwanted[own.indices]
    return Csr(np.concatenate(([0], np.cumsum(kept)))[own.indptr], own.indices[kept], None, own.n_cols)


def _numbers(name: str, given: Any, n: int) -> npt.NDArray[np.int32]:
    check_one_list(name, given, "a sparse matrix with a row for each history")
    numbers = check_ids(name, given, n)
    check_no_mask(name, numbers, n)
    return numbers


def _refuse_nothing() -> NoReturn:
    raise ValueError("`items` and `filter_items` leave no item to recommend; allow at least one")


# --- by name ----------------------------------------------------------------------------------------------------------


def selection(name: str, given: Any, named: Items, told: list[str]) -> npt.NDArray[np.int32] | None:
    """Return the numbers of the items of an argument; what it names that is unknown is told."""
    if given is None:
        return None
    numbers, unknown = selected(name, given, named)
    if unknown and not len(numbers) and name == "items":
        raise ValueError(
            f"`items` names no item that the model knows, got {few(unknown)}; its items are such as {few(some(named))}"
        )
    if unknown:
        told.append(f"{len(unknown):,} of the {len(unknown) + len(numbers):,} ids in `{name}`, such as {few(unknown)}")
    return numbers


def candidates(
    given: Any,
    users: Array,
    named: Items,
    told: list[str],
    picked: bool,
    source: tuple[str, str] = ("users", "`data`"),
) -> Any:
    """Return the numbers of the items that all may get, or a SciPy matrix of those that each user may get.

    ``picked`` says that the users are some of those who may have candidates. Messages say what has lists of its own,
    and which argument names it.
    """
    if not (hasattr(given, "nnz") or isinstance(given, Mapping) or is_frame(given)):
        return selection("items", given, named, told)
    theirs = histories_of(given, None, named, "items")
    if theirs.unknown:
        told.append(f"{len(theirs.unknown):,} items in `items`, such as {few(theirs.unknown)}")
    if hasattr(given, "nnz") and identity.own_ids(given, identity.USERS) is None:
        return theirs.matrix.to_scipy()
    check_kind("items", is_text(theirs.users), theirs.users, source[1], users)
    rows = identity.places(users, theirs.users)
    if len(rows) and rows.max() < 0:
        raise ValueError(
            f"`items` has candidates for none of the {len(rows):,} {source[0]} of {source[1]}, such as "
            f"{identity.first_id(users)}; it has {len(theirs.users):,} {source[0]}, such as "
            f"{identity.first_id(theirs.users)}"
        )
    _tell_others(users, theirs.users, picked, source)
    return rearranged(theirs.matrix, None, rows, None, named.n)[0].to_scipy()


def _tell_others(users: Array, theirs: Array, picked: bool, source: tuple[str, str]) -> None:
    """Warn of users without candidates, and of candidates without users unless the users were ``picked`` among more."""
    without, unused = users[identity.places(users, theirs) < 0], theirs[identity.places(theirs, users) < 0]
    many, argument = source
    told = []
    if len(without):
        told.append(f"{len(without):,} of the {len(users):,} {many}, such as {few(without.tolist())}, have no row")
    if len(unused) and (told or not picked):
        told.append(f"those of {few(unused.tolist())}, of {len(unused):,} that are not among these, stay unused")
    if told:
        warn_caller(f"`items` does not have the same {many} as {argument}: {', and '.join(told)}")
