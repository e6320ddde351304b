"""Steps of training: batches and their penalty, users without interactions, divergence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from autoencoders import HELD_OUT, TRAIN, every_case, every_device, make, same_bits
from devices import host
from scipy import sparse

import fastautorec as far
from fastautorec._compute import get_backend
from fastautorec._training import epochs as _training
from fastautorec._training.network import random_network
from fastautorec._training.run import Seeds

# --- batches -----------------------------------------------------------------------------------------------------


def by_hand(batch_size: int, rate: float, penalty: float) -> dict[str, np.ndarray]:
    """Return the weights of AutoRec after one epoch of SGD in dense float64 NumPy."""
    seeds = Seeds.drawn(np.random.default_rng(0))
    network = random_network(get_backend("cpu"), 40, 8, ("prediction",), True, seeds.weights)
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
        np.testing.assert_allclose(host(getattr(model, name)), expected, rtol=0, atol=2e-5 * np.abs(expected).max())


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
    inner = _training.EpochLoop._batch

    def watched(self: Any, phase: Any, batch: Any, totals: Any) -> None:
        orders.setdefault(self.state.total, []).extend(batch.user_numbers().tolist())
        inner(self, phase, batch, totals)

    monkeypatch.setattr(_training.EpochLoop, "_batch", watched)
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
        np.testing.assert_array_equal(host(getattr(model, name)), host(before[name]))


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
