"""EASE: item-item ridge regression with a zero diagonal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy import linalg

from fastautorec._checks import check_bool, check_penalties
from fastautorec._compute.blas import single_threaded_blas
from fastautorec._compute.csr import Csr
from fastautorec._compute.elimination import Elimination, plan_elimination
from fastautorec._compute.host import run_blocks
from fastautorec._compute.protocol import Backend, FloatArray
from fastautorec._compute.symmetric import DOUBTFUL, Floats, inverse_or_none, sparse_product
from fastautorec._training.run import FitRun, validation_metric
from fastautorec._training.updates import SLACK, not_learned
from fastautorec.models._contributions import ItemItemParts
from fastautorec.models._item_item import ItemItemScorer
from fastautorec.models._layers import Layers
from fastautorec.models._memory_plan import Plan, device_parts
from fastautorec.models._recommender import Recommender

EXACT_COUNTS = 1 << 24  # the integers that float32 holds
SMALL = 256  # items, whose inverse takes no time in float64 either
COMMON = 0.25  # share of G that one direction may explain; float32 gives B right to 2e-5 there, and to 4e-3 for .9
SCALED_ROWS = 128
UPDATE_ROWS = 256  # users that are taken into its inverse at a time

Float64Array = npt.NDArray[np.float64]


@dataclass(repr=False, eq=False)
class EASE(Recommender):
    """Embarrassingly shallow autoencoder: scores x B with B = argmin ‖R − RB‖² + λ‖B‖², diag B = 0.

    Needs 12 n² bytes while fitting and 4 n² after: for catalogues of up to some 30,000 items. Several penalties need
    8 n² more, and the time of as many inverses: the interactions are counted once.

    Parameters
    ----------
    regularization : float or sequence of float
        λ > 0, in units of interactions. Among several values, each of which counts once, validation data choose.
    device, num_threads
        As in `NCEAutoRec`.
    updatable : bool
        Keep the inverse of the item-item matrix, 8 n² bytes in the model and its file, so that `partial_fit` and
        `forget` take users in and out exactly.

    Attributes
    ----------
    item_weights_ : float32 (n, n)
        B.
    regularization_ : float
        λ that was chosen.

    References
    ----------
    Steck (2019), "Embarrassingly shallow autoencoders for sparse data", Eq. 8.

    Examples
    --------
    >>> import fastautorec as far
    >>> few = far.datasets.synthetic(300, 100, 3000, random_state=0)
    >>> model = far.EASE(regularization=100).fit(few)
    """

    _from_sums: ClassVar[bool] = True
    _arrays: ClassVar[dict[str, str]] = {"item_weights_": "float32 n n"}
    _sums: ClassVar[dict[str, str]] = {"inverse": "float64 n n"}

    item_weights_: ClassVar[FloatArray]
    regularization_: ClassVar[float]

    regularization: float | Sequence[float] = 500.0
    device: str = "auto"
    num_threads: int | None = None
    updatable: bool = False

    def _check_params(self) -> None:
        check_penalties(self.regularization, above=True)
        check_bool("updatable", self.updatable)

    def _fit(self, run: FitRun) -> dict[str, Any]:
        penalties = check_penalties(self.regularization, run.validation is not None, above=True)
        systems = _Systems(run, keep=len(penalties) > 1, double=self.updatable)

        def solved(penalty: float) -> dict[str, Any]:
            run.step("inverse")
            weights, inverse = systems.solve(penalty)
            sums = {"inverse": inverse} if self.updatable else None
            return {"item_weights_": run.backend.to_device(weights), "regularization_": penalty, "sums_": sums}

        return run.choose("prediction", penalties, solved, lambda fitted: validation_metric(self, fitted, run))[1]

    def _updated(self, run: FitRun, sign: int) -> dict[str, Any]:
        assert self.sums_ is not None
        assert self.item_counts_ is not None
        counts = self.item_counts_ + sign * run.item_counts
        inverse, penalty, threads = self.sums_["inverse"], self.regularization_, run.backend.host.num_threads
        updated = np.empty_like(inverse)
        matrix = run.known.to_host().to_scipy().astype(np.float64)
        for start in range(0, matrix.shape[0], UPDATE_ROWS):
            rows = matrix[start : start + UPDATE_ROWS]
            inverse = update_inverse(inverse, rows, sign, penalty, threads, updated)
        unused = counts == 0  # where there is nothing, no rounding may stay
        inverse[unused] = inverse[:, unused] = 0
        inverse[unused, unused] = 1 / penalty
        weights = _weights(inverse, threads)
        return {"item_weights_": run.backend.to_device(weights), "sums_": {"inverse": inverse}}

    def _scorer(self) -> ItemItemScorer:
        return ItemItemScorer(self.item_weights_)

    def _layers(self) -> Layers:
        return Layers(None, self.item_weights_)

    def _contributions(self) -> ItemItemParts:
        return ItemItemParts(self.item_weights_)

    def _item_vectors(self) -> FloatArray:
        return self.item_weights_

    def _plan(self, m: int, n: int, nnz: int) -> Plan:
        several = len(check_penalties(self.regularization, above=True)) > 1
        parts = {"row pointers": 8 * (m + 1), "item-item matrices": (20 if several else 12) * n * n}
        if self.updatable:
            parts["inverse for exact updates"] = 8 * n * n
        device = device_parts(m, n, nnz) | {"item-item matrix": 4 * n * n}
        return Plan("EASE", (m, n), nnz, parts, device_parts=device)


class _Systems:
    """G = RᵀR, counted once where several penalties need it, and its solutions."""

    def __init__(self, run: FitRun, *, keep: bool, double: bool) -> None:
        self._run, self._threads = run, run.backend.host.num_threads
        self._keep = keep
        self._kept: FloatArray | None = None
        self._elimination: Elimination | None = None
        self._single = run.train.shape[0] <= EXACT_COUNTS and run.train.n_cols > SMALL and not double

    def solve(self, penalty: float) -> tuple[FloatArray, Floats | None]:
        """Return B (n, n), and (G + λI)⁻¹ where it is float64: wanted so, or float32 loses too many digits."""
        if self._single:
            weights = self._weights_in_single(penalty)
            if weights is not None:
                return weights, None
        system = self._counts(np.float64)
        np.einsum("jj->j", system)[...] += penalty
        inverse = inverse_or_none(system, self._threads)
        if inverse is None:
            raise ValueError(
                f"`regularization` is too small for these data, {penalty:g}: the item-item matrix cannot "
                "be inverted in double precision; take a larger one, for example 1"
            )
        return _weights(inverse, self._threads), inverse

    def _weights_in_single(self, penalty: float) -> FloatArray | None:
        """Return B (n, n) by way of float32, or None where that will not do."""
        if self._kept is not None:
            system = self._kept.copy()
        else:
            system = self._counts(np.float32)
            if _common_share(system) > COMMON:
                self._single = False
                return None
            self._elimination = plan_elimination(system)
            if self._elimination is not None:
                system = self._elimination.ordered(system, self._threads)
            if self._keep:
                self._kept = system.copy()
        np.einsum("jj->j", system)[...] += penalty
        if self._elimination is None:
            inverse = inverse_or_none(system, self._threads, DOUBTFUL)
            return None if inverse is None else _weights(inverse, self._threads)
        invert = partial(self._elimination.invert, self._run.backend.host)
        inverse = inverse_or_none(system, self._threads, DOUBTFUL, invert)
        if inverse is None:
            return None
        weights = self._elimination.restored(inverse, -1 / inverse.diagonal(), self._threads)
        np.fill_diagonal(weights, 0)
        return weights

    def _counts(self, dtype: npt.DTypeLike) -> Floats:
        return self._run.total(pairs_part, dtype, on_host=True)


def pairs_part(backend: Backend, rows: Csr, step: Callable[[str], None], dtype: npt.DTypeLike) -> Floats:
    """Return RᵀR (n, n) of some users: whole numbers, whose sums have no order."""
    step("item-item matrix")
    matrix = rows.to_scipy()
    n = matrix.shape[1]
    return sparse_product(matrix.T.tocsr(), matrix, np.empty((n, n), dtype), backend.host.num_threads)


def _common_share(counts: FloatArray) -> float:
    """Return which share of the trace of G (n, n) the direction √diag G has: 1 where all users have all items.

    An elimination subtracts what items have in common, and keeps that many digits fewer.
    """
    root = np.sqrt(counts.diagonal())
    with single_threaded_blas:
        return float(root @ (counts @ root)) / max(float(counts.trace(dtype=np.float64)), 1.0) ** 2


def _weights(inverse: Floats, num_threads: int) -> FloatArray:
    """Return B (n, n) of (G + λI)⁻¹: in its place if that is float32."""
    scale = -1 / np.diag(inverse)
    weights = inverse if inverse.dtype == np.float32 else np.empty(inverse.shape, np.float32)

    def multiply(start: int, stop: int) -> None:
        np.multiply(inverse[start:stop], scale, out=weights[start:stop], casting="same_kind")

    run_blocks(multiply, len(inverse), SCALED_ROWS, num_threads)
    np.fill_diagonal(weights, 0)
    return weights


def update_inverse(
    inverse: Float64Array, rows: Any, sign: int, penalty: float, num_threads: int, out: Float64Array
) -> Float64Array:
    """Return (A ± XᵀX)⁻¹ in ``out`` for P = A⁻¹, which may be the same array, and a few rows X: Woodbury's formula.

    If X is among the rows of A − λI, then I − X P Xᵀ has no eigenvalue below λ / (λ + tr XXᵀ), and no square of a pivot
    of its Cholesky factor is smaller than that.

    Raises
    ------
    ValueError
        If rows are taken away that are not in A.
    """
    product = np.asarray(rows @ inverse)  # X P
    inner = np.asarray(rows @ product.T)
    inner = np.eye(len(inner)) + sign * (inner + inner.T) / 2
    with single_threaded_blas:
        try:
            factor = linalg.cholesky(inner, lower=True)
            within = sign > 0 or np.diag(factor).min() ** 2 > (1 - SLACK) * penalty / (penalty + rows.nnz)
        except linalg.LinAlgError:
            within = False
        if not within:
            raise not_learned("together they have pairs of items that no such users in the model have")
        half = linalg.solve_triangular(factor, product, lower=True)
    signed = sign * half

    def take(start: int, stop: int) -> None:  # half of it: the matrix is symmetric
        upper = out[start:stop, start:]
        np.subtract(inverse[start:stop, start:], signed[:, start:stop].T @ half[:, start:], out=upper)
        out[stop:, start:stop] = upper[:, stop - start :].T

    run_blocks(take, len(inverse), SCALED_ROWS, num_threads)
    return out
