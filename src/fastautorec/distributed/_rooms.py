"""Folders that one call at a time fills, and what a killed call has left there."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastautorec._files import TOKEN
from fastautorec.data import _folders


@contextmanager
def taken(folder: Path, names: str, rule: str, name: str) -> Iterator[None]:
    """Have a folder to ourselves, made if it is not there, without the temporary files of killed processes.

    Raises
    ------
    FileExistsError
        If something is there whose name does not match ``names``, or another call has the folder.
    """
    temporary = re.compile(rf"\.{names}\.[a-z0-9_]{{{2 * TOKEN}}}\.tmp")
    if os.path.lexists(folder):
        if not folder.is_dir():
            raise NotADirectoryError(f"{rule}, but {folder} is no folder; name another `{name}`")
        for path in folder.iterdir():
            if not re.fullmatch(names, path.name) and not temporary.fullmatch(path.name):
                raise FileExistsError(
                    f"{rule}, but {folder} holds {path.name!r}; move it elsewhere, or name another `{name}`"
                )
    folder.mkdir(exist_ok=True)
    lock = _folders._lock(folder)  # ends with this process
    if lock is None:
        raise FileExistsError(f"another call is using {folder}; wait for it, or name another `{name}`")
    try:
        for path in folder.iterdir():
            if temporary.fullmatch(path.name):
                path.unlink()
        yield
    finally:
        os.close(lock[0])
