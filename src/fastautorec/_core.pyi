# The native module; NumPy arrays are used in place and a wrong dtype, shape or layout is an error.

import numpy as np
import numpy.typing as npt

from fastautorec._compute.csr import Csr
from fastautorec._compute.parameter import Parameter
from fastautorec._compute.sampling import Sampler

_Floats = npt.NDArray[np.float32]
_Doubles = npt.NDArray[np.float64]
_Ids = npt.NDArray[np.int32]
_Longs = npt.NDArray[np.int64]

def multiply_few_rows(a: _Floats, b: _Floats, out: _Floats, num_threads: int) -> None: ...
def encode_items(
    rows: _Floats, codes: npt.NDArray[np.uint8], facts: _Floats, longest: _Floats, order: _Ids, num_threads: int
) -> bool: ...
def code_kernel() -> str: ...
def scan_items(
    a: _Floats,
    b: _Floats,
    codes: npt.NDArray[np.uint8],
    facts: _Floats,
    longest: _Floats,
    order: _Ids,
    exclude: Csr | None,
    masked: _Ids,
    borders: _Longs,
    ids: _Ids,
    best: _Floats,
    num_threads: int,
) -> bool: ...
def chain_products(a: _Floats, b: _Floats, listed: _Ids, borders: _Longs, out: _Floats) -> None: ...
def count_items(user_items: Csr, out: _Longs, num_threads: int) -> int: ...
def nce_transform(user_items: Csr, beta: float, per_interaction: bool, out: _Floats, num_threads: int) -> None: ...
def encode(
    user_items: Csr, weight: _Floats, bias: _Floats | None, activation: int, out: _Floats, num_threads: int
) -> None: ...
def encode_backward(user_items: Csr, grad: _Floats, out: _Floats, accumulate: bool, num_threads: int) -> None: ...
def encode_backward_step(user_items: Csr, grad: _Floats, parameter: Parameter, num_threads: int) -> None: ...
def gram_product(
    user_items: Csr,
    item_weights: _Floats | None,
    user_weights: _Floats | None,
    block: _Floats,
    out: _Floats,
    num_threads: int,
) -> None: ...
def drop_entries(user_items: Csr, rate: float, seed: int, epoch: int, out: _Floats, num_threads: int) -> None: ...
def mse_head(
    hidden: _Floats,
    decoder: Parameter,
    target: Csr,
    scale: float,
    grad_hidden: _Floats | None,
    plan: int,
    num_threads: int,
) -> float: ...
def ns_head(
    hidden: _Floats,
    decoder: Parameter,
    positives: Csr,
    negatives: Csr,
    counts: _Ids,
    out: int,
    scale: float,
    grad_hidden: _Floats | None,
    plan: int,
    num_threads: int,
) -> float: ...
def optimizer_step(parameter: Parameter, grad: _Floats, num_threads: int) -> None: ...
def sample_negatives(
    sampler: Sampler,
    users: _Longs,
    exclude: Csr | None,
    seed: int,
    epoch: int,
    indptr: _Longs,
    ids: _Ids,
    counts: _Ids,
    num_threads: int,
) -> None: ...
def top_items(
    scores: _Floats, exclude: Csr | None, first_item: int, ids: _Ids, best: _Floats, num_threads: int
) -> None: ...
def scaled_top_items(
    scores: _Floats, factors: _Floats, exclude: Csr | None, first_item: int, ids: _Ids, best: _Floats, num_threads: int
) -> None: ...
def find_ranks(ids: _Ids, test: Csr, lengths: _Ids, starts: _Longs, out: _Ids, num_threads: int) -> None: ...
def ranking_metrics(ids: _Ids, test: Csr, cutoffs: _Longs, paper: bool, out: _Doubles, num_threads: int) -> None: ...
def use_blas(sgemm: object, ssyrk: object) -> None: ...
def simd_level() -> str: ...

class SingleThreadedBlas:
    """BLAS has one thread while any thread is inside."""

    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...

def add_blas(getter: int, setter: int, per_thread: bool) -> None: ...
def renew_regions() -> bool: ...
def close_regions(seconds: float) -> bool: ...
