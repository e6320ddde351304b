"""Each operation: native code against the NumPy/SciPy reference and loops in plain Python."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

import fastautorec as far
from fastautorec import ops, reference
from fastautorec._backends import get_backend
from fastautorec._optim import Parameter
from fastautorec._parallel import resolve_num_threads
from fastautorec._sampling import make_sampler, popularity_weights
from fastautorec._sparse import Csr
from fastautorec._validation import check_counts, check_user_items, check_values
from fastautorec.reference.pure import PureBackend

UNITS = 200
BATCH, DRAWS = 100, 500  # users of the heads, and negatives drawn for each of them
N_TOP = 50
CUTOFFS = (5, 10, 15, 20, 50)
N_METRICS = 2 + 4 * len(CUTOFFS)
COPY_FLOATS = 64 << 20  # 256 MB
PRODUCT_SIZE = 1024
THREADS = resolve_num_threads(None)


@dataclass(frozen=True)
class Inputs:
    """Arguments of all operations: SciPy matrices for the public functions, Csr for the kernels."""

    binary: Any  # (m, n), R
    x: Any  # (m, n), R with rows of unit length
    test: Any  # (m, n)
    weight: np.ndarray  # (n, k)
    grad: np.ndarray  # (m, k)
    scores: np.ndarray  # (m, n)
    ranked: np.ndarray  # (m, N) ids
    hidden: np.ndarray  # (q, k), H of a batch
    batch: Any  # (q, n), R of the batch
    drawn: Any  # (q, n), S of the batch

    def every(self, step: int) -> Inputs:
        """Return the inputs of every ``step``-th user."""
        parts = {name: part if name == "weight" else part[::step] for name, part in vars(self).items()}
        return Inputs(**parts)

    def checked(self) -> Inputs:
        """Return the same inputs as the kernels take them."""
        return replace(
            self,
            binary=check_user_items("R", self.binary),
            x=check_values("X", self.x),
            test=check_user_items("T", self.test),
            batch=check_user_items("R", self.batch),
            drawn=check_counts("S", self.drawn),
        )


@dataclass(frozen=True)
class Operation:
    """How to call an operation, and what it cannot do without.

    Attributes
    ----------
    call : callable
        Takes whoever offers the operation (a module or a backend) and the inputs.
    traffic : callable
        Least bytes between memory and processor: every array that is read or written, once for each pass that the
        algorithm needs. Rows that a gather finds in a cache are not counted.
    gathered : callable
        Bytes of the rows of W (or of H) that the stored entries ask for, from whatever level of the caches.
    flop : callable
        Additions and multiplications.
    kernel : callable, optional
        How to call it on checked input, where that differs; its result is the beginning of the public function's.
    step : int
        Plain Python gets every ``step``-th user, and its time is scaled to all of them.
    """

    call: Callable[[Any, Inputs], Any]
    traffic: Callable[[Inputs], int]
    gathered: Callable[[Inputs], int] = lambda _: 0
    flop: Callable[[Inputs], int] = lambda _: 0
    kernel: Callable[[Any, Inputs], Any] | None = None
    step: int = 1


def head(backend, name, i, *matrices):
    decoder, grad_hidden = Parameter.gradient_of(i.weight), np.zeros_like(i.hidden)
    loss = getattr(backend, name)(i.hidden, decoder, *matrices, grad_hidden=grad_hidden)
    return loss, grad_hidden, decoder.first


def adam(backend, i):
    parameter = Parameter(i.weight.copy())
    backend.optimizer_step(parameter, i.weight)
    return parameter.value, parameter.first, parameter.second


OPERATIONS = {
    # Item ids are read twice, to count and to look up; weights are written once.
    "nce_transform": Operation(
        lambda who, i: who.nce_transform(i.binary, 1.0, "interactions"),
        traffic=lambda i: 12 * i.binary.nnz,
    ),
    # Ids and values once, W once, H once; a multiplication and an addition for each entry and unit.
    "encode": Operation(
        lambda who, i: who.encode(i.x, i.weight, None, "relu"),
        traffic=lambda i: 8 * i.x.nnz + i.weight.nbytes + i.grad.nbytes,
        gathered=lambda i: 4 * i.x.nnz * UNITS,
        flop=lambda i: 2 * i.x.nnz * UNITS,
        step=8,
    ),
    "encode, identity": Operation(
        lambda who, i: who.encode(i.x, i.weight, None, "identity"),
        traffic=lambda i: 8 * i.x.nnz + i.weight.nbytes + i.grad.nbytes,
        gathered=lambda i: 4 * i.x.nnz * UNITS,
        flop=lambda i: 2 * i.x.nnz * UNITS,
        step=8,
    ),
    # The same arrays in the other direction.
    "encode_backward": Operation(
        lambda who, i: who.encode_backward(i.x, i.grad),
        traffic=lambda i: 8 * i.x.nnz + i.weight.nbytes + i.grad.nbytes,
        gathered=lambda i: 4 * i.x.nnz * UNITS,
        flop=lambda i: 2 * i.x.nnz * UNITS,
        step=8,
    ),
    # X once, W read, the result written; the product X W stays in the caches.
    "gram_product": Operation(
        lambda who, i: who.gram_product(i.x, i.weight),
        traffic=lambda i: 8 * i.x.nnz + 2 * i.weight.nbytes,
        gathered=lambda i: 8 * i.x.nnz * UNITS,
        flop=lambda i: 4 * i.x.nnz * UNITS,
        step=16,
    ),
    # D read and its gradient written, H and its gradient; scores and two gradients are three dense products.
    "mse_head": Operation(
        lambda who, i: who.mse_head(i.hidden, i.weight, None, i.batch),
        traffic=lambda i: 2 * i.weight.nbytes + 2 * i.hidden.nbytes + 4 * i.batch.nnz,
        flop=lambda i: 6 * BATCH * i.weight.size,
        kernel=lambda who, i: head(who, "mse_head", i, i.batch),
        step=25,
    ),
    # The same for stored entries only, of positives and negatives.
    "ns_head": Operation(
        lambda who, i: who.ns_head(i.hidden, i.weight, None, i.batch, i.drawn),
        traffic=lambda i: 2 * i.weight.nbytes + 2 * i.hidden.nbytes + 4 * i.batch.nnz + 8 * i.drawn.nnz,
        gathered=lambda i: 4 * (i.batch.nnz + i.drawn.nnz) * UNITS,
        flop=lambda i: 6 * (i.batch.nnz + i.drawn.nnz) * UNITS,
        kernel=lambda who, i: head(who, "ns_head", i, i.batch, *i.drawn),
        step=25,
    ),
    # Weights, gradient and two moments read, weights and moments written.
    "optimizer_step": Operation(
        lambda who, i: who.optimizer_step(i.weight, i.weight),
        traffic=lambda i: 7 * i.weight.nbytes,
        kernel=adam,
    ),
    # Every score once, the ids to leave out once, ids and scores of the lists written.
    "top_items": Operation(
        lambda who, i: who.top_items(i.scores, N_TOP, i.binary),
        traffic=lambda i: i.scores.nbytes + 4 * i.binary.nnz + 8 * i.ranked.size,
        step=16,
    ),
    # Lists and test items once, one float64 for each user and metric.
    "ranking_metrics": Operation(
        lambda who, i: who.ranking_metrics(i.ranked, i.test, CUTOFFS, "paper"),
        traffic=lambda i: i.ranked.nbytes + 4 * i.test.nnz + 8 * i.test.shape[0] * N_METRICS,
    ),
    # Values read and written; which are dropped does not depend on the ids.
    "drop_entries": Operation(
        lambda who, i: who.drop_entries(i.x, 0.5, seed=1, epoch=0),
        traffic=lambda i: 8 * i.x.nnz,
    ),
}


@pytest.fixture(scope="module")
def inputs(data):
    rng = np.random.default_rng(0)
    m, n = data.train.shape
    lengths = np.diff(data.train.indptr)
    x = sparse.diags(1 / np.sqrt(np.maximum(lengths, 1))).astype(np.float32) @ data.train
    x = sparse.csr_matrix(x, dtype=np.float32)
    x.sort_indices()  # a product of SciPy leaves them in any order, and every call would sort them anew
    weight, grad = (rng.standard_normal((rows, UNITS), dtype=np.float32) for rows in (n, m))
    scores = grad @ weight.T
    ranked, _ = ops.top_items(scores, N_TOP, data.train)
    users = np.arange(0, m, m // BATCH)[:BATCH]
    popularity = ops.count_items(data.train) / data.train.nnz
    drawn = sparse.csr_matrix(rng.multinomial(DRAWS, popularity, BATCH).astype(np.float32))
    hidden = np.maximum(grad[users], 0) / 10
    return Inputs(data.train, x, data.test, weight, grad, scores, ranked, hidden, data.train[users], drawn)


@pytest.fixture(scope="module")
def answers(inputs):
    """The reference's answer to each operation, computed once."""
    known = {}

    def answer(name, step=1):
        if (name, step) not in known:
            known[name, step] = OPERATIONS[name].call(reference, inputs.every(step))
        return known[name, step]

    return answer


class Threads:
    """The public functions with a number of threads."""

    def __init__(self, num_threads):
        self._num_threads = num_threads

    def __getattr__(self, name):
        return lambda *args, **kwargs: getattr(ops, name)(*args, **kwargs, num_threads=self._num_threads)


@pytest.mark.parametrize("column", ["C++", "C++, 1 thread", "NumPy/SciPy", "plain Python"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_operation(name, column, inputs, answers, measure):
    """The public functions: input checks included."""
    operation, place = OPERATIONS[name], {"table": "operations", "row": name, "column": column}
    if column == "plain Python":
        part = inputs.every(operation.step)
        sizes = [size_of(name, i) for i in (part, inputs)]
        operation.call(reference.pure, inputs.every(200))  # warm-up
        measure.note(share=sizes[0] / sizes[1], every_user=operation.step)
        result = measure(lambda: operation.call(reference.pure, part), **place, once=True)
        assert_same(name, result, answers(name, operation.step))
        return
    who = {"C++": Threads(THREADS), "C++, 1 thread": Threads(1), "NumPy/SciPy": reference}[column]
    assert_same(name, measure(lambda: operation.call(who, inputs), **place), answers(name))


def size_of(name, i):
    """What the time in plain Python is proportional to."""
    if name == "top_items":
        return i.scores.size
    if name == "optimizer_step":
        return i.weight.size
    return len(i.hidden) if name.endswith("head") else i.binary.nnz


@pytest.mark.parametrize("column", ["C++", "C++, 1 thread", "NumPy/SciPy"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_kernel(name, column, inputs, answers, measure):
    """The same on checked input, as the models call them: what remains is the work itself."""
    operation, checked = OPERATIONS[name], inputs.checked()
    device, threads = {"C++": ("cpu", THREADS), "C++, 1 thread": ("cpu", 1), "NumPy/SciPy": ("reference", 1)}[column]
    backend = get_backend(device, threads)
    measure.note(**{what: getattr(operation, what)(inputs) for what in ("traffic", "gathered", "flop")})
    call = operation.kernel or operation.call
    result = measure(lambda: call(backend, checked), table="kernels", row=name, column=column)
    expected = arrays(answers(name))
    assert_same(name, result, tuple(expected[: len(arrays(result))]))


DRAW_COUNTS = (5, 50, 500, 5_000, 50_000, 500_000)
GOODBOOKS, N_DRAWS = (53_418, 10_000), 500
MULTINOMIAL_STEP, PURE_STEP = 500, 5_000
MULTINOMIAL, PURE = "NumPy multinomial, every 500th user, scaled", "plain Python, every 5,000th user, scaled"


@pytest.fixture(scope="module")
def goodbooks():
    """Interactions of the size of Goodbooks, whose popularity is all that the sampler sees of them."""
    return far.datasets.synthetic(*GOODBOOKS, 4_000_000, random_state=0)


@pytest.mark.parametrize("column", ["C++", "C++, 1 thread", MULTINOMIAL, PURE])
def test_sample_negatives(column, goodbooks, measure):
    """All users of Goodbooks, 500 draws each; the slow ways get every 500th or 5,000th user and are scaled."""
    place = {"table": "sampling", "row": "sample_negatives, N = 500", "column": column}
    if column == MULTINOMIAL:
        users = range(0, GOODBOOKS[0], MULTINOMIAL_STEP)
        popularity = ops.count_items(goodbooks)
        p, rng = popularity / popularity.sum(), np.random.default_rng(0)
        measure.note(share=len(users) / GOODBOOKS[0], every_user=MULTINOMIAL_STEP)
        rows = measure(lambda: [sparse.csr_matrix(rng.multinomial(N_DRAWS, p)) for _ in users], **place, once=True)
        assert all(row.sum() == N_DRAWS for row in rows)
        return
    if column == PURE:
        users = np.arange(0, GOODBOOKS[0], PURE_STEP)
        measure.note(share=len(users) / GOODBOOKS[0], every_user=PURE_STEP)
        whole = ops.sample_negatives(goodbooks, N_DRAWS, rows=users)
        sampler = make_sampler(popularity_weights(ops.count_items(goodbooks), 1.0), N_DRAWS)
        _, counts = measure(lambda: PureBackend().sample_negatives(sampler, users, None, 0, 0), **place, once=True)
        assert_array_equal(counts, whole.data)
        return
    threads = THREADS if column == "C++" else 1
    samples = measure(lambda: ops.sample_negatives(goodbooks, N_DRAWS, num_threads=threads), **place)
    assert (np.add.reduceat(samples.data, samples.indptr[:-1]) == N_DRAWS).all()


@pytest.mark.parametrize("n_draws", DRAW_COUNTS)
def test_cost_of_draws(n_draws, goodbooks, measure):
    """A hundred users on one thread, tables ready."""
    sampler = make_sampler(popularity_weights(ops.count_items(goodbooks), 1.0), n_draws)
    backend, users = get_backend("cpu", 1), np.arange(100)
    place = {"table": "sampling, 100 users", "row": f"N = {n_draws:,}", "column": "C++, 1 thread"}
    _, counts = measure(lambda: backend.sample_negatives(sampler, users, None, 0, 0), **place)
    assert counts.sum(dtype=np.int64) == 100 * n_draws


def test_top_items_by_argpartition(inputs, answers, measure):
    """The usual fast way in NumPy, whose order among equal scores is arbitrary."""

    def top_items():
        values = inputs.scores.copy()
        values[inputs.binary.nonzero()] = -np.inf
        ids = np.argpartition(-values, N_TOP, axis=1)[:, :N_TOP]
        best = np.take_along_axis(values, ids, 1)
        order = np.argsort(-best, axis=1, kind="stable")
        return np.take_along_axis(ids, order, 1), np.take_along_axis(best, order, 1)

    _, best = measure(top_items, table="operations", row="top_items", column="NumPy argpartition")
    assert_array_equal(best, answers("top_items")[1])


def test_copy(measure):
    """What memory can do: NumPy copies 256 MB, one part in each thread."""
    source, target = np.ones(COPY_FLOATS, np.float32), np.zeros(COPY_FLOATS, np.float32)
    parts = [slice(t * COPY_FLOATS // THREADS, (t + 1) * COPY_FLOATS // THREADS) for t in range(THREADS)]
    measure.note(traffic=2 * source.nbytes)
    with ThreadPoolExecutor(THREADS) as pool:

        def copy():
            list(pool.map(lambda part: np.copyto(target[part], source[part]), parts))

        measure(copy, table="machine", row="memory copy", column="NumPy")
    assert target[-1] == 1


def test_matrix_product(measure):
    """What the arithmetic units can do: a float32 product by BLAS on all cores."""
    a = np.random.default_rng(0).standard_normal((PRODUCT_SIZE, PRODUCT_SIZE), dtype=np.float32)
    measure.note(flop=2 * PRODUCT_SIZE**3)
    result = measure(lambda: a @ a, table="machine", row="matrix product", column="NumPy")
    assert_allclose(result[0], a[0].astype(np.float64) @ a, rtol=1e-3, atol=1e-2)


def assert_same(name, result, expected):
    """Exact where no sum is rounded."""
    exact = name in ("top_items", "drop_entries")
    for got, want in zip(arrays(result), arrays(expected), strict=True):
        largest = np.nanmax(np.abs(want)) if name.endswith("head") else 1  # of sums whose terms cancel
        assert_allclose(got, want, **({"rtol": 0} if exact else {"rtol": 1e-4, "atol": 1e-4 * largest}))


def arrays(result):
    """Return the numbers in the result of a public function or a kernel."""
    if isinstance(result, dict):
        return [np.stack(list(result.values()), axis=1)]
    if isinstance(result, (Csr, sparse.csr_matrix)):
        return [result.data]
    return list(result) if isinstance(result, tuple) else [result]
