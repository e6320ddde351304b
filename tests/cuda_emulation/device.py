"""A CUDA device on the CPU: the kernels' own text, run by `fibers.hpp`, on arrays that behave like CuPy's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from cuda_emulation.arrays import EmulatedArray
from cuda_emulation.build import Kernel, load
from cuda_emulation.namespace import Namespace
from cuda_emulation.sparse import EmulatedCsr
from fastautorec._compute.cuda.kernels import kernel_source

MAX_SHARED = 48 << 10
POISON = 0xCB

_one_at_a_time = threading.Lock()  # __shared__ variables are static


class OutOfMemoryError(MemoryError):
    """What an allocation raises that does not fit, as in CuPy."""


class EmulatedDevice:
    """An answer to `fastautorec._compute.cuda.device.Device` without a GPU.

    Parameters
    ----------
    seed : int
        Order of threads and blocks, another one for every launch; 0 for that of their numbers.
    source : callable
        The text of a kernel file.

    Attributes
    ----------
    synchronisations : int
        How often the host would have waited for a GPU.
    transfers : int
        Copies to the device.
    launches : list of str
        Kernels, in the order of their launches.
    memory_left : int
        What ``free_bytes`` says.
    fail_allocations_above : int or None
        Arrays of more bytes raise ``out_of_memory``.
    """

    name = "cuda"
    multiprocessors = 2  # few, so that blocks take several strides
    out_of_memory = OutOfMemoryError

    def __init__(self, seed: int = 1, source: Callable[[str], str] = kernel_source) -> None:
        self.xp = Namespace(self)
        self.seed, self.source = seed, source
        self.synchronisations = self.transfers = 0
        self.launches: list[str] = []
        self.memory_left = 1 << 30
        self.fail_allocations_above: int | None = None

    def launch(self, file: str, kernel: str, blocks: int, threads: int, *arguments: Any, shared: int = 0) -> None:
        kernels = load(self.source(file))
        if kernel not in kernels:
            raise KeyError(f"{file} has no kernel {kernel}; it has {', '.join(kernels)}")
        found = kernels[kernel]
        if not 1 <= threads <= found.max_threads or blocks < 0 or blocks >= 1 << 31:
            raise ValueError(f"{kernel} cannot run with {blocks} blocks of {threads} threads")
        if shared > MAX_SHARED:
            raise ValueError(f"{kernel} asks for {shared} bytes of shared memory; there are {MAX_SHARED}")
        if len(arguments) != len(found.parameters):
            raise TypeError(f"{kernel} has {len(found.parameters)} parameters, got {len(arguments)} arguments")
        cells = [self._cell(found, i, value) for i, value in enumerate(arguments)]
        if blocks == 0:
            return
        self.launches.append(kernel)
        with _one_at_a_time:
            found(
                blocks, threads, shared, cells, self.seed and (self.seed * 2654435761 + len(self.launches)) % (1 << 64)
            )

    def _cell(self, kernel: Kernel, i: int, value: Any) -> np.ndarray[Any, Any]:
        """Return the argument as it lies in memory; a GPU would not notice a wrong type."""
        expected = kernel.parameters[i]
        if isinstance(value, EmulatedArray) or value is None:
            given, cell = self._pointer(kernel, value)
        elif isinstance(value, np.generic):
            given, cell = value.dtype.str, np.array(value)
        elif isinstance(value, bool):
            given, cell = "<i4", np.array(value, np.int32)
        elif isinstance(value, int):
            given, cell = "<i8", np.array(value, np.int64)
        elif isinstance(value, float):
            given, cell = "<f4", np.array(value, np.float32)
        else:
            raise TypeError(f"Unsupported type {type(value)}")
        if not _fits(given, expected):
            raise TypeError(f"parameter {i} of {kernel.name} is {expected}, got {given}")
        return cell

    @staticmethod
    def _pointer(kernel: Kernel, value: EmulatedArray | None) -> tuple[str, np.ndarray[Any, Any]]:
        if value is None:
            return "*", np.array(0, np.uintp)
        if value.ndim and value.shape[-1] > 1 and value.size and value.strides[-1] != value.itemsize:
            raise ValueError(
                f"the last axis of an argument of {kernel.name} is not contiguous: strides {value.strides}"
            )
        return "*" + value.dtype.str, np.array(value._values.ctypes.data, np.uintp)

    def gemm(
        self,
        a: EmulatedArray,
        b: EmulatedArray,
        out: EmulatedArray,
        alpha: float = 1.0,
        beta: float = 0.0,
        transpose_a: bool = False,
        transpose_b: bool = False,
    ) -> None:
        for matrix in (a, b, out):
            if not isinstance(matrix, EmulatedArray):
                raise TypeError(f"Unsupported type {type(matrix)}")
            if matrix.ndim != 2 or matrix.dtype != out.dtype or matrix.dtype not in (np.float32, np.float64):
                raise TypeError(
                    f"gemm takes matrices of one type, float32 or float64, got {matrix.dtype}{matrix.shape}"
                )
            if matrix.size and matrix.shape[1] > 1 and matrix.strides[1] != matrix.itemsize:
                raise ValueError(f"the rows of a gemm must be contiguous, got strides {matrix.strides}")
            if len(matrix) > 1 and matrix.strides[0] < matrix.shape[1] * matrix.itemsize:
                raise ValueError(f"the rows of a gemm must not overlap, got strides {matrix.strides}")
        left = a._values.T if transpose_a else a._values
        right = b._values.T if transpose_b else b._values
        if (left.shape[0], right.shape[1]) != out.shape or left.shape[1] != right.shape[0]:
            raise ValueError(f"gemm of {left.shape} and {right.shape} into {out.shape}")
        product = out.dtype.type(alpha) * (left @ right)
        out._values[...] = product if beta == 0 else product + out.dtype.type(beta) * out._values

    def to_host(self, array: EmulatedArray) -> np.ndarray[Any, Any]:
        return array.get()

    def to_device(self, array: Any) -> EmulatedArray:
        if isinstance(array, EmulatedArray):
            raise TypeError("the array is on the device already")
        self.transfers += 1
        return EmulatedArray(self, np.array(array, order="C"))

    def adopt(self, array: Any) -> EmulatedArray:
        if not isinstance(array, EmulatedArray):
            raise TypeError(f"Unsupported type {type(array)}")
        return array

    def csr(
        self, indptr: EmulatedArray, indices: EmulatedArray, data: EmulatedArray, shape: tuple[int, int]
    ) -> EmulatedCsr:
        return EmulatedCsr(self, (data, indices, indptr.astype(np.int32)), shape)

    def pinned(self, shape: Any, dtype: Any) -> np.ndarray[Any, Any]:
        return self.poisoned(shape, dtype)

    def free_bytes(self) -> int:
        return self.memory_left

    def active(self) -> AbstractContextManager[Any]:
        return nullcontext()

    def poisoned(self, shape: Any, dtype: Any) -> np.ndarray[Any, Any]:
        """Return an array without values."""
        array = np.empty(shape, dtype)
        self.check_size(array)
        array.reshape(-1).view(np.uint8)[...] = POISON
        return array

    def check_size(self, array: np.ndarray[Any, Any]) -> None:
        limit = self.fail_allocations_above
        if limit is not None and array.base is None and array.nbytes > limit:
            raise OutOfMemoryError(f"out of memory allocating {array.nbytes} bytes")

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a NumPy function with and for emulated arrays."""
        with np.errstate(all="ignore"):  # a GPU does not warn
            result = function(*map(self.unwrap, args), **{name: self.unwrap(value) for name, value in kwargs.items()})
        out = kwargs.get("out")
        if out is not None:
            return out[0] if isinstance(out, tuple) else out
        return self._wrap(result)

    def _wrap(self, result: Any) -> Any:
        if isinstance(result, tuple):
            return tuple(map(self._wrap, result))
        return EmulatedArray(self, result) if isinstance(result, np.ndarray | np.generic) else result

    def unwrap(self, value: Any) -> Any:
        """Return the NumPy array of an emulated one, also inside tuples and lists; refuse all others."""
        if isinstance(value, EmulatedArray):
            if value.device is not self:
                raise ValueError("the arrays are on different devices")
            return value._values
        if isinstance(value, np.ndarray):
            raise TypeError(f"Unsupported type {type(value)}")
        if isinstance(value, tuple | list):
            return type(value)(map(self.unwrap, value))
        return value


def _fits(given: str, expected: str) -> bool:
    if given[0] == "*" and expected[0] == "*":
        return given == "*" or expected.startswith("*|V") or np.dtype(given[1:]) == np.dtype(expected[1:])
    return given[0] != "*" and expected[0] != "*" and np.dtype(given) == np.dtype(expected)
