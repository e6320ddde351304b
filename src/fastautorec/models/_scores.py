"""All scores of histories: what `predict` returns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastautorec._compute.csr import Csr
from fastautorec._compute.popularity import popularity_scorer, strangers
from fastautorec._compute.protocol import Backend, FloatArray, IdArray
from fastautorec._compute.top_lists import Scorer

if TYPE_CHECKING:
    from fastautorec.models._answers import Answering


def all_scores(
    model: Answering, backend: Backend, history: Csr, items: IdArray | None, discount: float | None
) -> FloatArray:
    """Return the scores (q, n) of all items, or of some, where the backend has its arrays."""

    def scores_of(scorer: Scorer, rows: Csr) -> FloatArray:
        if items is not None:
            scorer = scorer.take(backend.to_device(items))
        scores = backend.empty(rows.shape[0], scorer.n_items)
        there, everyone = backend.put(rows).rows(0, rows.shape[0]), slice(0, rows.shape[0])
        scorer.score(backend, scorer.prepare(backend, there), everyone, slice(0, scorer.n_items), scores)
        return scores

    scores = scores_of(model._dialled(backend, discount), history)
    rows = np.flatnonzero(backend.to_host((scores == 0).all(axis=1)))
    if len(rows) and len(rows := strangers(model, history, rows)):
        scores[backend.to_device(rows)] = scores_of(popularity_scorer(model, backend), history.take_rows(rows))
    return scores
