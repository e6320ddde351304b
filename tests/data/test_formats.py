"""Files of earlier formats, and texts in files of this one."""

import copy
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

import fastautorec as far
from fastautorec._training import archive as _model_file
from fastautorec._training import checkpoint as _checkpoint
from fastautorec.data import Interactions
from fastautorec.data import _store as store
from fastautorec.data import _texts as texts
from fastautorec.exceptions import InteractionsFileError, ModelFileError

GOLDEN = Path(__file__).parents[1] / "golden"
EXPECTED = json.loads((GOLDEN / "expected.json").read_text("utf-8"))


@pytest.fixture(params=["variable", "fixed"], autouse=True)
def width(request, monkeypatch):
    """Both types of texts, of which NumPy 1 knows one."""
    if request.param == "variable" and not texts.VARIABLE_WIDTH:
        pytest.skip("this NumPy has no texts of variable width")
    monkeypatch.setattr(texts, "VARIABLE_WIDTH", request.param == "variable")
    return request.param


def expected_ids(kind):
    if kind == "texts":
        return EXPECTED["user_ids"], EXPECTED["item_ids"]
    return [5 * row - 9 for row in range(30)], [column << 40 for column in range(12)]


# -- format 1 ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["texts", "integers"])
def test_interactions_of_format_1(kind, width, tmp_path):
    folder = GOLDEN / f"interactions-{kind}-v1"
    assert json.loads((folder / "header.json").read_text())["format_version"] == 1
    data = Interactions.open(folder, verify=True)
    user_ids, item_ids = expected_ids(kind)
    assert data.user_ids.tolist() == user_ids
    assert data.item_ids.tolist() == item_ids
    assert data.user_items.indices.tolist() == EXPECTED["indices"]
    assert data.user_items.indptr.tolist() == EXPECTED["indptr"]
    if kind == "texts":
        assert data.timestamps.tolist() == EXPECTED["times"]
        assert {data.user_ids.dtype.kind, data.item_ids.dtype.kind} == {"T" if width == "variable" else "U"}
        assert data.user_index("üser 7") == 7
    data.to_disk(tmp_path / "again")
    again = Interactions.open(tmp_path / "again", verify=True)
    assert json.loads((tmp_path / "again" / "header.json").read_text())["format_version"] == 2
    assert again.user_ids.tolist() == user_ids
    assert again.item_ids.tolist() == item_ids
    assert [block.user_ids.tolist() for block in data.blocks(20)] == [user_ids[:20], user_ids[20:]]


@pytest.mark.parametrize("kind", ["texts", "integers"])
def test_models_of_format_1(kind, width, tmp_path):
    data = Interactions.open(GOLDEN / f"interactions-{kind}-v1")
    model = far.load(GOLDEN / f"model-{kind}-v1.npz")
    assert model.item_ids_.tolist() == expected_ids(kind)[1]
    assert kind == "integers" or model.item_ids_.dtype.kind == ("T" if width == "variable" else "U")
    assert model.recommend(data, N=4)[0].tolist() == EXPECTED[kind]
    model.save(tmp_path / "model.npz")
    again = far.load(tmp_path / "model.npz")
    assert again.item_ids_.tolist() == expected_ids(kind)[1]
    assert again.item_ids_.dtype == model.item_ids_.dtype
    assert again.recommend(data, N=4)[0].tolist() == EXPECTED[kind]


def test_checkpoints_of_format_1(tmp_path):
    header, arrays = _model_file.read(GOLDEN / "checkpoint-v1.npz", _checkpoint.KIND)
    assert header["format_version"] == 1
    assert header["identity"]["model"] == "AutoRec"
    _model_file.write(tmp_path / "checkpoint.npz", header | {"format_version": 2}, arrays, _checkpoint.KIND)
    again = _model_file.read(tmp_path / "checkpoint.npz", _checkpoint.KIND)[1]
    assert arrays.keys() == again.keys()
    for name, array in arrays.items():
        assert np.array_equal(array, again[name])


# -- texts ------------------------------------------------------------------------------------------------------------

LABELS = ["?", "a", "日本", "x" * 300, " y ", "é" * 15, "a\nb", "b\x01", "0"]


@pytest.mark.parametrize("block", [1, 2, 4, 9, 1 << 18])
def test_pack_and_unpack(block, monkeypatch, width):
    monkeypatch.setattr(texts, "BLOCK", block)
    for labels in ([], [""], ["", ""], LABELS, LABELS[::-1], LABELS[1:]):
        packed = texts.pack(texts.text_array(labels))
        assert packed.dtype == np.uint8
        assert packed.tobytes() == b"".join(label.encode() + b"\0" for label in labels)
        assert texts.unpack(packed).tolist() == labels
        assert texts.count(packed) == len(labels)
        assert texts.unpack(packed).dtype.kind == ("T" if width == "variable" else "U") or not labels


@pytest.mark.parametrize("wrong", [b"a", b"a\0b", b"\xff\0", b"\xc3\0\xa9\0"])
def test_bytes_that_are_no_texts(wrong):
    with pytest.raises(ValueError, match=r"does not end|decode"):
        texts.unpack(np.frombuffer(wrong, np.uint8))


def labelled():
    return Interactions(sparse.csr_matrix(np.eye(9, 4)), LABELS, LABELS[:4])


def test_texts_in_files(tmp_path):
    data = labelled()
    data.to_disk(tmp_path / "data")
    for verify in (False, True):
        there = Interactions.open(tmp_path / "data", verify=verify)
        assert there.item_ids.tolist() == LABELS[:4]
        assert there.user_ids.tolist() == LABELS
        assert there.user_index("日本") == 2
        assert [block.user_ids.tolist() for block in there.blocks(4)] == [LABELS[:4], LABELS[4:8], LABELS[8:]]
    model = far.EASE().fit(data)
    model.save(tmp_path / "model.npz")
    assert far.load(tmp_path / "model.npz").item_ids_.tolist() == LABELS[:4]
    with np.load(tmp_path / "model.npz") as archive:  # anybody can read it
        assert archive["item_ids_"].tobytes().decode().split("\0")[:-1] == LABELS[:4]


def test_user_ids_stay_on_disk_until_they_are_asked_for(tmp_path, monkeypatch):
    labelled().to_disk(tmp_path / "data")
    calls = []
    unpack = texts.unpack
    monkeypatch.setattr(texts, "unpack", lambda packed: calls.append(len(packed)) or unpack(packed))
    there = Interactions.open(tmp_path / "data")
    assert len(calls) == 1  # the item ids
    model = far.Popularity().fit(there)
    for block in there.blocks(2):
        model.recommend(block, N=1)
    assert len(calls) == 1
    assert [label for block in there.blocks(2) for label in block.user_ids.tolist()] == LABELS
    assert there.user_ids is there.user_ids
    assert len(calls) == 2


def test_copies_of_what_is_on_disk(tmp_path):
    labelled().to_disk(tmp_path / "data")
    there = Interactions.open(tmp_path / "data")
    for data, expected in ((there, LABELS), (next(there.blocks(4)), LABELS[:4])):
        for again in (pickle.loads(pickle.dumps(data)), copy.deepcopy(data)):
            assert again.user_ids.tolist() == expected
            assert np.array_equal(again.user_items.toarray(), data.user_items.toarray())
            assert again.nnz == data.nnz


def test_blocks_of_texts_and_of_empty(tmp_path):
    empty = Interactions(sparse.csr_matrix((0, 4)), item_ids=LABELS[:4])
    blocks = [empty, *labelled().blocks(4), empty]
    data = Interactions.write(tmp_path / "data", blocks)
    assert data.user_ids.tolist() == LABELS
    with pytest.raises(ValueError, match=r"got '\?' more than once"):
        Interactions.write(tmp_path / "twice", [*labelled().blocks(4), next(labelled().blocks(2))])
    numbered = Interactions(sparse.csr_matrix((1, 4)), [5], LABELS[:4])
    with pytest.raises(ValueError, match="user ids of one kind"):
        Interactions.write(tmp_path / "mixed", [labelled(), numbered])
    Interactions(sparse.csr_matrix((0, 0))).to_disk(tmp_path / "nothing")
    assert Interactions.open(tmp_path / "nothing", verify=True).shape == (0, 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "nothing"]


@pytest.mark.parametrize("name", ["user_ids", "item_ids"])
@pytest.mark.parametrize("content", [b"a\0" * 4, b"a" * 400, b"\xff\0" * 9, b"\xff\0" * 4, b"a\0" * 10])
def test_damaged_texts(tmp_path, name, content, monkeypatch):
    monkeypatch.setattr(store, "_require", _all_but_checksums)
    labelled().to_disk(tmp_path / "data")
    np.save(tmp_path / "data" / f"{name}.npy", np.frombuffer(content, np.uint8))
    if (name, content) == ("item_ids", b"a\0" * 4):
        assert Interactions.open(tmp_path / "data", verify=True).item_ids.tolist() == ["a"] * 4
        return
    for verify in (False, True):
        with pytest.raises(InteractionsFileError, match="may be truncated or damaged"):
            Interactions.open(tmp_path / "data", verify=verify).user_ids.tolist()


def _all_but_checksums(condition, reason):
    if not condition and "checksum" not in reason and "another folder" not in reason:
        raise ValueError(reason)


def test_damaged_texts_of_a_model(tmp_path, monkeypatch):
    far.EASE().fit(labelled()).save(tmp_path / "model.npz")
    with np.load(tmp_path / "model.npz") as archive:
        arrays = dict(archive)
    header = json.loads(arrays["header"].tobytes())
    for content in (b"a", b"\xff\0", [1.5, 2.5], "U"):
        given = np.frombuffer(content, np.uint8) if isinstance(content, bytes) else np.array(content)
        header["arrays"]["item_ids_"] = _model_file.digest_of(given)
        arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
        np.savez(tmp_path / "wrong.npz", **arrays | {"item_ids_": given})
        with pytest.raises(ModelFileError, match="may be truncated or damaged"):
            far.load(tmp_path / "wrong.npz")


def test_newer_formats_are_named(tmp_path):
    labelled().to_disk(tmp_path / "data")
    header = json.loads((tmp_path / "data" / "header.json").read_text())
    (tmp_path / "data" / "header.json").write_text(json.dumps(header | {"format_version": 4, "library_version": "9"}))
    with pytest.raises(InteractionsFileError, match=r"has format 4, written by fastautorec 9, .* up to 3; update"):
        Interactions.open(tmp_path / "data")
