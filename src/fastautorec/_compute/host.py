"""Parts that the backends on the host share: checks of user input, memory, dense products in fixed blocks."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from fastautorec._compute import arrays, inputs
from fastautorec._compute.csr import Csr
from fastautorec._compute.protocol import HOST_SCORES, FloatArray, IdArray
from fastautorec._compute.threads import cross_product, matmul, run_blocks

LINE = 16  # floats of a cache line
DOUBLE_ROWS = 512  # of a product in double precision at a time


class HostInputs:
    """Takes NumPy and SciPy only."""

    def on_device(self, given: Any) -> bool:
        return False

    def check_place(self, name: str, given: Any) -> None:
        pass  # the checks below refuse what is elsewhere

    user_items = staticmethod(inputs.check_user_items)
    values = staticmethod(inputs.check_values)
    counts = staticmethod(inputs.check_counts)
    dense = staticmethod(arrays.check_dense)
    ranking = staticmethod(arrays.check_ranking)


class HostArrays:
    """NumPy arrays; everything is where it has to be."""

    num_threads: int
    tile_factor = 1
    scans_codes = False
    score_tiles = HOST_SCORES
    out_of_memory: tuple[type[Exception], ...] = ()
    inputs = HostInputs()

    def active(self) -> AbstractContextManager[Any]:
        return nullcontext()

    def halved(self, tile: int) -> int:
        raise MemoryError  # never called: the host's MemoryError goes to the caller

    def give(self, matrix: Csr) -> sparse.csr_matrix:
        result = matrix.to_scipy()
        result.indices = result.indices.copy()
        return result

    def new(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        return np.empty(shape, dtype)

    def put(self, matrix: Csr) -> Csr:
        return matrix

    def empty(self, rows: int, columns: int) -> FloatArray:
        return np.empty((rows, columns), np.float32)

    def zeros(self, rows: int, columns: int) -> FloatArray:
        return aligned_zeros(rows, columns)

    def to_device(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return array

    def to_host(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return array

    def matmul(self, a: FloatArray, b: npt.NDArray[Any], out: FloatArray) -> FloatArray:
        if b.dtype == a.dtype:
            matmul(a, b, out, self.num_threads)
            return out

        def multiply(start: int, stop: int) -> None:
            out[start:stop] = a[start:stop].astype(b.dtype) @ b

        run_blocks(multiply, len(a), DOUBLE_ROWS, self.num_threads)
        return out

    def cross_product(self, a: npt.NDArray[Any], b: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        return cross_product(a, b, self.num_threads)

    def activation_backward(self, hidden: FloatArray, grad: FloatArray, activation: str) -> FloatArray:
        grad *= activation_slope(hidden, activation)
        sums: FloatArray = grad.sum(axis=0, keepdims=True)
        return sums

    def add_up(self, losses: list[Any]) -> float:
        return float(sum(losses))

    def sum_of_squares(self, matrix: FloatArray) -> float:
        return float(np.einsum("ij,ij->", matrix, matrix, dtype=np.float64))

    def find_ranks(
        self, item_ids: IdArray, test: Csr, lengths: IdArray, starts: npt.NDArray[np.int64], out: IdArray
    ) -> None:
        own = test.rebased()
        for i, (length, start) in enumerate(zip(lengths.tolist(), starts.tolist(), strict=True)):
            listed = item_ids[i, :length].tolist()
            ranks = {item: rank for rank, item in reversed(list(enumerate(listed, 1)))}  # the first place comes last
            wanted = own.indices[own.indptr[i] : own.indptr[i + 1]].tolist()
            out[start : start + len(wanted)] = [ranks.get(item, 0) for item in wanted]


def aligned_zeros(rows: int, columns: int) -> FloatArray:
    """Return a float32 matrix of zeros whose rows start at cache lines."""
    stride = -(-columns // LINE) * LINE
    flat = np.zeros(rows * stride + LINE, np.float32)
    start = -(flat.ctypes.data // flat.itemsize) % LINE
    return flat[start : start + rows * stride].reshape(rows, stride)[:, :columns]


def activation_slope(hidden: FloatArray, activation: str) -> npt.NDArray[Any] | float:
    """Return act′ at the points whose activations are ``hidden``."""
    if activation == "relu":
        return hidden > 0
    if activation == "tanh":
        return 1 - hidden * hidden
    if activation == "sigmoid":
        return hidden * (1 - hidden)
    return 1.0
