"""Whole pieces of work on a device, and their peers there."""

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
from fastautorec._training.fit import AutoencoderFit
from fastautorec._training.network import Network
from fastautorec._training.run import FitRun, ProgressBar, Seeds

SAME = {False: 1e-3, True: 2e-2}  # relative difference of results in float32, and with products in TF32
LISTED = 50


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


def joint(factors: int = 200, batch_size: int = 1024) -> far.NCEAutoRec:
    """Return the model whose epochs are timed: two squared-error heads, relu, one step for a batch."""
    return far.NCEAutoRec.paper(mode="joint", factors=factors, batch_size=batch_size)


class Epochs:
    """Epochs of one model on a backend, from one start, and the same by PyTorch."""

    def __init__(self, backend: Any, model: far.NCEAutoRec, train: sparse.csr_matrix) -> None:
        self.model, self.train, self.backend = model, train, backend
        checked = backend.inputs.user_items("train", train, fitting=True)
        self.run = FitRun(backend, checked, None, (), ProgressBar("", show=False))
        self.fit = AutoencoderFit(self.run, model._objective(), model._options(), Seeds.drawn(np.random.default_rng(0)))
        (self.phase,) = model._objective().phases

    def ours(self) -> Callable[[], dict[str, float]]:
        """Return a call that trains for an epoch and returns the mean loss of each head."""
        self.fit.network = self.fit.random_network().copy(self.backend)
        loop = self.fit.loop(self.model.batch_size, epochs=(10**6,), patience=10**6)
        loop.begin(0, self.phase, lambda: None)
        return lambda: loop.epoch(self.phase)

    def torch(self, device: str, lookup: bool) -> Callable[[], dict[str, float]]:
        """Return the same by PyTorch, from the same weights, with the same users in each batch."""
        from benchmarks.gpu import torch_peer  # noqa: PLC0415  only where PyTorch is installed

        down = self.backend.to_host
        drawn = self.fit.random_network()
        start = Network(down(drawn.encoder), down(drawn.bias), {name: down(w) for name, w in drawn.heads.items()})
        weights = {
            name: None if loss.item_weights is None else down(loss.item_weights)
            for name, loss in self.fit.losses.items()
        }
        epoch = torch_peer.epochs(
            self.train, start, weights, self.phase.steps, self.model.batch_size, device, lookup
        )  # fmt: skip
        seed, number, m = self.fit.seeds.order, iter(range(1, 10**6)), self.train.shape[0]
        return lambda: epoch(np.random.default_rng([seed, next(number)]).permutation(m))


class Negatives:
    """Negatives of all users."""

    def __init__(self, backend: CudaBackend, train: sparse.csr_matrix, n_samples: int = 500) -> None:
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

    def __init__(self, backend: CudaBackend, model: Any, user_items: sparse.csr_matrix, top: int = LISTED) -> None:
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
    train = far.datasets.synthetic(400, 120, 6000, random_state=1)
    options = {"mode": "joint", "factors": 16, "batch_size": 64, "epochs": 2}
    return _check(device, tf32, train, lambda where: far.NCEAutoRec.paper(**options, device=where), "trains")


def check_fit(device: Any, tf32: bool) -> float:
    """Return by how much a closed-form fit on the device differs from one of the CPU; raise if it is too much."""
    train = far.datasets.synthetic(400, 120, 6000, random_state=1)
    return _check(device, tf32, train, lambda where: far.NCEAutoRec(factors=16, device=where), "solves")


def _check(
    device: Any, tf32: bool, train: sparse.csr_matrix, make: Callable[[str], far.NCEAutoRec], does: str
) -> float:
    with opened(device):
        got = make("cuda").fit(train).predict(train)
    expected = make("cpu").fit(train).predict(train)
    difference = float(np.abs(got - expected).max() / np.abs(expected).max())
    if not difference <= SAME[tf32]:
        raise WrongAnswerError(f"the device {does} a model with other scores than the CPU: {difference:.1e} relative")
    return difference


def check_losses(one: dict[str, float], other: dict[str, float], tf32: bool) -> None:
    """Raise unless two first epochs end with the same losses."""
    for head, loss in one.items():
        if not abs(other[head] - loss) <= SAME[tf32] * abs(loss):
            raise WrongAnswerError(f"the loss of the {head} head is {loss:.6g} here and {other[head]:.6g} by PyTorch")
