"""The file of results, as pytest-benchmark writes it, and how its times are read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

Key = tuple[str, str, str]  # table, row, column


@dataclass(frozen=True)
class Result:
    """One benchmark.

    Attributes
    ----------
    key : (table, row, column)
    times : tuple of float
        Seconds of each round, scaled to all of the work where only a share of it was done.
    info : dict
        What the benchmark noted.
    """

    key: Key
    times: tuple[float, ...]
    info: dict[str, Any]

    @cached_property
    def median(self) -> float:
        return self.quantile(0.5)

    @cached_property
    def least(self) -> float:
        return min(self.times)

    def over(self, ours: Result) -> float:
        """Return how many times as long as ours this takes, by ours in turn with it where that was timed."""
        return self.median / (self.beside or ours.median)

    @property
    def beside(self) -> float | None:
        """Median of what ours took in turn with this."""
        return float(np.median(self.info["beside"])) if "beside" in self.info else None

    def quantile(self, share: float) -> float:
        return float(np.quantile(self.times, share))


class Results:
    """All benchmarks of a run, and the machine.

    Parameters
    ----------
    raw : dict
        What pytest-benchmark stored.
    """

    def __init__(self, raw: dict[str, Any]) -> None:
        self.taken: str = raw["datetime"][:10]
        self.machine: dict[str, Any] = raw["machine_info"]["report"]
        self.durations: dict[str, float] = raw["durations"]
        self.left_out: dict[str, list[str]] = raw["left_out"]
        self._all = {result.key: result for result in map(_result, raw["benchmarks"])}

    @classmethod
    def read(cls, file: Path) -> Results:
        return cls(json.loads(file.read_text(encoding="utf-8")))

    def __iter__(self) -> Iterator[Result]:
        return iter(self._all.values())

    def __len__(self) -> int:
        return len(self._all)

    def get(self, table: str, row: str, column: str) -> Result | None:
        return self._all.get((table, row, column))

    def group(self, table: str, row: str) -> dict[str, Result]:
        """Return the results of a row by column."""
        return {result.key[2]: result for result in self if result.key[:2] == (table, row)}

    def rows(self, table: str) -> list[str]:
        return list(dict.fromkeys(result.key[1] for result in self if result.key[0] == table))


def _result(raw: dict[str, Any]) -> Result:
    info = dict(raw["extra_info"])
    key = info.pop("table"), info.pop("row"), info.pop("column")
    share = info.pop("share", 1)
    return Result(key, tuple(seconds / share for seconds in info.pop("times", None) or raw["stats"]["data"]), info)
