"""EASE: item-item ridge regression with a zero diagonal."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from fastautorec._checks import check_real
from fastautorec._compute.csr import Csr
from fastautorec._compute.protocol import Backend, FloatArray, IdArray
from fastautorec._compute.threads import run_blocks, spd_inverse
from fastautorec._training.run import FitRun
from fastautorec.models._contributions import ItemItemParts
from fastautorec.models._memory_plan import Plan, device_parts
from fastautorec.models._recommender import Recommender

COUNT_ROWS = 128  # of the item-item matrix in one piece of work


class EASE(Recommender):
    """Embarrassingly shallow autoencoder: scores x B with B = argmin ‖R − RB‖² + λ‖B‖², diag B = 0.

    Needs some 36 n² bytes while fitting and 4 n² after: for catalogues of up to some 20,000 items.

    Parameters
    ----------
    regularization : float
        λ > 0, in units of interactions.
    device, num_threads
        As in `NCEAutoRec`.

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

    item_weights_: FloatArray

    def __init__(self, regularization: float = 500.0, device: str = "auto", num_threads: int | None = None) -> None:
        self.regularization = regularization
        self.device = device
        self.num_threads = num_threads

    def _check_params(self) -> None:
        check_real("regularization", self.regularization, 0, above=True)

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
        weights = np.ascontiguousarray(inverse / -np.diag(inverse), np.float32)
        np.fill_diagonal(weights, 0)
        run.record("prediction")
        return {"item_weights_": run.backend.to_device(weights)}

    def _scorer(self) -> _ItemItemScorer:
        return _ItemItemScorer(self.item_weights_)

    def _contributions(self) -> ItemItemParts:
        return ItemItemParts(self.item_weights_)

    def _item_vectors(self) -> FloatArray:
        return self.item_weights_

    def _user_vectors(self, backend: Backend, history: Csr) -> FloatArray:
        """Return the scores: there are no hidden units."""
        return backend.encode(history, self.item_weights_)

    def _plan(self, m: int, n: int, nnz: int) -> Plan:
        parts = {"row pointers": 8 * (m + 1), "item-item matrices": 36 * n * n}
        device = device_parts(m, n, nnz) | {"item-item matrix": 4 * n * n}
        return Plan("EASE", (m, n), nnz, parts, device_parts=device)


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
