"""The full-rank linear autoencoder, against its formula in dense NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from contract import ModelContract, train  # noqa: F401
from scipy import linalg, sparse

import fastautorec as far
from fastautorec._training import sharpening
from fastautorec.models import _memory_plan


def formula(X: np.ndarray, model: far.DLAE) -> np.ndarray:
    """Return B of a model's parameters, by the side of the items and in float64."""
    X = X.astype(np.float64)
    popularity, lengths = np.maximum(X.sum(axis=0), 1), np.maximum(X.sum(axis=1, keepdims=True), 1)
    counts = X.sum(axis=0)
    scale = (1 + model.denoising * counts * counts.sum() / (counts @ counts)) ** -0.5
    F, T = X * scale * lengths**-model.input_weight, X * lengths**-model.target_weight
    A = X * scale * lengths**-0.5
    A = A / np.linalg.norm(A, 2)
    penalty = model.regularization * (F**2).sum() / np.count_nonzero(X.any(axis=1))
    hessian = penalty * np.linalg.inv(np.eye(X.shape[1]) + model.prior * A.T @ A) + F.T @ F
    inverse = np.linalg.inv(hessian)
    B = inverse @ F.T @ T
    if model.diagonal == "zero":
        B -= inverse * (np.diag(B) / np.diag(inverse))
    joined = X * lengths**-0.5 * popularity**-0.5
    sharp = linalg.expm(-model.sharpening * joined.T @ joined)  # with all directions
    B = scale[:, None] * B @ sharp * popularity**-model.popularity_discount
    if model.diagonal == "zero":
        np.fill_diagonal(B, 0)
    return B


def by_directions(X: np.ndarray, model: far.DLAE) -> tuple[np.ndarray, float, float]:
    """Return B by the leading eigenvectors of F C Fᵀ in float64, the share that it is off by, and (λ + θ₁)/λ."""
    assert model.directions is not None
    X = X.astype(np.float64)
    lengths, counts = np.maximum(X.sum(axis=1, keepdims=True), 1), X.sum(axis=0)
    scale = (1 + model.denoising * counts * counts.sum() / (counts @ counts)) ** -0.5
    F, A = (X * scale * lengths**-power for power in (model.input_weight, 0.5))
    C = np.eye(len(scale)) + model.prior * A.T @ A / np.linalg.norm(A, 2) ** 2
    penalty = model.regularization * (F**2).sum() / np.count_nonzero(X.any(axis=1))
    values, vectors = (one[..., ::-1] for one in np.linalg.eigh(F @ C @ F.T))
    last = values[model.directions - 1]
    spread = 8 * (penalty + last / 2) ** 2 - last**2
    line = 8 * (penalty + last - values) / spread  # Chebyshev's polynomial of degree 2 without its zero at −λ
    taken = np.where(np.arange(len(values)) < model.directions, 1 / (penalty + values), line)
    inverse = vectors * taken @ vectors.T
    B = scale[:, None] * (C @ F.T @ inverse @ (X * lengths**-model.target_weight))
    off = np.abs((penalty + values) * taken - 1).max()
    assert off <= 1 / (2 * (1 + 2 * penalty / last) ** 2 - 1) + 1e-9
    return B * np.maximum(counts, 1) ** -model.popularity_discount, off, 1 + values[0] / penalty


class TestDLAE(ModelContract):
    answers_strangers_by_popularity = takes_penalties = True

    def make(self, **params: Any) -> far.DLAE:
        return far.DLAE(**{"regularization": 2.0, **params})


class TestDLAEByDirections(ModelContract):
    answers_strangers_by_popularity = takes_penalties = True

    def make(self, **params: Any) -> far.DLAE:
        return far.DLAE(**{"regularization": 2.0, "directions": 20, "sharpening": 0.5, **params})


WIDE, LONG = (90, 140), (500, 130)  # solved by users and by items


@pytest.mark.parametrize("shape", [WIDE, LONG])
@pytest.mark.parametrize("diagonal", ["free", "zero"])
@pytest.mark.parametrize(
    "values",
    [
        {},
        {"denoising": 0.0, "prior": 0.0, "input_weight": 0.0, "target_weight": 0.0, "popularity_discount": 0.0},
        {"denoising": 100.0, "prior": 300.0, "input_weight": 0.5},
        {"regularization": 0.25, "prior": 3.0, "target_weight": 1.0, "popularity_discount": -0.1},
        {"regularization": 512.0},
        {"sharpening": 1.0},
        {"sharpening": 3.0, "prior": 0.0, "popularity_discount": 0.0},
    ],
)
def test_equals_the_formula(
    shape: tuple[int, int], diagonal: str, values: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharpening, "SHARE", 1)
    matrix = far.datasets.synthetic(*shape, 3000, random_state=3)
    model = far.DLAE(diagonal=diagonal, **values).fit(matrix)
    expected = formula(matrix.toarray(), model)
    np.testing.assert_allclose(model.item_weights_, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("values", [{}, {"prior": 0.0, "denoising": 0.0}, {"input_weight": 0.5, "target_weight": 0.0}])
@pytest.mark.parametrize("regularization", [0.5, 32.0])
def test_directions_equal_their_formula(values: dict[str, float], regularization: float) -> None:
    matrix = far.datasets.synthetic(*WIDE, 3000, random_state=3)
    model = far.DLAE(regularization, directions=75, **values).fit(matrix)  # 16 more are found: all, so exactly
    expected, off, condition = by_directions(matrix.toarray(), model)
    rounding = 2e-5 + condition * np.finfo(np.float32).eps
    np.testing.assert_allclose(model.item_weights_, expected, rtol=0, atol=rounding * np.abs(expected).max())
    exact = formula(matrix.toarray(), model)
    assert np.linalg.norm(expected - exact) <= off * np.linalg.norm(exact)


@pytest.mark.parametrize("shape", [WIDE, LONG])
def test_all_directions_are_the_inverse(shape: tuple[int, int]) -> None:
    matrix = far.datasets.synthetic(*shape, 3000, random_state=3)
    directions = int(min(np.count_nonzero(np.diff(matrix.indptr)), np.count_nonzero(matrix.getnnz(axis=0))))
    model = far.DLAE(directions=directions).fit(matrix)
    expected = formula(matrix.toarray(), model)
    np.testing.assert_allclose(model.item_weights_, expected, rtol=0, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("users", [2, 3, 4, 5, 7])
def test_all_directions_of_a_few_users(users: int) -> None:
    """Of so few random signs some columns are the same: a direction was lost, and counted as 1/λ."""
    matrix = sparse.identity(users, dtype=np.float32, format="csr")
    for regularization in (1.0, 32.0):
        exact = far.DLAE(regularization).fit(matrix).item_weights_
        model = far.DLAE(regularization, directions=users).fit(matrix)
        np.testing.assert_allclose(model.item_weights_, exact, rtol=0, atol=1e-6 * np.abs(exact).max())


def test_more_directions_than_the_rank() -> None:
    """What is left of the directions by rounding must not count as often as their eigenvalues are larger."""
    drawn = np.random.default_rng(0).random((45, 100)) < 0.5
    matrix = sparse.csr_matrix(np.repeat(drawn, 10, axis=0), dtype=np.float32)
    for regularization, most in ((32.0, 2e-4), (0.25, 0.01)):
        exact = far.DLAE(regularization).fit(matrix).item_weights_
        weights = far.DLAE(regularization, directions=50).fit(matrix).item_weights_
        assert np.abs(weights - exact).max() < most * np.abs(exact).max()


@pytest.mark.parametrize(("regularization", "most"), [(32, 1e-4), (1, 1e-3), (0.1, 1e-2)])
def test_rounding_counts_once_for_each_eigenvalue_over_the_penalty(regularization: float, most: float) -> None:
    """All 40 directions are far above the penalty, and the line is that of an eigenvalue of 0: it is not squared."""
    matrix = sparse.csr_matrix(sparse.block_diag([np.ones((8, 6))] * 40), dtype=np.float32)
    exact = far.DLAE(regularization).fit(matrix).item_weights_
    weights = far.DLAE(regularization, directions=41).fit(matrix).item_weights_
    assert np.linalg.norm(weights - exact) < most * np.linalg.norm(exact)


def test_directions_come_near_the_inverse() -> None:
    matrix = far.datasets.synthetic(500, 300, 9000, random_state=3)
    exact = far.DLAE().fit(matrix).item_weights_
    errors = [np.linalg.norm(far.DLAE(directions=r).fit(matrix).item_weights_ - exact) for r in (10, 50, 200)]
    assert errors[0] > 2 * errors[1] > 4 * errors[2]


def test_its_corner_is_ease() -> None:
    matrix = far.datasets.synthetic(*LONG, 3000, random_state=3)
    corner = far.DLAE(
        regularization=0.5, denoising=0, prior=0, input_weight=0, target_weight=0, popularity_discount=0,
        diagonal="zero",
    ).fit(matrix)  # fmt: skip
    users = np.count_nonzero(np.diff(matrix.indptr))
    ease = far.EASE(regularization=0.5 * matrix.nnz / users).fit(matrix)
    np.testing.assert_allclose(corner.item_weights_, ease.item_weights_, rtol=0, atol=1e-5)


@pytest.mark.parametrize("values", [{"diagonal": "free"}, {"diagonal": "zero"}, {"directions": 200, "sharpening": 1}])
@pytest.mark.parametrize("shape", [(300, 700), (700, 300)])
def test_same_bits_for_any_number_of_threads(shape: tuple[int, int], values: dict[str, Any]) -> None:
    matrix = far.datasets.synthetic(*shape, 9000, random_state=3)
    one, more = (far.DLAE(**values, num_threads=k).fit(matrix).item_weights_ for k in (1, 3))
    np.testing.assert_array_equal(one, more)


def test_several_penalties_are_as_many_fits() -> None:
    known, held_out = far.split(far.datasets.synthetic(400, 300, 9000, random_state=1), (0.8, 0.2), by="random")
    penalties = [0.01, 4.0, 1e4]
    model = far.DLAE(regularization=penalties).fit(known, validation=held_out)
    ones = [far.DLAE(regularization=v).fit(known, validation=held_out) for v in penalties]
    assert [r["metric"] for r in model.history_] == [one.history_[0]["metric"] for one in ones]
    best = max(ones, key=lambda one: one.history_[0]["metric"])
    assert model.regularization_ == best.regularization_ == 4.0
    np.testing.assert_array_equal(model.item_weights_, best.item_weights_)


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"regularization": 0}, ValueError, "`regularization` must be > 0, got 0"),
        ({"regularization": []}, ValueError, "`regularization` must hold at least one value"),
        ({"regularization": [1, 2]}, ValueError, "`regularization` holds 2 values to choose from"),
        ({"denoising": -1}, ValueError, r"`denoising` must be >= 0 and <= 1e\+12, got -1"),
        ({"denoising": 1e25}, ValueError, r"`denoising` must be >= 0 and <= 1e\+12, got 1e\+25"),
        ({"prior": np.inf}, ValueError, "`prior` must be finite, got inf"),
        ({"prior": 1e39}, ValueError, r"`prior` must be >= 0 and <= 1e\+12, got 1e\+39"),
        ({"input_weight": 2}, ValueError, "`input_weight` must be >= 0 and <= 1, got 2"),
        ({"target_weight": "1"}, TypeError, "`target_weight` must be a number, got str"),
        ({"popularity_discount": 1e3}, ValueError, "`popularity_discount` must keep"),
        ({"sharpening": -1}, ValueError, "`sharpening` must be >= 0 and <= 10, got -1"),
        ({"directions": 0}, ValueError, "`directions` must be >= 1, got 0"),
        ({"directions": 2.5}, TypeError, "`directions` must be an integer, got float"),
        (
            {"directions": 61},
            ValueError,
            "`directions` must be <= 60 for 120 users with interactions and 60 items, got 61",
        ),
        ({"directions": 10**9}, ValueError, "`directions` must be <= 60 for"),
        ({"directions": 5, "diagonal": "zero"}, ValueError, "`directions` must be None for `diagonal`='zero'"),
        ({"diagonal": "none"}, ValueError, "`diagonal` must be one of 'free', 'zero', got 'none'"),
    ],
)
def test_bad_parameters(
    train: sparse.csr_matrix,  # noqa: F811
    values: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        far.DLAE(**values).fit(train)
    if "directions" in values:
        with pytest.raises(error, match=message):
            far.DLAECV(**values).fit(train)


def alike() -> sparse.csr_matrix:
    """Return 450 users of 45 kinds and 100 items: fewer directions than either."""
    rows = np.random.default_rng(0).random((45, 100)) < 0.5
    return sparse.csr_matrix(np.repeat(rows, 10, 0).astype(np.float32))


@pytest.mark.parametrize("directions", [None, 50])
@pytest.mark.parametrize("penalty", [1e-20, 1e-300])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of NumPy, of what the error tells
def test_a_penalty_that_gives_no_solution(penalty: float, directions: int | None) -> None:
    message = f"`regularization`={penalty:g} leaves the linear system singular; use another value > 0, for example 1"
    if directions is not None:
        message = (
            f"`regularization`={penalty:g} is too small for `directions`: the largest eigenvalue of these data, .* out"
        )
    with pytest.raises(ValueError, match=message):
        far.DLAE(penalty, directions=directions).fit(alike())
    chooses = far.DLAECV(penalty, 1.0, 0.0, 0.0, 0.0, 0.0, directions=directions)
    with pytest.raises(ValueError, match=message):
        chooses.fit(alike(), validation=alike()[:, ::-1])


def test_a_prior_that_gives_no_solution() -> None:
    with pytest.raises(ValueError, match=r"`prior`=1e\+12 leaves the prior covariance singular; take a smaller one"):
        far.DLAE(prior=1e12).fit(alike())


def test_the_largest_denoising_and_prior(train: sparse.csr_matrix) -> None:  # noqa: F811
    model = far.DLAE(denoising=1e12, prior=1e12).fit(train)
    nearly = far.DLAE(denoising=1e10, prior=1e10).fit(train)
    size = np.abs(model.item_weights_).max()
    np.testing.assert_allclose(model.item_weights_, nearly.item_weights_, atol=0.01 * size)
    with pytest.raises(ValueError, match="is too small for `directions`"):
        far.DLAE(denoising=1e12, prior=1e12, directions=20).fit(train)
    with pytest.raises(ValueError, match="is too small for `directions`"):
        far.DLAE(prior=1e6, directions=50).fit(alike())  # ten times as large weights came out


@pytest.mark.parametrize("diagonal", ["free", "zero"])
@pytest.mark.parametrize("shape", [(1, 4), (4, 1), (5, 3), (3, 5)])
def test_one_user_one_item_or_all_alike(shape: tuple[int, int], diagonal: str) -> None:
    everything = sparse.csr_matrix(np.ones(shape, np.float32))
    for amount in (0, 1):
        assert np.isfinite(far.DLAE(diagonal=diagonal, sharpening=amount).fit(everything).item_weights_).all()


def test_refuses_what_memory_does_not_hold(train: sparse.csr_matrix, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    model = far.DLAE()
    needed = model.plan(train).peak_bytes
    monkeypatch.setattr(_memory_plan, "available_bytes", lambda: needed - 1)
    with pytest.raises(MemoryError, match=r"DLAE needs some 0\.0 GB for 120 users and 60 items, and 0\.0 GB are free"):
        model.fit(train)
    monkeypatch.setattr(_memory_plan, "available_bytes", lambda: needed)
    assert model.fit(train) is model
