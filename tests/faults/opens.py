"""A store is opened while two processes overwrite it: each open gives one version as a whole."""

from __future__ import annotations

import os
import signal
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from random import Random

import fastautorec as far
from faults.harness import Case, require, value_of
from faults.writers import digest_of_data, small

VERSIONS, TOGETHER = 4, 50  # opens in a case


def prepare(shared: Path) -> Case:
    digests = set(value_of(lambda: [_write(shared / "data", version) for version in range(VERSIONS)]))

    def case(rng: Random, number: int, folder: Path) -> int:
        del number
        path = shared / "data"
        seeds = [rng.random() for _ in range(2)]
        value_of(lambda: _write(path, 0))  # where an earlier case was stopped in the middle
        log = folder / "errors"
        writers = [_start(lambda seed=seed: _overwrite(path, Random(seed)), log) for seed in seeds]
        try:
            value_of(lambda: _open(path, digests, verify=rng.random() < 0.3))
        finally:
            for writer in writers:
                os.kill(writer, signal.SIGKILL)
                os.waitpid(writer, 0)
        require(not log.exists(), f"a writer failed: {log.read_text() if log.exists() else ''}")
        for left in shared.glob(".data.*"):  # of the killed writers
            os.utime(left, (0, 0))
        return TOGETHER

    return case


def _data(version: int) -> far.Interactions:
    """Return data of which shape and ids tell the version."""
    matrix = small(version, n_users=40 + version, n_items=30 + version)
    m, n = matrix.shape
    return far.Interactions(matrix, [f"{version} u{u}" for u in range(m)], [f"{version} i{i}" for i in range(n)])


def _write(path: Path, version: int) -> str:
    data = _data(version)
    data.to_disk(path, overwrite=True)
    return digest_of_data(data)


def _overwrite(path: Path, rng: Random) -> None:
    data = [_data(version) for version in range(VERSIONS)]
    while True:
        try:
            rng.choice(data).to_disk(path, overwrite=True)
        except FileExistsError:  # the other one was faster
            time.sleep(0.001)


def _open(path: Path, digests: set[str], verify: bool) -> None:
    for number in range(TOGETHER):
        data = far.Interactions.open(path, verify=verify)
        require(digest_of_data(data) in digests, f"open {number} gives none of the versions")


def _start(work: Callable[[], None], log: Path) -> int:
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            log.write_text(traceback.format_exc())
        finally:
            os._exit(1)
    return child
