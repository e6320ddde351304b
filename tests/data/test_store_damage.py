"""Folders that are damaged where their sizes do not show it: refused when the place is read, with file and place."""

from __future__ import annotations

import pickle
import subprocess
import sys
from functools import partial

import numpy as np
import pytest

import fastautorec as far
from fastautorec import InteractionsFileError
from fastautorec.data import _mapped as mapped

ITEMS, NNZ = 60, 3000


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(mapped, "PART", 256)  # so that there are some
    monkeypatch.setattr(mapped, "CACHED", 100)
    matrix = far.datasets.synthetic(200, ITEMS, NNZ, random_state=0)
    far.Interactions(matrix, timestamps=np.arange(NNZ)).to_disk(tmp_path / "data")
    return tmp_path / "data"


def change(folder, name, place, value):
    array = np.load(folder / f"{name}.npy", mmap_mode="r+")
    array[place] = value
    array.flush()


MODELS = [
    far.Popularity(),
    far.EASE(),
    far.NCEAutoRec(factors=4),
    far.NCEPLRec(factors=4),
    far.PureSVD(factors=4),
    far.NSAutoRec(factors=4, epochs=1),
    far.AutoRec(factors=4, epochs=1),
    far.OHNSAutoRec(factors=4, epochs=1),
]
USES = {
    **{type(model).__name__: model.fit for model in MODELS},
    "user_items": lambda data: data.user_items,
    "blocks": lambda data: list(data.blocks(50)),
    "split": partial(far.split, by="random"),
    "pickle": pickle.dumps,
}


@pytest.mark.parametrize("place", [0, 255, 256, 1500, -1])
@pytest.mark.parametrize("item", [ITEMS, -1, 2**31 - 1, -(2**31)])
def test_one_wrong_item(folder, place, item):
    change(folder, "indices", place, item)
    data = far.Interactions.open(folder)
    number = place % data.nnz
    for _ in range(2):  # what was refused once is not taken the next time
        with pytest.raises(InteractionsFileError, match=rf"indices\.npy .*entry {number} is item {item}, out of range"):
            far.Popularity().fit(data)


@pytest.mark.parametrize("use", USES)
def test_every_use_looks_at_the_items(folder, use):
    USES[use](far.Interactions.open(folder))
    change(folder, "indices", 1500, ITEMS)
    with pytest.raises(InteractionsFileError, match="entry 1500"):
        USES[use](far.Interactions.open(folder))


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("offset", [NNZ + 10**9, -5, 0])
def test_every_use_looks_at_the_offsets(folder, use, offset):
    change(folder, "indptr", 77, offset)
    with pytest.raises(InteractionsFileError, match=r"indptr\.npy .*row \d+ ends before it begins"):
        USES[use](far.Interactions.open(folder))


@pytest.mark.parametrize("call", ["recommend", "evaluate", "validation", "train"])
def test_requests_look_at_the_items(folder, call):
    data = far.datasets.synthetic(200, ITEMS, NNZ, random_state=0)  # the files change, and nothing that maps them may
    model = far.NCEAutoRec(factors=4).fit(data)
    change(folder, "indices", 1500, -7)
    wrong = far.Interactions.open(folder)
    calls = {
        "recommend": lambda: model.recommend(wrong),
        "evaluate": lambda: far.evaluate(model, data, wrong),
        "validation": lambda: far.NSAutoRec(factors=4, epochs=1).fit(data, validation=wrong),
        "train": lambda: far.evaluate(model, wrong, data),
    }
    with pytest.raises(InteractionsFileError, match="entry 1500 is item -7"):
        calls[call]()


def test_only_what_is_read_is_looked_at(folder):
    change(folder, "indices", -1, ITEMS)
    data = far.Interactions.open(folder)
    blocks = data.blocks(20)
    assert next(blocks).user_items.nnz > 0
    rows = np.array([50, 3, 40, 3, 0])
    taken = data._csr.take_rows(rows)
    np.testing.assert_array_equal(taken.indices, np.load(folder / "indices.npy")[_entries(folder, rows)])
    with pytest.raises(InteractionsFileError, match="out of range"):
        list(blocks)


def _entries(folder, rows):
    indptr = np.load(folder / "indptr.npy")
    return np.concatenate([np.arange(indptr[row], indptr[row + 1]) for row in rows])


@pytest.mark.parametrize("name", ["indptr", "indices", "user_ids", "timestamps"])
def test_a_file_that_was_cut_while_it_was_open(tmp_path, name):
    matrix = far.datasets.synthetic(4000, ITEMS, 40_000, random_state=0)
    users = [f"user {row}" for row in range(4000)]
    far.Interactions(matrix, users, timestamps=np.arange(matrix.nnz)).to_disk(tmp_path / "data")
    program = f"""
import os, sys
import fastautorec as far
data = far.Interactions.open(sys.argv[1])
model = far.Popularity().fit(data)
os.truncate(sys.argv[1] + "/{name}.npy", 200)
uses = [model.fit, model.recommend, far.split, lambda data: list(data.blocks(50)), lambda data: data.user_items]
if "{name}" == "user_ids":
    uses.append(lambda data: data.user_ids)
for use in uses:
    try:
        use(data)
    except far.InteractionsFileError as error:
        print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "data")], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    uses = 6 if name == "user_ids" else 5
    assert done.stdout.count(f"{name}.npy is damaged (the file was cut while it was open)") == uses


@pytest.mark.parametrize("threads", [1, 3])
def test_the_first_pass_checks_as_it_counts(threads, folder, monkeypatch):
    expected = far.Popularity().fit(far.datasets.synthetic(200, ITEMS, NNZ, random_state=0)).item_counts_
    monkeypatch.setattr(mapped._Checks, "_require_ids", lambda *_: pytest.fail("ids are read twice"))
    data = far.Interactions.open(folder)
    assert far.Popularity(num_threads=threads).fit(data).item_counts_.tolist() == expected.tolist()
    assert len(list(data.blocks(50))) == 4  # nothing is left to be checked
    change(folder, "indices", 1500, -7)
    change(folder, "indices", 2500, ITEMS)
    with pytest.raises(InteractionsFileError, match="entry 1500 is item -7"):
        far.Popularity(num_threads=threads).fit(far.Interactions.open(folder))
