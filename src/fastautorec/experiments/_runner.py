"""Running an experiment: what is finished is taken from the store, what fails is noted, the rest goes on."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fastautorec._checks import metric_names
from fastautorec.evaluation._report import Report
from fastautorec.experiments import _trials as trials
from fastautorec.experiments._config import Dataset, Entry, Experiment
from fastautorec.experiments._schema import nearest
from fastautorec.experiments._sources import Parts, check_files, load
from fastautorec.experiments._store import Store, Stored, key_of
from fastautorec.experiments._zoo import find_class, takes_seed

Say = Callable[[str], None]


@dataclass(frozen=True)
class Failure:
    """A run that raised an error."""

    dataset: str
    model: str
    seed: int
    error: str
    trace: str


@dataclass(frozen=True, eq=False)
class Row:
    """The finished runs of a model on a data set, by seed, and its report."""

    entry: Entry
    runs: dict[int, Stored]
    report: Report


@dataclass(frozen=True, eq=False)
class Sweep:
    """What values of a parameter do to a model, on validation data."""

    model: str
    parameter: str
    reports: dict[Any, Report]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came out on one data set."""

    dataset: Dataset
    parts: Parts
    rows: tuple[Row, ...]
    sweeps: tuple[Sweep, ...] = ()

    @property
    def k(self) -> tuple[int, ...]:
        """The lengths of the lists; none where no run has finished."""
        return self.rows[0].report.k if self.rows else ()

    @property
    def reports(self) -> dict[str, Report]:
        """The reports by the name of the model."""
        return {row.entry.name: row.report for row in self.rows}


@dataclass
class Results:
    """What came out of an experiment."""

    experiment: Experiment
    outcomes: list[Outcome] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


def run_experiment(
    experiment: Experiment,
    store: Store,
    folder: Path,
    *,
    only: Collection[str] = (),
    sample_users: int | None = None,
    say: Say,
) -> Results:
    """Run what is not finished yet.

    Parameters
    ----------
    experiment : Experiment
    store : Store
        A store that was entered.
    folder : Path
        The folder of the data.
    only : collection of str
        Names of the models to run (all, if empty).
    sample_users : int, optional
        Draw so many users of each data set.
    say : callable
        Is told about the progress, in lines.

    Returns
    -------
    Results

    Raises
    ------
    FileNotFoundError, ValueError
        For data that are not there or not as expected, before anything is run.
    """
    for dataset in experiment.datasets:
        check_files(dataset, folder)
    results = Results(experiment)
    for dataset in experiment.datasets:
        parts = load(dataset, folder, sample_users)
        m, n = parts.train.shape
        counts = " / ".join(f"{part.nnz:,}" for part in (parts.train, parts.validation, parts.test))
        say(f"{dataset.name}: {m:,} users, {n:,} items, {counts} interactions to train / validate / test")
        entries = [entry for entry in experiment.entries(dataset.name) if not only or entry.name in only]
        k = _lengths(experiment, dataset, n)
        work = _Work(results, store, dataset, k, say)
        found = [(entry, work.row(entry, parts, f"{i}/{len(entries)}")) for i, entry in enumerate(entries, 1)]
        sweeps = [sweep for entry, _ in found for sweep in work.sweeps(entry, parts.for_choosing())]
        rows = [row for _, row in found if row is not None]
        results.outcomes.append(Outcome(dataset, parts, tuple(rows), tuple(sweeps)))
    return results


def seeds_of(entry: Entry) -> tuple[int, ...]:
    """Return the seeds of a model: one where it draws no random numbers."""
    try:
        return entry.seeds if takes_seed(find_class(entry.cls)) else entry.seeds[:1]
    except ImportError:
        return entry.seeds[:1]  # it fails, which is told once


def _lengths(experiment: Experiment, dataset: Dataset, n_items: int) -> tuple[int, ...]:
    """Return the lengths of the lists on a data set, or raise if it has too few items for those that are asked for."""
    k = experiment.lengths(n_items)
    if k[-1] > n_items:
        raise ValueError(
            f"{dataset.name}: `k` of [evaluation] asks for lists of {k[-1]}, but it has {n_items:,} items; give "
            "shorter ones, or leave `k` out"
        )
    known = metric_names(k, experiment.definition)
    for metric in experiment.columns(k):
        if metric not in known:
            raise ValueError(
                f"{dataset.name}: `metrics` of [evaluation] asks for {metric}, but it has {n_items:,} items; "
                f"{nearest(metric, known)}"
            )
    return k


class _Work:
    """The runs of one data set."""

    def __init__(self, results: Results, store: Store, dataset: Dataset, k: tuple[int, ...], say: Say) -> None:
        self._results, self._store, self._dataset, self._k, self._say = results, store, dataset, k, say

    def row(self, entry: Entry, parts: Parts, place: str) -> Row | None:
        """Return what a model did, or None if all of its runs have failed."""
        definition = self._results.experiment.definition
        runs = dict(self._runs(entry, parts, place))
        return Row(entry, runs, trials.report_of(runs, parts, self._k, definition)) if runs else None

    def sweeps(self, entry: Entry, parts: Parts) -> Iterator[Sweep]:
        """Yield what the values of the parameters do that the entry names; no test data are looked at."""
        for parameter, values in entry.sweep.items():
            reports = {}
            for value in values:
                one = replace(
                    entry,
                    name=f"{entry.name}, {parameter}={value}",
                    params={**entry.params, parameter: value},
                    fit="all" if entry.fit == "all" else "stop",
                    seeds=entry.seeds[:1],
                    tune=None,
                )
                row = self.row(one, parts, "sweep:")
                if row is not None:
                    reports[value] = row.report
            if reports:
                yield Sweep(entry.name, parameter, reports)

    def _runs(self, entry: Entry, parts: Parts, place: str) -> Iterator[tuple[int, Stored]]:
        """Yield the finished runs of a model by seed."""
        k, definition = self._k, self._results.experiment.definition
        for seed in seeds_of(entry):
            key = key_of(
                data=parts.fingerprint,
                model=entry.cls,
                params=dict(entry.params),
                paper=entry.paper,
                fit=entry.fit,
                tune=None if entry.tune is None else vars(entry.tune),
                seed=seed,
                k=k,
                definition=definition,
            )
            label = f"  {place} {entry.name}, seed {seed}"
            stored = self._store.load(key)
            if stored is not None:
                self._say(f"{label}: finished before")
                yield seed, stored
                continue
            self._say(f"{label} ...")
            started = time.perf_counter()
            try:
                stored = trials.run(entry, seed, parts, k, definition, self._store.checkpoint(key))
            except Exception as error:  # whatever a model raises, the others go on
                message = " ".join(f"{type(error).__name__}: {error}".split())
                failure = Failure(self._dataset.name, entry.name, seed, message, traceback.format_exc())
                self._results.failures.append(failure)
                self._say(f"{label}: FAILED, {message}")
                continue
            yield seed, self._store.save(key, stored)
            self._say(f"{label}: NDCG {_mean(stored):.4f}, {time.perf_counter() - started:.1f} s")


def _mean(stored: Stored) -> float:
    return float(stored.arrays["metrics"][:, stored.values["names"].index("NDCG")].mean())
