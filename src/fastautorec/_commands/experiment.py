"""What ``fastautorec experiment`` does: read the file, run what is not finished, write the report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from fastautorec._experiments import schema
from fastautorec._experiments.config import Experiment
from fastautorec._experiments.reading import read_experiment
from fastautorec._experiments.report import write_report
from fastautorec._experiments.runner import run_experiment
from fastautorec._experiments.sources import data_folder
from fastautorec._experiments.store import Store

FOLDER = "experiments"


def run(
    path: str,
    *,
    data: str | None = None,
    output: str | None = None,
    only: Sequence[str] = (),
    users: int | None = None,
    say: Callable[[str], None],
) -> int:
    """Run an experiment and return the exit status: 1 if a model has failed.

    Parameters
    ----------
    path : str
        An experiment file, or the name of a shipped one.
    data : str, optional
        Folder of the data; by default the one of the environment variable, or the current one.
    output : str, optional
        Folder of the results; by default ``experiments/NAME``.
    only : sequence of str
        Run these models only.
    users : int, optional
        Draw so many users of each data set.
    say : callable
        Is told about the progress.
    """
    experiment = read_experiment(path)
    _check_only(experiment, only)
    if users is not None and users < 1:
        raise ValueError(f"`--users` must be >= 1, got {users}")
    folder = Path(output) if output else Path(FOLDER) / experiment.name
    with Store(folder) as store:
        try:
            results = run_experiment(experiment, store, data_folder(data), only=only, sample_users=users, say=say)
        except KeyboardInterrupt:
            say("finished runs are kept; the same command goes on from here")
            raise
        report = write_report(results, folder)
    models = sum(len(outcome.rows) for outcome in results.outcomes)
    print(f"{report}: {models} models, {len(results.failures)} failed runs")
    return 1 if results.failures else 0


def _check_only(experiment: Experiment, only: Sequence[str]) -> None:
    names = tuple(entry.name for entry in experiment.models)
    for name in only:
        if name not in names:
            raise ValueError(f"the experiment has no model {name!r}; {schema.nearest(name, names)}")
