"""The operation `ranking_metrics` on every backend, against plain loops and against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from devices import backend_of_name
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from fastautorec._checks import metric_names
from fastautorec._compute import get_backend
from fastautorec._compute.csr import Csr
from fastautorec._compute.protocol import DEFINITIONS

DEVICES = ("reference", "cpu", "cuda-emulated")


def csr(rows: list[list[int]], n_items: int) -> Csr:
    indptr = np.concatenate([[0], np.cumsum([len(set(row)) for row in rows])]).astype(np.int64)
    return Csr(indptr, np.array([i for row in rows for i in sorted(set(row))], np.int32), None, n_items)


def loop_metrics(ranked: list[int], wanted: set[int], cutoffs: tuple[int, ...], definition: str) -> dict[str, float]:
    """Straight from the definitions, for one user."""
    hits, met = [], set()
    for item in ranked:
        hits.append(item in wanted and item not in met)
        met.add(item)
    T = len(wanted)

    def precision(k):
        return sum(hits[:k]) / k

    def dcg(flags):
        return sum(flag / math.log2(rank + 1) for rank, flag in enumerate(flags, 1))

    def ideal(n):
        return dcg([True] * n)

    out = {"R-Precision": sum(hits[: min(T, len(ranked))]) / T}
    for k in cutoffs:
        p, r = precision(k), sum(hits[:k]) / T
        out[f"Precision@{k}"], out[f"Recall@{k}"] = p, r
        out[f"F1@{k}"] = 2 * p * r / (p + r) if p else 0.0
        if definition == "paper":
            out[f"MAP@{k}"] = sum(precision(rank) for rank in range(1, k + 1)) / k
        else:
            listed = enumerate(hits[:k], 1)
            out[f"MAP@{k}"] = sum(precision(rank) for rank, hit in listed if hit) / min(k, T)
            out[f"NDCG@{k}"] = dcg(hits[:k]) / ideal(min(k, T))
    out["NDCG"] = dcg(hits[: cutoffs[-1]]) / ideal(T) if definition == "paper" else out[f"NDCG@{cutoffs[-1]}"]
    return out


def expected(lists: np.ndarray, rows: list[list[int]], cutoffs: tuple[int, ...], definition: str) -> np.ndarray:
    names = metric_names(cutoffs, definition)
    table = np.full((len(rows), len(names)), np.nan)
    for u, row in enumerate(rows):
        if row:
            metrics = loop_metrics(lists[u].tolist(), set(row), cutoffs, definition)
            assert set(metrics) == set(names)
            table[u] = [metrics[name] for name in names]
    return table


EDGES = {
    "no user": (np.empty((0, 3), int), [], 5, (1, 3)),
    "one user, one item": ([[0]], [[0]], 1, (1,)),
    "nothing to find": ([[0, 1], [1, 0]], [[], [1]], 2, (1, 2)),
    "nothing listed": ([[-1, -1, -1]], [[0, 2]], 3, (1, 2, 3)),
    "padded": ([[2, 0, -1, -1], [3, -1, -1, -1]], [[0, 1], [3]], 4, (2, 4)),
    "gap": ([[-1, 1, 0]], [[0, 1]], 2, (1, 3)),
    "repeated ids": ([[1, 1, 1, 0]], [[0, 1]], 2, (2, 3, 4)),
    "more test items than places": ([[4, 1]], [[0, 1, 2, 3, 4]], 5, (1, 2)),
    "list longer than the cut-offs": ([[4, 1, 0, 3, 2]], [[0, 1, 2]], 5, (1, 2)),
    "cut-off beyond the list": ([[4, 1]], [[1]], 5, (1, 5)),
    "no places": (np.empty((2, 0), int), [[1], []], 2, (1,)),
    "everything found": ([[0, 1, 2], [2, 1, 0]], [[0, 1, 2], [0, 1, 2]], 3, (1, 2, 3)),
}


@pytest.mark.parametrize("definition", DEFINITIONS)
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("case", EDGES)
def test_edge_cases_follow_the_definitions(case, device, definition):
    lists, rows, n_items, cutoffs = EDGES[case]
    lists = np.asarray(lists, np.int32)
    got = backend_of_name(device).ranking_metrics(lists, csr(rows, n_items), cutoffs, definition)
    np.testing.assert_allclose(got, expected(lists, rows, cutoffs, definition), rtol=1e-12, atol=1e-15)


@st.composite
def rankings(draw):
    n_items, n_users, length = draw(st.integers(1, 12)), draw(st.integers(1, 5)), draw(st.integers(1, 14))
    lists = draw(st.lists(st.lists(st.integers(-1, n_items - 1), min_size=length, max_size=length), min_size=n_users,
                          max_size=n_users))  # fmt: skip
    rows = draw(st.lists(st.lists(st.integers(0, n_items - 1), unique=True), min_size=n_users, max_size=n_users))
    cutoffs = draw(st.sets(st.integers(1, 16), min_size=1, max_size=4))
    return np.array(lists, np.int32), rows, n_items, tuple(sorted(cutoffs))


@settings(deadline=None, max_examples=150, derandomize=True)
@given(case=rankings(), definition=st.sampled_from(DEFINITIONS), device=st.sampled_from(DEVICES))
def test_random_lists_follow_the_definitions(case, definition, device):
    lists, rows, n_items, cutoffs = case
    got = backend_of_name(device).ranking_metrics(lists, csr(rows, n_items), cutoffs, definition)
    np.testing.assert_allclose(got, expected(lists, rows, cutoffs, definition), rtol=1e-12, atol=1e-14)
    known = got[~np.isnan(got)]
    assert ((known > -1e-12) & (known < 1 + 1e-12)).all()


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_backends_agree_and_threads_do_not_matter(definition):
    rng = np.random.default_rng(0)
    matrix = sparse.random(1000, 300, 0.05, "csr", random_state=1)
    test = Csr(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), None, 300)
    lists = np.argsort(rng.random((1000, 300)), axis=1)[:, :70].astype(np.int32)
    cutoffs = (5, 10, 20, 50)
    want = get_backend("reference").ranking_metrics(lists, test, cutoffs, definition)
    results = [get_backend("cpu", n).ranking_metrics(lists, test, cutoffs, definition) for n in (1, 2, 7)]
    np.testing.assert_allclose(results[0], want, rtol=1e-12, atol=1e-14)
    assert all(np.array_equal(results[0], other, equal_nan=True) for other in results[1:])


@pytest.mark.parametrize("definition", DEFINITIONS)
@pytest.mark.parametrize("device", DEVICES)
def test_row_slices_of_lists_and_test(device, definition):
    """Rows of a block start in the middle of the storage, and lists may be the first columns of longer ones."""
    rng = np.random.default_rng(3)
    lists = np.argsort(rng.random((6, 9)), axis=1).astype(np.int32)
    rows = [[0], [1, 2], [], [3, 4, 5], [8], [0, 7]]
    test, backend = csr(rows, 9), backend_of_name(device)
    got = backend.ranking_metrics(lists[2:5, :4], test.rows(2, 5), (2, 4), definition)
    np.testing.assert_allclose(got, expected(lists[2:5, :4], rows[2:5], (2, 4), definition), rtol=1e-12)


@pytest.mark.parametrize("device", DEVICES)
def test_full_rankings_agree_with_scikit_learn(device):
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(4)
    n_users, n_items, cutoffs = 40, 30, (1, 5, 10, 30)
    relevance = rng.random((n_users, n_items)) < rng.uniform(0.05, 0.6, (n_users, 1))
    relevance[:, 0] |= ~relevance.any(axis=1)
    scores = rng.random((n_users, n_items))
    lists = np.argsort(-scores, axis=1).astype(np.int32)
    test = csr([np.flatnonzero(row).tolist() for row in relevance], n_items)
    got = backend_of_name(device).ranking_metrics(lists, test, cutoffs, "standard")
    column = dict(zip(metric_names(cutoffs, "standard"), got.T, strict=True))
    for u in range(n_users):
        for k in cutoffs:
            assert column[f"NDCG@{k}"][u] == pytest.approx(metrics.ndcg_score(relevance[[u]], scores[[u]], k=k))
        # with every item listed, min(K, T) is T and MAP@K is the usual average precision
        average = metrics.average_precision_score(relevance[u], scores[u])
        assert column[f"MAP@{n_items}"][u] == pytest.approx(average)
        top = lists[u, : relevance[u].sum()]
        assert column["R-Precision"][u] == pytest.approx(relevance[u, top].mean())
