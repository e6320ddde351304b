"""Ranks of the test items: kept from the lists of an evaluation, and enough for every metric and any shorter list."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fastautorec._checks import metric_names
from fastautorec._compute.csr import Csr
from fastautorec._compute.protocol import HostBackend, IdArray

IntArray = npt.NDArray[np.int64]

MAX_HEAD = 100  # places of each list that are kept


@dataclass(frozen=True, eq=False)
class Ranks:
    """At which place of its user's list each test item is.

    Attributes
    ----------
    indptr : ndarray (n_users + 1,), int64
        The test items of evaluated user u, in the order of ``Report.users``, are ``indptr[u]:indptr[u + 1]``.
    items : ndarray (nnz,), int32
        Their ids, ascending for each user.
    ranks : ndarray (nnz,), int32
        Their places, from 1; 0 for an item that is not in the list.
    lengths : ndarray (n_users,), int32
        How many places count: the largest k; with "standard", for R-Precision, as many as the user has test items if
        that is more and the list is so long.
    """

    indptr: IntArray
    items: IdArray
    ranks: IdArray
    lengths: IdArray

    @property
    def n_test_items(self) -> IntArray:
        """Number of test items of each user, int64 (n_users,)."""
        return np.diff(self.indptr)

    def cut(self, lengths: IdArray) -> Ranks:
        """Return the ranks in lists of which no more than the first ``lengths`` places count."""
        within = self.ranks <= np.repeat(lengths, self.n_test_items)
        ranks = np.where(within, self.ranks, 0).astype(np.int32)
        return Ranks(self.indptr, self.items, ranks, np.minimum(self.lengths, lengths))

    def hits(self) -> tuple[IntArray, IntArray]:
        """Return user and rank of each listed test item, int64, by ascending user, then rank."""
        users = np.repeat(np.arange(len(self.lengths)), self.n_test_items)
        listed = self.ranks > 0
        keys = np.sort(users[listed] << 32 | self.ranks[listed])
        return keys >> 32, keys & 0xFFFFFFFF


class RankRecorder:
    """Takes the lists of an evaluation, tile by tile, and keeps the heads of the lists and the ranks of test items."""

    def __init__(self, test: Csr, cutoffs: tuple[int, ...], definition: str) -> None:
        """Take the test items of each user, and which places will count."""
        own, n_test_items = test.rebased(), test.row_lengths()
        lengths = counted_places(n_test_items, cutoffs, definition)
        self.ranks = Ranks(own.indptr, own.indices, np.zeros(own.nnz, np.int32), lengths)
        self.heads = np.empty((len(lengths), min(cutoffs[-1], MAX_HEAD)), np.int32)

    def record(self, backend: HostBackend, places: IntArray, ids: IdArray, test: Csr) -> None:
        """Take the lists ``ids`` (q, K) of the users at ``places``, whose test rows are ``test``; any thread."""
        self.heads[places] = ids[:, : self.heads.shape[1]]
        lengths = np.minimum(self.ranks.lengths[places], np.int32(ids.shape[1]))
        self.ranks.lengths[places] = lengths
        backend.find_ranks(ids, test, lengths, self.ranks.indptr[places], self.ranks.ranks)


def counted_places(n_test_items: IntArray, cutoffs: tuple[int, ...], definition: str) -> IdArray:
    """Return how many places of each list count: with "standard", R-Precision wants as many as there are test items."""
    wanted = n_test_items if definition == "standard" else np.zeros_like(n_test_items)
    return np.maximum(wanted, cutoffs[-1]).astype(np.int32)


def metrics_from_ranks(ranks: Ranks, cutoffs: tuple[int, ...], definition: str) -> dict[str, npt.NDArray[np.float64]]:
    """Return the metrics of each user, by name, as the operation ``ranking_metrics`` gives them for whole lists."""
    users, rank = ranks.hits()
    total, n_users, longest = ranks.n_test_items, len(ranks.lengths), cutoffs[-1]
    order = np.arange(len(users)) - np.searchsorted(users, users) + 1  # number of a hit among those of its user
    counted = np.arange(1, max(longest, int(total.max(initial=1))) + 1)
    ideal = np.concatenate(([0], np.cumsum(1 / np.log2(counted + 1))))
    harmonic = np.concatenate(([0], np.cumsum(1 / counted)))
    paper = definition == "paper"

    def add_up(chosen: npt.NDArray[np.bool_], values: npt.NDArray[np.float64] | None = None) -> npt.NDArray[np.float64]:
        weights = None if values is None else values[chosen]
        return np.bincount(users[chosen], weights, n_users).astype(np.float64, copy=False)

    gain = 1 / np.log2(rank + 1.0)
    within_r = np.minimum(total, longest if paper else ranks.lengths)
    values = {"R-Precision": add_up(rank <= within_r[users]) / total}
    for k in cutoffs:
        top = rank <= k
        found, best = add_up(top), np.minimum(k, total)
        precision, recall = found / k, found / total
        if paper:
            # a hit at rank r adds 1/l to precision@l of every l >= r
            values[f"MAP@{k}"] = (found * harmonic[k] - add_up(top, harmonic[np.minimum(rank, k) - 1])) / k
        else:
            values[f"NDCG@{k}"] = add_up(top, gain) / ideal[best]
            values[f"MAP@{k}"] = add_up(top, order / rank) / best
        values[f"Precision@{k}"], values[f"Recall@{k}"] = precision, recall
        values[f"F1@{k}"] = 2 * precision * recall / np.maximum(precision + recall, np.finfo(float).tiny)
    values["NDCG"] = add_up(rank <= longest, gain) / ideal[total] if paper else values[f"NDCG@{longest}"].copy()
    return {name: values[name] for name in metric_names(cutoffs, definition)}
