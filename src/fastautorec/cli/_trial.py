"""Several models on the same split: fitted, evaluated and tabulated alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastautorec._compute.protocol import IdArray
from fastautorec.data import Interactions
from fastautorec.evaluation import compare, evaluate, evaluate_ranking
from fastautorec.evaluation._report import Report
from fastautorec.evaluation._tables import interval, percent, table_lines
from fastautorec.models import Recommender


@dataclass(frozen=True)
class Trial:
    """A fitted model and how good it is.

    Attributes
    ----------
    name : str
    model : Recommender
    fit_seconds : float
    report : Report
    lists : int32 (m, K) or None
        What it recommends to every user, where that was to be kept.
    """

    name: str
    model: Recommender
    fit_seconds: float
    report: Report
    lists: IdArray | None = None


def run_trial(
    name: str,
    model: Recommender,
    train: Interactions,
    test: Interactions,
    *,
    k: tuple[int, ...],
    definition: str = "standard",
    keep_lists: bool = False,
    discount: float | None = None,
    say: Callable[[str], None],
) -> Trial:
    """Fit and evaluate a model, and tell ``say`` about it."""
    say(f"{name}: fitting ...")
    start = time.perf_counter()
    model.fit(train)
    fitted = time.perf_counter()
    options: dict[str, Any] = {"k": k, "definition": definition}
    lists = _complete_lists(model, train, test, k[-1]) if keep_lists else None
    if lists is None:
        report = evaluate(model, train, test, **options, popularity_discount=discount)
    else:
        report = evaluate_ranking(lists, train, test, **options)
    say(f"{name}: fitted in {fitted - start:.2f} s, evaluated in {time.perf_counter() - fitted:.2f} s")
    return Trial(name, model, fitted - start, report, lists)


def _complete_lists(model: Recommender, train: Interactions, test: Interactions, length: int) -> IdArray:
    """Return lists that are long enough for the R-Precision of every user."""
    longest = int(np.diff(test.user_items.indptr).max(initial=0))
    return model.recommend(train, N=min(max(length, longest), train.shape[1]))[0]


def headline_metrics(report: Report) -> tuple[str, ...]:
    """Return the metrics that a table of models shows; the recall is that of 10 items where it was measured."""
    cutoff = 10 if 10 in report.k else report.k[-1]
    return ("NDCG", "R-Precision", f"Recall@{cutoff}")


def trial_lines(trials: Sequence[Trial]) -> list[str]:
    """Return a table with one model in a row: accuracy with 95 % half-widths, fit time, popularity and coverage."""
    report = trials[0].report
    metrics, place = headline_metrics(report), report.popularity.name.partition("@")[2]
    titles = [f"NDCG@{report.k[-1]}", *metrics[1:]]
    rows = [["model", *titles, "fit", f"popularity@{place}", f"coverage@{place}"]]
    for trial in trials:
        popularity = trial.report.popularity
        rows.append(
            [
                trial.name,
                *(interval(trial.report[name].mean, trial.report[name].half_width) for name in metrics),
                f"{trial.fit_seconds:.2f} s",
                interval(popularity.mean, popularity.half_width, 0),
                percent(trial.report.coverage),
            ]
        )
    return table_lines(rows)


def difference_lines(trial: Trial, other: Trial) -> list[str]:
    """Return the paired differences between two models in the metrics of the table."""
    comparison = compare(trial.report, other.report)
    rows = [[f"{trial.name} minus {other.name}", "difference", "95 % interval", "p (Holm)"]]
    for name in headline_metrics(trial.report):
        d = comparison[name]
        rows.append([f"  {name}", f"{d.difference:+.4f}", f"[{d.low:+.4f}, {d.high:+.4f}]", _p_value(d.p_adjusted)])
    return table_lines(rows)


def _p_value(p: float) -> str:
    return f"{p:.4f}" if p >= 1e-4 else "< 0.0001"
