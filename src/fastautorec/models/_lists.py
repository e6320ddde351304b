"""What a fitted model answers: lists of the best items, all scores, items that are alike."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from fastautorec._compute.csr import Csr, LazyRows
from fastautorec._compute.protocol import Backend, FloatArray, IdArray
from fastautorec._compute.top_lists import (
    DotScorer,
    Knowing,
    Lists,
    MaskedScorer,
    Scorer,
    copying_pays,
    popularity_scorer,
    strangers,
    top_lists,
)


class Fitted(Knowing, Protocol):
    """What is asked of a fitted model."""

    def _scorer(self) -> Scorer: ...
    def _item_vectors(self) -> FloatArray: ...


def best_items(
    model: Fitted,
    backend: Backend,
    history: Csr,
    n_top: int,
    known: bool,
    allowed: npt.NDArray[np.bool_] | None,
    on_device: bool,
) -> Lists:
    """Return ids and scores (q, n_top) as ``recommend`` does.

    Parameters
    ----------
    model : Fitted
    backend : Backend
        That of the model, active.
    history : Csr (q, n)
        On the host, or on the device.
    n_top : int
    known : bool
        Whether items of the history may be listed.
    allowed : bool (n,) or None
        Whether an item may be listed.
    on_device : bool
        Whether the result shall stay there.
    """
    ids, scores = _lists(model._scorer(), backend, history, n_top, known, allowed, on_device)
    best = backend.to_host(scores[:, 0]) if on_device else scores[:, 0]
    rows = strangers(model, history, np.flatnonzero(best == 0))
    if len(rows):
        theirs, places = history.take_rows(rows), backend.to_device(rows) if on_device else rows
        popular = popularity_scorer(model, backend)
        ids[places], scores[places] = _lists(popular, backend, theirs, n_top, known, allowed, on_device)
    return ids, scores


def all_scores(model: Fitted, backend: Backend, history: Csr, items: IdArray | None) -> FloatArray:
    """Return the scores (q, n) of all items, or of some, where the backend has its arrays."""

    def scores_of(scorer: Scorer, rows: Csr) -> FloatArray:
        if items is not None:
            scorer = scorer.take(backend.to_device(items))
        scores = backend.empty(rows.shape[0], scorer.n_items)
        there, everyone = backend.put(rows).rows(0, rows.shape[0]), slice(0, rows.shape[0])
        scorer.score(backend, scorer.prepare(backend, there), everyone, slice(0, scorer.n_items), scores)
        return scores

    scores = scores_of(model._scorer(), history)
    rows = strangers(model, history, np.flatnonzero(backend.to_host((scores == 0).all(axis=1))))
    if len(rows):
        scores[backend.to_device(rows)] = scores_of(popularity_scorer(model, backend), history.take_rows(rows))
    return scores


def alike(model: Fitted, backend: Backend, queries: IdArray, n_top: int) -> Lists:
    """Return ids and cosines (q, n_top) of the items nearest to each query, the query itself first.

    A vector of zeros has no direction: such an item is nobody's neighbour and has none.
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


def _lists(
    scorer: Scorer,
    backend: Backend,
    history: Csr,
    n_top: int,
    known: bool,
    allowed: npt.NDArray[np.bool_] | None,
    on_device: bool,
) -> Lists:
    """Return the best items by one scorer; see `best_items`."""
    there = backend.put(history)
    exclude: Csr | LazyRows | None = None if known else there
    chosen = None
    if allowed is not None:
        candidates = np.flatnonzero(allowed).astype(np.int32)
        if copying_pays(len(candidates), history.shape[0], history.n_cols):
            chosen = backend.to_device(candidates)
            scorer = scorer.take(chosen)
            exclude = None if known else _columns(history.to_host(), candidates)
        else:
            scorer = MaskedScorer(scorer, np.flatnonzero(~allowed))
    shape, memory = (history.shape[0], n_top), backend if on_device else backend.host
    ids, scores = memory.new(shape, np.int32), memory.new(shape, np.float32)

    def store(start: int, stop: int, best: IdArray, values: FloatArray) -> None:
        named = best if chosen is None else np.where(best < 0, np.int32(-1), chosen[best])
        ids[start:stop] = named if on_device else backend.to_host(named)
        scores[start:stop] = values if on_device else backend.to_host(values)

    top_lists(backend, scorer, there, lambda _start, _stop: n_top, exclude, store)
    return ids, scores


def _columns(matrix: Csr, items: IdArray) -> LazyRows:
    shape = matrix.shape[0], len(items)
    return LazyRows(shape, lambda start, stop: matrix.rows(start, stop).columns(items), matrix.indptr)
