"""Exact updates: the sums over users that a ridge head is solved from, with the rows of some added or taken away."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec._compute.csr import Csr
from fastautorec._compute.protocol import Backend
from fastautorec._training.closed_form import Encoder, RidgeHead, accumulate_ridge
from fastautorec._training.run import FitRun

Sums = dict[str, npt.NDArray[Any]]  # by name, in host memory
Counts = npt.NDArray[np.int64]

SLACK = 1e-6  # of a sum of squares, which users that are taken away may exceed by rounding


# Types and shapes of the sums of a ridge head, as in ``Recommender._arrays``. The numbers are those of the interactions
# and users that are in them, and the seed of their masks.
RIDGE_SUMS = {"gram": "float64 k+ k+", "cross": "float32 n k+", "noise": "float64 k k", "numbers": "int64 3"}


def ridge_sums(ridge: RidgeHead, user_items: Csr, seed: int, backend: Backend) -> Sums:
    """Return the sums of a ridge head that was accumulated over these rows, as a fitted model keeps them."""
    return {
        "gram": ridge.gram,
        "cross": backend.to_host(ridge.cross),
        "noise": ridge.noise,
        "numbers": np.array([user_items.nnz, user_items.shape[0], seed]),
    }


def updated_ridge(
    sums: Sums, run: FitRun, encoder: Encoder, dropout: float, sign: int, counts: Counts
) -> tuple[Sums, RidgeHead]:
    """Return the sums with those of the users of a run added (``sign`` 1) or taken away (-1), and their ridge head.

    Only the items that these users have are looked at. ``counts`` are the users that each item has afterwards:
    where there are none, no rounding may stay.

    Raises
    ------
    ValueError
        If more is taken away than there is.
    """
    backend, rows = run.backend, run.train.to_host()
    items = np.flatnonzero(run.item_counts).astype(np.int32)
    encoder = replace(encoder, weight=encoder.weight.take(backend.to_device(items), axis=0))
    interactions, users, seed = sums["numbers"].tolist()
    part = accumulate_ridge(run.on(rows.columns(items), None), encoder, dropout, seed)
    gram = sums["gram"] + sign * part.gram
    if (np.diag(gram) < -SLACK * np.diag(sums["gram"])).any():
        raise not_learned("their hidden units add up to more than those of all users in the model")
    cross, change = np.array(sums["cross"]), backend.to_host(part.cross)
    cross[items] += change if sign > 0 else -change
    cross[counts == 0] = 0
    numbers = np.array([interactions + sign * rows.nnz, users + sign * rows.shape[0], seed])
    updated = {"gram": gram, "cross": cross, "noise": sums["noise"] + sign * part.noise, "numbers": numbers}
    return updated, RidgeHead(gram, backend.to_device(cross), updated["noise"], numbers[0] / numbers[1])


def not_learned(reason: str) -> ValueError:
    """Return the error for users who are to be forgotten, but cannot have been learned."""
    return ValueError(
        "`user_items` must hold users that the model has learned, with the histories that it learned from, but "
        f"{reason}"
    )


def counts_without(counts: Counts, gone: Counts, users: int, users_gone: int) -> tuple[Counts, int]:
    """Return the number of users of each item, and of all, without some; raise ValueError if they were never there."""
    left = counts - gone
    if (left < 0).any():
        item = int(np.argmax(left < 0))
        raise not_learned(f"item {item} has {counts[item]:,} users in the model and {gone[item]:,} here")
    if users_gone > users:
        raise not_learned(f"there are {users:,} users in the model and {users_gone:,} here")
    if not left.any():
        raise ValueError(f"`user_items` must leave the model some of its {users:,} users, got all of them")
    return left, users - users_gone
