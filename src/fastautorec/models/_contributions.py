"""Scores taken apart: what each item of a history adds, exactly where scores are linear, by leaving it out elsewhere.

Histories are padded to the length of the longest one of a block, and all users of the block are multiplied at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from fastautorec._compute.csr import BLOCK_ENTRIES, Csr, row_blocks
from fastautorec._compute.protocol import Backend, FloatArray, IdArray
from fastautorec._compute.top_lists import DotScorer
from fastautorec._training.closed_form import Encoder

RealArray = npt.NDArray[np.float64]
Parts = tuple[RealArray, RealArray, RealArray]

BLOCK_BYTES = 8 << 20  # bytes of the arrays for a block of users; a single user may need more
ACTIVATE: dict[str, Any] = {"relu": lambda z: np.maximum(z, 0), "tanh": np.tanh, "sigmoid": expit}


class Contributions(Protocol):
    """What takes the scores of a model apart."""

    additive: bool
    width: int

    def of(self, backend: Backend, rows: Csr, items: IdArray) -> Parts:
        """Return contributions (B, L, I) to the scores of ``items`` (B, I), base (B, I) and scores (B, I).

        ``rows`` is on the host. Row l of the contributions of a user is that of the l-th item of the history; rows
        behind its end mean nothing.
        """


class EncoderParts:
    """Parts of H₁ D₁ᵀ: of the sum over items inside an encoder."""

    def __init__(self, encoder: Encoder, decoder: FloatArray) -> None:
        self._encoder, self._decoder = encoder, decoder
        self.additive, self.width = encoder.activation == "identity", encoder.width

    def of(self, backend: Backend, rows: Csr, items: IdArray) -> Parts:
        encoder, k = self._encoder, self._encoder.weight.shape[1]
        lengths = rows.row_lengths()
        own = padded(taken(backend, encoder.weight, rows.indices), lengths)
        bias = 0.0 if encoder.bias is None else backend.to_host(encoder.bias).astype(np.float64)
        decoder = taken(backend, self._decoder, items.ravel()).reshape(*items.shape, -1)
        heads, intercepts = decoder[:, :, :k], decoder[:, :, k:]

        def scale(lengths: npt.NDArray[np.int64]) -> RealArray:
            return inverse_root(lengths)[:, None] if encoder.normalize else np.ones((len(lengths), 1))

        def share(lengths: npt.NDArray[np.int64]) -> RealArray:
            """Return what the intercepts of the items are multiplied by, (B, 1) or (B, 0)."""
            if encoder.intercept is None:
                return np.zeros((len(lengths), 0))
            return (inverse_root(lengths) if encoder.intercept == "history" else np.ones(len(lengths)))[:, None]

        offsets = times(share(lengths)[:, None], intercepts)[:, 0]
        if self.additive:
            own *= scale(lengths)[:, None]
            each = times(own, heads)
            base = times(np.broadcast_to(bias, (len(rows.indptr) - 1, 1, k)), heads)[:, 0] + offsets
            return each, base, base + each.sum(axis=1)
        act, total = ACTIVATE[encoder.activation], own.sum(axis=1)
        whole = act(total * scale(lengths) + bias)
        without = act((total[:, None] - own) * scale(lengths - 1)[:, None] + bias)
        fewer = times((share(lengths) - share(lengths - 1))[:, None], intercepts)
        nothing = np.broadcast_to(act(np.zeros(k) + bias), (len(whole), 1, k))
        base = times(nothing, heads)[:, 0] + times(share(lengths * 0)[:, None], intercepts)[:, 0]
        return times(whole[:, None] - without, heads) + fewer, base, times(whole[:, None], heads)[:, 0] + offsets


class ItemItemParts:
    """Parts of x B for a dense matrix B (n, n): its entries."""

    additive, width = True, 1

    def __init__(self, weights: FloatArray) -> None:
        self._weights = weights

    def of(self, backend: Backend, rows: Csr, items: IdArray) -> Parts:
        lengths, n = rows.row_lengths(), self._weights.shape[1]
        pairs = rows.indices.astype(np.int64)[:, None] * n + np.repeat(items, lengths, axis=0)
        values = taken(backend, self._weights.reshape(-1), pairs.ravel()).reshape(pairs.shape)
        each = padded(values, lengths)
        return each, np.zeros(items.shape), each.sum(axis=1)


class LeaveOneOut:
    """What scores of any hidden units H Dᵀ lose without an item: the history is encoded anew for each of its items."""

    additive = False

    def __init__(self, scorer: DotScorer) -> None:
        self._scorer, self.width = scorer, int(scorer.decoder.shape[1])

    def of(self, backend: Backend, rows: Csr, items: IdArray) -> Parts:
        lengths = rows.row_lengths()
        own = rows.rebased()
        shorter = np.concatenate(([0], np.cumsum(np.repeat(lengths - 1, lengths))))
        without = np.empty((own.nnz, self.width))
        for start, stop in row_blocks(shorter, BLOCK_ENTRIES):
            without[start:stop] = self._hidden(backend, without_each(own, np.arange(start, stop)))
        decoder = taken(backend, self._scorer.decoder, items.ravel()).reshape(*items.shape, -1)
        whole = self._hidden(backend, own)[:, None]
        empty = Csr(np.zeros_like(own.indptr), own.indices[:0], None, own.n_cols, own.user_numbers())
        each = times(whole - padded(without, lengths), decoder)
        return each, times(self._hidden(backend, empty)[:, None], decoder)[:, 0], times(whole, decoder)[:, 0]

    def _hidden(self, backend: Backend, rows: Csr) -> RealArray:
        there = backend.put(rows).rows(0, rows.shape[0])
        return backend.to_host(self._scorer.prepare(backend, there)).astype(np.float64)


def without_each(rows: Csr, entries: npt.NDArray[np.int64]) -> Csr:
    """Return, for each of some entries, the row that holds it, with the entry left out; storage starts at 0."""
    lengths = rows.row_lengths()
    whose = np.repeat(np.arange(len(lengths)), lengths)[entries]
    left = lengths[whose] - 1
    indptr = np.concatenate(([0], np.cumsum(left)))
    positions = np.repeat(rows.indptr[whose] - indptr[:-1], left) + np.arange(indptr[-1])
    positions += positions >= np.repeat(entries, left)
    values = None if rows.data is None else rows.data[positions]
    return Csr(indptr, rows.indices[positions], values, rows.n_cols, rows.user_numbers()[whose])


def blocks_of_users(
    lengths: npt.NDArray[np.int64], users: npt.NDArray[np.int64], width: int, n_asked: int
) -> Iterator[npt.NDArray[np.int64]]:
    """Yield the users that are taken apart together: of similar length, and as many as a block has room for."""
    order = users[np.argsort(-lengths[users], kind="stable")]
    start = 0
    while start < len(order):
        longest = int(lengths[order[start]]) + 1
        each = 8 * (3 * longest * (width + n_asked) + n_asked * width)
        stop = start + max(1, BLOCK_BYTES // each)
        yield np.sort(order[start:stop])
        start = stop


def taken(backend: Backend, array: FloatArray, places: npt.NDArray[Any]) -> RealArray:
    """Return rows of an array of the backend, in double precision on the host."""
    there = array[backend.to_device(places)]
    return backend.to_host(there).astype(np.float64)


def padded(entries: RealArray, lengths: npt.NDArray[np.int64]) -> RealArray:
    """Return entries (nnz, k) by user and place, (B, L, k), with zeros behind the end of a user's."""
    filled = np.arange(int(lengths.max(initial=0))) < lengths[:, None]
    if filled.all():
        return entries.reshape(*filled.shape, entries.shape[1])
    places = np.zeros((*filled.shape, entries.shape[1]))
    places[filled] = entries
    return places


def times(parts: RealArray, decoder: RealArray) -> RealArray:
    """Return parts (B, L, k) times the items' vectors (B, I, k), as (B, L, I)."""
    product: RealArray = parts @ decoder.transpose(0, 2, 1)
    return product


def inverse_root(lengths: npt.NDArray[np.int64]) -> RealArray:
    """Return lengths^(−½), where an empty history counts as one of length 1."""
    return 1 / np.sqrt(np.maximum(lengths, 1))
