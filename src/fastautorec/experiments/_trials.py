"""One run: a model with one seed on one data set, fitted as its entry says and evaluated."""

from __future__ import annotations

import inspect
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fastautorec.evaluation import evaluate
from fastautorec.evaluation._ranks import Ranks
from fastautorec.evaluation._report import Report
from fastautorec.exceptions import ModelFileError
from fastautorec.experiments._config import Entry, Tuning
from fastautorec.experiments._sources import Parts
from fastautorec.experiments._store import Arrays, Stored
from fastautorec.experiments._zoo import make_model
from fastautorec.models import Recommender
from fastautorec.tuning._tune import tune


def run(entry: Entry, seed: int, parts: Parts, k: tuple[int, ...], definition: str, checkpoint: Path) -> Stored:
    """Fit and evaluate a model.

    Parameters
    ----------
    entry : Entry
    seed : int
        Seed of a model that draws random numbers.
    parts : Parts
    k, definition
        Options of the evaluation, on the test part, with train and validation data as history.
    checkpoint : Path
        Where a model that can go on after an interruption keeps its state; the file is gone afterwards.

    Returns
    -------
    Stored
        What `report_of` and the tables need.
    """
    model = make_model(entry.cls, entry.params, entry.paper, seed)
    chosen_in, metric, history = 0.0, None, None
    seen = parts.seen
    started = time.perf_counter()
    if entry.tune is not None:
        model = _tuned(model, entry.tune, seed, parts)
        history = model.history_
    elif entry.fit != "all":
        _fit(model, parts.train, parts.validation, checkpoint)
        history = model.history_
    if history is not None:
        metric = max((record["metric"] for record in history if "metric" in record), default=None)
    if entry.fit == "refit":
        _settle(model)
        chosen_in = time.perf_counter() - started
        started = time.perf_counter()
    if entry.fit != "stop":
        _fit(model, seen, None, checkpoint)
    fitted_in = time.perf_counter() - started
    checkpoint.unlink(missing_ok=True)
    started = time.perf_counter()
    report = evaluate(model, seen, parts.test, k, definition)
    values = {
        "names": list(report),
        "model": repr(model),
        "choose_seconds": chosen_in,
        "fit_seconds": fitted_in,
        "evaluate_seconds": time.perf_counter() - started,
        "validation_metric": metric,
        "history": model.history_ if history is None else history,
        "notes": list(report.notes),
        "n_without_train": report.n_without_train,
    }
    return Stored(values, _arrays(report))


def report_of(stored: Mapping[int, Stored], parts: Parts, k: tuple[int, ...], definition: str) -> Report:
    """Return the report of a model: per-user figures averaged over its seeds, lists of the first seed.

    Parameters
    ----------
    stored : dict of int to Stored
        By seed.
    parts, k, definition
        As for `run`.
    """
    first, *_ = stored.values()
    arrays, seen = first.arrays, parts.seen
    table = np.mean([one.arrays["metrics"] for one in stored.values()], axis=0)
    users = arrays["users"]
    lengths = np.diff(parts.test.indptr).astype(np.int64)[users]
    ranks = Ranks(
        np.concatenate(([0], np.cumsum(lengths))), parts.test[users].indices, arrays["ranks"], arrays["lengths"]
    )
    return Report(
        dict(zip(first.values["names"], np.ascontiguousarray(table.T), strict=True)),
        ranks,
        arrays["heads"],
        definition=definition,
        k=k,
        users=users,
        item_popularity=np.bincount(seen.indices, minlength=seen.shape[1]).astype(np.int64),
        history_lengths=np.diff(seen.indptr).astype(np.int64)[users],
        n_rows=seen.shape[0],
        n_without_train=first.values["n_without_train"],
    )


def _tuned(model: Recommender, tuning: Tuning, seed: int, parts: Parts) -> Recommender:
    """Return the best model of a search, fitted on train data."""
    space = None if tuning.space is None else dict(tuning.space)
    return tune(model, parts.train, parts.validation, space, tuning.trials, random_state=seed).best_model


def _fit(model: Any, train: Any, validation: Any, checkpoint: Path) -> None:
    """Fit, going on from the checkpoint of an interrupted run where the model can and the file belongs to it."""
    if "checkpoint" not in inspect.signature(model.fit).parameters:
        model.fit(train, validation=validation)
        return
    options: dict[str, Any] = {"checkpoint": checkpoint}
    if checkpoint.exists():
        try:
            model.fit(train, validation=validation, **options, resume=checkpoint)
        except ModelFileError:  # the file is of the other fit of this run, or was cut short
            checkpoint.unlink()
        else:
            return
    model.fit(train, validation=validation, **options)


def _settle(model: Recommender) -> None:
    """Set what the validation data have chosen, for a fit on all data for as long."""
    epochs = getattr(model, "best_epochs_", None)
    if epochs is not None:
        model.set_params(epochs=[int(number) for number in epochs])
        if not any(epochs) and getattr(model, "init", None) == "random":
            raise RuntimeError(f"training did not get better than its random start: {model!r}")
    penalty = getattr(model, "regularization_", None)
    if penalty is not None:
        model.set_params(regularization=penalty)


def _arrays(report: Report) -> Arrays:
    return {
        "metrics": np.stack([report[name].per_user for name in report], axis=1),
        "users": report.users,
        "ranks": report.ranks.ranks,
        "lengths": report.ranks.lengths,
        "heads": report.heads,
    }
