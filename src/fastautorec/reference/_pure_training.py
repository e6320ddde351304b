"""Heads and optimisers as loops in plain Python, over every score of every user; see `fastautorec.reference.pure`."""

from __future__ import annotations

import math

import numpy as np

from fastautorec._compute.csr import Csr
from fastautorec._compute.parameter import Parameter
from fastautorec._compute.protocol import FloatArray, IdArray

Rows = list[list[float]]


class PureTraining:
    """The training operations of `PureBackend`."""

    def mse_head(
        self,
        hidden: FloatArray,
        decoder: Parameter,
        target: Csr,
        scale: float = 1.0,
        grad_hidden: FloatArray | None = None,
        plan: str = "auto",
    ) -> float:
        loss = 0.0
        slopes = []
        for scores, wanted in zip(_scores(hidden, decoder), _dense(target), strict=True):
            errors = [z - t for z, t in zip(scores, wanted, strict=True)]
            loss += sum(e * e for e in errors)
            slopes.append([2 * e for e in errors])
        self._step_head(hidden, decoder, slopes, scale, grad_hidden)
        return loss

    def ns_head(
        self,
        hidden: FloatArray,
        decoder: Parameter,
        positives: Csr,
        negatives: Csr,
        counts: IdArray,
        out: str = "sigmoid",
        scale: float = 1.0,
        grad_hidden: FloatArray | None = None,
        plan: str = "auto",
    ) -> float:
        loss = 0.0
        slopes = []
        drawn = negatives.with_data(counts.astype(np.float32))
        for scores, own, others in zip(_scores(hidden, decoder), _dense(positives), _dense(drawn), strict=True):
            weight = sum(own) / max(sum(others), 1)
            row = []
            for z, r, s in zip(scores, own, others, strict=True):
                positive, negative = _output(z, out), _output(z, out, negative=True)
                loss += weight * s * negative[0] - r * positive[0]
                row.append(weight * s * negative[1] - r * positive[1])
            slopes.append(row)
        self._step_head(hidden, decoder, slopes, scale, grad_hidden)
        return loss

    def _step_head(
        self, hidden: FloatArray, decoder: Parameter, slopes: Rows, scale: float, grad_hidden: FloatArray | None
    ) -> None:
        """Use up the derivatives by score: ∂H = slopes D and ∂D = slopesᵀ H."""
        h, d = hidden.tolist(), decoder.value.tolist()
        grad_decoder = [[0.0] * hidden.shape[1] for _ in d]
        for i, row in enumerate(slopes):
            for j, slope in enumerate(row):
                for c in range(hidden.shape[1]):
                    grad_decoder[j][c] += scale * slope * h[i][c]
        if grad_hidden is not None:
            for i, row in enumerate(slopes):
                for c in range(hidden.shape[1]):
                    grad_hidden[i, c] += scale * sum(slope * d[j][c] for j, slope in enumerate(row))
        self.optimizer_step(decoder, np.array(grad_decoder, np.float32).reshape(decoder.value.shape))

    def optimizer_step(self, parameter: Parameter, grad: FloatArray) -> None:
        p = parameter
        p.step += 1
        for i, row in enumerate(grad.tolist()):
            for c, g in enumerate(row):
                is_bias = p.bias_column and c == len(row) - 1
                _step_weight(p, i, c, g, p.last_decay if is_bias else p.decay)


def _step_weight(p: Parameter, i: int, c: int, g: float, decay: float) -> None:
    w = float(p.value[i, c])
    m = 0.0 if p.first is None else float(p.first[i, c])
    v = 0.0 if p.second is None else float(p.second[i, c])
    if p.rule == "gradient":
        m = g
    elif p.rule == "sgd":
        g += decay * w
        m = g if p.step == 1 or p.first is None else p.beta1 * m + g
        w -= p.learning_rate * m
    else:
        if p.rule == "adamw":
            w *= 1 - p.learning_rate * decay
        else:
            g += decay * w
        m = p.beta1 * m + (1 - p.beta1) * g
        v = p.beta2 * v + (1 - p.beta2) * g * g
        mean, square = m / (1 - p.beta1**p.step), v / (1 - p.beta2**p.step)
        w -= p.learning_rate * mean / (math.sqrt(square) + p.epsilon)
    p.value[i, c] = w
    if p.first is not None:
        p.first[i, c] = m
    if p.second is not None:
        p.second[i, c] = v


def _output(z: float, out: str, *, negative: bool = False) -> tuple[float, float]:
    """Return out(z) and its derivative."""
    if out == "identity":
        return z, 1.0
    if out == "tanh":
        return math.tanh(z), 1 - math.tanh(z) ** 2
    if out == "sigmoid":
        return _sigmoid(z), _sigmoid(z) * _sigmoid(-z)
    if negative:
        return -_log_sigmoid(-z), _sigmoid(z)
    return _log_sigmoid(z), _sigmoid(-z)


def _sigmoid(z: float) -> float:
    return math.exp(_log_sigmoid(z))


def _log_sigmoid(z: float) -> float:
    return -math.log1p(math.exp(-z)) if z > 0 else z - math.log1p(math.exp(z))  # no exponential overflows


def _scores(hidden: FloatArray, decoder: Parameter) -> Rows:
    d = decoder.value.tolist()
    return [[sum(a * b for a, b in zip(h, row, strict=True)) for row in d] for h in hidden.tolist()]


def _dense(matrix: Csr) -> Rows:
    own = matrix.rebased()
    values = [1.0] * own.nnz if own.data is None else own.data.tolist()
    rows = []
    for i in range(own.shape[0]):
        row = [0.0] * own.n_cols
        for p in range(int(own.indptr[i]), int(own.indptr[i + 1])):
            row[int(own.indices[p])] = values[p]
        rows.append(row)
    return rows
