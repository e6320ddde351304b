"""Sharpening, against the exponential of the dense matrix and against its leading directions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg, sparse

import fastautorec as far
from fastautorec._compute import get_backend
from fastautorec._compute.inputs import check_user_items
from fastautorec._training import sharpening

DRAWN = far.datasets.synthetic(150, 120, 2000, random_state=2)
ALL = sparse.vstack([DRAWN, sparse.identity(120)]).tocsr()


def normalized(matrix: sparse.csr_matrix) -> np.ndarray:
    """Return D^(−½) R diag(pop)^(−½) in float64."""
    X = matrix.toarray().astype(np.float64)
    return X * np.maximum(X.sum(axis=1, keepdims=True), 1) ** -0.5 * np.maximum(X.sum(axis=0), 1) ** -0.5


def sharpened(matrix: sparse.csr_matrix, scores: np.ndarray, amount: float) -> np.ndarray:
    own = sharpening.Sharpening(check_user_items("data", matrix), get_backend("cpu", 2))
    copy = scores.copy()
    assert own.apply(copy, amount) is copy
    return copy


@pytest.mark.parametrize("matrix", [DRAWN, ALL, DRAWN.T.tocsr()])
@pytest.mark.parametrize("amount", [0.25, 1.0, 10.0])
def test_all_directions_are_the_exponential(
    matrix: sparse.csr_matrix, amount: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharpening, "SHARE", 1)
    scores = np.random.default_rng(0).normal(size=(300, matrix.shape[1])).astype(np.float32)
    normal = normalized(matrix)
    expected = scores @ linalg.expm(-amount * normal.T @ normal)
    np.testing.assert_allclose(sharpened(matrix, scores, amount), expected, rtol=0, atol=2e-5 * np.abs(scores).max())


def test_one_direction_in_a_hundred() -> None:
    """Two groups that share little: the two leading ones of 120 directions stand apart from the others."""
    rng = np.random.default_rng(1)
    likely = np.full((120, 120), 0.05)
    likely[:60, :60] = likely[60:, 60:] = 0.5
    matrix = sparse.csr_matrix(rng.random((120, 120)) < likely, dtype=np.float32)
    _, sizes, vectors = np.linalg.svd(normalized(matrix))
    assert sizes[2] < 0.5 * sizes[1]
    scores = rng.normal(size=(5, 120)).astype(np.float32)
    leading = vectors[:2]
    expected = scores - (scores @ leading.T * (1 - np.exp(-1.5 * sizes[:2] ** 2))) @ leading
    np.testing.assert_allclose(sharpened(matrix, scores, 1.5), expected, rtol=0, atol=1e-4)


def test_factors_scale_the_columns() -> None:
    scores, factors = np.ones((3, 120), np.float32), np.linspace(1, 2, 120, dtype=np.float32)
    own = sharpening.Sharpening(check_user_items("data", DRAWN), get_backend("cpu", 1))
    plain = sharpened(DRAWN, scores, 1.0)
    np.testing.assert_array_equal(own.apply(scores, 1.0, factors), plain * factors)
