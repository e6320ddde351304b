"""A Ranker: the lists of ``recommend`` from many threads, in forks, and of the fit that it was made from."""

from __future__ import annotations

import multiprocessing
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from lanes import marked
from scipy import sparse

import fastautorec as far
from fastautorec._compute import top_lists

TRAIN = far.datasets.synthetic(120, 60, 1500, random_state=1)
NAMES = [f"item {j}" for j in range(60)]
HISTORIES = [row.indices for row in TRAIN]


@pytest.fixture
def model() -> Any:
    return far.NCEAutoRec(factors=8).fit(far.Interactions(TRAIN, item_ids=NAMES))


def expected_lists(model: Any, **options: Any) -> list[bytes]:
    """Return the lists for single rows."""
    return [b"".join(array[0].tobytes() for array in model.recommend(row, **options)) for row in TRAIN]


def lists_of(ranker: far.Ranker) -> list[bytes]:
    return [b"".join(array.tobytes() for array in ranker.recommend(history)) for history in HISTORIES]


@pytest.mark.parametrize("num_threads", [1, 3])
def test_many_threads_share_one(model: Any, num_threads: int) -> None:
    ranker, expected = model.ranker(N=7, num_threads=num_threads), expected_lists(model, N=7)
    with ThreadPoolExecutor(8) as pool:
        for lists in pool.map(lambda _: lists_of(ranker), range(16)):
            assert lists == expected


def test_wide_catalogues_in_tiles(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(top_lists, "WIDE_TILE", 16)
    monkeypatch.setattr(type(model._backend()), "score_tiles", model._backend().score_tiles._replace(items=16))
    assert len(model.ranker()._own._tiles) == 4
    assert lists_of(model.ranker(N=7)) == expected_lists(model, N=7)


def test_buffers_are_made_once(model: Any) -> None:
    ranker = model.ranker()
    lists_of(ranker)
    (buffer,) = ranker._own._selector._free
    lists_of(ranker)
    assert ranker._own._selector._free == [buffer]
    first = ranker.recommend(HISTORIES[0])
    kept = first[0].copy(), first[1].copy()
    lists_of(ranker)  # results are nobody's buffer
    np.testing.assert_array_equal(first, kept)


def _in_a_fork(ranker: far.Ranker, results: Any) -> None:
    results.put(lists_of(ranker))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forks(model: Any) -> None:
    ranker = model.ranker(N=7)
    before = lists_of(ranker)
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    processes = [context.Process(target=_in_a_fork, args=(ranker, results)) for _ in range(2)]
    for process in processes:
        process.start()
    assert [results.get(timeout=60) for _ in processes] == [before, before]
    for process in processes:
        process.join(60)
    assert lists_of(ranker) == before


def test_it_stays_with_its_fit(model: Any) -> None:
    ranker = model.ranker(N=7)
    before = lists_of(ranker)
    model.set_params(activation="tanh", popularity_discount=0.9, factors=4).fit(TRAIN[:60])
    assert lists_of(ranker) == before
    assert ranker.recommend_names(NAMES[:2]).items[0] in NAMES
    after = lists_of(model.ranker(N=7))
    assert after == expected_lists(model, N=7)
    assert after != before


def test_another_discount(model: Any) -> None:
    options = {"N": 7, "popularity_discount": 0.8}
    assert lists_of(model.ranker(**options)) == expected_lists(model, **options)
    assert lists_of(model.ranker(**options)) != lists_of(model.ranker(N=7))


def test_names(model: Any) -> None:
    ranker = model.ranker(N=3)
    found = ranker.recommend_names(["item 4", "nothing", "item 9", "item 4"])
    table = model.recommend_table([["item 4", "item 9"]], N=3)
    assert found.items == table.to_dict()[0]
    assert found.scores == table["score"].tolist()
    assert (found.unknown, found.cold) == (["nothing"], False)
    for history in ([], ["nothing"]):
        cold = ranker.recommend_names(history)
        assert cold.items == model.recommend_table([[]], N=3).to_dict()[0]
        assert (cold.unknown, cold.cold) == (history, True)
    short = model.ranker(N=5, items=[4, 9]).recommend_names(["item 4"])
    assert short.items == ["item 9"]
    with pytest.raises(TypeError, match="7"):
        ranker.recommend_names([7])
    bare = far.NCEAutoRec(factors=8).fit(TRAIN).ranker(N=2)
    assert bare.recommend_names([4, 9]).items == bare.recommend([4, 9])[0].tolist()


def test_a_mapped_model(model: Any, tmp_path: Any) -> None:
    model.save(tmp_path / "model", format="folder")
    ranker = far.load(tmp_path / "model", mmap=True).ranker(N=7)
    assert lists_of(ranker) == expected_lists(model, N=7)
    assert ranker.recommend_names(["item 4"]) == model.ranker(N=7).recommend_names(["item 4"])


def test_bad_input(model: Any) -> None:
    ranker = model.ranker()
    for history, error, words in (
        ([60], ValueError, r"`history` must hold item ids in \[0, 60\), got 60"),
        ([-1], ValueError, r"got -1"),
        ([[1]], ValueError, "must be one id or a 1-D list"),
        ([1.5], TypeError, "history"),
        (TRAIN[:1], (TypeError, ValueError), "history"),
    ):
        with pytest.raises(error, match=words):
            ranker.recommend(history)
    for options, error, words in (
        ({"N": 0}, ValueError, "`N` must be between 1 and 60, got 0"),
        ({"items": [1], "filter_items": [1]}, ValueError, "leave no item"),
        ({"num_threads": 0}, ValueError, "`num_threads` must be"),
        ({"filter_already_liked_items": 1}, TypeError, "`filter_already_liked_items` must be"),
        ({"popularity_discount": np.nan}, ValueError, "`popularity_discount`"),
    ):
        with pytest.raises(error, match=words):
            model.ranker(**options)
    with pytest.raises(ValueError, match="`popularity_discount` must be left out for Popularity"):
        far.Popularity().fit(TRAIN).ranker(popularity_discount=0.5)
    with pytest.raises(far.NotFittedError):
        far.Popularity().ranker()
    everything = sparse.csr_matrix(np.ones((1, 60), np.float32))
    ids, scores = ranker.recommend(everything.indices)
    assert (ids == -1).all()
    assert np.isnan(scores).all()


@pytest.mark.parametrize("device", ["reference", marked("cuda-emulated")], indirect=True)
@pytest.mark.parametrize("options", [{}, {"items": [3, 8, 40]}, {"filter_items": [5]}])
def test_other_devices(device: str, options: dict[str, Any]) -> None:
    model = far.NCEAutoRec(factors=8, device=device).fit(TRAIN)
    assert lists_of(model.ranker(N=3, **options))[:9] == expected_lists(model, N=3, **options)[:9]


@pytest.mark.parametrize("history", ["i1", b"i1", None, 7])
def test_names_come_in_a_list(history: Any) -> None:
    ranker = far.EASE().fit(far.Interactions(TRAIN, item_ids=[f"i{j}" for j in range(60)])).ranker(N=3)
    with pytest.raises(TypeError, match=r"`history` must be a list of item ids, got .*pass \[id\]"):
        ranker.recommend_names(history)
    with pytest.raises(ValueError, match="`history` must hold ids, got None in the place of one"):
        ranker.recommend_names(["i1", None])


def test_a_ranker_stays_in_its_process() -> None:
    with pytest.raises(TypeError, match="pickle the model"):
        pickle.dumps(far.Popularity().fit(TRAIN).ranker())
