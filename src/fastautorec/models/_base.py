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
from fastautorec._data.naming import first_difference
from fastautorec._fitting import FitRun, Progress
from fastautorec._plan import Plan
from fastautorec._scoring import DotScorer, MaskedScorer, Scorer, copying_pays, top_lists
from fastautorec._sizes import size_of
from fastautorec._sparse import Csr, LazyRows
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
    _on_host: ClassVar[tuple[str, ...]] = ()  # of these, those that never go to a device

    device: str
    num_threads: int | None

    n_items_: int
    device_: str
    history_: list[dict[str, Any]]
    item_ids_: npt.NDArray[Any] | None

    def __sizeof__(self) -> int:
        """Return the bytes that the model takes with its arrays in host memory, for caches that ask."""
        return object.__sizeof__(self) + size_of(vars(self).values())

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
        backend = self._fit_backend()
        with backend.active():
            return self._fit_on(backend, user_items, validation, callbacks, show_progress, **options)

    def _fit_on(
        self,
        backend: Backend,
        user_items: Any,
        validation: Any,
        callbacks: Sequence[Callable[[dict[str, Any]], Any]],
        show_progress: bool,
        **options: Any,
    ) -> Self:
        train = backend.inputs.user_items("user_items", user_items, fitting=True)
        held_out = None
        if validation is not None:
            held_out = backend.inputs.user_items("validation", validation).to_host()
            check_matching("validation", held_out, train.shape, "user_items")
            if not (train.row_lengths() * held_out.row_lengths()).any():
                raise ValueError(
                    "`validation` must hold an interaction of a user who has some in `user_items`, got none; split "
                    "each user's interactions with split(data)"
                )
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
        scorer, allowed = self._scorer(), self._allowed(items, filter_items)
        excluded = history if check_bool("filter_already_liked_items", filter_already_liked_items) else None
        backend = self._backend()
        with backend.active():
            history = backend.put(history)
            exclude: Csr | LazyRows | None = None if excluded is None else history
            chosen = None
            if allowed is not None:
                candidates = np.flatnonzero(allowed).astype(np.int32)
                if copying_pays(len(candidates), history.shape[0], history.n_cols):
                    chosen = backend.to_device(candidates)
                    scorer = scorer.take(chosen)
                    exclude = None if excluded is None else _columns(excluded.to_host(), candidates)
                else:
                    scorer = MaskedScorer(scorer, np.flatnonzero(~allowed))
            on_device = backend.inputs.on_device(user_items)
            shape, memory = (history.shape[0], n_top), backend if on_device else backend.host
            ids, scores = memory.new(shape, np.int32), memory.new(shape, np.float32)

            def store(start: int, stop: int, best: IdArray, values: FloatArray) -> None:
                named = best if chosen is None else np.where(best < 0, np.int32(-1), chosen[best])
                ids[start:stop] = named if on_device else backend.to_host(named)
                scores[start:stop] = values if on_device else backend.to_host(values)

            top_lists(backend, scorer, history, lambda _start, _stop: n_top, exclude, store)
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
        scorer, backend = self._scorer(), self._backend()
        with backend.active():
            if items is not None:
                scorer = scorer.take(backend.to_device(check_ids("items", items, history.n_cols)))
            scores = backend.empty(history.shape[0], scorer.n_items)
            everyone, everything = slice(0, history.shape[0]), slice(0, scorer.n_items)
            there = backend.put(history).rows(0, history.shape[0])
            scorer.score(backend, scorer.prepare(backend, there), everyone, everything, scores)
            return scores if backend.inputs.on_device(user_items) else backend.to_host(scores)

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
        ids = np.empty((len(queries), n_top), np.int32)
        scores = np.empty((len(queries), n_top), np.float32)
        backend = self._backend()

        def store(start: int, stop: int, best: IdArray, values: FloatArray) -> None:
            ids[start:stop], scores[start:stop] = backend.to_host(best), backend.to_host(values)

        with backend.active():
            vectors = self._item_vectors()
            norms = np.sqrt((vectors * vectors).sum(axis=1, keepdims=True))
            unit = vectors / np.where(norms > 0, norms, np.float32(1))
            one_hot = backend.put(Csr(np.arange(len(queries) + 1), queries, None, self.n_items_))
            neighbours = DotScorer(lambda on, rows: on.encode(rows, unit), unit)
            top_lists(backend, neighbours, one_hot, lambda _start, _stop: n_top, None, store)
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
        names, backend = self._stored_arrays(), self._backend()
        fitted = {name: value for name, value in vars(self).items() if name.endswith("_") and name not in names}
        fitted["device_"] = backend.host.name  # a file can be read where there is no such device
        header = {"model": type(self).__name__, "params": self.get_params(), "fitted": fitted}
        with backend.active():
            arrays = {name: getattr(self, name) for name in names} | self._moved(backend.to_host)
        _model_file.write(Path(path), header, arrays)

    def to(self, device: str) -> Self:
        """Move the fitted model to another device and return it.

        Parameters
        ----------
        device : {"auto", "cpu", "cuda", "cuda:1", ...}
            Where ``recommend`` and the others shall run, and the next ``fit``.

        Returns
        -------
        self

        Raises
        ------
        NotFittedError
            Before ``fit``.
        BackendUnavailableError
            If the device cannot be used.

        Examples
        --------
        >>> import fastautorec as far
        >>> model = far.Popularity().fit(far.datasets.load_example()).to("cpu")
        >>> model.device_
        'cpu'
        """
        self._require_fitted()
        old, new = self._backend(), get_backend(device, self.num_threads)
        with old.active():
            on_host = self._moved(old.to_host)
        with new.active():
            arrays = {name: None if array is None else new.to_device(array) for name, array in on_host.items()}
        self.__dict__.update(arrays, device=device, device_=new.name)
        return self

    def _moved(self, move: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]) -> dict[str, Any]:
        """Return the fitted arrays that live on the device, moved."""
        named = {name: getattr(self, name) for name in self._arrays if name not in self._on_host}
        return {name: None if array is None else move(array) for name, array in named.items()}

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
        ids = (
            [vars(user_items).get(name) for name in ("user_ids", "item_ids")] if hasattr(user_items, "item_ids") else ()
        )
        return self._plan(m, n, nnz).with_ids(size_of(ids))

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

    def _fit_backend(self) -> Backend:
        """Return the backend for ``device``."""
        return get_backend(self.device, self.num_threads)

    def _backend(self) -> Backend:
        """Return the backend of the fitted arrays."""
        return get_backend(vars(self).get("device_", self.device), self.num_threads)

    def _require_fitted(self) -> None:
        if not hasattr(self, "n_items_"):
            raise NotFittedError(f"this {type(self).__name__} is not fitted; call fit(user_items) first")

    def _check_history(self, user_items: Any, name: str = "user_items") -> Csr:
        self._require_fitted()
        backend = self._backend()
        with backend.active():
            history = backend.inputs.user_items(name, user_items, self.n_items_)
        ids = getattr(user_items, "item_ids", None)
        if ids is not None and self.item_ids_ is not None and not np.array_equal(ids, self.item_ids_):
            column, given, fitted = first_difference(ids, self.item_ids_)
            raise ValueError(
                f"`{name}` has other items in its columns than the model was fitted on: column {column} is "
                f"{given}, in the model {fitted}; use {name}.with_items(model.item_ids_)"
            )
        return history

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


def _columns(matrix: Csr, items: IdArray) -> LazyRows:
    shape = matrix.shape[0], len(items)
    return LazyRows(shape, lambda start, stop: matrix.rows(start, stop).columns(items), matrix.indptr)
