"""The binary user-item matrix with the ids of its rows and columns and the times of its interactions."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from fastautorec._checks import check_real
from fastautorec._compute.csr import Csr
from fastautorec._compute.inputs import check_user_items
from fastautorec.data import _columns as columns
from fastautorec.data import _doubtful as doubtful
from fastautorec.data import _naming as naming
from fastautorec.data._description import Description, Source
from fastautorec.data._identity import ITEMS, USERS, own_ids
from fastautorec.data._on_disk import OnDisk
from fastautorec.data._sizes import size_of


class Interactions(OnDisk):
    """Who interacted with what: a binary matrix, the ids of its rows and columns, and optionally the times.

    The same interaction seen again counts once, at its latest time. Wherever two of them meet (training and test data,
    data and a model), users and items that have ids are compared by them: the same ones in another order are put in
    order, others are refused. ``a + b`` joins two of them.

    Parameters
    ----------
    user_items : scipy sparse (m, n)
        Values 0 or 1 of any dtype. Interactions are taken too, with the ids and times that they have.
    user_ids : array of integers or strings (m,), optional
        Id of each row; row numbers by default, which are not compared.
    item_ids : array of integers or strings (n,), optional
        Id of each column; column numbers by default, which are not compared.
    timestamps : scipy sparse (m, n) or array (nnz,), optional
        Time of each interaction, as a matrix with the pattern of ``user_items`` or in the order of its stored entries.
        Any numbers that grow with time; seconds since 1970 by habit.

    Attributes
    ----------
    user_items : CSR (m, n), float32
        Canonical: item indices ascending within a row, no duplicates, all values 1.
    user_ids, item_ids : array (m,) and (n,)
        Read-only; int64, or texts: from NumPy 2 on of its variable-width type ``numpy.dtypes.StringDType()``, so that a
        long id takes no more room than it needs, before of fixed width. ``ids.tolist()`` gives Python's own numbers and
        texts.
    timestamps : array (nnz,) or None
        In the order of the stored entries of ``user_items``.

    Raises
    ------
    TypeError
        For anything but a scipy sparse matrix.
    ValueError
        For values other than 0 and 1, ids that repeat, or lengths that do not fit.

    Examples
    --------
    >>> from scipy import sparse
    >>> from fastautorec.data import Interactions
    >>> data = Interactions(sparse.csr_matrix([[1, 0, 1], [0, 1, 0]]), user_ids=["ann", "bob"])
    >>> data
    Interactions(2 users, 3 items, 3 interactions, density 50 %)
    >>> data.user_index("bob")
    1
    >>> data.user_items[data.user_index("ann")].indices
    array([0, 2], dtype=int32)
    """

    _source: Source | None = None  # None unless they were read from a rating file

    def __init__(self, user_items: Any, user_ids: Any = None, item_ids: Any = None, timestamps: Any = None) -> None:
        csr = check_user_items("user_items", user_items)
        self.timestamps = None
        if timestamps is not None:
            self.timestamps = naming.aligned_times(user_items, timestamps, csr)
        elif isinstance(user_items, Interactions) and user_items.timestamps is not None:
            self.timestamps = np.array(user_items.timestamps)
        self.user_items = _owned(csr, user_items)
        user_ids = own_ids(user_items, USERS) if user_ids is None else user_ids
        item_ids = own_ids(user_items, ITEMS) if item_ids is None else item_ids
        self.user_ids = naming.check_labels("user_ids", user_ids, csr.shape[0], "rows")
        self.item_ids = naming.check_labels("item_ids", item_ids, csr.shape[1], "columns")
        self._ids_given = (user_ids is not None, item_ids is not None)

    @classmethod
    def from_dataframe(
        cls,
        df: Any,
        user: str,
        item: str,
        rating: str | None = None,
        timestamp: str | None = None,
        threshold: float | None = None,
    ) -> Interactions:
        """Build from a table with one row per interaction or rating.

        Parameters
        ----------
        df : pandas or polars DataFrame, pyarrow Table or RecordBatch, structured array, or dict of arrays
        user, item : str
            Columns of integer or string ids. Rows and columns of the matrix follow the ids in ascending order.
            Integers of every width become int64; so do floats and decimals that are whole numbers, as pandas makes of
            integers, but not where a float could be several integers (from 2**53 on). Texts stay texts: ``"1"``,
            ``"1.0"`` and ``1`` are three ids, and ``"a"`` and ``"a "`` two, as in Parquet; in text files `read_ratings`
            takes blanks around a field away. Texts that are lists, such as ``"[1, 2]"``, are refused.
        rating : str, optional
            Column of numbers.
        timestamp : str, optional
            Column of numbers, dates, durations, or ISO 8601 texts. Dates become seconds since 1970, durations seconds,
            whatever the unit of the column; numbers stay as they are. Numbers that are plainly seconds beside
            milliseconds, or texts of both numbers and dates, are refused.
        threshold : float, optional
            A rating >= ``threshold`` is positive; lower ones are left out, and so are users and items without any
            positive one. Without it every row is positive, whatever its rating. A pair that occurs several times is
            positive if any of its ratings is, at the time of the latest positive one.

        Returns
        -------
        Interactions

        Raises
        ------
        ValueError
            For a missing column, ``threshold`` without ``rating`` or above all of them, a missing value,
            or one that is no id, number or time, with its row; or for a text such as ``NULL`` among integer ids.

        Warns
        -----
        UserWarning
            For a text such as ``nan``, ``NULL`` or ``-`` among other texts, which may stand for no id.

        Examples
        --------
        >>> from fastautorec.data import Interactions
        >>> table = {"who": ["ann", "bob", "ann"], "what": [10, 10, 30], "stars": [5, 2, 4]}
        >>> data = Interactions.from_dataframe(table, user="who", item="what", rating="stars", threshold=4)
        >>> data.user_ids.tolist(), data.item_ids.tolist()
        (['ann'], [10, 30])
        """
        ratings = None if rating is None else columns.numbers(rating, naming.column(df, "rating", rating))
        moments = None if timestamp is None else columns.times(timestamp, naming.column(df, "timestamp", timestamp))
        users = columns.factorize(user, naming.column(df, "user", user))
        items = columns.factorize(item, naming.column(df, "item", item))
        for role, heading, found in (("user", user, users), ("item", item, items)):
            doubtful.check_lists(role, heading, found[0])
            doubtful.check_gaps(role, *found, "row {}".format)
            doubtful.check_floats(role, found[0])
        return cls._from_columns(users, items, ratings, moments, threshold)

    @classmethod
    def _from_columns(
        cls,
        users: tuple[npt.NDArray[Any], columns.Codes],
        items: tuple[npt.NDArray[Any], columns.Codes],
        ratings: npt.NDArray[Any] | None,
        times: npt.NDArray[Any] | None,
        threshold: float | None,
    ) -> Interactions:
        (user_ids, rows), (item_ids, cols) = users, items
        lengths = {len(column) for column in (rows, cols, ratings, times) if column is not None}
        if len(lengths) > 1:
            raise ValueError(f"the columns must have equal lengths, got {', '.join(map(str, sorted(lengths)))}")
        if threshold is not None:
            threshold = check_real("threshold", threshold)
            if ratings is None:
                raise ValueError(f"`threshold` needs a column of ratings, got threshold={threshold:g} and none")
            with np.errstate(over="ignore"):  # narrow ratings may not reach the threshold
                positive = ratings >= threshold
            if len(positive) and not positive.any():
                raise ValueError(
                    f"`threshold` {threshold:g} leaves nothing, for the highest rating is {ratings.max():g}; lower it"
                )
            rows, cols, times = rows[positive], cols[positive], None if times is None else times[positive]
            user_ids, rows = columns.compact(user_ids, rows)
            item_ids, cols = columns.compact(item_ids, cols)
        shape = (len(user_ids), len(item_ids))
        indptr, indices, times = columns.pair_matrix(rows, cols, shape, times)
        matrix = sparse.csr_matrix((np.ones(len(indices), np.float32), indices, indptr), shape=shape)
        return cls._trusted(matrix, user_ids, item_ids, times)

    @classmethod
    def _trusted(
        cls,
        user_items: sparse.csr_matrix,
        user_ids: npt.NDArray[Any],
        item_ids: npt.NDArray[Any],
        timestamps: npt.NDArray[Any] | None,
        ids_given: tuple[bool, bool] = (True, True),
    ) -> Interactions:
        """Build from parts that are canonical already."""
        self = cls.__new__(cls)
        self._ids_given = ids_given
        self.user_items, self.timestamps = user_items, timestamps
        self.user_ids, self.item_ids = naming.locked(user_ids), naming.locked(item_ids)
        return self

    def _like(
        self,
        csr: Csr,
        timestamps: npt.NDArray[Any] | None,
        user_ids: npt.NDArray[Any] | None = None,
        item_ids: npt.NDArray[Any] | None = None,
    ) -> Interactions:
        users, items = self._ids_given
        given = users or user_ids is not None, items or item_ids is not None
        ids = self.user_ids if user_ids is None else user_ids, self.item_ids if item_ids is None else item_ids
        if self._csr is not None:
            return self._mapped(csr, *ids, timestamps, given)
        return self._trusted(_owned(csr, self), *ids, timestamps, given)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy needs, and nothing that was looked up in the meantime: hashes stay what they are."""
        matrix = {"user_items": self.user_items} if self._csr is None else {"_csr": self._csr}
        ids = {"user_ids": self.user_ids, "item_ids": self.item_ids, "_ids_given": self._ids_given}
        return {**matrix, **ids, "timestamps": self.timestamps, "_source": self._source}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take what `__getstate__` returned; a pickle does not say that ids are read-only."""
        self.__dict__.update(state)
        for ids in (self.user_ids, self.item_ids):
            naming.locked(ids)

    def __sizeof__(self) -> int:
        """Return the bytes that the arrays take, for caches that ask; user ids count once they are loaded."""
        return object.__sizeof__(self) + size_of(vars(self).values())

    @cached_property
    def user_items(self) -> sparse.csr_matrix:
        """The matrix, CSR (m, n), float32: canonical, all values 1."""
        assert self._csr is not None  # interactions in memory are made with their matrix
        return without_copies(self._csr)

    # --- what is in them ---------------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, int]:
        """Number of users m and items n."""
        m, n = self.user_items.shape if self._csr is None else self._csr.shape
        return int(m), int(n)

    @property
    def nnz(self) -> int:
        """Number of interactions."""
        return int(self.user_items.nnz) if self._csr is None else self._csr.nnz

    def describe(self) -> Description:
        """Return an account of the data and of what was taken from the file that it was read from.

        Returns
        -------
        Description
            ``str`` of it is the account; its method ``lines`` gives two lines, as `read_ratings` prints them.

        Examples
        --------
        >>> from scipy import sparse
        >>> from fastautorec.data import Interactions
        >>> print(Interactions(sparse.csr_matrix([[1, 0, 1]]), user_ids=["ann"]).describe())
        users         1
        items         3
        interactions  2 (66.7 % of all pairs)
        first         user 'ann', item 0
                      user 'ann', item 2
        """
        csr = check_user_items("user_items", self)
        return Description.of(csr, self.user_ids, self.item_ids, self.timestamps, self._source)

    def __repr__(self) -> str:
        m, n = self.shape
        percent = 100 * self.nnz / max(m * n, 1)
        return f"Interactions({m:,} users, {n:,} items, {self.nnz:,} interactions, density {percent:.3g} %)"

    def _repr_html_(self) -> str:
        """Return what a notebook shows; of data on disk no times, for all of them would have to be read."""
        csr = check_user_items("user_items", self)
        times = self.timestamps if self._csr is None else None
        return Description.of(csr, self.user_ids, self.item_ids, times, self._source)._repr_html_()


def _owned(csr: Csr, given: Any) -> sparse.csr_matrix:
    """Return a SciPy matrix that shares no memory with ``given``, whose owner may change it in place."""
    result, source = csr.to_scipy(), getattr(given, "user_items", given)
    for name in ("indptr", "indices"):
        own, its = getattr(result, name), getattr(source, name, None)
        if its is not None and its.flags.writeable and np.may_share_memory(own, its):
            setattr(result, name, own.copy())
    return result


def without_copies(csr: Csr) -> sparse.csr_matrix:
    """Return a SciPy matrix of which one 1 stands for all values; SciPy's own constructor would copy the ids."""
    matrix: Any = sparse.csr_matrix(np.zeros((1, 1), np.float32))
    matrix._shape = csr.shape
    # its functions want pointers and ids of one type; of so many entries that there is none, rows can still be taken
    small = csr.nnz <= np.iinfo(np.int32).max
    matrix.indptr, matrix.indices = csr.indptr.astype(np.int32) if small else csr.indptr, csr.indices
    matrix.data = np.broadcast_to(np.float32(1), csr.nnz)
    matrix.has_canonical_format = True
    result: sparse.csr_matrix = matrix
    return result
