import struct
import sys

import numpy as np
import pytest
from scipy.integrate import trapezoid

from fastautorec.plots import _demo as plots

HAS_MATPLOTLIB = plots.__spec__ is not None and __import__("importlib.util").util.find_spec("matplotlib") is not None
needs_matplotlib = pytest.mark.skipif(not HAS_MATPLOTLIB, reason="matplotlib is not installed")


@needs_matplotlib
def test_popularity_figure_is_a_png_of_readable_size(tmp_path):
    path, rng = tmp_path / "popularity.png", np.random.default_rng(0)
    popularities = {name: rng.lognormal(mean, 1, (40, 10)) + 1 for name, mean in (("a", 3), ("b", 5))}
    plots.popularity_figure(popularities, path, actual=rng.lognormal(4, 1, 300) + 1, subtitle="a test")
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", head[16:24])
    assert width >= 1000
    assert height >= 600


@needs_matplotlib
def test_a_figure_leaves_pyplot_alone(tmp_path):
    loaded = "matplotlib.pyplot" in sys.modules
    plots.popularity_figure({"a": [5, 5, 5]}, tmp_path / "one.png")  # a single value, no spread
    assert ("matplotlib.pyplot" in sys.modules) == loaded


def test_popularities_that_cannot_be_drawn(tmp_path):
    with pytest.raises(ValueError, match="at least one model"):
        plots.popularity_figure({}, tmp_path / "none.png")
    with pytest.raises(ValueError, match="'a' must hold a popularity >= 1"):
        plots.popularity_figure({"a": [0, 0]}, tmp_path / "none.png")


def test_without_matplotlib_the_message_tells_what_to_install(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "fastautorec.plots._figure", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(ImportError, match=r"fastautorec\[plot\]"):
        plots.popularity_figure({"a": [1, 2]}, tmp_path / "none.png")


def test_density_has_unit_mass():
    values = np.log10([1, 1, 2, 10, 1000])
    grid = np.linspace(0, 5, 4001)
    assert trapezoid(plots._density(values, grid), grid) == pytest.approx(1, abs=1e-3)
