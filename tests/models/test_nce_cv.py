from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from contract import ModelContract, train  # noqa: F401
from scipy import sparse

import fastautorec as far

GRIDS: dict[str, Any] = {
    "factors": (4, 8), "spectrum_power": (0.5, 1.0), "dropout": (0.3, 0.7), "regularization": (0.1, 1.0),
    "fit_intercept": True, "intercept_penalty": 1.0, "popularity_discount": (0.0, 0.15),
}  # fmt: skip
DATA = far.datasets.synthetic(120, 60, 1500, random_state=1)


def make(**params: Any) -> far.NCEAutoRecCV:
    return far.NCEAutoRecCV(**{**GRIDS, **params})


class TestNCEAutoRecCV(ModelContract):
    def make(self, **params: Any) -> far.NCEAutoRecCV:
        return make(**params)


def test_the_chosen_setting_is_the_best_that_was_tried() -> None:
    model = make(factors=[8, 2]).fit(DATA)
    rows = model.cv_results_
    assert model.best_score_ == max(row["metric"] for row in rows)
    best = next(row for row in rows if row["metric"] == model.best_score_)
    assert {**best, **model.best_params_} == best
    assert len({row["users"] for row in rows}) == 1
    assert all(0 < row["standard_error"] < 0.1 for row in rows)
    assert 8 <= len(rows) <= 2 * 2**4


def test_the_plain_model_is_the_fit_with_these_parameters() -> None:
    model = make().fit(DATA)
    plain = model.to_estimator()
    assert type(plain) is far.NCEAutoRec
    assert {**plain.get_params(), **model.best_params_} == plain.get_params()
    again = far.NCEAutoRec(**plain.get_params()).fit(DATA)
    for name in far.NCEAutoRec._arrays:
        np.testing.assert_array_equal(getattr(again, name), getattr(model, name), err_msg=name)
    np.testing.assert_array_equal(again.predict(DATA), model.predict(DATA))


def test_the_metric_is_that_of_a_plain_fit_on_the_same_part() -> None:
    known, held_out = far.split(DATA, (0.9, 0.1), by="random")
    model = make(spectrum_power=0.5, factors=44, metric="Recall@7").fit(known, validation=held_out)
    plain = far.NCEAutoRec(**model.best_params_).fit(known)
    assert far.evaluate(plain, known, held_out, k=7)["Recall@7"].mean == pytest.approx(model.best_score_, abs=1e-12)
    np.testing.assert_array_equal(plain.predict(DATA), model.predict(DATA))


@pytest.mark.parametrize("metric", ["R-Precision", "MAP@5", "NDCG@3", "MRR@5", "HitRate@3", "AUC@20"])
def test_every_metric_chooses(metric: str) -> None:
    known, held_out = far.split(DATA, (0.5, 0.5), by="random")
    model = make(spectrum_power=0.5, factors=44, metric=metric).fit(known, validation=held_out)
    plain = far.NCEAutoRec(**model.best_params_).fit(known)
    length = int(metric.partition("@")[2] or 50)
    own = far.evaluate(plain, known, held_out, k=length).metric(metric).mean
    assert own == pytest.approx(model.best_score_, abs=1e-12)


def test_the_order_of_grids_and_threads_change_nothing() -> None:
    one = make(num_threads=1).fit(DATA)
    turned = {name: value[::-1] if isinstance(value, tuple) else value for name, value in GRIDS.items()}
    other = make(num_threads=5, **turned).fit(DATA)
    assert one.best_params_ == other.best_params_
    assert one.cv_results_ == other.cv_results_
    np.testing.assert_array_equal(one.decoder_, other.decoder_)


def test_targets_outside_the_path_are_searched() -> None:
    grids = {"beta": (0.5, 1.0, 1.5), "user_weight": (0.0, 0.5), "target": ("nce", "power"), "numerator": "users"}
    model = make(**grids).fit(DATA)
    assert all(model.best_params_[name] in values for name, values in grids.items() if name != "numerator")
    for name, values in grids.items():
        if name != "numerator":
            alone = make(**{name: values[0]}).fit(DATA)
            assert alone.best_params_[name] == values[0]


def test_one_standard_error_takes_fewer_factors() -> None:
    model = make(factors=(2, 4, 8, 16, 32)).fit(DATA)
    cheap = make(factors=(2, 4, 8, 16, 32), one_standard_error=True).fit(DATA)
    best = next(row for row in model.cv_results_ if row["metric"] == model.best_score_)
    assert cheap.best_params_["factors"] < model.best_params_["factors"]
    assert model.best_score_ - best["standard_error"] <= cheap.best_score_ < model.best_score_


def test_the_latest_are_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    times = np.random.default_rng(0).permutation(DATA.nnz)
    seen: dict[str, Any] = {}
    search = far.models.nce_cv.PathSearch

    def spy(run: Any, *given: Any) -> Any:
        seen["train"], seen["held out"] = run.known.to_scipy(), run.validation.to_scipy()
        return search(run, *given)

    monkeypatch.setattr(far.models.nce_cv, "PathSearch", spy)
    make().fit(far.Interactions(DATA, timestamps=times))
    stamped = sparse.csr_matrix((times + 1, DATA.indices, DATA.indptr), shape=DATA.shape)
    known, held_out = (seen[part].multiply(stamped).tocsr() for part in ("train", "held out"))
    assert ((seen["train"] + seen["held out"]) != DATA).nnz == 0
    assert seen["held out"].nnz == -(-DATA.nnz // 10)
    for user in np.flatnonzero(np.diff(held_out.indptr)):
        assert held_out[user].data.min() > known[user].data.max()


# --- bad input --------------------------------------------------------------------------------------------------------

BAD = {
    "empty": ({"dropout": ()}, "`dropout` must hold at least one value, got none"),
    "NaN": ({"regularization": (0.1, float("nan"))}, "`regularization` must be finite, got nan"),
    "negative": ({"intercept_penalty": (-1.0,)}, "`intercept_penalty` must be >= 0"),
    "too many factors": ({"factors": (8, 61)}, "`factors` holds 61, but the data have at most 60 singular vectors"),
    "activation": ({"activation": "relu"}, "`activation` must be 'identity'.*far.tune"),
    "metric": ({"metric": "AUC"}, "`metric` must be"),
    "timeout": ({"timeout": -1}, "`timeout` must be >= 0"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_grids(case: str) -> None:
    params, words = BAD[case]
    model = make().fit(DATA)
    before = model.predict(DATA)
    with pytest.raises(ValueError, match=words):
        model.set_params(**params).fit(DATA)
    np.testing.assert_array_equal(model.predict(DATA), before)


def test_values_that_come_twice_count_once() -> None:
    once = {"spectrum_power": (0.5, 1.0), "beta": (0.8, 1.0), "target": ("power", "nce")}
    twice = {"spectrum_power": (1, 0.5, 1.0, 0.5), "beta": [1, 0.8, 1], "target": ("nce", "power", "nce")}
    models = [make(**grids).fit(DATA) for grids in (once, twice)]
    assert models[0].cv_results_ == models[1].cv_results_
    assert models[0].best_params_ == models[1].best_params_


@pytest.mark.parametrize("params", [{"factors": 2.5}, {"factors": {4, 8}}, {"beta": "1"}, {"fit_intercept": 1}])
def test_grids_of_the_wrong_kind(params: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=f"`{next(iter(params))}` must be"):
        make(**params).fit(DATA)


def test_nothing_to_hold_out() -> None:
    with pytest.raises(ValueError, match=r"a user with 2 or more interactions.*got none among 5 users; pass fit"):
        make(factors=2).fit(sparse.identity(5, format="csr"))


def test_validation_of_another_shape() -> None:
    with pytest.raises(ValueError, match="`validation` must have the shape"):
        make().fit(DATA, validation=DATA[:, :50])


@pytest.mark.parametrize("shape", [(1, 7), (7, 2), (9, 6)])
def test_users_who_are_all_the_same(shape: tuple[int, int]) -> None:
    """One user, two items, or rank 1: there is one direction, or none."""
    same = sparse.csr_matrix(np.ones(shape, np.float32))
    with pytest.warns(UserWarning, match="the same for all"):
        model = far.NCEAutoRecCV().fit(same)
    assert np.isfinite(model.predict(same)).all()


def test_one_item() -> None:
    with pytest.raises(ValueError, match="2 or more interactions"):
        far.NCEAutoRecCV().fit(sparse.csr_matrix(np.ones((5, 1), np.float32)))


def test_no_time_is_enough_for_one_setting() -> None:
    model = make(timeout=0).fit(DATA)
    assert len({tuple(row[name] for name in model.best_params_ if name != "popularity_discount")
                for row in model.cv_results_}) == 1  # fmt: skip


def test_an_interrupt_in_the_search_changes_nothing() -> None:
    model = make().fit(DATA)
    before = model.predict(DATA)

    def stop(record: dict[str, Any]) -> None:
        if record["phase"] == "search":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.fit(DATA[:60], callbacks=[stop])
    np.testing.assert_array_equal(model.predict(DATA), before)
