"""The figures of an experiment, from the analyses of its reports."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from fastautorec import evaluation
from fastautorec._training.epochs import MODES
from fastautorec.evaluation._report import Report
from fastautorec.experiments._runner import Outcome
from fastautorec.plots._drawing import rendered

MOST = 7  # curves in one picture
COMPARED = 3  # models that the best one is compared with, user by user
LIST = 10  # places of the lists that popularity is about


@dataclass(frozen=True)
class Drawing:
    """A picture: the words of its file name, its caption, and its bytes in both formats."""

    name: str
    caption: str
    png: bytes
    svg: bytes


def can_draw() -> bool:
    """Return whether matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def draw(outcome: Outcome, chosen: tuple[str, ...]) -> Iterator[Drawing]:
    """Yield the figures of a data set.

    Parameters
    ----------
    outcome : Outcome
    chosen : tuple of str
        Models to draw where not all fit in; without any, the best by NDCG.
    """
    from fastautorec import plots  # noqa: PLC0415  matplotlib is an extra

    reports = _drawn(outcome.reports, chosen)
    if not reports:
        return
    title = outcome.dataset.name
    k = min(LIST, next(iter(reports.values())).k[-1])

    def picture(name: str, caption: str, plot: Callable[..., Any], *analysis: Any) -> Drawing:
        return Drawing(name, caption, *rendered(plot(*analysis, title=title)))

    yield picture(
        "f1", "F1 by length of the list (Figure 3 of the paper).", plots.metric_bars, evaluation.metric_at_k(reports)
    )
    yield picture(
        "popularity",
        f"How popular the items of the top-{k} lists are (Figure 7).",
        plots.popularity,
        evaluation.popularity_distribution(reports, k),
    )
    yield picture(
        "item-popularity",
        f"Recall@{k} of test items by their popularity.",
        plots.item_popularity,
        evaluation.by_item_popularity(reports, k),
    )
    yield picture(
        "history", "NDCG by length of the history.", plots.history_length, evaluation.by_history_length(reports)
    )
    best, *others = sorted(reports, key=lambda name: -reports[name]["NDCG"].mean)
    if others:
        pairs = [
            evaluation.compare_users(reports[best], reports[other], names=(best, other)) for other in others[:COMPARED]
        ]
        yield picture("users", f"{best} and the next ones, user by user (Figure 6).", plots.user_comparison, pairs)
    modes = _modes(outcome.reports)
    if modes:
        effect = evaluation.parameter_effect(modes, "mode")
        yield picture("modes", "NDCG by mode of training (Figure 2).", plots.effect, effect)
    for parameter in dict.fromkeys(sweep.parameter for sweep in outcome.sweeps):
        curves = {sweep.model: sweep.reports for sweep in outcome.sweeps if sweep.parameter == parameter}
        effect = evaluation.parameter_effect(curves, parameter)
        caption = f"NDCG on validation data by {parameter} (Figure 5)."
        yield picture(f"effect-{parameter.replace('_', '-')}", caption, plots.effect, effect)
    histories = _histories(outcome)
    if histories:
        yield picture(
            "convergence",
            "Seconds of training until the validation metric is there (Figure 4).",
            plots.convergence,
            evaluation.convergence(histories),
        )


def _drawn(reports: dict[str, Report], chosen: tuple[str, ...]) -> dict[str, Report]:
    names = [name for name in chosen if name in reports]
    if not names:
        names = sorted(reports, key=lambda name: -reports[name]["NDCG"].mean)[:MOST]
    return {name: report for name, report in reports.items() if name in names}


def _modes(reports: dict[str, Report]) -> dict[str, dict[Any, Report]]:
    """Return the reports of models that were trained in several modes: named "model, mode"."""
    modes: dict[str, dict[Any, Report]] = {}
    for name, report in reports.items():
        model, comma, mode = name.partition(", ")
        if comma and mode in MODES:
            modes.setdefault(model, {})[mode] = report
    return {model: found for model, found in modes.items() if len(found) > 1}


def _histories(outcome: Outcome) -> dict[str, Any]:
    """Return the training histories of the first seeds, where there was validation data in every epoch."""
    histories = {}
    for row in outcome.rows:
        history = next(iter(row.runs.values())).values["history"]
        if sum("metric" in record for record in history) > 1 and any(record["epoch"] for record in history):
            histories[row.entry.name] = history
    return histories
