"""The picture of a path: the metric of the settings that a search has tried, by each parameter."""

from __future__ import annotations

import math
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from fastautorec._types import Figure
from fastautorec.evaluation._metric import Z
from fastautorec.plots._drawing import COLORS, PAGE, band, log_axis, name_axes, new_figure, save

if TYPE_CHECKING:
    from fastautorec.models import NCEAutoRecCV

COLUMNS = 3
WIDE_RANGE = 20  # largest over smallest value from which on an axis is logarithmic
OUTCOME = ("metric", "standard_error", "users")


def path(model: NCEAutoRecCV, path: str | PathLike[str] | None = None, *, title: str = "") -> Figure:
    """Draw the held-out metric of a fitted `NCEAutoRecCV` against each parameter that it has chosen.

    A point is the best setting with that value among those that the first judges measured, with a band of the 95 %
    interval of its metric; the dashed line is at the value that was chosen in the end. Differences between two settings
    are much better known than the metrics, because the same users judged both.

    Parameters
    ----------
    model : NCEAutoRecCV
    path : path, optional
    title : str

    Returns
    -------
    matplotlib.figure.Figure
        The figure, which a notebook shows.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    NotFittedError
        Before ``fit``.
    ValueError
        If all parameters had one value only.

    Examples
    --------
    >>> import fastautorec as far
    >>> model = far.NCEAutoRecCV(factors=[16, 32], beta=1.0).fit(far.datasets.synthetic(300, 60, 3000, random_state=0))
    >>> figure = far.plots.path(model)
    """
    chosen, metric = model.to_estimator().get_params(), model.fitted_params_["metric"]
    fewest = min(row["users"] for row in model.cv_results_)
    rows = [_without_intercept(row) for row in model.cv_results_ if row["users"] == fewest]
    names = [name for name in rows[0] if name not in OUTCOME and len({row[name] for row in rows}) > 1]
    if not names:
        raise ValueError("`model` must have tried several values of a parameter, but all of its grids had one")
    columns = min(COLUMNS, len(names))
    height = 2.4 * math.ceil(len(names) / columns)
    figure, axes = new_figure(PAGE, height + 0.4, title, columns, math.ceil(len(names) / columns))
    panels = np.ravel(axes)
    for place, (panel, name) in enumerate(zip(panels, names, strict=False)):
        values = sorted({row[name] for row in rows}, key=lambda value: (isinstance(value, str), value))
        best = [max((row for row in rows if row[name] == value), key=lambda row: row["metric"]) for value in values]
        numeric = not any(isinstance(value, str) for value in values)
        x = np.array(values if numeric else range(len(values)), float)
        means, errors = (np.array([row[what] for row in best]) for what in OUTCOME[:2])
        band(panel, 0, x, means, Z * errors, "")
        own = _without_intercept(chosen)[name]
        panel.axvline(x[values.index(own)], color=COLORS[1], linestyle="--", linewidth=1.2)
        if not numeric:
            panel.set_xticks(x, [f"{value:g}" if not isinstance(value, str) else value for value in values])
        elif x[0] > 0 and x[-1] / x[0] >= WIDE_RANGE:
            log_axis(panel)
        name_axes(panel, name, metric if place % columns == 0 else "")
    for panel in panels[len(names) :]:
        panel.set_visible(False)
    return save(figure, path)


def _without_intercept(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with the penalty "none fitted" where there is no intercept."""
    fitted = row["fit_intercept"]
    kept = {name: value for name, value in row.items() if name != "fit_intercept"}
    return kept if fitted else {**kept, "intercept_penalty": "none fitted"}
