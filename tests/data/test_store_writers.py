"""Several that write or read one store at once, forked processes, and names that are hard to write beside."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import store_faults as faults
from store_faults import TESTS, kinds, names, to_disk, write

import fastautorec as far
from fastautorec.data import _folders
from fastautorec.data import _store as store
from fastautorec.data._store_writer import Writer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="tried there only")


# --- while another process writes -----------------------------------------------------------------------------------


def test_a_store_that_is_being_made_is_not_there_yet(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_folders, "TRIES", 3)
    path.rename(path.parent / "other")
    seen: list[str] = []

    def look() -> None:
        assert names(path.parent) != ["other"]  # it is there whole, under another name
        with pytest.raises(FileNotFoundError) as caught:
            far.Interactions.open(path)
        seen.append(str(caught.value))

    take_name = _folders.NewFolder._take_name
    monkeypatch.setattr(_folders.NewFolder, "_take_name", lambda self: (look(), take_name(self))[1])
    faults.store(1).to_disk(path)
    assert seen == [f"no interactions at {path}"]
    assert kinds(path) == {1}


def test_a_living_writer_between_two_names_was_not_stopped(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_folders, "TRIES", 3)
    monkeypatch.setattr(_folders, "exchange", lambda *_: False)
    rename, seen = Path.rename, []

    def between(self: Path, target: Path) -> Any:
        rename(self, target)
        if self == path:
            with pytest.raises(FileNotFoundError) as caught:
                far.Interactions.open(path)
            seen.append(str(caught.value))

    monkeypatch.setattr(Path, "rename", between)
    faults.store(1).to_disk(path, overwrite=True)
    assert seen == [f"no interactions at {path}"]
    assert kinds(path) == {1}
    assert names(path.parent) == ["data"]


def test_a_reader_that_waits_for_a_new_store(tmp_path: Path) -> None:
    path, troubles, data = tmp_path / "data", set(), faults.store(0)
    for _ in range(10):
        done = threading.Event()

        def wait(done: threading.Event = done) -> None:
            while not done.is_set():
                try:
                    far.Interactions.open(path)
                    return
                except OSError as error:
                    troubles.add(f"{type(error).__name__}: {error}")

        readers = [threading.Thread(target=wait) for _ in range(3)]
        for reader in readers:
            reader.start()
        data.to_disk(path)
        time.sleep(0.02)
        done.set()
        for reader in readers:
            reader.join()
        shutil.rmtree(path)
    assert troubles == {f"FileNotFoundError: no interactions at {path}"}


def test_a_link_to_what_is_between_two_names(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link, aside = path.parent / "links" / "current", path.parent / ".data.0123abcd.old"
    link.parent.mkdir()
    link.symlink_to(path)
    path.rename(aside)
    with monkeypatch.context() as patch:
        patch.setattr(_folders, "TRIES", 3)
        with pytest.raises(FileNotFoundError, match=rf"no interactions at {link}, .*complete: rename {aside}$"):
            far.Interactions.open(link)
    monkeypatch.setattr(time, "sleep", lambda _: aside.rename(path))
    assert kinds(link) == {0}


def test_a_header_is_there_whole_or_not_at_all(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder whose writer was killed as it wrote the header must not be called complete."""
    replace, seen = Path.replace, []

    def looked_at(self: Path, target: Path) -> Any:
        seen.append((target.name, _folders.versions_beside(path, store.HEADER)))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", looked_at)
    with Writer(path, True) as writer:
        writer.finish(np.arange(3), (False, False))
    assert seen == [(store.HEADER, [])]
    assert json.loads((path / store.HEADER).read_text())["nnz"] == 0


# --- nothing stays once writers are done ----------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["exchange", "plain"])
def test_writers_in_threads_leave_nothing(way: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == "plain":
        monkeypatch.setattr(_folders, "exchange", lambda *_: False)
    end, versions = time.monotonic() + 1.5, [faults.store(number) for number in range(3)]

    def replace(data: far.Interactions) -> None:
        while time.monotonic() < end:
            data.to_disk(path, overwrite=True)

    writers = [threading.Thread(target=replace, args=(data,)) for data in versions]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert names(path.parent) == ["data"]
    assert len(kinds(path)) == 1


def test_a_folder_that_another_writer_is_removing_is_no_obstacle(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    is_named, others = store._is_named, [faults.store(2)]

    def replaced(folder: int) -> bool:
        if others:
            path.rename(path.parent / "aside")
            for name in names(path.parent / "aside"):
                (path.parent / "aside" / name).unlink()
            others.pop().to_disk(path)
        return is_named(folder)

    monkeypatch.setattr(store, "_is_named", replaced)
    faults.store(1).to_disk(path, overwrite=True)
    assert kinds(path) == {1}


def test_what_another_writer_has_just_made_is_removed_once_replaced(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The maker of the folder that is put aside still holds its lock: it is removed all the same."""
    monkeypatch.setattr(_folders, "exchange", lambda *_: False)
    lock = _folders._lock(path)
    assert lock is not None
    faults.store(1).to_disk(path, overwrite=True)
    assert names(path.parent) == ["data"]
    os.close(lock[0])


def test_two_that_give_the_name_at_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_folders, "exchange", lambda *_: False)
    rename, others = Path.rename, [faults.store(2)]

    def between(self: Path, target: Path) -> Any:
        rename(self, target)
        if self == path and others:
            others.pop().to_disk(path)

    monkeypatch.setattr(Path, "rename", between)
    faults.store(1).to_disk(path, overwrite=True)
    assert kinds(path) == {1}
    assert names(path.parent) == ["data"]


def test_two_that_remove_the_same_folder(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remove, done = os.unlink, []

    def twice(name: Any, **where: Any) -> None:
        remove(name, **where)
        done.append(name)
        raise FileNotFoundError(errno.ENOENT, "somebody else has removed it")

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", twice)
        faults.store(1).to_disk(path, overwrite=True)
    assert done
    assert names(path.parent) == ["data"]


# --- forked processes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["sys.exit(3)", "os._exit(3)", "raise KeyError"])
def test_a_forked_process_removes_nothing_and_writes_nothing(way: str, tmp_path: Path) -> None:
    program = f"""
import os, sys, warnings
import fastautorec as far
from store_faults import store
warnings.simplefilter("ignore")
whole = store(0)
def blocks():
    for block in whole.blocks(10):
        yield block
        if not os.fork():
            {way}
        os.wait()
far.Interactions.write(sys.argv[1] + "/data", blocks())
far.Interactions.open(sys.argv[1] + "/data", verify=True)
print("written")
"""
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "written\n", done.stderr
    assert kinds(tmp_path / "data") == {0}
    assert names(tmp_path) == ["data"]


# --- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("replace", [write, to_disk])
def test_blocks_that_change_the_current_folder(replace: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)

    def blocks() -> Iterator[Any]:
        yield faults.store(1)
        os.chdir("elsewhere")

    assert faults.kinds_in(far.Interactions.write("data", blocks())) == {1}
    assert names(tmp_path) == ["data", "elsewhere"]
    assert names(tmp_path / "elsewhere") == []
    replace(tmp_path / "data", faults.store(2))
    assert kinds(tmp_path / "data") == {2}


@pytest.mark.parametrize("name", ["n" * 241, "n" * 242, "n" * 255, "ü" * 127])
def test_long_names(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / name
    for number in range(2):
        faults.store(number).to_disk(path, overwrite=True)
        assert kinds(path) == {number}
    with Writer(path, True) as writer:
        left = path.parent / "left"
        shutil.copytree(writer._folder.path, left)
        temporary = writer._folder.path
    left.rename(temporary)
    faults.store(2).to_disk(path, overwrite=True)
    assert names(tmp_path) == [name]
