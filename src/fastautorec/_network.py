"""The weights of an autoencoder in training: one encoder and the heads that share it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec._backends.protocol import FloatArray

LINE = 16  # floats of a cache line


@dataclass
class Network:
    """Encoder W (n, k), its bias b, and heads by name, each (n, k) or, with a column for biases, (n, k + 1).

    Attributes
    ----------
    encoder : float32 (n, k)
    bias : float32 (1, k)
    heads : dict of str to float32 (n, k) or (n, k + 1)
    """

    encoder: FloatArray
    bias: FloatArray
    heads: dict[str, FloatArray]

    def arrays(self) -> dict[str, FloatArray]:
        """Return all weights by name."""
        return {"encoder": self.encoder, "bias": self.bias, **self.heads}

    def assign(self, other: Network) -> None:
        """Take the values of a network of the same shape, in place."""
        for mine, theirs in zip(self.arrays().values(), other.arrays().values(), strict=True):
            mine[...] = theirs

    def copy(self) -> Network:
        """Return a network of its own."""
        encoder, bias, *heads = (aligned(array) for array in self.arrays().values())
        return Network(encoder, bias, dict(zip(self.heads, heads, strict=True)))


def random_network(n: int, k: int, heads: tuple[str, ...], intercept: bool, seed: int) -> Network:
    """Return weights drawn by NumPy, uniform with the limits of Glorot and Bengio (2010); biases are 0."""
    limit = np.sqrt(6 / (n + k))

    def draw(number: int, columns: int) -> FloatArray:
        rng = np.random.default_rng([seed, number])
        weights = aligned_zeros(n, columns)
        weights[:, :k] = rng.uniform(-limit, limit, (n, k))
        return weights

    width = k + intercept
    return Network(
        draw(0, k), aligned_zeros(1, k), {name: draw(number, width) for number, name in enumerate(heads, start=1)}
    )


def aligned_zeros(rows: int, columns: int) -> FloatArray:
    """Return a float32 matrix of zeros whose rows start at cache lines."""
    stride = -(-columns // LINE) * LINE
    flat = np.zeros(rows * stride + LINE, np.float32)
    start = -(flat.ctypes.data // flat.itemsize) % LINE
    return flat[start : start + rows * stride].reshape(rows, stride)[:, :columns]


def aligned(matrix: FloatArray) -> FloatArray:
    """Return a copy whose rows start at cache lines."""
    copy = aligned_zeros(*matrix.shape)
    copy[...] = matrix
    return copy


def activation_slope(hidden: FloatArray, activation: str) -> npt.NDArray[Any] | float:
    """Return act′ at the points whose activations are ``hidden``."""
    if activation == "relu":
        return hidden > 0
    if activation == "tanh":
        return 1 - hidden * hidden
    if activation == "sigmoid":
        return hidden * (1 - hidden)
    return 1.0
