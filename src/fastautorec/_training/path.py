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
from fastautorec._compute.csr import Csr
from fastautorec._compute.protocol import Backend, FloatArray, IdArray
from fastautorec._compute.top_lists import DotScorer, top_lists
from fastautorec._training.closed_form import (
    Encoder,
    Float64Array,
    accumulate_ridge,
    inverse_of_system,
    relative_penalty,
    right_singular_vectors,
    typical_size,
    usual_passes,
)
from fastautorec._training.fit import powers
from fastautorec._training.losses import SquaredError
from fastautorec._training.run import FitRun, with_length
from fastautorec.evaluation import evaluate_ranking

EVEN = 0.5  # the dropout rate q of which q / (1 − q) is 1
BLOCK_ITEMS = 1 << 12
NOTHING = 1e-30  # squares of scales below it would leave the range of float32, and count as this


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
    gram, noise : float32 (K + 1, K + 1)
        HᵀH and Vᵀ diag(XᵀX) V, both with the border of the intercept in front. Without an intercept there is no border.
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
        vectors, singular = right_singular_vectors(
            run, target.relative(), rank, rng, usual_passes(rank, run.train.n_cols)
        )
        self._spectrum = singular / (singular[0] or 1.0)
        self.encoder = Encoder(vectors, None, "identity", normalize, intercept)
        sums = accumulate_ridge(run, self.encoder, EVEN, 0)
        self.cross, self._mean_degree = sums.cross, sums.mean_degree
        self._bordered = int(intercept is not None)
        self.gram = np.roll(sums.gram.astype(np.float32), self._bordered, (0, 1))
        self.noise = np.pad(sums.noise.astype(np.float32), (self._bordered, 0))
        if intercept is not None:
            for start in range(0, len(self.cross), BLOCK_ITEMS):
                block = self.cross[start : start + BLOCK_ITEMS]
                block[...] = np.roll(block, 1, axis=1)

    def decoder(self, setting: Setting) -> tuple[FloatArray, FloatArray]:
        """Return W (n, r) and D₁ (n, r or r + 1) of a setting, as a fit with these parameters has them.

        With a spectrum power of 1 such a fit has both up to a rotation.
        """
        backend, r, scales, own = self._run.backend, setting.factors, self._scales(setting), self._columns(setting)
        middle = self._middle(setting)
        factors = np.ones(len(middle))
        np.divide(1, scales, out=factors[-r:], where=scales > 0)
        decoder = backend.empty(len(self.cross), len(middle))
        backend.matmul(self.cross[:, own], (middle * factors).astype(middle.dtype), decoder)
        decoder = np.roll(decoder, r - len(middle), axis=1)
        weight = self.encoder.weight[:, :r] * backend.to_device(scales.astype(np.float32))
        encoder = Encoder(weight, None, "identity", self.encoder.normalize, self.encoder.intercept)
        size = np.float32(typical_size(backend, encoder, self._run.train))
        decoder[:, :r] *= size
        weight /= size
        return weight, decoder

    def scorer(self, setting: Setting, users: int) -> DotScorer:
        """Return the scorer H M Cᵀ of so many users, no discount in it: M goes to the smaller one of H and C."""
        middle, cross = self._middle(setting), self.cross[:, self._columns(setting)]
        r, width, encoder = setting.factors, len(middle), self.encoder

        def hidden(backend: Backend, history: Csr) -> FloatArray:
            inputs, units = encoder.inputs(history), backend.empty(history.shape[0], width)
            backend.encode(inputs, encoder.weight[:, :r], out=units[:, width - r :])
            if width > r:
                inputs.length_powers(encoder.intercept_power or 0.0, units[:, 0])
            return units

        def projected(backend: Backend, history: Csr) -> FloatArray:
            units = hidden(backend, history)
            return backend.matmul(units, middle, backend.empty(len(units), width))

        if users <= len(cross):
            return DotScorer(projected, cross)
        backend = self._run.backend
        return DotScorer(hidden, backend.matmul(cross, middle, backend.empty(len(cross), width)))

    def _middle(self, setting: Setting) -> npt.NDArray[Any]:
        """Return M = S (S A S + Λ)⁻¹ S of a setting, (w, w), for what its scales S multiply, A, and its penalties Λ.

        It is (A + S⁻¹ΛS⁻¹)⁻¹: the scales of the units change the diagonal alone.
        """
        own, scales = self._columns(setting), self._scales(setting)
        gram, noise, rate = self.gram[own, own], self.noise[own, own], setting.dropout / (1 - setting.dropout)
        penalties, squares = np.zeros(len(gram)), np.maximum(scales * scales, NOTHING)
        units = np.diag(gram)[-setting.factors :].astype(np.float64) * squares
        penalties[-setting.factors :] = relative_penalty(setting.regularization, self._mean_degree, units) / squares
        if setting.intercept_penalty is not None:
            penalties[0] = setting.intercept_penalty * float(gram[0, 0])

        def system(precision: type) -> npt.NDArray[Any]:
            made: npt.NDArray[Any] = np.multiply(noise, precision(rate), dtype=precision)
            made += gram
            np.einsum("jj->j", made)[...] += penalties.astype(precision)
            return made

        return inverse_of_system(system, setting.regularization, self._run.backend.host.num_threads)

    def _columns(self, setting: Setting) -> slice:
        """Return the columns of C that a setting has: that of the intercept is the first one."""
        return slice(self._bordered * (setting.intercept_penalty is None), setting.factors + self._bordered)

    def _scales(self, setting: Setting) -> Float64Array:
        """Return what each unit is multiplied by, σᵖ relative to the largest, (r,)."""
        spectrum, least = self._spectrum[: setting.factors], np.finfo(np.float32).tiny
        return np.where(spectrum > 0, np.maximum(spectrum, least) ** setting.spectrum_power, 0)


class Judges:
    """Users who measure settings by the interactions of theirs that were held out."""

    def __init__(self, run: FitRun, users: npt.NDArray[np.int64], metric: str) -> None:
        """Take users who have both training and held-out interactions, and a metric of `evaluate`."""
        assert run.validation is not None
        self._backend, self._counts = run.backend, run.item_counts
        held_out = run.validation.row_lengths()[users]
        users = users[np.argsort(-held_out, kind="stable")]  # R-Precision has lists as long as a user's held-out items
        self._known, self._wanted = run.histories(users)
        self._length, self._metric = with_length(metric, run.train.n_cols)
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
            for number in range(count):
                values[number, start:stop] = self._values(lists[number], wanted, slice(start, stop))

        scorer = path.scorer(setting, len(self.users))
        top_lists(backend, scorer, self._known, lambda start, _: int(self._places[start]), self._known, take, factors)
        return values

    def _values(self, lists: IdArray, wanted: Csr, users: slice) -> Float64Array:
        """Return the metric of each list: from the operation where that has it, else from a report."""
        names = metric_names((self._length,), "standard")
        if self._metric in names:
            measuring = self._backend.host.with_threads(1)
            return measuring.ranking_metrics(lists, wanted, (self._length,), "standard")[:, names.index(self._metric)]
        known = self._known.rows(users.start, users.stop).to_scipy()
        report = evaluate_ranking(lists, known, wanted.to_scipy(), k=(self._length,), num_threads=1)
        return np.nan_to_num(report.metric(self._metric).per_user, nan=1.0)  # AUC of users who lack no other item
