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

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from fastautorec._backends import get_backend
from fastautorec._backends.protocol import FloatArray, IdArray
from fastautorec._head_ops import mse_head, ns_head, optimizer_step
from fastautorec._operations import CUTOFFS, Operations

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


def count_items(user_items: Any, *, num_threads: int | None = None) -> npt.NDArray[np.int64]:
    """Return the popularity of each item, the number of users that have it.

    Parameters
    ----------
    user_items : sparse matrix (m, n) or Interactions
        R, values 0 or 1.
    num_threads : int, optional

    Returns
    -------
    int64 (n,)

    Raises
    ------
    TypeError
        If ``user_items`` is not a SciPy matrix of numbers.
    ValueError
        If a value is neither 0 nor 1.

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> count_items(csr_matrix([[1, 1, 0], [1, 0, 0]])).tolist()
    [2, 1, 0]
    """
    return _operations(num_threads).count_items(user_items)


def nce_transform(
    user_items: Any, beta: float = 1.0, numerator: str = "interactions", *, num_threads: int | None = None
) -> sparse.csr_matrix:
    """Return the closed-form NCE targets R* of a binary matrix (Eq. 14-16).

    An observed interaction with item j becomes max(log P - beta log pop_j, 0), where pop_j is the number of users that
    have the item; all others stay 0.

    Parameters
    ----------
    user_items : sparse matrix (m, n) or Interactions
        R, values 0 or 1.
    beta : float, >= 0
        Strength of the popularity discount.
    numerator : {"interactions", "users"}
        P is the number of all interactions (the paper) or of users.
    num_threads : int, optional

    Returns
    -------
    CSR (m, n), float32
        With the pattern of R; weights that the maximum sets to 0 stay stored.

    Raises
    ------
    TypeError
        If ``user_items`` is not a SciPy matrix of numbers.
    ValueError
        If a value is neither 0 nor 1, or ``beta`` or ``numerator`` is not allowed.

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> nce_transform(csr_matrix([[1, 1, 0], [1, 0, 0]])).toarray().round(3)
    array([[0.405, 1.099, 0.   ],
           [0.405, 0.   , 0.   ]], dtype=float32)
    """
    return _operations(num_threads).nce_transform(user_items, beta, numerator)


def encode(
    user_items: Any,
    weight: npt.ArrayLike,
    bias: npt.ArrayLike | None = None,
    activation: str = "relu",
    *,
    num_threads: int | None = None,
) -> FloatArray:
    """Return the hidden units H = act(X W + b) of each user.

    Parameters
    ----------
    user_items : sparse matrix (q, n) or Interactions
        X, any finite values; duplicates are summed.
    weight : array (n, k), float32
        W, one row for each item.
    bias : array (k,), float32, optional
    activation : {"relu", "identity", "tanh", "sigmoid"}
    num_threads : int, optional

    Returns
    -------
    float32 (q, k)

    Raises
    ------
    TypeError
        If an argument is of the wrong kind: a dense ``user_items``, a sparse ``weight``, an array on a GPU.
    ValueError
        If shapes do not match or a number is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_matrix
    >>> encode(csr_matrix([[1, 0, 1], [0, 0, 0]]), [[1, 2], [3, 4], [5, -6]], bias=[0.5, 0])
    array([[6.5, 0. ],
           [0.5, 0. ]], dtype=float32)
    """
    return _operations(num_threads).encode(user_items, weight, bias, activation)


def encode_backward(user_items: Any, grad: npt.ArrayLike, *, num_threads: int | None = None) -> FloatArray:
    """Return X^T grad: the gradient with respect to W of a loss with gradient ``grad`` with respect to X W + b.

    Parameters
    ----------
    user_items : sparse matrix (q, n) or Interactions
        X, any finite values; duplicates are summed.
    grad : array (q, k), float32
        One row for each user.
    num_threads : int, optional

    Returns
    -------
    float32 (n, k)

    Raises
    ------
    TypeError
        If an argument is of the wrong kind.
    ValueError
        If shapes do not match or a number is not finite.

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> encode_backward(csr_matrix([[1, 0, 1], [0, 0, 2]]), [[1, 2], [3, 4]])
    array([[ 1.,  2.],
           [ 0.,  0.],
           [ 7., 10.]], dtype=float32)
    """
    return _operations(num_threads).encode_backward(user_items, grad)


def gram_product(user_items: Any, block: npt.ArrayLike, *, num_threads: int | None = None) -> FloatArray:
    """Return X^T (X block), the product of a subspace iteration, without storing the (q, k) matrix X block.

    Parameters
    ----------
    user_items : sparse matrix (q, n) or Interactions
        X, any finite values; duplicates are summed.
    block : array (n, k), float32
        One row for each item.
    num_threads : int, optional

    Returns
    -------
    float32 (n, k)

    Raises
    ------
    TypeError
        If an argument is of the wrong kind.
    ValueError
        If shapes do not match or a number is not finite.

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> gram_product(csr_matrix([[1, 1, 0], [0, 1, 1]]), [[1], [1], [1]])
    array([[2.],
           [4.],
           [2.]], dtype=float32)
    """
    return _operations(num_threads).gram_product(user_items, block)


def drop_entries(
    user_items: Any, rate: float, *, seed: int = 0, epoch: int = 0, num_threads: int | None = None
) -> sparse.csr_matrix:
    """Return X with entries set to 0 at random and the others divided by 1 - rate (dropout of the input).

    Whether an entry is dropped depends only on ``seed``, ``epoch``, its row and its place within the row: Philox4x32-10
    with one stream for each (seed, epoch, row).

    Parameters
    ----------
    user_items : sparse matrix (m, n) or Interactions
        X, any finite values; duplicates are summed.
    rate : float, 0 <= rate < 1
        Probability of dropping an entry.
    seed : int, 0 <= seed < 2**64
    epoch : int, 0 <= epoch < 2**32
        Another epoch draws another mask.
    num_threads : int, optional

    Returns
    -------
    CSR (m, n), float32
        With the pattern of X; dropped entries stay stored as 0.

    Raises
    ------
    TypeError
        If an argument is of the wrong kind.
    ValueError
        If a number is out of its range or not finite.

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> drop_entries(csr_matrix([[1, 1, 1, 1], [1, 0, 1, 1]]), 0.5, seed=4).toarray()
    array([[0., 2., 2., 2.],
           [2., 0., 2., 0.]], dtype=float32)
    """
    return _operations(num_threads).drop_entries(user_items, rate, seed=seed, epoch=epoch)


def sample_negatives(
    user_items: Any,
    n_samples: int,
    power: float = 1.0,
    exclude_positives: bool = False,
    seed: int = 0,
    epoch: int = 0,
    rows: npt.ArrayLike | None = None,
    *,
    weights: npt.ArrayLike | None = None,
    num_threads: int | None = None,
) -> sparse.csr_matrix:
    """Draw negative samples for users: N items with replacement, returned as counts S (section 3.1, Eq. 6).

    Item j is drawn with probability p(j) = pop_j**power / sum_l pop_l**power, where pop_j is the number of users that
    have it, or in proportion to ``weights``. A row of S follows the multinomial distribution (N, p).

    The counts of a user depend only on the arguments and on its row number: the same bits for any number of threads,
    any order of ``rows`` and on every backend (Philox4x32-10, one stream for each (seed, epoch, row)). The cost for a
    user grows with the smaller of N and n + sqrt(N).

    Parameters
    ----------
    user_items : sparse matrix (m, n) or Interactions
        R, values 0 or 1.
    n_samples : int, 1 <= n_samples < 2**31
        N, the number of draws for each user.
    power : float, >= 0
        1 draws by popularity (the paper), 0 all n items alike, also those that nobody has; 0.75 is word2vec's choice.
    exclude_positives : bool
        Draw a user none of its own items: p restricted to the others. The paper does not exclude them.
    seed : int, 0 <= seed < 2**64
    epoch : int, 0 <= epoch < 2**32
        Another epoch draws other samples.
    rows : array (q,), integer, optional
        Rows of ``user_items`` to draw for, in any order; default: all.
    weights : array (n,), float64, >= 0, optional
        Chances of the items instead of their popularity; they need not add up to 1.
    num_threads : int, optional

    Returns
    -------
    CSR (q, n), int32
        S; each row adds up to N.

    Raises
    ------
    TypeError
        If an argument is of the wrong kind.
    ValueError
        If a number is out of its range or not finite, ``user_items`` has no interaction and ``weights`` are not given,
        ``weights`` do not fit or are all 0, or ``exclude_positives`` leaves a user no item to draw.

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> user_items = csr_matrix([[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 0]])
    >>> sample_negatives(user_items, 12, seed=1).toarray()
    array([[4, 4, 4, 0],
           [4, 7, 1, 0],
           [8, 3, 1, 0]], dtype=int32)
    >>> sample_negatives(user_items, 12, exclude_positives=True, seed=1, rows=[1]).toarray()
    array([[0, 9, 3, 0]], dtype=int32)
    """
    return _operations(num_threads).sample_negatives(
        user_items, n_samples, power, exclude_positives, seed, epoch, rows, weights=weights
    )


def top_items(
    scores: npt.ArrayLike, N: int, exclude: Any = None, *, num_threads: int | None = None
) -> tuple[IdArray, FloatArray]:
    """Return the N items of highest score of each row, best first; equal scores rank by item id, ascending.

    Parameters
    ----------
    scores : array (q, n), float32
        NaN and minus infinity are never listed.
    N : int, >= 1
        Length of the lists; it may exceed n.
    exclude : sparse matrix (q, n) or Interactions, optional
        Items that must not be listed, values 0 or 1.
    num_threads : int, optional

    Returns
    -------
    ids : int32 (q, N)
        -1 in free places.
    scores : float32 (q, N)
        NaN in free places.

    Raises
    ------
    TypeError
        If an argument is of the wrong kind.
    ValueError
        If shapes do not match or ``N`` is below 1.

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> ids, best = top_items([[0.1, 0.9, 0.4]], N=2, exclude=csr_matrix([[0, 1, 0]]))
    >>> ids
    array([[2, 0]], dtype=int32)
    >>> best
    array([[0.4, 0.1]], dtype=float32)
    """
    return _operations(num_threads).top_items(scores, N, exclude)


def ranking_metrics(
    item_ids: npt.ArrayLike,
    test: Any,
    k: int | tuple[int, ...] = CUTOFFS,
    definition: str = "standard",
    *,
    num_threads: int | None = None,
) -> dict[str, npt.NDArray[np.float64]]:
    """Return ranking metrics of each user's list; `fastautorec.evaluate_ranking` summarises them.

    Parameters
    ----------
    item_ids : array (q, K), integer
        Ranked item ids, best first, -1 in free places; a repeated id counts at its first place only.
    test : sparse matrix (q, n) or Interactions
        The relevant items, values 0 or 1.
    k : int or tuple of int, >= 1
        List lengths to measure at; one beyond K counts the missing places as misses.
    definition : {"standard", "paper"}
        "paper" follows the code behind the published tables: MAP averages the precision at all ranks, NDCG divides by
        the ideal of all test items and is measured at the largest k only.
    num_threads : int, optional

    Returns
    -------
    dict of float64 (q,)
        By name, for example "NDCG@10"; NaN for users without test items.

    Raises
    ------
    TypeError
        If an argument is of the wrong kind.
    ValueError
        If shapes do not match, or an id, a list length or ``definition`` is not allowed.

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> metrics = ranking_metrics([[2, 0, 1]], csr_matrix([[1, 1, 0, 0]]), k=2)
    >>> {name: float(value[0]) for name, value in metrics.items() if name.endswith("@2")}
    {'NDCG@2': 0.38..., 'MAP@2': 0.25, 'Precision@2': 0.5, 'Recall@2': 0.5, 'F1@2': 0.5}
    """
    return _operations(num_threads).ranking_metrics(item_ids, test, k, definition)


def _operations(num_threads: int | None) -> Operations:
    return Operations(get_backend("cpu", num_threads))
