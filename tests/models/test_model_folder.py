"""Model folders: the same model as from a file, shared when it is mapped, and refused when anything in it is wrong."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastautorec as far
from fastautorec.exceptions import ModelFileError

TRAIN = far.datasets.synthetic(80, 40, 900, random_state=3)
DATA = far.Interactions(TRAIN, item_ids=[f"item {j}" for j in range(40)])


@pytest.fixture(scope="module")
def model() -> Any:
    return far.NCEAutoRec(factors=8).fit(DATA)


@pytest.fixture
def folder(model: Any, tmp_path: Path) -> Path:
    model.save(tmp_path / "model", format="folder")
    return tmp_path / "model"


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def same_answers(one: Any, other: Any) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one.recommend(DATA), other.recommend(DATA), strict=True))


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("verify", [False, True])
def test_the_same_model(model: Any, folder: Path, mmap: bool, verify: bool) -> None:
    loaded = far.load(folder, mmap=mmap, verify=verify)
    assert same_answers(loaded, model)
    assert loaded.get_params() == model.get_params()
    assert loaded.item_ids_.tolist() == DATA.item_ids.tolist()
    assert loaded.item_ids_ is loaded.item_ids_
    assert loaded.encoder_.flags.writeable == (not mmap)
    assert loaded.recommend_table({"ann": ["item 3"]}, N=4).to_dict() == model.recommend_table(
        {"ann": ["item 3"]}, N=4
    ).to_dict()  # fmt: skip


def test_a_mapped_model_does_all_that_others_do(model: Any, folder: Path, tmp_path: Path) -> None:
    loaded = far.load(folder, mmap=True)
    loaded.save(tmp_path / "again.npz")
    assert same_answers(far.load(tmp_path / "again.npz"), model)
    loaded.save(folder, format="folder")  # over the files that it is mapped from
    assert same_answers(loaded, model)
    assert same_answers(pickle.loads(pickle.dumps(far.load(folder, mmap=True))), model)
    with pytest.raises(AttributeError, match="'NCEAutoRec' object has no attribute 'nothing'"):
        loaded.nothing  # noqa: B018
    assert loaded.fit(TRAIN).item_ids_ is None
    assert "_mapped" not in vars(loaded)


def test_training_goes_on_from_a_mapped_model(tmp_path: Path) -> None:
    model = far.AutoRec(factors=4, epochs=1).fit(TRAIN)
    model.save(tmp_path / "model", format="folder")
    loaded = far.load(tmp_path / "model", mmap=True).partial_fit(TRAIN[:20])
    assert same_answers(loaded, model.partial_fit(TRAIN[:20]))


def test_whoever_has_mapped_a_model_keeps_it(model: Any, folder: Path) -> None:
    loaded = far.load(folder, mmap=True)
    far.Popularity().fit(TRAIN).save(folder, format="folder")
    assert isinstance(far.load(folder), far.Popularity)
    assert same_answers(loaded, model)
    assert names_in(folder.parent) == ["model"]


def test_arrays_are_plain_npy_files(model: Any, folder: Path) -> None:
    np.testing.assert_array_equal(np.load(folder / "encoder_.npy"), model.encoder_)


# --- what is refused --------------------------------------------------------------------------------------------------


def both_ways(folder: Path, words: str) -> None:
    for mmap in (False, True):
        with pytest.raises(ModelFileError, match=words):
            far.load(folder, mmap=mmap)


@pytest.mark.parametrize("name", ["header.json", "encoder_.npy", "item_ids_.npy"])
def test_a_file_is_missing(folder: Path, name: str) -> None:
    (folder / name).unlink()
    both_ways(folder, rf"is not a readable model file \({name} is missing\)")


@pytest.mark.parametrize("name", ["encoder_.npy", "item_ids_.npy", "header.json"])
def test_every_truncation_is_noticed(folder: Path, name: str) -> None:
    whole = (folder / name).read_bytes()
    for size in range(0, len(whole), max(len(whole) // 40, 1)):
        (folder / name).write_bytes(whole[:size])
        both_ways(folder, "is not a readable model file")


def test_files_that_changed_places(tmp_path: Path) -> None:
    model = far.PureSVD(4).fit(TRAIN)
    model.encoder_ = model.encoder_ * 2  # of the same type and shape as the other
    model.save(tmp_path / "model", format="folder")
    first, second = tmp_path / "model/encoder_.npy", tmp_path / "model/decoder_.npy"
    first.rename(tmp_path / "x"), second.rename(first), (tmp_path / "x").rename(second)
    both_ways(tmp_path / "model", r"array '\w+' belongs to another folder")


def test_a_file_of_another_model(folder: Path, tmp_path: Path) -> None:
    far.NCEAutoRec(factors=8, beta=0.5).fit(DATA).save(tmp_path / "other", format="folder")
    shutil.copy(tmp_path / "other/encoder_.npy", folder)
    both_ways(folder, "array 'encoder_' belongs to another folder")


def test_another_array_of_the_same_size(folder: Path) -> None:
    encoder = np.load(folder / "encoder_.npy")
    for other in (encoder.T, encoder.astype(np.int32), encoder[None], np.asfortranarray(encoder)):
        np.save(folder / "encoder_.npy", other)
        both_ways(folder, "is not a readable model file")


def test_a_changed_bit_is_found_where_arrays_are_read(folder: Path) -> None:
    content = bytearray((folder / "encoder_.npy").read_bytes())
    content[-3] ^= 1
    (folder / "encoder_.npy").write_bytes(content)
    far.load(folder, mmap=True)
    for options in ({"mmap": False}, {"mmap": True, "verify": True}):
        with pytest.raises(ModelFileError, match="'encoder_' does not match its checksum"):
            far.load(folder, **options)


def test_names_that_are_no_texts(folder: Path) -> None:
    content = bytearray((folder / "item_ids_.npy").read_bytes())
    content[-3] = 255
    (folder / "item_ids_.npy").write_bytes(content)
    loaded = far.load(folder, mmap=True)
    with pytest.raises(ModelFileError, match=r"array 'item_ids_': .*decode"):
        loaded.item_ids_  # noqa: B018
    content[-3] = 0
    (folder / "item_ids_.npy").write_bytes(content)
    with pytest.raises(ModelFileError, match="holds 41 texts where 40 are expected"):
        far.load(folder, mmap=True).item_ids_  # noqa: B018


def test_a_header_that_was_edited(folder: Path) -> None:
    header = json.loads((folder / "header.json").read_text())
    header["params"]["popularity_discount"] = 0.5
    (folder / "header.json").write_text(json.dumps(header))
    both_ways(folder, "header.json does not match its checksum")


def test_a_later_version(folder: Path) -> None:
    header = json.loads((folder / "header.json").read_text()) | {"format_version": 99}
    (folder / "header.json").write_text(json.dumps(header))
    both_ways(folder, "has model format 99, written by fastautorec")


def test_folders_of_something_else(tmp_path: Path) -> None:
    DATA.to_disk(tmp_path / "data")
    (tmp_path / "empty").mkdir()
    for name in ("data", "empty"):
        both_ways(tmp_path / name, "is not a fastautorec model file: it is a folder; Interactions.open reads")
    with pytest.raises(FileNotFoundError, match="no model file at"):
        far.load(tmp_path / "nothing", mmap=True)


def test_only_a_folder_can_be_mapped(model: Any, tmp_path: Path) -> None:
    model.save(tmp_path / "model.npz")
    with pytest.raises(ValueError, match=r"`mmap` must be False for .*; what can be mapped is a folder, written with"):
        far.load(tmp_path / "model.npz", mmap=True)
    assert same_answers(far.load(tmp_path / "model.npz", verify=True), model)
    with pytest.raises(TypeError, match="`mmap` must be"):
        far.load(tmp_path / "model.npz", mmap=1)  # type: ignore[arg-type]


def test_a_model_replaces_nothing_else(model: Any, tmp_path: Path) -> None:
    DATA.to_disk(tmp_path / "data")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("x")
    (tmp_path / "file").write_text("x")
    for name, words in (
        ("data", "neither its header.json nor an array in it says that it holds a model"),
        ("mine", "it holds 'notes.txt', which is no file of a model"),
        ("file", "it is no folder"),
    ):
        with pytest.raises(FileExistsError, match=f"`path`=.*{name}' exists already; {words}"):
            model.save(tmp_path / name, format="folder")
    assert names_in(tmp_path) == ["data", "file", "mine"]
    assert (tmp_path / "data/indptr.npy").exists()
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere to save model in; create it first"):
        model.save(tmp_path / "nowhere/model", format="folder")
    with pytest.raises(ValueError, match="`format` must be one of"):
        model.save(tmp_path / "model", format="zip")
    model.save(tmp_path / "file")
    with pytest.raises(IsADirectoryError):
        model.save(tmp_path / "mine")


def test_a_writer_that_fails_leaves_the_former_model(model: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fastautorec._training import folder as code

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(code, "replace_content", full)
    with pytest.raises(OSError, match=r"\[Errno 28\].*model'"):
        far.Popularity().fit(TRAIN).save(folder, format="folder")
    assert names_in(folder.parent) == ["model"]
    assert same_answers(far.load(folder), model)


# --- one copy for many processes --------------------------------------------------------------------------------------

PRIVATE = """
import sys
from fastautorec import load
def private():
    with open("/proc/self/smaps_rollup") as file:
        return sum(int(line.split()[1]) for line in file if line.startswith("Private_")) * 1024
before = private()
model = load(sys.argv[1], mmap=True)
print(private() - before, model.n_items_)
"""


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="only Linux tells what memory is private")
def test_a_mapped_model_takes_no_memory_of_its_own(tmp_path: Path) -> None:
    n = 50_000
    data = far.Interactions(
        far.datasets.synthetic(60, n, 3000, random_state=0), item_ids=[f"SKU-{j}" for j in range(n)]
    )
    far.PureSVD(40).fit(data).save(tmp_path / "model", format="folder")
    assert sum(file.stat().st_size for file in (tmp_path / "model").iterdir()) > 16e6
    done = subprocess.run(
        [sys.executable, "-c", PRIVATE, tmp_path / "model"], capture_output=True, text=True, timeout=60, check=True
    )
    size, n_items = map(int, done.stdout.split())
    assert n_items == n
    assert size < 1e6


def test_a_mapped_choice_has_the_names_of_its_items(tmp_path: Path) -> None:
    data = far.Interactions(far.datasets.synthetic(80, 30, 900, random_state=0), item_ids=[f"i{j}" for j in range(30)])
    model = far.NCEAutoRecCV(factors=[2, 4], dropout=0.5, regularization=[0.1, 1.0]).fit(data)
    model.save(tmp_path / "model", format="folder")
    loaded = far.load(tmp_path / "model", mmap=True)
    assert loaded.recommend_table(data, N=3).to_dict() == model.recommend_table(data, N=3).to_dict()
    assert loaded.to_estimator().item_ids_.tolist() == data.item_ids.tolist()


def test_a_file_does_not_replace_a_folder(tmp_path: Path) -> None:
    model = far.Popularity().fit(far.datasets.synthetic(20, 9, 60, random_state=0))
    model.save(tmp_path / "model", format="folder")
    with pytest.raises(IsADirectoryError, match="`path` is a folder; name a file, or pass format='folder'"):
        model.save(tmp_path / "model")
