"""Lists of users who each have candidates of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec._compute.csr import Csr
from fastautorec._compute.host import run_blocks
from fastautorec._compute.protocol import Backend
from fastautorec._compute.top_lists import Lists, Scorer, copying_pays, lists_among

BLOCK_USERS = 32  # share the candidates of all of them: with more, most scores would be of other users' candidates
BLOCK_CELLS = 4 << 20  # users × candidates of a block, or a single user


def own_lists(
    scorer: Scorer, backend: Backend, history: Csr, n_top: int, known: bool, candidates: Csr, on_device: bool
) -> Lists:
    """Return ids and scores (q, n_top) of the best of each user's own candidates.

    Some users at a time are scored for the candidates of all of them, and those of others are left out of a list like
    items that must not be listed. ``candidates`` are on the host; the other parameters are those of `lists_of`.
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
        unwanted = _all_but(wanted, None if known else rows.rebased(), union if copied else np.arange(n))
        some, items = (scorer.take(backend.to_device(union)), union) if copied else (scorer, None)
        best = lists_among(some, items, alone, backend.put(rows), n_top, unwanted, on_device)
        ids[first:last], scores[first:last] = best

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
    """Return for each user all places among ``items``, except those of wanted items that are not in the history."""
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
