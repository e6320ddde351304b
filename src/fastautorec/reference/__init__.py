"""The functions of `fastautorec.ops` in plain NumPy and SciPy: the specification of the native code.

`fastautorec.reference.pure` holds them once more, as loops in plain Python.

Examples
--------
>>> from scipy.sparse import csr_matrix
>>> from fastautorec import ops, reference
>>> user_items = csr_matrix([[1, 1, 0], [1, 0, 1]])
>>> (ops.nce_transform(user_items) != reference.nce_transform(user_items)).nnz
0
"""

from fastautorec import ops
from fastautorec._compute.reference import ReferenceBackend
from fastautorec.ops import *  # noqa: F403  for type checkers: these names are bound to another backend below
from fastautorec.ops._operation import bound_to
from fastautorec.reference import pure

__all__ = ["pure"]
__all__ += ops.__all__

globals().update(bound_to(ReferenceBackend(), __name__))
