"""The pass over the weights that ends every gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from fastautorec._compute.cuda.device import Array, Device, ceil_div, row_stride
from fastautorec._compute.cuda.matrix import THREADS, DeviceCsr, Pattern
from fastautorec._compute.parameter import RULES, Parameter

WARPS = 8  # of a block
TILE = 128  # columns of a block
MAX_BLOCKS = 4096  # of kernels with a partial sum for each block: the same on every GPU, for the sake of the bits


def optimizer_step(device: Device, parameter: Parameter, grad: Array) -> None:
    """Change ``parameter`` by its rule for the gradient ``grad`` of its shape."""
    step_lists(device, parameter, (), None, 1.0, base=grad)


def step_rows(
    device: Device,
    x: DeviceCsr,
    hidden: Array,
    parameter: Parameter,
    scale: float = 1.0,
    base: Array | None = None,
    losses: Array | None = None,
) -> None:
    """Change ``parameter`` by its rule for the gradient ``scale`` · X^T H, or ``scale`` · (``base`` − X^T H).

    Parameters
    ----------
    device : Device
    x : DeviceCsr (q, n)
    hidden : float32 (q, k)
        H.
    parameter : Parameter (n, k)
    scale : float
    base : float32 (n, k), optional
    losses : float64 (step_blocks(parameter),), optional
        Gets parts of ‖X‖² + ⟨W, base − 2 X^T H⟩, for the weights W before the change.
    """
    step_lists(device, parameter, ((x.pattern, x.data),), hidden, scale, base, losses)


def step_blocks(parameter: Parameter) -> int:
    """Return how many blocks pass over the weights."""
    n, k = parameter.value.shape
    return min(ceil_div(n, WARPS) * ceil_div(k, TILE), MAX_BLOCKS)


def step_lists(
    device: Device,
    parameter: Parameter,
    lists: Sequence[tuple[Pattern, Array | None]],
    hidden: Array | None,
    scale: float,
    base: Array | None = None,
    losses: Array | None = None,
) -> None:
    """Do what `step_rows` does for a sum of up to two matrices, each a pattern with values, None for ones."""
    p = parameter
    p.step += 1
    n, k = p.value.shape
    entries: list[Array | None] = []
    for pattern, values in lists:
        index = pattern.by_item
        entries += [index.begin, index.rows, index.places, values]
    entries += [None] * (8 - len(entries))
    strides = [0 if rows is None else row_stride(rows) for rows in (p.value, p.first, p.second, base, hidden)]
    device.launch(
        *("optim_ops.cu", "step_rows_kernel", step_blocks(p), THREADS),
        *(p.value, p.first, p.second, losses, base, hidden, *entries, n, k, *strides, float(scale), *_change(p)),
    )


def _change(p: Parameter) -> tuple[np.int32 | int | float, ...]:
    """Return what a step does: the rule, the column of biases or -1, and constants that become float32 at the end."""
    sgd, adamw = p.rule == "sgd", p.rule == "adamw"
    constants = (
        p.learning_rate if sgd else p.learning_rate / (1 - p.beta1**p.step),
        *(0 if adamw else p.decay, 1 - p.learning_rate * p.decay if adamw else 1),
        *(0 if adamw else p.last_decay, 1 - p.learning_rate * p.last_decay if adamw else 1),
        *(0 if sgd and p.step == 1 else p.beta1, 1 - p.beta1),
        *(p.beta2, 1 - p.beta2),
        *(1 / math.sqrt(1 - p.beta2**p.step), p.epsilon),
    )
    bias = p.value.shape[1] - 1 if p.bias_column else -1
    return (np.int32(RULES.index(p.rule)), bias, *map(float, constants))
