"""Where an array is, told without importing the library that made it."""

from __future__ import annotations

from typing import Any

CUDA_DEVICES = (2, 13)  # of DLPack: CUDA and CUDA managed memory


def is_on_device(given: Any) -> bool:
    """Return whether an array, or the arrays of a sparse matrix, are in the memory of a CUDA device."""
    values = _values(given)
    if hasattr(values, "__cuda_array_interface__"):
        return True
    where = getattr(values, "__dlpack_device__", None)
    return where is not None and where()[0] in CUDA_DEVICES


def device_number(given: Any) -> int:
    """Return the number of the device that holds an array for which `is_on_device` is true."""
    where = getattr(_values(given), "__dlpack_device__", None)
    return 0 if where is None else int(where()[1])


def _values(given: Any) -> Any:
    """Return the array, or the array of values of a sparse matrix."""
    matrix = getattr(given, "user_items", given)
    return getattr(matrix, "data", matrix) if hasattr(matrix, "tocsr") else matrix
