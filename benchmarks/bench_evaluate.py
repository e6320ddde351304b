"""A whole evaluation: score, leave out what is known, take the top 50, measure; all users of the data."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy import sparse

import fastautorec as far

K = (5, 10, 15, 20, 50)

MODELS = {"100 factors, as the published ones": far.NCEPLRec(), "NCEAutoRec(), 300 factors": far.NCEAutoRec()}


@pytest.fixture(scope="module", params=MODELS)
def named(request, data):
    known = data.known
    return request.param, MODELS[request.param].fit(known), known


def test_evaluate(data, named, measure):
    name, model, known = named
    report = measure(
        lambda: far.evaluate(model, known, data.test, k=K, definition="paper"),
        table="evaluate", row=name, column="evaluate",
    )  # fmt: skip
    assert_same(report, evaluate_by_numpy(model, known, data.test, {}))


def test_evaluate_by_numpy(data, named, measure):
    name, model, known = named
    stages = {}
    means = measure(
        lambda: evaluate_by_numpy(model, known, data.test, stages),
        table="evaluate", row=name, column="NumPy: scores, argpartition, metrics",
        against=lambda: far.evaluate(model, known, data.test, k=K, definition="paper"),
    )  # fmt: skip
    measure.note(stages=stages)
    assert_same(far.evaluate(model, known, data.test, k=K, definition="paper"), means)


def evaluate_by_numpy(model, train, test, stages):
    """Return the mean of each metric; ``stages`` receives the seconds of each part."""
    clock = [time.perf_counter()]

    def lap(name):
        clock.append(time.perf_counter())
        stages[name] = clock[-1] - clock[-2]

    values = scores(model, train)
    lap("scores")
    ranked = top_items(values, train, max(K))
    lap("top items")
    means = mean_metrics(ranked, train, test)
    lap("metrics")
    return means


def scores(model, train):
    """Return H Dᵀ (m, n): for NCEAutoRec() of rows of unit length, with the intercept share length^-½."""
    if isinstance(model, far.NCEPLRec):
        return (train @ model.encoder_) @ model.decoder_.T
    roots = (1 / np.sqrt(np.maximum(np.diff(train.indptr), 1))).astype(np.float32)
    hidden = sparse.diags(roots) @ train @ model.encoder_
    return np.column_stack([hidden, roots]) @ model.decoder_.T


def top_items(values, seen, length):
    values = values.copy()
    values[seen.nonzero()] = -np.inf
    ids = np.argpartition(-values, length, axis=1)[:, :length]
    order = np.argsort(-np.take_along_axis(values, ids, 1), axis=1, kind="stable")
    return np.take_along_axis(ids, order, 1)


def mean_metrics(ranked, seen, test):
    """Return the means by the "paper" definition, user by user only where NumPy has no other way."""
    total = np.diff(test.indptr)
    evaluated = (total > 0) & (np.diff(seen.indptr) > 0)
    relevant = (test.indices[start:stop] for start, stop in zip(test.indptr[:-1], test.indptr[1:], strict=True))
    hits = np.array([np.isin(row, ids) for row, ids in zip(ranked, relevant, strict=True)])[evaluated]
    total, length = total[evaluated], ranked.shape[1]
    gain = 1 / np.log2(np.arange(2, max(total.max(), length) + 2))
    ideal = np.concatenate([[0], np.cumsum(gain)])
    found = np.cumsum(hits, axis=1)
    per_user = {
        "NDCG": (hits * gain[:length]).sum(axis=1) / ideal[total],
        "R-Precision": found[np.arange(len(hits)), np.minimum(total, length) - 1] / total,
    }
    for k in K:
        per_user[f"Precision@{k}"] = found[:, k - 1] / k
        per_user[f"Recall@{k}"] = found[:, k - 1] / total
        per_user[f"MAP@{k}"] = (found[:, :k] / np.arange(1, k + 1)).mean(axis=1)
    return {name: float(values.mean()) for name, values in per_user.items()}


def assert_same(report, means):
    """Scores differ in the last bit, so a pair of nearly equal ones may change places."""
    for name, mean in means.items():
        assert report[name].mean == pytest.approx(mean, abs=2e-6), name
