"""Scores times a factor for each item: what another popularity discount makes of a fitted model."""

from __future__ import annotations

from typing import Any

from fastautorec._compute.protocol import Backend, FloatArray, IdArray
from fastautorec._compute.top_lists import Scorer


class ScaledScorer:
    """Scores of another scorer times a factor for each item.

    Scores are scaled tile by tile, in the cache that they were just written to. Scaling the items' vectors in their
    place would copy all of them for each request.
    """

    def __init__(self, scorer: Scorer, factors: FloatArray) -> None:
        """Take the factors (n,), where the backend has its arrays."""
        self._scorer, self._factors = scorer, factors
        self.prepare = scorer.prepare

    @property
    def n_items(self) -> int:
        return self._scorer.n_items

    def take(self, items: IdArray) -> ScaledScorer:
        return ScaledScorer(self._scorer.take(items), self._factors[items])

    def score(self, backend: Backend, prepared: Any, users: slice, items: slice, out: FloatArray) -> None:
        self._scorer.score(backend, prepared, users, items, out)
        out *= self._factors[items]
