"""The picture of a search. Imports matplotlib: load it only when a picture is wanted."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from fastautorec.plots._drawing import COLORS
from fastautorec.plots._figure import NotebookFigure

COLUMNS = 3
COMPLETE, LINE, PRUNED = *COLORS[:2], "#999999"
WIDE_RANGE = 30  # largest over smallest value from which an axis is logarithmic


def check_format(path: Path) -> None:
    """Raise unless the suffix of a picture's name tells a format that matplotlib writes."""
    formats = sorted(NotebookFigure().canvas.get_supported_filetypes())
    if path.suffix[1:].lower() not in formats:
        known = ", ".join(f".{name}" for name in formats)
        raise ValueError(f"the suffix of a picture tells its format, one of {known}, got {path.name!r}")


def draw(trials: list[dict[str, Any]], names: list[str], metric: str, title: str) -> NotebookFigure:
    """Return a figure: the metric by trial with the best so far, and the metric by each parameter."""
    count = len(names) + 1
    columns = 2 if count == 4 else min(COLUMNS, count)
    rows = math.ceil(count / columns)
    figure = NotebookFigure(figsize=(4.2 * columns, 3.2 * rows + 0.5), layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).ravel())
    judged = [row for row in trials if row["metric"] is not None]
    complete = [row for row in judged if row["state"] == "complete"]
    pruned = [row for row in judged if row["state"] == "pruned"]
    _history(panels[0], complete, pruned)
    for axes, name in zip(panels[1:], names, strict=False):
        _parameter(axes, name, complete, pruned)
    for number, axes in enumerate(panels):
        axes.set_visible(number < count)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="0.92")
        axes.set_axisbelow(True)
        if number % columns == 0:
            axes.set_ylabel(f"validation {metric}")
    figure.suptitle(f"Search for the parameters of {title}", x=0.01, ha="left")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return figure


def _history(axes: Any, complete: list[dict[str, Any]], pruned: list[dict[str, Any]]) -> None:
    _points(axes, [row["trial"] for row in complete], complete, [row["trial"] for row in pruned], pruned)
    best, value = [], -math.inf
    for row in complete:
        value = max(value, row["metric"])
        best.append(value)
    axes.step([row["trial"] for row in complete], best, where="post", color=LINE, label="best so far")
    axes.set_xlabel("trial")
    axes.xaxis.get_major_locator().set_params(integer=True)


def _parameter(axes: Any, name: str, complete: list[dict[str, Any]], pruned: list[dict[str, Any]]) -> None:
    values = [row[name] for row in complete + pruned if name in row]
    numeric = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
    if numeric:
        places = {value: value for value in values}
        if min(values) > 0 and max(values) / min(values) >= WIDE_RANGE:
            axes.set_xscale("log")
    else:
        places = {value: place for place, value in enumerate(sorted(set(values), key=str))}
        axes.set_xticks(list(places.values()), [str(value) for value in places])
        axes.set_xlim(-0.5, len(places) - 0.5)
    own, others = ([row for row in rows if name in row] for rows in (complete, pruned))
    _points(axes, [places[row[name]] for row in own], own, [places[row[name]] for row in others], others)
    axes.set_xlabel(name)


def _points(
    axes: Any, x: list[Any], complete: list[dict[str, Any]], x_pruned: list[Any], pruned: list[dict[str, Any]]
) -> None:
    axes.scatter(x, [row["metric"] for row in complete], s=26, color=COMPLETE, alpha=0.75, label="complete")
    if pruned:
        metrics = [row["metric"] for row in pruned]
        axes.scatter(x_pruned, metrics, s=26, facecolors="none", edgecolors=PRUNED, label="pruned")
