"""Targets against the results of one run, and floors: what the machine needs at least for the bytes and arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks._format import duration, times, verdict
from benchmarks._results import Result, Results
from fastautorec._training.subspace import OVERSAMPLING, PASSES

FAR = 2  # times its floor, from which on an operation has to be explained
FLOAT = 4  # bytes
WHOLE = {"fit": "NCEAutoRec()", "epoch": "fastautorec"}  # tables of whole fits and epochs, and which column is ours
NEEDS = {"memory": "traffic", "cache": "gathered", "arithmetic": "flop"}  # what the machine does, what is noted

Figure = Callable[[Results], float | None]  # None where it was not measured


@dataclass(frozen=True)
class Target:
    """A figure and its limit.

    Attributes
    ----------
    what : str
    figure : callable
    limit : float
    show : callable
        Figure as text.
    at_most : bool
        Whether the limit is an upper one.
    """

    what: str
    figure: Figure
    limit: float
    show: Callable[[float], str] = times
    at_most: bool = False

    def cells(self, results: Results) -> tuple[str, str, str, str]:
        """Return what, figure, limit and verdict."""
        found = self.figure(results)
        limit = f"{'≤' if self.at_most else '≥'} {self.show(self.limit)}"
        if found is None:
            return self.what, "–", limit, "not measured"
        return self.what, self.show(found), limit, verdict(found <= self.limit if self.at_most else found >= self.limit)


@dataclass(frozen=True)
class Against:
    """Ours and the peers whose names begin so, in the row of a table whose name holds ``row``."""

    table: str
    row: str
    ours: str
    peer: str

    def found(self, results: Results) -> tuple[Result, list[Result]] | None:
        for name in results.rows(self.table):
            group = results.group(self.table, name)
            peers = [result for column, result in group.items() if column.startswith(self.peer)]
            if self.row in name and self.ours in group and peers:
                return group[self.ours], peers
        return None


class Faster(Against):
    """How many times faster ours is than the fastest of the peers."""

    def __call__(self, results: Results) -> float | None:
        found = self.found(results)
        return None if found is None else min(peer.over(found[0]) for peer in found[1])


@dataclass(frozen=True)
class Better(Against):
    """By how much a metric of ours is higher than that of the best of the peers."""

    metric: str = "ndcg"

    def __call__(self, results: Results) -> float | None:
        found = self.found(results)
        if found is None or not all(self.metric in result.info for result in (found[0], *found[1])):
            return None
        return float(found[0].info[self.metric] - max(peer.info[self.metric] for peer in found[1]))


def of_one(table: str, row: str, column: str, value: Callable[[Result], float]) -> Figure:
    """Return a value of the result in the row that begins so."""

    def figure(results: Results) -> float | None:
        found = (results.get(table, name, column) for name in results.rows(table) if name.startswith(row))
        return next((value(result) for result in found if result is not None), None)

    return figure


def quality(results: Results) -> float | None:
    """Return how much sooner the closed form is as good as NCE-AutoRec in PyTorch ever is, in its worse mode."""
    ours = results.get("quality", "NCE-AutoRec, closed form", "NCEAutoRec()")
    peers = (results.get("quality", row, "PyTorch, as the paper trains") for row in results.rows("quality"))
    curves = [peer.info["points"] for peer in peers if peer is not None and peer.key[1].startswith("NCE")]
    if ours is None or not curves:
        return None
    ratios = []
    for points in curves:
        seconds, best = max(points, key=lambda point: (point[1], -point[0]))
        reached = [at for at, value in ours.info["points"] if value >= best]
        ratios.append(seconds / reached[0] if reached else 0.0)
    return min(ratios)


def exponent(sizes: list[float], seconds: list[float]) -> float:
    """Return p of seconds ~ sizeᵖ, by least squares of the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def growth(results: Results) -> float | None:
    """Return the exponent of the closed form over the interactions of the paper's shapes."""
    found = [results.get("shapes", row, CLOSED_FORM) for row in results.rows("shapes")]
    shapes = [result for result in found if result is not None]
    if len(shapes) < 2:
        return None
    return exponent([result.info["shape"][2] for result in shapes], [result.median for result in shapes])


def _difference(value: float) -> str:
    return f"{value:+.4f}"


def _plain(value: float) -> str:
    return f"{value:.2f}"


def _gigabytes(value: float) -> str:
    return f"{value / 1e9:.2g} GB"


def _peak(result: Result) -> float:
    return float(result.info["peak"])


CLOSED_FORM = "NCEAutoRec(), closed form"
FIT, EPOCH = "NCEAutoRec()", "fastautorec"
NUMPY, PYTHON, PYTORCH = "NumPy/SciPy", "plain Python", "PyTorch"
ALS = "implicit ALS, {} factors"

TARGETS = [
    Target("default fit, ML-1M: against implicit ALS-64", Faster("fit", "ML-1M", FIT, ALS.format(64)), 5),
    Target("default fit, ML-1M: against implicit ALS-200", Faster("fit", "ML-1M", FIT, ALS.format(200)), 50),
    Target("default fit, ML-1M: against EASE by NumPy", Faster("fit", "ML-1M", FIT, "EASE by NumPy"), 10),
    *(
        Target(f"its test NDCG less that of {name}", Better("fit", "ML-1M", FIT, peer), 0, _difference)
        for name, peer in (
            ("implicit ALS-64", ALS.format(64)), ("implicit ALS-200", ALS.format(200)), ("EASE", "EASE"),
        )
    ),
    Target("default fit, Gowalla: against implicit ALS-64", Faster("fit", "Gowalla", FIT, ALS.format(64)), 2),
    Target(
        "its test Recall@20 less that of implicit ALS-64", Better("fit", "Gowalla", FIT, ALS.format(64), "recall"), 0,
        _difference,
    ),
    *(
        Target(
            f"joint epoch, batch {batch}: against dense PyTorch, its fastest version",
            Faster("epoch", f"NCEAutoRec, joint, batch {batch}", EPOCH, PYTORCH), factor,
        )
        for batch, factor in ((100, 10), (500, 15), (1024, 20))
    ),
    Target("time to the best validation NDCG of NCE-AutoRec in PyTorch", quality, 100),
    Target("evaluation: against NumPy", Faster("evaluate", "100 factors", "evaluate", "NumPy"), 8),
    *(
        Target(
            f"one new user, {name} of recommend",
            of_one("latency", "top", "recommend", lambda result, share=share: result.quantile(share)), limit, duration,
            at_most=True,
        )
        for name, share, limit in (("p50", 0.5, 1e-3), ("p99", 0.99, 3e-3))
    ),
    *(
        Target(f"lists for all users, {data}: against implicit", Faster("recommend", data, "recommend", "implicit"), 2)
        for data in ("ML-1M", "Gowalla")
    ),
    Target("exponent of fit time over interactions, Goodbooks to Yahoo", growth, 1.05, _plain, at_most=True),
    *(
        Target(f"peak memory, {row}, {column}", of_one("shapes", row, column, _peak), limit, _gigabytes, at_most=True)
        for row, column, limit in (
            ("ml-20m", CLOSED_FORM, 1.5e9),
            ("yahoo", CLOSED_FORM, 4e9),
            ("ml-20m, all interactions", "NCEAutoRec, one epoch", 2e9),
            ("ml-20m, all interactions", "NSAutoRec, one epoch", 2e9),
        )
    ),
    Target("negatives: against NumPy multinomial", Faster("sampling", "", "C++", "NumPy"), 30),
    Target("negatives: against plain Python", Faster("sampling", "", "C++", PYTHON), 200),
    *(
        Target(f"`{name}`: against {peer}", Faster("ops", name, "C++", peer), factor)
        for name in ("nce_transform", "encode", "encode_backward", "top_items")
        for peer, factor in ((NUMPY, 3), (PYTHON, 100))
    ),
]  # fmt: skip


# --- floors -----------------------------------------------------------------------------------------------------------


def closed_form(m: int, n: int, nnz: int, k: int) -> dict[str, int]:
    """Return the needs of ``NCEAutoRec(k)``: the passes of the subspace iteration, then the ridge head."""
    width = k + OVERSAMPLING
    embedding = PASSES * 2 * n * width**2  # half a symmetric product and one with a triangle, after each pass
    head = m * k**2 + n * k**2 + 2 * n * k**2
    rows = PASSES * 2 * nnz * width + 2 * nnz * k
    return {"flop": embedding + head, "gathered": FLOAT * rows}


def joint_epoch(m: int, n: int, nnz: int, k: int, batch: int, heads: int) -> dict[str, int]:
    """Return the needs of an epoch of Adam with ``heads`` heads of squared error, each the cheaper way."""
    steps = -(-m // batch)
    tiles = 6 * n * batch * k
    gram = n * k**2 + batch * k**2 + 2 * n * k**2 + 2 * batch * k**2
    by_gram = gram < tiles
    rows = nnz * k * (2 + (2 * heads if by_gram else 0))  # encoder to and fro, at each head T D and T^T H
    weights_and_moments = 6 * n * k * (1 + heads) * steps  # read and written
    return {"flop": steps * heads * min(gram, tiles), "gathered": FLOAT * (rows + weights_and_moments)}


@dataclass(frozen=True)
class Roof:
    """An operation and its floor.

    Attributes
    ----------
    name : str
    seconds : float
        Median.
    parts : dict of str to float
        Least seconds for memory, cache and arithmetic; the floor is the largest.
    why : str
        Where the time goes.
    """

    name: str
    seconds: float
    parts: dict[str, float]
    why: str

    @property
    def bound(self) -> str:
        return max(self.parts, key=self.parts.__getitem__)

    @property
    def floor(self) -> float:
        return self.parts[self.bound]

    @property
    def over(self) -> float:
        return self.seconds / self.floor


@dataclass(frozen=True)
class Whole:
    """A whole fit or epoch, whose steps follow each other: its floor is the sum of theirs.

    Attributes
    ----------
    result : Result
    cache, arithmetic : float
        Least seconds.
    """

    result: Result
    cache: float
    arithmetic: float

    @property
    def floor(self) -> float:
        return self.cache + self.arithmetic


def rates(results: Results) -> dict[str, float]:
    """Return bytes or operations per second of memory, cache and arithmetic, as measured; {} if one is missing."""
    found = {row: next(iter(results.group("machine", row).values())) for row in results.rows("machine")}
    if found.keys() != NEEDS.keys():
        return {}
    return {row: (result.info.get("bytes") or result.info["flop"]) / result.median for row, result in found.items()}


def roofs(results: Results) -> list[Roof]:
    """Return every operation on checked input, all threads, the furthest from its floor first."""
    best, found = rates(results), []
    for row in results.rows("kernels"):
        ours = results.get("kernels", row, "C++")
        if ours is not None and best:
            parts = {what: ours.info[need] / best[what] for what, need in NEEDS.items()}
            found.append(Roof(row, ours.median, parts, ours.info["why"]))
    return sorted(found, key=lambda roof: -roof.over)


def wholes(results: Results) -> list[Whole]:
    """Return every whole fit and epoch whose needs were noted."""
    best = rates(results)
    ours = (results.get(table, row, column) for table, column in WHOLE.items() for row in results.rows(table))
    noted = [result for result in ours if result is not None and "flop" in result.info]
    return [
        Whole(result, *(result.info[NEEDS[what]] / best[what] for what in ("cache", "arithmetic")))
        for result in (noted if best else [])
    ]
