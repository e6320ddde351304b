"""DLAECV: DLAE with parameters that are chosen on held-out interactions."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastautorec._checks import check_grid, check_int, check_metric, check_random_state, check_real
from fastautorec._compute.protocol import FloatArray
from fastautorec._training.fit import check_discount, powers
from fastautorec._training.full_rank import FullRank, Shape
from fastautorec._training.leading import LeadingDirections
from fastautorec._training.path_search import nearest
from fastautorec._training.run import FitRun, with_length
from fastautorec._training.sharpening import Sharpening
from fastautorec.evaluation import evaluate_ranking
from fastautorec.evaluation._metric import Z
from fastautorec.models._memory_plan import Plan, require_memory
from fastautorec.models._recommender import without_choice
from fastautorec.models.dlae import DLAE, finite_solution

Setting = dict[str, float]

GRIDS: dict[str, list[float]] = {
    "regularization": [0.25 * 2**k for k in range(12)],
    "denoising": [0.0, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0],
    "prior": [0.0, 3.0, 10.0, 30.0, 100.0, 300.0],
    "input_weight": [0.0, 0.25, 0.5],
    "target_weight": [0.0, 0.25, 0.5],
    "popularity_discount": [0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3],
    "sharpening": [0.0, 0.5, 1.0, 1.5],
}
STARTS: tuple[Setting, ...] = (  # what the search begins with, or what is next to it in the grids
    {"regularization": 32, "denoising": 3, "prior": 30, "input_weight": 0.25, "target_weight": 0.25, "sharpening": 0},
    {"regularization": 8, "denoising": 1, "prior": 0, "input_weight": 0, "target_weight": 0, "sharpening": 0},
)
SCORE_BYTES = 256 << 20  # of the scores of all judging users


class DLAECV(DLAE):
    """`DLAE` whose parameters are chosen from grids, on held-out interactions.

    The search begins at two settings: the published DLAE, and one with everything that this class adds to it. It goes
    along one grid after the other, moves to a neighbouring value while that is better, and ends where no neighbour is.
    Some users, drawn once, judge the settings. Every discount is tried with each solution, which costs little. Where no
    validation data are given, a tenth of each history is held out as in `NCEAutoRecCV`, and the best setting is fitted
    once more to all interactions.

    Parameters
    ----------
    regularization, denoising, prior, input_weight, target_weight, popularity_discount : float or sequence, optional
        Values to try for the parameters of `DLAE`, each of which counts once; a single one fixes it. By default ρ = ¼ …
        512 by factors of two, κ = 0, 0.03 … 100, c = 0, 3 … 300, a and t = 0, ¼, ½, and γ = 0, 0.05 … 0.3.
    diagonal : {"free", "zero"}
    directions : int, optional
        As in `DLAE`.
    judges : int
        Users who judge a setting, at most; fewer where their scores would take more than 256 MB.
    metric : str
        What is best: a metric of `evaluate` ("standard" definition), with lists of 50 where its name has no length.
    timeout : float, optional
        Seconds of the search after which no further setting is tried, and the best one so far is fitted.
    random_state : int or numpy.random.Generator
        Draws the users who judge, and what is held out.
    device, num_threads
        As in `NCEAutoRec`.
    sharpening : float or sequence, optional
        Values to try for τ of `DLAE`: 0, ½, 1 and 1½ by default. Scores are sharpened, so it takes no further solution.

    Attributes
    ----------
    best_params_ : dict
        The setting that was chosen.
    best_score_ : float
        Its metric on the held-out interactions.
    cv_results_ : list of dict
        One for each setting that was tried: its parameters, ``metric`` and ``standard_error``.
    item_weights_, regularization_
        As in `DLAE`.

    Examples
    --------
    >>> import fastautorec as far
    >>> few = far.datasets.synthetic(300, 100, 6000, random_state=0)
    >>> model = far.DLAECV(prior=0).fit(few)
    >>> sorted(model.best_params_)[:2]
    ['denoising', 'input_weight']
    """

    best_params_: Setting
    best_score_: float
    cv_results_: list[dict[str, float]]

    def __init__(
        self,
        regularization: float | Sequence[float] | None = None,
        denoising: float | Sequence[float] | None = None,
        prior: float | Sequence[float] | None = None,
        input_weight: float | Sequence[float] | None = None,
        target_weight: float | Sequence[float] | None = None,
        popularity_discount: float | Sequence[float] | None = None,
        diagonal: str = "free",
        directions: int | None = None,
        judges: int = 2000,
        metric: str = "NDCG",
        timeout: float | None = None,
        random_state: int | np.random.Generator = 0,
        device: str = "auto",
        num_threads: int | None = None,
        sharpening: float | Sequence[float] | None = None,
    ) -> None:
        self.regularization = regularization  # type: ignore[assignment]
        self.denoising = denoising  # type: ignore[assignment]
        self.prior = prior  # type: ignore[assignment]
        self.input_weight = input_weight  # type: ignore[assignment]
        self.target_weight = target_weight  # type: ignore[assignment]
        self.popularity_discount = popularity_discount  # type: ignore[assignment]
        self.diagonal = diagonal
        self.directions = directions
        self.judges = judges
        self.metric = metric
        self.timeout = timeout
        self.random_state = random_state
        self.device = device
        self.num_threads = num_threads
        self.sharpening = sharpening  # type: ignore[assignment]

    def to_estimator(self) -> DLAE:
        """Return the fitted `DLAE` with the parameters that were chosen.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        self._require_fitted()
        state, params = vars(self), self.fitted_params_
        others = {name: params[name] for name in ("diagonal", "directions", "device")}
        plain = DLAE(**state["best_params_"], **others, num_threads=self.num_threads)
        plain.__dict__.update(without_choice(state))
        plain.fitted_params_ = plain.get_params()
        return plain

    def _grids(self) -> dict[str, list[float]]:
        return {name: _grid(name, getattr(self, name)) for name in GRIDS}

    def _plain(self, setting: Setting) -> DLAE:
        others = {name: getattr(self, name) for name in ("diagonal", "directions", "device", "num_threads")}
        params: dict[str, Any] = {**setting, **others}
        return DLAE(**params)

    def _check_params(self) -> None:
        for name, values in self._grids().items():
            for value in values:
                self._plain({name: value})._check_params()
        check_int("judges", self.judges, 1)
        check_metric(self.metric)
        if self.timeout is not None:
            check_real("timeout", self.timeout, 0)
        check_random_state(self.random_state)

    def _fit(self, run: FitRun) -> dict[str, Any]:
        grids = self._grids()
        for value in grids["popularity_discount"]:
            check_discount(run.item_counts, value)
        self._check_directions(run)
        require_memory(self._plan(*run.train.shape, run.train.nnz))
        rng = check_random_state(self.random_state)
        search = _Search(self, run.split(rng) if run.validation is None else run, grids, rng)
        search.from_starts()
        search.forget()
        best = max(search.results, key=lambda row: row["metric"])  # the first of equals
        setting = {name: best[name] for name in grids}
        run.step("fit")
        penalty = setting["regularization"]
        plain = self._plain(setting)
        discount = powers(run.item_counts, -setting["popularity_discount"])
        weights = plain._weights(plain._system(run, keep=False), penalty, discount, plain._sharpening(run))
        return {
            "item_weights_": run.backend.to_device(weights),
            "regularization_": penalty,
            "best_params_": setting,
            "best_score_": best["metric"],
            "cv_results_": search.results,
        }

    def _plan(self, m: int, n: int, nnz: int) -> Plan:
        largest = {name: max(values) for name, values in self._grids().items()}
        plain = self._plain(largest)
        plain.regularization = [1.0, 2.0]  # the system is kept for the next penalty
        plan = plain._plan(m, n, nnz)
        scores = (3 if plain.sharpening else 2) * 4 * n * _n_judges(self.judges, m, n)
        return Plan(type(self).__name__, (m, n), nnz, plan.parts | {"scores": scores}, device_parts=plan.device_parts)


class _Search:
    """Coordinate descent over the grids; ``results`` has a row for each setting, in the order of the search."""

    def __init__(self, model: DLAECV, run: FitRun, grids: dict[str, list[float]], rng: np.random.Generator) -> None:
        assert run.validation is not None
        self._model, self._run, self._grids = model, run, grids
        known, held_out = run.known.to_host(), run.validation
        judging = np.flatnonzero((known.row_lengths() > 0) & (held_out.row_lengths() > 0))
        most = _n_judges(model.judges, len(judging), known.n_cols)
        chosen = np.sort(rng.permutation(judging)[:most])
        self._known, self._held_out = known.take_rows(chosen), held_out.take_rows(chosen)
        self._rows = self._known.to_scipy()
        self._scores = np.empty(self._rows.shape, np.float32)
        self._scaled = np.empty(self._rows.shape, np.float32)
        self._sharpening: Sharpening | None = None
        self._sharpened: FloatArray | None = None
        self._solved: dict[str, float] | None = None
        self._length, self._name = with_length(model.metric, known.n_cols)
        self._discounts = [powers(run.item_counts, -value) for value in grids["popularity_discount"]]
        self._deadline = math.inf if model.timeout is None else time.perf_counter() + model.timeout
        self._tried: dict[tuple[float, ...], float] = {}
        self._system: tuple[Shape, FullRank | LeadingDirections] | None = None
        self.results: list[dict[str, float]] = []

    def from_starts(self) -> None:
        """Go from each start to where no neighbour is better."""
        for start in STARTS:
            self._descend({name: nearest(self._grids[name], value) for name, value in start.items()})

    def forget(self) -> None:
        """Give up the memory of the last system."""
        self._system = None

    def _descend(self, setting: Setting) -> None:
        before, best = -np.inf, self._value(setting)
        while best > before:
            before = best
            for name in setting:
                values = self._grids[name]
                at = values.index(setting[name])
                for step in (1, -1):
                    place = at + step
                    while 0 <= place < len(values):
                        value = self._value({**setting, name: values[place]})
                        if value <= best:
                            break
                        best, setting, place = value, {**setting, name: values[place]}, place + step

    def _value(self, setting: Setting) -> float:
        """Return the metric of a setting with its best discount."""
        key = tuple(setting.values())
        if key not in self._tried:
            if self._tried and time.perf_counter() > self._deadline:
                return -math.inf
            self._tried[key] = self._try(setting)
        return self._tried[key]

    def _try(self, setting: Setting) -> float:
        scores, best = self._sharp_scores(setting), -np.inf
        for value, discount in zip(self._grids["popularity_discount"], self._discounts, strict=True):
            np.multiply(scores, discount, out=self._scaled)
            ids, _ = self._run.backend.host.top_items(self._scaled, self._length, self._known)
            report = evaluate_ranking(ids, self._known.to_scipy(), self._held_out.to_scipy(), k=(self._length,))
            metric = report.metric(self._name)
            row = {**setting, "popularity_discount": value, "metric": float(metric.mean)}
            self.results.append({**row, "standard_error": float(metric.half_width) / Z})
            self._run.record("search", 0, None, **row)
            best = max(best, float(metric.mean))
        return best

    def _sharp_scores(self, setting: Setting) -> FloatArray:
        """Return the scores of a setting without a discount; those without sharpening are kept for the next amount."""
        solved = {name: value for name, value in setting.items() if name != "sharpening"}
        if solved != self._solved:
            self._solved = None
            shape = _shape(setting)
            if self._system is None or self._system[0] != shape:
                self._system = None  # its memory first
                self._run.step("system")
                self._system = shape, self._model._plain({**setting})._system(self._run, keep=True)
            self._run.step("inverse")
            system, penalty = self._system[1], setting["regularization"]
            finite_solution(penalty, lambda: system.solve(penalty).scores(self._rows, self._scores))
            self._solved = solved
        if not setting["sharpening"]:
            return self._scores
        if self._sharpening is None:
            self._sharpening = Sharpening(self._run.known.to_host(), self._run.backend.host)
            self._sharpened = np.empty_like(self._scores)
        assert self._sharpened is not None
        np.copyto(self._sharpened, self._scores)
        return self._sharpening.apply(self._sharpened, setting["sharpening"])


def _grid(name: str, values: object) -> list[float]:
    """Return ascending values to try."""
    return GRIDS[name] if values is None else sorted(check_grid(name, values, check_real))


def _shape(setting: Setting) -> Shape:
    return Shape(setting["denoising"], setting["prior"], setting["input_weight"], setting["target_weight"])


def _n_judges(asked: int, m: int, n: int) -> int:
    return max(1, min(asked, m, SCORE_BYTES // (4 * n)))
