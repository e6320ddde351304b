"""Random interactions with ids and times, and what is in them by the plain definition."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from fastautorec import Interactions

M, N = 40, 17


def random_data(seed, users=None, items=None, times=True, density=0.3):
    rng = np.random.default_rng(seed)
    matrix = sparse.csr_matrix(rng.random((M, N)) < density)
    return Interactions(matrix, users, items, rng.integers(1000, size=matrix.nnz) if times else None)


def texts(first, count, prefix):
    return np.random.default_rng(count).permutation([f"{prefix}{k}" for k in range(first, first + count)])


def facts(data):
    """The plain definition: who, what, when."""
    entries = data.user_items.tocoo()
    times = [None] * data.nnz if data.timestamps is None else data.timestamps.tolist()
    users, items = data.user_ids[entries.row].tolist(), data.item_ids[entries.col].tolist()
    return {(user, item): time for user, item, time in zip(users, items, times, strict=True)}
