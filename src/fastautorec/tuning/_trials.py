"""Studies and trials of Optuna, and their figures as plain values."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from fastautorec._checks import kind


def check_study(study: Any, optuna: Any, others: dict[str, Any]) -> None:
    if not isinstance(study, optuna.study.Study):
        raise TypeError(f"`study` must be a study of Optuna, got {kind(study)}; optuna.create_study(...) makes one")
    given = [name for name, value in others.items() if value is not None]
    if given:
        raise ValueError(f"`{given[0]}` must be left out where `study` is given, which has its own")
    if study.directions != [optuna.study.StudyDirection.MAXIMIZE]:
        raise ValueError(
            "`study` must have one value and maximise it, got another; optuna.create_study(direction='maximize') does"
        )


def key_of(params: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(params.items()))


def params_of(trial: Any) -> dict[str, Any]:
    """Return the parameters of a trial, the penalty that its fit chose among them."""
    chosen = {name: value for name, value in trial.user_attrs.items() if name == "regularization"}
    return {**trial.params, **chosen}


def row_of(trial: Any) -> dict[str, Any]:
    states = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
    return {
        "trial": trial.number,
        "state": states[trial.state.name],
        "metric": trial.value,
        "epochs": len(trial.intermediate_values),
        "seconds": trial.duration.total_seconds(),
        **params_of(trial),
        "error": trial.user_attrs.get("error"),
    }


@contextlib.contextmanager
def quiet(optuna: Any) -> Iterator[None]:
    """Keep Optuna from logging what is no warning."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
