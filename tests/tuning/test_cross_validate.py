"""Models over several splits: pooled by user, fitted anew, the same each time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import sparse

import fastautorec as far

FEW = far.datasets.synthetic(120, 40, 1500, random_state=0)
K = (5, 10)


def by_hand():
    """Return two folds of four items, which a list of popular items answers as the test below says.

    In both, users 0 and 1 have items of which 0 is the most popular; user 2 is tested in the second fold only.
    """
    first = (
        sparse.csr_matrix([[0, 1, 0, 0], [1, 0, 0, 0], [1, 0, 0, 1]]),
        sparse.csr_matrix([[1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]),
    )
    second = (
        sparse.csr_matrix([[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0]]),
        sparse.csr_matrix([[0, 0, 0, 1], [0, 0, 1, 0], [0, 1, 0, 0]]),
    )
    return [first, second]


def test_users_are_pooled_over_their_folds():
    result = far.cross_validate(far.Popularity(), folds=by_hand(), k=1)
    pooled = result["Popularity()"]
    # fold 1: counts 2, 1, 0, 1. User 0 gets item 0, a hit; user 1 gets item 1 (of equals the first), a miss.
    # fold 2: counts 3, 1, 0, 0. User 0 gets item 1, user 1 item 2, a hit, user 2 item 1, a hit.
    assert [report["Recall@1"].per_user.tolist() for report in pooled.reports] == [[1, 0], [0, 1, 1]]
    metric = pooled["Recall@1"]
    assert (pooled.users.tolist(), metric.per_user.tolist()) == ([0, 1, 2], [0.5, 0.5, 1])
    assert metric.mean == pytest.approx(2 / 3)
    assert metric.half_width == pytest.approx(1.96 * np.std([0.5, 0.5, 1], ddof=1) / math.sqrt(3))
    assert pooled.popularity.per_user.tolist() == [(2 + 1) / 2, (1 + 0) / 2, 1]


def test_each_interaction_is_tested_once():
    seen = []

    class Spy(far.Popularity):
        def fit(self, user_items, *given, **options):
            seen.append(user_items)
            return super().fit(user_items, *given, **options)

    far.cross_validate(Spy(), FEW, folds=4, k=5)
    tests = [FEW - train for train in seen]
    assert len(tests) == 4
    assert (sum(tests) != FEW).nnz == 0
    stored = np.array([(test.toarray() > 0).sum(axis=1) for test in tests])
    assert (np.ptp(stored, axis=0) <= 1).all()  # equal parts, up to one interaction
    assert np.ptp(stored.sum(axis=1)) < 0.2 * stored.sum() / 4  # and not all users' odd ones in the first


def test_models_are_fitted_anew_and_stay_as_they_are():
    rng = np.random.default_rng(3)
    models = {
        "unfitted": far.EASE(20),
        "fitted": far.EASE(20).fit(FEW),
        "drawn": far.NCEAutoRec(factors=4, random_state=rng),
        "default": far.NCEAutoRec(),
    }
    before = rng.bit_generator.state["state"]["state"]
    lists = models["fitted"].recommend(FEW)[1]
    one = far.cross_validate(models, FEW, folds=2, k=K)
    two = far.cross_validate(models, FEW, folds=2, k=K)
    assert not hasattr(models["unfitted"], "n_items_")
    assert rng.bit_generator.state["state"]["state"] == before
    assert (models["fitted"].recommend(FEW)[1] == lists).all()
    for name in models:
        assert [r.to_dict() for r in one[name].reports] == [r.to_dict() for r in two[name].reports]
    for metric in one["fitted"]:
        assert one["fitted"][metric].per_user.tobytes() == one["unfitted"][metric].per_user.tobytes()
    other = far.cross_validate(models["unfitted"], FEW, folds=2, k=K, random_state=1)
    assert other["EASE(regularization=20)"]["NDCG"].mean != one["unfitted"]["NDCG"].mean


def test_reports_are_those_of_evaluate():
    train, test = far.split(FEW, (0.8, 0.2), by="random")
    for definition in ("standard", "paper"):
        expected = far.evaluate(far.EASE(20).fit(train), train, test, k=K, definition=definition)
        pooled = far.cross_validate({"EASE": far.EASE(20)}, folds=[(train, test)], k=K, definition=definition)["EASE"]
        assert pooled.reports[0].to_dict() == expected.to_dict()
        for name, metric in expected.items():
            assert pooled[name].per_user.tobytes() == metric.per_user.tobytes()
            assert (pooled[name].mean, pooled[name].half_width) == (metric.mean, metric.half_width)


def test_further_metrics_are_pooled_by_user():
    train, test = far.split(FEW, (0.8, 0.2), by="random")
    pooled = far.cross_validate({"EASE": far.EASE(20)}, folds=[(train, test), (train, train)], k=K)["EASE"]
    values = np.full((2, FEW.shape[0]), np.nan)
    for own, report in zip(values, pooled.reports, strict=True):
        own[report.users] = report.metric(f"MRR@{K[0]}").per_user
    assert 0 < np.isnan(values[0, pooled.users]).sum() < pooled.n_users  # some users are in one fold only
    np.testing.assert_allclose(pooled.metric(f"MRR@{K[0]}").per_user, np.nanmean(values, axis=0)[pooled.users])
    np.testing.assert_array_equal(pooled.metric("NDCG").per_user, pooled["NDCG"].per_user)
    with pytest.raises(ValueError, match="MRR"):
        pooled.metric("MRR@9999")


def test_comparisons():
    models = {"EASE": far.EASE(20), "popularity": far.Popularity(), "again": far.EASE(20)}
    result = far.cross_validate(models, FEW, folds=3, k=K)
    comparison = result.compare("EASE", "popularity")
    a, b = (result[name]["NDCG"].per_user for name in ("EASE", "popularity"))
    assert comparison["NDCG"].difference == pytest.approx((a - b).mean())
    assert comparison["NDCG"].low > 0
    assert str(comparison).startswith("No difference between EASE and popularity is shown: NDCG +")
    assert comparison.n_users == result["EASE"].n_users == 120
    assert set(comparison) == set(result["EASE"])
    same = result.compare("EASE", "again")
    assert (same["NDCG"].difference, same["NDCG"].p_adjusted) == (0, 1)
    one_fold = far.split(FEW, (0.8, 0.2), by="random")
    pair = far.cross_validate([far.EASE(20), far.Popularity()], folds=[one_fold], k=K)
    expected = far.compare(*(own.reports[0] for own in pair.values()))
    assert {name: pair.compare()[name] for name in expected} == dict(expected)
    for names in ((), ("EASE",), ("EASE", "EAS")):
        with pytest.raises(ValueError, match="must name one of the models, EASE, popularity, again, got"):
            result.compare(*names)


@pytest.mark.filterwarnings("ignore:window")
def test_windows_are_folds():
    data = far.Interactions(
        FEW, [f"u{i}" for i in range(120)], timestamps=np.random.default_rng(0).permutation(FEW.nnz)
    )
    result = far.cross_validate(far.Popularity(), folds=far.rolling(data, 300, 3), k=K)["Popularity()"]
    pairs = list(far.rolling(data, 300, 3))
    assert [report.n_users for report in result.reports] == [
        far.evaluate(far.Popularity().fit(train), train, test, k=K).n_users for train, test in pairs
    ]
    shuffled = [pairs[0], tuple(part.with_users(data.user_ids[::-1]) for part in pairs[1]), pairs[2]]
    moved = far.cross_validate(far.Popularity(), folds=shuffled, k=K)["Popularity()"]
    assert moved["NDCG"].per_user.tobytes() == result["NDCG"].per_user.tobytes()


def test_text_and_bar(capsys):
    result = far.cross_validate({"A": far.Popularity(), "B": far.EASE(20)}, FEW, folds=2, k=5, show_progress=True)
    assert "4/4" in capsys.readouterr().err
    lines = str(result).splitlines()
    assert lines[0] == "2 folds, 120 users; 95 % intervals over users' means of their folds"
    assert [line.split()[0] for line in lines[1:]] == ["NDCG", "A", "B"]
    assert f"{result['A']['NDCG'].mean:.4f} ±{result['A']['NDCG'].half_width:.4f}" in lines[2]
    assert repr(result) == "<CrossValidation of A, B>"
    assert repr(result["A"]).startswith("<PooledReport of 2 folds, 120 users, NDCG 0.")


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"models": far.EASE, "data": FEW}, TypeError, r"recommenders of this library, such as EASE\(\), got"),
        ({"models": [], "data": FEW}, ValueError, "`models` must hold at least one"),
        ({"models": [far.EASE(), far.EASE()], "data": FEW}, ValueError, r"must differ, got EASE\(\) twice; name them"),
        ({"models": {1: far.EASE()}, "data": FEW}, TypeError, "must have texts for names, got 1"),
        ({"data": FEW, "folds": 1}, ValueError, "`folds` must be >= 2"),
        ({"data": FEW, "folds": "5"}, TypeError, "`folds` must be an integer"),
        ({"data": None}, TypeError, "`data`"),
        ({"data": FEW, "folds": [(FEW, FEW)]}, ValueError, "`data` must be None where `folds` are splits already"),
        ({"folds": []}, ValueError, "`folds` must hold at least one pair"),
        ({"folds": [FEW]}, TypeError, "`folds` must be pairs of training and test data, got .* as no. 1"),
        ({"data": FEW, "k": 0}, ValueError, "`k`"),
        ({"data": FEW, "definition": "own"}, ValueError, "`definition` must be one of"),
        ({"data": FEW, "show_progress": 1}, TypeError, "`show_progress` must be True or False"),
        ({"data": sparse.csr_matrix((3, 4))}, ValueError, "`data`"),
    ],
)
def test_bad_input(given, error, message):
    with pytest.raises(error, match=message):
        far.cross_validate(**{"models": far.EASE()} | given)


def test_folds_of_other_data():
    train, test = far.split(FEW, (0.8, 0.2), by="random")
    with pytest.raises(ValueError, match="`train of fold 2` must have the shape of `train of fold 1`"):
        far.cross_validate(far.Popularity(), folds=[(train, test), (train[:50], test[:50])], k=5)
    named = [far.Interactions(part, user_ids=[f"u{i}" for i in range(120)]) for part in (train, test)]
    others = [far.Interactions(part, user_ids=[f"v{i}" for i in range(120)]) for part in (train, test)]
    with pytest.raises(ValueError, match="`train of fold 2` has other users than `train of fold 1`"):
        far.cross_validate(far.Popularity(), folds=[named, others], k=5)
