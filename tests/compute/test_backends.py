"""Every operation on every backend gives what loops in plain Python give."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from fastautorec._compute import get_backend
from fastautorec._compute.csr import Csr
from fastautorec._compute.inputs import check_user_items, check_values
from fastautorec._compute.protocol import ACTIVATIONS, DEFINITIONS, NUMERATORS
from fastautorec._compute.reference import philox_of_user
from fastautorec.reference.pure import PureBackend, philox

PURE = PureBackend()
TOLERANCE = {np.dtype(np.float32): 2e-5, np.dtype(np.float64): 1e-12}  # of the largest value; sums differ in order

KNOWN_ANSWER = (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)  # Philox4x32-10, counter and key all zero


def random_matrix(n_rows=60, n_cols=40, density=0.2, **kwargs):
    matrix = sparse.random(n_rows, n_cols, density, format="csr", dtype=np.float32, random_state=7, **kwargs)
    matrix.data += np.float32(0.5)
    return matrix


def with_duplicates():
    row, col = np.array([0, 0, 2, 0]), np.array([3, 1, 2, 3])
    return sparse.coo_matrix((np.array([1.0, 2.0, 3.0, 4.0], np.float32), (row, col)), shape=(4, 5))


def unsorted():
    indptr, indices = np.array([0, 3, 3, 5]), np.array([4, 0, 2, 3, 1])
    return sparse.csr_matrix((np.arange(1, 6, dtype=np.float32), indices, indptr), shape=(3, 6))


def with_int64_indices():
    matrix = random_matrix()
    matrix.indptr, matrix.indices = matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64)
    return matrix


def with_gaps():
    matrix = random_matrix().tolil()
    matrix[[0, 17, 59]] = 0
    matrix[:, [0, 3, 39]] = 0
    return matrix.tocsr()


MATRICES = {
    "plain": random_matrix(),
    "no users": sparse.csr_matrix((0, 5), dtype=np.float32),
    "no interactions": sparse.csr_matrix((3, 5), dtype=np.float32),
    "empty rows and columns": with_gaps(),
    "one user": random_matrix(1, 40, 0.5),
    "one item": random_matrix(60, 1, 0.5),
    "one user, one item": sparse.csr_matrix(np.ones((1, 1), np.float32)),
    "all zero, stored": sparse.csr_matrix((np.zeros(2, np.float32), [1, 2], [0, 1, 2]), shape=(2, 4)),
    "duplicates": with_duplicates(),
    "unsorted ids": unsorted(),
    "64-bit indices": with_int64_indices(),
    "float64": random_matrix().astype(np.float64),
    "boolean": random_matrix().astype(bool),
    "more rows than a task": random_matrix(2500, 30, 0.1),
    "a row with most entries": sparse.vstack([np.ones((1, 3000)), random_matrix(5, 3000, 0.001)]).tocsr(),
}


def dense(n, k, seed=0):
    return np.random.default_rng(seed).standard_normal((n, k)).astype(np.float32)


def ranked_lists(x, length=12):
    """Random lists with repeated ids and free places among them."""
    return np.random.default_rng(1).integers(-1, x.n_cols, (x.shape[0], length)).astype(np.int32)


OPERATIONS = {
    "count_items": lambda b, x: b.count_items(x),
    **{f"nce_transform {name}": lambda b, x, name=name: b.nce_transform(x, 0.8, name) for name in NUMERATORS},
    **{
        f"encode {name}": lambda b, x, name=name: b.encode(x, dense(x.n_cols, 33), dense(1, 33, 2)[0], name)
        for name in ACTIVATIONS
    },
    "encode without bias": lambda b, x: b.encode(x, dense(x.n_cols, 33)),
    "encode_backward": lambda b, x: b.encode_backward(x, dense(x.shape[0], 33)),
    "gram_product": lambda b, x: b.gram_product(x, dense(x.n_cols, 33)),
    **{
        f"gram_product, weighted, {power}": lambda b, x, power=power: b.gram_product(
            x, dense(x.n_cols, 33), dense(1, x.n_cols, 2)[0], power
        )
        for power in (0.0, 0.5, 0.75)
    },
    "drop_entries": lambda b, x: b.drop_entries(x, 0.3, 2**40 + 5, 3),
    "top_items": lambda b, x: b.top_items(dense(*x.shape), 7),
    "top_items with exclusion": lambda b, x: b.top_items(dense(*x.shape), 7, x),
    **{
        f"ranking_metrics {name}": lambda b, x, name=name: b.ranking_metrics(ranked_lists(x), x, (1, 5, 20), name)
        for name in DEFINITIONS
    },
}


def assert_same(actual, expected):
    """Compare results of one operation: sparse patterns and ids exactly, floats by dtype."""
    if isinstance(expected, tuple):
        for one, other in zip(actual, expected, strict=True):
            assert_same(one, other)
    elif isinstance(expected, Csr):
        assert_same(dataclasses.astuple(actual)[:3], dataclasses.astuple(expected)[:3])
        assert actual.shape == expected.shape
    else:
        assert actual.dtype == expected.dtype
        assert actual.shape == expected.shape
        tolerance = TOLERANCE.get(expected.dtype, 0)
        scale = max(1.0, float(np.abs(expected[np.isfinite(expected)]).max(initial=0)))
        np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("matrix", MATRICES)
def test_parity(backend, matrix, operation):
    x = check_values("user_items", MATRICES[matrix])
    run = OPERATIONS[operation]
    assert_same(run(backend, x), run(PURE, x))


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("rows", [(0, 60), (7, 31), (59, 60), (20, 20)])
def test_parity_on_row_slices(backend, rows, operation):
    x = check_values("user_items", random_matrix()).rows(*rows)
    run = OPERATIONS[operation]
    assert_same(run(backend, x), run(PURE, x.rebased()))


@pytest.mark.parametrize("density", [0.2, 0.01])
@pytest.mark.parametrize("k", [0, 1, 2, 15, 16, 17, 31, 32, 33, 48, 64, 100])
def test_parity_for_any_number_of_units(backend, k, density):  # up to more units than items, whole registers or not
    x = check_values("user_items", random_matrix(density=density))
    weight, grad, bias = dense(40, k), dense(60, k), dense(1, k, 1)[0]
    assert_same(backend.encode(x, weight, bias, "relu"), PURE.encode(x, weight, bias, "relu"))
    assert_same(backend.encode_backward(x, grad), PURE.encode_backward(x, grad))
    assert_same(backend.gram_product(x, weight), PURE.gram_product(x, weight))


@pytest.mark.parametrize("density", [0.2, 0.01])
def test_strided_rows(backend, density):
    x = check_values("user_items", random_matrix(density=density))
    weight, grad = dense(80, 50)[::2, 3:36], dense(120, 50)[::2, 1:34]
    assert_same(backend.encode(x, weight), PURE.encode(x, weight))
    assert_same(backend.encode_backward(x, grad), PURE.encode_backward(x, grad))
    assert_same(backend.gram_product(x, weight), PURE.gram_product(x, weight))
    scores = dense(120, 50)[::2, 5:45]
    assert_same(backend.top_items(scores, 5, x), PURE.top_items(scores, 5, x))


def test_output_arrays(backend):
    x = check_values("user_items", random_matrix())
    wide = np.full((60, 40), 9, np.float32)
    hidden = backend.encode(x, dense(40, 33), out=wide[:, 2:35])
    assert np.shares_memory(hidden, wide)
    assert_same(wide[:, 2:35], PURE.encode(x, dense(40, 33)))
    assert (wide[:, [0, 1, *range(35, 40)]] == 9).all()

    total = dense(40, 33, 4)
    expected = PURE.encode_backward(x, dense(60, 33), total.copy())
    assert backend.encode_backward(x, dense(60, 33), total) is total
    assert_same(total, expected)


def test_saturated_activations(backend):
    x = check_values("user_items", sparse.csr_matrix([[1.0], [-1.0]]))
    weight = np.array([[1e4]], np.float32)
    assert backend.encode(x, weight, activation="sigmoid").tolist() == [[1], [0]]
    assert backend.encode(x, weight, activation="tanh").tolist() == [[1], [-1]]


# --- top_items ---------------------------------------------------------------------------------------------------


def test_top_items_breaks_ties_by_id(backend):
    scores = np.array([[1, 2, 2, 1, 2, -0.0, 0.0]], np.float32)
    ids, best = backend.top_items(scores, 6)
    assert ids.tolist() == [[1, 2, 4, 0, 3, 5]]
    assert best.tolist() == [[2, 2, 2, 1, 1, 0]]


def test_top_items_never_lists_nan_and_minus_infinity(backend):
    scores = np.array([[np.nan, 1, -np.inf, np.inf], [np.nan, np.nan, -np.inf, np.nan]], np.float32)
    ids, best = backend.top_items(scores, 3)
    assert ids.tolist() == [[3, 1, -1], [-1, -1, -1]]
    np.testing.assert_array_equal(best, np.array([[np.inf, 1, np.nan], [np.nan] * 3], np.float32))


def test_top_items_of_an_excluded_row(backend):
    everything = check_user_items("exclude", sparse.csr_matrix(np.ones((2, 40), np.float32)))
    ids, best = backend.top_items(dense(2, 40), 3, everything)
    assert (ids == -1).all()
    assert np.isnan(best).all()


def test_top_items_longer_than_the_row(backend):
    ids, best = backend.top_items(np.array([[3, 5]], np.float32), 4)
    assert ids.tolist() == [[1, 0, -1, -1]]
    np.testing.assert_array_equal(best, np.array([[5, 3, np.nan, np.nan]], np.float32))


def test_top_items_with_the_largest_ids(backend):
    first = 2**31 - 3
    ids, _ = backend.top_items(np.array([[3, 5]], np.float32), 2, first_item=first)
    assert ids.tolist() == [[first + 1, first]]


@st.composite
def tiled_rankings(draw):
    users, items = draw(st.integers(1, 4)), draw(st.integers(1, 150))
    pool = st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, np.nan, np.inf, -np.inf, 3.25])
    values = draw(st.lists(pool, min_size=users * items, max_size=users * items))
    hidden = draw(st.lists(st.tuples(st.integers(0, users - 1), st.integers(0, items - 1)), max_size=60))
    borders = sorted(draw(st.sets(st.integers(0, items), max_size=6)) | {0, items})
    exclude = sparse.coo_matrix((np.ones(len(hidden)), np.array(hidden, int).reshape(-1, 2).T), shape=(users, items))
    return np.array(values, np.float32).reshape(users, items), exclude, borders, draw(st.integers(1, 160))


@pytest.mark.parametrize("name", ["reference", "cpu"])
@given(case=tiled_rankings())
def test_tiles_merge_into_the_whole(name, case):
    scores, exclude, borders, n_top = case
    hidden = check_user_items("exclude", exclude)
    one = get_backend(name, num_threads=1)
    best = None
    for first, last in pairwise(borders):
        best = one.top_items(scores[:, first:last], n_top, hidden, first, best)
    assert_same(best, PURE.top_items(scores, n_top, hidden))


# --- random streams ----------------------------------------------------------------------------------------------


def test_philox_known_answer():
    assert philox((0, 0, 0, 0), (0, 0)) == KNOWN_ANSWER
    zero = np.zeros(1, np.int64)
    assert tuple(philox_of_user(0, 0, zero, zero)[0].tolist()) == KNOWN_ANSWER


@pytest.mark.parametrize("position", range(4))
def test_dropping_compares_with_the_known_answer(backend, position):
    x = check_values("user_items", sparse.csr_matrix(np.ones((1, 4), np.float32)))
    word = KNOWN_ANSWER[position]
    at_most = np.float32(word * 2.0**-32)
    if float(at_most) * 2.0**32 > word:
        at_most = np.nextafter(at_most, np.float32(0))
    above = np.nextafter(at_most, np.float32(1))
    assert backend.drop_entries(x, float(at_most), 0, 0).data[position] > 0
    assert backend.drop_entries(x, float(above), 0, 0).data[position] == 0


@pytest.mark.parametrize(
    ("seed", "epoch", "first_user"), [(0, 0, 0), (2**64 - 1, 2**32 - 1, 2**40), (2**33 + 1, 1, 2**32 - 3)]
)
def test_masks_are_equal_bit_for_bit(backend, seed, epoch, first_user):
    x = check_values("user_items", random_matrix())
    numbered = dataclasses.replace(x, users=first_user + np.arange(60))
    for rate in (0.0, 0.1, 1 / 3, 0.999):
        actual, expected = (b.drop_entries(numbered, rate, seed, epoch).data for b in (backend, PURE))
        np.testing.assert_array_equal(actual == 0, expected == 0)
        np.testing.assert_allclose(actual, expected, rtol=2e-7)
        if first_user == 0:
            np.testing.assert_array_equal(backend.drop_entries(x, rate, seed, epoch).data, actual)


def test_mask_does_not_depend_on_the_tiling(backend):
    x = check_values("user_items", random_matrix())
    whole = backend.drop_entries(x, 0.5, 1, 2).data
    parts = [backend.drop_entries(x.rows(start, start + 20), 0.5, 1, 2).data for start in (0, 20, 40)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_rows_are_taken_without_copying_where_they_follow_each_other():
    rows = sparse.csr_matrix(np.arange(1, 31, dtype=np.float32).reshape(6, 5) * (np.arange(6) != 3)[:, None])
    whole = check_values("user_items", rows)
    part = Csr(whole.indptr[1:], whole.indices, whole.data, 5, users=np.arange(11, 16))  # its third is empty
    for chosen, shared in (([1, 3], True), ([1, 2, 3], True), ([0, 2], False), ([3, 1], False), ([1, 1], False)):
        taken = part.take_rows(np.array(chosen))
        np.testing.assert_array_equal(taken.to_scipy().toarray(), rows[1:].toarray()[chosen])
        np.testing.assert_array_equal(taken.users, np.array(chosen) + 11)
        assert taken.indptr[0] == 0
        assert np.shares_memory(taken.indices, whole.indices) == np.shares_memory(taken.data, whole.data) == shared
    assert part.take_rows(np.array([], np.int64)).shape == (0, 5)


def test_mask_goes_with_the_user(backend):
    x = check_values("user_items", random_matrix())
    whole = backend.drop_entries(x, 0.5, 1, 2).to_scipy()
    order = np.random.default_rng(3).permutation(60)
    shuffled = x.take_rows(order)
    np.testing.assert_array_equal(shuffled.user_numbers(), order)
    assert (backend.drop_entries(shuffled, 0.5, 1, 2).to_scipy() != whole[order]).nnz == 0
    part = shuffled.rows(7, 31).rows(2, 20)
    assert (backend.drop_entries(part, 0.5, 1, 2).to_scipy() != whole[order[9:27]]).nnz == 0
    again = x.rows(10, 50).take_rows(np.array([5, 5, 0])).take_rows(np.array([2, 1]))
    np.testing.assert_array_equal(again.user_numbers(), [10, 15])
    assert (backend.drop_entries(again, 0.5, 1, 2).to_scipy() != whole[[10, 15]]).nnz == 0


def test_drop_rate_and_independence(backend):
    x = check_values("user_items", sparse.csr_matrix(np.ones((500, 400), np.float32)))
    rate, size = 0.3, 200_000
    dropped = {key: backend.drop_entries(x, rate, *key).data == 0 for key in [(1, 0), (1, 1), (2, 0)]}
    sigma = np.sqrt(rate * (1 - rate) / size)
    for mask in dropped.values():
        assert abs(mask.mean() - rate) < 5 * sigma
        by_user = mask.reshape(500, 400).mean(axis=1)
        assert by_user.std() == pytest.approx(np.sqrt(rate * (1 - rate) / 400), rel=0.2)
    first = dropped[1, 0]
    for other in (dropped[1, 1], dropped[2, 0], np.roll(first, 1), np.roll(first, 400)):
        assert abs(np.corrcoef(first, other)[0, 1]) < 5 / np.sqrt(size)


def test_dropping_keeps_the_expectation(backend):
    x = check_values("user_items", random_matrix())
    total = sum(backend.drop_entries(x, 0.5, 3, epoch).data.astype(np.float64) for epoch in range(2000))
    np.testing.assert_allclose(total / 2000, x.data, rtol=0.15)
