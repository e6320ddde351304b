"""Lists from a bound against lists from all scores, in turn, with peers and the floor of each: prints one table.

    python -m benchmarks.lists     two minutes on two cores

"All scores" is the same code with the index switched off. The floor of many users is arithmetic, at the rate of BLAS,
of which products of 8-bit codes are taken to need a quarter; that of one user is reading codes from memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

import fastautorec as far
from benchmarks._common import THREADS, gowalla, movielens
from benchmarks._format import table
from benchmarks.bench_evaluate import K, evaluate_by_numpy
from benchmarks.bench_recommend import ANSWERED, LISTED
from fastautorec._compute import item_index

Call = Callable[[], object]
SAMPLE = 200  # users from whom shares are found
NEWCOMERS = 20_000, 50_000, 2_000_000


@contextmanager
def all_scores() -> Iterator[None]:
    item_index.ENABLED = False
    try:
        yield
    finally:
        item_index.ENABLED = True


def in_turn(calls: list[Call], rounds: int) -> list[float]:
    """Return the median seconds of each call; the second one without the index."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for number, call in enumerate(calls):
            started = time.perf_counter()
            if number == 1:
                with all_scores():
                    call()
            else:
                call()
            times[number].append(time.perf_counter() - started)
    return [float(np.median(own)) for own in times]


def shares(model: Any, histories: sparse.csr_matrix, n_top: int) -> tuple[float, float]:
    """Return the share of items whose norms reach the list, and of those whose bounds do."""
    some = histories[np.random.default_rng(0).permutation(histories.shape[0])[:SAMPLE]]
    fitted = model._as_fitted()
    backend, decoder = fitted._backend(), fitted.decoder_
    hidden = fitted._list_scorer().prepare(backend, fitted._check_history(some))
    scores, bounds, seen = hidden @ decoder.T, item_index.bounds(hidden, decoder), some.nonzero()
    scores[seen] = bounds[seen] = -np.inf
    floors = -np.partition(-scores, n_top - 1, axis=1)[:, n_top - 1 : n_top]
    lengths = np.linalg.norm(hidden, axis=1)[:, None] * np.linalg.norm(decoder, axis=1)
    return float((lengths >= floors).mean()), float((bounds >= floors).mean())


def rates() -> tuple[float, float]:
    """Return multiply-adds a second of BLAS, and bytes a second that one thread reads."""
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((4000, 304), np.float32) for _ in range(2))
    long = rng.standard_normal(1 << 26, np.float32)
    product, reading = (min(timed(call) for _ in range(5)) for call in (lambda: a @ b.T, long.max))
    return 4000 * 4000 * 304 / product, long.nbytes / reading


def timed(call: Call) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def main() -> None:
    """Print the table."""
    blas, reading = rates()
    body: list[tuple[object, ...]] = []

    def row(name: str, times: list[float], floor: float, peers: str = "") -> None:
        now, before = times[:2]
        cells = f"{before * 1e3:.3g}", f"{now * 1e3:.3g}", f"{before / now:.2f}×", f"{floor * 1e3:.3g}"
        body.append((name, *cells, f"{now / floor:.1f}×", peers))
        print(*body[-1], flush=True)

    def many(name: str, model: Any, known: sparse.csr_matrix, test: sparse.csr_matrix, rounds: int) -> None:
        (users, items), k = known.shape, model.decoder_.shape[1]
        kinds: list[tuple[int, str, Call]] = [
            (LISTED, f"top {LISTED} for all users", lambda: model.recommend(known, N=LISTED)),
            (50, "`evaluate`, lists of 50 and more", lambda: far.evaluate(model, known, test)),
        ]
        for n_top, label, call in kinds:
            call()
            reach, kept = shares(model, known, n_top)
            print(f"{name}, {n_top}: norms reach {reach:.1%}, bounds {kept:.2%}", flush=True)
            row(f"{name}, {label}", in_turn([call, call], rounds), users * items * k * (reach / 4 + kept) / blas)

    data = movielens()
    many(data.name, far.NCEAutoRec().fit(data.known), data.known, data.test, 9)
    name, known, test = gowalla()
    model = far.NCEAutoRec().fit(known)
    many(name, model, known, test, 3)
    print("implicit, same factors, s", implicit_lists(model, known), flush=True)

    model = far.NCEPLRec().fit(data.known)
    calls: list[Call] = [
        *[lambda: far.evaluate(model, data.known, data.test, k=K, definition="paper")] * 2,
        lambda: evaluate_by_numpy(model, data.known, data.test, {}),
    ]
    times, work = in_turn(calls, 5), data.known.shape[0] * data.known.shape[1] * 100
    row(f"{data.name}, `evaluate`, 100 factors", times, work / blas, f"NumPy {times[2] / times[0]:.1f}×")

    both = far.datasets.synthetic(NEWCOMERS[0] + 300, *NEWCOMERS[1:], random_state=0)
    model = far.NCEAutoRec(factors=200).fit(both[: NEWCOMERS[0]])
    one_user("one new user, 50,000 items, 200 factors", model, both[NEWCOMERS[0] :], reading, row)
    rng = np.random.default_rng(0)
    for weights in "encoder_", "decoder_":
        setattr(model, weights, rng.standard_normal(getattr(model, weights).shape, np.float32))
    one_user("the same, vectors at random", model, both[NEWCOMERS[0] :], reading, row)
    print(table(("", "all scores, ms", "from the bound, ms", "", "floor, ms", "over it", "peers"), body))


def one_user(name: str, model: Any, histories: sparse.csr_matrix, reading: float, row: Callable[..., None]) -> None:
    requests = [histories[u] for u in range(histories.shape[0])]
    ranker, turns = model.ranker(N=LISTED), [iter(requests * 2) for _ in range(5)]
    for history in requests[:ANSWERED]:
        model.recommend(history)
    decoder, als = model.decoder_, folded_in(model)

    def by_numpy() -> None:
        history = next(turns[2])
        root = len(history.indices) ** -0.5
        units = root * model.encoder_[history.indices].sum(axis=0)
        scores = decoder @ np.append(units, np.float32(root))
        scores[history.indices] = -np.inf
        best = np.argpartition(-scores, LISTED)[:LISTED]
        best[np.argsort(-scores[best], kind="stable")]

    calls: list[Call] = [
        lambda: model.recommend(next(turns[0]), N=LISTED),
        lambda: model.recommend(next(turns[1]), N=LISTED),
        by_numpy,
        lambda: als.recommend(0, next(turns[3]), N=LISTED, recalculate_user=True),
        lambda: ranker.recommend(next(turns[4]).indices),
    ]
    times = in_turn(calls, len(requests))
    now = times[0]
    reach, kept = shares(model, histories, LISTED)
    print(f"{name}: norms reach {reach:.1%}, bounds {kept:.3%}; Ranker {times[4] * 1e3:.3g} ms", flush=True)
    peers = f"NumPy {times[2] / now:.1f}×, implicit {times[3] / now:.1f}×"
    row(name, times, decoder.size * (max(reach, 1 / 16) + 4 * kept) / reading, peers)


def folded_in(model: Any) -> Any:
    """Return ALS of implicit, which folds users into item factors of the same size; untrained ones cost the same."""
    from implicit.als import AlternatingLeastSquares  # noqa: PLC0415

    factors, rng = model.encoder_.shape[1], np.random.default_rng(0)
    with threadpool_limits(1, "blas"):
        als = AlternatingLeastSquares(factors=factors, num_threads=1)
    als.item_factors = rng.standard_normal((model.n_items_, factors), dtype=np.float32) / factors
    return als


def implicit_lists(model: Any, known: sparse.csr_matrix) -> float:
    from implicit.als import AlternatingLeastSquares  # noqa: PLC0415

    with threadpool_limits(1, "blas"):
        als = AlternatingLeastSquares(factors=model.decoder_.shape[1], num_threads=THREADS)
        hidden = model._list_scorer().prepare(model._backend(), model._check_history(known))
        als.user_factors, als.item_factors = hidden, np.ascontiguousarray(model.decoder_)
        return timed(lambda: als.recommend(np.arange(known.shape[0]), known, N=LISTED))


if __name__ == "__main__":
    main()
