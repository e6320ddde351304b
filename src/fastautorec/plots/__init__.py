"""Figures of the analyses in ``fastautorec.evaluation``; they need ``pip install 'fastautorec[plot]'``.

Each function takes what an analysis returned and gives a matplotlib ``Figure``, saved at ``path`` in the format of its
suffix, such as ``.png`` or ``.svg``. Bands and error bars are 95 % intervals. Figures are as wide as a page of a paper
or a column of it, and pyplot is left alone: a notebook shows what a cell ends with, without a magic command. With
``ax=`` they are drawn into axes of your own, as many as the figure has panels.

>>> import fastautorec as far
>>> train, test = far.split(far.datasets.load_example(), ratios=(0.8, 0.2), by="random")
>>> reports = {"Popularity": far.evaluate(far.Popularity().fit(train), train, test, k=(5, 10))}
>>> figure = far.plots.metric_bars(far.evaluation.metric_at_k(reports))
"""

from fastautorec.plots._figures import (
    convergence,
    effect,
    history_length,
    item_popularity,
    metric_bars,
    popularity,
    popularity_tradeoff,
    user_comparison,
)
from fastautorec.plots._path import path

__all__ = [
    "convergence",
    "effect",
    "history_length",
    "item_popularity",
    "metric_bars",
    "path",
    "popularity",
    "popularity_tradeoff",
    "user_comparison",
]
