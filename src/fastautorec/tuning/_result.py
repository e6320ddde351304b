"""The result of a search: the best model, a table of all trials, a picture."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

from fastautorec._compute.inputs import UserItems
from fastautorec._extras import require
from fastautorec._printed import Printed, Rows
from fastautorec._types import DataFrame, Figure
from fastautorec.models import Recommender
from fastautorec.tuning._space import chooses_itself

SHOWN = 10  # trials in the text
FIGURES = ("trial", "state", "metric", "epochs", "seconds", "error")  # every row has them beside its parameters


@dataclass(frozen=True)
class TuningResult(Printed):
    """What `tune` found; printing it gives a table of the best trials.

    Attributes
    ----------
    best_model : Recommender
        Fitted on the training data of the best trial, with validation data.
    best_params : dict
        Its parameters out of the search space; ``regularization`` as its fit chose it.
    best_metric : float
        Its validation metric.
    metric : str
        Name of that metric.
    trials : list of dict
        In the order of their start: trial, state ("complete", "pruned" or "failed"), metric (of a pruned trial the last
        one), epochs that were judged, seconds, error (the message of a failure or None), and the parameters.
    """

    best_model: Recommender
    best_params: dict[str, Any]
    best_metric: float
    metric: str
    trials: list[dict[str, Any]] = field(repr=False)

    @property
    def param_names(self) -> list[str]:
        """Names of the parameters that were searched."""
        return list(dict.fromkeys(name for row in self.trials for name in row if name not in FIGURES))

    def refit(self, user_items: UserItems, show_progress: bool = False) -> Recommender:
        """Return a new model with the best parameters, fitted on other data as long as the best model was.

        Parameters
        ----------
        user_items : Interactions or scipy sparse (m, n)
            As a rule, training and validation data together.
        show_progress : bool

        Returns
        -------
        Recommender
            The new model, fitted.
        """
        return as_chosen(self.best_model).fit(user_items, show_progress=show_progress)

    def to_frame(self) -> DataFrame:
        """Return a pandas DataFrame with one row for each trial.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        return require("pandas", "to_frame", instead="`trials`").DataFrame(self.trials).set_index("trial")

    def _parts(self) -> list[str | Rows]:
        names = self.param_names
        states = [row["state"] for row in self.trials]
        counts = ", ".join(f"{states.count(s)} {s}" for s in ("complete", "pruned", "failed") if s in states)
        complete = [row for row in self.trials if row["state"] == "complete"]
        best = sorted(complete, key=lambda row: (-row["metric"], row["trial"]))[:SHOWN]
        rows = [["trial", self.metric, *names, "epochs", "seconds"]]
        for row in best:
            values = [_text(row.get(name)) for name in names]
            rows.append(
                [str(row["trial"]), f"{row['metric']:.4f}", *values, str(row["epochs"]), f"{row['seconds']:.2f}"]
            )
        failed = [f"trial {row['trial']} failed: {row['error']}" for row in self.trials if row["state"] == "failed"]
        title = f"{type(self.best_model).__name__}: {len(states)} trials ({counts}), best {self.metric}"
        return [f"{title} {self.best_metric:.4f}", rows, *failed[:SHOWN]]

    def plot(self, path: str | PathLike[str] | None = None) -> Figure:
        """Draw how the search went, and the metric against each parameter.

        Parameters
        ----------
        path : path, optional
            Where to write the picture; the suffix tells the format.

        Returns
        -------
        matplotlib.figure.Figure
            The figure, which a notebook shows.

        Raises
        ------
        ImportError
            If matplotlib is not installed: ``pip install 'fastautorec[plot]'``.
        """
        require("matplotlib", "plot", "plot")
        from fastautorec.plots import _search as _tuning_plot  # noqa: PLC0415  needs matplotlib

        figure = _tuning_plot.draw(self.trials, self.param_names, self.metric, type(self.best_model).__name__)
        if path is not None:
            figure.savefig(path, dpi=150)
        return figure


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def as_chosen(model: Recommender) -> Recommender:
    """Return an unfitted model with the parameters that a fit with validation data has chosen, to fit to other data."""
    plain: Recommender = model.to_estimator() if chooses_itself(model) else model  # type: ignore[attr-defined]
    params = copy.deepcopy(plain.get_params())
    if isinstance(params.get("regularization"), (list, tuple)):
        params["regularization"] = plain.regularization_  # type: ignore[attr-defined]
    if isinstance(params.get("factors"), (list, tuple)):
        params["factors"] = int(plain.encoder_.shape[1])  # type: ignore[attr-defined]
    epochs = getattr(plain, "best_epochs_", None)
    if epochs is not None and params["epochs"] != 0:
        params["epochs"] = [int(number) for number in epochs]
    return type(plain)(**params)
