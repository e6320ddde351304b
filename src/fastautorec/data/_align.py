"""Alignment of ready-made splits: the same users and items everywhere, and a warning of what is left out."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastautorec._checks import check_choice, kind
from fastautorec._compute.inputs import check_user_items
from fastautorec.data._identity import ITEMS, USERS, Axis, Ids, first_id, own_ids, places, refuse, renumbered
from fastautorec.data._texts import is_text

if TYPE_CHECKING:
    from fastautorec.data._interactions import Interactions

UNKNOWN = ("drop", "keep", "raise")


def align(train: Interactions, *others: Interactions, unknown: str = "drop") -> tuple[Interactions, ...]:
    """Give data sets that were made apart, such as the files of a ready-made split, one numbering of users and items.

    Equal ids are the same user or item. Those of ``train`` keep their rows and columns; the others are moved there.

    Parameters
    ----------
    train : Interactions
        The reference.
    *others : Interactions
        Such as validation and test data. Users and items that they lack are empty rows and columns of the result.
    unknown : {"drop", "keep", "raise"}
        What to do with users and items of ``others`` that ``train`` does not know. "drop" leaves them out, with a
        warning that counts them: there is no history to recommend from, and no model to recommend them. "keep" adds
        them to all results, after those of ``train`` and in the order in which they come: test items that no model can
        find count as missed. "raise" refuses them.

    Returns
    -------
    tuple of Interactions
        ``train`` and the others, all of one shape and, where ``train`` has ids, with the same ones; where it has none,
        row is compared with row, and each keeps what it has. Timestamps and weights are kept.

    Raises
    ------
    TypeError
        For anything but Interactions.
    ValueError
        If one side has no ids, so that row is compared with row, and the numbers of users or items differ; for an
        unknown user or item with "raise"; or if nothing is left of one of the others.

    Examples
    --------
    >>> import fastautorec as far
    >>> train = far.Interactions.from_dataframe({"who": ["ann", "bob", "bob"], "what": [10, 10, 20]}, "who", "what")
    >>> test = far.Interactions.from_dataframe({"who": ["bob", "ann"], "what": [30, 20]}, "who", "what")
    >>> train, test = far.align(train, test, unknown="keep")
    >>> train.item_ids
    array([10, 20, 30])
    >>> test.user_items.toarray()
    array([[0., 1., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    check_choice("unknown", unknown, UNKNOWN)
    everyone = {"train": train} | {f"others[{number}]": other for number, other in enumerate(others)}
    for name, data in everyone.items():
        if not hasattr(data, "_ids_given"):
            raise TypeError(
                f"`{name}` must be Interactions, which know the ids of their rows and columns, got {kind(data)}; make "
                "them with Interactions(matrix, user_ids, item_ids)"
            )
    everyone = {name: _named(name, data, train) for name, data in everyone.items()}
    target = [_target(axis, everyone, unknown) for axis in (USERS, ITEMS)]
    results = [renumbered(data, *target) for data in everyone.values()]
    _tell_losses(everyone, results)
    return tuple(results)


def _named(name: str, data: Any, train: Any) -> Any:
    """Return data that have the ids of ``train`` where they have none of their own, row by row."""
    adopted: dict[str, Ids] = {}
    for axis in (USERS, ITEMS):
        own, ids = own_ids(data, axis), own_ids(train, axis)
        size, wanted = data.shape[axis.number], train.shape[axis.number]
        if (own is None or ids is None) and size != wanted:
            bare = name if own is None else "train"
            raise ValueError(
                f"`{bare}` must have ids of its {axis.many} to be aligned: there are {size} "
                f"of them in `{name}` and {wanted} in `train`; give them as Interactions(matrix, user_ids, item_ids)"
            )
        if own is None and ids is not None:
            adopted[axis.attribute] = ids
    return data._like(check_user_items(name, data), data.timestamps, data.weights, **adopted) if adopted else data


def _target(axis: Axis, everyone: dict[str, Any], unknown: str) -> Ids | None:
    """Return the ids that all get, or None where ``train`` has none."""
    train, *others = everyone.items()
    target = own_ids(train[1], axis)
    if target is None:
        return None
    for name, data in others:
        own = getattr(data, axis.attribute)
        new = places(own, target) < 0
        if not new.any() or unknown == "drop":
            continue
        if unknown == "raise" or is_text(own) != is_text(target):
            drop = "unknown='drop'" if is_text(own) != is_text(target) else "unknown='drop' or 'keep'"
            fix = f"{drop}, or {name}.{axis.method}(train.{axis.attribute})"
            refuse(axis, name, own, "`train`", target, fix)
        target = np.concatenate([target, own[new]])
    return target


def _tell_losses(before: dict[str, Any], after: Sequence[Any]) -> None:
    """Warn of what was left out; refuse where nothing is left."""
    told = []
    for (name, data), result in zip(before.items(), after, strict=True):
        if data is result:
            continue
        lost = {axis.many: _lost(data, result, axis) for axis in (USERS, ITEMS)}
        if data.nnz and not result.nnz:
            raise ValueError(
                f"nothing is left of `{name}`: `train` knows {data.shape[0] - lost['users']:,} of its "
                f"{data.shape[0]:,} users and {data.shape[1] - lost['items']:,} of its {data.shape[1]:,} items; see "
                f"that the ids are written alike, such as {_first_ids(data)} here and {_first_ids(after[0])} in `train`"
            )
        if any(lost.values()):
            told.append(
                f"of `{name}` {lost['users']:,} of {data.shape[0]:,} users and {lost['items']:,} of "
                f"{data.shape[1]:,} items, with {data.nnz - result.nnz:,} of {data.nnz:,} interactions"
            )
    if told:
        warnings.warn(
            f"left out what `train` does not know: {'; '.join(told)} (unknown='keep' keeps them)", stacklevel=3
        )


def _lost(data: Any, result: Any, axis: Axis) -> int:
    old, new = getattr(data, axis.attribute), getattr(result, axis.attribute)
    return 0 if old is new else int((places(old, new) < 0).sum())


def _first_ids(data: Any) -> str:
    return f"user {first_id(data.user_ids)} and item {first_id(data.item_ids)}"
