"""Each re-ranker against plain loops, what it promises, and what it refuses."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from scipy import stats

import fastautorec as far
from fastautorec.rerank import MMR, Caps, Explore, Request
from fastautorec.rerank import _rerankers as rerankers

N_ITEMS = 60


def candidates(rng: np.random.Generator, n_users: int = 20, n_places: int = 15) -> tuple[Any, Any, Any]:
    """Return ids, scores and vectors; lists have different lengths, and some scores and vectors are the same."""
    ids = np.stack([rng.permutation(N_ITEMS)[:n_places] for _ in range(n_users)]).astype(np.int32)
    scores = -np.sort(-np.round(rng.standard_normal(ids.shape), 1), axis=1).astype(np.float32)
    empty = np.arange(n_places) >= rng.integers(0, n_places + 1, n_users)[:, None]
    empty[:3] = False
    scores[1] = 2
    ids[empty], scores[empty] = -1, np.nan
    vectors = rng.standard_normal((N_ITEMS, 4)).astype(np.float32)
    vectors[5], vectors[6] = 0, vectors[7]
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return ids, scores, vectors / np.where(norms > 0, norms, 1)


def asked(n: int, vectors: Any, n_users: int = 20) -> Request:
    return Request(n, N_ITEMS, np.arange(n_users, dtype=np.uint64), lambda ids: vectors[ids])


def relevances(scores: list[float]) -> list[float]:
    low, high = min(scores, default=0), max(scores, default=0)
    return [(score - low) / (high - low) if high > low else 0.0 for score in scores]


def mmr_by_loops(ids: list[int], scores: list[float], vectors: Any, strength: float, n: int) -> list[int]:
    relevance, chosen = relevances(scores), list[int]()
    while len(chosen) < min(n, len(ids)):
        best, best_value = -1, -np.inf
        for place in range(len(ids)):
            if place not in chosen:
                nearest = max((float(vectors[ids[place]] @ vectors[ids[other]]) for other in chosen), default=0.0)
                value = (1 - strength) * relevance[place] - strength * nearest
                if value > best_value + 1e-12:
                    best, best_value = place, value
        chosen.append(best)
    return chosen


@pytest.mark.parametrize("strength", [0, 0.25, 0.7, 1])
@pytest.mark.parametrize("n", [1, 6, 15])
def test_mmr_as_plain_loops(rng: np.random.Generator, strength: float, n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ids, scores, vectors = candidates(rng)
    places = MMR(strength).order(ids, scores, asked(n, vectors))
    assert places.shape == (20, n)
    for row, own, values in zip(places, ids, scores, strict=True):
        length = int((own >= 0).sum())
        expected = mmr_by_loops(own[:length].tolist(), values[:length].tolist(), vectors, strength, n) if length else []
        found = row[row >= 0].tolist()
        assert row.tolist() == found + [-1] * (n - len(found))
        if found != expected:  # equal but for rounding: both choose items of the same value
            assert sorted(own[found]) == sorted(own[expected]) or strength == 1
    monkeypatch.setattr(rerankers, "BLOCK_BYTES", 5000)
    np.testing.assert_array_equal(MMR(strength).order(ids, scores, asked(n, vectors)), places)


def test_no_strength_leaves_lists_as_they_are(rng: np.random.Generator) -> None:
    ids, scores, vectors = candidates(rng)
    places = MMR(0).order(ids, scores, asked(15, vectors))
    np.testing.assert_array_equal(places, np.where(ids >= 0, np.arange(15), -1))


def test_mmr_by_hand() -> None:
    vectors = np.zeros((N_ITEMS, 2), np.float32)
    vectors[:4] = [[1, 0], [1, 0], [0, 1], [0.6, 0.8]]
    ids, scores = np.array([[0, 1, 2, 3]], np.int32), np.array([[5, 4, 2, 1]], np.float32)
    # relevances 1, 3/4, 1/4, 0; cosines with item 0 are 1, 0, 0.6
    assert MMR(0.4).order(ids, scores, asked(4, vectors, 1)).tolist() == [[0, 2, 1, 3]]
    assert MMR(0.1).order(ids, scores, asked(4, vectors, 1)).tolist() == [[0, 1, 2, 3]]
    assert MMR(0.4).order(ids, scores + 100, asked(4, vectors, 1)).tolist() == [[0, 2, 1, 3]]
    assert MMR(0.4).order(ids, scores * 1000, asked(4, vectors, 1)).tolist() == [[0, 2, 1, 3]]


def caps_by_loops(ids: list[int], groups: list[Any], at_most: int) -> list[int]:
    full, kept = Counter[Any](), []
    for place, item in enumerate(ids):
        if item >= 0 and (groups[item] is None or full[groups[item]] < at_most):
            full[groups[item]] += 1
            kept.append(place)
    return kept


@pytest.mark.parametrize("at_most", [1, 2, 20])
@pytest.mark.parametrize("kind", ["numbers", "texts", "mixed"])
def test_caps_as_plain_loops(rng: np.random.Generator, at_most: int, kind: str) -> None:
    ids, scores, vectors = candidates(rng)
    numbers = rng.integers(-1, 4, N_ITEMS)
    texts = [None if number < 0 else f"g{number}" for number in numbers]
    given = {"numbers": numbers, "texts": texts, "mixed": [float("nan") if text is None else text for text in texts]}
    places = Caps(given[kind], at_most).order(ids, scores, asked(5, vectors))
    for row, own in zip(places, ids, strict=True):
        assert row[row >= 0].tolist() == caps_by_loops(own.tolist(), texts, at_most)
        assert (np.diff((row < 0).astype(int)) >= 0).all()


def test_groups_come_as_columns(rng: np.random.Generator) -> None:
    pandas, pyarrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    ids, scores, vectors = candidates(rng)
    groups = [f"g{number % 3}" for number in range(N_ITEMS)]
    expected = Caps(groups, 2).order(ids, scores, asked(5, vectors))
    for column in (pandas.Series(groups), pyarrow.array(groups), np.array(groups), tuple(groups)):
        np.testing.assert_array_equal(Caps(column, 2).order(ids, scores, asked(5, vectors)), expected)


def test_explore_draws_by_the_softmax() -> None:
    """Count the first items, and the second ones after each first, of many users with the same scores."""
    n_users, temperature = 20000, 0.5
    ids = np.broadcast_to(np.array([3, 1, 8, 4], np.int32), (n_users, 4))
    scores = np.broadcast_to(np.array([7, 5, 4, 3], np.float32), ids.shape)
    request = Request(4, N_ITEMS, rerankers.mixed(np.arange(n_users, dtype=np.uint64)), lambda ids: ids)
    places = Explore(temperature, 1).order(ids, scores, request)
    weights = np.exp(np.array([1, 0.5, 0.25, 0]) / temperature)
    assert stats.chisquare(np.bincount(places[:, 0]), n_users * weights / weights.sum()).pvalue > 0.001
    for first in range(4):
        seconds = places[places[:, 0] == first, 1]
        others = np.delete(np.arange(4), first)
        expected = len(seconds) * weights[others] / weights[others].sum()
        assert stats.chisquare(np.bincount(seconds, minlength=4)[others], expected).pvalue > 0.001


def test_explore_by_loops(rng: np.random.Generator) -> None:
    ids, scores, vectors = candidates(rng)
    places = Explore(0.3, 5).order(ids, scores, asked(5, vectors))
    for user, (row, own, values) in enumerate(zip(places, ids, scores, strict=True)):
        length = int((own >= 0).sum())
        key = splitmix(user ^ splitmix(5))
        noise = [(splitmix(key ^ splitmix(item)) >> 11) + 0.5 for item in own[:length].tolist()]
        drawn = [-np.log(-np.log(number / 2**53)) for number in noise]
        value = (
            [r / 0.3 + g for r, g in zip(relevances(values[:length].tolist()), drawn, strict=True)] if length else []
        )
        assert row[:length].tolist() == sorted(range(length), key=lambda place: -value[place])


def splitmix(number: int) -> int:
    z = (number + 0x9E3779B97F4A7C15) % 2**64
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
    return z ^ z >> 31


def test_small_temperatures_leave_lists_nearly_as_they_are(rng: np.random.Generator) -> None:
    scores = np.tile(np.linspace(1, 0, 10, dtype=np.float32), (50, 1))
    ids = np.tile(np.arange(10, dtype=np.int32), (50, 1))
    np.testing.assert_array_equal(Explore(1e-3).order(ids, scores, asked(10, None, 50)), ids)
    assert (Explore(1e3).order(ids, scores, asked(10, None, 50)) != ids).mean() > 0.8


def test_seeds() -> None:
    ids = np.tile(np.arange(30, dtype=np.int32), (3, 1))
    scores = np.zeros(ids.shape, np.float32)
    orders = [Explore(1, seed).order(ids, scores, asked(30, None, 3)) for seed in (0, 1, 2**62)]
    assert len({order.tobytes() for order in orders}) == 3
    one, other = (Explore(1, np.random.default_rng(4)).order(ids, scores, asked(30, None, 3)) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert (one[0] != one[1]).any()


def test_they_say_what_they_are() -> None:
    assert repr([MMR(0.3), Explore(0.1, 4), Caps(["a", "b", "a"], 2)]) == (
        "[MMR(strength=0.3), Explore(temperature=0.1, random_state=4), Caps(2 groups of 3 items, at_most=2)]"
    )


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: MMR(1.5), ValueError, "`strength` must be >= 0 and <= 1, got 1.5"),
        (lambda: MMR("0.5"), TypeError, "`strength` must be a number, got str"),
        (lambda: MMR(float("nan")), ValueError, "`strength` must be finite"),
        (lambda: Explore(0), ValueError, "`temperature` must be > 0, got 0"),
        (lambda: Explore(0.1, -1), ValueError, "`random_state` must be >= 0"),
        (lambda: Explore(0.1, "x"), TypeError, "`random_state` must be an integer"),
        (lambda: Caps([1, 2], 0), ValueError, "`at_most` must be >= 1, got 0"),
        (lambda: Caps([1, 2], 1.5), TypeError, "`at_most` must be an integer"),
        (lambda: Caps({"a", "b"}, 1), TypeError, "`groups` must have the group of each item, as a dict.* got set"),
        (lambda: Caps("abc", 1), TypeError, "`groups` must have the group of each item.* got str"),
        (lambda: Caps(3, 1), TypeError, "`groups` must have the group of each item.* got int"),
        (lambda: Caps([[1], [2]], 1), ValueError, r"`groups` must have one dimension, got shape \(2, 1\)"),
        (lambda: Caps([1.0, 2.5], 1), TypeError, "`groups` must hold integers or texts, got floats"),
        (lambda: Caps([{}, "a"], 1), TypeError, "`groups` must hold integers or texts, got unhashable"),
    ],
)  # fmt: skip
def test_bad_parameters(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_groups_of_another_number_of_items() -> None:
    train = far.datasets.synthetic(30, 20, 200)
    model = far.PureSVD(factors=3).fit(train)
    with pytest.raises(ValueError, match="`groups` must have one group for each of the 20 items, got 19"):
        model.recommend(train, rerank=Caps(range(19), 2))
