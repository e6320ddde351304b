"""scikit-learn's manners: parameters by name, what a fitted model was fitted with, a score."""

from __future__ import annotations

import copy
import inspect
from abc import ABC
from typing import TYPE_CHECKING, Any

from fastautorec.exceptions import NotFittedError

if TYPE_CHECKING:
    from typing_extensions import Self

LIVE = ("num_threads",)  # parameters that change no result and may be set at any time


class Estimator(ABC):
    """Parameters, and their state at the last ``fit``.

    The arguments of the constructor are attributes, as in scikit-learn, and changing one changes the next ``fit`` only.
    What a fitted model computes with is ``fitted_params_``, a copy that ``fit`` makes. Nothing reads it directly:
    ``fit`` works on `_at_work`, and everything that a fitted model is asked works on `_as_fitted`, so no parameter can
    be forgotten, and one request sees one fit even where another thread fits the model anew.
    """

    fitted_params_: dict[str, Any]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's arguments by name (``deep`` is there for scikit-learn and changes nothing)."""
        return {name: getattr(self, name) for name in self._param_names()}

    def set_params(self, **params: Any) -> Self:
        """Set constructor arguments by name for the next ``fit`` and return the model.

        A model that is fitted already goes on as it was fitted, and `save` writes the arguments of that ``fit``. Only
        ``num_threads``, which changes no result, counts at once.

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

    @classmethod
    def _with_params(cls, params: dict[str, Any]) -> Self:
        """Return an unfitted model with stored parameters, which do not say which of them were defaults."""
        defaults = cls().get_params()
        return cls(**{name: value for name, value in params.items() if name not in defaults or value != defaults[name]})

    # --- what was fitted ---------------------------------------------------------------------------------------------

    def _require_fitted(self) -> None:
        if not hasattr(self, "n_items_"):
            raise NotFittedError(f"this {type(self).__name__} is not fitted; call fit(user_items) first")

    def _at_work(self) -> Self:
        """Return a model without fitted attributes that one ``fit`` works on, whatever becomes of this one meanwhile.

        Its ``fitted_params_`` are the parameters as they are now. A generator among the parameters is copied there, but
        used up in the work itself, as its owner expects.
        """
        worker = copy.copy(self)
        for name in [name for name in vars(self) if name.endswith("_")]:
            del worker.__dict__[name]
        worker.fitted_params_ = copy.deepcopy(self.get_params())
        return worker

    def _as_fitted(self) -> Self:
        """Return the fitted model with the parameters that it was fitted with.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        self._require_fitted()
        state = vars(self)
        fitted = self.__new__(type(self))
        fitted.__dict__.update(state)
        fitted.__dict__.update(fitted.fitted_params_)
        fitted.__dict__.update((name, state[name]) for name in LIVE)
        return fitted

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
