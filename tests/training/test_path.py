"""Every corner of the grids: the solution on the path against NumPy's, and against a fit of the plain model."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from devices import backend_of_name
from lanes import keeping

import fastautorec as far
from fastautorec._compute.inputs import check_user_items
from fastautorec._training.closed_form import RidgeHead
from fastautorec._training.losses import weighted_error
from fastautorec._training.path import Judges, RidgePath, Setting
from fastautorec._training.path_search import climb
from fastautorec._training.run import FitRun, ProgressBar
from fastautorec.data._splits import held_counts, last_entries

USERS, ITEMS, RANK = 90, 40, 30
ALMOST_ONE = float(np.nextafter(1, 0))  # for a power of 1 a plain fit takes another basis, of a block of its own
DATA, HELD_OUT = far.split(far.datasets.synthetic(USERS, ITEMS, 1500, random_state=1), (0.8, 0.2), by="random")
GRIDS = (25, RANK), (0.25, ALMOST_ONE), (0.0, 0.9), (0.003, 2.0), (None, 0.0, 3.0)
CORNERS = [Setting(*corner) for corner in product(*GRIDS)]


def run_on(backend: Any) -> FitRun:
    train, held_out = (check_user_items("data", part) for part in (DATA, HELD_OUT))
    return FitRun(backend, train, held_out, (), ProgressBar("path", show=False))


def path_of(run: FitRun, intercept: str | None = "history") -> RidgePath:
    target = weighted_error(
        run.item_counts, USERS, 0, target="nce", beta=1.0, numerator="users", user_weight=0.5
    )  # fmt: skip
    return RidgePath(run, target.on(run.backend), RANK, np.random.default_rng(0), "l2", intercept)


RUN = run_on(backend_of_name("cpu"))
PATH = path_of(RUN)


def plain_numpy(setting: Setting) -> np.ndarray:
    """Return the scores of all users from the formulas: SVD of the target, moments of dropout, normal equations."""
    r, q = DATA.toarray().astype(np.float64), setting.dropout
    lengths, popularity = r.sum(axis=1, keepdims=True), np.maximum(r.sum(axis=0), 1)
    target = r * np.maximum(np.log(USERS) - np.log(popularity), 0) / np.sqrt(lengths)
    _, singular, vt = np.linalg.svd(target, full_matrices=False)
    w = vt[: setting.factors].T * (singular[: setting.factors] / singular[0]) ** setting.spectrum_power
    x = r / np.sqrt(lengths)
    h, g = x @ w, 1 / np.sqrt(lengths)
    penalty = setting.regularization * np.sqrt(lengths.mean()) * np.trace(h.T @ h) / setting.factors
    system = h.T @ h + q / (1 - q) * w.T @ np.diag((x * x).sum(axis=0)) @ w + penalty * np.eye(setting.factors)
    if setting.intercept_penalty is not None:
        own = (1 + setting.intercept_penalty) * np.sum(g * g)
        system, h = np.block([[system, h.T @ g], [g.T @ h, own]]), np.hstack([h, g])
    return h @ np.linalg.solve(system, h.T @ r)


@pytest.mark.parametrize("setting", CORNERS)
@pytest.mark.parametrize("users", [ITEMS, ITEMS + 1])  # which side is multiplied
def test_scores_are_those_of_the_formulas(setting: Setting, users: int) -> None:
    scorer = PATH.scorer(setting, users)
    scores = scorer.prepare(RUN.backend, RUN.known) @ scorer.decoder.T
    expected = plain_numpy(setting)
    np.testing.assert_allclose(scores, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("setting", CORNERS)
def test_a_decoder_is_that_of_a_plain_fit(setting: Setting) -> None:
    weight, decoder = PATH.decoder(setting)
    own = {"factors": setting.factors, "spectrum_power": setting.spectrum_power, "dropout": setting.dropout}
    model = far.NCEAutoRec(
        **own, regularization=setting.regularization, fit_intercept=setting.intercept_penalty is not None,
        intercept_penalty=setting.intercept_penalty or 0.0, popularity_discount=0.0,
    ).fit(DATA)  # fmt: skip
    signs = np.sign((weight * model.encoder_).sum(axis=0))
    signs_of_head = np.append(signs, 1)[: decoder.shape[1]]
    assert decoder.shape == model.decoder_.shape
    r = setting.factors
    for mine, its, most in (
        (weight * signs, model.encoder_, 1e-5),
        (decoder * signs_of_head, model.decoder_, 5e-5),  # rounding times the condition of the least penalty
        (weight @ decoder[:, :r].T, model.encoder_ @ model.decoder_[:, :r].T, 1e-5),
    ):
        assert np.linalg.norm(mine - its) < most * np.linalg.norm(its)


def test_a_path_without_intercept() -> None:
    setting = Setting(25, 0.5, 0.5, 0.1, None)
    bare = path_of(RUN, None)
    for one, other in zip(bare.decoder(setting), PATH.decoder(setting), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6 * np.abs(other).max())


@pytest.mark.parametrize("name", keeping(["reference"], ["reference", "cuda-emulated"]))
def test_every_backend_measures_alike(name: str) -> None:
    run = run_on(backend_of_name(name))
    judges, setting = np.arange(USERS), Setting(25, 0.5, 0.5, 0.1, 1.0)
    judges = judges[np.diff(HELD_OUT.indptr) > 0]
    with run.backend.active():
        theirs = Judges(run, judges, "NDCG@5").measure(path_of(run), setting, (0.0, 0.3))
    ours = Judges(RUN, judges, "NDCG@5").measure(PATH, setting, (0.0, 0.3))
    assert ours.shape == (2, len(judges))
    assert np.mean(np.abs(ours - theirs) < 1e-9) > 0.97  # scores that are nearly equal may change places
    assert (ours[0] != ours[1]).any()


def test_a_singular_system_is_refused() -> None:
    with pytest.raises(ValueError, match="leaves the linear system singular"):
        RidgeHead(np.zeros((3, 3)), np.zeros((4, 3), np.float32), np.zeros((3, 3)), 1.0).inverse(RUN.backend, 0.0, 0.0)


def test_climbing_ends_where_no_neighbour_is_better() -> None:
    grids = {"a": tuple(range(20)), "b": tuple(range(20))}
    asked = []

    def value(point: dict[str, int]) -> float:
        asked.append(point)
        return 500 - (point["a"] - 13) ** 2 - (point["b"] - 2) ** 2

    assert climb({"a": 0, "b": 19}, grids, value) == {"a": 13, "b": 2}
    assert all(point["a"] < 20 > point["b"] for point in asked)


# --- what is held out -------------------------------------------------------------------------------------------------


def hold_out(indptr: Any, times: Any, rng: np.random.Generator) -> Any:
    return last_entries(indptr, held_counts(np.diff(indptr), rng), times)


@pytest.mark.parametrize("seed", range(5))
def test_a_tenth_is_held_out_but_nobody_loses_everything(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 40, 300)
    indptr = np.concatenate(([0], np.cumsum(lengths)))
    times = rng.random(indptr[-1])
    held = hold_out(indptr, times, rng)
    counts = np.add.reduceat(np.append(held, False), indptr[:-1]) * (lengths > 0)
    assert (counts >= lengths // 10).all()
    assert (counts <= -(-lengths // 10)).all()
    assert (counts < np.maximum(lengths, 1)).all()
    assert counts.sum() == -(-lengths[lengths > 1].sum() // 10)
    for row in np.flatnonzero(counts):
        own = slice(indptr[row], indptr[row + 1])
        assert times[own][held[own]].min() > times[own][~held[own]].max()


def test_short_histories_hold_out_one_as_often_as_long_as_they_are() -> None:
    lengths = np.repeat([2, 5], 1000)
    indptr = np.concatenate(([0], np.cumsum(lengths)))
    held = hold_out(indptr, np.arange(indptr[-1]), np.random.default_rng(0))
    assert held.sum() == 700
    assert 150 < held[:2000].sum() < 250


def test_two_interactions_are_enough_to_hold_one_out() -> None:
    held = hold_out(np.array([0, 1, 3, 4]), np.arange(4), np.random.default_rng(0))
    assert held.tolist() == [False, False, True, False]


def test_nobody_has_two() -> None:
    assert not hold_out(np.arange(6), np.arange(5), np.random.default_rng(0)).any()
