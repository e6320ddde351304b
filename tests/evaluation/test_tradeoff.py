"""What a popularity discount costs and gives: against refits that are evaluated one by one, and by the formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from autoencoders import HELD_OUT, TRAIN, every_device, make
from scipy import sparse, stats

import fastautorec as far
from fastautorec.evaluation import PopularityTradeoff, evaluate, popularity_tradeoff
from fastautorec.evaluation._further import gini
from fastautorec.exceptions import NotFittedError

EXACT = {"init": "svd", "activation": "identity", "epochs": 0}
DISCOUNTS = [0.8, 0.0, -0.3]


def fitted(**params: Any) -> Any:
    return make("AutoRec", **{**EXACT, "popularity_discount": 0.2, **params}).fit(TRAIN)


@pytest.fixture(scope="module")
def found() -> PopularityTradeoff:
    return popularity_tradeoff(fitted(), TRAIN, HELD_OUT, DISCOUNTS, k=12)


@every_device
def test_as_refits_that_are_evaluated_one_by_one(device: str) -> None:
    found = popularity_tradeoff(fitted(device=device), TRAIN, HELD_OUT, DISCOUNTS, k=12)
    assert found.discounts.tolist() == [-0.3, 0.0, 0.2, 0.8]
    assert (found.fitted, found.k, found.head) == (0.2, 12, 10)
    for i, discount in enumerate(found.discounts):
        report = evaluate(fitted(device=device, popularity_discount=float(discount)), TRAIN, HELD_OUT, k=12)
        assert found.ndcg[i].name == "NDCG@12"
        assert found.popularity[i].name == "Popularity@10"
        np.testing.assert_allclose(found.ndcg[i].mean, report["NDCG"].mean, rtol=1e-3)
        np.testing.assert_allclose(found.ndcg[i].half_width, report["NDCG"].half_width, rtol=1e-2)
        same = np.isclose(found.ndcg[i].per_user, report["NDCG"].per_user)
        assert same.mean() > 0.95  # equal scores but for rounding may change places
        np.testing.assert_allclose(found.popularity[i].mean, report.popularity.mean, rtol=1e-2)
        np.testing.assert_allclose(found.coverage[i], report.coverage, atol=1 / 39)
        np.testing.assert_allclose(found.gini[i], gini(report.times_listed(10)), atol=0.01)
    assert (np.diff([metric.mean for metric in found.popularity]) < 0).all()


def test_the_own_discount_is_evaluated_to_the_bit(found: PopularityTradeoff) -> None:
    report = evaluate(fitted(), TRAIN, HELD_OUT, k=12)
    np.testing.assert_array_equal(found.ndcg[2].per_user, report["NDCG"].per_user)
    np.testing.assert_array_equal(found.popularity[2].per_user, report.popularity.per_user)
    assert found.coverage[2] == report.coverage
    assert found.n_users == report.n_users
    assert (found.loss[2], found.loss_low[2], found.loss_high[2]) == (0, 0, 0)


def test_many_items_and_users_go_in_tiles() -> None:
    train, test = far.split(far.datasets.synthetic(700, 9000, 20000, random_state=2), (0.7, 0.3), by="random")
    model = far.NCEAutoRec(factors=8).fit(train)
    found = popularity_tradeoff(model, train, test, [0.5])
    refit = evaluate(far.NCEAutoRec(factors=8, popularity_discount=0.5).fit(train), train, test)
    np.testing.assert_allclose(found.ndcg[1].per_user, refit["NDCG"].per_user, atol=0.1)
    assert np.isclose(found.ndcg[1].per_user, refit["NDCG"].per_user).mean() > 0.99
    np.testing.assert_array_equal(found.ndcg[0].per_user, evaluate(model, train, test)["NDCG"].per_user)
    few = popularity_tradeoff(model, train[:5], test[:5], [0.5])
    np.testing.assert_allclose(few.ndcg[1].per_user, found.ndcg[1].per_user[: few.n_users], rtol=1e-6)


def test_threads_change_no_bit() -> None:
    runs = [popularity_tradeoff(fitted(num_threads=t), TRAIN, HELD_OUT, DISCOUNTS) for t in (1, 3)]
    for one, other in zip(runs[0].ndcg, runs[1].ndcg, strict=True):
        np.testing.assert_array_equal(one.per_user, other.per_user)
    np.testing.assert_array_equal(runs[0].gini, runs[1].gini)


def test_losses_by_the_formula(found: PopularityTradeoff) -> None:
    base = found.ndcg[2].per_user
    for i in (0, 1, 3):
        own, n = found.ndcg[i].per_user, found.n_users
        kept = own.sum() / base.sum()
        half = stats.t.ppf(0.975, n - 1) * np.std(own - kept * base, ddof=1) / (base.mean() * np.sqrt(n))
        assert found.loss[i] == pytest.approx(1 - kept)
        assert found.loss_low[i] == pytest.approx(1 - kept - half)
        assert found.loss_high[i] == pytest.approx(1 - kept + half)


def test_the_interval_of_a_loss_holds_it_as_often_as_it_says() -> None:
    """Draw users whose true loss is 5 % and count how often the interval holds it."""
    from fastautorec.evaluation._metric import Metric
    from fastautorec.evaluation._tradeoff import _loss

    rng, inside = np.random.default_rng(0), 0
    for _ in range(1000):
        base = rng.gamma(2, 0.1, 200)
        own = 0.95 * base + rng.normal(0, 0.05, 200)
        loss, half = _loss(*(Metric("NDCG", values, float(values.mean()), 0.0) for values in (base, own)))
        inside += abs(loss - 0.05) <= half
    assert 930 <= inside <= 970


def test_pick(found: PopularityTradeoff) -> None:
    for most in (0.0, 0.02, 0.05, 0.2, 0.9):
        good = [d for d, high in zip(found.discounts, found.loss_high, strict=True) if high <= most and d >= 0.2]
        assert found.pick(most) == max(good)
        assert isinstance(found.pick(most), float)
    assert found.pick(0) == 0.2
    assert found.pick(0.99) == 0.8
    assert found.pick() == found.pick(0.01)


@pytest.mark.parametrize("value", [-0.1, float("nan"), "1 %", 1, 5.0])
def test_pick_refuses(found: PopularityTradeoff, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="`max_loss` must be"):
        found.pick(value)
    with pytest.raises(ValueError, match=r"share of the NDCG in \[0, 1\), got 1; 0\.01 is 1 %"):
        found.pick(1)


def test_it_prints_as_a_table(found: PopularityTradeoff) -> None:
    head, *rows = str(found).splitlines()
    assert head.split() == [
        "discount", "NDCG@12", "loss", "95", "%", "interval", "Coverage@10", "Gini@10", "Popularity@10"
    ]  # fmt: skip
    assert [row.split("  ")[0] for row in rows] == ["-0.3", "0", "0.2 (as fitted)", "0.8"]
    assert f"{found.ndcg[3].mean:.4f} ±{found.ndcg[3].half_width:.4f}" in rows[3]
    assert f"{100 * found.loss[3]:+.2f} %" in rows[3]
    assert repr(found) == "<PopularityTradeoff of 4 discounts from -0.3 to 0.8>"


def test_as_a_frame(found: PopularityTradeoff) -> None:
    pytest.importorskip("pandas")
    frame = found.to_frame()
    assert list(frame) == [
        "discount", "ndcg", "ndcg_half_width", "loss", "loss_low", "loss_high", "coverage", "gini", "popularity",
        "popularity_half_width",
    ]  # fmt: skip
    np.testing.assert_array_equal(frame["loss_high"], found.loss_high)
    np.testing.assert_array_equal(frame["ndcg"], [metric.mean for metric in found.ndcg])


def test_the_figure_shows_the_figures(found: PopularityTradeoff) -> None:
    pytest.importorskip("matplotlib")
    left, middle, right = far.plots.popularity_tradeoff(found).axes
    for axes, metrics in ((left, found.ndcg), (right, found.popularity)):
        np.testing.assert_array_equal(axes.lines[0].get_xdata(), found.discounts)
        np.testing.assert_array_equal(axes.lines[0].get_ydata(), [metric.mean for metric in metrics])
        assert axes.lines[1].get_xdata() == [0.2, 0.2]
    np.testing.assert_array_equal(middle.lines[0].get_ydata(), found.coverage)
    np.testing.assert_array_equal(middle.lines[1].get_ydata(), found.gini)


def test_histories_that_say_nothing_have_the_same_list_for_every_discount() -> None:
    some, later = TRAIN.toarray(), np.zeros((60, 40))
    some[:, 7] = 0
    model = make("AutoRec", fit_intercept=False, **EXACT).fit(sparse.csr_matrix(some))
    some[:3] = 0
    some[:3, 7] = 1
    later[:, 0] = some[:, 0] == 0
    asked = sparse.csr_matrix(some), sparse.csr_matrix(later)
    found = popularity_tradeoff(model, *asked, [0.0, 2.0])
    report = evaluate(model, *asked)
    for metric in found.ndcg:
        np.testing.assert_array_equal(metric.per_user[:3], report["NDCG"].per_user[:3])
    assert (found.ndcg[0].per_user[3:] != found.ndcg[1].per_user[3:]).any()
    own = found.discounts.tolist().index(found.fitted)
    assert found.coverage[own] == report.coverage
    assert found.gini[own] == report.gini
    np.testing.assert_array_equal(found.popularity[own].per_user, report.popularity.per_user)


def test_ids_are_matched_as_in_evaluate() -> None:
    data = far.Interactions(TRAIN, item_ids=[f"i{j}" for j in range(40)], user_ids=[f"u{u}" for u in range(60)])
    later = far.Interactions(HELD_OUT[::-1], item_ids=data.item_ids, user_ids=data.user_ids[::-1])
    model = make("AutoRec", **EXACT).fit(data)
    found = popularity_tradeoff(model, data, later, [0.0, 0.5], k=5)
    expected = popularity_tradeoff(make("AutoRec", **EXACT).fit(TRAIN), TRAIN, HELD_OUT, [0.0, 0.5], k=5)
    np.testing.assert_array_equal(found.ndcg[1].per_user, expected.ndcg[1].per_user)


def test_overlap_is_noted() -> None:
    found = popularity_tradeoff(fitted(), TRAIN, TRAIN + HELD_OUT, [0.5])
    assert "also in `train`" in str(found).splitlines()[-1]


@pytest.mark.parametrize(
    ("discounts", "error", "message"),
    [
        ([], ValueError, "`discounts` must hold at least one discount, got none"),
        ([0.1, float("nan")], ValueError, "`discounts` must be finite, got nan"),
        ([1e9], ValueError, r"must keep pop\^\(−γ\) between 1e-18 and 1e18"),
        (0.5, TypeError, "`discounts` must be a sequence of numbers, got float"),
        ("0.5", TypeError, "`discounts` must be a sequence of numbers, got str"),
        (["0.5"], TypeError, "`discounts` must be a number, got str"),
    ],
)
def test_bad_discounts(discounts: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        popularity_tradeoff(fitted(), TRAIN, HELD_OUT, discounts)


def test_bad_models_and_data() -> None:
    with pytest.raises(NotFittedError):
        popularity_tradeoff(make("AutoRec"), TRAIN, HELD_OUT, [0.1])
    with pytest.raises(ValueError, match="`popularity_discount` must be left out for PureSVD"):
        popularity_tradeoff(far.PureSVD(factors=3).fit(TRAIN), TRAIN, HELD_OUT, [0.1])
    for wrong in (far.AutoRec, "model"):
        with pytest.raises(TypeError, match="`model` must be a fitted recommender"):
            popularity_tradeoff(wrong, TRAIN, HELD_OUT, [0.1])
    with pytest.raises(TypeError, match="`k` must be an integer"):
        popularity_tradeoff(fitted(), TRAIN, HELD_OUT, [0.1], k=(5, 10))
    with pytest.raises(ValueError, match="`k` must not exceed the number of items, 40, got 41"):
        popularity_tradeoff(fitted(), TRAIN, HELD_OUT, [0.1], k=41)
