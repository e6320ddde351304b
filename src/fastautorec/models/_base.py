"""What every recommender does alike: parameters, fitting frame, recommending, similar items, files."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from fastautorec import _model_file
from fastautorec._backends import get_backend
from fastautorec._backends.protocol import Backend, FloatArray, IdArray
from fastautorec._fitting import FitRun, Progress
from fastautorec._plan import Plan
from fastautorec._scoring import DotScorer, Scorer, top_lists
from fastautorec._sparse import Csr
from fastautorec._validation import check_bool, check_ids, check_int, check_matching, check_user_items
from fastautorec.exceptions import NotFittedError

if TYPE_CHECKING:
    from typing_extensions import Self


class Recommender(ABC):
    """Base of all models: scikit-learn's manners, ``implicit``'s words, histories instead of user ids.

    A subclass has an ``__init__`` that only stores its arguments, checks them in ``_check_params``, and computes its
    arrays in ``_fit``. The names in ``_arrays`` are the fitted arrays that a model file keeps.
    """

    _arrays: ClassVar[tuple[str, ...]] = ()

    device: str
    num_threads: int | None

    n_items_: int
    device_: str
    history_: list[dict[str, Any]]
    item_ids_: npt.NDArray[Any] | None

    # --- parameters --------------------------------------------------------------------------------------------------

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's arguments by name (``deep`` is there for scikit-learn and changes nothing)."""
        return {name: getattr(self, name) for name in self._param_names()}

    def set_params(self, **params: Any) -> Self:
        """Set constructor arguments by name and return the model.

        Raises
        ------
        ValueError
            If a name is not a parameter of this model.
        """
        names = self._param_names()
        for name in params:
            if name not in names:
                raise ValueError(f"{type(self).__name__} has no parameter {name!r}; it has {', '.join(names)}")
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        """Return the constructor call with the parameters that differ from their defaults."""
        defaults = {name: p.default for name, p in inspect.signature(type(self)).parameters.items()}
        shown = (f"{name}={value!r}" for name, value in self.get_params().items() if value != defaults[name])
        return f"{type(self).__name__}({', '.join(shown)})"

    @classmethod
    def _param_names(cls) -> tuple[str, ...]:
        return tuple(inspect.signature(cls).parameters)

    # --- fitting -----------------------------------------------------------------------------------------------------

    def fit(
        self,
        user_items: Any,
        validation: Any = None,
        callbacks: Sequence[Callable[[dict[str, Any]], Any]] = (),
        show_progress: bool = False,
    ) -> Self:
        """Fit the model; an earlier fit is forgotten, and nothing changes if this one fails or is interrupted.

        Parameters
        ----------
        user_items : Interactions or scipy sparse (m, n)
            Binary training interactions. Stored zeros are dropped; the same interaction stored twice counts once.
        validation : Interactions or scipy sparse (m, n), optional
            Held-out interactions of the same users, for choosing and for the metric in ``history_``.
        callbacks : sequence of callable
            Each is called with every new record of ``history_``.
        show_progress : bool
            Show a progress bar.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If an argument or a parameter of the model is not usable; the message says how to mend it.
        """
        return self._run_fit(user_items, validation, callbacks, show_progress)

    def _run_fit(
        self,
        user_items: Any,
        validation: Any,
        callbacks: Sequence[Callable[[dict[str, Any]], Any]],
        show_progress: bool,
        **options: Any,
    ) -> Self:
        """Check what every model checks, fit, and take the fitted attributes in one step; ``options`` go to the run."""
        self._check_params()
        train = check_user_items("user_items", user_items, fitting=True)
        held_out = None
        if validation is not None:
            held_out = check_user_items("validation", validation)
            check_matching("validation", held_out, train.shape, "user_items")
            if not (train.row_lengths() * held_out.row_lengths()).any():
                raise ValueError(
                    "`validation` must hold an interaction of a user who has some in `user_items`, got none; split "
                    "each user's interactions with split(data)"
                )
        backend = self._backend()
        with Progress(type(self).__name__, check_bool("show_progress", show_progress)) as progress:
            run = FitRun(backend, train, held_out, tuple(callbacks), progress, **options)
            fitted = self._fit(run)
        fitted |= {"n_items_": train.n_cols, "device_": backend.name, "history_": run.history}
        fitted["item_ids_"] = getattr(user_items, "item_ids", None)
        self.__dict__.update(fitted)
        return self

    def _check_params(self) -> None:
        """Raise if a parameter has the wrong kind or value."""

    @abstractmethod
    def _fit(self, run: FitRun) -> dict[str, Any]:
        """Return the fitted attributes."""

    # --- recommending ------------------------------------------------------------------------------------------------

    def recommend(
        self,
        user_items: Any,
        N: int = 10,
        filter_already_liked_items: bool = True,
        filter_items: Any = None,
        items: Any = None,
    ) -> tuple[IdArray, FloatArray]:
        """Return the best items for histories; new users need no retraining.

        Parameters
        ----------
        user_items : Interactions or scipy sparse (q, n)
            Histories, one row for each list that is wanted.
        N : int
            Length of the lists, at most the number of items.
        filter_already_liked_items : bool
            Leave out the items of the history.
        filter_items : int array, optional
            Items that nobody shall get.
        items : int array, optional
            Choose among these items only.

        Returns
        -------
        ids : int32 (q, N)
            Descending score, equal scores by ascending id; -1 where fewer than N items are left.
        scores : float32 (q, N)
            NaN where the id is -1.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        TypeError, ValueError
            If an argument is not usable.
        """
        history = self._check_history(user_items)
        n_top = check_int("N", N, 1, history.n_cols)
        scorer, candidates = self._scorer(), self._candidates(items, filter_items)
        exclude = history if check_bool("filter_already_liked_items", filter_already_liked_items) else None
        if candidates is not None:
            scorer = scorer.take(candidates)
            exclude = None if exclude is None else exclude.columns(candidates)
        ids = np.empty((history.shape[0], n_top), np.int32)
        scores = np.empty((history.shape[0], n_top), np.float32)

        def store(start: int, stop: int, best: IdArray, values: FloatArray) -> None:
            ids[start:stop] = best if candidates is None else np.where(best < 0, -1, candidates[best])
            scores[start:stop] = values

        top_lists(self._backend(), scorer, history, lambda _start, _stop: n_top, exclude, store)
        return ids, scores

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
        """
        history = self._check_history(user_items)
        scorer = self._scorer()
        if items is not None:
            scorer = scorer.take(check_ids("items", items, history.n_cols))
        scores = np.empty((history.shape[0], scorer.n_items), np.float32)
        backend = self._backend()
        everyone, everything = slice(0, history.shape[0]), slice(0, scorer.n_items)
        scorer.score(backend, scorer.prepare(backend, history), everyone, everything, scores)
        return scores

    def similar_items(self, itemids: Any, N: int = 10) -> tuple[IdArray, FloatArray]:
        """Return the items whose vectors have the largest cosine with those of ``itemids``, the item itself first.

        Parameters
        ----------
        itemids : int or int array (q,)
        N : int

        Returns
        -------
        ids : int32 (q, N), or (N,) for one id
        scores : float32 of the same shape
            Cosine similarities.
        """
        self._require_fitted()
        queries = check_ids("itemids", itemids, self.n_items_)
        n_top = check_int("N", N, 1, self.n_items_)
        vectors = self._item_vectors()
        norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
        unit = (vectors / np.where(norms > 0, norms, 1)[:, None]).astype(np.float32, copy=False)
        ids = np.empty((len(queries), n_top), np.int32)
        scores = np.empty((len(queries), n_top), np.float32)

        def store(start: int, stop: int, best: IdArray, values: FloatArray) -> None:
            ids[start:stop], scores[start:stop] = best, values

        one_hot = Csr(np.arange(len(queries) + 1), queries, None, self.n_items_)
        neighbours = DotScorer(lambda _backend, rows: unit[rows.rebased().indices], unit)
        top_lists(self._backend(), neighbours, one_hot, lambda _start, _stop: n_top, None, store)
        return (ids[0], scores[0]) if np.ndim(itemids) == 0 else (ids, scores)

    # --- files and planning ------------------------------------------------------------------------------------------

    def save(self, path: str | PathLike[str]) -> None:
        """Write the fitted model to ``path``, replacing a file there in one step; `fastautorec.load` reads it.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        OSError
            If the file cannot be written; a file that was there before is left as it was.
        """
        self._require_fitted()
        names = self._stored_arrays()
        fitted = {name: value for name, value in vars(self).items() if name.endswith("_") and name not in names}
        header = {"model": type(self).__name__, "params": self.get_params(), "fitted": fitted}
        _model_file.write(Path(path), header, {name: getattr(self, name) for name in names})

    @classmethod
    def _stored_arrays(cls) -> tuple[str, ...]:
        return (*cls._arrays, "item_ids_")

    def plan(self, user_items: Any) -> Plan:
        """Return the predicted peak memory and tile sizes of ``fit`` for a matrix, or for its (m, n, nnz).

        Parameters
        ----------
        user_items : Interactions, scipy sparse (m, n), or a tuple (users, items, interactions)

        Returns
        -------
        Plan
            Attributes ``peak_bytes``, ``parts`` (bytes by purpose), ``tiles``; printing it gives a table.
        """
        self._check_params()
        if isinstance(user_items, tuple):
            m, n, nnz = (check_int(name, v, 1) for name, v in zip(("m", "n", "nnz"), user_items, strict=True))
        else:
            csr = check_user_items("user_items", user_items)
            (m, n), nnz = csr.shape, csr.nnz
        return self._plan(m, n, nnz)

    @abstractmethod
    def _plan(self, m: int, n: int, nnz: int) -> Plan:
        """Return the plan for m users, n items and nnz interactions."""

    # --- what evaluation and files use -------------------------------------------------------------------------------

    @abstractmethod
    def _scorer(self) -> Scorer:
        """Return what scores histories."""

    @abstractmethod
    def _item_vectors(self) -> FloatArray:
        """Return one vector for each item, float32 (n, d), for similarities."""

    def _backend(self) -> Backend:
        return get_backend(self.device, self.num_threads)

    def _require_fitted(self) -> None:
        if not hasattr(self, "n_items_"):
            raise NotFittedError(f"this {type(self).__name__} is not fitted; call fit(user_items) first")

    def _check_history(self, user_items: Any, name: str = "user_items") -> Csr:
        self._require_fitted()
        history = check_user_items(name, user_items, self.n_items_)
        ids = getattr(user_items, "item_ids", None)
        if ids is not None and self.item_ids_ is not None and not np.array_equal(ids, self.item_ids_):
            column = int(np.argmax(np.asarray(ids) != self.item_ids_))
            raise ValueError(
                f"`{name}` has other items in its columns than the model was fitted on: column {column} is "
                f"{ids[column]!s}, in the model {self.item_ids_[column]!s}; use {name}.with_items(model.item_ids_)"
            )
        return history

    def _candidates(self, items: Any, filter_items: Any) -> IdArray | None:
        if items is None and filter_items is None:
            return None
        n = self.n_items_
        chosen = np.arange(n, dtype=np.int32) if items is None else check_ids("items", items, n, unique=True)
        if filter_items is not None:
            chosen = np.setdiff1d(chosen, check_ids("filter_items", filter_items, n))
        if len(chosen) == 0:
            raise ValueError("`items` and `filter_items` leave no item to recommend; allow at least one")
        return chosen
