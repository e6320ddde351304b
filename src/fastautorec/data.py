"""Interaction data: the matrix with its ids and times, rating files, and _splits."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from scipy import sparse

from fastautorec._data import columns as _columns
from fastautorec._data import splits as _splits
from fastautorec._data.identity import align
from fastautorec._data.interactions import Interactions
from fastautorec._data.layouts import FORMATS
from fastautorec._data.readers import read_columns
from fastautorec._sparse import Csr
from fastautorec._validation import check_choice, check_random_state, check_real, check_user_items
from fastautorec.exceptions import RatingsFileError

__all__ = ["Interactions", "align", "read_ratings", "split", "split_users"]

Data = TypeVar("Data")  # Interactions, or a scipy sparse matrix or array


def read_ratings(path: str | PathLike[str], format: str = "auto", threshold: float | None = None) -> Interactions:  # noqa: A002
    r"""Read a rating file.

    Text files are read by polars where it is installed (``pip install 'fastautorec[data]'``): tens of millions of
    lines in seconds. Without it a reader in plain Python does the same, at some seconds per million lines.

    Parameters
    ----------
    path : str or path
        A file; for the Netflix Prize also the folder of its ``mv_*.txt`` or ``combined_data_*.txt`` files.
    format : str
        ``"auto"`` tells the format from the file. The others say what to expect:

        - ``"csv"``, ``"tsv"``: columns user, item[, rating[, timestamp]] in this order, or with a header that names
          them (user_id, userId, item, movieId, book_id, score, date, ...; other columns are ignored)
        - ``"movielens"``: ``u.data`` (tab), ``ratings.dat`` (``::``) or ``ratings.csv``
        - ``"goodbooks"``: ``ratings.csv`` of Goodbooks-10k
        - ``"netflix"``: lines ``movie:`` followed by lines ``user,rating,date``
        - ``"yahoo"``: Yahoo! R1 (user, item, rating 0 to 100, tab); 255, "never play again", is never positive
        - ``"parquet"``: columns named as in a csv header
    threshold : float, optional
        A rating >= ``threshold`` is positive; lower ones are left out, and so are users and items without any
        positive one. Without it every row of the file is positive, whatever its rating.

    Returns
    -------
    Interactions
        Ids that are all integers are int64, others strings; both ascending. Blanks around a field are ignored. A pair
        that occurs several times counts once, at its latest time.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    RatingsFileError
        For an empty or unreadable file or a malformed line: the message gives file, line number and line.
    ValueError
        For an unknown format, or ``threshold`` with a file that has no ratings.
    ImportError
        For Parquet where neither polars nor pyarrow is installed.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from fastautorec.data import read_ratings
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "ratings.csv")
    ...     _ = path.write_text("userId,movieId,rating,timestamp\n1,10,4.5,100\n1,20,3,101\n2,10,4,102\n")
    ...     data = read_ratings(path, threshold=4)
    >>> data
    Interactions(2 users, 1 items, 2 interactions, density 100 %)
    """
    check_choice("format", format, FORMATS)
    file = Path(path)
    columns = read_columns(file, format)
    if threshold is not None and columns.rating is None:
        raise ValueError(f"`threshold` needs ratings, but {file} has none; leave `threshold` out")
    try:
        users = _columns.factorize("user", columns.user)
        items = _columns.factorize("item", columns.item)
        ratings = None if columns.rating is None else _columns.numbers("rating", columns.rating)
        moments = None if columns.timestamp is None else _columns.times("timestamp", columns.timestamp)
    except ValueError as error:
        raise RatingsFileError(f"{file}: {error}") from None
    return Interactions._from_columns(users, items, ratings, moments, threshold)


def split(
    data: Data, ratios: Iterable[float] = (0.5, 0.2, 0.3), by: str = "time", random_state: int | np.random.Generator = 0
) -> tuple[Data, ...]:
    """Split the interactions of every user into parts, such as train, validation and test.

    A user's interactions are put in order and cut at the cumulative ratios of their number, rounded up: with the
    default ratios and 5 interactions, 3 to train, 1 to validate, 1 to test. Every user with history has some in the
    first part. Short histories leave later parts nothing: a part that is empty for all users is told by a warning,
    with the number of interactions that the ratios need.

    Parameters
    ----------
    data : Interactions or scipy sparse (m, n)
    ratios : sequence of float
        Two or more positive numbers with sum 1.
    by : {"time", "random"}
        Order: by timestamps, the oldest first, ties by item index; or at random.
    random_state : int or Generator
        Seed of the random order.

    Returns
    -------
    tuple, one per ratio, of the type of ``data``
        Each (m, n); Interactions share the ids.

    Raises
    ------
    ValueError
        For ratios that do not sum to 1, or ``by="time"`` on data without timestamps.

    Examples
    --------
    >>> from scipy import sparse
    >>> from fastautorec.data import Interactions, split
    >>> data = Interactions(sparse.csr_matrix([[1, 1, 1, 1, 1]]), timestamps=[30, 20, 50, 10, 40])
    >>> train, validation, test = split(data)
    >>> train.user_items.indices, validation.user_items.indices, test.user_items.indices
    (array([0, 1, 3], dtype=int32), array([4], dtype=int32), array([2], dtype=int32))
    """
    shares = _splits.check_ratios(ratios)
    check_choice("by", by, ("time", "random"))
    csr = check_user_items("data", data)
    if by == "time":
        order_by = getattr(data, "timestamps", None)
        if order_by is None:
            raise ValueError(
                "`by='time'` needs timestamps, and `data` has none; give them as Interactions(user_items, "
                "timestamps=...), or use by='random'"
            )
    else:
        order_by = check_random_state(random_state).integers(2**32, size=csr.nnz, dtype=np.uint32)
    if empty := _splits.empty_part(csr.indptr, shares):
        warnings.warn(f"{empty}; give other `ratios`", stacklevel=2)
    part = _splits.assign_parts(csr.indptr, shares, order_by)
    return tuple(_take_entries(data, csr, part == number) for number in range(len(shares)))


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
    train, held_out : of the type of ``data``
        (m - h, n) and (h, n), with the rows in their old order. ``user_ids`` of Interactions tell who they are.

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


def _take_entries(data: Any, csr: Csr, keep: npt.NDArray[np.bool_]) -> Any:
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
        times = None if data.timestamps is None else data.timestamps[keep]
        user_ids, (users_given, items_given) = data.user_ids, data._ids_given
        if users is not None:
            user_ids, users_given = user_ids[users], True  # numbers of rows that are elsewhere now tell who they were
        return Interactions._trusted(matrix, user_ids, data.item_ids, times, (users_given, items_given))
    like = type(data.tocsr() if data.format != "csr" else data)
    return like(matrix).asformat(data.format)
