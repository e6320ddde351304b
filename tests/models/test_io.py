from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastautorec as far
from fastautorec._training import archive as _model_file
from fastautorec.exceptions import ModelFileError


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    model = far.PureSVD(factors=4).fit(far.datasets.synthetic(50, 20, 300, random_state=0))
    path = tmp_path / "model.npz"
    model.save(path)
    return path


def rewrite(path: Path, **changes: Any) -> None:
    with np.load(path) as archive:
        arrays = dict(archive)
    header = json.loads(arrays["header"].tobytes()) | changes
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    with path.open("wb") as file:
        np.savez(file, **arrays)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no model file at"):
        far.load(tmp_path / "nothing.npz")


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04", bytes(1000)])
def test_foreign_bytes(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match="not a"):
        far.load(path)


def test_foreign_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=np.arange(3))
    np.save(tmp_path / "y.npy", np.arange(3))
    for name in ("x.npz", "y.npy"):
        with pytest.raises(ModelFileError, match=r"is not a .*model file"):
            far.load(tmp_path / name)


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("unpickled",)


def test_pickles_are_never_opened(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain.npz").write_bytes(pickle.dumps(Bomb()))
    with np.load(saved) as archive:
        arrays = dict(archive)
    arrays["encoder_"] = np.array([Bomb()], dtype=object)
    np.savez(tmp_path / "inside.npz", allow_pickle=True, **arrays)
    for name in ("plain.npz", "inside.npz"):
        with pytest.raises(ModelFileError):
            far.load(tmp_path / name)
    assert not (tmp_path / "unpickled").exists()


def test_every_truncation_is_noticed(saved: Path) -> None:
    whole = saved.read_bytes()
    for size in range(0, len(whole), 97):
        saved.write_bytes(whole[:size])
        with pytest.raises(ModelFileError):
            far.load(saved)


def test_flipped_bits_change_nothing_unnoticed(saved: Path) -> None:
    whole = saved.read_bytes()
    model = far.load(saved)
    rng = np.random.default_rng(0)
    noticed = 0
    for position in rng.integers(0, len(whole), 400):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << int(rng.integers(8))
        saved.write_bytes(damaged)
        try:
            got = far.load(saved)
        except ModelFileError:
            noticed += 1
        else:  # a bit of the archive that carries no content, a time stamp say
            assert got.get_params() == model.get_params()
            for name in type(model)._arrays:
                np.testing.assert_array_equal(getattr(got, name), getattr(model, name))
    assert noticed > 300


def test_newer_version(saved: Path) -> None:
    rewrite(saved, format_version=99, library_version="9.9")
    with pytest.raises(ModelFileError, match=r"model format 99, written by fastautorec 9\.9.*update fastautorec"):
        far.load(saved)


@pytest.mark.parametrize("form", ["npz", "folder", "safetensors"])
def test_a_parameter_of_a_later_version(tmp_path: Path, form: str) -> None:
    if form == "safetensors":
        pytest.importorskip("safetensors")
    model = far.Popularity().fit(far.datasets.synthetic(20, 10, 50, random_state=0))
    model.fitted_params_ = {**model.fitted_params_, "brightness": 1}
    model.save(tmp_path / "m", format=form)
    with pytest.raises(
        ModelFileError, match=r"holds a Popularity of fastautorec .* \['brightness'\].*; update fastautorec"
    ):
        far.load(tmp_path / "m")


@pytest.mark.parametrize(
    "changes",
    [{"format": "x"}, {"format_version": None}, {"model": "Recommender"}, {"model": "os"}, {"params": {"bogus": 1}},
     {"params": None}, {"arrays": {}}, {"arrays": {"encoder_": "0"}}, {"fitted": None}],
)  # fmt: skip
def test_damaged_header(saved: Path, changes: dict[str, Any]) -> None:
    rewrite(saved, **changes)
    with pytest.raises(ModelFileError):
        far.load(saved)


def test_full_disk_leaves_the_old_file(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = saved.read_bytes()

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_model_file.np, "savez", fail)
    with pytest.raises(OSError, match="No space left"):
        far.Popularity().fit(far.datasets.synthetic(50, 20, 300)).save(saved)
    assert saved.read_bytes() == before
    assert [file.name for file in saved.parent.iterdir()] == [saved.name]


def test_kill_during_save_leaves_the_old_file(saved: Path) -> None:
    before = saved.read_bytes()
    script = """
import os, signal, sys
import fastautorec as far
model = far.load(sys.argv[1])
os.fsync = lambda fd: os.kill(os.getpid(), signal.SIGKILL)
model.save(sys.argv[1])
"""
    done = subprocess.run([sys.executable, "-c", script, str(saved)], check=False)
    assert done.returncode == -9
    assert saved.read_bytes() == before


def test_unwritable_folder(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        far.load(saved).save(tmp_path / "no such folder" / "model.npz")


def test_file_permissions_follow_the_umask(saved: Path) -> None:
    mask = os.umask(0o022)
    os.umask(mask)
    assert saved.stat().st_mode & 0o777 == 0o666 & ~mask


def test_ids_that_are_not_one_for_each_item(tmp_path: Path) -> None:
    data = far.datasets.synthetic(50, 20, 300, random_state=0)
    model = far.PureSVD(factors=4).fit(far.Interactions(data, item_ids=[f"i{k}" for k in range(20)]))
    model.__dict__["item_ids_"] = model.item_ids_[:19]
    model.save(tmp_path / "model.npz")
    with pytest.raises(ModelFileError, match="holds 19 item ids where 20 are expected"):
        far.load(tmp_path / "model.npz")


def test_parameters_may_be_arrays(tmp_path: Path) -> None:
    train, held_out = far.split(far.datasets.synthetic(80, 30, 900, random_state=0), (0.8, 0.2), by="random")
    for model in (
        far.EASE(regularization=np.array([1.0, 5.0])),
        far.NCEAutoRec(factors=4, regularization=np.logspace(-2, 0, 3)),
        far.NCEAutoRecCV(factors=np.array([2, 4]), dropout=0.5, regularization=np.array([0.1, 1.0])),
    ):
        assert "regularization=array(" in repr(model)
        model.fit(train, validation=held_out).save(tmp_path / "model.npz")
        np.testing.assert_array_equal(far.load(tmp_path / "model.npz").predict(train), model.predict(train))


def test_the_name_of_a_pickle_is_told(tmp_path: Path) -> None:
    model = far.Popularity().fit(far.datasets.synthetic(20, 10, 60, random_state=0))
    with pytest.warns(
        UserWarning, match=r"model\.pkl is named as a pickle and is none; read it with fastautorec\.load"
    ):
        model.save(tmp_path / "model.pkl")
    assert (far.load(tmp_path / "model.pkl").popularity_ == model.popularity_).all()
