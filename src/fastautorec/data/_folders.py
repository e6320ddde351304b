"""Replacing a folder in one step: by exchange where the system can, and with nothing left of writers that were killed.

A folder is filled beside its target as `.NAME.TOKEN.tmp`, under a lock that ends with its process. One that is found
there without a lock is a leftover, which the next writer of that name removes. Where folders cannot be
exchanged, one that is replaced is `.NAME.TOKEN.old` for a moment.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from fastautorec._files import STALE_SECONDS, TOKEN, stem_of, sync

MODE = 0o777  # mode of a new folder; the umask takes bits away
UNFINISHED, REPLACED = ".tmp", ".old"
TRIES = 100  # to give the name while other writers give it too

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # Linux
_NO_EXCHANGE = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM}
_MOVED = {errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}  # another writer took or gave the name


class NewFolder:
    """A folder that gets its name when it is complete; to be closed, which removes what has not got it.

    Attributes
    ----------
    path : Path
        Where it is until then.
    handle : int
        Handle of the folder, whatever its name.
    """

    def __init__(self, target: Path, mark: str) -> None:
        """Make an empty folder; the file ``mark`` in it will say that it is complete."""
        self._target, self._mark, self._process = target, mark, os.getpid()
        self._kept = _mode_of(target)
        _remove_leftovers(target, mark)
        self.path, self.handle = _locked_folder(target, MODE if self._kept is None else self._kept | stat.S_IRWXU)

    def take_name(self, check: Callable[[], object]) -> None:
        """Sync the folder and give it its name; ``check`` raises if it may not replace what is there."""
        if self._kept is not None:
            self.path.chmod(self._kept)
        os.fsync(self.handle)
        for _ in range(TRIES):
            check()
            try:
                self._take_name()
                break
            except OSError as error:
                if error.errno not in _MOVED:
                    raise
        else:
            raise OSError(f"{self._target} is replaced again and again by others; have one writer at a time")
        sync(self._target.parent)
        _remove_leftovers(self._target, self._mark)

    def _take_name(self) -> None:
        if not os.path.lexists(self._target):
            self.path.rename(self._target)
        elif not exchange(self.path, self._target):
            try:
                self._target.rename(self._aside)
                self.path.rename(self._target)
            except BaseException:
                self._clear_aside()
                raise

    @property
    def _aside(self) -> Path:
        return self.path.with_suffix(REPLACED)

    def _clear_aside(self) -> None:
        """Give what was replaced its name again, or remove it where something else has the name by now."""
        with contextlib.suppress(OSError):
            if self._aside.is_dir() and not os.path.lexists(self._target):
                self._aside.rename(self._target)
        if self._aside.is_dir() and os.path.lexists(self._target):
            _remove(self._aside)

    def close(self) -> None:
        """Remove what has no name: the unfinished folder, or the one that it has replaced.

        A process that was forked from the one that made the folder removes nothing.
        """
        if os.getpid() == self._process:
            _remove(self.path)
            self._clear_aside()
        os.close(self.handle)


def exchange(first: Path, second: Path) -> bool:
    """Exchange what two names lead to, in one step; False if system or file system cannot.

    Raises
    ------
    OSError
        If it failed otherwise.
    """
    call = _renameat2()
    if call is None:
        return False
    if call(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NO_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), str(second))


@cache
def _renameat2() -> Any:
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError, TypeError):  # another system, or an old library
        return None
    call.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    return call


def _mode_of(folder: Path) -> int | None:
    """Return the permissions of a folder, or None where there is none, or none any more."""
    try:
        mode = folder.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    return stat.S_IMODE(mode) if stat.S_ISDIR(mode) else None


def versions_beside(target: Path, mark: str) -> list[Path]:
    """Return complete folders that a writer of this name has left, or is about to give the name to; new ones first."""
    return [found for path in _own(target) for found in _complete(path, mark)]


def abandoned_beside(target: Path, mark: str) -> list[Path]:
    """Return those of them whose writer is no longer there; none where one has just given the name."""
    left = [
        found
        for path in _own(target)
        for found in _complete(path, mark)
        if _is_free(path) and (_is_free(maker := path.with_suffix(UNFINISHED)) or not maker.is_dir())
    ]
    return [] if os.path.lexists(target) else left


def _complete(path: Path, mark: str) -> list[Path]:
    within = path / "old"  # where earlier versions put the replaced one
    return [folder for folder in (path, within) if os.path.isfile(folder / mark)]  # noqa: PTH113  never raises


def is_at(handle: int, path: Path) -> bool:
    """Return whether a path leads to the folder of a handle."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except (FileNotFoundError, NotADirectoryError):
        return False


def _locked_folder(target: Path, mode: int) -> tuple[Path, int]:
    while True:
        path = target.parent / f".{stem_of(target)}.{secrets.token_hex(TOKEN)}{UNFINISHED}"
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode)
            try:
                lock = _lock(path)
            except BaseException:
                path.rmdir()
                raise
            if lock is not None:  # otherwise another writer took it for a leftover
                return path, lock[0]


def _lock(folder: Path) -> tuple[int, bool] | None:
    """Return a handle of a folder and whether it is locked, or None if another process has locked or moved it."""
    import fcntl  # noqa: PLC0415  not on Windows

    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if is_at(handle, folder):
            return handle, True
    except BlockingIOError:
        pass
    except OSError:  # a file system without locks
        return handle, False
    os.close(handle)
    return None


def _is_free(folder: Path) -> bool:
    """Return whether a folder is there and no process holds it."""
    try:
        lock = _lock(folder)
    except OSError:  # one that may not be opened
        return True
    if lock is not None:
        os.close(lock[0])
    return lock is not None


def _own(target: Path) -> list[Path]:
    """Return what writers of this name have beside it; new ones first, then those that they have replaced."""
    name, ends = re.escape(stem_of(target)), f"{UNFINISHED}|{REPLACED}".replace(".", r"\.")
    own = re.compile(rf"\.{name}\.[a-z0-9_]{{{2 * TOKEN}}}({ends})")
    try:
        with os.scandir(target.parent) as entries:
            names = [
                entry.path for entry in entries if own.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)
            ]
    except OSError:
        names = []
    return sorted(map(Path, names), key=lambda path: path.suffix == REPLACED)


def _remove_leftovers(target: Path, mark: str) -> None:
    """Remove what killed writers have left; not what is complete as long as there is nothing at the target."""
    for path in _own(target):
        if _complete(path, mark) and not os.path.lexists(target):
            continue
        with contextlib.suppress(OSError):
            lock = _lock(path)
            if lock is None:
                continue
            try:
                if lock[1] or _is_old(path):
                    _remove(path)
            finally:
                os.close(lock[0])


def _remove(folder: Path) -> None:
    """Remove a folder; another process may be removing the same one, and what may not be removed stays."""
    with contextlib.suppress(OSError):
        folder.chmod(stat.S_IRWXU)  # nothing can be removed from one that may only be read
    shutil.rmtree(folder, ignore_errors=True)


def _is_old(folder: Path) -> bool:
    times = [path.stat().st_mtime for path in (folder, *folder.iterdir())]
    return time.time() - max(times) > STALE_SECONDS
