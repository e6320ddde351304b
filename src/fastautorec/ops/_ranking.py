"""Best items of score rows, and metrics of ranked lists."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastautorec._checks import MAX_ITEMS, check_choice, check_cutoffs, check_int, metric_names
from fastautorec._compute.inputs import UserItems, check_matching
from fastautorec._compute.protocol import DEFINITIONS, Backend, FloatArray, IdArray
from fastautorec.ops._operation import operation, take

CUTOFFS = (5, 10, 20, 50)


@operation(arrays=3)
def top_items(
    backend: Backend, scores: npt.ArrayLike, N: int, exclude: UserItems | None = None, *, num_threads: int | None = None
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
    values = backend.inputs.dense("scores", scores, (None, None), "two dimensions (users, items)", finite=False)
    n_top = check_int("N", N, 1, MAX_ITEMS)
    left_out = None
    if exclude is not None:
        left_out = take(backend, "user_items", "exclude", exclude)
        check_matching("exclude", left_out, values.shape, "scores")
    return backend.top_items(values, n_top, left_out)


@operation(arrays=2)
def ranking_metrics(
    backend: Backend,
    item_ids: npt.ArrayLike,
    test: UserItems,
    k: int | tuple[int, ...] = CUTOFFS,
    definition: str = "standard",
    *,
    num_threads: int | None = None,
) -> dict[str, npt.NDArray[np.float64]]:
    """Return ranking metrics of each user's list; `fastautorec.evaluate_ranking` summarises them.

    Parameters
    ----------
    item_ids : array (q, K), int
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
    relevant = take(backend, "user_items", "test", test)
    ids = backend.inputs.ranking("item_ids", item_ids, *relevant.shape)
    cutoffs = check_cutoffs(k)
    check_choice("definition", definition, DEFINITIONS)
    table = backend.ranking_metrics(ids, relevant, cutoffs, definition)
    return dict(zip(metric_names(cutoffs, definition), table.T, strict=True))
