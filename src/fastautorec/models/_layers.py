"""What an exported model computes with: the arrays of an encoder and a last layer, in host memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastautorec._compute.protocol import Backend, FloatArray
from fastautorec._training.closed_form import Encoder


@dataclass(frozen=True)
class Layers:
    """Scores H₁ L of histories, with H₁ of an encoder, or x L where there is none.

    Attributes
    ----------
    encoder : Encoder or None
    last : float32 (k + 1, n), (k, n) or, without an encoder, (n, n)
    chains : int
        Without an encoder, how many sums the model adds up by turns over the items of a history: 2 where it is the
        core's ``encode``, 1 where it is SciPy.
    """

    encoder: Encoder | None
    last: FloatArray
    chains: int = 2

    def on_host(self, backend: Backend) -> Layers:
        """Return the layers in host memory."""
        last = np.array(backend.to_host(self.last), np.float32, order="C")
        own = self.encoder
        if own is None:
            return Layers(None, last, self.chains)
        bias = None if own.bias is None else backend.to_host(own.bias)
        weight = np.ascontiguousarray(backend.to_host(own.weight))
        return Layers(Encoder(weight, bias, own.activation, own.normalize, own.intercept), last)
