"""A signal at each line of the library: what was written or fitted is as before or as afterwards, and all works on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from threadpoolctl import threadpool_limits

import fastautorec
from faults.harness import Case, at_line, require, value_of
from faults.interrupts import BLAS_THREADS, MODELS, blas_threads
from faults.writers import Writer, all_writers, digest_of_model, small

CODE = (str(Path(fastautorec.__file__).parent),)
STRIDE = 7919  # a prime, so that all lines have their turn, in another order

Steps = tuple[Callable[[Path], Any], Callable[[Path, Any], None]]  # until the signal, and afterwards


def prepare(shared: Path) -> Case:
    works = [_fitting(model) for model in MODELS] + [_writing(writer) for writer in all_writers(shared)]
    lines = []
    for number, work in enumerate(works):
        folder = shared / str(number)
        folder.mkdir()
        lines.append(value_of(lambda work=work, folder=folder: _run(work(), folder, None)))

    def case(rng: Random, number: int, folder: Path) -> None:
        del rng
        turn, place = divmod(number, len(works))
        value_of(lambda: _run(works[place](), folder, 1 + turn * STRIDE % lines[place]))

    return case


def _run(work: tuple[Callable[[Path], Any], Callable[[Path], None]], folder: Path, n: int | None) -> int:
    """Interrupt some work at the n-th line, and check what is left; return the number of lines."""
    do, check = work
    with threadpool_limits(BLAS_THREADS, user_api="blas"):
        before = blas_threads()
        with at_line(CODE, n, _interrupt) as seen, contextlib.suppress(KeyboardInterrupt):
            do(folder)
        check(folder)
        require(blas_threads() == before, f"BLAS has {blas_threads()} threads, not {before}")
    return seen[0]


def _interrupt() -> None:
    raise KeyboardInterrupt


def _fitting(given: Any) -> Callable[[], Any]:
    def work() -> Any:
        old, new = small(1), small(2)
        model = type(given)(**given.get_params())
        states = [digest_of_model(model.fit(data)) for data in (new, old)]

        def check(folder: Path) -> None:
            del folder
            require(digest_of_model(model) in states, f"{model!r} is neither as before nor fitted")
            require(digest_of_model(model.fit(new)) == states[0], f"{model!r} has other bits")

        return lambda _: (model.fit(new), model.recommend(new[:3])), check

    return work


def _writing(writer: Writer) -> Callable[[], Any]:
    def work() -> Any:
        def write(folder: Path) -> None:
            writer.begin(folder, True)
            writer.write(folder)

        def check(folder: Path) -> None:
            writer.check(folder, True)
            writer.check_again(folder)

        return write, check

    return work
