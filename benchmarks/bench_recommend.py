"""Recommending: lists for all users at once, and for one new user at a time, from a fresh history."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from threadpoolctl import threadpool_limits

import fastautorec as far
from benchmarks._common import THREADS, gowalla
from fastautorec._compute import item_index

LISTED = 10
CHECKED = 20  # requests
ANSWERED = 150  # requests before those that are timed: by then a model has made what it answers from


# --- all users --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["ML-1M", "Gowalla"])
def everyone(request, data, sizes):
    """Return the name of the data, its histories, and a model without intercepts, as implicit's have none."""
    name, known = (data.name, data.known) if request.param == "ML-1M" else gowalla(sizes.quick)[:2]
    return name, known, far.NCEPLRec(factors=min(sizes.factors, 100)).fit(known)


def place(name, model):
    return {"table": "recommend", "row": f"top {LISTED} for all users of {name}, {model.encoder_.shape[1]} factors"}


def test_recommend_all(everyone, measure):
    """From histories: the hidden units of every user are computed anew."""
    name, known, model = everyone
    ids, scores = measure(lambda: model.recommend(known, N=LISTED), **place(name, model), column="recommend")
    some = slice(0, 200)
    expected = (known[some] @ model.encoder_) @ model.decoder_.T
    expected[known[some].nonzero()] = -np.inf
    assert_allclose(scores[some], -np.sort(-expected, axis=1)[:, :LISTED], rtol=1e-4, atol=1e-5)
    assert not known[np.repeat(np.arange(len(ids)), LISTED), ids.ravel()].any()


def test_recommend_all_by_implicit(everyone, measure):
    """The same factors in implicit, which has those of the users ready; threads and BLAS as its own models use them."""
    als = pytest.importorskip("implicit.als", reason="the peer is implicit; pip install implicit")
    name, known, model = everyone
    users = np.arange(known.shape[0])
    with threadpool_limits(1, "blas"):
        peer = als.AlternatingLeastSquares(factors=model.encoder_.shape[1], num_threads=THREADS)
        peer.user_factors, peer.item_factors = known @ model.encoder_, np.ascontiguousarray(model.decoder_)
        _, scores = measure(
            lambda: peer.recommend(users, known, N=LISTED),
            **place(name, model),
            column="implicit top-k, same factors",
            against=lambda: model.recommend(known, N=LISTED),
        )
    some = np.diff(known.indptr) > 0  # the others get popular items from us
    assert_allclose(scores[some], model.recommend(known[some], N=LISTED)[1], rtol=1e-4, atol=1e-5)


# --- one user at a time -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["newcomers", "catalogue"])
def service(request, sizes):
    """Return a model that has answered before, and the histories of users that it has not seen, one matrix each."""
    many = request.param == "catalogue"
    users, items, count = sizes.catalogue if many else sizes.newcomers
    requests = sizes.catalogue_requests if many else sizes.requests
    both = far.datasets.synthetic(users + requests, items, count, random_state=0)
    model = far.NCEAutoRec(factors=sizes.catalogue_factors if many else sizes.factors).fit(both[:users])
    for _ in range(ANSWERED):
        model.recommend(both[0], N=LISTED)
    return model, [both[u] for u in range(users, users + requests)]


def one(model):
    items, factors = model.decoder_.shape[0], model.encoder_.shape[1]
    return {"table": "latency", "row": f"top {LISTED} for one new user, {items:,} items, {factors} factors"}


def test_recommend_one(service, measure):
    model, histories = service
    measure.each(lambda history: model.recommend(history, N=LISTED), histories, **one(model), column="recommend")
    for history in histories[:CHECKED]:
        ids, scores = model.recommend(history, N=LISTED)
        expected = model.predict(history)
        expected[history.nonzero()] = -np.inf
        assert_allclose(scores, -np.sort(-expected)[:, :LISTED], rtol=1e-4, atol=1e-5)
        assert not np.isin(ids, history.indices).any()


def test_recommend_one_from_all_scores(service, measure, monkeypatch):
    """Without the bound of `item_index`; the lists are the same to the bit."""
    model, histories = service
    found = [model.recommend(history, N=LISTED) for history in histories[:CHECKED]]
    monkeypatch.setattr(item_index, "ENABLED", False)
    measure.each(
        lambda history: model.recommend(history, N=LISTED), histories, **one(model), column="recommend, all scores made"
    )
    for history, (ids, scores) in zip(histories, found, strict=False):
        wanted_ids, wanted_scores = model.recommend(history, N=LISTED)
        assert_array_equal(ids, wanted_ids)
        assert_array_equal(scores, wanted_scores)


def test_recommend_one_by_numpy(service, measure):
    """What one writes at first: the scores of all items, then argpartition."""
    model, histories = service

    def recommend(history):
        root = len(history.indices) ** -0.5
        hidden = root * model.encoder_[history.indices].sum(axis=0)
        scores = model.decoder_ @ np.append(hidden, np.float32(root))  # the intercept shrinks with the history
        scores[history.indices] = -np.inf
        best = np.argpartition(-scores, LISTED)[:LISTED]
        best = best[np.argsort(-scores[best], kind="stable")]
        return best, scores[best]

    measure.each(recommend, histories, **one(model), column="NumPy, argpartition")
    for history in histories[:CHECKED]:
        assert_allclose(recommend(history)[1], model.recommend(history, N=LISTED)[1][0], rtol=1e-3, atol=1e-4)


def test_recommend_one_by_implicit(service, measure):
    """A user folded into ALS factors of the same size, on one thread; untrained factors cost the same."""
    als = pytest.importorskip("implicit.als", reason="the peer is implicit; pip install implicit")
    model, histories = service
    factors, rng = model.encoder_.shape[1], np.random.default_rng(0)
    with threadpool_limits(1, "blas"):
        peer = als.AlternatingLeastSquares(factors=factors, num_threads=1)
        peer.item_factors = rng.standard_normal((model.n_items_, factors), dtype=np.float32) / factors
        measure.each(
            lambda history: peer.recommend(0, history, N=LISTED, recalculate_user=True), histories,
            **one(model), column="implicit ALS, folded in",
        )  # fmt: skip
        ids, _ = peer.recommend(0, histories[0], N=LISTED, recalculate_user=True)
    assert not np.isin(ids, histories[0].indices).any()
