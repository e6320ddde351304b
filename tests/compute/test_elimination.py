"""Inverses of matrices with many zeros, some rows of which are eliminated by sparse products."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

import fastautorec as far
from fastautorec._compute.cpu import CpuBackend
from fastautorec._compute.elimination import plan_elimination
from fastautorec._compute.reference import ReferenceBackend

ITEMS = 1600


def long_tail(seed=0):
    """Return interactions of which most items have few: the eliminated rows have neighbours in common."""
    rng = np.random.default_rng(seed)
    popularity = 1 / (np.arange(ITEMS) + 20.0)
    items = rng.choice(ITEMS, 8000, p=popularity / popularity.sum())
    items[items == 7] = 8  # nobody has this one
    matrix = sparse.csr_matrix((np.ones(8000, np.float32), (rng.integers(0, 2000, 8000), items)), (2000, ITEMS))
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix


@pytest.fixture(scope="module")
def matrix():
    return long_tail()


@pytest.fixture(scope="module")
def counts(matrix):
    return (matrix.T @ matrix).toarray()


def test_plan(counts):
    plan = plan_elimination(counts)
    assert len(plan.levels) > 1
    np.testing.assert_array_equal(np.sort(plan.order), np.arange(ITEMS))
    assert 7 in plan.order[plan.levels[0].start :]
    ordered, stop = plan.ordered(counts, 2), ITEMS
    np.testing.assert_array_equal(ordered, counts[np.ix_(plan.order, plan.order)])
    filled = ordered != 0
    for level in plan.levels:
        assert level.stop == stop
        own, stop = slice(level.start, level.stop), level.start
        assert not np.tril(filled[own, own], -1).any()
        pattern = sparse.csr_matrix((np.ones(len(level.indices)), level.indices, level.indptr), (own.stop - stop, stop))
        np.testing.assert_array_equal(pattern.toarray() != 0, filled[own, :stop])
        filled[:stop, :stop] |= (pattern.T @ pattern).toarray() != 0
    scale = np.arange(1, ITEMS + 1, dtype=np.float32)
    np.testing.assert_array_equal(plan.restored(ordered, scale[plan.order], 2), counts * scale)


@pytest.mark.parametrize("penalty", [0.5, 10.0, 1000.0])
def test_inverse(counts, penalty):
    plan, system = plan_elimination(counts), counts + penalty * np.eye(ITEMS, dtype=np.float32)
    results = [plan.invert(CpuBackend(t), plan.ordered(system, t), t) for t in (1, 2, 7)]
    assert results[0].tobytes() == results[1].tobytes() == results[2].tobytes()
    expected = np.linalg.inv(system.astype(np.float64))[np.ix_(plan.order, plan.order)]
    np.testing.assert_allclose(results[0], expected, rtol=0, atol=1e-6 * expected.max())
    plain = plan.invert(ReferenceBackend(), plan.ordered(system, 1), 1)
    np.testing.assert_allclose(plain, results[0], rtol=0, atol=1e-6 * expected.max())


@pytest.mark.parametrize("place", [0, -1])
def test_not_positive_definite(counts, place):
    plan, system = plan_elimination(counts), counts + 10 * np.eye(ITEMS, dtype=np.float32)
    wrong = plan.order[place]  # among the dense rows, and among those that go first
    system[wrong, wrong] = -1
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        plan.invert(CpuBackend(1), plan.ordered(system, 1), 1)


def test_no_plan():
    assert plan_elimination(np.ones((1600, 1600), np.float32)) is None
    assert plan_elimination(np.eye(300, dtype=np.float32)) is None  # too small to be worth it
    assert plan_elimination(np.eye(1600, dtype=np.float32)) is not None


def test_penalties_share_a_plan(matrix, counts):
    """Each one has the bits of a fit with it alone, which is the closed form."""
    validation, penalties = long_tail(1), [2.0, 30.0, 400.0]
    chosen = far.EASE(regularization=penalties, num_threads=2).fit(matrix, validation=validation)
    for penalty in penalties:
        alone = far.EASE(regularization=penalty, num_threads=1).fit(matrix)
        inverse = np.linalg.inv(counts.astype(np.float64) + penalty * np.eye(ITEMS))
        expected = inverse / -np.diag(inverse)
        np.fill_diagonal(expected, 0)
        np.testing.assert_allclose(alone.item_weights_, expected, rtol=0, atol=3e-6)
        if penalty == chosen.regularization_:
            assert alone.item_weights_.tobytes() == chosen.item_weights_.tobytes()
        value = far.evaluate(alone, matrix, validation, k=50)["NDCG"].mean
        rows = [row for row in chosen.history_ if row["regularization"] == penalty]
        assert rows[0]["metric"] == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("kept", [0, 1, 300])
def test_rows_without_any_other_entry(kept):
    system = np.diag(np.arange(1, 1602, dtype=np.float32))
    system[:kept, :kept] += 1
    plan = plan_elimination(system)
    inverse = plan.restored(plan.invert(CpuBackend(2), plan.ordered(system, 2), 2), np.ones(1601, np.float32), 2)
    np.testing.assert_allclose(inverse, np.linalg.inv(system.astype(np.float64)), rtol=0, atol=1e-6)
