"""Ranker: lists for one history at a time, as a server asks for them, with all that requests share made once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from fastautorec._checks import check_bool, check_int, kind, list_length
from fastautorec._compute import get_backend
from fastautorec._compute.arrays import check_ids
from fastautorec._compute.csr import Csr
from fastautorec._compute.inputs import UserItems
from fastautorec._compute.labelled import check_no_mask
from fastautorec._compute.popularity import popularity_scorer, strangers
from fastautorec._compute.protocol import Backend, FloatArray, IdArray
from fastautorec._compute.top_lists import Lists, Scorer, Selector, restricted, scan_of, tile_shape
from fastautorec._types import Id
from fastautorec.models._answers import LIST_LENGTH
from fastautorec.models._candidates import allowed_items
from fastautorec.models._labels import Items, plain_labels
from fastautorec.models._named import NamedAnswers

FIRST = np.zeros(1, np.int64)


class NamedList(NamedTuple):
    """The list for one history, by name.

    Attributes
    ----------
    items : list
        Ids of items, the best first; shorter than N where fewer are left.
    scores : list of float
    unknown : list
        Ids in the history that the model does not know. They were left out.
    cold : bool
        Whether nothing in the history is known to the model: the list is that of an empty history, of popular items.
    """

    items: list[Any]
    scores: list[float]
    unknown: list[Any]
    cold: bool


class Ranker:
    """Lists for one history at a time from a fitted model, for any number of threads; `Recommender.ranker` makes it.

    It gives the lists of ``model.recommend`` for one history, ids and scores to the bit. `recommend` makes the scorer,
    the candidates and the buffers for scores in each call. A ranker makes them once, with one buffer for each thread
    that asks at the same time. It stays with the fit that it was made from: after another ``fit`` or ``partial_fit``,
    make a new one for the requests that follow.

    Examples
    --------
    >>> import fastautorec as far
    >>> packages = far.datasets.load_example()
    >>> model = far.NCEAutoRec(factors=64).fit(packages)
    >>> ranker = model.ranker(N=2)
    >>> ids, scores = ranker.recommend(packages.user_items[0].indices)
    >>> bool((ids == model.recommend(packages.user_items[:1], N=2)[0]).all())
    True
    >>> ranker.recommend_names(["git", "vim"]).items == model.recommend_table([["git", "vim"]], N=2).to_dict()[0]
    True
    """

    def __init__(
        self,
        model: NamedAnswers,
        N: int,
        filter_already_liked_items: bool,
        filter_items: npt.ArrayLike | None,
        items: npt.ArrayLike | None,
        popularity_discount: float | None,
        num_threads: int,
    ) -> None:
        self._model = model = model._as_fitted()
        model._require_histories()
        n = model.n_items_
        n_top = list_length(N, n)
        allowed = allowed_items(items, filter_items, n)
        known = check_bool("filter_already_liked_items", filter_already_liked_items)
        self._backend = backend = get_backend(model.device_, check_int("num_threads", num_threads, 1))
        self._named = Items(n, model.item_ids_, lambda: model._numbers_of(model.item_ids_))
        self._names: Sequence[Any] | None = None  # of all items, made for the first who asks by name
        with backend.active():
            scorer = model._dialled(backend, popularity_discount)
            self._own = _ListMaker(backend, scorer, n, n_top, known, allowed)
            self._popular = None
            if model.item_counts_ is not None:  # they are not in the files of earlier versions
                self._popular = _ListMaker(backend, popularity_scorer(model, backend), n, n_top, known, allowed)

    def recommend(self, history: npt.ArrayLike | UserItems) -> tuple[IdArray, FloatArray]:
        """Return the best items for one history.

        Parameters
        ----------
        history : int array (h,)
            Numbers of items, in any order; one that is named twice counts once.

        Returns
        -------
        ids : int32 (N,)
            Descending score, equal scores by ascending id; -1 where fewer than N items are left.
        scores : float32 (N,)
            NaN where the id is -1.

        Raises
        ------
        TypeError, ValueError
            If ``history`` does not hold numbers of items.
        """
        numbers = check_ids("history", history, self._named.n)
        check_no_mask("history", numbers, self._named.n)
        return self._recommend(_ascending(numbers))

    def recommend_names(self, history: Iterable[Id]) -> NamedList:
        """Return the best items for one history by the ids that items have in the data of ``fit``.

        Parameters
        ----------
        history : list of ids
            A model of a bare matrix has the numbers of its columns in their place.

        Returns
        -------
        NamedList
            With ``items``, ``scores``, what was ``unknown``, and whether the user is ``cold``.

        Raises
        ------
        TypeError
            If ``history`` is no list, or its ids are of another type than those of the model.
        """
        if isinstance(history, (str, bytes)) or not isinstance(history, Iterable):
            raise TypeError(f"`history` must be a list of item ids, got {kind(history)}; of a single one pass [id]")
        labels = plain_labels("history", history)
        numbers = self._named.numbers("history", labels)
        known = _ascending(numbers.astype(np.int32))
        unknown: list[Any] = []
        if len(known) and known[0] < 0:
            unknown = [label for label, number in zip(labels, numbers.tolist(), strict=True) if number < 0]
            known = known[1:]
        ids, scores = self._recommend(known)
        chosen = ids.tolist()
        length = chosen.index(-1) if chosen[-1] < 0 else len(chosen)
        if self._names is None:  # threads that ask at the same time make equal ones
            self._names = range(self._named.n) if self._named.ids is None else list(self._named.look_up())
        names = [self._names[number] for number in chosen[:length]]
        counts = self._model.item_counts_
        cold = not (len(known) if counts is None else counts[known].any())
        return NamedList(names, scores[:length].tolist(), unknown, cold)

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: buffers and threads stay where they are."""
        raise TypeError("a Ranker cannot be pickled or copied; pickle the model, and call its ranker() there")

    def _recommend(self, items: IdArray) -> tuple[IdArray, FloatArray]:
        """Return the list for items that ascend."""
        history = Csr(np.array([0, len(items)]), items, None, self._named.n)
        with self._backend.active():
            ids, scores = self._own.lists(history)
            if scores[0, 0] == 0 and self._popular is not None and len(strangers(self._model, history, FIRST)):
                ids, scores = self._popular.lists(history)
            return ids[0], scores[0]


def _ascending(numbers: IdArray) -> IdArray:
    """Return what ``np.unique`` does, which for a history takes longer than sorting it."""
    if len(numbers) < 2:
        return numbers
    ordered = np.sort(numbers)
    first = np.empty(len(ordered), bool)
    first[0] = True
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return ordered[first]


class _ListMaker:
    """Makes lists by one scorer, in any number of threads at the same time."""

    def __init__(
        self,
        backend: Backend,
        scorer: Scorer,
        n: int,
        n_top: int,
        known_left_out: bool,
        allowed: npt.NDArray[np.bool_] | None,
    ) -> None:
        self._scorer, self._candidates = restricted(scorer, backend, allowed, 1, n)
        self._backend, self._n_top, self._known_left_out = backend, n_top, known_left_out
        self._number: IdArray | None = None  # of each item among the candidates
        if self._candidates is not None:
            self._number = np.full(n, -1, np.int32)
            self._number[self._candidates] = np.arange(len(self._candidates), dtype=np.int32)
        width = tile_shape(backend.score_tiles, 1, self._scorer.n_items)[1]
        self._tiles = range(0, self._scorer.n_items, width)
        self._selector = Selector(backend, self._scorer, None)

    def lists(self, history: Csr) -> Lists:
        """Return ids and scores (1, n_top) of one history, in host memory."""
        backend = self._backend
        there = backend.put(history).rows(0, 1)
        exclude = self._left_out(history, there) if self._known_left_out else None
        prepared = self._scorer.prepare(backend, there)
        scan = scan_of(backend, self._scorer, 1, (1, self._tiles.step))
        best = scan.lists(prepared, exclude, self._n_top, backend.num_threads) if scan else None
        best = best or self._selector.best(prepared, exclude, slice(0, 1), self._tiles, self._n_top)
        ids, scores = (backend.to_host(array) for array in best)
        if self._candidates is not None:
            ids = np.where(ids < 0, np.int32(-1), self._candidates[ids])
        return ids, scores

    def _left_out(self, history: Csr, there: Csr) -> Csr:
        if self._number is None:
            return there
        numbers = self._number[history.indices]
        numbers = numbers[numbers >= 0]
        return self._backend.put(Csr(np.array([0, len(numbers)]), numbers, None, self._scorer.n_items)).rows(0, 1)


class Serving(NamedAnswers):
    """Fitted models that answer one request at a time."""

    def ranker(
        self,
        N: int = LIST_LENGTH,
        filter_already_liked_items: bool = True,
        filter_items: npt.ArrayLike | None = None,
        items: npt.ArrayLike | None = None,
        popularity_discount: float | None = None,
        num_threads: int = 1,
    ) -> Ranker:
        """Return what answers one request at a time, in any number of threads, sooner than `recommend`.

        Parameters
        ----------
        N, filter_already_liked_items, filter_items, items, popularity_discount
            As in `recommend`, for all of its lists.
        num_threads : int
            Threads for one request: more than one where few requests come at the same time and there are many items. It
            changes no bit.

        Returns
        -------
        Ranker
            With ``recommend(history)`` and ``recommend_names(history)``. It stays with the present fit.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        TypeError, ValueError
            If an argument is not usable, or the model cannot answer by a history alone.

        Examples
        --------
        >>> import fastautorec as far
        >>> packages = far.datasets.load_example()
        >>> ranker = far.EASE().fit(packages).ranker(N=3)
        >>> ranker.recommend_names(["git", "vim", "a typing error"]).unknown
        ['a typing error']
        """
        return Ranker(self, N, filter_already_liked_items, filter_items, items, popularity_discount, num_threads)
