"""Dense symmetric matrices: cross products of sparse ones, and inverses in place.

All of it has the same bits for any number of threads.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.linalg import LinAlgError, cython_blas, get_lapack_funcs

from fastautorec._compute.host import run_blocks

Floats = npt.NDArray[np.floating[Any]]

PANEL = 256  # rows that are eliminated together; of 128 to 384 the fastest for 3,500 and for 5,500 rows
PRODUCT_ROWS = 128  # of a product of sparse matrices in one piece of work
DOUBTFUL = 100.0  # variance inflation; below it float32 gave EASE right to 3e-5 and decoders to 1e-5, on three sets


def sparse_product(a: sparse.csr_matrix, b: sparse.csr_matrix, out: Floats, num_threads: int) -> Floats:
    """Write the product of two sparse matrices to a dense ``out``, in blocks of rows, and return it."""

    def product(start: int, stop: int) -> None:
        out[start:stop] = (a[start:stop] @ b).toarray()

    run_blocks(product, len(out), PRODUCT_ROWS, num_threads)
    return out


def invert_spd(matrix: Floats, num_threads: int) -> Floats:
    """Replace a symmetric positive definite matrix, of which only the lower triangle counts, by its inverse.

    Gauss-Jordan elimination by panels of rows (the sweep operator): n³ operations, as many as a Cholesky factor and the
    inverse from it take, nearly all of them in products that all threads share. It needs two panels (n, 256) beside
    the matrix.

    Parameters
    ----------
    matrix : float32 or float64 (n, n), C-ordered
    num_threads : int

    Returns
    -------
    ``matrix``, with both triangles of the inverse.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the matrix is not positive definite in its precision; it holds nothing of use then.

    References
    ----------
    Goodnight (1979), "A tutorial on the SWEEP operator".
    """
    n = len(matrix)
    blocks = [slice(start, min(start + PANEL, n)) for start in range(0, n, PANEL)]
    panel, ratio = np.empty((n, PANEL), matrix.dtype), np.empty((n, PANEL), matrix.dtype)
    for own in blocks:
        _sweep(matrix, own, blocks, panel[:, : own.stop - own.start], ratio[:, : own.stop - own.start], num_threads)

    def negate(start: int, _: int) -> None:
        rows = slice(start, start + PANEL)
        np.negative(matrix[rows, : rows.stop], out=matrix[rows, : rows.stop])

    def mirror(start: int, _: int) -> None:
        rows = slice(start, start + PANEL)
        matrix[rows, rows] = _both_triangles(matrix[rows, rows])
        matrix[rows, rows.stop :] = matrix[rows.stop :, rows].T

    run_blocks(negate, n, PANEL, num_threads)
    run_blocks(mirror, n, PANEL, num_threads)
    return matrix


def inverse_or_none(
    matrix: Floats, num_threads: int, doubtful: float = np.inf, invert: Callable[[Floats, int], Floats] = invert_spd
) -> Floats | None:
    """Return what ``invert`` puts in the place of a symmetric matrix, or None where its precision does not do.

    A_jj (A⁻¹)_jj says how much of a variable the others tell (its variance inflation factor), and so how many digits
    the inverse has lost, in whatever units the variables are; ``doubtful`` is the largest one allowed.
    """
    before = matrix.diagonal().copy()
    try:
        inverse = invert(matrix, num_threads)
    except LinAlgError:
        return None
    factor = (before * inverse.diagonal()).max()
    return inverse if factor <= doubtful and np.isfinite(factor) else None


def _sweep(matrix: Floats, own: slice, blocks: list[slice], panel: Floats, ratio: Floats, num_threads: int) -> None:
    """Eliminate some rows: A₁₁ becomes −A₁₁⁻¹, A₂₁ becomes A₂₁A₁₁⁻¹ and A₂₂ becomes A₂₂ − A₂₁A₁₁⁻¹A₁₂.

    Rows before them, eliminated already, are treated as those after them.
    """
    others = [rows for rows in reversed(blocks) if rows != own]  # the longest first, so that no thread waits long
    inverse = np.empty((0, 0), matrix.dtype)

    def gather(number: int, _: int) -> None:
        nonlocal inverse
        if number == 0:
            inverse = _small_inverse(matrix[own, own])
            return
        rows = others[number - 1]
        panel[rows] = matrix[own, rows].T if rows.start < own.start else matrix[rows, own]

    def eliminate(number: int, _: int) -> None:
        rows = others[number]
        multiply(panel[rows], inverse, ratio[rows])
        for start, stop in ((0, min(own.start, rows.stop)), (own.stop, rows.stop)):
            if start < stop:
                subtract_product(ratio[rows], panel[start:stop], matrix[rows, start:stop])
        if rows.start < own.start:
            matrix[own, rows] = ratio[rows].T
        else:
            matrix[rows, own] = ratio[rows]

    run_blocks(gather, len(blocks), 1, num_threads)
    run_blocks(eliminate, len(others), 1, num_threads)
    matrix[own, own] = -inverse


def _small_inverse(block: Floats) -> Floats:
    """Return both triangles of the inverse of a small matrix, of which only the lower triangle counts."""
    factorise, invert = get_lapack_funcs(("potrf", "potri"), (block,))
    # By upper triangles: SPOTRI of a lower one ends the process on processors without AVX, in OpenBLAS up to 0.3.30.
    factor, wrong = factorise(block.T, lower=0)
    if wrong or not np.isfinite(np.diag(factor)).all():
        raise LinAlgError("the matrix is not positive definite")
    return np.ascontiguousarray(_both_triangles(invert(factor, lower=0, overwrite_c=1)[0].T))


def _both_triangles(matrix: Floats) -> Floats:
    """Return the symmetric matrix with the lower triangle of this one."""
    lower = np.tril(matrix)
    both: Floats = lower + np.tril(lower, -1).T
    return both


# --- products with tiles of a larger matrix ---------------------------------------------------------------------------


def multiply(a: Floats, b: Floats, out: Floats) -> None:
    """Write a b to ``out``, on the calling thread; all of one type, with contiguous rows."""
    _gemm(a, b, b"N", out, 1, 0)


def subtract_product(a: Floats, b: Floats, out: Floats) -> None:
    """Subtract a bᵀ from ``out``, on the calling thread; all of one type, with contiguous rows."""
    _gemm(a, b, b"T", out, -1, 1)


def _gemm(a: Floats, b: Floats, transposed: bytes, out: Floats, alpha: float, beta: float) -> None:
    """Write alpha a op(b) + beta out to ``out``: NumPy cannot add to an array, nor SciPy's wrapper to a part of one."""
    real = ctypes.c_float if out.dtype == np.float32 else ctypes.c_double
    rows, columns, inner = out.shape[0], out.shape[1], a.shape[1]
    sizes = [ctypes.byref(ctypes.c_int(size)) for size in (columns, rows, inner)]
    b_, a_, out_ = (
        (ctypes.c_void_p(x.ctypes.data), ctypes.byref(ctypes.c_int(x.strides[0] // x.itemsize))) for x in (b, a, out)
    )
    scale, keep = ctypes.byref(real(alpha)), ctypes.byref(real(beta))
    # Its matrices are stored by columns, so it is asked for outᵀ = op(b)ᵀ aᵀ.
    _GEMM[out.dtype](transposed, b"N", *sizes, scale, *b_, *a_, keep, *out_)


def _function(name: str) -> Any:
    capsule = cython_blas.__pyx_capi__[name]
    signature = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(("PyCapsule_GetName", ctypes.pythonapi))
    address = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
        ("PyCapsule_GetPointer", ctypes.pythonapi)
    )
    argument = (ctypes.c_char_p, ctypes.c_char_p, *[ctypes.c_void_p] * 11)
    return ctypes.CFUNCTYPE(None, *argument)(address(capsule, signature(capsule)))


_GEMM = {np.dtype(np.float32): _function("sgemm"), np.dtype(np.float64): _function("dgemm")}
