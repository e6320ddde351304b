"""EASE: item-item ridge regression with a zero diagonal."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy import linalg

from fastautorec._checks import check_bool, check_real
from fastautorec._compute.blas import single_threaded_blas
from fastautorec._compute.csr import Csr
from fastautorec._compute.protocol import Backend, FloatArray, IdArray
from fastautorec._compute.threads import run_blocks, spd_inverse
from fastautorec._training.run import FitRun
from fastautorec._training.updates import SLACK, not_learned
from fastautorec.models._contributions import ItemItemParts
from fastautorec.models._memory_plan import Plan, device_parts
from fastautorec.models._recommender import Recommender

COUNT_ROWS = 128  # of the item-item matrix in one piece of work
UPDATE_ROWS = 256  # users that are taken into its inverse at a time

Float64Array = npt.NDArray[np.float64]


class EASE(Recommender):
    """Embarrassingly shallow autoencoder: scores x B with B = argmin ‖R − RB‖² + λ‖B‖², diag B = 0.

    Needs some 36 n² bytes while fitting and 4 n² after: for catalogues of up to some 20,000 items.

    Parameters
    ----------
    regularization : float
        λ > 0, in units of interactions.
    device, num_threads
        As in `NCEAutoRec`.
    updatable : bool
        Keep the inverse of the item-item matrix, 8 n² bytes in the model and its file, so that `partial_fit` and
        `forget` take users in and out exactly.

    Attributes
    ----------
    item_weights_ : float32 (n, n)
        B.

    References
    ----------
    Steck (2019), "Embarrassingly shallow autoencoders for sparse data", Eq. 8.

    Examples
    --------
    >>> import fastautorec as far
    >>> few = far.datasets.synthetic(300, 100, 3000, random_state=0)
    >>> model = far.EASE(regularization=100).fit(few)
    """

    _arrays: ClassVar[dict[str, str]] = {"item_weights_": "float32 n n"}
    _sums: ClassVar[dict[str, str]] = {"inverse": "float64 n n"}

    item_weights_: FloatArray

    def __init__(
        self,
        regularization: float = 500.0,
        device: str = "auto",
        num_threads: int | None = None,
        updatable: bool = False,
    ) -> None:
        self.regularization = regularization
        self.device = device
        self.num_threads = num_threads
        self.updatable = updatable

    def _check_params(self) -> None:
        check_real("regularization", self.regularization, 0, above=True)
        check_bool("updatable", self.updatable)

    def _fit(self, run: FitRun) -> dict[str, Any]:
        matrix, threads = run.known.to_scipy(), run.backend.host.num_threads
        transposed = matrix.T.tocsr()
        system = np.empty((run.train.n_cols, run.train.n_cols))

        def count_pairs(start: int, stop: int) -> None:
            system[start:stop] = (transposed[start:stop] @ matrix).toarray()

        run.step("item-item matrix")
        run_blocks(count_pairs, len(system), COUNT_ROWS, threads)
        system[np.diag_indices_from(system)] += self.regularization
        run.step("inverse")
        try:
            inverse = spd_inverse(system, threads)
        except np.linalg.LinAlgError:
            raise ValueError(
                f"`regularization` is too small for these data, {self.regularization:g}: the item-item matrix cannot "
                "be inverted in double precision; take a larger one, for example 1"
            ) from None
        fitted = self._solution(run.backend, inverse)
        run.record("prediction")
        return fitted

    def _solution(self, backend: Backend, inverse: Float64Array) -> dict[str, Any]:
        """Return the fitted attributes of the inverse of the item-item matrix."""
        weights, scale = np.empty(inverse.shape, np.float32), -np.diag(inverse)

        def divide(start: int, stop: int) -> None:
            np.divide(inverse[start:stop], scale, out=weights[start:stop], casting="same_kind")

        run_blocks(divide, len(weights), COUNT_ROWS, backend.host.num_threads)
        np.fill_diagonal(weights, 0)
        sums = {"inverse": inverse} if self.updatable else None
        return {"item_weights_": backend.to_device(weights), "sums_": sums}

    def _updated(self, run: FitRun, sign: int) -> dict[str, Any]:
        assert self.sums_ is not None
        assert self.item_counts_ is not None
        counts = self.item_counts_ + sign * run.item_counts
        inverse, threads = self.sums_["inverse"], run.backend.host.num_threads
        updated = np.empty_like(inverse)
        matrix = run.known.to_host().to_scipy().astype(np.float64)
        for start in range(0, matrix.shape[0], UPDATE_ROWS):
            rows = matrix[start : start + UPDATE_ROWS]
            inverse = update_inverse(inverse, rows, sign, self.regularization, threads, updated)
        nobody = counts == 0  # where there is nothing, no rounding may stay
        inverse[nobody] = inverse[:, nobody] = 0
        inverse[nobody, nobody] = 1 / self.regularization
        return self._solution(run.backend, inverse)

    def _scorer(self) -> _ItemItemScorer:
        return _ItemItemScorer(self.item_weights_)

    def _contributions(self) -> ItemItemParts:
        return ItemItemParts(self.item_weights_)

    def _item_vectors(self) -> FloatArray:
        return self.item_weights_

    def _plan(self, m: int, n: int, nnz: int) -> Plan:
        parts = {"row pointers": 8 * (m + 1), "item-item matrices": 36 * n * n}
        if self.updatable:
            parts["inverse for exact updates"] = 8 * n * n
        device = device_parts(m, n, nnz) | {"item-item matrix": 4 * n * n}
        return Plan("EASE", (m, n), nnz, parts, device_parts=device)


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

    run_blocks(take, len(inverse), COUNT_ROWS, num_threads)
    return out


class _ItemItemScorer:
    """Scores x B for a dense item-item matrix B."""

    def __init__(self, weights: FloatArray) -> None:
        self._weights = weights

    @property
    def n_items(self) -> int:
        return int(self._weights.shape[1])

    def take(self, items: IdArray) -> _ItemItemScorer:
        return _ItemItemScorer(self._weights.take(items, axis=1))

    def prepare(self, backend: Backend, history: Csr) -> Csr:
        return history

    def score(self, backend: Backend, prepared: Csr, users: slice, items: slice, out: FloatArray) -> None:
        backend.encode(prepared.rows(users.start, users.stop), self._weights[:, items], out=out)
