"""Eight threads ask while the model file is replaced and loaded again, and models are fitted again beside."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

import fastautorec as far
from faults.harness import Case, require, value_of
from faults.writers import small

THREADS, EACH = 8, 250  # requests of a thread in a case
SIZES = (40, 55)  # items of two catalogues


def prepare(shared: Path) -> Case:
    del shared

    def case(rng: Random, number: int, folder: Path) -> int:
        work = (_reloads, _refits, _other_catalogue)[number % 3]
        seed = rng.random()
        value_of(lambda: work(folder, Random(seed)))
        return THREADS * EACH

    return case


def _reloads(folder: Path, rng: Random) -> None:
    """A file is replaced all the time, and what serves is what was loaded last."""
    path, history = folder / "model.npz", small(9)
    models = [far.NCEAutoRec(factors=4).fit(small(version)) for version in range(3)]
    expected = [_lists(model, history) for model in models]
    serving = models[:1]
    models[0].save(path)

    def reload() -> None:
        rng.choice(models).save(path)
        serving[0] = far.load(path)

    _load(history, lambda row: serving[0].recommend(row, N=5), expected, reload, rng)


def _refits(folder: Path, rng: Random) -> None:
    """A model is fitted again on other data of the same catalogue."""
    history, data = small(9), [small(version) for version in range(3)]
    kind = rng.choice((far.Popularity(), far.EASE(), far.NCEAutoRec(factors=4), far.PureSVD(factors=4)))
    expected = [_lists(_new(kind).fit(one), history) for one in data]
    kind.fit(data[0])
    _load(history, lambda row: kind.recommend(row, N=5), expected, lambda: kind.fit(rng.choice(data)), rng)


def _other_catalogue(folder: Path, rng: Random) -> None:
    """A model is fitted again on more or fewer items: a request gets lists of a fit, or hears that it does not fit."""
    data = [small(version, n_items=size) for version, size in enumerate(SIZES)]
    histories = [small(9, n_items=size) for size in SIZES]
    kind = rng.choice((far.Popularity(), far.EASE(), far.NCEAutoRec(factors=4)))
    expected = [_lists(_new(kind).fit(one), own) for one, own in zip(data, histories, strict=True)]
    kind.fit(data[0])

    def ask(row: Any) -> Any:
        try:
            return kind.recommend(row, N=5)
        except ValueError as error:
            require("columns but the model was fitted on" in str(error), f"another error: {error}")
            return None

    def refit() -> None:
        kind.fit(rng.choice(data))

    for history, lists in zip(histories, expected, strict=True):
        _load(history, ask, [lists], refit, rng, EACH // 2)


def _load(
    history: Any,
    ask: Callable[[Any], Any],
    versions: list[Any],
    beside: Callable[[], Any],
    rng: Random,
    each: int = EACH,
) -> None:
    """Let threads ask for rows of a history while something is done beside; compare every list."""
    rows = [history[u] for u in range(history.shape[0])]
    wrong: list[str] = []
    end = threading.Event()

    def requests(seed: int) -> None:
        own = Random(seed)
        try:
            for _ in range(each):
                u = own.randrange(len(rows))
                found = ask(rows[u])
                if found is not None and not any(_same(found, one, u) for one in versions):
                    wrong.append(f"user {u}: {found} is of no version")
        except BaseException as error:
            wrong.append("".join(traceback.format_exception(error)))

    def change() -> None:
        try:
            while not end.is_set():
                beside()
                end.wait(0.002)
        except BaseException as error:
            wrong.append(f"beside: {error!r}")

    threads = [threading.Thread(target=requests, args=(rng.randrange(10**9),)) for _ in range(THREADS)]
    changing = threading.Thread(target=change)
    for thread in (changing, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    end.set()
    changing.join()
    require(not wrong, f"{len(wrong)} of {THREADS * each} requests, the first: {wrong[:1]}")


def _new(model: Any) -> Any:
    return type(model)(**model.get_params())


def _lists(model: Any, history: Any) -> list[Any]:
    """Return what each user gets alone; the last bits of scores may be others where many are asked for together."""
    return [model.recommend(history[u], N=5) for u in range(history.shape[0])]


def _same(found: Any, lists: Any, u: int) -> bool:
    (ids, scores), (own_ids, own_scores) = found, lists[u]
    return np.array_equal(ids, own_ids) and np.array_equal(scores, own_scores, equal_nan=True)
