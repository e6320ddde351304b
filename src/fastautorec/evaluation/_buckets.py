"""Accuracy by groups: of users by the length of their history, of items by their popularity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral
from typing import Any

import numpy as np

from fastautorec._checks import check_int
from fastautorec._printed import Printed, Rows
from fastautorec._types import DataFrame
from fastautorec.evaluation._many_reports import IntArray, RealArray, check_length, check_reports, metric_of, to_frame
from fastautorec.evaluation._metric import Z, half_width
from fastautorec.evaluation._report import Report
from fastautorec.evaluation._tables import interval


@dataclass(frozen=True, eq=False, repr=False)
class HistoryBuckets(Printed):
    """Result of ``by_history_length``; row i of an array is that of model i, column b that of bucket b.

    Attributes
    ----------
    models : tuple of str
    metric : str
    bounds : ndarray (n_buckets + 1,), int64
        Bucket b holds users with ``bounds[b] <= training items < bounds[b + 1]``.
    labels : tuple of str
        First and last number of items of each bucket, as text.
    n_users : ndarray (n_buckets,), int64
    mean, half_width : ndarray (n_models, n_buckets), float64
        Metric over the users of a bucket; half-widths of 95 % intervals with ddof 1; NaN where there are too few users.
    """

    models: tuple[str, ...]
    metric: str
    bounds: IntArray
    labels: tuple[str, ...]
    n_users: IntArray
    mean: RealArray
    half_width: RealArray

    def __repr__(self) -> str:
        return f"<HistoryBuckets of {self.metric}, {len(self.labels)} buckets, {', '.join(self.models)}>"

    def _parts(self) -> list[str | Rows]:
        rows = [["training items", "users", *self.models]]
        for b, label in enumerate(self.labels):
            figures = [interval(m, h) for m, h in zip(self.mean[:, b], self.half_width[:, b], strict=True)]
            rows.append([label, f"{self.n_users[b]:,}", *figures])
        return [f"{self.metric} by length of history", rows]

    def to_frame(self) -> DataFrame:
        """Return a pandas DataFrame with one row for each model and bucket."""
        n = len(self.models)
        return to_frame(
            {
                "model": np.repeat(self.models, len(self.labels)),
                "training_items": np.tile(self.labels, n),
                "n_users": np.tile(self.n_users, n),
                "mean": self.mean.ravel(),
                "half_width": self.half_width.ravel(),
            }
        )


@dataclass(frozen=True, eq=False, repr=False)
class PopularityBuckets(Printed):
    """Result of ``by_item_popularity``; row i of an array is that of model i, column b that of bucket b.

    Attributes
    ----------
    models : tuple of str
    k : int
        Length of the lists.
    bounds : ndarray (n_buckets + 1,), int64
        Bucket b holds items with ``bounds[b] <= popularity < bounds[b + 1]``, in users of the training data.
    labels : tuple of str
        First and last popularity of each bucket, as text.
    n_items, n_test : ndarray (n_buckets,), int64
        Number of items, and of test interactions with them.
    recall, half_width : ndarray (n_models, n_buckets), float64
        Share of these test interactions that are in the first k places, and half-width of its 95 % interval (of a
        ratio of sums over users, who are the units of the sample). NaN for a bucket without test interactions.
    hit_share : ndarray (n_models, n_buckets), float64
        Share of a model's hits; a row adds up to 1 where the buckets leave no item out.
    list_share : ndarray (n_models, n_buckets), float64
        Share of a model's recommended places.
    """

    models: tuple[str, ...]
    k: int
    bounds: IntArray
    labels: tuple[str, ...]
    n_items: IntArray
    n_test: IntArray
    recall: RealArray
    half_width: RealArray
    hit_share: RealArray
    list_share: RealArray

    def __repr__(self) -> str:
        return f"<PopularityBuckets of the first {self.k} items, {len(self.labels)} buckets, {', '.join(self.models)}>"

    def _parts(self) -> list[str | Rows]:
        rows = [["item popularity", "items", "test items", *self.models]]
        for b, label in enumerate(self.labels):
            figures = [interval(m, h) for m, h in zip(self.recall[:, b], self.half_width[:, b], strict=True)]
            rows.append([label, f"{self.n_items[b]:,}", f"{self.n_test[b]:,}", *figures])
        return [f"Share of test items in the first {self.k} places, by popularity", rows]

    def to_frame(self) -> DataFrame:
        """Return a pandas DataFrame with one row for each model and bucket."""
        n, arrays = len(self.models), ("recall", "half_width", "hit_share", "list_share")
        return to_frame(
            {
                "model": np.repeat(self.models, len(self.labels)),
                "popularity": np.tile(self.labels, n),
                "n_items": np.tile(self.n_items, n),
                "n_test": np.tile(self.n_test, n),
                **{name: getattr(self, name).ravel() for name in arrays},
            }
        )


def by_history_length(
    reports: Report | Mapping[str, Report], metric: str = "NDCG", buckets: int | Sequence[int] = 5
) -> HistoryBuckets:
    """Return a metric for users with short, middling and long histories.

    Parameters
    ----------
    reports : Report or dict of str to Report
        One or more of the same train and test data.
    metric : str
    buckets : int or sequence of int
        How many buckets of about equally many users, fewer where many histories have the same length; or the smallest
        number of training items of each bucket, ascending: users below the first one are left out.

    Returns
    -------
    HistoryBuckets
        It prints as a table.

    Raises
    ------
    TypeError, ValueError
        If the reports cannot be compared or lack the metric, or ``buckets`` are not ascending.

    Examples
    --------
    >>> import fastautorec as far
    >>> from fastautorec.evaluation import by_history_length
    >>> train, test = far.split(far.datasets.load_example(), ratios=(0.8, 0.2), by="random")
    >>> report = far.evaluate(far.Popularity().fit(train), train, test, k=10)
    >>> found = by_history_length({"Popularity": report}, buckets=[1, 5, 10])
    >>> found.labels[:2], found.mean.shape
    (('1–4', '5–9'), (1, 3))
    """
    named = check_reports(reports)
    lengths = next(iter(named.values())).history_lengths
    bounds = _bounds(buckets, lengths, int(lengths.min()), int(lengths.max()))
    place = np.searchsorted(bounds, lengths, side="right") - 1
    members = [place == b for b in range(len(bounds) - 1)]
    values = [metric_of(name, report, metric).per_user for name, report in named.items()]
    return HistoryBuckets(
        models=tuple(named),
        metric=metric,
        bounds=bounds,
        labels=_labels(bounds),
        n_users=np.array([chosen.sum() for chosen in members]),
        mean=np.array([[v[chosen].mean() if chosen.any() else np.nan for chosen in members] for v in values]),
        half_width=np.array([[half_width(v[chosen]) for chosen in members] for v in values]),
    )


def by_item_popularity(
    reports: Report | Mapping[str, Report], k: int = 10, buckets: int | Sequence[int] = 5
) -> PopularityBuckets:
    """Return which share of the rare and of the popular test items models find.

    Parameters
    ----------
    reports : Report or dict of str to Report
        One or more of the same train and test data.
    k : int
        Length of the lists, at most the largest ``k`` of the reports and 100.
    buckets : int or sequence of int
        How many buckets with about equally many test interactions, fewer where popularities are the same; or the
        smallest popularity of each bucket, ascending: items below the first one are left out.

    Returns
    -------
    PopularityBuckets
        It prints as a table.

    Raises
    ------
    TypeError, ValueError
        If the reports cannot be compared or have kept shorter lists, or ``buckets`` are not ascending.

    Examples
    --------
    >>> import fastautorec as far
    >>> from fastautorec.evaluation import by_item_popularity
    >>> train, test = far.split(far.datasets.load_example(), ratios=(0.8, 0.2), by="random")
    >>> report = far.evaluate(far.Popularity().fit(train), train, test, k=10)
    >>> found = by_item_popularity(report, buckets=[0, 10, 1000])
    >>> bool(found.recall[0, 0] == 0), bool(found.recall[0, 2] > 0.1)
    (True, True)
    """
    named = check_reports(reports)
    length = check_length(k, named)
    first = next(iter(named.values()))
    popularity, ranks = first.item_popularity, first.ranks
    bounds = _bounds(buckets, popularity[ranks.items], 0, int(popularity.max()))
    n, n_users = len(bounds) - 1, first.n_users
    bucket = np.searchsorted(bounds, popularity, side="right") - 1  # bucket of each item; -1: left out
    users = np.repeat(np.arange(n_users), ranks.n_test_items)
    cells = users * (n + 1) + bucket[ranks.items] + 1

    def by_user(entries: Any) -> IntArray:
        counts: IntArray = np.bincount(cells[entries], minlength=n_users * (n + 1)).reshape(n_users, n + 1)
        return counts

    wanted = by_user(slice(None))
    found = [by_user((report.ranks.ranks > 0) & (report.ranks.ranks <= length)) for report in named.values()]
    listed = np.stack([np.bincount(bucket + 1, report.times_listed(length), n + 1) for report in named.values()])
    hits = np.stack([counts.sum(axis=0) for counts in found])
    total = wanted.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):  # nothing in a bucket: NaN
        recall = hits / total
        residuals = np.stack([((h - r * wanted) ** 2).sum(axis=0) for h, r in zip(found, recall, strict=True)])
        error = np.sqrt(residuals * np.divide(n_users, n_users - 1)) / total
        hit_share, list_share = (counts / counts.sum(axis=1, keepdims=True) for counts in (hits, listed))
    return PopularityBuckets(
        models=tuple(named),
        k=length,
        bounds=bounds,
        labels=_labels(bounds),
        n_items=np.bincount(bucket + 1, minlength=n + 1)[1:],
        n_test=total[1:],
        recall=recall[:, 1:],
        half_width=Z * error[:, 1:],
        hit_share=hit_share[:, 1:],
        list_share=list_share[:, 1:],
    )


def _bounds(buckets: int | Sequence[int], values: IntArray, smallest: int, largest: int) -> IntArray:
    """Return the lower bounds of the buckets, and the upper one of the last."""
    if isinstance(buckets, Integral):
        number = check_int("buckets", buckets, 1)
        starts = np.sort(values)[np.arange(1, number) * len(values) // number]
        lower = np.unique(np.concatenate(([smallest], starts)))
    else:
        if not isinstance(buckets, (Sequence, np.ndarray)):
            raise TypeError(f"`buckets` must be a number or a sequence of them, got {type(buckets).__qualname__}")
        lower = np.array([check_int("buckets", bound, 0) for bound in buckets], np.int64)
        if not len(lower) or (np.diff(lower) <= 0).any():
            raise ValueError(f"`buckets` must be ascending lower bounds, at least one, got {list(buckets)}")
    return np.append(lower, max(largest, int(lower[-1])) + 1).astype(np.int64)


def _labels(bounds: IntArray) -> tuple[str, ...]:
    pairs = [(int(first), int(end) - 1) for first, end in pairwise(bounds)]
    return tuple(f"{first:,}" if first == last else f"{first:,}–{last:,}" for first, last in pairs)
