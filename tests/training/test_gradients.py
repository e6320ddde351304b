"""Gradients of every weight of every model, in every step of every mode, against differences of the objective."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from autoencoders import CASES, make
from runs import run_on
from scipy import sparse
from scipy.special import expit

from fastautorec._compute import get_backend
from fastautorec._compute.inputs import check_user_items
from fastautorec._compute.parameter import Parameter
from fastautorec._training.epochs import EMBEDDING, PREDICTION, EpochLoop, Phase
from fastautorec._training.fit import AutoencoderFit
from fastautorec._training.network import Network
from fastautorec._training.run import Seeds
from fastautorec.models._autoencoder import Autoencoder

USERS, ITEMS, UNITS = 9, 7, 3
RATE = 0.4  # of dropout
DATA = sparse.csr_matrix((np.random.default_rng(5).random((USERS, ITEMS)) < 0.4) | np.eye(USERS, ITEMS, dtype=bool))
STEPS = [
    pytest.param(case, phase, step, id=f"{case}: {phase.name} {'+'.join(step)}")
    for case in CASES
    for phase in make(case)._objective().phases
    for step in phase.steps
]

ACTIVATE = {"identity": lambda a: a, "relu": lambda a: np.maximum(a, 0), "tanh": np.tanh, "sigmoid": expit}
OUT = {  # of positives, of negatives
    "sigmoid": (expit, expit),
    "logsigmoid": (lambda z: np.log(expit(z)), lambda z: -np.log(expit(-z))),
    "tanh": (np.tanh, np.tanh),
    "identity": (lambda z: z, lambda z: z),
}


def make_loop(model: Autoencoder, dtype: type) -> EpochLoop:
    """Return a loop on all users at once, with random weights and biases."""
    train = check_user_items("user_items", DATA, fitting=True)
    run = run_on(get_backend(model.device, 1), train)
    fit = AutoencoderFit(run, model._objective(), model._options(), Seeds.drawn(np.random.default_rng(0)))
    rng = np.random.default_rng(3)
    drawn = {name: rng.normal(0, 0.5, value.shape) for name, value in fit.random_network().arrays().items()}
    encoder, bias, *heads = (value.astype(dtype) for value in drawn.values())
    fit.network = Network(encoder, bias, dict(zip(list(drawn)[2:], heads, strict=True)))
    loop = fit.loop(USERS, 1, 1)
    loop._hidden, loop._grad = loop._hidden.astype(dtype), loop._grad.astype(dtype)
    return loop


def gradients(loop: EpochLoop, phase: Phase, step: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Return the gradients that one step of the loop works out."""
    names = loop._make_parameters(Phase("", (step,), phase.encoder))
    arrays = loop.network.arrays()
    loop._parameters = {name: Parameter.gradient_of(arrays[name]) for name in names}
    loop._batch(Phase("", (step,), phase.encoder), loop._run.train, {head: [] for head in step})
    return {name: parameter.first.copy() for name, parameter in loop._parameters.items()}


def objective(model: Any, loop: EpochLoop, step: tuple[str, ...]) -> Callable[[dict[str, np.ndarray]], float]:
    """Return the mean over users of the losses of a step as a function of the weights, user by user."""
    r = DATA.toarray().astype(float)
    lengths, popularity = r.sum(axis=1), r.sum(axis=0)
    backend = loop._run.backend
    x = loop._encoder.inputs(loop._run.train)
    if model.dropout:
        x = backend.drop_entries(x, RATE, loop._seeds.dropout, 0)
    x = x.to_scipy().toarray().astype(float)
    expected_input = r / np.sqrt(lengths)[:, None] if model.normalize else r
    kept = x != 0
    np.testing.assert_allclose(x[kept], (expected_input / (1 - model.dropout))[kept], rtol=1e-6)
    assert (kept == (r > 0)).all() or model.dropout
    share = lengths**-0.5 if model.intercept == "history" else np.ones(USERS)
    counts = None
    if hasattr(model, "negatives") and EMBEDDING in step:
        loss = loop.heads[EMBEDDING].loss
        pattern, drawn = backend.sample_negatives(loss.sampler, np.arange(USERS), None, loss.seed, 0)
        counts = pattern.with_data(drawn.astype(np.float32)).to_scipy().toarray().astype(float)
        assert (counts.sum(axis=1) == model.negatives).all()

    def loss_of(head: str, user: int, scores: np.ndarray) -> float:
        if head == PREDICTION:
            return np.sum((r[user] - scores) ** 2)
        if counts is None:
            target = np.maximum(np.log(USERS) - model.beta * np.log(popularity), 0) * r[user]
            return model.embedding_weight * np.sum((target * lengths[user] ** -model.user_weight - scores) ** 2)
        positive, negative = OUT[model.out]
        scale = lengths[user] / counts[user].sum()
        value = -np.sum(r[user] * positive(scores)) + scale * np.sum(counts[user] * negative(scores))
        return getattr(model, "embedding_weight", 1.0) * value

    def mean_loss(weights: dict[str, np.ndarray]) -> float:
        total = 0.0
        for user in range(USERS):
            hidden = ACTIVATE[model.activation](x[user] @ weights["encoder"] + weights["bias"][0])
            hidden = np.append(hidden, share[user]) if model.fit_intercept else hidden
            total += sum(loss_of(head, user, weights[head] @ hidden) for head in step)
        return total / USERS

    return mean_loss


def by_differences(function: Callable[[dict[str, np.ndarray]], float], at: dict[str, np.ndarray], name: str) -> Any:
    """Return central differences of the function for every entry of one array; their rounding error is about 1e-10."""
    result, size = np.zeros_like(at[name]), 1e-5
    for place in np.ndindex(result.shape):
        values = []
        for sign in (1, -1):
            moved = at[name].copy()
            moved[place] += sign * size
            values.append(function(at | {name: moved}))
        result[place] = (values[0] - values[1]) / (2 * size)
    return result


def check(case: str, phase: Phase, step: tuple[str, ...], dtype: type, tolerance: float, **params: Any) -> None:
    known = make(case).get_params()
    if "embedding_weight" in known:
        params = {"embedding_weight": 0.7, **params}
    if "negatives" in known:
        params = {"negatives": 32, **params}  # the ratio of positives to negatives has no rounding error
    params = {"factors": UNITS, "batch_size": None, "dropout": RATE, "activation": "tanh", **params}
    model = make(case, **params)
    loop = make_loop(model, dtype)
    before = {name: value.astype(float) for name, value in loop.network.arrays().items()}
    got = gradients(loop, phase, step)
    assert set(got) == {*(("encoder", "bias") if phase.encoder else ()), *step}
    for name, value in loop.network.arrays().items():
        np.testing.assert_array_equal(value, before[name])
    function = objective(model, loop, step)
    for name, gradient in got.items():
        assert gradient.dtype == dtype
        expected = by_differences(function, before, name)
        largest = np.abs(expected).max()
        assert largest > 1e-3
        np.testing.assert_allclose(gradient, expected, rtol=0, atol=tolerance * largest + 1e-9, err_msg=name)


@pytest.mark.parametrize(("case", "phase", "step"), STEPS)
def test_float64(case: str, phase: Phase, step: tuple[str, ...]) -> None:
    check(case, phase, step, np.float64, 1e-7, device="reference")


@pytest.mark.parametrize(("case", "phase", "step"), STEPS)
@pytest.mark.parametrize("device", ["reference", "cpu"])
def test_float32(case: str, phase: Phase, step: tuple[str, ...], device: str) -> None:
    check(case, phase, step, np.float32, 2e-5, device=device)


OPTIONS = [
    ("AutoRec", {"activation": "relu"}),
    ("AutoRec", {"activation": "sigmoid", "intercept": "constant"}),
    ("AutoRec", {"activation": "identity", "fit_intercept": False, "normalize": None}),
    ("AutoRec", {"dropout": 0.0}),
    ("OHNSAutoRec", {"out": "logsigmoid"}),
    ("OHNSAutoRec", {"out": "tanh", "activation": "relu"}),
    ("OHNSAutoRec", {"out": "identity", "weight_decay": 1.0, "fit_intercept": False}),
    ("NCEAutoRec joint", {"beta": 0.5, "user_weight": 0.0, "intercept": "constant"}),
    ("NCEAutoRec joint", {"embedding_weight": 0.0}),
]


@pytest.mark.parametrize(("case", "params"), OPTIONS)
def test_options(case: str, params: dict[str, Any]) -> None:
    (phase,) = make(case)._objective().phases
    (step,) = phase.steps
    if params.get("embedding_weight") != 0:
        check(case, phase, step, np.float64, 1e-7, device="reference", **params)
        return
    loop = make_loop(make(case, factors=UNITS, batch_size=None, device="reference", **params), np.float64)
    assert not gradients(loop, phase, step)[EMBEDDING].any()


def test_batches_of_one_size_average_to_the_gradient_of_all() -> None:
    """A step takes the mean over its users, so a gradient has one size for any number of them."""
    phase = make("AutoRec")._objective().phases[0]
    loop = make_loop(make("AutoRec", factors=UNITS, batch_size=None, device="reference"), np.float64)
    whole = gradients(loop, phase, (PREDICTION,))
    parts = []
    for rows in ([0, 4, 7], [1, 2, 3], [5, 6, 8]):
        loop._batch(phase, loop._run.train.take_rows(np.array(rows)), {PREDICTION: []})
        parts.append({name: parameter.first.copy() for name, parameter in loop._parameters.items()})
    for name, gradient in whole.items():
        np.testing.assert_allclose(np.mean([part[name] for part in parts], axis=0), gradient, rtol=1e-10, atol=1e-12)
