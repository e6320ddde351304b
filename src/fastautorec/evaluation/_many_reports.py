"""Arguments and frames that the analyses share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec._extras import require
from fastautorec.evaluation._metric import Metric
from fastautorec.evaluation._report import Report

IntArray = npt.NDArray[np.int64]
RealArray = npt.NDArray[np.float64]


def check_reports(reports: Report | Mapping[str, Report]) -> dict[str, Report]:
    """Return one or more reports by name, all about the same users, test items, training data and definition."""
    named = check_mapping("reports", {"model": reports} if isinstance(reports, Report) else reports)
    (first_name, first), *others = named.items()
    for name, report in others:
        if report.definition != first.definition:
            raise ValueError(
                f"`reports` must have one definition, got {first.definition!r} of {first_name!r} and "
                f"{report.definition!r} of {name!r}; use report.at(definition=...)"
            )
        same = (
            np.array_equal(report.users, first.users)
            and np.array_equal(report.ranks.indptr, first.ranks.indptr)
            and np.array_equal(report.ranks.items, first.ranks.items)
            and np.array_equal(report.item_popularity, first.item_popularity)
        )
        if not same:
            raise ValueError(
                f"`reports` must be about the same train and test data, got {first_name!r} and {name!r} that differ; "
                "evaluate all models on the same split"
            )
    return named


def check_mapping(what: str, reports: Any) -> dict[Any, Report]:
    """Return a mapping to reports with at least one of them."""
    if not isinstance(reports, Mapping):
        raise TypeError(f"`{what}` must be a dict of reports, got {type(reports).__qualname__}")
    if not reports:
        raise ValueError(f"`{what}` must hold at least one report, got none")
    for name, report in reports.items():
        if not isinstance(report, Report):
            raise TypeError(
                f"`{what}` must hold reports of evaluate or evaluate_ranking, got {type(report).__qualname__} "
                f"for {name!r}"
            )
    return dict(reports)


def check_length(k: int, reports: Mapping[str, Report]) -> int:
    """Return the length ``k`` of lists after the check that every report has kept them."""
    for report in reports.values():
        report.first_places(k)
    return k


def metric_of(name: str, report: Report, metric: str) -> Metric:
    """Return a metric of the report called ``name``."""
    try:
        return report.metric(metric)
    except ValueError as error:
        raise ValueError(f"{error} (the report {name!r})") from None


def to_frame(columns: Mapping[str, Sequence[Any] | npt.NDArray[Any]]) -> Any:
    """Return a pandas DataFrame of columns of one length."""
    return require("pandas", "to_frame", instead="the arrays").DataFrame(dict(columns))
