"""The optimiser against written-out formulas, and against torch.optim where PyTorch is installed."""

from __future__ import annotations

import numpy as np
import pytest

from fastautorec import ops, reference
from fastautorec._compute import get_backend
from fastautorec._compute.parameter import RULES, Parameter
from fastautorec.reference import pure
from fastautorec.reference.pure import PureBackend

MODULES = pytest.mark.parametrize("module", [ops, reference, pure], ids=["ops", "reference", "pure"])
STEPS = 5


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def trajectory(module, rule, **options):
    """Weights after each of some steps with gradients that change."""
    weights, first, second = random(4, 19), None, None
    path = []
    for step in range(STEPS):
        grad = random(4, 19, seed=step + 1)
        weights, first, second = module.optimizer_step(weights, grad, first, second, rule, step=step, **options)
        path.append(weights)
    return np.array(path)


def by_formula(rule, learning_rate=1e-3, weight_decay=0.0, beta1=0.9, beta2=0.999, epsilon=1e-8):
    w, m, v = random(4, 19).astype(np.float64), 0, 0
    path = []
    for step in range(STEPS):
        g, t = random(4, 19, seed=step + 1).astype(np.float64), step + 1
        if rule == "adamw":
            w = w - learning_rate * weight_decay * w
        else:
            g = g + weight_decay * w
        if rule == "sgd":
            m = beta1 * m + g if step else g
            w = w - learning_rate * m
        else:
            m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
            w = w - learning_rate * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + epsilon)
        path.append(w)
    return np.array(path)


OPTIONS = {
    "sgd": [{"beta1": 0.0}, {"beta1": 0.9}, {"beta1": 0.5, "weight_decay": 0.1, "learning_rate": 0.2}],
    "adam": [{}, {"weight_decay": 0.1, "learning_rate": 0.01}, {"beta1": 0.5, "beta2": 0.9, "epsilon": 0.1}],
    "adamw": [{}, {"weight_decay": 0.1, "learning_rate": 0.01}],
}
CASES = [(rule, options) for rule, several in OPTIONS.items() for options in several]


@MODULES
@pytest.mark.parametrize(("rule", "options"), CASES)
def test_formulas(module, rule, options):
    np.testing.assert_allclose(trajectory(module, rule, **options), by_formula(rule, **options), rtol=0, atol=2e-6)


@pytest.mark.parametrize(("rule", "options"), CASES)
def test_torch(rule, options):
    torch = pytest.importorskip("torch", reason="compares with torch.optim")
    options = {"learning_rate": 1e-3, "weight_decay": 0.0, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, **options}
    weights = torch.nn.Parameter(torch.from_numpy(random(4, 19)))
    shared = {"lr": options["learning_rate"], "weight_decay": options["weight_decay"]}
    adam = {"betas": (options["beta1"], options["beta2"]), "eps": options["epsilon"]}
    if rule == "sgd":
        optimizer = torch.optim.SGD([weights], momentum=options["beta1"], **shared)
    else:
        optimizer = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[rule]([weights], **shared, **adam)
    path = []
    for step in range(STEPS):
        weights.grad = torch.from_numpy(random(4, 19, seed=step + 1))
        optimizer.step()
        path.append(weights.detach().numpy().copy())
    np.testing.assert_allclose(trajectory(ops, rule, **options), np.array(path), rtol=0, atol=1e-6)


@MODULES
def test_inputs_stay_and_results_are_new(module):
    arrays = [random(3, 4), random(3, 4, seed=1), random(3, 4, seed=2), np.abs(random(3, 4, seed=3))]
    before = [a.copy() for a in arrays]
    results = module.optimizer_step(*arrays)
    for array, old in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, old)
        assert not any(np.shares_memory(array, result) for result in results)


@MODULES
def test_moments_that_a_rule_does_not_keep(module):
    assert module.optimizer_step([[1.0]], [[1.0]], rule="sgd", beta1=0.0)[1:] == (None, None)
    assert module.optimizer_step([[1.0]], [[1.0]], rule="sgd")[2] is None


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (1, 1), (5, 16), (700, 201)])
@pytest.mark.parametrize("rule", RULES)
def test_shapes(backend, shape, rule):
    """Also the penalty of a bias column, and the same bits for any number of threads."""

    def run(who):
        p = Parameter(random(*shape), rule, decay=0.1, last_decay=0.3, bias_column=True)
        for step in range(2):
            who.optimizer_step(p, random(*shape, seed=step + 1))
        assert p.step == 2
        return [a for a in (p.value, p.first, p.second) if a is not None]

    results = run(backend)
    for one, other in zip(results, run(PureBackend()), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=2e-6)
    for threads in (1, 7):
        for one, other in zip(results, run(backend.with_threads(threads)), strict=True):
            assert one.tobytes() == other.tobytes()


def test_rows_far_apart():
    wide = [np.full((6, 30), 5, np.float32) for _ in range(4)]
    views = [array[::2, 3:20] for array in wide]
    expected = [view.copy() for view in views]
    for value, grad, first, second in (views, expected):
        get_backend("cpu", 2).optimizer_step(Parameter(value, "adam", first, second), grad)
    for view, dense, array in zip(views, expected, wide, strict=True):
        np.testing.assert_array_equal(view, dense)
        assert (array[1::2] == 5).all()
        assert (array[:, :3] == 5).all()
        assert (array[:, 20:] == 5).all()
