"""A module that answers like CuPy as far as opening a device and cuBLAS go, with machines of all kinds behind it."""

from __future__ import annotations

import ctypes
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest


class CUDARuntimeError(RuntimeError):
    pass


class Array(np.ndarray):
    """A NumPy array that names its address as CuPy's do."""

    @property
    def data(self) -> Any:  # type: ignore[override]
        return SimpleNamespace(ptr=self.ctypes.data)


def array(values: Any) -> Array:
    return np.array(values).view(Array)


class Device:
    """The device of a machine; also the context in which it is the current one."""

    def __init__(self, ordinal: int) -> None:
        self.id, self.attributes, self.mem_info = ordinal, {"MultiProcessorCount": 7}, (1000, 4000)

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *error: object) -> None:
        pass


class Machine:
    """What is wrong with a machine: nothing, unless a test says so."""

    driver, runtime, count = 13000, 13000, 1
    capability = 9, 0
    no_device = False
    kernel_error: Exception | None = None
    gemm_error: Exception | None = None
    powers = (1.0, 0.5)  # what the first kernel computes

    def __init__(self, **faults: Any) -> None:
        self.launched: list[tuple[Any, ...]] = []
        self.compute: list[int] = []
        for name, value in faults.items():
            assert hasattr(type(self), name), name
            setattr(self, name, value)

    def device_count(self) -> int:
        if self.no_device:
            raise CUDARuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")
        return self.count

    def properties(self, ordinal: int) -> dict[str, Any]:
        return {"major": self.capability[0], "minor": self.capability[1], "name": b"Tesla K80"}

    def kernel(self, grid: Any, block: Any, arguments: tuple[Any, ...], shared_mem: int = 0) -> None:
        self.launched.append((grid, block, arguments, shared_mem))
        arguments[0][...] = self.powers

    def module(self, code: str, options: tuple[str, ...]) -> Any:
        if self.kernel_error is not None:
            raise self.kernel_error
        return SimpleNamespace(get_function=lambda name: self.kernel)

    def gemm(self, handle: int, op_a: int, op_b: int, m: int, n: int, k: int, *rest: Any) -> None:
        """C = alpha op(A) op(B) + beta C of column-major matrices, from addresses, as cuBLAS does it."""
        if self.gemm_error is not None:
            raise self.gemm_error
        alpha, a, kind, lda, b, _, ldb, beta, c, _, ldc, compute, _ = rest
        self.compute.append(compute)
        number = ctypes.c_double if kind else ctypes.c_float

        def columns(address: int, rows: int, count: int, stride: int) -> Any:
            assert stride >= max(rows, 1), "cuBLAS refuses this leading dimension"
            flat = np.ctypeslib.as_array((number * (stride * (count - 1) + rows)).from_address(address))
            return np.lib.stride_tricks.as_strided(flat, (rows, count), (flat.itemsize, stride * flat.itemsize))

        left = columns(a, k, m, lda).T if op_a else columns(a, m, k, lda)
        right = columns(b, n, k, ldb).T if op_b else columns(b, k, n, ldb)
        out, factor = columns(c, m, n, ldc), number.from_address(beta).value
        out[...] = number.from_address(alpha).value * (left @ right) + (factor * out if factor else 0)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put the module into ``sys.modules``."""
        cublas = SimpleNamespace(
            gemmEx=self.gemm, CUBLAS_OP_N=0, CUBLAS_OP_T=1, CUBLAS_COMPUTE_32F=68, CUBLAS_COMPUTE_32F_FAST_TF32=77,
            CUBLAS_COMPUTE_64F=70, CUBLAS_GEMM_DEFAULT=-1,
        )  # fmt: skip
        runtime = SimpleNamespace(
            driverGetVersion=lambda: self.driver, runtimeGetVersion=lambda: self.runtime,
            getDeviceCount=self.device_count, getDeviceProperties=self.properties, CUDARuntimeError=CUDARuntimeError,
        )  # fmt: skip
        cupy = ModuleType("cupy")
        cupy.__spec__ = ModuleSpec("cupy", None)
        cupy.cuda = SimpleNamespace(  # type: ignore[attr-defined]
            runtime=runtime, Device=Device, memory=SimpleNamespace(OutOfMemoryError=MemoryError),
            device=SimpleNamespace(get_cublas_handle=lambda: 0),
        )  # fmt: skip
        for name, value in {
            "ndarray": Array,
            "float32": np.float32,
            "empty": lambda shape, dtype: array(np.full(shape, np.nan, dtype)),
            "asarray": array,
            "asnumpy": np.array,
            "from_dlpack": lambda values: array(np.from_dlpack(values)),
            "RawModule": self.module,
            "get_default_memory_pool": lambda: SimpleNamespace(free_bytes=lambda: 24),
        }.items():
            setattr(cupy, name, value)
        libs = ModuleType("cupy_backends.cuda.libs")
        libs.cublas = cublas  # type: ignore[attr-defined]
        for name, module in {
            "cupy": cupy,
            "cupy_backends": ModuleType("cupy_backends"),
            "cupy_backends.cuda": ModuleType("cupy_backends.cuda"),
            "cupy_backends.cuda.libs": libs,
        }.items():
            monkeypatch.setitem(sys.modules, name, module)
