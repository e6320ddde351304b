"""The operations of the backend at one shape, with what each of them cannot do without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from fastautorec._compute.cuda.backend import CudaBackend
from fastautorec._compute.parameter import Parameter
from fastautorec._compute.sampling import make_sampler, popularity_weights
from fastautorec._compute.top_lists import tile_shape

CUTOFFS = (5, 10, 20, 50)


@dataclass(frozen=True)
class Sizes:
    """The letters of the formulas: q rows of a batch, n items, k units, e entries of the batch, E of all users.

    ``s`` is the number of sampled entries, ``t`` the rows of a tile of scores with ``x`` entries, ``top`` the length of
    a list.
    """

    q: int
    n: int
    k: int
    e: int
    E: int
    s: int
    t: int
    x: int
    top: int


class Inputs:
    """What the operations work on, in the memory of a device.

    Parameters
    ----------
    backend : CudaBackend
    user_items : CSR (m, n)
    factors, batch_size, negatives, top : int
    """

    def __init__(
        self,
        backend: CudaBackend,
        user_items: sparse.csr_matrix,
        factors: int = 200,
        batch_size: int = 1024,
        negatives: int = 500,
        top: int = 50,
    ) -> None:
        self.backend, self._k = backend, factors
        self._rng = np.random.default_rng(0)
        self.train = backend.put(backend.inputs.user_items("user_items", user_items, fitting=True))
        m, n = self.train.shape
        self.order, self.batch_size, self.top = self._rng.permutation(m)[:batch_size], batch_size, top
        self.batch = next(self.train.batches(self.order, batch_size))
        self.weighted = self.batch.weighted(self._matrix(n, 1)[:, 0].copy(), 0.5)
        popularity = backend.count_items(self.train)
        self.sampler = make_sampler(popularity_weights(popularity, 1.0), negatives)
        self.users = backend.to_device(np.arange(m))
        tile, _ = tile_shape(backend.score_tiles, m, n)
        self.shown = self.train.rows(0, tile)
        self.sizes = Sizes(
            q=self.batch.shape[0], n=n, k=factors, e=self.batch.nnz, E=self.train.nnz, s=self.negatives[0].nnz,
            t=tile, x=self.shown.nnz, top=top,
        )  # fmt: skip

    @cached_property
    def negatives(self) -> tuple[Any, Any]:
        return self.sample(self.batch.user_numbers())

    @cached_property
    def encoder(self) -> Parameter:
        return Parameter(self._matrix(self.batch.n_cols, self._k))

    @cached_property
    def decoder(self) -> Parameter:
        return Parameter(self._matrix(self.batch.n_cols, self._k + 1), bias_column=True)

    @cached_property
    def gradient(self) -> Any:
        return self._matrix(self.batch.n_cols, self._k)

    @cached_property
    def hidden(self) -> Any:
        return self._matrix(self.batch.shape[0], self._k + 1)

    @cached_property
    def grad(self) -> Any:
        return self._matrix(self.batch.shape[0], self._k + 1)

    @cached_property
    def scores(self) -> Any:
        return self._matrix(self.sizes.t, self.sizes.n)

    @cached_property
    def lists(self) -> Any:
        return self.backend.top_items(self.scores, self.top, self.shown)[0]

    def sample(self, users: Any) -> tuple[Any, Any]:
        return self.backend.sample_negatives(self.sampler, users, None, 0, 1)

    def _matrix(self, rows: int, columns: int) -> Any:
        made = self.backend.zeros(rows, columns)
        made[...] = self.backend.to_device(self._rng.standard_normal((rows, columns), dtype=np.float32) / 100)
        return made


@dataclass(frozen=True)
class Operation:
    """An operation and its floor.

    Attributes
    ----------
    run : callable
    moved : callable
        Bytes of what it reads and writes, each array once, however it goes about it.
    flop : callable
        Of the cheapest way that we know.
    gathered : callable
        Bytes of the rows that the stored entries ask for; they mostly come from the L2 cache and are not in the floor.
    """

    run: Callable[[Inputs], Any]
    moved: Callable[[Sizes], int]
    flop: Callable[[Sizes], int] = lambda _: 0
    gathered: Callable[[Sizes], int] = lambda _: 0


def adam(rows: int, columns: int) -> int:
    """Return the bytes of a step: weights and both moments are read and written."""
    return 24 * rows * columns


OPERATIONS: dict[str, Operation] = {
    "cut and index a batch": Operation(
        lambda i: next(i.train.batches(i.order, i.batch_size)), lambda z: 20 * z.e + 24 * z.q + 8 * z.n
    ),
    "weight a batch": Operation(lambda i: i.batch.weighted(None, 0.5), lambda z: 4 * z.e + 8 * z.q),
    "length_powers": Operation(lambda i: i.batch.length_powers(0.5, i.hidden[:, -1]), lambda z: 12 * z.q),
    "column_squares": Operation(lambda i: i.weighted.column_squares(), lambda z: 12 * z.e + 8 * z.n),
    "drop_entries": Operation(lambda i: i.backend.drop_entries(i.batch, 0.5, 0, 1), lambda z: 4 * z.e + 8 * z.q),
    "encode": Operation(
        lambda i: i.backend.encode(i.batch, i.encoder.value, None, "relu", i.hidden[:, :-1]),
        lambda z: 4 * z.e + 4 * z.n * z.k + 4 * z.q * z.k,
        lambda z: 2 * z.e * z.k,
        lambda z: 4 * z.e * z.k,
    ),
    "activation_backward": Operation(
        lambda i: i.backend.activation_backward(i.hidden[:, :-1], i.grad[:, :-1], "relu"), lambda z: 12 * z.q * z.k
    ),
    "encode_backward, a step": Operation(
        lambda i: i.backend.encode_backward(i.batch, i.grad[:, :-1], parameter=i.encoder),
        lambda z: adam(z.n, z.k) + 4 * z.e + 4 * z.q * z.k,
        lambda z: 2 * z.e * z.k,
        lambda z: 4 * z.e * z.k,
    ),
    "mse_head, a step": Operation(
        lambda i: i.backend.mse_head(i.hidden, i.decoder, i.weighted, 1 / i.batch_size, i.grad),
        lambda z: adam(z.n, z.k + 1) + 8 * z.e + 12 * z.q * (z.k + 1),
        lambda z: 4 * (z.n + z.q) * (z.k + 1) ** 2 + 4 * z.e * (z.k + 1),
        lambda z: 8 * z.e * (z.k + 1),
    ),
    "ns_head, a step": Operation(
        lambda i: i.backend.ns_head(i.hidden, i.decoder, i.batch, *i.negatives, "sigmoid", 1 / i.batch_size, i.grad),
        lambda z: adam(z.n, z.k + 1) + 4 * z.e + 8 * z.s + 12 * z.q * (z.k + 1),
        lambda z: 6 * (z.e + z.s) * (z.k + 1),
        lambda z: 8 * (z.e + z.s) * (z.k + 1),
    ),
    "optimizer_step": Operation(
        lambda i: i.backend.optimizer_step(i.encoder, i.gradient), lambda z: adam(z.n, z.k) + 4 * z.n * z.k
    ),
    "sum_of_squares": Operation(lambda i: i.backend.sum_of_squares(i.encoder.value), lambda z: 4 * z.n * z.k),
    "sample_negatives, a batch": Operation(
        lambda i: i.sample(i.batch.user_numbers()), lambda z: 8 * z.s + 16 * z.q + 12 * z.n
    ),
    "nce_transform, all users": Operation(
        lambda i: i.backend.nce_transform(i.train, 1.0, "users"), lambda z: 8 * z.E + 4 * z.n
    ),
    "gram_product, all users": Operation(
        lambda i: i.backend.gram_product(i.train, i.encoder.value),
        lambda z: 4 * z.E + 8 * z.n * z.k,
        lambda z: 4 * z.E * z.k,
        lambda z: 8 * z.E * z.k,
    ),
    "top_items, a tile": Operation(
        lambda i: i.backend.top_items(i.scores, i.top, i.shown), lambda z: 4 * z.t * z.n + 4 * z.x + 8 * z.t * z.top
    ),
    "ranking_metrics, a tile": Operation(
        lambda i: i.backend.ranking_metrics(i.lists, i.shown, CUTOFFS, "standard"),
        lambda z: 4 * z.t * z.top + 4 * z.x + 8 * z.t * (2 + 5 * len(CUTOFFS)),
    ),
}


@dataclass(frozen=True)
class Rates:
    """What the device can do at best: bytes and operations per second, measured."""

    bandwidth: float
    flops: float

    def floor(self, operation: Operation, sizes: Sizes) -> float:
        """Return the seconds below which an operation cannot get."""
        return max(operation.moved(sizes) / self.bandwidth, operation.flop(sizes) / self.flops)
