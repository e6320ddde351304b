"""A weight matrix with the state of its optimiser: what operations that end in a gradient work on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastautorec._compute.protocol import FloatArray

RULES = ("gradient", "sgd", "adam", "adamw")


@dataclass
class Parameter:
    """Weights, and the rule by which an operation changes them once it knows their gradient g.

    The gradient never needs to exist as a matrix: operations make it in pieces and each piece is used up at once.

    Attributes
    ----------
    value : float32 (n, k) or (n, k + 1)
        The weights, changed in place.
    rule : {"gradient", "sgd", "adam", "adamw"}
        "gradient" changes nothing and stores g in ``first``. The others are those of `torch.optim`.
    first, second : float32 of the shape of ``value``, or None
        Moments: "sgd" keeps its momentum in ``first`` if ``beta1`` > 0, the Adams keep both.
    learning_rate : float
    decay, last_decay : float
        λ' of the penalty λ'/2 ‖w‖² of all columns and, where ``bias_column``, of the last one: g + λ'w takes the place
        of g; "adamw" multiplies w by 1 − learning_rate · λ' instead.
    bias_column : bool
        Whether the last column holds biases.
    step : int
        Number of changes so far.
    beta1, beta2, epsilon : float
        Of Adam; ``beta1`` is the momentum of "sgd".
    """

    value: FloatArray
    rule: str = "adam"
    first: FloatArray | None = None
    second: FloatArray | None = None
    learning_rate: float = 1e-3
    decay: float = 0.0
    last_decay: float = 0.0
    bias_column: bool = False
    step: int = 0
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        if self.first is None and (self.rule != "sgd" or self.beta1 > 0):
            self.first = _zeros_like(self.value)
        if self.second is None and self.rule in ("adam", "adamw"):
            self.second = _zeros_like(self.value)

    @classmethod
    def gradient_of(cls, value: FloatArray) -> Parameter:
        """Return a parameter that keeps its value; its gradient will be in ``first``."""
        return cls(value, "gradient")

    def moments(self) -> dict[str, FloatArray]:
        """Return the moments that the rule keeps, by name."""
        kept = {"first": self.first, "second": self.second}
        return {name: moment for name, moment in kept.items() if moment is not None}


def _zeros_like(matrix: FloatArray) -> FloatArray:
    """Return zeros with the row stride of a matrix, so that they are aligned where it is."""
    rows, columns = matrix.shape
    stride = matrix.strides[0] // matrix.itemsize if rows > 1 else columns
    return np.zeros_like(matrix, shape=(rows, max(stride, columns)))[:, :columns]
