"""The pictures of the report."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from PIL import Image

from benchmarks._results import Result, Results
from benchmarks._targets import CLOSED_FORM, exponent
from fastautorec._training.epochs import MODES
from fastautorec.plots._drawing import COLORS, FONT, name_axes

DPI = 130
UNITS = {"interactions": "interactions", "items": "items n", "factors": "factors k", "threads": "threads"}
STYLES = {  # of the ways to train
    "as the paper trains": "-",
    "exact start, then trained": ":",
    "PyTorch, as the paper trains": "--",
    "its defaults": "--",
}
LOWEST = 0.5  # shown, as a share of the best value of all
SOONEST = 1e-3  # seconds shown
SPAN = 8.0  # least ratio of the ends of an axis of seconds or bytes


def _figure(width: float, height: float, rows: int, columns: int, **options: Any) -> tuple[Any, Any]:
    figure = Figure(figsize=(width, height), layout="constrained", dpi=DPI)
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def _save(figure: Any, file: Path) -> None:
    """Write a PNG of 256 colours, a third of the size that matplotlib writes."""
    whole = io.BytesIO()
    figure.savefig(whole, format="png")
    Image.open(whole).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(file, optimize=True)


def scaling(results: Results, file: Path) -> None:
    """Draw seconds and peak memory against sizes, both logarithmic, with the exponents."""
    shapes = [result for row in results.rows("shapes") if (result := results.get("shapes", row, CLOSED_FORM))]
    figure, axes = _figure(11, 6.4, 2, 3)
    first, *middle, last = axes.flat
    counts = [result.info["shape"][2] for result in shapes]
    seconds = [result.median for result in shapes]
    _line(first, counts, seconds, "interactions", "seconds", "the shapes of the paper", joined=False)
    _names(first, shapes, counts, seconds)
    for panel, (row, unit) in zip(middle, UNITS.items(), strict=True):
        found = sorted(results.group("growth", row).values(), key=lambda result: result.info["value"])
        values = [result.info["value"] for result in found]
        title = f"ml-20m, other {row}" if row != "threads" else "ml-20m, by threads"
        _line(panel, values, [result.median for result in found], unit, "seconds", title)
    peaks = [result.info["peak"] / 1e6 for result in shapes]
    _line(last, counts, peaks, "interactions", "peak memory, MB", "the shapes of the paper", joined=False)
    _names(last, shapes, counts, peaks)
    _save(figure, file)


def _line(
    axes: Any, sizes: list[float], values: list[float], x: str, y: str, title: str, *, joined: bool = True
) -> None:
    """Draw values against sizes; what differs in more than the size is not joined, but gets the line of its power."""
    order = np.argsort(sizes)
    places = np.array(sizes, np.float64)[order]
    axes.plot(places, np.array(values)[order], "o-" if joined else "o", color=COLORS[0], markersize=4.5, linewidth=1.5)
    axes.set(xscale="log", yscale="log")
    if len(set(sizes)) > 1:
        power = exponent(sizes, values)
        title += f": exponent {power:.2f}"
        if not joined:
            middle = np.exp(np.mean(np.log(sizes))), np.exp(np.mean(np.log(values)))
            axes.plot(places, middle[1] * (places / middle[0]) ** power, "--", color="0.5", linewidth=1)
    axes.set_title(title, fontsize=FONT)
    name_axes(axes, x, y, grid="both")
    axes.margins(0.2, 0.18)
    low, high = axes.get_ylim()
    wider = max(SPAN / (high / low), 1) ** 0.5  # what hardly changes looks so
    axes.set_ylim(low / wider, high * wider)
    _numbers(axes.xaxis)
    _numbers(axes.yaxis)


def _short(value: float) -> str:
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if value >= 10 * size or (unit == "M" and value >= size):
            return f"{value / size:g} {unit}"
    return f"{value:g}"


def _names(axes: Any, shapes: list[Result], x: list[float], y: list[float]) -> None:
    for result, *place in zip(shapes, x, y, strict=True):
        side = -1 if place[0] == sorted(x)[-2] else 1  # the two largest are next to each other
        axes.annotate(
            result.key[1], place, xytext=(5 * side, -9 if side > 0 else 4), textcoords="offset points",
            ha="left" if side > 0 else "right", fontsize=FONT - 2,
        )  # fmt: skip
    axes.margins(x=0.3)


def quality(results: Results, file: Path) -> None:
    """Draw the best validation NDCG so far against seconds: a panel for a family, a dot where it ends to rise."""
    curves = [result for result in results if result.key[0] == "quality"]
    families = {"NCE-AutoRec": "NCE-AutoRec", "NS-AutoRec": "NS-AutoRec"}
    figure, axes = _figure(13, 6.2, 1, 3, sharex=True, sharey=True)
    for panel, family in zip(axes.flat, [*families, "others"], strict=True):
        labels = ["closed form", *MODES] if family in families else []
        for curve in curves:
            name, _, mode = curve.key[1].partition(", ")
            if families.get(name, "others") == family:
                label = mode or name
                if label not in labels:
                    labels.append(label)
                _curve(panel, curve, label, COLORS[labels.index(label) % len(COLORS)])
        panel.set_title(family, fontsize=FONT + 1)
        panel.set_xscale("log")
        panel.set_ylim(LOWEST * max(max(v for _, v in curve.info["points"]) for curve in curves), None)
        name_axes(panel, "seconds of training", "", grid="both")
        if panel.get_legend_handles_labels()[0]:  # a part of the suite may have no curve of this family
            panel.legend(
                loc="upper center", bbox_to_anchor=(0.5, -0.12), fontsize=FONT - 1, frameon=False, handlelength=3.5
            )  # fmt: skip
    axes[0, 0].set_ylabel("best validation NDCG so far", fontsize=FONT)
    _save(figure, file)


def _curve(axes: Any, curve: Result, label: str, color: str) -> None:
    kind = curve.key[2]
    seconds, values = np.array(curve.info["points"]).T
    best = np.maximum.accumulate(values)
    one = kind not in STYLES  # the closed form: a point
    axes.plot(
        np.maximum(seconds, SOONEST), best, STYLES.get(kind, "-"), color=color, linewidth=1.6,
        marker="*" if one else "o", markersize=12 if one else 5, markevery=[int(np.argmax(best))],
        label=label if one else f"{label}, {kind}",
    )  # fmt: skip


def _numbers(axis: Any) -> None:
    """Give a logarithmic axis numbers that can be read."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(lambda value, _position: _short(value))
    axis.set_minor_formatter(NullFormatter())
