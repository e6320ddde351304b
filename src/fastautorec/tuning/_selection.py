"""The result of `select`: the best model, a table of all candidates, a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

from fastautorec._extras import require
from fastautorec._printed import Printed, Rows
from fastautorec._types import DataFrame, Figure
from fastautorec.evaluation import Report
from fastautorec.evaluation._tables import interval
from fastautorec.models import Recommender


@dataclass(frozen=True)
class Selection(Printed):
    """What `select` found; printing it says what came out and gives a table of the candidates.

    Attributes
    ----------
    best : str
        Name of the candidate with the best metric, the first of equal ones; of close candidates by further parts.
    best_model : Recommender
        The model that it chose, fitted to all of the data.
    metric : str
    rows : list of dict
        One for each candidate, the best first and those that were left out last, with "model" (its name), "state"
        ("fitted" or "left out"), "metric", "half_width" (of its 95 % interval), "difference" (its metric minus that of
        the best), "low" and "high" (the paired 95 % interval of the difference), "settings" (how many were tried),
        "seconds" (search and fits on the part that is known), "bytes" (predicted peak of a fit), "params" (what was
        searched and chosen), "further_metric" (of close candidates: the metric by the further parts, on which their
        differences are then measured; else None) and "error" (why it was left out, or None).
    models : dict of str to Recommender
        The candidates that were fitted, with the parameters that they chose; unfitted.
    reports : dict of str to Report
        Of the same, on the users who compare. `compare` takes two of them.
    """

    best: str
    best_model: Recommender
    metric: str
    rows: list[dict[str, Any]] = field(repr=False)
    models: Mapping[str, Recommender] = field(repr=False)
    reports: Mapping[str, Report] = field(repr=False)

    def to_frame(self) -> DataFrame:
        """Return a pandas DataFrame with one row for each candidate.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        pd = require("pandas", "to_frame")
        return pd.DataFrame(self.rows).set_index("model")

    @property
    def fastest(self) -> str:
        """Name of the candidate that took least time among those that are not shown to be worse than the best one."""
        return str(min(self._close(), key=lambda row: row["seconds"])["model"])

    def in_words(self) -> str:
        """Return in a line which model is best, and which one takes less time and is not shown to be worse."""
        best = self.rows[0]
        figure, where = interval(best["metric"], best["half_width"]), ""
        if best["further_metric"] is not None:
            figure, where = f"{best['further_metric']:.4f}", " on further parts"
        text = f"{self.best} has the best {self.metric}{where}, {figure}"
        if self.fastest == self.best:
            return text
        row = next(row for row in self.rows if row["model"] == self.fastest)
        took = f"{row['seconds']:,.1f} s against {best['seconds']:,.1f} s"
        return f"{text}; {self.fastest} is not shown to be worse, {_difference(row)}, and took {took}"

    def _close(self) -> list[dict[str, Any]]:
        return [row for row in self.rows if row["state"] == "fitted" and not row["high"] < 0]

    def _parts(self) -> list[str | Rows]:
        users = self.reports[self.best].n_users
        again = ["further parts"] if self.rows[0]["further_metric"] is not None else []
        table = [["", self.metric, *again, "minus the best", "settings", "seconds", "MB"]]
        left_out = []
        for row in self.rows:
            if row["state"] == "left out":
                left_out.append(f"{row['model']} was left out: {row['error']}")
                continue
            figures = [interval(row["metric"], row["half_width"])]
            if again:
                figures.append("" if row["further_metric"] is None else f"{row['further_metric']:.4f}")
            figures.append("" if row["model"] == self.best else _difference(row))
            sizes = str(row["settings"]), f"{row['seconds']:,.2f}", f"{row['bytes'] / 1e6:,.1f}"
            table.append([row["model"], *figures, *sizes])
        title = f"{self.metric} of {users:,} users who judged no search; differences are paired; 95 % intervals"
        chosen = [f"chosen: {self.best_model!r}"]
        return [self.in_words(), title, table, *left_out, *chosen]

    def plot(self, path: str | PathLike[str] | None = None) -> Figure:
        """Draw how far each candidate is behind the best one, with its paired 95 % interval, and the time it took.

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
        from fastautorec.plots._selection import draw  # noqa: PLC0415  needs matplotlib

        figure: Figure = draw(self.rows, self.metric, path)
        return figure


def _difference(row: dict[str, Any]) -> str:
    return f"{row['difference']:+.4f} [{row['low']:+.4f}, {row['high']:+.4f}]"
