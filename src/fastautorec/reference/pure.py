"""The functions of `fastautorec.ops` as loops in plain Python: an independent oracle, and the slow end of benchmarks.

Arrays become lists before a loop and arrays again after it; within, all arithmetic is Python's own (double precision).

Examples
--------
>>> from scipy.sparse import csr_matrix
>>> from fastautorec.reference import pure
>>> pure.encode(csr_matrix([[1, 0, 1]]), [[1, 2], [3, 4], [5, -6]])
array([[6., 0.]], dtype=float32)
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from fastautorec import ops
from fastautorec._checks import metric_names
from fastautorec._compute.csr import Csr
from fastautorec._compute.host import HostArrays
from fastautorec._compute.parameter import Parameter
from fastautorec._compute.protocol import FloatArray, IdArray
from fastautorec._compute.sampling import COUNT_BLOCKS, TOTAL_BITS, Sampler
from fastautorec.ops import *  # noqa: F403  for type checkers: these names are bound to another backend below
from fastautorec.ops._operation import bound_to
from fastautorec.reference._pure_training import PureTraining

__all__ = ops.__all__

Row = list[tuple[int, float]]

MASK = 0xFFFFFFFF


class PureBackend(HostArrays, PureTraining):
    """Loops over lists; one thread."""

    name = "pure"

    def __init__(self, num_threads: int = 1) -> None:
        self.num_threads = num_threads

    @property
    def host(self) -> PureBackend:
        return self

    def with_threads(self, num_threads: int) -> PureBackend:
        return PureBackend(num_threads)

    def count_items(self, user_items: Csr) -> npt.NDArray[np.int64]:
        counts = [0] * user_items.n_cols
        for row in _rows(user_items):
            for j, _ in row:
                counts[j] += 1
        return np.array(counts, np.int64)

    def nce_transform(self, user_items: Csr, beta: float, numerator: str) -> Csr:
        own = user_items.rebased()
        popularity = self.count_items(user_items).tolist()
        total = own.nnz if numerator == "interactions" else own.shape[0]
        values = [max(math.log(total) - beta * math.log(popularity[j]), 0.0) for row in _rows(own) for j, _ in row]
        return own.with_data(np.array(values, np.float32))

    def encode(
        self,
        user_items: Csr,
        weight: FloatArray,
        bias: FloatArray | None = None,
        activation: str = "identity",
        out: FloatArray | None = None,
    ) -> FloatArray:
        w, k = weight.tolist(), weight.shape[1]
        b = [0.0] * k if bias is None else bias.tolist()
        activate = _ACTIVATE[activation]
        hidden = []
        for row in _rows(user_items):
            sums = list(b)
            for j, x in row:
                for c in range(k):
                    sums[c] += x * w[j][c]
            hidden.append([activate(a) for a in sums])
        return _result(hidden, k, out)

    def encode_backward(
        self,
        user_items: Csr,
        grad: FloatArray,
        out: FloatArray | None = None,
        parameter: Parameter | None = None,
    ) -> FloatArray:
        g, k = grad.tolist(), grad.shape[1]
        product = [[0.0] * k for _ in range(user_items.n_cols)] if out is None else out.tolist()
        for i, row in enumerate(_rows(user_items)):
            for j, x in row:
                for c in range(k):
                    product[j][c] += x * g[i][c]
        if parameter is not None:
            self.optimizer_step(parameter, _result(product, k, None))
            return parameter.value
        return _result(product, k, out)

    def gram_product(
        self, user_items: Csr, block: FloatArray, item_weights: FloatArray | None = None, user_power: float = 0.0
    ) -> FloatArray:
        b, k = block.tolist(), block.shape[1]
        product = [[0.0] * k for _ in range(user_items.n_cols)]
        for row in _rows(user_items if item_weights is None else user_items.weighted(item_weights, user_power)):
            for c in range(k):
                projected = sum(x * b[j][c] for j, x in row)
                for j, x in row:
                    product[j][c] += x * projected
        return _result(product, k, None)

    def drop_entries(self, user_items: Csr, rate: float, seed: int, epoch: int) -> Csr:
        own = user_items.rebased()
        rate = float(np.float32(rate))
        kept, threshold = float(np.float32(1 / np.float32(1 - rate))), int(rate * 2**32)
        values = []
        for u, row in zip(own.user_numbers().tolist(), _rows(own), strict=True):
            for e, (_, x) in enumerate(row):
                counter = (e // 4, epoch, u & MASK, u >> 32)
                word = philox(counter, (seed & MASK, seed >> 32))[e % 4]
                values.append(0.0 if word < threshold else x * kept)
        return own.with_data(np.array(values, np.float32))

    def sample_negatives(
        self, sampler: Sampler, users: npt.NDArray[np.int64], exclude: Csr | None, seed: int, epoch: int
    ) -> tuple[Csr, IdArray]:
        draw = _Draw(sampler, seed, epoch)
        left_out: Iterator[Row] = iter([[]] * len(users)) if exclude is None else _rows(exclude)
        pointers, ids, counts = [0], [], []
        for user, row in zip(users.tolist(), left_out, strict=True):
            for j, count in sorted((+draw(user, [j for j, _ in row])).items()):
                ids.append(j)
                counts.append(count)
            pointers.append(len(ids))
        pattern = Csr(np.array(pointers, np.int64), np.array(ids, np.int32), None, sampler.n_items, users=users)
        return pattern, np.array(counts, np.int32)

    def top_items(
        self,
        scores: FloatArray,
        n_top: int,
        exclude: Csr | None = None,
        first_item: int = 0,
        best: tuple[IdArray, FloatArray] | None = None,
    ) -> tuple[IdArray, FloatArray]:
        left_out: Iterator[Row] = iter([[]] * len(scores)) if exclude is None else _rows(exclude)
        earlier = (
            [[] for _ in scores]
            if best is None
            else [
                [(-s, i) for i, s in zip(ids, values, strict=True) if i >= 0]
                for ids, values in zip(best[0].tolist(), best[1].tolist(), strict=True)
            ]
        )
        ids, values = [], []
        for row, hidden, candidates in zip(scores.tolist(), left_out, earlier, strict=True):
            unwanted = {j for j, _ in hidden}
            for j, score in enumerate(row, start=first_item):
                if score > -math.inf and j not in unwanted:
                    candidates.append((-score, j))
            listed = sorted(candidates)[:n_top]
            free = n_top - len(listed)
            ids.append([j for _, j in listed] + [-1] * free)
            values.append([-negative for negative, _ in listed] + [math.nan] * free)
        shape = (len(scores), n_top)
        return np.array(ids, np.int32).reshape(shape), np.array(values, np.float32).reshape(shape)

    def ranking_metrics(
        self, item_ids: IdArray, test: Csr, cutoffs: tuple[int, ...], definition: str
    ) -> npt.NDArray[np.float64]:
        names = metric_names(cutoffs, definition)
        table = [
            _metrics_of_user(ids, {j for j, _ in row}, cutoffs, definition) if row else [math.nan] * len(names)
            for ids, row in zip(item_ids.tolist(), _rows(test), strict=True)
        ]
        return np.array(table, np.float64).reshape(len(table), len(names))


def philox(counter: tuple[int, int, int, int], key: tuple[int, int]) -> tuple[int, int, int, int]:
    """Philox4x32-10: four random words below 2**32.

    >>> [f"{word:08x}" for word in philox((0, 0, 0, 0), (0, 0))]
    ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']
    """
    for _ in range(10):
        a, b = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
        counter = ((b >> 32) ^ counter[1] ^ key[0], b & MASK, (a >> 32) ^ counter[3] ^ key[1], a & MASK)
        key = (key[0] + 0x9E3779B9) & MASK, (key[1] + 0xBB67AE85) & MASK
    return counter


class _Draw:
    """Counts of the items that are drawn for one user; `fastautorec._compute.sampling` describes them."""

    def __init__(self, sampler: Sampler, seed: int, epoch: int) -> None:
        self._n_samples, self._ends = sampler.n_samples, sampler.cdf.tolist()
        self._epoch, self._key = epoch, (seed & MASK, seed >> 32)
        self._table: list[int] = []
        if sampler.counts is not None:
            self._table, self._last = sampler.counts.table.tolist(), sampler.counts.last.tolist()
            self._base = sampler.counts.base.tolist()
            self._borders = [*(sampler.counts.base + sampler.counts.guide[:, 0]).tolist(), len(self._last)]

    def __call__(self, user: int, unwanted: list[int]) -> Counter[int]:
        drawn: Counter[int] = self._counts(user, set(unwanted)) if self._table else Counter()
        cut, gaps, cuts = 0, [], [0]
        for j in unwanted:
            start = self._ends[j - 1] if j else 0
            gaps.append(start - cut)
            cut += self._ends[j] - start
            cuts.append(cut)
        for t in range(self._n_samples - drawn.total()):
            words = self._block(user, t // 2)[t % 2 * 2 :]
            place = (words[0] | words[1] << 32) * (2**TOTAL_BITS - cut) >> 64
            drawn[bisect_right(self._ends, place + cuts[bisect_right(gaps, place)])] += 1
        return drawn

    def _counts(self, user: int, unwanted: set[int]) -> Counter[int]:
        first, n_items = COUNT_BLOCKS, len(self._table)
        while True:
            drawn: Counter[int] = Counter()
            for j, table in enumerate(self._table):
                word = self._block(user, first + j // 4)[j % 4]
                if j not in unwanted:
                    entry = bisect_left(self._last, word, self._borders[table], self._borders[table + 1])
                    drawn[j] = entry - self._base[table]
            if drawn.total() <= self._n_samples:
                return drawn
            first += -(-n_items // 4)

    def _block(self, user: int, number: int) -> tuple[int, int, int, int]:
        return philox((number & MASK, self._epoch, user & MASK, user >> 32), self._key)


def _metrics_of_user(ids: list[int], relevant: set[int], cutoffs: tuple[int, ...], definition: str) -> list[float]:
    hits: list[int] = []
    found: set[int] = set()
    for j in ids + [-1] * (cutoffs[-1] - len(ids)):
        hits.append(int(j in relevant and j not in found))
        found.add(j)
    total = len(relevant)
    precision = [sum(hits[:k]) / k for k in cutoffs]
    recall = [sum(hits[:k]) / total for k in cutoffs]
    f1 = [2 * p * r / (p + r) if p else 0.0 for p, r in zip(precision, recall, strict=True)]
    r_precision = sum(hits[: min(total, len(ids))]) / total
    if definition == "paper":
        ndcg = [_dcg(hits[: cutoffs[-1]]) / _dcg([1] * total)]
        average = [sum(sum(hits[:rank]) / rank for rank in range(1, k + 1)) / k for k in cutoffs]
    else:
        at = [_dcg(hits[:k]) / _dcg([1] * min(k, total)) for k in cutoffs]
        ndcg = [at[-1], *at]
        average = [
            sum(hits[rank - 1] * sum(hits[:rank]) / rank for rank in range(1, k + 1)) / min(k, total) for k in cutoffs
        ]
    return [r_precision, *ndcg, *average, *precision, *recall, *f1]


def _dcg(hits: list[int]) -> float:
    return sum(hit / math.log2(rank + 1) for rank, hit in enumerate(hits, start=1))


def _sigmoid(a: float) -> float:
    return 1 / (1 + math.exp(-a)) if a > -700 else 0.0  # exp(-a) would overflow


_ACTIVATE: dict[str, Callable[[float], float]] = {
    "identity": lambda a: a,
    "relu": lambda a: max(a, 0.0),
    "tanh": math.tanh,
    "sigmoid": _sigmoid,
}


def _rows(matrix: Csr) -> Iterator[Row]:
    """Yield each row as a list of (item id, value)."""
    own = matrix.rebased()
    pointers, ids = own.indptr.tolist(), own.indices.tolist()
    values = [1.0] * own.nnz if own.data is None else own.data.tolist()
    for start, stop in pairwise(pointers):
        yield list(zip(ids[start:stop], values[start:stop], strict=True))


def _result(rows: list[list[float]], width: int, out: FloatArray | None) -> FloatArray:
    result = np.array(rows, np.float32).reshape(len(rows), width)
    if out is None:
        return result
    out[...] = result
    return out


globals().update(bound_to(PureBackend(), __name__))
