"""What may be replaced by stored interactions and what may not, and messages whose advice is followed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import store_faults as faults
from store_faults import TESTS, kinds, names, to_disk, write

import fastautorec as far
from fastautorec.data import _store as store
from fastautorec.exceptions import InteractionsFileError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="tried there only")
NOBODY = 65534


# --- what is no part of a store stays -------------------------------------------------------------------------------


def nested(path: Path) -> None:
    faults.store(2).to_disk(path / "train")


FOREIGN: dict[str, Callable[[Path], object]] = {
    "train": nested,
    "notes.txt": lambda path: (path / "notes.txt").write_text("mine"),
    ".hidden": lambda path: (path / ".hidden").mkdir(),
    "link": lambda path: (path / "link").symlink_to("/nowhere"),
    "indices.npy": lambda path: ((path / "indices.npy").unlink(), (path / "indices.npy").mkdir()),
    "indices.npy.gz": lambda path: (path / "indices.npy.gz").write_text(""),
}


@pytest.mark.parametrize("replace", [write, to_disk])
@pytest.mark.parametrize("name", FOREIGN)
def test_a_folder_with_something_else_in_it_stays(name: str, replace: Any, path: Path) -> None:
    FOREIGN[name](path)
    before = sorted(path.rglob("*"))
    with pytest.raises(FileExistsError, match=rf"it holds '{name}', which is no file of interactions: move that"):
        replace(path, faults.store(1))
    assert sorted(path.rglob("*")) == before
    assert names(path.parent) == ["data"]
    (path / name).rename(path.parent / "elsewhere")  # as the message says
    replace(path, faults.store(1))
    assert kinds(path) == {1}


def test_nothing_is_written_before_the_refusal(path: Path) -> None:
    nested(path)

    def blocks() -> Iterator[Any]:
        pytest.fail("the first block was asked for")
        yield

    with pytest.raises(FileExistsError, match="'train'"):
        far.Interactions.write(path, blocks(), overwrite=True)


def test_what_came_while_it_was_written_stays(path: Path) -> None:
    def blocks() -> Iterator[Any]:
        yield faults.store(1)
        (path / "notes.txt").write_text("mine")

    with pytest.raises(FileExistsError, match=r"'notes\.txt'"):
        far.Interactions.write(path, blocks(), overwrite=True)
    assert (path / "notes.txt").read_text() == "mine"
    assert kinds(path) == {0}
    assert names(path.parent) == ["data"]


def test_a_header_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for header in ({"format": "of somebody"}, [1]):
        (tmp_path / "data" / "header.json").write_text(json.dumps(header))
        with pytest.raises(FileExistsError, match=r"neither its header\.json nor an array in it says"):
            to_disk(tmp_path / "data", faults.store(1))


def test_a_file_stays(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("mine")
    with pytest.raises(FileExistsError, match="it is no folder: name another"):
        to_disk(tmp_path / "data", faults.store(1))
    assert (tmp_path / "data").read_text() == "mine"


@pytest.mark.parametrize("name", [".", "../data", "../link", "train/.."])
def test_the_current_folder_stays(name: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path.parent / "link").symlink_to("data")
    monkeypatch.chdir(path)
    with pytest.raises(FileExistsError, match=r"it is the current folder.*os\.chdir\('\.\.'\)"):
        to_disk(Path(name), faults.store(1))
    assert kinds(Path()) == {0}
    os.chdir("..")
    to_disk(path, faults.store(1))
    assert kinds(path) == {1}


def test_a_folder_above_the_current_one_stays(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path / "sub").mkdir()
    monkeypatch.chdir(path / "sub")
    with pytest.raises(FileExistsError, match="it holds 'sub'"):
        to_disk(Path(".."), faults.store(1))


# --- what is damaged can be written again ---------------------------------------------------------------------------


def cut(name: str) -> Callable[[Path], object]:
    return lambda path: os.truncate(path / name, 40)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "header cut": cut("header.json"),
    "header empty": lambda path: os.truncate(path / "header.json", 0),
    "header gone": lambda path: (path / "header.json").unlink(),
    "header long": lambda path: (path / "header.json").write_bytes(b" " * (store.MAX_HEADER + 1)),
    "header bytes": lambda path: (path / "header.json").write_bytes(b"\xff\xfe\x00"),
    "header deep": lambda path: (path / "header.json").write_text("[" * 100_000),
    "header pipe": lambda path: ((path / "header.json").unlink(), os.mkfifo(path / "header.json")),
    "version": lambda path: (path / "header.json").write_text(json.dumps({"format": store.FORMAT})),
    "no arrays": lambda path: (path / "header.json").write_text(
        json.dumps({"format": store.FORMAT} | {"format_version": 2})
    ),
    **{f"{name} cut": cut(f"{name}.npy") for name in store.NAMES},
    "array gone": lambda path: (path / "indices.npy").unlink(),
}


@pytest.mark.parametrize("replace", [write, to_disk])
@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_is_written_again_as_the_message_says(damage: str, replace: Any, path: Path) -> None:
    DAMAGES[damage](path)
    with pytest.raises(InteractionsFileError, match="write it again with overwrite=True"):
        far.Interactions.open(path)
    replace(path, faults.store(1))
    assert kinds(path) == {1}
    assert names(path.parent) == ["data"]


def test_what_is_cut_while_it_is_open_is_written_again(path: Path) -> None:
    data = far.Interactions.open(path)
    os.truncate(path / "indices.npy", 200)
    with pytest.raises(InteractionsFileError, match="write the interactions again with overwrite=True"):
        data.user_items  # noqa: B018
    to_disk(path, faults.store(1))
    assert kinds(path) == {1}


def test_an_empty_folder_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    to_disk(tmp_path / "data", faults.store(1))
    assert kinds(tmp_path / "data") == {1}


@pytest.mark.parametrize("name", ["header.json", *(f"{name}.npy" for name in store.NAMES)])
def test_a_member_that_is_a_folder(name: str, path: Path) -> None:
    (path / name).unlink()
    (path / name).mkdir()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with pytest.raises(InteractionsFileError, match=rf"data .*{name} is a folder; move it elsewhere"):
            far.Interactions.open(path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


# --- as another user ------------------------------------------------------------------------------------------------


def as_nobody(program: str, folder: Path) -> str:
    """Run a program as somebody who may not do everything."""
    head = "import os, sys\nfrom pathlib import Path\nimport fastautorec as far\nfrom store_faults import store\n"
    drop = f"data = [store(number) for number in range(3)]\nif os.geteuid() == 0:\n    os.setuid({NOBODY})\n"
    command = [sys.executable, "-c", head + drop + program, str(folder)]
    done = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that anybody may write in; those of `tmp_path` are closed to others."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)
        for name in Path(folder).iterdir():
            name.chmod(0o777)


@pytest.mark.parametrize("way", ["exchange", "plain"])
@pytest.mark.parametrize("mode", ["0o555", "0o500", "0o755"])
def test_a_store_that_may_only_be_read_leaves_no_copies(mode: str, way: str, shared: Path) -> None:
    program = f"""
from fastautorec.data import _folders
if "{way}" == "plain":
    _folders.exchange = lambda first, second: False
path = Path(sys.argv[1], "data")
data[0].to_disk(path)
path.chmod({mode})
left = path.with_name(".data.0123abcd.tmp"), path.with_name(".data.89abcdef.old")
for folder in left:
    far.Interactions.open(path)
    data[2].to_disk(folder)
    folder.chmod(0o555)
for number in range(4):
    data[number % 2].to_disk(path, overwrite=True)
    print(sorted(os.listdir(path.parent)), oct(path.stat().st_mode & 0o777))
"""
    assert as_nobody(program, shared) == f"['data'] {mode}\n" * 4


def test_a_member_that_may_not_be_read_is_told_with_its_folder(shared: Path) -> None:
    program = """
path = Path(sys.argv[1], "data")
data[0].to_disk(path)
for name in ("header.json", "indices.npy"):
    (path / name).chmod(0)
    try:
        far.Interactions.open(path)
    except PermissionError as error:
        print(error.filename)
    (path / name).chmod(0o644)
(path / "header.json").chmod(0)
try:
    data[1].to_disk(path, overwrite=True)
except PermissionError as error:
    print(error.filename)
"""
    path = shared / "data"
    assert as_nobody(program, shared).split() == [str(path / "header.json"), str(path / "indices.npy"), str(path)]
