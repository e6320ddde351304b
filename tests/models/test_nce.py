from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from contract import ModelContract, train  # noqa: F401
from runs import run_on
from scipy import sparse

import fastautorec as far


class TestNCEAutoRec(ModelContract):
    def make(self, **params: Any) -> far.NCEAutoRec:
        return far.NCEAutoRec(**{"factors": 8, **params})


class TestRelu(ModelContract):
    def make(self, **params: Any) -> far.NCEAutoRec:
        return far.NCEAutoRec(**{"factors": 8, "activation": "relu", **params})

    def test_units_come_in_mirrored_pairs(self, train: sparse.csr_matrix) -> None:  # noqa: F811
        hidden = self.make().fit(train).embed(train)
        assert hidden.shape == (120, 8)
        assert not (hidden[:, :4] * hidden[:, 4:]).any()


@pytest.mark.grid
class TestTanhPowerTarget(ModelContract):
    def make(self, **params: Any) -> far.NCEAutoRec:
        settings = {"factors": 8, "activation": "tanh", "target": "power", "beta": 0.25, "normalize": None}
        return far.NCEAutoRec(**{**settings, **params})


TRAINED = {"factors": 8, "epochs": 3, "learning_rate": 0.01, "batch_size": 50}


@pytest.mark.grid
class TestJoint(ModelContract):
    def make(self, **params: Any) -> far.NCEAutoRec:
        return far.NCEAutoRec(**{**TRAINED, "mode": "joint", "embedding_weight": 0.5, **params})


@pytest.mark.grid
class TestAlternating(ModelContract):
    def make(self, **params: Any) -> far.NCEAutoRec:
        return far.NCEAutoRec(**{**TRAINED, "mode": "alternating", "init": "random", "activation": "tanh", **params})


class TestLimited(ModelContract):
    def make(self, **params: Any) -> far.NCEAutoRec:
        return far.NCEAutoRec(**{**TRAINED, "mode": "limited", "activation": "relu", **params})


@pytest.mark.grid
class TestFull(ModelContract):
    def make(self, **params: Any) -> far.NCEAutoRec:
        return far.NCEAutoRec(**{**TRAINED, "mode": "full", "init": "random", "solver": "gradient", **params})


@pytest.mark.grid
class TestPaper(ModelContract):
    def make(self, **params: Any) -> far.NCEAutoRec:
        return far.NCEAutoRec.paper(**{"factors": 8, "epochs": 2, "batch_size": 50, **params})


def objective_gradient(model: far.NCEAutoRec, matrix: sparse.csr_matrix, rho: float) -> np.ndarray:
    """Gradient of the ridge objective of the class docstring at the fitted head, in float64 NumPy."""
    lengths = np.diff(matrix.indptr)
    hidden = model.embed(matrix).astype(np.float64)
    k, q = hidden.shape[1], model.dropout
    with_g = np.hstack([hidden, (1 / np.sqrt(lengths))[:, None]])
    head = model.decoder_.astype(np.float64)
    gradient = 2 * (head @ (with_g.T @ with_g) - matrix.T @ with_g)
    x = matrix.multiply(1 / np.sqrt(lengths)[:, None]).tocsr()
    noise = q / (1 - q) * model.encoder_.T @ (np.asarray(x.power(2).sum(0)).T * model.encoder_)
    penalty = rho * np.sqrt(lengths.mean()) * np.trace(hidden.T @ hidden) / k
    gradient[:, :k] += 2 * head[:, :k] @ (noise + penalty * np.eye(k))
    gradient[:, k] += 2 * head[:, k] * (1 / lengths).sum() * model.intercept_penalty
    return gradient


def test_head_is_at_the_minimum(train: sparse.csr_matrix) -> None:  # noqa: F811
    model = far.NCEAutoRec(
        factors=8, dropout=0.6, regularization=0.3, intercept_penalty=0.4, popularity_discount=0
    ).fit(train)
    gradient = objective_gradient(model, train, 0.3)
    model.decoder_ = np.zeros_like(model.decoder_)
    assert np.abs(gradient).max() < 1e-4 * np.abs(objective_gradient(model, train, 0.3)).max()


def test_exact_denoising_is_the_mean_over_masks(train: sparse.csr_matrix) -> None:  # noqa: F811
    """Average the accumulators over many sampled masks: they approach the closed form."""
    from fastautorec._compute import get_backend
    from fastautorec._compute.inputs import check_user_items
    from fastautorec._training import closed_form as _exact

    backend, csr = get_backend("cpu"), check_user_items("user_items", train)
    weight = np.random.default_rng(0).standard_normal((60, 5)).astype(np.float32)
    encoder = _exact.Encoder(weight, None, "identity", "l2", intercept=True)
    exact = _exact.accumulate_ridge(run_on(backend, csr), encoder, 0.5, 0)
    masks = 2000
    total, cross = np.zeros((6, 6)), np.zeros((60, 6))
    for mask in range(masks):
        hidden = encoder.hidden(backend, backend.drop_entries(encoder.inputs(csr), 0.5, 3, mask)).astype(np.float64)
        total += hidden.T @ hidden / masks
        cross += train.T @ hidden / masks
    expected = exact.gram.copy()
    expected[:5, :5] += exact.noise
    np.testing.assert_allclose(total, expected, rtol=0, atol=0.02 * np.abs(expected).max())
    np.testing.assert_allclose(cross, exact.cross, rtol=0, atol=0.05 * np.abs(cross).max())


def test_tiles_do_not_matter(train: sparse.csr_matrix, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    from fastautorec._compute.host import HostArrays
    from fastautorec._compute.protocol import ScoreTiles
    from fastautorec._training import closed_form as _exact

    whole = far.NCEAutoRec(factors=8, activation="relu", dropout=0.5).fit(train).predict(train)
    monkeypatch.setattr(_exact, "tile_users", lambda *shape: 7)
    tiled = far.NCEAutoRec(factors=8, activation="relu", dropout=0.5).fit(train)
    np.testing.assert_allclose(tiled.predict(train), whole, rtol=1e-3, atol=1e-3)
    ids, scores = tiled.recommend(train, N=20)
    monkeypatch.setattr(HostArrays, "score_tiles", ScoreTiles(size=1 << 20, items=16, users=9))
    small_ids, small_scores = tiled.recommend(train, N=20)
    np.testing.assert_array_equal(ids, small_ids)
    np.testing.assert_allclose(scores, small_scores, rtol=1e-5)


def test_rank_deficient_data() -> None:
    blocks = sparse.csr_matrix(np.kron(np.eye(4), np.ones((10, 8))))
    model = far.NCEAutoRec(factors=20, beta=0.5).fit(blocks)
    assert np.isfinite(model.predict(blocks)).all()
    ids, _ = model.recommend(blocks[:1], N=8, filter_already_liked_items=False)
    assert set(ids[0]) == set(range(8))


def test_best_penalty_is_chosen_on_validation_data() -> None:
    data = far.datasets.synthetic(300, 80, 6000, random_state=2)
    fit_on, held_out = far.split(data, ratios=(0.7, 0.3), by="random")
    penalties = [1e-3, 0.1, 10.0, 1000.0]
    model = far.NCEAutoRec(factors=16, regularization=penalties).fit(fit_on, validation=held_out)
    singles = [far.NCEAutoRec(factors=16, regularization=p).fit(fit_on, validation=held_out) for p in penalties]
    metrics = [single.history_[-1]["metric"] for single in singles]
    assert model.regularization_ == penalties[int(np.argmax(metrics))]
    assert [record["metric"] for record in model.history_ if record["phase"] == "prediction"] == metrics
    np.testing.assert_array_equal(model.decoder_, singles[int(np.argmax(metrics))].decoder_)


def test_item_without_users(train: sparse.csr_matrix) -> None:  # noqa: F811
    wider = sparse.hstack([train, sparse.csr_matrix((120, 2))]).tocsr()
    model = far.NCEAutoRec(factors=8).fit(wider)
    assert np.isfinite(model.predict(wider)).all()
    assert not model.predict(wider)[:, 60:].any()


def test_user_without_items(train: sparse.csr_matrix) -> None:  # noqa: F811
    taller = sparse.vstack([train, sparse.csr_matrix((3, 60))]).tocsr()
    scores = far.NCEAutoRec(factors=8).fit(taller).predict(train)
    assert np.isfinite(scores).all()


BAD_PARAMS = [
    ({"factors": 0}, ValueError, "`factors` must be >= 1, got 0"),
    ({"factors": 2.5}, TypeError, "`factors` must be an integer, got float"),
    ({"factors": 61}, ValueError, "at most 60; use fewer factors"),
    ({"factors": 7, "activation": "relu"}, ValueError, "`factors` must be even with activation='relu'"),
    ({"mode": "jiont"}, ValueError, "`mode` must be one of 'joint', 'alternating', 'limited', 'full', got 'jiont'"),
    ({"beta": float("nan")}, ValueError, "`beta` must be finite, got nan"),
    ({"numerator": "items"}, ValueError, "`numerator` must be one of 'users', 'interactions', got 'items'"),
    ({"target": "svd"}, ValueError, "`target` must be one of 'nce', 'power'"),
    ({"activation": "gelu"}, ValueError, "`activation` must be one of 'identity', 'relu', 'tanh', 'sigmoid'"),
    ({"normalize": "l1"}, ValueError, "`normalize` must be one of 'l2', None"),
    ({"init": "pca"}, ValueError, "`init` must be one of 'random', 'svd', got 'pca'"),
    ({"init": "random"}, ValueError, "`epochs` must be >= 1 with init='random', got 0; use init='svd'"),
    ({"user_weight": -1}, ValueError, "`user_weight` must be >= 0, got -1"),
    ({"regularization": -0.1}, ValueError, "`regularization` must be >= 0, got -0.1"),
    ({"regularization": "0.1"}, TypeError, "`regularization` must be a number or a sequence of numbers, got str"),
    ({"regularization": []}, ValueError, "`regularization` must hold at least one value"),
    ({"regularization": [1, 2]}, ValueError, r"needs held-out interactions; pass fit\(user_items, validation"),
    ({"dropout": 1}, ValueError, "`dropout` must be >= 0 and < 1, got 1"),
    ({"fit_intercept": 1}, TypeError, "`fit_intercept` must be True or False, got int"),
    ({"intercept_penalty": -1}, ValueError, "`intercept_penalty` must be >= 0, got -1"),
    ({"random_state": -1}, ValueError, "`random_state` must be >= 0, got -1"),
    ({"num_threads": 0}, ValueError, "`num_threads` must be >= 1, got 0"),
    ({"device": "gpu"}, ValueError, "`device` must be one of 'auto', 'cpu', 'cuda', 'reference', got 'gpu'"),
    ({"device": "cuda:x"}, ValueError, "`device` must be one of 'auto', 'cpu', 'cuda', 'reference', got 'cuda:x'"),
]


@pytest.mark.parametrize(("params", "error", "message"), BAD_PARAMS)
@pytest.mark.parametrize("device", ["cpu"])
def test_bad_parameters(train: sparse.csr_matrix, params: dict, error: type, message: str, device: str) -> None:  # noqa: F811
    with pytest.raises(error, match=message):
        far.NCEAutoRec(**{"factors": 8, "device": device, **params}).fit(train)


def with_value(value: float) -> sparse.csr_matrix:
    return sparse.csr_matrix(([1, value], ([0, 1], [0, 1])), shape=(4, 60), dtype=np.float64)


BAD_FIT = [
    (np.eye(3), TypeError, "`user_items` must be a scipy sparse matrix or Interactions .* convert an array with"),
    ([[1, 0]], TypeError, "`user_items` must be a scipy sparse matrix"),
    (with_value(float("nan")), ValueError, "`user_items` must hold only 0 and 1 .* got nan; binarise ratings first"),
    (with_value(-1), ValueError, "got -1.0; binarise"),
    (with_value(4.5), ValueError, r"got 4.5; binarise ratings first, for example user_items = \(ratings >= 4\)"),
    (sparse.csr_matrix((4, 60)), ValueError, r"at least one interaction, got an empty matrix of shape \(4, 60\)"),
    (sparse.csr_matrix((0, 60)), ValueError, "at least one interaction"),
    (sparse.csr_matrix(np.eye(3, dtype=complex)), TypeError, "`user_items` must hold numbers or booleans"),
]


@pytest.mark.parametrize(("matrix", "error", "message"), BAD_FIT)
@pytest.mark.parametrize("device", ["cpu"])
def test_bad_training_data(matrix: Any, error: type, message: str, device: str) -> None:
    with pytest.raises(error, match=message):
        far.NCEAutoRec(factors=1, device=device).fit(matrix)


BAD_CALLS = [
    (
        lambda m, x: m.recommend(x.T),
        ValueError,
        "has 120 columns but the model was fitted on 60 items; did you pass it tr",
    ),
    (lambda m, x: m.recommend(x[:, :9]), ValueError, "has 9 columns but the model was fitted on 60 items$"),
    (lambda m, x: m.recommend(x, N=61), ValueError, "`N` must be between 1 and 60, got 61"),
    (lambda m, x: m.recommend(x, N=0), ValueError, "`N` must be between 1 and 60, got 0"),
    (lambda m, x: m.recommend(x, N=2.0), TypeError, "`N` must be an integer, got float"),
    (lambda m, x: m.recommend(x, items=[60]), ValueError, r"`items` must hold item ids in \[0, 60\), got 60"),
    (
        lambda m, x: m.recommend(x, filter_items=[-1]),
        ValueError,
        r"`filter_items` must hold item ids in \[0, 60\), got -1",
    ),
    (lambda m, x: m.recommend(x, items=["a"]), TypeError, "`items` must hold integer item ids"),
    (lambda m, x: m.recommend(x, items=[]), ValueError, "leave no item to recommend"),
    (lambda m, x: m.recommend(x.toarray()), TypeError, "`user_items` must be a scipy sparse matrix"),
    (lambda m, x: m.recommend(x, filter_already_liked_items="no"), TypeError, "must be True or False, got str"),
    (lambda m, x: m.similar_items(60), ValueError, r"`itemids` must hold item ids in \[0, 60\), got 60"),
    (lambda m, x: m.fit(x, validation=x[:5]), ValueError, "`validation` must have the shape of `user_items`"),
    (lambda m, x: m.plan((1, 2)), ValueError, r"`user_items` must be \(users, items, interactions\) or a matrix, got"),
    (lambda m, x: m.plan((9, 5, 46)), ValueError, "one interaction of a user and an item at most, 45 here, got 46; in"),
    (lambda m, x: m.plan((1, 0, 3)), ValueError, "`n` must be >= 1, got 0"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD_CALLS)
@pytest.mark.parametrize("device", ["cpu"])
def test_bad_calls(train: sparse.csr_matrix, call: Any, error: type, message: str, device: str) -> None:  # noqa: F811
    model = far.NCEAutoRec(factors=8, device=device).fit(train)
    with pytest.raises(error, match=message):
        call(model, train)


def test_the_reference_refuses_the_same(train: sparse.csr_matrix) -> None:  # noqa: F811
    for parameters in BAD_PARAMS:
        if "device" not in parameters[0]:
            test_bad_parameters(train, *parameters, "reference")
    for matrix in BAD_FIT:
        test_bad_training_data(*matrix, "reference")
    for call in BAD_CALLS:
        test_bad_calls(train, *call, "reference")


def test_odd_but_valid_matrices_mean_the_same(train: sparse.csr_matrix) -> None:  # noqa: F811
    expected = far.NCEAutoRec(factors=8).fit(train).predict(train)
    coo = train.tocoo()
    shuffled = np.random.default_rng(0).permutation(coo.nnz)
    doubled = np.concatenate([shuffled, shuffled[:50]])
    unsorted = sparse.csr_matrix((120, 60))
    unsorted.data, unsorted.indices, unsorted.indptr = train.data.copy(), train.indices.copy(), train.indptr.copy()
    for u in range(120):
        row = slice(unsorted.indptr[u], unsorted.indptr[u + 1])
        unsorted.indices[row] = unsorted.indices[row][::-1].copy()
    unsorted.has_sorted_indices = False
    wide = train.copy()
    wide.indices, wide.indptr = wide.indices.astype(np.int64), wide.indptr.astype(np.int64)
    variants = {
        "float64": train.astype(np.float64),
        "bool": train.astype(bool),
        "int8": train.astype(np.int8),
        "coo with duplicates": sparse.coo_matrix(
            (np.ones(len(doubled)), (coo.row[doubled], coo.col[doubled])), coo.shape
        ),
        "csc": train.tocsc(),
        "lil": train.tolil(),
        "sparse array": sparse.csr_array(train),
        "unsorted": unsorted,
        "int64 indices": wide,
        "Interactions": far.Interactions(train),
    }
    for name, matrix in variants.items():
        got = far.NCEAutoRec(factors=8).fit(matrix).predict(train)
        np.testing.assert_array_equal(got, expected, err_msg=name)


def test_rotation_of_linear_units_changes_no_score(train: sparse.csr_matrix, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    from fastautorec._training import closed_form as _exact

    rotated = far.NCEAutoRec(factors=60).fit(train)
    full = _exact.svd_encoder
    monkeypatch.setattr("fastautorec._training.fit.svd_encoder", lambda *args, any_basis: full(*args))  # noqa: PLW0108
    ordered = far.NCEAutoRec(factors=60).fit(train)
    assert np.abs(rotated.encoder_ - ordered.encoder_).max() > 0.1
    np.testing.assert_allclose(rotated.predict(train), ordered.predict(train), rtol=0, atol=2e-4)
    products = [model.embed(train) @ model.embed(train).T for model in (rotated, ordered)]
    np.testing.assert_allclose(*products, rtol=0, atol=2e-3 * np.abs(products[0]).max())


def test_single_precision_is_enough(train: sparse.csr_matrix, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    from fastautorec._training import closed_form as _exact

    single = far.NCEAutoRec(factors=20).fit(train)
    monkeypatch.setattr(_exact, "DOUBTFUL", 0.0)
    double = far.NCEAutoRec(factors=20).fit(train)
    assert not np.array_equal(single.decoder_, double.decoder_)
    np.testing.assert_allclose(single.decoder_, double.decoder_, rtol=0, atol=1e-5 * np.abs(double.decoder_).max())


@pytest.mark.parametrize("beta", [-12.0, 12.0])
def test_weights_whose_squares_leave_the_range_of_float32(train: sparse.csr_matrix, beta: float) -> None:  # noqa: F811
    model = far.NCEAutoRec(factors=8, target="power", beta=beta).fit(train)
    weights = np.maximum(train.sum(axis=0).A1, 1).astype(np.float64) ** -beta
    target = np.sqrt(1 / np.maximum(train.sum(axis=1).A, 1)) * train.toarray() * weights
    best = np.linalg.svd(target, full_matrices=False)[2][0]
    leading = np.linalg.svd(model.encoder_.astype(np.float64), full_matrices=False)[0][:, 0]
    assert abs(best @ leading) > 0.999


@pytest.mark.parametrize(("many", "passes"), [(101, 4), (100, 2)])
def test_many_vectors_take_fewer_passes(many: int, passes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their span alone counts, and holds nearly all that so many directions can hold of the target."""
    from fastautorec._training import closed_form as _exact

    taken, product = [], _exact.gram_part
    monkeypatch.setattr(_exact, "MANY", many)
    monkeypatch.setattr(_exact, "gram_part", lambda *args: taken.append(1) or product(*args))
    data = far.datasets.synthetic(800, 300, 20000, random_state=0)
    model = far.NCEAutoRec(factors=100, user_weight=0).fit(data)
    assert len(taken) == passes
    weights = np.log(800) - np.log(np.maximum(data.getnnz(axis=0), 1))
    target = data.toarray() * weights
    basis = np.linalg.qr(model.encoder_.astype(np.float64))[0]
    best = np.linalg.svd(target, compute_uv=False)[:100]
    held = np.square(target @ basis).sum() / np.square(best).sum()
    assert (0.99 if passes == 4 else 0.97) < held < 1  # one pass: 0.926
    weight = model.encoder_.astype(np.float64)
    spectrum = np.linalg.eigvalsh(weight.T @ weight)[::-1]
    np.testing.assert_allclose(spectrum / spectrum[0], np.square(best / best[0]), rtol=0.35)  # one pass: 0.54
