"""The contract of every model. A model's test class inherits `ModelContract` and says how to make the model."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np
import pytest
from contract_answers import AnswersContract
from contract_state import StateContract
from scipy import sparse

import fastautorec as far
from fastautorec.exceptions import NotFittedError


@pytest.fixture(scope="module")
def train() -> sparse.csr_matrix:
    return far.datasets.synthetic(120, 60, 1500, random_state=1)


def without_items(matrix: sparse.csr_matrix, items: list[int]) -> sparse.csr_matrix:
    """Return a matrix in which no user has these items."""
    dense = matrix.toarray()
    dense[:, items] = 0
    return sparse.csr_matrix(dense)


class ModelContract(AnswersContract, StateContract):
    """Subclass with `make`, which returns an unfitted model small enough for 120 users and 60 items."""

    def make(self, **params: Any) -> Any:
        raise NotImplementedError

    @pytest.fixture
    def model(self, train: sparse.csr_matrix) -> Any:
        return self.make().fit(train)

    def test_init_only_stores(self) -> None:
        model = self.make()
        assert vars(model).keys() == model.get_params().keys()

    def test_params_round_trip(self) -> None:
        model = self.make()
        assert type(model)(**model.get_params()).get_params() == model.get_params()
        assert model.set_params(num_threads=2) is model
        assert model.num_threads == 2
        with pytest.raises(ValueError, match="has no parameter 'factor'"):
            model.set_params(factor=3)

    def test_every_parameter_is_documented(self) -> None:
        text = inspect.getdoc(type(self.make())) or ""
        for name in self.make().get_params():
            assert name in text or name in ("device", "num_threads"), name

    def test_repr_shows_what_differs_from_the_defaults(self) -> None:
        cls = type(self.make())
        assert repr(cls()) == f"{cls.__name__}()"
        assert "num_threads=3" in repr(cls(num_threads=3))

    def test_fit_returns_self_and_leaves_its_input_alone(self, train: sparse.csr_matrix) -> None:
        before = train.copy()
        model = self.make()
        assert model.fit(train) is model
        assert (train != before).nnz == 0
        assert model.n_items_ == train.shape[1]
        assert model.device_ == "cpu"
        assert [set(record) >= {"phase", "epoch", "seconds"} for record in model.history_]

    def test_refit_forgets(self, train: sparse.csr_matrix) -> None:
        model = self.make().fit(train[:60])
        again = model.fit(train).predict(train)
        np.testing.assert_array_equal(again, self.make().fit(train).predict(train))

    def test_recommend_agrees_with_predict(self, model: Any, train: sparse.csr_matrix) -> None:
        ids, scores = model.recommend(train, N=7)
        assert ids.dtype == np.int32
        assert scores.dtype == np.float32
        assert ids.shape == scores.shape == (120, 7)
        full = model.predict(train)
        np.testing.assert_allclose(np.take_along_axis(full, ids, 1), scores, rtol=1e-4, atol=1e-5)
        full[train.nonzero()] = -np.inf
        np.testing.assert_allclose(-np.sort(-full, axis=1)[:, :7], scores, rtol=1e-4, atol=1e-5)
        assert not train[np.repeat(np.arange(120), 7), ids.ravel()].any()

    def test_recommend_may_list_known_items(self, model: Any, train: sparse.csr_matrix) -> None:
        ids, _ = model.recommend(train, N=60, filter_already_liked_items=False)
        np.testing.assert_array_equal(np.sort(ids, axis=1), np.tile(np.arange(60), (120, 1)))

    def test_candidates_and_filtered_items(self, model: Any, train: sparse.csr_matrix) -> None:
        some = [40, 3, 17, 8, 22]
        ids, scores = model.recommend(train, N=10, items=some, filter_items=[3])
        allowed = {-1, 40, 17, 8, 22}
        assert set(ids.ravel().tolist()) <= allowed
        assert np.isnan(scores[ids < 0]).all()
        assert (ids[:, 4:] == -1).all()
        everything, _ = model.recommend(train, N=60)
        for row, full, history in zip(ids, everything, train, strict=True):
            known = set(history.indices)
            assert [i for i in full if i in allowed and i >= 0] == [i for i in row if i >= 0], known

    def test_re_ranked_lists_hold_the_best_items(self, model: Any, train: sparse.csr_matrix) -> None:
        rerank = [far.rerank.Explore(0.2, 1), far.rerank.MMR(0.3), far.rerank.Caps(np.arange(60) % 9, 1)]
        best, _ = model.recommend(train, N=20)
        ids, scores = model.recommend(train, N=6, rerank=rerank, n_candidates=20)
        full = model.predict(train)
        for row, values, own, all_scores in zip(ids, scores, best, full, strict=True):
            listed = row[row >= 0]
            assert set(listed) <= set(own)
            assert len(set(listed % 9)) == len(listed)
            np.testing.assert_allclose(values[row >= 0], all_scores[listed], rtol=1e-4, atol=1e-5)
        known, hidden = far.split(train, (0.5, 0.5), by="random")
        report = far.evaluate(model, known, hidden, k=6, rerank=rerank, n_candidates=20)
        assert report.receipt.plain["NDCG"].mean == far.evaluate(model, known, hidden, k=6)["NDCG"].mean

    def test_predict_some_items_in_their_order(self, model: Any, train: sparse.csr_matrix) -> None:
        np.testing.assert_allclose(
            model.predict(train[:5], items=[9, 2]), model.predict(train[:5])[:, [9, 2]], rtol=1e-5, atol=1e-6
        )

    def test_new_users_need_no_training(self, model: Any) -> None:
        newcomer = sparse.csr_matrix(([1.0], ([0], [4])), shape=(1, 60))
        ids, _ = model.recommend(newcomer, N=5)
        assert (ids >= 0).all()
        assert 4 not in ids

    def test_empty_history_gets_a_full_list(self, model: Any) -> None:
        ids, scores = model.recommend(sparse.csr_matrix((2, 60)), N=5)
        assert (ids >= 0).all()
        assert np.isfinite(scores).all()

    def test_no_rows(self, model: Any) -> None:
        ids, _ = model.recommend(sparse.csr_matrix((0, 60)), N=5)
        assert ids.shape == (0, 5)

    def test_similar_items(self, model: Any) -> None:
        ids, scores = model.similar_items(7, N=5)
        assert ids.shape == scores.shape == (5,)
        assert scores[0] == pytest.approx(1, abs=1e-5)
        many, _ = model.similar_items([7, 3], N=5)
        np.testing.assert_array_equal(many[0], ids)

    @pytest.mark.parametrize("threads", [2, 7])
    def test_same_bits_for_any_number_of_threads(self, train: sparse.csr_matrix, threads: int) -> None:
        one, more = (self.make(num_threads=t).fit(train).predict(train) for t in (1, threads))
        np.testing.assert_array_equal(one, more)

    def test_reference_backend_agrees(self, train: sparse.csr_matrix) -> None:
        fast, slow = (self.make(device=d).fit(train).predict(train) for d in ("cpu", "reference"))
        np.testing.assert_allclose(fast, slow, rtol=2e-3, atol=2e-3 * np.abs(slow).max())

    def test_item_names_travel_with_the_model(self, train: sparse.csr_matrix, tmp_path: Any) -> None:
        names = np.array([f"item {j}" for j in range(60)])
        model = self.make().fit(far.Interactions(train, item_ids=names))
        model.save(tmp_path / "named.npz")
        np.testing.assert_array_equal(far.load(tmp_path / "named.npz").item_ids_, names)

    def test_other_items_in_the_columns(self, train: sparse.csr_matrix) -> None:
        names = np.array([f"item {j:02}" for j in range(60)])
        model = self.make().fit(far.Interactions(train, item_ids=names))
        swapped = far.Interactions(train, item_ids=names[::-1])
        with pytest.raises(ValueError, match=r"column 0 is item 59, in the model item 00; use user_items\.with_items"):
            model.recommend(swapped, N=3)
        mended = model.predict(swapped.with_items(model.item_ids_))
        np.testing.assert_array_equal(mended, model.predict(train[:, ::-1]))

    # --- ids and names ------------------------------------------------------------------------------------------

    def test_names_of_short_lists(self, train: sparse.csr_matrix) -> None:
        names = [f"item {j}" for j in range(60)]
        data = far.Interactions(train, item_ids=names)
        model = self.make().fit(data)
        ids, _ = model.recommend(data, N=3, items=[1, 2])
        assert (ids == -1).any()
        expected = [[None if j < 0 else names[j] for j in row] for row in ids.tolist()]
        assert model.item_names(ids).tolist() == data.item_names(ids).tolist() == expected
        bare = self.make().fit(train)
        assert bare.item_names([[3, -1]]).tolist() == [[3, None]]
        assert bare.item_names(59) == 59

    # --- little data --------------------------------------------------------------------------------------------

    def test_defaults_adapt_to_little_data(self) -> None:
        tiny = sparse.csr_matrix(np.eye(5, dtype=np.float32) + np.eye(5, k=1, dtype=np.float32))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of factors that have one direction
            model = self.make_default().fit(tiny)
        ids, scores = model.recommend(tiny)
        assert ids.shape == scores.shape == (5, 5)
        assert model.similar_items(2)[0].shape == (5,)
        assert far.evaluate(model, tiny, sparse.csr_matrix(np.eye(5, k=2))).k == (5,)
        with pytest.raises(ValueError, match="`N` must be between 1 and 5, got 10"):
            model.recommend(tiny, N=10)
        assert self.make_default().get_params() == model.get_params()

    def make_default(self) -> Any:
        return type(self.make())()

    # --- items and histories of which nothing is known --------------------------------------------------------------

    serves_strangers = True  # whether histories need not be those of the training users

    @pytest.mark.parametrize("device", ["cpu", "reference"])
    def test_similar_items_of_an_item_without_users(self, train: sparse.csr_matrix, device: str) -> None:
        some = without_items(train, [9, 59])
        model = self.make_on(device).fit(some)
        ids, scores = model.similar_items([59, 3, 9], N=60)
        assert ids[:, 0].tolist() == [59, 3, 9]
        assert (scores[:, 0] == 1).all()
        for row in (0, 2):
            assert (ids[row, 1:] == -1).all()
            assert np.isnan(scores[row, 1:]).all()
        nowhere = set(np.flatnonzero(~model._item_vectors().any(axis=1)).tolist())  # too popular ones among them
        assert {9, 59} <= nowhere
        neighbours = set() if 3 in nowhere else set(range(60)) - nowhere - {3}
        found = len(neighbours)
        assert set(ids[1, 1 : 1 + found].tolist()) == neighbours
        assert (ids[1, 1 + found :] == -1).all()
        assert (np.diff(scores[1, 1 : 1 + found]) <= 0).all()
        np.testing.assert_array_equal(model.similar_items(59, N=1)[0], [59])

    def test_an_item_is_first_among_its_equals(self, train: sparse.csr_matrix) -> None:
        twins = train.toarray()
        twins[:, 5] = twins[:, 2]
        ids, _ = self.make().fit(sparse.csr_matrix(twins)).similar_items(np.arange(60), N=4)
        np.testing.assert_array_equal(ids[:, 0], np.arange(60))
        assert (np.sort(ids)[:, 1:] != np.sort(ids)[:, :-1])[(ids >= 0).all(axis=1)].all()

    @pytest.mark.parametrize("device", ["cpu", "reference"])
    def test_histories_that_say_nothing(self, train: sparse.csr_matrix, device: str) -> None:
        """Empty ones, and those of items that no user has: popular items, or what the model says by itself."""
        some = without_items(train, [9, 59])
        model = self.make_on(device).fit(some)
        popularity = np.asarray(some.sum(axis=0)).ravel()
        ranking = np.lexsort((np.arange(60), -popularity))
        unknown = sparse.csr_matrix(np.eye(60, dtype=np.float32)[[9, 59]])
        asked = sparse.vstack([some[:3], sparse.csr_matrix((2, 60)), unknown, some[3:10]]).tocsr()
        ids, scores = model.recommend(asked, N=6)
        full = model.predict(asked)
        np.testing.assert_allclose(np.take_along_axis(full, ids, 1), scores, rtol=1e-4, atol=1e-5)
        for row in (3, 4, 5, 6):
            assert len(np.unique(scores[row])) > 1 or len(np.unique(popularity[ids[row]])) == 1
            if self.answers_strangers_by_popularity:
                np.testing.assert_array_equal(ids[row], ranking[:6])
                np.testing.assert_allclose(full[row], popularity / len(some.indptr[1:]), rtol=1e-6)
            allowed, _ = model.recommend(asked[[row]], N=3, items=[7, 8, 20])
            assert allowed[0].tolist() == sorted([7, 8, 20], key=lambda item: (-full[row, item], item))
        alone = np.delete(np.arange(asked.shape[0]), [3, 4, 5, 6])
        others_ids, others_scores = model.recommend(asked[alone], N=6)
        np.testing.assert_array_equal(others_ids, ids[alone])
        np.testing.assert_allclose(others_scores, scores[alone], rtol=1e-5, atol=1e-6)

    answers_strangers_by_popularity = False  # whether the model has no answer of its own

    def make_on(self, device: str) -> Any:
        return self.make(device=device)

    # --- scikit-learn ---------------------------------------------------------------------------------------------

    def test_scikit_learn(self, train: sparse.csr_matrix) -> None:
        pytest.importorskip("sklearn")
        from sklearn.base import clone
        from sklearn.exceptions import NotFittedError as SklearnNotFittedError
        from sklearn.model_selection import GridSearchCV, cross_val_score
        from sklearn.pipeline import make_pipeline
        from sklearn.utils.validation import check_is_fitted

        model = self.make()
        with pytest.raises(SklearnNotFittedError):
            check_is_fitted(model)
        copy = clone(model.fit(train))
        check_is_fitted(model)
        assert copy.get_params() == model.get_params()
        assert not hasattr(copy, "n_items_")
        piped = make_pipeline(copy).fit(train).predict(train)
        np.testing.assert_array_equal(piped, model.predict(train))
        known, hidden = far.split(train, (0.5, 0.5), by="random")
        assert model.score(train) == model.score(known, hidden) == far.evaluate(model, known, hidden)["NDCG"].mean
        samples, folds = far.model_selection.Samples(train), far.model_selection.UserKFold(2)
        assert (cross_val_score(model, samples, cv=folds, error_score="raise") > 0).all()
        if not self.serves_strangers:
            return
        scores = cross_val_score(model, train, cv=3, error_score="raise")
        assert scores.shape == (3,)
        assert (scores > 0).all()
        search = GridSearchCV(model, {"num_threads": [1, 2]}, cv=2, error_score="raise").fit(train)
        assert search.best_score_ > 0
        np.testing.assert_array_equal(search.predict(train), model.predict(train))

    def test_unfitted(self, train: sparse.csr_matrix, tmp_path: Any) -> None:
        model = self.make()
        for call in (
            lambda: model.recommend(train),
            lambda: model.predict(train),
            lambda: model.similar_items(0),
            lambda: model.explain(train, 0),
            lambda: model.recommend(train, popularity_discount=0.5),
            lambda: far.evaluation.popularity_tradeoff(model, train, train, [0.5]),
            lambda: model.save(tmp_path / "x.npz"),
            lambda: far.evaluate(model, train, train),
        ):
            with pytest.raises(NotFittedError, match=r"is not fitted; call fit\(user_items\) first"):
                call()

    def test_plan(self, train: sparse.csr_matrix) -> None:
        plan = self.make().plan(train)
        assert plan.peak_bytes == sum(plan.parts.values()) > 0
        assert self.make().plan((120, 60, train.nnz)) == plan
        assert "predicted peak" in str(plan)

    def test_progress_bar(self, train: sparse.csr_matrix, capsys: pytest.CaptureFixture[str]) -> None:
        model = self.make()
        model.fit(train, show_progress=True)
        assert type(model).__name__ in capsys.readouterr().err
        model.fit(train)
        assert capsys.readouterr().err == ""
