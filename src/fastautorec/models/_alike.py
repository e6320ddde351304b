"""Items that are alike, and users that are: by the cosine of their vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fastautorec._compute.csr import Csr
from fastautorec._compute.item_index import Directions
from fastautorec._compute.own_candidates import own_lists
from fastautorec._compute.protocol import Backend, FloatArray, IdArray
from fastautorec._compute.top_lists import DotScorer, Lists, MaskedScorer, Scorer, joined, top_lists
from fastautorec.models._candidates import without

if TYPE_CHECKING:
    from fastautorec.models._answers import Answering

BLOCK_BYTES = 64 << 20  # of the vectors of users among whom one looks at the same time


def alike(
    model: Answering,
    backend: Backend,
    queries: IdArray,
    n_top: int,
    allowed: npt.NDArray[np.bool_] | None,
    own: Csr | None = None,
) -> Lists:
    """Return ids and cosines (q, n_top) of the allowed items nearest to each query, the query itself first.

    ``own`` has the candidates of each query. A vector of zeros has no direction: such an item is no neighbour of any
    and has none.
    """
    vectors, indexes = model._item_vectors(), model._indexes
    if backend.scans_codes and indexes is not None:
        unit, nowhere, index = indexes.directions(vectors, lambda: directions(backend, vectors))
    else:
        unit, nowhere, index = directions(backend, vectors)
    neighbours: Scorer = DotScorer(lambda on, rows: on.encode(rows, unit), unit, index)
    themselves = Csr(np.arange(len(queries) + 1), queries, None, len(nowhere))
    if own is not None:
        itself = has_itself(own, queries)
        ids, scores = own_lists(neighbours, backend, themselves, n_top, False, without(own, nowhere), False)
    else:
        itself = np.ones(len(queries), bool) if allowed is None else allowed[queries]
        masked = nowhere if allowed is None else nowhere | ~allowed
        if masked.any():
            neighbours = MaskedScorer(neighbours, np.flatnonzero(masked))
        themselves = backend.put(themselves)
        ids, scores = _lists(backend, neighbours, themselves, n_top, themselves)
    ids[nowhere[queries]], scores[nowhere[queries]] = -1, np.nan
    ids[itself, 1:], scores[itself, 1:] = ids[itself, :-1], scores[itself, :-1]
    ids[itself, 0], scores[itself, 0] = queries[itself], 1
    return ids, scores


def has_itself(own: Csr, queries: IdArray) -> npt.NDArray[np.bool_]:
    """Return whether each query is among its own candidates."""
    own = own.rebased()
    whose = np.repeat(np.arange(len(queries)), own.row_lengths())
    itself = np.zeros(len(queries), bool)
    itself[whose[own.indices == queries[whose]]] = True
    return itself


def alike_users(model: Answering, backend: Backend, history: Csr, data: Csr, n_top: int) -> Lists:
    """Return rows of ``data`` and cosines (q, n_top) of the users nearest to each history.

    A history without items, or with a vector of zeros, is no neighbour of any and has none.
    """
    q, m = history.shape[0], data.shape[0]
    rows, scores = np.full((q, n_top), -1, np.int32), np.full((q, n_top), np.nan, np.float32)
    there = backend.put(history)

    def vectors(on: Backend, some: Csr) -> FloatArray:
        return directions(on, model._user_vectors(on, some))[0]

    width = model._user_vectors(backend, backend.put(data.rows(0, min(m, 1))).rows(0, min(m, 1))).shape[1]
    each = max(1, BLOCK_BYTES // (4 * max(width, 1)))
    for start in range(0, m, each):
        some = data.rows(start, min(start + each, m))
        unit, nowhere, _ = directions(backend, model._user_vectors(backend, backend.put(some).rows(0, some.shape[0])))
        nowhere |= some.row_lengths() == 0
        among: Scorer = DotScorer(vectors, unit)
        if nowhere.any():
            among = MaskedScorer(among, np.flatnonzero(nowhere))
        own, values = _lists(backend, among, there, min(n_top, len(nowhere)), None)
        own[own >= 0] += start
        rows, scores = joined(backend.host, [(rows, scores), (own, values)], n_top)
    silent = (history.row_lengths() == 0) | (scores[:, 0] == 0)  # a vector of zeros has the cosine 0 with all others
    rows[silent], scores[silent] = -1, np.nan
    return rows, scores


def directions(backend: Backend, vectors: FloatArray) -> Directions:
    """Return vectors of length 1; which ones are zero is told on the host."""
    norms = np.sqrt((vectors * vectors).sum(axis=1, keepdims=True))
    return Directions(vectors / np.where(norms > 0, norms, np.float32(1)), backend.to_host(norms)[:, 0] == 0)


def _lists(backend: Backend, scorer: Scorer, history: Csr, n_top: int, exclude: Csr | None) -> Lists:
    """Return lists by a scorer on the host."""
    ids, scores = np.empty((history.shape[0], n_top), np.int32), np.empty((history.shape[0], n_top), np.float32)

    def store(start: int, stop: int, best: IdArray, values: FloatArray) -> None:
        ids[start:stop], scores[start:stop] = backend.to_host(best), backend.to_host(values)

    top_lists(backend, scorer, history, lambda _start, _stop: n_top, exclude, store)
    return ids, scores
