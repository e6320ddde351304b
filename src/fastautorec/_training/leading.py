"""The full-rank linear autoencoder without a dense system: its leading directions, and one step for what is left.

With the eigenvectors U (m, r) and eigenvalues θ of the r leading directions of F C Fᵀ, it is

    (λI + F C Fᵀ)⁻¹ ≈ U diag(1/(λ + θ)) Uᵀ + (I − UUᵀ) / (λ + μ), μ = θ_r/2.

The eigenvalue of each other direction lies between 0 and θ_r, so what is put for it is off by the share
θ_r/(2λ + θ_r) at most. Nothing is cut off: what a model of rank r loses stays, with a penalty that is nearly its own.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from fastautorec._compute.host import run_blocks
from fastautorec._compute.protocol import Backend, FloatArray
from fastautorec._training.full_rank import Parts, Shape
from fastautorec._training.subspace import OVERSAMPLING, PASSES, leading_eigenvectors, low_rank_root

COLUMNS = 128  # of dense products with sparse matrices in one piece of work


class LeadingDirections:
    """The system of one `Shape` by r directions; `solve` gives its solution for a penalty, as that of `FullRank`."""

    def __init__(self, matrix: sparse.csr_matrix, shape: Shape, directions: int, backend: Backend) -> None:
        """Take binary interactions (m, n), float32, and a backend of the host."""
        self.parts = Parts(matrix, shape)
        self.by_user = self.parts.joined.T.tocsr()  # A
        self.by_item = self.parts.target.T.tocsr()  # Tᵀ
        self.backend, self._threads = backend, backend.host.num_threads
        width, rng = min(directions + OVERSAMPLING, matrix.shape[0]), np.random.default_rng(0)
        root = low_rank_root(backend, self._multiply, matrix.shape[0], width, rng, PASSES, lambda _: None)
        self.vectors, self.eigenvalues = leading_eigenvectors(backend, root, directions)

    def _multiply(self, block: FloatArray) -> FloatArray:
        """Return F C Fᵀ times a block (m, k)."""
        out = np.empty_like(block)

        def multiply(start: int, stop: int) -> None:
            inner = self.parts.inputs @ np.ascontiguousarray(block[:, start:stop])
            out[:, start:stop] = self.parts.rows @ self.join(inner)

        run_blocks(multiply, block.shape[1], COLUMNS, self._threads)
        return out

    def join(self, block: FloatArray) -> FloatArray:
        """Replace a block (n, k) by C times it, on the calling thread, and return it."""
        if self.parts.prior:
            joined = self.parts.joined @ (self.by_user @ block)
            joined *= np.float32(self.parts.prior)
            block += joined
        return block

    def solve(self, regularization: float) -> LeadingSolution:
        """Return the solution for λ = ``regularization`` × the mean squared length of the users' rows of F."""
        return LeadingSolution(self, regularization * self.parts.mean_square)


class LeadingSolution:
    """W of one penalty, as the product of what it is made of."""

    def __init__(self, system: LeadingDirections, penalty: float) -> None:
        self._system, self._threads = system, system.backend.host.num_threads
        rest = 1 / (penalty + system.eigenvalues[-1] / 2)
        self._rest = np.float32(rest)
        self._beyond = (1 / (penalty + system.eigenvalues) - rest).astype(np.float32)

    def scores(self, rows: sparse.csr_matrix, out: FloatArray) -> FloatArray:
        """Write x W of sparse rows x (q, n) to ``out`` (q, n)."""
        system, parts = self._system, self._system.parts

        def multiply(start: int, stop: int) -> None:
            own = np.ascontiguousarray(rows[start:stop].multiply(parts.scale).toarray().T)
            hidden = parts.rows @ system.join(own)
            inner = system.vectors.T @ hidden
            inner *= self._beyond[:, None]
            hidden *= self._rest
            hidden += system.vectors @ inner
            out[start:stop] = (system.by_item @ hidden).T

        run_blocks(multiply, rows.shape[0], COLUMNS, self._threads)
        return out

    def weights(self, discount: FloatArray) -> FloatArray:
        """Return W diag(discount) (n, n), made in blocks of columns."""
        system, parts, n = self._system, self._system.parts, len(discount)
        left, right = (np.empty((n, len(self._beyond)), np.float32) for _ in range(2))  # C FᵀU, TᵀU

        def project(start: int, stop: int) -> None:
            block = np.ascontiguousarray(system.vectors[:, start:stop])
            left[:, start:stop] = system.join(parts.inputs @ block) * self._beyond[start:stop]
            right[:, start:stop] = system.by_item @ block

        run_blocks(project, len(self._beyond), COLUMNS, self._threads)
        out = np.empty((n, n), np.float32)

        def multiply(start: int, stop: int) -> None:
            block = (parts.inputs @ system.by_item[start:stop].T.tocsr()).toarray()
            block *= self._rest
            block = system.join(block)
            block += left @ right[start:stop].T
            block *= parts.scale[:, None]
            block *= discount[start:stop]
            out[:, start:stop] = block

        run_blocks(multiply, n, COLUMNS, self._threads)
        return out
