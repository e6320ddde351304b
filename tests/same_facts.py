"""The same interactions with users and items in other orders, under other names, without ids or times."""

from __future__ import annotations

import numpy as np
from scipy import sparse

import fastautorec as far
from fastautorec import Interactions

M, N, K = 60, 25, 5
RNG = np.random.default_rng(0)
MATRIX = sparse.csr_matrix(RNG.random((M, N)) < 0.3).astype(np.float32)
USERS, ITEMS = [f"u{k}" for k in range(M)], [f"i{k}" for k in range(N)]
NUMBERED = range(100, 100 + M), range(500, 500 + N)


def whole(users=USERS, items=ITEMS):
    return Interactions(MATRIX, users, items, np.arange(MATRIX.nnz) * 3)


def parts(**ids):
    return far.split(whole(**ids), (0.7, 0.3), by="random")


def shuffled(data, users=True, items=True):
    """The same facts with users and items in another order, made from scratch."""
    rows = np.random.default_rng(1).permutation(data.shape[0]) if users else np.arange(data.shape[0])
    cols = np.random.default_rng(2).permutation(data.shape[1]) if items else np.arange(data.shape[1])
    times = None
    if data.timestamps is not None:
        matrix = data.user_items.copy()
        matrix.data = data.timestamps.astype(np.float64) + 1  # a sparse zero is no entry
        times = sparse.csr_matrix(matrix[rows][:, cols])
        times.data -= 1
    return Interactions(data.user_items[rows][:, cols], data.user_ids[rows], data.item_ids[cols], times)


def renamed(data, users=None, items=None):
    user_ids = data.user_ids.tolist() if users is None else users(data.user_ids.tolist())
    item_ids = data.item_ids.tolist() if items is None else items(data.item_ids.tolist())
    return Interactions(data.user_items, user_ids, item_ids)


def without_times(data):
    return renamed(data)


def bare(data):
    return Interactions(data.user_items)


def same(a, b):
    assert a.shape == b.shape
    assert np.array_equal(a.user_ids, b.user_ids)
    assert np.array_equal(a.item_ids, b.item_ids)
    assert np.array_equal(a.user_items.toarray(), b.user_items.toarray())
    assert (a.timestamps is None) == (b.timestamps is None)
    if a.timestamps is not None:
        assert np.array_equal(a.timestamps, b.timestamps)


TRAIN, TEST = parts()

REFUSED = {
    "another user": (
        renamed(TEST, users=lambda ids: [*ids[:7], "zoe", *ids[8:]]),
        r"`%(b)s` has other users than `%(a)s` \(1 of its 60 are not there, 1 of the 60 there are missing\): "
        r"row 7 is zoe, in `%(a)s` u7; use (%(b)s\.with_users\(%(a)s\.user_ids\), or )?far\.align\(%(a)s, %(b)s",
    ),
    "another item": (
        renamed(TEST, items=lambda ids: ["kiwi", *ids[1:]]),
        r"has other items than `%(a)s` .*column 0 is kiwi, in `%(a)s` i0; use .*%(b)s\.with_items\(%(a)s\.item_ids\)",
    ),
    "fewer users": (
        Interactions(TEST.user_items[:50], USERS[:50], ITEMS),
        r"\(10 of the 60 there are missing\): it lacks u50, row 50 of `%(a)s`; use .*%(b)s\.with_users",
    ),
    "fewer users in another order": (
        Interactions(TEST.user_items[:50][::-1], USERS[:50][::-1], ITEMS),
        r"it lacks u50, row 50 of `%(a)s`; use .*%(b)s\.with_users",
    ),
    "more users": (
        TEST.with_users([*USERS, "zoe"]),
        r"\(1 of its 61 are not there\): row 60 is zoe; use .*%(b)s\.with_users",
    ),
    "integers for users": (
        renamed(TEST, users=lambda ids: range(len(ids))),
        r"the ids of the users of `%(b)s` are integers, those of `%(a)s` texts: row 0 is 0, in `%(a)s` 'u0'",
    ),
    "integers for items": (
        renamed(TEST, items=lambda ids: range(len(ids))),
        r"the ids of the items of `%(b)s` are integers, those of `%(a)s` texts: column 0 is 0, in `%(a)s` 'i0'",
    ),
}
