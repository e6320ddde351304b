"""The picture of a selection: how far each candidate is behind the best one, and the time it took."""

from __future__ import annotations

from os import PathLike
from typing import Any

import numpy as np

from fastautorec.plots._drawing import COLORS, PAGE, in_lines, name_axes, new_figure, save

LETTERS = 24  # of a model's name in a line
GREY = "0.45"


def draw(rows: list[dict[str, Any]], metric: str, path: str | PathLike[str] | None = None) -> Any:
    """Return a figure of the rows of a selection, the best at the top; candidates that were left out say so."""
    figure, (left, right) = new_figure(PAGE, 1.1 + 0.4 * len(rows), "", columns=2)
    fitted = [row for row in rows if row["state"] == "fitted"]
    places = np.arange(len(fitted))
    behind, low, high = (np.array([row[name] for row in fitted]) for name in ("difference", "low", "high"))
    close = ~(high < 0)
    for which, color, label in ((close, COLORS[0], "not shown to be worse"), (~close, COLORS[1], "worse")):
        errors = np.abs(np.stack([low, high]) - behind)[:, which]
        left.errorbar(behind[which], places[which], xerr=errors, fmt="o", color=color, capsize=3, label=label)
    widest = max(np.nanmax(np.append(high - low, 0)) / 2, 1e-4)
    left.set_xscale("symlog", linthresh=3 * widest, linscale=2)  # or one that is far behind would hide the others
    left.axvline(0, color=GREY, linewidth=0.8)
    for place in range(len(fitted), len(rows)):
        left.annotate("left out", (0, place), xytext=(-4, 0), textcoords="offset points", ha="right", va="center",
                      fontsize=8, color=GREY)  # fmt: skip
    left.set_yticks(range(len(rows)), [in_lines(row["model"], LETTERS) for row in rows])
    name_axes(left, f"{metric} minus that of the best, 95 %", "", grid="x")
    right.plot([max(row["seconds"], 1e-3) for row in fitted], places, "o", color=COLORS[2])
    right.set_xscale("log")
    name_axes(right, "seconds of search and fits", "", grid="x")
    right.set_yticks([])
    for axes in (left, right):
        axes.set_ylim(len(rows) - 0.5, -0.5)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return save(figure, path)
