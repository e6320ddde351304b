"""The training loop: phases, records, early stopping, callbacks, schedules, epochs of each phase."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from autoencoders import (
    HELD_OUT,
    TRAIN,
    Records,
    epochs_of,
    every_case,
    every_device,
    make,
    metric_of,
    numbered,
    phase_of,
    same_bits,
    with_solver,
)

from fastautorec._training import epochs as _training
from fastautorec._training.epochs import MODES, SCHEDULES

# --- phases and records ------------------------------------------------------------------------------------------


ORDER = {
    ("joint", "exact"): numbered("joint", 0, 1, 2),
    ("joint", "gradient"): numbered("joint", 0, 1, 2),
    ("alternating", "exact"): numbered("alternating", 0, 1, 2),
    ("alternating", "gradient"): numbered("alternating", 0, 1, 2),
    ("limited", "exact"): numbered("embedding", 0, 1, 2) + numbered("prediction", 0),
    ("limited", "gradient"): numbered("embedding", 0, 1, 2) + numbered("prediction", 0, 1, 2),
    ("full", "exact"): numbered("embedding", 0, 1, 2) + numbered("prediction", 0, 0, 1, 2),
    ("full", "gradient"): numbered("embedding", 0, 1, 2) + numbered("prediction", 0, 1, 2),
}


@pytest.mark.parametrize(("mode", "solver"), ORDER)
@pytest.mark.parametrize("model", ["NSAutoRec", "NCEAutoRec"])
@every_device
def test_records_with_validation(model: str, mode: str, solver: str, device: str) -> None:
    seen: Records = []
    fitted = make(f"{model} {mode}", solver=solver, epochs=2, device=device).fit(TRAIN, HELD_OUT, [seen.append])
    assert fitted.history_ == seen
    assert epochs_of(seen) == ORDER[mode, solver]
    for record in seen:
        assert 0 < record["metric"] < 1
        assert record["seconds"] >= 0
        assert ("loss" in record) == (record["epoch"] > 0)
        assert ("regularization" in record) == (solver == "exact" and mode in ("limited", "full") and record is seen[3])
        both = {"embedding_loss", "prediction_loss"} <= record.keys()
        assert both == (mode in ("joint", "alternating") and record["epoch"] > 0)
        if both:
            assert record["loss"] == pytest.approx(record["embedding_loss"] + record["prediction_loss"], rel=1e-12)
    for phase in MODES[mode]:
        records = phase_of(seen, phase.name)
        restored = [record for record in records if record.get("restored")]
        if records:
            assert len(restored) == 1
            assert restored[0]["metric"] == max(record["metric"] for record in records)
    kept = [record for record in seen if record.get("restored") or "regularization" in record]
    assert metric_of(fitted) == kept[-1]["metric"]


@pytest.mark.parametrize(("mode", "solver"), ORDER)
@every_device
def test_records_without_validation(mode: str, solver: str, device: str) -> None:
    model = make(f"NCEAutoRec {mode}", solver=solver, epochs=2, device=device).fit(TRAIN)
    solved = [("prediction", 0)] if solver == "exact" and mode in ("limited", "full") else []
    trained = [entry for entry in ORDER[mode, solver] if entry[1] > 0]
    place = 2 if solved else len(trained)
    assert epochs_of(model.history_) == trained[:place] + solved + trained[place:]
    assert all({"metric", "restored"}.isdisjoint(record) for record in model.history_)


@every_device
def test_records_of_an_exact_start(device: str) -> None:
    model = make("NCEAutoRec joint", init="svd", epochs=1, device=device).fit(TRAIN, HELD_OUT)
    assert epochs_of(model.history_) == [("embedding", 0), ("prediction", 0), ("joint", 0), ("joint", 1)]
    assert model.history_[1]["metric"] == model.history_[2]["metric"]


@pytest.mark.parametrize("case", ["AutoRec", "OHNSAutoRec"])
@every_device
def test_records_of_one_head(case: str, device: str) -> None:
    model = make(case, epochs=2, device=device).fit(TRAIN, HELD_OUT)
    assert epochs_of(model.history_) == numbered("prediction" if case == "AutoRec" else "embedding", 0, 1, 2)
    assert not any("embedding_loss" in record for record in model.history_)


def test_the_weight_of_the_embedding_head_counts_in_the_loss() -> None:
    record = make("NCEAutoRec joint", embedding_weight=0.25, device="reference").fit(TRAIN).history_[0]
    assert record["loss"] == pytest.approx(0.25 * record["embedding_loss"] + record["prediction_loss"], rel=1e-12)


@every_case
def test_the_loss_falls(case: str, device: str) -> None:
    history = with_solver(case, "gradient", epochs=6, dropout=0.0, device=device).fit(TRAIN).history_
    for phase in {record["phase"] for record in history}:
        losses = [record["loss"] for record in phase_of(history, phase)]
        assert losses[-1] < losses[0]


# --- early stopping ----------------------------------------------------------------------------------------------


STOPPING = [  # metrics of epochs 0, 1, ..., patience, number of epochs, best one
    ([0.1, 0.3, 0.2, 0.25, 0.3, 0.9], 3, 4, 1),  # an equal value is no progress
    ([0.5, 0.4, 0.3, 0.9], 2, 2, 0),
    ([0.1, 0.2, 0.1, 0.3, 0.2, 0.2], 2, 5, 3),
    ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], 1, 5, 5),
    ([0.1, float("nan"), float("nan"), 0.9], 2, 2, 0),
]


@pytest.mark.parametrize(("metrics", "patience", "epochs", "best"), STOPPING)
@pytest.mark.parametrize("case", ["AutoRec", "OHNSAutoRec", "NCEAutoRec joint", "NCEAutoRec alternating"])
def test_patience(script: Any, case: str, metrics: list[float], patience: int, epochs: int, best: int) -> None:
    judged = script(metrics)
    model = make(case, epochs=5, patience=patience, device="reference").fit(TRAIN, HELD_OUT)
    assert [record["epoch"] for record in model.history_] == list(range(epochs + 1))
    assert [record["epoch"] for record in model.history_ if record.get("restored")] == [best]
    for name, value in judged[best].items():
        np.testing.assert_array_equal(getattr(model, name), value)
        assert not np.array_equal(judged[best - 1][name], value)


def test_each_phase_has_its_own_patience(script: Any) -> None:
    embedding, solution, prediction = [0.5, 0.4, 0.3], [0.2], [0.1, 0.15, 0.12, 0.11]
    judged = script(embedding + solution + prediction)
    model = make("NCEAutoRec full", epochs=9, patience=2, device="reference").fit(TRAIN, HELD_OUT)
    assert epochs_of(model.history_) == numbered("embedding", 0, 1, 2) + numbered("prediction", 0, 0, 1, 2, 3)
    np.testing.assert_array_equal(judged[4]["encoder_"], judged[0]["encoder_"])  # the first phase restored its best
    np.testing.assert_array_equal(model.encoder_, judged[5]["encoder_"])


@every_case
def test_the_model_is_the_best_one_of_its_last_phase(case: str, device: str) -> None:
    model = make(case, epochs=6, patience=2, learning_rate=0.1, device=device).fit(TRAIN, HELD_OUT)
    last = model.history_[-1]["phase"]
    best = max(record["metric"] for record in model.history_ if record["phase"] == last)
    assert metric_of(model) == best


@every_case
def test_training_from_the_closed_form_never_ends_worse(case: str, device: str) -> None:
    start = make(case, init="svd", epochs=0, activation="tanh", device=device).fit(TRAIN, HELD_OUT)
    spoilt = make(case, init="svd", epochs=3, activation="tanh", learning_rate=2.0, device=device).fit(TRAIN, HELD_OUT)
    trained = [record["metric"] for record in spoilt.history_ if record["epoch"] > 0]
    assert min(trained) < metric_of(start)
    assert metric_of(spoilt) >= metric_of(start)


def test_without_validation_the_loss_decides_and_the_last_state_stays() -> None:
    params = {"learning_rate": 0.3, "patience": 2, "device": "reference"}
    model = make("AutoRec", epochs=50, **params).fit(TRAIN)
    best, stale, expected = np.inf, 0, 0
    for record in model.history_:
        expected += 1
        best, stale = (record["loss"], 0) if record["loss"] < best else (best, stale + 1)
        if stale == 2:
            break
    assert 3 <= len(model.history_) == expected < 50
    assert stale == 2
    same_bits(model, make("AutoRec", **params | {"epochs": expected, "patience": 50}).fit(TRAIN))


METRICS = [("NDCG", 40), ("R-Precision", 40), ("Recall@20", 20), ("MAP@10", 10), ("Precision@5", 5), ("F1@7", 7),
           ("NDCG@10", 10), ("Recall@40", 40)]  # fmt: skip


@pytest.mark.parametrize(("metric", "k"), METRICS)
@every_device
def test_any_metric_decides(metric: str, k: int, device: str) -> None:
    model = make("AutoRec", metric=metric, device=device).fit(TRAIN, HELD_OUT)
    assert metric_of(model, metric, k) == max(record["metric"] for record in model.history_)


def test_lists_are_no_longer_than_there_are_items() -> None:
    long, full = (make("AutoRec", metric=m, device="reference").fit(TRAIN, HELD_OUT) for m in ("MAP@500", "MAP@40"))
    assert [record["metric"] for record in long.history_] == [record["metric"] for record in full.history_]


# --- callbacks and schedules -------------------------------------------------------------------------------------


@every_device
def test_true_from_a_callback_ends_the_phase(device: str) -> None:
    def stop(record: dict[str, Any]) -> Any:
        return (record["phase"], record["epoch"]) in (("embedding", 2), ("prediction", 1))

    params = {"solver": "gradient", "device": device}
    model = make("NCEAutoRec full", epochs=5, **params).fit(TRAIN, callbacks=[lambda record: "yes", stop])
    assert epochs_of(model.history_) == numbered("embedding", 1, 2) + numbered("prediction", 1)


@every_device
def test_a_callback_sees_the_record_that_history_keeps(device: str) -> None:
    seen: list[tuple[str, int]] = []
    model = make("AutoRec", device=device)
    model.fit(TRAIN, HELD_OUT, [lambda record: seen.append((record["phase"], record["epoch"]))])
    assert seen == epochs_of(model.history_)


def test_an_error_in_a_callback_reaches_the_caller() -> None:
    def fail(record: dict[str, Any]) -> None:
        raise LookupError("mine")

    model = make("AutoRec", device="reference")
    with pytest.raises(LookupError, match="mine"):
        model.fit(TRAIN, callbacks=[fail])
    assert not hasattr(model, "encoder_")


RATES = {
    "constant": [1, 1, 1, 1],
    "linear": [1, 0.75, 0.5, 0.25],
    "cosine": [1, (2 + 2**0.5) / 4, 0.5, (2 - 2**0.5) / 4],
}


def test_a_callback_may_stop_before_the_first_epoch() -> None:
    params = {"solver": "gradient", "device": "reference"}
    model = make("NCEAutoRec full", **params).fit(TRAIN, HELD_OUT, [lambda record: record["phase"] == "prediction"])
    assert epochs_of(model.history_) == numbered("embedding", 0, 1, 2, 3) + numbered("prediction", 0)


@pytest.mark.parametrize("schedule", RATES)
def test_schedules(schedule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, int, float]] = []
    inner = _training.EpochLoop._batch

    def watched(self: Any, phase: Any, batch: Any, totals: Any) -> None:
        for parameter in self._parameters.values():
            seen.append((phase.name, self.state.epoch, parameter.learning_rate))
        inner(self, phase, batch, totals)

    monkeypatch.setattr(_training.EpochLoop, "_batch", watched)
    params = {"schedule": schedule, "epochs": 4, "learning_rate": 0.02, "solver": "gradient", "device": "reference"}
    make("NCEAutoRec full", **params).fit(TRAIN)
    for phase in ("embedding", "prediction"):
        for epoch, rate in enumerate(RATES[schedule], start=1):
            (used,) = {value for name, number, value in seen if (name, number) == (phase, epoch)}
            assert used == pytest.approx(0.02 * rate, rel=1e-12)
    assert set(RATES) == set(SCHEDULES)


# --- epochs of each phase ----------------------------------------------------------------------------------------


@every_case
@pytest.mark.parametrize("solver", ["exact", "gradient"])
def test_best_epochs_train_the_same_model_without_validation(case: str, device: str, solver: str) -> None:
    stopped = with_solver(case, solver, device=device, epochs=8, patience=2, learning_rate=0.05)
    stopped.fit(TRAIN, validation=HELD_OUT)
    restored = [record["epoch"] for record in stopped.history_ if record.get("restored")]
    assert list(stopped.best_epochs_)[: len(restored)] == restored
    if not any(stopped.best_epochs_):
        pytest.skip("no epoch was better than the start")
    again = with_solver(case, solver, device=device, epochs=stopped.best_epochs_, learning_rate=0.05).fit(TRAIN)
    assert again.best_epochs_ == stopped.best_epochs_
    same_bits(again, stopped)


def test_one_number_of_epochs_for_each_phase() -> None:
    model = make("NCEAutoRec full", solver="gradient", epochs=[2, 1]).fit(TRAIN)
    assert epochs_of(model.history_) == [*numbered("embedding", 1, 2), *numbered("prediction", 1)]
    assert model.best_epochs_ == (2, 1)


def test_a_phase_without_epochs_is_left_out() -> None:
    model = make("NCEAutoRec full", solver="gradient", epochs=(0, 2)).fit(TRAIN)
    assert epochs_of(model.history_) == numbered("prediction", 1, 2)
