"""What remembers whether ids were given, or rows and columns were numbered."""

from __future__ import annotations

import json
import pickle

import pytest
from drawn_interactions import M, N, facts, random_data, texts

import fastautorec as far
from fastautorec import Interactions
from fastautorec.data import split_users

# Tests of what is left take it that something is left out; that this is told is tested in test_renumbering.
pytestmark = pytest.mark.filterwarnings("ignore:with_(users|items) has left out")


@pytest.mark.parametrize("given", [(False, False), (True, False), (False, True), (True, True)])
def test_what_remembers_whether_ids_were_given(given, tmp_path):
    users, items = (texts(0, M, "u") if given[0] else None), (texts(0, N, "i") if given[1] else None)
    data = random_data(1, users, items)
    data.to_disk(tmp_path / "data")
    opened = Interactions.open(tmp_path / "data")
    written = Interactions.write(tmp_path / "written", data.blocks(10))
    results = [data, opened, written, *data.blocks(9), *far.split(data), *far.split(opened), data + data]
    results += [pickle.loads(pickle.dumps(data))]
    for result in results:
        assert result._ids_given == given
    again = Interactions(data)
    assert again._ids_given == given
    assert again.user_ids.tolist() == data.user_ids.tolist()
    assert Interactions(data, range(M))._ids_given == (True, given[1])
    some, rest = split_users(data)
    assert some._ids_given == rest._ids_given == (True, given[1])
    assert data.with_users(data.user_ids)._ids_given == (True, given[1])
    assert data.with_items(data.item_ids)._ids_given == (given[0], True)
    assert data.with_users(data.user_ids[2:])._ids_given == (True, given[1])
    assert Interactions.write(tmp_path / "numbers", [data.user_items])._ids_given == (False, False)


def test_data_sets_and_tables_have_ids():
    table = {"who": [0, 1], "what": [0, 1]}
    for data in (far.datasets.load_example(), Interactions.from_dataframe(table, "who", "what")):
        assert data._ids_given == (True, True)


def test_numbers_that_were_given_are_compared():
    given, bare = random_data(1, range(M), range(N)), random_data(1)
    named = Interactions(given.user_items, texts(0, M, "u"), texts(0, N, "i"))
    far.evaluate(far.Popularity().fit(bare), bare, named, k=3)
    with pytest.raises(ValueError, match="those of `train` integers"):
        far.evaluate(far.Popularity().fit(given), given, named, k=3)
    with pytest.raises(ValueError, match="column 0 is '0', in the model 0"):
        far.Popularity().fit(given).recommend(given.with_items([str(k) for k in range(N)]))


@pytest.mark.parametrize("named", [False, True])
def test_folders_that_do_not_say(tmp_path, named):
    users, items = (texts(0, M, "u"), range(100, 100 + N)) if named else (None, None)
    random_data(1, users, items).to_disk(tmp_path / "old")
    header = json.loads((tmp_path / "old" / "header.json").read_text())
    del header["ids_given"]
    (tmp_path / "old" / "header.json").write_text(json.dumps(header))
    assert Interactions.open(tmp_path / "old", verify=True)._ids_given == (named, named)


def test_blocks_are_brought_to_the_items_of_the_first(tmp_path):
    data = random_data(1, texts(0, M, "u"), texts(0, N, "i"))
    first, second = data.blocks(20)
    written = Interactions.write(tmp_path / "data", [first, second.with_items(data.item_ids[::-1])])
    assert facts(written) == facts(data)
    assert written.item_ids.tolist() == data.item_ids.tolist()
    strangers = Interactions(second.user_items, second.user_ids, texts(50, N, "i"), second.timestamps)
    with pytest.raises(ValueError, match=r"block 1 differ.*with_items"):
        Interactions.write(tmp_path / "others", [first, strangers])
