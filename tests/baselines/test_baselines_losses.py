"""The losses of the models trained by PyTorch, against numbers worked out by hand and against differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse
from small_baselines import data, make

import fastautorec as far
from fastautorec.baselines import _torch
from fastautorec.baselines.cdae import CDAE
from fastautorec.baselines.cml import CML
from fastautorec.baselines.vaecf import VAECF

torch = pytest.importorskip("torch", reason="the models are trained by PyTorch")

HISTORY = sparse.csr_matrix(np.array([[1, 0, 1], [0, 1, 0]], np.float32))


def tensors(arrays: dict[str, Any], requires_grad: bool = False) -> dict[str, Any]:
    """Return double-precision tensors (or integers)."""
    made = {}
    for name, array in arrays.items():
        tensor = torch.as_tensor(array)
        made[name] = tensor.double() if tensor.is_floating_point() else tensor
        if requires_grad:
            made[name].requires_grad_()
    return made


def one_batch(model: Any, history: sparse.csr_matrix = HISTORY) -> dict[str, Any]:
    csr = _torch_csr(history)
    (batch,) = model._batches(csr, np.random.default_rng(0), epoch=1)
    return batch


def _torch_csr(matrix: sparse.csr_matrix) -> Any:
    from fastautorec._compute.inputs import check_user_items

    return check_user_items("matrix", matrix)


def start(model: Any, m: int, n: int, rng: np.random.Generator) -> dict[str, Any]:
    """Return weights of which none is zero."""
    return {name: array + rng.normal(0, 0.3, array.shape) for name, array in model._start(m, n, rng).items()}


def check_gradients(model: Any, weights: dict[str, Any], batch: dict[str, Any], rng: np.random.Generator) -> None:
    """Compare the gradients with differences of the loss along random directions."""
    values, inputs = tensors(weights, requires_grad=True), tensors(batch)
    model._loss(torch, values, inputs).backward()
    for name, array in weights.items():
        direction = rng.normal(size=array.shape)
        step = 1e-6
        plus, minus = (
            float(model._loss(torch, tensors({**weights, name: array + sign * step * direction}), inputs))
            for sign in (1, -1)
        )
        grad = values[name].grad
        slope = float((grad.to_dense() * torch.as_tensor(direction)).sum())
        assert slope == pytest.approx((plus - minus) / (2 * step), rel=1e-5, abs=1e-7), name


def test_multinomial_loss_by_hand(rng: np.random.Generator) -> None:
    model = VAECF(factors=2, hidden=3, beta=0.3, annealing=0, dropout=0.0)
    weights, batch = start(model, 2, 3, rng), one_batch(model)
    total = 0.0
    for place, user in enumerate(batch["users"]):
        r = HISTORY[user].toarray()[0]
        first = np.tanh(r / np.sqrt(r.sum()) @ weights["encoder"] + weights["encoder bias"])
        mean = weights["mean"] @ first + weights["mean bias"]
        log_variance = weights["log variance"] @ first + weights["log variance bias"]
        f = mean + np.exp(log_variance) ** 0.5 * batch["noise"][place]
        second = np.tanh(weights["decoder hidden"] @ f + weights["decoder hidden bias"])
        z = weights["decoder"] @ second + weights["decoder bias"]
        total -= r @ np.log(np.exp(z) / np.exp(z).sum())
        total += 0.3 * 0.5 * (np.exp(log_variance) + mean**2 - 1 - log_variance).sum()
    got = float(model._loss(torch, tensors(weights), tensors(batch)))
    assert got == pytest.approx(total / 2, rel=1e-6)
    check_gradients(model, weights, batch, rng)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "identity"])
@pytest.mark.parametrize("loss", ["logistic", "squared"])
def test_cdae_loss_by_hand(loss: str, activation: str, rng: np.random.Generator) -> None:
    model = CDAE(factors=2, loss=loss, activation=activation, dropout=0.0)
    weights, batch = start(model, 2, 3, rng), one_batch(model)
    act = {
        "sigmoid": lambda v: 1 / (1 + np.exp(-v)), "tanh": np.tanh, "relu": lambda v: v * (v > 0),
        "identity": lambda v: v,
    }  # fmt: skip
    total = 0.0
    for user in range(2):
        r = HISTORY[user].toarray()[0]
        h = act[activation](r @ weights["encoder"] + weights["encoder bias"] + weights["users"][user])
        output = act["sigmoid"](weights["decoder"] @ h + weights["decoder bias"])
        if loss == "logistic":
            total -= (r * np.log(output) + (1 - r) * np.log(1 - output)).sum()
        else:
            total += ((r - output) ** 2).sum()
    got = float(model._loss(torch, tensors(weights), tensors(batch)))
    assert got == pytest.approx(total / 2, rel=1e-6)
    check_gradients(model, weights, batch, rng)


def test_metric_learning_loss_by_hand() -> None:
    """Distances² of user 0: item 0 at 0.25, 1 at 0.36, 2 at 1; of user 1 (at 1, 0): 0 at 0.25, 1 at 1.36, 2 at 2."""
    points = {"users": np.array([[0.0, 0], [1, 0]]), "items": np.array([[0.5, 0], [0, 0.6], [0, 1.0]])}
    batch = {
        "users": np.array([0, 1, 0]),
        "items": np.array([0, 1, 1]),
        "negatives": np.array([[2, 1, 1], [0, 2, 0], [0, 2, 2]]),
        "allowed": np.array([[True, True, False], [True, True, True], [False, False, False]]),
    }
    model = CML(factors=2, margin=0.2, covariance_weight=0.0)
    # user 0, item 0: of the two allowed, item 1 (0.36 < 0.45) violates; rank 3 · 1/2
    first = np.log(1 + 1.5) * (0.2 + 0.25 - 0.36)
    # user 1, item 1: item 0 (0.25 < 1.56) violates twice, item 2 (2 > 1.56) does not; rank 3 · 2/3
    second = np.log(1 + 2) * (0.2 + 1.36 - 0.25)
    # user 0, item 1: nothing allowed was drawn
    got = float(model._loss(torch, tensors(points), tensors(batch)))
    assert got == pytest.approx((first + second) / 3, rel=1e-6)
    batch = {name: array[:2] for name, array in batch.items()}
    model.covariance_weight = 0.7
    chosen = np.vstack([points["users"][[0, 1]], points["items"][[0, 1]]])
    c = np.cov(chosen.T, bias=True)
    got = float(model._loss(torch, tensors(points), tensors(batch)))
    assert got == pytest.approx((first + second) / 2 + 0.7 * 2 * c[0, 1] ** 2, rel=1e-6)
    check_gradients(model, points, batch, np.random.default_rng(1))


def test_negatives_of_metric_learning(rng: np.random.Generator) -> None:
    """Every interaction once, and an item is allowed exactly where the user does not have it."""
    history = far.datasets.synthetic(40, 30, 400, random_state=2)
    batches = list(CML(batch_size=64, negatives=5)._batches(_torch_csr(history), rng, epoch=1))
    pairs = np.concatenate([batch["users"] * 30 + batch["items"] for batch in batches])
    np.testing.assert_array_equal(np.sort(pairs), np.flatnonzero(history.toarray().ravel()))
    for batch in batches:
        has = history.toarray()[batch["users"][:, None], batch["negatives"]] > 0
        np.testing.assert_array_equal(batch["allowed"], ~has)
    assert sum(int(batch["done"]) for batch in batches) == pytest.approx(40, abs=len(batches))


def test_points_stay_in_the_ball() -> None:
    model = make(CML, learning_rate=3.0, epochs=3).fit(data()[0])
    for points in (model.user_factors_, model.item_factors_):
        lengths = np.linalg.norm(points, axis=1)
        assert lengths.max() <= 1 + 1e-6
        assert (lengths > 1 - 1e-6).any()


def test_scores_of_metric_learning_are_distances() -> None:
    history, _ = data()
    model = make(CML).fit(history)
    distances = ((model.user_factors_[:, None] - model.item_factors_) ** 2).sum(axis=2)
    np.testing.assert_allclose(model.predict(history), -distances, rtol=1e-4, atol=1e-5)


def test_dropout_keeps_the_mean_input(rng: np.random.Generator) -> None:
    history = _torch_csr(sparse.csr_matrix(np.ones((300, 40), np.float32)))
    (batch,) = _torch.user_batches(history, 300, 0.25, unit_length=True, rng=rng)
    kept = batch["values"] > 0
    assert kept.mean() == pytest.approx(0.75, abs=0.02)
    np.testing.assert_allclose(batch["values"][kept], 1 / 0.75 / np.sqrt(40), rtol=1e-6)


def test_beta_grows() -> None:
    history, _ = data()
    model = VAECF(beta=0.2, annealing=2, batch_size=50)
    betas = [
        float(batch["beta"])
        for epoch in (1, 2, 3)
        for batch in model._batches(_torch_csr(history), np.random.default_rng(0), epoch)
    ]
    np.testing.assert_allclose(betas, np.minimum(np.arange(1, 13) / 8, 1) * 0.2, rtol=1e-5)
