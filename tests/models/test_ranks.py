"""Several ranks of PureSVD and NCE-PLRec: one SVD, validation data choose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastautorec as far

TRAIN, HELD_OUT = far.split(far.datasets.synthetic(200, 60, 4000, random_state=1), (0.8, 0.2), by="random")
MODELS = [far.PureSVD, far.NCEPLRec]


@pytest.mark.parametrize("cls", MODELS)
def test_each_rank_is_a_fit_of_it_and_the_best_is_kept(cls: Any) -> None:
    model = cls(factors=[16, 4, 8, 4]).fit(TRAIN, validation=HELD_OUT)
    tried = {row["factors"]: row["metric"] for row in model.history_ if row["phase"] == "rank"}
    assert list(tried) == [4, 8, 16]
    assert sum(row["phase"] == "embedding" for row in model.history_) == 1
    for rank, metric in tried.items():
        plain = cls(factors=rank).fit(TRAIN)  # the vectors of its own SVD are a little less exact
        assert far.evaluate(plain, TRAIN, HELD_OUT, k=50)["NDCG"].mean == pytest.approx(metric, abs=2e-3)
    best = max(tried, key=lambda rank: tried[rank])
    assert model.encoder_.shape == model.decoder_.shape == (60, best)
    assert far.evaluate(model, TRAIN, HELD_OUT, k=50)["NDCG"].mean == pytest.approx(tried[best])
    largest = cls(factors=[16]).fit(TRAIN)
    np.testing.assert_array_equal(largest.predict(TRAIN), cls(factors=16).fit(TRAIN).predict(TRAIN))


def test_penalties_are_chosen_for_each_rank_and_sums_fit_it() -> None:
    model = far.NCEPLRec(factors=[4, 8], regularization=[0.01, 1.0], updatable=True).fit(TRAIN[:150], HELD_OUT[:150])
    rank = model.encoder_.shape[1]
    assert model.sums_["gram"].shape == (rank, rank)
    whole = far.NCEPLRec(factors=[4, 8], regularization=[0.01, 1.0]).fit(TRAIN[:150], HELD_OUT[:150])
    before = model.decoder_.copy()
    model.partial_fit(TRAIN[150:]).forget(TRAIN[150:])
    np.testing.assert_allclose(model.decoder_, before, atol=1e-4)
    np.testing.assert_array_equal(before, whole.decoder_)


@pytest.mark.parametrize("cls", MODELS)
def test_saved_tuned_further_and_planned(cls: Any, tmp_path: Path) -> None:
    model = cls(factors=(4, 8)).fit(TRAIN, HELD_OUT)
    model.save(tmp_path / "m.npz")
    loaded = far.load(tmp_path / "m.npz")
    np.testing.assert_array_equal(loaded.predict(TRAIN), model.predict(TRAIN))
    assert list(loaded.factors) == [4, 8]
    assert cls(factors=[4, 30]).plan(TRAIN).peak_bytes == cls(factors=30).plan(TRAIN).peak_bytes
    found = far.select(TRAIN, cls(factors=[4, 8]))
    assert found.best_model.factors in (4, 8)


@pytest.mark.parametrize("cls", MODELS)
@pytest.mark.parametrize(
    ("factors", "error", "message"),
    [
        ([], ValueError, "`factors` must hold at least one value, got none"),
        ([4, 0], ValueError, "`factors` must be >= 1, got 0"),
        ([4, 2.5], TypeError, "`factors` must be an integer, got float"),
        ("48", TypeError, "`factors` must be an integer, got str"),
        ([4, 99], ValueError, "factors"),
    ],
)
def test_bad_ranks(cls: Any, factors: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        cls(factors=factors).fit(TRAIN, HELD_OUT)


@pytest.mark.parametrize("cls", MODELS)
def test_several_need_something_to_choose_by(cls: Any) -> None:
    with pytest.raises(ValueError, match=r"`factors` holds 2 values to choose from, .* pass fit\(.*validation"):
        cls(factors=[4, 8]).fit(TRAIN)
