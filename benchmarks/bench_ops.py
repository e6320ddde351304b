"""Each operation: native code on one thread and on all, NumPy/SciPy, plain Python, and CUDA where it is there.

What the machine can do at best is measured here too: floors are made of that.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from threadpoolctl import threadpool_limits

import fastautorec as far
from benchmarks._common import THREADS
from benchmarks._operations import N_TOP, OPERATIONS, Inputs
from fastautorec import ops, reference
from fastautorec._compute import get_backend
from fastautorec._compute.csr import Csr
from fastautorec._compute.sampling import make_sampler, popularity_weights
from fastautorec.exceptions import BackendUnavailableError
from fastautorec.reference.pure import PureBackend

CACHED_FLOATS = 32 << 10  # twice 128 KB: more than the first-level cache, less than the second
CACHED_ROUNDS = 100


@pytest.fixture(scope="module")
def inputs(data, sizes):
    rng, known = np.random.default_rng(0), data.known
    m, n = known.shape
    lengths = np.diff(known.indptr)
    x = sparse.diags(1 / np.sqrt(np.maximum(lengths, 1))).astype(np.float32) @ known
    x = sparse.csr_matrix(x, dtype=np.float32)
    x.sort_indices()  # a product of SciPy leaves them in any order, and every call would sort them anew
    weight, grad = (rng.standard_normal((rows, sizes.units), dtype=np.float32) for rows in (n, m))
    scores = grad @ weight.T
    ranked, _ = ops.top_items(scores, N_TOP, known)
    batch = sizes.batches[0]
    users = np.arange(0, m, m // batch)[:batch]
    popularity = ops.count_items(known) / known.nnz
    drawn = sparse.csr_matrix(rng.multinomial(sizes.draws, popularity, batch).astype(np.float32))
    hidden = np.maximum(grad[users], 0) / 10
    return Inputs(known, x, data.test, weight, grad, scores, ranked, hidden, known[users], drawn)


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


WHO = {"C++": Threads(THREADS), "C++, 1 thread": Threads(1), "NumPy/SciPy": reference}


@pytest.mark.parametrize("column", WHO)
@pytest.mark.parametrize("name", OPERATIONS)
def test_operation(name, column, inputs, answers, measure):
    """The public functions: input checks included."""
    result = measure(lambda: OPERATIONS[name].call(WHO[column], inputs), table="ops", row=name, column=column)
    assert_same(name, result, answers(name))


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation_in_plain_python(name, inputs, answers, measure):
    operation = OPERATIONS[name]
    part = inputs.every(operation.step)
    operation.call(reference.pure, inputs.every(200))  # warm-up
    measure.note(share=size_of(name, part) / size_of(name, inputs), every_user=operation.step)
    result = measure(
        lambda: operation.call(reference.pure, part), table="ops", row=name, column="plain Python", once=True
    )
    assert_same(name, result, answers(name, operation.step))


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation_on_gpu(name, gpu, inputs, answers, measure):
    """Arguments lie in the memory of the device and results stay there."""
    there = Inputs(**{part: gpu.moved(value) for part, value in vars(inputs).items()})

    def call():
        result = OPERATIONS[name].call(ops, there)
        gpu.wait()
        return result

    assert_same(name, gpu.fetched(measure(call, table="ops", row=name, column="CUDA")), answers(name))


class Gpu:
    """The memory of a CUDA device, by CuPy."""

    def __init__(self, cupy):
        from cupyx.scipy import sparse as there  # noqa: PLC0415  only where CuPy is installed

        self._cupy, self._sparse = cupy, there
        self.wait = cupy.cuda.Device().synchronize

    def moved(self, value):
        return self._sparse.csr_matrix(value) if sparse.issparse(value) else self._cupy.asarray(value)

    def fetched(self, result):
        if isinstance(result, dict):
            return {name: self.fetched(part) for name, part in result.items()}
        if isinstance(result, tuple):
            return tuple(self.fetched(part) for part in result)
        return result.get() if hasattr(result, "get") else result


@pytest.fixture(scope="module")
def gpu():
    cupy = pytest.importorskip("cupy", reason="CUDA needs CuPy; pip install 'fastautorec[cuda13]'")
    try:
        get_backend("cuda")
    except BackendUnavailableError as error:
        pytest.skip(str(error))
    return Gpu(cupy)


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
    measure.note(
        **{what: getattr(operation, what)(inputs) for what in ("traffic", "gathered", "flop")}, why=operation.why
    )
    call = operation.kernel or operation.call
    result = measure(lambda: call(backend, checked), table="kernels", row=name, column=column)
    expected = arrays(answers(name))
    assert_same(name, result, tuple(expected[: len(arrays(result))]))


def test_top_items_by_argpartition(inputs, answers, measure):
    """The usual fast way in NumPy, whose order among equal scores is arbitrary."""

    def top_items():
        values = inputs.scores.copy()
        values[inputs.binary.nonzero()] = -np.inf
        ids = np.argpartition(-values, N_TOP, axis=1)[:, :N_TOP]
        best = np.take_along_axis(values, ids, 1)
        order = np.argsort(-best, axis=1, kind="stable")
        return np.take_along_axis(ids, order, 1), np.take_along_axis(best, order, 1)

    _, best = measure(top_items, table="ops", row="top_items", column="NumPy argpartition")
    assert_array_equal(best, answers("top_items")[1])


# --- negative sampling ------------------------------------------------------------------------------------------------

MULTINOMIAL_STEP, PURE_STEP = 500, 5_000
MULTINOMIAL, PURE = "NumPy multinomial, every 500th user, scaled", "plain Python, every 5,000th user, scaled"


@pytest.fixture(scope="module")
def sampled(sizes):
    """Interactions of the size of Goodbooks, whose popularity is all that the sampler sees of them."""
    return far.datasets.synthetic(*sizes.sampled, random_state=0)


def row_name(sizes):
    return f"{sizes.draws} negatives for each of {sizes.sampled[0]:,} users"


@pytest.mark.parametrize("column", ["C++", "C++, 1 thread"])
def test_sample_negatives(column, sampled, sizes, measure):
    threads = THREADS if column == "C++" else 1
    samples = measure(
        lambda: ops.sample_negatives(sampled, sizes.draws, num_threads=threads),
        table="sampling", row=row_name(sizes), column=column,
    )  # fmt: skip
    assert (np.add.reduceat(samples.data, samples.indptr[:-1]) == sizes.draws).all()


def test_sample_negatives_by_multinomial(sampled, sizes, measure):
    users = range(0, sampled.shape[0], MULTINOMIAL_STEP)
    popularity = ops.count_items(sampled)
    p, rng = popularity / popularity.sum(), np.random.default_rng(0)
    measure.note(share=len(users) / sampled.shape[0], every_user=MULTINOMIAL_STEP)
    rows = measure(
        lambda: [sparse.csr_matrix(rng.multinomial(sizes.draws, p)) for _ in users],
        table="sampling", row=row_name(sizes), column=MULTINOMIAL, once=True,
    )  # fmt: skip
    assert all(row.sum() == sizes.draws for row in rows)


def test_sample_negatives_in_plain_python(sampled, sizes, measure):
    users = np.arange(0, sampled.shape[0], PURE_STEP)
    sampler = make_sampler(popularity_weights(ops.count_items(sampled), 1.0), sizes.draws)
    measure.note(share=len(users) / sampled.shape[0], every_user=PURE_STEP)
    _, counts = measure(
        lambda: PureBackend().sample_negatives(sampler, users, None, 0, 0),
        table="sampling", row=row_name(sizes), column=PURE, once=True,
    )  # fmt: skip
    assert_array_equal(counts, ops.sample_negatives(sampled, sizes.draws, rows=users).data)


@pytest.mark.parametrize("number", range(6))
def test_cost_of_draws(number, sampled, sizes, measure):
    """A hundred users on one thread, tables ready."""
    if number >= len(sizes.draw_counts):
        pytest.skip("few numbers of draws are enough for a trial")
    draws = sizes.draw_counts[number]
    sampler = make_sampler(popularity_weights(ops.count_items(sampled), 1.0), draws)
    backend, users = get_backend("cpu", 1), np.arange(100)
    place = {"table": "draws", "row": f"N = {draws:,}", "column": "C++, 1 thread"}
    _, counts = measure(lambda: backend.sample_negatives(sampler, users, None, 0, 0), **place)
    assert counts.sum(dtype=np.int64) == 100 * draws


# --- what the machine can do ------------------------------------------------------------------------------------------


def test_copy(measure, sizes):
    """Memory: NumPy copies 256 MB, one part in each thread; bytes are read and written."""
    source, target = np.ones(sizes.copied, np.float32), np.zeros(sizes.copied, np.float32)
    parts = [slice(t * sizes.copied // THREADS, (t + 1) * sizes.copied // THREADS) for t in range(THREADS)]
    measure.note(bytes=2 * source.nbytes)
    with ThreadPoolExecutor(THREADS) as pool:

        def copy():
            list(pool.map(lambda part: np.copyto(target[part], source[part]), parts))

        measure(copy, table="machine", row="memory", column="copy")
    assert target[-1] == 1


def test_cache(measure):
    """The second-level cache: BLAS reads two arrays that lie there. One core is measured; each core has its own."""
    a, b = np.ones((2, CACHED_FLOATS), np.float32)
    measure.note(bytes=THREADS * CACHED_ROUNDS * (a.nbytes + b.nbytes))
    with threadpool_limits(1, "blas"):
        total = measure(
            lambda: sum(float(a @ b) for _ in range(CACHED_ROUNDS)), table="machine", row="cache", column="dot product"
        )
    assert total == CACHED_ROUNDS * CACHED_FLOATS


def test_matrix_product(measure, sizes):
    """Arithmetic: a float32 product by BLAS on all cores."""
    a = np.random.default_rng(0).standard_normal((sizes.product, sizes.product), dtype=np.float32)
    measure.note(flop=2 * sizes.product**3)
    result = measure(lambda: a @ a, table="machine", row="arithmetic", column="matrix product")
    assert_allclose(result[0], a[0].astype(np.float64) @ a, rtol=1e-3, atol=1e-2)


# --- checks -----------------------------------------------------------------------------------------------------------


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
