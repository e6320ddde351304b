"""Losses, which heads are trained on: the targets or samples of a batch, and the operation that takes the step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fastautorec._compute.arrays import check_something_left
from fastautorec._compute.csr import Csr
from fastautorec._compute.parameter import Parameter
from fastautorec._compute.protocol import Backend, FloatArray
from fastautorec._compute.sampling import Sampler, make_sampler, popularity_weights

Counts = npt.NDArray[np.int64]  # users of each item


class Loss(Protocol):
    """The loss of one head, summed over the users of a batch."""

    @property
    def start(self) -> SquaredError:
        """What an exact start solves the head for."""

    def on(self, backend: Backend) -> Loss:
        """Return the same loss with its arrays where the backend wants them."""

    def check(self, train: Csr) -> None:
        """Raise if a user's loss cannot be computed."""

    def step(
        self,
        backend: Backend,
        hidden: FloatArray,
        head: Parameter,
        batch: Csr,
        scale: float,
        grad_hidden: FloatArray | None,
        epoch: int,
    ) -> Any:
        """Step ``head`` by ``scale`` times its gradient, add that of ``hidden`` to ``grad_hidden``, return the loss."""


LossOf = Callable[[Counts, int, int], Loss]  # made of item counts, the number of users, and a seed


@dataclass(frozen=True)
class SquaredError:
    """Squared error over all items to R, or to a target t_ij = a_i w_j on the pattern of R (Eq. 8 and 17).

    Attributes
    ----------
    item_weights : float32 (n,), optional
        w; 1 by default.
    user_weight : float
        α of a_i = ‖r_i‖₁^(−α).
    """

    item_weights: FloatArray | None = None
    user_weight: float = 0.0

    @property
    def start(self) -> SquaredError:
        """Return the loss itself."""
        return self

    def on(self, backend: Backend) -> SquaredError:
        """Return the same loss with its arrays where the backend wants them."""
        return self if self.item_weights is None else replace(self, item_weights=backend.to_device(self.item_weights))

    def check(self, train: Csr) -> None:
        """Accept every user."""

    def target(self, batch: Csr) -> Csr:
        """Return the target of binary rows."""
        return batch if self.item_weights is None else batch.weighted(self.item_weights, self.user_weight)

    def relative(self) -> SquaredError:
        """Return the same target but for its scale: the largest item weight is 1, so that squares stay in range."""
        largest = 0.0 if self.item_weights is None else float(self.item_weights.max())
        return replace(self, item_weights=self.item_weights / np.float32(largest)) if largest > 0 else self

    def gram_product(self, backend: Backend, user_items: Csr, block: FloatArray) -> FloatArray:
        """Return Tᵀ(T block) (n, k) of the target of binary rows, which is not made for it."""
        return backend.gram_product(user_items, block, self.item_weights, self.user_weight)

    def step(
        self,
        backend: Backend,
        hidden: FloatArray,
        head: Parameter,
        batch: Csr,
        scale: float,
        grad_hidden: FloatArray | None,
        epoch: int,
    ) -> Any:
        return backend.mse_head(hidden, head, self.target(batch), scale, grad_hidden)


def item_weights(
    counts: Counts, users: int, target: str = "nce", beta: float = 1.0, numerator: str = "users"
) -> FloatArray:
    """Return w (n,): max(log P − β log pop, 0) of Eq. 16, or pop^(−β) with ``target="power"``."""
    popularity = np.maximum(counts, 1).astype(np.float64)
    if target == "power":
        return (popularity**-beta).astype(np.float32)
    total = users if numerator == "users" else max(int(counts.sum()), 1)
    weights: FloatArray = np.maximum(np.log(total) - beta * np.log(popularity), 0).astype(np.float32)
    return weights


@dataclass(frozen=True)
class NegativeSampling:
    """The aggregated negative-sampling objective (Eq. 7), new negatives in every epoch.

    Attributes
    ----------
    sampler : Sampler
    out : str
        Output of the head.
    exclude_positives : bool
    seed : int
    start : SquaredError
        What an exact start solves the head for: the closed form of the expectation over negatives.
    """

    sampler: Sampler
    out: str
    exclude_positives: bool
    seed: int
    start: SquaredError

    def on(self, backend: Backend) -> NegativeSampling:
        """Return the same loss with its arrays where the backend wants them; it keeps the sampler's tables itself."""
        return replace(self, start=self.start.on(backend))

    def check(self, train: Csr) -> None:
        """Raise ValueError if a user has every item that can be drawn, and may not get one of them."""
        if self.exclude_positives:
            check_something_left(train, self.sampler.widths())

    def step(
        self,
        backend: Backend,
        hidden: FloatArray,
        head: Parameter,
        batch: Csr,
        scale: float,
        grad_hidden: FloatArray | None,
        epoch: int,
    ) -> Any:
        users = batch.user_numbers()
        exclude = batch if self.exclude_positives else None
        negatives, counts = backend.sample_negatives(self.sampler, users, exclude, self.seed, epoch)
        return backend.ns_head(hidden, head, batch, negatives, counts, self.out, scale, grad_hidden)


# --- what the models' objectives name: losses of item counts among so many users, and of a seed -----------------------


def squared_error(counts: Counts, users: int, seed: int) -> SquaredError:
    """Return the squared error to the interactions (Eq. 8)."""
    return SquaredError()


def weighted_error(
    counts: Counts, users: int, seed: int, *, target: str, beta: float, numerator: str, user_weight: float
) -> SquaredError:
    """Return the squared error to the de-popularised target (Eq. 16 and 17)."""
    return SquaredError(item_weights(counts, users, target, beta, numerator), user_weight)


def negative_sampling(
    counts: Counts, users: int, seed: int, *, negatives: int, power: float, exclude_positives: bool, out: str
) -> NegativeSampling:
    """Return the loss of Eq. 7, with negatives drawn by popularity."""
    sampler = make_sampler(popularity_weights(counts, power), negatives)
    start = SquaredError(item_weights(counts, users), user_weight=0.5)
    return NegativeSampling(sampler, out, exclude_positives, seed, start)
