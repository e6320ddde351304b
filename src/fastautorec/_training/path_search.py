"""The search on a path: which setting finds the held-out interactions of some users, the judges, best."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from fastautorec._training.closed_form import Float64Array
from fastautorec._training.losses import SquaredError
from fastautorec._training.path import Judges, RidgePath, Setting
from fastautorec._training.run import FitRun
from fastautorec.evaluation._metric import Z

FIRST_JUDGES, ALL_JUDGES = 1000, 4000
CONTENDERS = 3  # settings that all judges measure
FIRST_RANK = 1000  # of the first path
LITTLE = 0.015  # share of the metric that a larger rank must have gained for a still larger one to be tried
EMBEDDING_RANK = 300  # of the paths that choose among embedding targets
STEP = 0.001  # share of the metric that a step must gain: less is chance with so few judges, and takes time

Point = dict[str, Any]
Grids = dict[str, tuple[Any, ...]]
START = Setting(1 << 31, spectrum_power=0.75, dropout=0.6, regularization=0.1, intercept_penalty=1.0)


@dataclass(frozen=True)
class Judged:
    """A setting with a popularity discount, and its metric for each judge."""

    setting: Setting
    discount: float
    values: Float64Array

    @property
    def metric(self) -> float:
        """The mean over the judges."""
        return float(self.values.mean())

    @property
    def standard_error(self) -> float:
        """The standard error of the mean; NaN for one judge."""
        count = len(self.values)
        return float(self.values.std(ddof=1)) / math.sqrt(count) if count > 1 else math.nan


def climb(start: Point, grids: Grids, value: Callable[[Point], float]) -> Point:
    """Return a point that no neighbour in the grids is better than, found from ``start`` along one axis at a time.

    Better is what gains the share ``STEP``, or anything from 0.
    """
    point, best = start, value(start)
    while True:
        before = best
        for name, values in grids.items():
            for step in (1, -1):
                moved, place = False, values.index(point[name]) + step
                while 0 <= place < len(values):
                    candidate = {**point, name: values[place]}
                    if not value(candidate) > best * (1 + STEP):
                        break
                    point, best, moved, place = candidate, value(candidate), True, place + step
                if moved:
                    break
        if not best > before:
            return point


def nearest(values: Sequence[Any], wanted: float | None) -> Any:
    """Return the value of a grid that is nearest to a number."""
    numbers = [value for value in values if value is not None]
    return min(numbers, key=lambda value: abs(value - wanted)) if numbers else None


class PathSearch:
    """The search on training data with a held-out part.

    Attributes
    ----------
    tried, decided : dict of Setting to list of Judged
        What the first judges, and all of them, said on the path of full rank, one for each discount.
    """

    def __init__(
        self,
        run: FitRun,
        target: Callable[[Point], SquaredError],
        grids: Grids,
        outer: Grids,
        metric: str,
        normalize: str | None,
        intercept: str,
        rng: np.random.Generator,
        timeout: float | None = None,
    ) -> None:
        """Take what to choose from: ``grids`` of what a path holds, and ``outer`` ones of embedding targets.

        ``target`` makes the target of a point of the outer grids. After ``timeout`` seconds nothing more is tried.
        """
        assert run.validation is not None
        self._run, self._target, self._metric, self._normalize = run, target, metric, normalize
        self._discounts, self._outer = grids["popularity_discount"], outer
        self._grids = {name: values for name, values in grids.items() if name != "popularity_discount"}
        self._intercept = intercept if any(value is not None for value in grids["intercept_penalty"]) else None
        self._deadline = math.inf if timeout is None else time.perf_counter() + timeout
        self._seed = int(rng.integers(2**63))
        both = run.known.row_lengths() * run.validation.row_lengths()
        users = rng.permutation(np.flatnonzero(both).astype(np.int64))
        first, more = users[:FIRST_JUDGES], users[FIRST_JUDGES:ALL_JUDGES]
        self._first, self._more = Judges(run, first, metric), Judges(run, more, metric)
        if len(run.train.row_lengths()) > np.count_nonzero(run.train.row_lengths()):
            run.keep_users(np.flatnonzero(run.train.row_lengths()))
        self.tried: dict[Setting, list[Judged]] = {}
        self.decided: dict[Setting, list[Judged]] = {}

    def best(self, one_standard_error: bool = False) -> tuple[Point, Judged]:
        """Return the best point of the outer grids, and the best setting on its path."""
        start = {name: nearest(values, getattr(START, name)) for name, values in self._grids.items()}
        outer = {name: values[0] for name, values in self._outer.items()}
        if any(len(values) > 1 for values in self._outer.values()):
            outer, start = self._best_target(outer, start)
        path, leader = self._climb_ranks(outer, start)
        return outer, self._final(path, leader, one_standard_error)

    def _climb_ranks(self, outer: Point, start: Point) -> tuple[RidgePath, Judged]:
        """Return the last path and the best setting by the first judges.

        A path of moderate rank comes first. One of the next rank costs an SVD of its own, and follows as long as the
        largest rank is the best one and better than the one before it by more than a little.
        """
        ranks = self._grids["factors"]
        stage = max(int(np.searchsorted(ranks, FIRST_RANK, side="right")), 1)
        grids = {**self._grids, "factors": ranks[:stage]}
        point = {**start, "factors": ranks[stage - 1]}
        while True:
            path = self._path(outer, ranks[stage - 1])
            value = partial(self._value, path, self.tried)
            climb(point, grids, value)
            leader = max((best_of(judged) for judged in self.tried.values()), key=lambda judged: judged.metric)
            if stage == len(ranks) or leader.setting.factors < ranks[stage - 1]:
                return path, leader
            smaller = ranks[stage - 2] if stage > 1 else None
            before = -math.inf if smaller is None else value({**vars(leader.setting), "factors": smaller})
            if leader.metric - before <= LITTLE * leader.metric or time.perf_counter() > self._deadline:
                return path, leader
            stage += 1
            point = {**vars(leader.setting), "factors": ranks[stage - 1]}
            grids = {**self._grids, "factors": (ranks[stage - 1],)}
            del path, value  # before the memory for the next one is taken

    def _best_target(self, outer: Point, start: Point) -> tuple[Point, Point]:
        """Return the best point of the outer grids, and the setting that it was best with, on paths of lower rank."""
        rank = min(EMBEDDING_RANK, max(self._grids["factors"]))
        inner = {**self._grids, "factors": (rank,)}
        found: dict[tuple[Any, ...], tuple[float, Point]] = {}
        last = {**start, "factors": rank}

        def value(point: Point) -> float:
            nonlocal last
            key = tuple(point.values())
            if key not in found:
                if found and time.perf_counter() > self._deadline:
                    return -math.inf
                judged: dict[Setting, list[Judged]] = {}
                path = self._path(point, rank)
                last = climb(last, inner, partial(self._value, path, judged))
                found[key] = max(best_of(row).metric for row in judged.values()), last
            return found[key][0]

        chosen = climb(outer, self._outer, value)
        setting = found[tuple(chosen.values())][1]
        return chosen, {**setting, "factors": start["factors"]}

    def _path(self, outer: Point, rank: int) -> RidgePath:
        rng = np.random.default_rng(self._seed)
        target = self._target(outer).on(self._run.backend)
        return RidgePath(self._run, target, rank, rng, self._normalize, self._intercept)

    def _value(self, path: RidgePath, judged: dict[Setting, list[Judged]], point: Point) -> float:
        """Return the best metric of a setting with any discount; minus infinity when time is up."""
        setting = Setting(**point)
        if judged and setting not in judged and time.perf_counter() > self._deadline:
            return -math.inf
        return best_of(self._by_first(path, setting, judged)).metric

    def _by_first(self, path: RidgePath, setting: Setting, judged: dict[Setting, list[Judged]]) -> list[Judged]:
        if setting not in judged:
            judged[setting] = self._judged(setting, self._first.measure(path, setting, self._discounts))
        return judged[setting]

    def _judged(self, setting: Setting, values: Float64Array) -> list[Judged]:
        rows = [Judged(setting, *pair) for pair in zip(self._discounts, values, strict=True)]
        best = best_of(rows)
        self._run.step(f"{self._metric} {best.metric:.4f}")
        self._run.record("search", metric=best.metric, **vars(setting), popularity_discount=best.discount)
        return rows

    def _final(self, path: RidgePath, leader: Judged, one_standard_error: bool) -> Judged:
        """Return the best of the settings that the first judges cannot tell from the best one, by all judges."""
        contenders = {leader.setting}
        for judged in sorted(map(best_of, self.tried.values()), key=lambda judged: -judged.metric):
            behind = leader.values - judged.values
            if len(contenders) < CONTENDERS and behind.mean() <= Z * _error(behind):
                contenders.add(judged.setting)
        late = time.perf_counter() > self._deadline
        ordered = [leader.setting] if late else [setting for setting in self.tried if setting in contenders]
        best = max((self._decide(path, setting) for setting in ordered), key=lambda judged: judged.metric)
        if one_standard_error:
            enough = best.metric - best.standard_error
            for factors in self._grids["factors"]:
                if factors < best.setting.factors:
                    smaller = self._decide(path, replace(best.setting, factors=factors))
                    if smaller.metric >= enough:
                        return smaller
        return best

    def _decide(self, path: RidgePath, setting: Setting) -> Judged:
        """Return the best discount of a setting by all judges."""
        known = self._by_first(path, setting, self.tried)
        if not len(self._more.users):
            return best_of(known)
        if setting not in self.decided:
            more = self._more.measure(path, setting, self._discounts)
            self.decided[setting] = self._judged(setting, np.hstack(([one.values for one in known], more)))
        return best_of(self.decided[setting])


def best_of(judged: list[Judged]) -> Judged:
    """Return the best discount, the first of equal ones."""
    return max(judged, key=lambda one: one.metric)


def _error(differences: Float64Array) -> float:
    count = len(differences)
    return float(differences.std(ddof=1)) / math.sqrt(count) if count > 1 else math.inf
