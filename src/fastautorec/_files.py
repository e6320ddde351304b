"""Replacing a file in one step: a reader sees the old one or the new one, and a kill leaves one of them."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

MODE = 0o666  # mode of a new file; the umask takes bits away
STALE_SECONDS = 24 * 3600  # older temporary files are those of killed processes
TOKEN = 4  # bytes that tell temporary names apart
_LONGEST = 255 - len("...tmp") - 2 * TOKEN  # bytes that a name may have within a temporary one
_BINARY: int = getattr(os, "O_BINARY", 0)


def target_of(path: Path) -> Path:
    """Return the file that a symbolic link leads to, or the path itself.

    Raises
    ------
    IsADirectoryError
        For a folder.
    OSError
        For a device, a pipe or a socket, which renaming would remove.
    """
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    try:
        mode = target.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return target
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "a folder is there; name a file, such as one inside it", str(path))
    if not stat.S_ISREG(mode):
        raise OSError(f"{path} is no regular file but a device, a pipe or a socket; name another file")
    return target


def stem_of(target: Path) -> str:
    """Return what temporary names of a target begin with: its name, or a digest where they would be too long."""
    name = os.fsencode(target.name)
    return target.name if len(name) <= _LONGEST else hashlib.sha256(name).hexdigest()


def replace_file(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Have ``write`` fill a new file and give it the name ``path``, in one step.

    A symbolic link stays, and what it leads to is replaced. The permissions of a file that is there are kept.

    Raises
    ------
    OSError
        If the file cannot be written, with the name that was given; the file that was there is as it was.
    """
    target = target_of(path)
    try:
        _write_and_rename(target, write)
    except OSError as error:  # tell the name that was given, not that of the temporary file
        if not target.parent.is_dir():
            raise FileNotFoundError(f"no folder {target.parent} to save {target.name} in; create it first") from None
        if error.errno is not None:
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise


def replace_content(path: Path, content: str | bytes) -> None:
    """Give a file this content, text in UTF-8, in one step; see `replace_file`."""
    replace_file(path, lambda file: file.write(content.encode() if isinstance(content, str) else content))


def _write_and_rename(target: Path, write: Callable[[IO[bytes]], Any]) -> None:
    kept = stat.S_IMODE(target.stat().st_mode) if target.exists() else None
    _remove_stale(target)
    temporary, handle = _new_file(target, MODE if kept is None else kept)
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        if kept is not None:
            temporary.chmod(kept)  # the umask may have taken something away
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(target.parent)  # the rename itself survives a power cut


def sync(folder: Path) -> None:
    """Have a folder's list of names on disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _new_file(target: Path, mode: int) -> tuple[Path, int]:
    """Return a new file beside the target, and its handle; the kernel applies the umask, which is never set here."""
    flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | _BINARY
    while True:
        temporary = target.parent / f".{stem_of(target)}.{secrets.token_hex(TOKEN)}.tmp"
        with contextlib.suppress(FileExistsError):
            return temporary, os.open(temporary, flags, mode | stat.S_IWUSR)


def _remove_stale(target: Path) -> None:
    """Remove what killed processes have left of the same file, long ago: a running one may be writing now."""
    own = re.compile(rf"\.{re.escape(stem_of(target))}\.[a-z0-9_]{{{2 * TOKEN}}}\.tmp")
    with contextlib.suppress(OSError), os.scandir(target.parent) as entries:
        for entry in entries:
            if own.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    if time.time() - entry.stat().st_mtime > STALE_SECONDS:
                        Path(entry.path).unlink()
