"""Models compared over several splits of the same data: `cross_validate`."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import replace
from typing import Any

import numpy as np

from fastautorec._checks import check_bool, check_choice, check_cutoffs, check_int, check_random_state, kind
from fastautorec._compute.inputs import UserItems, check_user_items
from fastautorec._compute.protocol import DEFINITIONS
from fastautorec._training.run import open_bar
from fastautorec.data import _identity as identity
from fastautorec.data._splits import deal
from fastautorec.data._splitting import take_entries
from fastautorec.evaluation import Comparison, Metric, Report, evaluate
from fastautorec.evaluation._compare import holm, paired_difference
from fastautorec.evaluation._evaluate import DEFAULT_K
from fastautorec.evaluation._metric import half_width
from fastautorec.evaluation._tables import interval, table_lines
from fastautorec.models import Recommender

Folds = Iterable[tuple[Any, Any]]


class PooledReport(Mapping[str, Metric]):
    """One model over all folds: a mapping from metric names to `Metric`, as a report is.

    Attributes
    ----------
    reports : tuple of Report
        One for each fold.
    users : ndarray (n_users,), int64
        Rows of the users who were evaluated in some fold, ascending.
    n_users : int
    popularity : Metric
        As in `Report`, pooled likewise.

    Notes
    -----
    A user's value is the mean over the folds in which the user was evaluated, and means and intervals are over users.
    The values of one user in several folds are not independent observations: an interval over all of them would be too
    narrow.
    """

    def __init__(self, reports: Sequence[Report]) -> None:
        self.reports = tuple(reports)
        self.users = np.unique(np.concatenate([report.users for report in reports]))
        self.n_users = len(self.users)
        self._metrics = {name: self._pooled([report[name] for report in reports]) for name in reports[0]}
        self.popularity = self._pooled([report.popularity for report in reports])

    def _pooled(self, metrics: Sequence[Metric]) -> Metric:
        total, count = np.zeros((2, self.n_users))
        for report, metric in zip(self.reports, metrics, strict=True):
            known = ~np.isnan(metric.per_user)  # popularity of an empty list
            places = np.searchsorted(self.users, report.users[known])
            total[places] += metric.per_user[known]
            count[places] += 1
        values = np.divide(total, count, out=np.full(self.n_users, np.nan), where=count > 0)
        known_values = values[count > 0]
        paper = self.reports[0].definition == "paper"  # which divides by all rows of the matrix
        half = half_width(known_values, 0, self.reports[0].n_rows) if paper else half_width(known_values)
        return Metric(metrics[0].name, values, float(known_values.mean()) if len(known_values) else np.nan, half)

    def __getitem__(self, name: str) -> Metric:
        try:
            return self._metrics[name]
        except KeyError:
            raise KeyError(f"{name!r} was not measured; there are {', '.join(self._metrics)}") from None

    def metric(self, metric: str) -> Metric:
        """Return a metric by name, pooled over the folds.

        Parameters
        ----------
        metric : str
            As in `Report.metric`.

        Returns
        -------
        Metric
            Its mean, half-width and the values of the users.

        Raises
        ------
        ValueError
            As `Report.metric` does.
        """
        return self._pooled([report.metric(metric) for report in self.reports])

    def __iter__(self) -> Iterator[str]:
        return iter(self._metrics)

    def __len__(self) -> int:
        return len(self._metrics)

    def __repr__(self) -> str:
        ndcg = self["NDCG"]
        folds, figure = len(self.reports), interval(ndcg.mean, ndcg.half_width)
        return f"<PooledReport of {folds} folds, {self.n_users} users, NDCG {figure}>"


class CrossValidation(Mapping[str, PooledReport]):
    """Result of `cross_validate`: a mapping from the names of models to `PooledReport`; prints as a table."""

    def __init__(self, reports: Mapping[str, Sequence[Report]]) -> None:
        self._pooled = {name: PooledReport(own) for name, own in reports.items()}

    def compare(self, model: str | None = None, other: str | None = None) -> Comparison:
        """Compare two of the models in pairs, each user's mean over the folds with that of the other model.

        Parameters
        ----------
        model, other : str, optional
            Names; where there are two models, by default the first and the second.

        Returns
        -------
        Comparison
            Of ``model`` minus ``other``, as `compare` returns it.

        Raises
        ------
        ValueError
            For a name that no model has, or no name where there are not two models.
        """
        names = list(self)
        if model is None and other is None and len(names) == 2:
            model, other = names
        for argument, name in (("model", model), ("other", other)):
            if name not in names:
                raise ValueError(f"`{argument}` must name one of the models, {', '.join(names)}, got {name!r}")
        a, b = self[str(model)], self[str(other)]
        raw = [paired_difference(a[name], b[name]) for name in a]
        adjusted = holm(np.array([d.p_value for d in raw]))
        differences = {d.name: replace(d, p_adjusted=float(p)) for d, p in zip(raw, adjusted, strict=True)}
        popularity = paired_difference(a.popularity, b.popularity)
        return Comparison(differences, popularity, a.n_users, (str(model), str(other)))

    def __getitem__(self, name: str) -> PooledReport:
        try:
            return self._pooled[name]
        except KeyError:
            raise KeyError(f"no model {name!r}; there are {', '.join(self._pooled)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._pooled)

    def __len__(self) -> int:
        return len(self._pooled)

    def __repr__(self) -> str:
        return f"<CrossValidation of {', '.join(self)}>"

    def __str__(self) -> str:
        first = next(iter(self.values()))
        cutoff = first.reports[0].k[-1]
        metrics = ("NDCG", "R-Precision", f"Recall@{cutoff}")
        title = f"{len(first.reports)} folds, {first.n_users:,} users; 95 % intervals over users' means of their folds"
        rows = [["", *metrics]]
        for name, pooled in self.items():
            rows.append([name, *(interval(pooled[metric].mean, pooled[metric].half_width) for metric in metrics)])
        return "\n".join([title, *table_lines(rows)])


def cross_validate(
    models: Recommender | Sequence[Recommender] | Mapping[str, Recommender],
    data: UserItems | None = None,
    folds: int | Folds = 5,
    *,
    k: int | tuple[int, ...] = DEFAULT_K,
    definition: str = "standard",
    random_state: int | np.random.Generator = 0,
    show_progress: bool = False,
) -> CrossValidation:
    """Fit and evaluate models on several splits of the same data.

    Parameters
    ----------
    models : recommender, sequence of them, or dict of names and recommenders
        Each is copied with its parameters, unfitted, for each fold; they stay as they are. A sequence names them by
        their ``repr``.
    data : Interactions or scipy sparse (m, n), optional
        Needed where ``folds`` is a number.
    folds : int or iterable of (train, test)
        A number: each user's interactions are dealt at random into so many parts of equal size, up to one interaction;
        each part is the test data once, and the others together the training data. Or the splits themselves, such as
        ``far.rolling(data, period)``, of the same users and items: for data with times that is closer to service, as no
        training interaction is later than a test one. An iterator is used up.
    k, definition
        As in `evaluate`.
    random_state : int or Generator
        Seed of the dealing.
    show_progress : bool
        Show a progress bar over all fits.

    Returns
    -------
    CrossValidation
        ``result["EASE()"]["NDCG"].mean``, ``.half_width``, ``.per_user``; ``.reports`` of a model has one of each fold;
        ``result.compare("a", "b")`` compares two models in pairs; ``print(result)`` shows a table.

    Raises
    ------
    TypeError, ValueError
        For what is no model, two of one name, a number of folds below 2, no folds, folds of other users or items than
        the first one, and whatever ``fit`` and `evaluate` refuse.

    See Also
    --------
    fastautorec.rolling : Windows of time, for ``folds``.
    fastautorec.split : One split.
    fastautorec.compare : The comparison of two reports.

    Examples
    --------
    >>> import fastautorec as far
    >>> few = far.datasets.synthetic(300, 100, 6000, random_state=0)
    >>> result = far.cross_validate({"EASE": far.EASE(), "popularity": far.Popularity()}, few, folds=3, k=10)
    >>> len(result["EASE"].reports), result["EASE"].n_users
    (3, 300)
    >>> result.compare()["NDCG"].difference > 0
    True
    """
    named = named_models(models)
    check_cutoffs(k)
    check_choice("definition", definition, DEFINITIONS)
    splits, total = _folds(data, folds, random_state)
    reports: dict[str, list[Report]] = {name: [] for name in named}
    first: Any = None
    fits, show = total and total * len(named), check_bool("show_progress", show_progress)
    with open_bar(show, total=fits, desc="cross_validate", unit=" fits") as bar:
        for number, pair in enumerate(splits, 1):
            train, test = _pair(number, pair)
            first = train if first is None else first
            train = identity.aligned(f"train of fold {number}", train, "train of fold 1", first)
            identity.check_shape(
                f"train of fold {number}", check_user_items("train", train), first.shape, "train of fold 1"
            )
            for name, model in named.items():
                fitted = type(model)(**copy.deepcopy(model.get_params())).fit(train)
                reports[name].append(evaluate(fitted, train, test, k=k, definition=definition))
                bar.update()
    if first is None:
        raise ValueError("`folds` must hold at least one pair of training and test data, got none")
    return CrossValidation(reports)


def named_models(models: Any) -> dict[str, Recommender]:
    """Return models by name, which is their ``repr`` where a user gave none."""
    if isinstance(models, Mapping):
        named = dict(models)
    else:
        several = list(models) if isinstance(models, Sequence) and not isinstance(models, str) else [models]
        named = {}
        for model in several:
            if repr(model) in named:
                raise ValueError(f"`models` must differ, got {model!r} twice; name them in a dict")
            named[repr(model)] = model
    for name, model in named.items():
        if not isinstance(model, Recommender):
            call = f", such as {model.__name__}()" if isinstance(model, type) else ""
            raise TypeError(f"`models` must be recommenders of this library{call}, got {kind(model)} for {name!r}")
        if not isinstance(name, str):
            raise TypeError(f"`models` must have texts for names, got {name!r}")
    if not named:
        raise ValueError("`models` must hold at least one recommender, got none")
    return named


def _folds(data: Any, folds: Any, random_state: Any) -> tuple[Folds, int | None]:
    """Return the pairs of training and test data, and how many there are where that is known."""
    if isinstance(folds, Iterable) and not isinstance(folds, str):
        if data is not None:
            raise ValueError("`data` must be None where `folds` are splits already: they hold the data")
        return folds, len(folds) if isinstance(folds, Sized) else None
    n_folds, rng = check_int("folds", folds, 2), check_random_state(random_state)
    csr = check_user_items("data", data, fitting=True)
    part = deal(csr, n_folds, rng)
    pairs = ((take_entries(data, csr, part != n), take_entries(data, csr, part == n)) for n in range(n_folds))
    return pairs, n_folds


def _pair(number: int, given: Any) -> tuple[Any, Any]:
    try:
        train, test = given
    except (TypeError, ValueError):
        raise TypeError(f"`folds` must be pairs of training and test data, got {kind(given)} as no. {number}") from None
    return train, test
