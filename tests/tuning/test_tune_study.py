"""A study of the user's own, and the model's own parameters as the first trial."""

from __future__ import annotations

from typing import Any

import pytest

import fastautorec as far
from fastautorec.tuning._space import distributions, own_point

optuna = pytest.importorskip("optuna", reason="tune is made of Optuna")
RANGE = {"regularization": (1.0, 1000.0, "log")}


@pytest.fixture(scope="module")
def parts() -> Any:
    return far.split(far.datasets.synthetic(200, 50, 2000, random_state=0), (0.8, 0.2), by="random")


def new_study(**options: Any) -> Any:
    return optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=1), **options)


def test_trial_0_has_the_models_own_parameters(parts: Any) -> None:
    for study in (None, new_study()):
        result = far.tune(far.EASE(regularization=77.0), *parts, RANGE, n_trials=3, study=study)
        assert result.trials[0]["regularization"] == 77.0
        assert len({row["regularization"] for row in result.trials}) == 3
    expected = far.EASE(regularization=77.0).fit(parts[0])
    assert result.trials[0]["metric"] == far.evaluate(expected, *parts, k=50)["NDCG"].mean


@pytest.mark.parametrize(
    ("space", "own"),
    [
        ({"factors": [10, 300]}, {"factors": 300}),
        ({"factors": [10, 20]}, {}),
        ({"factors": (10, 400)}, {"factors": 300}),
        ({"factors": (10, 200)}, {}),
        ({"factors": (300, 301), "beta": (0.5, 0.6)}, {"factors": 300}),
        ({"factors": optuna.distributions.IntDistribution(10, 358, step=58)}, {"factors": 300}),
        ({"factors": optuna.distributions.IntDistribution(10, 364, step=59)}, {}),
        ({"activation": ["relu", "identity"]}, {"activation": far.NCEAutoRec().activation}),
        ({"dropout": (0.0, 0.9)}, {"dropout": far.NCEAutoRec().dropout}),
    ],
)
def test_as_far_as_the_space_holds_them(space: Any, own: Any) -> None:
    found = own_point(distributions(space, optuna), far.NCEAutoRec(), 1000)
    assert found == own
    assert all(type(value) in (int, float, str) for value in found.values())


def test_defaults_are_those_for_the_data(parts: Any) -> None:
    result = far.tune(far.NCEAutoRec, *parts, {"factors": (2, 400)}, n_trials=1)
    assert result.trials[0]["state"] == "complete"
    assert result.trials[0]["factors"] == 50  # items; the default is larger


def test_sampler_pruner_and_storage_are_those_of_the_study(parts: Any) -> None:
    storage = optuna.storages.InMemoryStorage()
    study = new_study(storage=storage, study_name="mine")
    result = far.tune(far.EASE, *parts, RANGE, n_trials=4, study=study)
    other = new_study()
    other.enqueue_trial({"regularization": far.EASE().regularization})
    drawn = [other.ask(distributions(RANGE, optuna)).params["regularization"] for _ in range(4)]
    assert [row["regularization"] for row in result.trials] == drawn
    assert study.best_value == result.best_metric
    kept = optuna.load_study(study_name="mine", storage=storage)
    assert len(kept.trials) == 4
    more = far.tune(far.EASE, *parts, RANGE, n_trials=2, study=kept)
    assert [row["trial"] for row in more.trials] == [0, 1, 2, 3, 4, 5]


def test_a_queue_of_the_user_comes_first(parts: Any) -> None:
    study = new_study()
    far.tune(far.EASE, *parts, RANGE, n_trials=1, study=study)
    study.enqueue_trial({"regularization": 123.0})
    result = far.tune(far.EASE, *parts, RANGE, n_trials=1, study=study)
    assert result.trials[1]["regularization"] == 123.0


def test_every_choice_is_tried_once_and_then_it_ends(parts: Any) -> None:
    result = far.tune(far.PureSVD, *parts, {"factors": (3, 12)}, n_trials=50, study=new_study())
    assert sorted(row["factors"] for row in result.trials) == list(range(3, 13))


def test_its_pruner_ends_trials(parts: Any) -> None:
    class Always(optuna.pruners.BasePruner):  # type: ignore[misc]
        def prune(self, study: Any, trial: Any) -> bool:
            return bool(trial.number > 0)

    model = far.AutoRec(factors=4, epochs=2)
    result = far.tune(model, *parts, {"dropout": [0.0, 0.5]}, study=new_study(pruner=Always()))
    assert sorted(row["state"] for row in result.trials) == ["complete", "pruned"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"study": 3}, TypeError, r"`study` must be a study of Optuna, got int; optuna.create_study\(...\) makes one"),
        ({"study": "name"}, TypeError, "`study` must be a study of Optuna, got str"),
        ({"study": new_study(), "storage": "x.journal"}, ValueError, "`storage` must be left out where `study` is"),
        ({"study": new_study(), "study_name": "x"}, ValueError, "`study_name` must be left out"),
        ({"study": new_study(), "pruner": optuna.pruners.NopPruner()}, ValueError, "`pruner` must be left out"),
        ({"study": optuna.create_study()}, ValueError, "`study` must have one value and maximise it"),
        ({"study": optuna.create_study(directions=["maximize"] * 2)}, ValueError, "`study` must have one value"),
    ],
)  # fmt: skip
def test_bad_studies(parts: Any, options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        far.tune(far.EASE, *parts, RANGE, n_trials=1, **options)


def test_studies_of_something_else(parts: Any) -> None:
    study = new_study()
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    with pytest.raises(ValueError, match="`study` must be new or of an earlier call of tune, got one with trials of"):
        far.tune(far.EASE, *parts, RANGE, n_trials=1, study=study)
    study = new_study()
    far.tune(far.EASE, *parts, RANGE, n_trials=1, study=study)
    with pytest.raises(ValueError, match=r"`study` holds a search '.*' that differs in its metric; make another"):
        far.tune(far.EASE, *parts, RANGE, n_trials=1, study=study, metric="Recall@5")
    assert len(study.trials) == 1
