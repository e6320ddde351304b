"""Changes between two runs: python -m benchmarks.compare OLD.json NEW.json [--all].

A ratio above 1 means that the new run is slower (or needs more memory). The band is where the ratio may lie by what
each run's own rounds differ: lower quartile against upper quartile, or all of a few rounds, and never narrower than
two runs of one build differ. What lies on one side of 1 with its whole band has changed.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks._format import duration, table
from benchmarks._results import Key, Result, Results

QUARTILES_FROM = 5  # rounds; of fewer, the smallest and largest count
NOISE = 0.03  # relative, of a median at least
NOISE_OF_ONE = 0.1  # of what was timed once
PERCENTILES = {"latency": (0.5, 0.99)}  # by table; the others have their median

Spread = tuple[float, float, float]  # low, middle, high


@dataclass(frozen=True)
class Change:
    """A figure in two runs.

    Attributes
    ----------
    name : str
    old, new : (low, middle, high)
    unit : {"s", "B"}
    """

    name: str
    old: Spread
    new: Spread
    unit: str = "s"

    @property
    def ratio(self) -> float:
        return self.new[1] / self.old[1]

    @property
    def band(self) -> tuple[float, float]:
        return self.new[0] / self.old[2], self.new[2] / self.old[0]

    @property
    def verdict(self) -> str:
        low, high = self.band
        return "**worse**" if low > 1 else "better" if high < 1 else "same"

    def cells(self) -> tuple[str, ...]:
        middles = self.old[1], self.new[1]
        shown = (duration(middle) if self.unit == "s" else f"{middle / 1e6:,.0f} MB" for middle in middles)
        low, high = self.band
        return self.name, *shown, f"{self.ratio:.2f}", f"{low:.2f} – {high:.2f}", self.verdict


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.compare", description="What changed between two runs.")
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--all", action="store_true", help="show what stayed the same too")
    options = parser.parse_args()
    print(report(Results.read(options.old), Results.read(options.new), everything=options.all))


def report(old: Results, new: Results, *, everything: bool = False) -> str:
    """Return a table of what changed, worst first, and what is in one run only."""
    found = changes(old, new)
    shown = [change for change in found if everything or change.verdict != "same"]
    parts = []
    if old.machine["signature"] != new.machine["signature"]:
        parts.append("The machines differ (or their BLAS, or the sizes): ratios tell little.\n")
    if shown:
        parts.append(table(("", "old", "new", "new / old", "band", ""), [change.cells() for change in shown]))
    same = sum(change.verdict == "same" for change in found)
    parts.append(f"{len(found)} figures, {same} of them the same within noise.\n")
    keys = {"old": {result.key for result in old}, "new": {result.key for result in new}}
    for where, other in (("old", "new"), ("new", "old")):
        only = sorted(keys[where] - keys[other])
        if only:
            parts.append(f"Only in the {where} run: " + "; ".join(map(_name, only)) + ".\n")
    return "\n".join(parts)


def changes(old: Results, new: Results) -> list[Change]:
    """Return every figure that both runs have, the worst ratio first."""
    found = []
    for result in new:
        before = old.get(*result.key)
        if before is not None:
            found += _of_one(before, result)
    return sorted(found, key=lambda change: -change.ratio)


def _of_one(old: Result, new: Result) -> Iterator[Change]:
    name = _name(new.key)
    for share in PERCENTILES.get(new.key[0], (0.5,)):
        title = name if share == 0.5 else f"{name}, p{100 * share:g}"
        yield Change(title, spread(old, share), spread(new, share))
    if "peak" in old.info and "peak" in new.info:
        peaks = [(peak / (1 + NOISE), peak, peak * (1 + NOISE)) for peak in (old.info["peak"], new.info["peak"])]
        yield Change(f"{name}, peak memory", *peaks, unit="B")


def spread(result: Result, share: float = 0.5) -> Spread:
    """Return where a figure may lie, by the rounds of a run."""
    middle, rounds = result.quantile(share), len(result.times)
    noise = NOISE_OF_ONE if rounds == 1 else NOISE
    if share != 0.5:
        low, high = middle, middle
    elif rounds < QUARTILES_FROM:
        low, high = result.least, max(result.times)
    else:
        low, high = result.quantile(0.25), result.quantile(0.75)
    return min(low, middle / (1 + noise)), middle, max(high, middle * (1 + noise))


def _name(key: Key) -> str:
    return f"{key[0]}: {key[1]}, {key[2]}"


if __name__ == "__main__":
    main()
