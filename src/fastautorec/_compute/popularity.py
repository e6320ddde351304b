"""Popular items in place of an answer: whose history says nothing to a model, and what they get."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from fastautorec._compute.csr import Csr
from fastautorec._compute.protocol import Backend, FloatArray
from fastautorec._compute.top_lists import DotScorer


class Knowing(Protocol):
    """A model that has counted the users of each item."""

    item_counts_: npt.NDArray[np.int64] | None
    n_users_: int


def strangers(model: Knowing, history: Csr, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return those of ``rows`` whose history has no item with users in ``fit``; the best score of all ``rows`` is 0.

    All of their scores are 0, so a list of items in the order of their numbers would only look like a choice. A model
    with an answer of its own for them, for example from biases, gives other scores, and its lists stay.
    """
    counts = getattr(model, "item_counts_", None)
    if counts is None:  # they are not in the files of earlier versions
        return rows[:0]
    own = history.take_rows(rows).to_host().rebased()
    said = np.concatenate(([0], np.cumsum(counts[own.indices] > 0)))[own.indptr]
    silent: npt.NDArray[np.int64] = rows[said[1:] == said[:-1]]
    return silent


def popularity_scorer(model: Knowing, backend: Backend) -> DotScorer:
    """Return the scorer of popularity: the share of the users who have an item.

    It is the least-squares prediction for a user of whom nothing is known.
    """
    assert model.item_counts_ is not None
    shares = (model.item_counts_ / max(model.n_users_, 1)).astype(np.float32)[:, None]
    return constant_scorer(backend.to_device(shares))


def constant_scorer(scores: FloatArray) -> DotScorer:
    """Return the scorer that gives all users the same scores (n, 1)."""

    def ones(backend: Backend, history: Csr) -> FloatArray:
        column = backend.empty(history.shape[0], 1)
        column.fill(1)
        return column

    return DotScorer(ones, scores)
