"""The sums of a ridge head by way of the items, against the formulas in NumPy and against those by way of the users."""

from __future__ import annotations

import numpy as np
import pytest
from devices import backend_of_name
from lanes import keeping
from runs import run_on

import fastautorec as far
from fastautorec._compute.inputs import check_user_items
from fastautorec._training import closed_form
from fastautorec._training.closed_form import Encoder, accumulate_ridge
from fastautorec._training.item_sums import items_are_cheaper
from fastautorec._training.losses import SquaredError

USERS, ITEMS, UNITS = 90, 40, 12
DATA = far.datasets.synthetic(USERS, ITEMS, 900, random_state=1)
RNG = np.random.default_rng(0)
WEIGHT = RNG.standard_normal((ITEMS, UNITS)).astype(np.float32)
ITEM_WEIGHTS = RNG.uniform(0.5, 2, ITEMS).astype(np.float32)
TARGETS = {"plain": SquaredError(), "weighted": SquaredError(ITEM_WEIGHTS, 0.3)}


def sums(backend, monkeypatch, by_items, normalize, intercept, target):
    monkeypatch.setattr(closed_form, "items_are_cheaper", lambda *_: by_items)
    monkeypatch.setattr(closed_form, "tile_users", lambda *_: 17)
    with backend.active():
        encoder = Encoder(backend.to_device(WEIGHT), None, "identity", normalize, intercept)
        run = run_on(backend, check_user_items("data", DATA))
        head = accumulate_ridge(run, encoder, 0.3, 0, target.on(backend))
        return head.gram, backend.to_host(head.cross), head.noise


@pytest.mark.parametrize("name", keeping(["cpu"], ["cpu", "reference", "cuda-emulated"]))
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("intercept", ["history", "constant", None])
@pytest.mark.parametrize("normalize", ["l2", None])
def test_both_ways_are_the_formulas(name, target, intercept, normalize, monkeypatch) -> None:
    loss, r = TARGETS[target], DATA.toarray().astype(np.float64)
    lengths = np.maximum(r.sum(axis=1, keepdims=True), 1)
    x = r / np.sqrt(lengths) if normalize else r
    g = {"history": lengths**-0.5, "constant": np.ones_like(lengths), None: np.empty((USERS, 0))}[intercept]
    h, t = np.hstack([x @ WEIGHT, g]), r if target == "plain" else r * ITEM_WEIGHTS * lengths**-0.3
    noise = 0.3 / 0.7 * WEIGHT.T @ np.diag((x * x).sum(axis=0)) @ WEIGHT
    for by_items in (True, False):
        found = sums(backend_of_name(name), monkeypatch, by_items, normalize, intercept, loss)
        for one, expected in zip(found, (h.T @ h, t.T @ h, noise), strict=True):
            np.testing.assert_allclose(one, expected, rtol=0, atol=2e-6 * np.abs(expected).max())


def test_the_bits_are_those_of_any_number_of_threads(monkeypatch) -> None:
    one, other = (
        sums(backend_of_name("cpu").with_threads(threads), monkeypatch, True, "l2", "history", TARGETS["weighted"])
        for threads in (1, 5)
    )
    for mine, its in zip(one, other, strict=True):
        np.testing.assert_array_equal(mine, its)


def test_the_items_are_the_way_where_they_are_few_and_units_many() -> None:
    assert items_are_cheaper(17_330, 5_460, 169_376, 2000)
    assert not items_are_cheaper(17_330, 5_460, 169_376, 300)
    assert not items_are_cheaper(5_460, 17_330, 169_376, 2000)
