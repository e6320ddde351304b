"""A stand-in for the module ``cupy``: its functions of these names, on emulated arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cuda_emulation.arrays import EmulatedArray

if TYPE_CHECKING:
    from cuda_emulation.device import EmulatedDevice

CONSTANTS = ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
CONSTANTS += ("bool_", "inf", "nan", "newaxis", "pi")
ON_HOST = ("dtype", "finfo", "iinfo", "isscalar", "result_type", "ndim", "shape", "size")  # answer without a GPU
WAITING = ("nonzero", "flatnonzero", "argwhere", "unique", "array_equal", "allclose")  # result known to the host
CREATING = ("zeros", "ones", "full", "arange", "eye", "linspace")
LIKE = ("zeros_like", "ones_like", "full_like")
PLAIN = (
    *("abs", "add", "subtract", "multiply", "divide", "true_divide", "floor_divide", "remainder", "mod", "power"),
    *("negative", "square", "sqrt", "exp", "expm1", "log", "log1p", "log2", "tanh", "sign", "floor", "ceil", "rint"),
    *("maximum", "minimum", "fmax", "fmin", "clip", "equal", "not_equal", "less", "less_equal", "greater"),
    *("greater_equal", "logical_and", "logical_or", "logical_not", "bitwise_and", "bitwise_or", "left_shift"),
    *("right_shift", "isfinite", "isnan", "isinf", "where", "sum", "prod", "mean", "var", "min", "max", "amin", "amax"),
    *(
        "any",
        "all",
        "argmin",
        "argmax",
        "cumsum",
        "diff",
        "count_nonzero",
        "bincount",
        "sort",
        "argsort",
        "argpartition",
    ),
    *("searchsorted", "take", "take_along_axis", "dot", "matmul", "vdot", "outer", "concatenate", "stack", "vstack"),
    *("hstack", "tile", "broadcast_to", "reshape", "ravel", "transpose", "squeeze", "expand_dims", "copy", "copyto"),
    *("flip", "roll", "absolute"),
)
OWN = ("asarray", "array", "ascontiguousarray", "empty", "empty_like", "repeat", "asnumpy", "ndarray")
NAMES = (*CONSTANTS, *ON_HOST, *WAITING, *CREATING, *LIKE, *PLAIN, *OWN)


class Namespace:
    """The functions in ``NAMES``, bound to a device."""

    ndarray = EmulatedArray

    def __init__(self, device: EmulatedDevice) -> None:
        self._device = device

    def __getattr__(self, name: str) -> Any:
        if name not in NAMES:
            raise AttributeError(f"{name} is not among the functions of the emulation; if CuPy has it, add it there")
        if name in CONSTANTS:
            return getattr(np, name)
        function, device = getattr(np, name), self._device
        if name in ON_HOST:
            return lambda *args: function(*(a.dtype if isinstance(a, EmulatedArray) else a for a in args))

        def call(*args: Any, **kwargs: Any) -> Any:
            if name in WAITING or (name == "where" and len(args) == 1):
                device.synchronisations += 1
            if name in ("sort", "argsort"):
                kwargs.setdefault("kind", "stable")  # CuPy's always are
            return device.call(function, *args, **kwargs)

        return call

    def empty(self, shape: Any, dtype: Any = float) -> EmulatedArray:
        """Return an array of bytes 0xCB, so that what is read before it is written shows."""
        return EmulatedArray(self._device, self._device.poisoned(shape, dtype))

    def empty_like(self, array: EmulatedArray, dtype: Any = None) -> EmulatedArray:
        return self.empty(array.shape, array.dtype if dtype is None else dtype)

    def asarray(self, values: Any, dtype: Any = None) -> EmulatedArray:
        if isinstance(values, EmulatedArray):
            return values if dtype is None or values.dtype == dtype else values.astype(dtype)
        return self._device.to_device(np.asarray(values, dtype))

    def array(self, values: Any, dtype: Any = None) -> EmulatedArray:
        return self.asarray(values, dtype).copy()

    def ascontiguousarray(self, values: Any, dtype: Any = None) -> EmulatedArray:
        array = self.asarray(values, dtype)
        return array if array.flags.c_contiguous else array.copy()

    def repeat(self, array: EmulatedArray, repeats: Any, axis: int | None = None) -> EmulatedArray:
        return array.repeat(repeats, axis)

    def asnumpy(self, array: EmulatedArray) -> np.ndarray[Any, Any]:
        return array.get()
