"""Files that are replaced: what stands at the name of a model or a checkpoint before it is written."""

from __future__ import annotations

import os
import socket
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastautorec as far
from fastautorec import _files
from fastautorec._files import replace_file

pytestmark = pytest.mark.skipif(os.name != "posix", reason="files of another kind")


@pytest.fixture(scope="module")
def fitted() -> far.Popularity:
    return far.Popularity().fit(far.datasets.synthetic(50, 20, 300, random_state=0))


def _fit_with_checkpoint(path: Path) -> None:
    data = far.datasets.synthetic(50, 20, 300, random_state=0)
    far.NSAutoRec(factors=4, epochs=1, negatives=5).fit(data, checkpoint=path)


def _save(path: Path) -> None:
    far.Popularity().fit(far.datasets.synthetic(50, 20, 300, random_state=0)).save(path)


WRITERS = [_save, _fit_with_checkpoint]


@pytest.mark.parametrize("write", WRITERS)
def test_what_is_no_regular_file_stays(write: Callable[[Path], None], tmp_path: Path) -> None:
    fifo, link = tmp_path / "fifo", tmp_path / "link"
    os.mkfifo(fifo)
    link.symlink_to(fifo)
    for path in (fifo, link):
        with pytest.raises(OSError, match=f"{path} is no regular file"):
            write(path)
    assert stat.S_ISFIFO(fifo.lstat().st_mode)
    assert link.is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fifo", "link"]


def test_a_socket_stays(fitted: far.Popularity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # names of sockets are short
    with socket.socket(socket.AF_UNIX) as own:
        own.bind("socket")
        with pytest.raises(OSError, match="socket is no regular file"):
            fitted.save("socket")
        assert stat.S_ISSOCK(Path("socket").lstat().st_mode)


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("there", [True, False])
def test_a_link_is_followed(write: Callable[[Path], None], there: bool, tmp_path: Path) -> None:
    other = tmp_path / "models"
    other.mkdir()
    target, link = other / "model.npz", tmp_path / "current.npz"
    link.symlink_to(Path("models") / "model.npz")
    if there:
        target.write_text("of before")
    write(link)
    assert link.readlink() == Path("models/model.npz")
    assert target.read_bytes().startswith(b"PK")
    assert [path.name for path in other.iterdir()] == ["model.npz"]


def test_a_link_that_leads_to_itself_stays(fitted: far.Popularity, tmp_path: Path) -> None:
    link = tmp_path / "loop"
    link.symlink_to(link)
    with pytest.raises(OSError, match="symbolic links"):
        fitted.save(link)
    assert link.is_symlink()


def test_a_link_into_no_folder(fitted: far.Popularity, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "none" / "model.npz")
    with pytest.raises(FileNotFoundError, match=r"no folder .*none to save model\.npz in"):
        fitted.save(link)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o400, 0o777])
def test_permissions_are_kept(mode: int, fitted: far.Popularity, tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    path.write_text("of before")
    path.chmod(mode)
    fitted.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert isinstance(far.load(path), far.Popularity)


def test_the_umask_is_applied_and_never_set(
    fitted: far.Popularity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = os.umask(0o027)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(os, "umask", lambda _: pytest.fail("the umask of all threads was set"))
            fitted.save(tmp_path / "model.npz")
            far.Interactions(far.datasets.synthetic(50, 20, 300)).to_disk(tmp_path / "folder")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "model.npz").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o750


def test_what_a_killed_save_has_left_is_removed_after_a_day(fitted: far.Popularity, tmp_path: Path) -> None:
    names = {
        ".model.npz.0123abcd.tmp": 25,  # hours
        ".model.npz.a_b1c2d3.tmp": 25,
        ".model.npz.89abcdef.tmp": 23,  # somebody may be writing it
        ".other.npz.0123abcd.tmp": 25,
        ".model.npz.old.0123abcd.tmp": 25,  # of another file
        ".model.npz.mine.tmp": 25,
        "model.npz.0123abcd.tmp": 25,
    }
    for name, hours in names.items():
        (tmp_path / name).write_text(name)
        then = time.time() - 3600 * hours
        os.utime(tmp_path / name, (then, then))
    fitted.save(tmp_path / "model.npz")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {*names, "model.npz"} - {".model.npz.0123abcd.tmp", ".model.npz.a_b1c2d3.tmp"}


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("of before")

    def fail(file: Any) -> None:
        file.write(np.zeros(3).tobytes())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace_file(path, fail)
    assert path.read_text() == "of before"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("name", ["n" * 241, "n" * 242, "n" * 255, "\N{LATIN SMALL LETTER U WITH DIAERESIS}" * 127])
def test_long_names(name: str, write: Callable[[Path], None], tmp_path: Path) -> None:
    for _ in range(2):
        write(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_what_is_left_of_a_long_name_is_removed_after_a_day(fitted: far.Popularity, tmp_path: Path) -> None:
    path = tmp_path / ("n" * 250)
    temporary, handle = _files._new_file(path, 0o600)
    os.close(handle)
    for hours, left in ((23, 2), (25, 1)):
        then = time.time() - 3600 * hours
        os.utime(temporary, (then, then))
        fitted.save(path)
        assert len(list(tmp_path.iterdir())) == left
