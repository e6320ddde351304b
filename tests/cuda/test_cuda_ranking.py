"""Top lists and their metrics on an emulated CUDA device, against the reference."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from cuda_emulation import EmulatedDevice
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from fastautorec._compute import get_backend
from fastautorec._compute.csr import Csr
from fastautorec._compute.cuda import ranking
from fastautorec._compute.cuda.matrix import DeviceCsr
from fastautorec._compute.cuda.ranking import ranking_metrics, top_items
from fastautorec._compute.protocol import DEFINITIONS

REFERENCE = get_backend("reference", 1)
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, np.nan, np.inf, -np.inf, 3.25, 1e-40, -1e-40, 3e38]


def csr(rows, n_items):
    matrix = sparse.csr_matrix(rows)
    return Csr(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), None, n_items)


def hidden_items(n_rows, n_items, density):
    return csr(np.random.default_rng(2).random((n_rows, n_items)) < density, n_items)


def lists(device, scores, n_top, exclude=None, borders=None):
    """Rank tile by tile; ``borders`` are the first items of the tiles and the number of items."""
    left_out = None if exclude is None else DeviceCsr.from_host(device, exclude)
    uploaded, best = device.to_device(scores), None
    waits = device.synchronisations
    for first, last in pairwise(borders or (0, scores.shape[1])):
        best = top_items(device, uploaded[:, first:last], n_top, left_out, first, best)
    assert device.synchronisations == waits
    np.testing.assert_array_equal(uploaded.get(), scores)
    return best[0].get(), best[1].get()


def assert_parity(device, scores, n_top, exclude=None, borders=None):
    got = lists(device, scores, n_top, exclude, borders)
    for one, other in zip(got, REFERENCE.top_items(scores, n_top, exclude), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


# --- top_items -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("density", [None, 0.1, 0.95])
@pytest.mark.parametrize("n_top", [1, 50, 128, 129, 1024])
@pytest.mark.parametrize("width", [1, 40, 300, 3001])
def test_random_scores(width, n_top, density):
    scores = np.random.default_rng(width).standard_normal((5, width)).astype(np.float32)
    exclude = None if density is None else hidden_items(5, width, density)
    assert_parity(EmulatedDevice(seed=n_top), scores, n_top, exclude)


@pytest.mark.parametrize("n_top", [1025, 2048, 2500, 4000])
def test_lists_longer_than_a_block_sorts(n_top):
    scores = np.random.default_rng(0).standard_normal((2, 2600)).astype(np.float32)
    scores[1, ::3] = np.nan
    assert_parity(EmulatedDevice(), scores, n_top)
    assert_parity(EmulatedDevice(), scores, n_top, hidden_items(2, 2600, 0.2), (0, 900, 2599, 2600))


@pytest.mark.parametrize("excluded", [False, True])
@pytest.mark.parametrize("n_values", [1, 2, 9])
@pytest.mark.parametrize("n_top", [1, 100, 1024, 1500])
def test_many_ties(n_top, n_values, excluded):
    """More equal scores than there is room for: the digits of the ids decide."""
    scores = np.random.default_rng(1).integers(0, n_values, (3, 3000)).astype(np.float32)
    exclude = hidden_items(3, 3000, 0.3) if excluded else None
    assert_parity(EmulatedDevice(), scores, n_top, exclude)
    assert_parity(EmulatedDevice(), scores, n_top, exclude, (0, 1000, 1001, 3000))


@pytest.mark.parametrize("near", [1.0, -1.0, 1e-40])
def test_scores_that_agree_in_most_digits(near):
    bits = np.float32(near).view(np.int32) + np.random.default_rng(3).permutation(4000).astype(np.int32)
    assert_parity(EmulatedDevice(), bits.view(np.float32)[None], 60)


def test_excluded_items_with_the_best_scores():
    scores = np.random.default_rng(4).standard_normal((3, 4000)).astype(np.float32)
    order = np.argsort(-scores, axis=1)
    rows = np.zeros(scores.shape)
    np.put_along_axis(rows, order[:, :3900], 1, 1)
    assert_parity(EmulatedDevice(), scores, 50, csr(rows, 4000))
    assert_parity(EmulatedDevice(), scores, 500, csr(rows, 4000), (0, 17, 2000, 4000))


@st.composite
def tiled_rankings(draw):
    users, items = draw(st.integers(1, 4)), draw(st.integers(1, 60))
    values = draw(st.lists(st.sampled_from(SPECIAL), min_size=users * items, max_size=users * items))
    rows = draw(st.lists(st.booleans(), min_size=users * items, max_size=users * items))
    borders = sorted(draw(st.sets(st.integers(0, items), max_size=6)) | {0, items})
    scores, exclude = np.array(values, np.float32).reshape(users, items), np.array(rows).reshape(users, items)
    return scores, csr(exclude, items) if draw(st.booleans()) else None, borders, draw(st.integers(0, 70))


@settings(deadline=None, max_examples=100)
@given(case=tiled_rankings(), seed=st.integers(0, 9), listed=st.sampled_from([2, 16, 1024]))
def test_tiles_of_special_values(case, seed, listed):
    scores, exclude, borders, n_top = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "_MAX_LISTED", listed)
        patch.setattr(ranking, "_MIN_ROOM", 1)
        assert_parity(EmulatedDevice(seed=seed), scores, n_top, exclude, borders)


def test_strided_rows_and_row_slices():
    device, scores = EmulatedDevice(), np.random.default_rng(5).standard_normal((12, 90)).astype(np.float32)
    exclude = hidden_items(30, 40, 0.4)
    part = device.to_device(scores)[::2, 5:45]
    ids, best = top_items(device, part, 7, DeviceCsr.from_host(device, exclude).rows(9, 15))
    expected = REFERENCE.top_items(scores[::2, 5:45], 7, exclude.rows(9, 15))
    np.testing.assert_array_equal(ids.get(), expected[0])
    np.testing.assert_array_equal(best.get(), expected[1])


def test_the_largest_ids():
    device, first = EmulatedDevice(), 2**31 - 3
    scores = np.array([[3, 5], [5, 5]], np.float32)
    ids, _ = top_items(device, device.to_device(scores), 3, None, first)
    assert ids.get().tolist() == [[first + 1, first, -1], [first, first + 1, -1]]


def test_no_rows_and_no_places():
    for shape, n_top in (((0, 5), 3), ((4, 5), 0), ((4, 0), 2)):
        assert_parity(EmulatedDevice(), np.zeros(shape, np.float32), n_top)


# --- ranking_metrics -----------------------------------------------------------------------------------------------


def assert_same_metrics(device, item_ids, test, cutoffs, definition):
    uploaded = device.to_device(item_ids)
    left_out = DeviceCsr.from_host(device, test)
    waits = device.synchronisations
    got = ranking_metrics(device, uploaded, left_out, cutoffs, definition)
    assert device.synchronisations == waits
    expected = REFERENCE.ranking_metrics(item_ids, test, cutoffs, definition)
    assert got.dtype == expected.dtype
    np.testing.assert_allclose(got.get(), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("definition", DEFINITIONS)
@pytest.mark.parametrize("cutoffs", [(1,), (5, 10, 20, 50), (3, 400), tuple(range(1, 80, 2))])
@pytest.mark.parametrize("length", [0, 1, 31, 33, 70, 300])
def test_metrics(length, cutoffs, definition):
    """Lists of one turn of a warp or several, more cut-offs than lanes, lists shorter than a cut-off."""
    rng = np.random.default_rng(length)
    ranked = np.argsort(rng.random((60, 300)), axis=1)[:, :length].astype(np.int32)
    test = csr(rng.random((60, 300)) < rng.uniform(0, 0.6, (60, 1)) ** 2, 300)
    assert_same_metrics(EmulatedDevice(), ranked, test, cutoffs, definition)


@settings(deadline=None, max_examples=60)
@given(data=st.data(), definition=st.sampled_from(DEFINITIONS), seed=st.integers(0, 9))
def test_metrics_of_lists_with_gaps_and_repeats(data, definition, seed):
    n_items, n_rows, length = (data.draw(st.integers(1, top)) for top in (12, 40, 70))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    ranked = rng.integers(-1, n_items + 2, (n_rows, length)).astype(np.int32)
    cutoffs = tuple(sorted(data.draw(st.sets(st.integers(1, 90), min_size=1, max_size=4))))
    test = csr(rng.random((n_rows, n_items)) < 0.4, n_items)
    assert_same_metrics(EmulatedDevice(seed), ranked, test, cutoffs, definition)


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_metrics_of_slices(definition):
    device, rng = EmulatedDevice(), np.random.default_rng(6)
    ranked = np.argsort(rng.random((20, 50)), axis=1).astype(np.int32)
    test = csr(rng.random((20, 50)) < 0.3, 50)
    part = DeviceCsr.from_host(device, test).rows(4, 15)
    got = ranking_metrics(device, device.to_device(ranked)[4:15, :9], part, (2, 9), definition)
    expected = REFERENCE.ranking_metrics(ranked[4:15, :9], test.rows(4, 15), (2, 9), definition)
    np.testing.assert_allclose(got.get(), expected, rtol=1e-12, atol=1e-14)
    no_users = DeviceCsr.from_host(device, test).rows(3, 3)
    assert ranking_metrics(device, device.to_device(ranked[:0]), no_users, (2,), definition).shape[0] == 0
