"""Parts of figures: style, axes, bands and bars. Only these functions import matplotlib."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterable, Sequence
from os import PathLike
from typing import Any

import numpy as np

from fastautorec._checks import kind
from fastautorec._types import Figure
from fastautorec.evaluation._many_reports import RealArray

PAGE, COLUMN = 7.0, 4.6  # inches
DPI = 200
FONT = 9  # points, of labels; the rest is one smaller
MAX_LINES = 3  # a label has at most
HANDLE = 7  # letters that the sign before a name in a legend is wide
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")  # safe for colour-blind readers
DASHES = ("-", "--", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
BANDWIDTH = 0.07  # width of the smoothing, in decades of popularity
HATCHES = ("", "////", "....", "xxxx")  # when the colours have run out


def new_figure(
    width: float, height: float, title: str, columns: int = 1, rows: int = 1, ax: Any = None
) -> tuple[Any, Any]:
    """Return a figure with axes: those of the user, or of its own, and pyplot's global state stays as it is."""
    try:
        from fastautorec.plots._figure import NotebookFigure  # noqa: PLC0415  matplotlib is an extra
    except ImportError as error:
        raise ImportError("plots need matplotlib; pip install 'fastautorec[plot]'") from error
    if ax is not None:
        return _given_axes(ax, columns * rows, title)
    figure: Any = NotebookFigure(figsize=(width, height), layout="constrained", dpi=DPI)
    if title:
        figure.suptitle(title, fontsize=FONT + 1.5)
    return figure, figure.subplots(rows, columns)


def _given_axes(ax: Any, count: int, title: str) -> tuple[Any, Any]:
    """Return the figure of a user's axes, and these: one, or a sequence of so many."""
    from matplotlib.axes import Axes  # noqa: PLC0415  an extra, missed by new_figure

    given = [ax] if isinstance(ax, Axes) else list(np.ravel(np.asarray(ax, object)))
    for one in given:
        if not isinstance(one, Axes):
            raise TypeError(f"`ax` must be {_axes(count)}, got {kind(one)}; plt.subplots(1, {count}) makes them")
    if len(given) != count:
        raise ValueError(f"`ax` must be {_axes(count)}, got {len(given)}; plt.subplots(1, {count}) makes them")
    if title:
        given[0].set_title(title, fontsize=FONT + 1.5, loc="left")
    return given[0].figure.canvas.figure, given[0] if count == 1 else np.array(given, object)


def _axes(count: int) -> str:
    return "axes of matplotlib" if count == 1 else f"{count} axes of matplotlib"


def in_lines(text: str, letters: float) -> str:
    """Return a text in lines of so many letters; what does not fit into a few of them is left out."""
    return "\n".join(textwrap.wrap(text, max(int(letters), 1), max_lines=MAX_LINES, placeholder=" …"))


def save(figure: Figure, path: str | PathLike[str] | None) -> Figure:
    if path is not None:
        figure.savefig(path)
    return figure


def rendered(figure: Any) -> tuple[bytes, bytes]:
    """Return a figure as PNG and SVG, the same bytes whenever it is drawn."""
    import matplotlib as mpl  # noqa: PLC0415  an extra

    png, svg = io.BytesIO(), io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "fastautorec"}):
        figure.savefig(png, format="png", dpi=150, metadata={"Software": None})
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    return png.getvalue(), svg.getvalue()


def name_axes(axes: Any, x: str, y: str, grid: str = "y") -> None:
    axes.set_xlabel(x, fontsize=FONT)
    axes.set_ylabel(y, fontsize=FONT)
    axes.tick_params(labelsize=FONT - 1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, color="0.9", linewidth=0.7)
    axes.set_axisbelow(True)


def legend(figure: Any, *axes: Any, columns: int, inside: bool) -> None:
    """Name what is drawn: below the axes, or inside the last ones, where the figure is the user's."""
    entries = {label: handle for each in axes for handle, label in zip(*each.get_legend_handles_labels(), strict=True)}
    if inside:
        axes[-1].legend(entries.values(), entries.keys(), frameon=False, fontsize=FONT - 1)
        return
    letter = 0.6 * (FONT - 1) / 72  # inches, of the average one
    widest = letter * (max(map(len, entries)) + HANDLE)
    columns = max(min(columns, len(entries), int(figure.get_figwidth() / widest)), 1)
    figure.legend(
        entries.values(), entries.keys(), loc="outside lower center", ncols=columns, frameon=False, fontsize=FONT - 1
    )


def line(i: int, marker: bool = True) -> dict[str, Any]:
    """Return how line i looks: by colour, dashes and marker, any one of which is enough."""
    style = {"color": COLORS[i % len(COLORS)], "linestyle": DASHES[i % len(DASHES)], "linewidth": 1.6}
    return style | ({"marker": MARKERS[i % len(MARKERS)], "markersize": 4.5} if marker else {})


def band(axes: Any, i: int, x: RealArray, mean: RealArray, half_width: RealArray, label: str) -> None:
    axes.fill_between(x, mean - half_width, mean + half_width, color=COLORS[i % len(COLORS)], alpha=0.18, linewidth=0)
    axes.plot(x, mean, **line(i), label=label)


def banded(axes: Any, models: Sequence[str], means: RealArray, half_widths: RealArray) -> None:
    for i, name in enumerate(models):
        band(axes, i, np.arange(means.shape[1], dtype=float), means[i], half_widths[i], name)
    axes.set_ylim(bottom=0)


def name_places(axes: Any, names: Sequence[str], rotation: float = 0) -> None:
    axes.set_xticks(range(len(names)), names, rotation=rotation)


def grouped_bars(
    axes: Any, groups: Sequence[str], names: Iterable[str], means: RealArray, half_widths: RealArray
) -> None:
    """Draw groups of bars with intervals; row g of the arrays is that of group g."""
    labels = list(names)
    width = 0.84 / len(labels)
    for i, name in enumerate(labels):
        places = np.arange(len(groups)) + (i - (len(labels) - 1) / 2) * width
        axes.bar(
            places, means[:, i], width * 0.94, yerr=half_widths[:, i], label=name, color=COLORS[i % len(COLORS)],
            hatch=HATCHES[i // len(COLORS) % len(HATCHES)], edgecolor="white", linewidth=0,
            error_kw={"ecolor": "0.2", "elinewidth": 0.9, "capsize": 2, "capthick": 0.9},
        )  # fmt: skip
    name_places(axes, groups)


def log_axis(axes: Any) -> None:
    """Make the horizontal axis logarithmic, with numbers that can be read."""
    from matplotlib.ticker import LogLocator, NullFormatter  # noqa: PLC0415  an extra, missed by new_figure

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(_number)
    axes.xaxis.set_minor_formatter(NullFormatter())


def _number(value: float, _position: int) -> str:
    return f"{value:,g}" if value < 1e6 else f"{value:g}"


def log_density(log_values: RealArray, counts: Any, grid: RealArray) -> RealArray:
    """Return the density at the grid points, smoothed by a Gaussian and mirrored at popularity 1, where items end."""
    values, where = np.unique(log_values, return_inverse=True)
    weights = np.bincount(where, counts) / max(int(counts.sum()), 1)
    distances = (grid[:, None] - np.concatenate([values, -values])) / BANDWIDTH
    kernel = np.exp(-0.5 * distances**2) / (BANDWIDTH * np.sqrt(2 * np.pi))
    density: RealArray = kernel @ np.concatenate([weights, weights])
    return density
