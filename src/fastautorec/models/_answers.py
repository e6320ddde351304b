"""Answers of a fitted model: lists of the best items, all scores, items that are alike, their names."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from fastautorec._checks import Default, check_bool, list_length
from fastautorec._compute import get_backend
from fastautorec._compute.arrays import check_ids
from fastautorec._compute.csr import Csr
from fastautorec._compute.inputs import UserItems
from fastautorec._compute.item_index import Indexes
from fastautorec._compute.own_candidates import own_lists
from fastautorec._compute.popularity import popularity_scorer, strangers
from fastautorec._compute.protocol import Backend, FloatArray, IdArray
from fastautorec._compute.scaled import ScaledScorer
from fastautorec._compute.top_lists import DotScorer, Lists, Scorer, lists_of
from fastautorec._training.closed_form import Encoder
from fastautorec.data import _identity as identity
from fastautorec.data._naming import names_of
from fastautorec.data._samples import known_and_hidden
from fastautorec.evaluation import evaluate
from fastautorec.exceptions import NotFittedError
from fastautorec.models._candidates import allowed_items, own_candidates
from fastautorec.models._dial import factors, fitted_discount
from fastautorec.models._scores import all_scores
from fastautorec.rerank import Reranker
from fastautorec.rerank._apply import Reranking, candidates_of, check_rerankers, in_blocks, too_many

if TYPE_CHECKING:
    from typing_extensions import Self

LIVE = ("num_threads",)  # parameters that change no result and may be set at any time
LIST_LENGTH = Default(10)


class Answering(ABC):
    """Fitted models; a subclass scores histories and has a vector for each item.

    ``fitted_params_`` is the copy of the parameters that ``fit`` makes, and what a fitted model computes with. Every
    answer is given by `_as_fitted`, so no parameter can be forgotten, and one request sees one fit even where another
    thread fits the model anew.
    """

    _users_alike: ClassVar[str] = ""  # why a model cannot tell which users are alike

    fitted_params_: dict[str, Any]

    device: str
    num_threads: int | None

    n_items_: int
    n_users_: int
    device_: str
    item_ids_: npt.NDArray[Any] | None
    item_counts_: npt.NDArray[np.int64] | None
    _indexes: Indexes | None = None  # none while a fit is at work: its arrays change

    def recommend(
        self,
        user_items: UserItems,
        N: int = LIST_LENGTH,
        filter_already_liked_items: bool = True,
        filter_items: npt.ArrayLike | None = None,
        items: npt.ArrayLike | None = None,
        popularity_discount: float | None = None,
        rerank: Reranker | Sequence[Reranker] | None = None,
        n_candidates: int | None = None,
    ) -> tuple[IdArray, FloatArray]:
        """Return the best items for histories, by number; `recommend_table` takes and gives names.

        New users need no retraining.

        A history that says nothing, because it is empty or its items had no users in ``fit``, gets the most popular
        items, unless the model has an answer of its own for it, for example from biases.

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
            Items that must not be listed.
        items : int array, Interactions or scipy sparse (q, n), optional
            Choose among these items only; a matrix has the candidates of each history in its row, such as those that
            another system has found.
        popularity_discount : float, optional
            γ in place of the one that the model was fitted with, for models that have one (the AutoRec family): a
            larger γ lists rarer items. Scores are multiplied by pop^(γ₀ − γ), so lists and scores are those of a model
            refitted with γ, to float32 rounding, as long as validation data would choose the same penalty and epochs.
            `fastautorec.evaluation.popularity_tradeoff` measures what it costs.
        rerank : re-ranker or sequence of them, optional
            They choose and order the N items among the best ones, one after the other: see ``fastautorec.rerank``.
        n_candidates : int, optional
            How many of the best items they choose among, at least N; by default 100, or 2 N where that is more.

        Returns
        -------
        ids : int32 (q, N)
            Descending score, equal scores by ascending id, or as they were re-ranked; -1 where fewer than N items are
            left. `item_names` says what they are called.
        scores : float32 (q, N)
            NaN where the id is -1. Popular items in place of an answer have the share of the users who have them.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        TypeError, ValueError
            If an argument is not usable, or ``items`` and ``filter_items`` leave nothing.

        Notes
        -----
        The number of threads changes no bit. How many histories a call has may change the last bits of a score, by
        some 5e-7 of its size, except for `EASE` and `Popularity`: up to eight histories, also the last few of a long
        call, are multiplied by a kernel that reads the items' vectors once and adds up in another order than BLAS. With
        the bits of BLAS a request for one would take 1.2 to 2.6 times as long. Calls of up to eight agree to the bit.

        Examples
        --------
        >>> import fastautorec as far
        >>> packages = far.datasets.load_example()
        >>> model = far.NCEAutoRec(factors=64).fit(packages)
        >>> model.item_names(model.recommend(packages.user_items[:1], N=2)[0]).tolist()
        [['libjpeg62-turbo', 'libgl1']]
        >>> rarer, _ = model.recommend(packages.user_items[:1], N=2, popularity_discount=0.8)
        >>> model.item_names(rarer).tolist()
        [['libjpeg62-turbo', 'libtiff6']]
        """
        model = self._as_fitted()
        history = model._check_history(user_items)
        n_top = list_length(N, history.n_cols)
        own = model._own_candidates(items, filter_items, history.shape[0], user_items)
        allowed = allowed_items(items, filter_items, model.n_items_) if own is None else None
        known = not check_bool("filter_already_liked_items", filter_already_liked_items)
        backend, rerankers = model._backend(), check_rerankers(rerank)
        length = candidates_of(n_candidates, n_top, history.n_cols, bool(rerankers))

        def lists(history: Csr, own: Csr | None) -> tuple[IdArray, FloatArray]:
            def best_of(scorer: Scorer, rows: npt.NDArray[np.int64] | None = None) -> Lists:
                asked = history if rows is None else history.take_rows(rows)
                if own is None:
                    return lists_of(scorer, backend, asked, length, known, allowed, on_device)
                theirs = own if rows is None else own.take_rows(rows)
                return own_lists(scorer, backend, asked, length, known, theirs, on_device)

            ids, scores = best_of(model._dialled(backend, popularity_discount))
            rows = (backend.to_host(scores[:, 0]) == 0).nonzero()[0]
            if len(rows) and len(rows := strangers(model, history, rows)):
                places = backend.to_device(rows) if on_device else rows
                ids[places], scores[places] = best_of(popularity_scorer(model, backend), rows)
            if rerankers:
                best = backend.to_host(ids), backend.to_host(scores)
                vectors: Callable[[], FloatArray] = lambda: backend.to_host(model._item_vectors())  # noqa: E731
                reranking = Reranking(rerankers, model.n_items_, vectors, model.item_ids_)
                ids, scores = reranking.lists(*best, history, n_top, backend.num_threads)
                if on_device:
                    ids, scores = backend.to_device(ids), backend.to_device(scores)
            return ids, scores

        with backend.active():
            on_device = backend.inputs.on_device(user_items)
            return in_blocks(lists, history, own) if rerankers and too_many(history) else lists(history, own)

    def predict(
        self,
        user_items: UserItems,
        items: npt.ArrayLike | None = None,
        popularity_discount: float | None = None,
    ) -> FloatArray:
        """Return the scores of all items, or of ``items`` in the order given, for histories.

        The result has one column for each item: for many users prefer ``recommend``, which never holds all scores.

        Parameters
        ----------
        user_items : Interactions or scipy sparse (q, n)
        items : int array, optional
        popularity_discount : float, optional
            γ in place of the one that the model was fitted with, as in ``recommend``.

        Returns
        -------
        float32 (q, n) or (q, len(items))
            A history that says nothing gets the items' popularity, as in ``recommend``.
        """
        model = self._as_fitted()
        history, backend = model._check_history(user_items), model._backend()
        chosen = None if items is None else check_ids("items", items, history.n_cols)
        with backend.active():
            scores = all_scores(model, backend, history, chosen, popularity_discount)
            return scores if backend.inputs.on_device(user_items) else backend.to_host(scores)

    def item_names(self, ids: npt.ArrayLike) -> npt.NDArray[np.object_]:
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

    def score(self, user_items: UserItems, y: UserItems | None = None) -> float:
        """Return the NDCG of recommendations, for ``cross_val_score`` and searches of scikit-learn.

        scikit-learn holds out rows of users. A random half of each history (fixed, the smaller one) is hidden, and the
        model recommends from the other half. The halves depend on the order of users and items, so only scores of the
        same matrix can be compared. `evaluate` reports more.

        ``cross_val_score`` takes rows of a SciPy matrix; of Interactions pass ``data.user_items``. To hold out a part
        of each history in place of users, pass ``fastautorec.model_selection.Samples``.

        Parameters
        ----------
        user_items : Interactions, scipy sparse (q, n) or Samples
            Histories. Users with fewer than two items are left out. Of Samples, what is not among them is known.
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
        known, hidden = known_and_hidden(user_items, y)
        return float(evaluate(self, known, hidden)["NDCG"].mean)

    # --- what a model says --------------------------------------------------------------------------------------------

    @abstractmethod
    def _scorer(self) -> Scorer:
        """Return what scores histories."""

    def _list_scorer(self) -> Scorer:
        """Return what scores histories for lists; an index of the fitted items may spare most of the scores."""
        scorer, indexes = self._scorer(), self._indexes
        if isinstance(scorer, DotScorer) and indexes is not None:
            scorer.index = indexes.of(scorer.decoder)
        return scorer

    def _dialled(self, backend: Backend, discount: float | None) -> Scorer:
        """Return what scores histories with a popularity discount, or with the model's own one."""
        scorer = self._list_scorer()
        return scorer if discount is None else ScaledScorer(scorer, self._factors(backend, [discount])[0])

    def _factors(self, backend: Backend, discounts: Sequence[float]) -> FloatArray:
        """Return what scores are multiplied by for other popularity discounts; raise ValueError where there is none."""
        return factors(self, backend, discounts)

    def _discount(self) -> float:
        """Return the popularity discount that the scores have; raise ValueError where the model has none."""
        return fitted_discount(self)

    @abstractmethod
    def _item_vectors(self) -> FloatArray:
        """Return one vector for each item, float32 (n, d), for similarities."""

    def _user_vectors(self, backend: Backend, history: Csr) -> FloatArray:
        """Return one vector for each history, float32 (q, d), for similarities: by default the scores of all items."""
        scorer, q = self._scorer(), history.shape[0]
        scores = backend.empty(q, scorer.n_items)
        scorer.score(backend, scorer.prepare(backend, history), slice(0, q), slice(0, scorer.n_items), scores)
        return scores

    # --- what was fitted ----------------------------------------------------------------------------------------------

    def _require_histories(self) -> None:
        """Raise ValueError where a history alone does not say what to score it by."""

    def _require_fitted(self) -> None:
        if not hasattr(self, "n_items_"):
            raise NotFittedError(f"this {type(self).__name__} is not fitted; call fit(user_items) first")

    def _as_fitted(self) -> Self:
        """Return the fitted model with the parameters that it was fitted with.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        self._require_fitted()
        state = vars(self)
        if self._indexes is None:
            state["_indexes"] = Indexes()
        fitted = self.__new__(type(self))
        fitted.__dict__.update(state)
        fitted.__dict__.update(fitted.fitted_params_)
        fitted.__dict__.update((name, state[name]) for name in LIVE)
        return fitted

    def _backend(self) -> Backend:
        """Return the backend of the fitted arrays."""
        return get_backend(vars(self).get("device_", self.device), self.num_threads)

    def _check_history(self, user_items: Any, name: str = "user_items") -> Csr:
        self._require_fitted()
        identity.check_items(name, user_items, self.item_ids_)
        backend = self._backend()
        with backend.active():
            return backend.inputs.user_items(name, user_items, self.n_items_)

    def _own_candidates(self, items: Any, filter_items: Any, n_rows: int, user_items: Any = None) -> Csr | None:
        """Return what each of so many lists may have, on the host, or None where it is the same for all."""
        if not hasattr(items, "nnz"):
            return None
        if user_items is not None:
            identity.check_same_users("items", items, "user_items", user_items)
        return own_candidates(self._check_history(items, "items").to_host(), filter_items, n_rows)

    def _units(self, encoder: Encoder, user_items: Any) -> FloatArray:
        """Return the hidden units of histories, without the column of an intercept."""
        history, backend = self._check_history(self._in_order(user_items)), self._backend()
        with backend.active():
            units = encoder.units(backend, backend.put(history).rows(0, history.shape[0]))
            return units if backend.inputs.on_device(user_items) else backend.to_host(units)

    def _in_order(self, user_items: Any) -> Any:
        """Return histories with the columns of the model, for results that count no columns."""
        return identity.in_order_of(user_items, self.item_ids_)
