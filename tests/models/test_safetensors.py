"""Models in files of safetensors: whole or refused, and read by the package of that name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastautorec as far
from fastautorec.exceptions import ModelFileError

TRAIN = far.datasets.synthetic(50, 20, 300, random_state=0)
DATA = far.Interactions(TRAIN, item_ids=[f"Buch № {j}" for j in range(20)])
MODELS = [far.NCEAutoRec(factors=6, updatable=True), far.EASE(), far.ItemKNN(K=4), far.Popularity()]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    far.PureSVD(factors=4).fit(DATA).save(path, format="safetensors")
    return path


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_the_same_model_comes_back(model: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    model.fit(DATA).save(path, format="safetensors")
    loaded = far.load(path)
    assert repr(loaded) == repr(model)
    assert loaded.recommend_table(DATA).to_dict() == model.recommend_table(DATA).to_dict()
    np.testing.assert_array_equal(loaded.predict(TRAIN), model.predict(TRAIN))
    if model.get_params().get("updatable"):
        np.testing.assert_array_equal(
            loaded.partial_fit(TRAIN[:5]).predict(TRAIN), model.partial_fit(TRAIN[:5]).predict(TRAIN)
        )


def test_other_programs_read_it(saved: Path) -> None:
    safetensors = pytest.importorskip("safetensors", reason="safetensors is not installed")
    model = far.load(saved)
    with safetensors.safe_open(saved, framework="numpy") as file:
        assert set(file.keys()) == {"encoder_", "decoder_", "item_counts_", "item_ids_"}
        np.testing.assert_array_equal(file.get_tensor("decoder_"), model.decoder_)
        assert file.get_tensor("item_ids_").tobytes().decode().split("\0")[:-1] == model.item_ids_.tolist()
        assert json.loads(file.metadata()["fastautorec"])["model"] == "PureSVD"


def test_every_truncation_is_noticed(saved: Path) -> None:
    whole = saved.read_bytes()
    for size in [*range(12), *range(12, len(whole), 61)]:
        saved.write_bytes(whole[:size])
        with pytest.raises(ModelFileError):
            far.load(saved)


def test_flipped_bits_change_nothing_unnoticed(saved: Path) -> None:
    whole, rng, model, noticed = saved.read_bytes(), np.random.default_rng(0), far.load(saved), 0
    for position in rng.integers(0, len(whole), 400):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << int(rng.integers(8))
        saved.write_bytes(damaged)
        try:
            got = far.load(saved)
        except ModelFileError:
            noticed += 1
        else:  # a space behind the header, say
            np.testing.assert_array_equal(got.predict(TRAIN), model.predict(TRAIN))
    assert noticed > 380


def rewrite(path: Path, change: Any) -> None:
    """Change the header of a file."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda header: header.pop("__metadata__"), "safetensors that another program has written"),
        (lambda header: header["__metadata__"].update(sha256="0"), "its header does not match its checksum"),
        (lambda header: header.pop("decoder_"), "'decoder_'"),
        (lambda header: header["decoder_"].update(dtype="F16"), "'F16'"),
        (lambda header: header["decoder_"].update(shape=[40, 2]), "'decoder_' does not match its checksum"),
        (lambda header: header["decoder_"].update(shape=[2**40, 4]), "'decoder_' does not fit the file"),
        (lambda header: header["decoder_"].update(data_offsets=[0, 10**9]), "'decoder_' does not fit the file"),
        (lambda header: header["decoder_"].update(data_offsets=[-320, 0]), "'decoder_' does not fit the file"),
        (lambda header: header["decoder_"].update(data_offsets="01"), "not a readable model file"),
    ],
)
def test_headers_of_others(saved: Path, change: Any, words: str) -> None:
    rewrite(saved, change)
    with pytest.raises(ModelFileError, match=words):
        far.load(saved)


def test_a_folder_of_that_name(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="`path` is a folder; name a file, or pass format='folder'"):
        far.Popularity().fit(TRAIN).save(tmp_path, format="safetensors")
