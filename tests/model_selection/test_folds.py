"""Interactions as samples: what scikit-learn does with them is what `split`, `fit` and `evaluate` do."""

from __future__ import annotations

import pickle
import sys
from functools import partial
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import fastautorec as far
from fastautorec.model_selection import Samples, Scorer, UserKFold

DATA = far.datasets.synthetic(120, 60, 1500, random_state=1)
NAMED = far.Interactions(DATA, [f"u{u}" for u in range(120)], [f"i{i}" for i in range(60)])


def parts_of(samples: Samples, chosen: Any) -> sparse.csr_matrix:
    """Return the matrix of some samples, which are the entries of the data in a drawn order."""
    coo, entries = DATA.tocoo(), samples._chosen[chosen]
    return sparse.csr_matrix((coo.data[entries], (coo.row[entries], coo.col[entries])), DATA.shape)


@pytest.mark.parametrize("data", [DATA, NAMED, DATA.tocsc()])
def test_a_part_is_the_matrix_of_its_interactions(data: Any, rng: np.random.Generator) -> None:
    samples, chosen = Samples(data), np.sort(rng.permutation(1500)[:700])
    mask = np.zeros(1500, bool)
    mask[chosen] = True
    assert (len(samples), samples.shape) == (1500, (1500,))
    for key in (chosen, chosen.tolist(), mask, (chosen, ...), rng.permutation(chosen)):
        part = samples[key]
        assert len(part) == 700
        assert (part._csr.to_scipy() != parts_of(samples, chosen)).nnz == 0
        assert (part._rest()._csr.to_scipy() != parts_of(samples, ~mask)).nnz == 0
    half = samples[chosen][:350]
    assert (half._csr.to_scipy() != parts_of(samples, chosen[:350])).nnz == 0
    assert len(half._rest()) == 1150
    assert repr(half) == "<Samples: 350 of 1,500 interactions of 120 users and 60 items>"
    with pytest.raises(IndexError):
        samples[[1500]]


@pytest.mark.parametrize("n_splits", [2, 3, 7])
def test_every_fold_has_its_share_of_each_history(n_splits: int) -> None:
    samples, folds = Samples(DATA), UserKFold(n_splits, random_state=3)
    seen, lengths = np.zeros(1500, int), np.diff(DATA.indptr)
    assert folds.get_n_splits() == n_splits
    sizes = []
    for train, test in folds.split(samples):
        np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(1500))
        seen[test] += 1
        held_out = samples[test]._csr.row_lengths()
        assert (held_out >= lengths // n_splits).all()
        assert (held_out <= -(-lengths // n_splits)).all()
        sizes.append(len(test))
    assert (seen == 1).all()
    assert max(sizes) - min(sizes) < 1500 / n_splits / 4  # no fold has all the odd ones
    again = list(UserKFold(n_splits, random_state=3).split(samples))
    for (train, test), (other_train, other_test) in zip(folds.split(samples), again, strict=True):
        np.testing.assert_array_equal(train, other_train)
        np.testing.assert_array_equal(test, other_test)
    other = next(iter(UserKFold(n_splits, random_state=4).split(samples)))
    assert len(other[1]) != sizes[0] or (other[1] != next(iter(again))[1]).any()


@pytest.mark.parametrize("data", [DATA, NAMED])
@pytest.mark.parametrize("metric", ["NDCG", "Recall@5", "MRR@10"])
def test_scores_are_those_of_evaluate(data: Any, metric: str) -> None:
    samples = Samples(data)
    train, test = next(UserKFold(4).split(samples))
    model = far.PureSVD(factors=4).fit(samples[train])
    matrices = parts_of(samples, train), parts_of(samples, test)
    plain = far.PureSVD(factors=4).fit(matrices[0])
    np.testing.assert_array_equal(model.predict(data), plain.predict(DATA))
    expected = far.evaluate(plain, *matrices, k=(5, 10, 50)).metric(metric).mean
    assert Scorer(metric)(model, samples[test]) == expected
    if metric == "NDCG":
        assert model.score(samples[test]) == Scorer()(model, samples[test]) == expected
        assert Scorer()(plain, DATA) == plain.score(DATA)
        assert Scorer()(plain, *matrices) == expected
    assert (model.item_ids_ is None) == (data is DATA)


def test_cross_validation_and_searches_of_scikit_learn() -> None:
    selection = pytest.importorskip("sklearn.model_selection")
    samples, folds = Samples(NAMED), UserKFold(3)
    model = far.EASE()
    scores = selection.cross_val_score(model, samples, cv=folds, scoring=Scorer("NDCG@10"), error_score="raise")
    for score, (train, test) in zip(scores, folds.split(samples), strict=True):
        fitted = far.EASE().fit(parts_of(samples, train))
        report = far.evaluate(fitted, parts_of(samples, train), parts_of(samples, test), k=10)
        assert score == report["NDCG@10"].mean
    grid = {"regularization": [1.0, 100.0, 1e6]}
    search = selection.GridSearchCV(model, grid, cv=folds, error_score="raise", n_jobs=2).fit(samples)
    own = {}
    for value in grid["regularization"]:
        own[value] = np.mean(selection.cross_val_score(far.EASE(value), samples, cv=folds))
    assert search.best_params_["regularization"] == max(own, key=lambda value: own[value])
    assert search.best_score_ == pytest.approx(max(own.values()))
    whole = far.EASE(search.best_params_["regularization"]).fit(NAMED)
    np.testing.assert_array_equal(search.best_estimator_.predict(NAMED), whole.predict(NAMED))
    several = selection.cross_validate(
        model, samples, cv=folds, scoring={"recall": Scorer("Recall@5"), "auc": Scorer("AUC@50")}, error_score="raise"
    )
    assert (several["test_recall"] > 0).all()
    assert (several["test_auc"] > 0.5).all()


def test_folds_of_consecutive_samples_have_their_share_of_each_history() -> None:
    samples, lengths = Samples(DATA), np.diff(DATA.indptr)
    np.testing.assert_array_equal(np.sort(samples._chosen), np.arange(1500))
    for start in range(0, 1500, 300):
        held_out = samples[start : start + 300]._csr.row_lengths()
        assert (np.abs(held_out - lengths / 5) < 2).all()
    selection = pytest.importorskip("sklearn.model_selection")
    plain = selection.cross_val_score(far.EASE(10), samples, cv=5, error_score="raise")
    dealt = selection.cross_val_score(far.EASE(10), samples, cv=UserKFold(5), error_score="raise")
    assert plain.mean() == pytest.approx(dealt.mean(), abs=0.03)


def test_users_without_a_history_are_not_what_a_score_is_of() -> None:
    samples = Samples(DATA)
    half = np.flatnonzero(samples._users() < 60)
    model = far.PureSVD(4).fit(samples[np.setdiff1d(np.arange(1500), half)])
    for score in (model.score, partial(Scorer("MRR@5"), model)):
        with pytest.raises(ValueError, match=r"60 of the 60 users to test on have no other .*cv=UserKFold"):
            score(samples[half])


def test_they_go_to_other_processes() -> None:
    samples = pickle.loads(pickle.dumps(Samples(NAMED)[:100]))
    assert len(samples) == 100
    assert samples.item_ids.tolist() == NAMED.item_ids.tolist()
    assert repr(pickle.loads(pickle.dumps([Scorer("MRR@3"), UserKFold(2)]))) == (
        "[Scorer('MRR@3'), UserKFold(n_splits=2, random_state=0)]"
    )


def test_scikit_learn_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    samples = Samples(DATA)
    for train, test in UserKFold(2).split(samples):
        assert Scorer()(far.Popularity().fit(samples[train]), samples[test]) > 0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: UserKFold(1), ValueError, "`n_splits` must be >= 2, got 1"),
        (lambda: UserKFold(2.5), TypeError, "`n_splits` must be an integer"),
        (lambda: UserKFold(2, "x"), TypeError, "`random_state` must be an integer"),
        (lambda: next(UserKFold(2).split(DATA)), TypeError, r"`X` must be Samples, got .*; pass .*Samples\(data\)"),
        (lambda: Scorer("NDGC"), ValueError, "`metric` must be 'NDCG', 'R-Precision' or one of .*MRR"),
        (lambda: Scorer(5), TypeError, "`metric` must be the name of a metric, got int"),
        (lambda: Samples(DATA.toarray()), TypeError, "`data` must be"),
        (lambda: Samples(2 * DATA), ValueError, "`data` must"),
    ],
)  # fmt: skip
def test_what_is_refused(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_no_more_folds_than_interactions() -> None:
    samples = far.model_selection.Samples(far.datasets.synthetic(5, 4, 8, random_state=0))
    with pytest.raises(ValueError, match="`n_splits`=9 is more than the 8 interactions of `X`"):
        next(far.model_selection.UserKFold(9).split(samples))


def test_interactions_are_no_array_of_samples() -> None:
    sklearn = pytest.importorskip("sklearn.model_selection", reason="scikit-learn is not installed")
    data = far.Interactions(far.datasets.synthetic(30, 20, 200, random_state=0))
    for call in (
        lambda: sklearn.train_test_split(data),
        lambda: sklearn.GridSearchCV(far.EASE(), {"regularization": [1.0]}).fit(data),
        lambda: np.asarray(data),
    ):
        with pytest.raises(TypeError, match=r"Interactions are no array: .*Samples\(data\), with cv=UserKFold\(\)"):
            call()
