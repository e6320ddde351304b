"""EASE: item-item ridge regression with a zero diagonal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from fastautorec._compute.protocol import FloatArray
from fastautorec._compute.symmetric import Floats, invert_spd, sparse_product
from fastautorec._compute.threads import run_blocks
from fastautorec._training.closed_form import check_penalties
from fastautorec._training.run import FitRun
from fastautorec._training.validation import validation_metric
from fastautorec.models._contributions import ItemItemParts
from fastautorec.models._item_item import ItemItemScorer
from fastautorec.models._memory_plan import Plan, device_parts
from fastautorec.models._recommender import Recommender

DOUBTFUL = 100.0  # (G + λI)_jj (G + λI)⁻¹_jj: below it float32 gave weights right to 3e-5, on three data sets
EXACT_COUNTS = 1 << 24  # the integers that float32 holds
SMALL = 256  # items, whose inverse takes no time in float64 either
SCALED_ROWS = 128


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

    _arrays: ClassVar[dict[str, str]] = {"item_weights_": "float32 n n"}

    item_weights_: FloatArray
    regularization_: float

    def __init__(
        self, regularization: float | Sequence[float] = 500.0, device: str = "auto", num_threads: int | None = None
    ) -> None:
        self.regularization = regularization
        self.device = device
        self.num_threads = num_threads

    def _check_params(self) -> None:
        check_penalties(self.regularization, above=True)

    def _fit(self, run: FitRun) -> dict[str, Any]:
        penalties = check_penalties(self.regularization, run.validation is not None, above=True)
        systems = _Systems(run, keep=len(penalties) > 1)
        best: tuple[dict[str, Any], float] | None = None
        for penalty in penalties:
            run.step("inverse")
            fitted = {"item_weights_": run.backend.to_device(systems.weights(penalty)), "regularization_": penalty}
            value = None if run.validation is None else validation_metric(self, fitted, run)
            run.record("prediction", regularization=penalty, metric=value)
            if best is None or (value is not None and value > best[1]):
                best = fitted, value or 0.0
        assert best is not None
        return best[0]

    def _scorer(self) -> ItemItemScorer:
        return ItemItemScorer(self.item_weights_)

    def _contributions(self) -> ItemItemParts:
        return ItemItemParts(self.item_weights_)

    def _item_vectors(self) -> FloatArray:
        return self.item_weights_

    def _plan(self, m: int, n: int, nnz: int) -> Plan:
        several = len(check_penalties(self.regularization, above=True)) > 1
        parts = {"row pointers": 8 * (m + 1), "item-item matrices": (20 if several else 12) * n * n}
        device = device_parts(m, n, nnz) | {"item-item matrix": 4 * n * n}
        return Plan("EASE", (m, n), nnz, parts, device_parts=device)


class _Systems:
    """G = RᵀR, counted once where several penalties need it, and its solutions."""

    def __init__(self, run: FitRun, *, keep: bool) -> None:
        self._matrix, self._threads = run.known.to_scipy(), run.backend.host.num_threads
        self._transposed = self._matrix.T.tocsr()
        self._single = run.train.shape[0] <= EXACT_COUNTS and run.train.n_cols > SMALL
        run.step("item-item matrix")
        self._kept = self._counts(np.float32) if keep and self._single else None

    def weights(self, penalty: float) -> FloatArray:
        """Return B (n, n), from an inverse in float32, or in float64 where float32 loses too many digits."""
        if self._single:
            system = self._counts(np.float32) if self._kept is None else self._kept.copy()
            weights = _weights(system, penalty, self._threads, DOUBTFUL)
            del system
            if weights is not None:
                return weights
        weights = _weights(self._counts(np.float64), penalty, self._threads)
        if weights is None:
            raise ValueError(
                f"`regularization` is too small for these data, {penalty:g}: the item-item matrix cannot "
                "be inverted in double precision; take a larger one, for example 1"
            )
        return weights

    def _counts(self, dtype: npt.DTypeLike) -> Floats:
        n = self._matrix.shape[1]
        return sparse_product(self._transposed, self._matrix, np.empty((n, n), dtype), self._threads)


def _weights(system: Floats, penalty: float, num_threads: int, doubtful: float = np.inf) -> FloatArray | None:
    """Return B (n, n) for G, which is used up, or None where its precision does not do.

    (G + λI)_jj (G + λI)⁻¹_jj says how much of an item the others tell (its variance inflation factor), and so how many
    digits the inverse has lost; ``doubtful`` is the largest one allowed.
    """
    diagonal = np.einsum("jj->j", system)
    diagonal += penalty
    before = diagonal.copy()
    try:
        inverse = invert_spd(system, num_threads)
    except np.linalg.LinAlgError:
        return None
    if not (before * diagonal).max() <= doubtful:
        return None
    scale = -1 / diagonal
    weights = inverse if inverse.dtype == np.float32 else np.empty(inverse.shape, np.float32)

    def multiply(start: int, stop: int) -> None:
        np.multiply(inverse[start:stop], scale, out=weights[start:stop], casting="same_kind")

    run_blocks(multiply, len(inverse), SCALED_ROWS, num_threads)
    np.fill_diagonal(weights, 0)
    return weights
