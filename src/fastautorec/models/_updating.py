"""Exact updates of fitted models: users learned or forgotten, with the result of a fit without or with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from fastautorec._compute.csr import Csr
from fastautorec._compute.inputs import UserItems
from fastautorec._training.run import FitRun, ProgressBar
from fastautorec._training.updates import Sums, counts_without
from fastautorec.models._answers import Answering

if TYPE_CHECKING:
    from typing_extensions import Self


class Updating(Answering):
    """Fitted models, some of which keep sums over users that can be added to and subtracted from.

    Such a model has ``_sums``, the types and shapes of its sums as in ``_arrays``, and ``_updated``; any other has the
    reason in ``_not_updated``.
    """

    _sums: ClassVar[dict[str, str]] = {}
    _not_updated: ClassVar[str] = "its solution cannot be told from sums over users"

    sums_: Sums | None

    def partial_fit(self, user_items: UserItems) -> Self:
        """Take in new users exactly: as if they had been in ``fit``, but with the encoder that was found there.

        Models with sums over users can do that: `Popularity` always, `NCEPLRec`, `EASE`, and models of the AutoRec
        family whose prediction head is an exact solution of the squared error, if they were fitted with
        ``updatable=True``. `EASE` and `Popularity` have no encoder: then the result is that of a new fit, to rounding.

        Every row is a new user. The model holds sums over users and no user, so it cannot see that a user is in it
        already, whatever the ids: such a user counts twice, and no error tells of it. For users who have more
        interactions than before, call ``forget(old)`` with the rows that the model has learned, then
        ``partial_fit(old + new)``. Items that were not in ``fit`` need a new fit.

        Parameters
        ----------
        user_items : Interactions or scipy sparse (q, n)
            Whole histories of users that the model has not learned, of the same items. Empty ones teach nothing.

        Returns
        -------
        self
            The model.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        TypeError, ValueError
            If ``user_items`` is not usable, or the model keeps no sums.

        Examples
        --------
        >>> import fastautorec as far
        >>> rows = far.datasets.load_example().user_items
        >>> model = far.EASE(updatable=True).fit(rows[:-100]).partial_fit(rows[-100:])
        >>> model.n_users_ == far.Popularity().fit(rows).n_users_
        True

        Somebody of two has one item more, and ``old`` is what the model has learned of them:

        >>> from scipy import sparse
        >>> old, new = sparse.csr_matrix([[1, 0, 1]]), sparse.csr_matrix([[0, 1, 0]])
        >>> model = far.EASE(updatable=True).fit(sparse.vstack([old, [[0, 1, 1]]]))
        >>> model.forget(old).partial_fit(old + new).n_users_
        2
        """
        return self._update(user_items, 1)

    def forget(self, user_items: UserItems | None, rows: npt.ArrayLike | None = None) -> Self:
        """Take users out exactly, for example because they ask for it: as if they had never been there.

        A model holds sums over users and no user, so it cannot look up who is to be forgotten: pass the histories that
        it learned from, with all interactions of each user. It is an error if an item has fewer users in the model than
        here, if there are fewer users, or if a sum of squares would become negative. Other wrong histories, such as
        those of a user whom the model never learned, are not noticed and leave the model wrong. The encoder stays,
        though the users had a part in it; where it must not, ``fit`` again. Items without users become as unknown as
        those that never had any.

        Parameters
        ----------
        user_items : Interactions or scipy sparse (q, n)
            Histories that the model has learned from.
        rows : int array (q,), optional
            The row that each user had in ``fit``, or, after a `partial_fit`, the number of rows before plus the row
            there. It is needed where the sums hold random masks of the users: in exact solutions with ``dropout`` and
            an activation other than "identity".

        Returns
        -------
        self
            The model.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        TypeError, ValueError
            If an argument is not usable, no user would be left, the users cannot have been learned, or the model keeps
            no sums.

        Examples
        --------
        >>> import fastautorec as far
        >>> packages = far.datasets.load_example()
        >>> model = far.NCEAutoRec(factors=64, updatable=True).fit(packages)
        >>> users = model.n_users_
        >>> users - model.forget(packages.user_items[:1]).n_users_
        1
        """
        return self._update(user_items, -1, rows)

    def _update(self, user_items: Any, sign: int, rows: Any = None) -> Self:
        model = self._as_fitted()
        history = model._check_history(model._in_order(user_items))
        self._require_sums("learn from new users" if sign > 0 else "forget users")
        if history.nnz == 0:
            raise ValueError("`user_items` must hold at least one interaction, got none")
        history = model._numbered(history, sign, rows)
        backend = model._backend()
        with backend.active(), ProgressBar(type(self).__name__, show=False) as progress:
            run = FitRun(backend, history, None, (), progress)
            counts, users = model.item_counts_, int(np.count_nonzero(history.row_lengths()))
            assert counts is not None  # only files of earlier versions have none, and no sums
            if sign > 0:
                counts, users = counts + run.item_counts, model.n_users_ + users
            else:
                counts, users = counts_without(counts, run.item_counts, model.n_users_, users)
            self.__dict__.update(model._updated(run, sign) | {"item_counts_": counts, "n_users_": users})
        return self

    def _require_sums(self, wish: str) -> None:
        """Raise ValueError where the model cannot be updated exactly."""
        name = type(self).__name__
        if not self._sums:
            raise ValueError(
                f"{name} cannot {wish}: {self._not_updated}; fit(user_items) again with the rows of all users"
            )
        if self.sums_ is None:
            raise ValueError(
                f"{name} cannot {wish}, for it was fitted without the sums that this takes; fit with updatable=True, "
                "or fit(user_items) again with the rows of all users"
            )

    def _numbered(self, history: Csr, sign: int, rows: Any) -> Csr:
        """Return histories with the numbers of their users where sums depend on these."""
        if rows is not None:
            raise ValueError(f"`rows` must be left out for {type(self).__name__}, whose sums hold no random masks")
        return history

    def _updated(self, run: FitRun, sign: int) -> dict[str, Any]:
        """Return the fitted attributes that change with the users of a run, but for item counts and number of users."""
        raise NotImplementedError
