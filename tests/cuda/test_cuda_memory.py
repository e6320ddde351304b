"""A device that is too small: interactions that stay on the host, tiles that shrink, and nothing counted twice."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from autoencoders import HELD_OUT, TRAIN, make
from cuda_emulation import EmulatedArray, EmulatedCsr, EmulatedDevice
from devices import emulated_backend
from lanes import keeping
from runs import run_on
from scipy import sparse

import fastautorec as far
from fastautorec._compute import get_backend
from fastautorec._compute.cpu import CpuBackend
from fastautorec._compute.cuda import sparse as sparse_operations
from fastautorec._compute.cuda import streamed
from fastautorec._compute.cuda.backend import CudaBackend
from fastautorec._compute.cuda.matrix import DeviceCsr
from fastautorec._compute.inputs import check_user_items
from fastautorec._training import closed_form as _exact
from fastautorec._training.closed_form import Encoder, accumulate_ridge
from fastautorec._training.losses import SquaredError, item_weights

X = check_user_items("x", TRAIN)
CLOSED = {
    "NCEAutoRec": lambda **params: far.NCEAutoRec(factors=8, **params),
    "NCEAutoRec tanh": lambda **params: far.NCEAutoRec(factors=8, activation="tanh", **params),
    "NCEPLRec": lambda **params: far.NCEPLRec(factors=8, **params),
    "PureSVD": lambda **params: far.PureSVD(factors=8, **params),
    "Popularity": far.Popularity,
    "EASE": lambda **params: far.EASE(regularization=20.0, **params),
    "DLAE": lambda **params: far.DLAE(regularization=4.0, sharpening=1.0, **params),
}
TRAINED = {name: partial(make, name) for name in ("AutoRec", "OHNSAutoRec", "NSAutoRec full", "NCEAutoRec joint")}


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Interactions come over in blocks of a few users."""
    monkeypatch.setattr(streamed, "BLOCK_BYTES", 50 * streamed.ENTRY_BYTES)


# --- interactions that stay on the host -------------------------------------------------------------------------------


def streaming(device: EmulatedDevice) -> EmulatedDevice:
    device.memory_left = 1000
    return device


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("name", keeping(["NCEAutoRec", "AutoRec"], [*CLOSED, *TRAINED]))
def test_models_of_interactions_that_do_not_fit(emulation: EmulatedDevice, name: str) -> None:
    cls = (CLOSED | TRAINED)[name]
    expected = cls(device="cuda").fit(TRAIN, HELD_OUT)
    streaming(emulation)
    assert isinstance(get_backend("cuda").put(X), streamed.StreamedCsr)
    model = cls(device="cuda").fit(TRAIN, HELD_OUT)
    scores = expected.predict(TRAIN)
    tolerance = 2e-4 * np.abs(scores).max()
    np.testing.assert_allclose(model.predict(TRAIN), scores, rtol=0, atol=tolerance)
    if name in TRAINED and name != "NCEAutoRec joint":
        np.testing.assert_array_equal(model.predict(TRAIN), scores)  # the same batches
    for options in ({}, {"items": [3, 30, 7]}, {"filter_items": [0]}):
        ids, values = model.recommend(TRAIN, N=6, **options)
        emulation.memory_left = 1 << 30
        there, best = model.recommend(TRAIN, N=6, **options)
        streaming(emulation)
        np.testing.assert_array_equal(ids, there)
        np.testing.assert_array_equal(values, best)
    report = far.evaluate(model, TRAIN, HELD_OUT, k=5)
    assert report["NDCG"].mean == pytest.approx(far.evaluate(expected, TRAIN, HELD_OUT, k=5)["NDCG"].mean, abs=1e-3)
    if hasattr(model, "embed"):
        units = model.embed(TRAIN)
        emulation.memory_left = 1 << 30
        np.testing.assert_array_equal(units, model.embed(TRAIN))
        streaming(emulation)
    if name in TRAINED:
        np.testing.assert_allclose(
            model.partial_fit(TRAIN).predict(TRAIN), expected.partial_fit(TRAIN).predict(TRAIN), rtol=0, atol=tolerance
        )


@pytest.mark.usefixtures("small_blocks")
def test_operations_in_blocks() -> None:
    backend = emulated_backend()
    resident = backend.put(X)
    streaming(backend.device)
    there = backend.put(X)
    assert len(list(there.blocks())) > 5
    assert sum(part.nnz for part in there.blocks()) == X.nnz == there.nnz
    np.testing.assert_array_equal(backend.count_items(there), backend.count_items(resident))
    np.testing.assert_array_equal(backend.count_items(there), TRAIN.sum(axis=0).A1.astype(np.int64))
    block = backend.to_device(np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32))
    expected = TRAIN.T @ (TRAIN @ block.get())
    np.testing.assert_allclose(backend.gram_product(there, block).get(), expected, atol=1e-4)
    weights = item_weights(backend.count_items(there), 60)
    target = SquaredError(weights, 0.5)
    dense = target.target(X).to_scipy()
    found = target.on(backend).gram_product(backend, there, block).get()
    np.testing.assert_allclose(found, dense.T @ (dense @ block.get()), atol=1e-3)


def test_a_user_larger_than_a_block_comes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamed, "BLOCK_BYTES", 2 * streamed.ENTRY_BYTES)
    backend = emulated_backend()
    streaming(backend.device)
    wide = sparse.csr_matrix(np.array([[0, 0, 0], [1, 1, 1], [0, 1, 0], [1, 0, 0], [0, 0, 0]], np.float32))
    wide = sparse.hstack([wide] * 9).tocsr()
    parts = list(backend.put(check_user_items("x", wide)).blocks())
    assert len(parts) >= 3
    assert max(part.nnz for part in parts) == 27
    np.testing.assert_array_equal(sparse.vstack([part.to_scipy() for part in parts]).toarray(), wide.toarray())


def test_rows_keep_their_users() -> None:
    """Random streams are keyed by user numbers: blocks, batches and parts of parts know theirs."""
    backend = emulated_backend()
    resident = backend.put(X)
    streaming(backend.device)
    there = backend.put(X)
    order = np.random.default_rng(0).permutation(60)
    for one, other in zip(there.batches(order, 16), resident.batches(order, 16), strict=True):
        assert isinstance(one, DeviceCsr)
        np.testing.assert_array_equal(one.to_scipy().toarray(), other.to_scipy().toarray())
        np.testing.assert_array_equal(one.user_numbers().get(), other.user_numbers().get())
    some = there.take_rows(order[:20])
    assert isinstance(some, streamed.StreamedCsr)
    np.testing.assert_array_equal(some.rows(5, 9).user_numbers().get(), order[5:9])


def test_interactions_on_the_device_stay_there(emulation: EmulatedDevice) -> None:
    there = EmulatedCsr.of(emulation, TRAIN)
    streaming(emulation)
    model = far.NCEAutoRec(factors=8, device="cuda").fit(there)
    assert isinstance(model.recommend(there, N=3)[0], EmulatedArray)
    assert isinstance(get_backend("cuda").put(model._check_history(there)), DeviceCsr)


# --- memory that gives out --------------------------------------------------------------------------------------------


@pytest.fixture
def out_of_memory(emulation: EmulatedDevice) -> Any:
    """Set how many bytes an array may have."""

    def limit(size: int | None) -> EmulatedDevice:
        emulation.fail_allocations_above = size
        return emulation

    return limit


def encoder_on(backend: CudaBackend, activation: str) -> Encoder:
    rng = np.random.default_rng(3)
    weight = backend.to_device(rng.normal(size=(40, 8)).astype(np.float32) / 4)
    return Encoder(weight, None, activation, "l2", "history")


def same_sums(one: Any, other: Any) -> None:
    np.testing.assert_allclose(one.gram, other.gram, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(one.cross.get(), other.cross.get(), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(one.noise, other.noise, rtol=1e-6, atol=1e-8)


class FailingNow:
    """An allocator that fails once, at the n-th array made within a tile."""

    def __init__(self, device: EmulatedDevice, at: int) -> None:
        self._device, self._left, self.failed = device, at, False
        self._inner = device.check_size
        device.check_size = self._check  # type: ignore[method-assign]

    def _check(self, array: Any) -> None:
        if array.base is None and array.nbytes:
            self._left -= 1
            if self._left == 0:
                self.failed = True
                raise self._device.out_of_memory("out of memory, for once")
        self._inner(array)


@pytest.mark.parametrize(
    ("entries", "activation"),
    keeping([(1 << 24, "identity")], [(1 << 24, "identity"), (1 << 24, "tanh"), (150, "identity"), (150, "tanh")]),
)
def test_no_allocation_counts_a_tile_twice(
    activation: str, entries: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Wherever memory gives out, the sums over users are those of a device that is large enough."""
    monkeypatch.setattr(sparse_operations, "TILE_ENTRIES", entries)
    monkeypatch.setattr(_exact, "tile_users", lambda *shape: 4)  # 32 users in a tile of the device
    large = emulated_backend()
    expected = accumulate_ridge(run_on(large, X), encoder_on(large, activation), 0.4, 7)
    retried, at = 0, 0
    while True:
        at += 1 if activation == "identity" else 3
        backend = emulated_backend()
        run, encoder = run_on(backend, X), encoder_on(backend, activation)
        failing = FailingNow(backend.device, at)
        caplog.clear()
        try:
            found = accumulate_ridge(run, encoder, 0.4, 7)
        except backend.out_of_memory:
            assert failing.failed  # outside the tiles: before the first one or after the last one
            assert not caplog.records
            continue
        if not failing.failed:
            break
        assert [record.getMessage() for record in caplog.records] == [
            "cuda is out of memory: going on with smaller tiles"
        ]
        same_sums(found, expected)
        retried += 1
    assert retried > 20


def test_products_shrink_their_tiles(caplog: pytest.LogCaptureFixture) -> None:
    backend = emulated_backend()
    there = backend.put(X)
    block = backend.to_device(np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32))
    expected = backend.gram_product(there, block).get()
    counts = backend.count_items(there)
    backend.device.fail_allocations_above = 1000  # of 60 users × 5 columns, but not of the 40 × 5 result
    np.testing.assert_allclose(backend.gram_product(there, block).get(), expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(backend.count_items(there), counts)
    assert len(caplog.records) == 1
    backend.device.fail_allocations_above = 10
    with pytest.raises(MemoryError):
        backend.gram_product(there, block)


@pytest.mark.parametrize("name", keeping(["NCEAutoRec"], ["NCEAutoRec", "NCEAutoRec tanh", "NCEPLRec", "PureSVD"]))
def test_closed_forms_go_on_with_smaller_tiles(out_of_memory: Any, caplog: pytest.LogCaptureFixture, name: str) -> None:
    """2,000 users whose hidden units do not fit at once."""
    data = far.datasets.synthetic(2000, 40, 12_000, random_state=1)
    expected = CLOSED[name](device="cuda").fit(data)
    device = out_of_memory(50_000)  # the values of the target take 48,000 bytes
    there = EmulatedCsr(device, tuple(EmulatedArray(device, a) for a in views(data)), data.shape)
    caplog.clear()
    model = CLOSED[name](device="cuda").fit(there)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    device.fail_allocations_above = None
    scores = expected.predict(data[:50])
    np.testing.assert_allclose(model.predict(data[:50]), scores, rtol=0, atol=1e-3 * np.abs(scores).max())


def views(data: sparse.csr_matrix) -> tuple[np.ndarray, ...]:
    """Return arrays that own no memory: the device has room for what was there before."""
    return tuple(array[:] for array in (data.data, data.indices.astype(np.int32), data.indptr.astype(np.int32)))


@pytest.mark.parametrize("name", ["NCEAutoRec", "EASE", "Popularity"])
def test_lists_are_the_same_from_smaller_tiles(out_of_memory: Any, caplog: pytest.LogCaptureFixture, name: str) -> None:
    model = CLOSED[name](device="cuda").fit(TRAIN)
    ids, scores = model.recommend(TRAIN, N=5)
    report = far.evaluate(model, TRAIN, HELD_OUT, k=5)
    out_of_memory(2000)  # of 9,600 bytes of scores
    caplog.clear()
    fewer_ids, fewer_scores = model.recommend(TRAIN, N=5)
    assert len(caplog.records) == 1
    np.testing.assert_array_equal(fewer_ids, ids)
    np.testing.assert_allclose(fewer_scores, scores, rtol=1e-6)
    again = far.evaluate(model, TRAIN, HELD_OUT, k=5)
    np.testing.assert_array_equal(again["NDCG"].per_user, report["NDCG"].per_user)
    assert len(caplog.records) == 2  # one for each backend


def test_a_single_user_that_does_not_fit(out_of_memory: Any) -> None:
    model = CLOSED["NCEAutoRec"](device="cuda").fit(TRAIN)
    out_of_memory(100)  # of 160 bytes of one user's scores
    message = "the work of a single user does not fit into the memory of cuda; use fewer factors, or device='cpu'"
    with pytest.raises(MemoryError, match=message) as caught:
        model.recommend(TRAIN[:1], N=5)
    assert type(caught.value) is MemoryError


def test_tiles_halve_from_what_was_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tile longer than there are users is not tried again and again at the same length, and none counts twice."""
    backend, rows = emulated_backend(), check_user_items("user_items", TRAIN[:10])
    encoder = Encoder(np.random.default_rng(0).random((rows.n_cols, 4), np.float32), None, "identity", "l2", "history")
    tried, inner = [], backend.cross_product

    def multiply(a: Any, b: Any) -> Any:
        tried.append(len(a))
        if len(a) > 3:
            raise backend.out_of_memory[0]
        return inner(a, b)

    def accumulate(on: Any) -> Any:
        there = replace(encoder, weight=on.to_device(encoder.weight))
        return accumulate_ridge(run_on(on, rows), there, 0.0, 0)

    monkeypatch.setattr(backend, "cross_product", multiply)
    ridge, expected = accumulate(backend), accumulate(CpuBackend())
    assert tried == [10, 5, 2, 2, 2, 2, 2]
    np.testing.assert_allclose(ridge.gram, expected.gram, rtol=1e-5)
    np.testing.assert_allclose(backend.to_host(ridge.cross), expected.cross, rtol=1e-5, atol=1e-6)


def test_the_warning_is_one_of_a_backend(caplog: pytest.LogCaptureFixture) -> None:
    backend = emulated_backend()
    assert [backend.halved(tile) for tile in (8, 5, 2)] == [4, 2, 1]
    assert len(caplog.records) == 1
    assert backend.halved(8) == 4
    with pytest.raises(MemoryError, match="a single user"):
        backend.halved(1)
    assert len(caplog.records) == 1


def test_training_that_does_not_fit_says_so(emulation: EmulatedDevice) -> None:
    model = make("AutoRec", device="cuda").fit(TRAIN)
    before = model.predict(TRAIN)
    emulation.fail_allocations_above = 500
    with pytest.raises(MemoryError, match="out of memory"):
        model.fit(TRAIN)
    emulation.fail_allocations_above = None
    np.testing.assert_array_equal(model.predict(TRAIN), before)
