# The native module; NumPy arrays are used in place and a wrong dtype, shape or layout is an error.

import numpy as np
import numpy.typing as npt

from fastautorec._compute.parameter import Parameter

_Floats = npt.NDArray[np.float32]
_Doubles = npt.NDArray[np.float64]
_Ids = npt.NDArray[np.int32]
_Longs = npt.NDArray[np.int64]

def multiply_few_rows(a: _Floats, b: _Floats, out: _Floats, num_threads: int) -> None: ...
def count_items(indptr: _Longs, indices: _Ids, n_cols: int, out: _Longs, num_threads: int) -> int: ...
def nce_transform(
    indptr: _Longs,
    indices: _Ids,
    n_cols: int,
    beta: float,
    per_interaction: bool,
    out: _Floats,
    num_threads: int,
) -> None: ...
def encode(
    indptr: _Longs,
    indices: _Ids,
    data: _Floats | None,
    n_cols: int,
    weight: _Floats,
    bias: _Floats | None,
    activation: int,
    out: _Floats,
    num_threads: int,
) -> None: ...
def encode_backward(
    indptr: _Longs,
    indices: _Ids,
    data: _Floats | None,
    n_cols: int,
    grad: _Floats,
    out: _Floats,
    accumulate: bool,
    num_threads: int,
) -> None: ...
def gram_product(
    indptr: _Longs,
    indices: _Ids,
    data: _Floats | None,
    n_cols: int,
    item_weights: _Floats | None,
    user_weights: _Floats | None,
    block: _Floats,
    out: _Floats,
    num_threads: int,
) -> None: ...
def drop_entries(
    indptr: _Longs,
    indices: _Ids,
    data: _Floats | None,
    n_cols: int,
    rate: float,
    seed: int,
    epoch: int,
    users: _Longs | None,
    out: _Floats,
    num_threads: int,
) -> None: ...
def sample_negatives(
    n_samples: int,
    cdf: npt.NDArray[np.uint64],
    guide: _Ids,
    table: _Ids | None,
    last: npt.NDArray[np.uint32] | None,
    base: _Longs | None,
    table_guide: _Ids | None,
    users: _Longs,
    exclude_indptr: _Longs | None,
    exclude_indices: _Ids | None,
    seed: int,
    epoch: int,
    indptr: _Longs,
    ids: _Ids,
    counts: _Ids,
    num_threads: int,
) -> None: ...
def top_items(
    scores: _Floats,
    exclude_indptr: _Longs | None,
    exclude_indices: _Ids | None,
    n_cols: int,
    first_item: int,
    ids: _Ids,
    best: _Floats,
    num_threads: int,
) -> None: ...
def find_ranks(
    ids: _Ids,
    test_indptr: _Longs,
    test_indices: _Ids,
    n_cols: int,
    lengths: _Ids,
    starts: _Longs,
    out: _Ids,
    num_threads: int,
) -> None: ...
def ranking_metrics(
    ids: _Ids,
    test_indptr: _Longs,
    test_indices: _Ids,
    n_cols: int,
    cutoffs: _Longs,
    paper: bool,
    out: _Doubles,
    num_threads: int,
) -> None: ...
def use_blas(sgemm: object, ssyrk: object) -> None: ...
def optimizer_step(parameter: Parameter, grad: _Floats, num_threads: int) -> None: ...
def encode_backward_step(
    indptr: _Longs,
    indices: _Ids,
    data: _Floats | None,
    n_cols: int,
    grad: _Floats,
    parameter: Parameter,
    num_threads: int,
) -> None: ...
def mse_head(
    indptr: _Longs,
    indices: _Ids,
    data: _Floats | None,
    n_cols: int,
    hidden: _Floats,
    decoder: Parameter,
    scale: float,
    grad_hidden: _Floats | None,
    plan: int,
    num_threads: int,
) -> float: ...
def ns_head(
    indptr: _Longs,
    indices: _Ids,
    negative_indptr: _Longs,
    negative_indices: _Ids,
    counts: _Ids,
    n_cols: int,
    hidden: _Floats,
    decoder: Parameter,
    output: int,
    scale: float,
    grad_hidden: _Floats | None,
    plan: int,
    num_threads: int,
) -> float: ...
def simd_level() -> str: ...

class SingleThreadedBlas:
    """BLAS has one thread while any thread is inside."""

    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...

def add_blas(getter: int, setter: int, per_thread: bool) -> None: ...
def renew_regions() -> bool: ...
def close_regions(seconds: float) -> bool: ...
