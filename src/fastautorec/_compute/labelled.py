"""One value for each item in a column with an index, as pandas has: it goes by its labels, never silently by position.

A table of a shop has its own order. A column of it knows by its index to which items its values belong, and only a
plain list or array stands for the order of the model.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec._checks import few

Places = npt.NDArray[np.int64]


def labels_of(column: Any) -> list[Any] | None:
    """Return the index of a column of pandas or cuDF as a list, None for what has none."""
    index = getattr(column, "index", None)
    if index is None or callable(index):  # lists and texts have a method of this name
        return None
    labels: list[Any] = np.asarray(index.to_numpy() if hasattr(index, "to_numpy") else index).tolist()
    return labels


def counts_rows(labels: list[Any]) -> bool:
    """Return whether labels are 0, 1, 2, ..., as those of a column that was given no index."""
    return all(type(label) is int and label == row for row, label in enumerate(labels))


def places_of_items(
    name: str, labels: list[Any], item_ids: npt.NDArray[Any] | None, n: int, *, keyed: bool = False
) -> Places | None:
    """Return where the value of each item stands among labels, int64 (n,), or None where values are in their order.

    Parameters
    ----------
    name : str
        Argument name for the messages.
    labels : list
    item_ids : array (n,) or None
        None where items are called by their numbers.
    n : int
    keyed : bool
        The labels are keys of a dict, which never count rows.

    Raises
    ------
    ValueError
        If a label occurs twice, an item has none, or labels that count rows are the ids of the items too, in an order
        of their own.
    """
    known = list(range(n)) if item_ids is None else item_ids.tolist()
    places = {label: place for place, label in enumerate(labels)}
    absent = [item for item in known if item not in places]
    if not keyed and counts_rows(labels):
        if absent or labels == known:
            return None
        raise ValueError(
            f"`{name}` has an index of 0 to {len(labels) - 1:,}, which may count its rows or name the items, whose ids "
            f"are {few(known)}; give it an index that names them in another order than its rows, such as by "
            f"column.reindex(model.item_ids_), or, if it is in the order of the model, {name}.to_numpy()"
        )
    if len(places) < len(labels):
        twice = next(label for place, label in enumerate(labels) if places[label] != place)
        raise ValueError(f"`{name}` must have one value for each item, got {twice!r} more than once; drop the repeats")
    if absent:
        raise ValueError(
            f"`{name}` must have a value for each of the {n:,} items, which it is taken for by the labels it has, such "
            f"as {few(labels)}, got none for {len(absent):,} of them, such as {few(absent)}; give all items a value, "
            "or pass an array or a list in the order of the model's item_ids_"
        )
    return np.fromiter(map(places.__getitem__, known), np.int64, n)


def check_no_labels(name: str, column: Any, order: str) -> None:
    """Raise for a column whose index says more than the number of the row, where nothing is known of ids."""
    labels = labels_of(column)
    if labels is not None and not counts_rows(labels):
        raise ValueError(
            f"`{name}` must have its values in the order of {order}, got a column with the index {few(labels)}; bring "
            f"it to that order, and pass {name}.to_numpy()"
        )


def check_no_mask(name: str, numbers: Any, n: int) -> None:
    """Raise for numbers of items that are rather a mask of them in zeros and ones."""
    if len(numbers) == n > 2 and set(np.asarray(numbers).tolist()) <= {0, 1}:
        raise ValueError(
            f"`{name}` must name items, got {n} values that are all 0 or 1, as many as there are items; if it is a "
            f"mask of them, pass np.flatnonzero({name})"
        )
