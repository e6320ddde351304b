"""Lists from an index have the ids and bits of lists from all scores; no score exceeds its bound."""

import copy
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from lanes import keeping
from numpy.testing import assert_array_equal

import fastautorec as far
from fastautorec import _core
from fastautorec._compute import get_backend, item_index
from fastautorec._compute.csr import Csr
from fastautorec._compute.item_index import NONE, OWN_ORDER, ItemIndex, order_of_sums

REQUESTS = item_index.LOST_SHARE * item_index.CODES_COST // item_index.FEW_COUNT  # until codes are made
CPUINFO = Path("/proc/cpuinfo")
CODE_KERNEL = _core.code_kernel
KINDS = ("normal", "spread norms", "few values", "duplicates", "denormal", "zeros", "one dimension", "outliers", "flat")


def matrix(kind, rows, k, rng):
    """Return awkward rows: the vectors of items, or of users."""
    values = rng.standard_normal((rows, k))
    if kind == "spread norms":
        values *= 10.0 ** rng.uniform(-9, 6, (rows, 1))
    elif kind == "few values":
        values = rng.integers(-1, 2, (rows, k))
    elif kind == "duplicates":
        values = values[rng.integers(0, max(rows // 3, 1), rows)]
    elif kind == "denormal":
        values *= 10.0 ** rng.uniform(-44, -18, (rows, 1))
    elif kind == "zeros":
        values[rng.random(rows) < 0.7] = 0
    elif kind == "one dimension":
        values[:, 1:] = 0
    elif kind == "outliers":
        values[:, rng.integers(k)] *= 1e4
    elif kind == "flat":
        values = 1 + 1e-7 * values
    return values.astype(np.float32)


def all_scores_lists(hidden, decoder, exclude, masked, n_top):
    """Return the lists that are wanted: of all scores, as requests for so many users make them."""
    backend = get_backend("cpu", 1)
    scores = backend.matmul(hidden, decoder.T, np.empty((len(hidden), len(decoder)), np.float32))
    scores[:, masked] = -np.inf
    return backend.top_items(scores, n_top, exclude)


def bits(lists):
    return [array.view(np.int32).tolist() for array in lists]


def exclusions(users, items, rng):
    rows = sp.random(users, items, 0.05, "csr", np.float32, random_state=rng)
    rows.sort_indices()
    return Csr(rows.indptr.astype(np.int64), rows.indices.astype(np.int32), None, items)


@pytest.mark.parametrize("seed", keeping([0, 1], range(12)))
@pytest.mark.parametrize("users", [1, 5, 24])
def test_lists_have_the_bits_of_those_of_all_scores(users, seed, monkeypatch):
    """Also where a bound leaves every item, and whatever the number of threads."""
    rng, served = np.random.default_rng([users, seed]), 0
    for kind in KINDS:
        for user_kind in ("normal", kind):
            k, n = int(rng.integers(16, 90)), int(rng.integers(500, 2600))
            n += 7000 * (kind in ("normal", "outliers"))  # so many are looked at in several parts
            decoder, hidden = matrix(kind, n, k, rng), matrix(user_kind, users, k, rng)
            exclude = exclusions(users, n, rng) if rng.random() < 0.7 else None
            masked = np.flatnonzero(rng.random(n) < rng.choice([0, 0.3])).astype(np.int32)
            n_top = int(rng.integers(1, 30))
            borders = OWN_ORDER if users <= 8 else order_of_sums(users, n, k)
            if borders is None:
                pytest.skip("this BLAS sums in an order that is not known")
            wanted = bits(all_scores_lists(hidden, decoder, exclude, masked, n_top))
            index = ItemIndex(decoder)
            for threads in (1, 2, 7):
                found = index.lists(hidden, exclude, masked, borders, n_top, threads)
                assert found is None or bits(found) == wanted, (kind, user_kind, k, n, n_top)
                served += found is not None
    assert served  # how many depends on what was drawn: a bound that leaves too much gives up


def test_lists_of_those_who_have_seen_much():
    """All items, all but three, or all that are long; lists may be longer than what is left, and zeros have no sign."""
    rng, n = np.random.default_rng(3), 900
    decoder = matrix("spread norms", n, 20, rng)
    decoder[400:500] = np.where(rng.random((100, 20)) < 0.5, np.float32(0), np.float32(-0.0))
    hidden = rng.standard_normal((4, 20)).astype(np.float32)
    by_norm = np.argsort(-np.linalg.norm(decoder, axis=1))
    left = np.array([400, 401, 402])  # their scores are zeros
    seen = [np.arange(n), np.delete(np.arange(n), left), np.sort(by_norm[:300]), np.sort(by_norm[:850])]
    indptr = np.cumsum([0, *map(len, seen)])
    exclude = Csr(indptr, np.concatenate(seen).astype(np.int32), None, n)
    for n_top in (1, 10, 40):
        wanted = bits(all_scores_lists(hidden, decoder, exclude, NONE, n_top))
        assert bits(ItemIndex(decoder).lists(hidden, exclude, NONE, OWN_ORDER, n_top, 2)) == wanted
    ids, scores = ItemIndex(decoder).lists(hidden, exclude, NONE, OWN_ORDER, 10, 1)
    assert ids[:2, :4].tolist() == [[-1] * 4, [400, 401, 402, -1]]
    assert not np.signbit(scores[1, :3]).any()


@pytest.mark.parametrize("users", [3, 24])
def test_users_with_vectors_of_zeros_take_nothing_from_the_others(users):
    """All items have the score zero, so the list has the first that are left; the other users are scanned as ever."""
    rng, n = np.random.default_rng(5), 2000
    decoder = matrix("spread norms", n, 20, rng)
    hidden = rng.standard_normal((users, 20)).astype(np.float32)
    hidden[1:] = np.where(rng.random((users - 1, 20)) < 0.5, np.float32(0), np.float32(-0.0))
    rows = [np.array([0, 2, 5]), np.arange(n), np.arange(n - 4), *[NONE] * (users - 3)]
    exclude = Csr(np.cumsum([0, *map(len, rows)]), np.concatenate(rows).astype(np.int32), None, n)
    masked = np.array([1, 3, n - 2], np.int32)
    borders = OWN_ORDER if users <= 8 else order_of_sums(users, n, 20)
    if borders is None:
        pytest.skip("this BLAS sums in an order that is not known")
    for left_out in (exclude, None):
        for never in (masked, NONE):
            found = ItemIndex(decoder).lists(hidden, left_out, never, borders, 6, 2)
            assert bits(found) == bits(all_scores_lists(hidden, decoder, left_out, never, 6))


@pytest.mark.parametrize("seed", keeping([0], range(8)))
def test_no_score_exceeds_the_plain_bound(seed):
    """Whichever way it is summed; without room for roundings some would."""
    rng, above = np.random.default_rng(seed), 0
    for kind in KINDS:
        for user_kind in KINDS:
            k = int(rng.integers(1, 200))
            decoder, hidden = matrix(kind, 60, k, rng), matrix(user_kind, 12, k, rng)
            few = np.empty((12, 60), np.float32)
            _core.multiply_few_rows(hidden, decoder, few, 1)
            for scores in (few, hidden @ decoder.T):
                assert (scores <= item_index.bounds(hidden, decoder)).all(), (kind, user_kind)
                above += (scores > item_index.bounds(hidden, decoder, rounding=0)).sum()
    assert above > 0


def test_where_values_are_not_usual_there_is_no_index():
    rng = np.random.default_rng(0)
    hidden = rng.standard_normal((1, 20)).astype(np.float32)
    for odd in (np.inf, np.nan, 1e20):
        decoder = rng.standard_normal((600, 20)).astype(np.float32)
        decoder[77, 3] = odd
        index = ItemIndex(decoder)
        assert index.lists(hidden, None, NONE, OWN_ORDER, 5, 1) is None
        assert not index.pays(100_000, False)
        assert decoder.flags.writeable
        decoder[77, 3] = 0
        assert ItemIndex(decoder).lists(hidden * np.float32(odd), None, NONE, OWN_ORDER, 5, 1) is None


# --- models -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model():
    return far.NCEAutoRec(factors=32).fit(far.datasets.synthetic(900, 2500, 30_000, random_state=0))


@pytest.fixture
def history():
    return far.datasets.synthetic(700, 2500, 20_000, random_state=1)


def without(monkeypatch, answer):
    with monkeypatch.context() as patch:
        patch.setattr(item_index, "ENABLED", False)
        return answer()


def index_of(model):
    return vars(model)["_indexes"]._last


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    """Let lists have an index on any processor."""
    monkeypatch.setattr(_core, "code_kernel", lambda: "avx2")


@pytest.fixture
def soon(monkeypatch):
    """Let the first lists have an index."""
    monkeypatch.setattr(item_index, "LOST_SHARE", 0)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("options", [{}, {"filter_already_liked_items": False}, {"filter_items": [3, 4, 2400]}])
def test_recommend_is_the_same_with_an_index(model, history, options, monkeypatch):
    for rows in (history, *(history[u] for u in range(3)), history[:7], history[:300]):
        wanted = without(monkeypatch, lambda rows=rows: model.recommend(rows, N=9, **options))
        for threads in (1, 2, 7):
            model.num_threads = threads
            assert bits(model.recommend(rows, N=9, **options)) == bits(wanted)
    index = index_of(model)
    assert index.nbytes == model.plan(history).later["codes of items, for lists"] > 0
    assert min(index._successes.values()) > 0


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("options", [{}, {"filter_items": [3, 4, 2400]}, {"items": np.arange(7, 2500)}])
def test_similar_items_are_the_same_with_an_index(model, options, monkeypatch):
    own = copy.deepcopy(model)
    own.encoder_[[5, 77]] = 0  # they have no neighbours
    before = own.__sizeof__()
    for queries in ([0], [3, 9, 5], np.arange(300)):
        wanted = without(monkeypatch, lambda queries=queries: own.similar_items(queries, N=9, **options))
        for threads in (1, 2, 7):
            own.num_threads = threads
            assert bits(own.similar_items(queries, N=9, **options)) == bits(wanted)
    assert min(vars(own)["_indexes"]._kept[1].unit_index._successes.values()) > 0
    planned = own.plan(far.datasets.synthetic(900, 2500, 30_000, random_state=0)).later
    assert own.__sizeof__() - before == planned["unit vectors, for similar items"]


def test_directions_of_items_are_kept_from_the_second_call_on(model, history):
    own, derived = copy.deepcopy(model), far.ItemKNN().fit(history)
    own.similar_items(0)
    assert vars(own)["_indexes"].nbytes == 0
    assert own.encoder_.flags.writeable
    own.similar_items(0)
    assert vars(own)["_indexes"].nbytes > 4 * own.encoder_.size
    assert not own.encoder_.flags.writeable
    for _ in range(3):
        derived.similar_items(0)  # its vectors are made for each call
    assert vars(derived)["_indexes"].nbytes == 0


def test_an_index_comes_when_it_pays_and_goes_with_its_fit(history):
    data = far.datasets.synthetic(300, 2500, 9_000, random_state=2)
    model = far.NCEAutoRec(factors=20).fit(data)
    for _ in range(REQUESTS - 1):
        model.recommend(history[0])
    first = index_of(model)
    assert first.nbytes == 0
    assert model.decoder_.flags.writeable
    model.recommend(history[0])
    assert first.nbytes > 0
    assert not model.decoder_.flags.writeable
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert vars(other)["_indexes"]._last is None
        assert bits(other.recommend(history[0])) == bits(model.recommend(history[0]))
    model.fit(data[:200], data[:200])  # with a metric of a model whose decoder changes
    model.recommend(history[0])
    assert index_of(model) is not first
    assert model.decoder_.flags.writeable


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("options", [{}, {"filter_items": [3, 4, 2400]}])
def test_a_ranker_has_the_lists_of_recommend(model, history, options, monkeypatch):
    own = copy.deepcopy(model)
    ranker = own.ranker(N=9, **options)
    for user in range(40):
        row = history[user]
        wanted = without(monkeypatch, lambda row=row: model.recommend(row, N=9, **options))
        assert bits(ranker.recommend(row.indices)) == [values[0] for values in bits(wanted)]
    assert index_of(own)._successes[True] > 0


@pytest.mark.usefixtures("soon")
def test_threads_may_ask_for_an_index_at_once(model, history, monkeypatch):
    own = copy.deepcopy(model)
    wanted = [bits(without(monkeypatch, lambda u=u: model.recommend(history[u]))) for u in range(16)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda u: bits(own.recommend(history[u])), range(16))) == wanted
    assert index_of(own).nbytes > 0


FORKED = """
import os
import numpy as np
import fastautorec as far
from fastautorec._compute import item_index

data = far.datasets.synthetic(300, 2500, 9_000, random_state=2)
item_index.ENABLED = False
item_index._core.code_kernel = lambda: "avx2"
model = far.NCEAutoRec(factors=20, num_threads=2).fit(data)
wanted = [model.recommend(rows)[0].tolist() for rows in (data[0], data)]
item_index.ENABLED, item_index.LOST_SHARE = True, 0
for _ in range(2):  # the second child has the codes of its parent
    child = os.fork()
    if child == 0:
        found = [model.recommend(rows)[0].tolist() for rows in (data[0], data)]
        used = vars(model)["_indexes"]._last.nbytes > 0
        os._exit(0 if used and found == wanted else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert model.recommend(data[0])[0].tolist() == wanted[0]
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_has_the_same_lists():
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKED]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("soon")
def test_a_model_with_an_index_can_change_and_move(history, tmp_path):
    """Its decoder is read-only then; nothing that changes a model writes to it."""
    data = far.datasets.synthetic(300, 2500, 9_000, random_state=2)
    model, plain = (far.NCEAutoRec(factors=20, updatable=True).fit(data) for _ in range(2))
    before = model.__sizeof__()
    for step in (lambda m: m.partial_fit(history[:50]), lambda m: m.forget(history[:50]), lambda m: m.to("cpu")):
        model.recommend(history[0])
        assert not model.decoder_.flags.writeable
        step(model)
        step(plain)
        assert_array_equal(model.decoder_, plain.decoder_)
    model.recommend(history[0])
    assert model.__sizeof__() - before == index_of(model).nbytes > 2500 * 20
    model.save(tmp_path / "model", format="folder")
    mapped = far.load(tmp_path / "model", mmap=True)
    for _ in range(2):
        assert bits(mapped.recommend(history[0])) == bits(model.recommend(history[0]))
    assert index_of(mapped).nbytes > 0


@pytest.mark.usefixtures("soon")
def test_similar_items_follow_a_model_that_changes(history):
    data = far.datasets.synthetic(300, 2500, 9_000, random_state=2)
    model, plain = (far.NCEAutoRec(factors=20, updatable=True).fit(data) for _ in range(2))
    steps = (lambda m: m.partial_fit(history[:50]), lambda m: m.forget(history[:50]), lambda m: m.fit(history))
    for step in steps:
        for _ in range(3):
            model.similar_items(0)
        assert not model.encoder_.flags.writeable
        step(model)
        step(plain)
        assert bits(model.similar_items([7, 8])) == bits(plain.similar_items([7, 8]))


@pytest.mark.usefixtures("soon")
def test_an_index_stands_aside_where_all_scores_take_less_time(model, history, monkeypatch):
    own = copy.deepcopy(model)
    monkeypatch.setattr(_core, "code_kernel", lambda: "portable")
    own.recommend(history[0])
    assert index_of(own).nbytes == 0
    monkeypatch.setattr(_core, "code_kernel", lambda: "vnni")
    longest = {False: 2500 // item_index.SHARE_MANY, True: 2500 // item_index.SHARE_FEW}
    for few, rows in ((False, history), (True, history[0])):
        own.recommend(rows, N=longest[few] + 1)
        assert index_of(own)._successes[few] + index_of(own)._failures[few] == 0
        own.recommend(rows, N=longest[few])
        assert index_of(own)._successes[few] + index_of(own)._failures[few] > 0


@pytest.mark.skipif(not CPUINFO.exists(), reason="this system does not say what its processor has")
def test_the_kernel_is_one_that_the_processor_has():
    flags = next((set(line.split()) for line in CPUINFO.read_text().splitlines() if line.startswith("flags")), set())
    has = [kernel for kernel, flag in (("vnni", "avx512_vnni"), ("avx2", "avx2")) if flag in flags]
    assert CODE_KERNEL() == (has or ["portable"])[0]


def test_an_index_waits_until_it_costs_little():
    """Blocks of many users also need the order of their sums, each size of a block and each width once."""
    few, many = (ItemIndex(np.ones((1000, 16), np.float32)) for _ in range(2))
    assert [few.pays(1, True) for _ in range(REQUESTS)] == [False] * (REQUESTS - 1) + [True]
    codes, order = (item_index.LOST_SHARE * cost for cost in (item_index.CODES_COST, 200 * item_index.ORDER_COST))
    assert [many.pays(users, False) for users in (codes - 1, 1)] == [False, True]
    many.pays(order - 1, False)
    assert not many.order_pays(200, [1000, 1000])
    many.pays(1, False)
    assert not many.order_pays(200, [1000, 500])
    assert many.order_pays(200, [1000, 1000])
    assert not many.order_pays(10, [1000, 1000])
    many.pays(10 * item_index.LOST_SHARE * item_index.ORDER_COST, False)
    assert many.order_pays(100, [100, 100])
    assert many.order_pays(200, [1000, 1000])


@pytest.mark.usefixtures("soon")
def test_evaluation_is_the_same_with_an_index(model, history, monkeypatch):
    train, test = far.split(history, ratios=(0.5, 0.5), by="random")
    wanted = without(monkeypatch, lambda: far.evaluate(model, train, test, k=(5, 10)))
    found = far.evaluate(model, train, test, k=(5, 10))
    assert index_of(model).nbytes > 0
    for name in wanted:
        assert_array_equal(found[name].per_user, wanted[name].per_user)
