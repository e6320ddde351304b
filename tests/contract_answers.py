"""What every model must do about explanations and the popularity dial; `contract.ModelContract` inherits it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse

import fastautorec as far


class AnswersContract:
    """The fixtures ``model`` and ``train`` are those of `contract`."""

    def test_explains_its_scores_or_says_why_not(self, model: Any, train: sparse.csr_matrix) -> None:
        if model._unexplained:
            with pytest.raises(ValueError, match=f"{type(model).__name__} has no explanations: "):
                model.explain(train, 3)
            return
        ids, scores = model.recommend(train, N=4)
        explained = model.explain(train, ids)
        tolerance = {"rtol": 1e-4, "atol": 1e-5}
        np.testing.assert_allclose(explained.scores, scores, **tolerance)
        named = explained.because >= 0
        assert named[:, :, 0].all()
        np.testing.assert_array_equal(named, np.isfinite(explained.contributions))
        rows = np.broadcast_to(np.arange(120)[:, None, None], named.shape)[named]
        assert (train[rows, explained.because[named]] == 1).all()
        assert (np.diff(explained.contributions, axis=2)[named[:, :, 1:]] <= 0).all()
        if explained.additive:
            whole = model.explain(train, ids, N=60)
            np.testing.assert_allclose(np.nansum(whole.contributions, axis=2) + whole.base, scores, **tolerance)

    def test_knows_similar_users_or_says_why_not(self, model: Any, train: sparse.csr_matrix) -> None:
        if model._users_alike:
            with pytest.raises(ValueError, match=f"{type(model).__name__} knows no similar users: "):
                model.similar_users(train, train)
            return
        rows, scores = model.similar_users(train, train, N=3)
        known = rows[:, 0] >= 0  # units of relu may all be 0
        assert known.sum() > 100
        np.testing.assert_allclose(scores[known, 0], 1, atol=1e-5)
        assert (np.diff(scores[known], axis=1) <= 0).all()

    def test_has_another_discount_or_says_why_not(self, model: Any, train: sparse.csr_matrix) -> None:
        if "popularity_discount" not in model.get_params():
            with pytest.raises(ValueError, match=f"must be left out for {type(model).__name__}"):
                model.recommend(train, popularity_discount=0.5)
            with pytest.raises(ValueError, match=f"must be left out for {type(model).__name__}"):
                far.evaluation.popularity_tradeoff(model, train, train, [0.5])
            return
        chosen = getattr(model, "best_params_", model.get_params())
        own, popularity = chosen["popularity_discount"], np.asarray(train.sum(axis=0)).ravel()
        expected = model.predict(train) * np.maximum(popularity, 1.0) ** (own - 0.5)
        ids, scores = model.recommend(train, N=60, filter_already_liked_items=False, popularity_discount=0.5)
        np.testing.assert_allclose(scores, np.take_along_axis(expected, ids, 1), rtol=1e-4, atol=1e-6)
