"""Seconds to fit, against the usual ways to get a model of this kind; answers are checked by what they recommend."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse.linalg import svds
from threadpoolctl import threadpool_limits

import fastautorec as far
from fastautorec._parallel import resolve_num_threads

K = (5, 10, 15, 20, 50)
PENALTY = 500.0  # of EASE, in interactions
RANK, OVERSAMPLING, ITERATIONS = 50, 16, 4  # the settings of PureSVD's subspace iteration, for its peer too
ENERGY = 0.99  # of a randomized SVD at least, as a share of the exact one's
EXPECTED_NDCG = 0.184  # of NCEAutoRec() on ML-1M, "paper" definition


@pytest.fixture(scope="module")
def popularity_ndcg(data):
    return ndcg(far.Popularity().fit(data.train), data)


def ndcg(model, data):
    return far.evaluate(model, data.train, data.test, k=K, definition="paper")["NDCG"].mean


def test_nce_autorec(data, measure, popularity_ndcg):
    model = measure(lambda: far.NCEAutoRec().fit(data.train), table="models", row="main", column="NCEAutoRec()")
    reached = ndcg(model, data)
    measure.note(ndcg=reached)
    assert reached > (EXPECTED_NDCG if data.name == "ML-1M" else popularity_ndcg)


def test_implicit_als(data, measure, popularity_ndcg):
    """Its defaults but for the size and the number of threads; BLAS on one thread, as its documentation asks."""
    als = pytest.importorskip("implicit.als")

    def fit():
        model = als.AlternatingLeastSquares(
            factors=64, iterations=15, num_threads=resolve_num_threads(None), random_state=0
        )
        model.fit(data.train, show_progress=False)
        return model

    with threadpool_limits(1, "blas"):
        model = measure(fit, table="models", row="main", column="implicit ALS, 64 factors, 15 iterations")
        lists, _ = model.recommend(np.arange(data.train.shape[0]), data.train, N=max(K))
    report = far.evaluate_ranking(lists, data.train, data.test, k=K, definition="paper")
    reached = report["NDCG"].mean
    measure.note(ndcg=reached)
    assert reached > popularity_ndcg


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=lambda dtype: dtype.__name__)
def test_ease_by_numpy(data, dtype, measure, ease):
    def fit():
        system = (data.train.T @ data.train).toarray().astype(dtype)
        system[np.diag_indices_from(system)] += dtype(PENALTY)
        inverse = np.linalg.inv(system)
        weights = inverse / -np.diag(inverse)
        np.fill_diagonal(weights, 0)
        return weights

    weights = measure(fit, table="models", row="main", column=f"EASE by NumPy inverse, {dtype.__name__}")
    assert weights.dtype == dtype
    assert_allclose(weights, ease.item_weights_, atol=1e-4)


@pytest.fixture(scope="module")
def ease(data):
    return far.EASE(regularization=PENALTY).fit(data.train)


def test_ease(data, measure, ease, popularity_ndcg):
    model = measure(
        lambda: far.EASE(regularization=PENALTY).fit(data.train), table="models", row="main", column="EASE()"
    )
    reached = ndcg(model, data)
    measure.note(ndcg=reached)
    assert reached > popularity_ndcg


def test_pure_svd(data, measure, best_energy):
    model = measure(
        lambda: far.PureSVD(factors=RANK).fit(data.train), table="models", row="svd", column=f"PureSVD(factors={RANK})"
    )
    reached = energy(data.train, model.encoder_) / best_energy
    measure.note(ndcg=ndcg(model, data), energy=reached)
    assert reached > ENERGY


def test_randomized_svd(data, measure, best_energy):
    """The same number of products with the matrix and its transpose."""
    extmath = pytest.importorskip("sklearn.utils.extmath")
    options = {"n_oversamples": OVERSAMPLING, "n_iter": ITERATIONS, "random_state": 0}
    _, _, vt = measure(
        lambda: extmath.randomized_svd(data.train, RANK, **options),
        table="models", row="svd", column="scikit-learn randomized_svd",
    )  # fmt: skip
    reached = energy(data.train, vt.T) / best_energy
    measure.note(energy=reached)
    assert reached > ENERGY


@pytest.fixture(scope="module")
def best_energy(data):
    """What the exact leading singular vectors hold."""
    return energy(data.train, svds(data.train, RANK, random_state=0)[2].T)


def energy(matrix, vectors):
    """Return how much of the squared norm of the matrix the directions hold."""
    return float(np.square(matrix @ np.asarray(vectors, np.float64)).sum())
