"""Popularity of the items that models recommend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fastautorec._checks import check_int
from fastautorec._printed import Printed, Rows
from fastautorec._types import DataFrame
from fastautorec.evaluation._further import gini
from fastautorec.evaluation._many_reports import IntArray, RealArray, check_length, check_reports, to_frame
from fastautorec.evaluation._report import Report
from fastautorec.evaluation._tables import interval


@dataclass(frozen=True, eq=False, repr=False)
class PopularityDistribution(Printed):
    """Result of ``popularity_distribution``; row i of an array is that of model i.

    Popularity of an item is its number of users in the training data.

    Attributes
    ----------
    models : tuple of str
    k : int
        Length of the lists.
    popularity : ndarray (n_items,), int64
    listed : ndarray (n_models, n_items), int64
        How often each item is recommended.
    chosen : ndarray (n_items,), int64
        How often each item is a test item: what the users really chose.
    mean, half_width : ndarray (n_models,), float64
        Mean over the users of the mean popularity of their lists, and the half-width of its 95 % interval.
    median : ndarray (n_models,), float64
        Half of all recommended places hold an item that is at most so popular.
    gini : ndarray (n_models,), float64
        Gini coefficient of ``listed`` over all items: 0 where all are recommended equally often, near 1 where few are.
    coverage : ndarray (n_models,), float64
        Share of the items that are recommended to some user.
    chosen_mean, chosen_median, chosen_gini : float
        The same of the test items, each counted as often as it was chosen.
    """

    models: tuple[str, ...]
    k: int
    popularity: IntArray
    listed: IntArray
    chosen: IntArray
    mean: RealArray
    half_width: RealArray
    median: RealArray
    gini: RealArray
    coverage: RealArray
    chosen_mean: float
    chosen_median: float
    chosen_gini: float

    def histogram(self, bins: int = 20) -> tuple[RealArray, RealArray, RealArray]:
        """Return how the recommended places are shared out by popularity.

        Parameters
        ----------
        bins : int
            Number of bins of equal width in log(popularity + 1).

        Returns
        -------
        edges : ndarray (bins + 1,), float64
            Bin b holds items with ``edges[b] <= popularity < edges[b + 1]``.
        shares : ndarray (n_models, bins), float64
            Share of the places of each model; a row adds up to 1.
        chosen : ndarray (bins,), float64
            Share of the test items.
        """
        number = check_int("bins", bins, 1)
        edges = np.expm1(np.linspace(0, np.log1p(float(self.popularity.max()) + 1), number + 1))
        place = np.clip(np.searchsorted(edges, self.popularity, side="right") - 1, 0, number - 1)
        counts = np.stack([np.bincount(place, row, number) for row in (*self.listed, self.chosen)])
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        return edges, shares[:-1], shares[-1]

    def __repr__(self) -> str:
        return f"<PopularityDistribution of the first {self.k} items, {', '.join(self.models)}>"

    def _parts(self) -> list[str | Rows]:
        rows = [[f"first {self.k} items", "mean popularity", "median", "Gini", "coverage"]]
        columns = zip(self.models, self.mean, self.half_width, self.median, self.gini, self.coverage, strict=True)
        for name, mean, half, median, evenness, coverage in columns:
            rows.append([name, interval(mean, half, 1), f"{median:,.0f}", f"{evenness:.4f}", f"{coverage:.4f}"])
        coverage = (self.chosen > 0).mean()
        chosen = [f"{self.chosen_mean:,.1f}", f"{self.chosen_median:,.0f}", f"{self.chosen_gini:.4f}"]
        rows.append(["(test items)", *chosen, f"{coverage:.4f}"])
        return [rows]

    def to_frame(self) -> DataFrame:
        """Return a pandas DataFrame with one row for each model."""
        names = ("mean", "half_width", "median", "gini", "coverage")
        return to_frame({"model": self.models, **{name: getattr(self, name) for name in names}})


def popularity_distribution(reports: Report | Mapping[str, Report], k: int = 10) -> PopularityDistribution:
    """Return how popular the recommended items are, for one or more models (Figure 7 of the paper).

    Parameters
    ----------
    reports : Report or dict of str to Report
        One or more of the same train and test data.
    k : int
        Length of the lists, at most the largest ``k`` of the reports and 100.

    Returns
    -------
    PopularityDistribution
        Of all models and of what users chose; it prints as a table.

    Raises
    ------
    TypeError, ValueError
        If the reports cannot be compared, or have kept shorter lists.

    Examples
    --------
    >>> import fastautorec as far
    >>> from fastautorec.evaluation import popularity_distribution
    >>> train, test = far.split(far.datasets.load_example(), ratios=(0.8, 0.2), by="random")
    >>> models = {"Popularity": far.Popularity(), "PureSVD": far.PureSVD(16)}
    >>> reports = {name: far.evaluate(model.fit(train), train, test, k=10) for name, model in models.items()}
    >>> found = popularity_distribution(reports)
    >>> bool(found.mean[0] > found.mean[1]), bool(found.gini[0] > found.gini[1])
    (True, True)
    """
    named = check_reports(reports)
    length = check_length(k, named)
    first = next(iter(named.values()))
    popularity = first.item_popularity
    chosen = np.bincount(first.ranks.items, minlength=len(popularity))
    listed = np.stack([report.times_listed(length) for report in named.values()])
    by_user = [report.popularity_at(length) for report in named.values()]
    total = int(chosen.sum())
    return PopularityDistribution(
        models=tuple(named),
        k=length,
        popularity=popularity,
        listed=listed,
        chosen=chosen,
        mean=np.array([metric.mean for metric in by_user]),
        half_width=np.array([metric.half_width for metric in by_user]),
        median=np.array([_median(popularity, row) for row in listed]),
        gini=np.array([gini(row) for row in listed]),
        coverage=(listed > 0).mean(axis=1),
        chosen_mean=float(chosen @ popularity) / total,
        chosen_median=_median(popularity, chosen),
        chosen_gini=gini(chosen),
    )


def _median(popularity: IntArray, counts: IntArray) -> float:
    """Return the median of ``popularity``, each value taken ``counts`` times; NaN where there is none."""
    order = np.argsort(popularity, kind="stable")
    running = np.cumsum(counts[order])
    total = int(running[-1])
    if total == 0:
        return float("nan")
    middle = np.searchsorted(running, [(total - 1) // 2, total // 2], side="right")
    return float(popularity[order[middle]].mean())
