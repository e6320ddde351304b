"""Pieces of work on a GPU whose answers are compared with the CPU or with a peer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from scipy import sparse

import fastautorec as far
from fastautorec._compute import cuda as _cuda
from fastautorec._compute import get_backend
from fastautorec._compute.cuda.backend import CudaBackend
from fastautorec._compute.sampling import make_sampler, popularity_weights
from fastautorec._compute.top_lists import tile_shape

SAME = {False: 1e-3, True: 2e-2}  # relative difference of results in float32, and with products in TF32


class WrongAnswerError(Exception):
    """Two ways to one result differ: no time of either means anything."""


@contextmanager
def opened(device: Any) -> Iterator[CudaBackend]:
    """Let ``device="cuda"`` mean this device; yield its backend."""
    before = _cuda.open_device
    _cuda.open_device = lambda ordinal: device
    try:
        with device.active():
            yield CudaBackend(device)
    finally:
        _cuda.open_device = before


def data(shape: tuple[int, int, int]) -> sparse.csr_matrix:
    """Return interactions of a shape of the paper; its training sets hold half of them."""
    users, items, interactions = shape
    return far.datasets.synthetic(users, items, interactions // 2, random_state=0)


class Negatives:
    """Negatives of all users."""

    def __init__(self, backend: CudaBackend, train: sparse.csr_matrix, n_samples: int) -> None:
        popularity = np.bincount(train.indices, minlength=train.shape[1])
        self.backend, self.sampler = backend, make_sampler(popularity_weights(popularity, 1.0), n_samples)
        self._users = np.arange(train.shape[0])
        self._there = backend.to_device(self._users)

    def ours(self) -> tuple[Any, Any]:
        return self.backend.sample_negatives(self.sampler, self._there, None, 0, 1)

    def check(self) -> None:
        """Raise unless the device draws the bits of the CPU."""
        pattern, counts = self.ours()
        expected, expected_counts = get_backend("cpu").sample_negatives(self.sampler, self._users, None, 0, 1)
        got = pattern.to_host()
        same = np.array_equal(got.indptr, expected.indptr) and np.array_equal(got.indices, expected.indices)
        if not same or not np.array_equal(self.backend.to_host(counts)[: len(expected_counts)], expected_counts):
            raise WrongAnswerError("the device draws other negatives than the CPU")


class Lists:
    """Top lists of all users from one model, and the same by CuPy's argpartition on the same scores."""

    def __init__(self, backend: CudaBackend, model: Any, user_items: sparse.csr_matrix, top: int) -> None:
        """Take a model that was fitted on this backend."""
        self.backend, self.model, self.top = backend, model, top
        self.host = user_items
        self.there = backend.put(backend.inputs.user_items("user_items", user_items))
        self.tile, _ = tile_shape(backend.score_tiles, *user_items.shape)
        self._buffer = backend.new((self.tile, user_items.shape[1]), np.float32)

    def recommend(self) -> tuple[Any, Any]:
        """Return what users get; histories and lists are on the host."""
        return self.model.recommend(self.host, N=self.top)

    def rank(self, rows: Any, scores: Any) -> tuple[Any, Any]:
        """Return ids and scores of the lists of a tile."""
        ids, best = self.backend.top_items(scores, self.top, rows)
        return ids, best

    def rank_by_argpartition(self, rows: Any, scores: Any) -> tuple[Any, Any]:
        """Return the same by argpartition, which finds the best, and argsort, which puts them in order."""
        xp, begin, ids = self.backend.device.xp, rows.pattern.indptr, rows.pattern.indices
        row_of = xp.searchsorted(begin, xp.arange(len(ids)), side="right") - 1
        scores[row_of, ids] = -np.inf
        best = xp.argpartition(scores, scores.shape[1] - self.top, axis=1)[:, -self.top :]
        values = xp.take_along_axis(scores, best, axis=1)
        order = xp.argsort(-values, axis=1)
        return xp.take_along_axis(best, order, axis=1), xp.take_along_axis(values, order, axis=1)

    def check(self) -> None:
        """Raise unless both ways to rank list the same scores, and `recommend` such scores.

        It encodes more users at a time, whose long histories may be added up in other parts.
        """
        down, start = self.backend.to_host, 0
        _, listed = self.recommend()
        for rows, scores in self.tiles():
            mine = np.nan_to_num(down(self.rank(rows, scores)[1]), nan=-np.inf)
            other = down(self.rank_by_argpartition(rows, scores)[1])
            if not np.array_equal(mine, other):
                raise WrongAnswerError("top_items and argpartition list other scores")
            given = np.nan_to_num(listed[start : start + len(mine)], nan=-np.inf)
            if not np.allclose(mine, given, rtol=0, atol=SAME[False] * np.abs(mine[np.isfinite(mine)]).max(initial=0)):
                raise WrongAnswerError("recommend lists other scores than top_items")
            start += len(mine)

    def tiles(self) -> Iterator[tuple[Any, Any]]:
        """Yield the histories and the scores of some users at a time."""
        scorer, m = self.model._scorer(), self.there.shape[0]
        for start in range(0, m, self.tile):
            rows = self.there.rows(start, min(start + self.tile, m))
            prepared, q = scorer.prepare(self.backend, rows), rows.shape[0]
            scores = self._buffer[:q]
            scorer.score(self.backend, prepared, slice(0, q), slice(0, scorer.n_items), scores)
            yield rows, scores


def check_training(device: Any, tf32: bool) -> float:
    """Return by how much a model trained on the device differs from one of the CPU; raise if it is too much."""
    options = {"mode": "joint", "factors": 16, "batch_size": 64, "epochs": 2}
    return _check(device, tf32, lambda where: far.NCEAutoRec.paper(**options, device=where), "trains")


def check_fit(device: Any, tf32: bool) -> float:
    """Return by how much a closed-form fit on the device differs from one of the CPU; raise if it is too much."""
    return _check(device, tf32, lambda where: far.NCEAutoRec(factors=16, device=where), "solves")


def _check(device: Any, tf32: bool, make: Callable[[str], far.NCEAutoRec], does: str) -> float:
    train = far.datasets.synthetic(400, 120, 6000, random_state=1)
    with opened(device):
        got = make("cuda").fit(train).predict(train)
    expected = make("cpu").fit(train).predict(train)
    difference = float(np.abs(got - expected).max() / np.abs(expected).max())
    if not difference <= SAME[tf32]:
        raise WrongAnswerError(f"the device {does} a model with other scores than the CPU: {difference:.1e} relative")
    return difference


def check_losses(one: dict[str, float], other: dict[str, float]) -> None:
    """Raise unless two first epochs end with the same losses, as far as TF32 goes."""
    for head, loss in one.items():
        if not abs(other[head] - loss) <= SAME[True] * abs(loss):
            raise WrongAnswerError(f"the loss of the {head} head is {loss:.6g} here and {other[head]:.6g} by PyTorch")
