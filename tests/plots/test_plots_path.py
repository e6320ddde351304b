"""The picture of a path."""

from __future__ import annotations

import numpy as np
import pytest

import fastautorec as far
from fastautorec import plots

DATA = far.datasets.synthetic(120, 60, 1500, random_state=1)


def test_a_panel_for_each_parameter_that_was_chosen(tmp_path):
    matplotlib = pytest.importorskip("matplotlib", reason="plots need matplotlib")
    model = far.NCEAutoRecCV(factors=(2, 50), dropout=0.5).fit(DATA)
    figure = plots.path(model, tmp_path / "path.png", title="A path")
    assert isinstance(figure, matplotlib.figure.Figure)
    assert (tmp_path / "path.png").stat().st_size > 1000
    panels = {axes.get_xlabel(): axes for axes in figure.axes if axes.get_visible()}
    assert set(panels) == {
        "factors", "spectrum_power", "regularization", "intercept_penalty", "popularity_discount"
    }  # fmt: skip
    for name, axes in panels.items():
        curve, chosen = axes.get_lines()
        assert curve.get_ydata().max() == max(row["metric"] for row in model.cv_results_)
        assert chosen.get_xdata()[0] in curve.get_xdata(), name
    powers = panels["spectrum_power"].get_lines()[0]
    best = {p: max(r["metric"] for r in model.cv_results_ if r["spectrum_power"] == p) for p in powers.get_xdata()}
    np.testing.assert_array_equal(powers.get_ydata(), list(best.values()))


def test_a_path_of_one_setting_has_no_picture():
    pytest.importorskip("matplotlib", reason="plots need matplotlib")
    one = {"spectrum_power": 1.0, "dropout": 0.5, "regularization": 0.1, "fit_intercept": False}
    model = far.NCEAutoRecCV(factors=2, **one, popularity_discount=0.0).fit(DATA)
    with pytest.raises(ValueError, match="must have tried several values"):
        plots.path(model)
    with pytest.raises(far.NotFittedError):
        plots.path(far.NCEAutoRecCV())
