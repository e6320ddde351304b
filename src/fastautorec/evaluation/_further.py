"""Further metrics of a report, from the ranks and the heads of lists that it has kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fastautorec.evaluation._ranks import Ranks

if TYPE_CHECKING:
    from fastautorec.evaluation._report import Report

RealArray = npt.NDArray[np.float64]


def reciprocal_rank(report: Report, k: int) -> RealArray:
    """Return 1 / rank of the first test item in the first k places of each user's list, 0 where there is none."""
    first = _first_hits(report.ranks, k)
    return np.divide(1, first, out=np.zeros(len(first)), where=first > 0)


def hit(report: Report, k: int) -> RealArray:
    """Return 1 for each user who has a test item in the first k places, else 0."""
    return (_first_hits(report.ranks, k) > 0).astype(np.float64)


def auc(report: Report, k: int) -> RealArray:
    """Return the area under the ROC curve of each user, a straight line after place k; NaN where no pair can be wrong.

    An item that is not among the first k places stands in the middle of those that are not.
    """
    ranks, total = report.ranks, report.n_test_items
    others = np.maximum(len(report.item_popularity) - report.history_lengths - total, 0)
    users, rank = ranks.hits()
    users, rank = users[rank <= k], rank[rank <= k]
    number = np.arange(len(users)) - np.searchsorted(users, users) + 1  # of a hit among those of its user
    below = others[users] - np.minimum(rank - number, others[users])
    found = np.bincount(users, minlength=len(total))
    listed = np.minimum(np.minimum(ranks.lengths, k) - found, others)
    area = np.bincount(users, below, len(total)) + (total - found) * (others - listed) / 2
    area[others == 0] = np.nan
    result: RealArray = area / np.maximum(total * others, 1)
    return result


def novelty(report: Report, k: int) -> RealArray:
    """Return the mean of −log₂ of the share of the training users who have an item, over each list; NaN if empty."""
    share = np.maximum(report.item_popularity, 1) / (report.n_rows - report.n_without_train)
    return report.mean_of_items(-np.log2(share), k)


def popularity(report: Report, k: int) -> RealArray:
    """Return the mean number of training users of the items of each list; NaN if it is empty."""
    return report.mean_of_items(report.item_popularity, k)


FURTHER: dict[str, Callable[[Report, int], RealArray]] = {
    "MRR": reciprocal_rank,
    "HitRate": hit,
    "AUC": auc,
    "Novelty": novelty,
    "Popularity": popularity,
}


def gini(counts: npt.NDArray[np.int64]) -> float:
    """Return the Gini coefficient of counts >= 0, in [0, 1); NaN where all are 0.

    For ascending counts x₁ ≤ … ≤ xₙ it is Σᵢ (2i − n − 1) xᵢ / (n Σᵢ xᵢ).

    >>> gini(np.array([1, 1, 1])), gini(np.array([0, 0, 0, 8]))
    (0.0, 0.75)
    """
    total = int(counts.sum())
    if total == 0:
        return float("nan")
    n = len(counts)
    return float(np.sort(counts) @ (2 * np.arange(1, n + 1) - n - 1)) / (n * total)


def _first_hits(ranks: Ranks, k: int) -> npt.NDArray[np.int64]:
    """Return the rank of the first hit of each user, 0 where there is none among the first k places."""
    users, rank = ranks.hits()
    users, places = np.unique(users, return_index=True)
    first = np.zeros(len(ranks.lengths), np.int64)
    first[users] = np.where(rank[places] <= k, rank[places], 0)
    return first
