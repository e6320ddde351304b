"""The path: exact prediction heads for every rank, spectrum power, dropout rate and penalty from one pass over data.

With linear units the singular vectors of rank r are the first r of those of rank K, the power of the singular values
scales columns, input dropout adds q / (1 − q) times one fixed matrix, a penalty adds to a diagonal, and the popularity
discount scales rows of the decoder. So the sums of one SVD of rank K hold the exact solution of every such setting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec._checks import metric_names
from fastautorec._compute.csr import Csr, LazyRows
from fastautorec._compute.protocol import Backend, FloatArray, IdArray
from fastautorec._compute.top_lists import DotScorer, top_lists
from fastautorec._training.closed_form import (
    Encoder,
    Float64Array,
    RidgeHead,
    accumulate_ridge,
    right_singular_vectors,
    typical_size,
    usual_passes,
)
from fastautorec._training.fit import powers
from fastautorec._training.losses import SquaredError
from fastautorec._training.run import FitRun, lists_of

EVEN = 0.5  # the dropout rate q of which q / (1 − q) is 1
BLOCK_ITEMS = 1 << 12


@dataclass(frozen=True)
class Setting:
    """What a path has a solution for: parameters of `NCEAutoRec`, but that no penalty means no intercept."""

    factors: int
    spectrum_power: float
    dropout: float
    regularization: float
    intercept_penalty: float | None


class RidgePath:
    """Exact solutions of all settings up to rank K.

    Attributes
    ----------
    rank : int
        K.
    encoder : Encoder
        With the singular vectors V (n, K) as weights.
    gram, noise : float64 (K + 1, K + 1) and (K, K)
        HᵀH with the border of the intercept, and Vᵀ diag(XᵀX) V. Without an intercept there is no border.
    cross : float32 (n, K + 1)
        RᵀH with the intercept's column in front, so that the columns of any rank follow each other.
    """

    def __init__(
        self,
        run: FitRun,
        target: SquaredError,
        rank: int,
        rng: np.random.Generator,
        normalize: str | None,
        intercept: str | None,
    ) -> None:
        """Take the singular vectors of a target, and the sums over the training data of a run."""
        self._run, self.rank = run, rank
        vectors, singular = right_singular_vectors(run, target.relative(), rank, rng, usual_passes(rank))
        self._spectrum = singular / (singular[0] or 1.0)
        self.encoder = Encoder(vectors, None, "identity", normalize, intercept)
        sums = accumulate_ridge(run.backend, run.train, self.encoder, EVEN, 0, run.step)
        self.gram, self.noise, self.cross, self._mean_degree = sums.gram, sums.noise, sums.cross, sums.mean_degree
        if intercept is not None:
            for start in range(0, len(self.cross), BLOCK_ITEMS):
                block = self.cross[start : start + BLOCK_ITEMS]
                block[...] = np.roll(block, 1, axis=1)

    def decoder(self, setting: Setting) -> tuple[FloatArray, FloatArray]:
        """Return W (n, r) and D₁ (n, r or r + 1) of a setting, as a fit with these parameters has them.

        With a spectrum power of 1 such a fit has both up to a rotation.
        """
        backend, r, scales = self._run.backend, setting.factors, self._scales(setting)
        inverse = self._inverse(setting)
        transform = self._in_order_of_cross(scales[:, None] * inverse, setting, axis=0)
        decoder = backend.empty(len(self.cross), len(inverse))
        backend.matmul(self._cross_of(setting), transform.astype(inverse.dtype), decoder)
        weight = self.encoder.weight[:, :r] * backend.to_device(scales[:r].astype(np.float32))
        own = Encoder(weight, None, "identity", self.encoder.normalize, self.encoder.intercept)
        size = np.float32(typical_size(backend, own, self._run.train))
        decoder[:, :r] *= size
        weight /= size
        return weight, decoder

    def scorer(self, setting: Setting, users: int) -> DotScorer:
        """Return the scorer H M Cᵀ of so many users, no discount in it: M goes to the smaller one of H and C."""
        scales, cross = self._scales(setting), self._cross_of(setting)
        inverse = self._inverse(setting)
        middle = self._in_order_of_cross(scales[:, None] * inverse * scales, setting, axis=1).astype(inverse.dtype)

        def hidden(backend: Backend, history: Csr) -> FloatArray:
            units = self.encoder.hidden(backend, self.encoder.inputs(history))
            if setting.intercept_penalty is None:
                return units[:, : setting.factors]
            return units.take(backend.to_device(self._columns(setting)), axis=1)  # rows stay contiguous

        def projected(backend: Backend, history: Csr) -> FloatArray:
            units = hidden(backend, history)
            return backend.matmul(units, middle, backend.empty(len(units), len(middle)))

        if users <= len(cross):
            return DotScorer(projected, cross)
        backend = self._run.backend
        return DotScorer(hidden, backend.matmul(cross, middle.T.copy(), backend.empty(len(cross), len(middle))))

    def _inverse(self, setting: Setting) -> npt.NDArray[Any]:
        """Return the inverse of a setting's linear system for W = V scales, (w, w)."""
        r, columns, scales = setting.factors, self._columns(setting), self._scales(setting)
        gram = self.gram[np.ix_(columns, columns)]
        noise = self.noise[:r, :r] * (setting.dropout / (1 - setting.dropout))
        for sums, own in ((gram, scales), (noise, scales[:r])):  # in place: fresh memory costs more than products
            np.multiply(sums, own[:, None], out=sums)
            np.multiply(sums, own, out=sums)
        head = RidgeHead(gram, self.cross, noise, self._mean_degree)
        return head.inverse(self._run.backend, setting.regularization, setting.intercept_penalty or 0.0)

    def _columns(self, setting: Setting) -> npt.NDArray[np.int64]:
        """Return the columns of H that a setting has, (w,): that of the intercept is the last one."""
        own = np.arange(setting.factors)
        return own if setting.intercept_penalty is None else np.append(own, self.rank)

    def _cross_of(self, setting: Setting) -> FloatArray:
        """Return the columns of C that a setting has: that of the intercept is the first one."""
        bordered = int(len(self.gram) > self.rank)
        return self.cross[:, bordered * (setting.intercept_penalty is None) : setting.factors + bordered]

    def _in_order_of_cross(self, matrix: Float64Array, setting: Setting, axis: int) -> Float64Array:
        return matrix if setting.intercept_penalty is None else np.roll(matrix, 1, axis)

    def _scales(self, setting: Setting) -> Float64Array:
        """Return what each column of H is multiplied by: σᵖ relative to the largest, and 1 for the intercept, (w,)."""
        spectrum, least = self._spectrum[: setting.factors], np.finfo(np.float32).tiny
        scales = np.where(spectrum > 0, np.maximum(spectrum, least) ** setting.spectrum_power, 0)
        return scales if setting.intercept_penalty is None else np.append(scales, 1.0)


class Judges:
    """Users who measure settings by the interactions of theirs that were held out."""

    def __init__(self, run: FitRun, users: npt.NDArray[np.int64], metric: str) -> None:
        """Take users who have both training and held-out interactions, and a metric of `evaluate`."""
        assert run.validation is not None
        self._backend, self._counts = run.backend, run.item_counts
        held_out = run.validation.row_lengths()[users]
        users = users[np.argsort(-held_out, kind="stable")]  # R-Precision has lists as long as a user's held-out items
        self._known, self._wanted = (LazyRows.picked(rows, users) for rows in (run.known.to_host(), run.validation))
        name, self._length = lists_of(metric, run.train.n_cols)
        self._column = metric_names((self._length,), "standard").index(name)
        self._places = np.full(len(users), self._length)
        if metric == "R-Precision":
            self._places = np.maximum(self._places, run.validation.row_lengths()[users])
        self.users = users

    def measure(self, path: RidgePath, setting: Setting, discounts: Sequence[float]) -> Float64Array:
        """Return the metric of each user with each popularity discount, (discounts, users); scores are made once."""
        backend, count = self._backend, len(discounts)
        values = np.empty((count, len(self.users)))
        factors = backend.to_device(np.stack([powers(self._counts, -discount) for discount in discounts]))

        def take(start: int, stop: int, ids: IdArray, _: FloatArray) -> None:
            lists, wanted = backend.to_host(ids).reshape(count, stop - start, -1), self._wanted.rows(start, stop)
            measuring = backend.host.with_threads(1)
            for number in range(count):
                metrics = measuring.ranking_metrics(lists[number], wanted, (self._length,), "standard")
                values[number, start:stop] = metrics[:, self._column]

        scorer = path.scorer(setting, len(self.users))
        top_lists(backend, scorer, self._known, lambda start, _: int(self._places[start]), self._known, take, factors)
        return values
