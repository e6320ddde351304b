"""The CUDA kernels on arrays of one device."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

from fastautorec._compute.cpu import CpuBackend
from fastautorec._compute.csr import Csr
from fastautorec._compute.cuda import dense, heads, optim, ranking, sampling, sparse
from fastautorec._compute.cuda.device import Array, Device
from fastautorec._compute.cuda.inputs import DeviceInputs
from fastautorec._compute.cuda.matrix import DeviceCsr
from fastautorec._compute.cuda.streamed import StreamedCsr, fits
from fastautorec._compute.host import LINE
from fastautorec._compute.parameter import Parameter
from fastautorec._compute.protocol import DEVICE_SCORES

_log = logging.getLogger("fastautorec")

P = ParamSpec("P")
R = TypeVar("R")


def _on_device(function: Callable[Concatenate[Device, P], R]) -> Callable[Concatenate[CudaBackend, P], R]:
    """Return a function that launches kernels as a method of the backend, on its device."""

    @wraps(function)
    def launch(self: CudaBackend, /, *args: P.args, **options: P.kwargs) -> R:
        return function(self.device, *args, **options)

    return launch


class CudaBackend:
    """One stream of launches; nothing waits for the device but what returns something to the host."""

    num_threads = 1  # that hand out work to the device
    score_tiles = DEVICE_SCORES
    tile_factor = 8
    scans_codes = False

    def __init__(self, device: Device, num_threads: int = 1) -> None:
        self.device, self.name = device, device.name
        self.host = CpuBackend(num_threads)
        self.inputs = DeviceInputs(device)
        self.out_of_memory = (device.out_of_memory,)
        self._halved = False

    # --- memory and dense arithmetic ----------------------------------------------------------------------------------

    def with_threads(self, num_threads: int) -> CudaBackend:
        return self

    def active(self) -> AbstractContextManager[Any]:
        return self.device.active()

    def halved(self, tile: int) -> int:
        if tile <= 1:
            raise MemoryError(
                f"the work of a single user does not fit into the memory of {self.name}; use fewer factors, or "
                "device='cpu'"
            )
        if not self._halved:
            _log.warning("%s is out of memory: going on with smaller tiles", self.name)
            self._halved = True
        return tile // 2

    def put(self, matrix: Any) -> Any:
        if not isinstance(matrix, Csr):
            return matrix  # is there already
        return DeviceCsr.from_host(self.device, matrix) if fits(self.device, matrix) else StreamedCsr(self, matrix)

    def give(self, matrix: DeviceCsr) -> Any:
        own = matrix.rebased()
        indptr, nnz = own.pattern.indptr, own.nnz
        data = self.device.xp.ones(nnz, np.float32) if own.data is None else own.data[:nnz]
        return self.device.csr(indptr, own.pattern.indices[:nnz].copy(), data, own.shape)

    def new(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
        return self.device.xp.empty(shape, dtype)

    def empty(self, rows: int, columns: int) -> Array:
        return self.device.xp.empty((rows, columns), np.float32)

    def zeros(self, rows: int, columns: int) -> Array:
        return self.device.xp.zeros((rows, -(-columns // LINE) * LINE), np.float32)[:, :columns]

    def to_device(self, array: Any) -> Array:
        return self.device.to_device(array) if isinstance(array, np.ndarray) else array

    def to_host(self, array: Any) -> npt.NDArray[Any]:
        return array if isinstance(array, np.ndarray) else self.device.to_host(array)

    def matmul(self, a: Array, b: Any, out: Array) -> Array:
        b = self.to_device(b)
        if b.dtype != a.dtype:
            return dense.matmul_double(self.device, a, b, out)
        if b.ndim == 2 and b.strides[1] != b.itemsize and b.strides[0] == b.itemsize:
            self.device.gemm(a, b.T, out, transpose_b=True)
        else:
            self.device.gemm(a, b, out)
        return out

    def scaled_top_items(self, *_: Any, **__: Any) -> None:
        return None

    def cross_product(self, a: Array, b: Array, symmetric: bool = False) -> npt.NDArray[np.float64]:
        return self.to_host(dense.cross_product(self.device, a, b))

    activation_backward = _on_device(heads.activation_backward)
    add_up = _on_device(heads.add_up)
    sum_of_squares = _on_device(heads.sum_of_squares)

    # --- operations ---------------------------------------------------------------------------------------------------

    nce_transform = _on_device(sparse.nce_transform)
    encode = _on_device(sparse.encode)
    drop_entries = _on_device(sparse.drop_entries)
    mse_head = _on_device(heads.mse_head)
    ns_head = _on_device(heads.ns_head)
    optimizer_step = _on_device(optim.optimizer_step)
    sample_negatives = _on_device(sampling.sample_negatives)
    top_items = _on_device(ranking.top_items)
    ranking_metrics = _on_device(ranking.ranking_metrics)

    def count_items(self, user_items: Any) -> npt.NDArray[np.int64]:
        return self.to_host(self._over_users(user_items, lambda part: sparse.count_items(self.device, part)))

    def encode_backward(
        self, user_items: DeviceCsr, grad: Array, out: Array | None = None, parameter: Parameter | None = None
    ) -> Array:
        return sparse.encode_backward(self.device, user_items, grad, out, parameter, self.halved)

    def gram_product(
        self, user_items: Any, block: Array, item_weights: Array | None = None, user_power: float = 0.0
    ) -> Array:
        def product(part: DeviceCsr) -> Array:
            target = part if item_weights is None else part.weighted(item_weights, user_power)
            return sparse.gram_product(self.device, target, block, self.halved)

        return self._over_users(user_items, product)

    def _over_users(self, user_items: Any, work: Callable[[DeviceCsr], Any]) -> Any:
        """Return the sum of what an operation returns for parts of the users, where not all are on the device."""
        if isinstance(user_items, DeviceCsr):
            return work(user_items)
        total = None
        for part in user_items.blocks():
            result = work(part)
            total = result if total is None else total + result
        return total
