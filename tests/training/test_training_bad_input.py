"""Bad input to trained models: one row for each entry point and fault, the same on all devices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from autoencoders import every_device, make, train_and_held_out
from scipy import sparse

import fastautorec as far

TRAIN, HELD_OUT = train_and_held_out()
NAN, INFINITY = float("nan"), float("inf")

SHARED = [
    ({"factors": 0}, ValueError, "`factors` must be >= 1, got 0"),
    ({"factors": 7, "init": "svd"}, ValueError, "`factors` must be even with activation='relu' and init='svd'"),
    ({"factors": 82, "init": "svd"}, ValueError, "60 users with interactions and 40 items has at most 40; use fewer"),
    ({"activation": "gelu"}, ValueError, "`activation` must be one of 'identity', 'relu', 'tanh', 'sigmoid'"),
    ({"normalize": "l1"}, ValueError, "`normalize` must be one of 'l2', None, got 'l1'"),
    ({"init": "zeros"}, ValueError, "`init` must be one of 'random', 'svd', got 'zeros'"),
    ({"dropout": 1}, ValueError, "`dropout` must be >= 0 and < 1, got 1"),
    ({"dropout": -0.1}, ValueError, "`dropout` must be >= 0 and < 1, got -0.1"),
    ({"dropout": 1 - 1e-12}, ValueError, "`dropout` must be < 1 in float32, got 0.999999999999"),
    ({"dropout": NAN}, ValueError, "`dropout` must be finite, got nan"),
    ({"fit_intercept": "yes"}, TypeError, "`fit_intercept` must be True or False, got str"),
    ({"intercept": "global"}, ValueError, "`intercept` must be one of 'history', 'constant', got 'global'"),
    ({"intercept_penalty": -1}, ValueError, "`intercept_penalty` must be >= 0, got -1"),
    ({"popularity_discount": NAN}, ValueError, "`popularity_discount` must be finite, got nan"),
    ({"regularization": [1, 2]}, ValueError, r"needs held-out interactions; pass fit\(user_items, validation"),
    ({"regularization": INFINITY}, ValueError, "`regularization` must be finite, got inf"),
    ({"optimizer": "lion"}, ValueError, "`optimizer` must be one of 'adam', 'adamw', 'sgd', got 'lion'"),
    ({"optimizer": ["adam"]}, ValueError, "`optimizer` must be one of 'adam', 'adamw', 'sgd'"),
    ({"learning_rate": 0}, ValueError, "`learning_rate` must be > 0, got 0"),
    ({"learning_rate": -1e-3}, ValueError, "`learning_rate` must be > 0, got -0.001"),
    ({"learning_rate": NAN}, ValueError, "`learning_rate` must be finite, got nan"),
    ({"learning_rate": "1e-3"}, TypeError, "`learning_rate` must be a number, got str"),
    ({"schedule": "step"}, ValueError, "`schedule` must be one of 'constant', 'linear', 'cosine', got 'step'"),
    ({"weight_decay": -1}, ValueError, "`weight_decay` must be >= 0, got -1"),
    ({"weight_decay": NAN}, ValueError, "`weight_decay` must be finite, got nan"),
    ({"weight_decay": INFINITY}, ValueError, "`weight_decay` must be finite, got inf"),
    ({"batch_size": 61}, ValueError, "`batch_size` must be at most the number of users with interactions, 60, got 61"),
    ({"batch_size": 0}, ValueError, "`batch_size` must be >= 1, got 0"),
    ({"batch_size": 10.0}, TypeError, "`batch_size` must be an integer, got float"),
    ({"epochs": 0}, ValueError, "`epochs` must be >= 1 with init='random', got 0; use init='svd'"),
    ({"epochs": -1}, ValueError, "`epochs` must be >= 0, got -1"),
    ({"epochs": [1, 2]}, ValueError, r"`epochs` must be one number or one for each phase \(prediction\), got 2"),
    ({"epochs": [-1]}, ValueError, "`epochs` must be >= 0, got -1"),
    ({"epochs": "3"}, TypeError, "`epochs` must be an integer or one for each phase, got str"),
    ({"epochs": 2.5}, TypeError, "`epochs` must be an integer or one for each phase, got float"),
    ({"patience": 0}, ValueError, "`patience` must be >= 1, got 0"),
    ({"patience": None}, TypeError, "`patience` must be an integer, got NoneType"),
    ({"metric": "AUC"}, ValueError, "`metric` must be 'NDCG', 'R-Precision' or one of NDCG, MAP, .* got 'AUC'"),
    ({"metric": "Recall"}, ValueError, "with a list length, such as 'Recall@20', got 'Recall'"),
    ({"metric": "Recall@0"}, ValueError, "got 'Recall@0'"),
    ({"metric": "R-Precision@5"}, ValueError, "got 'R-Precision@5'"),
    ({"metric": 20}, TypeError, "`metric` must be the name of a metric, got int"),
    ({"random_state": -1}, ValueError, "`random_state` must be >= 0, got -1"),
    ({"random_state": 0.5}, TypeError, "`random_state` must be an integer, got float"),
    ({"num_threads": 0}, ValueError, "`num_threads` must be >= 1, got 0"),
]  # fmt: skip
TWO_HEADED = [
    ({"mode": "jiont"}, ValueError,
     "`mode` must be one of 'joint', 'alternating', 'limited', 'full', got 'jiont'"),
    ({"mode": None}, ValueError, "`mode` must be one of"),
    ({"solver": "lbfgs"}, ValueError, "`solver` must be one of 'exact', 'gradient', got 'lbfgs'"),
    ({"embedding_weight": -1}, ValueError, "`embedding_weight` must be >= 0, got -1"),
    ({"embedding_weight": INFINITY}, ValueError, "`embedding_weight` must be finite, got inf"),
]  # fmt: skip
SAMPLING = [
    ({"negatives": 0}, ValueError, "`negatives` must be between 1 and 2147483647, got 0"),
    ({"negatives": -5}, ValueError, "`negatives` must be between 1 and 2147483647, got -5"),
    ({"negatives": 2**31}, ValueError, "`negatives` must be between 1 and 2147483647, got 2147483648"),
    ({"negatives": 100.0}, TypeError, "`negatives` must be an integer, got float"),
    ({"negatives": True}, TypeError, "`negatives` must be an integer, got bool"),
    ({"power": -1}, ValueError, "`power` must be >= 0, got -1"),
    ({"power": NAN}, ValueError, "`power` must be finite, got nan"),
    ({"exclude_positives": 1}, TypeError, "`exclude_positives` must be True or False, got int"),
    ({"out": "relu"}, ValueError, "`out` must be one of 'sigmoid', 'logsigmoid', 'tanh', 'identity', got 'relu'"),
    ({"out": "identity"}, ValueError, "`out`='identity' needs `weight_decay` > 0: Eq. 7 grows without bound"),
    ({"out": "identity", "init": "svd"}, ValueError, "`out`='identity' needs `weight_decay` > 0"),
]  # fmt: skip
NCE = [
    ({"beta": NAN}, ValueError, "`beta` must be finite, got nan"),
    ({"beta": INFINITY}, ValueError, "`beta` must be finite, got inf"),
    ({"numerator": "items"}, ValueError, "`numerator` must be one of 'users', 'interactions', got 'items'"),
    ({"target": "svd"}, ValueError, "`target` must be one of 'nce', 'power', got 'svd'"),
    ({"user_weight": -1}, ValueError, "`user_weight` must be >= 0, got -1"),
    ({"spectrum_power": NAN}, ValueError, "`spectrum_power` must be finite, got nan"),
]  # fmt: skip
BAD_PARAMS = [
    (case, *row)
    for case, rows in (
        ("AutoRec", SHARED),
        ("OHNSAutoRec", SAMPLING),
        ("NSAutoRec joint", TWO_HEADED + SAMPLING),
        ("NCEAutoRec joint", TWO_HEADED + NCE),
    )
    for row in rows
]


@pytest.mark.parametrize(("case", "params", "error", "message"), BAD_PARAMS)
@pytest.mark.parametrize("device", ["cpu"])
def test_bad_parameters(case: str, params: dict[str, Any], error: type, message: str, device: str) -> None:
    if case == "NCEAutoRec joint" and "factors" in params:
        params = {"activation": "relu", **params}
    model = make(case, **{"device": device, **params})
    with pytest.raises(error, match=message):
        model.fit(TRAIN)
    assert not any(name.endswith("_") for name in vars(model))


ONLY_EMPTY = sparse.csr_matrix(([1.0], ([0], [1])), shape=(60, 40))
BAD_FIT = [
    (lambda model: model.fit(TRAIN.toarray()), TypeError, "`user_items` must be a scipy sparse matrix or Interactions"),
    (lambda model: model.fit(TRAIN * 3.0), ValueError, "`user_items` must hold only 0 and 1 .* got 3"),
    (lambda model: model.fit(sparse.csr_matrix((60, 40))), ValueError, "`user_items` must hold at least one interac"),
    (lambda model: model.fit(ONLY_EMPTY), ValueError, "users with interactions, 1, got 16; leave it None"),
    (lambda model: model.fit(TRAIN, HELD_OUT[:50]), ValueError,
     r"`validation` must have the shape of `user_items`, \(60, 40\), got \(50, 40\)"),
    (lambda model: model.fit(TRAIN, HELD_OUT[:, :30]), ValueError, "`validation` must have the shape of `user_items`"),
    (lambda model: model.fit(TRAIN, HELD_OUT * 2.0), ValueError, "`validation` must hold only 0 and 1"),
    (lambda model: model.fit(TRAIN, sparse.csr_matrix((60, 40))), ValueError,
     "`validation` must hold an interaction of a user who has some in `user_items`, got none; split each user's"),
    (lambda model: model.fit(TRAIN, callbacks=print), TypeError, "not iterable"),
    (lambda model: model.fit(TRAIN, callbacks=["stop"]), TypeError, "not callable"),
    (lambda model: model.fit(TRAIN, show_progress="yes"), TypeError, "`show_progress` must be True or False, got str"),
    (lambda model: model.fit(TRAIN, keep_on_interrupt=1), TypeError, "`keep_on_interrupt` must be True or False"),
    (lambda model: model.fit(TRAIN, checkpoint=3), TypeError, "int"),
    (lambda model: model.fit(TRAIN, checkpoint="no such folder/c.npz"), FileNotFoundError, "in a folder that does not"),
    (lambda model: model.fit(TRAIN, resume="no such file.npz"), FileNotFoundError, "no checkpoint file at"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), BAD_FIT)
@pytest.mark.parametrize("device", ["cpu"])
def test_bad_fit(call: Any, error: type, message: str, device: str) -> None:
    model = make("AutoRec", device=device)
    with pytest.raises(error, match=message):
        call(model)
    assert not any(name.endswith("_") for name in vars(model))


@every_device
def test_every_device_refuses_the_same(device: str) -> None:
    for parameters in BAD_PARAMS:
        test_bad_parameters(*parameters, device)
    for call in BAD_FIT:
        test_bad_fit(*call, device)


ODD = {
    "one user": lambda x: x[np.flatnonzero(np.diff(x.indptr) > 1)[:1]],
    "one item": lambda x: sparse.csr_matrix(np.ones((60, 1))),
    "an item without users": lambda x: sparse.hstack([x, sparse.csr_matrix((60, 3))]).tocsr(),
    "a user with every item": lambda x: sparse.vstack([x, np.ones((1, 40))]).tocsr(),
    "everybody has everything": lambda x: sparse.csr_matrix(np.ones((60, 40))),
}


@pytest.mark.parametrize("case", ["AutoRec", "NSAutoRec joint", "NCEAutoRec full"])
@pytest.mark.parametrize("name", ODD)
@every_device
def test_odd_data_are_no_errors(case: str, name: str, device: str) -> None:
    matrix = ODD[name](TRAIN)
    model = make(case, batch_size=None, device=device).fit(matrix)
    assert np.isfinite(model.predict(matrix)).all()
    assert all(np.isfinite(record["loss"]) for record in model.history_ if "loss" in record)


def test_a_linear_output_with_a_penalty_is_allowed() -> None:
    model = make("OHNSAutoRec", out="identity", weight_decay=1.0, optimizer="sgd", learning_rate=0.001).fit(TRAIN)
    assert np.isfinite(model.predict(TRAIN)).all()
    far.OHNSAutoRec(8, out="identity", init="svd", epochs=0).fit(TRAIN)


@pytest.mark.parametrize("mode", ["limited", "full"])
def test_a_head_that_would_stay_random_is_refused(mode: str) -> None:
    params = {"epochs": (2, 0), "device": "reference"}
    with pytest.raises(ValueError, match=r"`epochs` must be >= 1 in the prediction phase with init='random', got \(2,"):
        make(f"NSAutoRec {mode}", solver="gradient", **params).fit(TRAIN)
    assert make(f"NSAutoRec {mode}", solver="exact", **params).fit(TRAIN).regularization_ == 0.1
    assert make(f"NSAutoRec {mode}", solver="gradient", init="svd", **params).fit(TRAIN).best_epochs_ == (2, 0)
    assert make(f"NSAutoRec {mode}", solver="gradient", **params | {"epochs": (0, 2)}).fit(TRAIN).history_
