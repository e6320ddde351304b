"""Backends as tests want them: NumPy and SciPy go in and come out, wherever the work is done."""

from __future__ import annotations

import dataclasses
import inspect
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from cuda_emulation import EmulatedCsr, EmulatedDevice
from lanes import marked
from scipy import sparse

from fastautorec._compute import get_backend
from fastautorec._compute.csr import Csr
from fastautorec._compute.cuda.backend import CudaBackend
from fastautorec._compute.cuda.matrix import Pattern
from fastautorec._compute.host import HostArrays
from fastautorec._compute.memory import is_on_device
from fastautorec._compute.parameter import Parameter
from fastautorec._compute.protocol import Backend
from fastautorec.ops._operation import bound_to

EMULATED = marked("cuda-emulated")  # test_cuda_*.py have a part of it in the fast lane
CUDA = (EMULATED, pytest.param("cuda", marks=pytest.mark.gpu))
DENSE = ("matmul", "cross_product", "activation_backward", "add_up", "sum_of_squares")
OPERATIONS = tuple(name for name, value in vars(Backend).items() if inspect.isfunction(value) and name[0] != "_")


SPARSE = ("user_items", "target", "positives", "negatives", "exclude", "test")  # arguments of operations
ON_HOST = {"sample_negatives": ("rows", "weights")}


def device_csr(backend: CudaBackend, matrix: Any) -> Any:
    """Return a copy of a SciPy matrix on the device, as it is stored there."""
    if matrix.format == "coo":  # with its duplicates, which SciPy would add up
        order = np.argsort(matrix.row, kind="stable")
        indptr = np.searchsorted(matrix.row[order], np.arange(matrix.shape[0] + 1))
        matrix = sparse.csr_matrix((matrix.data[order], matrix.col[order], indptr), shape=matrix.shape)
    if isinstance(backend.device, EmulatedDevice):
        return EmulatedCsr.of(backend.device, matrix)
    cupyx = pytest.importorskip("cupyx.scipy.sparse", reason="needs one of the extras cuda12 and cuda13")
    whole = matrix if matrix.dtype.char in "?fd" else matrix.astype(np.float64)  # what CuPy's matrices can hold
    return cupyx.csr_matrix(whole)


def host(array: Any) -> np.ndarray:
    """Return a NumPy array, wherever the array is."""
    return array.get() if hasattr(array, "get") else array


def emulated_backend(seed: int = 1) -> CudaBackend:
    return CudaBackend(EmulatedDevice(seed), num_threads=2)


def backend_of_name(name: str) -> Backend:
    """Return a backend that needs no GPU, for NumPy arrays."""
    return cast(Backend, OnDevice(emulated_backend())) if name == "cuda-emulated" else get_backend(name, 2)


def operations_on(backend: Backend) -> SimpleNamespace:
    """Return the public functions on one backend."""
    return SimpleNamespace(**bound_to(backend, __name__))


class OnDevice(HostArrays):
    """Copies what a call is given to the device, and what it returns or has changed back to the caller's arrays."""

    def __init__(self, backend: CudaBackend) -> None:
        self._backend, self.name, self.num_threads = backend, backend.name, 2

    @property
    def host(self) -> OnDevice:
        return self

    def with_threads(self, num_threads: int) -> OnDevice:
        return self

    def __getattribute__(self, name: str) -> Any:
        if name in OPERATIONS or name in DENSE:
            return lambda *args, **kwargs: self._call(name, args, kwargs)
        return super().__getattribute__(name)

    def _call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        with self._backend.active():
            there = _Copies(self._backend)
            result = getattr(self._backend, name)(
                *map(there.up, args), **{key: there.up(value) for key, value in kwargs.items()}
            )
            answer = there.down(result)
            if name == "sample_negatives":
                answer = answer[0], answer[1][: len(answer[0].indices)]  # without the room that a device keeps
            there.write_back()
            return answer


class OperationsOnDevice:
    """The public functions with every argument that a device can hold copied to it, and the results back.

    Where there is no such argument they run on the host, as in `fastautorec.ops`.
    """

    def __init__(self, backend: CudaBackend) -> None:
        self._backend = backend

    def __getattr__(self, name: str) -> Any:
        on_host = getattr(operations_on(self._backend.host), name)

        def call(*args: Any, **kwargs: Any) -> Any:
            arguments = inspect.signature(on_host).bind(*args, **kwargs).arguments
            stay = ON_HOST.get(name, ())
            there = {key: value if key in stay else self._up(key, value) for key, value in arguments.items()}
            on_device = any(map(is_on_device, there.values()))
            if on_device and not all(map(_could_be_there, there.values())):
                pytest.skip("an argument that no device can hold")
            run = getattr(operations_on(cast(Backend, self._backend)), name) if on_device else on_host
            with self._backend.active():
                return self._down(run(**there))

        return call

    def _up(self, name: str, value: Any) -> Any:
        matrix = getattr(value, "user_items", value)
        if sparse.issparse(matrix):
            return device_csr(self._backend, matrix)
        if name in SPARSE or not isinstance(value, list | np.ndarray):
            return value
        array = np.asarray(value)
        return self._backend.to_device(array) if array.dtype.kind in "biufc" else value

    def _down(self, result: Any) -> Any:
        if isinstance(result, tuple):
            return tuple(map(self._down, result))
        if isinstance(result, dict):
            return {name: self._down(value) for name, value in result.items()}
        return result.get() if is_on_device(result) else result


def _could_be_there(value: Any) -> bool:
    """Return whether something is no array, or one that a device can hold."""
    if isinstance(value, list):
        return np.asarray(value).dtype.kind in "biufc"
    return type(value).__module__ != "cupy" or is_on_device(value)


class _Copies:
    """The arguments of one call on the device."""

    def __init__(self, backend: CudaBackend) -> None:
        self._backend = backend
        self._arrays: list[tuple[np.ndarray, Any]] = []
        self._parameters: list[tuple[Parameter, Parameter]] = []

    def up(self, value: Any) -> Any:
        if isinstance(value, Csr):
            return self._matrix(value)
        if isinstance(value, Parameter):
            arrays = {name: self.up(getattr(value, name)) for name in ("value", "first", "second")}
            self._parameters.append((value, dataclasses.replace(value, **arrays)))
            return self._parameters[-1][1]
        if isinstance(value, tuple | list):
            return type(value)(map(self.up, value))
        if isinstance(value, np.ndarray) and value.ndim:
            return self._array(value)
        return value

    def _array(self, array: np.ndarray) -> Any:
        for mine, there in self._arrays:
            if mine is array:
                return there
        stride = array.strides[0] // array.itemsize if array.ndim == 2 and len(array) > 1 else 0
        if array.ndim == 2 and stride > array.shape[1] and array.strides[1] == array.itemsize:  # rows are apart
            padded = np.zeros((len(array), stride), array.dtype)
            padded[:, : array.shape[1]] = array
            there = self._backend.to_device(padded)[:, : array.shape[1]]
        else:
            there = self._backend.to_device(np.ascontiguousarray(array))
        self._arrays.append((array, there))
        return there

    def _matrix(self, matrix: Csr) -> Any:
        """Return the rows of a matrix; a part of a larger one stays a part."""
        whole = dataclasses.replace(
            matrix,
            indptr=np.concatenate([[0], matrix.indptr, [len(matrix.indices)]]),
            users=None if matrix.users is None else np.concatenate([[-1], matrix.users, [-1]]),
        )
        there = self._backend.put(whole)
        pattern, users = there.pattern, None if matrix.users is None else there.users[1:-1]
        part = Pattern(pattern.device, pattern.indptr[1:-1], pattern.indices, matrix.n_cols, matrix.indptr)
        return dataclasses.replace(there, pattern=part, users=users)

    def down(self, result: Any) -> Any:
        for mine, there in self._arrays:
            if result is there:
                return mine
        for mine, there in self._parameters:
            if result is there.value:
                return mine.value
        if isinstance(result, tuple):
            return tuple(map(self.down, result))
        if hasattr(result, "pattern"):
            host = result.to_host()
            nnz = int(host.indptr[-1])
            return dataclasses.replace(host, indices=host.indices[:nnz])
        if isinstance(result, float | np.ndarray) or result is None:
            return result
        return self._backend.to_host(result) if hasattr(result, "strides") else float(result)

    def write_back(self) -> None:
        for mine, there in self._arrays:
            if mine.flags.writeable:
                mine[...] = self._backend.to_host(there)
        for mine, there in self._parameters:
            mine.step = there.step
