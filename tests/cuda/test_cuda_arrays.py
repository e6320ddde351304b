"""Emulated arrays behave as CuPy's: strict about NumPy, views where CuPy has views, waiting is counted."""

from __future__ import annotations

import numpy as np
import pytest
from cuda_emulation import EmulatedArray, EmulatedDevice
from cuda_emulation.arrays import IN_PLACE, REDUCTIONS, SAME_DEVICE
from cuda_emulation.namespace import NAMES


@pytest.fixture
def device():
    return EmulatedDevice()


@pytest.fixture
def xp(device):
    return device.xp


@pytest.fixture
def x(device):
    return device.to_device(np.arange(12, dtype=np.float32).reshape(3, 4))


def test_names_exist_in_cupy():
    cupy = pytest.importorskip("cupy", reason="needs one of the extras cuda12 and cuda13")
    assert not [name for name in NAMES if not hasattr(cupy, name)]
    methods = (*REDUCTIONS, *SAME_DEVICE, *IN_PLACE, "get", "item", "tolist", "repeat")
    assert not [name for name in methods if not hasattr(cupy.ndarray, name)]
    assert not hasattr(cupy.ndarray, "__index__")


def test_names_that_cupy_lacks_are_missing(xp, x):
    with pytest.raises(AttributeError, match="add_at is not among the functions"):
        _ = xp.add_at
    with pytest.raises(TypeError, match="median is not among the functions"):
        np.median(x)
    with pytest.raises(TypeError, match=r"add\.at of these arguments does not exist in CuPy"):
        np.add.at(x, 0, 1)


def test_numpy_arrays_are_refused(xp, x):
    host = np.ones((3, 4), np.float32)
    for use in (
        lambda: x + host,
        lambda: host + x,
        lambda: np.add(x, host),
        lambda: xp.maximum(x, host),
        lambda: xp.concatenate([x, host]),
        lambda: np.concatenate([x, host]),
        lambda: x[np.array([0, 1])],
        lambda: x.__setitem__(slice(None), host),
        lambda: x.__iadd__(host),
        lambda: host.__iadd__(x),
        lambda: x.take(np.array([1])),
        lambda: xp.where(x > 1, x, host),
        lambda: xp.add(x, 1, out=host),
    ):
        with pytest.raises(TypeError, match=r"Unsupported type <class 'numpy\.ndarray'>"):
            use()


@pytest.mark.parametrize("convert", [np.asarray, np.array, np.ascontiguousarray])
def test_silent_conversion_is_refused(x, convert):
    with pytest.raises(TypeError, match=r"Implicit conversion to a NumPy array is not allowed.*\.get\(\)"):
        convert(x)


def test_no_index(x):
    with pytest.raises(TypeError):
        range(x[0, 0])


def test_values(device, xp, x):
    host = np.arange(12, dtype=np.float32).reshape(3, 4)
    for got, expected in (
        (x * 2 + 1, host * 2 + 1),
        (1 / (x + 1), 1 / (host + 1)),
        (np.sqrt(x), np.sqrt(host)),
        (xp.sqrt(x), np.sqrt(host)),
        (x @ x.T, host @ host.T),
        (x > 5, host > 5),
        (x.sum(axis=0), host.sum(axis=0)),
        (np.sum(x, axis=1), host.sum(axis=1)),
        (x[1:, ::2], host[1:, ::2]),
        (x[xp.asarray([2, 0])], host[[2, 0]]),
        (x[x > 5], host[host > 5]),
        (x[..., None], host[..., None]),
        (x.astype(xp.int32), host.astype(np.int32)),
        (x.reshape(-1), host.reshape(-1)),
        (x.max(axis=1), host.max(axis=1)),
        (xp.argsort(-x, axis=1), np.argsort(-host, axis=1)),
        (xp.repeat(x, 2), np.repeat(host, 2)),
        (np.float32(2) * x, 2 * host),
        (xp.full(3, 7, xp.int64), np.full(3, 7)),
        (xp.ascontiguousarray(x.T), host.T),
        (xp.array([1.5, 2.5], xp.float32), np.array([1.5, 2.5], np.float32)),
    ):
        assert isinstance(got, EmulatedArray)
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(device.to_host(got), expected)


def test_reductions_and_elements_are_arrays(x):
    for value in (x.sum(), x.max(), x[0, 0], x[1][2], x.any()):
        assert isinstance(value, EmulatedArray)
        assert value.shape == ()


def test_views_share_memory(x):
    x[1].fill(-1)
    x[0, 2].fill(50)
    x[2, 3] += 4
    x.T[0, 0] = 9
    np.testing.assert_array_equal(x.get(), [[9, 1, 50, 3], [-1, -1, -1, -1], [8, 9, 10, 15]])


def test_in_place_keeps_the_array(xp, x):
    same = x
    x *= 2
    assert x is same
    assert xp.add(x, 1, out=x) is same
    assert x.get()[2, 3] == 23


def test_pointer(x):
    interface = x.__cuda_array_interface__
    assert interface["shape"] == (3, 4)
    assert interface["typestr"] == "<f4"
    assert x[1].__cuda_array_interface__["data"][0] - interface["data"][0] == 16


@pytest.mark.parametrize(
    ("use", "waits"),
    [
        (lambda xp, x: (x * 2).sum(), 0),
        (lambda xp, x: x[1:, 0], 0),
        (lambda xp, x: len(x) + x.shape[1] + x.nbytes, 0),
        (lambda xp, x: list(x), 0),
        (lambda xp, x: x.__setitem__(x > 5, 0), 0),
        (lambda xp, x: xp.where(x > 5, x, 0), 0),
        (lambda xp, x: xp.asarray(x), 0),
        (lambda xp, x: float(x.sum()), 1),
        (lambda xp, x: int(x[0, 1]), 1),
        (lambda xp, x: bool(x.any()), 1),
        (lambda xp, x: x.get(), 1),
        (lambda xp, x: x[0, 0].item(), 1),
        (lambda xp, x: x.tolist(), 1),
        (lambda xp, x: xp.asnumpy(x), 1),
        (lambda xp, x: x[x > 5], 1),
        (lambda xp, x: x.__setitem__(x > 5, x[x > 5]), 2),
        (lambda xp, x: xp.where(x > 5), 1),
        (lambda xp, x: xp.nonzero(x), 1),
        (lambda xp, x: xp.flatnonzero(x), 1),
        (lambda xp, x: xp.unique(x), 1),
        (lambda xp, x: 1 if x.sum() > 3 else 0, 1),
    ],
)
def test_waiting_is_counted(device, xp, x, use, waits):
    use(xp, x)
    assert device.synchronisations == waits
    assert device.transfers == 1  # `x` itself


def test_transfers_are_copies_and_are_counted(device, xp):
    host = np.zeros(3)
    x = device.to_device(host)
    xp.asarray([1, 2])
    host[0] = 1
    assert device.transfers == 2
    copy = device.to_host(x)
    assert copy[0] == 0
    copy[1] = 5
    assert x.get()[1] == 0
    with pytest.raises(TypeError, match="on the device already"):
        device.to_device(x)


def test_empty_memory_is_poisoned(device, xp):
    for array in (xp.empty((2, 3), np.float32), xp.empty_like(xp.zeros(5, np.int64))):
        assert set(array.get().tobytes()) == {0xCB}
    assert set(device.pinned(3, np.int32).tobytes()) == {0xCB}
    assert xp.empty((0, 3)).size == 0


def test_memory_runs_out(device, xp):
    x = xp.zeros(100, np.float32)
    device.fail_allocations_above = 400
    xp.zeros(100, np.float32)
    assert x[10:].shape == (90,)
    for use in (lambda: xp.empty(101, np.float32), lambda: xp.zeros(51), lambda: x.astype(np.float64)):
        with pytest.raises(device.out_of_memory, match="out of memory allocating"):
            use()
    device.memory_left = 12
    assert device.free_bytes() == 12


def test_arrays_of_other_devices_are_refused(x):
    with pytest.raises(ValueError, match="on different devices"):
        x + EmulatedDevice().xp.zeros(4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("transpose_b", [False, True])
def test_gemm(device, rng, dtype, transpose_a, transpose_b):
    a, b = rng.random((5, 9)).astype(dtype)[:, :3], rng.random((3, 8)).astype(dtype)[:, 2:6]
    out = device.to_device(rng.random((5, 7)).astype(dtype))[:, 1:5]
    before = out.get()
    given = [device.to_device(m.T if t else m) for m, t in ((a, transpose_a), (b, transpose_b))]
    device.gemm(*given, out, 2.0, 0.5, transpose_a, transpose_b)
    np.testing.assert_allclose(out.get(), 2 * a @ b + before / 2, rtol=1e-5)
    unset = device.xp.full((5, 4), np.nan, dtype)
    device.gemm(*given, unset, transpose_a=transpose_a, transpose_b=transpose_b)
    np.testing.assert_allclose(unset.get(), a @ b, rtol=1e-5)


def test_gemm_refuses(device, xp):
    x = xp.zeros((3, 4), np.float32)
    out = xp.zeros((3, 3), np.float32)
    with pytest.raises(TypeError, match="one type, float32 or float64, got float64"):
        device.gemm(x.astype(np.float64), x.T.copy(), out)
    with pytest.raises(TypeError, match="Unsupported type"):
        device.gemm(np.zeros((3, 4), np.float32), x, out)
    with pytest.raises(ValueError, match="rows of a gemm must be contiguous"):
        device.gemm(x, x.T, out)
    with pytest.raises(ValueError, match=r"gemm of \(3, 4\) and \(3, 4\) into \(3, 3\)"):
        device.gemm(x, x, out)
