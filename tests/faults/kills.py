"""A process is killed while it writes: the old or the new version is whole, the next run works, nothing is left."""

from __future__ import annotations

import shutil
import time
import zipfile
from pathlib import Path
from random import Random
from typing import Any

import fastautorec
from faults.harness import Case, at_event, at_line, fork, kill_self, value_of
from faults.writers import Writer, all_writers

CODE = (str(Path(fastautorec.__file__).parent), shutil.__file__, zipfile.__file__)


def prepare(shared: Path) -> Case:
    writers = all_writers(shared)
    counts = {writer: _counts(writer, shared) for writer in writers}

    def case(rng: Random, number: int, folder: Path) -> None:
        writer, turn = writers[number % len(writers)], number // len(writers)
        events, lines, seconds = counts[writer][turn // 4 % 2]
        over = bool(turn // 4 % 2)
        writer.begin(folder, over)
        if turn % 4 < 2:  # each event in its turn
            event = 1 + (turn // 8 * 2 + turn % 2) % events
            ending = fork(lambda: (at_event(event, kill_self), writer.write(folder)))
        elif turn % 4 == 2:
            ending = fork(lambda: _until_line(writer, folder, rng.randint(1, lines)))
        else:
            ending = fork(lambda: writer.write(folder), kill_after=rng.uniform(0, seconds))
        if ending.error is not None:
            raise AssertionError(ending.trace)
        value_of(lambda: (writer.check(folder, over), writer.check_again(folder)))

    return case


def _counts(writer: Writer, shared: Path) -> list[tuple[int, int, float]]:
    """Return file events, lines and seconds of writing anew and of writing over."""
    found: list[Any] = []
    for over in (False, True):
        folders = [shared / f"{writer}-{over}-{what}" for what in ("events", "lines", "time")]
        for folder in folders:
            folder.mkdir()
            writer.begin(folder, over)
        started = time.monotonic()
        value_of(lambda folder=folders[2]: writer.write(folder))
        seconds = time.monotonic() - started
        events = value_of(lambda folder=folders[0]: [at_event(None), writer.write(folder)])[0]
        lines = value_of(lambda folder=folders[1]: _until_line(writer, folder, None))
        found.append((len(events), lines, seconds))
    return found


def _until_line(writer: Writer, folder: Path, n: int | None) -> int:
    with at_line(CODE, n, kill_self) as seen:
        writer.write(folder)
    return seen[0]
