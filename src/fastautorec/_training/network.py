"""The weights of an autoencoder in training: one encoder and the heads that share it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastautorec._compute.protocol import Backend, FloatArray


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

    def copy(self, backend: Backend) -> Network:
        """Return a network of its own, whose rows start at cache lines."""
        copies = {}
        for name, array in self.arrays().items():
            copies[name] = backend.zeros(*array.shape)
            copies[name][...] = array
        return Network(copies.pop("encoder"), copies.pop("bias"), copies)


def random_network(backend: Backend, n: int, k: int, heads: tuple[str, ...], intercept: bool, seed: int) -> Network:
    """Return weights drawn by NumPy, uniform with the limits of Glorot and Bengio (2010); biases are 0."""
    limit = np.sqrt(6 / (n + k))

    def draw(number: int, columns: int) -> FloatArray:
        rng = np.random.default_rng([seed, number])
        weights = backend.zeros(n, columns)
        weights[:, :k] = backend.to_device(rng.uniform(-limit, limit, (n, k)).astype(np.float32))
        return weights

    width = k + intercept
    return Network(
        draw(0, k), backend.zeros(1, k), {name: draw(number, width) for number, name in enumerate(heads, start=1)}
    )
