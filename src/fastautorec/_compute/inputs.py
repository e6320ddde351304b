"""Checks of the matrices that users pass. Messages name argument, rule, what was given, fix."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import sparse

from fastautorec._checks import MAX_ITEMS, kind
from fastautorec._compute.csr import Csr, ids_ascend
from fastautorec._compute.refusals import (
    MAX_COUNT,
    refuse_counts,
    refuse_damaged,
    refuse_damaged_ids,
    refuse_dense,
    refuse_empty,
    refuse_infinite,
    refuse_one_row,
    refuse_values_that_are_not_binary,
)


class SparseMatrix(Protocol):
    """A sparse matrix or array of SciPy or CuPy."""

    def tocsr(self) -> Any:
        """Return the same in compressed rows."""


class HasUserItems(Protocol):
    """Data with a matrix of users × items, such as `fastautorec.Interactions`."""

    @property
    def user_items(self) -> Any:
        """The matrix (m, n)."""


UserItems: TypeAlias = HasUserItems | SparseMatrix | Csr  # the last is what this module makes of the others

_PLAIN_FORMATS = ("coo", "csc", "csr")  # SciPy formats that keep their values in ``data[:nnz]``


def check_user_items(name: str, user_items: Any, n_items: int | None = None, *, fitting: bool = False) -> Csr:
    """Check a binary user-item matrix and return it as a canonical Csr view, sharing memory where it can.

    Duplicate entries mean the same interaction seen again and collapse into one; stored zeros are dropped.

    Parameters
    ----------
    name : str
        Argument name for the messages.
    user_items : Interactions or scipy sparse (m, n)
        Values must be 0 or 1.
    n_items : int, optional
        Required number of columns, the one of the fitted model.
    fitting : bool
        Refuse a matrix without any interaction.

    Notes
    -----
    What was checked before is not read again: a Csr, whose values are left out, or the one that interactions on disk
    have.
    """
    known = user_items if isinstance(user_items, Csr) else getattr(user_items, "_csr", None)
    checked = _checked_before(name, known, n_items) if known is not None else _check_matrix(name, user_items, n_items)
    if fitting and checked.nnz == 0:
        refuse_empty(name, checked.shape)
    return checked


def _checked_before(name: str, known: Csr, n_items: int | None) -> Csr:
    check_columns(name, known.shape, n_items)
    return known if known.data is None else known.with_data(None)


def _check_matrix(name: str, user_items: Any, n_items: int | None) -> Csr:
    matrix = _sparse_matrix(name, user_items, n_items)
    plain = matrix if matrix.format in _PLAIN_FORMATS else matrix.tocsr()  # the other formats hold no duplicates
    only_ones = _check_binary(name, plain.data[: plain.nnz])
    csr = _canonical(name, matrix)
    if not only_ones and not csr.data[: csr.nnz].all():
        csr = csr.copy()
        csr.eliminate_zeros()
    return _view(csr, None)


def check_values(name: str, user_items: Any, n_items: int | None = None) -> Csr:
    """Check a user-item matrix with any finite values and return it as a canonical float32 Csr.

    Duplicate entries are summed, as SciPy does. Where every value is 1 the result shares its arrays with the input and
    holds no values.
    """
    csr = _canonical(name, _sparse_matrix(name, user_items, n_items))
    values = csr.data[: csr.nnz]
    return _view(csr, None if (values == 1).all() else finite_float32(name, values))


def check_counts(name: str, user_items: Any) -> tuple[Csr, npt.NDArray[np.int32]]:
    """Check a user-item matrix of counts and return its pattern with one count for each entry."""
    csr = _canonical(name, _sparse_matrix(name, user_items, None))
    values = csr.data[: csr.nnz]
    wrong = ~((values >= 0) & (values <= MAX_COUNT) & (values == np.floor(values)))  # NaN is wrong too
    if wrong.any():
        refuse_counts(name, values[wrong][0])
    return _view(csr, None), np.ascontiguousarray(values, np.int32)


def check_matching(name: str, other: Csr, shape: tuple[int, int], reference: str, hint: str = "") -> None:
    """Raise unless ``other`` has the shape of the matrix called ``reference``."""
    if other.shape != shape:
        raise ValueError(f"`{name}` must have the shape of `{reference}`, {shape}, got {other.shape}{hint}")


def _sparse_matrix(name: str, given: Any, n_items: int | None) -> Any:
    """Return the SciPy matrix in ``given`` after the checks of kind, dtype and shape."""
    matrix: Any = getattr(given, "user_items", given)
    check_on_host(name, matrix)
    is_sparse: bool = sparse.issparse(matrix)
    if not is_sparse:
        refuse_dense(name, matrix, "scipy")
    if n_items is not None and len(matrix.shape) == 1:  # one row of a sparse array: one history
        matrix = matrix.reshape(1, -1)
    check_numbers(name, matrix, n_items)
    check_arrays(name, matrix)
    return matrix


def _canonical(name: str, matrix: Any) -> Any:
    """Return SciPy CSR with sorted ids, duplicates summed, its ids checked."""
    if matrix.format == "coo":  # its conversion sums duplicates: small integers would overflow
        matrix = sparse.coo_matrix((matrix.data.astype(np.float32), (matrix.row, matrix.col)), shape=matrix.shape)
    csr = matrix.tocsr()
    _check_ids(name, csr.indices[: csr.nnz], csr.shape[1])
    # SciPy's own check stores its answer on the caller's matrix and trusts an answer that is stored there.
    if not ids_ascend(csr.indptr, csr.indices):
        data = csr.data.astype(np.float32)  # not csr.astype, which sums in place in some versions of SciPy
        csr = sparse.csr_matrix((data, csr.indices.copy(), csr.indptr.copy()), shape=csr.shape)
        csr.sum_duplicates()
    return csr


def _view(csr: Any, data: npt.NDArray[np.float32] | None) -> Csr:
    return Csr(
        indptr=np.ascontiguousarray(csr.indptr, np.int64),
        indices=np.ascontiguousarray(csr.indices, np.int32),
        data=data,
        n_cols=int(csr.shape[1]),
    )


def _check_binary(name: str, data: npt.NDArray[Any]) -> bool:
    """Raise unless all values are 0 or 1, and return whether all are 1."""
    if np.count_nonzero(data == 1) == len(data):  # for a short history half the time of `all`
        return True
    wrong = (data != 1) & (data != 0)
    if wrong.any():
        refuse_values_that_are_not_binary(name, data[wrong][0])
    return False


# --- what the checks of arrays on a device say too --------------------------------------------------------------------


def check_numbers(name: str, matrix: Any, n_items: int | None) -> None:
    """Raise unless a sparse matrix holds real numbers, its columns fit into int32 and are those of the model."""
    shape = matrix.shape
    if len(shape) != 2:
        refuse_one_row(name, shape)
    if matrix.dtype.kind not in "biuf":
        raise TypeError(f"`{name}` must hold numbers or booleans, got dtype {matrix.dtype}")
    if shape[1] > MAX_ITEMS:
        raise ValueError(f"`{name}` must have fewer than 2**31 columns (items), got {shape[1]}")
    check_columns(name, shape, n_items)


def check_columns(name: str, shape: tuple[int, int], n_items: int | None) -> None:
    """Raise unless a matrix has the columns of the model, where there is one."""
    if n_items is not None and shape[1] != n_items:
        hint = "; did you pass it transposed?" if shape[0] == n_items else ""
        raise ValueError(f"`{name}` has {shape[1]} columns but the model was fitted on {n_items} items{hint}")


def check_arrays(name: str, matrix: Any) -> None:
    """Raise where the arrays of a SciPy matrix do not fit each other: its conversions trust them, and may crash."""
    if matrix.format in ("csr", "csc", "bsr"):
        for array in ("indptr", "indices"):
            _check_integers(name, array, getattr(matrix, array))
        axis = 1 if matrix.format == "csc" else 0
        count = matrix.shape[axis] // (matrix.blocksize[0] if matrix.format == "bsr" else 1)
        check_pointers(name, matrix.indptr, count, len(matrix.indices), len(matrix.data), ("row", "column")[axis])
        if axis:
            _check_ids(name, matrix.indices[: matrix.nnz], matrix.shape[0], "row")
        return
    if matrix.format == "lil":
        lengths = [[*map(len, lists)] for lists in (matrix.rows, matrix.data)]
        if len(lengths[0]) != matrix.shape[0]:
            refuse_damaged(name, f"has lists for {len(lengths[0])} rows of {matrix.shape[0]}")
    else:
        arrays = {"coo": ("row", "col", "data"), "dia": ("offsets", "data")}.get(matrix.format, ())
        lengths = [[len(getattr(matrix, array))] for array in arrays]
    if any(other != lengths[0] for other in lengths):
        refuse_damaged(name, "has arrays of different lengths")


def check_pointers(
    name: str, pointers: npt.NDArray[np.integer], count: int, n_ids: int, n_values: int, noun: str = "row"
) -> None:
    """Raise unless the pointers of all rows go from 0 up to at most the numbers of ids and of values."""
    if len(pointers) != count + 1:
        refuse_damaged(name, f"has {len(pointers)} {noun} pointers for {count} {noun}s")
    if (pointers[1:] < pointers[:-1]).any():
        refuse_damaged(name, f"has {noun} pointers that decrease")
    if pointers[0] != 0 or pointers[-1] > n_ids or pointers[-1] > n_values:
        span = f"from {pointers[0]} to {pointers[-1]}"
        refuse_damaged(name, f"has {noun} pointers {span} for {n_ids} indices and {n_values} values")


def _check_integers(name: str, array: str, given: Any) -> None:
    """Raise for pointers or ids that the compiled conversions would read as other ones."""
    if not (isinstance(given, np.ndarray) and given.ndim == 1 and given.dtype.kind in "iu" and given.dtype.isnative):
        what = f"shape {given.shape} and dtype {given.dtype}" if isinstance(given, np.ndarray) else kind(given)
        refuse_damaged(name, f"has {array} that are no row of integers in the byte order of this machine, but {what}")


def _check_ids(name: str, ids: npt.NDArray[np.integer], count: int, noun: str = "column") -> None:
    if np.count_nonzero(ids.view(f"u{ids.itemsize}") >= count):  # unsigned, a negative id is a huge one
        refuse_damaged_ids(name, count, noun)


# --- helpers ----------------------------------------------------------------------------------------------------------


def check_on_host(name: str, value: object) -> None:
    """Raise for an array in the memory of a device."""
    if type(value).__module__.partition(".")[0] in ("cupy", "cupyx"):
        raise TypeError(f"`{name}` must be in host memory, got {kind(value)}; copy it with `{name}.get()`")


def float32(values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return values as float32, infinite where that does not hold them."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32, copy=False)


def finite_float32(name: str, values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return values as float32, all finite."""
    result = float32(values)
    good = np.isfinite(result)
    if not good.all():
        refuse_infinite(name, values[~good][0])
    return result
