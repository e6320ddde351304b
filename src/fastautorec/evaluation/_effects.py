"""Effect of a parameter on a metric, and one metric of several models at every list length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real

import numpy as np

from fastautorec._printed import Printed, Rows
from fastautorec._types import DataFrame
from fastautorec.evaluation._many_reports import RealArray, check_mapping, check_reports, metric_of, to_frame
from fastautorec.evaluation._report import Report
from fastautorec.evaluation._tables import interval

Value = float | str


@dataclass(frozen=True, eq=False)
class EffectCurve:
    """One series of an ``Effect``.

    Attributes
    ----------
    values : tuple of float or of str
        Values of the parameter: numbers ascending, names as they were given.
    mean, half_width : ndarray (n_values,), float64
    """

    values: tuple[Value, ...]
    mean: RealArray
    half_width: RealArray

    @property
    def best(self) -> Value:
        """The value with the largest mean."""
        return self.values[int(np.argmax(self.mean))]


@dataclass(frozen=True, eq=False, repr=False)
class Effect(Printed):
    """Result of ``parameter_effect``.

    Attributes
    ----------
    parameter, metric : str
    curves : dict of str to EffectCurve
        By series: a model or a data set.
    """

    parameter: str
    metric: str
    curves: dict[str, EffectCurve]

    @property
    def numeric(self) -> bool:
        """Whether the values are numbers, and not names."""
        return not any(isinstance(value, str) for curve in self.curves.values() for value in curve.values)

    @property
    def values(self) -> tuple[Value, ...]:
        """All values, in order."""
        everything = dict.fromkeys(value for curve in self.curves.values() for value in curve.values)
        return tuple(sorted(everything)) if self.numeric else tuple(everything)

    def __repr__(self) -> str:
        return f"<Effect of {self.parameter} on {self.metric}, {', '.join(self.curves)}>"

    def _parts(self) -> list[str | Rows]:
        cells = {
            (series, value): interval(mean, half) + ("*" if value == curve.best else " ")
            for series, curve in self.curves.items()
            for value, mean, half in zip(curve.values, curve.mean, curve.half_width, strict=True)
        }
        rows = [[self.parameter, *(f"{series} " for series in self.curves)]]
        for value in self.values:
            rows.append([_text(value), *(cells.get((series, value), "") for series in self.curves)])
        return [f"{self.metric}; * marks the best of a column", rows]

    def to_frame(self) -> DataFrame:
        """Return a pandas DataFrame with one row for each series and value."""
        curves = self.curves
        return to_frame(
            {
                "series": [series for series, curve in curves.items() for _ in curve.values],
                self.parameter: [value for curve in curves.values() for value in curve.values],
                "mean": np.concatenate([curve.mean for curve in curves.values()]),
                "half_width": np.concatenate([curve.half_width for curve in curves.values()]),
            }
        )


@dataclass(frozen=True, eq=False, repr=False)
class MetricAtK(Printed):
    """Result of ``metric_at_k``; row i of an array is that of model i.

    Attributes
    ----------
    models : tuple of str
    family : str
    k : tuple of int
    mean, half_width : ndarray (n_models, len(k)), float64
    """

    models: tuple[str, ...]
    family: str
    k: tuple[int, ...]
    mean: RealArray
    half_width: RealArray

    def __repr__(self) -> str:
        return f"<MetricAtK of {self.family} at {', '.join(map(str, self.k))}, {', '.join(self.models)}>"

    def _parts(self) -> list[str | Rows]:
        rows = [["", *(f"{self.family}@{k}" for k in self.k)]]
        for name, means, halves in zip(self.models, self.mean, self.half_width, strict=True):
            rows.append([name, *(interval(m, h) for m, h in zip(means, halves, strict=True))])
        return [rows]

    def to_frame(self) -> DataFrame:
        """Return a pandas DataFrame with one row for each model and list length."""
        return to_frame(
            {
                "model": np.repeat(self.models, len(self.k)),
                "k": np.tile(self.k, len(self.models)),
                "mean": self.mean.ravel(),
                "half_width": self.half_width.ravel(),
            }
        )


def parameter_effect(
    reports: Mapping[Value, Report] | Mapping[str, Mapping[Value, Report]], parameter: str, metric: str = "NDCG"
) -> Effect:
    """Return how a metric depends on a parameter: a number (Figure 5 of the paper) or a mode (Figure 2).

    Parameters
    ----------
    reports : dict of value to Report, or dict of str to such dicts
        The values are numbers or names. With two levels there are several curves, of models or data sets.
    parameter : str
        What it is called, for table and plot.
    metric : str

    Returns
    -------
    Effect
        One curve for each series; it prints as a table.

    Raises
    ------
    TypeError, ValueError
        If the reports of a series cannot be compared or lack the metric, or values are numbers here and names there.

    Examples
    --------
    >>> import fastautorec as far
    >>> from fastautorec.evaluation import parameter_effect
    >>> train, valid, test = far.split(far.datasets.load_example(), by="random")
    >>> models = {beta: far.NCEAutoRec(16, beta=beta).fit(train) for beta in (1.2, 0.8)}
    >>> effect = parameter_effect({b: far.evaluate(m, train, valid, k=50) for b, m in models.items()}, "β")
    >>> effect.values
    (0.8, 1.2)
    """
    if not isinstance(reports, Mapping):
        raise TypeError(f"`reports` must be a dict from values of the parameter, got {type(reports).__qualname__}")
    nested = bool(reports) and not any(isinstance(report, Report) for report in reports.values())
    series = dict(reports) if nested else {metric: reports}
    curves = {str(name): _curve(str(name), group, metric) for name, group in series.items()}  # type: ignore[arg-type]
    kinds = {isinstance(value, str) for curve in curves.values() for value in curve.values}
    if len(kinds) > 1:
        raise ValueError(f"`reports` must have only numbers or only names as values of {parameter}, got both")
    return Effect(str(parameter), metric, curves)


def metric_at_k(reports: Report | Mapping[str, Report], family: str = "F1") -> MetricAtK:
    """Return F1, or another metric, of several models at every list length (Figure 3 of the paper).

    Parameters
    ----------
    reports : Report or dict of str to Report
        One or more of the same train and test data, with the same ``k``.
    family : {"F1", "NDCG", "MAP", "Precision", "Recall", "MRR", "HitRate", "AUC", "Novelty", "Popularity"}

    Returns
    -------
    MetricAtK
        One curve for each model; it prints as a table.

    Raises
    ------
    TypeError, ValueError
        If the reports cannot be compared, have different ``k``, or lack the metric.

    Examples
    --------
    >>> import fastautorec as far
    >>> from fastautorec.evaluation import metric_at_k
    >>> train, test = far.split(far.datasets.load_example(), ratios=(0.8, 0.2), by="random")
    >>> report = far.evaluate(far.Popularity().fit(train), train, test, k=(5, 10))
    >>> metric_at_k({"Popularity": report}).mean.shape
    (1, 2)
    """
    named = check_reports(reports)
    (first_name, first), *others = named.items()
    for name, report in others:
        if report.k != first.k:
            raise ValueError(
                f"`reports` must have the same k, got {first.k} of {first_name!r} and {report.k} of {name!r}; "
                "use report.at(k=...)"
            )
    metrics = [[metric_of(name, report, f"{family}@{k}") for k in first.k] for name, report in named.items()]
    return MetricAtK(
        models=tuple(named),
        family=family,
        k=first.k,
        mean=np.array([[metric.mean for metric in row] for row in metrics]),
        half_width=np.array([[metric.half_width for metric in row] for row in metrics]),
    )


def _curve(name: str, reports: Mapping[Value, Report], metric: str) -> EffectCurve:
    given = check_mapping("reports", reports)
    check_reports({str(value): report for value, report in given.items()})
    if all(isinstance(value, Real) for value in given):
        given = dict(sorted(given.items()))
    elif not all(isinstance(value, str) for value in given):
        raise TypeError(f"`reports` must have numbers or names as values of the parameter, got {list(given)}")
    metrics = [metric_of(name, report, metric) for report in given.values()]
    return EffectCurve(
        tuple(given), np.array([each.mean for each in metrics]), np.array([each.half_width for each in metrics])
    )


def _text(value: Value) -> str:
    return value if isinstance(value, str) else f"{value:,g}"
