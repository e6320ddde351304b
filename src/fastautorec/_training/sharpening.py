"""Sharpening: scores lose part of what they have along the directions in which items are taken together most."""

from __future__ import annotations

import numpy as np

from fastautorec._compute.csr import Csr, singular_vectors
from fastautorec._compute.host import run_blocks
from fastautorec._compute.protocol import Backend, FloatArray
from fastautorec._compute.symmetric import subtract_product
from fastautorec._training.losses import SquaredError, item_weights
from fastautorec._training.subspace import OVERSAMPLING, PASSES, leading_eigenvectors, low_rank_root

SHARE = 100  # one direction in so many: on held-out data 20 and 50 were best for 2,672 users, 200 for 29,858
BLOCK_ROWS = 256


class Sharpening:
    """y − y V (1 − exp(−σ²τ)) Vᵀ for scores y, with V and σ of D^(−½) R diag(pop)^(−½), whose σ₁ is 1.

    V are the leading right singular vectors, one for every `SHARE` of them. If they were all, that would be y exp(−τP)
    with P = V σ² Vᵀ.

    References
    ----------
    Choi and others (2023), "Blurring-sharpening process models for collaborative filtering", whose
    sharpening follows dy/dt = −yP by steps of Runge and Kutta.
    """

    def __init__(self, rows: Csr, host: Backend) -> None:
        """Take binary interactions (m, n) on the host."""
        n, count = rows.n_cols, _count(singular_vectors(rows))
        counts = np.bincount(rows.indices, minlength=n)
        target = SquaredError(item_weights(counts, rows.shape[0], "power", beta=0.5), user_weight=0.5)
        width, rng = min(count + OVERSAMPLING, n), np.random.default_rng(0)
        root = low_rank_root(
            host, lambda block: target.gram_product(host, rows, block), n, width, rng, PASSES, lambda _: None
        )
        self._vectors, self._squares = leading_eigenvectors(host, root, count)
        self._threads = host.num_threads

    def apply(self, scores: FloatArray, amount: float, factors: FloatArray | None = None) -> FloatArray:
        """Sharpen scores (q, n) in place by τ = ``amount``, multiply each column by its factor, and return them."""
        less = (-np.expm1(-amount * self._squares)).astype(np.float32)

        def sharpen(start: int, stop: int) -> None:
            own = scores[start:stop]
            subtract_product((own @ self._vectors) * less, self._vectors, own)
            if factors is not None:
                own *= factors

        run_blocks(sharpen, len(scores), BLOCK_ROWS, self._threads)
        return scores


def sharpening_bytes(m: int, n: int) -> int:
    """Return what the directions take while they are found."""
    return 3 * 4 * n * min(_count(min(m, n)) + OVERSAMPLING, n)


def _count(most: int) -> int:
    return -(-most // SHARE)
