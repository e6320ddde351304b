"""The full-rank linear autoencoder: one inverse of the cheaper side, users or items, for a penalty.

    s_i = (1 + κ pop_i / p̄)^(−½), F = D^(−a) R diag(s), T = D^(−t) R, A = D^(−½) R diag(s) / σ₁, C = I + c AᵀA
    W   = diag(s) C Fᵀ (λI + F C Fᵀ)⁻¹ T = diag(s) (λC⁻¹ + FᵀF)⁻¹ Fᵀ T

D: interactions of each user; p̄: popularity of the mean interaction; σ₁: the largest singular value of what it divides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from fastautorec._compute.host import matmul, run_blocks
from fastautorec._compute.protocol import FloatArray
from fastautorec._compute.symmetric import invert_spd, sparse_product

BLOCK_ROWS = 256  # of scores in one piece of work
DENSE = 0.1  # share of stored entries from which on a product takes the dense matrix
NORM_STEPS = 50  # of the power iteration for σ₁


@dataclass(frozen=True)
class Shape:
    """What the system is made with, but for λ.

    Attributes
    ----------
    denoising : float
        κ.
    prior : float
        c.
    input_weight, target_weight : float
        a and t.
    """

    denoising: float
    prior: float
    input_weight: float
    target_weight: float


class Parts:
    """What the system of a `Shape` is made of.

    Attributes
    ----------
    scale : float32 (n,)
        s.
    rows, inputs : float32 sparse (m, n), (n, m)
        F and Fᵀ.
    target : float32 sparse (m, n)
        T.
    joined : float32 sparse (n, m)
        Aᵀ.
    prior : float
        c.
    mean_square : float
        The mean squared length of the users' rows of F: λ = ρ times that.
    """

    def __init__(self, matrix: sparse.csr_matrix, shape: Shape) -> None:
        """Take binary interactions (m, n), float32."""
        counts = np.bincount(matrix.indices, minlength=matrix.shape[1]).astype(np.float64)
        total = max(counts.sum(), 1.0)
        scale = (1 + shape.denoising * counts * total / max(counts @ counts, 1.0)) ** -0.5
        self.scale = scale.astype(np.float32)
        scaled = matrix @ sparse.diags(self.scale)
        self.target = weighted(matrix, shape.target_weight)
        self.rows = weighted(scaled, shape.input_weight)
        self.inputs = self.rows.T.tocsr()
        square = float(np.square(self.rows.data, dtype=np.float64).sum()) / max(
            int(np.count_nonzero(np.diff(matrix.indptr))), 1
        )
        self.mean_square = square if square > 0 else 1.0
        joined = weighted(scaled, 0.5)
        self.joined = (joined * np.float32(1 / largest_singular_value(joined))).T.tocsr()
        self.prior = shape.prior


class FullRank:
    """The system of one `Shape`; `solve` gives its solution for a penalty."""

    def __init__(
        self, matrix: sparse.csr_matrix, shape: Shape, zero_diagonal: bool, num_threads: int, keep: bool
    ) -> None:
        """Take binary interactions (m, n), float32; ``keep`` says that several penalties will be asked for."""
        self._threads, self._keep = num_threads, keep
        self.parts = parts = Parts(matrix, shape)
        self.by_items = zero_diagonal or by_items(*matrix.shape)
        side = matrix.shape[1] if self.by_items else matrix.shape[0]
        self.system = np.empty((side, side), np.float32)
        self.other: FloatArray | None = None
        if self.by_items:
            self._prepare_items(parts.rows)
        else:
            self._prepare_users(parts.rows)
        self.overlap = (parts.target.T.tocsr() @ parts.rows).tocsr() if zero_diagonal else None  # TᵀF

    def _prepare_items(self, inputs: sparse.csr_matrix) -> None:
        """Make FᵀF and C⁻¹."""
        sparse_product(self.parts.inputs, inputs, self.system, self._threads)
        if not self.parts.prior:
            return
        other = sparse_product(
            self.parts.joined, self.parts.joined.T.tocsr(), np.empty_like(self.system), self._threads
        )
        other *= np.float32(self.parts.prior)
        np.einsum("jj->j", other)[...] += 1
        try:
            self.other = invert_spd(other, self._threads)
        except np.linalg.LinAlgError as error:
            raise ValueError(
                f"`prior`={self.parts.prior:g} leaves the prior covariance singular; take a smaller one, for example 30"
            ) from error

    def _prepare_users(self, inputs: sparse.csr_matrix) -> None:
        """Make the lower triangle of F C Fᵀ, and F Aᵀ."""
        sparse_product(inputs, self.parts.inputs, self.system, self._threads)
        if not self.parts.prior:
            return
        other = self.other = sparse_product(inputs, self.parts.joined, np.empty_like(self.system), self._threads)

        def add(start: int, stop: int) -> None:
            product = other[start:stop] @ other[:stop].T
            product *= np.float32(self.parts.prior)
            self.system[start:stop, :stop] += product

        run_blocks(add, len(other), BLOCK_ROWS, self._threads)

    def solve(self, regularization: float) -> Solution:
        """Return the solution for λ = ``regularization`` × the mean squared length of the users' rows of F."""
        penalty = np.float32(regularization * self.parts.mean_square)
        system = self.system.copy() if self._keep else self.system
        if self.by_items and self.other is not None:
            other = self.other

            def add(start: int, stop: int) -> None:
                system[start:stop] += penalty * other[start:stop]

            run_blocks(add, len(system), BLOCK_ROWS, self._threads)
        else:
            np.einsum("jj->j", system)[...] += penalty
        try:
            inverse = invert_spd(system, self._threads)
        except np.linalg.LinAlgError as error:
            raise singular(regularization) from error
        return Solution(self, inverse, self._threads)


class Solution:
    """W of one penalty, as the product of what it is made of."""

    def __init__(self, system: FullRank, inverse: FloatArray, num_threads: int) -> None:
        self._system, self._inverse, self._threads = system, inverse, num_threads
        self._across: FloatArray | None = None
        self._ratio: FloatArray | None = None
        if not system.by_items and system.other is not None:
            across = matmul(system.other.T, inverse, np.empty_like(inverse), num_threads)  # AFᵀ(λI + FCFᵀ)⁻¹
            across *= np.float32(system.parts.prior)
            self._across = across
        if system.overlap is not None:
            self._ratio = self._diagonal() / np.einsum("jj->j", inverse)

    def _diagonal(self) -> FloatArray:
        """Return the diagonal of (λC⁻¹ + FᵀF)⁻¹ FᵀT."""
        overlap = self._system.overlap
        assert overlap is not None
        rows = np.repeat(np.arange(len(self._inverse)), np.diff(overlap.indptr))
        products = overlap.data.astype(np.float64)
        step = 1 << 22
        for start in range(0, len(products), step):
            part = slice(start, start + step)
            products[part] *= self._inverse[rows[part], overlap.indices[part]]
        return np.bincount(rows, weights=products, minlength=len(self._inverse)).astype(np.float32)

    def scores(self, rows: sparse.csr_matrix, out: FloatArray) -> FloatArray:
        """Write x W of sparse rows x (q, n) to ``out`` (q, n), with a diagonal of zeros where that is wanted."""
        system, parts = self._system, self._system.parts

        def multiply(start: int, stop: int) -> None:
            own = rows[start:stop].multiply(parts.scale).tocsr()
            if system.by_items:
                left = times(own, self._inverse)
                hidden = left @ parts.inputs
            else:
                hidden = times(own @ parts.inputs, self._inverse)
                if self._across is not None:
                    hidden += times(own @ parts.joined, self._across)
            out[start:stop] = hidden @ parts.target
            if self._ratio is not None:
                out[start:stop] -= left * self._ratio

        run_blocks(multiply, rows.shape[0], BLOCK_ROWS, self._threads)
        return out

    def weights(self, discount: FloatArray) -> FloatArray:
        """Return W diag(discount) (n, n)."""
        n = len(discount)
        weights = self.scores(sparse.identity(n, np.float32, "csr"), np.empty((n, n), np.float32))
        if self._ratio is not None:
            np.fill_diagonal(weights, 0)  # but for rounding it is that
        for start in range(0, n, BLOCK_ROWS):
            weights[start : start + BLOCK_ROWS] *= discount
        return weights


def singular(regularization: float) -> ValueError:
    """Return the error for a penalty that gives no solution."""
    return ValueError(
        f"`regularization`={regularization:g} leaves the linear system singular; use another value > 0, for example 1"
    )


def by_items(m: int, n: int) -> bool:
    """Return whether the system has a row for each item, not one for each user."""
    return n <= m


def weighted(matrix: sparse.csr_matrix, power: float) -> sparse.csr_matrix:
    """Return D^(−power) X."""
    lengths = np.diff(matrix.indptr)
    factors = np.maximum(lengths, 1).astype(np.float64) ** -power
    result = matrix.copy()
    result.data *= np.repeat(factors, lengths).astype(np.float32)
    return result


def largest_singular_value(matrix: sparse.csr_matrix) -> float:
    """Return σ₁ of a matrix without negative entries, by steps of the power iteration from a vector of ones."""
    vector, size = np.ones(matrix.shape[1]), 0.0
    for _ in range(NORM_STEPS):
        vector /= np.linalg.norm(vector)
        vector = matrix.T @ (matrix @ vector)
        size = float(np.linalg.norm(vector))
        if size == 0:
            return 1.0
    return float(np.sqrt(size))


def times(rows: sparse.csr_matrix, dense: FloatArray) -> FloatArray:
    """Return the product of sparse rows and a dense matrix, on the calling thread."""
    if rows.nnz > DENSE * rows.shape[0] * rows.shape[1]:
        product: FloatArray = rows.toarray() @ dense
    else:
        product = rows @ dense
    return product
