"""Figures in notebooks, and names that are long: nothing is cut at an edge."""

from __future__ import annotations

import pickle
import struct
from typing import Any

import numpy as np
import pytest
from drawn import DRAW, REPORTS, make_history
from lanes import keeping

import fastautorec as far
from fastautorec import evaluation, plots

Text = pytest.importorskip("matplotlib.text", reason="plots need matplotlib").Text
LONG = ("NCE-AutoRec, joint training", "VAE-CF with a rather long name", "model_with_one_word_for_a_name_" * 3)


@pytest.mark.parametrize("name", keeping([*DRAW][:2], DRAW))
def test_a_notebook_shows_a_picture(name: str) -> None:
    figure = DRAW[name]()
    png = figure._repr_png_()
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width, _ = struct.unpack(">II", png[16:24])
    assert 400 <= width <= 1100
    assert pickle.loads(pickle.dumps(figure))._repr_png_()[:4] == b"\x89PNG"


def test_a_search_too() -> None:
    pytest.importorskip("optuna", reason="tune is made of Optuna")
    train, validation = far.split(far.datasets.synthetic(100, 40, 1500), (0.8, 0.2), by="random")
    result = far.tune(far.EASE, train, validation, {"regularization": [1.0, 10.0]})
    assert result.plot()._repr_png_()[:4] == b"\x89PNG"


def texts_beyond(figure: Any, box: Any, axes: Any = None) -> list[str]:
    """Return the texts that do not lie within a box: of the whole figure but for its ticks, or within some axes."""
    artists = axes.texts if axes is not None else figure.findobj(Text)
    ticks = [label for each in figure.axes for label in (*each.get_xticklabels(), *each.get_yticklabels())]
    minor = [label for each in figure.axes for label in each.get_xticklabels(minor=True)]
    hidden = [*ticks, *minor]
    beyond = []
    for artist in artists:
        if artist.get_visible() and artist.get_text() and artist not in hidden:
            extent = artist.get_window_extent()
            if extent.x0 < box.x0 - 1 or extent.x1 > box.x1 + 1 or extent.y0 < box.y0 - 1 or extent.y1 > box.y1 + 1:
                beyond.append(artist.get_text())
    return beyond


@pytest.mark.parametrize("panels", keeping([1, 4], [1, 2, 3, 4]))
@pytest.mark.parametrize("names", [LONG[:2], LONG[1:]])
def test_pairs_keep_their_labels_within_the_figure(panels: int, names: tuple[str, str]) -> None:
    pair = evaluation.compare_users(*REPORTS.values(), names=names)
    figure = plots.user_comparison([pair] * panels, title="A title")
    figure.draw_without_rendering()
    assert texts_beyond(figure, figure.bbox) == []
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert len(shown) == panels
    for axes in shown:
        assert axes.bbox.width > 150
        assert texts_beyond(figure, axes.bbox, axes) == []


@pytest.mark.parametrize("number", [2, 8])
def test_legends_of_long_names_stay_within_the_figure(number: int) -> None:
    reports = {f"{LONG[i % 2]} {i}": list(REPORTS.values())[i % 2] for i in range(number)}
    for figure in (
        plots.popularity(evaluation.popularity_distribution(reports)),
        plots.history_length(evaluation.by_history_length(reports)),
        plots.item_popularity(evaluation.by_item_popularity(reports)),
        plots.metric_bars(evaluation.metric_at_k(reports)),
        plots.convergence(evaluation.convergence({name: {"joint": make_history(0)} for name in LONG[:2]})),
    ):
        figure.draw_without_rendering()
        for legend in figure.legends:
            box = legend.get_window_extent()
            assert box.x0 >= 0
            assert box.x1 <= figure.bbox.x1
            assert box.y0 >= -1


# --- in axes of the user ---------------------------------------------------------------------------------------------

PANELS = {"tradeoff": 3, "three pairs of users": 3, "items": 2}


@pytest.mark.parametrize("name", keeping([*DRAW][:4], DRAW))
def test_figures_are_drawn_into_axes_of_the_user(name: str, tmp_path: Any) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    count = PANELS.get(name, 1)
    figure = Figure(figsize=(4 * count, 4))
    FigureCanvasAgg(figure)
    above, below = figure.subfigures(2, 1)
    axes, others = above.subplots(1, count), below.subplots(1, count, squeeze=False)
    path = tmp_path / "figure.png"
    assert DRAW[name](ax=axes, path=path, title="A title") is figure
    assert path.read_bytes()[:4] == b"\x89PNG"
    alone = DRAW[name]()
    own = [each for each in alone.axes if each.get_visible()]
    for each, other in zip(np.ravel(axes), own, strict=True):
        assert each.get_xlabel() == other.get_xlabel()
        assert len(each.lines) == len(other.lines)
        assert len(each.collections) == len(other.collections)
        assert len(each.patches) == len(other.patches)
    assert np.ravel(axes)[0].get_title(loc="left") == "A title"
    assert not figure.legends
    if alone.legends:
        texts = [text.get_text() for text in np.ravel(axes)[-1].get_legend().get_texts()]
        assert texts == [text.get_text() for text in alone.legends[0].get_texts()]
    assert not any(each.has_data() for each in others.ravel())


def test_axes_that_are_none() -> None:
    from matplotlib.figure import Figure

    for wrong in (3, Figure(), "axes"):
        with pytest.raises(TypeError, match=r"`ax` must be axes of matplotlib, got .*; plt.subplots\(1, 1\)"):
            DRAW["bars"](ax=wrong)
    two = Figure().subplots(1, 2)
    with pytest.raises(ValueError, match="`ax` must be axes of matplotlib, got 2"):
        DRAW["bars"](ax=two)
    with pytest.raises(ValueError, match="`ax` must be 3 axes of matplotlib, got 2"):
        DRAW["tradeoff"](ax=two)
    with pytest.raises(ValueError, match="`ax` must be 2 axes of matplotlib, got 1"):
        DRAW["items"](ax=two[0])
