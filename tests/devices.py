"""Backends as tests want them: NumPy and SciPy go in and come out, wherever the work is done."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import numpy as np
import pytest
from cuda_emulation import EmulatedDevice

from fastautorec._backends._host import HostArrays
from fastautorec._backends.cuda import CudaBackend
from fastautorec._backends.protocol import Backend
from fastautorec._optim import Parameter
from fastautorec._sparse import Csr

CUDA = ("cuda-emulated", pytest.param("cuda", marks=pytest.mark.gpu))
DENSE = ("matmul", "cross_product", "activation_backward", "add_up", "sum_of_squares")
OPERATIONS = tuple(name for name, value in vars(Backend).items() if inspect.isfunction(value) and name[0] != "_")


def host(array: Any) -> np.ndarray:
    """Return a NumPy array, wherever the array is."""
    return array.get() if hasattr(array, "get") else array


def emulated_backend(seed: int = 1) -> CudaBackend:
    return CudaBackend(EmulatedDevice(seed), num_threads=2)


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
        part = self._backend.put(whole).rows(1, len(whole.indptr) - 2)
        return part if matrix.users is not None else dataclasses.replace(part, users=None)

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
