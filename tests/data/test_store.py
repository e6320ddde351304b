"""Interactions on disk: what is written is what is read, with a bounded memory, and damage is told."""

import json
import subprocess
import sys

import numpy as np
import pytest
from scipy import sparse

import fastautorec as far
from fastautorec._compute import csr as _sparse
from fastautorec._training import closed_form as _exact
from fastautorec.data import Interactions, split
from fastautorec.evaluation import _evaluate
from fastautorec.exceptions import InteractionsFileError

# Tests of what is left take it that something is left out; that this is told is tested in test_renumbering.
pytestmark = pytest.mark.filterwarnings("ignore:with_(users|items) has left out")

MODELS = {
    "Popularity": lambda: far.Popularity(num_threads=1),
    "PureSVD": lambda: far.PureSVD(factors=6, num_threads=1),
    "NCEPLRec": lambda: far.NCEPLRec(factors=6, num_threads=1),
    "NCEAutoRec": lambda: far.NCEAutoRec(factors=6, regularization=[0.1, 1.0], num_threads=1),
}


@pytest.fixture(scope="module")
def data():
    matrix = far.datasets.synthetic(400, 60, 5000, random_state=1).tolil()
    matrix[[0, 7, 8, 200, 399]] = 0  # users without interactions
    matrix = sparse.csr_matrix(matrix)
    users = np.array([f"user {row}" for row in range(400)])
    times = np.random.default_rng(0).integers(10**9, size=matrix.nnz)
    return Interactions(matrix, users, np.arange(60) * 3, times)


@pytest.fixture
def folder(data, tmp_path):
    data.to_disk(tmp_path / "data")
    return tmp_path / "data"


def same(a, b):
    assert a.shape == b.shape
    assert (a.user_items != b.user_items).nnz == 0
    assert np.array_equal(a.user_ids, b.user_ids)
    assert np.array_equal(a.item_ids, b.item_ids)
    assert (a.timestamps is None) == (b.timestamps is None)
    assert a.timestamps is None or np.array_equal(a.timestamps, b.timestamps)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_round_trip(data, folder):
    there = Interactions.open(folder, verify=True)
    same(there, data)
    assert repr(there) == repr(data)
    assert there.user_index("user 5") == 5
    assert names(folder.parent) == ["data"]  # nothing temporary is left
    for file in folder.glob("*.npy"):
        assert len(np.load(file, allow_pickle=False)) > 0
    with pytest.raises(ValueError, match="read-only"):
        there.user_items.indices[0] = 1
    there.to_disk(folder, overwrite=True)  # onto itself
    same(Interactions.open(folder, verify=True), data)
    same(there, data)


def test_the_same_interactions_are_the_same_bytes(data, folder, tmp_path):
    def content(path):
        return {file.name: file.read_bytes() for file in path.iterdir()}

    Interactions.write(tmp_path / "by blocks", data.blocks(7))
    assert content(tmp_path / "by blocks") == content(folder)
    fewer = data.user_items.copy()
    fewer.data[0] = 0
    fewer.eliminate_zeros()
    Interactions(fewer, data.user_ids, data.item_ids).to_disk(tmp_path / "other")
    tokens = [json.loads((path / "header.json").read_text())["token"] for path in (folder, tmp_path / "other")]
    assert len(set(tokens)) == 2, "a file of one does not fit the other"


def test_scipy_and_the_other_functions_take_them(data, folder):
    there = Interactions.open(folder)
    ours, theirs = there.user_items, data.user_items
    assert np.array_equal(ours.toarray(), theirs.toarray())
    assert np.array_equal((ours.T @ ours).toarray(), (theirs.T @ theirs).toarray())
    assert np.array_equal(ours[[5, 3]].toarray(), theirs[[5, 3]].toarray())
    assert np.array_equal(ours.tocoo().row, theirs.tocoo().row)
    same(there.with_items(data.item_ids[::-1]), data.with_items(data.item_ids[::-1]))
    for part, expected in zip(split(there), split(data), strict=True):
        same(part, expected)


@pytest.mark.parametrize("times", [False, True])
@pytest.mark.parametrize("users", [1, 150, 1000])
def test_blocks(data, folder, tmp_path, users, times):
    whole = data if times else Interactions(data.user_items, data.user_ids, data.item_ids)
    for source in (whole, Interactions.open(folder)) if times else (whole,):
        blocks = list(source.blocks(users))
        assert len(blocks) == -(-400 // users)
        same(Interactions.write(tmp_path / "again", blocks, overwrite=True), whole)
    numbered = Interactions.write(tmp_path / "numbered", (block.user_items for block in whole.blocks(users)))
    same(numbered, Interactions(data.user_items))


def test_a_split_by_blocks_is_the_split(data, folder, tmp_path):
    train = Interactions.write(tmp_path / "train", (split(b)[0] for b in Interactions.open(folder).blocks(100)))
    same(train, split(data)[0])


def test_small_and_empty(tmp_path):
    blank = Interactions(sparse.csr_matrix((3, 4)))
    blank.to_disk(tmp_path / "empty")
    same(Interactions.open(tmp_path / "empty", verify=True), blank)
    with pytest.raises(ValueError, match="at least one interaction"):
        far.Popularity().fit(Interactions.open(tmp_path / "empty"))
    Interactions(sparse.csr_matrix((0, 4))).to_disk(tmp_path / "no_users")
    assert Interactions.open(tmp_path / "no_users", verify=True).shape == (0, 4)
    # texts of other lengths in later blocks
    blocks = [Interactions(sparse.eye(1, format="csr"), user_ids=[name]) for name in ("a", "abc", "ab")]
    assert Interactions.write(tmp_path / "texts", blocks).user_ids.tolist() == ["a", "abc", "ab"]


@pytest.mark.parametrize("entries", [1 << 22, 97])
@pytest.mark.parametrize("name", MODELS)
def test_models_have_the_same_bits(data, tmp_path, name, entries, monkeypatch):
    for module in (_sparse, _exact, _evaluate):
        monkeypatch.setattr(module, "BLOCK_ENTRIES", entries)
    parts = split(data, (0.6, 0.2, 0.2))
    for part, where in zip(parts, ("train", "validation", "test"), strict=True):
        part.to_disk(tmp_path / where)
    there = [Interactions.open(tmp_path / where) for where in ("train", "validation", "test")]
    results = []
    for train, validation, test in (parts, there, [part.user_items for part in parts]):
        model = MODELS[name]().fit(train, validation=validation)
        report = far.evaluate(model, train, test, k=(3, 10))
        lists = [model.recommend(train, N=4), model.recommend(train, N=4, items=[3, 5, 7, 30, 31, 59])]
        results.append([getattr(model, array) for array in model._arrays if getattr(model, array) is not None])
        results[-1] += [array for pair in lists for array in pair]
        results[-1] += [report[metric].per_user for metric in ("NDCG", "R-Precision")] + [report.ranks.ranks]
        assert not report.notes
    for arrays in results[1:]:
        for ours, expected in zip(arrays, results[0], strict=True):
            assert np.array_equal(ours, expected, equal_nan=True)


# --- memory ---------------------------------------------------------------------------------------------------------

WORK = """
import resource, sys, threading
import numpy as np
import fastautorec as far
from pathlib import Path

far.NCEAutoRec(factors=8, num_threads=1).fit(far.datasets.load_example())
train, test = (far.Interactions.open(path) for path in sys.argv[1:3])
used = int(Path("/proc/self/status").read_text().partition("VmData:")[2].split()[0]) * 1024
limit = used + int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
try:
    np.array(train.user_items.indices)
except MemoryError:
    print("the whole does not fit")
for model in (far.Popularity(num_threads=1), far.NCEAutoRec(4, num_threads=1)):
    model.fit(train)
for block in train.blocks(20_000):
    model.recommend(block, N=3)
print(far.evaluate(model, train, test, k=3)["NDCG"].mean > 0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit and its base are Linux's")
def test_memory_is_bounded(tmp_path):
    block = far.datasets.synthetic(2000, 1000, 1_000_000, random_state=0)
    train, test = split(block, (0.99, 0.01), by="random")
    copies, limit = 50, 130 << 20
    data = Interactions.write(tmp_path / "train", (train for _ in range(copies)))
    Interactions.write(tmp_path / "test", (test for _ in range(copies)))
    assert 4 * data.nnz > 1.4 * limit
    done = subprocess.run(
        [sys.executable, "-c", WORK, tmp_path / "train", tmp_path / "test", str(limit)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.stdout.split("\n")[:2] == ["the whole does not fit", "True"], done.stderr


# --- bad input ------------------------------------------------------------------------------------------------------


def refused(folder, match, verify=False):
    with pytest.raises(InteractionsFileError, match=match):
        Interactions.open(folder, verify=verify)


def test_what_is_no_store(tmp_path, folder):
    with pytest.raises(FileNotFoundError, match="no interactions at"):
        Interactions.open(tmp_path / "nothing")
    (tmp_path / "file").write_text("1,2\n")
    refused(tmp_path / "file", "not a folder of fastautorec interactions.*read_ratings")
    (tmp_path / "other").mkdir()
    refused(tmp_path / "other", "not a folder of fastautorec interactions")
    (tmp_path / "other" / "shard-00000").mkdir()
    refused(
        tmp_path / "other", "is the output of distributed.shard.*; open .*other/shard-00000, or pass all of it to d"
    )
    (folder / "header.json").write_text("{")
    refused(folder, "may be truncated or damaged")
    (folder / "header.json").write_bytes(b"\xff\xfe\x00")
    refused(folder, "may be truncated or damaged")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"format": "else"}, "not a folder of fastautorec interactions"),
        ({"format_version": 4}, "has format 4, .* update fastautorec"),
        ({"format_version": "1"}, "format version '1'"),
        ({"shape": [401, 60]}, "damaged"),
        ({"shape": None}, "damaged"),
        ({"nnz": 3}, "damaged"),
        ({"arrays": {}}, "damaged"),
    ],
)
def test_other_headers(folder, change, match):
    header = json.loads((folder / "header.json").read_text())
    (folder / "header.json").write_text(json.dumps(header | change))
    refused(folder, match)


@pytest.mark.parametrize("name", ["indptr", "indices", "user_ids", "item_ids", "timestamps"])
def test_damaged_arrays(folder, name):
    file = folder / f"{name}.npy"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    refused(folder, "damaged")
    file.write_bytes(b"")
    refused(folder, "damaged")
    np.save(file, np.zeros(3))
    refused(folder, "damaged")
    np.save(file, np.array([{}]), allow_pickle=True)
    refused(folder, "damaged")
    file.unlink()
    refused(folder, "damaged")
    changed = bytearray(whole)
    changed[-4] ^= 1
    file.write_bytes(changed)
    refused(folder, f"'{name}' does not match its checksum" if name != "indptr" else "damaged", verify=True)


def test_verify_reads_the_ids(folder, monkeypatch):
    monkeypatch.setattr("fastautorec.data._store._require", only("item ids"))
    ids = np.load(folder / "indices.npy", mmap_mode="r+")
    ids[1] = ids[0]
    ids.flush()
    refused(folder, "do not ascend", verify=True)
    ids[1] = 60
    ids.flush()
    refused(folder, "out of range", verify=True)


def only(start):
    """Return a check that lets everything else pass, such as checksums."""

    def require(condition, reason):
        if not condition and reason.startswith(start):
            raise ValueError(reason)

    return require


def test_targets_that_exist(data, folder, tmp_path):
    with pytest.raises(FileExistsError, match="overwrite=True"):
        data.to_disk(folder)
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("")
    for overwrite in (False, True):
        with pytest.raises(FileExistsError, match="name another"):
            data.to_disk(tmp_path / "precious", overwrite=overwrite)
    assert (tmp_path / "precious" / "thesis.txt").exists()
    with pytest.raises(FileNotFoundError, match="create it first"):
        data.to_disk(tmp_path / "no" / "where")
    with pytest.raises(TypeError, match="`overwrite`"):
        data.to_disk(folder, overwrite="yes")
    with pytest.raises(TypeError, match="`verify`"):
        Interactions.open(folder, verify=1)


def test_bad_blocks(data, folder, tmp_path):
    first = next(data.blocks(10))

    def failing():
        yield first
        raise RuntimeError("the source failed")

    cases = [
        ([], ValueError, "at least one block"),
        ([first, [[1]]], TypeError, r"blocks\[1\]"),
        ([first, first], ValueError, "'?user 0'? more than once"),
        ([first, first.user_items], ValueError, "block 1 differ"),
        ([first, data.with_items(data.item_ids[1:])], ValueError, r"block 1 differ.*with_items"),
        ([first, Interactions(first.user_items, None, first.item_ids)], ValueError, "timestamps or none"),
        ([first.user_items * 2], ValueError, "only 0 and 1"),
        ([first, Interactions(first.user_items, range(10), first.item_ids, [1.5] * first.nnz)], ValueError, "one type"),
        ([first, Interactions(first.user_items, range(10), first.item_ids, [1] * first.nnz)], ValueError, "one kind"),
        (failing(), RuntimeError, "the source failed"),
    ]
    for blocks, error, match in cases:
        with pytest.raises(error, match=match):
            Interactions.write(folder, blocks, overwrite=True)
    same(Interactions.open(folder, verify=True), data)
    assert names(tmp_path) == ["data"]
    with pytest.raises(ValueError, match="`users`"):
        next(data.blocks(0))


def test_a_model_refuses_other_columns(folder):
    there = Interactions.open(folder)
    with pytest.raises(ValueError, match="60 columns but the model was fitted on 59"):
        far.Popularity().fit(there.user_items[:, :59]).recommend(there)


def test_a_store_without_users_keeps_the_type_of_ids(tmp_path):
    one = Interactions.from_dataframe({"u": ["a"], "i": ["x"]}, "u", "i")
    data = one.with_users(one.user_ids[:0]).with_items(one.item_ids[:0])
    some = {"none": data, "users": Interactions(sparse.csr_matrix((0, 2)), data.user_ids, ["x", "y"])}
    for name, one in some.items():
        one.to_disk(tmp_path / name)
        stored = Interactions.open(tmp_path / name, verify=True)
        assert stored.user_ids.dtype == one.user_ids.dtype
        assert stored.item_ids.dtype == one.item_ids.dtype
        assert stored.shape == one.shape
    Interactions.write(tmp_path / "block", [some["users"]])
    assert Interactions.open(tmp_path / "block").user_ids.dtype == data.user_ids.dtype
    Interactions(sparse.csr_matrix((0, 2))).to_disk(tmp_path / "numbers")
    assert Interactions.open(tmp_path / "numbers").user_ids.dtype == np.int64


def test_blocks_have_times_of_one_unit(tmp_path):
    def block(user, *times):
        matrix = sparse.csr_matrix(np.ones((1, len(times))))
        return Interactions(matrix, [user], list(range(len(times))), np.array(times))

    second, milli = 1_700_000_000, 1_700_000_000_000
    for first, other in ((second, milli), (milli, second), (second, milli * 1000), (20240131, second)):
        told = (
            f"`blocks` must have times of one unit, got {other}, which looks like .* the first is {first}, .* block 2"
        )
        with pytest.raises(ValueError, match=told):
            Interactions.write(tmp_path / "bad", [block(1, first, 0), block(2, 0, 5), block(3, -1, other)])
        assert not (tmp_path / "bad").exists()
    data = Interactions.write(tmp_path / "good", [block(1, 0, 5), block(2, second, 0), block(3, -1, second + 1)])
    assert data.timestamps.tolist() == [0, 5, second, 0, -1, second + 1]


def test_blocks_do_not_round_integers(tmp_path):
    def block(user, time):
        return Interactions(sparse.csr_matrix(np.ones((1, 1))), [user], [1], np.array([time]))

    with pytest.raises(ValueError, match="`blocks` must have timestamps of one type, got float64, then int64"):
        Interactions.write(tmp_path / "bad", [block(1, 1.7e18), block(2, 1_700_000_000_000_000_001)])
    assert Interactions.write(tmp_path / "good", [block(1, 4.5), block(2, 2**53)]).timestamps.tolist() == [4.5, 2**53]


@pytest.mark.parametrize("header", [None, "// my notes", "{}"])
def test_arrays_of_others_under_the_same_names_are_not_replaced(tmp_path, header):
    folder = tmp_path / "csr"
    folder.mkdir()
    np.save(folder / "indptr.npy", np.arange(3))
    np.save(folder / "indices.npy", np.array([7, 8], np.int32))
    if header is not None:
        (folder / "header.json").write_text(header)
    data = far.Interactions(far.datasets.synthetic(20, 8, 60, random_state=0))
    with pytest.raises(FileExistsError, match="nor an array in it says that it holds interactions"):
        data.to_disk(folder, overwrite=True)
    assert np.load(folder / "indices.npy").tolist() == [7, 8]


@pytest.mark.parametrize(
    "change", [lambda t: t.replace("interactions", "interactioNs"), lambda t: "{}", lambda t: "null"]
)
def test_a_header_that_is_damaged_but_still_json_is_mended_by_another_version(tmp_path, change):
    data = far.Interactions(far.datasets.synthetic(20, 8, 60, random_state=0))
    data.to_disk(tmp_path / "data")
    header = tmp_path / "data" / "header.json"
    header.write_text(change(header.read_text()))
    data.to_disk(tmp_path / "data", overwrite=True)
    assert far.Interactions.open(tmp_path / "data", verify=True).nnz == 60
