"""Proposals of a search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def counted_sampler(optuna: Any, seed: int) -> Any:
    """Return a sampler that takes each trial's seed from its number.

    So processes that share a file draw differently, and a resumed search proposes what an uninterrupted one would.
    Where ``blind`` is set it draws without a look at earlier trials, from ``points`` if there are any.
    """

    class CountedSampler(optuna.samplers.BaseSampler):  # type: ignore[misc]
        blind = False
        points: Sequence[dict[str, Any]] = ()
        first: dict[str, Any] = {}  # noqa: RUF012  set before the first trial

        def __init__(self) -> None:
            self._number, self._sampler = -1, None
            self._point: dict[str, Any] | None = None

        def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
            return {}

        def sample_relative(self, study: Any, trial: Any, search_space: dict[str, Any]) -> dict[str, Any]:
            return {}

        def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
            if trial.number != self._number:
                self._begin(trial.number)
            if self._point is not None and param_name in self._point:
                return self._point[param_name]
            return self._sampler.sample_independent(study, trial, param_name, param_distribution)  # type: ignore[attr-defined]

        def _begin(self, number: int) -> None:
            own = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
            kind = optuna.samplers.RandomSampler if self.blind else optuna.samplers.TPESampler
            self._number, self._sampler, self._point = number, kind(seed=own), None
            if number == 0:
                self._point = self.first
            elif self.blind and self.points:
                self._point = self.points[int(np.random.default_rng(own).integers(len(self.points)))]

    return CountedSampler()
