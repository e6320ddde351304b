"""Checks of what users pass in the memory of a device: the rules and messages of `fastautorec._validation`."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastautorec import _validation
from fastautorec._backends._cuda.device import Array, Device
from fastautorec._backends._cuda.matrix import DeviceCsr, Pattern
from fastautorec._backends._host import HostInputs
from fastautorec._backends._memory import is_on_device


class DeviceInputs(HostInputs):
    """Takes arrays and CSR matrices of the device without copying ids, values or dense arrays; others go by the host.

    Row pointers become int64 and are copied to the host once, so that later no size has to be waited for.
    """

    def __init__(self, device: Device) -> None:
        self.device = device

    def on_device(self, given: Any) -> bool:
        return is_on_device(given)

    def user_items(self, name: str, given: Any, n_items: int | None = None, *, fitting: bool = False) -> Any:
        if not is_on_device(given):
            return super().user_items(name, given, n_items, fitting=fitting)
        csr = self._canonical(name, given, n_items)
        wrong = (csr.data != 1) & (csr.data != 0)
        if bool(wrong.any()):
            _validation.refuse_values_that_are_not_binary(name, self._first(csr.data, wrong))
        if not bool((csr.data != 0).all()):
            csr = csr.copy()
            csr.eliminate_zeros()
        checked = self._view(csr, None)
        if fitting and checked.nnz == 0:
            _validation.refuse_empty(name, checked.shape)
        return checked

    def values(self, name: str, given: Any, n_items: int | None = None) -> Any:
        if not is_on_device(given):
            return super().values(name, given, n_items)
        csr = self._canonical(name, given, n_items)
        return self._view(csr, None if bool((csr.data == 1).all()) else self._finite(name, csr.data))

    def counts(self, name: str, given: Any) -> tuple[Any, Any]:
        if not is_on_device(given):
            return super().counts(name, given)
        csr = self._canonical(name, given, None)
        values = csr.data
        wrong = ~((values >= 0) & (values <= _validation.MAX_COUNT) & (values == np.floor(values)))
        if bool(wrong.any()):
            _validation.refuse_counts(name, self._first(values, wrong))
        return self._view(csr, None), values.astype(np.int32)

    def dense(self, name: str, given: Any, shape: tuple[int | None, ...], rule: str, *, finite: bool = True) -> Any:
        dense = self._array(name, given)
        if dense.dtype.kind not in "biuf":
            raise TypeError(f"`{name}` must hold real numbers, got dtype {dense.dtype}")
        _validation.check_shape(name, dense.shape, shape, rule)
        return self._finite(name, dense) if finite else self._rows(dense.astype(np.float32, copy=False))

    def ranking(self, name: str, given: Any, n_rows: int, n_items: int) -> Any:
        array = self._array(name, given)
        wrong = None if array.dtype.kind not in "iu" else (array < -1) | (array >= n_items)
        found = self._first(array, wrong) if wrong is not None and bool(wrong.any()) else None
        _validation.check_ranking_facts(name, array.shape, array.dtype, found, n_rows, n_items)
        return self._rows(array.astype(np.int32, copy=False))

    def _array(self, name: str, given: Any) -> Array:
        if not is_on_device(given):
            raise TypeError(
                f"`{name}` must be on the device like the other arguments, got {_validation.kind(given)} in host "
                f"memory; copy it with cupy.asarray({name}), or all others to the host with .get()"
            )
        return self.device.adopt(given)

    def _canonical(self, name: str, given: Any, n_items: int | None) -> Any:
        """Return a CSR matrix of the device with sorted ids and no duplicates, its row pointers and ids checked."""
        matrix = getattr(given, "user_items", given)
        if matrix.dtype.kind not in "biuf":
            raise TypeError(f"`{name}` must hold numbers or booleans, got dtype {matrix.dtype}")
        _validation.check_width(name, matrix.shape, n_items)
        csr = matrix if matrix.format == "csr" else matrix.tocsr()
        ids, xp = csr.indices, self.device.xp
        if len(ids) and (int(ids.min()) < 0 or int(ids.max()) >= csr.shape[1]):
            _validation.refuse_damaged_ids(name, csr.shape[1])
        if bool((xp.diff(csr.indptr) < 0).any()):
            _validation.refuse_damaged_pointers(name)
        if not self._is_canonical(csr):
            csr = csr.copy()
            csr.sum_duplicates()
        return csr

    def _is_canonical(self, csr: Any) -> bool:
        """Return whether ids ascend within each row: the place where they do not has to be where a row begins."""
        xp = self.device.xp
        ascends = xp.zeros(len(csr.indices) + 1, bool)
        ascends[1:-1] = csr.indices[1:] > csr.indices[:-1]
        ascends[csr.indptr] = True
        return bool(ascends[1:-1].all())

    def _view(self, csr: Any, data: Array | None) -> DeviceCsr:
        indptr = csr.indptr.astype(np.int64, copy=False)
        pattern = Pattern(self.device, indptr, csr.indices, int(csr.shape[1]), self.device.to_host(indptr))
        return DeviceCsr(pattern, data)

    def _finite(self, name: str, values: Array) -> Array:
        result = values.astype(np.float32, copy=False)
        wrong = ~np.isfinite(result)
        if bool(wrong.any()):
            _validation.refuse_infinite(name, self._first(values, wrong))
        return self._rows(result)

    def _first(self, values: Array, wrong: Array) -> Any:
        return self.device.to_host(values[wrong][:1])[0]

    @staticmethod
    def _rows(array: Array) -> Array:
        """Return an array whose last axis is contiguous."""
        plain = array.ndim == 0 or array.size == 0 or array.strides[-1] == array.itemsize
        return array if plain else array.copy(order="C")
