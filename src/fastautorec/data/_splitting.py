"""Splits: each user's interactions by share, the last ones, global points in time; windows of time; groups of users."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from scipy import sparse

from fastautorec._checks import check_choice, check_int, check_random_state, check_real, kind, warn_caller
from fastautorec._compute.csr import Csr
from fastautorec._compute.inputs import check_user_items
from fastautorec.data import _points as points
from fastautorec.data import _splits
from fastautorec.data._align import UNKNOWN
from fastautorec.data._interactions import Interactions
from fastautorec.data._repeats import times_of

Data = TypeVar("Data")  # Interactions, or a scipy sparse matrix or array
Parts = npt.NDArray[np.integer[Any]]  # which part each stored entry belongs to

RATIOS = (0.5, 0.2, 0.3)
KEPT = " (unknown='drop' leaves them out)"  # a command has no such option
WAYS = ("time", "random", "date", "last")
_WORDS = {"ratios": ("time", "random"), "at": ("date",), "n": ("last",)}  # which ways an argument belongs to


def split(
    data: Data,
    ratios: Iterable[float] | None = None,
    by: str = "time",
    random_state: int | np.random.Generator = 0,
    *,
    at: float | str | date | np.datetime64 | Sequence[float | str | date | np.datetime64] | None = None,
    n: int | Sequence[int] | None = None,
    unknown: str = "keep",
) -> tuple[Data, ...]:
    """Split interactions into parts, such as train, validation and test.

    With "time" and "random", a user's interactions are put in order and cut at the cumulative ratios of their number,
    rounded up: with the default ratios and 5 interactions, 3 to train, 1 to validate, 1 to test. Every user with
    history has some in the first part. Short histories have nothing in later parts; a warning tells of a part that is
    empty for all users, and how many interactions the ratios need.

    With "last", each user's last interactions are held out (leave-last-out) [1]_. With "date", all users are cut at the
    same time, as in service: nothing in the first part is later than anything in the second [2]_.

    A pair that came several times counts at its latest one, unless the rows were read with ``repeats="first"``. So what
    a user had before a cut in time and again after it is tested as if it were new; a warning counts such pairs, once
    for all that is made of the same rows.

    Parameters
    ----------
    data : Interactions or scipy sparse (m, n)
    ratios : sequence of float, optional
        With "time" and "random": two or more positive numbers with sum 1; 0.5, 0.2 and 0.3 by default.
    by : {"time", "random", "date", "last"}
        What decides: each user's order by timestamps, the oldest first, ties by item index; a random order of each
        user; points in time for all users; each user's last interactions by timestamps, ties by item index.
    random_state : int or Generator
        Seed of the random order.
    at : number, date, ISO 8601 text, or an ascending sequence of them, optional
        With "date": where the next part begins; what happened at that very time belongs to it. A number is in the unit
        of the timestamps. Dates and texts are UTC unless they say otherwise, and need timestamps in seconds since 1970,
        or in milli-, micro- or nanoseconds.
    n : int or sequence of int, optional
        With "last": how many interactions of each user go to the last part, 1 by default; or to each part after the
        first, such as (1, 1) for validation and test. Users who would have none left stay in the first part as a whole,
        with a warning that counts them.
    unknown : {"keep", "drop", "raise"}
        What to do with interactions of a later part whose user or item no earlier part has. "keep" keeps them: users
        without training items are left out of an evaluation and counted there, and items that no model can find count
        as missed. "drop" leaves them out. "raise" refuses them. With "date" and "last" a warning counts them even where
        they are kept, and wherever they are dropped.

    Returns
    -------
    tuple, one per part, of the type of ``data``
        Each (m, n), also where users or items of it have nothing; Interactions share the ids.

    Raises
    ------
    TypeError, ValueError
        For ratios that do not sum to 1, data without timestamps where ``by`` needs them, an argument that belongs to
        another ``by``, a point in time of another unit than the timestamps, or points or ``n`` that leave a part
        nothing.

    References
    ----------
    .. [1] S. Rendle, C. Freudenthaler, Z. Gantner and L. Schmidt-Thieme, "BPR: Bayesian personalized ranking from
       implicit feedback", UAI 2009.
    .. [2] Z. Meng, R. McCreadie, C. Macdonald and I. Ounis, "Exploring data splitting strategies for the evaluation of
       recommendation models", RecSys 2020.

    Examples
    --------
    >>> from scipy import sparse
    >>> from fastautorec.data import Interactions, split
    >>> data = Interactions(sparse.csr_matrix([[1, 1, 1, 1, 1]]), timestamps=[30, 20, 50, 10, 40])
    >>> train, validation, test = split(data)
    >>> train.user_items.indices, validation.user_items.indices, test.user_items.indices
    (array([0, 1, 3], dtype=int32), array([4], dtype=int32), array([2], dtype=int32))

    All users cut at the same time, and the last interaction of each:

    >>> data = Interactions(sparse.csr_matrix([[1, 1, 1], [1, 1, 1]]), timestamps=[10, 20, 30, 50, 11, 9])
    >>> train, test = split(data, by="date", at=30)
    >>> train.user_items.toarray().tolist(), test.user_items.toarray().tolist()
    ([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]], [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    >>> train, test = split(data, by="last", n=1)
    >>> test.user_items.toarray().tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    check_choice("by", by, WAYS)
    check_choice("unknown", unknown, UNKNOWN)
    for name, value in (("ratios", ratios), ("at", at), ("n", n)):
        if value is not None and by not in _WORDS[name]:
            ways = " and ".join(f"by={way!r}" for way in _WORDS[name])
            raise ValueError(f"`{name}` belongs to {ways}, got {name}={value!r} and by={by!r}")
    csr = check_user_items("data", data)
    if by == "date":
        if at is None:
            raise ValueError("`at` must say where the next part begins with by='date', such as at='2024-02-01'")
        moments = _times_of(data, "by='date'")
        borders = points.points_in(moments, at)
        part, n_parts = _splits.parts_between(moments, borders), len(borders) + 1
    elif by == "last":
        counts = _check_last(n)
        cuts = _splits.last_cuts(counts)
        part, n_parts = _splits.assign_parts(csr.indptr, cuts, _times_of(data, "by='last'")), len(counts) + 1
    else:
        shares = _splits.check_ratios(RATIOS if ratios is None else ratios)
        if by == "time":
            order_by = _times_of(data, "by='time'")
        else:
            order_by = check_random_state(random_state).integers(2**32, size=csr.nnz, dtype=np.uint32)
        if empty := _splits.empty_part(csr.indptr, shares):
            warnings.warn(f"{empty}; give other `ratios`", stacklevel=2)
        part = _splits.assign_parts(csr.indptr, _splits.share_cuts(shares), order_by)
        n_parts = len(shares)
    if by in ("date", "last"):
        _refuse_empty(by, part, n_parts, csr)
    told = _splits.whole_histories(csr.row_lengths(), counts) if by == "last" else ""
    known = _Known(csr, unknown, silent=by not in ("date", "last"))
    for number in range(1, n_parts):
        told = "; ".join(filter(None, (told, known.look(part, number, f"part {number + 1}"))))
    if told:
        warnings.warn(told, stacklevel=2)
    return tuple(take_entries(data, csr, part == number) for number in range(n_parts))


def rolling(
    data: Interactions, period: float | timedelta | np.timedelta64, folds: int = 5, *, unknown: str = "keep"
) -> Iterator[tuple[Interactions, Interactions]]:
    """Yield training and test data for windows of time that follow each other up to the last interaction.

    Each window is tested with all earlier data as training data, like a service that fits anew at the beginning of each
    period: a window holds what is later than its beginning and not later than its end, and the end of the last one is
    the last timestamp.

    Parameters
    ----------
    data : Interactions (m, n)
        With timestamps.
    period : number or duration
        Length of a window, as a ``datetime.timedelta`` or ``numpy.timedelta64`` where the timestamps are seconds since
        1970, or milli-, micro- or nanoseconds; or as a number in their unit, of such times from 1000 on.
    folds : int
        Number of windows.
    unknown : {"keep", "drop", "raise"}
        What to do with test interactions whose user or item the training data do not have, as in `split`. A warning
        counts them.

    Yields
    ------
    train, test : Interactions (m, n)
        The oldest window first; all share the ids.

    Raises
    ------
    TypeError, ValueError
        Before the first window, for data without timestamps, a period of another unit, more windows than there is time
        for, or a window in which nothing happened.

    Examples
    --------
    >>> from scipy import sparse
    >>> from fastautorec.data import Interactions, rolling
    >>> data = Interactions(sparse.csr_matrix([[1, 1, 1], [1, 1, 1]]), timestamps=[10, 20, 30, 40, 11, 9])
    >>> for train, test in rolling(data, period=10, folds=2):
    ...     train.nnz, test.nnz
    (4, 1)
    (5, 1)
    """
    check_choice("unknown", unknown, UNKNOWN)
    check_int("folds", folds, 1)
    if not isinstance(data, Interactions):
        raise TypeError(f"`data` must be Interactions with timestamps, got {kind(data)}")
    csr, moments = check_user_items("data", data), _times_of(data, "rolling")
    starts = points.window_starts(moments, period, folds)
    part = _splits.parts_between(moments, starts)
    counts = np.bincount(part, minlength=folds + 1)
    if not counts.all():
        empty = int(np.argmin(counts))
        raise ValueError(
            f"`period` {period} leaves window {empty} of {folds} empty, from "
            f"{points.shown_time(starts[empty - 1].item(), moments)} on: nothing happened there; give a longer one"
        )
    return _windows(data, csr, part, folds, unknown)


def _windows(
    data: Interactions, csr: Csr, part: Parts, folds: int, unknown: str
) -> Iterator[tuple[Interactions, Interactions]]:
    for number in range(1, folds + 1):
        own = part.copy()
        if told := _Known(csr, unknown).look(own, number, f"window {number} of {folds}"):
            warn_caller(told)
        yield take_entries(data, csr, part < number), take_entries(data, csr, own == number)


def split_users(data: Data, fraction: float = 0.05, random_state: int | np.random.Generator = 0) -> tuple[Data, Data]:
    """Split the users in two groups at random, to test on users that the model has never seen (cold start).

    Parameters
    ----------
    data : Interactions or scipy sparse (m, n)
    fraction : float
        Share of the users to hold out, between 0 and 1; at least one user is held out and one stays.
    random_state : int or Generator

    Returns
    -------
    train : of the type of ``data``
        (m - h, n), with the rows in their old order.
    held_out : of the type of ``data``
        (h, n), the same. ``user_ids`` of Interactions tell who they are.

    Raises
    ------
    ValueError
        For a fraction that is not between 0 and 1, or fewer than two users.

    Examples
    --------
    >>> from fastautorec.data import split_users
    >>> from fastautorec.datasets import load_example
    >>> train, held_out = split_users(load_example(), fraction=0.05)
    >>> train.shape, held_out.shape
    ((16464, 5460), (866, 5460))
    """
    share = check_real("fraction", fraction, 0, 1, above=True, below=True)
    csr = check_user_items("data", data)
    m = csr.shape[0]
    if m < 2:
        raise ValueError(f"`data` must have two users or more to hold some out, got {m}")
    held = np.zeros(m, bool)
    count = min(max(round(share * m), 1), m - 1)
    held[check_random_state(random_state).choice(m, count, replace=False)] = True
    return _take_users(data, csr, ~held), _take_users(data, csr, held)


# --- what the functions above use -------------------------------------------------------------------------------------


def _times_of(data: Any, who: str) -> npt.NDArray[Any]:
    moments = times_of(data)
    if moments is None:
        raise ValueError(
            f"`{who}` needs timestamps, and `data` has none; name their column in read_ratings(path, timestamp=...), "
            "give them as Interactions(user_items, timestamps=...), or use split(data, by='random')"
        )
    return moments


def _check_last(n: Any) -> tuple[int, ...]:
    """Return how many interactions the parts after the first get."""
    values = (1,) if n is None else tuple(n) if isinstance(n, (Sequence, np.ndarray)) else (n,)
    if not values or isinstance(n, str):
        raise TypeError(f"`n` must be an integer or a sequence of them such as (1, 1), got {n!r}")
    return tuple(check_int("n", value, 1) for value in values)


def _refuse_empty(by: str, part: Parts, n_parts: int, csr: Csr) -> None:
    counts = np.bincount(part, minlength=n_parts)
    if counts.all():
        return
    empty = int(np.argmin(counts))
    if by == "date":
        raise ValueError(f"`at` leaves part {empty + 1} of {n_parts} empty: nothing happened between its points")
    longest = int(csr.row_lengths().max(initial=0))
    raise ValueError(
        f"`n` leaves part {empty + 1} of {n_parts} empty: no user has an interaction more than are held out, and the "
        f"longest history has {longest:,}; give a smaller `n`"
    )


class _Known:
    """Users and items of the earlier parts; it tells what a later part has besides, or leaves that out."""

    def __init__(self, csr: Csr, unknown: str, silent: bool = False) -> None:
        self._csr, self._unknown, self._silent = csr, unknown, silent

    def look(self, part: Parts, number: int, name: str) -> str:
        """Return what to tell of a part, from which unknown users and items are taken out in place with "drop"."""
        if self._silent and self._unknown == "keep":
            return ""
        strange, users, items = _splits.strangers(self._csr, part, number)
        count = int(strange.sum())
        if not count:
            return ""
        inside = int((part == number).sum())
        told = (
            f"{name} has {users:,} users and {items:,} items that nothing before it has, with {count:,} of its "
            f"{inside:,} interactions"
        )
        if self._unknown == "raise":
            raise ValueError(f"{told}; unknown='keep' keeps them, unknown='drop' leaves them out")
        if self._unknown == "keep":
            return f"{told}: kept{KEPT}"
        if count == inside:
            raise ValueError(f"{told}: unknown='drop' leaves nothing of it; use unknown='keep'")
        part[strange] = _splits.LEFT_OUT
        return f"{told}: left out (unknown='keep' keeps them)"


def take_entries(data: Any, csr: Csr, keep: npt.NDArray[np.bool_]) -> Any:
    """Return some of the entries as the type of ``data``, of its shape."""
    indptr = np.concatenate(([0], np.cumsum(keep, dtype=np.int64)))[csr.indptr]
    return _rebuild(data, csr.indices[keep], indptr, keep)


def _take_users(data: Any, csr: Csr, users: npt.NDArray[np.bool_]) -> Any:
    lengths = csr.row_lengths()
    keep = np.repeat(users, lengths)
    indptr = np.concatenate(([0], np.cumsum(lengths[users])))
    return _rebuild(data, csr.indices[keep], indptr, keep, users)


def _rebuild(
    data: Any,
    indices: npt.NDArray[np.int32],
    indptr: npt.NDArray[np.int64],
    keep: npt.NDArray[np.bool_],
    users: npt.NDArray[np.bool_] | None = None,
) -> Any:
    """Return chosen entries as the type of ``data``."""
    shape = (len(indptr) - 1, data.shape[1])
    matrix = sparse.csr_matrix((np.ones(len(indices), np.float32), indices, indptr), shape=shape)
    if isinstance(data, Interactions):
        times, weights = (None if its is None else its[keep] for its in (data.timestamps, data.weights))
        user_ids, (users_given, items_given) = data.user_ids, data._ids_given
        if users is not None:
            user_ids, users_given = user_ids[users], True  # numbers of rows that are elsewhere now tell who they were
        given = users_given, items_given
        return Interactions._trusted(matrix, user_ids, data.item_ids, times, weights, given, data._repeats)
    like = type(data.tocsr() if data.format != "csr" else data)
    return like(matrix).asformat(data.format)
