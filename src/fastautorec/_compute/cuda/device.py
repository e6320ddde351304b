"""What the backend asks of a CUDA device. CuPy answers on a GPU; the tests put an emulation on the CPU in its place."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol

Array = Any  # of the device's array module

WARP = 32


class Device(Protocol):
    """A device with its array module, kernels, dense products and memory.

    Attributes
    ----------
    xp : module
        The array module, CuPy. Its functions are those of NumPy, on arrays of the device.
    name : str
        "cuda", or "cuda:1" for a device other than the first.
    multiprocessors : int
        Blocks beyond a few for each of them only wait.
    out_of_memory : type of exception
        What an allocation that does not fit raises.
    """

    xp: Any
    name: str
    multiprocessors: int
    out_of_memory: type[Exception]

    def launch(self, file: str, kernel: str, blocks: int, threads: int, *arguments: Any, shared: int = 0) -> None:
        """Run ``kernel`` of ``cuda/<file>`` on a line of blocks.

        Arrays become pointers (their last axis contiguous; pass row strides as sizes), None the null pointer, an int
        ``long long``, a float ``float``, a bool ``int``; NumPy scalars keep their type. ``shared`` is in bytes.
        Nothing happens for 0 blocks.
        """

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
        """Set out = alpha · a' b' + beta · out, where ' is the transpose if asked for; all float32 or all float64.

        Two-dimensional, rows contiguous but not necessarily adjacent.
        """

    def to_host(self, array: Array) -> Any:
        """Return a NumPy copy; waits for the device."""

    def to_device(self, array: Any) -> Array:
        """Return a copy of a NumPy array on the device; does not wait."""

    def adopt(self, array: Any) -> Array:
        """Return what another library has on this device (``__cuda_array_interface__`` or DLPack), not copied."""

    def csr(self, indptr: Array, indices: Array, data: Array, shape: tuple[int, int]) -> Any:
        """Return the sparse matrix that users of the array module know, here `cupyx.scipy.sparse.csr_matrix`."""

    def pinned(self, shape: Any, dtype: Any) -> Any:
        """Return an uninitialised NumPy array in page-locked memory, from which copies do not wait."""

    def free_bytes(self) -> int:
        """Return how much memory can still be allocated."""

    def active(self) -> AbstractContextManager[Any]:
        """Return a context in which this device is the current one."""


def row_stride(matrix: Array) -> int:
    """Return the distance of two rows in elements."""
    return int(matrix.strides[0]) // int(matrix.itemsize) if len(matrix) > 1 else int(matrix.shape[1])


def ceil_div(a: int, b: int) -> int:
    """Return a / b, rounded up."""
    return -(-a // b)
