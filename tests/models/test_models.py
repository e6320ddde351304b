from __future__ import annotations

from typing import Any, get_type_hints

import numpy as np
import pytest
from contract import ModelContract, train  # noqa: F401
from scipy import sparse

import fastautorec as far


class TestPopularity(ModelContract):
    def make(self, **params: Any) -> far.Popularity:
        return far.Popularity(**params)

    def test_scores_are_counts(self, train: sparse.csr_matrix) -> None:  # noqa: F811
        scores = self.make().fit(train).predict(train[:3])
        np.testing.assert_array_equal(scores, np.tile(train.sum(axis=0), (3, 1)))


class TestPureSVD(ModelContract):
    answers_strangers_by_popularity = True

    def make(self, **params: Any) -> far.PureSVD:
        return far.PureSVD(**{"factors": 8, **params})

    def test_equals_the_dense_svd(self, train: sparse.csr_matrix) -> None:  # noqa: F811
        dense = train.toarray()
        right = np.linalg.svd(dense)[2][:8]
        got = self.make().fit(train).predict(train)
        # The iteration stops short of the last, hardly separated direction; the scores feel little of it.
        assert np.linalg.norm(got - dense @ right.T @ right) < 0.02 * np.linalg.norm(got)


class TestNCEPLRec(ModelContract):
    answers_strangers_by_popularity = takes_penalties = True

    def make(self, **params: Any) -> far.NCEPLRec:
        return far.NCEPLRec(**{"factors": 8, **params})

    def test_is_nce_autorec_without_its_extensions(self, train: sparse.csr_matrix) -> None:  # noqa: F811
        other = far.NCEAutoRec(
            factors=8, beta=1.1, normalize=None, spectrum_power=0.5, user_weight=0, dropout=0, fit_intercept=False,
            popularity_discount=0, regularization=0.1,
        )  # fmt: skip
        ours = self.make(regularization=0.1).fit(train).predict(train)
        np.testing.assert_allclose(ours, other.fit(train).predict(train), rtol=1e-4, atol=1e-4)


class TestEASE(ModelContract):
    answers_strangers_by_popularity = takes_penalties = True

    def make(self, **params: Any) -> far.EASE:
        return far.EASE(**{"regularization": 20.0, **params})

    @pytest.mark.parametrize("n", [60, 300])  # all in float64, or in float32 where the penalty is large
    @pytest.mark.parametrize("penalty", [1e-6, 20])
    def test_equals_the_published_formula(self, n: int, penalty: float) -> None:
        dense = far.datasets.synthetic(400, n, 6000, random_state=1).toarray().astype(np.float64)
        dense[:, 7] = dense[:, 3]
        inverse = np.linalg.inv(dense.T @ dense + penalty * np.eye(n))
        weights = inverse / -np.diag(inverse)
        np.fill_diagonal(weights, 0)
        model = self.make(regularization=penalty).fit(sparse.csr_matrix(dense, dtype=np.float32))
        np.testing.assert_allclose(model.item_weights_, weights, rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize(("share", "penalty"), [(0.3, 1.0), (0.9, 1.0), (1.0, 100.0)])
    def test_where_most_users_have_most_items(self, share: float, penalty: float) -> None:
        """An elimination in float32 loses what items have in common: at .9 a hundredth of the weights was wrong."""
        drawn = sparse.csr_matrix(np.random.default_rng(0).random((900, 300)) < share, dtype=np.float32)
        counts = (drawn.T @ drawn).toarray().astype(np.float64)
        inverse = np.linalg.inv(counts + penalty * np.eye(300))
        weights = inverse / -np.diag(inverse)
        np.fill_diagonal(weights, 0)
        fitted = self.make(regularization=penalty).fit(drawn).item_weights_
        np.testing.assert_allclose(fitted, weights, rtol=0, atol=1e-5 * np.abs(weights).max())

    def test_several_penalties_are_as_many_fits(self) -> None:
        known, held_out = far.split(far.datasets.synthetic(400, 300, 9000, random_state=1), (0.8, 0.2), by="random")
        penalties = [1e-5, 3.0, 100.0, 3.0, 3000.0]
        model = self.make(regularization=penalties).fit(known, validation=held_out)
        ones = [self.make(regularization=v).fit(known, validation=held_out) for v in (1e-5, 3.0, 100.0, 3000.0)]
        records = [(record["regularization"], record["metric"]) for record in model.history_]
        assert records == [(one.regularization_, one.history_[0]["metric"]) for one in ones]
        best = max(ones, key=lambda one: one.history_[0]["metric"])
        assert model.regularization_ == best.regularization_ not in (1e-5, 3000.0)
        np.testing.assert_array_equal(model.item_weights_, best.item_weights_)

    @pytest.mark.parametrize(
        ("value", "error", "message"),
        [
            (0, ValueError, "must be > 0, got 0"),
            (-1, ValueError, "must be > 0, got -1"),
            ([1, 0], ValueError, "must be > 0, got 0"),
            ([], ValueError, "must hold at least one value, got none"),
            ([1, np.nan], ValueError, "must be finite, got nan"),
            ([1, "2"], TypeError, "must be a number, got str"),
            ("12", TypeError, "must be a number or a sequence of numbers, got str"),
            ([1, 2], ValueError, "holds 2 values to choose from, which needs held-out interactions"),
        ],
    )
    def test_needs_penalties(
        self,
        train: sparse.csr_matrix,  # noqa: F811
        value: Any,
        error: type[Exception],
        message: str,
    ) -> None:
        with pytest.raises(error, match=f"`regularization` {message}"):
            self.make(regularization=value).fit(train)

    def test_plan_of_several_penalties(self) -> None:
        one, more = (self.make(regularization=value).plan((90, 1000, 500)).peak_bytes for value in (1.0, [1.0, 2.0]))
        assert more - one == 8 * 1000**2


def test_plan_of_training_counts_the_optimiser() -> None:
    shape = 5000, 800, 90_000
    peaks = [far.AutoRec.paper(optimizer=optimizer, factors=64).plan(shape).peak_bytes for optimizer in ("sgd", "adam")]
    weights = 4 * 800 * (64 + 65)
    assert peaks[1] - peaks[0] == 2 * weights
    assert far.AutoRec(init="svd", epochs=0, factors=64).plan(shape).tiles.keys() < (
        far.AutoRec(init="svd", epochs=1, factors=64).plan((90, 90_000, 900)).tiles.keys()
    )


@pytest.mark.parametrize("home", [far.models, far.baselines])
def test_types_of_parameters_are_found(home: Any) -> None:
    for name in home.__all__:
        model = getattr(home, name)
        if isinstance(model, type) and "__init__" in vars(model):
            assert get_type_hints(model.__init__).keys() == model.__init__.__annotations__.keys(), name
