"""Sharpening, against the exponential of the dense matrix."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg, sparse

import fastautorec as far
from fastautorec._compute import get_backend
from fastautorec._compute.inputs import check_user_items
from fastautorec._training.sharpening import DIRECTIONS, Sharpening

FEW = far.datasets.synthetic(150, 120, 2000, random_state=2)
GROUPS = sparse.csr_matrix(sparse.block_diag([np.ones((2, 2))] * (DIRECTIONS - 20) + [np.ones((1, 3))] * 20))


def exponential(matrix: sparse.csr_matrix, amount: float) -> np.ndarray:
    """Return exp(−τP) (n, n), P = ÃᵀÃ, Ã = D^(−½) R diag(pop)^(−½), in float64."""
    X = matrix.toarray().astype(np.float64)
    A = X * np.maximum(X.sum(axis=1, keepdims=True), 1) ** -0.5 * np.maximum(X.sum(axis=0), 1) ** -0.5
    return linalg.expm(-amount * A.T @ A)


@pytest.mark.parametrize("matrix", [FEW, GROUPS])  # fewer items than directions, and more, with as many as the rank
@pytest.mark.parametrize("amount", [0.25, 1.0, 10.0])
def test_equals_the_exponential(matrix: sparse.csr_matrix, amount: float) -> None:
    scores = np.random.default_rng(0).normal(size=(300, matrix.shape[1])).astype(np.float32)
    expected = scores @ exponential(matrix, amount)
    sharpening = Sharpening(check_user_items("data", matrix), get_backend("cpu", 2))
    factors = np.linspace(1, 2, matrix.shape[1], dtype=np.float32)
    assert sharpening.apply(scores, amount, factors) is scores
    np.testing.assert_allclose(scores, expected * factors, rtol=0, atol=2e-5 * np.abs(expected).max())
