"""The operations that the models are made of, as functions on SciPy and NumPy arrays.

They run on the native core. `fastautorec.reference` offers the same functions in plain NumPy, and
`fastautorec.reference.pure` in plain Python, to read and to check against.

Sparse arguments may be any SciPy format or Interactions; duplicates, unsorted ids, 64-bit ids and other number types
are accepted and converted. ``num_threads`` is the number of threads (default: the environment variable
FASTAUTOREC_NUM_THREADS, else every usable core); results have the same bits for any number. Ctrl-C stops a call.

References
----------
Equation numbers are those of J. P. Zhou, G. Wu, Z. Mai and S. Sanner (2020), "Noise Contrastive Estimation for
Autoencoding-based One-Class Collaborative Filtering".
"""

from fastautorec.ops._products import count_items, encode, encode_backward, gram_product, nce_transform
from fastautorec.ops._ranking import ranking_metrics, top_items
from fastautorec.ops._sampling import drop_entries, sample_negatives
from fastautorec.ops._training import mse_head, ns_head, optimizer_step

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
    "ranking_metrics",
    "sample_negatives",
    "top_items",
]
