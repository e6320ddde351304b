"""evaluate, evaluate_ranking and compare: figures, counts, printing."""

from __future__ import annotations

import json
import re
import sys

import numpy as np
import pytest
from item_model import ItemModel
from scipy import sparse, stats

import fastautorec as far
from fastautorec.data import Interactions
from fastautorec.evaluation import compare, evaluate, evaluate_ranking
from fastautorec.evaluation._compare import holm
from fastautorec.exceptions import NotFittedError
from fastautorec.models.linear import Popularity

DEVICES = ("reference", "cpu")
DEFINITIONS = ("standard", "paper")


def random_data(n_users=90, n_items=40, seed=0):
    """Disjoint train and test; some users lack one or both; test rows of very different lengths."""
    rng = np.random.default_rng(seed)
    draw = rng.random((n_users, n_items))
    share = rng.uniform(0, 0.6, (n_users, 1))
    train, test = draw < 0.15, draw > 1 - share
    train[:3], test[2:5] = False, False
    return sparse.csr_matrix(train.astype(np.float32)), sparse.csr_matrix(test.astype(np.float32))


def full_ranking(weight, train):
    """Item ids by descending score then id, training items left out, -1 padded."""
    scores = train.toarray().astype(np.float32) @ weight
    scores[train.toarray() > 0] = -np.inf
    ids = np.argsort(-scores, axis=1, kind="stable")
    return np.where(np.isinf(np.take_along_axis(scores, ids, 1)), -1, ids)


@pytest.fixture(scope="module")
def data():
    return random_data()


@pytest.fixture(scope="module")
def weight():
    return np.random.default_rng(1).integers(-3, 4, (40, 40)).astype(np.float32)  # whole numbers: exact sums, many ties


# --- evaluate and evaluate_ranking -----------------------------------------------------------------------------------


@pytest.mark.parametrize("definition", DEFINITIONS)
@pytest.mark.parametrize("device", DEVICES)
def test_evaluate_is_the_evaluation_of_the_full_ranking(data, weight, device, definition):
    train, test = data
    got = evaluate(ItemModel(weight, device), train, test, k=(3, 10), definition=definition)
    want = evaluate_ranking(full_ranking(weight, train), train, test, k=(3, 10), definition=definition, device=device)
    assert list(got) == list(want)
    for name in got:
        np.testing.assert_allclose(got[name].per_user, want[name].per_user, rtol=1e-12, err_msg=name)
    np.testing.assert_array_equal(got.popularity.per_user, want.popularity.per_user)
    assert got.coverage == want.coverage
    assert got.notes == want.notes == ()


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_any_number_of_threads_gives_the_same_bits(data, weight, definition):
    train, test = data
    results = [evaluate(ItemModel(weight, num_threads=n), train, test, k=5, definition=definition) for n in (1, 2, 7)]
    for other in results[1:]:
        assert all(np.array_equal(results[0][name].per_user, other[name].per_user) for name in other)
        assert other.to_dict() == results[0].to_dict()


def test_users_are_counted_and_keep_their_order(data, weight):
    train, test = data
    n_train, n_test = np.diff(train.indptr), np.diff(test.indptr)
    report = evaluate(ItemModel(weight), train, test, k=5)
    np.testing.assert_array_equal(report.users, np.flatnonzero((n_train > 0) & (n_test > 0)))
    np.testing.assert_array_equal(report.n_test_items, n_test[report.users])
    assert report.n_without_train == (n_train == 0).sum() > 0
    assert report.n_without_test == ((n_train > 0) & (n_test == 0)).sum() > 0
    assert report.n_users + report.n_without_train + report.n_without_test == report.n_rows == train.shape[0]
    assert report["NDCG"].per_user.shape == (report.n_users,)


def test_half_widths(data, weight):
    train, test = data
    for definition, ddof in (("standard", 1), ("paper", 0)):
        report = evaluate(ItemModel(weight), train, test, k=5, definition=definition)
        values = report["Recall@5"].per_user
        count = report.n_users if definition == "standard" else report.n_rows
        assert report["Recall@5"].mean == pytest.approx(values.mean())
        assert report["Recall@5"].half_width == pytest.approx(1.96 * values.std(ddof=ddof) / np.sqrt(count))


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_one_user_has_no_interval_in_the_standard_definition(definition):
    train, test = sparse.csr_matrix([[1, 0, 0]]), sparse.csr_matrix([[0, 1, 0]])
    metric = evaluate_ranking([[1, 2]], train, test, k=2, definition=definition)["NDCG"]
    assert metric.mean == 1
    assert np.isnan(metric.half_width) if definition == "standard" else metric.half_width == 0


@pytest.mark.parametrize("block", [7, 1 << 16])
def test_popularity_and_coverage_of_the_first_ten(data, weight, block, monkeypatch):
    monkeypatch.setattr("fastautorec.evaluation._report.BLOCK_USERS", block)
    train, test = data
    ranking = full_ranking(weight, train)
    report = evaluate(ItemModel(weight), train, test, k=(5, 20))
    users, counts = report.users, np.asarray(train.sum(axis=0)).ravel()
    assert report.popularity.name == "Popularity@10"
    np.testing.assert_allclose(report.popularity.per_user, counts[ranking[users, :10]].mean(axis=1))
    assert report.coverage == len(np.unique(ranking[users, :10])) / 40
    shorter = evaluate(ItemModel(weight), train, test, k=(1, 4))
    assert shorter.popularity.name == "Popularity@4"
    assert shorter.coverage == len(np.unique(ranking[users, :4])) / 40


def test_empty_places_and_empty_lists():
    train, test = sparse.eye(3, 4, format="csr"), sparse.eye(3, 4, k=1, format="csr")
    lists = np.array([[1, -1, -1], [-1, -1, -1], [-1, 3, -1]])
    report = evaluate_ranking(lists, train, test, k=(1, 3))
    np.testing.assert_allclose(report["NDCG@3"].per_user, [1, 0, 1 / np.log2(3)])
    np.testing.assert_array_equal(report.popularity.per_user, [1, np.nan, 0])
    assert report.popularity.mean == 0.5
    assert report.coverage == 0.5


def test_long_lists_in_the_paper_definition_end_at_the_largest_k(data, weight):
    train, test = data
    ranking = full_ranking(weight, train)
    reports = [
        evaluate_ranking(lists, train, test, k=(2, 5), definition="paper") for lists in (ranking, ranking[:, :5])
    ]
    assert reports[0].to_dict() == reports[1].to_dict()


def test_notes_tell_what_to_know_before_trusting_the_figures(data, weight):
    train, test = data
    ranking = full_ranking(weight, train)
    longest = int(np.diff(test.indptr).max())
    assert evaluate_ranking(ranking[:, :longest], train, test, k=5).notes == ()
    (note,) = evaluate_ranking(ranking[:, :5], train, test, k=5).notes
    assert re.fullmatch(
        r"R-Precision is a lower bound: \d+ users have more test items than the 5 places of a list", note
    )
    every_item = np.tile(np.arange(40), (90, 1))
    report = evaluate_ranking(every_item, train, test, k=5)
    assert report.notes == (f"the lists of {report.n_users} users hold items that the user has in `train`",)
    both = ((train + test) > 0).astype(np.float32)
    report = evaluate(ItemModel(weight), train, both, k=5)
    overlap = train[report.users].nnz
    assert report.notes == (f"{overlap} test interactions are also in `train`; they count as missed",)
    assert report.notes[0] in str(report)


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.int8, np.uint16])
def test_integer_types_and_layouts_of_lists(data, weight, dtype):
    train, test = data
    lists = np.tile(np.arange(40), (90, 1))
    want = evaluate_ranking(lists, train, test, k=5).to_dict()
    assert evaluate_ranking(np.asfortranarray(lists, dtype), train, test, k=5).to_dict() == want
    assert evaluate_ranking(lists.tolist(), train.tocoo(), test.tocsc(), k=[5, 5]).to_dict() == want


@pytest.mark.parametrize("device", DEVICES)
def test_a_model_of_the_library(data, device):
    train, test = data
    model = Popularity(device=device)
    with pytest.raises(NotFittedError, match="Popularity is not fitted"):
        evaluate(model, train, test, k=5)
    model.fit(train)
    report = evaluate(model, Interactions(train), Interactions(test), k=(5, 40))
    lists, _ = model.recommend(train, N=40)
    want = evaluate_ranking(lists, train, test, k=(5, 40))
    assert {name: metric.mean for name, metric in report.items()} == pytest.approx(
        {name: metric.mean for name, metric in want.items()}
    )
    with pytest.raises(ValueError, match=r"`train` has 90 columns .* fitted on 40 items; did you pass it transposed"):
        evaluate(model, train.T, test.T, k=5)


# --- reports ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small():
    train, test = (
        sparse.eye(4, 5, format="csr"),
        sparse.csr_matrix([[0, 1, 1, 0, 0], [0] * 5, [0, 1, 0, 0, 0], [1] + [0] * 4]),
    )
    return [
        evaluate_ranking([[1, 3], [0, 2], [4, 1], [1, 2]], train, test, k=(1, 2), definition=d) for d in DEFINITIONS
    ]


def test_report_prints_as_a_table(small):
    standard, paper = (str(report).splitlines() for report in small)
    title = '3 users evaluated, "{}" definition; left out: 0 without training items, 1 without test items'
    assert standard[0] == title.format("standard")
    assert paper[0] == title.format("paper")
    assert [line.split()[0] for line in standard[1:]] == [
        "@1", "NDCG", "MAP", "Precision", "Recall", "F1", "MRR", "HitRate", "AUC", "R-Precision", "Popularity@2",
        "Novelty@2", "Coverage@2", "Gini@2",
    ]  # fmt: skip
    assert [line.split()[0] for line in paper[1:]] == [
        "@1", "MAP", "Precision", "Recall", "F1", "MRR", "HitRate", "AUC", "R-Precision", "NDCG", "Popularity@2",
        "Novelty@2", "Coverage@2", "Gini@2",
    ]  # fmt: skip
    assert standard[5].split() == ["Recall", "0.1667", "±0.3267", "0.5000", "±0.5658"]
    assert len({len(line) for line in standard[1:10]}) == 1  # aligned
    assert repr(small[0]) == "<Report 'standard', 3 users, NDCG 0.4147 ±0.4065>"
    assert repr(small[0]["Recall@1"]) == "<Metric Recall@1 0.1667 ±0.3267>"


def test_report_is_a_mapping_of_read_only_figures(small):
    report = small[0]
    assert list(report)[:2] == ["R-Precision", "NDCG"]
    assert len(report) == 2 + 5 * 2 == len(dict(report))
    assert report["NDCG"].per_user is not report["NDCG@2"].per_user
    np.testing.assert_array_equal(report["NDCG"].per_user, report["NDCG@2"].per_user)
    with pytest.raises(KeyError, match=r"'NDCG@7' was not measured; the report has R-Precision, NDCG, NDCG@1"):
        report["NDCG@7"]
    with pytest.raises(ValueError, match="read-only"):
        report["NDCG"].per_user[0] = 1


def test_report_as_plain_values_and_as_a_frame(small, monkeypatch):
    report = small[0]
    plain = json.loads(json.dumps(report.to_dict()))
    assert plain["metrics"]["Recall@2"] == {
        "mean": report["Recall@2"].mean,
        "half_width": report["Recall@2"].half_width,
    }
    assert (plain["k"], plain["n_users"], plain["n_without_test"]) == ([1, 2], 3, 1)
    pytest.importorskip("pandas")
    frame = report.to_frame()
    assert list(frame.index) == list(report)
    assert frame.loc["NDCG", "mean"] == report["NDCG"].mean
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        report.to_frame()


# --- compare ---------------------------------------------------------------------------------------------------------


def test_compare_is_the_paired_t_test(data, weight):
    train, test = data
    other = np.random.default_rng(5).standard_normal((40, 40))
    a, b = (evaluate(ItemModel(w), train, test, k=(5, 10)) for w in (weight, other))
    result = compare(a, b)
    assert list(result) == list(a)
    assert result.n_users == a.n_users
    for name, got in [*result.items(), ("popularity", result.popularity)]:
        x, y = ((a, b)[i].popularity if name == "popularity" else (a, b)[i][name] for i in (0, 1))
        want = stats.ttest_rel(x.per_user, y.per_user)
        interval = want.confidence_interval()
        assert (got.mean_a, got.mean_b) == (x.mean, y.mean)
        assert got.difference == pytest.approx(x.mean - y.mean)
        assert got.p_value == pytest.approx(want.pvalue)
        assert (got.low, got.high) == pytest.approx((interval.low, interval.high))
    mirrored = compare(b, a)["NDCG"]
    assert mirrored.difference == -result["NDCG"].difference
    assert mirrored.low == pytest.approx(-result["NDCG"].high)


def test_holm_by_hand():
    # smallest first: .01 * 4, .02 * 3, .03 * 2 -> not below .06, .9 * 1
    np.testing.assert_allclose(holm(np.array([0.03, 0.9, 0.01, 0.02])), [0.06, 0.9, 0.04, 0.06])
    np.testing.assert_allclose(holm(np.array([0.5, 0.6, 0.7])), [1, 1, 1])


def test_compare_adjusts_over_all_metrics_and_prints(data, weight):
    train, test = data
    a, b = (evaluate(ItemModel(w), train, test, k=5) for w in ((test.T @ test).toarray(), -weight))
    result = compare(a, b)
    np.testing.assert_allclose(
        [d.p_adjusted for d in result.values()], holm(np.array([d.p_value for d in result.values()]))
    )
    lines = str(result).splitlines()
    assert lines[0] == result.in_words()
    assert lines[1] == f"Paired over {a.n_users} users; * marks an adjusted p below 0.05"
    assert [line.split()[0] for line in lines[3:]] == [*result, "Popularity@5"]
    assert [line.endswith("*") for line in lines[3:-1]] == [d.significant for d in result.values()]
    with pytest.raises(KeyError, match="'MRR' was not compared"):
        result["MRR"]


def test_a_report_does_not_differ_from_itself(data, weight):
    train, test = data
    report = evaluate(ItemModel(weight), train, test, k=5)
    result = compare(report, report)
    assert all(
        (d.difference, d.low, d.high, d.p_adjusted, d.significant) == (0, 0, 0, 1, False) for d in result.values()
    )
    assert re.fullmatch(r"<Comparison over \d+ users, 0 of 7 metrics differ>", repr(result))


def test_the_same_gain_for_everybody_is_certain():
    train, test = sparse.eye(3, 4, format="csr"), sparse.eye(3, 4, k=1, format="csr")
    good, bad = (evaluate_ranking(lists, train, test, k=1) for lists in ([[1], [2], [3]], [[-1]] * 3))
    d = compare(good, bad)["NDCG"]
    assert (d.difference, d.low, d.high, d.p_value) == (1, 1, 1, 0)
    assert np.isnan(compare(good, bad).popularity.p_value)


def test_a_model_that_knows_the_test_data_is_told() -> None:
    """Counts of users and items tell of a fit to all data, in whatever order items are."""
    data = far.Interactions(far.datasets.synthetic(200, 50, 2400, random_state=0), item_ids=np.arange(50)[::-1] + 7)
    train, validation, test = far.split(data, by="random")
    moved = [part.with_items(np.roll(data.item_ids, 3)) for part in (train, test)]
    words = "it knows what it is tested on; fit it to `train`"
    for model in (far.NCEAutoRec(8).fit(data), far.Popularity().fit(train + test)):
        for parts in ((train, test), moved):
            assert words in far.evaluate(model, *parts, k=5).notes[-1]
        assert words in str(far.evaluation.popularity_tradeoff(far.NCEAutoRec(8).fit(data), train, test, [0, 1]))
    assert words in far.evaluate(far.NCEAutoRec(8).fit(train + validation), train, validation, k=5).notes[-1]
    for model, parts in (
        (far.NCEAutoRec(8).fit(train), (train, test)),
        (far.NCEAutoRec(8).fit(train + validation), (train + validation, test)),
        (far.NCEAutoRec(8).fit(data.user_items[:90]), (train.user_items[90:], test.user_items[90:])),
    ):
        assert far.evaluate(model, *parts, k=5).notes == ()
