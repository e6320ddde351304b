"""How long a model of one phase is trained."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np

from fastautorec._checks import check_int


def check_single_phase(epochs: Any) -> int:
    """Return ``epochs`` as an int >= 1; also a sequence of one, as ``best_epochs_`` is."""
    if isinstance(epochs, Integral):
        return check_int("epochs", epochs, 1)
    if not isinstance(epochs, (list, tuple, np.ndarray)):
        raise TypeError(f"`epochs` must be an integer, got {type(epochs).__name__}")
    if len(epochs) != 1:
        raise ValueError(f"`epochs` must be one number, got {len(epochs)}")
    return check_int("epochs", epochs[0], 1)
