"""`explain`: which items of a history speak for an item, and by how much."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from fastautorec._checks import Default, list_length
from fastautorec._compute.arrays import check_ids
from fastautorec._compute.csr import Csr
from fastautorec._compute.host import run_blocks
from fastautorec._compute.inputs import UserItems
from fastautorec._compute.popularity import strangers
from fastautorec._compute.protocol import Backend, FloatArray, IdArray
from fastautorec._compute.top_lists import DotScorer, lists_of
from fastautorec.models._answers import Answering
from fastautorec.models._contributions import Contributions, LeaveOneOut, blocks_of_users
from fastautorec.models._explanation import Explanation

REASONS = Default(3)


class Explaining(Answering):
    """Models that say why; one whose scores have no parts says the reason in ``_unexplained``."""

    _unexplained: ClassVar[str] = ""

    def explain(
        self,
        history: UserItems,
        items: npt.ArrayLike,
        N: int = REASONS,
        popularity_discount: float | None = None,
    ) -> Explanation:
        """Return which items of a history speak for ``items``, and how much each of them adds to the score.

        Where scores are linear in the history (identity activation, `EASE`, `DLAE`, `RP3beta`, `ItemKNN`, `PureSVD`,
        `NCEPLRec`), they are taken apart exactly: the contributions of all items of the history and ``base``, which is
        due to none of them (an intercept, a bias), add up to the score. For other models a contribution is what the
        score loses when this item is left out of the history, which is then encoded anew; such contributions don't add
        up, and ``base`` is the score of an empty history.

        Parameters
        ----------
        history : Interactions or scipy sparse (q, n)
            Histories, one row for each user, as in ``recommend``.
        items : int, int array (I,) or (q, I)
            Numbers of the items to explain, the same for all users or each user's own, such as the ids that
            ``recommend`` returns, with -1 for none.
        N : int
            How many items of the history to name, from 1 to the number of items; by default 3, or all items where
            there are fewer.
        popularity_discount : float, optional
            γ in place of the one that the model was fitted with, as in ``recommend``: the explained scores are those
            with γ, and contributions and ``base`` are multiplied as they are.

        Returns
        -------
        Explanation
            Arrays ``items``, ``because``, ``contributions``, ``base`` and ``scores``; it prints as sentences.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        TypeError, ValueError
            If an argument is not usable, the model has no popularity discount, or its scores don't come from the items
            of a history.

        Notes
        -----
        A history that says nothing, empty or of items without users in ``fit``, gets popular items in ``recommend``,
        unless the model has an answer of its own. Then ``scores`` and ``base`` are the items' popularity, and no item
        of the history is named. Results are in NumPy arrays, wherever the model computes.

        Sums are in double precision. Without additivity, `WRMF` and the models of PyTorch encode each history once for
        each of its items, in time that grows with the square of its length.

        Examples
        --------
        >>> import fastautorec as far
        >>> packages = far.datasets.load_example()
        >>> model = far.NCEAutoRec(factors=64).fit(packages)
        >>> ids, scores = model.recommend(packages.user_items[:1], N=2)
        >>> print(model.explain(packages.user_items[:1], ids, N=2))
        libjpeg62-turbo 0.07223 because of libpng16-16 +0.02524, libfreetype6 +0.01125; base +0.0005918
        libgl1 0.0494 because of libpng16-16 +0.008391, libx11-6 +0.007455; base +0.0007525

        With another discount the score is another one, and so are its parts:

        >>> dialled = model.explain(packages.user_items[:1], ids, N=2, popularity_discount=0.8)
        >>> scores = model.predict(packages.user_items[:1], ids[0], popularity_discount=0.8)
        >>> bool(abs(dialled.scores - scores).max() < 1e-6)
        True
        """
        model = self._as_fitted()
        model._require_explained()
        rows = model._check_history(history, "history").to_host()
        n = model.n_items_
        asked = _check_asked(items, rows.shape[0], n)
        n_named = list_length(N, n)
        backend = model._backend()
        with backend.active():
            scale = None
            if popularity_discount is not None:
                scale = backend.to_host(model._factors(backend, [popularity_discount])[0])
            return explanation(model, backend, rows, asked, n_named, scale)

    def _require_explained(self) -> None:
        if self._unexplained:
            raise ValueError(f"{type(self).__name__} has no explanations: {self._unexplained}")

    def _contributions(self) -> Contributions:
        """Return what takes the scores of histories apart; by default it leaves out item by item."""
        scorer = self._scorer()
        assert isinstance(scorer, DotScorer)
        return LeaveOneOut(scorer)


def explanation(
    model: Explaining, backend: Backend, history: Csr, items: IdArray, n_named: int, scale: FloatArray | None
) -> Explanation:
    """Return the explanation of ``items`` (q, I), -1 for none, with the largest contributions to each.

    Scores are multiplied by ``scale`` (n,), where there is one.
    """
    parts = model._contributions()
    shape = items.shape
    because = np.full((*shape, n_named), -1, np.int32)
    contributions = np.full(because.shape, np.nan, np.float32)
    base, scores = np.empty(shape, np.float32), np.empty(shape, np.float32)
    asked = np.maximum(items, 0)
    silent = silent_rows(model, backend, history)
    spoken = np.setdiff1d(np.arange(len(items)), silent)
    alone = backend if len(spoken) == 1 else backend.with_threads(1)  # the blocks are shared out already
    blocks = list(blocks_of_users(history.row_lengths(), spoken, parts.width, shape[1]))

    def take_apart(number: int, _: int) -> None:
        users = blocks[number]
        rows = history.take_rows(users)
        each, own_base, own_scores = parts.of(alone, rows, asked[users])
        if scale is not None:
            factors = scale[asked[users]].astype(np.float64)
            each, own_base, own_scores = each * factors[:, None], own_base * factors, own_scores * factors
        base[users], scores[users] = own_base, own_scores
        lengths = rows.row_lengths()
        filled = np.arange(each.shape[1]) < lengths[:, None]
        each = np.where(filled[:, :, None], each, -np.inf).transpose(0, 2, 1)
        # Ids ascend, so the lower id comes first among equal contributions.
        order = np.argsort(-each, axis=2, kind="stable")[:, :, :n_named]
        numbers = np.zeros(filled.shape, np.int32)
        numbers[filled] = rows.indices
        named = np.take_along_axis(each, order, axis=2)
        found = np.take_along_axis(np.broadcast_to(numbers[:, None], each.shape), order, axis=2)
        places = slice(0, order.shape[2])
        because[users, :, places] = np.where(np.isneginf(named), -1, found)
        contributions[users, :, places] = np.where(np.isneginf(named), np.nan, named)

    run_blocks(take_apart, len(blocks), 1, backend.num_threads)
    if len(silent):
        assert model.item_counts_ is not None
        base[silent] = scores[silent] = (model.item_counts_ / max(model.n_users_, 1))[asked[silent]]
    nothing = items < 0
    for array, value in ((because, -1), (contributions, np.nan), (base, np.nan), (scores, np.nan)):
        array[nothing] = value
    silent_users = np.zeros(len(items), bool)
    silent_users[silent] = True
    return Explanation(items, because, contributions, base, scores, parts.additive, silent_users, model.item_ids_)


def silent_rows(model: Explaining, backend: Backend, history: Csr) -> npt.NDArray[np.int64]:
    """Return the rows for which `recommend` only has the items' popularity."""
    rows = strangers(model, history, np.arange(history.shape[0]))
    if len(rows) == 0:
        return rows
    empty = Csr(np.zeros(2, np.int64), np.zeros(0, np.int32), None, history.n_cols)
    _, best = lists_of(model._scorer(), backend, empty, 1, True, None, False)
    return rows if best[0, 0] == 0 else rows[:0]


def _check_asked(items: Any, n_users: int, n_items: int) -> IdArray:
    """Return the items of each user, int32 (q, I); -1 only where users have their own."""
    array = np.asarray(items)
    if array.ndim < 2:
        return np.tile(check_ids("items", items, n_items), (n_users, 1))
    if array.ndim > 2 or len(array) != n_users:
        raise ValueError(
            f"`items` must be one list for all users or a row for each of the {n_users} histories, got shape "
            f"{array.shape}"
        )
    if array.size and array.dtype.kind == "i":  # -1 is for none, as in the lists of `recommend`
        check_ids("items", array[array != -1], n_items)
        return array.astype(np.int32)
    return check_ids("items", array.ravel(), n_items).reshape(array.shape)
