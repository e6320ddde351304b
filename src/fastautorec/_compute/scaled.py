"""Scores times a factor for each item: what another popularity discount makes of a fitted model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec._compute.csr import Csr, LazyRows
from fastautorec._compute.protocol import Backend, FloatArray, IdArray
from fastautorec._compute.top_lists import Scorer


class ScaledScorer:
    """Scores of another scorer times one of several rows of factors for the items.

    Scores are scaled tile by tile, in the cache that they were just written to. Scaling the items' vectors in their
    place would copy all of them for each request.

    With G rows of factors a history is scored under each of them: row r of the lists belongs to row r // G of the
    histories and to the factors r mod G, which `repeated` prepares. The histories are multiplied once.
    """

    def __init__(self, scorer: Scorer, factors: npt.NDArray[Any]) -> None:
        """Take the factors (G, n), where the backend has its arrays."""
        self._scorer, self._factors = scorer, factors

    @property
    def n_items(self) -> int:
        return self._scorer.n_items

    def take(self, items: IdArray) -> ScaledScorer:
        return ScaledScorer(self._scorer.take(items), self._factors[:, items])

    def prepare(self, backend: Backend, history: Csr) -> tuple[int, Any]:
        """Return which of the repeated rows is the first, and what scoring the histories behind them needs."""
        copies = len(self._factors)
        if copies == 1:
            return 0, self._scorer.prepare(backend, history)
        first, n_rows = int(history.user_numbers()[0]), history.shape[0]
        whose = np.arange(first, first + n_rows) // copies
        each = np.flatnonzero(np.diff(whose, prepend=-1))
        return first, self._scorer.prepare(backend, history.take_rows(each))

    def score(self, backend: Backend, prepared: tuple[int, Any], users: slice, items: slice, out: FloatArray) -> None:
        first, behind = prepared
        copies = len(self._factors)
        if copies == 1:
            self._scorer.score(backend, behind, users, items, out)
            out *= self._factors[0, items]
            return
        start, stop = first + users.start, first + users.stop
        begin, end = start // copies, -(-stop // copies)
        plain = backend.empty(end - begin, items.stop - items.start)
        before = first // copies
        self._scorer.score(backend, behind, slice(begin - before, end - before), items, plain)
        for copy, (places, rows) in enumerate(_rows_of_copies(start, stop, copies)):
            np.multiply(plain[rows], self._factors[copy, items], out=out[places], casting="same_kind")


def _rows_of_copies(start: int, stop: int, copies: int) -> Iterator[tuple[slice, slice]]:
    """Yield for each copy its places among rows start..stop, and the rows behind them, from the first one's on."""
    begin = start // copies
    for copy in range(copies):
        first = start + (copy - start) % copies
        count = len(range(first, stop, copies))
        behind = first // copies - begin
        yield slice(first - start, None, copies) if count else slice(0, 0), slice(behind, behind + count)


def repeated(matrix: Csr, rows: npt.NDArray[np.int64], copies: int) -> LazyRows:
    """Return rows of a matrix on the host, each so many times in a row, numbered from 0; one copy keeps its numbers."""
    if copies == 1:
        return LazyRows.picked(matrix, rows)
    lengths = np.repeat(matrix.row_lengths()[rows], copies)

    def some(start: int, stop: int) -> Csr:
        numbers = np.arange(start, stop)
        return replace(matrix.take_rows(rows[numbers // copies]), users=numbers)

    return LazyRows((len(lengths), matrix.n_cols), some, np.concatenate(([0], np.cumsum(lengths))))
