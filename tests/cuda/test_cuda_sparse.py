"""Sparse matrices on an emulated device: rows, batches, the index by item, and products of any length."""

from __future__ import annotations

import numpy as np
import pytest
from cuda_emulation import EmulatedDevice
from scipy import sparse as sp

from fastautorec._compute.csr import Csr
from fastautorec._compute.cuda import matrix, sparse
from fastautorec._compute.cuda.matrix import DeviceCsr, Pattern
from fastautorec._compute.parameter import Parameter
from fastautorec._compute.reference import ReferenceBackend

REFERENCE = ReferenceBackend()
SHAPES = {
    "several": (30, 40, 0.2),
    "one user": (1, 40, 0.5),
    "one item": (25, 1, 0.4),
    "no user": (0, 5, 0.0),
    "no entry": (7, 9, 0.0),
    "many users": (150, 12, 0.6),
    "long rows": (12, 300, 0.7),
}
VIEWS = ("whole", "slice", "taken", "batch", "batch of slice")
MATRICES = [
    pytest.param(shape, view, id=f"{name}, {view}")
    for name, shape in SHAPES.items()
    for view in (VIEWS if name == "several" else VIEWS[:1])
]


def random_csr(shape=(30, 40, 0.2), values=True, seed=0) -> Csr:
    m, n, density = shape
    rng = np.random.default_rng(seed)
    x = sp.csr_matrix(rng.random((m, n)) < density, dtype=np.float32)
    data = rng.standard_normal(x.nnz).astype(np.float32) if values else None
    return Csr(x.indptr.astype(np.int64), x.indices.astype(np.int32), data, n)


def view_of(device: EmulatedDevice, x: Csr, view: str) -> tuple[DeviceCsr, Csr]:
    """Return a part of x on the device, and the same on the host."""
    on_device, m = DeviceCsr.from_host(device, x), x.shape[0]
    order = np.random.default_rng(1).permutation(m)
    if view == "whole":
        return on_device, x
    if view == "slice":
        return on_device.rows(m // 3, m - m // 4), x.rows(m // 3, m - m // 4)
    if view == "taken":
        return on_device.take_rows(order[: m // 2]), x.take_rows(order[: m // 2])
    size = m // 2 + 1
    if view == "batch":
        return list(on_device.batches(order, size))[-1], x.take_rows(order[(m - 1) // size * size :])
    order = order[order < m - 2]
    return next(on_device.rows(2, m).batches(order, size)), x.rows(2, m).take_rows(order[:size])


@pytest.fixture
def device() -> EmulatedDevice:
    return EmulatedDevice()


def assert_same(a: Csr, b: Csr) -> None:
    a, b = a.rebased(), b.rebased()
    assert a.shape == b.shape
    for x, y in zip((a.indptr, a.indices, a.user_numbers()), (b.indptr, b.indices, b.user_numbers()), strict=True):
        np.testing.assert_array_equal(x, y)
        assert x.dtype == y.dtype
    assert (a.data is None) == (b.data is None)
    if a.data is not None and b.data is not None:
        np.testing.assert_array_equal(a.data, b.data)


def assert_indexed(x: DeviceCsr) -> None:
    """Check the index by item; it is that of a stable sort."""
    host, index = x.to_host(), x.pattern.by_item
    begin, rows, places = (array.get() for array in (index.begin, index.rows, index.places))
    order = np.argsort(host.indices, kind="stable")
    np.testing.assert_array_equal(begin - begin[0], np.searchsorted(host.indices[order], np.arange(x.n_cols + 1)))
    entries = slice(begin[0], begin[-1])
    np.testing.assert_array_equal(rows[entries], np.repeat(np.arange(x.shape[0]), x.row_lengths())[order])
    np.testing.assert_array_equal(places[entries], order + x.pattern.host_indptr[0])


def matrix_of(device: EmulatedDevice, rows: int, columns: int, seed: int = 0, gap: int = 3):
    """Return a random matrix with gaps between its rows, on the device and on the host."""
    values = np.random.default_rng(seed).standard_normal((rows, columns + gap)).astype(np.float32)
    return device.to_device(values)[:, :columns], values[:, :columns]


def assert_close(result, expected) -> None:
    np.testing.assert_allclose(result.get(), expected, rtol=2e-4, atol=2e-4)


# --- matrices -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [True, False])
@pytest.mark.parametrize(("shape", "view"), MATRICES)
def test_rows_and_index(device, shape, view, values):
    x, host = view_of(device, random_csr(shape, values), view)
    assert_same(x.to_host(), host)
    assert_indexed(x)
    assert x.nnz == host.nnz
    np.testing.assert_array_equal(x.user_numbers().get(), host.user_numbers())
    np.testing.assert_array_equal(x.to_scipy().toarray(), host.to_scipy().toarray())
    squares = host.to_scipy().power(2).sum(axis=0)
    np.testing.assert_allclose(x.column_squares(), np.asarray(squares).ravel(), rtol=1e-6)
    assert_same(x.rebased().to_host(), host)
    assert_indexed(x.rebased())


@pytest.mark.parametrize("size", [1, 4, 30, 100])
@pytest.mark.parametrize("budget", [1, 10_000, 1 << 28])
def test_batches(device, monkeypatch, budget, size):
    monkeypatch.setattr(matrix, "BATCH_BYTES", budget)
    host = random_csr()
    x = DeviceCsr.from_host(device, host)
    order = np.random.default_rng(1).permutation(30)
    device.synchronisations = 0
    batches = list(x.batches(order, size))
    assert device.synchronisations == 0
    assert len(batches) == -(-30 // size)
    for i, batch in enumerate(batches):
        assert_same(batch.to_host(), host.take_rows(order[i * size : (i + 1) * size]))
        assert_indexed(batch)


def test_batches_of_a_group_launch_nothing(device):
    batches = DeviceCsr.from_host(device, random_csr()).batches(np.arange(30), 4)
    next(batches)
    launches, transfers = len(device.launches), device.transfers
    rest = list(batches)
    assert len(rest) == 7
    assert all(len(batch.pattern.by_item.begin) == 41 for batch in rest)
    assert (len(device.launches), device.transfers) == (launches, transfers)


def test_no_batches_of_no_rows(device):
    assert list(DeviceCsr.from_host(device, random_csr()).batches(np.arange(0), 4)) == []


def test_unused_places_are_in_no_list(device):
    host = random_csr()
    spare = np.full(17, 3, np.int32)
    up = device.to_device
    pattern = Pattern(device, up(host.indptr), up(np.concatenate([host.indices, spare])), host.n_cols)
    x = DeviceCsr(pattern)
    weights, rows = matrix_of(device, 30, 5)
    device.synchronisations = 0
    total = sparse.encode_backward(device, x, weights)
    encoded = sparse.encode(device, x, total)
    dropped = sparse.drop_entries(device, x, 0.5, 1, 2)
    assert device.synchronisations == 0
    expected = host.with_data(None).to_scipy()
    assert_close(total, expected.T @ rows)
    assert_close(encoded, expected @ total.get())
    for part, own in ((dropped, host), (dropped.rows(4, 9), host.rows(4, 9))):
        assert_same(part.to_host(), REFERENCE.drop_entries(own.with_data(None), 0.5, 1, 2))
        assert_indexed(part)


@pytest.mark.parametrize(("shape", "view"), MATRICES)
@pytest.mark.parametrize("power", [0.0, 0.5, 0.3])
def test_weights(device, shape, view, power):
    x, host = view_of(device, random_csr(shape), view)
    lengths = np.maximum(host.row_lengths(), 1).astype(np.float32)
    share = np.reciprocal(np.sqrt(lengths)) if power == 0.5 else lengths ** np.float32(-power)
    item_weights = np.random.default_rng(2).random(shape[1]).astype(np.float32)
    entries = np.repeat(share, host.row_lengths())
    check = np.testing.assert_array_equal if power in (0, 0.5) else np.testing.assert_allclose
    check(x.weighted(None, power).to_host().data, entries, *[] if power != 0.3 else [1e-6])
    weighted = x.weighted(device.to_device(item_weights), power)
    check(weighted.to_host().data, item_weights[host.rebased().indices] * entries, *[] if power != 0.3 else [1e-6])
    assert_indexed(weighted)
    table = device.xp.full((len(lengths), 3), 7, np.float32)
    weighted.length_powers(power, table[:, 1])
    check(table.get()[:, 1], share, *[] if power != 0.3 else [1e-6])
    assert (table.get()[:, [0, 2]] == 7).all()


# --- operations -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "view"), MATRICES)
def test_counts_and_dropout(device, shape, view):
    x, host = view_of(device, random_csr(shape), view)
    np.testing.assert_array_equal(sparse.count_items(device, x), REFERENCE.count_items(host))
    assert_same(
        sparse.drop_entries(device, x, 0.3, 2**63 + 5, 7).to_host(), REFERENCE.drop_entries(host, 0.3, 2**63 + 5, 7)
    )
    for numerator in ("users", "interactions"):
        transformed = sparse.nce_transform(device, x, 0.8, numerator).to_host()
        np.testing.assert_allclose(transformed.data, REFERENCE.nce_transform(host, 0.8, numerator).data, rtol=3e-7)


@pytest.mark.parametrize("gap", [2, 3], ids=["four columns at a time", "one column at a time"])
@pytest.mark.parametrize(("k", "segment"), [(1, 2), (6, 2), (6, 128), (202, 2), (202, 128)])
@pytest.mark.parametrize(("shape", "view"), MATRICES)
def test_products(device, monkeypatch, shape, view, k, segment, gap):
    monkeypatch.setattr(sparse, "SEGMENT", segment)
    x, host = view_of(device, random_csr(shape), view)
    q, n = host.shape
    weight, w = matrix_of(device, n, k, 0, gap)
    product, a = matrix_of(device, q, k, 1, gap)
    bias = device.to_device(w[0] + 1)
    assert_close(sparse.encode(device, x, weight, bias, "tanh", out=product), np.tanh(host.to_scipy() @ w + w[0] + 1))
    product, a = matrix_of(device, q, k, 1, gap)
    out = device.xp.ones((q, k), np.float32)
    sparse.add_residual(device, x, weight, product, 0.5, out)
    assert_close(out, 1 + 0.5 * (a - host.to_scipy() @ w))
    total = sparse.encode_backward(device, x, product)
    assert_close(total, host.to_scipy().T @ a)
    assert sparse.encode_backward(device, x, product, out=total) is total
    assert_close(total, 2 * (host.to_scipy().T @ a))


@pytest.mark.parametrize(("shape", "view"), MATRICES)
def test_product_that_steps_a_parameter(device, shape, view):
    x, host = view_of(device, random_csr(shape), view)
    grad, g = matrix_of(device, host.shape[0], 6)
    parameter = Parameter(device.xp.ones((host.n_cols, 6), np.float32), "sgd", learning_rate=0.5, beta1=0.0)
    assert sparse.encode_backward(device, x, grad, parameter=parameter) is parameter.value
    assert_close(parameter.value, 1 - 0.5 * (host.to_scipy().T @ g))


def test_long_lists_are_summed_in_one_order():
    """Neither the order of threads and blocks nor the number of multiprocessors shows in the bits."""
    host = random_csr((3000, 3, 0.5))
    results = []
    for seed, multiprocessors in ((0, 2), (5, 1), (9, 40)):
        device = EmulatedDevice(seed)
        device.multiprocessors = multiprocessors
        x = DeviceCsr.from_host(device, host)
        grad, g = matrix_of(device, 3000, 4)
        results.append(sparse.encode_backward(device, x, grad).get())
        assert "join_parts_kernel" in device.launches
    np.testing.assert_allclose(results[0], host.to_scipy().T @ g, rtol=1e-4, atol=1e-3)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_memory_of_parts_is_bounded(monkeypatch):
    monkeypatch.setattr(sparse, "PARTS_BYTES", 4096)
    lists = sparse._Lists(None, None, None, None, capacity=10**6, longest=10**5)
    segment, n_parts = sparse._segments(lists, 16)
    assert 0 < n_parts * 16 * 4 <= 4096
    assert segment * n_parts >= 2 * 10**6


@pytest.mark.parametrize("tile_bytes", [1, 200, 1 << 20])
@pytest.mark.parametrize("tile_entries", [10, 60, 1 << 20])
@pytest.mark.parametrize("view", VIEWS)
def test_tiles_of_users(device, monkeypatch, view, tile_entries, tile_bytes):
    monkeypatch.setattr(sparse, "TILE_BYTES", tile_bytes)
    monkeypatch.setattr(sparse, "TILE_ENTRIES", tile_entries)
    x, host = view_of(device, random_csr(), view)
    block, b = matrix_of(device, 40, 5)
    grad, g = matrix_of(device, host.shape[0], 5)
    assert_close(sparse.gram_product(device, x, block), host.to_scipy().T @ (host.to_scipy() @ b))
    assert_close(sparse.encode_backward(device, x, grad), host.to_scipy().T @ g)
