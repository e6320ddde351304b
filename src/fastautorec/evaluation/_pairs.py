"""Two models user by user."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastautorec._printed import Printed, Rows
from fastautorec._types import DataFrame
from fastautorec.evaluation._compare import NAMES, Difference, check_comparable, checked_names, paired_difference
from fastautorec.evaluation._many_reports import RealArray, metric_of, to_frame
from fastautorec.evaluation._report import Report
from fastautorec.evaluation._tables import interval, percent

GRID = 128  # cells of the density, each way


@dataclass(frozen=True, eq=False, repr=False)
class UserComparison(Printed):
    """Result of ``compare_users``.

    Attributes
    ----------
    names : tuple of two str
    metric : str
    a, b : ndarray (n_users,), float64
        The metric of each user.
    difference : Difference
        Mean of a - b with its 95 % interval and the p-value of the paired t-test.
    share_a, share_b, share_equal : float
        Share of the users for whom a is better, b is better, or neither.
    grid : ndarray (c,), float64
        Middles of the cells of the density, from 0 to the largest value that the metric has.
    density : ndarray (c, c), float64
        Density of the users: ``density[i, j]`` where a is ``grid[i]`` and b is ``grid[j]``. Its sum times the area of
        a cell is 1.
    """

    names: tuple[str, str]
    metric: str
    a: RealArray
    b: RealArray
    difference: Difference
    share_a: float
    share_b: float
    share_equal: float
    grid: RealArray
    density: RealArray

    def __repr__(self) -> str:
        return f"<UserComparison of {self.names[0]} and {self.names[1]}, {self.metric} of {len(self.a)} users>"

    def _parts(self) -> list[str | Rows]:
        d, (name_a, name_b) = self.difference, self.names
        rows = [
            ["", "mean", "better for"],
            [name_a, f"{d.mean_a:.4f}", percent(self.share_a)],
            [name_b, f"{d.mean_b:.4f}", percent(self.share_b)],
            ["(equal)", "", percent(self.share_equal)],
        ]
        title = f"{self.metric} of {len(self.a):,} users"
        result = f"Difference {interval(d.difference, (d.high - d.low) / 2)} (95 %), p = {d.p_value:.2g}"
        return [title, rows, result]

    def to_frame(self) -> DataFrame:
        """Return a pandas DataFrame with one row for each user."""
        return to_frame({self.names[0]: self.a, self.names[1]: self.b})


def compare_users(
    report_a: Report, report_b: Report, metric: str = "NDCG", names: tuple[str, str] = NAMES
) -> UserComparison:
    """Compare two models user by user and tell for how many each is better (Figure 6 of the paper).

    For users whom the models have never seen, hold them out with ``split_users``, split what they chose, and evaluate
    on them.

    Parameters
    ----------
    report_a, report_b : Report
        Both have the same train and test data, k and definition.
    metric : str
    names : tuple of two str
        What to call the models.

    Returns
    -------
    UserComparison
        The values of both models, user by user.

    Raises
    ------
    TypeError, ValueError
        If the reports cannot be compared, or have no such metric.

    Examples
    --------
    >>> import fastautorec as far
    >>> from fastautorec.evaluation import compare_users
    >>> train, newcomers = far.split_users(far.datasets.load_example(), fraction=0.05)
    >>> history, test = far.split(newcomers, ratios=(0.7, 0.3), by="random")
    >>> a, b = (far.evaluate(m.fit(train), history, test, k=50) for m in (far.NCEAutoRec(32), far.Popularity()))
    >>> pair = compare_users(a, b, names=("NCE-AutoRec", "Popularity"))
    >>> pair.share_a > pair.share_b, pair.difference.low > 0
    (True, True)
    """
    check_comparable(report_a, report_b)
    first, second = checked_names(names)
    metric_a, metric_b = metric_of(first, report_a, metric), metric_of(second, report_b, metric)
    a, b = metric_a.per_user, metric_b.per_user
    grid, density = _density(a, b)
    return UserComparison(
        names=(first, second),
        metric=metric,
        a=a,
        b=b,
        difference=paired_difference(metric_a, metric_b),
        share_a=float((a > b).mean()),
        share_b=float((b > a).mean()),
        share_equal=float((a == b).mean()),
        grid=grid,
        density=density,
    )


def _density(a: RealArray, b: RealArray) -> tuple[RealArray, RealArray]:
    """Return the middles of cells and the density of (a, b) there, smoothed by a Gaussian.

    The metrics are >= 0: what the smoothing would move out of the square is mirrored back in. Values are counted by
    cells first, so the time does not grow with users × cells.
    """
    top = max(float(a.max()), float(b.max())) or 1.0
    edges = np.linspace(0, top, GRID + 1)
    counts = np.histogram2d(a, b, bins=(edges, edges))[0] / len(a)
    grid = (edges[:-1] + edges[1:]) / 2
    cell = top / GRID
    # Scott's rule for two dimensions, by the spread across the diagonal: the side of it is what counts
    width = len(a) ** (-1 / 6) * float((a - b).std())
    smoothing = _smoothing(grid, top, max(width, cell))
    density: RealArray = smoothing @ counts @ smoothing.T / cell**2
    return grid, density


def _smoothing(grid: RealArray, top: float, width: float) -> RealArray:
    """Return the matrix that smooths values on the grid; columns add up to 1."""
    mirrored = np.stack([grid, -grid, 2 * top - grid])
    kernel = np.exp(-0.5 * ((grid[:, None, None] - mirrored) / width) ** 2).sum(axis=1)
    matrix: RealArray = kernel / kernel.sum(axis=0)
    return matrix
