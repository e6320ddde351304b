"""Accuracy of the trained models on three data sets: the family of the paper in every mode, validated and tested.

    python -m benchmarks.accuracy_trained               a quarter of an hour; rewrites docs/benchmarks/trained.md
    python -m benchmarks.accuracy_trained --set NAME    one data set, nothing written

Each system has settings found by searches on validation data: those of the shipped experiments, and for the Debian
packages those of trained_settings.json. Validation data also stop its training; then it is trained on training and
validation data for as many epochs, and tested. Data sets and their splits for tuning as in accuracy.py.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from scipy import sparse

import fastautorec as far
from benchmarks._common import DOCS, SHARED
from benchmarks._format import replace, table
from benchmarks.accuracy import SETS, TUNING_RATIOS, ndcg
from fastautorec.evaluation import Report
from fastautorec.experiments._reading import read_experiment

PAGE = DOCS / "trained.md"
SETTINGS = Path(__file__).with_name("trained_settings.json")  # of the Debian packages, by system: class, parameters
EXPERIMENTS = {"MovieLens-1M": "ml1m", "Goodbooks sample": "goodbooks-sample"}
MARKERS = "<!-- begin: written by accuracy_trained.py -->", "<!-- end: written by accuracy_trained.py -->"
REFERENCES = ("AutoRec", "OHNS-AutoRec")  # that the others are compared with
TRAINING = {"epochs": 80, "patience": 3}

Row = tuple[str, far.models.Recommender, float, Report, float]


def main() -> None:
    """Measure and rewrite the block of the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", choices=SETS, help="only this data set; nothing written")
    only = parser.parse_args().set
    blocks = []
    for name, load in SETS.items():
        if (only is None or name == only) and (name == "Debian packages" or SHARED.exists()):
            print(name, flush=True)
            blocks.append(f"## {name}: trained models\n\n{measure(name, *load(TUNING_RATIOS))}")
    if only is None:
        replace(PAGE, "\n\n".join(blocks), MARKERS)


def settings(name: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return class and parameters of each system on a data set, without those that all have."""
    debian = json.loads(SETTINGS.read_text())
    if name not in EXPERIMENTS:
        return debian
    found = {}
    for entry in read_experiment(EXPERIMENTS[name]).models:
        if entry.name in debian:
            own = {key: value for key, value in entry.params.items() if TRAINING.get(key) != value}
            found[entry.name] = entry.cls, own
    return found


def measure(name: str, train: sparse.csr_matrix, validation: sparse.csr_matrix, test: sparse.csr_matrix) -> str:
    """Return the table of one data set."""
    rows = []
    for system, (model_class, params) in settings(name).items():
        rows.append(row(system, getattr(far, model_class)(**{**TRAINING, **params}), train, validation, test))
        label, model, value, report, _ = rows[-1]
        print(f"  {label}: validation {value:.4f}, test {report['NDCG'].mean:.4f}  {model}", flush=True)
    reports = {system: report for system, _, _, report, _ in rows}
    body = [cells(row, reports) for row in rows]
    head = [
        "", "validation NDCG", "test NDCG", "test R-Precision", *(f"NDCG − {name}, paired 95 %" for name in REFERENCES),
        "popularity", "epochs", "fit, s",
    ]  # fmt: skip
    chosen = "\n".join(f"- {system}: `{model}`" for system, model, *_ in rows)
    return f"{table(head, body)}\nChosen on validation data:\n\n{chosen}\n"


def row(
    system: str,
    model: far.models.Recommender,
    train: sparse.csr_matrix,
    validation: sparse.csr_matrix,
    test: sparse.csr_matrix,
) -> Row:
    """Fit with early stopping, fit again on all data for as long, and test."""
    model.fit(train, validation=validation)
    value = ndcg(model, train, validation)
    seen = (train + validation).tocsr()
    again = model.set_params(epochs=[int(epochs) for epochs in model.best_epochs_])
    if again.regularization_ is not None:
        again.set_params(regularization=again.regularization_)
    if again.init == "random" and not any(again.epochs):
        raise SystemExit(f"{system} did not get better than its random start: {model}")
    started = time.perf_counter()
    again.fit(seen)
    seconds = time.perf_counter() - started
    return system, again, value, far.evaluate(again, seen, test, k=(10, 50), definition="paper"), seconds


def cells(row: Row, reports: dict[str, Report]) -> list[str]:
    """Return the cells of one system."""
    system, model, value, report, seconds = row
    figures = (f"{report[name].mean:.4f} ± {report[name].half_width:.4f}" for name in ("NDCG", "R-Precision"))
    epochs = " + ".join(str(number) for number in model.best_epochs_)
    versus = (difference(report, reports[name]) if name != system else "" for name in REFERENCES)
    return [system, f"{value:.4f}", *figures, *versus, f"{report.popularity.mean:.0f}", epochs, f"{seconds:.1f}"]


def difference(report: Report, other: Report) -> str:
    """Return the paired difference of NDCG with its interval."""
    d = far.compare(report, other)["NDCG"]
    return f"{d.difference:+.4f} [{d.low:+.4f}, {d.high:+.4f}]"


if __name__ == "__main__":
    main()
