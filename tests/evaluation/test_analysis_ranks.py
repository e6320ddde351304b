"""The ranks that reports keep: by hand, against whole lists, and Report.at against a fresh evaluation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from item_model import ItemModel
from scipy import sparse

from fastautorec.evaluation import evaluate, evaluate_ranking, popularity_distribution

DEFINITIONS = ("standard", "paper")


def random_data(seed, n_users=70, n_items=30):
    """Disjoint train and test with rows of every length, some without either."""
    rng = np.random.default_rng(seed)
    draw = rng.random((n_users, n_items))
    train, test = draw < 0.15, draw > 1 - rng.uniform(0, 0.6, (n_users, 1))
    train[:3], test[2:5] = False, False
    weight = rng.integers(-3, 4, (n_items, n_items))  # whole numbers: exact sums, many ties
    return sparse.csr_matrix(train.astype(np.float32)), sparse.csr_matrix(test.astype(np.float32)), weight


def assert_same(got, want):
    assert list(got) == list(want)
    for name in want:
        np.testing.assert_allclose(got[name].per_user, want[name].per_user, rtol=1e-12, err_msg=name)
        assert got[name].half_width == pytest.approx(want[name].half_width, rel=1e-9, nan_ok=True)
    np.testing.assert_array_equal(got.popularity.per_user, want.popularity.per_user)
    np.testing.assert_array_equal(got.ranks.ranks, want.ranks.ranks)
    np.testing.assert_array_equal(got.ranks.lengths, want.ranks.lengths)
    np.testing.assert_array_equal(got.heads, want.heads)
    assert (got.coverage, got.notes, got.k, got.definition) == (want.coverage, want.notes, want.k, want.definition)
    assert got.popularity.name == want.popularity.name


def test_ranks_by_hand():
    # user 0 has items 1, 3 and 4 to find, user 2 item 0; user 1 has nothing to find
    train = sparse.csr_matrix([[1, 0, 0, 0, 0], [1, 0, 0, 0, 0], [0, 1, 0, 0, 0]])
    test = sparse.csr_matrix([[0, 1, 0, 1, 1], [0, 0, 0, 0, 0], [1, 0, 0, 0, 0]])
    lists = [[4, 2, 1], [2, 3, 4], [-1, 3, 0]]
    report = evaluate_ranking(lists, train, test, k=2)
    np.testing.assert_array_equal(report.ranks.indptr, [0, 3, 4])
    np.testing.assert_array_equal(report.ranks.items, [1, 3, 4, 0])
    np.testing.assert_array_equal(report.ranks.ranks, [3, 0, 1, 0])  # place 3 counts for user 0 only, who has 3 items
    np.testing.assert_array_equal(report.ranks.lengths, [3, 2])
    np.testing.assert_array_equal(report.heads, [[4, 2], [-1, 3]])
    np.testing.assert_array_equal(report.item_popularity, [2, 1, 0, 0, 0])
    np.testing.assert_array_equal(report.history_lengths, [1, 1])
    paper = evaluate_ranking(lists, train, test, k=2, definition="paper")
    np.testing.assert_array_equal(paper.ranks.ranks, [0, 0, 1, 0])
    assert paper.ranks.ranks.dtype == paper.ranks.items.dtype == paper.heads.dtype == np.int32


def test_a_repeated_id_has_its_first_place():
    train, test = sparse.csr_matrix([[1, 0, 0, 0]]), sparse.csr_matrix([[0, 1, 0, 1]])
    report = evaluate_ranking([[3, 2, 3, 1, 3, 1]], train, test, k=4)
    np.testing.assert_array_equal(report.ranks.ranks, [4, 1])


def test_what_a_report_keeps_cannot_be_changed():
    train, test, weight = random_data(0)
    report = evaluate(ItemModel(weight), train, test, k=5)
    for array in (report.ranks.ranks, report.ranks.items, report.heads, report.item_popularity):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


@pytest.mark.parametrize("device", ["cpu", "reference"])
@pytest.mark.parametrize("threads", [1, 4])
def test_ranks_are_the_places_in_the_lists(device, threads):
    train, test, weight = random_data(1)
    report = evaluate(ItemModel(weight, device, threads), train, test, k=(5, 10))
    scores = np.where(train.toarray() > 0, -np.inf, train.toarray() @ weight)
    order = np.argsort(-scores, axis=1, kind="stable")
    for u, user in enumerate(report.users):
        items = test[user].indices
        place = np.argmax(order[user][None, :] == items[:, None], axis=1) + 1
        entries = slice(report.ranks.indptr[u], report.ranks.indptr[u + 1])
        length = max(10, len(items))
        np.testing.assert_array_equal(report.ranks.items[entries], items)
        np.testing.assert_array_equal(report.ranks.ranks[entries], np.where(place <= length, place, 0))
        assert report.ranks.lengths[u] == length


@pytest.mark.parametrize("k", [(3,), (1, 4, 12), 7])
@pytest.mark.parametrize("definition", DEFINITIONS)
def test_at_is_a_fresh_evaluation(definition, k):
    train, test, weight = random_data(2)
    model = ItemModel(weight)
    report = evaluate(model, train, test, k=(5, 12))
    assert_same(report.at(k, definition), evaluate(model, train, test, k, definition))
    assert_same(report.at(k), evaluate(model, train, test, k))
    paper = evaluate(model, train, test, k=12, definition="paper")
    assert_same(paper.at(k), evaluate(model, train, test, k, "paper"))
    assert_same(report.at(), report)


@pytest.mark.parametrize("device", ["reference", "cpu"])
@pytest.mark.parametrize("definition", DEFINITIONS)
def test_at_of_ready_made_lists_of_any_quality(device, definition, rng):
    train, test, _ = random_data(3)
    lists = rng.integers(-1, 30, (70, 15))  # repeated ids, empty places, training items
    report = evaluate_ranking(lists, train, test, k=15, device=device)
    assert len(report.notes) == 2  # training items, lists too short for R-Precision
    assert_same(report.at((2, 9), definition), evaluate_ranking(lists, train, test, (2, 9), definition, device=device))


def test_standard_from_paper_where_no_user_has_more_test_items_than_places():
    train, test, weight = random_data(4)
    longest = int(np.diff(test.indptr).max())
    paper = evaluate(ItemModel(weight), train, test, k=longest, definition="paper")
    assert_same(paper.at(4, "standard"), evaluate(ItemModel(weight), train, test, k=4))
    short = evaluate(ItemModel(weight), train, test, k=longest - 1, definition="paper")
    with pytest.raises(ValueError, match=rf"needs lists of {longest} for R-Precision.* has kept {longest - 1}"):
        short.at(definition="standard")


def test_heads_of_long_lists_are_kept_up_to_a_hundred_places():
    train, test = (sparse.csr_matrix(np.roll(np.eye(2, 150), shift, axis=1)) for shift in (0, 140))
    report = evaluate_ranking(np.tile(np.arange(149, -1, -1), (2, 1)), train, test, k=(5, 150))
    assert report.heads.shape == (2, 100)
    np.testing.assert_array_equal(report.ranks.ranks, [10, 9])
    assert report.at(k=120)["Recall@120"].mean == 1
    with pytest.raises(ValueError, match=r"at most 100, .* of which up to 100 places are kept"):
        popularity_distribution(report, k=101)


def test_what_at_cannot_give():
    train, test, weight = random_data(5)
    report = evaluate(ItemModel(weight), train, test, k=(5, 10))
    with pytest.raises(ValueError, match=r"`k` must be at most 10, .* got 11; evaluate with the largest k"):
        report.at(k=(3, 11))
    with pytest.raises(ValueError, match="`definition` must be one of"):
        report.at(definition="other")
    with pytest.raises(TypeError, match="`k` must be an integer"):
        report.at(k=2.5)
    with pytest.raises(ValueError, match="`k` must be between 1 and"):
        report.at(k=0)


@settings(max_examples=40)
@given(st.data())
def test_metrics_follow_from_the_ranks(data):
    n_users, n_items, length = data.draw(st.integers(1, 6)), data.draw(st.integers(2, 9)), data.draw(st.integers(1, 9))
    cells = st.lists(st.sampled_from([0, 1, 2]), min_size=n_items, max_size=n_items)  # nothing, train, test
    kinds = np.array([[1, 2, *data.draw(cells)] for _ in range(n_users)])
    ids = st.integers(-1, n_items + 1)
    lists = np.array([data.draw(st.lists(ids, min_size=length, max_size=length)) for _ in range(n_users)])
    train, test = (sparse.csr_matrix((kinds == kind).astype(np.float32)) for kind in (1, 2))
    k = data.draw(st.integers(1, min(length, n_items + 2)))
    report = evaluate_ranking(lists, train, test, k=k)
    ranks = np.split(report.ranks.ranks, report.ranks.indptr[1:-1])
    hits = np.array([((r > 0) & (r <= k)).sum() for r in ranks])
    np.testing.assert_allclose(report[f"Precision@{k}"].per_user, hits / k)
    np.testing.assert_allclose(report[f"Recall@{k}"].per_user, hits / report.n_test_items)
    for r, length_of_user in zip(ranks, report.ranks.lengths, strict=True):
        listed = r[r > 0]
        assert len(np.unique(listed)) == len(listed)  # a place holds one item
        assert (listed <= length_of_user).all()
    for definition in DEFINITIONS:
        assert_same(report.at(k, definition), evaluate_ranking(lists, train, test, k, definition))
