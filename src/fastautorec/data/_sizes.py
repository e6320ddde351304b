"""Bytes that an object takes with its arrays, for caches and schedulers that ask ``sys.getsizeof``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from fastautorec._compute.csr import Csr
from fastautorec.data import _texts as texts


def size_of(values: Iterable[Any]) -> int:
    """Return the bytes of the arrays and matrices among the values; memory that several of them share counts once."""
    found: dict[tuple[int, int], int] = {}
    for array in _arrays(values):
        strides = [abs(step) for step, length in zip(array.strides, array.shape, strict=True) if length > 1]
        real = texts.memory(array) if 0 not in strides else array.itemsize  # one number may stand for all
        found[array.__array_interface__["data"][0], real] = real
    return sum(found.values())


def _arrays(values: Iterable[Any]) -> Iterable[npt.NDArray[Any]]:
    for value in values:
        if isinstance(value, np.ndarray):
            yield value
        elif isinstance(value, Csr) or sparse.issparse(value):
            yield from _arrays([value.indptr, value.indices, value.data] if hasattr(value, "indptr") else [])
        elif isinstance(value, (list, tuple)):
            yield from _arrays(value)
        elif isinstance(value, dict):
            yield from _arrays(value.values())
