"""The popularity dial: lists of a model with another discount are those of a model fitted with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from autoencoders import TRAIN, every_case, make
from devices import host
from scipy import sparse

import fastautorec as far
from fastautorec.exceptions import NotFittedError

POPULARITY = np.asarray(TRAIN.sum(axis=0)).ravel()
OTHER_MODELS: dict[str, Any] = {
    "Popularity": far.Popularity,
    "PureSVD": lambda: far.PureSVD(factors=4),
    "NCEPLRec": lambda: far.NCEPLRec(factors=4),
    "EASE": lambda: far.EASE(regularization=20.0),
}
EXACT = {"init": "svd", "activation": "identity", "epochs": 0}


def dialled(model: Any, discount: float, user_items: Any = TRAIN, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    return model.recommend(user_items, popularity_discount=discount, **options)


def check_same(one: Any, other: Any) -> None:
    """Check that lists are the same but for the rounding of scores, which may swap equals."""
    (ids, scores), (expected_ids, expected) = (tuple(map(host, lists)) for lists in (one, other))
    size = np.nanmax(np.abs(expected), axis=1, keepdims=True)
    np.testing.assert_allclose(scores, expected, rtol=0, atol=float((4e-6 * size).max()))
    apart = np.nan_to_num(np.abs(np.diff(expected, axis=1)), nan=np.inf) > 1e-5 * size
    clear = np.hstack([apart, apart[:, -1:]])[:, :-1] & np.hstack([apart[:, :1], apart[:, :-1]])
    np.testing.assert_array_equal(ids[:, :-1][clear], expected_ids[:, :-1][clear])
    assert clear.mean() > 0.9


@every_case
def test_as_fitted_with_the_discount(case: str, device: str) -> None:
    model = make(case, popularity_discount=0.2, device=device).fit(TRAIN)
    for discount in (0.0, 0.7, -0.4):
        refitted = make(case, popularity_discount=discount, device=device).fit(TRAIN)
        check_same(dialled(model, discount, N=6), refitted.recommend(TRAIN, N=6))


@pytest.mark.parametrize("n_users", [1, 8, 9, 60])
@pytest.mark.parametrize("options", [{}, {"items": [30, 3, 17, 8, 2, 11, 25]}, {"filter_items": [0, 3]}])
def test_any_number_of_histories_and_any_choice_of_items(n_users: int, options: dict[str, Any]) -> None:
    model, refitted = (make("AutoRec", popularity_discount=d, **EXACT).fit(TRAIN) for d in (0.1, 0.9))
    known = {"filter_already_liked_items": False} if "items" in options else {}
    asked = dialled(model, 0.9, TRAIN[:n_users], N=5, **options, **known)
    check_same(asked, refitted.recommend(TRAIN[:n_users], N=5, **options, **known))
    assert not np.isin(asked[0], options.get("filter_items", [-1])).any()


def test_scores_are_those_of_the_formula() -> None:
    model = make("NCEAutoRec full", popularity_discount=0.3).fit(TRAIN)
    ids, scores = dialled(model, 1.1, N=40, filter_already_liked_items=False)
    expected = model.predict(TRAIN) * np.maximum(POPULARITY, 1.0) ** (0.3 - 1.1)
    np.testing.assert_allclose(scores, np.take_along_axis(expected, ids, 1), rtol=2e-6)
    np.testing.assert_allclose(scores, -np.sort(-expected, axis=1), rtol=2e-6)


def test_the_own_discount_changes_no_bit() -> None:
    model = make("AutoRec", popularity_discount=0.3).fit(TRAIN)
    for one, other in zip(dialled(model, 0.3, N=9), model.recommend(TRAIN, N=9), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("n_users", [5, 60])
def test_threads_change_no_bit(n_users: int) -> None:
    lists = [
        dialled(make("AutoRec", num_threads=threads).fit(TRAIN), 0.8, TRAIN[:n_users], N=5) for threads in (1, 2, 3)
    ]
    for other in lists[1:]:
        for one, another in zip(lists[0], other, strict=True):
            np.testing.assert_array_equal(one, another)


def test_the_model_stays_as_it_was(tmp_path: Any) -> None:
    model = make("AutoRec", popularity_discount=0.2).fit(TRAIN)
    before, expected = model.predict(TRAIN), dialled(model, 0.7, N=5)
    np.testing.assert_array_equal(model.predict(TRAIN), before)
    assert model.get_params()["popularity_discount"] == 0.2
    model.save(tmp_path / "model.npz")
    check_same(dialled(far.load(tmp_path / "model.npz"), 0.7, N=5), expected)
    model.set_params(popularity_discount=0.9)  # for the next fit
    check_same(dialled(model, 0.7, N=5), expected)


def test_after_partial_fit_new_popularities_count() -> None:
    models = [make("AutoRec", popularity_discount=d).fit(TRAIN[:40]).partial_fit(TRAIN[40:]) for d in (0.2, 0.7)]
    check_same(dialled(models[0], 0.7, N=5), models[1].recommend(TRAIN, N=5))


def test_histories_that_say_nothing_get_popular_items() -> None:
    model = make("NCEAutoRec limited", fit_intercept=False, **EXACT).fit(TRAIN)
    ids, scores = dialled(model, 3.0, sparse.csr_matrix((2, 40)), N=4)
    np.testing.assert_array_equal(ids[0], np.lexsort((np.arange(40), -POPULARITY))[:4])
    np.testing.assert_allclose(scores[0], POPULARITY[ids[0]] / 60, rtol=1e-6)


def test_items_without_users_count_as_popularity_one() -> None:
    some = TRAIN.toarray()
    some[:, [4, 9]] = 0
    some = sparse.csr_matrix(some)
    model, refitted = (make("AutoRec", popularity_discount=d).fit(some) for d in (0.0, 1.0))
    check_same(dialled(model, 1.0, some, N=40), refitted.recommend(some, N=40))


@pytest.mark.parametrize("name", OTHER_MODELS)
def test_models_without_a_discount_say_so(name: str) -> None:
    model = OTHER_MODELS[name]().fit(TRAIN)
    with pytest.raises(ValueError, match=f"`popularity_discount` must be left out for {name}, .* NCEAutoRec, have one"):
        dialled(model, 0.5)


@pytest.mark.parametrize(
    ("discount", "error", "message"),
    [
        (float("nan"), ValueError, "`popularity_discount` must be finite, got nan"),
        (float("inf"), ValueError, "`popularity_discount` must be finite, got inf"),
        (
            50,
            ValueError,
            r"`popularity_discount` must keep pop\^\(−γ\) between 1e-18 and 1e18, which is \|γ\| ≤ 12 for the 32 users",
        ),
        (-1e300, ValueError, r"between 1e-18 and 1e18"),
        ("0.5", TypeError, "`popularity_discount` must be a number, got str"),
        (True, TypeError, "`popularity_discount` must be a number, got bool"),
    ],
)
def test_bad_discounts(discount: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        dialled(make("AutoRec").fit(TRAIN), discount)


def test_extreme_discounts_stay_numbers() -> None:
    limit = 17.9 / np.log10(POPULARITY.max())
    model, refitted = (make("AutoRec", popularity_discount=d, **EXACT).fit(TRAIN) for d in (-limit, limit))
    ids, scores = dialled(model, limit, N=5)
    assert np.isfinite(scores).all()
    expected_ids, expected = refitted.recommend(TRAIN, N=5)
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-6 * np.abs(expected).max())
    assert (ids == expected_ids).mean() > 0.95


def test_unfitted() -> None:
    with pytest.raises(NotFittedError, match=r"is not fitted; call fit\(user_items\) first"):
        dialled(make("AutoRec"), 0.5)
