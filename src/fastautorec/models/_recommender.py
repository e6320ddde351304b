"""Recommender, the base of all models: parameters, the frame of ``fit``, plans."""

from __future__ import annotations

import copy
import inspect
import logging
import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fastautorec._checks import check_bool, sizes_of
from fastautorec._compute import get_backend
from fastautorec._compute.csr import Csr, singular_vectors
from fastautorec._compute.inputs import UserItems, check_user_items
from fastautorec._compute.protocol import Backend
from fastautorec._printed import html_table, html_text
from fastautorec._training.run import FitRun, ProgressBar
from fastautorec.data import _identity as identity
from fastautorec.data._sizes import size_of
from fastautorec.data._splits import who_has_enough
from fastautorec.models._export import Exporting
from fastautorec.models._memory_plan import Plan
from fastautorec.models._ranker import Serving
from fastautorec.models._stored import Stored
from fastautorec.models._updating import Updating

if TYPE_CHECKING:
    from typing_extensions import Self

_log = logging.getLogger("fastautorec")


class Recommender(Serving, Exporting, Updating, Stored):
    """Base of all models: parameters as in scikit-learn, words as in ``implicit``, histories in place of user ids.

    The arguments of the constructor are attributes, and changing one changes the next ``fit`` only. A subclass is a
    dataclass whose fields are the arguments; it checks them in ``_check_params`` and computes its arrays in ``_fit``.
    """

    _takes_weights: ClassVar[bool] = False  # whether those of interactions change what is fitted

    history_: list[dict[str, Any]]
    _from_sums: ClassVar[bool] = False  # whether sums over users are all that an exact solution needs of the data
    threshold_: float | None  # the rating from which on the command line counted one as positive

    # --- parameters --------------------------------------------------------------------------------------------------

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's arguments by name (``deep`` is there for scikit-learn and changes nothing)."""
        return {name: getattr(self, name) for name in self._param_names()}

    def set_params(self, **params: Any) -> Self:
        """Set constructor arguments by name for the next ``fit`` and return the model.

        A model that is fitted already goes on as it was fitted, and `save` writes the arguments of that ``fit``. Only
        ``num_threads``, which changes no result, counts at once.

        Returns
        -------
        self
            The model.

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
        params = self.get_params().items()
        shown = (f"{name}={value!r}" for name, value in params if not np.array_equal(value, defaults[name]))
        return f"{type(self).__name__}({', '.join(shown)})"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: whether the model is fitted, and its parameters."""
        state = "not fitted"
        if hasattr(self, "n_items_"):
            state = f"fitted to {self.n_users_:,} users and {self.n_items_:,} items"
        defaults = inspect.signature(type(self)).parameters
        rows = [["parameter", "value", "default"]]
        rows += [[name, repr(value), repr(defaults[name].default)] for name, value in self.get_params().items()]
        return html_text(f"{type(self).__name__}, {state}") + html_table(rows)

    @classmethod
    def _param_names(cls) -> tuple[str, ...]:
        return tuple(inspect.signature(cls).parameters)

    @classmethod
    def _with_params(cls, params: dict[str, Any]) -> Self:
        """Return an unfitted model with stored parameters, which do not say which of them were defaults."""
        defaults = cls().get_params()
        return cls(**{name: value for name, value in params.items() if name not in defaults or value != defaults[name]})

    def _at_work(self) -> Self:
        """Return a model without fitted attributes that one ``fit`` works on, whatever becomes of this one meanwhile.

        Its ``fitted_params_`` are the parameters as they are now. A generator among the parameters is copied there, but
        used up in the work itself, as its owner expects.
        """
        worker = type(self).__new__(type(self))
        worker.__dict__.update((name, value) for name, value in vars(self).items() if not name.endswith("_"))
        worker.fitted_params_ = copy.deepcopy(self.get_params())
        worker._indexes = None
        return worker

    # --- fitting -----------------------------------------------------------------------------------------------------

    def fit(
        self,
        user_items: UserItems,
        validation: UserItems | None = None,
        callbacks: Sequence[Callable[[dict[str, Any]], object]] = (),
        show_progress: bool = False,
    ) -> Self:
        """Fit the model; an earlier fit is forgotten, and nothing changes if this one fails or is interrupted.

        Parameters
        ----------
        user_items : Interactions or scipy sparse (m, n)
            Binary training interactions. Stored zeros are dropped; the same interaction stored twice counts once.
        validation : Interactions or scipy sparse (m, n), optional
            Held-out interactions of the same users, for choosing and for the metric in ``history_``. Where both have
            ids, rows and columns are brought to the order of ``user_items``. Without them `NCEAutoRecCV` and `DLAECV`
            hold out a part themselves.
        callbacks : sequence of callable
            Each is called with every new record of ``history_``.
        show_progress : bool
            Show a progress bar.

        Returns
        -------
        self
            The model, fitted.

        Raises
        ------
        TypeError, ValueError
            If an argument or a parameter of the model is not usable; the message says how to mend it.
        """
        return self._run_fit(user_items, validation, callbacks, show_progress)

    def _run_fit(
        self,
        user_items: UserItems,
        validation: UserItems | None,
        callbacks: Sequence[Callable[[dict[str, Any]], Any]],
        show_progress: bool,
        **options: Any,
    ) -> Self:
        """Check what every model checks, fit, and take the fitted attributes in one step; ``options`` go to the run."""
        began, worker = time.perf_counter(), self._at_work()
        worker._check_params()
        backend, title = worker._fit_backend(), type(self).__name__
        with backend.active():
            train = backend.inputs.user_items("user_items", user_items, fitting=True)
            held_out = None if validation is None else worker._held_out(backend, user_items, train, validation)
            with ProgressBar(title, check_bool("show_progress", show_progress)) as progress:
                if worker._takes_weights:
                    options["weights"] = getattr(user_items, "weights", None)
                run = FitRun(backend, train, held_out, tuple(callbacks), progress, timed=user_items, **options)
                self._take(worker, run, worker._ids_of(user_items))
        shape = (*train.shape, train.nnz)
        _log.info(
            "%r fitted to %d users, %d items, %d interactions in %.3f s", self, *shape, time.perf_counter() - began
        )
        return self

    def _take(self, worker: Self, run: FitRun, ids: dict[str, Any]) -> None:
        """Take the fitted attributes of a model at work, in one step at the end of its fit."""
        rows = run.known
        worker._adapt_to(singular_vectors(rows))
        users = int(np.count_nonzero(rows.row_lengths()))
        fitted = {"item_counts_": run.item_counts, "n_users_": users, "sums_": None} | worker._fit(run)
        fitted |= {"n_items_": rows.n_cols, "device_": run.backend.name, "history_": run.history}
        fitted["threshold_"] = None  # the command line sets it; that of an earlier fit does not hold for this one
        self.__dict__.update(fitted | ids | {"fitted_params_": worker.fitted_params_})
        self.__dict__.pop("_mapped", None)  # files of an earlier fit

    def _held_out(self, backend: Backend, user_items: Any, train: Csr, validation: Any) -> Csr:
        """Return checked validation data, in the order of the training data and in host memory."""
        validation = identity.aligned("validation", validation, "user_items", user_items)
        held_out = backend.inputs.user_items("validation", validation).to_host()
        identity.check_shape("validation", held_out, train.shape, "user_items")
        own, other = train.row_lengths(), held_out.row_lengths()
        if not (own * other).any():
            raise ValueError(
                "`validation` must hold an interaction of a user who has some in `user_items`, got none; split "
                "each user's interactions with split(data). For ratios such as 0.8, 0.2 "
                f"{who_has_enough(own + other, (0.8, 0.2))}"
            )
        return held_out

    def _adapt_to(self, n_vectors: int) -> None:
        """Bring the defaults of a model at work to what data with so many singular vectors allow."""

    def _ids_of(self, user_items: Any) -> dict[str, Any]:
        """Return the ids that the fitted model keeps of its training data, None where they have none of their own."""
        return {"item_ids_": identity.own_ids(user_items, identity.ITEMS)}

    def _check_params(self) -> None:
        """Raise if a parameter has the wrong kind or value."""

    def _solved_by_sums(self) -> bool:
        """Return whether this fit is an exact solution that needs sums over users only."""
        return self._from_sums

    @abstractmethod
    def _fit(self, run: FitRun) -> dict[str, Any]:
        """Return the fitted attributes."""

    # --- planning ---------------------------------------------------------------------------------------------------

    def plan(self, user_items: UserItems | tuple[int, int, int]) -> Plan:
        """Return the predicted peak memory and tile sizes of ``fit`` for a matrix, or for its (m, n, nnz).

        The peak is what the fit adds to the process: Python and the data are not in it.

        Parameters
        ----------
        user_items : Interactions, scipy sparse (m, n), or a tuple (users, items, interactions)

        Returns
        -------
        Plan
            Attributes ``peak_bytes``, ``parts`` (bytes by purpose), ``process_bytes`` (with Python, as
            `fastautorec.distributed.plan` counts), ``tiles``; printing it gives a table.
        """
        worker = self._at_work()
        worker._check_params()
        if isinstance(user_items, tuple):
            m, n, nnz = sizes_of("user_items", user_items, "a matrix")
            vectors = min(m, n)
        else:
            csr = check_user_items("user_items", user_items)
            (m, n), nnz, vectors = csr.shape, csr.nnz, singular_vectors(csr)
        ids = (
            [vars(user_items).get(name) for name in ("user_ids", "item_ids")] if hasattr(user_items, "item_ids") else ()
        )
        worker._adapt_to(vectors)
        return worker._plan(m, n, nnz).with_ids(size_of(ids))

    @abstractmethod
    def _plan(self, m: int, n: int, nnz: int) -> Plan:
        """Return the plan for m users, n items and nnz interactions."""

    # --- what the methods above use -----------------------------------------------------------------------------------

    def _fit_backend(self) -> Backend:
        """Return the backend for ``device``."""
        return get_backend(self.device, self.num_threads)

    # --- scikit-learn -------------------------------------------------------------------------------------------------

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether ``fit`` was called, for ``sklearn.utils.validation.check_is_fitted``."""
        return hasattr(self, "n_items_")

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn asks an estimator for: this one is fitted to sparse rows and needs no target."""
        from sklearn.utils import InputTags, Tags, TargetTags  # noqa: PLC0415 (only scikit-learn asks)

        return Tags(
            estimator_type=None, target_tags=TargetTags(required=False),
            input_tags=InputTags(two_d_array=False, sparse=True),
        )  # fmt: skip


def without_choice(state: dict[str, Any]) -> dict[str, Any]:
    """Return those fitted attributes of a model with a search that the model it has chosen has too."""
    own = ("best_params_", "best_score_", "cv_results_")
    return {name: value for name, value in state.items() if (name[-1] == "_" and name not in own) or name == "_mapped"}
