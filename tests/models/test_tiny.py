"""Data so small that nothing can be told from them: every model still fits, and falls back to what is popular."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse

import fastautorec as far
from fastautorec import models
from fastautorec.cli import _modelling as modelling

TINY = {
    "one": [[1]],
    "all of two": [[1, 1], [1, 1]],
    "one user": [[1, 1, 0, 0, 0]],
    "one item": [[1], [1], [0]],
    "one item of two": [[1, 0], [1, 0]],
}
HOSTS = ("cpu", "reference")
MODELS = {name: cls for name, cls in modelling.MODELS.items() if cls.__name__ in models.__all__}


def matrix(name: str) -> sparse.csr_matrix:
    return sparse.csr_matrix(np.array(TINY[name], np.float32))


@pytest.mark.parametrize("device", HOSTS)
@pytest.mark.parametrize("data", TINY)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.filterwarnings("ignore:.*it chose nothing")
def test_every_model_fits(model: str, data: str, device: str) -> None:
    history = matrix(data)
    one_each = np.diff(history.indptr).max() < 2  # then nothing can be held out
    validation = history if model.endswith("-cv") and one_each else None
    fitted = MODELS[model]().set_params(device=device).fit(history, validation=validation)
    scores = fitted.predict(history)
    assert scores.shape == history.shape
    assert np.isfinite(scores).all()
    ids, _ = fitted.recommend(history, N=history.shape[1])
    for row, items in enumerate(ids):  # each item that the user does not have, once
        assert sorted(items[items >= 0]) == np.flatnonzero(history[row].toarray().ravel() == 0).tolist()


@pytest.mark.parametrize("device", HOSTS)
@pytest.mark.parametrize("data", TINY)
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"activation": "relu"},
        {"spectrum_power": 0.5},
        {"user_weight": 0.0},
        {"dropout": 0.0},
        {"epochs": 2},
        {"epochs": 2, "mode": "joint"},
    ],
    ids=str,
)
def test_units_that_are_zero_leave_the_intercept(params: dict[str, Any], data: str, device: str) -> None:
    """All items are as popular as can be, or not there: nothing but popularity is left."""
    history = matrix(data)
    popularity = np.asarray(history.sum(axis=0)).ravel()
    model = far.NCEAutoRec(device=device, **params).fit(history)
    scores = model.predict(sparse.csr_matrix(([1.0], ([0], [0])), (1, history.shape[1])))[0]
    assert np.isfinite(scores).all()
    if not params.get("epochs"):
        np.testing.assert_allclose(scores / scores.max(), popularity / popularity.max(), atol=1e-6)


@pytest.mark.parametrize("device", HOSTS)
@pytest.mark.parametrize("data", ["one", "all of two", "one user", "one item of two"])
def test_without_an_intercept_all_is_zero(data: str, device: str) -> None:
    history = matrix(data)
    models = [far.NCEPLRec(beta=1.0, device=device), far.NCEAutoRec(fit_intercept=False, device=device)]
    for model in models:
        assert not model.fit(history).predict(history).any()


def test_a_penalty_of_nothing_is_still_refused() -> None:
    with pytest.raises(
        ValueError, match=r"`regularization`=0 leaves the linear system singular; use another value > 0"
    ):
        far.NCEAutoRec(regularization=0.0).fit(matrix("one"))
