"""The picture of the demonstration: how popular the items are that models recommend."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec.plots._drawing import BANDWIDTH, COLORS, DASHES, log_density, new_figure

GRID = 512  # points of a curve


def popularity_figure(
    popularities: Mapping[str, npt.ArrayLike],
    path: str | PathLike[str],
    *,
    actual: npt.ArrayLike | None = None,
    subtitle: str = "",
) -> None:
    """Draw how popular the items are that models recommend, as Figure 7 of the NCE-AutoRec paper, and save it.

    Parameters
    ----------
    popularities : dict of str to array
        For each model the popularity (number of users, >= 1) of every recommended item, one value for each place of
        each list.
    path : path
        Where to write; the suffix tells the format.
    actual : array, optional
        The same for the items that the users really chose; drawn in grey behind the models.
    subtitle : str
        Second line of the title.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If there is no model, or a model without a single popularity >= 1.
    """
    if not popularities:
        raise ValueError("`popularities` must hold at least one model, got none")
    curves = {name: _log_popularity(name, values) for name, values in popularities.items()}
    chosen = None if actual is None else _log_popularity("actual", actual)
    everything = np.concatenate([*curves.values(), *([] if chosen is None else [chosen])])
    grid = np.linspace(max(everything.min() - 2 * BANDWIDTH, 0), everything.max() + 3 * BANDWIDTH, GRID)

    figure, axes = new_figure(9, 5.6, "")
    if chosen is not None:
        label = f"items that the users chose (mean {_mean(chosen):,.0f})"
        axes.fill_between(10**grid, _density(chosen, grid), color="0.85", label=label, linewidth=0)
    for position, (name, values) in enumerate(curves.items()):
        axes.plot(
            10**grid,
            _density(values, grid),
            label=f"{name} (mean {_mean(values):,.0f})",
            color=COLORS[position % len(COLORS)],
            linestyle=DASHES[position % len(DASHES)],
            linewidth=2.2 if position == 0 else 1.6,
        )
    _label(figure, axes, subtitle)
    figure.savefig(path, dpi=150)


def _label(figure: Any, axes: Any, subtitle: str) -> None:
    axes.set_xscale("log")
    axes.margins(x=0)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_formatter(lambda value, _position: f"{value:,.0f}")
    axes.set_xlabel("Popularity of a recommended item (number of users in the training data, log scale)")
    axes.set_ylabel("Density (per factor of 10 in popularity)")
    axes.set_title("Popularity of the items in the top-10 lists", loc="left", fontsize=13, pad=24 if subtitle else 8)
    if subtitle:
        axes.text(0, 1.02, subtitle, transform=axes.transAxes, color="0.35", fontsize=9.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", which="major", color="0.9", zorder=0)
    axes.set_axisbelow(True)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)


def _log_popularity(name: str, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    array = np.asarray(values, np.float64).ravel()
    array = array[array >= 1]
    if not len(array):
        raise ValueError(f"`popularities` of {name!r} must hold a popularity >= 1, got none")
    return np.log10(array)


def _mean(log_values: npt.NDArray[np.float64]) -> float:
    return float(np.mean(10**log_values))


def _density(log_values: npt.NDArray[np.float64], grid: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return log_density(log_values, np.ones(len(log_values)), grid)
