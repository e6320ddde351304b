"""Further metrics of reports: against plain loops over lists, by hand, and what they refuse; comparisons in words."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import fastautorec as far
from fastautorec.evaluation import Report, compare, compare_users, evaluate_ranking, metric_at_k
from fastautorec.evaluation import _distance as distance

KINDS = ("standard", "paper")


def drawn(rng: np.random.Generator, n_items: int = 30) -> tuple[Any, Any, Any]:
    """Return training and test data without overlap, and every user's candidates in random order."""
    train = rng.random((50, n_items)) < np.linspace(0, 0.5, n_items) ** 2
    train[:, -1] = True
    test = ~train & (rng.random((50, n_items)) < 0.1)
    lists = np.full((50, n_items), -1)
    for user, seen in enumerate(train):
        candidates = rng.permutation(np.flatnonzero(~seen))
        lists[user, : len(candidates)] = candidates
    return *(sparse.csr_matrix(part.astype(np.float32)) for part in (train, test)), lists


def by_loops(items: list[int], train: Any, user: int, wanted: set[int], k: int) -> dict[str, float]:
    """Return the metrics of one list as the definitions say."""
    n_items, n_users = train.shape[1], train.shape[0]
    popularity = train.sum(axis=0)
    top = [item for item in items[:k] if item >= 0]
    ranks = [place for place, item in enumerate(top, 1) if item in wanted]
    others = set(range(n_items)) - set(np.flatnonzero(train[user])) - wanted
    unlisted = len(others - set(top))
    pairs = 0.0
    for item in wanted:
        for other in others:
            if item in top:
                pairs += other not in top or top.index(item) < top.index(other)
            elif other not in top:
                pairs += 0.5
    assert unlisted == len(others) - (len(top) - len(ranks))
    cosines = []
    for i, j in combinations(top, 2):
        both = popularity[i] * popularity[j]
        cosines.append((train[:, i] @ train[:, j]) / math.sqrt(both) if both else 0.0)
    return {
        "MRR": 1 / ranks[0] if ranks else 0.0,
        "HitRate": float(bool(ranks)),
        "AUC": pairs / (len(wanted) * len(others)),
        "Novelty": float(np.mean([-math.log2(max(popularity[item], 1) / n_users) for item in top])),
        "Popularity": float(np.mean([popularity[item] for item in top])),
        "ILD": float(np.mean([1 - cosine for cosine in cosines])) if cosines else math.nan,
    }


@pytest.mark.parametrize("definition", KINDS)
@pytest.mark.parametrize("k", [1, 2, 7, 30])
def test_as_plain_loops(rng: np.random.Generator, k: int, definition: str) -> None:
    train, test, lists = drawn(rng)
    report = evaluate_ranking(lists, train, test, k=(1, 2, 7, 30), definition=definition)
    dense, wanted = train.toarray().astype(np.float64), test.toarray()
    expected = [
        by_loops(lists[user].tolist(), dense, user, set(np.flatnonzero(wanted[user])), k) for user in report.users
    ]
    for family in expected[0]:
        found = report.intra_list_distance(train, k) if family == "ILD" else report.metric(f"{family}@{k}")
        assert found.name == f"{family}@{k}"
        np.testing.assert_allclose(found.per_user, [row[family] for row in expected], rtol=1e-12, err_msg=family)
        known = found.per_user[~np.isnan(found.per_user)]
        count, ddof = (50, 0) if definition == "paper" else (len(known), 1)
        if len(known):
            assert found.mean == pytest.approx(known.mean())
            assert found.half_width == pytest.approx(1.96 * known.std(ddof=ddof) / math.sqrt(count))
        else:
            assert np.isnan(found.mean)


def test_the_area_of_whole_lists_is_that_of_scikit_learn(rng: np.random.Generator) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    train, test, lists = drawn(rng)
    report = evaluate_ranking(lists, train, test, k=30)
    area = report.metric("AUC@30").per_user
    for value, user in zip(area, report.users, strict=True):
        own = lists[user][lists[user] >= 0]
        truth = test.toarray()[user, own] > 0
        assert value == pytest.approx(metrics.roc_auc_score(truth, -np.arange(len(own))))


def test_from_a_model_as_from_its_lists() -> None:
    train, test = far.split(far.datasets.synthetic(120, 60, 1500, random_state=1), (0.8, 0.2), by="random")
    model = far.PureSVD(factors=5).fit(train)
    own = far.evaluate(model, train, test, k=(5, 20))
    ready = evaluate_ranking(model.recommend(train, N=60)[0], train, test, k=(5, 20))
    for name in ("MRR@5", "HitRate@20", "AUC@7", "Novelty@3", "Popularity@20"):
        np.testing.assert_array_equal(own.metric(name).per_user, ready.metric(name).per_user)
    shorter = own.at(k=5)
    np.testing.assert_array_equal(shorter.metric("AUC@5").per_user, own.metric("AUC@5").per_user)
    assert own.metric("NDCG@5") is own["NDCG@5"]
    assert own.gini == far.evaluation.popularity_distribution(own).gini[0]
    assert own.to_dict()["gini"] == own.gini


def test_nothing_can_be_wrong_where_there_are_no_others() -> None:
    report = evaluate_ranking([[1, 2]], sparse.csr_matrix([[1.0, 0, 0]]), sparse.csr_matrix([[0.0, 1, 1]]), k=2)
    assert np.isnan(report.metric("AUC@2").mean)


def test_empty_and_short_lists() -> None:
    train, test = sparse.csr_matrix(np.eye(4, 6)), sparse.csr_matrix(np.eye(4, 6, k=1))
    report = evaluate_ranking([[-1, -1], [2, -1], [4, 5], [-1, 4]], train, test, k=2)
    np.testing.assert_array_equal(report.metric("MRR@2").per_user, [0, 1, 0, 0.5])
    np.testing.assert_array_equal(report.metric("Novelty@2").per_user, [np.nan, 2, 2, 2])  # items 4 and 5: as if of one
    np.testing.assert_array_equal(report.intra_list_distance(train, 2).per_user, [np.nan, np.nan, 1, np.nan])
    assert report.metric("Novelty@2").mean == 2


def test_lists_of_nothing() -> None:
    train, test = sparse.csr_matrix(np.eye(2, 4)), sparse.csr_matrix(np.eye(2, 4, k=1))
    report = evaluate_ranking(np.full((2, 3), -1), train, test, k=3)
    assert np.isnan([report.intra_list_distance(train, 3).mean, report.metric("Novelty@3").mean, report.gini]).all()


def test_values_of_items_are_averaged_over_lists() -> None:
    train, test = sparse.csr_matrix(np.eye(2, 4)), sparse.csr_matrix(np.eye(2, 4, k=1))
    report = evaluate_ranking([[1, 2], [3, -1]], train, test, k=2)
    np.testing.assert_array_equal(report.mean_of_items(np.array([0, 10, 20, 7]), 2), [15, 7])
    with pytest.raises(ValueError, match=r"`values` must have one value for each of the 4 items, got shape \(3,\)"):
        report.mean_of_items(np.ones(3), 2)


def test_distances_in_blocks(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    train, test, lists = drawn(rng)
    report = evaluate_ranking(lists, train, test, k=9)
    whole = report.intra_list_distance(train, 9).per_user
    monkeypatch.setattr(distance, "BLOCK_PAIRS", 100)
    np.testing.assert_array_equal(report.intra_list_distance(train, 9).per_user, whole)


@pytest.fixture(scope="module")
def report() -> Report:
    train, test, lists = drawn(np.random.default_rng(0))
    return evaluate_ranking(lists, train, test, k=(5, 10))


@pytest.mark.parametrize("name", ["MRR", "MRR@", "MRR@0", "MRR@-1", "MRR@x", "MRR@²", "Recall@3", "ILD@5", "", None])
def test_unknown_metrics(report: Report, name: Any) -> None:
    with pytest.raises(ValueError, match=r"`metric` must be one of R-Precision, NDCG, .*, MRR@K, .* got "):
        report.metric(name)


def test_longer_than_kept(report: Report) -> None:
    with pytest.raises(ValueError, match="a list length of at most 10, which this report has kept, got 'MRR@11'"):
        report.metric("MRR@11")
    with pytest.raises(ValueError, match="`k` must be at most 10"):
        report.metric("Novelty@11")
    with pytest.raises(ValueError, match="`k` must be at most 10"):
        report.intra_list_distance(drawn(np.random.default_rng(0))[0], 11)


def test_distances_want_the_same_training_data(report: Report) -> None:
    train, test, _ = drawn(np.random.default_rng(0))
    for other in (test, train[:, :20], train[:49]):
        with pytest.raises(ValueError, match="`train` must be the training data of the report"):
            report.intra_list_distance(other)
    with pytest.raises(TypeError, match="`train` must be"):
        report.intra_list_distance(train.toarray())


# --- comparisons -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two() -> list[Report]:
    """Return reports of a good and a bad ranking."""
    train, test, lists = drawn(np.random.default_rng(1))
    wanted = np.take_along_axis(test.toarray(), np.maximum(lists, 0), 1) * (lists >= 0)
    good = np.take_along_axis(lists, np.argsort(-wanted, axis=1, kind="stable"), 1)
    return [evaluate_ranking(ids, train, test, k=(2, 5)) for ids in (good, lists)]


def test_the_first_line_says_what_came_out(two: list[Report]) -> None:
    result = compare(*two, names=("A", "B"))
    d = result["NDCG"]
    expected = f"A is better than B: NDCG {d.difference:+.4f} [{d.low:+.4f}, {d.high:+.4f}]"
    assert result.in_words() == str(result).splitlines()[0] == expected
    assert compare(*two[::-1], names=("B", "A")).in_words() == expected
    assert str(result).splitlines()[2].split()[:3] == ["A", "B", "A"]
    same = compare(two[0], two[0], names=("A", "A again"))
    assert same.in_words() == (
        "No difference between A and A again is shown: NDCG +0.0000 [+0.0000, +0.0000], adjusted p = 1"
    )


def test_more_popular_is_not_better() -> None:
    train, test = sparse.csr_matrix(np.triu(np.ones((6, 8)), 2)), sparse.csr_matrix(np.eye(6, 8, k=1))
    popular, rare = (evaluate_ranking(np.full((6, 1), item), train, test, k=1) for item in (7, 2))
    said = compare(rare, popular, metrics=["Popularity@1"], names=("rare", "popular")).in_words()
    assert said.startswith("popular is higher than rare: Popularity@1 +5.0000 [")


def test_further_metrics_are_compared_by_name(two: list[Report]) -> None:
    result = compare(*two, metrics=["MRR@5", "AUC@5", "MRR@5"])
    assert list(result) == ["MRR@5", "AUC@5"]
    assert result.in_words().startswith("a is better than b: MRR@5 +")
    d, one = two[0].metric("MRR@5").per_user - two[1].metric("MRR@5").per_user, result["MRR@5"]
    assert one.difference == pytest.approx(d.mean())
    assert one.p_adjusted == pytest.approx(min(2 * min(r.p_value for r in result.values()), 1))
    assert compare_users(*two, metric="HitRate@2").share_a > 0.5
    np.testing.assert_array_equal(
        metric_at_k({"A": two[0]}, "MRR").mean[0], [two[0].metric(f"MRR@{k}").mean for k in (2, 5)]
    )


def test_bad_comparisons(two: list[Report]) -> None:
    with pytest.raises(TypeError, match="`metrics` must be a sequence of names"):
        compare(*two, metrics="NDCG")
    with pytest.raises(TypeError, match="`metrics` must be a sequence of names"):
        compare(*two, metrics=5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`metrics` must name at least one metric"):
        compare(*two, metrics=[])
    with pytest.raises(ValueError, match=r"got 'MRR@6'; evaluate with the largest k that you need \(the report 'a'\)"):
        compare(*two, metrics=["MRR@6"])
    for names in ("ab", ("a",), ("a", "b", "c")):
        with pytest.raises(ValueError, match="`names` must be two names"):
            compare(*two, names=names)  # type: ignore[arg-type]
