"""The least that `evaluate` needs of a model."""

from __future__ import annotations

import numpy as np

from fastautorec._compute import get_backend
from fastautorec._compute.inputs import check_user_items


class ItemModel:
    """Scores X W for a fixed matrix W (n, n)."""

    def __init__(self, weight, device="cpu", num_threads=1):
        self.weight, self.device, self.num_threads = np.asarray(weight, np.float32), device, num_threads
        self.n_items = len(self.weight)

    def _as_fitted(self):
        return self

    def _check_history(self, user_items, name):
        return check_user_items(name, user_items, self.n_items)

    def _scorer(self):
        return self

    def _list_scorer(self):
        return self._scorer()

    def _backend(self):
        return get_backend(self.device, self.num_threads)

    def prepare(self, backend, history):
        return history.to_scipy()

    def score(self, backend, prepared, users, items, out):
        out[...] = prepared[users] @ self.weight[:, items]
