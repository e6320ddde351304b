"""Data in shards, models that sums over users solve, and engines, for tests of fits over shards."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy import sparse

import fastautorec as far
from fastautorec import distributed
from fastautorec.distributed import _engines as engines

ENTRIES = 400  # of a shard: eight shards, the last of them with few users
MATRIX = far.datasets.synthetic(300, 40, 3000, random_state=0)


def named(matrix: sparse.csr_matrix, first: int = 0) -> far.Interactions:
    """Return the interactions of some users, one in the middle of whom has none."""
    users = [f"user {number}" for number in range(first, first + matrix.shape[0])]
    return far.Interactions(matrix, user_ids=users, item_ids=[f"item {number}" for number in range(matrix.shape[1])])


def without_some(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    keep = np.ones(matrix.shape[0])
    keep[[0, 7, 150, 299]] = 0
    kept = sparse.csr_matrix(matrix.multiply(keep[:, None]))
    kept.eliminate_zeros()
    return kept


DATA = named(without_some(MATRIX))

MODELS: dict[str, Callable[[], Any]] = {
    "NCE": partial(far.NCEAutoRec, 8),
    "NCE tanh": partial(far.NCEAutoRec, 8, activation="tanh", regularization=0.1),
    "NCE relu updatable": partial(far.NCEAutoRec, 8, activation="relu", updatable=True),
    "NCE joint": partial(far.NCEAutoRec, 8, mode="joint"),
    "AutoRec": partial(far.AutoRec, 8, init="svd", epochs=0),
    "NCEPLRec": partial(far.NCEPLRec, 8),
    "PureSVD": partial(far.PureSVD, 8),
    "EASE": partial(far.EASE, 10),
    "EASE updatable": partial(far.EASE, 10, updatable=True),
    "Popularity": far.Popularity,
}


def arrays_of(model: Any) -> dict[str, Any]:
    own = {name: getattr(model, name) for name in (*model._arrays, "item_counts_", "item_ids_")}
    return own | (model.sums_ or {})


def assert_same(one: Any, other: Any) -> None:
    ours, theirs = arrays_of(one), arrays_of(other)
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        np.testing.assert_array_equal(array, theirs[name], err_msg=name)
    assert (one.n_users_, one.n_items_) == (other.n_users_, other.n_items_)


class Elsewhere:
    """An engine as others are: all that travels is pickled, arrays arrive read-only at odd addresses, and shards are
    worked on from the last to the first, one of them twice."""

    def _sent(self, value: Any) -> Any:
        return pickle.loads(pickle.dumps(value))

    def map(self, work: Any, shards: Any, state: Any) -> list[Any]:
        done: dict[int, Any] = {}
        for number in [*reversed(range(len(shards))), 0]:
            done[number] = self._sent(self._sent(work)(self._sent(shards[number]), odd(self._sent(state))))
        return [odd(done[number]) for number in range(len(shards))]

    def reduce(self, work: Any, shards: Any, state: Any) -> Any:
        return odd(distributed.tree(self.map(work, shards, state)))


def odd(value: Any) -> Any:
    """Return the same value with arrays that are read-only and not aligned."""
    if isinstance(value, np.ndarray) and value.ndim:
        room = np.empty(value.nbytes + 1, np.uint8)[1:]
        copy = room.view(value.dtype) if value.dtype.itemsize == 1 else np.ndarray(value.shape, value.dtype, room.data)
        copy = copy.reshape(value.shape)
        copy[...] = value
        copy.flags.writeable = False
        return copy
    return type(value)(map(odd, value)) if type(value) in (tuple, list) else value


class Failing(engines.Local):
    """An engine that breaks in the n-th pass."""

    def __init__(self, passes: int) -> None:
        self.left = passes

    def reduce(self, work: Any, shards: Any, state: Any) -> Any:
        if not self.left:
            raise ConnectionError("the cluster is gone")
        self.left -= 1
        return super().reduce(work, shards, state)


class Meanwhile(engines.Local):
    """An engine during whose second pass something happens to the folder."""

    def __init__(self, event: Callable[[], Any]) -> None:
        self.passes, self.event = 0, event

    def reduce(self, work: Any, shards: Any, state: Any) -> Any:
        self.passes += 1
        if self.passes == 2:
            self.event()
        return super().reduce(work, shards, state)


class Stopping(engines.Local):
    """An engine that is gone after so many tasks."""

    def __init__(self, tasks: int) -> None:
        self.left = tasks

    def _stopping(self, work: Any) -> Callable[..., Any]:
        def done(*given: Any) -> Any:
            if not self.left:
                raise ConnectionError("the cluster is gone")
            self.left -= 1
            return work(*given)

        return done

    def map(self, work: Any, shards: Any, state: Any) -> list[Any]:
        return super().map(self._stopping(work), shards, state)

    def reduce(self, work: Any, shards: Any, state: Any) -> Any:
        return super().reduce(self._stopping(work), shards, state)
