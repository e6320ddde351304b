"""Popularity, pairs of models and groups of users and items: each by hand, its table, and what it refuses."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from fastautorec.evaluation import (
    by_history_length,
    by_item_popularity,
    compare,
    compare_users,
    evaluate_ranking,
    metric_at_k,
    popularity_distribution,
)
from fastautorec.evaluation._further import gini

# Popularity of items 0 to 3: 3, 2, 0, 0. History lengths: 1, 1, 2, 1.
TRAIN = sparse.csr_matrix([[1, 0, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 0, 0]])
TEST = sparse.csr_matrix([[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0]])
LISTS = [[1, 2], [1, 3], [2, 3], [0, 2]]


def report(lists=LISTS, k=(1, 2), test=TEST, **options):
    return evaluate_ranking(lists, TRAIN, test, k=k, **options)


@pytest.fixture(scope="module")
def large():
    """Two models of 400 users: every item in random order, and the same with the test items a little further up."""
    rng = np.random.default_rng(0)
    train = rng.random((400, 60)) < 0.02 + 0.3 * np.linspace(0, 1, 60) ** 3
    train[:, 59] = True
    test = ~train & (rng.random((400, 60)) < 0.15)
    scores = rng.random((400, 60))
    orders = [np.argsort(-scores, axis=1), np.argsort(-scores - 0.2 * test, axis=1)]
    train, test = sparse.csr_matrix(train.astype(np.float32)), sparse.csr_matrix(test.astype(np.float32))
    return [evaluate_ranking(order, train, test, k=(5, 10)) for order in orders]


# --- popularity ------------------------------------------------------------------------------------------------------


def test_popularity_by_hand():
    found = popularity_distribution(report(), k=2)
    np.testing.assert_array_equal(found.popularity, [3, 2, 0, 0])
    np.testing.assert_array_equal(found.listed, [[1, 2, 3, 2]])
    np.testing.assert_array_equal(found.chosen, [1, 1, 1, 1])
    by_user = np.array([(2 + 0) / 2, (2 + 0) / 2, (0 + 0) / 2, (3 + 0) / 2])
    assert found.mean[0] == by_user.mean() == 0.875
    assert found.half_width[0] == pytest.approx(1.96 * by_user.std(ddof=1) / 2)
    assert found.median[0] == 0  # of 0 0 0 0 0 2 2 3
    assert found.gini[0] == (-3 * 1 - 1 * 2 + 1 * 2 + 3 * 3) / (4 * 8)
    assert found.coverage[0] == 1
    assert (found.chosen_mean, found.chosen_median, found.chosen_gini) == (1.25, 1, 0)

    first = popularity_distribution(report(), k=1)
    np.testing.assert_array_equal(first.listed, [[1, 2, 1, 0]])
    assert (first.mean[0], first.median[0], first.coverage[0]) == ((2 + 2 + 0 + 3) / 4, 2, 0.75)
    assert first.gini[0] == (-3 * 0 - 1 * 1 + 1 * 1 + 3 * 2) / (4 * 4)


def test_popularity_agrees_with_the_report(large):
    found = popularity_distribution(dict(zip("ab", large, strict=True)), k=10)
    for i, each in enumerate(large):
        assert found.mean[i] == each.popularity.mean
        assert found.half_width[i] == each.popularity.half_width
        assert found.coverage[i] == each.coverage
    assert found.listed.sum() == 2 * 400 * 10 - 2 * 10 * (400 - large[0].n_users)


def test_histogram_by_hand():
    found = popularity_distribution({"a": report(), "b": report([[0, 0]] * 4)}, k=2)
    edges, shares, chosen = found.histogram(bins=2)
    np.testing.assert_allclose(edges, [0, np.sqrt(5) - 1, 4])  # equal steps of log(popularity + 1) up to log 5
    np.testing.assert_allclose(shares, [[5 / 8, 3 / 8], [0, 1]])
    np.testing.assert_allclose(chosen, [0.5, 0.5])
    with pytest.raises(ValueError, match="`bins` must be >= 1"):
        found.histogram(0)


def test_empty_lists_have_no_popularity():
    found = popularity_distribution(report([[-1, -1]] * 4), k=2)
    assert np.isnan([found.mean[0], found.half_width[0], found.median[0], found.gini[0]]).all()
    assert found.coverage[0] == 0
    np.testing.assert_array_equal(found.histogram(3)[1], [[0, 0, 0]])


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=30))
def test_gini_is_the_mean_difference_over_twice_the_mean(counts):
    x = np.array(counts)
    if not x.any():
        assert np.isnan(gini(x))
        return
    assert 0 <= gini(x) < 1
    assert gini(x) == pytest.approx(np.abs(x[:, None] - x).mean() / (2 * x.mean()), abs=1e-12)
    assert gini(3 * x) == pytest.approx(gini(x))
    assert gini(np.append(x, 0)) >= gini(x) - 1e-12  # one more item that no user is shown


# --- pairs -----------------------------------------------------------------------------------------------------------


def test_users_by_hand():
    a = report([[1, 2], [2, 1], [0, 1], [1, 2]], k=1)  # finds 1, 1, 0, 0
    b = report([[1, 2], [1, 2], [0, 1], [1, 2]], k=1)  # finds 1, 0, 0, 0
    pair = compare_users(a, b, "Recall@1", names=("A", "B"))
    assert (pair.share_a, pair.share_b, pair.share_equal) == (0.25, 0, 0.75)
    np.testing.assert_array_equal(pair.a, [1, 1, 0, 0])
    want = compare(a, b)["Recall@1"]
    d = pair.difference
    assert (d.difference, d.low, d.high, d.p_value) == (0.25, want.low, want.high, want.p_value)
    assert d.p_adjusted == d.p_value  # one metric was asked for
    assert str(pair).splitlines() == [
        "Recall@1 of 4 users",
        "           mean  better for",
        "A        0.5000      25.0 %",
        "B        0.2500       0.0 %",
        "(equal)              75.0 %",
        "Difference 0.2500 ±0.7956 (95 %), p = 0.39",
    ]


def test_density_of_users(large):
    pair, mirrored = compare_users(*large), compare_users(*large[::-1])
    cell = pair.grid[1] - pair.grid[0]
    assert pair.density.sum() * cell**2 == pytest.approx(1)
    assert pair.density.min() >= 0
    assert (pair.density.sum(axis=1) * cell**2) @ pair.grid == pytest.approx(pair.a.mean(), abs=0.02)
    assert (pair.density.sum(axis=0) * cell**2) @ pair.grid == pytest.approx(pair.b.mean(), abs=0.02)
    np.testing.assert_allclose(pair.density, mirrored.density.T, atol=1e-9)
    assert (pair.share_a, pair.share_b) == (mirrored.share_b, mirrored.share_a)


def test_density_where_all_users_are_alike():
    pair = compare_users(report(), report())
    assert pair.density.sum() * (pair.grid[1] - pair.grid[0]) ** 2 == pytest.approx(1)
    nothing = report([[-1, -1]] * 4)
    pair = compare_users(nothing, nothing)
    assert pair.share_equal == 1
    assert np.isfinite(pair.density).all()


# --- buckets ---------------------------------------------------------------------------------------------------------


def test_history_length_by_hand():
    found = by_history_length(report(), "Recall@2", buckets=[1, 2, 5])
    assert found.labels == ("1", "2–4", "5")
    np.testing.assert_array_equal(found.bounds, [1, 2, 5, 6])
    np.testing.assert_array_equal(found.n_users, [3, 1, 0])  # they find 1, 0, 1; 1; no users
    np.testing.assert_allclose(found.mean, [[2 / 3, 1, np.nan]])
    half = 1.96 * np.sqrt(1 / 3) / np.sqrt(3)  # sample variance of 1, 0, 1 is 1/3
    np.testing.assert_allclose(found.half_width, [[half, np.nan, np.nan]])
    late = by_history_length(report(), "Recall@2", buckets=[2])
    np.testing.assert_array_equal(late.n_users, [1])  # shorter histories are left out


def test_buckets_of_equal_size(large):
    found = by_history_length({"a": large[0], "b": large[1]}, buckets=4)
    assert found.mean.shape == (2, len(found.n_users))
    assert found.n_users.sum() == large[0].n_users
    assert (found.mean * found.n_users).sum(axis=1) / found.n_users.sum() == pytest.approx(
        [each["NDCG"].mean for each in large]
    )
    everybody = by_history_length(large[0], buckets=1)
    assert everybody.mean[0, 0] == pytest.approx(large[0]["NDCG"].mean)
    assert everybody.half_width[0, 0] == pytest.approx(large[0]["NDCG"].half_width)
    assert len(by_history_length(report(), "Recall@1", buckets=50).labels) == 2  # there are two lengths


def test_item_popularity_by_hand():
    test = sparse.csr_matrix([[0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0]])
    found = by_item_popularity(report(test=test), k=2, buckets=[0, 1])  # rare: items 2 and 3
    assert found.labels == ("0", "1–3")
    np.testing.assert_array_equal(found.n_items, [2, 2])
    np.testing.assert_array_equal(found.n_test, [3, 2])
    np.testing.assert_allclose(found.recall, [[2 / 3, 1]])  # users 0 and 2 find theirs, user 1 does not
    np.testing.assert_allclose(found.hit_share, [[2 / 4, 2 / 4]])
    np.testing.assert_allclose(found.list_share, [[5 / 8, 3 / 8]])
    # residuals hits - recall × wanted of the four users: 1/3, -2/3, 1/3, 0
    error = np.sqrt((1 / 9 + 4 / 9 + 1 / 9) * 4 / 3) / 3
    np.testing.assert_allclose(found.half_width, [[1.96 * error, 0]])
    assert by_item_popularity(report(test=test), k=1, buckets=[0, 1]).recall.tolist() == [[0, 1]]
    late = by_item_popularity(report(test=test), k=2, buckets=[1])
    np.testing.assert_allclose([late.hit_share[0, 0], late.list_share[0, 0]], [2 / 4, 3 / 8])


def test_a_bucket_without_test_items():
    found = by_item_popularity(report(), k=2, buckets=[0, 1, 9])
    assert found.labels == ("0", "1–8", "9")
    np.testing.assert_array_equal(found.n_test, [2, 2, 0])
    assert np.isnan(found.recall[0, 2])
    assert np.isnan(found.half_width[0, 2])


def test_item_popularity_in_one_bucket_is_the_share_of_all_hits(large):
    found = by_item_popularity(large[1], k=10, buckets=1)
    hits = (large[1]["Recall@10"].per_user * large[1].n_test_items).sum()
    assert found.recall[0, 0] == pytest.approx(hits / large[1].n_test_items.sum())
    several = by_item_popularity(large[1], k=10, buckets=4)
    np.testing.assert_allclose([several.hit_share.sum(), several.list_share.sum()], 1)
    assert several.n_items.sum() == 60
    assert several.n_test.sum() == large[1].n_test_items.sum()
    assert several.n_test.max() < 2 * several.n_test.min()


def test_interval_of_item_popularity_is_that_of_drawing_users(large, rng):
    each = large[1]
    found = by_item_popularity(each, k=10, buckets=[0, 20])
    users = np.repeat(np.arange(each.n_users), each.n_test_items)
    rare = each.item_popularity[each.ranks.items] < 20
    hit = (each.ranks.ranks > 0) & (each.ranks.ranks <= 10)
    wanted, hits = (np.bincount(users[keep], minlength=each.n_users) for keep in (rare, rare & hit))
    draws = rng.integers(each.n_users, size=(2000, each.n_users))
    recalls = hits[draws].sum(axis=1) / wanted[draws].sum(axis=1)
    assert found.half_width[0, 0] == pytest.approx(1.96 * recalls.std(), rel=0.1)


# --- what all of them have -------------------------------------------------------------------------------------------

ANALYSES = {
    "popularity": lambda reports: popularity_distribution(reports, k=5),
    "history": by_history_length,
    "items": lambda reports: by_item_popularity(reports, k=5),
    "at k": metric_at_k,
    "users": lambda reports: compare_users(*reports.values(), names=tuple(reports)),
}


@pytest.mark.parametrize("name", ANALYSES)
def test_tables_and_frames(large, name, monkeypatch):
    found = ANALYSES[name](dict(zip(("model A", "model B"), large, strict=True)))
    assert "model A" in str(found)
    assert "model B" in repr(found)
    lines = [line.rstrip() for line in str(found).splitlines()]
    assert max(map(len, lines)) < 120
    pytest.importorskip("pandas", reason="to_frame needs pandas")
    assert len(found.to_frame()) >= 2
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        found.to_frame()


@pytest.mark.parametrize("name", sorted(set(ANALYSES) - {"users"}))
def test_reports_that_cannot_be_compared(large, name):
    analyse = ANALYSES[name]
    with pytest.raises(TypeError, match="`reports` must be a dict of reports, got list"):
        analyse([large[0]])
    with pytest.raises(ValueError, match="at least one report"):
        analyse({})
    with pytest.raises(TypeError, match="got str for 'a'"):
        analyse({"a": "report"})
    with pytest.raises(ValueError, match=r"one definition, got 'standard' of 'a' and 'paper' of 'b'"):
        analyse({"a": large[0], "b": large[0].at(definition="paper")})
    with pytest.raises(ValueError, match="the same train and test data, got 'a' and 'b' that differ"):
        analyse({"a": large[0], "b": report()})
    other = sparse.csr_matrix(TEST.toarray()[:, [2, 3, 0, 1]])  # the same numbers of test items
    with pytest.raises(ValueError, match="that differ"):
        analyse({"a": report(), "b": report(test=other)})


def test_other_bad_input(large):
    for analyse in (popularity_distribution, by_item_popularity):
        with pytest.raises(ValueError, match=r"`k` must be at most 10, .* got 11"):
            analyse(large[0], k=11)
        with pytest.raises(TypeError, match="`k` must be an integer"):
            analyse(large[0], k=2.0)
    for analyse in (by_history_length, by_item_popularity):
        with pytest.raises(ValueError, match="`buckets` must be ascending"):
            analyse(large[0], buckets=[1, 5, 5])
        with pytest.raises(ValueError, match="`buckets` must be ascending"):
            analyse(large[0], buckets=[])
        with pytest.raises(ValueError, match="`buckets` must be >= 1"):
            analyse(large[0], buckets=0)
        with pytest.raises(TypeError, match="`buckets` must be a number or a sequence"):
            analyse(large[0], buckets=2.5)
        with pytest.raises(TypeError, match="`buckets` must be an integer"):
            analyse(large[0], buckets=[0.5, 2])
    with pytest.raises(
        ValueError, match=r"`metric` must be one of R-Precision, .* MRR@K, .* got 'MRR' \(the report 'model'\)"
    ):
        by_history_length(large[0], "MRR")
    with pytest.raises(ValueError, match=r"got 'MRR' \(the report 'a'\)"):
        compare_users(*large, metric="MRR")
    with pytest.raises(ValueError, match=r"`names` must be two names, got \('a',\)"):
        compare_users(*large, names=("a",))
    with pytest.raises(TypeError, match="`report_b` must be a report"):
        compare_users(large[0], None)
    with pytest.raises(ValueError, match="the same k"):
        compare_users(report(), large[0])
