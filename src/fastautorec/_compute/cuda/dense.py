"""Dense products in double precision, a run of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fastautorec._compute.cuda.device import Array, Device

CHUNK_BYTES = 128 << 20  # of rows in double precision


def matmul_double(device: Device, a: Array, b: Array, out: Array) -> Array:
    """Write ``a @ b`` to ``out``, float32 (n, l), for a float32 (n, k) and a float64 (k, l)."""
    for rows in _chunks(a):
        product = device.xp.empty((rows.stop - rows.start, b.shape[1]), np.float64)
        device.gemm(a[rows].astype(np.float64), b, product)
        out[rows] = product
    return out


def cross_product(device: Device, a: Array, b: Array) -> Array:
    """Return aᵀb, float64 (k, l), for two matrices with the same rows.

    In double precision throughout: the products of long thin matrices are few, and their rounding would add up.
    """
    total = device.xp.zeros((a.shape[1], b.shape[1]), np.float64)
    for rows in _chunks(a):
        left = a[rows].astype(np.float64, copy=False)
        right = left if b is a else b[rows].astype(np.float64, copy=False)
        device.gemm(left, right, total, beta=1.0, transpose_a=True)
    return total


def _chunks(matrix: Array) -> Iterator[slice]:
    size = max(CHUNK_BYTES // (8 * max(matrix.shape[1], 1)), 1)
    for start in range(0, len(matrix), size):
        yield slice(start, min(start + size, len(matrix)))
