"""A CUDA device through CuPy, and what is wrong where there is none."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from functools import cache
from typing import Any

import numpy as np

from fastautorec._compute.cuda.device import Array, row_stride
from fastautorec._compute.cuda.kernels import kernel_source
from fastautorec.exceptions import BackendUnavailableError

TF32_VARIABLE = "FASTAUTOREC_TF32"
OLDEST = (7, 5)  # compute capability for which the kernels are compiled in the tests
EXTRAS = (12, 13)  # CUDA versions for which CuPy can be installed with an extra
_INSTALL = "pip install 'fastautorec[cuda13]' (or [cuda12] for drivers before 580)"
_REAL_32F, _REAL_64F = 0, 1  # cudaDataType


class CupyDevice:
    """The device of a number, its kernels compiled at first use and kept by CuPy's cache on disk."""

    def __init__(self, cupy: Any, ordinal: int) -> None:
        """Take the imported module, so that `import fastautorec` needs none."""
        from cupy_backends.cuda.libs import cublas  # noqa: PLC0415

        self.xp = cupy
        self.name = "cuda" if ordinal == 0 else f"cuda:{ordinal}"
        self.out_of_memory = cupy.cuda.memory.OutOfMemoryError
        self._device = cupy.cuda.Device(ordinal)
        self._cublas = cublas
        self._compute = {"f": _compute_type(cublas), "d": cublas.CUBLAS_COMPUTE_64F}
        self.multiprocessors = int(self._device.attributes["MultiProcessorCount"])
        self._modules: dict[str, Any] = {}
        self._kernels: dict[tuple[str, str], Any] = {}

    def launch(self, file: str, kernel: str, blocks: int, threads: int, *arguments: Any, shared: int = 0) -> None:
        if blocks > 0:
            self._kernel(file, kernel)((blocks,), (threads,), tuple(map(_argument, arguments)), shared_mem=shared)

    def _kernel(self, file: str, kernel: str) -> Any:
        found = self._kernels.get((file, kernel))
        if found is None:
            if file not in self._modules:
                self._modules[file] = self.xp.RawModule(code=kernel_source(file), options=("-std=c++17",))
            found = self._kernels[file, kernel] = self._modules[file].get_function(kernel)
        return found

    def gemm(
        self,
        a: Array,
        b: Array,
        out: Array,
        alpha: float = 1.0,
        beta: float = 0.0,
        transpose_a: bool = False,
        transpose_b: bool = False,
    ) -> None:
        """Call cuBLAS, which counts by columns: it sees the transposes of all three, so b comes first.

        Not through `cupy.matmul`, which copies matrices whose rows are not adjacent and cannot add to ``out``.
        """
        rows, columns = out.shape
        inner = a.shape[0] if transpose_a else a.shape[1]
        if rows == 0 or columns == 0:
            return
        if inner == 0:
            out *= beta
            return
        cublas, kind = self._cublas, out.dtype.char
        data_type = _REAL_32F if kind == "f" else _REAL_64F
        factors = np.array([alpha, beta], out.dtype)
        operation = {False: cublas.CUBLAS_OP_N, True: cublas.CUBLAS_OP_T}
        cublas.gemmEx(
            self.xp.cuda.device.get_cublas_handle(),
            *(operation[transpose_b], operation[transpose_a], columns, rows, inner, factors.ctypes.data),
            *(b.data.ptr, data_type, row_stride(b), a.data.ptr, data_type, row_stride(a)),
            *(factors.ctypes.data + factors.itemsize, out.data.ptr, data_type, row_stride(out)),
            *(self._compute[kind], cublas.CUBLAS_GEMM_DEFAULT),
        )

    def to_host(self, array: Array) -> Any:
        return self.xp.asnumpy(array)

    def to_device(self, array: Any) -> Array:
        return self.xp.asarray(array)

    def adopt(self, array: Any) -> Array:
        if isinstance(array, self.xp.ndarray):
            return array
        shared = hasattr(array, "__cuda_array_interface__")
        return self.xp.asarray(array) if shared else self.xp.from_dlpack(array)

    def csr(self, indptr: Array, indices: Array, data: Array, shape: tuple[int, int]) -> Any:
        from cupyx.scipy import sparse  # noqa: PLC0415

        return sparse.csr_matrix((data, indices, indptr.astype(np.int32)), shape=shape)

    def pinned(self, shape: Any, dtype: Any) -> Any:
        import cupyx  # noqa: PLC0415

        return cupyx.empty_pinned(shape, dtype)

    def free_bytes(self) -> int:
        free, _ = self._device.mem_info
        return int(free) + int(self.xp.get_default_memory_pool().free_bytes())

    def active(self) -> AbstractContextManager[Any]:
        device: AbstractContextManager[Any] = self._device
        return device


@cache
def open_device(ordinal: int) -> CupyDevice:
    """Return a device that has passed a small test.

    Raises
    ------
    BackendUnavailableError
        If it cannot be used, with the command that mends it.
    """
    cupy = _import_cupy()
    try:
        _check_driver(cupy)
        _check_ordinal(cupy, ordinal)
        device = CupyDevice(cupy, ordinal)
        with device.active():
            _check_kernels(device)
    except BackendUnavailableError:
        raise
    except Exception as error:  # of CuPy, NVRTC and cuBLAS, whose exceptions have no common base
        raise _broken_libraries(error) from error
    return device


def _import_cupy() -> Any:
    try:
        import cupy  # noqa: PLC0415  only where a GPU is asked for
    except ModuleNotFoundError as error:
        if error.name != "cupy":
            raise _broken_libraries(error) from error
        raise BackendUnavailableError(
            f"`device` is 'cuda', which needs CuPy, and it is not installed: {_INSTALL}; or use device='cpu'"
        ) from error
    except OSError as error:  # it makes its cache folder when it is imported
        if error.errno is None:  # no file of its own, but a library that cannot be loaded
            raise _broken_libraries(error) from error
        raise BackendUnavailableError(
            f"CuPy cannot write its cache of compiled kernels ({error}); name a folder that it may write to: "
            "export CUPY_CACHE_DIR=/tmp/cupy"
        ) from error
    except Exception as error:
        raise _broken_libraries(error) from error
    return cupy


def _check_driver(cupy: Any) -> None:
    runtime = cupy.cuda.runtime
    driver, built = runtime.driverGetVersion(), runtime.runtimeGetVersion()
    if driver == 0:
        raise BackendUnavailableError(
            "`device` is 'cuda', but this machine has no NVIDIA driver; install it (on Ubuntu: sudo ubuntu-drivers "
            "install; on Debian: sudo apt install nvidia-driver), or use device='cpu'"
        )
    if driver // 1000 < built // 1000:
        remedy = "update the driver"
        if driver // 1000 in EXTRAS:
            remedy = (
                f"take the extra of the driver: pip uninstall --yes cupy-cuda{built // 1000}x && "
                f"pip install 'fastautorec[cuda{driver // 1000}]'; or {remedy}"
            )
        raise BackendUnavailableError(
            f"the NVIDIA driver knows CUDA {_version(driver)}, but the installed CuPy is built for CUDA "
            f"{_version(built)}; {remedy}"
        )


def _check_ordinal(cupy: Any, ordinal: int) -> None:
    runtime = cupy.cuda.runtime
    try:
        count, reason = runtime.getDeviceCount(), None
    except runtime.CUDARuntimeError as error:
        count, reason = 0, error
    if count == 0:
        raise BackendUnavailableError(
            f"`device` is 'cuda', but CUDA finds no device ({reason or 'it counts 0'}); run nvidia-smi, and check that "
            "the environment variable CUDA_VISIBLE_DEVICES does not hide it; or use device='cpu'"
        ) from reason
    if ordinal >= count:
        there = "cuda" if count == 1 else f"cuda:0 to cuda:{count - 1}"
        raise BackendUnavailableError(f"`device` is 'cuda:{ordinal}', but this machine has {there}; use one of these")
    properties = runtime.getDeviceProperties(ordinal)
    capability = properties["major"], properties["minor"]
    if capability < OLDEST:
        name = properties["name"].decode()
        raise BackendUnavailableError(
            f"{name} has compute capability {capability[0]}.{capability[1]}, and the kernels need {OLDEST[0]}."
            f"{OLDEST[1]} (Turing) or later; use device='cpu'"
        )


def _check_kernels(device: CupyDevice) -> None:
    """Raise unless a kernel and a product give the right result: that finds missing libraries before a fit begins."""
    xp = device.xp
    powers, indptr = xp.empty(2, xp.float32), xp.asarray(np.array([0, 1, 5], np.int64))
    device.launch("rows.cu", "length_powers_kernel", 1, 32, powers, 1, indptr, 0.5, 2)
    product = xp.empty((1, 1), xp.float32)
    device.gemm(powers[None], powers[None], product, transpose_b=True)
    results = device.to_host(powers).tolist(), float(device.to_host(product)[0, 0])
    if results != ([1.0, 0.5], 1.25):
        raise BackendUnavailableError(
            f"the GPU computes wrong numbers ({results} in place of ([1.0, 0.5], 1.25)); use device='cpu', and please "
            "report it with the output of `fastautorec doctor`"
        )


def _broken_libraries(error: Exception) -> BackendUnavailableError:
    return BackendUnavailableError(
        f"CuPy is installed but does not work ({type(error).__name__}: {error}); its CUDA libraries come with the "
        f"extra: {_INSTALL}; where several CuPy packages are installed, uninstall all but one; or use device='cpu'"
    )


def _compute_type(cublas: Any) -> int:
    """Return how float32 products are computed: in full float32, unless the environment asks for TF32."""
    setting = os.environ.get(TF32_VARIABLE, "0")
    if setting not in ("0", "1"):
        raise BackendUnavailableError(f"the environment variable {TF32_VARIABLE} must be 0 or 1, got {setting!r}")
    return int(cublas.CUBLAS_COMPUTE_32F_FAST_TF32 if setting == "1" else cublas.CUBLAS_COMPUTE_32F)


def _argument(value: Any) -> Any:
    """Return an argument of a kernel with the type that its declaration has; CuPy makes a double of a float."""
    kind = type(value)
    if kind is float:
        return np.float32(value)
    if kind is bool:
        return np.int32(value)
    return np.uintp(0) if value is None else value  # CuPy makes a long long of an int


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"
