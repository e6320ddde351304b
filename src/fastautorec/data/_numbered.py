"""The part of `Interactions` that knows who its rows and columns are: look-up, other rows and columns, sums."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from fastautorec._checks import check_bool, check_choice, check_int, few, kind, warn_caller
from fastautorec._compute.csr import Csr
from fastautorec._compute.inputs import check_user_items, finite_float32
from fastautorec._types import Id, Ids
from fastautorec.data import _identity as identity
from fastautorec.data import _naming as naming
from fastautorec.data import _rearranging as rearranging
from fastautorec.data._pairs import sorted_unique
from fastautorec.data._rearranging import core
from fastautorec.data._repeats import Repeats, joined, which_of
from fastautorec.data._times import check_joinable, evident, other_unit

if TYPE_CHECKING:
    from typing_extensions import Self


class Numbered:
    """Base of `Interactions`: ids of users and items, and what is done by them."""

    item_ids: npt.NDArray[Any]
    timestamps: npt.NDArray[Any] | None
    weights: npt.NDArray[np.float32] | None = None  # as in pickles that are older than they are
    _repeats: Repeats | None = None  # what is remembered of pairs that came several times
    _ids_given: tuple[bool, bool] = (True, True)  # for users and items; False for mere row and column numbers
    _load_user_ids: Callable[[], npt.NDArray[Any]]  # reads the ids of interactions on disk

    @cached_property
    def user_ids(self) -> npt.NDArray[Any]:
        """Id of each row, int64 or text (m,)."""
        return naming.locked(self._load_user_ids())

    @overload
    def user_index(self, ids: Id) -> int: ...  # type: ignore[overload-overlap]
    @overload
    def user_index(self, ids: Ids) -> npt.NDArray[np.int64]: ...
    def user_index(self, ids: Id | Ids) -> int | npt.NDArray[np.int64]:
        """Return the row of one user id, int, or the rows of several, int64 array.

        Raises
        ------
        KeyError
            For an id that is not in the data; the message names it and similar ones.
        """
        return naming.find("user", self._user_map, ids)

    @overload
    def item_index(self, ids: Id) -> int: ...  # type: ignore[overload-overlap]
    @overload
    def item_index(self, ids: Ids) -> npt.NDArray[np.int64]: ...
    def item_index(self, ids: Id | Ids) -> int | npt.NDArray[np.int64]:
        """Return the column of one item id, int, or the columns of several, int64 array.

        Raises
        ------
        KeyError
            For an id that is not in the data; the message names it and similar ones.
        """
        return naming.find("item", self._item_map, ids)

    def item_names(self, ids: npt.ArrayLike) -> npt.NDArray[np.object_]:
        """Return the ids of items by their numbers, such as ``recommend`` returns; None where it returns -1.

        Parameters
        ----------
        ids : int array
            Columns, or -1.

        Returns
        -------
        object array, of the shape of ``ids``
            The names, None where ``ids`` has -1.

        Raises
        ------
        TypeError, ValueError
            If ``ids`` does not hold numbers of items.

        Examples
        --------
        >>> from scipy import sparse
        >>> from fastautorec.data import Interactions
        >>> data = Interactions(sparse.csr_matrix([[1, 0, 1]]), item_ids=["pear", "plum", "fig"])
        >>> data.item_names([[1, 0], [2, -1]])
        array([['plum', 'pear'], ['fig', None]], dtype=object)
        """
        return naming.names_of(self.item_ids, len(self.item_ids), ids)

    def with_users(self, user_ids: npt.ArrayLike) -> Self:
        """Return the same items with the rows of ``user_ids``, such as those of the training data.

        Parameters
        ----------
        user_ids : array of integers or strings (m,)
            Distinct ids. Interactions of other users are left out, with a warning that counts them; an id without
            interactions is an empty row. Integers find the strings that they print as, and the other way round.

        Returns
        -------
        Interactions
            With the timestamps and weights of what is left.

        Raises
        ------
        TypeError
            For what is no list or array of ids, such as Interactions.
        ValueError
            If an id repeats.

        Examples
        --------
        >>> from scipy import sparse
        >>> from fastautorec.data import Interactions
        >>> data = Interactions(sparse.csr_matrix([[1, 0], [0, 1]]), user_ids=["ann", "bob"])
        >>> data.with_users(["bob", "cleo", "ann"]).user_items.toarray()
        array([[0., 1.],
               [0., 0.],
               [1., 0.]], dtype=float32)
        """
        return self._warned(identity.USERS, self._with(identity.USERS, user_ids))

    def with_items(self, item_ids: npt.ArrayLike) -> Self:
        """Return the same users with the columns of ``item_ids``, such as those of a fitted model.

        Parameters
        ----------
        item_ids : array of integers or strings (n,)
            Distinct ids. Interactions with other items are left out, with a warning that counts them; an id without
            interactions is an empty column. Integers find the strings that they print as, and the other way round.

        Returns
        -------
        Interactions
            With the timestamps and weights of what is left.

        Raises
        ------
        TypeError
            For what is no list or array of ids, such as Interactions.
        ValueError
            If an id repeats.

        Examples
        --------
        >>> from scipy import sparse
        >>> from fastautorec.data import Interactions
        >>> data = Interactions(sparse.csr_matrix([[1, 0, 1]]), item_ids=["pear", "plum", "fig"])
        >>> data.with_items(["fig", "kiwi", "pear"]).user_items.toarray()
        array([[1., 0., 1.]], dtype=float32)
        """
        return self._warned(identity.ITEMS, self._with(identity.ITEMS, item_ids))

    def select(self, users: Ids | None = None, items: Ids | None = None, *, by: str = "id") -> Self:
        """Return the interactions of some users, with some items, or both, in the order given.

        Unlike `with_users` and `with_items`, which take the ids of other data as they come, it takes only users and
        items that are there.

        Parameters
        ----------
        users, items : id, or list or array of ids, optional
            All of them by default. Distinct.
        by : {"id", "number"}
            Whether ``users`` and ``items`` are ids, or numbers of rows and columns. Data without ids have their numbers
            for them.

        Returns
        -------
        Interactions
            With the ids, timestamps and weights of what was chosen.

        Raises
        ------
        KeyError
            For an id that is not in the data.
        TypeError, ValueError
            For what is no id or number, a number that no row or column has, or one that is given twice.

        Examples
        --------
        >>> from scipy import sparse
        >>> from fastautorec.data import Interactions
        >>> data = Interactions(sparse.csr_matrix([[1, 0, 1], [0, 1, 0]]), ["ann", "bob"], ["pear", "plum", "fig"])
        >>> data.select(items=["fig", "pear"]).user_items.toarray()
        array([[1., 1.],
               [0., 0.]], dtype=float32)
        >>> data.select(users=1, by="number").user_ids.tolist()
        ['bob']
        """
        check_choice("by", by, ("id", "number"))
        rows, columns = (
            None if wanted is None else self._chosen(axis, wanted, by)
            for axis, wanted in ((identity.USERS, users), (identity.ITEMS, items))
        )
        result: Self = identity.picked(self, rows, columns)
        return result

    def _chosen(self, axis: identity.Axis, wanted: Any, by: str) -> npt.NDArray[np.int64]:
        """Return the rows or columns that are asked for."""
        name, ids = axis.many, getattr(self, axis.attribute)
        if by == "id":
            numbers = np.atleast_1d(self.user_index(wanted) if axis is identity.USERS else self.item_index(wanted))
        else:
            numbers = np.atleast_1d(np.asarray(wanted))
            if numbers.ndim > 1 or (numbers.size and numbers.dtype.kind not in "iu"):
                raise TypeError(
                    f"`{name}` must be numbers of {axis.place}s, got {wanted!r}; np.flatnonzero gives a mask's numbers"
                )
            wrong = (numbers < 0) | (numbers >= len(ids))
            if wrong.any():
                raise ValueError(f"`{name}` must be numbers of {axis.place}s below {len(ids)}, got {numbers[wrong][0]}")
        numbers = numbers.astype(np.int64)
        if len(sorted_unique(numbers)) < len(numbers):
            twice = ids[np.argmax(np.bincount(numbers))]
            raise ValueError(f"`{name}` must be distinct, got {twice!s} more than once")
        return numbers

    def filter(self, min_items: int = 1, min_users: int = 1, *, verbose: bool = True) -> Self:
        """Return the interactions of users with enough items and of items with enough users (the k-core) [1]_.

        Leaving some out takes others below the limits, so this is repeated until all that are left fulfil both. The
        result is the largest such part of the data, whatever the order.

        Parameters
        ----------
        min_items : int
            Items that a user must have; 1, the default, leaves out users without any.
        min_users : int
            Users that an item must have.
        verbose : bool
            Print a line to standard error that counts what was left out.

        Returns
        -------
        Interactions
            In memory; users and items in their old order, with the timestamps and weights of what is left.

        Raises
        ------
        TypeError, ValueError
            For a limit that is no integer from 1 on, or limits that leave nothing.

        References
        ----------
        .. [1] S. B. Seidman, "Network structure and minimum degree", Social Networks 5 (1983), 269-287.

        Examples
        --------
        >>> from scipy import sparse
        >>> from fastautorec.data import Interactions
        >>> data = Interactions(sparse.csr_matrix([[1, 1, 0], [1, 1, 1], [0, 0, 1]]), ["ann", "bob", "cleo"])
        >>> core = data.filter(min_items=2, min_users=2, verbose=False)
        >>> core.user_ids.tolist(), core.item_ids.tolist()
        (['ann', 'bob'], [0, 1])
        """
        check_int("min_items", min_items, 1)
        check_int("min_users", min_users, 1)
        check_bool("verbose", verbose)
        csr = check_user_items("user_items", self)
        users, items, rounds = core(csr, min_items, min_users)
        if not users.any():
            raise ValueError(
                f"`min_items`={min_items} and `min_users`={min_users} leave nothing of {csr.nnz:,} interactions; give "
                "smaller ones"
            )
        some = (None if kept.all() else np.flatnonzero(kept) for kept in (users, items))
        result: Self = identity.picked(self, *some)
        if verbose:
            (m, n), users_left, items_left = csr.shape, int(users.sum()), int(items.sum())
            sys.stderr.write(
                f"filter: left out {m - users_left:,} of {m:,} users, {n - items_left:,} of {n:,} items and "
                f"{csr.nnz - result.nnz:,} of {csr.nnz:,} interactions in {rounds} rounds\n"
            )
        return result

    def _warned(self, axis: identity.Axis, result: Self) -> Self:
        """Return interactions with other ids, and warn of those that are left out."""
        own, ids = getattr(self, axis.attribute), getattr(result, axis.attribute)
        lost = self.nnz - result.nnz
        if lost and not result.nnz and len(ids):
            warn_caller(
                f"{axis.method} has left none of {self.nnz:,} interactions: "
                + identity.differing(axis, "these data", own, f"`{axis.attribute}`", ids)
            )
        elif lost and len(ids):
            other = own[identity.places(own, ids) < 0].tolist()
            warn_caller(
                f"{axis.method} has left out {lost:,} of {self.nnz:,} interactions: of the {len(own):,} {axis.many} of "
                f"these data, {len(other):,}, such as {few(other)}, are not in `{axis.attribute}`"
            )
        return result

    def _with(self, axis: identity.Axis, ids: Any) -> Self:
        name = axis.attribute
        identity.check_ids(name, ids, axis)
        labels = naming.check_labels(name, ids, len(ids), f"{axis.place}s")
        result: Self = identity.renumbered(self, **{name: labels})
        if result is self and not self._ids_given[axis.number]:  # its numbers are ids from now on
            csr = check_user_items("user_items", self)
            result = self._like(csr, self.timestamps, self.weights, **{name: labels})
        return result

    def __add__(self, other: Any) -> Self:
        """Return the interactions of both, one of both at the later time and with the sum of its weights.

        Where both were read with ``repeats="first"``, it counts at the earlier time.

        Users and items are compared as `fit` compares them: by ids, where both have ids, in any order; those that only
        one side has are refused, and ``far.align(a, b, unknown="keep")`` brings both together.

        Examples
        --------
        >>> import fastautorec as far
        >>> packages = far.datasets.load_example()
        >>> train, validation, test = far.split(packages, by="random")
        >>> (train + validation).nnz == train.nnz + validation.nnz
        True
        """
        if not isinstance(other, Numbered):
            raise TypeError(
                f"`+` joins Interactions with Interactions, got {kind(other)}; make them of a matrix with "
                "Interactions(matrix, user_ids, item_ids)"
            )
        other = identity.aligned("b", other, "a", self, times=True, way_on=", unknown='keep'")
        mine, its = check_user_items("a", self), check_user_items("b", other)
        identity.check_shape("b", its, mine.shape, "a")
        for name in ("timestamps", "weights"):
            if (getattr(self, name) is None) != (getattr(other, name) is None):
                has, lacks = ("b", "a") if getattr(self, name) is None else ("a", "b")
                raise ValueError(
                    f"`a` and `b` must both have {name} or neither, but only `{has}` has; give `{lacks}` some, or take "
                    f"Interactions({has}.user_items, {has}.user_ids, {has}.item_ids), which has none"
                )
        self._refuse_other_times(other)
        user_ids, item_ids = (
            None if self._ids_given[axis.number] else identity.own_ids(other, axis)
            for axis in (identity.USERS, identity.ITEMS)
        )
        marks = (self._repeats, other._repeats)
        csr, times, twice = rearranging.union(mine, its, self.timestamps, other.timestamps, which_of(marks))
        weights = None
        if self.weights is not None:
            total = mine.with_data(self.weights).to_scipy() + its.with_data(other.weights).to_scipy()
            weights = finite_float32("weights", total.data)
        result = self._like(csr, times, weights, user_ids, item_ids)
        result._repeats = joined(marks, twice)
        return result

    def _refuse_other_times(self, other: Numbered) -> None:
        """Raise if the times of one side are clearly of another unit than those of the other, or would be rounded."""
        both = [times for times in (self.timestamps, other.timestamps) if times is not None]
        check_joinable("`a` and `b`", both)
        unlike = other_unit(evident(other.timestamps), evident(self.timestamps))
        if unlike:
            raise ValueError(f"`a` and `b` must have times of one unit, got {unlike}; bring all to one unit")

    def __radd__(self, other: Any) -> Self:
        """Return the interactions themselves for 0, which `sum` begins with."""
        return self if isinstance(other, int) and other == 0 else self.__add__(other)

    @property
    def nnz(self) -> int:
        """Number of interactions."""
        raise NotImplementedError

    def _like(
        self,
        csr: Csr,
        timestamps: npt.NDArray[Any] | None,
        weights: npt.NDArray[np.float32] | None,
        user_ids: npt.NDArray[Any] | None = None,
        item_ids: npt.NDArray[Any] | None = None,
    ) -> Self:
        """Return interactions of the same kind with other contents, and with the ids of this one where not given."""
        raise NotImplementedError

    @cached_property
    def _user_map(self) -> dict[Any, int]:
        return {label: row for row, label in enumerate(self.user_ids.tolist())}

    @cached_property
    def _item_map(self) -> dict[Any, int]:
        return {label: column for column, label in enumerate(self.item_ids.tolist())}
