"""The operations of training: dropout, negative samples, the losses of the two decoders, the optimiser."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
from scipy import sparse

from fastautorec._compute.operations import HeadGradients
from fastautorec._compute.protocol import FloatArray
from fastautorec.ops._backend import on


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
    with on(num_threads, user_items) as operations:
        return operations.drop_entries(user_items, rate, seed=seed, epoch=epoch)


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
    with on(num_threads, user_items) as operations:
        return operations.sample_negatives(
            user_items, n_samples, power, exclude_positives, seed, epoch, rows, weights=weights
        )


def mse_head(
    hidden: npt.ArrayLike,
    decoder: npt.ArrayLike,
    bias: npt.ArrayLike | None,
    target: Any,
    *,
    num_threads: int | None = None,
) -> HeadGradients:
    """Return the squared error of all scores, and its gradients (Eq. 8 and 17).

    With scores Z = H Dᵀ + c and a sparse target T, loss = Σ_ij (z_ij − t_ij)² over all users and items, no scaling. The
    dense matrix Z never exists: either scores are formed for a run of items at a time, or, with G = DᵀD and S = HᵀH,

        loss = ‖T‖² − 2⟨H, T D⟩ + ⟨S, G⟩,   ∂H = 2 (H G − T D),   ∂D = 2 (D S − TᵀH)

    (H with a column of ones and D with the column c): exact to rounding, at a cost that hardly grows with the users.

    Parameters
    ----------
    hidden : array (q, k), float32
        H, one row for each user.
    decoder : array (n, k), float32
        D, one row for each item.
    bias : array (n,), float32, or None
        c; None means zeros, whose gradient is returned all the same.
    target : sparse matrix (q, n) or Interactions
        T, any finite values; duplicates are summed.
    num_threads : int, optional

    Returns
    -------
    loss : float
    grad_hidden : float32 (q, k)
    grad_decoder : float32 (n, k)
    grad_bias : float32 (n,)

    Raises
    ------
    TypeError
        If an argument is of the wrong kind.
    ValueError
        If shapes do not match or a number is not finite.

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> loss, grad_hidden, grad_decoder, grad_bias = mse_head([[1, 2]], [[1, 0], [0, 1]], [0, -1], csr_matrix([[1, 0]]))
    >>> loss
    1.0
    >>> grad_hidden, grad_decoder, grad_bias
    (array([[0., 2.]], dtype=float32), array([[0., 0.], [2., 4.]], dtype=float32), array([0., 2.], dtype=float32))
    """
    with on(num_threads, hidden, decoder, bias, target) as operations:
        return operations.mse_head(hidden, decoder, bias, target)


def ns_head(
    hidden: npt.ArrayLike,
    decoder: npt.ArrayLike,
    bias: npt.ArrayLike | None,
    positives: Any,
    negatives: Any,
    out: str = "sigmoid",
    *,
    num_threads: int | None = None,
) -> HeadGradients:
    """Return the loss of negative sampling, and its gradients (Eq. 7).

    With scores Z = H Dᵀ + c and outputs o = out(z), loss = −Σ_i [r_i·o_i − (‖r_i‖₁/‖s_i‖₁) s_i·o_i], no scaling: the
    negatives of a user weigh as much as the positives. Only scores of items in R or S matter. With
    ``out="logsigmoid"`` a positive counts log σ(z) and a negative −log σ(−z) in place of o (Eq. 3).

    Parameters
    ----------
    hidden : array (q, k), float32
        H, one row for each user.
    decoder : array (n, k), float32
        D, one row for each item.
    bias : array (n,), float32, or None
        c; None means zeros, whose gradient is returned all the same.
    positives : sparse matrix (q, n) or Interactions
        R, values 0 or 1.
    negatives : sparse matrix (q, n)
        S, how often each item was drawn: integers from 0 to 2**24; duplicates are summed. A user without negatives
        has his positives only. An item may be drawn that the user has.
    out : {"sigmoid", "logsigmoid", "tanh", "identity"}
        With "identity" the loss has no lower bound.
    num_threads : int, optional

    Returns
    -------
    loss : float
    grad_hidden : float32 (q, k)
    grad_decoder : float32 (n, k)
    grad_bias : float32 (n,)

    Raises
    ------
    TypeError
        If an argument is of the wrong kind.
    ValueError
        If shapes do not match, a number is not finite or a count not allowed, or ``out`` is unknown.

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> positives, negatives = csr_matrix([[1, 0]]), csr_matrix([[0, 2]])
    >>> loss, _, _, grad_bias = ns_head([[1, 2]], [[1, 0], [0, 1]], None, positives, negatives, "identity")
    >>> loss, grad_bias
    (1.0, array([-1.,  1.], dtype=float32))
    """
    with on(num_threads, hidden, decoder, bias, positives) as operations:
        return operations.ns_head(hidden, decoder, bias, positives, negatives, out)


def optimizer_step(
    weights: npt.ArrayLike,
    grad: npt.ArrayLike,
    first: npt.ArrayLike | None = None,
    second: npt.ArrayLike | None = None,
    rule: str = "adam",
    learning_rate: float = 1e-3,
    weight_decay: float = 0.0,
    step: int = 0,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    *,
    num_threads: int | None = None,
) -> tuple[FloatArray, FloatArray | None, FloatArray | None]:
    """Return weights and moments after one step of an optimiser, as `torch.optim` defines them.

    With t = ``step`` + 1, learning rate η, weight decay λ and g = ``grad`` + λ w ("adamw": g = ``grad``, and w is first
    multiplied by 1 − ηλ):

        "sgd":              m ← β₁ m + g (m = g at t = 1),   w ← w − η m
        "adam", "adamw":    m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²,
                            w ← w − η m / (1 − β₁ᵗ) / (√(v / (1 − β₂ᵗ)) + ε)

    Parameters
    ----------
    weights : array (n, k), float32
        w.
    grad : array (n, k), float32
    first, second : array (n, k), float32, optional
        m and v, what earlier steps returned; by default zeros.
    rule : {"adam", "adamw", "sgd"}
    learning_rate : float, > 0
    weight_decay : float, >= 0
    step : int, >= 0
        Number of earlier steps.
    beta1 : float, 0 <= beta1 < 1
        Of "sgd" the momentum; 0 for none.
    beta2 : float, 0 <= beta2 < 1
    epsilon : float, > 0
    num_threads : int, optional

    Returns
    -------
    weights, first, second : float32 (n, k)
        New arrays; moments that the rule does not keep are None.

    Raises
    ------
    TypeError
        If an argument is of the wrong kind.
    ValueError
        If shapes do not match, a number is out of its range or not finite, or ``rule`` is unknown.

    Examples
    --------
    >>> weights, first, second = optimizer_step([[1.0, 2.0]], [[0.5, -3.0]], learning_rate=0.1)
    >>> weights.round(4)
    array([[0.9, 2.1]], dtype=float32)
    >>> optimizer_step(weights, [[0.5, -3.0]], first, second, learning_rate=0.1, step=1)[0].round(4)
    array([[0.8, 2.2]], dtype=float32)
    """
    with on(num_threads, weights, grad, first, second) as operations:
        return operations.optimizer_step(
            weights, grad, first, second, rule, learning_rate, weight_decay, step, beta1, beta2, epsilon
        )
