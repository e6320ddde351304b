"""evaluate, evaluate_ranking and compare: what they refuse, and how they say so."""

from __future__ import annotations

import numpy as np
import pytest
from item_model import ItemModel
from scipy import sparse

from fastautorec.evaluation import Report, compare, evaluate, evaluate_ranking

TRAIN, TEST = sparse.eye(3, 4, format="csr"), sparse.eye(3, 4, k=1, format="csr")
LISTS = np.array([[1, 2], [2, 3], [3, 1]])
EMPTY = sparse.csr_matrix((3, 4))


def ranked(lists=LISTS, train=TRAIN, test=TEST, k=2, **options):
    return lambda device: evaluate_ranking(lists, train, test, k=k, device=device, **options)


def scored(train=TRAIN, test=TEST, k=2, **options):
    return lambda device: evaluate(ItemModel(np.eye(4), device), train, test, k=k, **options)


BAD_INPUT = {
    "float ids": (ranked(LISTS.astype(float)), TypeError, "`item_ids` must hold integer item ids, got dtype float64"),
    "bool ids": (ranked(LISTS > 0), TypeError, "`item_ids` must hold integer item ids, got dtype bool"),
    "one list": (ranked(LISTS[0]), ValueError, r"`item_ids` must have one row for each of the 3 users .*\(2,\)"),
    "users missing": (
        ranked(LISTS[:2]),
        ValueError,
        r"`item_ids` must have one row for each of the 3 users .*\(2, 2\)",
    ),
    "id too large": (
        ranked(LISTS + np.eye(3, 2, dtype=int)),
        ValueError,
        r"in \[0, 4\), or -1 .* got 4 in row 1",
    ),
    "id too small": (ranked(LISTS - 3), ValueError, r"in \[0, 4\), or -1 for an empty place, got -2 in row 0"),
    "id beyond 32 bits": (ranked(LISTS + 2**32), ValueError, "got 4294967297 in row 0"),
    "lists too short": (ranked(k=(1, 3)), ValueError, "`k` asks for lists of 3, but `item_ids` has 2 columns"),
    "k above n": (ranked(k=5), ValueError, "`k` must not exceed the number of items, 4, got 5"),
    "k above n, model": (scored(k=(2, 5)), ValueError, "`k` must not exceed the number of items, 4, got 5"),
    "k zero": (scored(k=0), ValueError, "`k` must be between 1 and .*, got 0"),
    "k fraction": (scored(k=(1, 2.5)), TypeError, "`k` must be an integer, got float"),
    "k none": (scored(k=()), ValueError, "`k` must name at least one list length"),
    "definition": (
        ranked(definition="papr"),
        ValueError,
        "`definition` must be one of 'standard', 'paper', got 'papr'",
    ),
    "definition, model": (scored(definition=None), ValueError, "`definition` must be one of .* got None"),
    "dense train": (ranked(train=TRAIN.toarray()), TypeError, "`train` must be a scipy sparse matrix or Interactions"),
    "dense train, model": (scored(train=TRAIN.toarray()), TypeError, "`train` must be a scipy sparse matrix"),
    "dense test": (scored(test=TEST.toarray()), TypeError, "`test` must be a scipy sparse matrix or Interactions"),
    "ratings": (scored(test=TEST * 5), ValueError, "`test` must hold only 0 and 1 .* got 5.0; binarise"),
    "NaN": (ranked(train=TRAIN * np.nan), ValueError, "`train` must hold only 0 and 1 .* got nan"),
    "transposed train": (scored(train=TRAIN.T), ValueError, "`train` has 3 columns .* fitted on 4 items"),
    "transposed test": (
        scored(test=TEST.T),
        ValueError,
        r"`test` must have the shape of `train`, \(3, 4\), got \(4, 3\)",
    ),
    "other users": (
        ranked(test=TEST[:2]),
        ValueError,
        r"`test` must have the shape of `train`, \(3, 4\), got \(2, 4\)",
    ),
    "empty test": (
        scored(test=EMPTY),
        ValueError,
        "`train` and `test` must have a user with items in both, got 3 training and 0",
    ),
    "empty train": (
        ranked(train=EMPTY),
        ValueError,
        "`train` and `test` must have a user with items in both, got 0 training",
    ),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input(case):
    call, kind, message = BAD_INPUT[case]
    with pytest.raises(kind, match=message):
        call("cpu")


def test_the_reference_refuses_the_same():
    for call, kind, message in BAD_INPUT.values():
        with pytest.raises(kind, match=message):
            call("reference")


@pytest.mark.parametrize(
    ("model", "given"), [(ItemModel, "the class ItemModel"), (np.eye(4), "ndarray"), (None, "NoneType")]
)
def test_something_that_is_no_model(model, given):
    with pytest.raises(TypeError, match=rf"`model` must be a fitted recommender .* got {given}; for lists of another"):
        evaluate(model, TRAIN, TEST, k=2)


def test_reports_that_cannot_be_compared():
    base = evaluate_ranking(LISTS, TRAIN, TEST, k=2)
    fewer = TEST.copy().tolil()
    fewer[0, 1] = 0
    more = TEST.copy().tolil()
    more[0, 3] = 1
    cases = [
        (
            evaluate_ranking(LISTS, TRAIN, TEST, k=2, definition="paper"),
            "the same definition, got 'standard' and 'paper'",
        ),
        (evaluate_ranking(LISTS, TRAIN, TEST, k=(1, 2)), r"the same k, got \(2,\) and \(1, 2\)"),
        (evaluate_ranking(LISTS, TRAIN, fewer, k=2), "must cover the same users, got 3 and 2"),
        (evaluate_ranking(LISTS, TRAIN, more, k=2), "must have the same test data"),
    ]
    for other, message in cases:
        with pytest.raises(ValueError, match=message):
            compare(base, other)
    with pytest.raises(TypeError, match="`report_b` must be a report of evaluate or evaluate_ranking, got dict"):
        compare(base, base.to_dict())
    single = evaluate_ranking(LISTS[:1], TRAIN[:1], TEST[:1], k=2)
    assert isinstance(single, Report)
    with pytest.raises(ValueError, match="must cover at least 2 users, got 1"):
        compare(single, single)


def test_masked_places_of_lists():
    train, test = sparse.csr_matrix([[1, 0, 0], [1, 0, 0]]), sparse.csr_matrix([[0, 1, 0], [0, 0, 1]])
    lists = np.ma.masked_array([[1, 2], [2, 1]], [[False, False], [True, False]])
    with pytest.raises(ValueError, match=r"masked values, got some in row 1; item_ids\.filled\(-1\)"):
        evaluate_ranking(lists, train, test, k=2)
    assert evaluate_ranking(lists.filled(-1), train, test, k=2)["Recall@2"].per_user.tolist() == [1, 0]
