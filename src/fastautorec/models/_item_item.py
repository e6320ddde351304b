"""Scores by a dense item-item matrix."""

from __future__ import annotations

from fastautorec._compute.csr import Csr
from fastautorec._compute.protocol import Backend, FloatArray, IdArray


class ItemItemScorer:
    """Scores x B for a dense item-item matrix B."""

    def __init__(self, weights: FloatArray) -> None:
        self._weights = weights

    @property
    def n_items(self) -> int:
        return int(self._weights.shape[1])

    def take(self, items: IdArray) -> ItemItemScorer:
        return ItemItemScorer(self._weights.take(items, axis=1))

    def prepare(self, backend: Backend, history: Csr) -> Csr:
        return history

    def score(self, backend: Backend, prepared: Csr, users: slice, items: slice, out: FloatArray) -> None:
        backend.encode(prepared.rows(users.start, users.stop), self._weights[:, items], out=out)
