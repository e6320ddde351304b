"""The public operations: the same functions in each module, what they return and what they accept."""

from __future__ import annotations

import inspect
import pickle

import numpy as np
import pytest
from scipy import sparse

import fastautorec as far
from fastautorec import ops, reference
from fastautorec.reference import pure

FORMATS = ("bsr", "coo", "csc", "csr", "dia", "dok", "lil")


WEIGHT = np.arange(12, dtype=np.float32).reshape(4, 3)
GRAD = np.arange(6, dtype=np.float32).reshape(3, 2)
GOOD = sparse.csr_matrix(np.array([[1, 0, 1], [0, 1, 0]], np.float32))
HIDDEN, DECODER = np.ones((2, 1), np.float32), np.array([[0.5], [0], [1.5]], np.float32)


# --- the modules offer the same functions ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ops.__all__)
def test_signatures_agree(name):
    public = inspect.signature(getattr(ops, name)).parameters
    shared = {key: (p.default, p.kind) for key, p in public.items() if key != "num_threads"}
    assert public["num_threads"].kind is inspect.Parameter.KEYWORD_ONLY
    for module in (reference, pure):
        function = getattr(module, name)
        there = inspect.signature(function).parameters
        assert {key: (p.default, p.kind) for key, p in there.items()} == shared
        assert name in module.__all__
        with pytest.raises(TypeError, match=rf"{name}\(\) got an unexpected keyword argument 'num_threads'"):
            function(num_threads=1)
        assert pickle.loads(pickle.dumps(function)) is function
        assert ">>> " in function.__doc__
        assert "num_threads" not in function.__doc__


def test_modules_agree(matrix):
    for module in (ops, reference, pure):
        assert module.count_items(matrix).tolist() == [1, 1, 2, 1]
        assert module.nce_transform(matrix, 0.5, "users").toarray()[0, 2] == pytest.approx(np.log(3) - 0.5 * np.log(2))
        assert module.encode(matrix, WEIGHT, [0, 0, -100], "relu").tolist() == [[15, 18, 0], [0, 0, 0], [9, 11, 0]]
        assert module.encode_backward(matrix, GRAD).tolist() == [[0, 1], [4, 5], [4, 6], [0, 1]]
        assert module.gram_product(matrix, WEIGHT[:, :1]).tolist() == [[15], [9], [24], [15]]
        assert module.mse_head(HIDDEN, DECODER, None, GOOD)[3].tolist() == [0, -2, 4]
        assert module.ns_head(HIDDEN, DECODER, None, GOOD, GOOD, "identity")[0] == 0
        assert module.optimizer_step([[1]], [[2]], rule="sgd", learning_rate=0.5)[0].tolist() == [[0]]
        assert module.top_items([[1, 3, 2, 4]], 2, sparse.csr_matrix([[0, 0, 0, 1]]))[0].tolist() == [[1, 2]]
        assert module.ranking_metrics([[1, 0], [1, 2], [3, 1]], matrix, k=2)["Recall@2"][2] == 0.5
    one, two, three = (
        module.sample_negatives(matrix, 9, 0.5, True, 3, rows=[2, 0]) for module in (ops, reference, pure)
    )
    assert (one != two).nnz == 0
    assert (one != three).nnz == 0
    one, two, three = (module.drop_entries(matrix, 0.5, seed=9, epoch=2) for module in (ops, reference, pure))
    assert (one != two).nnz == 0
    assert (one != three).nnz == 0


# --- what they return --------------------------------------------------------------------------------------------


def test_shapes_and_dtypes(operations, matrix):
    assert operations.count_items(matrix).dtype == np.int64
    for result in (operations.nce_transform(matrix), operations.drop_entries(matrix, 0.5)):
        assert result.format == "csr"
        assert result.shape == matrix.shape
        assert result.dtype == np.float32
        np.testing.assert_array_equal(result.indices, matrix.indices)
    assert operations.encode(matrix, WEIGHT).shape == (3, 3)
    assert operations.encode(matrix, WEIGHT.astype(np.float64), np.zeros(3)).dtype == np.float32
    assert operations.encode_backward(matrix, GRAD).shape == (4, 2)
    ids, best = operations.top_items(GRAD.astype(np.float64), 5)
    assert (ids.dtype, best.dtype, ids.shape, best.shape) == (np.int32, np.float32, (3, 5), (3, 5))
    metrics = operations.ranking_metrics(ids[:, :2], matrix, k=(1, 2), definition="paper")
    assert list(metrics)[:4] == ["R-Precision", "NDCG", "MAP@1", "MAP@2"]
    assert all(value.shape == (3,) and value.dtype == np.float64 for value in metrics.values())
    assert np.isnan(metrics["NDCG"]).tolist() == [False, True, False]


def test_results_share_nothing_with_the_input(operations, matrix):
    before = matrix.copy()
    for result in (operations.nce_transform(matrix), operations.drop_entries(matrix, 0.5)):
        result.data[:] = 7
        result.indices[:] = 0
        result.indptr[:] = 0
    assert (matrix != before).nnz == 0


def test_input_is_left_as_it_was(operations):
    shuffled = sparse.csr_matrix((np.ones(3), [2, 0, 2], [0, 3]), shape=(1, 3))
    operations.count_items(shuffled)
    operations.encode(shuffled, np.ones((3, 1)))
    assert shuffled.indices.tolist() == [2, 0, 2]
    assert shuffled.data.tolist() == [1, 1, 1]


# --- what they accept --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
def test_every_sparse_format(operations, matrix, form):
    other = matrix.asformat(form)
    assert operations.count_items(other).tolist() == [1, 1, 2, 1]
    assert operations.encode_backward(other, GRAD).tolist() == [[0, 1], [4, 5], [4, 6], [0, 1]]


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8, np.int64, np.float64])
def test_every_number_type(operations, matrix, dtype):
    other = matrix.astype(dtype)
    assert operations.count_items(other).tolist() == [1, 1, 2, 1]
    assert (
        operations.encode(other, WEIGHT.astype(dtype)).tolist()
        == operations.encode(matrix, WEIGHT.astype(dtype)).tolist()
    )


def test_interactions(operations, matrix):
    data = far.Interactions(matrix)
    assert operations.count_items(data).tolist() == operations.count_items(matrix).tolist()


def test_duplicates_are_one_interaction_but_add_up_as_values(operations):
    for count in (2, 256):  # 256 ones add up to 0 in eight bits
        twice = sparse.coo_matrix((np.ones(count, np.uint8), (np.zeros(count, int), np.ones(count, int))), shape=(1, 3))
        for form in (twice, sparse.csr_matrix((twice.data, twice.col, [0, count]), shape=(1, 3))):
            assert operations.count_items(form).tolist() == [0, 1, 0]
            assert operations.encode(form, np.ones((3, 1))).tolist() == [[count]]


def test_stored_zeros_are_no_interactions(operations):
    zeros = sparse.csr_matrix((np.array([0.0, 1.0]), [0, 2], [0, 2]), shape=(1, 3))
    assert operations.count_items(zeros).tolist() == [0, 0, 1]
    assert operations.nce_transform(zeros).nnz == 1


def test_unused_storage_is_not_read(operations):
    roomy = sparse.csr_matrix((np.array([1.0, 1.0]), [0, 2], [0, 2]), shape=(1, 3))
    roomy.data, roomy.indices = np.append(roomy.data, np.nan), np.append(roomy.indices, np.int32(99))
    assert operations.count_items(roomy).tolist() == [1, 0, 1]
    assert operations.encode(roomy, np.ones((3, 1))).tolist() == [[2]]


def test_arrays_in_any_layout(operations, matrix):
    for weight in (
        np.asfortranarray(WEIGHT),
        WEIGHT[::-1][::-1],
        np.repeat(WEIGHT, 2, axis=1)[:, ::2],
        WEIGHT.tolist(),
    ):
        assert operations.encode(matrix, weight).tolist() == operations.encode(matrix, WEIGHT).tolist()
    same_row = np.broadcast_to(WEIGHT[:1], (4, 3))  # rows that overlap in memory
    assert operations.encode(matrix, same_row).tolist() == operations.encode(matrix, same_row.copy()).tolist()


def test_threads_from_the_environment(matrix, monkeypatch):
    monkeypatch.setenv("FASTAUTOREC_NUM_THREADS", "3")
    assert ops.count_items(matrix).tolist() == [1, 1, 2, 1]
    monkeypatch.setenv("FASTAUTOREC_NUM_THREADS", "many")
    with pytest.raises(ValueError, match=r"FASTAUTOREC_NUM_THREADS must be an integer >= 1, got 'many'"):
        ops.count_items(matrix)
