"""Random draws of training: dropout, negative samples."""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt
from scipy import sparse

from fastautorec._checks import check_bool, check_int, check_rate, check_real
from fastautorec._compute.arrays import check_rows, check_something_left, check_weights
from fastautorec._compute.inputs import UserItems
from fastautorec._compute.protocol import Backend, FloatArray
from fastautorec._compute.sampling import MAX_SAMPLES, make_sampler, popularity_weights
from fastautorec.ops._operation import operation, take


@operation(arrays=1)
def drop_entries(
    backend: Backend,
    user_items: UserItems,
    rate: float,
    *,
    seed: int = 0,
    epoch: int = 0,
    num_threads: int | None = None,
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
    x = take(backend, "values", "user_items", user_items)
    rate = check_rate("rate", rate)
    seed = check_int("seed", seed, 0, 2**64 - 1)
    return backend.give(backend.drop_entries(x, rate, seed, check_int("epoch", epoch, 0, 2**32 - 1)))


@operation(arrays=1)
def sample_negatives(
    backend: Backend,
    user_items: UserItems,
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
        1 draws by popularity (the paper), 0 all n items alike, also those without users; 0.75 is word2vec's choice.
    exclude_positives : bool
        Draw a user none of its own items: p restricted to the others. The paper does not exclude them.
    seed : int, 0 <= seed < 2**64
    epoch : int, 0 <= epoch < 2**32
        Another epoch draws other samples.
    rows : array (q,), int, optional
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
    x = take(backend, "user_items", "user_items", user_items, fitting=weights is None)
    n_samples = check_int("n_samples", n_samples, 1, MAX_SAMPLES)
    power = check_real("power", power, 0)
    exclude_positives = check_bool("exclude_positives", exclude_positives)
    seed = check_int("seed", seed, 0, 2**64 - 1)
    epoch = check_int("epoch", epoch, 0, 2**32 - 1)
    users = np.arange(x.shape[0]) if rows is None else check_rows("rows", rows, x.shape[0])
    if weights is None:
        p = popularity_weights(backend.count_items(x), power)
    elif power != 1:
        raise ValueError(f"`power` must stay 1 where `weights` are given, got {power:g}; raise the weights to it")
    else:
        p = check_weights("weights", weights, x.n_cols)
    sampler = make_sampler(p, n_samples)
    exclude = x.take_rows(users) if exclude_positives else None
    if exclude is not None:
        check_something_left(exclude, sampler.widths())
    pattern, counts = backend.sample_negatives(sampler, users, exclude, seed, epoch)
    return backend.give(pattern.with_data(cast(FloatArray, counts)))  # counts are integers
