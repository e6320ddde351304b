from __future__ import annotations

import inspect
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import fastautorec as far
from fastautorec._training.run import held_out_metric
from fastautorec.exceptions import DivergedError
from fastautorec.tuning._space import DEFAULTS, default_space

optuna = pytest.importorskip("optuna", reason="the search is Optuna's")

Parts = tuple[sparse.csr_matrix, sparse.csr_matrix, sparse.csr_matrix]


def without_times(result: far.TuningResult) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in result.trials]


# --- the search --------------------------------------------------------------------------------------------------


def test_finds_the_best_of_a_range(parts: Parts) -> None:
    train, validation, _ = parts
    result = far.tune(far.EASE, train, validation, {"regularization": (0.1, 1e5, "log")}, n_trials=25)
    grid = [far.EASE(regularization=v).fit(train) for v in np.geomspace(0.1, 1e5, 40)]
    best = max(held_out_metric(model, train, validation, "NDCG") for model in grid)
    assert result.best_metric > best - 0.003
    assert result.best_params == {"regularization": result.best_model.regularization}
    assert held_out_metric(result.best_model, train, validation, "NDCG") == result.best_metric
    assert result.best_metric == max(row["metric"] for row in result.trials)


def test_choices_are_tried_once_each_and_then_it_ends(parts: Parts) -> None:
    train, validation, _ = parts
    space = {"factors": [4, 8], "beta": [0.8, 1.0, 1.2]}
    result = far.tune(far.NCEPLRec(regularization=0.3), train, validation, space, n_trials=50)
    tried = [(row["factors"], row["beta"]) for row in result.trials]
    assert sorted(tried) == [(k, b) for k in (4, 8) for b in (0.8, 1.0, 1.2)]
    expected = max(
        held_out_metric(far.NCEPLRec(k, b, regularization=0.3).fit(train), train, validation, "NDCG") for k, b in tried
    )
    assert result.best_metric == expected


def test_penalties_are_tried_within_one_fit(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    train, validation, _ = parts
    fits = []
    original = far.NCEAutoRec.fit
    monkeypatch.setattr(far.NCEAutoRec, "fit", lambda self, *a, **k: fits.append(self) or original(self, *a, **k))
    space = {"factors": [4, 8], "regularization": [0.01, 0.1, 1.0, 10.0]}
    result = far.tune(far.NCEAutoRec, train, validation, space)
    assert len(fits) == len(result.trials) == 2
    singles = {
        value: held_out_metric(
            original(far.NCEAutoRec(result.best_params["factors"], regularization=value), train),
            train, validation, "NDCG",
        )
        for value in space["regularization"]
    }  # fmt: skip
    assert result.best_params["regularization"] == max(singles, key=lambda value: singles[value])
    assert result.best_metric == pytest.approx(max(singles.values()))


def test_dlae_is_tuned_over_the_grids_of_dlae_cv(parts: Parts) -> None:
    train, validation, _ = parts
    model = far.DLAE(prior=0.0, input_weight=0.0, target_weight=0.0, popularity_discount=0.0)
    result = far.tune(model, train, validation, n_trials=3)
    assert {*result.best_params} == {"denoising", "regularization", "sharpening"}
    again = far.DLAE(**{**model.get_params(), **result.best_params}).fit(train)
    assert far.evaluate(again, train, validation, k=50)["NDCG"].mean == pytest.approx(result.best_metric, abs=1e-5)
    with pytest.raises(ValueError, match="`space` must be given for DLAECV, which has no default space"):
        far.tune(far.DLAECV, train, validation, n_trials=1)


def test_penalties_alone_are_one_trial(parts: Parts) -> None:
    train, validation, _ = parts
    result = far.tune(far.NCEPLRec(factors=8), train, validation, {"regularization": [0.1, 1.0]})
    assert [row["regularization"] for row in result.trials] == [result.best_model.regularization_]


def test_another_metric(parts: Parts) -> None:
    train, validation, _ = parts
    result = far.tune(far.NCEAutoRec(epochs=2), train, validation, {"factors": [4, 8]}, metric="Recall@5")
    assert result.best_model.metric == result.metric == "Recall@5"
    report = far.evaluate(result.best_model, train, validation, k=5)
    assert report["Recall@5"].mean == pytest.approx(result.best_metric)


def test_epochs_are_reported_and_pruned(parts: Parts) -> None:
    train, validation, _ = parts

    class AfterTwo(optuna.pruners.BasePruner):  # type: ignore[misc]
        def prune(self, study: Any, trial: Any) -> bool:
            return trial.number >= self.first and trial.last_step >= 2

        def __init__(self, first: int) -> None:
            self.first = first

    model = far.AutoRec(factors=4, epochs=4, patience=9)
    space = {"learning_rate": (1e-3, 1e-2)}
    result = far.tune(model, train, validation, space, n_trials=3, pruner=AfterTwo(1))
    assert [row["state"] for row in result.trials] == ["complete", "pruned", "pruned"]
    assert [row["epochs"] for row in result.trials] == [4, 2, 2]
    again = far.AutoRec(factors=4, epochs=4, patience=9, **result.best_params).fit(train, validation=validation)
    assert result.trials[0]["metric"] == max(record["metric"] for record in again.history_ if record["epoch"])
    with pytest.raises(ValueError, match="the pruner ended all 2 trials"):
        far.tune(model, train, validation, space, n_trials=2, pruner=AfterTwo(0))


def test_failed_trials_are_recorded(parts: Parts) -> None:
    train, validation, _ = parts
    result = far.tune(far.PureSVD, train, validation, {"factors": [5, 5000]})
    by_factors = {row["factors"]: row for row in result.trials}
    assert by_factors[5]["state"] == "complete"
    assert by_factors[5]["error"] is None
    assert by_factors[5000]["state"] == "failed"
    assert "use fewer factors" in by_factors[5000]["error"]
    assert "use fewer factors" in str(result)


def test_divergence_is_a_failure(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    train, validation, _ = parts

    def diverge(self: Any, run: Any) -> Any:
        raise DivergedError("the loss is nan")

    monkeypatch.setattr(far.EASE, "_fit", diverge)
    with pytest.raises(ValueError, match="no trial was completed, 3 of 3 failed; the first one: the loss is nan"):
        far.tune(far.EASE, train, validation, {"regularization": [1, 2, 3]})


def test_ctrl_c_ends_the_search(parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train, validation, _ = parts
    arguments = {"space": {"regularization": (1.0, 100.0)}, "storage": tmp_path / "journal"}
    whole = far.tune(far.EASE, train, validation, arguments["space"], n_trials=4)
    original, fits = far.EASE._fit, []

    def interrupted(self: Any, run: Any) -> Any:
        fits.append(1)
        if len(fits) == 3:
            raise KeyboardInterrupt
        return original(self, run)

    monkeypatch.setattr(far.EASE, "_fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        far.tune(far.EASE, train, validation, n_trials=9, **arguments)
    result = far.tune(far.EASE, train, validation, n_trials=1, **arguments)
    assert [row["trial"] for row in result.trials] == [0, 1, 3]  # the interrupted one is no result
    assert result.trials[0]["regularization"] == whole.trials[0]["regularization"]


def test_timeout(parts: Parts) -> None:
    train, validation, _ = parts
    assert len(far.tune(far.EASE, train, validation, n_trials=9, timeout=0).trials) == 1


def test_same_seed_same_search(parts: Parts) -> None:
    train, validation, _ = parts
    one, again, other = (far.tune(far.EASE, train, validation, n_trials=13, random_state=s) for s in (3, 3, 4))
    assert without_times(one) == without_times(again)
    assert one.best_params != other.best_params


# --- a file with the trials --------------------------------------------------------------------------------------


def test_a_later_call_goes_on(parts: Parts, tmp_path: Path) -> None:
    train, validation, _ = parts
    space = {"factors": (2, 30), "beta": (0.5, 1.5)}
    whole = far.tune(far.NCEPLRec, train, validation, space, n_trials=14)
    path = tmp_path / "search.journal"
    first = far.tune(far.NCEPLRec, train, validation, space, n_trials=12, storage=path)
    assert len(first.trials) == 12
    both = far.tune(far.NCEPLRec, train, validation, space, n_trials=2, storage=path)
    assert without_times(both) == without_times(whole)
    np.testing.assert_array_equal(both.best_model.predict(train), whole.best_model.predict(train))
    named = far.tune(far.NCEPLRec, train, validation, {"factors": [9]}, storage=path, study_name="other")
    assert len(named.trials) == 1


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"space": {"regularization": [1.0, 3.0]}}, "space"),
        ({"metric": "Recall@5"}, "metric"),
        ({"model": far.PureSVD, "space": {"factors": [3]}, "study_name": "EASE"}, "model"),
        ({"validation": 1}, "validation data"),
    ],
)
def test_another_search_in_the_file(change: dict[str, Any], what: str, parts: Parts, tmp_path: Path) -> None:
    train, validation, test = parts
    arguments = {
        "model": far.EASE, "train": train, "validation": validation, "space": {"regularization": [1.0, 2.0]},
        "storage": tmp_path / "search.journal",
    }  # fmt: skip
    far.tune(**arguments)
    if "validation" in change:
        change = {"validation": test}
    with pytest.raises(ValueError, match=f"a search 'EASE' that differs in its {what}; use another `study_name`"):
        far.tune(**{**arguments, **change})


def test_processes_share_a_file(parts: Parts, tmp_path: Path) -> None:
    train, validation, _ = parts
    for name, part in {"train": train, "validation": validation}.items():
        sparse.save_npz(tmp_path / name, part)
    program = (
        "import sys, json, fastautorec as far; from scipy import sparse; "
        "train, validation = (sparse.load_npz(f'{sys.argv[1]}/{name}.npz') for name in ('train', 'validation')); "
        "result = far.tune(far.EASE, train, validation, {'regularization': (1.0, 1000.0)}, n_trials=8, "
        "storage=sys.argv[1] + '/journal'); print(json.dumps(result.trials))"
    )
    command = [sys.executable, "-c", program, tmp_path]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    last = max((json.loads(output) for output in outputs), key=len)
    assert len(last) == 16
    assert len({row["regularization"] for row in last}) == 16


# --- spaces ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(DEFAULTS))
def test_default_spaces_name_parameters_that_exist_and_are_allowed(name: str) -> None:
    cls = getattr(far, name, None) or getattr(far.baselines, name, None)
    if cls is None:
        pytest.skip(f"{name} is not there")
    space = default_space(cls(), 9999)
    assert space.keys() <= inspect.signature(cls).parameters.keys()
    for parameter, values in space.items():
        for value in values if isinstance(values, list) else values[:2]:
            cls().set_params(**{parameter: value})._check_params()


def test_default_space_has_no_more_factors_than_the_data() -> None:
    assert default_space(far.PureSVD(), 60)["factors"] == [10, 20, 50]
    assert default_space(far.PureSVD(), 7)["factors"] == [7]


def test_default_space_leaves_what_is_set() -> None:
    space = default_space(far.NSAutoRec(mode="joint", factors=30), 99)
    assert not space.keys() & {"mode", "factors"}
    assert "mode" in default_space(far.NCEAutoRec(epochs=5), 99)
    assert "mode" not in default_space(far.NCEAutoRec(), 99)
    with pytest.raises(ValueError, match=r"all that is searched by default is set in EASE\(regularization=3\)"):
        default_space(far.EASE(regularization=3), 99)


@pytest.mark.parametrize("name", ["BPR", "WRMF"])
def test_baselines_are_tuned_alike(name: str, parts: Parts) -> None:
    pytest.importorskip("implicit", reason="the models are trained by implicit")
    train, validation, _ = parts
    model = getattr(far.baselines, name)(epochs=4, factors=5)
    result = far.tune(model, train, validation, n_trials=2)
    assert [row["epochs"] > 0 for row in result.trials] == [True, True]


@pytest.mark.parametrize(
    ("space", "error", "message"),
    [
        ({}, ValueError, "at least one parameter, got none"),
        ([1], TypeError, "`space` must be a dict"),
        ({"factors": [1]}, ValueError, "must hold parameters of EASE, got 'factors'; it has regularization"),
        ({"metric": ["NDCG"]}, ValueError, "got 'metric'"),
        ({"regularization": []}, ValueError, "at least one choice"),
        ({"regularization": [[1, 2]]}, ValueError, "must hold numbers, strings, booleans or None"),
        ({"regularization": 5}, ValueError, r"`space\['regularization'\]` must be a list of choices"),
        ({"regularization": (5, 1)}, ValueError, "must be a list of choices"),
        ({"regularization": (0, 1, "log")}, ValueError, "must be a list of choices"),
        ({"regularization": (1, 2, "linear")}, ValueError, "must be a list of choices"),
        ({"regularization": (1, math.inf)}, ValueError, "must be a list of choices"),
    ],
)
def test_bad_spaces(space: Any, error: type[Exception], message: str, parts: Parts) -> None:
    with pytest.raises(error, match=message):
        far.tune(far.EASE, *parts[:2], space)


def test_a_distribution_of_optuna(parts: Parts) -> None:
    space = {"factors": optuna.distributions.IntDistribution(2, 8, step=3)}
    result = far.tune(far.PureSVD, *parts[:2], space, n_trials=3)
    assert {row["factors"] for row in result.trials} <= {2, 5, 8}


def test_bad_arguments(parts: Parts, tmp_path: Path) -> None:
    train, validation, _ = parts
    with pytest.raises(TypeError, match="`model` must be a model of fastautorec or its class, got str"):
        far.tune("EASE", train, validation)
    with pytest.raises(ValueError, match="no default space"):
        far.tune(far.Popularity, train, validation)
    with pytest.raises(ValueError, match="`n_trials` must be >= 1"):
        far.tune(far.EASE, train, validation, n_trials=0)
    with pytest.raises(ValueError, match="`timeout` must be >= 0"):
        far.tune(far.EASE, train, validation, timeout=-1)
    with pytest.raises(ValueError, match="`validation` must have the shape of `train`"):
        far.tune(far.EASE, train, validation[:5])
    with pytest.raises(ValueError, match="`metric` must be"):
        far.tune(far.EASE, train, validation, metric="AUC")
    with pytest.raises(FileNotFoundError, match="no folder"):
        far.tune(far.EASE, train, validation, storage=tmp_path / "absent" / "journal")


def test_without_optuna(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ImportError, match=r"`tune` needs the package optuna; pip install 'fastautorec\[tune\]'"):
        far.tune(far.EASE, *parts[:2])
