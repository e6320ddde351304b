"""The losses of the two decoders: every plan on every backend against plain loops; gradients against differences."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from scipy import sparse

from fastautorec import ops
from fastautorec._compute import get_backend
from fastautorec._compute.inputs import check_counts, check_user_items, check_values
from fastautorec._compute.parameter import RULES, Parameter
from fastautorec._compute.protocol import OUTPUTS
from fastautorec._compute.reference import ReferenceBackend
from fastautorec.reference.pure import PureBackend

PURE, REFERENCE = PureBackend(), ReferenceBackend()
MSE_PLANS, NS_PLANS = ("auto", "gram", "tiles"), ("auto", "sparse", "tiles")

# users, items, units, density of the target
SHAPES = {
    "plain": (30, 40, 9, 0.2),
    "no users": (0, 5, 3, 0.5),
    "nothing stored": (3, 5, 4, 0.0),
    "one user": (1, 40, 7, 0.5),
    "one item": (30, 1, 5, 0.5),
    "one of each": (1, 1, 1, 1.0),
    "one unit": (20, 30, 1, 0.3),
    "more units than items": (12, 6, 40, 0.4),
    "whole registers": (10, 12, 32, 0.5),
}
LARGE = {"many tiles": (70, 4100, 33, 0.02), "many users": (900, 300, 21, 0.05), "wide": (40, 500, 201, 0.1)}


def random(*shape, seed=0, scale=0.5):
    return (scale * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def stored(users, items, density, seed=0):
    """A matrix whose every fifth row is empty."""
    matrix = sparse.random(users, items, density, format="lil", dtype=np.float32, random_state=seed)
    matrix[4::5] = 0
    return matrix.tocsr()


class Case:
    """Arguments of both heads."""

    def __init__(self, users, items, units, density, rule="gradient"):
        target = stored(users, items, density)
        self.target = check_values("target", target)
        self.positives = check_user_items("positives", target != 0)
        drawn = stored(users, items, 0.3, seed=1)
        drawn.data = np.ceil(drawn.data * 3)
        self.negatives, self.counts = check_counts("negatives", drawn)
        self.hidden = random(users, units, seed=2)
        self.weights, self.rule = random(items, units, seed=3), rule

    def parameter(self):
        p = Parameter(self.weights.copy(), self.rule, decay=0.1, last_decay=0.02, bias_column=True, step=2)
        for moment, seed in ((p.first, 4), (p.second, 5)):
            if moment is not None:
                moment[...] = np.abs(random(*moment.shape, seed=seed))
        return p

    def mse(self, backend, plan="auto", grad=True, scale=1.0):
        p, total = self.parameter(), np.ones_like(self.hidden) if grad else None
        return backend.mse_head(self.hidden, p, self.target, scale, total, plan), total, p.value, p.first, p.second

    def ns(self, backend, plan="auto", out="sigmoid", grad=True, scale=1.0):
        p, total = self.parameter(), np.ones_like(self.hidden) if grad else None
        arguments = self.hidden, p, self.positives, self.negatives, self.counts, out, scale, total, plan
        return backend.ns_head(*arguments), total, p.value, p.first, p.second


def assert_close(actual, expected, tolerance=3e-5):
    for one, other in zip(actual, expected, strict=True):
        if other is None:
            assert one is None
            continue
        size = max(1.0, float(np.abs(other).max())) if np.size(other) else 1.0
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * size)


@pytest.mark.parametrize("plan", MSE_PLANS)
@pytest.mark.parametrize("shape", SHAPES)
def test_mse_head(backend, shape, plan):
    case = Case(*SHAPES[shape])
    assert_close(case.mse(backend, plan, scale=0.3), case.mse(PURE, scale=0.3))
    assert_close(case.mse(backend, plan, grad=False), case.mse(PURE, grad=False))


@pytest.mark.parametrize("out", OUTPUTS)
@pytest.mark.parametrize("plan", NS_PLANS)
@pytest.mark.parametrize("shape", SHAPES)
def test_ns_head(backend, shape, plan, out):
    case = Case(*SHAPES[shape])
    assert_close(case.ns(backend, plan, out, scale=0.3), case.ns(PURE, out=out, scale=0.3))
    assert_close(case.ns(backend, plan, out, grad=False), case.ns(PURE, out=out, grad=False))


@pytest.mark.parametrize("shape", LARGE)
def test_plans_equal_the_dense_computation(shape):
    case, cpu = Case(*LARGE[shape]), get_backend("cpu", 2)
    for plan in MSE_PLANS:
        assert_close(case.mse(cpu, plan), case.mse(REFERENCE))
        assert_close(case.mse(cpu, plan, grad=False), case.mse(REFERENCE, grad=False))
    for plan, out in itertools.product(NS_PLANS, OUTPUTS):
        assert_close(case.ns(cpu, plan, out), case.ns(REFERENCE, out=out))


@pytest.mark.parametrize("rule", RULES)
def test_rules(backend, rule):
    case = Case(*SHAPES["plain"], rule)
    for plan in MSE_PLANS:
        assert_close(case.mse(backend, plan), case.mse(PURE))
    for plan in NS_PLANS:
        assert_close(case.ns(backend, plan), case.ns(PURE))


@pytest.mark.parametrize("rule", RULES)
def test_encode_backward_steps_a_parameter(backend, rule):
    for shape in (SHAPES["plain"], SHAPES["no users"], SHAPES["more units than items"], LARGE["many tiles"]):
        case = Case(*shape, rule)
        results = []
        for each in (backend, REFERENCE):
            p = case.parameter()
            assert each.encode_backward(case.target, case.hidden, parameter=p) is p.value
            results.append((p.value, p.first, p.second))
        assert_close(*results)


@pytest.mark.parametrize("name", ["mse", "ns"])
def test_strided_rows(name):
    users, items, units, density = SHAPES["plain"]
    case, wide = Case(users, items, units, density, "adam"), Case(users, items, units, density, "adam")
    wide.hidden = np.pad(case.hidden, ((0, 0), (2, 5)))[:, 2:-5]
    cpu = get_backend("cpu", 2)

    def strided():
        p = case.parameter()
        state, pads = (p.value, p.first, p.second), ((1, 3), (4, 1), (2, 2))
        arrays = [np.pad(a, ((0, 0), pad))[:, pad[0] : -pad[1]] for a, pad in zip(state, pads, strict=True)]
        return dataclasses.replace(p, value=arrays[0], first=arrays[1], second=arrays[2])

    wide.parameter = strided
    for plan in ("gram", "tiles") if name == "mse" else ("sparse", "tiles"):
        assert_close(getattr(wide, name)(cpu, plan), getattr(case, name)(cpu, plan), 1e-6)
        grad = np.zeros((users, units + 7), np.float32)
        arguments = (case.target,) if name == "mse" else (case.positives, case.negatives, case.counts)
        getattr(cpu, f"{name}_head")(wide.hidden, strided(), *arguments, grad_hidden=grad[:, 3:-4], plan=plan)
        assert_close([grad[:, 3:-4] + 1], [getattr(case, name)(cpu, plan)[1]], 1e-6)
        assert not grad[:, :3].any()
        assert not grad[:, -4:].any()


def test_row_slices_of_a_matrix(backend):
    whole = Case(*SHAPES["plain"])
    part = Case(*SHAPES["plain"])
    part.hidden = whole.hidden[7:19]
    for name in ("target", "positives", "negatives"):
        setattr(part, name, getattr(whole, name).rows(7, 19))
    assert_close(part.mse(backend, "tiles"), part.mse(PURE))
    assert_close(part.mse(backend, "gram"), part.mse(PURE))
    for plan in ("sparse", "tiles"):
        assert_close(part.ns(backend, plan), part.ns(PURE))


@pytest.mark.parametrize("shape", LARGE)
@pytest.mark.parametrize("rule", ["gradient", "adam"])
def test_same_bits_for_any_number_of_threads(shape, rule):
    case = Case(*LARGE[shape], rule)
    runs = [
        lambda b: case.mse(b, "gram"),
        lambda b: case.mse(b, "gram", grad=False),
        lambda b: case.mse(b, "tiles"),
        lambda b: case.ns(b, "sparse"),
        lambda b: case.ns(b, "tiles", "logsigmoid"),
    ]
    for run in runs:
        first, *others = [[np.asarray(a).tobytes() for a in run(get_backend("cpu", t))] for t in (1, 2, 7)]
        for other in others:
            assert other == first


@pytest.mark.parametrize("out", OUTPUTS)
def test_extreme_scores(backend, out):
    case = Case(1, 3, 1, 1.0)
    case.hidden = np.ones((1, 1), np.float32)
    case.weights = np.array([[80], [-80], [0]], np.float32)
    for plan in NS_PLANS:
        result = case.ns(backend, plan, out)
        assert all(np.isfinite(part).all() for part in result if part is not None)
        assert_close(result, case.ns(PURE, out=out))


# --- gradients against differences, in double precision -----------------------------------------------------------


def losses_of(out):
    """The loss as a function of (hidden, decoder) in float64, and its gradients; out None for the squared error."""
    case = Case(6, 8, 4, 0.4)

    def run(hidden, weights):
        p, grad = Parameter.gradient_of(weights.copy()), np.zeros_like(hidden)
        if out is None:
            loss = REFERENCE.mse_head(hidden, p, case.target, grad_hidden=grad)
        else:
            loss = REFERENCE.ns_head(hidden, p, case.positives, case.negatives, case.counts, out, grad_hidden=grad)
        return loss, grad, p.first

    hidden, weights = case.hidden.astype(np.float64), case.weights.astype(np.float64)
    hidden[:, -1] = 1  # so that the last column of the decoder holds biases
    return run, hidden, weights


@pytest.mark.parametrize("out", [None, *OUTPUTS])
def test_gradients(out):
    run, hidden, weights = losses_of(out)
    _, grad_hidden, grad_decoder = run(hidden, weights)
    assert grad_hidden.dtype == grad_decoder.dtype == np.float64
    for array, grad in ((hidden, grad_hidden), (weights, grad_decoder)):
        for place in np.ndindex(array.shape):
            sides = []
            for step in (1e-5, -1e-5):
                kept, array[place] = array[place], array[place] + step
                sides.append(run(hidden, weights)[0])
                array[place] = kept
            assert (sides[0] - sides[1]) / 2e-5 == pytest.approx(grad[place], rel=1e-6, abs=1e-7)


def test_weights_of_users_without_negatives_or_positives(backend):
    positives = check_user_items("positives", sparse.csr_matrix([[1, 1, 0], [0, 0, 0], [1, 0, 0]]))
    negatives, counts = check_counts("negatives", sparse.csr_matrix([[0, 0, 4], [0, 3, 0], [0, 0, 0]]))
    weights = np.array([[1], [2], [3]], np.float32)
    p = Parameter.gradient_of(weights)
    loss = backend.ns_head(np.ones((3, 1), np.float32), p, positives, negatives, counts, "identity")
    assert loss == (3 * 2 - (1 + 2)) + 0 + (0 - 1)
    assert p.first.tolist() == [[-2], [-1], [2]]


def test_public_functions_split_off_the_bias():
    hidden, decoder, bias = random(5, 3), random(7, 3, seed=1), random(7, seed=2)
    target = stored(5, 7, 0.4)
    loss, grad_hidden, grad_decoder, grad_bias = ops.mse_head(hidden, decoder, bias, target)
    error = hidden @ decoder.T + bias - target.toarray()
    assert loss == pytest.approx(np.sum(error**2), rel=1e-6)
    expected = (2 * error @ decoder, 2 * error.T @ hidden, 2 * error.sum(axis=0))
    assert_close((grad_hidden, grad_decoder, grad_bias), expected)
    assert_close(ops.mse_head(hidden, decoder, None, target), ops.mse_head(hidden, decoder, np.zeros(7), target))


def test_negatives_may_be_any_matrix_of_counts():
    hidden, decoder = random(1, 2), random(3, 2, seed=1)
    positives = sparse.csr_matrix([[1, 0, 0]])
    twice = sparse.coo_matrix(([1, 1, 1], ([0, 0, 0], [1, 2, 1])), shape=(1, 3))
    for negatives in (twice, sparse.lil_matrix([[0, 2, 1]], dtype=np.int8), sparse.csc_matrix([[0.0, 2.0, 1.0]])):
        result = ops.ns_head(hidden, decoder, None, positives, negatives)
        assert_close(result, ops.ns_head(hidden, decoder, None, positives, sparse.csr_matrix([[0, 2, 1]])))
