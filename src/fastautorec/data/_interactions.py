"""The binary user-item matrix with the ids of its rows and columns and the times of its interactions."""

from __future__ import annotations

import sys
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from fastautorec._checks import check_bool, check_real
from fastautorec._compute.csr import Csr
from fastautorec._compute.inputs import SparseMatrix, UserItems, check_user_items, finite_float32
from fastautorec._types import Columns, DataFrame
from fastautorec.data import _columns as columns
from fastautorec.data import _naming as naming
from fastautorec.data import _tables as tables
from fastautorec.data._description import Description, Source
from fastautorec.data._frames import Coded, Frames
from fastautorec.data._identity import ITEMS, USERS, own_ids
from fastautorec.data._matrices import owned, without_copies
from fastautorec.data._missing import RAISE
from fastautorec.data._on_disk import OnDisk
from fastautorec.data._repeats import GIVE_TIMES, LAST, Mask, Repeats, check_repeats, repeats_of
from fastautorec.data._roles import Words
from fastautorec.data._sizes import size_of


class Interactions(OnDisk, Frames):
    """Who interacted with what: a binary matrix, the ids of its rows and columns, and optionally the times.

    The same interaction seen again counts once. Wherever two of them meet (training and test data,
    data and a model), users and items that have ids are compared by them: the same ones in another order are put in
    order, others are refused. ``a + b`` joins two of them, ``len`` counts interactions.

    Parameters
    ----------
    user_items : scipy sparse (m, n)
        Values 0 or 1 of any dtype. Interactions are taken too, with the ids and times that they have.
    user_ids, item_ids : array of integers or strings (m,) and (n,), optional
        Id of each row and column; their numbers by default, which are not compared.
    timestamps : scipy sparse (m, n) or array (nnz,), optional
        Time of each interaction, as a matrix with the pattern of ``user_items`` or in the order of its stored entries.
        Any numbers that grow with time; seconds since 1970 by habit.
    weights : scipy sparse (m, n) or array (nnz,), optional
        How much each interaction counts, above 0, such as plays or a price, given as ``timestamps`` are; those of an
        interaction that is stored twice are added up. `baselines.WRMF` takes them into its confidences. The other
        models take interactions as binary, with weights as without: their objectives have 0 and 1 only.
    repeats : {"last", "first"}
        At which of its times an interaction counts that is stored several times. "first" needs ``timestamps``.

    Attributes
    ----------
    user_items : CSR (m, n), float32
        Canonical: item indices ascending within a row, no duplicates, all values 1.
    user_ids, item_ids : array (m,) and (n,)
        Read-only; int64, or texts, of ``numpy.dtypes.StringDType()`` from NumPy 2 on and of fixed width before.
        ``ids.tolist()`` gives Python's own numbers and texts.
    timestamps : array (nnz,) or None
        In the order of the stored entries of ``user_items``.
    weights : float32 array (nnz,) or None
        In the same order.

    Raises
    ------
    TypeError
        For anything but a scipy sparse matrix.
    ValueError
        For values other than 0 and 1, ids that repeat, lengths that do not fit, or a weight that is not above 0.

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

    _source: Source | None = None  # None unless they were read from a rating file or a table that was looked through

    def __init__(
        self,
        user_items: UserItems,
        user_ids: npt.ArrayLike | None = None,
        item_ids: npt.ArrayLike | None = None,
        timestamps: npt.ArrayLike | SparseMatrix | None = None,
        weights: npt.ArrayLike | SparseMatrix | None = None,
        *,
        repeats: str = LAST,
    ) -> None:
        csr = check_user_items("user_items", user_items)
        check_repeats(repeats, timestamps is not None, GIVE_TIMES)
        self.timestamps = self.weights = None
        if weights is not None:
            self.weights = naming.aligned_weights(user_items, weights, csr)
        elif isinstance(user_items, Interactions) and user_items.weights is not None:
            self.weights = np.array(user_items.weights)
        if timestamps is not None:
            self.timestamps, self._repeats = naming.aligned_times(user_items, timestamps, csr, repeats)
        elif isinstance(user_items, Interactions) and user_items.timestamps is not None:
            self.timestamps, self._repeats = np.array(user_items.timestamps), user_items._repeats
        self.user_items = owned(csr, user_items)
        user_ids = own_ids(user_items, USERS) if user_ids is None else user_ids
        item_ids = own_ids(user_items, ITEMS) if item_ids is None else item_ids
        self.user_ids = naming.check_labels("user_ids", user_ids, csr.shape[0], "rows")
        self.item_ids = naming.check_labels("item_ids", item_ids, csr.shape[1], "columns")
        self._ids_given = (user_ids is not None, item_ids is not None)

    @classmethod
    def from_dataframe(
        cls,
        df: Columns,
        user: str | None = None,
        item: str | None = None,
        rating: str | bool | None = None,
        timestamp: str | bool | None = None,
        threshold: float | None = None,
        *,
        weights: str | None = None,
        repeats: str = LAST,
        missing: str = RAISE,
        verbose: bool = True,
    ) -> Interactions:
        """Build from a table with one row per interaction or rating.

        Where ``user`` or ``item`` is not given, the columns that are not given are looked for by name, as by
        `read_ratings`, and what was taken is printed; where that is not clear, the table is refused, and the message
        has the arguments to pass.

        Parameters
        ----------
        df : pandas or polars DataFrame, pyarrow Table or RecordBatch, structured array, or dict of arrays
            Or a polars LazyFrame, of which the columns that are taken are collected.
        user, item : str, optional
            Columns of integer or string ids. Rows and columns of the matrix follow the ids in ascending order.
            Integers of every width become int64; so do floats and decimals that are whole numbers, as pandas makes of
            integers, but not where a float could be several integers (from 2**53 on). Texts stay texts: ``"1"``,
            ``"1.0"`` and ``1`` are three ids, and ``"a"`` and ``"a "`` two, as in Parquet; in text files `read_ratings`
            takes blanks around a field away. Texts that are lists, such as ``"[1, 2]"``, are refused.
        rating : str, optional
            Column of numbers; False where there is none, whatever the columns are called.
        timestamp : str, optional
            Column of numbers, dates, durations, or ISO 8601 texts; False where there is none. Dates become seconds
            since 1970, durations seconds, whatever the unit of the column; numbers stay as they are. Numbers that are
            plainly seconds beside milliseconds, or texts of both numbers and dates, are refused.
        threshold : float, optional
            A rating >= ``threshold`` is positive; lower ones are left out, and so are users and items without any
            positive one. Without it every row is positive, whatever its rating. A pair that occurs several times is
            positive if any of its ratings is.
        weights : str, optional
            Column of numbers above 0: how much each row counts. Those of a pair that occurs several times are added up.
            No column is taken for weights by its name. Rows that ``threshold`` leaves out may have any number. Where
            ``rating`` is to be the same column, say both.
        repeats : {"last", "first"}
            At which time a pair counts that is positive several times, as in `read_ratings`.
        missing : {"raise", "drop"}
            What to do with rows that have no user, item, rating, time or weight, as in `read_ratings`; ids that are
            empty texts are none.
        verbose : bool
            Print two lines to standard error where columns were looked for, ratings leave rows out, or are not used:
            what was taken for what, and what the data hold.

        Returns
        -------
        Interactions

        Raises
        ------
        ValueError
            For a missing column or one that is not clear, ``threshold`` without ``rating`` or above all of them, a
            missing value, or one that is no id, number, time or weight, with its row; or for a text such as ``NULL``
            among integer ids.

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
        >>> table = {"customer_id": ["ann", "bob"], "sku": ["tea", "salt"], "pieces": [3, 1]}
        >>> data = Interactions.from_dataframe(table, weights="pieces", verbose=False)
        >>> data.user_ids.tolist(), data.item_ids.tolist(), data.weights.tolist()
        (['ann', 'bob'], ['salt', 'tea'], [3.0, 1.0])
        >>> print(data.describe().lines()[0])
        dict: table, 3 columns: customer_id → user (by name), sku → item (by name), pieces → weights (given)
        """
        check_bool("verbose", verbose)
        words = Words(user, item, rating, timestamp, weights=weights, repeats=repeats, missing=missing)
        words.check_rules()
        found = tables.read_table(df, words, threshold)
        data = cls._from_columns(
            found.users, found.items, found.ratings, found.times, threshold, found.weights, repeats
        )
        data._source = source = found.source
        n_rows = source.take_ratings(found.ratings, threshold, len(found.users[1]))
        source.repeated, source.repeats = n_rows - data.nnz, repeats
        looked_for = user is None or item is None
        if verbose and (looked_for or source.notes or any(count for count, _ in source.dropped)):
            sys.stderr.write("".join(f"{line}\n" for line in data.describe().lines()))
        return data

    @classmethod
    def _from_columns(
        cls,
        users: tuple[npt.NDArray[Any], columns.Codes],
        items: tuple[npt.NDArray[Any], columns.Codes],
        ratings: npt.NDArray[Any] | None,
        times: npt.NDArray[Any] | None,
        threshold: float | None,
        weights: npt.NDArray[np.float32] | None,
        repeats: str,
        moved: Mask | None = None,
    ) -> Interactions:
        check_repeats(repeats, times is not None, "name their column with timestamp=COLUMN")
        (user_ids, rows), (item_ids, cols) = users, items
        lengths = {len(column) for column in (rows, cols, ratings, times, weights) if column is not None}
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
            rows, cols = rows[positive], cols[positive]
            times, weights = (None if its is None else its[positive] for its in (times, weights))
            user_ids, rows = columns.compact(user_ids, rows)
            item_ids, cols = columns.compact(item_ids, cols)
        shape = (len(user_ids), len(item_ids))
        indptr, indices, times, moved = columns.pair_matrix(rows, cols, shape, times, repeats, moved)
        if weights is not None:
            weights = finite_float32("weights", naming.summed(rows, cols, weights, shape).data)
        matrix = sparse.csr_matrix((np.ones(len(indices), np.float32), indices, indptr), shape=shape)
        return cls._trusted(matrix, user_ids, item_ids, times, weights, repeats=repeats_of(repeats, moved))

    @classmethod
    def _trusted(
        cls,
        user_items: sparse.csr_matrix,
        user_ids: npt.NDArray[Any],
        item_ids: npt.NDArray[Any],
        timestamps: npt.NDArray[Any] | None,
        weights: npt.NDArray[np.float32] | None,
        ids_given: tuple[bool, bool] = (True, True),
        repeats: Repeats | None = None,
    ) -> Interactions:
        """Build from parts that are canonical already."""
        self = cls.__new__(cls)
        self._ids_given, self._repeats = ids_given, repeats
        self.user_items, self.timestamps, self.weights = user_items, timestamps, weights
        self.user_ids, self.item_ids = naming.locked(user_ids), naming.locked(item_ids)
        return self

    def _like(
        self,
        csr: Csr,
        timestamps: npt.NDArray[Any] | None,
        weights: npt.NDArray[np.float32] | None,
        user_ids: npt.NDArray[Any] | None = None,
        item_ids: npt.NDArray[Any] | None = None,
    ) -> Interactions:
        users, items = self._ids_given
        given = users or user_ids is not None, items or item_ids is not None
        ids = self.user_ids if user_ids is None else user_ids, self.item_ids if item_ids is None else item_ids
        if self._csr is not None:
            return self._mapped(csr, *ids, timestamps, weights, given, self._repeats)
        return self._trusted(owned(csr, self), *ids, timestamps, weights, given, self._repeats)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy needs, and nothing that was looked up in the meantime: hashes stay what they are."""
        matrix = {"user_items": self.user_items} if self._csr is None else {"_csr": self._csr}
        ids = {"user_ids": self.user_ids, "item_ids": self.item_ids, "_ids_given": self._ids_given}
        beside = {"timestamps": self.timestamps, "weights": self.weights}
        return {**matrix, **ids, **beside, "_source": self._source, "_repeats": self._repeats}

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

    def __len__(self) -> int:
        """Return the number of interactions."""
        return self.nnz

    def __array__(self, *_: Any, **__: Any) -> Any:
        """Refuse to become an array, which would be one of a single object."""
        raise TypeError(
            "Interactions are no array: take .user_items, a scipy sparse matrix, or, for the tools of scikit-learn, "
            "fastautorec.model_selection.Samples(data), with cv=UserKFold(); in place of train_test_split, "
            "fastautorec.split(data)"
        )

    def _named_columns(self) -> dict[str, npt.NDArray[Any] | Coded]:
        csr = check_user_items("user_items", self).rebased()
        rows = np.repeat(np.arange(csr.shape[0]), csr.row_lengths())
        named: dict[str, Any] = {"user": Coded(self.user_ids, rows), "item": Coded(self.item_ids, csr.indices)}
        beside = {"timestamp": self.timestamps, "weight": self.weights}
        return named | {name: values for name, values in beside.items() if values is not None}

    def to_frame(self) -> DataFrame:
        """Return a pandas DataFrame with a row for each interaction; ``to_polars`` and ``to_arrow`` return others.

        Rows are in the order of users and items. Users and items without interactions have no row.

        Returns
        -------
        DataFrame
            Columns user and item, which hold ids or, where there are none, numbers; timestamp and weight where the data
            have them. `from_dataframe` knows these names, but for the weight.

        Raises
        ------
        ImportError
            Without pandas.

        Examples
        --------
        >>> from scipy import sparse
        >>> from fastautorec.data import Interactions
        >>> data = Interactions(sparse.csr_matrix([[1, 0, 1]]), user_ids=["ann"], timestamps=[20, 10])
        >>> data.to_frame()
          user  item  timestamp
        0  ann     0         20
        1  ann     2         10
        """
        return self.to_pandas()

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
        return Description.of(csr, self, self.timestamps)

    def __repr__(self) -> str:
        m, n = self.shape
        percent = 100 * self.nnz / max(m * n, 1)
        return f"Interactions({m:,} users, {n:,} items, {self.nnz:,} interactions, density {percent:.3g} %)"

    def _repr_html_(self) -> str:
        """Return what a notebook shows; of data on disk no times, for all of them would have to be read."""
        csr = check_user_items("user_items", self)
        times = self.timestamps if self._csr is None else None
        return Description.of(csr, self, times)._repr_html_()
