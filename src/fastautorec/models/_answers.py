"""What a fitted model is asked: recommendations, scores, similar items, their names."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec._checks import Default, adapted, check_bool, check_int
from fastautorec._compute import get_backend
from fastautorec._compute.csr import Csr
from fastautorec._compute.inputs import check_ids
from fastautorec._compute.protocol import Backend, FloatArray, IdArray
from fastautorec._compute.top_lists import Scorer
from fastautorec.data import split
from fastautorec.data._naming import names_of
from fastautorec.evaluation import evaluate
from fastautorec.models._estimator import Estimator
from fastautorec.models._lists import alike, all_scores, best_items

LIST_LENGTH = Default(10)
HIDDEN_HALF = (0.5, 0.5)  # of a history, the odd item to the half that is known


class Answering(Estimator):
    """Base of the models as their users meet them once they are fitted.

    A subclass scores histories and has a vector for each item.
    """

    device: str
    num_threads: int | None

    n_items_: int
    n_users_: int
    device_: str
    item_ids_: npt.NDArray[Any] | None
    item_counts_: npt.NDArray[np.int64] | None

    def recommend(
        self,
        user_items: Any,
        N: int = LIST_LENGTH,
        filter_already_liked_items: bool = True,
        filter_items: Any = None,
        items: Any = None,
    ) -> tuple[IdArray, FloatArray]:
        """Return the best items for histories; new users need no retraining.

        A history in which there is nothing to go by, empty or of items that nobody had in ``fit``, gets the most
        popular items, unless the model has an answer of its own for it, from biases say.

        Parameters
        ----------
        user_items : Interactions or scipy sparse (q, n)
            Histories, one row for each list that is wanted. Where they have ids of items, these are compared with
            the model's and must come in the same order: results count the columns.
        N : int
            Length of the lists, at most the number of items; by default 10, or all items where there are fewer.
        filter_already_liked_items : bool
            Leave out the items of the history.
        filter_items : int array, optional
            Items that nobody shall get.
        items : int array, optional
            Choose among these items only.

        Returns
        -------
        ids : int32 (q, N)
            Descending score, equal scores by ascending id; -1 where fewer than N items are left. `item_names` says
            what they are called.
        scores : float32 (q, N)
            NaN where the id is -1. Popular items in place of an answer have the share of the users who have them.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        TypeError, ValueError
            If an argument is not usable.

        Notes
        -----
        The number of threads changes no bit. How many histories a call has may change the last bits of a score, by
        some 5e-7 of its size, except for `EASE` and `Popularity`: up to eight histories, also the last few of a long
        call, are multiplied by a kernel that reads the items' vectors once and adds up in another order than BLAS. With
        the bits of BLAS a request for one would take 1.2 to 2.6 times as long. Calls of up to eight agree to the bit.
        """
        model = self._as_fitted()
        history = model._check_history(user_items)
        n_top = check_int("N", adapted(N, history.n_cols), 1, history.n_cols)
        allowed = model._allowed(items, filter_items)
        known = not check_bool("filter_already_liked_items", filter_already_liked_items)
        backend = model._backend()
        with backend.active():
            on_device = backend.inputs.on_device(user_items)
            return best_items(model, backend, history, n_top, known, allowed, on_device)

    def predict(self, user_items: Any, items: Any = None) -> FloatArray:
        """Return the scores of all items, or of ``items`` in the order given, for histories.

        The result has one column for each item: for many users prefer ``recommend``, which never holds all scores.

        Parameters
        ----------
        user_items : Interactions or scipy sparse (q, n)
        items : int array, optional

        Returns
        -------
        float32 (q, n) or (q, len(items))
            A history in which there is nothing to go by gets the items' popularity, as in ``recommend``.
        """
        model = self._as_fitted()
        history, backend = model._check_history(user_items), model._backend()
        chosen = None if items is None else check_ids("items", items, history.n_cols)
        with backend.active():
            scores = all_scores(model, backend, history, chosen)
            return scores if backend.inputs.on_device(user_items) else backend.to_host(scores)

    def similar_items(self, itemids: Any, N: int = LIST_LENGTH) -> tuple[IdArray, FloatArray]:
        """Return the items whose vectors have the largest cosine with those of ``itemids``, the item itself first.

        An item whose vector is zero, such as one that nobody had in ``fit``, is nobody's neighbour and has none.

        Parameters
        ----------
        itemids : int or int array (q,)
        N : int
            Length of the lists, at most the number of items; by default 10, or all items where there are fewer.

        Returns
        -------
        ids : int32 (q, N), or (N,) for one id
            The item itself, then the others, equal cosines by ascending id; -1 where there are fewer.
        scores : float32 of the same shape
            Cosine similarities, 1 for the item itself; NaN where the id is -1.
        """
        model = self._as_fitted()
        queries = check_ids("itemids", itemids, model.n_items_)
        n_top = check_int("N", adapted(N, model.n_items_), 1, model.n_items_)
        backend = model._backend()
        with backend.active():
            ids, scores = alike(model, backend, queries, n_top)
        return (ids[0], scores[0]) if np.ndim(itemids) == 0 else (ids, scores)

    def item_names(self, ids: Any) -> npt.NDArray[np.object_]:
        """Return what items are called: their ids in the data of ``fit``, or their numbers if these had none.

        Parameters
        ----------
        ids : int array
            Numbers of items, such as ``recommend`` returns; -1 where there is none.

        Returns
        -------
        object array, of the shape of ``ids``
            Strings or integers, None in the place of -1.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        TypeError, ValueError
            If ``ids`` does not hold numbers of items.

        Examples
        --------
        >>> import fastautorec as far
        >>> packages = far.datasets.load_example()
        >>> model = far.Popularity().fit(packages)
        >>> ids, scores = model.recommend(packages.user_items[:1], N=2)
        >>> model.item_names(ids)
        array([['python3', 'libglib2.0-0']], dtype=object)
        """
        self._require_fitted()
        return names_of(self.item_ids_, self.n_items_, ids)

    def score(self, user_items: Any, y: Any = None) -> float:
        """Return the NDCG of recommendations, for ``cross_val_score`` and searches of scikit-learn.

        There, rows of users are held out. Of each history a random half (fixed, the smaller one) is hidden, and the
        other half is what the model recommends from. Which half it is depends on the order of users and items: only
        scores of the same matrix can be compared. `evaluate` tells more.

        ``cross_val_score`` takes rows of a SciPy matrix; of Interactions pass ``data.user_items``.

        Parameters
        ----------
        user_items : Interactions or scipy sparse (q, n)
            Histories. Users with fewer than two items are left out.
        y : Interactions or scipy sparse (q, n), optional
            What the users of ``user_items`` chose later: then nothing is hidden.

        Returns
        -------
        float
            NDCG ("standard" definition) of lists of 50, or of all items where there are fewer.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        TypeError, ValueError
            If an argument is not usable, or no user has anything to find.
        """
        self._require_fitted()
        known, hidden = split(user_items, HIDDEN_HALF, by="random") if y is None else (user_items, y)
        return float(evaluate(self, known, hidden)["NDCG"].mean)

    # --- what a model says --------------------------------------------------------------------------------------------

    @abstractmethod
    def _scorer(self) -> Scorer:
        """Return what scores histories."""

    @abstractmethod
    def _item_vectors(self) -> FloatArray:
        """Return one vector for each item, float32 (n, d), for similarities."""

    @abstractmethod
    def _check_history(self, user_items: Any, name: str = "user_items") -> Csr:
        """Return checked histories."""

    def _backend(self) -> Backend:
        """Return the backend of the fitted arrays."""
        return get_backend(vars(self).get("device_", self.device), self.num_threads)

    def _allowed(self, items: Any, filter_items: Any) -> npt.NDArray[np.bool_] | None:
        """Return for each item whether it may be listed, or None where all may."""
        if items is None and filter_items is None:
            return None
        n = self.n_items_
        allowed = np.full(n, items is None)
        if items is not None:
            allowed[check_ids("items", items, n)] = True
        if filter_items is not None:
            allowed[check_ids("filter_items", filter_items, n)] = False
        if not allowed.any():
            raise ValueError("`items` and `filter_items` leave no item to recommend; allow at least one")
        return allowed
