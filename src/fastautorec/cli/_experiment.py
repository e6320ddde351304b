"""The command ``fastautorec experiment``: read the file, run what is not finished, write the report."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from fastautorec.cli._streams import say
from fastautorec.experiments import _schema as schema
from fastautorec.experiments._config import Experiment
from fastautorec.experiments._names import folder_of
from fastautorec.experiments._reading import read_experiment
from fastautorec.experiments._report import write_report
from fastautorec.experiments._runner import run_experiment
from fastautorec.experiments._sources import ENVIRONMENT_VARIABLE, data_folder
from fastautorec.experiments._store import Store

FOLDER = "experiments"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("config", metavar="CONFIG", help="a TOML file, or a shipped experiment such as example")
    parser.add_argument("--data", metavar="DIR", help=f"folder of the data (default: {ENVIRONMENT_VARIABLE}, or here)")
    parser.add_argument("--output", metavar="DIR", help=f"of results and report (default: {FOLDER}/NAME)")
    parser.add_argument("--only", nargs="+", default=[], metavar="MODEL", help="run these models only")
    parser.add_argument("--users", type=int, metavar="N", help="draw N users of each data set, for a quick look")


def run(args: argparse.Namespace) -> int:
    """Run an experiment, and return the exit status: 1 if a model has failed."""
    experiment = read_experiment(args.config)
    _check_only(experiment, args.only)
    if args.users is not None and args.users < 1:
        raise ValueError(f"`--users` must be >= 1, got {args.users}")
    folder = Path(args.output) if args.output else Path(FOLDER) / folder_of(experiment.name)
    with Store(folder) as store:
        try:
            results = run_experiment(
                experiment, store, data_folder(args.data), only=args.only, sample_users=args.users, say=say
            )
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
