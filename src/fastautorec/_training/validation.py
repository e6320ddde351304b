"""Validation: a metric of a model in the making, on interactions that were held out."""

from __future__ import annotations

import copy
from typing import Any

from fastautorec._training.run import FitRun
from fastautorec.evaluation import evaluate

SELECTION_LENGTH = 50  # of the lists whose NDCG or R-Precision chooses


def validation_metric(model: Any, fitted: dict[str, Any], run: FitRun, metric: str = "NDCG") -> float:
    """Return a metric ("standard" definition) that a model with these attributes has on the validation data."""
    assert run.validation is not None
    candidate = copy.copy(model)
    candidate.__dict__.update(fitted, n_items_=run.train.n_cols, item_ids_=None)
    return held_out_metric(candidate, run.known.to_host(), run.validation, metric)


def held_out_metric(model: Any, train: Any, held_out: Any, metric: str) -> float:
    """Return a metric ("standard" definition) of a fitted model; lists of 50 where its name has no length."""
    family, at, cutoff = metric.partition("@")
    length = min(int(cutoff) if cutoff else SELECTION_LENGTH, model.n_items_)
    report = evaluate(model, train, held_out, k=(length,))
    return float(report.metric(f"{family}@{length}" if at else metric).mean)
