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

from fastautorec._compute.operations import Operations
from fastautorec._compute.reference import ReferenceBackend
from fastautorec.reference import pure

__all__ = [
    "count_items",
    "drop_entries",
    "encode",
    "encode_backward",
    "gram_product",
    "mse_head",
    "nce_transform",
    "ns_head",
    "optimizer_step",
    "pure",
    "ranking_metrics",
    "sample_negatives",
    "top_items",
]

_operations = Operations(ReferenceBackend())

count_items = _operations.count_items
nce_transform = _operations.nce_transform
encode = _operations.encode
encode_backward = _operations.encode_backward
gram_product = _operations.gram_product
drop_entries = _operations.drop_entries
mse_head = _operations.mse_head
ns_head = _operations.ns_head
optimizer_step = _operations.optimizer_step
sample_negatives = _operations.sample_negatives
top_items = _operations.top_items
ranking_metrics = _operations.ranking_metrics
