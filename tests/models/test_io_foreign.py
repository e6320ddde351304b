"""Files that are no model files: the message says what they are, and never to unpickle anything."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastautorec as far
from fastautorec._training import archive as _model_file
from fastautorec.exceptions import ModelFileError

ROOT = os.name == "posix" and os.geteuid() == 0


def array_file(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"user,item\n1,2\n", "a text file that begins with 'user,item'; read_ratings reads ratings"),
        ("gebruiker,één\n".encode() * 99, "a text file that begins with 'gebruiker,één'"),
        (b"u" * 511 + "é".encode(), "a text file"),
        (b"\n\n", "a text file that begins with ''"),
        *((pickle.dumps({"a": 1}, protocol), "a pickle, and these are never opened") for protocol in range(2, 6)),
        (b"PAR1" + bytes(50), "a Parquet file; read_ratings reads ratings"),
        (array_file(np.arange(3)), "a NumPy array"),
        (gzip.compress(b"user,item\n1,2\n", mtime=0), "a gzip file"),
        (b"", "empty"),
        (bytes(1000), "of some other format"),
        (b"\xff\xfe\x00\x01", "of some other format"),
    ],
)
def test_what_a_file_is(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    with pytest.raises(ModelFileError) as caught:
        far.load(path)
    assert f"x.npz is not a fastautorec model file: it is {words}" in str(caught.value)
    assert "allow_pickle" not in str(caught.value)


def test_folders(tmp_path: Path) -> None:
    far.datasets.load_example().to_disk(tmp_path / "data")
    for path in (tmp_path, tmp_path / "data"):
        with pytest.raises(ModelFileError, match=r"it is a folder; Interactions\.open reads a folder of interactions"):
            far.load(path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(ModelFileError, match="it is a pipe or a device, and no regular file"):
            far.load(path)


def test_a_link_is_followed(tmp_path: Path) -> None:
    far.Popularity().fit(far.datasets.synthetic(50, 20, 300)).save(tmp_path / "v1.npz")
    (tmp_path / "current.npz").symlink_to("v1.npz")
    assert isinstance(far.load(tmp_path / "current.npz"), far.Popularity)


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("unpickled",)


@pytest.mark.parametrize("name", ["header", "scores_"])
def test_objects_inside_are_refused_in_our_words(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = far.PureSVD(factors=4).fit(far.datasets.synthetic(50, 20, 300, random_state=0))
    model.save("x.npz")
    with np.load("x.npz") as archive:
        arrays = dict(archive)
    arrays[name if name == "header" else next(iter(type(model)._arrays))] = np.array([Bomb()], dtype=object)
    np.savez("x.npz", allow_pickle=True, **arrays)
    with pytest.raises(ModelFileError, match="holds Python objects, which are never read") as caught:
        far.load("x.npz")
    assert "allow_pickle=" not in str(caught.value)
    assert not Path("unpickled").exists()


def test_a_member_that_is_no_array(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    model = far.PureSVD(factors=4).fit(far.datasets.synthetic(50, 20, 300, random_state=0))
    model.save(path)
    name = next(iter(type(model)._arrays))
    with zipfile.ZipFile(path) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    members[name] = members.pop(f"{name}.npy")[1:]
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    with pytest.raises(ModelFileError, match=f"'{name}' is no array"):
        far.load(path)


def test_trouble_that_passes_is_not_called_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.npz"
    far.Popularity().fit(far.datasets.synthetic(50, 20, 300)).save(path)
    for error in (MemoryError("3 TiB"), PermissionError(13, "Permission denied"), OSError(24, "Too many open files")):

        def fail(*_: Any, _error: BaseException = error, **__: Any) -> None:
            raise _error

        monkeypatch.setattr(_model_file.np, "load", fail)
        with pytest.raises(type(error)) as caught:
            far.load(path)
        assert caught.value is error


# --- saving ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def model() -> far.Popularity:
    return far.Popularity().fit(far.datasets.synthetic(50, 20, 300))


def test_no_folder(model: far.Popularity, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        model.save(tmp_path / "absent" / "model.npz")
    assert str(caught.value) == f"no folder {tmp_path / 'absent'} to save model.npz in; create it first"
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"no folder .*file to save"):
        model.save(tmp_path / "file" / "model.npz")


def test_a_folder_of_that_name(model: far.Popularity, tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError) as caught:
        model.save(tmp_path)
    assert caught.value.filename == str(tmp_path)
    assert ".tmp" not in str(caught.value)
    assert list(tmp_path.parent.glob("*.tmp")) == list(tmp_path.parent.glob(".*.tmp")) == []


@pytest.mark.skipif(ROOT, reason="root may write everywhere")
def test_a_folder_without_permission(model: far.Popularity, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError) as caught:
        model.save(tmp_path / "model.npz")
    assert caught.value.filename == str(tmp_path / "model.npz")


def test_a_full_disk_names_the_file(model: far.Popularity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_model_file.np, "savez", fail)
    with pytest.raises(OSError, match="No space left") as caught:
        model.save(tmp_path / "model.npz")
    assert caught.value.filename == str(tmp_path / "model.npz")
    assert list(tmp_path.iterdir()) == []


# --- memory before trust --------------------------------------------------------------------------------------------

CLAIMED = 60 << 20  # bytes of the array that a small file claims to hold


def repacked(path: Path, name: str, content: bytes, compression: int = zipfile.ZIP_STORED) -> None:
    """Write a file again with another member."""
    with zipfile.ZipFile(path) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for member, old in members.items():
            archive.writestr(member, content if member == f"{name}.npy" else old)


def head_alone(length: int) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": (length,)})
    return stream.getvalue()


def compressed(path: Path, name: str) -> None:
    repacked(path, name, head_alone(CLAIMED) + bytes(CLAIMED), zipfile.ZIP_DEFLATED)


def head_that_lies(path: Path, name: str) -> None:
    repacked(path, name, head_alone(CLAIMED))


def directory_that_lies(path: Path, name: str) -> None:
    head_that_lies(path, name)
    content = path.read_bytes()
    directory = content.rindex(b"PK\1\2", 0, content.rindex(f"{name}.npy".encode()))
    size = (CLAIMED + len(head_alone(CLAIMED))).to_bytes(4, "little")
    path.write_bytes(content[: directory + 20] + size * 2 + content[directory + 28 :])


def texts_of_no_width(path: Path, name: str) -> None:
    repacked(path, name, head_alone(CLAIMED).replace(b"'|u1'", b"'<U0'"))


LIES = {
    compressed: "'header.npy' is compressed",
    head_that_lies: "has not the size that its head tells",
    directory_that_lies: "its members are larger than the file",
    texts_of_no_width: "has not the size that its head tells",
}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("name", ["header", "decoder_"])
@pytest.mark.parametrize("kind", ["model", "checkpoint", "run"])
def test_a_small_file_takes_little_memory(lie: Any, name: str, kind: str, tmp_path: Path) -> None:
    path, data = tmp_path / "x.npz", far.datasets.synthetic(50, 20, 300, random_state=0)
    arrays: dict[str, Any] = {"decoder_": np.zeros((20, 4))}
    _model_file.write(path, {"values": {}}, arrays, kind)
    reads = {
        "model": lambda: far.load(path),
        "checkpoint": lambda: far.NSAutoRec(factors=4, epochs=1).fit(data, resume=path),
        "run": lambda: _model_file.read(path, "run"),
    }
    lie(path, name)
    assert path.stat().st_size < 1 << 20
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError, match=LIES[lie]):
            reads[kind]()
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()


def test_members_that_share_their_bytes(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    _model_file.write(path, {}, {f"a{number}": np.zeros(1 << 18) for number in range(2)})
    content = path.read_bytes()
    first, second = (content.rindex(b"PK\1\2", 0, content.rindex(f"a{number}.npy".encode())) for number in range(2))
    shared = content[first + 42 : first + 46]  # where the member is
    path.write_bytes(content[: second + 42] + shared + content[second + 46 :])
    with pytest.raises(ModelFileError):
        far.load(path)


def test_archives_of_others_are_not_called_damaged(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "x.npz", users=np.zeros(1000))
    with pytest.raises(ModelFileError, match=r"is not a fastautorec model file; write one with model\.save"):
        far.load(tmp_path / "x.npz")


@pytest.mark.parametrize("content", [b"P", b"PK", b"PK\x03"])
def test_the_first_bytes_alone(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=rf"it ends after {len(content)} bytes\); it may be truncated") as caught:
        far.load(path)
    assert "pickle" not in str(caught.value)


CHANGES: dict[str, Any] = {
    "float64": lambda array: array.astype(np.float64),
    "complex": lambda array: array.astype(np.complex64),
    "other order of bytes": lambda array: array.astype(array.dtype.newbyteorder()),
    "one less": lambda array: array[:-1],
    "two more": lambda array: np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, 2)]),
    "none": lambda array: array[:0],
    "no axis": lambda array: array.reshape(-1)[0],
    "one more axis": lambda array: array[None],
}
SMALL = [
    far.Popularity(),
    far.EASE(),
    far.PureSVD(factors=4),
    far.NCEAutoRec(factors=4),
    far.NSAutoRec(factors=4, epochs=1),
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("model", SMALL, ids=lambda model: type(model).__name__)
def test_arrays_of_other_types_and_shapes(model: Any, change: str, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    model.fit(far.datasets.synthetic(50, 20, 300, random_state=0)).save(path)
    header, arrays = _model_file.read(path)
    header = {key: header[key] for key in ("model", "params", "fitted")}
    names = [name for name, array in arrays.items() if array is not None]
    assert "item_counts_" in names
    assert len(names) > 1
    for name in names:
        _model_file.write(path, header, arrays | {name: CHANGES[change](arrays[name])})
        with pytest.raises(ModelFileError, match=r"'\w+_' is .* where .* is expected"):
            far.load(path)
    _model_file.write(path, header, arrays)
    assert isinstance(far.load(path), type(model))


@pytest.mark.parametrize("ids", [np.arange(20.0), np.arange(20).reshape(20, 1), np.arange(19), np.array(3)])
def test_ids_of_other_types_and_shapes(ids: Any, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    data = far.datasets.synthetic(50, 20, 300, random_state=0)
    far.Popularity().fit(far.Interactions(data, item_ids=[f"item {number}" for number in range(20)])).save(path)
    header, arrays = _model_file.read(path)
    header = {key: header[key] for key in ("model", "params", "fitted")}
    _model_file.write(path, header, arrays | {"item_ids_": np.arange(7, 27)})
    assert far.load(path).item_ids_[0] == 7
    _model_file.write(path, header, arrays | {"item_ids_": ids})
    with pytest.raises(
        ModelFileError, match=r"'item_ids_' is .* where ids n or None is expected|item ids where|unsized"
    ):
        far.load(path)


@pytest.mark.parametrize("name", ["decoder_", "encoder_"])
def test_arrays_that_have_to_be_there(name: str, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    far.NCEAutoRec(factors=4).fit(far.datasets.synthetic(50, 20, 300, random_state=0)).save(path)
    header, arrays = _model_file.read(path)
    _model_file.write(path, {key: header[key] for key in ("model", "params", "fitted")}, arrays | {name: None})
    with pytest.raises(ModelFileError, match=f"'{name}' is not there"):
        far.load(path)
