"""Seconds to fit, against the usual ways to get a model of this kind; answers are checked by what they recommend."""

from __future__ import annotations

import os

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse.linalg import svds
from threadpoolctl import threadpool_limits

import fastautorec as far

THREADS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
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


@pytest.mark.benchmark(group="fit: main models")
def test_nce_autorec(data, measure, popularity_ndcg, benchmark):
    model = measure(lambda: far.NCEAutoRec().fit(data.train), table="models", row="main", column="NCEAutoRec()")
    reached = benchmark.extra_info["ndcg"] = ndcg(model, data)
    assert reached > (EXPECTED_NDCG if data.name == "ML-1M" else popularity_ndcg)


@pytest.mark.benchmark(group="fit: main models")
def test_implicit_als(data, measure, popularity_ndcg, benchmark):
    """Its defaults but for the size and the number of threads; BLAS on one thread, as its documentation asks."""
    als = pytest.importorskip("implicit.als")

    def fit():
        model = als.AlternatingLeastSquares(factors=64, iterations=15, num_threads=THREADS, random_state=0)
        model.fit(data.train, show_progress=False)
        return model

    with threadpool_limits(1, "blas"):
        model = measure(fit, table="models", row="main", column="implicit ALS, 64 factors, 15 iterations")
        lists, _ = model.recommend(np.arange(data.train.shape[0]), data.train, N=max(K))
    report = far.evaluate_ranking(lists, data.train, data.test, k=K, definition="paper")
    reached = benchmark.extra_info["ndcg"] = report["NDCG"].mean
    assert reached > popularity_ndcg


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=lambda dtype: dtype.__name__)
@pytest.mark.benchmark(group="fit: main models")
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


@pytest.mark.benchmark(group="fit: main models")
def test_ease(data, measure, ease, popularity_ndcg, benchmark):
    model = measure(
        lambda: far.EASE(regularization=PENALTY).fit(data.train), table="models", row="main", column="EASE()"
    )
    reached = benchmark.extra_info["ndcg"] = ndcg(model, data)
    assert reached > popularity_ndcg


@pytest.mark.benchmark(group="fit: truncated SVD")
def test_pure_svd(data, measure, best_energy, benchmark):
    model = measure(
        lambda: far.PureSVD(factors=RANK).fit(data.train), table="models", row="svd", column=f"PureSVD(factors={RANK})"
    )
    benchmark.extra_info["ndcg"] = ndcg(model, data)
    reached = benchmark.extra_info["energy"] = energy(data.train, model.encoder_) / best_energy
    assert reached > ENERGY


@pytest.mark.benchmark(group="fit: truncated SVD")
def test_randomized_svd(data, measure, best_energy, benchmark):
    """The same number of products with the matrix and its transpose."""
    extmath = pytest.importorskip("sklearn.utils.extmath")
    options = {"n_oversamples": OVERSAMPLING, "n_iter": ITERATIONS, "random_state": 0}
    _, _, vt = measure(
        lambda: extmath.randomized_svd(data.train, RANK, **options),
        table="models", row="svd", column="scikit-learn randomized_svd",
    )  # fmt: skip
    reached = benchmark.extra_info["energy"] = energy(data.train, vt.T) / best_energy
    assert reached > ENERGY


@pytest.fixture(scope="module")
def best_energy(data):
    """What the exact leading singular vectors hold."""
    return energy(data.train, svds(data.train, RANK, random_state=0)[2].T)


def energy(matrix, vectors):
    """Return how much of the squared norm of the matrix the directions hold."""
    return float(np.square(matrix @ np.asarray(vectors, np.float64)).sum())
