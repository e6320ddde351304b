"""The functions of the room: reading, splitting and aligning."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from scipy import sparse

from fastautorec._checks import check_bool, check_choice, check_random_state, check_real
from fastautorec._compute.csr import Csr
from fastautorec._compute.inputs import check_user_items
from fastautorec.data import _loading, _splits
from fastautorec.data._interactions import Interactions
from fastautorec.data._layouts import FORMATS
from fastautorec.data._roles import Words

Data = TypeVar("Data")  # Interactions, or a scipy sparse matrix or array


def read_ratings(
    path: str | PathLike[str],
    format: str = "auto",  # noqa: A002
    threshold: float | None = None,
    *,
    user: str | int | None = None,
    item: str | int | None = None,
    rating: str | int | bool | None = None,
    timestamp: str | int | bool | None = None,
    sep: str | None = None,
    header: bool | None = None,
    items: Any = None,
    verbose: bool = True,
) -> Interactions:
    r"""Read a rating file.

    What the file is made of is told from the file where that is clear; where it is not, the file is refused with the
    words to say. What was taken, and which columns were not, is printed.

    Without ``threshold`` every row counts as positive: also a rating of 1 star, a dislike or a rating of 0.

    Text files are read by polars where it is installed (``pip install 'fastautorec[data]'``): tens of millions of
    lines in seconds. Without it a reader in plain Python does the same, at some seconds per million lines.

    Parameters
    ----------
    path : str or path
        A file, of which text may be packed by gzip; for Parquet also a folder of parts (``*.parquet``, ``*.parq`` or
        ``*.pq``), in folders such as ``year=2024`` or not; for the Netflix Prize also the folder of its
        ``mv_*.txt`` or ``combined_data_*.txt`` files. Parts may have more
        columns than others, but the same ones for user, item, rating and time.
    format : str
        ``"auto"`` tells the format from the file. The others say what to expect:

        - ``"csv"``, ``"tsv"``: columns with a header that names them, or without one user, item[, rating[, timestamp]]
          in this order; where the first lines do not look like it, the columns are asked for
        - ``"lists"``: lines ``user item item ...`` separated by blanks; users without items are kept
        - ``"movielens"``: ``u.data`` (tab), ``ratings.dat`` (``::``) or ``ratings.csv``
        - ``"goodbooks"``: ``ratings.csv`` of Goodbooks-10k
        - ``"netflix"``: lines ``movie:`` followed by lines ``user,rating,date``
        - ``"yahoo"``: Yahoo! R1 (user, item, rating 0 to 100, tab)
        - ``"parquet"``: columns named as in a csv header

        A rating of 255 is Yahoo!'s "never play again" with ``"yahoo"``, and beside whole numbers up to 100 in a file
        that names no columns: such rows are left out.
    threshold : float, optional
        A rating >= ``threshold`` is positive; lower ones are left out, and so are users and items without any
        positive one. Without it every row of the file is positive, whatever its rating. ``True`` and ``False`` are the
        ratings 1 and 0.
    user, item, rating, timestamp : str or int, optional
        Name or position, from 0, of the column of each. Those that are given are taken as they are; the others are
        looked for by name: users and items by what the name is about (user_id, customer, member_no, Kundennummer;
        item, movieId, sku, isbn, Artikelnr, ...), ratings and times by known names only (rating, score, stars, overall,
        ...; timestamp, date, time, created_at, order_date, ...), for an average rating or a release date is none. Two
        names for one role are refused, unless one is a plain id (item_id beside sku) or the other a mere property (a
        title, a session). Where nothing but such a property is named, and a column of an unknown name may hold the ids,
        they are asked for, and so is a ``movie_rating`` that may be an average. False for ``rating`` or ``timestamp``
        says that there is none.
    sep : str, optional
        What separates fields; ``" "`` stands for any run of blanks. Quotation marks mean what they do in csv, but
        nothing where ``sep`` is a tab, blanks, ``"|"`` or ``"::"``: there a file with columns in quotation marks is
        refused. Where it is given, a quoted text may have lines that look like rows.
    header : bool, optional
        Whether the first line names the columns. Above numbers and dates its texts do; above texts alone it is data
        where one of its texts comes again in the column, or has the form of the others there, such as u1 above u2;
        else the question is left to the caller.
    items : array of integers or strings (n,), optional
        Ids that number the columns, such as ``train.item_ids`` where ``path`` is the test part of ready-made data, or
        the ``item_ids_`` of a model. Other items are left out.
    verbose : bool
        Print two lines to standard error: what was taken for what, and what the data hold.

    Returns
    -------
    Interactions
        A column of ids is int64 if each of them is an integer as it would be printed, else all are strings: 007 is no
        integer. Both ascending. Blanks around a field of a text file are ignored, those of Parquet are part of it.
        Texts that hold a list in each row are refused. A pair that occurs several times counts once, at its
        latest time. Times are numbers, which stay as they are, or dates in the forms of ISO 8601, such as 2024-02-01,
        2024-02-01 08:30:00 or 2024-02-01T08:30:00+02:00, which become seconds since 1970; not both in one file, nor
        plainly seconds beside milliseconds. The method ``describe`` tells what was read and how.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    RatingsFileError
        For an empty or unreadable file, a malformed line (the message gives file, line number and line), or one of
        which the columns, the separator or the header are not clear (the message gives the words to say).
    TypeError, ValueError
        For an unknown format, a column that is not there, ``threshold`` with a file that has no ratings, or a
        ``threshold`` or ``items`` that leaves nothing.
    ImportError
        For Parquet where neither polars nor pyarrow is installed.

    Warns
    -----
    UserWarning
        For a text among the ids that may stand for no value, such as ``nan``, ``NULL`` or ``-``: how many rows have it,
        and the first line. Where all other ids are integers, it is refused. For an id that also occurs in quotation
        marks, where these are part of it. For ids that are all texts such as ``1.0``.

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
    >>> print(*data.describe().lines(), sep="\n")
    ratings.csv: text, separated by ',', 4 columns: userId → user, ... timestamp → timestamp (by name)
    2 users, 1 items, 2 interactions, times 100 to 102; 1 rows left out for ratings below 4

    Columns of other names:

    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "sold.csv")
    ...     _ = path.write_text("cart;ware;pieces\nA7;tea;2\nA9;salt;1\n")
    ...     data = read_ratings(path, user="cart", item="ware")
    >>> data.user_ids.tolist()
    ['A7', 'A9']
    """
    check_choice("format", format, FORMATS)
    check_bool("verbose", verbose)
    if not isinstance(path, (str, PathLike)):
        raise TypeError(
            f"`path` must name a file, got {type(path).__module__.split('.')[0]}.{type(path).__name__}; of a table in "
            "memory, Interactions.from_dataframe(table, user=..., item=...) makes interactions"
        )
    words = Words(user, item, rating, timestamp, sep, header)
    data = _loading.load(Path(path), format, threshold, words, items)
    if verbose:
        sys.stderr.write("".join(f"{line}\n" for line in data.describe().lines()))
    return data


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
                "`by='time'` needs timestamps, and `data` has none; name their column in "
                "read_ratings(path, timestamp=...), give them as Interactions(user_items, timestamps=...), or use "
                "by='random'"
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
