"""Neighbourhoods, against dense NumPy and against the library ``implicit``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from contract import ModelContract, train  # noqa: F401
from scipy import sparse

import fastautorec as far


def largest(similarities: np.ndarray, k: int) -> np.ndarray:
    """Return the matrix with the k largest of each row, of those > 0 beside the diagonal."""
    np.fill_diagonal(similarities, 0)
    order = np.argsort(-similarities.astype(np.float32), axis=1, kind="stable")
    np.put_along_axis(similarities, order[:, k:], 0, axis=1)
    return similarities


class TestRP3beta(ModelContract):
    answers_strangers_by_popularity = True

    def make(self, **params: Any) -> far.RP3beta:
        return far.RP3beta(**{"K": 12, **params})

    @pytest.mark.parametrize("values", [{}, {"K": 500}, {"alpha": 0.4, "beta": 1.3}, {"alpha": 0, "beta": 0}])
    def test_equals_the_formula(self, train: sparse.csr_matrix, values: dict[str, float]) -> None:  # noqa: F811
        model, dense = self.make(**values).fit(train), train.toarray().astype(np.float64)
        lengths, popularity = dense.sum(axis=1, keepdims=True), dense.sum(axis=0)
        a, b = model.alpha, model.beta
        steps = (dense * popularity**-a).T @ (dense * lengths**-a) * popularity**-b
        expected = dense @ largest(steps, model.K)
        np.testing.assert_allclose(model.predict(train), expected, rtol=1e-5, atol=1e-7)


class TestItemKNN(ModelContract):
    answers_strangers_by_popularity = True

    def make(self, **params: Any) -> far.ItemKNN:
        return far.ItemKNN(**{"K": 12, **params})

    def test_cosine_equals_the_formula(self, train: sparse.csr_matrix) -> None:  # noqa: F811
        dense = train.toarray().astype(np.float64)
        unit = dense / np.linalg.norm(dense, axis=0)
        expected = dense @ largest(unit.T @ unit, 12)
        np.testing.assert_allclose(self.make().fit(train).predict(train), expected, rtol=1e-5, atol=1e-7)

    @pytest.mark.filterwarnings("ignore:Method expects CSR input")
    @pytest.mark.parametrize("similarity", ["cosine", "tfidf", "bm25"])
    def test_equals_implicit(self, train: sparse.csr_matrix, similarity: str) -> None:  # noqa: F811
        library = pytest.importorskip("implicit.nearest_neighbours")
        names = {"cosine": "CosineRecommender", "tfidf": "TFIDFRecommender", "bm25": "BM25Recommender"}
        theirs = getattr(library, names[similarity])(K=60, num_threads=1)
        theirs.fit(train.astype(np.float64), show_progress=False)
        dense = theirs.similarity.toarray()
        np.fill_diagonal(dense, 0)
        ours = self.make(K=60, similarity=similarity).fit(train)._matrix().toarray()
        np.testing.assert_allclose(ours, dense, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (far.RP3beta(K=0), ValueError, "`K` must be >= 1, got 0"),
        (far.RP3beta(K=2.5), TypeError, "`K` must be an integer, got float"),
        (far.RP3beta(alpha=-1), ValueError, "`alpha` must be >= 0 and <= 2, got -1"),
        (far.RP3beta(beta=np.nan), ValueError, "`beta` must be finite, got nan"),
        (far.ItemKNN(similarity="jaccard"), ValueError, "`similarity` must be one of 'cosine', 'tfidf', 'bm25'"),
        (far.ItemKNN(B=2), ValueError, "`B` must be >= 0 and <= 1, got 2"),
    ],
)
def test_bad_parameters(model: Any, error: type[Exception], message: str, train: sparse.csr_matrix) -> None:  # noqa: F811
    with pytest.raises(error, match=message):
        model.fit(train)


@pytest.mark.parametrize("cls", [far.RP3beta, far.ItemKNN])
@pytest.mark.parametrize("shape", [(1, 4), (4, 1), (5, 3)])
def test_one_user_one_item_or_all_alike(cls: Any, shape: tuple[int, int]) -> None:
    everything = sparse.csr_matrix(np.ones(shape, np.float32))
    model = cls().fit(everything)
    assert np.isfinite(model.predict(everything)).all()
    ids, _ = model.recommend(everything, filter_already_liked_items=False)
    np.testing.assert_array_equal(np.sort(ids, axis=1), np.tile(np.arange(shape[1]), (shape[0], 1)))
