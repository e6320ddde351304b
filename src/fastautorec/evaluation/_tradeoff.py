"""What a popularity discount costs in accuracy and gives in variety, for many discounts from one scoring."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from fastautorec._checks import check_int, check_real, kind
from fastautorec._compute.csr import Csr
from fastautorec._compute.inputs import UserItems
from fastautorec._compute.protocol import IdArray
from fastautorec._printed import Printed, Rows
from fastautorec._types import DataFrame
from fastautorec.evaluation._evaluate import DEFAULT_K, notes_on
from fastautorec.evaluation._further import gini
from fastautorec.evaluation._many_reports import RealArray, to_frame
from fastautorec.evaluation._metric import Metric, half_width
from fastautorec.evaluation._report import HEAD
from fastautorec.evaluation._tables import interval
from fastautorec.evaluation._walk import Model, Task, walk

MAX_LOSS = 0.01


class DialledModel(Model, Protocol):
    """A model whose scores have a popularity discount."""

    def _as_fitted(self) -> DialledModel: ...
    def _discount(self) -> float: ...


@dataclass(frozen=True, eq=False, repr=False)
class PopularityTradeoff(Printed):
    """Result of ``popularity_tradeoff``; entry i is that of discount i. It prints as a table.

    Attributes
    ----------
    discounts : ndarray (n_discounts,), float64
        Ascending, the one that the model was fitted with among them.
    fitted : float
        That one, which losses are against.
    k, head : int
        Length of the lists for NDCG, and of their heads that coverage, Gini and popularity are about: ten, or k where
        that is less.
    ndcg : tuple of Metric
        NDCG@k, with the 95 % half-width and the values of the users.
    loss, loss_low, loss_high : ndarray (n_discounts,), float64
        Relative loss 1 − NDCG / NDCG of ``fitted`` and its 95 % interval, paired over the users; below 0 is a gain.
    coverage : ndarray (n_discounts,), float64
        Share of all items that are in the head of at least one list.
    gini : ndarray (n_discounts,), float64
        Gini coefficient of how often items are in the heads: 0 where all are there equally often.
    popularity : tuple of Metric
        Mean number of training users of the items in the head of a user's list.
    n_users : int
        Evaluated users.
    notes : tuple of str
        What to know before trusting the figures.
    """

    discounts: RealArray
    fitted: float
    k: int
    head: int
    ndcg: tuple[Metric, ...]
    loss: RealArray
    loss_low: RealArray
    loss_high: RealArray
    coverage: RealArray
    gini: RealArray
    popularity: tuple[Metric, ...]
    n_users: int
    notes: tuple[str, ...]

    def pick(self, max_loss: float = MAX_LOSS) -> float:
        """Return the largest discount whose relative loss of NDCG cannot exceed ``max_loss``.

        That is, the upper end of the 95 % interval of the loss, paired over the users, is at most ``max_loss``. The
        interval is that of one discount: choose on validation data and report what test data say.

        Parameters
        ----------
        max_loss : float
            In [0, 1); 0.01 is 1 % of the NDCG of the model as it was fitted.

        Returns
        -------
        float
            One of ``discounts``, for ``recommend(..., popularity_discount=)``; never less than ``fitted``, of which the
            loss is 0.
        """
        most = check_real("max_loss", max_loss)
        if not 0 <= most < 1:
            raise ValueError(f"`max_loss` must be a share of the NDCG in [0, 1), got {most:g}; 0.01 is 1 %")
        within = self.discounts[self.loss_high <= most]
        return float(within.max(initial=self.fitted))

    def __repr__(self) -> str:
        first, last = self.discounts[[0, -1]]
        return f"<PopularityTradeoff of {len(self.discounts)} discounts from {first:g} to {last:g}>"

    def _parts(self) -> list[str | Rows]:
        head = f"@{self.head}"
        rows = [
            ["discount", f"NDCG@{self.k}", "loss", "95 % interval", f"Coverage{head}", f"Gini{head}",
             f"Popularity{head}"]
        ]  # fmt: skip
        for i, discount in enumerate(self.discounts):
            popularity = self.popularity[i]
            rows.append([
                f"{discount:g}{' (as fitted)' if discount == self.fitted else ''}",
                interval(self.ndcg[i].mean, self.ndcg[i].half_width),
                f"{100 * self.loss[i]:+.2f} %",
                f"[{100 * self.loss_low[i]:+.2f}, {100 * self.loss_high[i]:+.2f}]",
                f"{self.coverage[i]:.4f}",
                f"{self.gini[i]:.4f}",
                f"{popularity.mean:,.1f} ±{popularity.half_width:,.1f}",
            ])  # fmt: skip
        return [rows, *(f"Note: {note}." for note in self.notes)]

    def to_frame(self) -> DataFrame:
        """Return a pandas DataFrame with one row for each discount.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        plain = ("loss", "loss_low", "loss_high", "coverage", "gini")
        columns: dict[str, Any] = {"discount": self.discounts, "ndcg": [metric.mean for metric in self.ndcg]}
        columns["ndcg_half_width"] = [metric.half_width for metric in self.ndcg]
        columns |= {name: getattr(self, name) for name in plain}
        columns["popularity"] = [metric.mean for metric in self.popularity]
        columns["popularity_half_width"] = [metric.half_width for metric in self.popularity]
        return to_frame(columns)


def popularity_tradeoff(
    model: DialledModel, train: UserItems, validation: UserItems, discounts: Iterable[float], k: int = DEFAULT_K[-1]
) -> PopularityTradeoff:
    """Evaluate a fitted model with other popularity discounts: what they cost in NDCG, and give in variety.

    The lists of a discount are those of ``recommend(..., popularity_discount=)``. Every tile of scores is made once and
    read once for the lists of all discounts: ten of them take the time of some three evaluations of a model with 64
    factors, less with more factors, where scores are a larger part of the work.

    Parameters
    ----------
    model : fitted recommender of the AutoRec family
    train : Interactions or scipy sparse (m, n), binary
        Histories to recommend from.
    validation : Interactions or scipy sparse (m, n), binary
        What the users chose later.
    discounts : iterable of float
        Exponents γ; that of the model is added where it is missing.
    k : int
        Length of the lists, at most n; by default 50, or n where that is less.

    Returns
    -------
    PopularityTradeoff
        ``print`` shows it as a table, ``pick`` chooses, ``fastautorec.plots.popularity_tradeoff`` draws it.

    Raises
    ------
    NotFittedError
        If the model is not fitted.
    TypeError, ValueError
        If the model has no discount, if a discount is not finite or too large for float32, if there is none, or for
        data that `evaluate` refuses.

    Notes
    -----
    With b and x the NDCG of the n users as fitted and with another discount, the loss is ℓ = 1 − x̄ / b̄ and its 95 %
    interval ℓ ± t(0.975) s / (b̄ √n), where s is the standard deviation (ddof 1) of x − (1 − ℓ) b: the interval of a
    ratio of means of paired values, by the delta method.

    Examples
    --------
    >>> import numpy as np
    >>> import fastautorec as far
    >>> train, validation = far.split(far.datasets.load_example(), ratios=(0.8, 0.2), by="random")
    >>> model = far.NCEAutoRec(factors=64).fit(train)
    >>> found = far.evaluation.popularity_tradeoff(model, train, validation, [0, 0.3, 0.6])
    >>> found.discounts
    array([0.  , 0.15, 0.3 , 0.6 ])
    >>> bool((np.diff(found.coverage) > 0).all())
    True
    >>> ids, scores = model.recommend(train, N=5, popularity_discount=found.pick(max_loss=0.01))
    """
    check_int("k", k, 1)
    given = _check_discounts(discounts)
    if isinstance(model, type) or not hasattr(model, "_discount"):
        raise TypeError(f"`model` must be a fitted recommender with a popularity discount, got {kind(model)}")
    fitted = model._as_fitted()._discount()
    chosen = sorted({*given, fitted})
    task = walk(model, train, validation, k, "standard", partial(_Lists, len(chosen)), chosen)
    ndcg = _metrics(f"NDCG@{task.cutoffs[-1]}", task.ndcg)
    popularity = _metrics(f"Popularity@{task.head}", task.popularity)
    base = ndcg[chosen.index(fitted)]
    losses = np.array([_loss(base, metric) for metric in ndcg])
    return PopularityTradeoff(
        discounts=np.array(chosen),
        fitted=fitted,
        k=task.cutoffs[-1],
        head=task.head,
        ndcg=ndcg,
        loss=losses[:, 0],
        loss_low=losses[:, 0] - losses[:, 1],
        loss_high=losses[:, 0] + losses[:, 1],
        coverage=(task.listed > 0).mean(axis=1),
        gini=np.array([gini(counts) for counts in task.listed]),
        popularity=popularity,
        n_users=len(task.users),
        notes=tuple(notes_on(task)),
    )


class _Lists(Task):
    """Figures of several lists of each user, one for each discount."""

    def __init__(self, copies: int, *given: Any) -> None:
        super().__init__(*given)
        self.head = min(HEAD, self.cutoffs[-1])
        self.listed = np.zeros((copies, self.train.n_cols), np.int64)
        self.ndcg, self.popularity = np.empty((2, copies, len(self.users)))
        self._counts = np.append(self.backend.count_items(self.train), 0)  # -1 is its last cell
        self._adding = Lock()

    def measure(self, places: npt.NDArray[np.int64], ids: IdArray, test: Csr, num_threads: int) -> None:
        backend, shape = self.backend.with_threads(num_threads), (len(places), ids.shape[1])
        lists = np.broadcast_to(ids.reshape(-1, *shape), (len(self.listed), *shape))  # or one for all discounts
        for copy, own in enumerate(lists):
            self.ndcg[copy, places] = backend.ranking_metrics(own, test, self.cutoffs, self.definition)[:, 1]
            heads = own[:, : self.head]
            there = heads >= 0
            with np.errstate(invalid="ignore"):  # 0 / 0 of an empty list
                self.popularity[copy, places] = self._counts[heads].sum(axis=1) / there.sum(axis=1)
            with self._adding:
                np.add.at(self.listed[copy], heads[there], 1)


def _metrics(name: str, values: RealArray) -> tuple[Metric, ...]:
    metrics = []
    for per_user in values:
        per_user.flags.writeable = False
        known = per_user[~np.isnan(per_user)]
        metrics.append(Metric(name, per_user, float(known.mean()) if len(known) else math.nan, half_width(known)))
    return tuple(metrics)


def _loss(base: Metric, metric: Metric) -> tuple[float, float]:
    """Return the relative loss and the half-width of its interval; NaN where there is nothing to lose."""
    if metric is base:
        return 0.0, 0.0
    n = len(base.per_user)
    if base.mean == 0 or n < 2:
        return math.nan, math.nan
    kept = metric.mean / base.mean
    deviation = (metric.per_user - kept * base.per_user).std(ddof=1)
    return 1 - kept, float(stdtrit(n - 1, 0.975)) * float(deviation) / (base.mean * math.sqrt(n))


def _check_discounts(discounts: object) -> Sequence[float]:
    if isinstance(discounts, str) or not isinstance(discounts, Iterable):
        raise TypeError(f"`discounts` must be a sequence of numbers, got {kind(discounts)}")
    given = [check_real("discounts", value) for value in discounts]
    if not given:
        raise ValueError("`discounts` must hold at least one discount, got none; for example [0, 0.2, 0.4]")
    return given
