"""The operations of a training step: the losses of the two decoders, the optimiser."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec._checks import check_choice, check_int, check_real
from fastautorec._compute.inputs import UserItems, check_matching
from fastautorec._compute.parameter import RULES, Parameter
from fastautorec._compute.protocol import OUTPUTS, Backend, FloatArray
from fastautorec.ops._operation import operation, take

HeadGradients = tuple[float, FloatArray, FloatArray, FloatArray]  # loss; of hidden units, decoder and bias


@operation(arrays=4)
def mse_head(
    backend: Backend,
    hidden: npt.ArrayLike,
    decoder: npt.ArrayLike,
    bias: npt.ArrayLike | None,
    target: UserItems,
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
        Of all users and items.
    grad_hidden : float32 (q, k)
        Of H.
    grad_decoder : float32 (n, k)
        Of D.
    grad_bias : float32 (n,)
        Of c.

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
    t = take(backend, "values", "target", target)
    h, d = _with_bias_column(backend, hidden, decoder, bias, *t.shape)
    grad_hidden, grad_decoder = np.zeros_like(h), np.empty_like(d)
    parameter = Parameter(d, "gradient", grad_decoder)
    loss = backend.mse_head(h, parameter, t, grad_hidden=grad_hidden)
    return _split_bias_column(loss, grad_hidden, grad_decoder)


@operation(arrays=4)
def ns_head(
    backend: Backend,
    hidden: npt.ArrayLike,
    decoder: npt.ArrayLike,
    bias: npt.ArrayLike | None,
    positives: UserItems,
    negatives: UserItems,
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
        Of all users and items.
    grad_hidden : float32 (q, k)
        Of H.
    grad_decoder : float32 (n, k)
        Of D.
    grad_bias : float32 (n,)
        Of c.

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
    r = take(backend, "user_items", "positives", positives)
    backend.inputs.check_place("negatives", negatives)
    drawn, counts = backend.inputs.counts("negatives", negatives)
    s = backend.put(drawn)
    check_matching("negatives", s, r.shape, "positives")
    check_choice("out", out, OUTPUTS)
    h, d = _with_bias_column(backend, hidden, decoder, bias, *r.shape)
    grad_hidden, grad_decoder = np.zeros_like(h), np.empty_like(d)
    parameter = Parameter(d, "gradient", grad_decoder)
    loss = backend.ns_head(h, parameter, r, s, counts, out, grad_hidden=grad_hidden)
    return _split_bias_column(loss, grad_hidden, grad_decoder)


@operation(arrays=4)
def optimizer_step(
    backend: Backend,
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
    multiplied by 1 − ηλ)::

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
    weights : float32 (n, k)
        A new array.
    first, second : float32 (n, k) or None
        New arrays; None for moments that the rule does not keep.

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
    w = backend.inputs.dense("weights", weights, (None, None), "two dimensions")
    same = f"the shape of `weights`, {w.shape}"
    g = backend.inputs.dense("grad", grad, w.shape, same)
    m = None if first is None else backend.inputs.dense("first", first, w.shape, same).copy()
    v = None if second is None else backend.inputs.dense("second", second, w.shape, same).copy()
    if v is not None and v.size and float(v.min()) < 0:
        raise ValueError(f"`second` must hold averages of squares, >= 0, got {float(v.min())}")
    check_choice("rule", rule, RULES[1:])
    parameter = Parameter(
        w.copy(),
        rule,
        m,
        v,
        check_real("learning_rate", learning_rate, 0, above=True),
        check_real("weight_decay", weight_decay, 0),
        step=check_int("step", step, 0, 2**53),
        beta1=check_real("beta1", beta1, 0, 1, below=True),
        beta2=check_real("beta2", beta2, 0, 1, below=True),
        epsilon=check_real("epsilon", epsilon, 0, above=True),
    )
    backend.optimizer_step(parameter, g)
    return parameter.value, parameter.first, parameter.second


def _with_bias_column(
    backend: Backend, hidden: npt.ArrayLike, decoder: npt.ArrayLike, bias: npt.ArrayLike | None, users: int, items: int
) -> tuple[FloatArray, FloatArray]:
    """Return [H 1] and [D c]."""
    dense = backend.inputs.dense
    h = dense("hidden", hidden, (users, None), f"one row for each of the {users} users")
    units = h.shape[1]
    rule = f"one row for each of the {items} items and one column for each of the {units} hidden units"
    d = dense("decoder", decoder, (items, units), rule)
    c = 0 if bias is None else dense("bias", bias, (items,), f"one value for each of the {items} items")
    h1, d1 = backend.empty(users, units + 1), backend.empty(items, units + 1)
    h1[:, :-1], h1[:, -1], d1[:, :-1], d1[:, -1] = h, 1, d, c
    return h1, d1


def _split_bias_column(loss: Any, grad_hidden: FloatArray, grad_decoder: FloatArray) -> HeadGradients:
    return float(loss), grad_hidden[:, :-1].copy(), grad_decoder[:, :-1].copy(), grad_decoder[:, -1].copy()
