"""Negative samples: the same bits everywhere, the right distribution, and independent streams."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.stats import chi2, poisson

from fastautorec import ops
from fastautorec._compute import get_backend
from fastautorec._compute.inputs import check_user_items
from fastautorec._compute.sampling import make_sampler
from fastautorec.reference.pure import PureBackend

PURE = PureBackend()
CPU, REFERENCE = get_backend("cpu", 2), get_backend("reference", 1)
CERTAIN = 1e-6  # a right sampler fails a test with this probability, for some seed

SKEWED = np.random.default_rng(1).zipf(1.5, 300).clip(0, 9999)
WEIGHTS = {
    "one item": [3],
    "two items": [1, 2],
    "zeros at both ends": [0, 0, 3, 1, 0, 6, 0],
    "three items": [5, 1, 1],
    "five items": [1, 2, 3, 4, 5],
    "far apart": [1e-300, 1e300, 1, 0],
    "denormal": [5e-324, 0, 5e-324],
    "skewed": SKEWED,
    "many zeros": np.where(np.arange(200) % 9 == 4, 1.5, 0),
}
USERS = np.array([5, 0, 2**40, 2**63 - 1, 5])


def sampler_of(weights, n_samples, **kwargs):
    return make_sampler(np.asarray(weights, np.float64), n_samples, **kwargs)


def dense(result):
    pattern, counts = result
    return sparse.csr_matrix((counts, pattern.indices, pattern.indptr), shape=pattern.shape).toarray()


def draw(backend, sampler, users, exclude=None, seed=0, epoch=0):
    return backend.sample_negatives(sampler, np.asarray(users, np.int64), exclude, seed, epoch)


def assert_equal_bits(actual, expected):
    for one, other in zip(
        (actual[0].indptr, actual[0].indices, actual[1]),
        (expected[0].indptr, expected[0].indices, expected[1]),
        strict=True,
    ):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    assert actual[0].shape == expected[0].shape
    np.testing.assert_array_equal(actual[0].users, expected[0].users)


def exclusion(weights, n_users, density=0.4):
    """Random items to exclude; the heaviest item stays for half of the users, some other item for the others."""
    taken = np.random.default_rng(2).random((n_users, len(weights))) < density
    order = np.argsort(-sampler_of(weights, 1).widths().astype(float), kind="stable")
    taken[0::2, order[0]] = False
    taken[1::2, order[0]] = True
    taken[1::2, order[1]] = False
    return check_user_items("exclude", sparse.csr_matrix(taken.astype(np.float32)))


# --- the same bits on every backend --------------------------------------------------------------------------------


@pytest.mark.parametrize("by_counts", [False, True, None])
@pytest.mark.parametrize("n_samples", [1, 2, 7, 100, 1003])
@pytest.mark.parametrize("weights", WEIGHTS)
def test_parity(backend, weights, n_samples, by_counts):
    sampler = sampler_of(WEIGHTS[weights], n_samples, by_counts=by_counts)
    actual, expected = (draw(b, sampler, USERS, seed=2**64 - 1, epoch=7) for b in (backend, PURE))
    assert_equal_bits(actual, expected)
    counts = dense(actual)
    assert (counts.sum(axis=1) == n_samples).all()
    assert not counts[:, np.asarray(WEIGHTS[weights]) == 0].any()
    np.testing.assert_array_equal(counts[0], counts[4])  # the same user


@pytest.mark.parametrize("by_counts", [False, True])
@pytest.mark.parametrize("n_samples", [1, 50, 1003])
@pytest.mark.parametrize("weights", ["two items", "five items", "skewed"])
def test_parity_with_exclusion(backend, weights, n_samples, by_counts):  # of less and of more than half of p
    sampler = sampler_of(WEIGHTS[weights], n_samples, by_counts=by_counts)
    exclude = exclusion(WEIGHTS[weights], len(USERS))
    actual, expected = (draw(b, sampler, USERS, exclude, seed=3, epoch=2**32 - 1) for b in (backend, PURE))
    assert_equal_bits(actual, expected)
    counts = dense(actual)
    assert (counts.sum(axis=1) == n_samples).all()
    assert not (counts * exclude.to_scipy().toarray()).any()


@pytest.mark.parametrize("weights", [[1], [1, 2, 3, 4, 5]])
def test_the_largest_number_of_samples(weights):
    sampler = sampler_of(weights, 2**31 - 1)
    counts = draw(CPU, sampler, [1])
    assert_equal_bits(counts, draw(REFERENCE, sampler, [1]))
    assert counts[1].sum(dtype=np.int64) == 2**31 - 1
    p = np.array(weights) / sum(weights)
    assert (np.abs(counts[1] - 2.0**31 * p) <= 6 * np.sqrt(2.0**31 * p * (1 - p)) + 1).all()


@pytest.mark.parametrize("excludes", [False, True])
def test_parity_of_attempts(backend, excludes):
    """Without a margin every other attempt draws too many and is repeated."""
    sampler = sampler_of(SKEWED[:60], 500, by_counts=True, margin=0)
    users = np.arange(20)
    exclude = check_user_items("x", sparse.csr_matrix((20, 60), dtype=np.float32)) if excludes else None
    assert_equal_bits(draw(backend, sampler, users, exclude, 1), draw(PURE, sampler, users, None, 1))


@pytest.mark.parametrize("n_samples", [20, 3000, 100_000])
def test_many_items(n_samples):  # sorted draws, a bitmap that is mostly empty, several portions of words
    sampler = sampler_of(np.random.default_rng(3).random(70_000), n_samples)
    assert_equal_bits(draw(CPU, sampler, [3, 9]), draw(REFERENCE, sampler, [3, 9]))


def test_no_users(backend):
    pattern, counts = draw(backend, sampler_of([1, 2], 5), [])
    assert pattern.shape == (0, 2)
    assert counts.size == pattern.nnz == 0


def test_excluding_nothing_changes_nothing(backend):
    nothing = check_user_items("x", sparse.csr_matrix((4, 300), dtype=np.float32))
    for by_counts in (False, True):
        sampler = sampler_of(SKEWED, 500, by_counts=by_counts)
        assert_equal_bits(draw(backend, sampler, range(4), nothing), draw(backend, sampler, range(4)))


@pytest.mark.parametrize("by_counts", [False, True])
@pytest.mark.parametrize("n_samples", [3, 400])
def test_any_threads_order_and_tiling(n_samples, by_counts):
    weights = np.random.default_rng(4).random(2000)
    sampler = sampler_of(weights, n_samples, by_counts=by_counts)
    n_users = 700
    exclude = exclusion(weights, n_users, 0.1)
    whole = draw(get_backend("cpu", 1), sampler, range(n_users), exclude)
    for threads in (2, 7):
        assert_equal_bits(draw(get_backend("cpu", threads), sampler, range(n_users), exclude), whole)
    order = np.random.default_rng(5).permutation(n_users)
    shuffled = draw(CPU, sampler, order, exclude.take_rows(order))
    np.testing.assert_array_equal(dense(shuffled), dense(whole)[order])
    tiles = [draw(CPU, sampler, np.arange(a, b), exclude.rows(a, b)) for a, b in ((0, 1), (1, 300), (300, n_users))]
    np.testing.assert_array_equal(np.concatenate([tile[1] for tile in tiles]), whole[1])
    np.testing.assert_array_equal(np.concatenate([tile[0].indices for tile in tiles]), whole[0].indices)


@st.composite
def cases(draw_from):
    weights = draw_from(st.lists(st.sampled_from([0.0, 1.0, 0.5, 3.0, 1e-9, 1e9]), min_size=1, max_size=200))
    weights[draw_from(st.integers(0, len(weights) - 1))] = 1.0
    return weights, draw_from(st.integers(1, 500)), draw_from(st.booleans()), draw_from(st.integers(0, 2**64 - 1))


@given(case=cases())
@settings(max_examples=60)
def test_rows_are_sorted_complete_and_possible(case):
    weights, n_samples, by_counts, seed = case
    sampler = sampler_of(weights, n_samples, by_counts=by_counts)
    pattern, counts = draw(CPU, sampler, [0, 1, 2**50], seed=seed)
    assert (counts > 0).all()
    assert (np.add.reduceat(counts, pattern.indptr[:-1]) == n_samples).all()
    for i in range(3):
        ids = pattern.rows(i, i + 1).rebased().indices
        assert (np.diff(ids) > 0).all()
        assert np.asarray(weights)[ids].all()
    assert_equal_bits((pattern, counts), draw(REFERENCE, sampler, [0, 1, 2**50], seed=seed))


# --- the right distribution ----------------------------------------------------------------------------------------


def p_value(counts, p):
    """Chi-square test of counts against probabilities, over the items expected at least 5 times."""
    expected = counts.sum() * p
    often = expected >= 5
    rest = np.array([counts[~often].sum()]), np.array([expected[~often].sum()])
    seen, wanted = np.append(counts[often], rest[0]), np.append(expected[often], rest[1])
    seen, wanted = seen[wanted > 0], wanted[wanted > 0]
    return chi2.sf(((seen - wanted) ** 2 / wanted).sum(), len(seen) - 1)


@pytest.mark.parametrize("by_counts", [False, True])
@pytest.mark.parametrize("excludes", [False, True])
def test_frequencies_follow_the_weights(by_counts, excludes):
    sampler = sampler_of(SKEWED, 600, by_counts=by_counts)
    p = SKEWED / SKEWED.sum()
    exclude = None
    if excludes:  # the same half of the items for everybody, the most popular one among them
        taken = np.zeros((1, 300), np.float32)
        taken[0, ::2] = taken[0, np.argmax(SKEWED)] = 1
        exclude = check_user_items("x", sparse.csr_matrix(np.repeat(taken, 500, axis=0)))
        p = np.where(taken[0], 0, p) / p[taken[0] == 0].sum()
    total = sum(dense(draw(CPU, sampler, range(500), exclude, seed)).sum(axis=0, dtype=np.int64) for seed in range(8))
    assert p_value(total, p) > CERTAIN
    wrong = p**1.02 / (p**1.02).sum()
    assert p_value(total, wrong) < CERTAIN  # the test would see it


@pytest.mark.parametrize("excludes", [False, True])
def test_both_ways_have_the_moments_of_the_multinomial(excludes):
    weights, n_samples, n_users = np.array([1.0, 2, 0, 3, 4, 10]), 300, 40_000
    p = weights / weights.sum()
    exclude = None
    if excludes:
        row = sparse.csr_matrix(np.array([[0, 1, 0, 0, 0, 1]], np.float32))
        exclude = check_user_items("x", sparse.vstack([row] * n_users))
        p = np.where([0, 1, 0, 0, 0, 1], 0, weights) / 8
    covariance = n_samples * (np.diag(p) - np.outer(p, p))
    for by_counts in (False, True):
        counts = dense(draw(CPU, sampler_of(weights, n_samples, by_counts=by_counts), range(n_users), exclude))
        error = np.sqrt(np.diag(covariance) / n_users)
        assert (np.abs(counts.mean(axis=0) - n_samples * p) <= 5 * error).all()
        seen = np.cov(counts, rowvar=False)
        scale = np.sqrt((covariance**2 + np.outer(np.diag(covariance), np.diag(covariance))) / n_users)
        assert (np.abs(seen - covariance) <= 5 * scale + 1e-9).all()


def test_tables_of_counts_hold_the_poisson_distribution():
    weights = np.array([0, 1e-9, 0.01, 1, 20, 500, 500])
    sampler = sampler_of(weights, 10**6, by_counts=True)
    tables, rho = sampler.counts, 10**6 - 3 * 10**3
    assert tables.table.tolist() == [0, 1, 2, 3, 4, 5, 5]
    borders = np.append(tables.base + tables.guide[:, 0], len(tables.last))
    for t, rate in enumerate(np.unique(weights) * rho / weights.sum()):
        entries = tables.last[borders[t] : borders[t + 1] - 1].astype(np.float64) + 1
        k = tables.guide[t, 0] + np.arange(len(entries))
        np.testing.assert_allclose(entries / 2**32, poisson.cdf(k, rate), rtol=0, atol=2.0**-32)
        assert poisson.cdf(tables.guide[t, 0] - 1, rate) <= 2.0**-33
        assert poisson.sf(tables.guide[t, 0] + len(entries), rate) <= 2.0**-33
        assert tables.last[borders[t + 1] - 1] == 2**32 - 1


def test_streams_are_independent():
    sampler = sampler_of(np.ones(50), 1000)
    first = dense(draw(CPU, sampler, range(2000), seed=1, epoch=0)).ravel().astype(float)
    others = {
        "epoch": dense(draw(CPU, sampler, range(2000), seed=1, epoch=1)),
        "seed": dense(draw(CPU, sampler, range(2000), seed=2, epoch=0)),
        "high word of the seed": dense(draw(CPU, sampler, range(2000), seed=1 + 2**32, epoch=0)),
        "users": np.roll(first.reshape(2000, 50), 1, axis=0),
        "high word of the user": dense(draw(CPU, sampler, np.arange(2000) + 2**32, seed=1, epoch=0)),
    }
    for other in others.values():
        assert abs(np.corrcoef(first, other.ravel())[0, 1]) < 5 / np.sqrt(first.size)


# --- the public function -------------------------------------------------------------------------------------------


@pytest.fixture
def user_items():
    return (sparse.random(40, 30, 0.2, format="csr", dtype=np.float32, random_state=5) != 0).astype(np.float32)


def test_result(user_items):
    popularity = np.asarray(user_items.sum(axis=0)).ravel()
    samples = ops.sample_negatives(user_items, 25, seed=4, epoch=2)
    assert (samples.format, samples.dtype, samples.shape) == ("csr", np.int32, (40, 30))
    assert (samples.sum(axis=1) == 25).all()
    assert samples.has_canonical_format
    same = ops.sample_negatives(user_items, 25, seed=4, epoch=2, weights=popularity)
    assert (samples != same).nnz == 0
    rows = [7, 39, 0, 7]
    assert (ops.sample_negatives(user_items, 25, seed=4, epoch=2, rows=rows) != samples[rows]).nnz == 0
    assert ops.sample_negatives(user_items, 25, rows=[]).shape == (0, 30)


def test_power(user_items):
    popularity = np.asarray(user_items.sum(axis=0)).ravel()
    user_items = sparse.hstack([user_items, sparse.csr_matrix((40, 1))]).tocsr()
    for power in (0, 0.75, 1, 2.5):
        total = np.asarray(ops.sample_negatives(user_items, 5000, power).sum(axis=0)).ravel()
        p = np.append(popularity**power, float(power == 0))
        assert p_value(total, p / p.sum()) > CERTAIN
    assert total[-1] == 0


def test_excluded_positives(user_items):
    samples = ops.sample_negatives(user_items, 400, exclude_positives=True)
    assert samples.multiply(user_items).nnz == 0
    assert (samples.sum(axis=1) == 400).all()
    part = ops.sample_negatives(user_items, 400, exclude_positives=True, rows=[3, 1])
    assert (part != samples[[3, 1]]).nnz == 0


def test_nothing_left_to_draw():
    user_items = sparse.csr_matrix(np.array([[1, 0, 1, 0], [1, 1, 1, 0], [0, 1, 0, 0]], np.float32))
    message = "`exclude_positives` must leave every user an item to draw, but row 1 holds all 3 items"
    with pytest.raises(ValueError, match=message):
        ops.sample_negatives(user_items, 5, exclude_positives=True)
    with pytest.raises(ValueError, match="row 1 holds"):
        ops.sample_negatives(user_items, 5, exclude_positives=True, rows=[2, 1])
    assert ops.sample_negatives(user_items, 5, exclude_positives=True, rows=[2, 0]).sum() == 10
    assert ops.sample_negatives(user_items, 5, 0, exclude_positives=True, rows=[1]).toarray().tolist() == [[0, 0, 0, 5]]
    with pytest.raises(ValueError, match="row 2 holds all 1 items"):
        ops.sample_negatives(user_items, 5, exclude_positives=True, weights=[0, 1, 0, 0], rows=[0, 2])


def test_counts_are_chosen_by_cost():
    assert sampler_of(np.ones(1000), 100).counts is None
    assert sampler_of(np.ones(1000), 5000).counts is not None
    assert sampler_of(np.random.default_rng(6).random(20_000), 2**31 - 1).counts is None  # tables beyond all measure


def test_native_code_protects_memory():
    sampler = sampler_of([1, 2, 3], 9)
    everything = check_user_items("x", sparse.csr_matrix(np.ones((2, 3), np.float32)))
    with pytest.raises(ValueError, match="every item of a user is excluded"):
        draw(CPU, sampler, [0, 1], everything)
    with pytest.raises(ValueError, match="exclude must be"):
        draw(CPU, sampler, [0], everything)
    with pytest.raises(ValueError, match="cdf must end"):
        draw(CPU, dataclasses.replace(sampler, cdf=sampler.cdf // np.uint64(2)), [0])
    with pytest.raises(ValueError, match="guide must have"):
        draw(CPU, dataclasses.replace(sampler, guide=sampler.guide[:3]), [0])
