"""Counts, targets and products of sparse histories."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

from fastautorec._checks import check_choice, check_real
from fastautorec._compute.inputs import UserItems
from fastautorec._compute.protocol import ACTIVATIONS, NUMERATORS, Backend, FloatArray
from fastautorec.ops._operation import operation, take


@operation(arrays=1)
def count_items(backend: Backend, user_items: UserItems, *, num_threads: int | None = None) -> npt.NDArray[np.int64]:
    """Return the popularity of each item, the number of users that have it.

    Parameters
    ----------
    user_items : sparse matrix (m, n) or Interactions
        R, values 0 or 1.
    num_threads : int, optional

    Returns
    -------
    int64 (n,)
        Users of each item.

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
    counts = backend.count_items(take(backend, "user_items", "user_items", user_items))
    return backend.to_device(counts)


@operation(arrays=1)
def nce_transform(
    backend: Backend,
    user_items: UserItems,
    beta: float = 1.0,
    numerator: str = "interactions",
    *,
    num_threads: int | None = None,
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
    x = take(backend, "user_items", "user_items", user_items)
    check_choice("numerator", numerator, NUMERATORS)
    return backend.give(backend.nce_transform(x, check_real("beta", beta, 0), numerator))


@operation(arrays=3)
def encode(
    backend: Backend,
    user_items: UserItems,
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
        Hidden units H.

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
    x = take(backend, "values", "user_items", user_items)
    w = backend.inputs.dense("weight", weight, (x.n_cols, None), f"one row for each of the {x.n_cols} items")
    units = w.shape[1]
    b = (
        None
        if bias is None
        else backend.inputs.dense("bias", bias, (units,), f"one value for each of the {units} units")
    )
    check_choice("activation", activation, ACTIVATIONS)
    return backend.encode(x, w, b, activation)


@operation(arrays=2)
def encode_backward(
    backend: Backend, user_items: UserItems, grad: npt.ArrayLike, *, num_threads: int | None = None
) -> FloatArray:
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
        The gradient of W.

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
    x = take(backend, "values", "user_items", user_items)
    users = x.shape[0]
    return backend.encode_backward(
        x, backend.inputs.dense("grad", grad, (users, None), f"one row for each of the {users} users")
    )


@operation(arrays=2)
def gram_product(
    backend: Backend, user_items: UserItems, block: npt.ArrayLike, *, num_threads: int | None = None
) -> FloatArray:
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
        The product.

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
    x = take(backend, "values", "user_items", user_items)
    return backend.gram_product(
        x, backend.inputs.dense("block", block, (x.n_cols, None), f"one row for each of the {x.n_cols} items")
    )
