"""The embedded example and synthetic data."""

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import svds

from fastautorec.data._texts import is_text
from fastautorec.datasets import PAPER_SHAPES, _synthetic, load_example, synthetic


def test_example():
    data = load_example()
    assert (*data.shape, data.nnz) == (17_330, 5_460, 169_376)
    assert data.user_items.has_canonical_format
    assert data.user_items.dtype == np.float32
    assert min(np.diff(data.user_items.indptr)) >= 5
    assert np.bincount(data.user_items.indices).min() >= 5
    for ids in (data.user_ids, data.item_ids):
        assert is_text(ids)
        assert (ids[1:] > ids[:-1]).all()
    firefox = data.item_ids[data.user_items[data.user_index("firefox-esr")].indices]
    assert {"libc6", "libgtk-3-0"} <= set(firefox)


def test_paper_shapes():
    assert set(PAPER_SHAPES) == {"goodbooks", "ml-20m", "netflix", "yahoo"}
    assert PAPER_SHAPES["yahoo"] == (1_876_280, 44_865, 48_817_552)


@pytest.mark.parametrize(
    ("m", "n", "nnz"),
    [(300, 200, 6000), (5, 7, 35), (5, 7, 34), (5, 7, 0), (9, 4, 3), (1, 1, 1), (40, 1000, 20_000), (1000, 3, 1500)],
)
def test_synthetic_has_exactly_the_interactions_asked_for(m, n, nnz):
    matrix = synthetic(m, n, nnz)
    assert isinstance(matrix, sparse.csr_matrix)
    assert matrix.shape == (m, n)
    assert matrix.nnz == len(matrix.indices) == nnz
    assert matrix.dtype == np.float32
    rebuilt = matrix.tocoo().tocsr()
    rebuilt.sum_duplicates()
    assert rebuilt.nnz == nnz
    assert (np.diff(matrix.indices)[np.diff(np.repeat(np.arange(m), np.diff(matrix.indptr))) == 0] > 0).all()
    if nnz >= m:
        assert np.diff(matrix.indptr).min() >= 1


def test_synthetic_is_deterministic_whatever_the_threads(monkeypatch):
    first = synthetic(3000, 400, 60_000, random_state=3)
    monkeypatch.setattr(_synthetic, "THREADS", 1)
    assert (synthetic(3000, 400, 60_000, random_state=3) != first).nnz == 0
    assert (synthetic(3000, 400, 60_000, random_state=np.random.default_rng(3)) != first).nnz == 0
    assert (synthetic(3000, 400, 60_000, random_state=4) != first).nnz > 0


def test_synthetic_in_several_blocks(monkeypatch):
    monkeypatch.setattr(_synthetic, "BLOCK", 1000)
    matrix = synthetic(500, 300, 20_000)
    assert matrix.nnz == 20_000
    monkeypatch.setattr(_synthetic, "THREADS", 3)
    assert (synthetic(500, 300, 20_000) != matrix).nnz == 0


def test_synthetic_is_long_tailed():
    matrix = synthetic(8000, 2000, 300_000)
    for counts in (np.bincount(matrix.indices, minlength=2000), np.diff(matrix.indptr)):
        ordered = np.sort(counts)[::-1]
        assert ordered[: len(ordered) // 5].sum() > 0.45 * matrix.nnz
        assert np.median(counts) < counts.mean()


def test_synthetic_taste_is_worth_learning():
    matrix = synthetic(4000, 2000, 120_000)
    hidden = np.random.default_rng(0).random(matrix.nnz) < 0.3
    pairs = matrix.tocoo()
    train, test = (
        sparse.csr_matrix((pairs.data[part], (pairs.row[part], pairs.col[part])), matrix.shape)
        for part in (~hidden, hidden)
    )
    _, _, items = svds(train, k=45, v0=np.ones(2000, np.float32))
    popularity = np.tile(np.asarray(train.sum(axis=0)), (4000, 1))

    def precision(scores):
        scores[train.nonzero()] = -np.inf
        top = np.argpartition(-scores, 10, axis=1)[:, :10]
        return np.take_along_axis(test.toarray(), top, axis=1).mean()

    assert precision(train @ items.T @ items) > 2 * precision(popularity)


@pytest.mark.parametrize("arguments", [(0, 1, 0), (2, 2, 5), (2, 2, -1), (2.5, 2, 1)])
def test_synthetic_refuses(arguments):
    with pytest.raises((TypeError, ValueError), match="must be"):
        synthetic(*arguments)
