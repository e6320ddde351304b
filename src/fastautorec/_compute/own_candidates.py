"""Lists of users who each have candidates of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec._compute.csr import Csr
from fastautorec._compute.host import run_blocks
from fastautorec._compute.protocol import Backend, FloatArray, IdArray
from fastautorec._compute.top_lists import Lists, Scorer, copying_pays, top_lists

BLOCK_USERS = 32  # share the candidates of all of them: with more, most scores would be of other users' candidates
BLOCK_CELLS = 4 << 20  # users × candidates of a block, or a single user


def own_lists(
    scorer: Scorer, backend: Backend, history: Csr, n_top: int, known: bool, candidates: Csr, on_device: bool
) -> Lists:
    """Return ids and scores (q, n_top) of the best of each user's own candidates.

    Some users at a time are scored for the candidates of all of them, and those of others are left out of a list like
    items that must not be listed.

    Parameters
    ----------
    scorer : Scorer
    backend : Backend
        Active.
    history : Csr (q, n)
        On the host, or on the device.
    n_top : int
    known : bool
        Whether items of the history may be listed.
    candidates : Csr (q, n)
        On the host.
    on_device : bool
        Whether the result stays there.
    """
    q, n = candidates.shape
    memory = backend if on_device else backend.host
    ids, scores = memory.new((q, n_top), np.int32), memory.new((q, n_top), np.float32)
    own = history.to_host()
    blocks = _blocks(candidates)
    alone = backend if len(blocks) == 1 else backend.with_threads(1)

    def select(number: int, _: int) -> None:
        first, last = blocks[number]
        rows, wanted = own.rows(first, last), candidates.rows(first, last).rebased()
        union = np.unique(wanted.indices)
        if not len(union):
            ids[first:last], scores[first:last] = -1, np.nan
            return
        copied = copying_pays(len(union), last - first, n)
        chosen = backend.to_device(union) if copied else None
        unwanted = _all_but(wanted, None if known else rows.rebased(), union if copied else np.arange(n))

        def store(start: int, stop: int, best: IdArray, values: FloatArray) -> None:
            named = best if chosen is None else np.where(best < 0, np.int32(-1), chosen[best])
            places = slice(first + start, first + stop)
            ids[places] = named if on_device else backend.to_host(named)
            scores[places] = values if on_device else backend.to_host(values)

        some = scorer if chosen is None else scorer.take(chosen)
        top_lists(alone, some, backend.put(rows), lambda _start, _stop: n_top, unwanted, store)

    run_blocks(select, len(blocks), 1, backend.num_threads)
    return ids, scores


def _blocks(candidates: Csr) -> list[tuple[int, int]]:
    """Return where blocks of users begin and end; the same for any number of threads."""
    q, n = candidates.shape
    most = np.minimum(candidates.row_lengths(), n)
    blocks, first = [], 0
    while first < q:
        widths = np.minimum(np.cumsum(most[first : first + BLOCK_USERS]), n)
        cells = widths * np.arange(1, len(widths) + 1)
        last = first + max(int(np.searchsorted(cells, BLOCK_CELLS, side="right")), 1)
        blocks.append((first, last))
        first = last
    return blocks


def _all_but(wanted: Csr, history: Csr | None, items: npt.NDArray[Any]) -> Csr:
    """Return for each user all places among ``items``, but for those of wanted items that the history has not."""
    listed = np.zeros((wanted.shape[0], len(items)), bool)
    for matrix, value in ((wanted, True), (history, False)):
        if matrix is not None:
            places = np.searchsorted(items, matrix.indices)
            there = items.take(places, mode="clip") == matrix.indices
            users = np.repeat(np.arange(len(listed)), matrix.row_lengths())
            listed[users[there], places[there]] = value
    unwanted = np.flatnonzero(~listed)
    indptr = np.concatenate(([0], np.cumsum((~listed).sum(axis=1))))
    return Csr(indptr, (unwanted % len(items)).astype(np.int32), None, len(items))
