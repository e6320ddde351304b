"""SciPy matrices of interactions: with memory of their own, and without copies."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from fastautorec._compute.csr import Csr


def owned(csr: Csr, given: Any) -> sparse.csr_matrix:
    """Return a SciPy matrix that shares no memory with ``given``, whose owner may change it in place."""
    result, source = csr.to_scipy(), getattr(given, "user_items", given)
    for name in ("indptr", "indices"):
        own, its = getattr(result, name), getattr(source, name, None)
        if its is not None and its.flags.writeable and np.may_share_memory(own, its):
            setattr(result, name, own.copy())
    return result


def without_copies(csr: Csr) -> sparse.csr_matrix:
    """Return a SciPy matrix of which one 1 stands for all values; SciPy's own constructor would copy the ids."""
    matrix: Any = sparse.csr_matrix(np.zeros((1, 1), np.float32))
    matrix._shape = csr.shape
    # its functions want pointers and ids of one type; of so many entries that there is none, rows can still be taken
    small = csr.nnz <= np.iinfo(np.int32).max
    matrix.indptr, matrix.indices = csr.indptr.astype(np.int32) if small else csr.indptr, csr.indices
    matrix.data = np.broadcast_to(np.float32(1), csr.nnz)
    matrix.has_canonical_format = True
    result: sparse.csr_matrix = matrix
    return result
