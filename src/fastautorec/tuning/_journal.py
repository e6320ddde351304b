"""The file that keeps the trials of a search: looked at before Optuna reads it, under the lock of those who write."""

from __future__ import annotations

import json
import os
import stat
import warnings
from pathlib import Path
from typing import Any

from fastautorec._extras import require

BEGINNING = b'{"op_code":'  # every line begins so
CREATE_STUDY, DELETE_STUDY, SET_STUDY_ATTRIBUTE, CREATE_TRIAL, SET_TRIAL_STATE = 0, 1, 2, 4, 6  # Optuna's op_code
FINISHED = (1, 2, 3)  # states of a trial
SHOWN = 40  # characters of a line in a message


def open_journal(path: Path, optuna: Any) -> Any:
    """Return Optuna's storage for a journal, which is made if it is not there.

    A last line that was cut when a process was killed is dropped with a warning, for Optuna would append to it. A line
    that another process is writing is not touched: the file is checked under the lock of those who write.

    Raises
    ------
    FileNotFoundError
        If there is no folder for it.
    ValueError
        If the file is no journal, or a line cannot be read; the message names file and line.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(f"no folder {path.parent} for `storage`")
    journal = require("optuna.storages.journal", "tune", "tune")
    # absolute, for the lock is a symbolic link to it, and a relative one would lead nowhere from another folder
    name = str(path.absolute())
    lock = journal.JournalFileSymlinkLock(name)
    if path.exists():
        if not stat.S_ISREG(path.stat().st_mode):
            raise ValueError(f"`storage` must be a file, but {path} is none")
        _look_before_locking(path)
        lock.acquire()
        try:
            _mend(path)
        finally:
            lock.release()
    try:
        return optuna.storages.JournalStorage(journal.JournalFileBackend(name, lock_obj=lock))
    except (OSError, MemoryError):
        raise
    except Exception as error:  # whatever Optuna may raise on lines that do not fit each other
        raise ValueError(
            f"`storage` {path} is a journal whose lines do not fit together ({type(error).__name__}: {error}); take a "
            "copy of before, or another file"
        ) from error


def _look_before_locking(path: Path) -> None:
    """Raise for a file that is no journal at all, before a lock is put beside it."""
    with path.open("rb") as file:
        start = file.read(len(BEGINNING))
    if not BEGINNING.startswith(start):
        raise _refusal(path, start)


def _mend(path: Path) -> None:
    with path.open("r+b") as file:
        end, order = 0, _Order()
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                break
            _check_line(path, number, line, order)
            end += len(line)
        if end == os.fstat(file.fileno()).st_size:
            return
        file.truncate(end)
        os.fsync(file.fileno())
    warnings.warn(
        f"the last line of {path} was cut, as when a process is killed, and has been dropped; what it told is lost",
        stacklevel=2,
    )


class _Order:
    """Notices where a whole line is missing: later lines name what it would have made.

    Optuna skips a line about a study or a trial that it does not know, and a search would go on with what is left.
    """

    def __init__(self) -> None:
        self._names: dict[int, str] = {}  # names of the studies that are there
        self._studies = self._trials = 0  # made so far, numbered from 0
        self._searches: set[int] = set()  # studies that `tune` has made, where a process has one trial at a time
        self._running: dict[tuple[int, str], int] = {}  # trial of a process in a search

    def check(self, entry: dict[str, Any]) -> str | None:
        """Take the next entry, and return what is missing before it."""
        code = entry["op_code"]
        if code == CREATE_STUDY:
            if entry["study_name"] not in self._names.values():
                self._names[self._studies] = entry["study_name"]
                self._studies += 1
            return None
        if not self._studies:
            return "the search that it belongs to is not made before it"
        if not entry.get("study_id", -1) < self._studies:
            return f"search {entry['study_id']} is not made before it"
        if not entry.get("trial_id", -1) < self._trials:
            return f"trial {entry['trial_id']} is not made before it"
        if code == DELETE_STUDY:
            self._names.pop(entry["study_id"], None)
        elif code == SET_STUDY_ATTRIBUTE and "search" in entry["user_attr"]:
            self._searches.add(entry["study_id"])
        elif code == CREATE_TRIAL and entry["study_id"] in self._names:
            return self._begin(entry)
        elif code == SET_TRIAL_STATE and entry["state"] in FINISHED:
            self._running = {owner: trial for owner, trial in self._running.items() if trial != entry["trial_id"]}
        return None

    def _begin(self, entry: dict[str, Any]) -> str | None:
        number, owner = self._trials, (entry["study_id"], entry["worker_id"])
        self._trials += 1
        if entry["study_id"] not in self._searches:
            return None
        if owner in self._running:
            return f"the end of trial {self._running[owner]} is not told before it"
        self._running[owner] = number
        return None


def _check_line(path: Path, number: int, line: bytes, order: _Order) -> None:
    try:
        entry = json.loads(line)
    except ValueError:  # no JSON, or no UTF-8
        entry = None
    if not isinstance(entry, dict) or not isinstance(entry.get("op_code"), int):
        if number == 1 and not line.startswith(BEGINNING):
            raise _refusal(path, line)
        raise ValueError(
            f"line {number} of `storage` {path} cannot be read, {_shown(line)}: the journal is damaged; take a copy of "
            "before, or another file"
        )
    try:
        missing = order.check(entry)
    except (KeyError, TypeError):
        return  # Optuna refuses such a line
    if missing:
        raise damaged(path, f"line {number} is about what is not there: {missing}")


def damaged(path: Path, reason: str) -> ValueError:
    """Return the error for a journal whose lines can be read, but are not all there."""
    return ValueError(f"the journal is damaged: `storage` {path}, {reason}; take a copy of before, or another file")


def _refusal(path: Path, line: bytes) -> ValueError:
    return ValueError(
        f"`storage` {path} is not a journal of a search: it begins with {_shown(line)}; name another file, which "
        "is made if it is not there"
    )


def _shown(line: bytes) -> str:
    return repr(line.decode("utf-8", "replace").strip()[:SHOWN])
