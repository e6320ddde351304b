"""Folders that one call at a time fills, and what a killed call has left there."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from fastautorec._files import TOKEN
from fastautorec.data import _folders


@contextmanager
def taken(folder: Path, names: str, rule: str, name: str, within: Mapping[str, str] | None = None) -> Iterator[None]:
    """Have a folder to ourselves, made if it is not there, without what killed processes were writing in it.

    Raises
    ------
    FileExistsError
        If something is there whose name does not match ``names``, or what ``within`` says of its place (``"parts/*"``),
        or if another call has the folder.
    """
    temporary = re.compile(rf"\.(?:{names})\.[a-z0-9_]{{{2 * TOKEN}}}\.(?:tmp|old)")
    if os.path.lexists(folder):
        if not folder.is_dir():
            raise NotADirectoryError(f"{rule}, but {folder} is no folder; name another `{name}`")
        for place, pattern in ({"*": f"{names}|{temporary.pattern}"} | dict(within or {})).items():
            for path in folder.glob(place):
                if not re.fullmatch(pattern, path.name):
                    found = str(path.relative_to(folder))
                    raise FileExistsError(
                        f"{rule}, but {folder} holds {found!r}; move it elsewhere, or name another `{name}`"
                    )
    folder.mkdir(exist_ok=True)
    lock = _folders._lock(folder)  # ends with this process
    if lock is None:
        raise FileExistsError(f"another call is using {folder}; wait for it, or name another `{name}`")
    try:
        for path in folder.iterdir():
            if temporary.fullmatch(path.name):
                remove(path)
        yield
    finally:
        os.close(lock[0])


def remove(path: Path) -> None:
    """Remove a file or a folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
