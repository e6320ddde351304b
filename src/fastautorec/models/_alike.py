"""Items that are alike, and users that are: by the cosine of their vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastautorec._compute.csr import Csr
from fastautorec._compute.protocol import Backend, FloatArray, IdArray
from fastautorec._compute.top_lists import DotScorer, Lists, MaskedScorer, Scorer, top_lists

if TYPE_CHECKING:
    from fastautorec.models._answers import Answering


def alike(model: Answering, backend: Backend, queries: IdArray, n_top: int) -> Lists:
    """Return ids and cosines (q, n_top) of the items nearest to each query, the query itself first.

    A vector of zeros has no direction: such an item is no neighbour of any and has none.
    """
    ids, scores = np.full((len(queries), n_top), -1, np.int32), np.full((len(queries), n_top), np.nan, np.float32)
    ids[:, 0], scores[:, 0] = queries, 1
    if n_top == 1:
        return ids, scores
    vectors = model._item_vectors()
    norms = np.sqrt((vectors * vectors).sum(axis=1, keepdims=True))
    nowhere = backend.to_host(norms)[:, 0] == 0
    unit = vectors / np.where(norms > 0, norms, np.float32(1))
    neighbours: Scorer = DotScorer(lambda on, rows: on.encode(rows, unit), unit)
    if nowhere.any():
        neighbours = MaskedScorer(neighbours, np.flatnonzero(nowhere))
    themselves = backend.put(Csr(np.arange(len(queries) + 1), queries, None, len(nowhere)))

    def store(start: int, stop: int, best: IdArray, values: FloatArray) -> None:
        ids[start:stop, 1:], scores[start:stop, 1:] = backend.to_host(best), backend.to_host(values)

    top_lists(backend, neighbours, themselves, lambda _start, _stop: n_top - 1, themselves, store)
    ids[nowhere[queries], 1:], scores[nowhere[queries], 1:] = -1, np.nan
    return ids, scores
