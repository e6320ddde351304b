"""The specification: every operation in plain NumPy and SciPy, written to be obviously right."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.special import expit, log_expit

from fastautorec._compute.csr import Csr
from fastautorec._compute.host import HostArrays
from fastautorec._compute.protocol import FloatArray, IdArray
from fastautorec._compute.sampling import COUNT_BLOCKS, TOTAL_BITS, Sampler

if TYPE_CHECKING:
    from fastautorec._compute.parameter import Parameter

_ACTIVATE: dict[str, Callable[[FloatArray], FloatArray]] = {
    "identity": lambda a: a,
    "relu": lambda a: np.maximum(a, 0),
    "tanh": np.tanh,
    "sigmoid": expit,
}

# out(z) of positives and of negatives in the negative-sampling head, and their derivatives
_OUTPUTS: dict[str, tuple[Callable[[FloatArray], FloatArray], ...]] = {
    "sigmoid": (expit, lambda z: expit(z) * expit(-z), expit, lambda z: expit(z) * expit(-z)),
    "logsigmoid": (log_expit, lambda z: expit(-z), lambda z: -log_expit(-z), expit),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2, np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "identity": (lambda z: z, np.ones_like, lambda z: z, np.ones_like),
}


class ReferenceBackend(HostArrays):
    """Plain NumPy; the oracle of the other backends. It has no threads of its own."""

    name = "reference"

    def __init__(self, num_threads: int = 1) -> None:
        self.num_threads = num_threads

    @property
    def host(self) -> ReferenceBackend:
        return self

    def with_threads(self, num_threads: int) -> ReferenceBackend:
        return ReferenceBackend(num_threads)

    def count_items(self, user_items: Csr) -> npt.NDArray[np.int64]:
        return np.bincount(user_items.rebased().indices, minlength=user_items.n_cols).astype(np.int64)

    def nce_transform(self, user_items: Csr, beta: float, numerator: str) -> Csr:
        own = user_items.rebased()
        total = user_items.nnz if numerator == "interactions" else user_items.shape[0]
        popularity = np.maximum(self.count_items(user_items), 1)  # items without users never occur in the pattern
        weight = np.maximum(np.log(max(total, 1)) - beta * np.log(popularity), 0).astype(np.float32)
        return own.with_data(weight[own.indices])

    def encode(
        self,
        user_items: Csr,
        weight: FloatArray,
        bias: FloatArray | None = None,
        activation: str = "identity",
        out: FloatArray | None = None,
    ) -> FloatArray:
        hidden = user_items.to_scipy() @ weight
        if bias is not None:
            hidden = hidden + bias
        return _into(out, _ACTIVATE[activation](hidden))

    def encode_backward(
        self,
        user_items: Csr,
        grad: FloatArray,
        out: FloatArray | None = None,
        parameter: Parameter | None = None,
    ) -> FloatArray:
        product = user_items.to_scipy().T @ grad
        if parameter is not None:
            self.optimizer_step(parameter, product)
            return parameter.value
        return _into(out, product if out is None else out + product)

    def gram_product(
        self, user_items: Csr, block: FloatArray, item_weights: FloatArray | None = None, user_power: float = 0.0
    ) -> FloatArray:
        x = (user_items if item_weights is None else user_items.weighted(item_weights, user_power)).to_scipy()
        product: FloatArray = x.T @ (x @ block)
        return product

    def drop_entries(self, user_items: Csr, rate: float, seed: int, epoch: int) -> Csr:
        own = user_items.rebased()
        lengths = own.row_lengths()
        users = np.repeat(own.user_numbers(), lengths)
        position = np.arange(own.nnz) - np.repeat(own.indptr[:-1], lengths)
        words = philox_of_user(seed, epoch, users, position // 4)[np.arange(own.nnz), position % 4]
        scaled = (1 if own.data is None else own.data) * (np.float32(1) / (np.float32(1) - np.float32(rate)))
        return own.with_data(np.where(words < int(np.float32(rate) * 2.0**32), 0, scaled).astype(np.float32))

    def mse_head(
        self,
        hidden: FloatArray,
        decoder: Parameter,
        target: Csr,
        scale: float = 1.0,
        grad_hidden: FloatArray | None = None,
        plan: str = "auto",
    ) -> float:
        # (users, items): the specification spends memory on being obviously right.
        error = hidden @ decoder.value.T - target.to_scipy().toarray()
        self._step_head(hidden, decoder, 2 * scale * error, grad_hidden)
        return float(np.sum(error.astype(np.float64) ** 2))

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
        z = hidden @ decoder.value.T
        r = positives.to_scipy().toarray()
        s = negatives.with_data(counts.astype(np.float32)).to_scipy().toarray()
        s = s * (r.sum(axis=1) / np.maximum(s.sum(axis=1), 1))[:, None]
        positive, positive_slope, negative, negative_slope = _OUTPUTS[out]
        self._step_head(hidden, decoder, scale * (s * negative_slope(z) - r * positive_slope(z)), grad_hidden)
        return float(np.sum(s * negative(z) - r * positive(z), dtype=np.float64))

    def _step_head(
        self, hidden: FloatArray, decoder: Parameter, grad_scores: FloatArray, grad_hidden: FloatArray | None
    ) -> None:
        if grad_hidden is not None:
            grad_hidden += grad_scores @ decoder.value
        self.optimizer_step(decoder, grad_scores.T @ hidden)

    def optimizer_step(self, parameter: Parameter, grad: FloatArray) -> None:
        p = parameter
        p.step += 1
        decay = np.full(grad.shape[1:], p.decay, grad.dtype)
        if p.bias_column:
            decay[-1:] = p.last_decay
        if p.rule == "adamw":
            p.value *= 1 - p.learning_rate * decay
        elif p.rule != "gradient":
            grad = grad + decay * p.value
        m, v = p.first, p.second
        if p.rule == "sgd":
            if m is not None:
                grad = m[...] = grad if p.step == 1 else p.beta1 * m + grad
            p.value -= p.learning_rate * grad
        elif m is not None and v is not None:
            m[...] = p.beta1 * m + (1 - p.beta1) * grad
            v[...] = p.beta2 * v + (1 - p.beta2) * grad**2
            mean, square = m / (1 - p.beta1**p.step), v / (1 - p.beta2**p.step)
            p.value -= p.learning_rate * mean / (np.sqrt(square) + p.epsilon)
        elif m is not None:  # "gradient"
            m[...] = grad

    def sample_negatives(
        self, sampler: Sampler, users: npt.NDArray[np.int64], exclude: Csr | None, seed: int, epoch: int
    ) -> tuple[Csr, IdArray]:
        ids, counts = [np.empty(0, np.int32)], [np.empty(0, np.int32)]
        for i, user in enumerate(users):
            unwanted = np.empty(0, np.int32) if exclude is None else exclude.rows(i, i + 1).rebased().indices
            drawn = _draw(sampler, user, unwanted, seed, epoch)
            ids.append(np.flatnonzero(drawn).astype(np.int32))
            counts.append(drawn[ids[-1]].astype(np.int32))
        indptr = np.cumsum([len(row) for row in ids], dtype=np.int64)
        return Csr(indptr, np.concatenate(ids), None, sampler.n_items, users=users), np.concatenate(counts)

    def top_items(
        self,
        scores: FloatArray,
        n_top: int,
        exclude: Csr | None = None,
        first_item: int = 0,
        best: tuple[IdArray, FloatArray] | None = None,
    ) -> tuple[IdArray, FloatArray]:
        values = np.where(np.isnan(scores), -np.inf, scores).astype(np.float32)
        if exclude is not None:
            tile = exclude.with_data(None).to_scipy()[:, first_item : first_item + scores.shape[1]]
            values[tile.nonzero()] = -np.inf
        ids = np.broadcast_to(np.arange(first_item, first_item + scores.shape[1], dtype=np.int32), scores.shape)
        if best is not None:
            ids = np.hstack([best[0], ids])
            values = np.hstack([np.where(best[0] < 0, -np.inf, best[1]).astype(np.float32), values])
        order = np.lexsort((ids, -values), axis=1)[:, :n_top]
        top, top_ids = np.take_along_axis(values, order, 1), np.take_along_axis(ids, order, 1)
        missing = ((0, 0), (0, n_top - order.shape[1]))
        top = np.pad(top, missing, constant_values=-np.inf)
        free = np.isneginf(top)
        top_ids = np.where(free, -1, np.pad(top_ids, missing)).astype(np.int32)
        return top_ids, np.where(free, np.nan, top).astype(np.float32)

    def ranking_metrics(
        self, item_ids: IdArray, test: Csr, cutoffs: tuple[int, ...], definition: str
    ) -> npt.NDArray[np.float64]:
        hits = _hits(item_ids, test)
        longest = max(item_ids.shape[1], cutoffs[-1])
        hits = np.pad(hits, ((0, 0), (0, longest - hits.shape[1])))  # a cut-off may exceed the list
        total = test.row_lengths()
        found = np.cumsum(hits, axis=1)
        rank = np.arange(1, longest + 1)
        gain = 1 / np.log2(rank + 1)
        ideal = np.concatenate([[0], np.cumsum(1 / np.log2(np.arange(2, max(total.max(initial=0), longest) + 2)))])
        dcg = np.cumsum(hits * gain, axis=1)
        users = np.arange(len(hits))

        with np.errstate(divide="ignore", invalid="ignore"):
            columns = [found[users, np.minimum(np.maximum(total, 1), item_ids.shape[1]) - 1] / total]
            if definition == "paper":
                columns.append(dcg[:, cutoffs[-1] - 1] / ideal[total])
                average = np.cumsum(found / rank, axis=1)
                columns += [average[:, k - 1] / k for k in cutoffs]
            else:
                ndcg = [dcg[:, k - 1] / ideal[np.minimum(k, total)] for k in cutoffs]
                average = np.cumsum(hits * found / rank, axis=1)
                columns += [ndcg[-1], *ndcg]
                columns += [average[:, k - 1] / np.minimum(k, total) for k in cutoffs]
            precision = [found[:, k - 1] / k for k in cutoffs]
            recall = [found[:, k - 1] / total for k in cutoffs]
            harmonic = [np.where(p > 0, 2 * p * r / (p + r), 0.0) for p, r in zip(precision, recall, strict=True)]
        table = np.stack(columns + precision + recall + harmonic, axis=1)
        table[total == 0] = np.nan
        return table


def philox_of_user(
    seed: int, epoch: int, users: npt.NDArray[np.int64], blocks: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint64]:
    """Philox4x32-10 blocks of the streams (seed, epoch, user): (len(users), 4) words below 2**32."""
    low = np.uint64(0xFFFFFFFF)
    user = users.astype(np.uint64)
    counter = [blocks.astype(np.uint64) & low, np.full(user.shape, epoch, np.uint64), user & low, user >> np.uint64(32)]
    key0, key1 = seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF
    for _ in range(10):
        a, b = counter[0] * np.uint64(0xD2511F53), counter[2] * np.uint64(0xCD9E8D57)
        counter = [
            (b >> np.uint64(32)) ^ counter[1] ^ np.uint64(key0),
            b & low,
            (a >> np.uint64(32)) ^ counter[3] ^ np.uint64(key1),
            a & low,
        ]
        key0, key1 = (key0 + 0x9E3779B9) & 0xFFFFFFFF, (key1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack(counter, axis=-1)


def _draw(sampler: Sampler, user: np.int64, unwanted: IdArray, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """Return how often each item is drawn for one user."""

    def blocks(first: int, number: int) -> npt.NDArray[np.uint64]:
        return philox_of_user(seed, epoch, np.full(number, user), first + np.arange(number))

    drawn = np.zeros(sampler.n_items, np.int64)
    if sampler.counts is not None:
        tables, n_blocks = sampler.counts, -(-sampler.n_items // 4)
        sizes = np.diff(tables.base + tables.guide[:, 0], append=len(tables.last))
        bit32 = np.uint64(32)
        number = np.arange(len(sizes), dtype=np.uint64) << bit32  # in front, so that all tables ascend as one
        attempt = 0
        while attempt == 0 or drawn.sum() > sampler.n_samples:
            words = blocks(COUNT_BLOCKS + attempt * n_blocks, n_blocks).ravel()[: sampler.n_items]
            found = np.searchsorted(np.repeat(number, sizes) | tables.last, number[tables.table] | words)
            drawn = found - tables.base[tables.table]
            drawn[unwanted] = 0
            attempt += 1
    missing = sampler.n_samples - int(drawn.sum())
    words = blocks(0, -(-missing // 2))
    bits = (words[:, [0, 2]] | words[:, [1, 3]] << np.uint64(32)).ravel()[:missing]
    return drawn + np.bincount(_items_of(sampler, bits, unwanted), minlength=sampler.n_items)


def _items_of(sampler: Sampler, bits: npt.NDArray[np.uint64], unwanted: IdArray) -> npt.NDArray[np.int64]:
    """Return the item of each single draw."""
    widths = sampler.widths()
    cut = np.cumsum(np.append(np.uint64(0), widths[unwanted]))  # taken from the line before each unwanted item
    gaps = (sampler.cdf - widths)[unwanted] - cut[:-1]
    draws = _high_product(bits, np.uint64(2**TOTAL_BITS) - cut[-1])
    places = draws + cut[np.searchsorted(gaps, draws, side="right")]
    items: npt.NDArray[np.int64] = np.searchsorted(sampler.cdf, places, side="right")
    return items


def _high_product(a: npt.NDArray[np.uint64], b: np.uint64) -> npt.NDArray[np.uint64]:
    """Return (a * b) >> 64."""
    low, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    a0, a1, b0, b1 = a & low, a >> half, b & low, b >> half
    middle = a1 * b0 + (a0 * b0 >> half)
    product: npt.NDArray[np.uint64] = a1 * b1 + (middle >> half) + ((middle & low) + a0 * b1 >> half)
    return product


def _hits(item_ids: IdArray, test: Csr) -> npt.NDArray[np.bool_]:
    """Return which listed ids are test items; a repeated id counts at its first place only."""
    n = test.n_cols
    valid = (item_ids >= 0) & (item_ids < n)
    key = np.arange(len(item_ids), dtype=np.int64)[:, None] * n + np.where(valid, item_ids, 0)
    rows = np.repeat(np.arange(len(item_ids), dtype=np.int64), test.row_lengths())
    hits = valid & np.isin(key, rows * n + test.rebased().indices)
    places = np.flatnonzero(hits)
    first = places[np.unique(key.ravel()[places], return_index=True)[1]]
    result = np.zeros(item_ids.shape, bool)
    result.ravel()[first] = True
    return result


def _into(out: FloatArray | None, result: FloatArray) -> FloatArray:
    if out is None:
        return result
    out[...] = result
    return out
