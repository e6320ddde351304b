"""Forked workers are killed at any moment, and pools of each kind work: neither parent nor siblings hang."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

import fastautorec as far
from faults.harness import Case, require, value_of
from faults.writers import small

KILLS = 20  # in a case


def prepare(shared: Path) -> Case:
    del shared

    def case(rng: Random, number: int, folder: Path) -> int:
        del folder
        seed = rng.random()
        work = (_killed, _killed, _pool, _killed_pool, _beside_threads)[number % 5]
        return value_of(lambda: work(Random(seed)), seconds=120)

    return case


def _models() -> list[Any]:
    return [far.Popularity(), far.EASE(), far.NCEAutoRec(factors=4), far.NSAutoRec(factors=4, epochs=1, negatives=5)]


def _killed(rng: Random) -> int:
    """Children fit for ever and are killed; each time their parent and a sibling fit."""
    data, shown = small(1), rng.random() < 0.3
    model = rng.choice(_models())
    expected = model.fit(data, show_progress=shown).recommend(data)
    for _ in range(KILLS):
        child = os.fork()
        if child == 0:
            try:
                while True:
                    model.fit(data, show_progress=shown)
            finally:
                os._exit(1)
        time.sleep(rng.uniform(0, 0.02))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        found = model.fit(data, show_progress=shown).recommend(data)
        require(all(np.array_equal(a, b, equal_nan=True) for a, b in zip(found, expected, strict=True)), "other lists")
    return KILLS


def _fit(model: Any) -> Any:
    return model.fit(small(1)).recommend(small(1))[0].tolist()


def _end(_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _pool(rng: Random) -> int:
    """A pool by each way of starting has the lists of its parent."""
    method = rng.choice(("fork", "fork", "spawn", "forkserver"))
    models = _models()
    expected = [_fit(model) for model in models]
    with multiprocessing.get_context(method).Pool(2) as pool:
        require(pool.map(_fit, models) == expected, f"other lists in a pool by {method}")
    return 1


def _killed_pool(rng: Random) -> int:
    """A worker of an executor is killed: its parent hears of it, and the next executor works."""
    context = multiprocessing.get_context(rng.choice(("fork", "fork", "forkserver")))
    models = _models()
    with ProcessPoolExecutor(2, context) as pool:
        waiting = [pool.submit(_fit, model) for model in models]
        pool.submit(_end, 0)
        for future in waiting:
            try:
                future.result(60)
            except BrokenProcessPool:
                break
    with ProcessPoolExecutor(2, context) as pool:
        require(list(pool.map(_fit, models)) == [_fit(model) for model in models], "other lists afterwards")
    return 1


def _beside_threads(rng: Random) -> int:
    """Children are forked while threads ask; with BLAS on one thread, as here, they work."""
    data = small(1)
    model = far.NCEAutoRec(factors=4).fit(data)
    end = threading.Event()

    def ask() -> None:
        while not end.is_set():
            model.recommend(data[:1])

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            time.sleep(rng.uniform(0, 0.01))
            child = os.fork()
            if child == 0:
                try:
                    model.recommend(data)
                    far.EASE().fit(data)
                    os._exit(0)
                finally:
                    os._exit(1)
            require(os.waitpid(child, 0)[1] == 0, "a child that was forked beside threads fails")
    finally:
        end.set()
        for thread in threads:
            thread.join()
    return 5
