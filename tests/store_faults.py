"""Faults around stored interactions that several tests and the long campaigns provoke; each returns what it counted."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

import fastautorec as far

USERS, ITEMS = 40, 30
KINDS = 3  # of stores that take turns at one path
TESTS = Path(__file__).parent

_WRITER = """
import sys, time
from pathlib import Path
from store_faults import store
from fastautorec.data import _folders
if sys.argv[3] == "plain":
    _folders.exchange = lambda first, second: False
number, end = int(sys.argv[2]), time.monotonic() + float(sys.argv[4])
while time.monotonic() < end:
    number += 1
    try:
        store(number).to_disk(sys.argv[1], overwrite=True)
    except FileExistsError as error:
        print(error)
"""


def store(number: int) -> far.Interactions:
    """Return data that shows by each of its parts which kind it is."""
    kind = number % KINDS
    matrix = far.datasets.synthetic(USERS, ITEMS, 300 + kind, random_state=kind)
    users = [f"{kind} user {row}" for row in range(USERS)]
    items = [f"{kind} item {item}" for item in range(ITEMS)]
    return far.Interactions(matrix, users, items, np.full(matrix.nnz, kind), np.full(matrix.nnz, kind + 0.5))


def kinds_in(data: far.Interactions) -> set[int]:
    """Return of which kinds the parts of opened data are: more than one is a mixture."""
    ids = {int(name[0]) for ids in (data.user_ids, data.item_ids) for name in ids.tolist()}
    ids |= {data.nnz - 300, *np.unique(data.timestamps).tolist(), *np.unique(data.weights - 0.5).tolist()}
    expected = far.datasets.synthetic(USERS, ITEMS, data.nnz, random_state=data.nnz - 300)
    return ids if np.array_equal(data.user_items.indices, expected.indices) else ids | {-1}


def kinds(path: Path) -> set[int]:
    """Return of which kinds the parts of stored data are, their checksums compared."""
    return kinds_in(far.Interactions.open(path, verify=True))


def names(folder: Path) -> list[str]:
    """Return what is in a folder."""
    return sorted(path.name for path in folder.iterdir())


def write(path: Path, data: far.Interactions) -> None:
    """Replace what is stored at a path, block by block."""
    far.Interactions.write(path, [data], overwrite=True)


def to_disk(path: Path, data: far.Interactions) -> None:
    """Replace what is stored at a path, in one call."""
    data.to_disk(path, overwrite=True)


def start_writer(path: Path, first: int, seconds: float, way: str = "exchange") -> subprocess.Popen[bytes]:
    """Start a process that writes one kind after the other to a path."""
    program = [sys.executable, "-c", _WRITER, str(path), str(first), way, str(seconds)]
    return subprocess.Popen(program, cwd=TESTS, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def open_while_written(path: Path, opens: int, writers: int = 2, way: str = "exchange") -> Counter[str]:
    """Open a path while processes write it, and count what comes of it: only "right" and "changes" should."""
    store(0).to_disk(path)
    here = path.stat().st_ino
    processes = [start_writer(path, number, 600, way) for number in range(writers)]
    found, before = Counter[str](), 0
    try:
        while path.exists() and path.stat().st_ino == here:  # until one has begun
            time.sleep(0.01)
        for _ in range(opens):
            try:
                data = far.Interactions.open(path)
                found["right" if len(kinds_in(data)) == 1 else "mixed"] += 1
                found["changes"] += data.nnz != before
                before = data.nnz
            except (OSError, ValueError) as error:
                found[f"{type(error).__name__}: {error}"] += 1
            found["ended writers"] += sum(process.poll() is not None for process in processes)
    finally:
        for process in processes:
            process.terminate()
            if text := process.communicate()[0]:
                found[f"writer: {text.decode()}"] += 1
    return +found


def kill_writers(path: Path, kills: int, way: str = "exchange", seed: int = 0) -> Counter[str]:
    """Kill writers at random moments, and count what is found then; by exchange, "right" alone should be."""
    random = np.random.default_rng(seed)
    store(0).to_disk(path, overwrite=True)
    found: Counter[str] = Counter()
    for number in range(kills):
        process = start_writer(path, number, 60, way)
        here = path.stat().st_ino
        while path.exists() and path.stat().st_ino == here:  # until it writes
            time.sleep(0.001)
        time.sleep(float(random.uniform(0, 0.05)))
        process.kill()
        process.communicate()
        try:
            data = far.Interactions.open(path, verify=True)
            found["right" if len(kinds_in(data)) == 1 else "mixed"] += 1
        except (OSError, ValueError) as error:
            found[f"{type(error).__name__}: {error}"] += 1
    return found


def fill_disk(folder: Path, tries: int = 3) -> Counter[str]:
    """Write what has no room in a folder, again and again: "full" should be told, and the folder be as it was."""
    found, before = Counter[str](), sorted(folder.iterdir())
    data = far.Interactions(far.datasets.synthetic(2000, 500, 400_000))
    for _ in range(tries):
        for write in (lambda: data.to_disk(folder / "new"), lambda: far.Interactions.write(folder / "new", [data] * 2)):
            try:
                write()
                found["written"] += 1
            except OSError as error:
                found["full" if error.filename == str(folder / "new") else str(error)] += 1
            found["left behind"] += len(set(folder.iterdir()) - set(before))
    return +found
