"""How far each operation is from what the machine allows: time over the least that its bytes and arithmetic need."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks._results import Result, Results

FAR = 2  # times its floor, from which on an operation has to be explained
WHOLE = {"fit": "NCEAutoRec()", "epoch": "fastautorec"}  # tables of whole fits and epochs, and which column is ours
NEEDS = {"memory": "traffic", "cache": "gathered", "arithmetic": "flop"}  # what the machine does, what is noted


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
