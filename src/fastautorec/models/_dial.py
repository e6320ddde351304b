"""Another popularity discount for a fitted model: its scores times pop^(γ₀ − γ), which a fit with γ would give too."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fastautorec._checks import check_real
from fastautorec._compute.protocol import Backend, FloatArray
from fastautorec._training.fit import check_discount, powers

if TYPE_CHECKING:
    from fastautorec.models._answers import Answering

DISCOUNT = "popularity_discount"


def fitted_discount(model: Answering) -> float:
    """Return the discount γ₀ that a model was fitted with; raise ValueError where the model has none."""
    require_discount(model, model.fitted_params_)
    return float((model.fitted_params_ | getattr(model, "best_params_", {}))[DISCOUNT])


def require_discount(model: object, params: Collection[str]) -> None:
    """Raise ValueError where a model has no popularity discount among its parameters."""
    if DISCOUNT not in params:
        raise ValueError(
            f"`{DISCOUNT}` must be left out for {type(model).__name__}, whose scores have none; models of the AutoRec "
            "family, such as NCEAutoRec, have one, and DLAE has"
        )


def factors(model: Answering, backend: Backend, discounts: Sequence[float]) -> FloatArray:
    """Return what the scores of a fitted model are multiplied by for other discounts, (n_discounts, n).

    For the model's own one it is 1, which changes no bit.
    """
    own = fitted_discount(model)
    given = [check_real(DISCOUNT, value) for value in discounts]
    counts = model.item_counts_
    assert counts is not None  # every version has kept those of the models that have a discount
    for value in given:
        check_discount(counts, value)  # what a fit would refuse; below, exponents are up to twice as large
    return backend.to_device(np.stack([powers(counts, own - value) for value in given]))
