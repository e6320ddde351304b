"""Sparse matrices as they come: what is noted on them, one row alone, and the bytes that are told."""

import copy
import pickle
import sys
from itertools import pairwise

import numpy as np
import pytest
from scipy import sparse

import fastautorec as far
from fastautorec._compute import csr as _sparse
from fastautorec._compute.inputs import check_counts, check_user_items, check_values
from fastautorec.data import _texts as texts

PLAIN = sparse.csr_matrix(np.random.default_rng(0).random((60, 25)) < 0.3).astype("f4")
FORMS = ("csr", "csc", "coo", "lil", "dok", "bsr", "dia")


def unsorted(matrix):
    """Return the same CSR matrix with descending ids in every row."""
    rows = [slice(*matrix.indptr[i : i + 2]) for i in range(matrix.shape[0])]
    indices = np.concatenate([matrix.indices[row][::-1] for row in rows])
    return type(matrix)((matrix.data.copy(), indices, matrix.indptr), shape=matrix.shape)


def repeated(matrix):
    coo = matrix.tocoo()
    entries = (np.tile(coo.data, 2), (np.tile(coo.row, 2), np.tile(coo.col, 2)))
    return sparse.coo_matrix(entries, shape=matrix.shape)


def all_forms():
    for kind in (sparse.csr_matrix, sparse.csr_array):
        for form in FORMS:
            yield f"{kind.__name__} {form}", kind(PLAIN).asformat(form)
    fresh = sparse.csr_matrix((PLAIN.data, PLAIN.indices, PLAIN.indptr), shape=PLAIN.shape)
    yield from {"fresh": fresh, "unsorted": unsorted(PLAIN), "unsorted csc": unsorted(PLAIN.T.tocsr()).T}.items()
    yield "repeated", repeated(PLAIN)


@pytest.mark.parametrize("name", [name for name, _ in all_forms()])
def test_the_callers_matrix_stays_as_it_is(name):
    matrix = dict(all_forms())[name]
    before, attributes = pickle.dumps(matrix), copy.deepcopy(vars(matrix))
    model = far.PureSVD(factors=4).fit(matrix, validation=matrix)
    model.recommend(matrix, N=3)
    model.predict(matrix)
    far.evaluate(model, matrix, matrix, k=3)
    far.Interactions(matrix)
    far.split(matrix, by="random")
    far.ops.count_items(matrix)
    assert pickle.dumps(matrix) == before
    assert vars(matrix).keys() == attributes.keys()
    assert np.array_equal(model.predict(PLAIN), far.PureSVD(factors=4).fit(PLAIN).predict(PLAIN))


def with_arrays(form, **arrays):
    """Return a matrix with other arrays, which SciPy does not look at."""
    matrix = PLAIN.copy().asformat(form)
    for name, change in arrays.items():
        setattr(matrix, name, change(getattr(matrix, name).copy()))
    return matrix


def shorter(array):
    return array[:-1]


def plus(place, more):
    def change(array):
        array[place] += more
        return array

    return change


def as_type(dtype):
    return lambda array: array.astype(dtype)


def fewer_in_a_row(lists):
    lists[0] = lists[0][1:]
    return lists


NNZ = PLAIN.nnz
DAMAGED = [
    ("csr", {"data": shorter}, f"has row pointers from 0 to {NNZ} for {NNZ} indices and {NNZ - 1} values"),
    ("csr", {"indices": shorter}, f"has row pointers from 0 to {NNZ} for {NNZ - 1} indices and {NNZ} values"),
    ("csr", {"indptr": plus(-1, 1)}, f"has row pointers from 0 to {NNZ + 1} for {NNZ} indices and {NNZ} values"),
    ("csr", {"indptr": plus(0, 1)}, f"has row pointers from 1 to {NNZ} for {NNZ} indices and {NNZ} values"),
    ("csr", {"indptr": plus(1, 10**6)}, "has row pointers that decrease"),
    ("csr", {"indptr": shorter}, "has 60 row pointers for 60 rows"),
    ("csr", {"indices": plus(3, 10**6)}, r"has column indices outside \[0, 25\)"),
    ("csc", {"data": shorter}, f"has column pointers from 0 to {NNZ} for {NNZ} indices and {NNZ - 1} values"),
    ("csc", {"indptr": plus(-1, 1)}, f"has column pointers from 0 to {NNZ + 1} for {NNZ} indices and {NNZ} values"),
    ("csc", {"indptr": plus(1, 10**6)}, "has column pointers that decrease"),
    ("csc", {"indptr": shorter}, "has 25 column pointers for 25 columns"),
    ("csc", {"indices": plus(3, 10**6)}, r"has row indices outside \[0, 60\)"),
    ("csc", {"indices": plus(3, -(10**6))}, r"has row indices outside \[0, 60\)"),
    ("bsr", {"data": shorter}, "has row pointers from 0 to [0-9]+ for [0-9]+ indices and [0-9]+ values"),
    ("bsr", {"indptr": shorter}, "has [0-9]+ row pointers for [0-9]+ rows"),
    ("coo", {"data": shorter}, "has arrays of different lengths"),
    ("dia", {"offsets": shorter}, "has arrays of different lengths"),
    ("lil", {"data": fewer_in_a_row}, "has arrays of different lengths"),
    ("lil", {"data": shorter, "rows": shorter}, "has lists for 59 rows of 60"),
    ("csr", {"indptr": as_type(float)}, "has indptr that are no row of integers .* dtype float64"),
    ("csc", {"indices": as_type(">i4")}, "has indices that are no row of integers in the byte order .* dtype >i4"),
    ("csr", {"indices": lambda ids: ids.tolist()}, "has indices that are no row of integers .* but list"),
]


@pytest.mark.parametrize(("form", "arrays", "message"), DAMAGED)
def test_arrays_that_do_not_fit_each_other(form, arrays, message):
    model = far.Popularity().fit(PLAIN)
    for name, use in (
        ("user_items", lambda matrix: far.EASE().fit(matrix)),
        ("user_items", lambda matrix: model.recommend(matrix, N=3)),
        ("train", lambda matrix: far.evaluate(model, matrix, PLAIN, k=3)),
        ("test", lambda matrix: far.evaluate(model, PLAIN, matrix, k=3)),
        ("data", lambda matrix: far.split(matrix, by="random")),
        ("user_items", far.Interactions),
        ("weights", lambda matrix: far.Interactions(PLAIN, weights=matrix)),
        ("x", lambda matrix: check_values("x", matrix)),
        ("x", lambda matrix: check_counts("x", matrix)),
    ):
        if name == "weights" and "column indices" in message:
            continue  # SciPy refuses them as it makes rows and columns of them
        with pytest.raises(ValueError, match=f"^`{name}` {message}; the matrix is damaged, make it anew$"):
            use(with_arrays(form, **arrays))


def test_arrays_with_room_to_spare_are_whole():
    matrix = with_arrays("csr", data=lambda values: np.append(values, 7), indices=lambda ids: np.append(ids, [1, 2]))
    assert check_user_items("x", matrix).nnz == PLAIN.nnz
    assert np.array_equal(far.EASE().fit(matrix).predict(matrix), far.EASE().fit(PLAIN).predict(PLAIN))
    assert far.Interactions(matrix).nnz == PLAIN.nnz


def test_hashes_stay():
    joblib = pytest.importorskip("joblib", reason="joblib is not installed")
    for _, matrix in all_forms():
        before = joblib.hash(matrix)
        far.EASE().fit(matrix).recommend(matrix, N=2)
        assert joblib.hash(matrix) == before
    data = far.Interactions(PLAIN, [f"user {k}" for k in range(60)])
    before = joblib.hash(data)
    far.EASE().fit(data).recommend(data, N=2)
    assert data.user_index("user 3") == 3
    assert joblib.hash(data) == before


@pytest.mark.parametrize("block", [1, 2, 3, 1 << 20])
def test_what_scipy_has_noted_is_not_believed(block, monkeypatch):
    monkeypatch.setattr(_sparse, "CACHED_ENTRIES", block)
    for ids in ([2, 2, 0, 1], [2, 0, 2, 1], [0, 2, 1, 1], [2, 1, 0, 0]):
        for pointers in ([0, 3, 4], [0, 3, 3, 4, 4], [0, 0, 4]):
            wrong = sparse.csr_matrix(
                (np.ones(4, "f4"), np.array(ids), np.array(pointers)), shape=(len(pointers) - 1, 3)
            )
            right = sparse.coo_matrix(wrong.toarray() > 0).tocsr()
            wrong.has_canonical_format = wrong.has_sorted_indices = True
            checked = check_user_items("x", wrong)
            assert checked.indptr.tolist() == right.indptr.tolist()
            assert checked.indices.tolist() == right.indices.tolist()
            assert np.array_equal(check_values("x", wrong).to_scipy().toarray(), wrong.toarray())
            pattern, counts = check_counts("x", wrong)
            assert counts.sum() == 4
            assert np.array_equal(pattern.indices, right.indices)


@pytest.mark.parametrize("block", [1, 2, 5, 1 << 20])
def test_ids_ascend(block, monkeypatch):
    monkeypatch.setattr(_sparse, "CACHED_ENTRIES", block)
    rng = np.random.default_rng(1)
    found = set()
    for _ in range(300):
        lengths = rng.integers(0, 4, 5)
        indptr = np.concatenate(([0], np.cumsum(lengths)))
        indices = np.concatenate([np.sort(rng.integers(0, 9, length)) for length in lengths]).astype(np.int32)
        rows = [indices[a:b] for a, b in pairwise(indptr)]
        expected = all((np.diff(row) > 0).all() for row in rows)
        assert _sparse.ids_ascend(indptr, indices) == expected
        found.add(expected)
    assert found == {True, False}


def rows_alone():
    row = PLAIN.toarray()[3]
    yield sparse.coo_array(row)
    if sparse.coo_array(row).ndim == 1:  # csr_array of one dimension came later
        yield from (sparse.csr_array(row), sparse.csr_array(PLAIN)[3])


@pytest.mark.skipif(sparse.coo_array(np.ones(3)).ndim == 2, reason="SciPy before 1.13 has no arrays of one dimension")
def test_one_row_of_a_sparse_array_is_one_history():
    model = far.NCEAutoRec(factors=4).fit(PLAIN)
    for row in rows_alone():
        assert row.shape == (25,)
        for call in (model.recommend, model.predict, model.embed):
            for ours, expected in zip(call(row), call(PLAIN[3]), strict=True):
                assert np.array_equal(ours, expected)
        with pytest.raises(ValueError, match=r"two dimensions .* got shape \(25,\); for one user, pass .*reshape"):
            model.fit(row)
        with pytest.raises(ValueError, match=r"two dimensions"):
            far.Interactions(row)
        with pytest.raises(ValueError, match="24 columns but the model was fitted on 25"):
            model.recommend(row.reshape(1, -1).tocsr()[:, :24].reshape(24), N=2)


def test_summed_repeats_are_named():
    with pytest.raises(ValueError, match=r"got 2\.0; binarise .*repeated pairs.*counts > 0"):
        far.EASE().fit(PLAIN + PLAIN)
    far.EASE().fit(repeated(PLAIN))  # before SciPy sums them they are what they are


def test_bytes_that_are_told(tmp_path):
    data = far.datasets.load_example()
    arrays = [data.user_items.data, data.user_items.indices, data.user_items.indptr]
    expected = sum(array.nbytes for array in arrays) + texts.memory(data.user_ids) + texts.memory(data.item_ids)
    assert expected <= sys.getsizeof(data) <= expected + 1000
    model = far.PureSVD(factors=8).fit(data)
    shared = {a.__array_interface__["data"][0]: a.nbytes for a in vars(model).values() if isinstance(a, np.ndarray)}
    expected = sum(shared.values())  # encoder and decoder are the same memory
    assert 8 * 5460 * 4 < expected <= sys.getsizeof(model) <= expected + texts.memory(data.item_ids) + 1000
    data.to_disk(tmp_path / "data")
    there = far.Interactions.open(tmp_path / "data")
    before = sys.getsizeof(there)
    rows_and_ids = 16 * data.shape[0] + texts.memory(data.item_ids)
    assert 4 * data.nnz < before < 4 * data.nnz + rows_and_ids + 10_000
    assert sys.getsizeof(there) - before == 0
    assert len(there.user_ids) == len(data.user_ids)
    assert sys.getsizeof(there) - before == texts.memory(there.user_ids)
    timed = far.Interactions(PLAIN, timestamps=np.arange(PLAIN.nnz))
    assert sys.getsizeof(timed) - sys.getsizeof(far.Interactions(PLAIN)) >= 8 * PLAIN.nnz


def test_plans_count_ids():
    data = far.datasets.load_example()
    plan, bare = (far.EASE().plan(given) for given in (data, data.user_items))
    assert plan.parts["ids of users and items"] == texts.memory(data.user_ids) + texts.memory(data.item_ids)
    assert plan.peak_bytes == bare.peak_bytes + plan.parts["ids of users and items"]
    assert "ids of users" in str(plan)


@pytest.mark.skipif(not texts.VARIABLE_WIDTH, reason="this NumPy has no texts of variable width")
def test_the_room_of_texts(tmp_path):
    """A long one among many short ones takes no more than it needs, in memory and in files."""
    labels = [f"item-{k:08d}" for k in range(20_000)] + ["x" * 2000]
    size = sum(map(len, labels))
    data = far.Interactions(sparse.eye(len(labels), format="csr"), labels, labels)
    assert texts.memory(data.user_ids) <= 2.5 * size
    data.to_disk(tmp_path / "data")
    for name in ("user_ids", "item_ids"):
        assert (tmp_path / "data" / f"{name}.npy").stat().st_size <= 1.2 * size
    far.Popularity().fit(data).save(tmp_path / "model.npz")
    assert (tmp_path / "model.npz").stat().st_size <= 2.5 * size + 8 * len(labels)
