"""The operations that are timed: how they are called, and what they cannot do without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastautorec._compute.inputs import check_counts, check_user_items, check_values
from fastautorec._compute.parameter import Parameter

CUTOFFS = (5, 10, 15, 20, 50)
N_TOP = 50
N_METRICS = 2 + 4 * len(CUTOFFS)


@dataclass(frozen=True)
class Inputs:
    """Arguments of all operations: SciPy matrices for the public functions, Csr for the kernels."""

    binary: Any  # (m, n), R
    x: Any  # (m, n), R with rows of unit length
    test: Any  # (m, n)
    weight: np.ndarray  # (n, k)
    grad: np.ndarray  # (m, k)
    scores: np.ndarray  # (m, n)
    ranked: np.ndarray  # (m, N) ids
    hidden: np.ndarray  # (q, k), H of a batch
    batch: Any  # (q, n), R of the batch
    drawn: Any  # (q, n), S of the batch

    @property
    def k(self) -> int:
        return self.weight.shape[1]

    def every(self, step: int) -> Inputs:
        """Return the inputs of every ``step``-th user."""
        parts = {name: part if name == "weight" else part[::step] for name, part in vars(self).items()}
        return Inputs(**parts)

    def checked(self) -> Inputs:
        """Return the same inputs as the kernels take them."""
        return replace(
            self,
            binary=check_user_items("R", self.binary),
            x=check_values("X", self.x),
            test=check_user_items("T", self.test),
            batch=check_user_items("R", self.batch),
            drawn=check_counts("S", self.drawn),
        )


@dataclass(frozen=True)
class Operation:
    """How to call an operation, and what it cannot do without.

    Attributes
    ----------
    call : callable
        Takes the module or the backend that offers the operation, and the inputs.
    traffic : callable
        Least bytes between memory and processor: every array that is read or written, once for each pass that the
        algorithm needs. Rows that a gather finds in a cache are not counted.
    gathered : callable
        Bytes of the rows of W (or of H) that the stored entries ask for, from whatever level of the caches.
    flop : callable
        Additions and multiplications.
    kernel : callable, optional
        How to call it on checked input, where that differs; its result is the beginning of the public function's.
    step : int
        Plain Python gets every ``step``-th user, and its time is scaled to all of them.
    why : str
        What takes the time, where that is more than twice the least that the bytes and the arithmetic need.
    """

    call: Callable[[Any, Inputs], Any]
    traffic: Callable[[Inputs], int]
    gathered: Callable[[Inputs], int] = lambda _: 0
    flop: Callable[[Inputs], int] = lambda _: 0
    kernel: Callable[[Any, Inputs], Any] | None = None
    step: int = 1
    why: str = ""

    def needs(self, i: Inputs) -> dict[str, int]:
        return {"traffic": self.traffic(i), "gathered": self.gathered(i), "flop": self.flop(i)}


def head(backend, name, i, *matrices):
    decoder, grad_hidden = Parameter.gradient_of(i.weight), np.zeros_like(i.hidden)
    loss = getattr(backend, name)(i.hidden, decoder, *matrices, grad_hidden=grad_hidden)
    return loss, grad_hidden, decoder.first


def adam(backend, i):
    parameter = Parameter(i.weight.copy())
    backend.optimizer_step(parameter, i.weight)
    return parameter.value, parameter.first, parameter.second


# Ids and values once, W once, H once; a multiplication and an addition for each entry and unit.
PRODUCT: dict[str, Any] = {
    "traffic": lambda i: 8 * i.x.nnz + i.weight.nbytes + i.grad.nbytes,
    "gathered": lambda i: 4 * i.x.nnz * i.k,
    "flop": lambda i: 2 * i.x.nnz * i.k,
    "step": 8,
}

OPERATIONS = {
    # Item ids are read twice, to count and to look up; weights are written once.
    "nce_transform": Operation(
        lambda who, i: who.nce_transform(i.binary, 1.0, "interactions"),
        traffic=lambda i: 12 * i.binary.nnz,
        why="two passes over the ids, each a look-up in a table of the items",
    ),
    "encode": Operation(
        lambda who, i: who.encode(i.x, i.weight, None, "relu"),
        **PRODUCT,
        why="a row of W for every entry, from the second-level cache; the sums wait for the additions before them",
    ),
    "encode, identity": Operation(
        lambda who, i: who.encode(i.x, i.weight, None, "identity"),
        **PRODUCT,
        why="as `encode`",
    ),
    # The same arrays in the other direction.
    "encode_backward": Operation(
        lambda who, i: who.encode_backward(i.x, i.grad),
        **PRODUCT,
        why="a row of the gradient for every entry, from further away than the cache: there are more users than items",
    ),
    # X once, W read, the result written; the product X W stays in the caches.
    "gram_product": Operation(
        lambda who, i: who.gram_product(i.x, i.weight),
        traffic=lambda i: 8 * i.x.nnz + 2 * i.weight.nbytes,
        gathered=lambda i: 8 * i.x.nnz * i.k,
        flop=lambda i: 4 * i.x.nnz * i.k,
        step=16,
        why="every row of V is read and later written back, in the order of the entries",
    ),
    # D read and its gradient written, H and its gradient; scores and two gradients are three dense products.
    "mse_head": Operation(
        lambda who, i: who.mse_head(i.hidden, i.weight, None, i.batch),
        traffic=lambda i: 2 * i.weight.nbytes + 2 * i.hidden.nbytes + 4 * i.batch.nnz,
        flop=lambda i: 6 * len(i.hidden) * i.weight.size,
        kernel=lambda who, i: head(who, "mse_head", i, i.batch),
        step=25,
        why="scores and both gradients go by tiles of the cache, smaller products than the one that gave the rate",
    ),
    # The same for stored entries only, of positives and negatives.
    "ns_head": Operation(
        lambda who, i: who.ns_head(i.hidden, i.weight, None, i.batch, i.drawn),
        traffic=lambda i: 2 * i.weight.nbytes + 2 * i.hidden.nbytes + 4 * i.batch.nnz + 8 * i.drawn.nnz,
        gathered=lambda i: 4 * (i.batch.nnz + i.drawn.nnz) * i.k,
        flop=lambda i: 6 * (i.batch.nnz + i.drawn.nnz) * i.k,
        kernel=lambda who, i: head(who, "ns_head", i, i.batch, *i.drawn),
        step=25,
        why="binary searches for each user's entries of a tile; rows are read for the scores and for both gradients",
    ),
    # Weights, gradient and two moments read, weights and moments written.
    "optimizer_step": Operation(
        lambda who, i: who.optimizer_step(i.weight, i.weight),
        traffic=lambda i: 7 * i.weight.nbytes,
        kernel=adam,
        why="a square root and a division for each weight; the moments are fresh memory in every call",
    ),
    # Every score once, the ids to leave out once, ids and scores of the lists written.
    "top_items": Operation(
        lambda who, i: who.top_items(i.scores, N_TOP, i.binary),
        traffic=lambda i: i.scores.nbytes + 4 * i.binary.nnz + 8 * i.ranked.size,
        step=16,
        why="a comparison for every score, which counts as no arithmetic, then bisection for the bound of each list",
    ),
    # Lists and test items once, one float64 for each user and metric.
    "ranking_metrics": Operation(
        lambda who, i: who.ranking_metrics(i.ranked, i.test, CUTOFFS, "paper"),
        traffic=lambda i: i.ranked.nbytes + 4 * i.test.nnz + 8 * i.test.shape[0] * N_METRICS,
        why="a binary search in the user's test items for every place of a list: branches, hardly any bytes",
    ),
    # Values read and written; which are dropped does not depend on the ids.
    "drop_entries": Operation(
        lambda who, i: who.drop_entries(i.x, 0.5, seed=1, epoch=0),
        traffic=lambda i: 8 * i.x.nnz,
        why="ten rounds of Philox for every four entries: integer multiplications, which the rates leave out",
    ),
}
