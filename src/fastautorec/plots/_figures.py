"""The figures, one function each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import cleandoc
from os import PathLike
from typing import Any, TypeVar

import numpy as np

from fastautorec._types import Axes, Figure
from fastautorec.evaluation._buckets import HistoryBuckets, PopularityBuckets
from fastautorec.evaluation._convergence import Convergence
from fastautorec.evaluation._effects import Effect, MetricAtK
from fastautorec.evaluation._many_reports import RealArray
from fastautorec.evaluation._pairs import UserComparison
from fastautorec.evaluation._popularity import PopularityDistribution
from fastautorec.evaluation._tables import percent
from fastautorec.evaluation._tradeoff import PopularityTradeoff
from fastautorec.plots._drawing import (  # fmt: skip
    BANDWIDTH,
    COLORS,
    COLUMN,
    FONT,
    MARKERS,
    PAGE,
    band,
    banded,
    grouped_bars,
    in_lines,
    legend,
    line,
    log_axis,
    log_density,
    name_axes,
    name_places,
    new_figure,
    save,
)

Target = str | PathLike[str] | None
Panels = Axes | Sequence[Axes] | None

SHADES = ("#e3eef8", "#c0d9ee", "#8dbfe0", "#4f9bcb", "#2171b5")  # light to dark
SHARES = (0.95, 0.8, 0.6, 0.4, 0.2)  # shares of the users that the shades hold
CURVE_POINTS = 512
WIDE_RANGE = 20  # largest over smallest value from which on an axis is logarithmic
LETTERS, CORNER = 9, 7  # letters that fit along an inch of a panel, and in its corners
MAX_TICKS = 8  # values of a parameter that are all written
Function = TypeVar("Function", bound=Callable[..., Any])

SHARED = """\
path : path, optional
    Where the figure is saved, in the format of the suffix.
title : str
ax : matplotlib.axes.Axes, or a sequence of one for each panel, optional
    Where to draw, in a figure of yours; by default in a new one.

Returns
-------
matplotlib.figure.Figure
    The figure, which a notebook shows.

Raises
------
ImportError
    If matplotlib is not installed."""
EXAMPLE = """\
Examples
--------
>>> import fastautorec as far
>>> from fastautorec import evaluation
>>> train, test = far.split(far.datasets.synthetic(300, 100, 6000), (0.7, 0.3), by="random")
>>> models = {"EASE": far.EASE(), "NCE-AutoRec": far.NCEAutoRec(factors=16, epochs=1)}
>>> for model in models.values():
...     fitted = model.fit(train, validation=test)
>>> reports = {name: far.evaluate(model, train, test) for name, model in models.items()}
"""


def document(call: str) -> Callable[[Function], Function]:
    """Put what all figures share into the docstring of a function, and an example with what it draws."""

    def finish(function: Function) -> Function:
        text = cleandoc(function.__doc__ or "").replace("{shared}", SHARED)
        function.__doc__ = f"{text}\n\n{EXAMPLE}>>> figure = far.plots.{function.__name__}({call})\n"
        return function

    return finish


@document("evaluation.popularity_distribution(reports)")
def popularity(
    distribution: PopularityDistribution,
    path: Target = None,
    *,
    title: str = "",
    ax: Panels = None,
) -> Figure:
    """Draw how popular the items are that models recommend, and in grey what users chose (Figure 7 of the paper).

    Parameters
    ----------
    distribution : PopularityDistribution
    {shared}
    """
    log_popularity = np.log10(np.maximum(distribution.popularity, 1))
    order = np.argsort(log_popularity)
    running = np.cumsum((distribution.listed.sum(axis=0) + distribution.chosen)[order])
    # without the rarest items, a handful of which would take half of the width
    first, last = np.searchsorted(running, [running[-1] / 1000, running[-1]])
    low, high = log_popularity[order[[first, last]]]
    grid = np.linspace(max(low - 2 * BANDWIDTH, 0), high + 3 * BANDWIDTH, CURVE_POINTS)
    figure, axes = new_figure(PAGE, 3.6, title, ax=ax)
    axes.fill_between(
        10**grid, log_density(log_popularity, distribution.chosen, grid), color="0.87", linewidth=0,
        label=f"test items: mean {distribution.chosen_mean:,.0f}, Gini {distribution.chosen_gini:.3f}",
    )  # fmt: skip
    for i, name in enumerate(distribution.models):
        axes.plot(
            10**grid, log_density(log_popularity, distribution.listed[i], grid), **line(i, marker=False),
            label=f"{name}: mean {distribution.mean[i]:,.0f}, Gini {distribution.gini[i]:.3f}",
        )  # fmt: skip
    log_axis(axes)
    axes.margins(x=0)
    axes.set_ylim(bottom=0)
    name_axes(axes, "Popularity of a recommended item (users in the training data)", "Density per factor of 10")
    legend(figure, axes, columns=2, inside=ax is not None)
    return save(figure, path)


@document("evaluation.popularity_tradeoff(model, train, test, [0, 0.2, 0.4])")
def popularity_tradeoff(
    found: PopularityTradeoff, path: Target = None, *, title: str = "", ax: Panels = None
) -> Figure:
    """Draw what a popularity discount costs in NDCG and gives in variety; a dashed line marks the model as fitted.

    Parameters
    ----------
    found : PopularityTradeoff
    {shared}
    """
    figure, (left, middle, right) = new_figure(PAGE, 2.9, title, columns=3, ax=ax)
    for axes, i, metrics, label in ((left, 0, found.ndcg, "NDCG"), (right, 3, found.popularity, "popularity")):
        means, half_widths = np.array([(metric.mean, metric.half_width) for metric in metrics]).T
        band(axes, i, found.discounts, means, half_widths, label)
        name_axes(axes, "Popularity discount γ", metrics[0].name)
    middle.plot(found.discounts, found.coverage, **line(1), label="coverage")
    middle.plot(found.discounts, found.gini, **line(2), label="Gini")
    middle.set_ylim(0, 1)
    name_axes(middle, "Popularity discount γ", f"Coverage@{found.head}, Gini@{found.head}")
    for axes in (left, middle, right):
        axes.axvline(found.fitted, color="0.25", linewidth=0.9, linestyle=(0, (4, 2)), label="as fitted")
    legend(figure, left, middle, right, columns=5, inside=ax is not None)
    return save(figure, path)


@document("evaluation.compare_users(*reports.values(), names=tuple(reports))")
def user_comparison(
    pairs: UserComparison | Sequence[UserComparison],
    path: Target = None,
    *,
    title: str = "",
    ax: Panels = None,
) -> Figure:
    """Draw the density of users over the metric of two models (Figure 6 of the paper), a panel for each pair.

    The first model is on the horizontal axis: users below the line are better served by it. The shades hold 95, 80, 60,
    40 and 20 % of the users, the cross marks the means.

    Parameters
    ----------
    pairs : UserComparison or sequence of UserComparison
        At most four.
    {shared}
    ValueError
        If there is no pair, or more than four.
    """
    panels = [pairs] if isinstance(pairs, UserComparison) else list(pairs)
    if not 1 <= len(panels) <= 4:
        raise ValueError(f"`pairs` must hold one to four comparisons, got {len(panels)}")
    width = PAGE if len(panels) > 1 else COLUMN * 0.8
    rows = 2 if len(panels) == 4 else 1
    columns = len(panels) // rows
    side = width / columns
    figure, grid = new_figure(width, rows * side + (0.5 if title else 0.2), title, columns, rows, ax=ax)
    for axes, pair in zip(np.ravel(grid), panels, strict=True):
        first, second = (in_lines(f"{name} better:", CORNER * side) for name in pair.names)
        top = max(float(np.quantile(pair.a, 0.99)), float(np.quantile(pair.b, 0.99))) or 1.0
        levels = _levels(pair.density)
        axes.contourf(pair.grid, pair.grid, pair.density.T, levels, colors=SHADES[-len(levels) + 1 :])
        axes.plot([0, top], [0, top], color="0.25", linewidth=0.9, linestyle=(0, (4, 2)))
        axes.plot(pair.a.mean(), pair.b.mean(), "P", color=COLORS[1], markeredgecolor="white", markersize=8)
        axes.set(xlim=(0, top), ylim=(0, top), aspect="equal")
        frame = {"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": "0.8", "alpha": 0.9}
        common = {"transform": axes.transAxes, "fontsize": FONT - 1, "bbox": frame}
        axes.text(0.04, 0.96, f"{second}\n{percent(pair.share_b, 0)} of users", va="top", **common)
        axes.text(0.96, 0.04, f"{first}\n{percent(pair.share_a, 0)} of users", ha="right", **common)
        d = pair.difference
        axes.set_title(f"difference {d.difference:+.3f} ±{(d.high - d.low) / 2:.3f}", fontsize=FONT - 1, color="0.3")
        x, y = (in_lines(f"{pair.metric} of {name}", LETTERS * side) for name in pair.names)
        name_axes(axes, x, y, grid="both")
    return save(figure, path)


@document("evaluation.by_history_length(reports)")
def history_length(buckets: HistoryBuckets, path: Target = None, *, title: str = "", ax: Panels = None) -> Figure:
    """Draw a metric for users with short to long histories.

    Parameters
    ----------
    buckets : HistoryBuckets
    {shared}
    """
    figure, axes = new_figure(COLUMN, 3.4, title, ax=ax)
    banded(axes, buckets.models, buckets.mean, buckets.half_width)
    ticks = [f"{label}\n({n:,})" for label, n in zip(buckets.labels, buckets.n_users, strict=True)]
    name_places(axes, ticks)
    name_axes(axes, "Training items of a user (number of users)", buckets.metric)
    legend(figure, axes, columns=2, inside=ax is not None)
    return save(figure, path)


@document("evaluation.by_item_popularity(reports)")
def item_popularity(buckets: PopularityBuckets, path: Target = None, *, title: str = "", ax: Panels = None) -> Figure:
    """Draw which share of the rare and the popular test items models find, and what fills their lists.

    Parameters
    ----------
    buckets : PopularityBuckets
    {shared}
    """
    figure, (left, right) = new_figure(PAGE, 3.3, title, columns=2, ax=ax)
    banded(left, buckets.models, buckets.recall, buckets.half_width)
    name_axes(left, "Popularity of a test item (users)", f"Recall@{buckets.k}")
    places = np.arange(len(buckets.labels))
    chosen = buckets.n_test / buckets.n_test.sum()
    right.bar(places, chosen, width=0.8, color="0.87", label="test items")
    for i in range(len(buckets.models)):
        right.plot(places, buckets.list_share[i], **line(i))
    right.set_ylim(bottom=0)
    name_axes(right, "Popularity of a recommended item (users)", f"Share of the first {buckets.k} places")
    for axes in (left, right):
        name_places(axes, buckets.labels, rotation=25)
    legend(figure, left, right, columns=5, inside=ax is not None)
    return save(figure, path)


@document('evaluation.parameter_effect({"NDCG": reports}, "model")')
def effect(
    found: Effect,
    path: Target = None,
    *,
    log: bool | None = None,
    title: str = "",
    ax: Panels = None,
) -> Figure:
    """Draw a metric against a parameter: curves for numbers (Figure 5 of the paper), bars for names (Figure 2).

    Parameters
    ----------
    found : Effect
    log : bool, optional
        Whether the axis of a numeric parameter is logarithmic; by default, where its values span a factor of 20.
    {shared}
    """
    several = len(found.curves) > 1
    figure, axes = new_figure(PAGE if several and not found.numeric else COLUMN, 3.4, title, ax=ax)
    if found.numeric:
        for i, (series, curve) in enumerate(found.curves.items()):
            band(axes, i, np.array(curve.values, float), curve.mean, curve.half_width, series)
        numbers = np.array(found.values, float)
        if (numbers.min() > 0 and numbers.max() / numbers.min() >= WIDE_RANGE) if log is None else log:
            log_axis(axes)
        if len(numbers) <= MAX_TICKS:
            axes.set_xticks(numbers, [f"{number:,g}" for number in numbers])
    else:
        names, means, half_widths = _by_name(found)
        if several:
            grouped_bars(axes, list(found.curves), names, means, half_widths)
        else:
            grouped_bars(axes, names, [found.parameter], means.T, half_widths.T)
    name_axes(axes, "" if several and not found.numeric else found.parameter, found.metric)
    if several:
        legend(figure, axes, columns=4, inside=ax is not None)
    return save(figure, path)


@document("evaluation.metric_at_k(reports)")
def metric_bars(metrics: MetricAtK, path: Target = None, *, title: str = "", ax: Panels = None) -> Figure:
    """Draw a metric of several models at every list length as bars (Figure 3 of the paper).

    Parameters
    ----------
    metrics : MetricAtK
    {shared}
    """
    figure, axes = new_figure(PAGE, 3.2, title, ax=ax)
    groups = [f"{metrics.family}@{k}" for k in metrics.k]
    grouped_bars(axes, groups, metrics.models, metrics.mean.T, metrics.half_width.T)
    name_axes(axes, "", metrics.family)
    legend(figure, axes, columns=4, inside=ax is not None)
    return save(figure, path)


@document('evaluation.convergence({"NCE-AutoRec": {"full": model.history_}})')
def convergence(times: Convergence, path: Target = None, *, title: str = "", ax: Panels = None) -> Figure:
    """Draw the seconds until models were near their best metric (Figure 4 of the paper), a row for each training.

    Parameters
    ----------
    times : Convergence
        The caps of a line are at its smallest and largest share, the marks at those between.
    {shared}
    """
    series = list(dict.fromkeys(row.series for row in times.rows))
    colors = [COLORS[series.index(row.series) % len(COLORS)] for row in times.rows]
    places = np.arange(len(times.rows))
    order = sorted(range(len(times.shares)), key=times.shares.__getitem__)
    seconds = np.array([row.seconds for row in times.rows])[:, order]
    first, *between, last = [times.shares[i] for i in order] if len(order) > 1 else [0.0, times.shares[0], 0.0]
    figure, axes = new_figure(PAGE, 1.2 + 0.27 * len(times.rows), title, ax=ax)
    if first:
        label = f"from {percent(first)} to {percent(last)} of the best metric"
        for place, color, (start, *_, end) in zip(places, colors, seconds, strict=True):
            axes.plot([start, end], [place, place], "|-", color=color, linewidth=1.6, markersize=9, markeredgewidth=1.6)
        axes.plot([], [], "|-", color="0.3", linewidth=1.6, markersize=9, markeredgewidth=1.6, label=label)
    for number, share in enumerate(between):
        column = seconds[:, number + bool(first)]
        axes.scatter(column, places, s=30, c=colors, marker=MARKERS[number % len(MARKERS)], zorder=3)
        axes.scatter([], [], s=30, c="0.3", marker=MARKERS[number % len(MARKERS)], label=percent(share))
    axes.set_yticks(places, [" ".join(filter(None, (row.series, row.label))) for row in times.rows])
    axes.invert_yaxis()
    log_axis(axes)
    name_axes(axes, "Seconds of training, validation excluded", "", grid="x")
    legend(figure, axes, columns=3, inside=ax is not None)
    return save(figure, path)


def _by_name(found: Effect) -> tuple[list[str], RealArray, RealArray]:
    """Return the names of the values, and means and half-widths (n_series, n_values), NaN where one is missing."""
    names = [str(value) for value in found.values]
    means, half_widths = np.full((2, len(found.curves), len(names)), np.nan)
    for row, curve in enumerate(found.curves.values()):
        columns = [names.index(str(value)) for value in curve.values]
        means[row, columns], half_widths[row, columns] = curve.mean, curve.half_width
    return names, means, half_widths


def _levels(density: RealArray) -> RealArray:
    """Return the ascending densities above which the shares of the users are, and the largest one."""
    falling = np.sort(density, axis=None)[::-1]
    held = np.cumsum(falling) / falling.sum()
    borders = falling[np.minimum(np.searchsorted(held, SHARES), len(held) - 1)]
    return np.unique(np.append(borders, falling[0] * 1.001))
