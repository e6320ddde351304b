"""Search for good parameters on validation data: `tune`."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Container
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from fastautorec._checks import check_bool, check_int, check_metric, check_penalties, check_random_state, check_real
from fastautorec._compute.csr import singular_vectors
from fastautorec._compute.inputs import UserItems, check_user_items
from fastautorec._extras import require
from fastautorec._training import checkpoint as _checkpoint
from fastautorec._training.run import held_out_metric, open_bar
from fastautorec._types import BasePruner, Study
from fastautorec.data import _identity as identity
from fastautorec.exceptions import DivergedError
from fastautorec.models import Recommender
from fastautorec.tuning._journal import damaged, open_journal
from fastautorec.tuning._result import TuningResult
from fastautorec.tuning._sampler import counted_sampler
from fastautorec.tuning._space import (
    Space,
    all_points,
    check_choices,
    check_kinds,
    check_space,
    chooses_penalty,
    count_points,
    distributions,
    own_point,
)
from fastautorec.tuning._trials import check_study, key_of, params_of, quiet, row_of

_log = logging.getLogger("fastautorec")

WARM_UP = 5  # trials, and epochs of each trial, that the default pruner does not touch
MAX_REPEATS = 3  # proposals in a row that were tried before; then one is drawn blindly
MAX_BLIND = 100  # repeated points in a row, where points cannot be counted: then nothing new is left
MAX_LISTED = 100_000  # points of a space of which those that are left are listed


def tune(
    model: type[Recommender] | Recommender,
    train: UserItems,
    validation: UserItems,
    space: Space | None = None,
    n_trials: int = 30,
    timeout: float | None = None,
    *,
    metric: str = "NDCG",
    storage: str | PathLike[str] | None = None,
    study_name: str | None = None,
    pruner: BasePruner | None = None,
    study: Study | None = None,
    random_state: int | np.random.Generator = 0,
    show_progress: bool = False,
) -> TuningResult:
    """Search for the parameters of a model that do best on validation data, by Optuna's tree of Parzen estimators.

    Trial 0 has the parameters of the model itself, usually its defaults, as far as the space holds them. Models that
    are trained by epochs report each one to a pruner, which ends trials that fall behind. Where one fit can try several
    values of ``regularization`` (the AutoRec family, DLAE, NCE-PLRec), a list of them is tried within each trial and
    takes no part in the search.

    Parameters
    ----------
    model : class or unfitted model
        What to tune. The parameters of a model that are not searched stay as they are.
    train, validation : Interactions or scipy sparse (m, n)
        As for ``fit``: compared by their ids, where both have some.
    space : dict, optional
        For each parameter a list of choices, ``(low, high)``, ``(low, high, "log")`` or a distribution of Optuna; two
        integers make a range of integers. By default the grid of the paper (section 4.2.2), where it has one, without
        factors that the data do not allow and without the parameters that are set in ``model``.
    n_trials : int
        Trials of this call; fewer if all choices have been tried. Choices are not tried twice.
    timeout : float, optional
        Seconds after which no trial begins but the first.
    metric : str
        What is maximised: a metric of ``evaluate``, such as "NDCG" (lists of 50), "Recall@20". It stops training too.
    storage : path, optional
        File that keeps the trials. A later call goes on with them, and several processes may share it at a time. A last
        line that was cut, as when a process is killed, is dropped with a warning.
    study_name : str, optional
        Name of the search in the file, by default the model's class.
    pruner : optuna.pruners.BasePruner, optional
        By default the median rule, after five trials and five epochs.
    study : optuna.study.Study, optional
        A study of your own, with its sampler, pruner and storage, in place of ``storage``, ``study_name``, ``pruner``
        and ``random_state``: a new one that maximises, or one that an earlier call with the same data and space used.
    random_state : int or numpy.random.Generator
        Seed of the search; trial i proposes the same after the same earlier trials, interrupted or not. Models keep
        their own seeds.
    show_progress : bool
        Show a progress bar.

    Returns
    -------
    TuningResult
        The best parameters, all trials and a model of the best ones.

    Raises
    ------
    ImportError
        If Optuna is not installed: ``pip install 'fastautorec[tune]'``.
    TypeError, ValueError
        If an argument is not usable, if ``storage`` is no journal of a search, is damaged, or holds another search of
        that name, if ``study`` minimises or holds trials of something else, or if no trial was completed.
        A single trial that fails is recorded with its message.
    FileNotFoundError
        If there is no folder for ``storage``.

    Examples
    --------
    >>> import fastautorec as far
    >>> few = far.datasets.synthetic(300, 100, 3000, random_state=0)
    >>> train, validation, test = far.split(few, by="random")
    >>> result = far.tune(far.EASE, train, validation, {"regularization": (1.0, 1000.0, "log")}, n_trials=5)
    >>> len(result.trials)
    5
    >>> model = result.refit(train + validation)

    A study of your own:

    >>> import optuna
    >>> study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=1))
    >>> result = far.tune(far.EASE, train, validation, {"regularization": (1.0, 1000.0)}, n_trials=3, study=study)
    >>> study.best_value == result.best_metric
    True
    >>> study.trials[0].params["regularization"] == far.EASE().regularization
    True
    """
    optuna = require("optuna", "tune", "tune")
    template = model() if isinstance(model, type) else model
    if not isinstance(template, Recommender):
        raise TypeError(f"`model` must be a model of fastautorec or its class, got {type(template).__name__}")
    check_metric(metric)
    check_int("n_trials", n_trials, 1)
    if timeout is not None:
        check_real("timeout", timeout, 0)
    seed = int(check_random_state(random_state).integers(2**31))
    name = study_name or type(template).__name__
    if study is not None:
        check_study(study, optuna, {"storage": storage, "study_name": study_name, "pruner": pruner})
    search = _Search(optuna, template, train, validation, space, metric, seed)
    if study is None:
        search.open(storage, name, pruner)
    else:
        search.take(study)
    search.run(n_trials, timeout, check_bool("show_progress", show_progress))
    return search.result()


class _Search:
    """One call of `tune`."""

    def __init__(
        self,
        optuna: Any,
        template: Recommender,
        train: Any,
        validation: Any,
        space: Space | None,
        metric: str,
        seed: int,
    ) -> None:
        validation = identity.aligned("validation", validation, "train", train)
        own, held_out = check_user_items("train", train, fitting=True), check_user_items("validation", validation)
        identity.check_shape("validation", held_out, own.shape, "train")
        self._optuna, self._template, self._train, self._validation = optuna, template, train, validation
        self._metric, self._seed = metric, seed
        space = check_space(space, template, singular_vectors(own))
        self._fixed: dict[str, Any] = {"metric": metric} if "metric" in template.get_params() else {}
        if chooses_penalty(template) and isinstance(space.get("regularization"), list):
            penalties = check_choices("regularization", space.pop("regularization"))
            check_penalties(penalties)
            self._fixed["regularization"] = penalties
        self._space = distributions(space, optuna)
        check_kinds(self._space, template)
        self._own_point = own_point(self._space, template, singular_vectors(own))
        self._n_points = count_points(self._space)
        self._identity = _checkpoint.identity(
            type(template).__name__, {**template.get_params(), **self._fixed}, own, held_out
        )
        to_json = optuna.distributions.distribution_to_json
        self._identity |= {
            "ids": identity.fingerprint(train),
            "metric": metric,
            "space": {name: to_json(kind) for name, kind in self._space.items()},
        }
        self._best: tuple[int, float, Recommender] | None = None  # number, value and model of this call's best trial

    def open(self, storage: str | PathLike[str] | None, name: str, pruner: Any) -> None:
        """Make the study, or open the one in the file."""
        optuna = self._optuna
        path = None if storage is None else Path(storage).absolute()  # a callback may change the current folder
        journal = None if path is None else open_journal(path, optuna)
        self._sampler = counted_sampler(optuna, self._seed)
        self._sampler.first = self._own_point
        with quiet(optuna):
            self._study = optuna.create_study(
                storage=journal,
                study_name=name,
                direction="maximize",
                sampler=self._sampler,
                pruner=pruner or optuna.pruners.MedianPruner(n_startup_trials=WARM_UP, n_warmup_steps=WARM_UP),
                load_if_exists=True,
            )
        if path is not None and self._holds_strange_trials():
            raise damaged(path, f"the search {name!r} has trials, but not what was searched")
        self._mark("storage", "use another `study_name` or file")
        if path is None:
            return
        for trial in self._finished():
            if trial.state != optuna.trial.TrialState.FAIL and (missing := self._missing(trial)):
                raise damaged(path, f"trial {trial.number} of {name!r} lacks {', '.join(sorted(missing))}")

    def take(self, study: Any) -> None:
        """Take the study of a user."""
        self._study, self._sampler = study, None
        if self._holds_strange_trials():
            raise ValueError("`study` must be new or of an earlier call of tune, got one with trials of something else")
        self._mark("study", "make another")
        if not study.get_trials(deepcopy=False):
            study.enqueue_trial(self._own_point)

    def _holds_strange_trials(self) -> bool:
        return "search" not in self._study.user_attrs and bool(self._study.get_trials(deepcopy=False))

    def _mark(self, where: str, way_on: str) -> None:
        """Note in the study what is searched; raise if something else is."""
        stored = self._study.user_attrs.get("search")
        if stored is None:
            self._study.set_user_attr("search", self._identity)
            return
        for what, value in self._identity.items():
            if stored.get(what) != value:
                raise ValueError(
                    f"`{where}` holds a search {self._study.study_name!r} that differs in its {what}; {way_on}"
                )

    def _missing(self, trial: Any) -> set[str]:
        """Return the parameters that a trial in the file lacks."""
        complete = trial.state == self._optuna.trial.TrialState.COMPLETE
        chosen = {"regularization"} & self._fixed.keys() if complete else set()
        return (self._space.keys() | chosen) - params_of(trial).keys()

    def run(self, n_trials: int, timeout: float | None, show_progress: bool) -> None:
        """Make trials."""
        deadline = math.inf if timeout is None else time.perf_counter() + timeout
        with open_bar(show_progress, total=n_trials, desc=f"tune {type(self._template).__name__}") as bar:
            for done in range(n_trials):
                trial = self._propose(deadline) if done == 0 or time.perf_counter() < deadline else None
                if trial is None:
                    break
                self._trial(trial)
                self._log_end(trial.number)
                bar.update()
                if self._best is not None:
                    bar.set_postfix_str(f"best {self._metric} {self._best[1]:.4f}", refresh=False)

    def result(self) -> TuningResult:
        """Return what was found, by this call and by others in the same file."""
        trials = self._finished()
        rows = [row_of(trial) for trial in trials]
        complete = [trial for trial in trials if trial.state == self._optuna.trial.TrialState.COMPLETE]
        if not complete:
            failed = [row["error"] for row in rows if row["state"] == "failed"]
            if not failed:
                raise ValueError(f"the pruner ended all {len(rows)} trials; let it wait for the first ones")
            raise ValueError(f"no trial was completed, {len(failed)} of {len(rows)} failed; the first one: {failed[0]}")
        best = max(complete, key=lambda trial: (trial.value, -trial.number))
        params = params_of(best)
        if self._best is not None and self._best[0] == best.number:
            model = self._best[2]
        else:
            model = self._make(params).fit(self._train, validation=self._validation)
        return TuningResult(model, params, float(best.value), self._metric, rows)

    # --- one trial ----------------------------------------------------------------------------------------------------

    def _propose(self, deadline: float) -> Any:
        """Return a trial with new parameters, or None if none are left or there is no time to look for them.

        Trials with the parameters of earlier ones get their results at once.
        """
        study, repeats = self._study, 0
        while repeats < MAX_BLIND:
            tried = self._tried()
            if self._n_points is not None and len(tried) >= self._n_points:
                return None
            self._help(repeats >= MAX_REPEATS, tried)
            trial = study.ask(self._space)
            earlier = tried.get(key_of(trial.params))
            if earlier is None:
                return trial
            trial.set_user_attr("repeats", earlier.number)
            for step, value in earlier.intermediate_values.items():
                trial.report(value, step)
            complete = earlier.state == self._optuna.trial.TrialState.COMPLETE
            study.tell(trial, earlier.value if complete else None, earlier.state)
            if time.perf_counter() >= deadline:
                return None
            repeats += 1
        return None

    def _help(self, stuck: bool, tried: Container[Any]) -> None:
        """Let a sampler that proposes what was tried draw blindly; one of the user is given a point that is left."""
        points = self._left(tried) if stuck else []
        if self._sampler is not None:
            self._sampler.blind, self._sampler.points = stuck, points
        elif points:
            self._study.enqueue_trial(points[0])

    def _left(self, tried: Container[Any]) -> list[dict[str, Any]]:
        """Return the points that have not been tried, where there are few enough to list them."""
        if self._n_points is None or self._n_points > MAX_LISTED:
            return []
        return [point for point in all_points(self._space) if key_of(point) not in tried]

    def _finished(self) -> list[Any]:
        """Return the finished trials, without repeats and without those that were interrupted."""
        states = self._optuna.trial.TrialState
        finished = self._study.get_trials(deepcopy=False, states=(states.COMPLETE, states.PRUNED, states.FAIL))
        own = [trial for trial in finished if "repeats" not in trial.user_attrs]
        return [trial for trial in own if trial.state != states.FAIL or "error" in trial.user_attrs]

    def _tried(self) -> dict[tuple[tuple[str, Any], ...], Any]:
        """Return the finished trials by their parameters."""
        return {key_of(trial.params): trial for trial in self._finished()}

    def _trial(self, trial: Any) -> None:
        """Fit and judge a model, and tell the study."""
        study, failed = self._study, self._optuna.trial.TrialState.FAIL
        try:
            model = self._make(trial.params)
            model.fit(self._train, validation=self._validation, callbacks=[self._reporter(trial)])
            value = held_out_metric(model, self._train, self._validation, self._metric)
        except self._optuna.TrialPruned:
            study.tell(trial, state=self._optuna.trial.TrialState.PRUNED)
            return
        except (ValueError, DivergedError) as error:
            trial.set_user_attr("error", str(error))
            study.tell(trial, state=failed)
            return
        except BaseException:
            study.tell(trial, state=failed)
            raise
        if chooses_penalty(model) and (penalty := getattr(model, "regularization_", None)) is not None:
            trial.set_user_attr("regularization", float(penalty))
        study.tell(trial, value)
        if self._best is None or value > self._best[1]:
            self._best = trial.number, value, model

    def _log_end(self, number: int) -> None:
        if _log.isEnabledFor(logging.INFO):
            (row,) = (row_of(trial) for trial in self._study.get_trials(deepcopy=False) if trial.number == number)
            value = "" if row["metric"] is None else f", {self._metric} {row['metric']:.4f}"
            model, chosen = type(self._template).__name__, {name: row[name] for name in self._space}
            _log.info("tune %s: trial %d %s%s, %s", model, number, row["state"], value, chosen)

    def _make(self, params: dict[str, Any]) -> Recommender:
        return type(self._template)(**{**self._template.get_params(), **self._fixed, **params})

    def _reporter(self, trial: Any) -> Any:
        """Return a callback that reports the metric of each epoch and raises where the pruner says so."""
        steps = 0

        def report(record: dict[str, Any]) -> None:
            nonlocal steps
            if record["epoch"] and "metric" in record:
                steps += 1
                trial.report(record["metric"], steps)
                if trial.should_prune():
                    raise self._optuna.TrialPruned

        return report
