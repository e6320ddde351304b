"""Arguments in the memory of a device: the same results and messages as on the host, and nothing copied."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cuda_emulation import EmulatedArray, EmulatedCsr, EmulatedDevice
from devices import device_csr
from scipy import sparse

import fastautorec as far
from fastautorec import _compute as _backends
from fastautorec import ops
from fastautorec._compute import inputs as _validation
from fastautorec._compute.cuda.inputs import DeviceInputs
from fastautorec._compute.memory import device_number, is_on_device


@pytest.fixture
def device() -> EmulatedDevice:
    return EmulatedDevice()


@pytest.fixture
def inputs(device: EmulatedDevice) -> DeviceInputs:
    return DeviceInputs(device)


def stored(indptr: list[int], indices: list[int], data: Any, n: int = 4) -> sparse.csr_matrix:
    """Return a matrix of these arrays, whatever is wrong with them."""
    matrix = sparse.csr_matrix((len(indptr) - 1, n), dtype=np.asarray(data).dtype)
    matrix.indptr, matrix.indices = np.array(indptr, np.int32), np.array(indices, np.int32)
    matrix.data = np.asarray(data)
    return matrix


STATES = {
    "canonical": stored([0, 2, 2, 3], [0, 3, 1], np.ones(3, np.float32)),
    "no rows": stored([0], [], np.ones(0, np.float32)),
    "nothing stored": stored([0, 0, 0], [], np.ones(0, np.float32)),
    "zeros stored": stored([0, 2, 3, 4], [0, 3, 1, 2], np.array([0, 1, 0, 1], np.float32)),
    "only zeros stored": stored([0, 1, 2], [0, 3], np.zeros(2, np.float32)),
    "unsorted": stored([0, 3, 4], [2, 0, 1, 3], np.ones(4, np.float32)),
    "duplicates": stored([0, 3, 3, 5], [1, 3, 1, 2, 2], np.ones(5, np.float32)),
    "a zero and a one in one place": stored([0, 2], [1, 1], np.array([0, 1], np.float32)),
    "equal ids in neighbouring rows": stored([0, 1, 1, 2], [2, 2], np.ones(2, np.float32)),
    "unused storage": stored([0, 1, 2], [1, 3, 9], np.array([1, 1, 7], np.float32)),
    "first item only": stored([0, 1, 2], [0, 0], np.ones(2, np.float32), 1),
    "bool": stored([0, 2, 3], [0, 3, 1], np.array([True, False, True])),
    "bool, duplicates": stored([0, 3], [1, 1, 1], np.ones(3, bool)),
    "int8": stored([0, 2, 3], [0, 3, 1], np.array([1, 0, 1], np.int8)),
    "uint8, 256 duplicates": stored([0, 256], [2] * 256, np.ones(256, np.uint8)),
    "int64": stored([0, 2, 3], [3, 0, 1], np.ones(3, np.int64)),
    "float64": stored([0, 2, 3], [0, 3, 1], np.ones(3)),
}
WRONG = {
    "ratings": stored([0, 2], [0, 1], np.array([1, 4.5])),
    "a duplicate with a rating": stored([0, 2], [1, 1], np.array([1, 2], np.float32)),
    "negative": stored([0, 1], [1], np.array([-1], np.int64)),
    "NaN": stored([0, 1], [1], np.array([np.nan], np.float32)),
    "infinite": stored([0, 1], [1], np.array([np.inf], np.float32)),
    "too large for float32": stored([0, 2], [1, 2], np.array([2, 1e300])),
    "id too large": stored([0, 2], [1, 4], np.ones(2, np.float32)),
    "id negative": stored([0, 2], [-1, 1], np.ones(2, np.float32)),
    "pointers decrease": stored([0, 2, 1], [0, 1], np.ones(2, np.float32)),
    "pointers begin too low": stored([-1, 1], [0, 1], np.ones(2, np.float32)),
    "pointers begin too high": stored([1, 2], [0, 1], np.ones(2, np.float32)),
    "pointers end too high": stored([0, 5], [0, 1], np.ones(2, np.float32)),
    "fewer values than indices": stored([0, 2], [0, 1], np.ones(1, np.float32)),
    "complex": stored([0, 1], [1], np.array([1j])),
    "narrow": stored([0, 1], [1], np.ones(1, np.float32), 3),
    "transposed": stored([0, 0, 0, 0, 1], [1], np.ones(1, np.float32), 2),
    "fractions": stored([0, 2], [1, 2], np.array([0.5, 2])),
    "large count": stored([0, 1], [1], np.array([2.0**25])),
}


def outcome(check: Any, *args: Any, **options: Any) -> Any:
    """Return what a check gives, in a form to compare, or its message."""
    try:
        found = check(*args, **options)
    except (TypeError, ValueError) as error:
        return type(error), str(error)
    pattern, counts = found if isinstance(found, tuple) else (found, np.empty(0, np.int32))
    csr = pattern.to_host().rebased()
    data = None if csr.data is None else csr.data.tolist()
    counts = counts.get() if is_on_device(counts) else counts
    return csr.shape, csr.indptr.tolist(), csr.indices.tolist(), data, counts.tolist(), csr.indices.dtype.str


@pytest.mark.parametrize("check", ["user_items", "values", "counts"])
@pytest.mark.parametrize("state", [*STATES, *WRONG])
def test_as_on_the_host(device: EmulatedDevice, inputs: DeviceInputs, state: str, check: str) -> None:
    matrix = (STATES | WRONG)[state]
    there = EmulatedCsr.of(device, matrix)
    before = [array.get() for array in (there.data, there.indices, there.indptr)]
    options = {} if check == "counts" or state == "first item only" else {"n_items": 4}
    if check == "user_items":
        options["fitting"] = True
    expected = outcome(getattr(_validation, f"check_{check}"), "user_items", matrix, **options)
    assert outcome(getattr(inputs, check), "user_items", there, **options) == expected
    for array, kept in zip((there.data, there.indices, there.indptr), before, strict=True):
        np.testing.assert_array_equal(array.get(), kept)


def test_values_that_are_not_one(device: EmulatedDevice, inputs: DeviceInputs) -> None:
    matrix = stored([0, 3, 4], [2, 0, 2, 1], np.array([0.5, -2, 0.25, 0]))
    expected = outcome(_validation.check_values, "x", matrix)
    assert outcome(inputs.values, "x", EmulatedCsr.of(device, matrix)) == expected
    assert expected[3] == [-2, 0.75, 0]


def test_values_on_the_host_stay_there(inputs: DeviceInputs) -> None:
    matrix = stored([0, 3, 4], [2, 0, 2, 1], np.array([0.5, -2, 0.25, 0]))
    found = inputs.values("x", matrix)
    assert isinstance(found.data, np.ndarray)
    assert outcome(lambda: found) == outcome(_validation.check_values, "x", matrix)


def test_complex_numbers_on_a_device(device: EmulatedDevice, inputs: DeviceInputs) -> None:
    with pytest.raises(TypeError, match="`w` must hold real numbers, got dtype complex64"):
        inputs.dense("w", device.to_device(np.ones((2, 2), np.complex64)), (None, 2), "two columns")


def test_canonical_matrices_are_not_copied(device: EmulatedDevice, inputs: DeviceInputs) -> None:
    there = EmulatedCsr.of(device, sparse.csr_matrix(np.eye(3, 4, dtype=np.float32) * 3))
    taken = inputs.values("x", there)
    assert shared(taken.pattern.indices, there.indices)
    assert shared(taken.data, there.data)
    ones = EmulatedCsr.of(device, sparse.csr_matrix(np.eye(3, 4, dtype=np.float32)))
    taken = inputs.user_items("x", ones)
    assert shared(taken.pattern.indices, ones.indices)
    assert taken.data is None


def shared(one: EmulatedArray, other: EmulatedArray) -> bool:
    keys = "data", "shape"
    return all(one.__cuda_array_interface__[key] == other.__cuda_array_interface__[key] for key in keys)


def test_row_pointers_are_known_on_the_host(device: EmulatedDevice, inputs: DeviceInputs) -> None:
    taken = inputs.user_items("x", EmulatedCsr.of(device, STATES["canonical"]))
    waited = device.synchronisations
    assert (taken.nnz, taken.row_lengths().tolist()) == (3, [2, 0, 1])
    assert device.synchronisations == waited


def test_other_formats_come_by_their_coordinates(device: EmulatedDevice, inputs: DeviceInputs) -> None:
    """The emulation has CSR only; CuPy's other formats convert themselves to coordinates without adding anything up."""
    row, col = np.array([2, 0, 2, 0, 2], np.int32), np.array([1, 3, 0, 2, 1], np.int32)
    data = np.ones(5, np.uint8)
    up = device.to_device
    coo = SimpleNamespace(row=up(row), col=up(col), data=up(data), shape=(4, 4), dtype=data.dtype, format="coo")
    coo.tocsr = coo.tocoo = lambda: coo
    expected = outcome(_validation.check_user_items, "x", sparse.coo_matrix((data, (row, col)), shape=(4, 4)))
    assert outcome(inputs.user_items, "x", coo) == expected
    assert expected[1:3] == ([0, 2, 2, 4, 4], [2, 3, 0, 1])


def test_wide_ids(device: EmulatedDevice, inputs: DeviceInputs) -> None:
    there = EmulatedCsr.of(device, STATES["unsorted"])
    there.indices, there.indptr = there.indices.astype(np.int64), there.indptr.astype(np.int64)
    expected = outcome(_validation.check_user_items, "x", STATES["unsorted"])
    assert outcome(inputs.user_items, "x", there) == expected
    there.indices[0] = 2**33  # 0 in the last 32 bits
    with pytest.raises(ValueError, match=r"`x` has column indices outside \[0, 4\); the matrix is damaged"):
        inputs.user_items("x", there)


# --- dense arrays -----------------------------------------------------------------------------------------------------

WEIGHT = np.arange(24, dtype=np.float32).reshape(4, 6)
LAYOUTS = {
    "plain": lambda xp, w: w,
    "rows apart": lambda xp, w: w[:, :3],
    "columns apart": lambda xp, w: w[:, ::2],
    "transposed": lambda xp, w: w.T[:4, :4],
    "backwards": lambda xp, w: w[::-1],
    "one row for all": lambda xp, w: xp.broadcast_to(w[:1], (4, 6)),
    "one column": lambda xp, w: w[:, 2:3],
    "int": lambda xp, w: w.astype(np.int16),
    "bool": lambda xp, w: w > 3,
    "float64": lambda xp, w: w.astype(np.float64),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(device: EmulatedDevice, inputs: DeviceInputs, layout: str) -> None:
    given = LAYOUTS[layout](device.xp, device.to_device(WEIGHT))
    taken = inputs.dense("w", given, (None, None), "two dimensions")
    np.testing.assert_array_equal(taken.get(), LAYOUTS[layout](np, WEIGHT).astype(np.float32))
    assert taken.dtype == np.float32
    assert taken.strides[1] == 4
    assert taken.strides[0] >= 4 * taken.shape[1]
    assert shared(taken, given) == (layout in ("plain", "rows apart", "one column"))
    out = device.to_device(np.zeros((4, 4), np.float32))
    device.gemm(taken, taken, out, transpose_b=True)  # refuses what cuBLAS refuses


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([["a"]]), "`w` must be on the device like the other arguments, got numpy.ndarray in host memory; "
                            r"copy it with cupy.asarray\(w\), or all others to the host with .get\(\)"),
        ([[1.0]], "`w` must be on the device .* got list in host memory"),
    ],
)  # fmt: skip
def test_dense_arrays_of_the_host(inputs: DeviceInputs, array: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        inputs.dense("w", array, (None, None), "two dimensions")
    with pytest.raises(TypeError, match=message):
        inputs.ranking("w", array, 1, 4)


def test_ranked_lists(device: EmulatedDevice, inputs: DeviceInputs) -> None:
    lists = np.array([[3, -1], [0, 2]], np.int64)
    taken = inputs.ranking("ids", device.to_device(lists), 2, 4)
    assert taken.dtype == np.int32
    np.testing.assert_array_equal(taken.get(), lists)
    again = inputs.ranking("ids", taken[:, :1], 2, 4)
    assert again.get().tolist() == [[3], [0]]


# --- which backend ----------------------------------------------------------------------------------------------------

HOST = sparse.csr_matrix(np.array([[1, 0, 1], [0, 1, 0]], np.float32))


class WithDlpack:
    """An array that says where it is by DLPack."""

    def __init__(self, kind: int, number: int) -> None:
        self._where = kind, number

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._where


def test_where_an_array_is(device: EmulatedDevice) -> None:
    there = EmulatedCsr.of(device, HOST)
    for given in (there, there.data, SimpleNamespace(user_items=there), WithDlpack(2, 0), WithDlpack(13, 0)):
        assert is_on_device(given)
        assert device_number(given) == 0
    assert device_number(WithDlpack(2, 3)) == 3
    for given in (HOST, HOST.tolil(), HOST.todok(), far.Interactions(HOST), np.ones(2), [1], None, WithDlpack(1, 0)):
        assert not is_on_device(given)


def test_memory_of_another_device(emulation: EmulatedDevice) -> None:
    there, elsewhere = EmulatedCsr.of(emulation, HOST), WithDlpack(2, 3)
    message = r"must be on cuda:0, where the work is done, got memory of cuda:3; copy .* `with cupy.cuda.Device\(0\)`"
    with pytest.raises(TypeError, match=f"`weight` {message}"):
        ops.encode(there, elsewhere)
    matrix = SimpleNamespace(data=elsewhere, shape=(2, 3), dtype=np.dtype("f4"), format="csr", tocsr=None)
    with pytest.raises(TypeError, match=f"`user_items` {message}"):
        far.Popularity(device="cuda").fit(matrix)
    emulation.name = "cuda:3"
    with pytest.raises(TypeError, match=r"`user_items` must be on cuda:3, .* got memory of cuda:0"):
        ops.count_items(there)


def test_results_are_where_the_arguments_are(emulation: EmulatedDevice) -> None:
    there, up = EmulatedCsr.of(emulation, HOST), emulation.to_device
    weight, grad = np.ones((3, 2), np.float32), np.ones((2, 2), np.float32)
    results = {
        "count_items": ops.count_items(there),
        "nce_transform": ops.nce_transform(there),
        "encode": ops.encode(there, up(weight), up(np.ones(2))),
        "encode_backward": ops.encode_backward(there, up(grad)),
        "gram_product": ops.gram_product(there, up(weight)),
        "drop_entries": ops.drop_entries(there, 0.5, seed=3),
        "sample_negatives": ops.sample_negatives(there, 2, weights=[1, 1, 1]),
        "top_items": ops.top_items(up(np.ones((2, 3))), 2, there),
        "ranking_metrics": ops.ranking_metrics(up(np.array([[0], [1]])), there, 1),
        "mse_head": ops.mse_head(up(grad), up(weight), None, there),
        "ns_head": ops.ns_head(up(grad), up(weight), up(np.ones(3)), there, there),
        "optimizer_step": ops.optimizer_step(up(weight), up(weight), up(weight), up(weight)),
    }
    assert results.keys() == set(ops.__all__)
    for name, result in results.items():
        parts = result.values() if isinstance(result, dict) else result if isinstance(result, tuple) else [result]
        for part in parts:
            assert isinstance(part, EmulatedArray | EmulatedCsr | float), (name, type(part))
    assert isinstance(ops.encode(HOST, weight), np.ndarray)
    assert sparse.issparse(ops.nce_transform(far.Interactions(HOST)))
    np.testing.assert_allclose(results["nce_transform"].get().toarray(), ops.nce_transform(HOST).toarray(), rtol=1e-6)


MIXED = {
    "weight": (lambda there, up: ops.encode(there, np.ones((3, 1))), r"cupy.asarray\(weight\)"),
    "bias": (lambda there, up: ops.encode(there, up(np.ones((3, 1))), [0.5]), r"cupy.asarray\(bias\)"),
    "grad": (lambda there, up: ops.encode_backward(there, np.ones((2, 1))), r"cupy.asarray\(grad\)"),
    "user_items": (
        lambda there, up: ops.encode(HOST, up(np.ones((3, 1)))),
        r"cupyx.scipy.sparse.csr_matrix\(user_items\)",
    ),
    "block": (lambda there, up: ops.gram_product(there, [[1], [2], [3]]), r"cupy.asarray\(block\)"),
    "target": (
        lambda there, up: ops.mse_head(up(np.ones((2, 1))), up(np.ones((3, 1))), None, far.Interactions(HOST)),
        r"cupyx.scipy.sparse.csr_matrix\(target.user_items\)",
    ),
    "negatives": (
        lambda there, up: ops.ns_head(up(np.ones((2, 1))), up(np.ones((3, 1))), None, there, HOST),
        r"cupyx.scipy.sparse.csr_matrix\(negatives\)",
    ),
    "exclude": (
        lambda there, up: ops.top_items(up(np.ones((2, 3))), 1, HOST),
        r"cupyx.scipy.sparse.csr_matrix\(exclude\)",
    ),
    "scores": (lambda there, up: ops.top_items(np.ones((2, 3)), 1, there), r"cupy.asarray\(scores\)"),
    "item_ids": (lambda there, up: ops.ranking_metrics([[0], [1]], there, 1), r"cupy.asarray\(item_ids\)"),
    "second": (
        lambda there, up: ops.optimizer_step(*[up(np.ones((2, 2)))] * 3, np.ones((2, 2))),
        r"cupy.asarray\(second\)",
    ),
}


@pytest.mark.parametrize("name", MIXED)
def test_mixed_memory(emulation: EmulatedDevice, name: str) -> None:
    call, copy = MIXED[name]
    fix = rf"`{name}` must be on the device like the other arguments, got .* in host memory; copy it with {copy}"
    with pytest.raises(TypeError, match=rf"{fix}, or all others to the host with .get\(\)"):
        call(EmulatedCsr.of(emulation, HOST), emulation.to_device)


def test_dense_for_sparse_and_sparse_for_dense(emulation: EmulatedDevice) -> None:
    there = EmulatedCsr.of(emulation, HOST)
    with pytest.raises(TypeError, match=r"`user_items` must be a scipy sparse .*EmulatedArray; convert .* with cupyx"):
        ops.count_items(emulation.to_device(HOST.toarray()))
    with pytest.raises(TypeError, match=r"`weight` must be a dense array, got .*EmulatedCsr; convert .*\.toarray\(\)"):
        ops.encode(there, there)
    flat = SimpleNamespace(data=there.data, shape=(3,), dtype=there.dtype, format="csr", tocsr=None)
    with pytest.raises(ValueError, match=r"`user_items` must have two dimensions \(users, items\), got shape \(3,\)"):
        ops.count_items(flat)


def test_devices_by_name(emulation: EmulatedDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[int] = []
    monkeypatch.setattr(_backends.cuda, "open_device", lambda ordinal: opened.append(ordinal) or emulation)
    for name in ("cuda", "cuda:0", "cuda:1", "cuda:12"):
        _backends.get_backend(name)
    ops.count_items(EmulatedCsr.of(emulation, HOST))
    assert opened == [0, 0, 1, 12, 0]
    assert _backends.get_backend("cpu").name == "cpu"


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:-1", "cuda:1.0", "cuda: 1", "CUDA", "", "cuda:1\n", None, 0])
def test_bad_names_of_devices(name: Any) -> None:
    message = f"`device` must be one of 'auto', 'cpu', 'cuda', 'reference', got {name!r}"
    with pytest.raises(ValueError, match=message.replace("\\", r"\\")):
        far.Popularity(device=name).fit(HOST)


def test_the_matrix_of_a_device_is_refused_by_a_model_on_the_host(device: EmulatedDevice) -> None:
    model = far.Popularity(device="cpu").fit(HOST)
    with pytest.raises(TypeError, match="`user_items` must be a scipy sparse matrix"):
        model.recommend(EmulatedCsr.of(device, HOST), N=1)


def test_copies_keep_what_is_stored(device: EmulatedDevice) -> None:
    """What the fixture ``operations`` sends to a device is what the test has made."""
    twice = sparse.coo_matrix((np.ones(3, np.int8), ([1, 0, 1], [2, 1, 2])), shape=(2, 3))
    there = device_csr(SimpleNamespace(device=device), twice)
    assert (there.indices.get().tolist(), there.indptr.get().tolist()) == ([1, 2, 2], [0, 1, 3])
