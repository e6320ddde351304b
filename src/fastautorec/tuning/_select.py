"""Which model is best for the data at hand: `select`."""

from __future__ import annotations

import copy
import itertools
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from fastautorec._checks import check_bool, check_metric, check_random_state, check_real, warn_caller
from fastautorec._compute.csr import Csr, singular_vectors
from fastautorec._compute.inputs import UserItems, check_user_items
from fastautorec._training.path_search import Point, climb, nearest
from fastautorec._training.run import held_out_metric, open_bar, with_length
from fastautorec.data._repeats import times_of
from fastautorec.data._splits import held_out
from fastautorec.data._splitting import take_entries
from fastautorec.evaluation import Metric, Report, evaluate
from fastautorec.evaluation._compare import paired_difference
from fastautorec.exceptions import BackendUnavailableError, DivergedError
from fastautorec.models import DLAECV, EASE, ItemKNN, NCEAutoRecCV, Popularity, Recommender, RP3beta
from fastautorec.models._memory_plan import require_memory
from fastautorec.tuning._cross_validate import PooledReport, named_models
from fastautorec.tuning._result import as_chosen
from fastautorec.tuning._selection import Selection
from fastautorec.tuning._space import check_parameters, chooses_itself, is_number, open_space

_log = logging.getLogger("fastautorec")

SEARCH_USERS = 4000  # who judge the searches, at most, and at most half of all
POINTS = 13  # of a range, evenly spaced
FURTHER_PARTS, FURTHER_SHARE = 6, 1 / 30  # of each history, to tell candidates that the first part leaves close
EASE_ITEMS, DLAE_SIDE = 20_000, 10_000  # from which on a search of theirs takes more than some ten minutes
LEFT_OUT_FOR = (ValueError, ImportError, MemoryError, DivergedError, BackendUnavailableError)

Parts = tuple[Any, Any, Any]
Models = Recommender | Sequence[Recommender] | Mapping[str, Recommender]


def select(
    data: UserItems,
    models: Models | None = None,
    *,
    metric: str = "NDCG",
    timeout: float | None = None,
    random_state: int | np.random.Generator = 0,
    show_progress: bool = False,
) -> Selection:
    """Choose among models: each is tuned, all are compared on the same held-out data, and the best is fitted to all.

    A tenth of each history is held out once, the latest interactions where there are timestamps. Some users, drawn
    once, judge the searches for parameters. The other users judge the comparison of the candidates, in pairs. So no
    user judges both, and the models know nearly as much of each user as they will in use.

    Candidates that this does not show to be worse than the best one are fitted six times more, with what they have
    chosen, to all but another thirtieth of each history, and the best on these parts together is taken: which of two
    close models is better depends on how much is known, and that is nearly all of it here. With timestamps there is
    only one latest part, and it decides.

    Models that choose their parameters themselves (`NCEAutoRecCV`, `DLAECV`) do so. For the others the search climbs
    from the defaults to better neighbours in the default space of `tune`, a range as 13 values; parameters that are set
    to something else than their default stay. Models without such a space are fitted as they are.

    Parameters
    ----------
    data : Interactions or scipy sparse (m, n)
    models : recommender, sequence of them, or dict of names and recommenders, optional
        The candidates; they stay as they are. A sequence names them by their ``repr``. By default `Popularity`,
        `ItemKNN`, `RP3beta`, `EASE`, `DLAECV` and `NCEAutoRecCV`; of these EASE is left out from 20,000 items on and
        DLAECV where users and items are more than 10,000, for their time is cubic: name them to try them.
    metric : str
        What is maximised: a metric of `evaluate` ("standard" definition), such as "NDCG" (lists of 50) or "Recall@20".
    timeout : float, optional
        Seconds of a candidate's search after which no further setting of it is tried.
    random_state : int or numpy.random.Generator
        Seed of what is held out and of who searches. Models keep their own seeds.
    show_progress : bool
        Show a progress bar.

    Returns
    -------
    Selection
        ``print`` says what came out; ``.best_model`` is fitted to ``data``; ``.rows``, ``.to_frame()``, ``.plot()``.
        A candidate that cannot be fitted, as for an error, too little memory or a package that is not installed, is a
        row with the reason, also if that is seen late, in a further part or in the fit to all of ``data``; the best of
        the others is taken then.

    Raises
    ------
    TypeError, ValueError
        For an argument or a parameter of a model that is not usable, fewer than 4 users of whom something can be held
        out, or if no candidate could be fitted.

    See Also
    --------
    fastautorec.cross_validate : Several splits of the same data, with parameters as they are.
    fastautorec.tune : The search for the parameters of one model.

    Notes
    -----
    The intervals are those of each pair alone, and the best one was picked by the same users: where several candidates
    stay close, which one is first is chance, and `Selection.in_words` names the one of them that took least time. The
    choice is the same for any number of threads, unless ``timeout`` cuts a search.

    Examples
    --------
    >>> import fastautorec as far
    >>> few = far.datasets.synthetic(300, 100, 6000, random_state=0)
    >>> found = far.select(few, [far.Popularity(), far.ItemKNN(similarity="tfidf"), far.EASE()])
    >>> found.best
    'EASE()'
    >>> ids, scores = found.best_model.recommend(few[:5], N=3)
    """
    check_metric(metric)
    if timeout is not None:
        check_real("timeout", timeout, 0)
    rng, show = check_random_state(random_state), check_bool("show_progress", show_progress)
    csr = check_user_items("data", data, fitting=True)
    reasons: dict[str, str] = {}
    if models is None:
        named = named_models([Popularity(), ItemKNN(), RP3beta(), EASE(), DLAECV(), NCEAutoRecCV()])
        reasons = _too_large(named, *csr.shape)
    else:
        named = named_models(models)
    for model in named.values():
        check_parameters(model)
    parts = _parts(data, csr, rng)
    rows: list[dict[str, Any]] = []
    chosen: dict[str, Recommender] = {}
    reports: dict[str, Report] = {}
    further: dict[str, Metric] = {}
    with open_bar(show, total=len(named) + 1, desc="select", unit=" models") as bar:
        for name, model in named.items():
            row: dict[str, Any] = {"model": name}
            error = reasons.get(name)
            if error is None:
                try:
                    chosen[name], reports[name], figures = _tried(
                        model, parts, metric, timeout, partial(_tell, bar, name)
                    )
                    row |= {"state": "fitted", **figures, "error": None}
                except LEFT_OUT_FOR as raised:
                    error = _reason(raised)
            rows.append(row if error is None else {**row, "state": "left out", "error": error})
            _log.info("select: %s", rows[-1])
            bar.update()
        rows = _ranked(rows, reports, metric)
        close = [row["model"] for row in rows if row["state"] == "fitted" and not row["high"] < 0]
        if len(close) > 1 and getattr(data, "timestamps", None) is None and any(row.get("difference") for row in rows):
            users = reports[close[0]].users
            further, failed = _further(close, chosen, (data, csr, users), metric, rng, partial(_tell_part, bar))
            _leave_out(failed, rows, chosen, reports)
            rows = _ranked(rows, reports, metric, further)
        del parts  # before the memory for the fit is taken
        while (best := _fitted(rows[0]["model"], chosen, data, bar, failed := {})) is None:
            _leave_out(failed, rows, chosen, reports)
            rows = _ranked(rows, reports, metric, {name: own for name, own in further.items() if name in chosen})
        bar.update()
    return Selection(rows[0]["model"], best, metric, rows, chosen, reports)


def _fitted(
    name: str, chosen: Mapping[str, Recommender], data: Any, bar: Any, failed: dict[str, str]
) -> Recommender | None:
    """Return a candidate fitted to all data, or None and write to ``failed`` why that cannot be."""
    bar.set_postfix_str(f"{name}, all data")
    try:
        return as_chosen(chosen[name]).fit(data)
    except LEFT_OUT_FOR as raised:
        failed[name] = _reason(raised)
        return None


def _leave_out(
    failed: Mapping[str, str], rows: list[dict[str, Any]], chosen: dict[str, Recommender], reports: dict[str, Report]
) -> None:
    """Take candidates that failed after the comparison out of what was found, but for a row with the reason."""
    for place, row in enumerate(rows):
        name = row["model"]
        if name in failed:
            rows[place] = {"model": name, "state": "left out", "error": failed[name]}
            del chosen[name], reports[name]
            _log.info("select: %s", rows[place])


def _tell(bar: Any, name: str, setting: int) -> None:
    bar.set_postfix_str(f"{name}, setting {setting}")


def _tell_part(bar: Any, name: str, part: int) -> None:
    bar.set_postfix_str(f"{name}, part {part} of {FURTHER_PARTS}")


def _reason(raised: BaseException) -> str:
    """Return in a line why a candidate is left out."""
    return " ".join(str(raised).split()) or type(raised).__name__


def _too_large(named: Mapping[str, Recommender], m: int, n: int) -> dict[str, str]:
    """Return why some of the default candidates are none for so many users and items."""
    limits = {"EASE()": (n, EASE_ITEMS, "items"), "DLAECV()": (min(m, n), DLAE_SIDE, "of both users and items")}
    return {
        name: f"{limits[name][0]:,} {limits[name][2]}, and from {limits[name][1]:,} on its time, which is cubic, is "
        "long; name it in `models` to try it"
        for name in named
        if name in limits and limits[name][0] > limits[name][1]
    }


def _parts(data: Any, csr: Csr, rng: np.random.Generator) -> Parts:
    """Return what is known, and what is held out of the users who search and of those who compare."""
    held = held_out(csr, times_of(data), rng)
    user_of = np.repeat(np.arange(csr.shape[0]), csr.row_lengths())
    users = rng.permutation(np.unique(user_of[held]))
    if len(users) < 4:
        raise ValueError(
            f"`data` must have 4 users or more of whom a tenth of the history can be held out, got {len(users)} among "
            f"{int(np.count_nonzero(csr.row_lengths()))} users; with so few, fit the models to the data and judge "
            "them by other data with evaluate"
        )
    searches = np.zeros(csr.shape[0], bool)
    searches[users[: min(SEARCH_USERS, len(users) // 2)]] = True
    judges = held & searches[user_of]
    known, searched, compared = (take_entries(data, csr, part) for part in (~held, judges, held & ~judges))
    return known, searched, compared


def _tried(
    model: Recommender, parts: Parts, metric: str, timeout: float | None, tell: Callable[[int], None]
) -> tuple[Recommender, Report, dict[str, Any]]:
    """Return the unfitted model that the search has chosen, its report on those who compare, and figures for a row."""
    known, searched, compared = parts
    start, params = time.perf_counter(), copy.deepcopy(model.get_params())
    given = {"metric": metric} if timeout is None else {"metric": metric, "timeout": timeout}
    own = type(model)(**params | {name: value for name, value in given.items() if name in params})
    deadline = math.inf if timeout is None else start + timeout
    fitted, params, settings = _search(own, known, searched, metric, deadline, tell)
    report = evaluate(fitted, known, compared, k=with_length(metric, known.shape[1])[0])
    figures = {
        "settings": settings, "seconds": time.perf_counter() - start, "bytes": fitted.plan(known).peak_bytes,
        "params": params,
    }  # fmt: skip
    return as_chosen(fitted), report, figures


def _further(
    close: Sequence[str],
    chosen: Mapping[str, Recommender],
    data: tuple[Any, Csr, Any],
    metric: str,
    rng: np.random.Generator,
    tell: Callable[[str, int], None],
) -> tuple[dict[str, Metric], dict[str, str]]:
    """Return a metric of candidates by further parts of the data that are held out of some users, and who failed."""
    given, csr, users = data
    compares = np.zeros(csr.shape[0], bool)
    compares[users] = True
    compares = np.repeat(compares, csr.row_lengths())
    reports: dict[str, list[Report]] = {name: [] for name in close}
    failed: dict[str, str] = {}
    for part in range(FURTHER_PARTS):
        held = compares & held_out(csr, None, rng, FURTHER_SHARE)
        if not held.any():
            continue
        known, wanted = (take_entries(given, csr, own) for own in (~held, held))
        for name in list(reports):
            tell(name, part + 1)
            try:
                model = as_chosen(chosen[name]).fit(known)
                reports[name].append(evaluate(model, known, wanted, k=with_length(metric, csr.shape[1])[0]))
            except LEFT_OUT_FOR as raised:
                failed[name] = _reason(raised)
                del reports[name]
    own = with_length(metric, csr.shape[1])[1]
    return {name: PooledReport(made).metric(own) for name, made in reports.items() if made}, failed


def _search(
    model: Recommender, known: Any, searched: Any, metric: str, deadline: float, tell: Callable[[int], None]
) -> tuple[Recommender, Point, int]:
    """Return the best model, fitted to what is known, what was chosen of its parameters, and how many were tried."""
    space = open_space(model, singular_vectors(check_user_items("data", known))) or {}
    grids = {name: _grid(values) for name, values in space.items()}
    words = {name: values for name, values in grids.items() if not all(map(is_number, values))}
    tried: dict[tuple[Any, ...], float] = {}
    best: tuple[float, Recommender, Point] | None = None

    def value(point: Point) -> float:
        nonlocal best
        key = tuple(point.values())
        if key in tried:
            return tried[key]
        if tried and time.perf_counter() > deadline:
            return -math.inf
        tell(len(tried) + 1)
        candidate = type(model)(**copy.deepcopy(model.get_params() | point))
        require_memory(candidate.plan(known))
        candidate.fit(known, validation=searched)
        tried[key] = held_out_metric(candidate, known, searched, metric)
        if best is None or tried[key] > best[0]:
            best = tried[key], candidate, point
        return tried[key]

    point = {name: _start(values, getattr(model, name)) for name, values in grids.items()}
    numbers = {name: values for name, values in grids.items() if name not in words}
    for chosen in itertools.product(*words.values()):  # words have no neighbours
        point = climb(point | dict(zip(words, chosen, strict=True)), numbers, value)
    assert best is not None
    _, fitted, params = best
    if chooses_itself(fitted):
        return fitted, dict(fitted.best_params_), len(fitted.cv_results_)  # type: ignore[attr-defined]
    return fitted, params, len(tried)


def _grid(values: Any) -> tuple[Any, ...]:
    """Return what the search takes of a default space: choices as they are, and values of a range."""
    if isinstance(values, list):
        return tuple(values)
    low, high, *log = values
    return tuple(map(float, np.geomspace(low, high, POINTS) if log else np.linspace(low, high, POINTS)))


def _start(values: tuple[Any, ...], own: Any) -> Any:
    """Return the value of a grid that the search starts with: the model's own one, or the nearest number."""
    if own in values:
        return own
    return nearest(values, own) if is_number(own) else values[0]


def _ranked(
    rows: list[dict[str, Any]],
    reports: Mapping[str, Report],
    metric: str,
    further: Mapping[str, Metric] | None = None,
) -> list[dict[str, Any]]:
    """Return the rows with their metrics, the best first, and those that were left out last.

    ``further`` has the metrics of close candidates by further parts; these are compared by them.

    Raises
    ------
    ValueError
        If none was fitted.
    """
    if not reports:
        raise ValueError(f"none of the {len(rows)} `models` could be fitted; {rows[0]['model']}: {rows[0]['error']}")
    metrics = {name: report.metric(with_length(metric, report.k[-1])[1]) for name, report in reports.items()}
    decide = further or metrics
    best = max(decide, key=lambda name: decide[name].mean)  # the first of equals
    if len(metrics) > 1 and len({own.mean for own in metrics.values()}) == 1:
        warn_caller(
            f"{metric} is {metrics[best].mean:g}, the same for all {len(metrics)} models: it chose nothing; use "
            "another `metric`, or more data",
        )
    for row in rows:
        name = row["model"]
        if name in metrics:
            by = decide if name in decide else metrics
            behind = paired_difference(by[name], by[best])
            row |= {"metric": metrics[name].mean, "half_width": metrics[name].half_width}
            row |= {"difference": behind.difference, "low": behind.low, "high": behind.high}
            row["further_metric"] = further[name].mean if further and name in further else None
    return sorted(rows, key=lambda row: (-(row.get("further_metric") or -math.inf), -row.get("metric", -math.inf)))
