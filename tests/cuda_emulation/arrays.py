"""Arrays as strict as CuPy's, on the CPU: nothing passes silently between them and NumPy's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from cuda_emulation.device import EmulatedDevice

REDUCTIONS = ("sum", "prod", "mean", "var", "std", "min", "max", "any", "all", "argmin", "argmax")
SAME_DEVICE = (
    "astype",
    "copy",
    "cumsum",
    "diagonal",
    "dot",
    "flatten",
    "ravel",
    "repeat",
    "reshape",
    "round",
    "squeeze",
)
SAME_DEVICE += ("swapaxes", "take", "transpose", "view", "argsort", "clip")
IN_PLACE = ("fill", "sort")


class EmulatedArray(np.lib.mixins.NDArrayOperatorsMixin):
    """A NumPy array that behaves like ``cupy.ndarray``.

    Views share memory, reductions return arrays of zero dimensions, a NumPy array is refused as an operand, index or
    value, and conversion to one must be asked for by ``get``. What makes the host wait for a GPU is counted in
    ``device.synchronisations``.
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, device: EmulatedDevice, values: Any) -> None:
        self.device, self._values = device, np.asarray(values)
        device.check_size(self._values)

    dtype = property(lambda self: self._values.dtype)
    shape = property(lambda self: self._values.shape)
    strides = property(lambda self: self._values.strides)
    ndim = property(lambda self: self._values.ndim)
    size = property(lambda self: self._values.size)
    itemsize = property(lambda self: self._values.itemsize)
    nbytes = property(lambda self: self._values.nbytes)
    flags = property(lambda self: self._values.flags)
    T = property(lambda self: EmulatedArray(self.device, self._values.T))

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {**self._values.__array_interface__, "version": 3}

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. "
            "Please use `.get()` to construct a NumPy array explicitly."
        )

    def get(self) -> np.ndarray[Any, Any]:
        """Return a NumPy copy; a GPU would be waited for."""
        self.device.synchronisations += 1
        return self._values.copy()

    def item(self) -> Any:
        return self.get().item()

    def tolist(self) -> Any:
        return self.get().tolist()

    def __bool__(self) -> bool:
        return bool(self.get())

    def __int__(self) -> int:
        return int(self.get())

    def __float__(self) -> float:
        return float(self.get())

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[EmulatedArray]:
        return (self[i] for i in range(len(self)))

    def repeat(self, repeats: Any, axis: int | None = None) -> EmulatedArray:
        if isinstance(repeats, EmulatedArray):
            raise ValueError("cupy.repeat takes no array of counts")
        return self.device.call(self._values.repeat, repeats, axis)

    def __repr__(self) -> str:
        return f"Emulated{self._values!r}"

    def __getitem__(self, index: Any) -> EmulatedArray:
        self._count_masks(index)
        parts = self.device.unwrap(index if isinstance(index, tuple) else (index,))
        if not any(part is Ellipsis for part in parts):
            parts = (*parts, Ellipsis)  # an element is a view, not a number
        return EmulatedArray(self.device, self._values[parts])

    def __setitem__(self, index: Any, value: Any) -> None:
        if not _is_scalar(value):
            self._count_masks(index)  # one value for all masked places needs no count of them
        self._values[self.device.unwrap(index)] = self.device.unwrap(value)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method not in ("__call__", "reduce", "accumulate") or kwargs.get("where", True) is not True:
            raise TypeError(f"{ufunc.__name__}.{method} of these arguments does not exist in CuPy")
        return self.device.call(getattr(ufunc, method), *inputs, **kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        same = getattr(self.device.xp, function.__name__, None)
        if same is None:
            raise TypeError(f"{function.__name__} is not among the functions of the emulation; see namespace.py")
        return same(*args, **kwargs)

    def _count_masks(self, index: Any) -> None:
        parts = index if isinstance(index, tuple) else (index,)
        if any(isinstance(part, EmulatedArray) and part.dtype == bool for part in parts):
            self.device.synchronisations += 1


def _is_scalar(value: Any) -> bool:
    return np.ndim(value._values if isinstance(value, EmulatedArray) else value) == 0


def _method(name: str) -> Any:
    def method(self: EmulatedArray, *args: Any, **kwargs: Any) -> Any:
        return self.device.call(getattr(self._values, name), *args, **kwargs)

    method.__name__ = name
    return method


for _name in (*REDUCTIONS, *SAME_DEVICE, *IN_PLACE):
    setattr(EmulatedArray, _name, _method(_name))
