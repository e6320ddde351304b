"""Checks of what users pass in the memory of a device: the rules and messages of `fastautorec._compute.inputs`."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
from scipy import sparse

from fastautorec._checks import kind
from fastautorec._compute import arrays, inputs
from fastautorec._compute import refusals as _refusals
from fastautorec._compute.cuda.device import Array, Device
from fastautorec._compute.cuda.matrix import DeviceCsr, Pattern
from fastautorec._compute.host import HostInputs
from fastautorec._compute.memory import device_number, is_on_device


class DeviceInputs(HostInputs):
    """Takes arrays and CSR matrices of the device without copying ids, values or dense arrays; others go by the host.

    Row pointers become int64 and are copied to the host once, so that later no size has to be waited for.
    """

    def __init__(self, device: Device) -> None:
        self.device = device

    def on_device(self, given: Any) -> bool:
        return is_on_device(given)

    def check_place(self, name: str, given: Any) -> None:
        matrix = getattr(given, "user_items", given)
        if sparse.issparse(matrix) and not is_on_device(given):
            inner = name if matrix is given else f"{name}.user_items"
            self._refuse_place(name, given, f"cupyx.scipy.sparse.csr_matrix({inner})")

    def user_items(self, name: str, given: Any, n_items: int | None = None, *, fitting: bool = False) -> Any:
        if not is_on_device(given):
            return super().user_items(name, given, n_items, fitting=fitting)
        stored, values = self._stored(name, given, n_items)
        wrong = (values != 1) & (values != 0)  # before duplicates add up to more than 1
        if bool(wrong.any()):
            _refusals.refuse_values_that_are_not_binary(name, self._first(values, wrong))
        checked, values = self._canonical(stored, values)
        kept = values != 0
        if not bool(kept.all()):
            checked = self._entries(checked, kept)
        if fitting and checked.nnz == 0:
            _refusals.refuse_empty(name, checked.shape)
        return checked

    def values(self, name: str, given: Any, n_items: int | None = None) -> Any:
        if not is_on_device(given):
            return super().values(name, given, n_items)
        csr, values = self._canonical(*self._stored(name, given, n_items))
        return csr.with_data(None if bool((values == 1).all()) else self._finite(name, values))

    def counts(self, name: str, given: Any) -> tuple[Any, Any]:
        if not is_on_device(given):
            return super().counts(name, given)
        csr, values = self._canonical(*self._stored(name, given, None))
        wrong = ~((values >= 0) & (values <= _refusals.MAX_COUNT) & (values == np.floor(values)))
        if bool(wrong.any()):
            _refusals.refuse_counts(name, self._first(values, wrong))
        return csr, values.astype(np.int32)

    def dense(self, name: str, given: Any, shape: tuple[int | None, ...], rule: str, *, finite: bool = True) -> Any:
        if hasattr(given, "tocsr"):
            _refusals.refuse_sparse(name, given)
        dense = self._array(name, given)
        if dense.dtype.kind not in "biuf":
            raise TypeError(f"`{name}` must hold real numbers, got dtype {dense.dtype}")
        arrays.check_shape(name, dense.shape, shape, rule)
        return self._finite(name, dense) if finite else self._rows(dense.astype(np.float32, copy=False))

    def ranking(self, name: str, given: Any, n_rows: int, n_items: int) -> Any:
        array = self._array(name, given)
        wrong = None if array.dtype.kind not in "iu" else (array < -1) | (array >= n_items)
        found = self._first(array, wrong) if wrong is not None and bool(wrong.any()) else None
        arrays.check_ranking_facts(name, array.shape, array.dtype, found, n_rows, n_items)
        return self._rows(array.astype(np.int32, copy=False))

    def _array(self, name: str, given: Any) -> Array:
        if not is_on_device(given):
            self._refuse_place(name, given, f"cupy.asarray({name})")
        self._check_number(name, given)
        return self.device.adopt(given)

    def _check_number(self, name: str, given: Any) -> None:
        """Raise for memory of another GPU: a kernel that reads it would end all work of the process on this one."""
        there, here = device_number(given), int(self.device.name.partition(":")[2] or 0)
        if there != here:
            raise TypeError(
                f"`{name}` must be on cuda:{here}, where the work is done, got memory of cuda:{there}; copy it there "
                f"under `with cupy.cuda.Device({here})`"
            )

    @staticmethod
    def _refuse_place(name: str, given: Any, copy: str) -> NoReturn:
        raise TypeError(
            f"`{name}` must be on the device like the other arguments, got {kind(given)} in host "
            f"memory; copy it with {copy}, or all others to the host with .get()"
        )

    def _stored(self, name: str, given: Any, n_items: int | None) -> tuple[DeviceCsr, Array]:
        """Return the pattern of a sparse matrix as it is stored, row pointers and ids checked, and values of any type.

        What follows is done here and not by CuPy, which drops no zeros of boolean matrices, adds up duplicates in their
        own type, and believes the marks of earlier checks.
        """
        matrix, xp = getattr(given, "user_items", given), self.device.xp
        if not hasattr(matrix, "tocsr"):
            _refusals.refuse_dense(name, matrix, "cupyx.scipy")
        inputs.check_numbers(name, matrix, n_items)
        self._check_number(name, given)
        if matrix.format == "csr":
            indptr, ids, data = matrix.indptr, matrix.indices, matrix.data
        else:
            coo = matrix.tocoo()
            order = xp.argsort(coo.row)
            indptr = xp.searchsorted(coo.row[order], xp.arange(coo.shape[0] + 1))
            ids, data = coo.col[order], coo.data[order]
        pointers = self.device.to_host(indptr).astype(np.int64)
        inputs.check_pointers(name, pointers, matrix.shape[0], len(ids), len(data))
        nnz, n_cols = int(pointers[-1]), int(matrix.shape[1])
        ids, data = ids[:nnz], data[:nnz]
        if nnz and (int(ids.min()) < 0 or int(ids.max()) >= n_cols):
            _refusals.refuse_damaged_ids(name, n_cols)
        indptr, ids = xp.ascontiguousarray(indptr, np.int64), xp.ascontiguousarray(ids, np.int32)
        return DeviceCsr(Pattern(self.device, indptr, ids, n_cols, pointers)), self._rows(data)

    def _canonical(self, csr: DeviceCsr, values: Array) -> tuple[DeviceCsr, Array]:
        """Return a matrix with sorted ids and no duplicates; where the ids do not ascend, a row has to begin."""
        xp, ids = self.device.xp, csr.pattern.indices
        ascends = xp.zeros(len(ids) + 1, bool)
        ascends[1:-1] = ids[1:] > ids[:-1]
        ascends[csr.pattern.indptr] = True
        return (csr, values) if bool(ascends[1:-1].all()) else self._merged(csr, values)

    def _merged(self, csr: DeviceCsr, values: Array) -> tuple[DeviceCsr, Array]:
        """Return a matrix with the ids of each row sorted, and the values of the same place added up."""
        xp, pattern = self.device.xp, csr.pattern
        row = xp.searchsorted(pattern.indptr, xp.arange(csr.nnz), side="right") - 1
        place = row * csr.n_cols + pattern.indices
        order = xp.argsort(place)
        place = place[order]
        first = xp.ones(csr.nnz, bool)
        first[1:] = place[1:] != place[:-1]
        sums = xp.bincount(xp.cumsum(first) - 1, weights=values[order].astype(np.float64))
        ordered = DeviceCsr(Pattern(self.device, pattern.indptr, pattern.indices[order], csr.n_cols))
        return self._entries(ordered, first), sums

    def _entries(self, csr: DeviceCsr, kept: Array) -> DeviceCsr:
        """Return the pattern of those entries for which ``kept`` is true."""
        xp, pattern = self.device.xp, csr.pattern
        before = xp.zeros(len(kept) + 1, np.int64)
        before[1:] = xp.cumsum(kept)
        return DeviceCsr(Pattern(self.device, before[pattern.indptr], pattern.indices[kept], csr.n_cols))

    def _finite(self, name: str, values: Array) -> Array:
        result = values.astype(np.float32, copy=False)
        wrong = ~np.isfinite(result)
        if bool(wrong.any()):
            _refusals.refuse_infinite(name, self._first(values, wrong))
        return self._rows(result)

    def _first(self, values: Array, wrong: Array) -> Any:
        return self.device.to_host(values[wrong][:1])[0]

    @staticmethod
    def _rows(array: Array) -> Array:
        """Return an array whose last axis is contiguous, and whose rows neither overlap nor go backwards."""
        if array.ndim == 0 or array.size == 0:
            return array
        width = array.shape[-1] * array.itemsize
        plain = array.strides[-1] == array.itemsize and (array.ndim == 1 or array.strides[0] >= width)
        return array if plain else array.copy(order="C")
