"""The same bits for any number of threads."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

import fastautorec as far
from fastautorec import ops
from fastautorec._compute.cpu import CpuBackend
from fastautorec._compute.host import matmul
from fastautorec._compute.symmetric import invert_spd

THREADS = (1, 2, 7)


@pytest.fixture(scope="module")
def user_items():
    """Large enough that every operation is cut into many tasks."""
    return (sparse.random(6000, 900, 0.04, format="csr", dtype=np.float32, random_state=1) != 0).astype(np.float32)


@pytest.fixture(scope="module")
def values(user_items):
    scaled = user_items.copy()
    scaled.data *= np.random.default_rng(2).random(scaled.nnz, np.float32)
    return scaled


def dense(n, k):
    return np.random.default_rng(3).standard_normal((n, k)).astype(np.float32)


def arrays_of(result):
    if sparse.issparse(result):
        return [result.indptr, result.indices, result.data]
    if isinstance(result, dict):
        return list(result.values())
    return list(result) if isinstance(result, tuple) else [result]


def assert_same_bits(run):
    first, *others = [[np.asarray(array).tobytes() for array in arrays_of(run(threads))] for threads in THREADS]
    for other in others:
        assert other == first


OPERATIONS = {
    "count_items": lambda r, x, t: ops.count_items(r, num_threads=t),
    "nce_transform": lambda r, x, t: ops.nce_transform(r, 0.7, num_threads=t),
    "encode": lambda r, x, t: ops.encode(x, dense(900, 200), dense(1, 200)[0], "tanh", num_threads=t),
    "encode_backward": lambda r, x, t: ops.encode_backward(x, dense(6000, 200), num_threads=t),
    "gram_product": lambda r, x, t: ops.gram_product(x, dense(900, 200), num_threads=t),
    "drop_entries": lambda r, x, t: ops.drop_entries(x, 0.3, seed=4, num_threads=t),
    "mse_head": lambda r, x, t: ops.mse_head(dense(6000, 40), dense(900, 40), None, x, num_threads=t),
    "ns_head": lambda r, x, t: ops.ns_head(dense(6000, 40), dense(900, 40), None, r, r[::-1], num_threads=t),
    "optimizer_step": lambda r, x, t: ops.optimizer_step(dense(6000, 40), dense(6000, 40), num_threads=t),
    "sample_negatives": lambda r, x, t: ops.sample_negatives(r, 300, 0.75, True, num_threads=t),
    "top_items": lambda r, x, t: ops.top_items(dense(6000, 900), 20, r, num_threads=t),
    "ranking_metrics": lambda r, x, t: ops.ranking_metrics(np.tile(np.arange(50), (6000, 1)), r, num_threads=t),
}


def test_every_operation_is_here():
    assert set(OPERATIONS) == set(ops.__all__)


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations(name, user_items, values):
    assert_same_bits(lambda threads: OPERATIONS[name](user_items, values, threads))


def fitted_arrays(model):
    return [getattr(model, name) for name in type(model)._arrays if getattr(model, name) is not None]


TRAINED = {
    "AutoRec": lambda t: far.AutoRec(40, epochs=1, batch_size=700, num_threads=t),
    "OHNSAutoRec": lambda t: far.OHNSAutoRec(40, negatives=1000, epochs=1, batch_size=700, num_threads=t),
    "NSAutoRec": lambda t: far.NSAutoRec(40, mode="joint", epochs=1, batch_size=3000, num_threads=t),
    "NCEAutoRec": lambda t: far.NCEAutoRec(40, mode="full", activation="tanh", epochs=1, num_threads=t),
}


@pytest.mark.parametrize("name", TRAINED)
def test_training(name, user_items):
    assert_same_bits(lambda threads: tuple(fitted_arrays(TRAINED[name](threads).fit(user_items))))


@pytest.mark.parametrize("units", [1, 16, 33, 200])
def test_one_row_has_the_bits_of_many(values, units):
    weight = dense(900, units)
    whole = ops.encode(values, weight)
    for row in range(0, 6000, 500):
        assert ops.encode(values[row], weight).tobytes() == whole[row : row + 1].tobytes()


def test_matmul():
    a, b = dense(3000, 130), dense(130, 220)
    assert_same_bits(lambda threads: matmul(a, b, np.empty((3000, 220), np.float32), threads))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cross_product(dtype):
    a = dense(9000, 333).astype(dtype)
    assert_same_bits(lambda threads: CpuBackend(threads).cross_product(a, a))
    expected = a.T.astype(np.float64) @ a
    np.testing.assert_allclose(CpuBackend(2).cross_product(a, a), expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-12)])
@pytest.mark.parametrize("n", [1, 255, 513, 701])
def test_invert_spd(n, dtype, tolerance):
    a = dense(900, n).astype(np.float64)
    matrix = a.T @ a + 20 * np.eye(n)
    lower = np.tril(matrix).astype(dtype)  # the rest does not count
    assert_same_bits(lambda threads: invert_spd(lower.copy(), threads))
    inverse = invert_spd(lower.copy(), 2)
    np.testing.assert_allclose(inverse @ matrix, np.eye(n), rtol=0, atol=tolerance)
    np.testing.assert_array_equal(inverse, inverse.T)
    lower[n // 2, n // 2] = -1
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        invert_spd(lower, 2)
