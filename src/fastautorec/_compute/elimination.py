"""Inverses of symmetric matrices with many zeros: rows with few entries are eliminated by sparse products.

What is left is inverted as a dense matrix, which takes time by the cube of its size. Which rows go first follows from
where the zeros are, so matrices that differ in their diagonals alone share one plan.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.linalg import LinAlgError

from fastautorec._compute.csr import Csr
from fastautorec._compute.host import run_blocks
from fastautorec._compute.protocol import Backend
from fastautorec._compute.symmetric import Floats, invert_spd

SPARSE_SHARE = 24  # a row goes if it has at most this part of what remains; of 6 to 32 the fastest for 5,460 rows
LEAST_SHARE = 48  # and a level of rows is worth its overhead if it is at least this part
BLOCK_ROWS = 256
WORTH = 1000  # operations of the dense inverse that are saved, for each entry: what the plan and the orders cost
LOOKED_AT = 3  # times as many columns as a row may have entries tell most rows that have too many
GATHERED_ROWS = 32  # they stay in the cache

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Level:
    """Rows of which no two have a common entry, in the order of the plan.

    Attributes
    ----------
    start, stop : int
        Their range. All rows after it are gone by then.
    indptr : int64 (stop - start + 1,)
    indices : int32
        Columns below ``start`` of the entries of each row.
    """

    start: int
    stop: int
    indptr: Ids
    indices: npt.NDArray[np.int32]


@dataclass(frozen=True)
class Elimination:
    """A plan: an order of the rows, and the levels that are eliminated before the rest, from the end of that order.

    References
    ----------
    George and Liu (1989), "The evolution of the minimum degree ordering algorithm".
    """

    order: Ids
    levels: list[Level]

    def ordered(self, matrix: Floats, num_threads: int) -> Floats:
        """Return a symmetric matrix (n, n) in the order of the plan."""
        return _gathered(matrix, self.order, None, num_threads)

    def restored(self, matrix: Floats, scale: Floats, num_threads: int) -> Floats:
        """Return a matrix in the order of the plan with its columns multiplied by ``scale`` (n,), in its own order."""
        places = np.empty_like(self.order)
        places[self.order] = np.arange(len(places))
        return _gathered(matrix, places, scale[places], num_threads)

    def invert(self, host: Backend, matrix: Floats, num_threads: int) -> Floats:
        """Replace a positive definite float32 matrix in the order of the plan by its inverse.

        Raises
        ------
        numpy.linalg.LinAlgError
            If it is not positive definite in float32; it holds nothing of use then.
        """
        gone = [_eliminate(matrix, level, num_threads) for level in self.levels]
        kept = self.levels[-1].start
        invert_spd(matrix[:kept, :kept], num_threads)
        for level, (ratios, pivots) in zip(reversed(self.levels), reversed(gone), strict=True):
            _extend(matrix, level, ratios, pivots, host)
        return matrix


def plan_elimination(matrix: Floats) -> Elimination | None:
    """Return the plan for a symmetric matrix (n, n), or None where too few rows have few entries."""
    n = len(matrix)
    most = n // SPARSE_SHARE
    seem_short = np.flatnonzero(np.count_nonzero(matrix[:, : LOOKED_AT * most], axis=1) <= most)
    found_in = [(matrix[i] != 0).nonzero()[0] for i in seem_short]
    ids = seem_short[[len(own) <= most for own in found_in]]
    if not _worth(n, len(ids)):
        return None
    entries = [own for own in found_in if len(own) <= most]
    starts = np.concatenate(([0], np.cumsum([len(own) for own in entries], dtype=np.int64)))
    columns = np.concatenate([*entries, np.empty(0, np.int64)])
    rows = sparse.csr_matrix((np.ones(len(columns), np.float32), columns, starts), shape=(len(ids), n))
    rows = _without(rows, ids, np.zeros(n, bool))
    found: list[tuple[Ids, sparse.csr_matrix]] = []
    gone = np.zeros(n, bool)
    while True:
        remaining = n - np.count_nonzero(gone)
        few = np.diff(rows.indptr) <= remaining // SPARSE_SHARE
        ids, rows = ids[few], rows[few]
        picked = _independent(rows, ids, n)
        if np.count_nonzero(picked) * LEAST_SHARE < max(remaining, 1):
            break
        own, taken = ids[picked], rows[picked]
        found.append((own, taken))
        gone[own] = True
        ids, rows = ids[~picked], rows[~picked]
        rows = _without(rows + rows[:, own] @ taken, ids, gone)  # what two neighbours of a row have is filled in
    if not _worth(n, int(np.count_nonzero(gone))):
        return None
    order = np.concatenate([np.flatnonzero(~gone), *(own for own, _ in reversed(found))])
    places = np.empty(n, np.int32)
    places[order] = np.arange(n)
    levels, stop = [], n
    for own, taken in found:
        moved = sparse.csr_matrix((taken.data, places[taken.indices], taken.indptr), shape=taken.shape)
        moved.sort_indices()
        levels.append(Level(stop - len(own), stop, moved.indptr.astype(np.int64), moved.indices.astype(np.int32)))
        stop -= len(own)
    return Elimination(order, levels)


def _worth(n: int, gone: int) -> bool:
    """Return whether a plan pays off that eliminates so many of n rows."""
    return n**3 - (n - gone) ** 3 > WORTH * n**2


def _without(rows: sparse.csr_matrix, ids: Ids, gone: npt.NDArray[np.bool_]) -> sparse.csr_matrix:
    """Return which entries rows have, without their diagonal and columns that are gone."""
    own = np.repeat(ids, np.diff(rows.indptr))
    rows.data = ((rows.indices != own) & ~gone[rows.indices]).astype(np.float32)
    rows.eliminate_zeros()
    return rows


def _independent(rows: sparse.csr_matrix, ids: Ids, n: int) -> npt.NDArray[np.bool_]:
    """Return which rows are taken, the shortest first, so that none has an entry in the column of another."""
    picked, blocked = np.zeros(len(ids), bool), np.zeros(n, bool)
    for row in np.argsort(np.diff(rows.indptr), kind="stable"):
        if not blocked[ids[row]]:
            picked[row] = True
            blocked[rows.indices[rows.indptr[row] : rows.indptr[row + 1]]] = True
    return picked


def _eliminate(matrix: Floats, level: Level, num_threads: int) -> tuple[Csr, Floats]:
    """Subtract from the lower triangle above what its rows explain; return them over their pivots, and the pivots."""
    start, stop = level.start, level.stop
    pivots = matrix.diagonal()[start:stop].copy()
    if not (pivots > 0).all():
        raise LinAlgError("the matrix is not positive definite")
    row_of = np.repeat(np.arange(stop - start), np.diff(level.indptr))
    entries = matrix[start + row_of, level.indices]
    ratios = sparse.csr_matrix((entries / pivots[row_of], level.indices, level.indptr), shape=(stop - start, start))
    columns = sparse.csr_matrix((entries, level.indices, level.indptr), shape=ratios.shape).T.tocsr()

    def subtract(first: int, last: int) -> None:
        product = (columns[first:last] @ ratios).tocoo()
        lower = product.col <= product.row + first
        matrix[product.row[lower] + first, product.col[lower]] -= product.data[lower]

    run_blocks(subtract, start, BLOCK_ROWS, num_threads)
    return Csr(level.indptr, level.indices, ratios.data, start), pivots


def _extend(matrix: Floats, level: Level, ratios: Csr, pivots: Floats, host: Backend) -> None:
    """Make the inverse of the rows before a level that of its rows too: P₂₁ = −A₂₂⁻¹A₂₁P₁₁, P₂₂ = A₂₂⁻¹(1 − A₂₁P₁₂)."""
    start, stop = level.start, level.stop
    assert ratios.data is not None
    ratios = replace(ratios, data=-ratios.data)
    below, beside = matrix[start:stop, :start], matrix[:start, start:stop]
    host.encode(ratios, matrix[:start, :start], out=below)

    def mirror(first: int, last: int) -> None:
        beside[first:last] = below[:, first:last].T

    run_blocks(mirror, start, BLOCK_ROWS, host.num_threads)
    corner = matrix[start:stop, start:stop]
    host.encode(ratios, beside, out=corner)
    np.einsum("jj->j", corner)[...] += 1 / pivots


def _gathered(matrix: Floats, ids: Ids, scale: Floats | None, num_threads: int) -> Floats:
    """Return the rows and columns ``ids`` of a matrix, its columns multiplied by ``scale``."""
    out = np.empty_like(matrix)

    def gather(start: int, stop: int) -> None:
        rows = out[start:stop]
        np.take(matrix[ids[start:stop]], ids, axis=1, out=rows, mode="clip")  # another mode would make a copy first
        if scale is not None:
            rows *= scale

    run_blocks(gather, len(out), GATHERED_ROWS, num_threads)
    return out
