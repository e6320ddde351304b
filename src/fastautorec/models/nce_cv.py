"""NCE-AutoRec with every parameter chosen on held-out interactions, from one pass over the data."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fastautorec._checks import (
    Default,
    check_bool,
    check_choice,
    check_grid,
    check_int,
    check_metric,
    check_random_state,
    check_rate,
    check_real,
    fitting,
    warn_caller,
)
from fastautorec._compute.inputs import UserItems
from fastautorec._compute.item_index import Indexes
from fastautorec._compute.protocol import NUMERATORS, FloatArray
from fastautorec._compute.top_lists import Scorer
from fastautorec._training.losses import SquaredError, weighted_error
from fastautorec._training.path import Setting
from fastautorec._training.path_search import Grids, PathSearch, Point
from fastautorec._training.run import FitRun
from fastautorec.models._autoencoder import INTERCEPTS, Autoencoder
from fastautorec.models._contributions import EncoderParts
from fastautorec.models._memory_plan import Plan, plan_of_path
from fastautorec.models._recommender import Recommender, without_choice
from fastautorec.models.nce import TARGETS, NCEAutoRec

if TYPE_CHECKING:
    from typing_extensions import Self

FACTORS = tuple(map(Default, (100, 200, 300, 500, 1000, 2000)))

Numbers = float | Sequence[float]
Words = str | Sequence[str]


@dataclass(repr=False, eq=False, kw_only=True)
class NCEAutoRecCV(Recommender):
    """`NCEAutoRec` in closed form whose parameters are chosen on held-out interactions, as in scikit-learn's RidgeCV.

    One truncated SVD and one pass over the data hold the exact solutions for every rank, power of the spectrum, dropout
    rate, penalty, intercept and popularity discount. Each setting then takes only a small linear system and the lists
    of the users who judge it. The search climbs from setting to better neighbouring setting; the first 1,000 judges
    lead it, and up to 4,000 decide among the best that these cannot tell apart.

    Parameters
    ----------
    factors, spectrum_power, dropout, regularization, intercept_penalty, popularity_discount : number or sequence
        Grids of the parameters of `NCEAutoRec` of these names, here and below in any order, a value that comes twice
        counting once; a single value fixes one. Of the default grid of ``factors`` those are left that the data have
        singular vectors for.
    fit_intercept : bool or sequence of bool
        Whether each item has a bias, which ``intercept_penalty`` is about.
    beta, user_weight : number or sequence of number
        As in `NCEAutoRec`. Several values, also of the two below, cost one SVD of at most 300 vectors each.
    numerator, target : str or sequence of str
    normalize, intercept
        As in `NCEAutoRec`.
    activation : {"identity"}
        Other activations have no such path; search for their parameters with `tune`.
    metric : str
        What is maximised: a metric of `evaluate` ("standard" definition), such as "NDCG" (lists of 50), "Recall@20".
    one_standard_error : bool
        Take the smallest number of factors whose metric is within one standard error of the best: a cheaper model.
    timeout : float, optional
        Seconds of the search after which no further setting is tried, and the best one so far is fitted.
    random_state : int or numpy.random.Generator
        Seed of what is held out, of the judges and of the SVD.
    device, num_threads
        As in `NCEAutoRec`; the choice is the same for any number of threads.

    Attributes
    ----------
    best_params_ : dict
        The parameters of `NCEAutoRec` that were chosen.
    best_score_ : float
        Their metric on the held-out interactions.
    cv_results_ : list of dict
        One row for each setting that was tried, a solution with one popularity discount: its parameters, "metric",
        "standard_error", and how many "users" judged it. Compare rows with as many users.
    encoder_, encoder_bias_, decoder_, embedding_head_, regularization_, n_users_, skipped_users_, history_
        As in `NCEAutoRec`.

    Notes
    -----
    Without validation data ``fit`` holds out a tenth of each history, the latest where there are timestamps, chooses by
    it, and fits the model on everything. What is left for the search is nearly as long as what the model will be used
    on, since the best setting depends on the length. Histories of less than ten interactions hold out one as often as
    their length says; `fit` refuses data in which no user has two.

    Examples
    --------
    >>> import fastautorec as far
    >>> train, test = far.split(far.datasets.load_example(), ratios=(0.8, 0.2), by="random")
    >>> model = far.NCEAutoRecCV(factors=[32, 64], popularity_discount=[0, 0.1]).fit(train)
    >>> model.best_params_["factors"]
    64
    >>> plain = model.to_estimator()
    """

    factors: int | Sequence[int] = FACTORS
    beta: Numbers = 1.0
    numerator: Words = "users"
    target: Words = "nce"
    user_weight: Numbers = 0.5
    spectrum_power: Numbers = (0.25, 0.5, 0.75, 1.0)
    dropout: Numbers = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    regularization: Numbers = (0.003, 0.01, 0.02, 0.04, 0.07, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0)
    fit_intercept: bool | Sequence[bool] = (True, False)
    intercept_penalty: Numbers = (0.0, 0.3, 1.0, 3.0)
    popularity_discount: Numbers = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
    intercept: str = "history"
    normalize: str | None = "l2"
    activation: str = "identity"
    metric: str = "NDCG"
    one_standard_error: bool = False
    timeout: float | None = None
    random_state: int | np.random.Generator = 0
    device: str = "auto"
    num_threads: int | None = None

    _from_sums: ClassVar[bool] = True
    _arrays: ClassVar[dict[str, str]] = Autoencoder._arrays

    best_params_: ClassVar[dict[str, Any]]
    best_score_: ClassVar[float]
    cv_results_: ClassVar[list[dict[str, Any]]]

    def to_estimator(self) -> NCEAutoRec:
        """Return the fitted `NCEAutoRec` with the parameters that were chosen.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        self._require_fitted()
        state = vars(self)
        plain = self._plain(state["fitted_params_"], state["best_params_"])
        plain.num_threads = self.num_threads
        plain.__dict__.update(without_choice(state))
        plain.fitted_params_ = plain.get_params()
        return plain

    def embed(self, user_items: UserItems) -> FloatArray:
        """Return the hidden units of histories, float32 (q, factors)."""
        return self.to_estimator().embed(user_items)

    # --- the fit ------------------------------------------------------------------------------------------------------

    def _fit(self, run: FitRun) -> dict[str, Any]:
        rng = copy.deepcopy(check_random_state(self.random_state))
        part = run.split(rng) if run.validation is None else run.on(run.known, run.validation)
        users = int(np.count_nonzero(run.known.row_lengths()))
        counts = part.item_counts

        def target(point: Point) -> SquaredError:
            return weighted_error(counts, users, 0, **point)

        search = PathSearch(
            part, target, self._grids(), self._outer(), self.metric, self.normalize, self.intercept, rng, self.timeout
        )
        outer, best = search.best(self.one_standard_error)
        chosen = outer | _parameters(best.setting) | {"popularity_discount": best.discount}
        rows = [
            {**outer, **_parameters(row.setting), "popularity_discount": row.discount, "metric": row.metric,
             "standard_error": row.standard_error, "users": len(row.values)}
            for judged in (*search.tried.values(), *search.decided.values()) for row in judged
        ]  # fmt: skip
        if len(rows) > 1 and len({row["metric"] for row in rows}) == 1:
            warn_caller(
                f"{self.metric} is {best.metric:g}, the same for all {len(rows)} settings that were tried: it chose "
                "nothing; use another `metric`, or more data"
            )
        del search, part  # before the memory for the fit is taken
        fitted = self._plain(self.get_params(), chosen)._fit(run.on(run.known, None))
        return fitted | {"best_params_": chosen, "best_score_": best.metric, "cv_results_": rows}

    @staticmethod
    def _plain(params: dict[str, Any], chosen: dict[str, Any]) -> NCEAutoRec:
        """Return the unfitted plain model with chosen parameters."""
        others = "normalize", "intercept", "activation", "metric", "random_state", "device", "num_threads"
        return NCEAutoRec(**{name: params[name] for name in others}, **chosen)

    def _grids(self) -> Grids:
        """Return the grids of what a path holds, ascending, so that no result depends on their order."""
        intercepts = _grid("fit_intercept", self.fit_intercept, check_bool)
        penalties = _grid("intercept_penalty", self.intercept_penalty, _not_negative)
        return {
            "factors": _grid("factors", self.factors, _factors),
            "spectrum_power": _grid("spectrum_power", self.spectrum_power, check_real),
            "dropout": _grid("dropout", self.dropout, check_rate),
            "regularization": _grid("regularization", self.regularization, _not_negative),
            "intercept_penalty": (penalties if True in intercepts else ()) + ((None,) if False in intercepts else ()),
            "popularity_discount": _grid("popularity_discount", self.popularity_discount, check_real),
        }

    def _outer(self) -> Grids:
        return {
            "target": _grid("target", self.target, _target),
            "beta": _grid("beta", self.beta, check_real),
            "numerator": _grid("numerator", self.numerator, _numerator),
            "user_weight": _grid("user_weight", self.user_weight, _not_negative),
        }

    def _adapt_to(self, n_vectors: int) -> None:
        given = _grid("factors", self.factors, _factors)
        self.factors = fitting(given, n_vectors)
        if self.factors[-1] > n_vectors:
            raise ValueError(
                f"`factors` holds {self.factors[-1]}, but the data have at most {n_vectors} singular vectors, the "
                "smaller of users with interactions and items; use smaller values, or leave `factors` out"
            )

    # --- what a fitted model computes with ----------------------------------------------------------------------------

    def _as_fitted(self) -> Any:
        plain = self.to_estimator()
        if self._indexes is None:
            self._indexes = Indexes()
        plain._indexes = self._indexes
        return plain

    def _scorer(self) -> Scorer:
        return self.to_estimator()._scorer()

    def _contributions(self) -> EncoderParts:
        return self.to_estimator()._contributions()

    def _item_vectors(self) -> FloatArray:
        return self.to_estimator()._item_vectors()

    @classmethod
    def _with_params(cls, params: dict[str, Any]) -> Self:
        return super()._with_params({k: tuple(v) if isinstance(v, list) else v for k, v in params.items()})

    # --- checks and plans ---------------------------------------------------------------------------------------------

    def _check_params(self) -> None:
        self._grids(), self._outer()
        check_choice("intercept", self.intercept, INTERCEPTS)
        check_choice("normalize", self.normalize, ("l2", None))
        if self.activation != "identity":
            raise ValueError(
                f"`activation` must be 'identity', whose exact solutions share one pass over the data, got "
                f"{self.activation!r}; for others use far.tune(far.NCEAutoRec(activation=...), train, validation)"
            )
        check_metric(self.metric)
        check_bool("one_standard_error", self.one_standard_error)
        if self.timeout is not None:
            check_real("timeout", self.timeout, 0)
        check_random_state(self.random_state)

    def _plan(self, m: int, n: int, nnz: int) -> Plan:
        """Return the plan of the search, which needs more than the fit after it."""
        k = _grid("factors", self.factors, _factors)[-1]
        return plan_of_path(type(self).__name__, k, self.num_threads, m, n, nnz)


def _grid(name: str, given: Any, check: Callable[[str, Any], Any]) -> tuple[Any, ...]:
    """Return the values of a grid, ascending."""
    return tuple(sorted(check_grid(name, given, check, "value")))


def _factors(name: str, value: Any) -> int:
    return value if isinstance(value, Default) else check_int(name, value, 1)


def _not_negative(name: str, value: Any) -> float:
    return check_real(name, value, 0)


def _target(name: str, value: Any) -> str:
    check_choice(name, value, TARGETS)
    return str(value)


def _numerator(name: str, value: Any) -> str:
    check_choice(name, value, NUMERATORS)
    return str(value)


def _parameters(setting: Setting) -> dict[str, Any]:
    """Return the parameters of `NCEAutoRec` for a setting of a path."""
    penalty = setting.intercept_penalty
    return {
        **vars(setting),
        "factors": int(setting.factors),
        "fit_intercept": penalty is not None,
        "intercept_penalty": penalty or 0.0,
    }
