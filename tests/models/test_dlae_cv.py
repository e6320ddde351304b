"""DLAECV: every setting that it tries is a fit of DLAE, and what it chooses is the best of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contract import ModelContract, train  # noqa: F401
from scipy import sparse

import fastautorec as far
from fastautorec._compute.inputs import check_user_items
from fastautorec.data._splits import held_out
from fastautorec.data._splitting import take_entries

SMALL = {
    "regularization": [2.0, 64.0],
    "prior": [0.0, 30.0],
    "denoising": 1.0,
    "input_weight": 0.25,
    "sharpening": [0, 1],
}
MILD = {"directions": 20, "regularization": [64.0, 512.0], "prior": [0.0, 3.0]}  # θ₁/λ small: hardly any rounding
PARTS = far.split(far.datasets.synthetic(200, 80, 5000, random_state=1), (0.8, 0.2), by="random")


class TestDLAECV(ModelContract):
    answers_strangers_by_popularity = True

    def make(self, **params: Any) -> far.DLAECV:
        fixed = dict.fromkeys(("input_weight", "target_weight"), 0.25)
        return far.DLAECV(**{
            "regularization": 4.0, "denoising": 1.0, "prior": 3.0, "popularity_discount": 0.1, **fixed, **params
        })  # fmt: skip


@pytest.mark.parametrize("solved", [{"diagonal": "free"}, {"diagonal": "zero"}, MILD])
@pytest.mark.parametrize("wide", [True, False])
def test_tries_what_separate_fits_would_be(solved: dict[str, Any], wide: bool) -> None:
    known, held_out = (part[:60] if wide else part for part in PARTS)
    model = far.DLAECV(**{**SMALL, **solved}).fit(known, validation=held_out)
    rows = model.cv_results_
    assert len({tuple(row[name] for name in model.best_params_) for row in rows}) == len(rows) > 20
    for row in rows[:: len(rows) // 8]:
        setting = {name: row[name] for name in model.best_params_}
        plain = far.DLAE(**{**solved, **setting}).fit(known)
        report = far.evaluate(plain, known, held_out, k=(50,))["NDCG"]
        assert row["metric"] == pytest.approx(report.mean, abs=1e-5)
        assert row["standard_error"] == pytest.approx(report.half_width / 1.96, abs=1e-5)
    assert model.best_score_ == max(row["metric"] for row in rows)
    chosen = far.DLAE(**{**solved, **model.best_params_}).fit(known)
    np.testing.assert_array_equal(model.item_weights_, chosen.item_weights_)


def test_holds_out_and_fits_everything() -> None:
    whole = (PARTS[0] + PARTS[1]).tocsr()
    model = far.DLAECV(**SMALL).fit(whole)
    np.testing.assert_array_equal(model.item_weights_, far.DLAE(**model.best_params_).fit(whole).item_weights_)
    times = np.arange(whole.nnz, dtype=np.float64)
    dated = far.Interactions(whole, timestamps=times)
    latest = held_out(check_user_items("data", dated), times, np.random.default_rng(0))
    known, held = (take_entries(dated, check_user_items("data", dated), part) for part in (~latest, latest))
    by_time = far.DLAECV(**SMALL).fit(dated)
    assert by_time.best_score_ == far.DLAECV(**SMALL).fit(known, validation=held).best_score_ != model.best_score_


@pytest.mark.parametrize("solved", [{"diagonal": "zero"}, {"directions": 20}])
def test_gives_the_plain_model(solved: dict[str, Any], tmp_path: Path) -> None:
    model = far.DLAECV(**SMALL, **solved).fit(*PARTS)
    model.save(tmp_path / "m.npz")
    for one in (model, far.load(tmp_path / "m.npz")):
        plain = one.to_estimator()
        assert type(plain) is far.DLAE
        assert plain.get_params() == far.DLAE(**model.best_params_, **solved).get_params()
        np.testing.assert_array_equal(plain.predict(PARTS[0]), model.predict(PARTS[0]))
    with pytest.raises(far.NotFittedError):
        far.DLAECV().to_estimator()


def test_the_choice_does_not_depend_on_threads() -> None:
    one, more = (far.DLAECV(**SMALL, num_threads=k).fit(PARTS[0], PARTS[1]) for k in (1, 3))
    assert one.cv_results_ == more.cv_results_
    np.testing.assert_array_equal(one.item_weights_, more.item_weights_)


@pytest.mark.parametrize("metric", ["Recall@5", "MRR@5"])
def test_few_judge_and_any_metric(metric: str) -> None:
    some = far.DLAECV(**SMALL, judges=20, metric=metric).fit(*PARTS)
    everybody = far.DLAECV(**SMALL, metric=metric).fit(*PARTS)
    assert some.cv_results_[0]["standard_error"] > 2 * everybody.cv_results_[0]["standard_error"]


def test_values_that_come_twice_count_once() -> None:
    twice = {"regularization": [64, 2.0, 64.0], "prior": (30, 0, 0), "denoising": [1.0, 1]}
    models = [far.DLAECV(**{**SMALL, **grids}).fit(*PARTS) for grids in ({}, twice)]
    assert models[0].cv_results_ == models[1].cv_results_


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"prior": []}, ValueError, "`prior` must hold at least one value, got none; leave it out"),
        ({"prior": [1, np.nan]}, ValueError, "`prior` must be finite, got nan"),
        ({"regularization": [0, 1]}, ValueError, "`regularization` must be > 0, got 0"),
        ({"input_weight": [0, 3]}, ValueError, "`input_weight` must be >= 0 and <= 1, got 3"),
        ({"denoising": "0 1"}, TypeError, "`denoising` must be a number or a sequence of numbers, got str"),
        ({"popularity_discount": [0, 1e3]}, ValueError, "`popularity_discount` must keep"),
        ({"judges": 0}, ValueError, "`judges` must be >= 1, got 0"),
        ({"metric": "AUC"}, ValueError, "`metric` must be"),
    ],
)
def test_bad_grids(values: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        far.DLAECV(**values).fit(PARTS[0])


def test_time_that_is_up_ends_the_search() -> None:
    model = far.DLAECV(**SMALL, timeout=0).fit(*PARTS)
    settings = {(row["regularization"], row["prior"]) for row in model.cv_results_}
    assert len(settings) == 1
    with pytest.raises(ValueError, match="`timeout` must be >= 0, got -1"):
        far.DLAECV(timeout=-1).fit(*PARTS)


def test_repeated_values_count_once() -> None:
    once, twice = (far.DLAECV(**{**SMALL, "prior": prior}).fit(*PARTS) for prior in ([0, 30], [30, 0, 30.0]))
    assert once.cv_results_ == twice.cv_results_


def test_histories_too_short_to_hold_anything_out() -> None:
    with pytest.raises(ValueError, match=r"2 or more interactions, .* got none among 12 users; .* validation=\.\.\."):
        far.DLAECV().fit(sparse.identity(12, np.float32, "csr"))


@pytest.mark.parametrize("shape", [(1, 12), (12, 12), (3, 40)])
def test_one_user_or_all_alike(shape: tuple[int, int]) -> None:
    model = far.DLAECV(**SMALL).fit(sparse.csr_matrix(np.ones(shape, np.float32)))
    assert np.isfinite(model.item_weights_).all()


def test_an_interrupted_search_changes_nothing() -> None:
    model = far.DLAECV(**SMALL).fit(*PARTS)
    before, chosen = model.predict(PARTS[0]), model.best_params_
    seen: list[Any] = []

    def stop(record: dict[str, Any]) -> None:
        seen.append(record)
        if len(seen) == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.fit(PARTS[0][:90], callbacks=[stop])
    np.testing.assert_array_equal(model.predict(PARTS[0]), before)
    assert model.best_params_ == chosen
