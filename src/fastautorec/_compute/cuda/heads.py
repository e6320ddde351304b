"""The losses of both heads, and what lies between them and the encoder on the way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fastautorec._compute.cuda.device import WARP, Array, Device, ceil_div, row_stride
from fastautorec._compute.cuda.matrix import THREADS, DeviceCsr
from fastautorec._compute.cuda.optim import MAX_BLOCKS, WARPS, step_blocks, step_lists, step_rows
from fastautorec._compute.cuda.sparse import add_residual
from fastautorec._compute.parameter import Parameter
from fastautorec._compute.protocol import ACTIVATIONS, OUTPUTS

CHUNK = 128  # rows whose column sums one block makes
LINE = 16  # floats of half a cache line, to which rows of scratch are rounded up: kernels then load four at a time


@dataclass(frozen=True, eq=False)
class DeviceLoss:
    """A loss that the host does not know yet.

    Attributes
    ----------
    device : Device
    partials : float64 (any,), on the device
        Their sum is the loss.
    """

    device: Device
    partials: Array

    def __float__(self) -> float:
        """Return the loss; waits for the device."""
        return float(self.device.to_host(self.partials.sum()))


def add_up(device: Device, losses: Sequence[DeviceLoss]) -> float:
    """Return the sum of losses; waits for the device once."""
    if not losses:
        return 0.0
    return float(DeviceLoss(device, device.xp.concatenate([loss.partials for loss in losses])))


def mse_head(
    device: Device,
    hidden: Array,
    decoder: Parameter,
    target: DeviceCsr,
    scale: float = 1.0,
    grad_hidden: Array | None = None,
    plan: str = "auto",
) -> DeviceLoss:
    """Return Σ_i ‖t_i − D h_i‖² over all items, and step ``decoder`` and add to ``grad_hidden`` by its gradients.

    Every ``plan`` is the same here: G = D^T D and S = H^T H stand in for the scores, ‖T − H D^T‖² being
    ‖T‖² + ⟨D, D S − 2 T^T H⟩, with gradients 2 (H G − T D) and 2 (D S − T^T H).
    """
    (q, k), n, value = hidden.shape, target.n_cols, decoder.value
    if grad_hidden is not None:
        item_gram, product = _scratch(device, k, k), _scratch(device, q, k)
        device.gemm(value, value, item_gram, transpose_a=True)
        device.gemm(hidden, item_gram, product)
        add_residual(device, target, value, product, 2 * scale, grad_hidden)
    user_gram, base = _scratch(device, k, k), _scratch(device, n, k)
    device.gemm(hidden, hidden, user_gram, transpose_a=True)
    device.gemm(value, user_gram, base)
    partials = device.xp.empty(step_blocks(decoder), np.float64)
    step_rows(device, target, hidden, decoder, 2 * scale, base, partials)
    return DeviceLoss(device, partials)


def ns_head(
    device: Device,
    hidden: Array,
    decoder: Parameter,
    positives: DeviceCsr,
    negatives: DeviceCsr,
    counts: Array,
    out: str = "sigmoid",
    scale: float = 1.0,
    grad_hidden: Array | None = None,
    plan: str = "auto",
) -> DeviceLoss:
    """Return −Σ_i [r_i·o_i − (‖r_i‖₁/‖s_i‖₁) s_i·o_i], and step ``decoder`` and add to ``grad_hidden`` as `mse_head`.

    Every ``plan`` is the same here: only stored entries are visited.
    """
    xp, (q, k), value = device.xp, hidden.shape, decoder.value
    lists = positives.pattern, negatives.pattern
    slopes = [xp.empty(len(pattern.indices), np.float32) for pattern in lists]
    blocks = min(q, MAX_BLOCKS)
    partials = xp.empty(blocks, np.float64)
    sizes = q, k, 0 if grad_hidden is None else row_stride(grad_hidden), row_stride(hidden), row_stride(value)
    device.launch(
        *("ns_head.cu", "ns_entries_kernel", blocks, THREADS),
        *(grad_hidden, *slopes, partials, hidden, value),
        *(array for pattern in lists for array in (pattern.indptr, pattern.indices)),
        *(counts, *sizes, np.int32(OUTPUTS.index(out)), float(scale)),
    )
    step_lists(device, decoder, tuple(zip(lists, slopes, strict=True)), hidden, scale)
    return DeviceLoss(device, partials)


def activation_backward(device: Device, hidden: Array, grad: Array, activation: str) -> Array:
    """Multiply ``grad`` by act′ where the activations are ``hidden``, and return its column sums.

    Parameters
    ----------
    device : Device
    hidden : float32 (q, k)
    grad : float32 (q, k) or wider
        Its first k columns are changed in place.
    activation : str

    Returns
    -------
    float32 (1, k)
        The gradient of the bias.
    """
    xp, (q, k) = device.xp, hidden.shape
    chunks = max(ceil_div(q, CHUNK), 1)
    sums = xp.empty((chunks, k), np.float32)
    code = np.int32(ACTIVATIONS.index(activation))
    device.launch(
        *("activations.cu", "activation_backward_kernel", chunks * ceil_div(k, WARP), THREADS),
        *(grad, sums, hidden, q, k, row_stride(grad), row_stride(hidden), code),
    )
    if chunks == 1:
        return sums
    out = xp.empty((1, k), np.float32)
    device.launch("activations.cu", "add_rows_kernel", ceil_div(k, THREADS), THREADS, out, sums, chunks, k)
    return out


def sum_of_squares(device: Device, matrix: Array) -> float:
    """Return Σ x² in float64; waits for the device."""
    rows, k = matrix.shape
    blocks = min(ceil_div(rows, WARPS), MAX_BLOCKS)
    partials = device.xp.empty(blocks, np.float64)
    device.launch(
        "activations.cu", "sum_of_squares_kernel", blocks, THREADS, partials, matrix, rows, k, row_stride(matrix)
    )
    return float(DeviceLoss(device, partials))


def _scratch(device: Device, rows: int, columns: int) -> Array:
    """Return an uninitialised float32 matrix with aligned rows."""
    return device.xp.empty((rows, ceil_div(columns, LINE) * LINE), np.float32)[:, :columns]
