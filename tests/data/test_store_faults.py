"""Stored interactions that are replaced, copied over, cut short by a full disk, or opened in a time of want."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import store_faults as faults
from store_faults import names

import fastautorec as far
from fastautorec.data import _folders
from fastautorec.data import _store as store
from fastautorec.data._store_writer import Writer
from fastautorec.exceptions import InteractionsFileError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="tried there only")


@pytest.fixture(params=["exchange", "plain"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "plain":
        monkeypatch.setattr(_folders, "exchange", lambda first, second: False)
    return str(request.param)


# --- replaced -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["exchange", "plain"])
def test_what_is_opened_is_of_one_writer(kind: str, tmp_path: Path) -> None:
    found = faults.open_while_written(tmp_path / "data", 300, way=kind)
    assert found.pop("changes") > 5
    assert found == {"right": 300}


def test_kills_leave_a_store_and_the_next_write_removes_the_rest(tmp_path: Path) -> None:
    assert faults.kill_writers(tmp_path / "data", 3) == {"right": 3}
    faults.store(1).to_disk(tmp_path / "data", overwrite=True)
    assert names(tmp_path) == ["data"]


@pytest.mark.parametrize("name", ["header.json", *(f"{name}.npy" for name in store.NAMES)])
def test_replaced_between_two_files(name: str, path: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    look, done = store._open_in, []

    def replaced(folder: int, file: str) -> Any:
        if file == name and not done:
            done.append(file)
            with monkeypatch.context() as patch:
                patch.setattr(store, "_open_in", look)
                faults.store(1).to_disk(path, overwrite=True)
        return look(folder, file)

    monkeypatch.setattr(store, "_open_in", replaced)
    assert faults.kinds_in(far.Interactions.open(path)) == {1}
    assert done


def test_replaced_again_and_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def removed(*_: Any) -> Any:
        raise FileNotFoundError

    monkeypatch.setattr(store, "_open_in", removed)
    monkeypatch.setattr(_folders, "is_at", lambda *_: False)
    with pytest.raises(OSError, match=r"data was replaced whenever it was opened, 100 times"):
        far.Interactions.open(path)


def test_what_is_open_stays_what_it_was(path: Path, way: str) -> None:
    data = far.Interactions.open(path)
    faults.store(1).to_disk(path, overwrite=True)
    assert faults.kinds_in(data) == {0}
    assert names(path.parent) == ["data"]


def test_files_of_two_stores_are_told(path: Path, tmp_path: Path) -> None:
    data = faults.store(0)
    other = far.Interactions(data.user_items, data.user_ids[::-1], data.item_ids, data.timestamps)
    other.to_disk(tmp_path / "other")
    for name in ("user_ids.npy", "header.json"):  # as a copy that was stopped leaves them
        shutil.copytree(path, tmp_path / "mixed", dirs_exist_ok=True)
        shutil.copy(tmp_path / "other" / name, tmp_path / "mixed" / name)
        with pytest.raises(InteractionsFileError, match="belongs to another folder"):
            far.Interactions.open(tmp_path / "mixed")


def test_anybody_can_read_the_arrays(path: Path) -> None:
    ids = np.load(path / "indices.npy", allow_pickle=False)
    assert ids.tolist() == faults.store(0).user_items.indices.tolist()
    assert np.load(path / "indptr.npy", mmap_mode="r").dtype == np.int64
    assert {(path / f"{name}.npy").read_bytes()[store.HEAD - 1] for name in store.NAMES} == {ord("\n")}


# --- stopped between two names --------------------------------------------------------------------------------------


def test_stopped_before_the_name_is_given_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where folders cannot be exchanged, there is a moment at which nothing has the name."""
    program = """
import os, sys
from pathlib import Path
from store_faults import store
from fastautorec.data import _folders
_folders.exchange = lambda first, second: False
rename = Path.rename
def stopped(path, other):
    rename(path, other)
    os._exit(1)
Path.rename = stopped
store(1).to_disk(sys.argv[1], overwrite=True)
"""
    here = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", program, str(path)], cwd=here, timeout=60, check=False)
    assert done.returncode == 1
    left = names(path.parent)
    assert [Path(name).suffix for name in sorted(left, key=lambda name: name[-3:])] == [".old", ".tmp"]
    monkeypatch.setattr(_folders, "TRIES", 3)
    new, old = sorted((path.parent / name for name in left), key=lambda path: path.suffix, reverse=True)
    with pytest.raises(FileNotFoundError, match=rf"what it has left is complete: rename {new} or {old}$"):
        far.Interactions.open(path)
    with Writer(path, True):
        assert set(left) < set(names(path.parent))  # until there is another one, both are kept
    assert names(path.parent) == left
    old.rename(path)
    assert faults.kinds_in(far.Interactions.open(path, verify=True)) == {0}
    faults.store(2).to_disk(path, overwrite=True)
    assert names(path.parent) == ["data"]


def test_opened_in_the_moment_without_a_name(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    aside = path.parent / ".data.0123abcd.old"
    path.rename(aside)
    monkeypatch.setattr(time, "sleep", lambda _: aside.rename(path))
    assert faults.kinds_in(far.Interactions.open(path)) == {0}


def test_a_rename_that_fails_leaves_what_was_there(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_folders, "exchange", lambda first, second: False)
    rename = Path.rename

    def fail(self: Path, target: Path) -> Any:
        if self.suffix == ".tmp":
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(KeyboardInterrupt):
        faults.store(1).to_disk(path, overwrite=True)
    assert faults.kinds_in(far.Interactions.open(path)) == {0}
    assert names(path.parent) == ["data"]


# --- leftovers ------------------------------------------------------------------------------------------------------


def test_only_leftovers_of_its_own_are_removed(path: Path) -> None:
    kept = [".other.0123abcd.tmp", ".data.mine.tmp", "data.0123abcd.tmp", ".data.x.0123abcd.tmp", ".data.0123abcd.npz"]
    for name in (*kept, ".data.0123abcd.tmp", ".data.a_b1c2d3.tmp", ".data.0123abcd.old"):
        (path.parent / name / "old").mkdir(parents=True)
        (path.parent / name / "indices.npy").write_text("half")
    (path.parent / ".data.89abcdef.tmp").write_text("a file of somebody")
    faults.store(1).to_disk(path, overwrite=True)
    assert names(path.parent) == sorted([*kept, ".data.89abcdef.tmp", "data"])


def test_what_a_living_writer_fills_is_not_removed(path: Path) -> None:
    with Writer(path, True) as first:
        first.append_ids("user_ids", np.array(["0 first"]))
        faults.store(1).to_disk(path, overwrite=True)
        assert len(names(path.parent)) == 2
        data = faults.store(2)
        with Writer(path, True) as second:
            for block, rows, times, weights in data._parts(None):
                second.append(block, data.user_ids[rows], times, weights)
            second.finish(data.item_ids, (True, True))
        assert len(names(path.parent)) == 2
    assert names(path.parent) == ["data"]
    assert faults.kinds_in(far.Interactions.open(path)) == {2}


@pytest.mark.parametrize("hours", [23, 25])
def test_without_locks_age_tells(hours: int, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = path.parent / ".data.0123abcd.tmp"
    left.mkdir()
    (left / "indices.npy").write_text("half")
    then = time.time() - 3600 * hours
    for name in (left / "indices.npy", left):
        os.utime(name, (then, then))

    def none(*_: Any) -> None:
        raise OSError(errno.ENOTSUP, "no locks")

    monkeypatch.setattr(fcntl, "flock", none)
    faults.store(1).to_disk(path, overwrite=True)
    assert left.exists() == (hours < 24)
    assert faults.kinds_in(far.Interactions.open(path)) == {1}


# --- full disks -----------------------------------------------------------------------------------------------------


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", tmp_path / "disk"], check=False).returncode:
        pytest.skip("no small disk can be mounted here")
    try:
        assert faults.fill_disk(tmp_path / "disk") == {"full": 6}
    finally:
        subprocess.run(["umount", tmp_path / "disk"], check=True)


def test_files_that_may_not_grow_leave_nothing(tmp_path: Path) -> None:
    program = """
import resource, signal, sys
from pathlib import Path
from store_faults import fill_disk
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for limit in (0, 100, 200_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    print(dict(fill_disk(Path(sys.argv[1]))), file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=Path(__file__).parents[1], stderr=subprocess.PIPE, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stderr == "{'full': 6}\n" * 3


def test_no_descriptors_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: Any, **__: Any) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    data = faults.store(0)
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", none)
        with pytest.raises(OSError, match="Too many open files"):
            data.to_disk(tmp_path / "data")
    assert names(tmp_path) == []


# --- passing troubles -----------------------------------------------------------------------------------------------

TROUBLES = [
    PermissionError(errno.EACCES, "Permission denied"),
    OSError(errno.EMFILE, "Too many open files"),
    OSError(errno.EIO, "Input/output error"),
    MemoryError("no memory"),
]


@pytest.mark.parametrize("place", ["_open_in", "mmap", "map_array", "np.lib.format.read_magic", "texts.unpack"])
@pytest.mark.parametrize("trouble", TROUBLES, ids=str)
def test_a_passing_trouble_is_not_damage(
    trouble: Exception, place: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise trouble

    with monkeypatch.context() as patch:
        patch.setattr(f"fastautorec.data._store.{place}", fail)
        with pytest.raises(type(trouble)) as raised:
            far.Interactions.open(path)
    assert raised.value is trouble
    assert faults.kinds_in(far.Interactions.open(path)) == {0}


def test_what_is_no_regular_file_is_not_waited_for(path: Path) -> None:
    for name in ("item_ids.npy", "header.json"):
        (path / name).unlink()
        os.mkfifo(path / name)
        with pytest.raises(InteractionsFileError, match=f"{name} is no regular file"):
            far.Interactions.open(path)


# --- links and permissions ------------------------------------------------------------------------------------------


def test_a_link_stays_and_leads_to_the_new_one(path: Path, tmp_path: Path, way: str) -> None:
    link = tmp_path / "links" / "current"
    link.parent.mkdir()
    link.symlink_to(Path("..") / "data")
    faults.store(1).to_disk(link, overwrite=True)
    assert link.readlink() == Path("../data")
    for name in (link, path):
        assert faults.kinds_in(far.Interactions.open(name)) == {1}
    assert names(tmp_path) == ["data", "links"]
    assert names(link.parent) == ["current"]


@pytest.mark.parametrize("mode", [0o700, 0o750, 0o555, 0o777])
def test_permissions_of_a_folder_are_kept(mode: int, path: Path) -> None:
    path.chmod(mode)
    faults.store(1).to_disk(path, overwrite=True)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert faults.kinds_in(far.Interactions.open(path)) == {1}


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_folder_that_may_only_be_read_is_replaced_and_removed() -> None:
    versions = [faults.store(number) for number in range(2)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data"
        path.parent.chmod(0o777)
        child = os.fork()
        if not child:  # root may always remove
            try:
                if os.geteuid() == 0:
                    os.setuid(65534)
                for data in versions:
                    data.to_disk(path, overwrite=True)
                    path.chmod(0o555)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert names(path.parent) == ["data"]
        assert faults.kinds_in(far.Interactions.open(path)) == {1}
        path.chmod(0o777)


def test_another_folder_that_came_in_between_stays(tmp_path: Path) -> None:
    with Writer(tmp_path / "data", True) as writer:
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "thesis.txt").write_text("")
        with pytest.raises(FileExistsError, match="exists already"):
            writer.finish(np.arange(3), (False, False))
    assert names(tmp_path) == ["data"]
    assert names(tmp_path / "data") == ["thesis.txt"]
