"""Lists of few users and of many: the same as a sort of all scores, and the same bits for any number of threads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from devices import CUDA
from lanes import keeping
from scipy import sparse

import fastautorec as far
from fastautorec._compute import get_backend
from fastautorec._compute import top_lists as _scoring
from fastautorec._compute.csr import Csr, LazyRows
from fastautorec._compute.host import HostArrays
from fastautorec._compute.inputs import check_user_items
from fastautorec._compute.protocol import ScoreTiles
from fastautorec._compute.top_lists import DotScorer, copying_pays, joined, part_bounds, tile_shape, top_lists

N_ITEMS, FACTORS = 40_000, 20  # many tiles of items for many users, one for few
USERS = (1, 3, 8, 9, 70)


def factors(rows, seed, columns=FACTORS):
    """Small integers: every sum is exact, and equal scores abound."""
    return np.random.default_rng(seed).integers(-3, 4, (rows, columns)).astype(np.float32)


@pytest.fixture(scope="module")
def history():
    drawn = sparse.random(max(USERS), N_ITEMS, 0.01, format="csr", dtype=np.float32, random_state=1)
    return (drawn != 0).astype(np.float32)


@pytest.fixture(scope="module")
def decoder():
    return factors(N_ITEMS, 2)


def model_with(decoder, threads=1, encoder=None):
    """A fitted model with these arrays."""
    model = far.NCEPLRec(factors=decoder.shape[1], device="cpu", num_threads=threads)
    model.encoder_, model.encoder_bias_ = factors(len(decoder), 3) if encoder is None else encoder, None
    model.decoder_, model.n_items_, model.device_, model.item_ids_ = decoder, len(decoder), "cpu", None
    model.item_counts_, model.fitted_params_ = None, model.get_params()
    return model


def sorted_lists(scores, allowed, length):
    """Return ids and scores by a stable sort of all scores."""
    hidden = np.where(allowed, scores, -np.inf)
    ids = np.argsort(-hidden, axis=1, kind="stable")[:, :length].astype(np.int32)
    values = np.take_along_axis(hidden, ids, 1)
    listed = values > -np.inf
    return np.where(listed, ids, -1), np.where(listed, values, np.nan)


@pytest.mark.parametrize("threads", keeping([2], [1, 2, 7]))
@pytest.mark.parametrize("length", [1, 50, 17_000])  # the last one is longer than a tile of items is wide
@pytest.mark.parametrize("n_users", USERS)
def test_lists_are_those_of_a_sort(history, decoder, n_users, length, threads):
    model, rows = model_with(decoder, threads), history[:n_users]
    ids, scores = model.recommend(rows, N=length)
    expected = sorted_lists((rows @ model.encoder_) @ decoder.T, rows.toarray() == 0, length)
    np.testing.assert_array_equal(ids, expected[0])
    np.testing.assert_array_equal(scores, expected[1])


@pytest.mark.parametrize("seen", [True, False], ids=["without seen", "with seen"])
@pytest.mark.parametrize("n_users", keeping(USERS[:-1], USERS))
def test_lists_of_some_items(history, decoder, n_users, seen):
    model, rows, rng = model_with(decoder, 2), history[:n_users], np.random.default_rng(4)
    scores, unseen = (rows @ model.encoder_) @ decoder.T, rows.toarray() == 0
    for n_some in (1, 5, 700, 30_000):
        some, unwanted = rng.choice(N_ITEMS, n_some), rng.choice(N_ITEMS, n_some // 2)
        for items, without in ((some, None), (None, some), (some, unwanted)):
            allowed = np.full(N_ITEMS, items is None)
            allowed[[] if items is None else items] = True
            allowed[[] if without is None else without] = False
            ids, values = model.recommend(rows, 20, seen, items=items, filter_items=without)
            expected = sorted_lists(scores, unseen & allowed if seen else np.tile(allowed, (n_users, 1)), 20)
            np.testing.assert_array_equal(ids, expected[0])
            np.testing.assert_array_equal(values, expected[1])


@pytest.mark.parametrize("device", ["reference", *CUDA], indirect=True)
@pytest.mark.parametrize("n_users", [1, 12])
def test_lists_of_some_items_on_every_device(device, n_users):
    drawn = sparse.random(n_users, 300, 0.1, format="csr", dtype=np.float32, random_state=8)
    rows, decoder = (drawn != 0).astype(np.float32), factors(300, 9)
    on_cpu, moved = model_with(decoder), model_with(decoder).to(device)
    for options in ({"filter_items": [3, 40, 41, 299]}, {"items": np.arange(250)}, {"items": [9, 2, 70]}):
        ids, scores = on_cpu.recommend(rows, 10, **options)
        found = moved.recommend(rows, 10, **options)
        np.testing.assert_array_equal(found[0], ids)
        np.testing.assert_array_equal(found[1], scores)


@pytest.mark.parametrize("n_users", USERS)
def test_same_bits_for_any_number_of_threads(history, n_users):
    rng = np.random.default_rng(5)
    encoder, decoder = (rng.standard_normal((N_ITEMS, 37)).astype(np.float32) for _ in range(2))

    def lists(threads, **options):
        answer = model_with(decoder, threads, encoder).recommend(history[:n_users], 30, **options)
        return [array.tobytes() for array in answer]

    for options in ({}, {"items": np.arange(9, 3000)}, {"filter_items": np.arange(0, N_ITEMS, 3)}):
        one = lists(1, **options)
        assert lists(2, **options) == one
        assert lists(7, **options) == one


def test_a_user_among_few_gets_the_scores_of_one_alone(history):
    rng = np.random.default_rng(6)
    encoder, decoder = (rng.standard_normal((N_ITEMS, 37)).astype(np.float32) for _ in range(2))
    model = model_with(decoder, 2, encoder)
    together = model.recommend(history[:8], 25)
    for u in range(8):
        alone = model.recommend(history[u], 25)
        np.testing.assert_array_equal(alone[0][0], together[0][u])
        np.testing.assert_array_equal(alone[1][0], together[1][u])


def test_no_users(decoder):
    ids, scores = model_with(decoder).recommend(sparse.csr_matrix((0, N_ITEMS)), 3, filter_items=[1])
    assert ids.shape == scores.shape == (0, 3)


def test_lists_of_each_block_have_their_own_length(history, decoder, monkeypatch):
    monkeypatch.setattr(HostArrays, "score_tiles", ScoreTiles(size=1 << 20, items=16, users=50))
    rows = check_user_items("history", sparse.vstack([history, history], "csr"))
    scorer = DotScorer(lambda backend, part: backend.encode(part, factors(N_ITEMS, 3)), decoder)
    found = {}

    def lists(threads):
        found.clear()
        top_lists(get_backend("cpu", threads), scorer, rows, lambda start, _: 60 - start // 2, None, keep)
        return dict(found)

    def keep(start, stop, ids, scores):
        assert ids.shape == scores.shape == (stop - start, 60 - start // 2)
        found[start] = ids.tobytes() + scores.tobytes()

    one = lists(1)
    assert len(one) > 1
    assert lists(2) == lists(7) == one


def test_rows_are_made_in_blocks_of_limited_size(history, decoder, monkeypatch):
    rows = check_user_items("history", sparse.vstack([history] * 3, "csr"))
    scorer = DotScorer(lambda backend, part: backend.encode(part, factors(N_ITEMS, 3)), decoder)
    order = np.argsort(-rows.row_lengths(), kind="stable")
    lazy = LazyRows.picked(rows, order)
    made = []

    def recorded(start, stop):
        made.append(lazy.rows(start, stop))
        return made[-1]

    def lists():
        found = np.empty((len(order), 10), np.int32)

        def keep(start, stop, ids, scores):
            found[start:stop] = ids

        watched = replace(lazy, rows=recorded)
        made.clear()
        top_lists(get_backend("cpu", 2), scorer, watched, lambda start, stop: 10, watched, keep)
        return found

    at_once = lists()
    assert len(made) == 1
    longest = int(rows.row_lengths().max())
    monkeypatch.setattr("fastautorec._compute.csr.BLOCK_ENTRIES", 2 * longest)
    np.testing.assert_array_equal(lists(), at_once)
    assert len(made) > 50
    assert max(part.nnz for part in made) <= 2 * longest
    monkeypatch.setattr("fastautorec._compute.csr.BLOCK_ENTRIES", 1)
    np.testing.assert_array_equal(lists(), at_once)
    assert [part.shape[0] for part in made] == [1] * len(order)


def test_tiles_are_of_one_size():
    tiles = get_backend("cpu").score_tiles
    assert tile_shape(tiles, 1000, 20_000) == (256, 4000)
    assert tile_shape(tiles, 1, 50_000) == (1, 50_000)
    assert tile_shape(tiles, 1, 2**20) == (1, _scoring.WIDE_TILE)
    for n_users in (1, 8, 9, 10**6):
        for n_items in (1, 10**4, 10**6 + 1, 10**7):
            users, items = tile_shape(tiles, n_users, n_items)
            assert 1 <= users <= n_users
            assert 1 <= items <= n_items
            assert 4 * users * items <= tiles.size


def test_parts_are_whole_tiles():
    assert part_bounds(10, 3, 1) == [0, 10]
    assert part_bounds(10, 3, 2) == [0, 6, 10]
    assert part_bounds(10, 3, 99) == [0, 3, 6, 9, 10]


def test_joining_keeps_the_order_of_equal_scores():
    lists = [
        (np.array([[0, 3], [1, 0]], np.int32), np.array([[5, 5], [7, 2]], np.float32)),
        (np.array([[4, -1], [9, 8]], np.int32), np.array([[5, np.nan], [7, 6]], np.float32)),
    ]
    ids, scores = joined(get_backend("cpu"), lists, 4)
    np.testing.assert_array_equal(ids, [[0, 3, 4, -1], [1, 9, 8, 0]])
    np.testing.assert_array_equal(scores, [[5, 5, 5, np.nan], [7, 7, 6, 2]])


def test_few_items_are_copied_for_many_users_only():
    assert not copying_pays(25_000, 1, 50_000)
    assert copying_pays(100, 1, 50_000)
    assert copying_pays(49_000, 6000, 50_000)


def test_columns_of_a_matrix_with_values():
    x = sparse.random(30, 40, 0.2, format="csr", dtype=np.float32, random_state=7)
    items = np.array([0, 3, 4, 21, 39], np.int32)
    part = Csr(x.indptr.astype(np.int64), x.indices.astype(np.int32), x.data, 40).rows(5, 25).columns(items)
    assert part.shape == (20, 5)
    np.testing.assert_array_equal(part.to_scipy().toarray(), x[5:25][:, items].toarray())
