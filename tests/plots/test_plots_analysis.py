"""Figures of the analyses: what they show, and that they are saved; matplotlib is an extra."""

from __future__ import annotations

import struct
import sys

import numpy as np
import pytest
from drawn import DRAW, HISTORIES, PAIR, REPORTS, make_effect
from lanes import keeping
from scipy.integrate import trapezoid

import fastautorec as far
from fastautorec import plots
from fastautorec.evaluation import (
    compare_users,
    convergence,
    metric_at_k,
    popularity_distribution,
)
from fastautorec.plots import _drawing, _figures


@pytest.fixture
def matplotlib():
    return pytest.importorskip("matplotlib", reason="plots need matplotlib")


@pytest.mark.parametrize("name", keeping([*DRAW][:2], DRAW))
def test_figures_are_saved_as_their_suffix_says(name, tmp_path, matplotlib):
    figure = DRAW[name](path=tmp_path / "figure.png", title="A title")
    head = (tmp_path / "figure.png").read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", head[16:24])
    assert width >= 700
    assert height >= 300
    DRAW[name](path=str(tmp_path / "figure.svg"))
    assert "<svg" in (tmp_path / "figure.svg").read_text("utf-8")[:1000]
    assert isinstance(figure, matplotlib.figure.Figure)


@pytest.mark.parametrize("name", DRAW)
def test_axes_are_named_and_nothing_is_global(name, matplotlib):
    loaded = "matplotlib.pyplot" in sys.modules
    figure = DRAW[name]()
    for axes in figure.axes:
        assert axes.get_xlabel() or len(axes.get_xticklabels()) > 1
        assert axes.get_ylabel() or len(axes.get_yticklabels()) > 1
    assert ("matplotlib.pyplot" in sys.modules) == loaded


def test_bars_have_the_heights_and_intervals_of_the_metric(matplotlib):
    found = metric_at_k(REPORTS)
    (axes,) = plots.metric_bars(found).axes
    for container, means, halves in zip(axes.containers[1::2], found.mean, found.half_width, strict=True):
        np.testing.assert_allclose([bar.get_height() for bar in container], means)
        (segments,) = container.errorbar.lines[2]
        ends = np.array(segments.get_segments())[:, :, 1]
        np.testing.assert_allclose(ends, np.stack([means - halves, means + halves], axis=1))


def test_curves_have_the_means_and_a_logarithmic_axis_where_values_are_wide(matplotlib):
    effect = make_effect((5, 50, 5000))
    (axes,) = plots.effect(effect).axes
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), [5, 50, 5000])
    np.testing.assert_allclose(axes.lines[1].get_ydata(), effect.curves["B"].mean)
    assert axes.get_xscale() == "log"
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["5", "50", "5,000"]
    assert plots.effect(effect, log=False).axes[0].get_xscale() == "linear"
    assert plots.effect(make_effect((0.7, 1.3))).axes[0].get_xscale() == "linear"
    assert plots.effect(make_effect((0, 100))).axes[0].get_xscale() == "linear"


def test_popularity_curves_have_unit_mass(matplotlib):
    (axes,) = plots.popularity(popularity_distribution(REPORTS)).axes
    for line in axes.lines:
        assert trapezoid(line.get_ydata(), np.log10(line.get_xdata())) == pytest.approx(1, abs=0.01)


def test_shades_hold_their_share_of_the_users():
    levels = _figures._levels(PAIR.density)
    assert len(levels) == len(_figures.SHARES) + 1
    for level, share in zip(levels, _figures.SHARES, strict=False):
        assert PAIR.density[PAIR.density >= level].sum() / PAIR.density.sum() == pytest.approx(share, abs=0.02)


def test_marks_are_at_the_seconds(matplotlib):
    found = convergence(HISTORIES)
    (axes,) = plots.convergence(found).axes
    for line, row in zip(axes.lines, found.rows, strict=False):
        np.testing.assert_allclose(line.get_xdata(), [row.seconds[0], row.seconds[-1]])
    np.testing.assert_allclose(axes.collections[0].get_offsets()[:, 0], [row.seconds[1] for row in found.rows])
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["NS joint", "NS full", "NCE joint"]


def test_many_models_are_told_apart(matplotlib):
    reports = {f"model {i}": REPORTS["A"] for i in range(11)}
    (axes,) = plots.metric_bars(metric_at_k(reports)).axes
    looks = {(bars[0].get_facecolor(), bars[0].get_hatch()) for bars in axes.containers[1::2]}
    assert len(looks) == 11
    assert len({str(_drawing.line(i)) for i in range(11)}) == 11


def test_users_who_are_all_alike_can_be_drawn(matplotlib):
    same = compare_users(REPORTS["A"], REPORTS["A"])
    figure = plots.user_comparison(same)
    figure.canvas.draw()
    assert "0 % of users" in figure.axes[0].texts[0].get_text()


def test_no_pair_and_too_many():
    for pairs in ([], [PAIR] * 5):
        with pytest.raises(ValueError, match=f"one to four comparisons, got {len(pairs)}"):
            plots.user_comparison(pairs)


@pytest.mark.parametrize("name", DRAW)
def test_without_matplotlib_the_message_tells_what_to_install(name, monkeypatch):
    monkeypatch.delitem(sys.modules, "fastautorec.plots._figure", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(ImportError, match=r"plots need matplotlib; pip install 'fastautorec\[plot\]'"):
        DRAW[name]()


def test_plots_are_at_hand_without_being_imported():
    assert far.plots is plots
    assert far.evaluation.popularity_distribution is popularity_distribution
