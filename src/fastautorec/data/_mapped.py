"""The matrix of a folder, checked as it is read: ids and pointers that lead out of its arrays are refused."""

from __future__ import annotations

from collections.abc import Mapping
from mmap import mmap
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec._compute.csr import Csr
from fastautorec.exceptions import InteractionsFileError

PART = 1 << 20  # ids that are checked together
CACHED = 1 << 16  # rows that are checked at a time

Ids = npt.NDArray[np.int32]
Array = npt.NDArray[Any]


class MappedCsr(Csr):
    """A `Csr` over mapped files, of which every part is checked when it is first asked for.

    What is taken from it is a plain `Csr`. A file that was cut since it was mapped is noticed where rows are asked for;
    one that is cut while an operation runs ends the process (SIGBUS), as with any mapped file.
    """

    _checks: _Checks

    token: str | None  # tells folders apart that were written one after the other; early versions have none

    def __init__(
        self, path: Path, arrays: Mapping[str, npt.NDArray[Any]], n_cols: int, token: str | None = None
    ) -> None:
        """Take the arrays of a folder, of which ``indptr`` and ``indices`` are the matrix; all files are watched."""
        checks = _Checks(path, arrays, n_cols)
        # a frozen class lets nothing be assigned
        self.__dict__.update(data=None, n_cols=n_cols, users=None, token=token, _checks=checks)

    @property
    def path(self) -> Path:
        """The folder."""
        return self._checks.path

    @property
    def shape(self) -> tuple[int, int]:
        """Users and items."""
        return len(self._checks.indptr) - 1, self.n_cols

    @property
    def nnz(self) -> int:
        """Number of stored entries."""
        return len(self._checks.ids)

    @property
    def indptr(self) -> npt.NDArray[np.int64]:
        """Row pointers."""
        self._checks.require_pointers()
        return self._checks.indptr

    @property
    def indices(self) -> Ids:
        """All ids."""
        return self.rebased().indices

    def rows(self, start: int, stop: int) -> Csr:
        """Return rows start..stop as a view."""
        first, last = int(self.indptr[start]), int(self.indptr[stop])
        return self._after(slice(first // PART, -(-last // PART))).rows(start, stop)

    def take_rows(self, rows: npt.NDArray[np.int64]) -> Csr:
        """Return the given rows; see `Csr`."""
        return self._after(self._checks.parts_of(rows)).take_rows(rows)

    def rebased(self) -> Csr:
        """Return all rows."""
        return self._after(slice(None))

    def numbered_from(self, first: int) -> Csr:
        """Return the same rows with other user numbers; see `Csr`."""
        return self.rebased().numbered_from(first)

    def with_data(self, data: npt.NDArray[np.float32] | None) -> Csr:
        """Return the same pattern with other values."""
        return self.rebased().with_data(data)

    def unread(self) -> Csr:
        """Return a plain matrix whose ids were not checked; see `Csr`."""
        self._checks.require_pointers()
        return Csr(self._checks.indptr, self._checks.ids, None, self.n_cols)

    def was_read(self, wrong: int) -> None:
        """Take what an operation has found that has checked all ids, so that they are not read twice; see `Csr`."""
        if wrong >= 0:
            raise self._checks.wrong_item(wrong)
        self._checks.all_right = True

    def __reduce__(self) -> tuple[Any, ...]:
        return Csr, (self.indptr, self.indices, None, self.n_cols)

    def _after(self, parts: Any) -> Csr:
        """Return a plain matrix of which these parts were checked."""
        self._checks.require(parts)
        return Csr(self._checks.indptr, self._checks.ids, None, self.n_cols)


class _Checks:
    """What of a matrix was found right so far; two threads may find the same."""

    def __init__(self, path: Path, arrays: Mapping[str, npt.NDArray[Any]], n_cols: int) -> None:
        self.path, self.indptr, self.ids, self.n_cols = path, arrays["indptr"], arrays["indices"], n_cols
        self.files = [Mapped(path, name, array) for name, array in arrays.items()]
        self.right = np.zeros(-(-len(self.ids) // PART), np.bool_)
        self.pointers_are_right = self.all_right = False

    def parts_of(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Return which parts some rows have entries in."""
        self.require_pointers()
        if self.all_right:
            return self.right
        begun = np.zeros(len(self.right) + 1, np.int64)  # rows that begin in a part, less those that ended before it
        np.add.at(begun, self.indptr[rows] // PART, 1)
        np.add.at(begun, -(-self.indptr[rows + 1] // PART), -1)
        return np.cumsum(begun)[:-1] > 0

    def require(self, parts: Any) -> None:
        """Raise InteractionsFileError unless pointers are right and ids in ``parts`` are those of items."""
        self.require_pointers()
        if self.all_right:
            return
        wanted = np.zeros(len(self.right), np.bool_)
        wanted[parts] = True
        for part in np.flatnonzero(wanted & ~self.right).tolist():
            self._require_ids(part * PART, min((part + 1) * PART, len(self.ids)))
            self.right[part] = True
        self.all_right = bool(self.right.all())

    def require_pointers(self) -> None:
        """Raise InteractionsFileError unless the files are whole and pointers ascend."""
        for file in self.files:
            file.require_whole()
        if self.pointers_are_right:
            return
        for start in range(0, len(self.indptr) - 1, CACHED):
            pointers = self.indptr[start : start + CACHED + 1]
            falls = pointers[1:] < pointers[:-1]
            if falls.any():
                raise self._damage("indptr", f"row {start + int(falls.argmax())} ends before it begins")
        self.pointers_are_right = True

    def _require_ids(self, start: int, stop: int) -> None:
        for first in range(start, stop, CACHED):
            ids = self.ids[first : min(first + CACHED, stop)]
            unsigned = ids.view(np.uint32)  # a negative one is large
            if unsigned.max() >= self.n_cols:
                raise self.wrong_item(first + int((unsigned >= self.n_cols).argmax()))

    def wrong_item(self, place: int) -> InteractionsFileError:
        """Return the error for an entry that is no item."""
        return self._damage("indices", f"entry {place} is item {self.ids[place]}, out of range")

    def _damage(self, name: str, reason: str) -> InteractionsFileError:
        return _damaged(self.path, name, reason)


class Mapped:
    """A file that an array is mapped from."""

    def __init__(self, path: Path, name: str, array: Array) -> None:
        self._path, self._name, self._file = path, name, _file_of(array)
        self._size = 0 if self._file is None else len(self._file)

    def require_whole(self) -> None:
        """Raise InteractionsFileError if the file was cut since it was mapped: reading the array would end the process.

        It is asked for before a file is read, and does not help where one is cut while it is.
        """
        if self._file is not None and self._file.size() < self._size:
            raise _damaged(self._path, self._name, "the file was cut while it was open")


def _damaged(path: Path, name: str, reason: str) -> InteractionsFileError:
    return InteractionsFileError(
        f"{path / name}.npy is damaged ({reason}): write the interactions again with overwrite=True"
    )


def _file_of(array: Any) -> mmap | None:
    """Return what an array is mapped from, which still knows its file, or None."""
    while isinstance(array, np.ndarray):
        array = array.base
    return array if isinstance(array, mmap) else None
