"""The leading eigenvectors of a symmetric positive semidefinite matrix that is only ever multiplied with blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import linalg

from fastautorec._compute.blas import single_threaded_blas
from fastautorec._compute.host import interruptible
from fastautorec._compute.protocol import Backend, FloatArray

Float64Array = npt.NDArray[np.float64]

OVERSAMPLING = 16
PASSES = 4  # number of passes over the data; a fifth changed validation NDCG by 0.4 % at most on the three tuning sets
ROUNDING = float(np.finfo(np.float32).eps)
DRIVERS = ("ev", "evd")  # of eigh: the faster one is refused by SciPy 1.10 to 1.12 for a single number
FEW_ROWS = 64  # above it, square matrices of signs are never singular in practice
PANEL = 256  # columns of a product with a triangle
SIGNS_OF_BYTE = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.float32) * 2 - 1


def low_rank_root(
    backend: Backend,
    multiply: Callable[[FloatArray], FloatArray],
    size: int,
    width: int,
    rng: np.random.Generator,
    passes: int,
    step: Callable[[str], None],
) -> FloatArray:
    """Return B (size, width) with B Bᵀ ≈ A, where ``multiply`` gives A times a block of columns.

    Between two passes the block has to stay well conditioned, not orthogonal. The Nyström formula A ≈ Y (QᵀY)⁻¹ Yᵀ
    after the last one is worth one pass more than Rayleigh-Ritz and holds for any basis Q.
    """
    block = backend.to_device(_start(rng, size, width))
    for i in range(1, passes):
        step(f"embedding {i}/{passes}")
        block = multiply(block)  # in a line of its own: the one before is gone when the next is made
        block = _well_conditioned(backend, block)
    step(f"embedding {passes}/{passes}")
    product = multiply(block)
    projected = backend.cross_product(block, product, symmetric=True)
    del block
    with single_threaded_blas:
        transform = _whiten((projected + projected.T) / 2, ROUNDING * 10)
    return _times_triangle(backend, product, transform.astype(np.float32))


def leading_eigenvectors(backend: Backend, root: FloatArray, rank: int) -> tuple[FloatArray, Float64Array]:
    """Return V (size, rank) and the eigenvalues (rank,) of B Bᵀ, descending."""
    symmetric = backend.cross_product(root, root).astype(np.float32)  # as the products that lead here: half the time
    with single_threaded_blas:
        driver = DRIVERS[len(symmetric) > 1]
        eigenvalues, rotation = interruptible(linalg.eigh, symmetric, driver=driver, overwrite_a=True)
        leading = np.argsort(-eigenvalues, kind="stable")[:rank]
        eigenvalues = np.maximum(eigenvalues[leading], 0).astype(np.float64)
        scale = np.divide(1, np.sqrt(eigenvalues), out=np.zeros(rank), where=eigenvalues > eigenvalues[0] * 1e-12)
    transform = (rotation[:, leading] * scale).astype(np.float32)
    return backend.matmul(root, transform, backend.empty(len(root), rank)), eigenvalues


def _start(rng: np.random.Generator, rows: int, columns: int) -> FloatArray:
    """Return a (rows, columns) matrix of random signs, as good a start as Gaussian numbers and cheaper to draw.

    As many columns as rows span everything. Of a few signs one column may be a combination of others: these are
    drawn again.
    """
    if rows == columns:
        return np.eye(rows, dtype=np.float32)
    while True:
        given = np.frombuffer(rng.bytes(-(-rows * columns // 8)), np.uint8)
        signs: FloatArray = SIGNS_OF_BYTE.take(given, axis=0).ravel()[: rows * columns].reshape(rows, columns)
        if rows > FEW_ROWS or np.linalg.matrix_rank(signs) == columns:
            return signs


def _well_conditioned(backend: Backend, block: FloatArray) -> FloatArray:
    """Return a block with the same span and well conditioned columns (Cholesky QR, shifted).

    The columns of a power iteration are nearly parallel. The shift is what single precision cannot tell from nothing:
    directions below it stay short, but are not lost.
    """
    inner = backend.cross_product(block, block)
    norms = np.sqrt(np.diag(inner))
    scale = np.divide(1, norms, out=np.zeros_like(norms), where=norms > 0)
    inner *= scale[:, None] * scale
    inner[np.diag_indices_from(inner)] += len(inner) * ROUNDING
    with single_threaded_blas:
        transform = _whiten(inner, len(inner) * ROUNDING**2, (np.float32, np.float64))
    return _times_triangle(backend, block, (scale[:, None] * transform).astype(np.float32))


def _times_triangle(backend: Backend, block: FloatArray, transform: FloatArray) -> FloatArray:
    """Return ``block @ transform``; where all below the diagonal is 0, little more than the half that is not."""
    if np.tril(transform, -1).any():
        return backend.matmul(block, transform, np.empty_like(block))
    out, width = np.empty_like(block), len(transform)
    for start in range(0, width, PANEL):
        stop = min(start + PANEL, width)
        backend.matmul(block[:, :stop], np.ascontiguousarray(transform[:stop, start:stop]), out[:, start:stop])
    return out


def _whiten(matrix: Float64Array, noise: float, precisions: Sequence[type] = (np.float64,)) -> npt.NDArray[Any]:
    """Return T with Tᵀ matrix T = I in the first precision that has one.

    If none has one, the matrix is rank deficient: then the eigenvectors tell which directions are left, and columns for
    those below the relative ``noise`` are zero.
    """
    for precision in precisions:
        try:
            factor = linalg.cholesky(matrix.astype(precision, copy=False))
        except linalg.LinAlgError:
            continue
        pivots = np.diag(factor) ** 2
        if pivots.min() > noise * pivots.max():
            (invert,) = linalg.get_lapack_funcs(("trtri",), (factor,))
            return np.asarray(invert(factor)[0])
    values, vectors = interruptible(linalg.eigh, matrix, driver=DRIVERS[len(matrix) > 1])
    kept = values > noise * values[-1]
    return np.asarray(vectors * np.divide(1, np.sqrt(np.abs(values)), out=np.zeros_like(values), where=kept))
