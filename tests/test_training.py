"""The training loop: phases, records, early stopping, batches, schedules, divergence, Ctrl-C."""

from __future__ import annotations

import _thread
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from autoencoders import CASES, FEW, every_case, every_device, make, same_bits, train_and_held_out
from scipy import sparse

import fastautorec as far
from fastautorec import _network, _training
from fastautorec._network import random_network
from fastautorec._training import MODES, SCHEDULES
from fastautorec.models import _session
from fastautorec.models._session import Seeds

TRAIN, HELD_OUT = train_and_held_out()

Records = list[dict[str, Any]]


def metric_of(model: Any, metric: str = "NDCG", k: int = 40) -> float:
    return far.evaluate(model, TRAIN, HELD_OUT, k=k)[metric].mean


def epochs_of(history: Records) -> list[tuple[str, int]]:
    return [(record["phase"], record["epoch"]) for record in history]


def phase_of(history: Records, phase: str) -> Records:
    """Return the records of a phase's training, without those of exact solutions."""
    return [record for record in history if record["phase"] == phase and "regularization" not in record]


def with_solver(case: str, solver: str, **params: Any) -> Any:
    return make(case, **({"solver": solver} if " " in case else {}), **params)


# --- phases and records ------------------------------------------------------------------------------------------


def numbered(phase: str, *epochs: int) -> list[tuple[str, int]]:
    return [(phase, epoch) for epoch in epochs]


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


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[float]], list[dict[str, Any]]]:
    """Replace the metric by scripted values, and keep the attributes that were judged."""

    def start(values: list[float]) -> list[dict[str, Any]]:
        judged: list[dict[str, Any]] = []

        def scripted(model: Any, fitted: dict[str, Any], run: Any, metric: str) -> float:
            judged.append({name: np.copy(fitted[name]) for name in ("encoder_", "decoder_")})
            return values[len(judged) - 1]

        monkeypatch.setattr(_session, "validation_metric", scripted)
        return judged

    return start


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
    inner = _training.Trainer._batch

    def watched(self: Any, phase: Any, batch: Any, totals: Any) -> None:
        for parameter in self._parameters.values():
            seen.append((phase.name, self.progress.epoch, parameter.learning_rate))
        inner(self, phase, batch, totals)

    monkeypatch.setattr(_training.Trainer, "_batch", watched)
    params = {"schedule": schedule, "epochs": 4, "learning_rate": 0.02, "solver": "gradient", "device": "reference"}
    make("NCEAutoRec full", **params).fit(TRAIN)
    for phase in ("embedding", "prediction"):
        for epoch, rate in enumerate(RATES[schedule], start=1):
            (used,) = {value for name, number, value in seen if (name, number) == (phase, epoch)}
            assert used == pytest.approx(0.02 * rate, rel=1e-12)
    assert set(RATES) == set(SCHEDULES)


# --- batches -----------------------------------------------------------------------------------------------------


def by_hand(batch_size: int, rate: float, penalty: float) -> dict[str, np.ndarray]:
    """Return the weights of AutoRec after one epoch of SGD in dense float64 NumPy."""
    seeds = Seeds.drawn(np.random.default_rng(0))
    network = random_network(40, 8, ("prediction",), True, seeds.weights)
    W, b, D = (array.astype(float) for array in network.arrays().values())
    order = np.random.default_rng([seeds.order, 1]).permutation(60)
    r = TRAIN.toarray().astype(float)
    for start in range(0, 60, batch_size):
        x = r[order[start : start + batch_size]]
        hidden = np.hstack([np.tanh(x @ W + b), x.sum(axis=1, keepdims=True) ** -0.5])
        error = hidden @ D.T - x
        delta = 2 * error @ D[:, :8] * (1 - hidden[:, :8] ** 2)
        grad_d = 2 * error.T @ hidden / len(x)
        grad_d[:, :8] += 2 * penalty / 60 * D[:, :8]  # biases are free
        D -= rate * grad_d
        b -= rate * delta.mean(axis=0)
        W -= rate * (x.T @ delta / len(x) + 2 * penalty / 60 * W)
    return {"encoder_": W, "encoder_bias_": b[0], "decoder_": D}


@pytest.mark.parametrize("batch_size", [60, 30, 25, 7, 1])
@every_device
def test_steps_are_those_of_the_formula(batch_size: int, device: str) -> None:
    """The mean over the users of a batch, a smaller last one included, plus λ/m ‖·‖² of the weights."""
    params = {"optimizer": "sgd", "learning_rate": 0.02, "weight_decay": 30.0, "epochs": 1, "batch_size": batch_size}
    model = make("AutoRec", activation="tanh", normalize=None, dropout=0.0, device=device, **params).fit(TRAIN)
    for name, expected in by_hand(batch_size, 0.02, 30.0).items():
        np.testing.assert_allclose(getattr(model, name), expected, rtol=0, atol=2e-5 * np.abs(expected).max())


@every_device
def test_the_loss_is_the_mean_over_users(device: str) -> None:
    losses = [
        make("AutoRec", optimizer="sgd", learning_rate=1e-12, dropout=0.0, batch_size=size, device=device, epochs=1)
        .fit(TRAIN).history_[0]["loss"]
        for size in (60, 25, 7)
    ]  # fmt: skip
    np.testing.assert_allclose(losses, losses[0], rtol=1e-5)
    untrained = make("AutoRec", optimizer="sgd", learning_rate=1e-12, epochs=1, device=device).fit(TRAIN)
    error = TRAIN.toarray() - untrained.predict(TRAIN)
    assert losses[0] == pytest.approx(np.sum(error.astype(float) ** 2) / 60, rel=1e-5)


def test_users_come_in_another_order_in_every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    orders: dict[int, list[int]] = {}
    inner = _training.Trainer._batch

    def watched(self: Any, phase: Any, batch: Any, totals: Any) -> None:
        orders.setdefault(self.progress.total, []).extend(batch.user_numbers().tolist())
        inner(self, phase, batch, totals)

    monkeypatch.setattr(_training.Trainer, "_batch", watched)
    make("NCEAutoRec full", solver="gradient", device="reference").fit(TRAIN)
    assert len(orders) == 6
    assert len(set(map(tuple, orders.values()))) == 6
    for order in orders.values():
        assert sorted(order) == list(range(60))


@every_case
@pytest.mark.parametrize("init", ["random", "svd"])
def test_users_without_positives_are_skipped(case: str, init: str, device: str) -> None:
    empty = sparse.csr_matrix((20, 40))
    model = make(case, init=init, device=device).fit(TRAIN)
    taller = make(case, init=init, device=device).fit(sparse.vstack([TRAIN, empty]).tocsr())
    assert (model.skipped_users_, taller.skipped_users_) == (0, 20)
    same_bits(model, taller)
    assert [record.get("loss") for record in model.history_] == [record.get("loss") for record in taller.history_]


def test_users_without_positives_in_between() -> None:
    spread = sparse.csr_matrix(np.repeat(TRAIN.toarray(), 2, axis=0) * np.tile([[1], [0]], (60, 1)))
    one, two = (make("AutoRec", dropout=0.0, device="reference").fit(matrix) for matrix in (TRAIN, spread))
    assert two.skipped_users_ == 60
    same_bits(one, two)


# --- divergence --------------------------------------------------------------------------------------------------


@every_case
def test_divergence_is_named_and_changes_nothing(case: str, device: str) -> None:
    model = make(case, device=device).fit(TRAIN)
    before = vars(make(case, device=device).fit(TRAIN))
    learning_rate = 1e30
    model.set_params(optimizer="sgd", learning_rate=learning_rate, epochs=30, activation="identity")
    message = (
        r"training diverged in epoch [1-9]\d*: (the loss of the (embedding|prediction) head is (inf|-inf|nan)|"
        r"weights of the \w+ have grown beyond what float32 can square) with `learning_rate`=1e\+30 "
        r"\((no loss was finite|the last finite loss was \S+)\); use a smaller learning rate"
    )
    with pytest.raises(far.DivergedError, match=message):
        model.fit(TRAIN)
    for name in type(model)._arrays:
        np.testing.assert_array_equal(getattr(model, name), before[name])


@every_device
def test_divergence_tells_the_last_finite_loss(device: str) -> None:
    losses: list[float] = []
    model = make("AutoRec", optimizer="sgd", learning_rate=1e4, epochs=50, batch_size=60, device=device)
    with pytest.raises(far.DivergedError) as caught:
        model.fit(TRAIN, callbacks=[lambda record: losses.append(record["loss"])])
    assert len(losses) >= 1
    assert f"diverged in epoch {len(losses) + 1}: the loss of the prediction head is" in str(caught.value)
    assert f"the last finite loss was {losses[-1]:.4g}" in str(caught.value)


@every_device
def test_weights_that_overflow_in_the_last_step_are_named(device: str) -> None:
    params = {"optimizer": "sgd", "learning_rate": 1e39, "activation": "identity", "batch_size": 60, "epochs": 1}
    with pytest.raises(far.DivergedError, match=r"in epoch 1: weights of the encoder have grown beyond .*last finite"):
        make("AutoRec", device=device, **params).fit(TRAIN)
    model = make("AutoRec", device=device, **params).fit(TRAIN, HELD_OUT)  # keeps the state before that epoch
    assert np.isfinite(model.predict(TRAIN)).all()


# --- progress and Ctrl-C -----------------------------------------------------------------------------------------


@every_device
def test_progress_shows_speed_loss_and_metric(device: str, capsys: pytest.CaptureFixture[str]) -> None:
    model = make("NCEAutoRec full", solver="gradient", device=device)
    model.fit(TRAIN, HELD_OUT, show_progress=True)
    shown = capsys.readouterr().err
    for phase in ("embedding", "prediction"):
        last = [record for record in model.history_ if record["phase"] == phase][-1]
        line = next(line for line in reversed(shown.splitlines()) if f"NCEAutoRec {phase}: 100%" in line)
        assert "users/s" in line
        assert f"epoch 3, loss {last['loss']:.4g}, metric {last['metric']:.4g}" in line


class Interrupt:
    """A callback that presses Ctrl-C, once."""

    def __init__(self, phase: str, epoch: int) -> None:
        self.at: tuple[str, int] | None = (phase, epoch)

    def __call__(self, record: dict[str, Any]) -> None:
        if (record["phase"], record["epoch"]) == self.at and "regularization" not in record:
            self.at = None
            raise KeyboardInterrupt


PLACES = [
    (case, device, phase.name, epoch, solver)
    for case in CASES
    for device in ("cpu", "reference")[: 1 + (case in FEW)]
    for solver in (("exact", "gradient") if "limited" in case or "full" in case else ("exact",))
    for phase in make(case)._phases()
    for epoch in (0, 2)
    if not (solver == "exact" and "limited" in case and phase.name == "prediction")
]


@pytest.mark.parametrize(("case", "device", "phase", "epoch", "solver"), PLACES)
def test_interrupt_keeps_the_best_state(case: str, device: str, phase: str, epoch: int, solver: str) -> None:
    model = with_solver(case, solver, epochs=6, device=device)
    interrupt = Interrupt(phase, epoch)
    model.fit(TRAIN, HELD_OUT, [interrupt], keep_on_interrupt=True)
    assert interrupt.at is None
    last = model.history_[-1]
    if (last["phase"], last["epoch"]) != (phase, epoch):  # only the solution of the other head may follow
        assert "regularization" in last
        assert epochs_of(model.history_)[-2:] == [(phase, epoch), ("prediction", 0)]
        assert metric_of(model) == last["metric"]
    else:
        assert metric_of(model) == max(record["metric"] for record in phase_of(model.history_, phase))
    assert (model.recommend(TRAIN, N=5)[0] >= 0).all()
    if model.embedding_head_ is not None:
        assert np.isfinite(model.embedding_head_).all()


@every_case
def test_interrupt_within_an_epoch(case: str, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, inner = [0], _training.Trainer._batch

    def interrupted(self: Any, *args: Any) -> None:
        calls[0] += 1
        if calls[0] == 6:  # of 4 an epoch
            raise KeyboardInterrupt
        inner(self, *args)

    monkeypatch.setattr(_training.Trainer, "_batch", interrupted)
    model = make(case, device=device)
    with pytest.raises(KeyboardInterrupt):
        model.fit(TRAIN)
    assert not any(name.endswith("_") for name in vars(model))
    calls[0] = 0
    kept = make(case, device=device).fit(TRAIN, HELD_OUT, keep_on_interrupt=True)
    assert kept.history_[1]["epoch"] == 1
    assert sum("loss" in record for record in kept.history_) == 1
    calls[0] = 0
    without = make(case, device=device).fit(TRAIN, keep_on_interrupt=True)
    assert (without.recommend(TRAIN, N=5)[0] >= 0).all()


def test_interrupt_while_the_best_state_is_copied(script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    judged = script([0.1, 0.2, 0.3, 0.4])
    calls = [0]

    def interrupted(self: Any, other: Any) -> None:
        calls[0] += 1
        for number, (mine, theirs) in enumerate(zip(self.arrays().values(), other.arrays().values(), strict=True)):
            if (calls[0], number) == (2, 1):  # in epoch 2, after the encoder
                raise KeyboardInterrupt
            mine[...] = theirs

    monkeypatch.setattr(_network.Network, "assign", interrupted)
    model = make("AutoRec", device="reference").fit(TRAIN, HELD_OUT, keep_on_interrupt=True)
    assert len(judged) == 3
    for name, value in judged[2].items():
        np.testing.assert_array_equal(getattr(model, name), value)


@every_case
def test_interrupt_keeps_the_former_state(case: str, device: str) -> None:
    model, again = (make(case, device=device).fit(TRAIN) for _ in range(2))
    with pytest.raises(KeyboardInterrupt):
        model.fit(HELD_OUT, callbacks=[Interrupt(make(case)._phases()[0].name, 2)])
    same_bits(model, again)
    assert epochs_of(model.history_) == epochs_of(again.history_)


@pytest.mark.parametrize("keep", [False, True])
@every_device
def test_a_real_interrupt_stops_soon(device: str, keep: bool) -> None:
    pressed: list[float] = []

    def press() -> None:
        pressed.append(time.monotonic())
        _thread.interrupt_main()

    timer = threading.Timer(0.2, press)
    model = make("NCEAutoRec joint", epochs=10**6, patience=10**6, device=device)
    timer.start()
    try:
        model.fit(TRAIN, HELD_OUT, keep_on_interrupt=keep)
        assert keep
    except KeyboardInterrupt:
        assert not keep
    assert time.monotonic() - pressed[0] < 1
    timer.join()
    assert hasattr(model, "encoder_") == keep
    if keep:
        assert metric_of(model) >= max(record["metric"] for record in model.history_)


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
