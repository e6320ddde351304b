"""Two evaluations of the same users, compared in pairs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit

from fastautorec._printed import Printed, Rows
from fastautorec.data._naming import same_ids
from fastautorec.evaluation._many_reports import metric_of
from fastautorec.evaluation._metric import Metric
from fastautorec.evaluation._report import Report

SIGNIFICANCE = 0.05
NEUTRAL = ("Novelty", "Popularity")  # of which more is not better
NAMES = ("a", "b")  # of models that have been given none


@dataclass(frozen=True)
class Difference:
    """Metric of the first report minus that of the second, paired over the users.

    Attributes
    ----------
    name : str
    mean_a, mean_b : float
    difference : float
        Mean of the per-user differences.
    low, high : float
        95 % interval of the difference.
    p_value : float
        Two-sided, of the paired t-test.
    p_adjusted : float
        The same after Holm's correction for the number of metrics.
    """

    name: str
    mean_a: float
    mean_b: float
    difference: float
    low: float
    high: float
    p_value: float
    p_adjusted: float

    @property
    def significant(self) -> bool:
        """Whether the adjusted p-value is below 0.05."""
        return self.p_adjusted < SIGNIFICANCE


class Comparison(Printed, Mapping[str, Difference]):
    """Result of ``compare``: a mapping from metric names to ``Difference``; prints in words and as a table.

    Attributes
    ----------
    names : tuple of two str
    n_users : int
        Number of paired users.
    popularity : Difference
        Difference of the popularity of the recommended items. Holm's correction does not count it.
    """

    def __init__(
        self,
        differences: Mapping[str, Difference],
        popularity: Difference,
        n_users: int,
        names: tuple[str, str] = NAMES,
    ) -> None:
        self._differences = dict(differences)
        self.names = names
        self.popularity = popularity
        self.n_users = n_users

    def __getitem__(self, name: str) -> Difference:
        try:
            return self._differences[name]
        except KeyError:
            raise KeyError(f"{name!r} was not compared; there are {', '.join(self._differences)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._differences)

    def __len__(self) -> int:
        return len(self._differences)

    def __repr__(self) -> str:
        differing = sum(d.significant for d in self.values())
        return f"<Comparison over {self.n_users} users, {differing} of {len(self)} metrics differ>"

    def in_words(self) -> str:
        """Return in a line what came out: of the NDCG or, where it was not compared, of the first metric.

        A model is called better where the p-value that is adjusted for all metrics is below 0.05, or higher where the
        metric is not one of accuracy; the difference is that from the other model, with its 95 % interval.
        """
        d = self._differences.get("NDCG") or next(iter(self.values()))
        first, second = self.names
        low, high, difference = d.low, d.high, d.difference
        if d.significant and difference < 0:
            first, second = second, first
            low, high, difference = -high, -low, -difference
        figures = f"{d.name} {difference:+.4f} [{low:+.4f}, {high:+.4f}]"
        if d.significant:
            relation = "higher" if d.name.partition("@")[0] in NEUTRAL else "better"
            return f"{first} is {relation} than {second}: {figures}"
        return f"No difference between {first} and {second} is shown: {figures}, adjusted p = {d.p_adjusted:.2g}"

    def _rows(self) -> list[list[str]]:
        first, second = self.names
        head = ["", first, second, f"{first} - {second}", "95 % interval", "p", "p (Holm)", ""]
        return [head, *(_row(d, 4) for d in self.values()), _row(self.popularity, 1)]

    def _title(self) -> str:
        return f"Paired over {self.n_users:,} users; * marks an adjusted p below {SIGNIFICANCE}"

    def _parts(self) -> list[str | Rows]:
        return [self.in_words(), self._title(), self._rows()]


def compare(
    report_a: Report, report_b: Report, metrics: Sequence[str] | None = None, names: tuple[str, str] = NAMES
) -> Comparison:
    """Compare two models on the same users, metric by metric.

    With d the n per-user differences a - b, s their standard deviation (ddof 1) and t the quantiles of Student's
    distribution with n - 1 degrees of freedom, the 95 % interval is mean(d) ± t(0.975) s / √n, and p is that of the
    paired t-test, so that p < 0.05 exactly where the interval leaves out 0. For n in the thousands this is the normal
    approximation. Holm's correction [1]_ keeps the chance of any false "differs" among all metrics below 0.05.

    Parameters
    ----------
    report_a, report_b : Report
        From ``evaluate`` or ``evaluate_ranking`` with the same train and test data, k and definition.
    metrics : sequence of str, optional
        Names of metrics that ``Report.metric`` knows, such as "MRR@10"; by default those of the mapping. They are what
        Holm's correction counts, so choose them before looking.
    names : tuple of two str
        What to call the models.

    Returns
    -------
    Comparison
        ``print`` says in words and figures what came out. For example ``compare(a, b)["NDCG"].difference``, ``.low``,
        ``.high``, ``.p_value``, ``.p_adjusted``.

    Raises
    ------
    TypeError
        If an argument is not a report.
    ValueError
        If the reports are not about the same users in the same rows, where users have ids by these, or not about the
        same test items, k and definition, if they have fewer than two users, or no such metrics.

    References
    ----------
    .. [1] S. Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6 (1979), 65-70.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_matrix
    >>> from fastautorec.evaluation import compare, evaluate_ranking
    >>> train, test = csr_matrix(np.eye(3, 4)), csr_matrix(np.eye(3, 4, k=1))
    >>> a = evaluate_ranking(np.array([[1], [2], [0]]), train, test, k=1)
    >>> b = evaluate_ranking(np.array([[3], [2], [1]]), train, test, k=1)
    >>> print(f"{compare(a, b)['NDCG'].difference:.3f}")
    0.333
    >>> compare(a, b, names=("mine", "yours")).in_words()
    'No difference between mine and yours is shown: NDCG +0.3333 [-1.1009, +1.7676], adjusted p = 1'
    >>> list(compare(a, b, metrics=["MRR@1", "HitRate@1"]))
    ['MRR@1', 'HitRate@1']
    """
    check_comparable(report_a, report_b)
    first, second = checked_names(names)
    raw = {
        name: paired_difference(metric_of(first, report_a, name), metric_of(second, report_b, name))
        for name in _check_metrics(metrics, report_a)
    }
    adjusted = holm(np.array([d.p_value for d in raw.values()]))
    differences = {d.name: replace(d, p_adjusted=float(p)) for d, p in zip(raw.values(), adjusted, strict=True)}
    popularity = paired_difference(report_a.popularity, report_b.popularity)
    return Comparison(differences, popularity, report_a.n_users, (first, second))


def checked_names(names: Sequence[str]) -> tuple[str, str]:
    """Return what two models are called."""
    if isinstance(names, str) or len(names) != 2:
        raise ValueError(f"`names` must be two names, got {names!r}")
    return str(names[0]), str(names[1])


def _check_metrics(metrics: Sequence[str] | None, report: Report) -> Sequence[str]:
    if metrics is None:
        return list(report)
    if isinstance(metrics, str) or not isinstance(metrics, Iterable):
        raise TypeError(f"`metrics` must be a sequence of names, such as ['NDCG', 'MRR@10'], got {metrics!r}")
    if not (found := list(dict.fromkeys(metrics))):
        raise ValueError("`metrics` must name at least one metric, got none; for example ['NDCG', 'MRR@10']")
    return found


def holm(p_values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return Holm's adjusted p-values, in the order given."""
    order = np.argsort(p_values, kind="stable")
    steps = p_values[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


def paired_difference(a: Metric, b: Metric) -> Difference:
    """Return a - b over the users, with the p-value of this metric alone."""
    d = a.per_user - b.per_user
    d = d[~np.isnan(d)]  # popularity of an empty list
    if len(d) < 2:
        return Difference(a.name, a.mean, b.mean, *(math.nan,) * 5)
    mean, error, freedom = float(d.mean()), float(d.std(ddof=1)) / math.sqrt(len(d)), len(d) - 1
    half = float(stdtrit(freedom, 0.975)) * error
    statistic = abs(mean) / error if error else (math.inf if mean else 0.0)
    p = 2 * float(stdtr(freedom, -statistic))
    return Difference(a.name, a.mean, b.mean, mean, mean - half, mean + half, p, p)


def _row(d: Difference, decimals: int) -> list[str]:
    means = [f"{value:,.{decimals}f}" for value in (d.mean_a, d.mean_b)]
    interval = f"[{d.low:+,.{decimals}f}, {d.high:+,.{decimals}f}]"
    p_values = [f"{p:.2g}" for p in (d.p_value, d.p_adjusted)]
    return [d.name, *means, f"{d.difference:+,.{decimals}f}", interval, *p_values, "*" if d.significant else ""]


def check_comparable(a: Report, b: Report) -> None:
    """Raise unless the reports can be paired user by user."""
    for name, report in (("report_a", a), ("report_b", b)):
        if not isinstance(report, Report):
            raise TypeError(
                f"`{name}` must be a report of evaluate or evaluate_ranking, got {type(report).__qualname__}"
            )
    for what in ("definition", "k"):
        if getattr(a, what) != getattr(b, what):
            raise ValueError(
                f"`report_a` and `report_b` must have the same {what}, "
                f"got {getattr(a, what)!r} and {getattr(b, what)!r}; evaluate both with the same one"
            )
    if not np.array_equal(a.users, b.users):
        raise ValueError(
            f"`report_a` and `report_b` must cover the same users, got {a.n_users} and {b.n_users} users that are not "
            "the same rows; evaluate both with the same train and test data"
        )
    _check_same_people(a, b)
    if not (np.array_equal(a.n_test_items, b.n_test_items) and np.array_equal(a.ranks.items, b.ranks.items)):
        raise ValueError(
            f"`report_a` and `report_b` must have the same test data, got {_difference(a, b)}; evaluate both with the "
            "same train and test data, items in the same columns"
        )
    if a.n_users < 2:
        raise ValueError(f"`report_a` and `report_b` must cover at least 2 users, got {a.n_users}")


def _check_same_people(a: Report, b: Report) -> None:
    """Raise if the same rows are other users."""
    ids_a, ids_b = a._row_ids, b._row_ids
    if ids_a is None or ids_b is None or ids_a is ids_b:
        return
    ids_a, ids_b = ids_a[a.users], ids_b[b.users]
    if same_ids(ids_a, ids_b):
        return
    pairs = enumerate(zip(ids_a.tolist(), ids_b.tolist(), strict=True))
    place, (mine, its) = next((place, pair) for place, pair in pairs if pair[0] != pair[1])
    raise ValueError(
        f"`report_a` and `report_b` must have the same users in the same rows, got user {mine!r} and user "
        f"{its!r} in row {a.users[place]}; evaluate both with the same train and test data, or bring those of "
        "one to the order of the other with far.align"
    )


def _difference(a: Report, b: Report) -> str:
    counts = a.n_test_items != b.n_test_items
    if counts.any():
        return f"users with different numbers of test items, the first in row {a.users[np.argmax(counts)]}"
    entry = int(np.argmax(a.ranks.items != b.ranks.items))
    row = a.users[np.searchsorted(a.ranks.indptr, entry, side="right") - 1]
    return f"other test items: of row {row} item {a.ranks.items[entry]} and item {b.ranks.items[entry]}"
