"""Items that are alike, and users who are, asked for and given by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from fastautorec._checks import Default, few, list_length, warn_caller
from fastautorec._compute.arrays import check_ids
from fastautorec._compute.inputs import UserItems
from fastautorec._compute.protocol import FloatArray, IdArray
from fastautorec._types import ByUser, Id, Ids
from fastautorec.data._naming import find
from fastautorec.models._alike import alike, alike_users
from fastautorec.models._answers import LIST_LENGTH
from fastautorec.models._candidates import allowed_items, candidates, selection
from fastautorec.models._explain import Explaining
from fastautorec.models._histories import from_frame, histories_of, is_frame
from fastautorec.models._labels import Items, LabelIndex, check_distinct, label_array, plain_labels, some
from fastautorec.models._table import SimilarityTable


class Similar(Explaining):
    """Fitted models that tell what is alike."""

    def similar_items(
        self,
        itemids: npt.ArrayLike,
        N: int = LIST_LENGTH,
        filter_items: npt.ArrayLike | None = None,
        items: npt.ArrayLike | UserItems | None = None,
    ) -> tuple[IdArray, FloatArray]:
        """Return the items whose vectors have the largest cosine with those of ``itemids``, the item itself first.

        An item whose vector is zero, such as one without users in ``fit``, is no neighbour of others and has no
        neighbours. There is no popularity discount: it multiplies the scores of an item, and a cosine does not depend
        on the length of a vector. `similar_table` takes and gives names.

        Parameters
        ----------
        itemids : int or int array (q,)
        N : int
            Length of the lists, at most the number of items; by default 10, or all items where there are fewer.
        filter_items : int array, optional
            Items that must not be listed, not even first in the list of their own.
        items : int array, Interactions or scipy sparse (q, n), optional
            Choose among these items only; a matrix has the candidates for each of ``itemids`` in its row.

        Returns
        -------
        ids : int32 (q, N), or (N,) for one id
            The item itself, then the others, equal cosines by ascending id; -1 where there are fewer.
        scores : float32 of the same shape
            Cosine similarities, 1 for the item itself; NaN where the id is -1.

        Notes
        -----
        From the second call on, a fitted model on a CPU keeps the unit vectors of its items, and makes their vectors
        read-only; `plan` tells how many bytes that takes.
        """
        model = self._as_fitted()
        queries = check_ids("itemids", itemids, model.n_items_)
        n_top = list_length(N, model.n_items_)
        own = model._own_candidates(items, filter_items, len(queries))
        allowed = allowed_items(items, filter_items, model.n_items_) if own is None else None
        backend = model._backend()
        with backend.active():
            ids, scores = alike(model, backend, queries, n_top, allowed, own)
        return (ids[0], scores[0]) if np.ndim(itemids) == 0 else (ids, scores)

    def similar_table(
        self,
        itemids: Id | Ids,
        N: int = LIST_LENGTH,
        filter_items: Ids | None = None,
        items: Ids | UserItems | ByUser | None = None,
    ) -> SimilarityTable:
        """Return the items that are like others by name, as a table (item, similar, rank, score).

        The lists are those of `similar_items`, with names in place of numbers; the item itself is first.

        Parameters
        ----------
        itemids : id, list, set or column of ids
            Items of the model, or their numbers where it was fitted without ids.
        N : int
            Length of the lists, at most the number of items; by default 10, or all items where there are fewer.
        filter_items : list, set or column of items, or mask (n,), optional
            Items that must not be listed, not even first in the list of their own.
        items : list, set or column of items, mask (n,), dict or scipy sparse (q, n), optional
            Choose among these items only. A dict has a list of candidates for each of ``itemids``, and a matrix a row,
            in their order. An item without any has no row in the table.

        Returns
        -------
        SimilarityTable
            With ``to_pandas``, ``to_polars``, ``to_arrow`` and ``to_dict``.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        TypeError
            For ids of another type than those of the model, and for ids where there are none.
        ValueError
            For items in ``itemids`` that the model does not know or that are named twice, a mask of another length, and
            candidates that leave nothing.

        Warns
        -----
        UserWarning
            For ids in ``items`` and ``filter_items`` that the model does not know. They are left out.

        Examples
        --------
        >>> import fastautorec as far
        >>> model = far.NCEAutoRec(factors=64).fit(far.datasets.load_example())
        >>> print(model.similar_table("git", N=3))
        item       similar  rank   score
        git            git     1  1.0000
        git          quilt     2  0.9015
        git   pristine-tar     3  0.8997
        """
        model = self._as_fitted()
        named = self._items_of(model)
        labels = plain_labels("itemids", itemids)
        check_distinct(labels, "itemids")
        numbers = named.numbers("itemids", labels)
        if (numbers < 0).any():
            raise ValueError(
                f"`itemids` must be items of the model, but it does not know {int((numbers < 0).sum()):,} of the "
                f"{len(labels):,}, such as {labels[int(np.argmax(numbers < 0))]!r}; its own are such as "
                f"{few(some(named))}"
            )
        told: list[str] = []
        asked = label_array(labels)
        chosen = candidates(items, asked, named, told, False, ("items", "`itemids`"))
        unwanted = selection("filter_items", filter_items, named, told)
        if told:
            warn_of_unknown(told)
        ids, scores = model.similar_items(numbers, N, unwanted, chosen)
        return SimilarityTable(asked, ids, scores, named.ids)

    def similar_users(
        self, history: UserItems, data: UserItems | None = None, N: int = LIST_LENGTH
    ) -> tuple[IdArray, FloatArray]:
        """Return the users of ``data`` who are most like those of histories, by the cosine of their vectors.

        A user's vector holds the hidden units that ``embed`` returns. It leaves out what depends on the item alone,
        such as its popularity, because that would make all users alike. `EASE` has no hidden units, so it takes the
        scores of all items. A user without items, or with a vector of zeros, has no neighbours and is nobody's
        neighbour.

        Parameters
        ----------
        history : Interactions or scipy sparse (q, n)
            Histories of the users whose neighbours are wanted, as in ``recommend``.
        data : Interactions or scipy sparse (m, n)
            Histories of those who may be named. They are taken in blocks; no array of users × users exists.
        N : int
            Length of the lists, at most m; by default 10, or all users where there are fewer. It must be given where
            there are more histories than users in ``data``, as there are when the two are swapped.

        Returns
        -------
        rows : int32 (q, N)
            Rows of ``data``, the largest cosine first, equal ones by ascending row; -1 where there are fewer. Someone
            whose history is in ``data`` is found there. ``data.user_ids[rows]`` are the names;
            `similar_users_table` takes and gives names.
        scores : float32 (q, N)
            Cosines; NaN where the row is -1.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        TypeError, ValueError
            If an argument is not usable, or all users are the same to the model, as to `Popularity`.

        Examples
        --------
        >>> import fastautorec as far
        >>> packages = far.datasets.load_example()
        >>> model = far.NCEAutoRec(factors=64).fit(packages)
        >>> rows, scores = model.similar_users(packages.user_items[:2], packages, N=3)
        >>> rows[:, 0].tolist(), packages.user_ids[rows].shape
        ([0, 1], (2, 3))
        """
        model = self._as_fitted()
        if model._users_alike:
            raise ValueError(f"{type(model).__name__} knows no similar users: {model._users_alike}")
        if data is None:
            raise TypeError(
                "`data` must hold the histories of those who may be named, got none: a fitted model keeps no users; "
                "pass similar_users(data.user_items[[row]], data), or ask by id with similar_users_table(id, data)"
            )
        asked, among = model._check_history(history, "history"), model._check_history(data, "data").to_host()
        q, m = asked.shape[0], among.shape[0]
        if q > m and isinstance(N, Default):
            raise ValueError(
                f"the histories of {q:,} users are compared with `data` of only {m:,}: are the two in each other's "
                f"place? If they are not, say how many of those {m:,} are wanted, such as N={min(int(N), m)}"
            )
        n_top = list_length(N, max(m, 1), "users in `data`")
        backend = model._backend()
        with backend.active():
            return alike_users(model, backend, asked, among, n_top)

    def similar_users_table(self, users: Id | Ids, data: UserItems, N: int = LIST_LENGTH) -> SimilarityTable:
        """Return the users of ``data`` who are like others by name, as a table (user, similar, rank, score).

        The lists are those of `similar_users`. Somebody who is in ``data`` is the most similar to themselves, beside
        those who have the same vector.

        Parameters
        ----------
        users : id, list, set or column of ids, or dict
            Users of ``data`` whose neighbours are wanted, in this order, or the numbers of their rows where ``data``
            has no ids of users; None for all. A dict has a list of items for each user, who need not be in ``data``.
        data : dict, list of lists, data frame, Interactions or scipy sparse (m, n)
            Histories of those who may be named, in the forms of `recommend_table`.
        N : int
            Length of the lists, as in `similar_users`.

        Returns
        -------
        SimilarityTable
            With ``to_pandas``, ``to_polars``, ``to_arrow`` and ``to_dict``. A user of whose history nothing is known
            has no row, and is in no list.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        TypeError
            For ids of another type than those of the data or the model, and for ids where there are none.
        ValueError
            For users who are not in ``data`` or named twice, data of which the model knows no item, or if all users are
            the same to the model.

        Warns
        -----
        UserWarning
            For ids of items that the model does not know. They are left out.

        Examples
        --------
        >>> import fastautorec as far
        >>> packages = far.datasets.load_example()
        >>> model = far.NCEAutoRec(factors=64).fit(packages)
        >>> somebody = packages.user_ids.tolist()[0]
        >>> table = model.similar_users_table(somebody, packages, N=3)
        >>> table["similar"].tolist()[0] == somebody, table["rank"].tolist()
        (True, [1, 2, 3])

        Somebody whom nobody has seen:

        >>> table = model.similar_users_table({"ann": ["git", "vim"]}, packages, N=2)
        >>> table["user"].tolist(), len(set(table["similar"].tolist()))
        (['ann', 'ann'], 2)
        """
        model = self._as_fitted()
        named = self._items_of(model)
        data = from_frame(data, named, "data") if is_frame(data) else data
        new = isinstance(users, Mapping)
        asked = histories_of(users, None, named, "users") if new else histories_of(data, users, named)
        among = histories_of(data, None, named)
        unknown = {"users": asked.unknown if new else [], "data": among.unknown}
        told = [f"{len(ids):,} items in `{name}`, such as {few(ids)}" for name, ids in unknown.items() if ids]
        if told:
            warn_of_unknown(told)
        rows, scores = model.similar_users(asked.matrix, among.matrix, N)
        return SimilarityTable(asked.users, rows, scores, among.users, "user")

    @overload
    def item_index(self, ids: Id) -> int: ...  # type: ignore[overload-overlap]
    @overload
    def item_index(self, ids: Ids) -> npt.NDArray[np.int64]: ...
    def item_index(self, ids: Id | Ids) -> int | npt.NDArray[np.int64]:
        """Return the numbers of items by the ids that they have in the data of ``fit``: `item_names` the other way.

        Use it for methods that take numbers of items, such as `explain`, `ranker` and `recommend`.

        Parameters
        ----------
        ids : id, or list or array of ids
            Of a model without ids their numbers.

        Returns
        -------
        int, or int64 array for a list
            Numbers of the items, which are columns of the matrix.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        KeyError
            For an id that the model does not know.

        Examples
        --------
        >>> import fastautorec as far
        >>> packages = far.datasets.load_example()
        >>> model = far.EASE().fit(packages)
        >>> git, vim = model.item_index(["git", "vim"])
        >>> model.item_names([git, vim]).tolist()
        ['git', 'vim']
        >>> explanation = model.explain(packages.user_items[:1], model.item_index(["git"]))
        """
        self._require_fitted()
        if self.item_ids_ is None:
            return find("item", dict(zip(range(self.n_items_), range(self.n_items_), strict=True)), ids)
        return find("item", self._numbers_of(self.item_ids_), ids)

    def _items_of(self, model: Similar) -> Items:
        return Items(model.n_items_, model.item_ids_, lambda: self._numbers_of(model.item_ids_))

    def _numbers_of(self, item_ids: npt.NDArray[Any] | None) -> dict[Any, int]:
        """Return the number of each item id of a fit; the table is kept for the next request."""
        index: LabelIndex | None = vars(self).get("_item_index")
        if index is None or index.labels is not item_ids:
            self._item_index = index = LabelIndex(item_ids)
        return index.numbers


def warn_of_unknown(told: list[str]) -> None:
    """Warn of items that are left out."""
    warn_caller(f"the model does not know {', and '.join(told)}, and leaves them out")
