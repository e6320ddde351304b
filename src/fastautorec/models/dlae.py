"""DLAE: the full-rank linear autoencoder with the denoising, the priors and the discount of this library."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fastautorec._checks import check_choice, check_int, check_penalties, check_real
from fastautorec._compute import resolve_num_threads
from fastautorec._compute.csr import singular_vectors
from fastautorec._compute.protocol import FloatArray
from fastautorec._training.fit import check_discount, powers
from fastautorec._training.full_rank import BLOCK_ROWS, FullRank, Shape, by_items, singular
from fastautorec._training.leading import COLUMNS, LeadingDirections
from fastautorec._training.run import FitRun, validation_metric
from fastautorec._training.sharpening import Sharpening, sharpening_bytes
from fastautorec._training.subspace import OVERSAMPLING
from fastautorec.models._contributions import ItemItemParts
from fastautorec.models._item_item import ItemItemScorer
from fastautorec.models._layers import Layers
from fastautorec.models._memory_plan import THREAD_BYTES, Plan, device_parts, require_memory
from fastautorec.models._recommender import Recommender

DIAGONALS = ("free", "zero")
SHARPEST = 10.0  # 5e-5 of what is taken together most is left
LARGEST = 1e12  # of κ and c: the solutions are those of the limit, and products in float32 stay within its range
SCORE_BLOCKS = 3  # arrays of `BLOCK_ROWS` rows of scores that a thread has at the same time


@dataclass(repr=False, eq=False)
class DLAE(Recommender):
    """Denoising linear autoencoder of full rank: scores x B, one closed form that holds DLAE, EDLAE, EASE and ridge.

    With D the interactions of each user, pop those of each item, p̄ the popularity of the mean interaction and

        s_i = (1 + κ pop_i / p̄)^(−½), F = D^(−a) R diag(s), T = D^(−t) R, A = D^(−½) R diag(s) / σ₁, C = I + c AᵀA,

    it is B = diag(s) C Fᵀ (λI + F C Fᵀ)⁻¹ T diag(pop)^(−γ), λ = ρ × the mean of ‖F_u‖². C is the prior covariance of a
    column of B: items that people take together have similar weights. κ mixes dropout of the input (κ → ∞) with a ridge
    penalty (κ = 0). With a = t = c = γ = 0 it is DLAE and, with a zero diagonal, EDLAE; with κ = 0 too, ridge
    regression and EASE.

    ``sharpening`` τ > 0 puts B (I − V (1 − exp(−τΣ²)) Vᵀ) in the place of B before the discount, with the leading
    right singular vectors of D^(−½) R diag(pop)^(−½), one in a hundred: less of what users share with large groups,
    more of what is their own.

    Without ``directions``, the time is cubic in the smaller number of users and items, or in the items for a zero
    diagonal. `plan` says what memory it takes, and a fit that needs more than there is, is refused. It computes on the
    host, whatever the device.

    Parameters
    ----------
    regularization : float or sequence of float
        ρ > 0. Among several values, each of which counts once, validation data choose.
    denoising : float
        κ, 0 to 1e12.
    prior : float
        c, 0 to 1e12.
    input_weight, target_weight : float
        a and t: how much less the users with many interactions count.
    popularity_discount : float
        γ; `recommend` may be given another one.
    diagonal : {"free", "zero"}
        Whether an item of the history adds to its own score. `recommend` leaves such items out of the lists.
    directions : int, optional
        r ≥ 1: solve for the r leading eigenvectors of F C Fᵀ, with eigenvalues θ, and put the nearest line for
        1/(λ + θ) in all others. For exact eigenvectors it is off by the share 1/T₂(1 + 2λ/θ_r) at most,
        T₂(x) = 2x² − 1; those that a fit finds in four passes may be off by several times as much. Take more
        directions where ρ is small, but none beyond the rank of the data, which would be rounding. Nothing is cut off,
        so the model stays of full rank; no system is stored, and the time is no longer cubic. For a free diagonal. By
        default the system is inverted.
    device, num_threads
        As in `NCEAutoRec`.
    sharpening : float
        τ, 0 to 10; 0 leaves it out. On Gowalla and the Goodbooks sample 1 was better on held-out data, on MovieLens-1M
        and the Debian packages 0 was: `DLAECV` tries it.

    Attributes
    ----------
    item_weights_ : float32 (n, n)
        B.
    regularization_ : float
        ρ that was chosen.

    References
    ----------
    Steck (2020), "Autoencoders that don't overfit towards the identity", Eq. 4 to 10, for a = t = c = γ = 0. Choi and
    others (2023), "Blurring-sharpening process models for collaborative filtering", for the sharpening.

    Examples
    --------
    >>> import fastautorec as far
    >>> few = far.datasets.synthetic(300, 100, 3000, random_state=0)
    >>> model = far.DLAE(regularization=8).fit(few)
    """

    _arrays: ClassVar[dict[str, str]] = {"item_weights_": "float32 n n"}

    item_weights_: ClassVar[FloatArray]
    regularization_: ClassVar[float]

    regularization: float | Sequence[float] = 32.0
    denoising: float = 3.0
    prior: float = 30.0
    input_weight: float = 0.25
    target_weight: float = 0.25
    popularity_discount: float = 0.15
    diagonal: str = "free"
    directions: int | None = None
    device: str = "auto"
    num_threads: int | None = None
    sharpening: float = 0.0

    def _check_params(self) -> None:
        check_penalties(self.regularization, above=True)
        check_real("denoising", self.denoising, 0, LARGEST)
        check_real("prior", self.prior, 0, LARGEST)
        check_real("input_weight", self.input_weight, 0, 1)
        check_real("target_weight", self.target_weight, 0, 1)
        check_real("popularity_discount", self.popularity_discount)
        check_real("sharpening", self.sharpening, 0, SHARPEST)
        check_choice("diagonal", self.diagonal, DIAGONALS)
        if self.directions is not None:
            check_int("directions", self.directions, 1)
            if self.diagonal == "zero":
                raise ValueError(
                    f"`directions` must be None for `diagonal`='zero', which needs the whole inverse, got "
                    f"{self.directions}; use `diagonal`='free'"
                )

    def _fit(self, run: FitRun) -> dict[str, Any]:
        penalties = check_penalties(self.regularization, run.validation is not None, above=True)
        check_discount(run.item_counts, self.popularity_discount)
        self._check_directions(run)
        require_memory(self._plan(*run.train.shape, run.train.nnz))
        run.step("system")
        system = self._system(run, keep=len(penalties) > 1)
        sharpened = self._sharpening(run)
        discount = powers(run.item_counts, -self.popularity_discount)

        def solved(penalty: float) -> dict[str, Any]:
            run.step("inverse")
            weights = self._weights(system, penalty, discount, sharpened)
            return {"item_weights_": run.backend.to_device(weights), "regularization_": penalty}

        return run.choose("prediction", penalties, solved, lambda fitted: validation_metric(self, fitted, run))[1]

    def _check_directions(self, run: FitRun) -> None:
        if self.directions is not None and self.directions > (most := singular_vectors(run.known)):
            users, n = np.count_nonzero(run.known.row_lengths()), run.known.n_cols
            raise ValueError(
                f"`directions` must be <= {most} for {users} users with interactions and {n} items, got "
                f"{self.directions}; use fewer, or leave it out for the whole inverse"
            )

    def _system(self, run: FitRun, *, keep: bool) -> FullRank | LeadingDirections:
        shape = Shape(self.denoising, self.prior, self.input_weight, self.target_weight)
        if self.directions is not None:
            return LeadingDirections(run.known.to_scipy(), shape, self.directions, run.backend.host)
        return FullRank(run.known.to_scipy(), shape, self.diagonal == "zero", run.backend.host.num_threads, keep)

    def _sharpening(self, run: FitRun) -> Sharpening | None:
        return Sharpening(run.known.to_host(), run.backend.host) if self.sharpening else None

    def _weights(
        self, system: FullRank | LeadingDirections, penalty: float, discount: FloatArray, sharpening: Sharpening | None
    ) -> FloatArray:
        """Return B (n, n) of a system for a penalty."""
        before = discount if sharpening is None else np.ones_like(discount)
        weights = finite_solution(penalty, lambda: system.solve(penalty).weights(before))
        if sharpening is not None:
            sharpening.apply(weights, self.sharpening, discount)
            if self.diagonal == "zero":
                np.fill_diagonal(weights, 0)
        return weights

    def _scorer(self) -> ItemItemScorer:
        return ItemItemScorer(self.item_weights_)

    def _layers(self) -> Layers:
        return Layers(None, self.item_weights_)

    def _contributions(self) -> ItemItemParts:
        return ItemItemParts(self.item_weights_)

    def _item_vectors(self) -> FloatArray:
        return self.item_weights_

    def _plan(self, m: int, n: int, nnz: int) -> Plan:
        threads, side = resolve_num_threads(self.num_threads), n if self.diagonal == "zero" or by_items(m, n) else m
        several = len(check_penalties(self.regularization, above=True)) > 1
        weighted = 6 if self.directions is None else 10
        parts = {"row pointers": 8 * (m + 1), "weighted interactions": weighted * 8 * nnz}
        if self.directions is None:
            matrices = (1 if several else 0) + 1 + (0 if not self.prior else 1 if side == n else 2)
            parts["systems of the smaller side"] = 4 * side * side * matrices
            blocks = SCORE_BLOCKS * 4 * BLOCK_ROWS * n
        else:
            width = self.directions + OVERSAMPLING
            parts["leading directions"] = 4 * width * (4 * m + 5 * n) + 3 * 8 * width * width
            blocks = 4 * COLUMNS * (4 * n + 2 * m)
        if self.sharpening:
            parts["directions of the sharpening"] = sharpening_bytes(m, n)
        parts |= {
            "buffers and blocks of scores of the threads": threads * (THREAD_BYTES + blocks),
            "item-item matrices": 4 * n * n * (2 if several else 1),
        }
        device = device_parts(m, n, nnz) | {"item-item matrix": 4 * n * n}
        return Plan(type(self).__name__, (m, n), nnz, parts, device_parts=device)


def finite_solution(penalty: float, solve: Callable[[], FloatArray]) -> FloatArray:
    """Return what a system gives for a penalty.

    Raises
    ------
    ValueError
        If that is not finite: some directions of the data have no eigenvalue and leave nothing but the penalty.
    """
    try:
        found = solve()
    except ZeroDivisionError as error:
        raise singular(penalty) from error
    if not math.isfinite(float(found.sum(dtype=np.float64))):
        raise singular(penalty)
    return found
