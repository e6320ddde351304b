"""The C++ core on NumPy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import cython_blas

from fastautorec import _core
from fastautorec._checks import metric_names
from fastautorec._compute.blas import single_threaded_blas
from fastautorec._compute.csr import Csr
from fastautorec._compute.host import HostArrays, matmul
from fastautorec._compute.parameter import Parameter
from fastautorec._compute.protocol import ACTIVATIONS, OUTPUTS, PLANS, FloatArray, IdArray
from fastautorec._compute.sampling import Sampler

FEW_ROWS = 8  # of a product: for so few, BLAS takes longer to rearrange the other matrix than to multiply

_core.use_blas(cython_blas.__pyx_capi__["sgemm"], cython_blas.__pyx_capi__["ssyrk"])


class CpuBackend(HostArrays):
    """Thread pool and SIMD kernels; the same bits for any number of threads."""

    name = "cpu"
    scans_codes = True

    def __init__(self, num_threads: int = 1) -> None:
        self.num_threads = num_threads

    @property
    def host(self) -> CpuBackend:
        return self

    def with_threads(self, num_threads: int) -> CpuBackend:
        return CpuBackend(num_threads)

    def matmul(self, a: FloatArray, b: npt.NDArray[Any], out: FloatArray) -> FloatArray:
        if b.dtype != a.dtype:
            return super().matmul(a, b, out)
        if len(a) > FEW_ROWS or b.strides[0] != b.itemsize:
            return matmul(a, b, out, self.num_threads)
        _core.multiply_few_rows(a, b.T, out, self.num_threads)
        return out

    def count_items(self, user_items: Csr) -> npt.NDArray[np.int64]:
        counts = np.empty(user_items.n_cols, np.int64)
        own = user_items.unread()
        user_items.was_read(_core.count_items(own, counts, self.num_threads))
        return counts

    def nce_transform(self, user_items: Csr, beta: float, numerator: str) -> Csr:
        own = user_items.rebased()
        values = np.empty(own.nnz, np.float32)
        _core.nce_transform(own, beta, numerator == "interactions", values, self.num_threads)
        return own.with_data(values)

    def encode(
        self,
        user_items: Csr,
        weight: FloatArray,
        bias: FloatArray | None = None,
        activation: str = "identity",
        out: FloatArray | None = None,
    ) -> FloatArray:
        if out is None:
            out = np.empty((user_items.shape[0], weight.shape[1]), np.float32)
        _core.encode(user_items, weight, bias, ACTIVATIONS.index(activation), out, self.num_threads)
        return out

    def encode_backward(
        self,
        user_items: Csr,
        grad: FloatArray,
        out: FloatArray | None = None,
        parameter: Parameter | None = None,
    ) -> FloatArray:
        if parameter is not None:
            parameter.step += 1
            _core.encode_backward_step(user_items, grad, parameter, self.num_threads)
            return parameter.value
        accumulate = out is not None
        if out is None:
            out = np.empty((user_items.n_cols, grad.shape[1]), np.float32)
        _core.encode_backward(user_items, grad, out, accumulate, self.num_threads)
        return out

    def gram_product(
        self, user_items: Csr, block: FloatArray, item_weights: FloatArray | None = None, user_power: float = 0.0
    ) -> FloatArray:
        out, user_weights = np.empty_like(block), None
        if item_weights is not None:
            user_items = user_items.with_data(None)
            if user_power:
                user_weights = np.empty(user_items.shape[0], np.float32)
                user_items.length_powers(2 * user_power, user_weights)
        _core.gram_product(user_items, item_weights, user_weights, block, out, self.num_threads)
        return out

    def drop_entries(self, user_items: Csr, rate: float, seed: int, epoch: int) -> Csr:
        own = user_items.rebased()
        values = np.empty(own.nnz, np.float32)
        _core.drop_entries(own, rate, seed, epoch, values, self.num_threads)
        return own.with_data(values)

    def mse_head(
        self,
        hidden: FloatArray,
        decoder: Parameter,
        target: Csr,
        scale: float = 1.0,
        grad_hidden: FloatArray | None = None,
        plan: str = "auto",
    ) -> float:
        decoder.step += 1
        code = PLANS.index(plan)
        with single_threaded_blas:
            return _core.mse_head(hidden, decoder, target, scale, grad_hidden, code, self.num_threads)

    def ns_head(
        self,
        hidden: FloatArray,
        decoder: Parameter,
        positives: Csr,
        negatives: Csr,
        counts: IdArray,
        out: str = "sigmoid",
        scale: float = 1.0,
        grad_hidden: FloatArray | None = None,
        plan: str = "auto",
    ) -> float:
        decoder.step += 1
        options = OUTPUTS.index(out), scale, grad_hidden, PLANS.index(plan), self.num_threads
        with single_threaded_blas:
            return _core.ns_head(hidden, decoder, positives, negatives, counts, *options)

    def optimizer_step(self, parameter: Parameter, grad: FloatArray) -> None:
        parameter.step += 1
        _core.optimizer_step(parameter, grad, self.num_threads)

    def sample_negatives(
        self, sampler: Sampler, users: npt.NDArray[np.int64], exclude: Csr | None, seed: int, epoch: int
    ) -> tuple[Csr, IdArray]:
        indptr = np.empty(len(users) + 1, np.int64)
        size = len(users) * sampler.longest_row  # memory that nothing is written to stays with the system
        ids, counts = np.empty(size, np.int32), np.empty(size, np.int32)
        _core.sample_negatives(sampler, users, exclude, seed, epoch, indptr, ids, counts, self.num_threads)
        return Csr(indptr, ids[: indptr[-1]], None, sampler.n_items, users=users), counts[: indptr[-1]]

    def top_items(
        self,
        scores: FloatArray,
        n_top: int,
        exclude: Csr | None = None,
        first_item: int = 0,
        best: tuple[IdArray, FloatArray] | None = None,
    ) -> tuple[IdArray, FloatArray]:
        if best is None:
            best = np.full((len(scores), n_top), -1, np.int32), np.empty((len(scores), n_top), np.float32)
        ids, top = best
        _core.top_items(scores, exclude, first_item, ids, top, self.num_threads)
        return ids, top

    def scaled_top_items(
        self,
        scores: FloatArray,
        factors: FloatArray,
        n_top: int,
        exclude: Csr | None,
        first_item: int,
        best: tuple[IdArray, FloatArray] | None,
    ) -> tuple[IdArray, FloatArray]:
        if best is None:
            shape = (len(factors) * len(scores), n_top)
            best = np.full(shape, -1, np.int32), np.full(shape, np.nan, np.float32)
        ids, top = best
        _core.scaled_top_items(scores, factors, exclude, first_item, ids, top, self.num_threads)
        return ids, top

    def find_ranks(
        self, item_ids: IdArray, test: Csr, lengths: IdArray, starts: npt.NDArray[np.int64], out: IdArray
    ) -> None:
        _core.find_ranks(item_ids, test, lengths, starts, out, self.num_threads)

    def ranking_metrics(
        self, item_ids: IdArray, test: Csr, cutoffs: tuple[int, ...], definition: str
    ) -> npt.NDArray[np.float64]:
        table = np.empty((len(item_ids), len(metric_names(cutoffs, definition))))
        k = np.asarray(cutoffs, np.int64)
        _core.ranking_metrics(item_ids, test, k, definition == "paper", table, self.num_threads)
        return table


def simd_level() -> str:
    """Return the vector instructions in use."""
    return _core.simd_level()
