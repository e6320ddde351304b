"""The full-rank linear autoencoder without a dense system: its leading directions, and one step for what is left.

With the eigenvectors U (m, r) and eigenvalues θ of the r leading directions of K = F C Fᵀ, it is

    (λI + K)⁻¹ ≈ P q(P K P) P + U diag(1/(λ + θ)) Uᵀ, P = I − U Uᵀ.

Here q is linear, and comes as near to 1/(λ + θ) on [0, θ_r] as a line can. The eigenvalue of each other direction lies
in [0, θ_r], so what is put for it is off by the share 1/T₂(1 + 2λ/θ_r) at most, T₂(x) = 2x² − 1, for exact
eigenvectors; those of four passes may be off by several times as much. Nothing is cut off: what a model of rank r loses
stays, with a penalty that is nearly its own. The directions are taken out of what q is applied to: at their θ, q is far
from 1/(λ + θ), and what is left of a direction, which has not converged to the last bit, would count as often as that.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from fastautorec._compute.csr import Csr
from fastautorec._compute.host import run_blocks
from fastautorec._compute.protocol import Backend, FloatArray
from fastautorec._compute.symmetric import subtract_product
from fastautorec._training.full_rank import Parts, Shape, weighted
from fastautorec._training.subspace import OVERSAMPLING, PASSES, ROUNDING, leading_eigenvectors, low_rank_root

MOST_ROUNDING = 0.1
APART, FAR = 32, 16.0  # directions that are taken out before the line, and all whose θ is so many times λ
COLUMNS = 128  # of dense products with sparse matrices in one piece of work


class LeadingDirections:
    """The system of one `Shape` by r directions; `solve` gives its solution for a penalty, as that of `FullRank`.

    Blocks of columns over the items are those of S = diag(s) times what the formulas have, so that neither a block nor
    the solution is ever scaled: S C = C′S with C′ = I + (cSAᵀ)(AS⁻¹), and F S⁻¹ = D^(−a) R.
    """

    def __init__(self, matrix: sparse.csr_matrix, shape: Shape, directions: int, backend: Backend) -> None:
        """Take binary interactions (m, n), float32, and a backend of the host."""
        parts = Parts(matrix, shape)
        self.scale, self.mean_square, self._prior = parts.scale, parts.mean_square, parts.prior
        self.threads, self._one = backend.host.num_threads, backend.host.with_threads(1)
        self.inputs = (sparse.diags(parts.scale) @ parts.inputs).tocsr()  # S Fᵀ
        self.target = parts.target.T.tocsr()  # Tᵀ
        self._to_items, self._to_targets = _rows(self.inputs), _rows(self.target)
        self._to_users = _rows(weighted(matrix, shape.input_weight))
        self._joined = _rows((sparse.diags(np.float32(parts.prior) * parts.scale) @ parts.joined).tocsr())
        self._join = _rows((parts.joined.T @ sparse.diags(1 / parts.scale)).tocsr())
        width, rng = min(directions + OVERSAMPLING, matrix.shape[0]), np.random.default_rng(0)
        root = low_rank_root(backend, self.multiply, matrix.shape[0], width, rng, PASSES, lambda _: None)
        self.vectors, self.eigenvalues = leading_eigenvectors(backend, root, directions)

    def multiply(self, block: FloatArray) -> FloatArray:
        """Return F C Fᵀ times a block (m, k)."""
        out = np.empty_like(block)

        def multiply(start: int, stop: int) -> None:
            out[:, start:stop] = self.to_users(self.join(self.to_items(np.ascontiguousarray(block[:, start:stop]))))

        run_blocks(multiply, block.shape[1], COLUMNS, self.threads)
        return out

    def to_users(self, block: FloatArray) -> FloatArray:
        """Return F S⁻¹ times a block (n, k), on the calling thread."""
        return self._one.encode(self._to_users, block)

    def without_leading(self, block: FloatArray, count: int | None = None) -> FloatArray:
        """Take all directions or so many out of a block (m, k), on the calling thread, and return it."""
        leading = self.vectors[:, :count]
        block -= leading @ (leading.T @ block)
        return block

    def to_items(self, block: FloatArray) -> FloatArray:
        """Return S Fᵀ times a block (m, k), on the calling thread."""
        return self._one.encode(self._to_items, block)

    def to_targets(self, block: FloatArray) -> FloatArray:
        """Return Tᵀ times a block (m, k), on the calling thread."""
        return self._one.encode(self._to_targets, block)

    def join(self, block: FloatArray) -> FloatArray:
        """Replace a block (n, k) by C′ times it, on the calling thread, and return it."""
        if self._prior:
            block += self._one.encode(self._joined, self._one.encode(self._join, block))
        return block

    def solve(self, regularization: float) -> LeadingSolution:
        """Return the solution for λ = ``regularization`` × the mean squared length of the users' rows of F.

        Raises
        ------
        ValueError
            If rounding, which counts up to θ₁/λ times, would be a tenth of it.
        """
        penalty, largest = regularization * self.mean_square, float(self.eigenvalues[0])
        if largest * ROUNDING > MOST_ROUNDING * penalty:
            raise ValueError(
                f"`regularization`={regularization:g} is too small for `directions`: the largest eigenvalue of these "
                f"data, {largest:.2g}, leaves no digit of the penalty in single precision; use a larger one, or leave "
                "`directions` out"
            )
        return LeadingSolution(self, penalty)


class LeadingSolution:
    """W of one penalty, as the product of what it is made of."""

    def __init__(self, system: LeadingDirections, penalty: float) -> None:
        self._system = system
        constant, slope = nearest_line(penalty, float(system.eigenvalues[-1]))
        self._constant, self._slope = np.float32(constant), np.float32(slope)
        self._leading = (1 / (penalty + system.eigenvalues)).astype(np.float32)
        self._apart = max(APART, int(np.count_nonzero(system.eigenvalues > FAR * penalty)))

    def scores(self, rows: sparse.csr_matrix, out: FloatArray) -> FloatArray:
        """Write x W of sparse rows x (q, n) to ``out`` (q, n)."""
        system = self._system
        squares = system.scale * system.scale

        def multiply(start: int, stop: int) -> None:
            hidden = system.to_users(system.join(np.ascontiguousarray(rows[start:stop].multiply(squares).toarray().T)))
            inner = system.vectors.T @ hidden
            hidden -= system.vectors @ inner
            inner *= self._leading[:, None]
            more = system.without_leading(system.to_users(system.join(system.to_items(hidden))))
            hidden *= self._constant
            more *= self._slope
            hidden += more
            hidden += system.vectors @ inner
            out[start:stop] = system.to_targets(hidden).T

        run_blocks(multiply, rows.shape[0], COLUMNS, system.threads)
        return out

    def weights(self, discount: FloatArray) -> FloatArray:
        """Return W diag(discount) (n, n), made in blocks of columns.

        With U = (U₁, U₂), P₁ = I − U₁U₁ᵀ, K₁ = P₁KP₁ and V = K₁U₂ it is S C Fᵀ times

            P₁(a + bK₁)P₁T + U₁Λ₁U₁ᵀT + U₂((Λ₂ − a + bU₂ᵀV)U₂ᵀT − bVᵀT) − bVU₂ᵀT,

        so that all terms but the first are one product of low rank. What cancels of a direction in U₂ leaves rounding
        that counts (θ/λ)² times, so U₁ has those with the largest θ; what is left of them counts θ/λ times.
        """
        system, n, count = self._system, len(discount), self._apart
        left, right, apart = self._low_rank(discount)
        target = (sparse.diags(discount) @ system.target).tocsr()
        out = np.empty((n, n), np.float32)

        def multiply(start: int, stop: int) -> None:
            block = system.join((system.inputs @ target[start:stop].T.tocsr()).toarray())
            subtract_product(left[:, :count], apart[start:stop], block)
            hidden = system.without_leading(system.to_users(block), count)
            hidden *= self._slope
            block *= self._constant
            block += system.join(system.to_items(hidden))
            subtract_product(left, right[start:stop], block)
            out[:, start:stop] = block

        run_blocks(multiply, n, COLUMNS, system.threads)
        return out

    def _low_rank(self, discount: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return L (n, w) and R (n, w), whose product −L Rᵀ are the terms of low rank, and diag(discount) TᵀU₁.

        L is S C Fᵀ (U, V).
        """
        system, n, r, count = self._system, len(discount), len(self._leading), self._apart
        rest = system.vectors[:, count:]
        images = system.without_leading(system.multiply(rest), count)
        inner = self._slope * (rest.T @ images)
        np.einsum("jj->j", inner)[...] += self._leading[count:] - self._constant
        vectors = np.hstack([system.vectors, images])
        left, right = (np.empty((n, vectors.shape[1]), np.float32) for _ in range(2))

        def project(start: int, stop: int) -> None:
            block = np.ascontiguousarray(vectors[:, start:stop])
            left[:, start:stop] = system.join(system.to_items(block))
            right[:, start:stop] = system.to_targets(block) * discount[:, None]

        run_blocks(project, vectors.shape[1], COLUMNS, system.threads)
        apart, others = right[:, :count].copy(), right[:, count:r].copy()
        right[:, :count] *= -self._leading[:count]
        right[:, count:r] = self._slope * right[:, r:] - others @ inner.T
        right[:, r:] = self._slope * others
        return left, right, apart


def nearest_line(penalty: float, largest: float) -> tuple[float, float]:
    """Return a and b for which a + bθ is off by the smallest share of 1/(λ + θ), over all θ in [0, ``largest``].

    1 − (λ + θ)(a + bθ) is T₂(2θ/θ_r − 1) / T₂(1 + 2λ/θ_r).
    """
    ends = largest * largest + 8 * penalty * (largest + penalty)  # θ_r² T₂(1 + 2λ/θ_r)
    return 8 * (penalty + largest) / ends, -8 / ends


def _rows(matrix: sparse.csr_matrix) -> Csr:
    """Return a matrix as the operations of a backend take it."""
    matrix.sort_indices()
    return Csr(
        matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32, copy=False), matrix.data, matrix.shape[1]
    )
