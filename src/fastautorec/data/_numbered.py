"""The part of `Interactions` that knows who its rows and columns are: look-up, other rows and columns, sums."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastautorec._checks import kind
from fastautorec._compute.csr import Csr
from fastautorec._compute.inputs import check_user_items
from fastautorec.data import _identity as identity
from fastautorec.data import _naming as naming
from fastautorec.data import _rearranging as rearranging
from fastautorec.data._times import check_joinable, evident, other_unit

if TYPE_CHECKING:
    from typing_extensions import Self


class Numbered:
    """Base of `Interactions`: ids of users and items, and what is done by them."""

    item_ids: npt.NDArray[Any]
    timestamps: npt.NDArray[Any] | None
    _ids_given: tuple[bool, bool] = (True, True)  # for users and items; False for mere row and column numbers
    _load_user_ids: Callable[[], npt.NDArray[Any]]  # reads the ids of interactions on disk

    @cached_property
    def user_ids(self) -> npt.NDArray[Any]:
        """Id of each row, int64 or text (m,)."""
        return naming.locked(self._load_user_ids())

    def user_index(self, ids: Any) -> Any:
        """Return the row of one user id, int, or the rows of several, int64 array.

        Raises
        ------
        KeyError
            For an id that is not in the data; the message names it and similar ones.
        """
        return naming.find("user", self._user_map, ids)

    def item_index(self, ids: Any) -> Any:
        """Return the column of one item id, int, or the columns of several, int64 array.

        Raises
        ------
        KeyError
            For an id that is not in the data; the message names it and similar ones.
        """
        return naming.find("item", self._item_map, ids)

    def item_names(self, ids: Any) -> npt.NDArray[np.object_]:
        """Return the ids of items by their numbers, such as ``recommend`` returns; None where it returns -1.

        Parameters
        ----------
        ids : int array
            Columns, or -1.

        Returns
        -------
        object array, of the shape of ``ids``

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

    def with_users(self, user_ids: Any) -> Self:
        """Return the same items with the rows of ``user_ids``, such as those of the training data.

        Parameters
        ----------
        user_ids : array of integers or strings (m,)
            Distinct ids. Interactions of other users are left out, with a warning if that leaves none; an id without
            interactions is an empty row. Integers find the strings that they print as, and the other way round.

        Returns
        -------
        Interactions
            With the timestamps of what is left.

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
        >>> data.with_users(["bob", "cleo"]).user_items.toarray()
        array([[0., 1.],
               [0., 0.]], dtype=float32)
        """
        return self._warned(identity.USERS, self._with(identity.USERS, user_ids))

    def with_items(self, item_ids: Any) -> Self:
        """Return the same users with the columns of ``item_ids``, such as those of a fitted model.

        Parameters
        ----------
        item_ids : array of integers or strings (n,)
            Distinct ids. Interactions with other items are left out, with a warning if that leaves none; an id without
            interactions is an empty column. Integers find the strings that they print as, and the other way round.

        Returns
        -------
        Interactions
            With the timestamps of what is left.

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
        >>> data.with_items(["fig", "kiwi"]).user_items.toarray()
        array([[1., 0.]], dtype=float32)
        """
        return self._warned(identity.ITEMS, self._with(identity.ITEMS, item_ids))

    def _warned(self, axis: identity.Axis, result: Self) -> Self:
        """Return interactions with other ids, and warn where that has left nothing of them."""
        own, ids = getattr(self, axis.attribute), getattr(result, axis.attribute)
        if self.nnz and not result.nnz and len(ids):
            warnings.warn(
                f"{axis.method} has left none of {self.nnz:,} interactions: "
                + identity.differing(axis, "these data", own, f"`{axis.attribute}`", ids),
                stacklevel=3,
            )
        return result

    def _with(self, axis: identity.Axis, ids: Any) -> Self:
        name = axis.attribute
        identity.check_ids(name, ids, axis)
        labels = naming.check_labels(name, ids, len(ids), f"{axis.place}s")
        result: Self = identity.renumbered(self, **{name: labels})
        if result is self and not self._ids_given[axis.number]:  # its numbers are ids from now on
            result = self._like(check_user_items("user_items", self), self.timestamps, **{name: labels})
        return result

    def __add__(self, other: Any) -> Self:
        """Return the interactions of both, at the later time where both have one; ids as `fit` compares them.

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
        if (self.timestamps is None) != (other.timestamps is None):
            has, lacks = ("b", "a") if self.timestamps is None else ("a", "b")
            raise ValueError(
                f"`a` and `b` must both have timestamps or neither, but only `{has}` has; give `{lacks}` some, or take "
                f"Interactions({has}.user_items, {has}.user_ids, {has}.item_ids), which has none"
            )
        self._refuse_other_times(other)
        user_ids, item_ids = (
            None if self._ids_given[axis.number] else identity.own_ids(other, axis)
            for axis in (identity.USERS, identity.ITEMS)
        )
        return self._like(*rearranging.union(mine, its, self.timestamps, other.timestamps), user_ids, item_ids)

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
