"""One metric over users, with its 95 % interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fastautorec.evaluation._tables import interval

Z = 1.96  # half-width of a 95 % interval in standard errors


@dataclass(frozen=True, eq=False)
class Metric:
    """One metric over the evaluated users.

    Attributes
    ----------
    name : str
    per_user : ndarray (n_users,), float64
        In the order of ``Report.users``; read-only.
    mean : float
    half_width : float
        Half of the 95 % interval of the mean; NaN for a single user with the "standard" definition.
    """

    name: str
    per_user: npt.NDArray[np.float64]
    mean: float
    half_width: float

    def __repr__(self) -> str:
        return f"<Metric {self.name} {shown(self)}>"


def half_width(values: npt.NDArray[np.float64], ddof: int = 1, count: int | None = None) -> float:
    """Return the half-width of the 95 % interval of the mean: 1.96 · std(ddof) / √count, NaN for too few values."""
    if len(values) <= ddof:
        return math.nan
    return Z * float(values.std(ddof=ddof)) / math.sqrt(len(values) if count is None else count)


def shown(metric: Metric) -> str:
    """Return mean and half-width as text."""
    return interval(metric.mean, metric.half_width)
