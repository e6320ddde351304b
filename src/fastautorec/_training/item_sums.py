"""The sums of a ridge head on linear units by way of the items: XᵀXW and TᵀXW in the place of hidden units."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastautorec._compute.csr import Csr
from fastautorec._compute.protocol import Backend, FloatArray
from fastautorec._training.losses import SquaredError

SPARSE_COST = 13  # operations of a dense product in the time of one of a sparse product, for 17,330 × 5,460 entries

Sums = tuple[npt.NDArray[np.float64], FloatArray, npt.NDArray[np.float64]]


def items_are_cheaper(m: int, n: int, nnz: int, units: int) -> bool:
    """Return whether HᵀH = Wᵀ(XᵀXW), one more sparse product, takes less time than HᵀH from the rows of H."""
    return (m - n) * units > 4 * SPARSE_COST * nnz


def sums_by_items(
    backend: Backend,
    user_items: Csr,
    weight: FloatArray,
    input_power: float,
    intercept_power: float | None,
    target: SquaredError,
    tile: int,
) -> Sums:
    """Return H₁ᵀH₁, TᵀH₁ and Σ x² of each item, for H₁ = [XW, g].

    Parameters
    ----------
    backend : Backend
    user_items : Csr (m, n)
        Binary.
    weight : float32 (n, k)
    input_power : float
        x_i = r_i ‖r_i‖₁^(−power).
    intercept_power : float or None
        g_i = ‖r_i‖₁^(−power); None where there is no such column.
    target : SquaredError
    tile : int
        Users at a time in what is made for the last column.
    """
    (n, k), column = weight.shape, intercept_power is not None
    ones = backend.to_device(np.ones(n, np.float32))
    gram, cross = np.zeros((k + column, k + column)), backend.empty(n, k + column)
    product = backend.gram_product(user_items, weight, ones, input_power)
    inner = backend.cross_product(weight, product, symmetric=True)
    gram[:k, :k] = (inner + inner.T) / 2
    del product
    target_power = 0.0 if target.item_weights is None else target.user_weight
    cross[:, :k] = backend.gram_product(user_items, weight, ones, (input_power + target_power) / 2)
    squares, border = np.zeros(n), np.zeros((n, 2))
    for start in range(0, user_items.shape[0], tile):
        rows = user_items.rows(start, min(start + tile, user_items.shape[0]))
        inputs = rows.weighted(None, input_power) if input_power else rows
        squares += inputs.column_squares()
        if intercept_power is not None:
            last = backend.empty(rows.shape[0], 1)
            rows.length_powers(intercept_power, last[:, 0])
            gram[k, k] += backend.sum_of_squares(last)
            border[:, :1] += backend.to_host(backend.encode_backward(inputs, last))
            rows.length_powers(intercept_power + target_power, last[:, 0])
            border[:, 1:] += backend.to_host(backend.encode_backward(rows, last))
    if column:
        cross[:, k] = backend.to_device(border[:, 1].astype(np.float32))
        own = backend.to_device(np.ascontiguousarray(border[:, :1], np.float32))
        gram[k, :k] = gram[:k, k] = backend.cross_product(weight, own)[:, 0]
    if target.item_weights is not None:
        cross *= target.item_weights[:, None]
    return gram, cross, squares
