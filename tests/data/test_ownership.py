"""Arrays of interactions and fitted models: nothing that happens to other arrays changes them."""

import copy
import pickle

import numpy as np
import pytest
from scipy import sparse

import fastautorec as far
from fastautorec import Interactions
from fastautorec.data import _texts as texts

# Tests of what is left take it that something is left out; that this is told is tested in test_renumbering.
pytestmark = pytest.mark.filterwarnings("ignore:with_(users|items) has left out")


def matrix(form="csr"):
    return sparse.csr_matrix(np.array([[1, 0, 1], [0, 1, 1]], np.float32)).asformat(form)


def spoil(given):
    given.data[0] = 0
    given.eliminate_zeros()


@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_a_matrix_that_is_changed_later(form, index):
    given = matrix(form)
    if form != "coo":
        given.indptr, given.indices = given.indptr.astype(index), given.indices.astype(index)
    data = Interactions(given)
    spoil(given)
    assert data.user_items.toarray().tolist() == matrix().toarray().tolist()


def test_matrices_of_interactions_that_are_changed_later():
    first = Interactions(matrix())
    others = [
        Interactions(first),
        first.with_users(first.user_ids),
        *far.align(Interactions(matrix(), ["a", "b"]), first),
    ]
    spoil(first.user_items)
    for other in others:
        assert other.user_items.toarray().tolist() == matrix().toarray().tolist()


def test_a_matrix_that_belongs_to_the_interactions_leaves_the_given_one():
    given = matrix()
    spoil(Interactions(given).user_items)
    assert given.toarray().tolist() == matrix().toarray().tolist()


@pytest.mark.parametrize("make", [np.array, texts.text_array, lambda ids: np.array(ids, object)])
def test_ids_that_are_changed_later(make):
    users, items = make(["a", "b"]), make(["x", "y", "z"])
    data = Interactions(matrix(), users, items)
    moved = data.with_users(users).with_items(items[::-1])
    table = Interactions.from_dataframe({"u": users, "i": items[:2]}, "u", "i")
    users[0], items[0] = "spoilt", "spoilt"
    assert data.user_ids.tolist() == moved.user_ids.tolist() == table.user_ids.tolist() == ["a", "b"]
    assert data.item_ids.tolist() == ["x", "y", "z"]
    assert moved.item_ids.tolist() == ["z", "y", "x"]


def test_integers_that_are_changed_later():
    items = np.array([2, 0, 9])
    data = Interactions(matrix()).with_items(items)
    items[0] = 5
    assert data.item_ids.tolist() == [2, 0, 9]


def test_ids_are_read_only(tmp_path):
    data = Interactions(matrix(), ["a", "b"], ["x", "y", "z"])
    data.to_disk(tmp_path / "data")
    some = [
        data,
        Interactions(matrix()),
        Interactions.open(tmp_path / "data"),
        pickle.loads(pickle.dumps(data)),
        copy.deepcopy(data),
        data + data,
        data.with_users(["b", "c"]),
        *data.blocks(1),
        *far.split(data, (0.5, 0.5), by="random"),
        *far.data.split_users(data, 0.5),
        *far.align(data, Interactions(matrix(), ["a", "d"], ["x", "y", "q"]), unknown="keep"),
        Interactions.from_dataframe({"u": ["a"], "i": [5]}, "u", "i"),
    ]
    for one in some:
        for ids in (one.user_ids, one.item_ids):
            with pytest.raises(ValueError, match="read-only"):
                ids[0] = ids[-1]
    model = far.Popularity().fit(data)
    assert model.item_ids_ is data.item_ids


# -- ids that are given as arrays are checked like all others ---------------------------------------------------------


@pytest.mark.parametrize("axis", ["users", "items"])
@pytest.mark.parametrize("bad", ["b\0c", ""])
def test_arrays_of_texts_are_checked(axis, bad):
    data = Interactions(matrix(), ["a", "b"], ["x", "y", "z"])
    method = getattr(data, f"with_{axis}")
    for ids in (np.array(["a", bad, "d"]), texts.text_array(["a", bad, "d"]), ["a", bad, "d"]):
        with pytest.raises(ValueError, match="in row 1"):
            method(ids)


def test_half_a_character_is_no_text():
    data = Interactions(matrix(), ["a", "b"], ["x", "y", "z"])
    with pytest.raises(ValueError, match=r"surrogate.* in row 1"):
        data.with_items(np.array(["a", "\ud800"]))


def test_texts_that_may_be_missing():
    if not texts.VARIABLE_WIDTH:
        pytest.skip("this NumPy has no texts of variable width")
    data = Interactions(matrix(), ["a", "b"], ["x", "y", "z"])
    kind = np.dtypes.StringDType(na_object=None)
    with pytest.raises(ValueError, match="in row 1"):
        data.with_items(np.array(["z", None], kind))
    assert data.with_items(np.array(["z", "x"], kind)).item_ids.dtype == np.dtypes.StringDType()


def test_ids_always_have_one_type():
    data = Interactions(matrix(), ["a", "b"], ["x", "y", "z"])
    for ids in (np.array(["z", "new"]), ["z", "new"], texts.text_array(["z", "new"])):
        result = data.with_items(ids)
        assert result.item_ids.dtype == texts.text_array(["z", "new"]).dtype
        assert result.item_ids.tolist() == ["z", "new"]
        assert result.user_items.toarray().tolist() == [[1, 0], [1, 0]]
    assert Interactions(matrix()).with_items(np.array([2, 0], ">i4")).item_ids.dtype == np.int64
    with pytest.raises(ValueError, match="`item_ids` must be distinct"):
        data.with_items(texts.text_array(["z", "z"]))


# -- times ------------------------------------------------------------------------------------------------------------


def test_times_of_interactions_are_kept():
    data = Interactions(matrix(), timestamps=[3, 1, 2, 4])
    again = Interactions(data, user_ids=["a", "b"])
    data.timestamps[0] = 99
    assert again.timestamps.tolist() == [3, 1, 2, 4]
    assert Interactions(data, timestamps=[9, 8, 7, 6]).timestamps.tolist() == [9, 8, 7, 6]
    assert Interactions(data.user_items).timestamps is None
