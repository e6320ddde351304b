"""Ctrl-C at any moment of a call: the model is as before or fitted, BLAS has its threads, the next fit has the bits."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from threadpoolctl import threadpool_info, threadpool_limits

import fastautorec as far
from faults.harness import Case, require, value_of
from faults.writers import digest_of_model, small

TOGETHER, BLAS_THREADS = 10, 2
MODELS = (
    far.Popularity(),
    far.EASE(),
    far.PureSVD(factors=8),
    far.NCEPLRec(factors=8),
    far.NCEAutoRec(factors=8),
    far.AutoRec(factors=8, epochs=2),
    far.NSAutoRec(factors=8, epochs=2, negatives=5),
    far.OHNSAutoRec(factors=8, epochs=2, negatives=5),
)


def blas_threads() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def prepare(shared: Path) -> Case:
    del shared

    def case(rng: Random, number: int, folder: Path) -> int:
        del folder
        seed = rng.random()
        value_of(lambda: _case(MODELS[number % len(MODELS)], Random(seed)))
        return TOGETHER

    return case


def _case(given: Any, rng: Random) -> None:
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    with threadpool_limits(BLAS_THREADS, user_api="blas"):
        before = blas_threads()
        old, new = small(1, 300, 200), small(2, 300, 200)
        model = type(given)(**given.get_params())
        started = time.monotonic()
        fitted = digest_of_model(model.fit(new))
        lists = model.recommend(new)
        seconds = 2 * (time.monotonic() - started)
        for _ in range(TOGETHER):
            former = digest_of_model(model.fit(old))
            _interrupted(lambda: (model.fit(new), model.recommend(new)), rng.uniform(0, seconds))
            require(digest_of_model(model) in (former, fitted), f"{model!r} is neither as before nor fitted")
            require(blas_threads() == before, f"BLAS has {blas_threads()} threads, not {before}")
            require(digest_of_model(model.fit(new)) == fitted, f"{model!r} has other bits")
            again = model.recommend(new)
            require(all(mine.tobytes() == one.tobytes() for mine, one in zip(again, lists, strict=True)), "other lists")


def _interrupted(work: Callable[[], Any], seconds: float) -> None:
    try:
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-6))
        work()
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        pass
    signal.setitimer(signal.ITIMER_REAL, 0)
