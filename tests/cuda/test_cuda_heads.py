"""Steps of the optimiser on an emulated device: what the tests of all backends do not reach."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from cuda_emulation import EmulatedDevice
from scipy import sparse

from fastautorec._compute.csr import Csr
from fastautorec._compute.cuda import heads, optim
from fastautorec._compute.cuda.matrix import DeviceCsr, Pattern
from fastautorec._compute.host import activation_slope
from fastautorec._compute.parameter import RULES, Parameter
from fastautorec._compute.protocol import ACTIVATIONS
from fastautorec._compute.reference import ReferenceBackend

REFERENCE = ReferenceBackend()
STATE = ("value", "first", "second")


def random(*shape, seed=0):
    return (0.3 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def stored(q, n, seed=0, density=0.1):
    """A matrix with an empty row, an empty column, and a column that every other row has."""
    matrix = sparse.random(q, n, density, format="lil", dtype=np.float32, random_state=seed)
    matrix[:, 1] = random(q, 1, seed=seed + 1)
    matrix[2], matrix[:, n // 2] = 0, 0
    csr = matrix.tocsr()
    return Csr(csr.indptr.astype(np.int64), csr.indices.astype(np.int32), csr.data, n)


def parameter(n, k, rule="adam", **changes):
    p = Parameter(random(n, k, seed=3), rule, decay=0.1, last_decay=0.02, bias_column=True, step=2)
    for moment, seed in ((p.first, 4), (p.second, 5)):
        if moment is not None:
            moment[...] = np.abs(random(n, k, seed=seed))
    return dataclasses.replace(p, **changes)


def upload(device, matrix, pads=(0, 0)):
    """Copy to the device, to rows with something before and behind."""
    if matrix is None:
        return None
    before, behind = pads
    return device.to_device(np.pad(matrix, ((0, 0), (before, behind))))[:, before : before + matrix.shape[1]]


def on_device(device, p, pads=(0, 0)):
    return dataclasses.replace(p, **{name: upload(device, getattr(p, name), pads) for name in STATE})


def state(p, device=None):
    arrays = [getattr(p, name) for name in STATE if getattr(p, name) is not None]
    return arrays if device is None else [device.to_host(array) for array in arrays]


def assert_close(actual, expected, tolerance=3e-5):
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * max(1.0, float(np.abs(other).max())))


def bits(arrays):
    return [np.asarray(array).tobytes() for array in arrays]


class Step:
    """One call of a head on a device, from the same start each time."""

    def __init__(self, q=300, n=21, k=9):
        self.hidden, self.target, self.grad = random(q, k, seed=2), stored(q, n), random(q, k, seed=6)
        self.positives, self.negatives = (stored(q, n, seed, 0.2).with_data(None) for seed in (7, 8))
        self.counts = np.random.default_rng(9).integers(1, 4, self.negatives.nnz).astype(np.int32)
        self.n, self.k = n, k

    def mse(self, device, pads=(0, 0)):
        return self._run(device, pads, heads.mse_head, lambda up: [self._upload(device, self.target)])

    def ns(self, device, pads=(0, 0)):
        return self._run(device, pads, heads.ns_head, lambda up: (*self._lists(device), up(self.counts)))

    def expected(self, name):
        p, grad = parameter(self.n, self.k), self.grad.copy()
        lists = (self.target,) if name == "mse" else (self.positives, self.negatives, self.counts)
        loss = getattr(REFERENCE, f"{name}_head")(self.hidden, p, *lists, scale=0.3, grad_hidden=grad)
        return [loss, grad, *state(p)]

    def _upload(self, device, matrix):
        return DeviceCsr.from_host(device, matrix)

    def _lists(self, device):
        return [self._upload(device, matrix) for matrix in (self.positives, self.negatives)]

    def _run(self, device, pads, head, lists):
        p, grad = on_device(device, parameter(self.n, self.k), pads), upload(device, self.grad, pads)
        hidden = upload(device, self.hidden, pads)
        loss = head(device, hidden, p, *lists(device.to_device), scale=0.3, grad_hidden=grad)
        assert p.step == 3
        return [float(loss), device.to_host(grad), *state(p, device)]


@pytest.mark.parametrize("name", ["mse", "ns"])
@pytest.mark.parametrize("shape", [(300, 21, 9), (70, 5, 131), (40, 9, 1100)], ids=["long lists", "tiles", "slabs"])
def test_heads(name, shape):
    step = Step(*shape)
    assert_close(getattr(step, name)(EmulatedDevice()), step.expected(name))


@pytest.mark.parametrize("name", ["mse", "ns"])
def test_bits_do_not_depend_on_the_order_of_threads(name):
    step = Step(k=140)
    first, second = (bits(getattr(step, name)(EmulatedDevice(seed=seed))) for seed in (1, 2))
    assert first == second


@pytest.mark.parametrize("name", ["mse", "ns"])
@pytest.mark.parametrize("pads", [(1, 2), (4, 4)], ids=["unaligned rows", "aligned rows"])
def test_strided_rows(name, pads):
    step = Step(20, 30, 133)
    assert_close(getattr(step, name)(EmulatedDevice(), pads), step.expected(name))


@pytest.mark.parametrize("before", [3, 4])
def test_nothing_beside_the_columns_changes(before):
    device, step = EmulatedDevice(), Step(20, 30, 133)
    n, k, inside = step.n, step.k, slice(before, before + step.k)
    wholes = [device.to_device(random(rows, k + before + 3)) for rows in (n, n, n, 20)]
    p = dataclasses.replace(parameter(n, k), **{name: w[:, inside] for name, w in zip(STATE, wholes, strict=False)})
    hidden, counts = device.to_device(step.hidden), device.to_device(step.counts)
    grad = wholes[3][:, inside]
    heads.mse_head(device, hidden, p, DeviceCsr.from_host(device, step.target), grad_hidden=grad)
    heads.ns_head(device, hidden, p, *step._lists(device), counts, grad_hidden=grad)
    heads.activation_backward(device, hidden, grad, "tanh")
    for whole in wholes:
        after, start = device.to_host(whole), random(len(whole), k + before + 3)
        assert not (after == start)[:, inside].all()
        after[:, inside] = start[:, inside]
        np.testing.assert_array_equal(after, start)


@pytest.mark.parametrize("name", ["mse", "ns"])
def test_blocks_may_be_fewer_than_tasks(name, monkeypatch):
    monkeypatch.setattr(optim, "MAX_BLOCKS", 3)
    monkeypatch.setattr(heads, "MAX_BLOCKS", 3)
    step = Step(20, 100, 7)
    assert_close(getattr(step, name)(EmulatedDevice()), step.expected(name))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("first_step", [True, False])
@pytest.mark.parametrize("shape", [(1, 7), (1, 1), (20, 140), (9, 4)])
def test_optimizer_step(rule, first_step, shape):
    device, grad = EmulatedDevice(), random(*shape, seed=8)
    for momentum, pads in ((0.9, (0, 0)), (0.0, (4, 4)), (0.5, (1, 3))):
        p = parameter(*shape, rule, step=0 if first_step else 4, beta1=momentum)
        if rule == "sgd" and momentum == 0:
            p.first = None
        copy = on_device(device, p, pads)
        optim.optimizer_step(device, copy, device.to_device(grad))
        REFERENCE.optimizer_step(p, grad)
        assert copy.step == p.step
        assert_close(state(copy, device), state(p), 1e-6)
    assert device.launches == ["step_rows_kernel"] * 3


def test_constants_of_a_step_are_those_of_the_core():
    p, grad = parameter(6, 5, step=11, learning_rate=0.0123, beta1=0.87, beta2=0.9931), random(6, 5, seed=8)
    device = EmulatedDevice()
    copy = on_device(device, p)
    optim.optimizer_step(device, copy, device.to_device(grad))
    core = pytest.importorskip("fastautorec._compute.cpu").CpuBackend()
    core.optimizer_step(p, grad)
    for one, other in zip(state(copy, device), state(p), strict=True):
        np.testing.assert_array_max_ulp(one, other, 2)  # the core fuses multiplications and additions


def test_a_step_neither_waits_nor_launches_much():
    device, step = EmulatedDevice(), Step(20, 30, 5)
    hidden, counts = device.to_device(step.hidden), device.to_device(step.counts)
    p, grad = on_device(device, parameter(30, 5)), device.to_device(step.grad)
    target, positives = (DeviceCsr.from_host(device, matrix) for matrix in (step.target, step.positives))
    known = DeviceCsr.from_host(device, step.negatives).pattern
    _ = target.pattern.by_item, positives.pattern.by_item
    unknown = Pattern(device, known.indptr, known.indices, known.n_cols)
    _ = unknown.by_item
    before = device.synchronisations
    device.launches.clear()
    heads.mse_head(device, hidden, p, target, 0.3, grad)
    assert device.launches == ["sum_lists_kernel", "step_rows_kernel"]
    heads.ns_head(device, hidden, p, positives, DeviceCsr(unknown), counts, grad_hidden=grad)
    assert device.launches[2:] == ["ns_entries_kernel", "step_rows_kernel"]
    assert device.synchronisations == before


def test_entries_behind_the_last_row_do_not_count():
    device, step = EmulatedDevice(), Step(20, 30, 5)
    expected = step.ns(device)
    negatives, behind = step.negatives, np.full(7, 3, np.int32)
    padded = np.concatenate([negatives.indices, behind])
    step.counts = np.concatenate([step.counts, behind])
    pattern = Pattern(device, device.to_device(negatives.indptr), device.to_device(padded), 30)
    step._lists = lambda device: [DeviceCsr.from_host(device, step.positives), DeviceCsr(pattern)]
    assert bits(step.ns(device)) == bits(expected)


@pytest.mark.parametrize("name", ["mse", "ns"])
def test_storage_may_start_before_the_first_row(name):
    whole, part = Step(40, 30, 5), Step(40, 30, 5)
    part.hidden, part.grad = whole.hidden[11:29], whole.grad[11:29]
    for matrix in ("target", "positives", "negatives"):
        setattr(part, matrix, getattr(whole, matrix).rows(11, 29))
    expected = part.expected(name)
    part._upload = lambda device, rows: DeviceCsr(
        Pattern(device, *map(device.to_device, (rows.indptr, rows.indices)), 30),
        None if rows.data is None else device.to_device(rows.data),
    )
    assert_close(getattr(part, name)(EmulatedDevice()), expected)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (128, 33), (129, 32), (300, 7)])
def test_activation_backward(activation, shape):
    device, (q, k) = EmulatedDevice(), shape
    hidden, grad = random(q, k), random(q, k + 2, seed=1)
    wide = device.to_device(grad)
    bias = heads.activation_backward(device, upload(device, hidden, (1, 2)), wide, activation)
    grad[:, :k] *= activation_slope(hidden, activation)
    assert_close([device.to_host(wide)] if q else [], [grad] if q else [], 1e-6)
    assert_close([device.to_host(bias)], [grad[:, :k].sum(axis=0, keepdims=True)], 1e-5)
    assert len(device.launches) <= 2


def test_sums_of_squares_and_of_losses():
    device, value = EmulatedDevice(), random(37, 45)
    expected = np.sum(value.astype(np.float64) ** 2)
    assert heads.sum_of_squares(device, upload(device, value, (3, 1))) == pytest.approx(expected, rel=1e-13)
    parts = [heads.DeviceLoss(device, device.to_device(np.arange(size, dtype=np.float64))) for size in (4, 0, 3)]
    device.synchronisations = 0
    assert heads.add_up(device, parts) == 9
    assert device.synchronisations == 1
    assert heads.add_up(device, []) == 0
