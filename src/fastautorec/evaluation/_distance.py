"""Distances of the items of a list: one minus the cosine of their columns of the training data."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import numpy.typing as npt

from fastautorec._compute.csr import Csr
from fastautorec._compute.protocol import IdArray
from fastautorec.data._matrices import without_copies

BLOCK_PAIRS = 1 << 22  # pairs of items that are looked at together, the same pair of several users once


def mean_distances(lists: IdArray, train: Csr) -> npt.NDArray[np.float64]:
    """Return the mean distance of two items of each list, float64 (q,); NaN where there are fewer than two.

    Parameters
    ----------
    lists : int32 (q, K)
        Items of each list; -1 is an empty place.
    train : Csr (m, n)
        The columns are those of the items.
    """
    result = np.full(len(lists), np.nan)
    pairs = list(combinations(range(lists.shape[1]), 2))
    if not pairs:
        return result
    left, right = np.array(pairs).T
    listed = np.unique(lists[lists >= 0])
    columns = _Columns(train, listed)
    users = max(BLOCK_PAIRS // len(pairs), 1)
    for start in range(0, len(lists), users):
        block = lists[start : start + users]
        places = columns.place_of[block]  # of -1 the last cell, which is -1
        a, b = places[:, left], places[:, right]
        there = (a >= 0) & (b >= 0)
        cosines = np.zeros(a.shape)
        cosines[there] = columns.cosines(a[there], b[there])
        count = there.sum(axis=1)
        sums = (there - cosines).sum(axis=1)
        np.divide(sums, count, out=result[start : start + users], where=count > 0)
    return result


class _Columns:
    """Columns of some items; their places here ascend with their number of users, and then with their ids."""

    def __init__(self, train: Csr, listed: npt.NDArray[np.integer]) -> None:
        by_item = without_copies(train.rebased())[:, listed].T.tocsr()
        counts = np.diff(by_item.indptr)
        order = np.argsort(counts, kind="stable")
        self.place_of = np.full(train.n_cols + 1, -1, np.int64)
        self.place_of[listed[order]] = np.arange(len(listed))
        self._users, self._counts, self._n_users = by_item[order], counts[order], train.shape[0]

    def cosines(self, a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return the cosines of pairs of places.

        The users of the more popular item are marked once, for all others that it is paired with: of these the users
        are looked up, which are fewer.
        """
        n = len(self._counts)
        keys, where = np.unique(np.maximum(a, b) * n + np.minimum(a, b), return_inverse=True)
        popular, rare = np.divmod(keys, n)
        common, marked = np.empty(len(keys)), np.zeros(self._n_users)
        bounds = np.flatnonzero(np.diff(popular, prepend=-1, append=-1))
        for first, last in pairwise(bounds):
            own = self._users[popular[first]].indices
            marked[own] = 1
            common[first:last] = self._users[rare[first:last]] @ marked
            marked[own] = 0
        both = self._counts[popular].astype(np.float64) * self._counts[rare]
        cosines = np.divide(common, np.sqrt(both), out=np.zeros(len(keys)), where=both > 0)
        result: npt.NDArray[np.float64] = cosines[where.reshape(-1)]
        return result
