"""Weights: what is taken, where they go, and what refuses them; all against plain dictionaries."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy import sparse

import fastautorec as far
from fastautorec import Interactions
from fastautorec._compute.inputs import check_user_items
from fastautorec.exceptions import InteractionsFileError

# Tests of what is left take it that something is left out; that this is told is tested in test_renumbering.
pytestmark = pytest.mark.filterwarnings("ignore:with_(users|items) has left out")

FACTS = {("ann", 10): 3.0, ("ann", 30): 0.5, ("bob", 20): 2.0, ("cleo", 10): 7.0, ("cleo", 20): 1.0, ("cleo", 30): 4.0}


def weighted(**more):
    matrix = sparse.csr_matrix([[1, 0, 1], [0, 1, 0], [1, 1, 1]])
    return Interactions(matrix, ["ann", "bob", "cleo"], [10, 20, 30], **{"weights": [*FACTS.values()], **more})


def facts(data):
    """Return the weight of each interaction."""
    rows = np.repeat(data.user_ids, np.diff(data.user_items.indptr)).tolist()
    pairs = zip(rows, data.item_ids[data.user_items.indices].tolist(), strict=True)
    return dict(zip(pairs, data.weights.tolist(), strict=True))


def test_weights_beside_a_binary_matrix():
    data = weighted()
    assert data.weights.dtype == np.float32
    assert facts(data) == FACTS
    assert data.user_items.data.tolist() == [1] * 6
    assert check_user_items("data", data).data is None
    assert far.Interactions(data).weights.tolist() == data.weights.tolist()
    assert weighted(weights=None).weights is None
    assert facts(pickle.loads(pickle.dumps(data))) == FACTS


def test_weights_as_matrices_and_of_entries_stored_twice():
    twice = sparse.coo_matrix((np.ones(4), ([0, 0, 1, 0], [2, 1, 0, 2])), shape=(2, 3))
    data = Interactions(twice, weights=[1, 2, 3, 4])
    assert (data.user_items.indices.tolist(), data.weights.tolist()) == ([1, 2, 0], [2, 5, 3])
    values = sparse.csr_matrix([[0, 2, 5], [3, 0, 0]])
    assert Interactions(twice, weights=values).weights.tolist() == [2, 5, 3]
    zeros = sparse.csr_matrix((np.array([1, 0, 1]), [0, 1, 2], [0, 3]), shape=(1, 3))  # one is stored that is none
    assert Interactions(zeros, weights=[1, 9, 3]).weights.tolist() == [1, 3]


def test_weights_of_tables():
    table = {
        "u": ["ann", "bob", "ann", "ann"],
        "i": [1, 1, 2, 1],
        "w": [1, 2, 3, 4.5],
        "r": [5, 5, 1, 5],
        "t": [1, 2, 3, 4],
    }
    data = Interactions.from_dataframe(table, "u", "i", weights="w")
    assert facts(data) == {("ann", 1): 5.5, ("ann", 2): 3, ("bob", 1): 2}
    data = Interactions.from_dataframe(table, "u", "i", "r", "t", 3, weights="w")
    assert facts(data) == {("ann", 1): 5.5, ("bob", 1): 2}
    assert data.timestamps.tolist() == [4, 2]


@pytest.mark.parametrize("times", [None, [1, 2, 3, 4, 5, 6]])
@pytest.mark.parametrize("stored", [False, True])
def test_weights_go_along(stored, times, tmp_path):
    data = weighted(timestamps=times)
    if stored:
        data.to_disk(tmp_path / "data")
        data = Interactions.open(tmp_path / "data", verify=True)
    assert facts(data) == FACTS
    moved = data.with_users(["cleo", "dora", "ann"]).with_items([30, 10])
    expected = {pair: weight for pair, weight in FACTS.items() if pair[0] != "bob" and pair[1] != 20}
    assert facts(moved) == expected
    if times:
        assert dict(zip(facts(moved), moved.timestamps.tolist(), strict=True)) == {
            pair: time for pair, time in zip(FACTS, times, strict=True) if pair in expected
        }
    assert facts(data.select(["cleo", "ann"], [30, 10])) == expected
    assert facts(data.filter(2, 2, verbose=False)) == expected
    parts = far.split(data, (0.5, 0.5), by="random")
    assert {pair: weight for part in parts for pair, weight in facts(part).items()} == FACTS
    assert {pair: weight for part in far.split_users(data, 0.4) for pair, weight in facts(part).items()} == FACTS
    assert facts(parts[0] + parts[1]) == FACTS
    assert facts(data + data) == {pair: 2 * weight for pair, weight in FACTS.items()}
    assert {pair: weight for block in data.blocks(2) for pair, weight in facts(block).items()} == FACTS
    assert facts(Interactions.write(tmp_path / "again", data.blocks(2))) == FACTS
    with pytest.warns(UserWarning, match="left out"):
        _, aligned = far.align(moved, data)
    assert facts(aligned) == expected
    if times:
        with pytest.warns(UserWarning, match="nothing before it has"):
            train, test = far.split(data, by="date", at=3)
        assert facts(train) | facts(test) == FACTS
    frame = pytest.importorskip("pandas", reason="pandas is not installed") and data.to_frame()
    assert frame["weight"].tolist() == [*FACTS.values()]
    assert facts(Interactions.from_dataframe(frame, weights="weight", verbose=False)) == FACTS


def test_folders_say_that_they_have_weights(tmp_path):
    weighted().to_disk(tmp_path / "with")
    weighted(weights=None).to_disk(tmp_path / "without")
    versions = {name: (tmp_path / name / "header.json").read_text() for name in ("with", "without")}
    assert '"format_version": 3' in versions["with"]  # an earlier version, which knows none, refuses it
    assert '"format_version": 2' in versions["without"]
    assert Interactions.open(tmp_path / "without").weights is None
    (tmp_path / "with" / "weights.npy").unlink()
    with pytest.raises(InteractionsFileError, match=r"weights.npy is missing"):
        Interactions.open(tmp_path / "with")


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 2, 3, 4, 5, 0], "weights > 0, got 0 in row 5; leave out what did not happen"),
        ([1, -2, 3, 4, 5, 6], "weights > 0, got -2 in row 1"),
        ([1, 2, 3, 4, 5, float("nan")], "must hold finite numbers, got nan in row 5"),
        ([1, 2, 3, 4, 5, 1e300], "weights"),
        ([1, 2, 3, 4, 5, 1e-300], "weights > 0, got 0 in row 5"),
        (["many"] * 6, "must hold finite numbers, got 'many' in row 0"),
        ([1, 2], "`weights` must have one value for each of the 6 stored entries of `user_items`"),
        (sparse.csr_matrix((3, 3)), "`weights` must have a stored entry exactly where"),
        (sparse.csr_matrix((3, 2)), "`weights` must have the shape of `user_items`"),
    ],
)
def test_weights_that_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        weighted(weights=weights)


def test_weights_of_tables_that_are_refused(tmp_path):
    table = {"user": [1, 2], "item": [1, 2], "w": [1, 0]}
    with pytest.raises(ValueError, match="column 'w' must hold weights > 0, got 0 in row 1"):
        Interactions.from_dataframe(table, weights="w")
    with pytest.raises(ValueError, match="`weights` must name a column of `df`, got 'v'"):
        Interactions.from_dataframe(table, weights="v")
    with pytest.raises(TypeError, match=r"`weights` must be the name of a column of `df`, got numpy\.ndarray"):
        Interactions.from_dataframe(table, weights=np.array([1, 2]))
    for a, b in ((weighted(), weighted(weights=None)), (weighted(weights=None), weighted())):
        with pytest.raises(ValueError, match="`a` and `b` must both have weights or neither, but only"):
            a + b
    with pytest.raises(ValueError, match="`blocks` must all have weights or none, but block 1 differs"):
        Interactions.write(tmp_path / "data", [weighted(), weighted(weights=None)])


def test_other_models_take_them_as_binary():
    data, bare = weighted(), weighted(weights=None)
    for model in (far.EASE(), far.Popularity(), far.NCEAutoRec(factors=2)):
        expected = model.fit(bare).recommend(bare, N=2)
        for fitted in (model.fit(bare), model.fit(data)):
            got = fitted.recommend(data, N=2)
            assert [part.tobytes() for part in got] == [part.tobytes() for part in expected]
            table = fitted.recommend_table(data, users=["cleo", "bob"], N=2)
            assert (
                table["score"].tobytes() == fitted.recommend_table(bare, users=["cleo", "bob"], N=2)["score"].tobytes()
            )
