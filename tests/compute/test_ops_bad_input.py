"""The public operations: what they refuse, the same on all backends."""

from __future__ import annotations

import contextlib
import re

import numpy as np
import pytest
from devices import operations_on
from scipy import sparse

from fastautorec import ops
from fastautorec._compute import get_backend

GOOD = sparse.csr_matrix(np.array([[1, 0, 1], [0, 1, 0]], np.float32))
HIDDEN, DECODER = np.ones((2, 1), np.float32), np.array([[0.5], [0], [1.5]], np.float32)


# --- what they refuse --------------------------------------------------------------------------------------------

DEVICE_ARRAY = type("ndarray", (), {"__module__": "cupy"})()
DEVICE_MATRIX = type("csr_matrix", (), {"__module__": "cupyx.scipy.sparse._csr"})()


def stored(value):
    return sparse.csr_matrix((np.array([1, value], np.float64), [0, 2], [0, 1, 2]), shape=(2, 3))


def damaged(**arrays):
    matrix = GOOD.copy()
    for name, values in arrays.items():
        setattr(matrix, name, np.array(values, np.int32))
    return matrix


# arguments, exception, message
EMPTY = sparse.csr_matrix((2, 3), dtype=np.float32)

BAD_INPUT = {
    "sample_negatives": [
        ((GOOD, 0), ValueError, "`n_samples` must be between 1 and 2147483647, got 0"),
        ((GOOD, 2**31), ValueError, "`n_samples` must be between 1 and 2147483647, got 2147483648"),
        ((GOOD, 5.0), TypeError, "`n_samples` must be an integer, got float"),
        ((GOOD, True), TypeError, "`n_samples` must be an integer, got bool"),
        ((GOOD, 5, np.nan), ValueError, "`power` must be finite, got nan"),
        ((GOOD, 5, -0.5), ValueError, "`power` must be >= 0, got -0.5"),
        ((GOOD, 5, "1"), TypeError, "`power` must be a number, got str"),
        ((GOOD, 5, 1.0, 1), TypeError, "`exclude_positives` must be True or False, got int"),
        ((GOOD, 5, {"seed": -1}), ValueError, "`seed` must be between 0 and 18446744073709551615, got -1"),
        ((GOOD, 5, {"epoch": 2**32}), ValueError, "`epoch` must be between 0 and 4294967295, got 4294967296"),
        ((GOOD, 5, {"rows": [0, 2]}), ValueError, r"`rows` must hold row numbers in \[0, 2\), got 2"),
        ((GOOD, 5, {"rows": [-1]}), ValueError, r"`rows` must hold row numbers in \[0, 2\), got -1"),
        ((GOOD, 5, {"rows": [0.0]}), TypeError, "`rows` must hold integer row numbers, got dtype float64"),
        ((GOOD, 5, {"rows": [True, False]}), TypeError, "`rows` must hold integer row numbers, got dtype bool"),
        ((GOOD, 5, {"rows": 1}), ValueError, r"`rows` must be a 1-D list of row numbers, got shape \(\)"),
        ((EMPTY, 5), ValueError, "`user_items` must hold at least one interaction"),
        ((stored(2), 5), ValueError, "`user_items` must hold only 0 and 1"),
        (
            (GOOD, 5, {"weights": [1, 2]}),
            ValueError,
            r"`weights` must have one value for each of the 3 items, got shape \(2,\)",
        ),
        ((GOOD, 5, {"weights": [1, -2, 3]}), ValueError, "`weights` must hold finite numbers >= 0, got -2"),
        ((GOOD, 5, {"weights": [1, np.nan, 3]}), ValueError, "`weights` must hold finite numbers >= 0, got nan"),
        ((GOOD, 5, {"weights": [1, np.inf, 3]}), ValueError, "`weights` must hold finite numbers >= 0, got inf"),
        ((GOOD, 5, {"weights": [0, 0, 0]}), ValueError, "`weights` must have a finite sum > 0, got 0"),
        ((GOOD, 5, {"weights": [1e308, 1e308, 0]}), ValueError, "`weights` must have a finite sum > 0, got inf"),
        ((GOOD, 5, {"weights": ["1", "2", "3"]}), TypeError, "`weights` must hold real numbers, got dtype <U1"),
        ((GOOD, 5, {"weights": DEVICE_ARRAY}), TypeError, "`weights` must be in host memory"),
        (
            (GOOD, 5, 0.75, {"weights": [1, 2, 3]}),
            ValueError,
            "`power` must stay 1 where `weights` are given, got 0.75",
        ),
    ],
    "count_items": [
        (
            (GOOD.toarray(),),
            TypeError,
            "`user_items` must be a scipy sparse matrix or Interactions .* got numpy.ndarray",
        ),
        (([[1, 0]],), TypeError, "`user_items` must be a scipy sparse matrix .* got list; .*csr_matrix"),
        ((None,), TypeError, "`user_items` must be a scipy sparse matrix .* got NoneType"),
        (
            (DEVICE_MATRIX,),
            TypeError,
            r"`user_items` must be in host memory, got cupyx.*; copy it with `user_items.get\(\)`",
        ),
        ((GOOD.astype(complex),), TypeError, "`user_items` must hold numbers or booleans, got dtype complex128"),
        ((stored(4.0),), ValueError, r"`user_items` must hold only 0 and 1 .* got 4.0; binarise ratings first"),
        ((stored(-1.0),), ValueError, r"`user_items` must hold only 0 and 1 .* got -1.0"),
        ((stored(np.nan),), ValueError, r"`user_items` must hold only 0 and 1 .* got nan"),
        ((stored(4.0).tolil(),), ValueError, r"`user_items` must hold only 0 and 1 .* got 4.0"),
        ((damaged(indices=[0, 5, 1]),), ValueError, r"`user_items` has column indices outside \[0, 3\)"),
        ((damaged(indices=[0, -1, 1]),), ValueError, r"`user_items` has column indices outside \[0, 3\)"),
        ((damaged(indptr=[0, 4, 3]),), ValueError, "`user_items` has row pointers that decrease"),
    ],
    "nce_transform": [
        ((stored(4.0),), ValueError, "`user_items` must hold only 0 and 1"),
        ((GOOD, -0.5), ValueError, "`beta` must be >= 0, got -0.5"),
        ((GOOD, np.nan), ValueError, "`beta` must be finite, got nan"),
        ((GOOD, "1"), TypeError, "`beta` must be a number, got str"),
        ((GOOD, 1, "items"), ValueError, "`numerator` must be one of 'users', 'interactions', got 'items'"),
    ],
    "encode": [
        ((GOOD.toarray(), np.ones((3, 1))), TypeError, "`user_items` must be a scipy sparse matrix"),
        ((stored(np.inf), np.ones((3, 1))), ValueError, r"`user_items` must hold only finite numbers .* got inf"),
        ((stored(1e39), np.ones((3, 1))), ValueError, r"`user_items` must hold only finite numbers .* got 1e\+39"),
        (
            (GOOD, np.ones((2, 1))),
            ValueError,
            r"`weight` must have one row for each of the 3 items, got shape \(2, 1\)",
        ),
        ((GOOD, np.ones(3)), ValueError, r"`weight` must have one row for each of the 3 items, got shape \(3,\)"),
        ((GOOD, GOOD.T), TypeError, r"`weight` must be a dense array, got .*; convert it with .toarray\(\)"),
        ((GOOD, DEVICE_ARRAY), TypeError, r"`weight` must be in host memory, got cupy.ndarray"),
        ((GOOD, [["a"]] * 3), TypeError, "`weight` must hold real numbers, got dtype <U1"),
        ((GOOD, np.ones((3, 1), complex)), TypeError, "`weight` must hold real numbers, got dtype complex128"),
        ((GOOD, [[1], [np.nan], [2]]), ValueError, r"`weight` must hold only finite numbers \(in float32\), got nan"),
        (
            (GOOD, [[1], [1e300], [2]]),
            ValueError,
            r"`weight` must hold only finite numbers \(in float32\), got 1e\+300",
        ),
        (
            (GOOD, np.ones((3, 2)), [1]),
            ValueError,
            r"`bias` must have one value for each of the 2 units, got shape \(1,\)",
        ),
        ((GOOD, np.ones((3, 1)), [np.inf]), ValueError, "`bias` must hold only finite numbers"),
        (
            (GOOD, np.ones((3, 1)), None, "gelu"),
            ValueError,
            "`activation` must be one of 'identity', 'relu', .* got 'gelu'",
        ),
    ],
    "encode_backward": [
        ((GOOD, np.ones((3, 1))), ValueError, r"`grad` must have one row for each of the 2 users, got shape \(3, 1\)"),
        ((GOOD, [[np.nan], [1]]), ValueError, "`grad` must hold only finite numbers"),
        ((GOOD, GOOD), TypeError, "`grad` must be a dense array"),
    ],
    "gram_product": [
        ((GOOD, np.ones((2, 1))), ValueError, r"`block` must have one row for each of the 3 items, got shape \(2, 1\)"),
        ((stored(np.nan), np.ones((3, 1))), ValueError, "`user_items` must hold only finite numbers"),
    ],
    "drop_entries": [
        ((GOOD, 1.0), ValueError, "`rate` must be >= 0 and < 1, got 1"),
        ((GOOD, 1 - 1e-12), ValueError, "`rate` must be < 1 in float32, got 0.999999999999"),
        ((GOOD, -0.1), ValueError, "`rate` must be >= 0 and < 1, got -0.1"),
        ((GOOD, True), TypeError, "`rate` must be a number, got bool"),
        ((GOOD, 0.5, {"seed": -1}), ValueError, "`seed` must be between 0 and 18446744073709551615, got -1"),
        ((GOOD, 0.5, {"seed": 1.5}), TypeError, "`seed` must be an integer, got float"),
        ((GOOD, 0.5, {"epoch": 2**32}), ValueError, "`epoch` must be between 0 and 4294967295, got 4294967296"),
    ],
    "mse_head": [
        (
            (HIDDEN[:1], DECODER, None, GOOD),
            ValueError,
            r"`hidden` must have one row for each of the 2 users, got shape",
        ),
        (
            (HIDDEN, DECODER[:2], None, GOOD),
            ValueError,
            r"`decoder` must have one row for each of the 3 items and one column for each of the 1 hidden units, got",
        ),
        ((HIDDEN, np.ones((3, 2)), None, GOOD), ValueError, r"`decoder` must have .* units, got shape \(3, 2\)"),
        ((HIDDEN, DECODER, [1, 2], GOOD), ValueError, r"`bias` must have one value for each of the 3 items, got"),
        ((HIDDEN, DECODER, [1, 2, np.nan], GOOD), ValueError, "`bias` must hold only finite numbers"),
        (([[1], [np.inf]], DECODER, None, GOOD), ValueError, "`hidden` must hold only finite numbers"),
        ((HIDDEN, DECODER, None, stored(np.nan)), ValueError, "`target` must hold only finite numbers"),
        ((HIDDEN, DECODER, None, GOOD.toarray()), TypeError, "`target` must be a scipy sparse matrix"),
    ],
    "ns_head": [
        ((HIDDEN, DECODER, None, GOOD, GOOD, "relu"), ValueError, "`out` must be one of 'sigmoid', .* got 'relu'"),
        ((HIDDEN, DECODER, None, stored(2), GOOD), ValueError, "`positives` must hold only 0 and 1"),
        (
            (HIDDEN, DECODER, None, GOOD, stored(1.5)),
            ValueError,
            "`negatives` must hold counts, integers between 0 and 16777216, got 1.5",
        ),
        ((HIDDEN, DECODER, None, GOOD, stored(-1)), ValueError, "`negatives` must hold counts, .* got -1"),
        ((HIDDEN, DECODER, None, GOOD, stored(np.nan)), ValueError, "`negatives` must hold counts, .* got nan"),
        ((HIDDEN, DECODER, None, GOOD, stored(2**25)), ValueError, "`negatives` must hold counts, .* got 33554432"),
        (
            (HIDDEN, DECODER, None, GOOD, GOOD.T),
            ValueError,
            r"`negatives` must have the shape of `positives`, \(2, 3\), got \(3, 2\)",
        ),
        ((HIDDEN, DECODER[:2], None, GOOD, GOOD), ValueError, "`decoder` must have one row for each of the 3 items"),
    ],
    "optimizer_step": [
        (([1.0], [1.0]), ValueError, r"`weights` must have two dimensions, got shape \(1,\)"),
        (([[1.0]], [[1.0, 2.0]]), ValueError, r"`grad` must have the shape of `weights`, \(1, 1\), got shape \(1, 2\)"),
        (([[1.0]], [[np.nan]]), ValueError, "`grad` must hold only finite numbers"),
        (([[1.0]], [[1.0]], [[1.0, 1.0]]), ValueError, "`first` must have the shape of `weights`"),
        (([[1.0]], [[1.0]], None, [[-1.0]]), ValueError, "`second` must hold averages of squares, >= 0, got -1.0"),
        (([[1.0]], [[1.0]], {"rule": "rmsprop"}), ValueError, "`rule` must be one of 'sgd', 'adam', 'adamw', got"),
        (([[1.0]], [[1.0]], {"learning_rate": 0}), ValueError, "`learning_rate` must be > 0, got 0"),
        (([[1.0]], [[1.0]], {"weight_decay": -1}), ValueError, "`weight_decay` must be >= 0, got -1"),
        (([[1.0]], [[1.0]], {"step": -1}), ValueError, "`step` must be between 0 and .* got -1"),
        (([[1.0]], [[1.0]], {"beta1": 1.0}), ValueError, "`beta1` must be >= 0 and < 1, got 1"),
        (([[1.0]], [[1.0]], {"beta2": 1.0}), ValueError, "`beta2` must be >= 0 and < 1, got 1"),
        (([[1.0]], [[1.0]], {"epsilon": 0.0}), ValueError, "`epsilon` must be > 0, got 0"),
    ],
    "top_items": [
        (([1, 2], 1), ValueError, r"`scores` must have two dimensions \(users, items\), got shape \(2,\)"),
        ((GOOD, 1), TypeError, "`scores` must be a dense array"),
        ((DEVICE_ARRAY, 1), TypeError, "`scores` must be in host memory"),
        ((GOOD.toarray(), 0), ValueError, "`N` must be between 1 and 2147483647, got 0"),
        ((GOOD.toarray(), 2.0), TypeError, "`N` must be an integer, got float"),
        ((GOOD.toarray(), 1, GOOD.T), ValueError, r"`exclude` must have the shape of `scores`, \(2, 3\), got \(3, 2\)"),
        ((GOOD.toarray(), 1, stored(2)), ValueError, "`exclude` must hold only 0 and 1"),
        ((GOOD.toarray(), 1, [[0]]), TypeError, "`exclude` must be a scipy sparse matrix"),
    ],
    "ranking_metrics": [
        (
            ([[0, 1]], GOOD),
            ValueError,
            r"`item_ids` must have one row of ranked ids for each of the 2 users, got shape \(1, 2\)",
        ),
        (([[0.0], [1.0]], GOOD), TypeError, "`item_ids` must hold integer item ids, got dtype float64"),
        (([[0], [3]], GOOD), ValueError, r"`item_ids` must hold item ids in \[0, 3\) or -1 for a free place, got 3"),
        (([[0], [2**32]], GOOD), ValueError, "`item_ids` must hold item ids .* got 4294967296"),
        (([[0], [-2]], GOOD), ValueError, "`item_ids` must hold item ids .* got -2"),
        (([[0], [1]], stored(3)), ValueError, "`test` must hold only 0 and 1"),
        (([[0], [1]], GOOD, 0), ValueError, "`k` must be between 1 and 2147483647, got 0"),
        (([[0], [1]], GOOD, ()), ValueError, "`k` must name at least one list length"),
        (([[0], [1]], GOOD, 1, "ours"), ValueError, "`definition` must be one of 'standard', 'paper', got 'ours'"),
    ],
}


FAULTS = [
    pytest.param(name, *fault, id=f"{name}: {re.sub('[^a-z_A-Z ]', '', fault[2])[:60]}")
    for name, faults in BAD_INPUT.items()
    for fault in faults
]


def refuse(operations, name, arguments, error, message):
    """Check that an operation raises just that."""
    keywords = arguments[-1] if isinstance(arguments[-1], dict) else {}
    positional = arguments[:-1] if keywords else arguments
    with pytest.raises(error, match=message) as caught:
        getattr(operations, name)(*positional, **keywords)
    assert type(caught.value) is error


@pytest.mark.parametrize(("name", "arguments", "error", "message"), FAULTS)
def test_bad_input(name, arguments, error, message):
    refuse(operations_on(get_backend("cpu", 2)), name, arguments, error, message)


def test_every_backend_refuses_the_same(operations):
    for fault in FAULTS:
        with contextlib.suppress(pytest.skip.Exception):  # an argument that no device can hold
            refuse(operations, *fault.values)


@pytest.mark.parametrize("num_threads", [0, -1])
def test_bad_number_of_threads(matrix, num_threads):
    with pytest.raises(ValueError, match=f"`num_threads` must be >= 1, got {num_threads}"):
        ops.count_items(matrix, num_threads=num_threads)
