"""Opening a CUDA device through CuPy: everything that can be wrong with a machine, and the command that mends it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_cupy import Array, Machine, array
from scipy import sparse

import fastautorec as far
from fastautorec import _compute as _backends
from fastautorec._compute.cuda import cupy_device
from fastautorec._compute.cuda.cupy_device import open_device
from fastautorec.exceptions import BackendUnavailableError

X = sparse.csr_matrix(np.eye(3, dtype=np.float32))


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget devices, and what "auto" means, before and after each test."""
    for name in [name for name in sys.modules if name.partition(".")[0] in ("cupy", "cupyx", "cupy_backends")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delenv(cupy_device.TF32_VARIABLE, raising=False)
    open_device.cache_clear()
    _backends._gpu_works.cache_clear()
    yield
    open_device.cache_clear()
    _backends._gpu_works.cache_clear()


EXTRA = r"pip install 'fastautorec\[cuda13\]' \(or \[cuda12\] for drivers before 580\)"
BROKEN = rf"its CUDA libraries come with the extra: {EXTRA}; where several CuPy packages are installed, uninstall all"

IMPORTS = {
    "missing": ("raise ModuleNotFoundError('No module named cupy', name='cupy')", rf"not installed: {EXTRA}; or use"),
    "cache folder": (
        "raise PermissionError(13, 'Permission denied', '/root/.cupy')",
        r"cannot write its cache of compiled kernels \(.*/root/.cupy.*\); name a folder .* export CUPY_CACHE_DIR=",
    ),
    "read-only disk": ("raise OSError(30, 'Read-only file system')", "Read-only file system.* export CUPY_CACHE_DIR="),
    "shared library": (
        "raise OSError('libcuda.so.1: cannot open shared object file')",
        rf"installed but does not work \(OSError: libcuda.so.1: cannot open shared object file\); {BROKEN}",
    ),
    "dependency": (
        "raise ModuleNotFoundError('No module named fastrlock', name='fastrlock')",
        rf"installed but does not work \(ModuleNotFoundError: No module named fastrlock\); {BROKEN}",
    ),
    "another Python": ("raise ImportError('undefined symbol')", rf"ImportError: undefined symbol\); {BROKEN}"),
    "its own mistake": ("None.nothing", rf"does not work \(AttributeError: .*\); {BROKEN}"),
}  # fmt: skip


@pytest.mark.parametrize("case", IMPORTS)
def test_imports_that_fail(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, message = IMPORTS[case]
    (tmp_path / "cupy.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    for device in ("cuda", "cuda:1"):
        with pytest.raises(BackendUnavailableError, match=message):
            far.Popularity(device=device).fit(X)
    assert "cupy" not in sys.modules


def about_devices(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the messages about devices; fits leave messages too."""
    return [record.getMessage() for record in caplog.records if record.getMessage().startswith("device=")]


def test_no_cupy(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(BackendUnavailableError, match=rf"needs CuPy, and it is not installed: {EXTRA}"):
        far.Popularity(device="cuda").fit(X)
    with caplog.at_level(logging.INFO, "fastautorec"):
        assert far.Popularity().fit(X).device_ == "cpu"
    assert not about_devices(caplog)  # without CuPy no GPU is expected


NVRTC = RuntimeError("CuPy failed to load libnvrtc.so.13: OSError: libnvrtc.so.13: cannot open shared object file")
MACHINES: dict[str, tuple[dict[str, Any], str, str]] = {
    "no driver": ({"driver": 0}, "cuda", "this machine has no NVIDIA driver; install it .* or use device='cpu'"),
    "older driver": (
        {"driver": 12080},
        "cuda",
        r"knows CUDA 12.8, but the installed CuPy is built for CUDA 13.0; take the extra of the driver: "
        r"pip uninstall --yes cupy-cuda13x && pip install 'fastautorec\[cuda12\]'; or update the driver",
    ),
    "much older driver": (
        {"driver": 11040},
        "cuda",
        "knows CUDA 11.4, but the installed CuPy is built for CUDA 13.0; update the driver$",
    ),
    "driver that fails": ({"driver": None}, "cuda", rf"installed but does not work .*; {BROKEN}"),
    "no device": (
        {"no_device": True},
        "cuda",
        r"CUDA finds no device \(cudaErrorNoDevice.*\); run nvidia-smi, .* CUDA_VISIBLE_DEVICES does not hide it; or",
    ),
    "no device, counted": ({"count": 0}, "cuda", r"CUDA finds no device \(it counts 0\); run nvidia-smi"),
    "ordinal of one": ({}, "cuda:1", "`device` is 'cuda:1', but this machine has cuda; use one of these"),
    "ordinal of many": ({"count": 4}, "cuda:4", "is 'cuda:4', but this machine has cuda:0 to cuda:3; use one of these"),
    "old GPU": (
        {"capability": (3, 7)},
        "cuda",
        r"Tesla K80 has compute capability 3.7, and the kernels need 7.5 \(Turing\) or later; use device='cpu'",
    ),
    "no NVRTC": ({"kernel_error": NVRTC}, "cuda", rf"does not work \(RuntimeError: .*libnvrtc.*\); {BROKEN}"),
    "no cuBLAS": ({"gemm_error": ImportError("libcublas.so.13")}, "cuda", rf"ImportError: libcublas.*\); {BROKEN}"),
    "wrong numbers": (
        {"powers": (1.0, 0.25)},
        "cuda",
        r"computes wrong numbers \(\(\[1.0, 0.25\], 1.0625\) in place of .*\); use device='cpu', and please report it",
    ),
}


@pytest.mark.parametrize("case", MACHINES)
def test_machines(case: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    faults, device, message = MACHINES[case]
    Machine(**faults).install(monkeypatch)
    with pytest.raises(BackendUnavailableError, match=message):
        far.Popularity(device=device).fit(X)
    if device == "cuda":
        with caplog.at_level(logging.INFO, "fastautorec"):
            for _ in range(2):
                assert far.Popularity().fit(X).device_ == "cpu"
        (message,) = about_devices(caplog)
        assert message.startswith("device='auto' takes the CPU: ")
    Machine(count=5).install(monkeypatch)  # what has been mended works without a new process
    assert open_device(4).name == "cuda:4"


def test_a_good_machine(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine(count=2)
    machine.install(monkeypatch)
    device = open_device(1)
    assert (device.name, device.multiprocessors, device.free_bytes()) == ("cuda:1", 7, 1024)
    assert open_device(1) is device
    assert open_device(0).name == "cuda"
    with caplog.at_level(logging.INFO, "fastautorec"):
        assert [_backends.get_backend("auto").name for _ in range(2)] == ["cuda", "cuda"]
    assert about_devices(caplog) == ["device='auto' takes the GPU"]


def test_a_newer_driver_is_good(monkeypatch: pytest.MonkeyPatch) -> None:
    Machine(driver=13010, runtime=12090).install(monkeypatch)
    assert open_device(0).name == "cuda"


@pytest.mark.parametrize(("setting", "compute"), [(None, 68), ("0", 68), ("1", 77)])
def test_tf32_only_where_it_is_asked_for(setting: str | None, compute: int, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine()
    machine.install(monkeypatch)
    if setting is not None:
        monkeypatch.setenv(cupy_device.TF32_VARIABLE, setting)
    device = open_device(0)
    device.gemm(array(np.ones((2, 2))), array(np.ones((2, 2))), array(np.ones((2, 2))))
    assert machine.compute == [compute, 70]


def test_tf32_is_0_or_1(monkeypatch: pytest.MonkeyPatch) -> None:
    Machine().install(monkeypatch)
    monkeypatch.setenv(cupy_device.TF32_VARIABLE, "yes")
    with pytest.raises(BackendUnavailableError, match="variable FASTAUTOREC_TF32 must be 0 or 1, got 'yes'"):
        open_device(0)


# --- what the device hands on -----------------------------------------------------------------------------------------


def spaced(matrix: np.ndarray, room: int) -> Array:
    """Return an equal matrix whose rows are apart."""
    return array(np.hstack([matrix, np.full((len(matrix), room), 9, matrix.dtype)]))[:, : matrix.shape[1]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("transpose_b", [False, True])
@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 4, 1), (3, 1, 2), (1, 1, 1), (3, 0, 2), (0, 2, 3), (3, 2, 0)])
def test_products_by_rows(
    shape: tuple[int, int, int], transpose_a: bool, transpose_b: bool, dtype: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The arguments that cuBLAS gets, which counts by columns, mean the products of matrices by rows."""
    Machine().install(monkeypatch)
    device, rng, (m, k, n) = open_device(0), np.random.default_rng(5), shape
    a, b, out = (rng.normal(size=size).astype(dtype) for size in ((m, k), (k, n), (m, n)))
    left = spaced(np.ascontiguousarray(a.T) if transpose_a else a, 2)
    right = spaced(np.ascontiguousarray(b.T) if transpose_b else b, 3)
    for alpha, beta in ((1.0, 0.0), (-0.5, 1.0), (2.0, 0.25)):
        result = spaced(out, 1)
        device.gemm(left, right, result, alpha, beta, transpose_a, transpose_b)
        np.testing.assert_allclose(result, alpha * (a @ b) + beta * out, rtol=1e-5, atol=1e-6)
        assert (result.base is None) or (np.asarray(result.base)[:, n:] == 9).all()


def test_arguments_of_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """CuPy makes a double of a float, and knows neither None nor bool as kernels want them."""
    machine = Machine()
    machine.install(monkeypatch)
    device = open_device(0)
    machine.launched.clear()
    there = array(np.zeros(2, np.float32))
    device.launch("rows.cu", "any_kernel", 3, 64, there, 5, 0.5, True, None, np.float64(2), np.uint32(7), shared=96)
    device.launch("rows.cu", "any_kernel", 0, 64, there)
    [(grid, block, arguments, shared)] = machine.launched
    assert (grid, block, shared) == ((3,), (64,), 96)
    kinds = [type(value) for value in arguments[1:]]
    assert kinds == [int, np.float32, np.int32, np.uintp, np.float64, np.uint32]
    assert [float(value) for value in arguments[1:]] == [5, 0.5, 1, 0, 2, 7]


def test_arrays_of_other_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other:
        """An array with DLPack only."""

        values = np.arange(3)

        def __dlpack__(self, **options: Any) -> Any:
            return self.values.__dlpack__(**options)

        def __dlpack_device__(self) -> tuple[int, int]:
            return self.values.__dlpack_device__()

    Machine().install(monkeypatch)
    device, mine = open_device(0), array([1, 2])
    assert device.adopt(mine) is mine
    assert device.adopt(Other()).tolist() == [0, 1, 2]


# --- without a GPU, CuPy is not touched -------------------------------------------------------------------------------


def run(code: str, folder: Path) -> str:
    paths = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": paths}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_importing_the_library_imports_no_cupy(tmp_path: Path) -> None:
    (tmp_path / "cupy.py").write_text("print('CuPy is imported')\nraise OSError(30, 'Read-only file system')\n")
    use = "import fastautorec as far; data = far.datasets.load_example(); far.ops.count_items(data); "
    assert run(f"{use} far.Popularity(device='cpu').fit(data)", tmp_path) == ""
    fallback = f"{use} print(far.Popularity().fit(data).device_, far.PureSVD(factors=2).fit(data).device_)"
    assert run(fallback, tmp_path) == "CuPy is imported\ncpu cpu\n"
