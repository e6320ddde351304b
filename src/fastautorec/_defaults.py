"""Defaults that adapt to small data: where a number does not fit, one that was given is refused, a default shrinks."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from fastautorec._sparse import Csr


class Default(int):
    """The number that a parameter has where the user gives none.

    It is a plain integer in every respect, printed, compared, copied and stored as one; only its kind tells that
    nobody asked for it. ``NCEAutoRec(factors=300)`` asks, ``NCEAutoRec()`` does not.
    """


def adapted(value: int, most: int) -> int:
    """Return ``value``, or ``most`` where a default is larger than that."""
    return min(int(value), most) if isinstance(value, Default) else value


def fitting(values: Iterable[int], most: int) -> tuple[int, ...]:
    """Return ascending values without the defaults that are larger than ``most``, but for ``most`` if none is left."""
    kept = tuple(int(value) for value in values if value <= most or not isinstance(value, Default))
    return kept or (most,)


def singular_vectors(matrix: Csr) -> int:
    """Return how many singular vectors a matrix can have: users without interactions add none."""
    return min(int(np.count_nonzero(matrix.row_lengths())), matrix.n_cols)
