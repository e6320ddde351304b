"""Exact updates: equal to solving the head again in plain NumPy, with the present encoder and all who are left."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from lanes import keeping, marked
from runs import run_on
from scipy import sparse

import fastautorec as far
from fastautorec._compute import get_backend
from fastautorec._compute.inputs import check_user_items
from fastautorec._training.closed_form import accumulate_ridge

ALL = far.datasets.synthetic(200, 40, 2600, random_state=5)
OLD, NEW = ALL[:150], ALL[150:]
HELD_OUT = far.datasets.synthetic(200, 40, 900, random_state=6)

MODELS: dict[str, dict[str, Any]] = {
    "default": {},
    "no dropout": {"dropout": 0.0},
    "no intercept": {"fit_intercept": False},
    "constant intercept": {"intercept": "constant", "intercept_penalty": 0.3},
    "plain input": {"normalize": None},
    "no discount": {"popularity_discount": 0.0},
    "large discount": {"popularity_discount": 0.9},
    "small penalty": {"regularization": 1e-3},
    "several penalties": {"regularization": [0.01, 0.1, 10.0]},
    "tanh": {"activation": "tanh", "dropout": 0.0},
    "relu": {"activation": "relu", "dropout": 0.0},
    "masks": {"activation": "relu", "dropout": 0.6},
    "trained encoder": {"epochs": 2, "activation": "relu", "dropout": 0.0},
    "random start": {"epochs": 2, "init": "random", "activation": "sigmoid", "dropout": 0.0},
}
CASES = keeping(["default", "several penalties", "masks", "trained encoder"], MODELS)


def make(case: str, cls: Any = far.NCEAutoRec, **params: Any) -> Any:
    return cls(**{"factors": 8, "updatable": True, **MODELS[case], **params})


def fit(model: Any, rows: Any) -> Any:
    several = not isinstance(model.regularization, float)
    return model.fit(rows, validation=HELD_OUT[: rows.shape[0]] if several else None)


def refitted(model: Any, encoder: Any, rows: sparse.csr_matrix) -> np.ndarray:
    """Return the decoder that the equations of the model give for these users, in float64."""
    dense = rows.toarray().astype(np.float64)
    dense = dense[dense.any(axis=1)]
    lengths = dense.sum(axis=1)
    inputs = dense if model.normalize is None else dense / np.sqrt(lengths)[:, None]
    bias = 0 if model.encoder_bias_ is None else model.encoder_bias_
    acts = {
        "identity": lambda z: z,
        "tanh": np.tanh,
        "relu": lambda z: np.maximum(z, 0),
        "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    }
    hidden = acts[model.activation](inputs @ encoder.astype(np.float64) + bias)
    gram, k = hidden.T @ hidden, hidden.shape[1]
    noise = np.zeros((k, k))
    if model.dropout:
        noise = model.dropout / (1 - model.dropout) * encoder.T @ ((inputs**2).sum(axis=0)[:, None] * encoder)
    penalty = model.regularization_ * np.sqrt(dense.sum() / len(dense)) * np.trace(gram) / k
    diagonal = np.full(k, penalty)
    if model.fit_intercept:
        share = lengths**-0.5 if model.intercept == "history" else np.ones(len(dense))
        hidden = np.hstack([hidden, share[:, None]])
        gram, noise = hidden.T @ hidden, np.pad(noise, (0, 1))
        diagonal = np.append(diagonal, model.intercept_penalty * (share**2).sum())
    decoder = np.linalg.solve(gram + noise + np.diag(diagonal), hidden.T @ dense).T
    return decoder * (np.maximum(dense.sum(axis=0), 1) ** -model.popularity_discount)[:, None]


def refitted_with_masks(model: Any, encoder: Any, rows: sparse.csr_matrix) -> np.ndarray:
    """Return the same where masks were drawn, by one pass over all users."""
    backend, used = get_backend("cpu"), model._as_fitted()
    used.encoder_ = encoder
    seed = int(model.sums_["numbers"][2])
    run = run_on(backend, check_user_items("rows", rows))
    ridge = accumulate_ridge(run, used._encoder(), model.dropout, seed)
    decoder = ridge.solve(backend, model.regularization_, model.intercept_penalty)
    return decoder * (np.maximum(rows.sum(axis=0).A1, 1) ** -model.popularity_discount)[:, None]


def assert_same(model: Any, encoder: Any, rows: sparse.csr_matrix, case: str) -> None:
    expected = (refitted_with_masks if case == "masks" else refitted)(model, encoder, rows)
    np.testing.assert_allclose(model.decoder_, expected, rtol=1e-4, atol=2e-5 * np.abs(expected).max())
    np.testing.assert_array_equal(model.item_counts_, rows.sum(axis=0).A1)
    assert model.n_users_ == np.count_nonzero(rows.sum(axis=1))


@pytest.mark.parametrize("case", CASES)
def test_new_users(case: str) -> None:
    model = fit(make(case), OLD)
    encoder, penalty = model.encoder_.copy(), model.regularization_
    assert model.partial_fit(NEW[:20]).partial_fit(NEW[20:]) is model
    assert model.regularization_ == penalty
    assert_same(model, encoder, ALL, case)
    np.testing.assert_array_equal(model.encoder_, encoder)


@pytest.mark.parametrize("case", CASES)
def test_users_are_forgotten(case: str) -> None:
    model = fit(make(case), ALL)
    encoder = model.encoder_.copy()
    rows = np.arange(150, 200) if case == "masks" else None
    if case == "masks":
        with pytest.raises(ValueError, match=r"`rows` must be given for dropout=0\.6 with activation='relu'"):
            model.forget(NEW)
    assert model.forget(NEW, rows) is model
    assert_same(model, encoder, OLD, case)
    assert (model.n_users_, model.skipped_users_) == (150, 50)


@pytest.mark.parametrize("cls", [far.AutoRec, far.NSAutoRec])
def test_models_of_the_family(cls: Any) -> None:
    options = {"activation": "identity", "init": "svd", "epochs": 0}
    model = make("default", cls, **options).fit(OLD).partial_fit(NEW)
    assert_same(model, model.encoder_, ALL, "default")


def test_masks_belong_to_rows_whatever_happens_between() -> None:
    model = make("masks").fit(sparse.vstack([OLD[:80], sparse.csr_matrix((5, 40)), OLD[80:]]).tocsr())
    encoder = model.encoder_.copy()
    model.partial_fit(NEW).forget(OLD[80:100], np.arange(85, 105)).forget(NEW[:10], np.arange(155, 165))
    kept = np.arange(205)[:, None] > 0
    kept[85:105] = kept[155:165] = False
    kept[0] = True
    rows = sparse.vstack([OLD[:80], sparse.csr_matrix((5, 40)), OLD[80:], NEW]).tocsr().multiply(kept).tocsr()
    rows.eliminate_zeros()
    backend, used = get_backend("cpu"), model._as_fitted()
    used.encoder_ = encoder
    whole = check_user_items("rows", rows)
    whole = whole.take_rows(np.flatnonzero(whole.row_lengths()))
    ridge = accumulate_ridge(run_on(backend, whole), used._encoder(), 0.6, int(model.sums_["numbers"][2]))
    np.testing.assert_allclose(model.sums_["gram"], ridge.gram, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(model.sums_["cross"], ridge.cross, atol=1e-4)


def test_nce_plrec() -> None:
    model = far.NCEPLRec(6, updatable=True).fit(OLD)
    encoder = model.encoder_.astype(np.float64)
    model.partial_fit(NEW)
    for rows in (ALL, OLD):
        hidden = rows.toarray() @ encoder
        gram = hidden.T @ hidden
        penalty = 0.1 * np.sqrt(rows.nnz / rows.shape[0]) * np.trace(gram) / 6
        expected = np.linalg.solve(gram + penalty * np.eye(6), hidden.T @ rows.toarray()).T
        np.testing.assert_allclose(model.decoder_, expected, rtol=1e-4, atol=2e-5 * np.abs(expected).max())
        np.testing.assert_array_equal(model.item_counts_, rows.sum(axis=0).A1)
        model.forget(NEW)


@pytest.mark.parametrize("size", [256, 7])
def test_ease_is_that_of_a_new_fit(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from fastautorec.models import ease

    monkeypatch.setattr(ease, "UPDATE_ROWS", size)
    model = far.EASE(5.0, updatable=True).fit(OLD).partial_fit(NEW)
    scale = np.abs(model.item_weights_).max()
    np.testing.assert_allclose(model.item_weights_, far.EASE(5.0).fit(ALL).item_weights_, atol=1e-6 * scale)
    model.forget(OLD[:90])
    np.testing.assert_allclose(model.item_weights_, far.EASE(5.0).fit(ALL[90:]).item_weights_, atol=1e-6 * scale)
    assert model.n_users_ == 110


def test_popularity_is_that_of_a_new_fit() -> None:
    model = far.Popularity().fit(OLD).partial_fit(NEW).forget(OLD[:90])
    assert answers(model) == answers(far.Popularity().fit(ALL[90:]))
    assert model.n_users_ == 110


def answers(model: Any) -> list[bytes]:
    return [array.tobytes() for array in model.recommend(ALL, N=9)]


EVERY: dict[str, Any] = {
    "NCEAutoRec": lambda **p: make("default", **p),
    "NCEPLRec": lambda **p: far.NCEPLRec(6, updatable=True, **p),
    "EASE": lambda **p: far.EASE(5.0, updatable=True, **p),
    "Popularity": far.Popularity,
}


@pytest.mark.parametrize("name", EVERY)
def test_files_devices_and_threads(name: str, tmp_path: Any) -> None:
    model = EVERY[name]().fit(OLD)
    model.save(tmp_path / "model.npz")
    model.save(tmp_path / "model", format="folder")
    others = [
        EVERY[name](num_threads=3).fit(OLD),
        far.load(tmp_path / "model.npz"),
        far.load(tmp_path / "model", mmap=True),
        EVERY[name]().fit(OLD).to("cpu"),
    ]
    expected = answers(model.partial_fit(NEW))
    for other in others:
        assert answers(other.partial_fit(NEW)) == expected


@pytest.mark.parametrize("device", ["reference", marked("cuda-emulated")], indirect=True)
@pytest.mark.parametrize("name", [*EVERY, "masks"])
def test_every_device_agrees(name: str, device: str) -> None:
    fast, slow = (make("masks", device=at) if name == "masks" else EVERY[name](device=at) for at in ("cpu", device))
    rows = np.arange(50) if name == "masks" else None
    predicted = [model.fit(OLD).partial_fit(NEW).forget(OLD[:50], rows).predict(ALL) for model in (slow, fast)]
    np.testing.assert_allclose(*predicted, rtol=1e-3, atol=1e-3 * np.abs(predicted[1]).max())


@pytest.mark.parametrize("name", EVERY)
def test_items_that_nobody_has_any_more(name: str) -> None:
    """They are as unknown as those that nobody ever had."""
    alone = sparse.csr_matrix(([1.0, 1.0], ([0, 0], [3, 7])), shape=(1, 40))
    without = OLD.toarray()
    without[:, 7] = 0
    without = sparse.csr_matrix(without)
    model = EVERY[name]().fit(sparse.vstack([without, alone]).tocsr()).forget(alone)
    history = sparse.csr_matrix(([1.0], ([0], [7])), shape=(1, 40))
    if name in ("NCEAutoRec", "EASE", "NCEPLRec"):
        assert model.similar_items(7, N=3)[0].tolist() == [7, -1, -1]
    known = EVERY[name]().fit(without)
    np.testing.assert_allclose(model.predict(history), known.predict(history), rtol=2e-2, atol=2e-3)
    assert model.partial_fit(alone).item_counts_[7] == 1


def test_the_dial_knows_the_new_counts() -> None:
    model = make("default", popularity_discount=0.2).fit(OLD).partial_fit(NEW)
    scores = model.predict(NEW[:3])
    turned = model.recommend(NEW[:3], N=40, filter_already_liked_items=False, popularity_discount=0.7)
    expected = scores * np.maximum(ALL.sum(axis=0).A1, 1) ** -0.5
    np.testing.assert_allclose(np.take_along_axis(expected, turned[0], 1), turned[1], rtol=1e-4)


def test_ids_in_another_order() -> None:
    names = np.array([f"item {j:02}" for j in range(40)])
    model, bare = (make("default").fit(data) for data in (far.Interactions(OLD, item_ids=names), OLD))
    model.partial_fit(far.Interactions(NEW[:, ::-1], item_ids=names[::-1]))
    np.testing.assert_array_equal(model.decoder_, bare.partial_fit(NEW).decoder_)
    with pytest.raises(ValueError, match="`user_items` has other items than the model"):
        model.forget(far.Interactions(NEW, item_ids=[f"x{j}" for j in range(40)]))


@pytest.mark.parametrize("name", [name for name in EVERY if name != "Popularity"])
def test_sums_are_kept_only_when_asked_for(name: str, tmp_path: Any) -> None:
    small, large = (EVERY[name]().set_params(updatable=asked).fit(OLD) for asked in (False, True))
    assert small.sums_ is None
    assert answers(small) == answers(large)
    assert large.plan(OLD).peak_bytes > small.plan(OLD).peak_bytes
    assert large.__sizeof__() > small.__sizeof__()
    small.save(tmp_path / "small.npz")
    large.save(tmp_path / "large.npz")
    assert (tmp_path / "large.npz").stat().st_size > (tmp_path / "small.npz").stat().st_size
    with pytest.raises(ValueError, match="fit with updatable=True"):
        small.partial_fit(NEW)
    with pytest.raises(ValueError, match=f"{name} cannot forget users, for it was fitted without the sums"):
        far.load(tmp_path / "small.npz").forget(NEW)
    large.set_params(updatable=False)
    assert large.partial_fit(NEW).sums_ is not None  # as it was fitted
    assert large.fit(OLD).sums_ is None


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (far.PureSVD(4), "PureSVD cannot {}: its singular vectors are those of all users together"),
        (far.AutoRec(factors=4, epochs=1), "AutoRec cannot forget users, for it was fitted without the sums"),
    ],
)
def test_models_that_cannot(model: Any, words: str) -> None:
    model.fit(OLD)
    with pytest.raises(ValueError, match=words.format("forget users")):
        model.forget(NEW)
    if isinstance(model, far.PureSVD):
        with pytest.raises(ValueError, match=words.format("learn from new users")):
            model.partial_fit(NEW)


@pytest.mark.parametrize(
    "model",
    [
        far.AutoRec(updatable=True),
        far.OHNSAutoRec(updatable=True, init="svd", epochs=0),
        far.NCEAutoRec(updatable=True, mode="full", epochs=1),
        far.NCEAutoRec(updatable=True, solver="gradient", epochs=1),
        far.NCEAutoRec(updatable=True, mode="joint", epochs=1),
    ],
)
def test_no_exact_head_has_no_sums(model: Any) -> None:
    with pytest.raises(ValueError, match=r"`updatable` must be False for this .*AutoRec, whose prediction head is no"):
        model.fit(OLD)


STRANGE = sparse.csr_matrix(np.ones((60, 40), np.float32))


@pytest.mark.parametrize("name", EVERY)
def test_users_that_were_not_learned(name: str) -> None:
    model = EVERY[name]().fit(OLD)
    before, state = answers(model), dict(vars(model))
    least = int(np.argmin(model.item_counts_))
    for rows, words in (
        (sparse.vstack([OLD, NEW]).tocsr(), "item .* has .* users in the model and .* here"),
        (STRANGE, f"item {least} has|item .* has"),
        (OLD, "must leave the model some of its 150 users, got all of them"),
        (sparse.csr_matrix((3, 40)), "must hold at least one interaction, got none"),
        (NEW[:, :9], "has 9 columns but the model was fitted on 40 items"),
        (NEW * 4.0, "must hold only 0 and 1"),
    ):
        with pytest.raises(ValueError, match=words):
            model.forget(rows)
    with pytest.raises(ValueError, match="`rows` must be left out"):
        model.forget(OLD[:2], [0, 1])
    with pytest.raises(ValueError, match="must hold at least one interaction, got none"):
        model.partial_fit(sparse.csr_matrix((3, 40)))
    assert answers(model) == before
    assert vars(model).keys() == state.keys()
    with pytest.raises(far.NotFittedError):
        EVERY[name]().forget(OLD)


def test_more_users_than_were_learned() -> None:
    few = sparse.csr_matrix(np.eye(2, 40, dtype=np.float32) + np.eye(2, 40, k=1, dtype=np.float32))
    singles = sparse.csr_matrix(([1.0, 1, 1], ([0, 1, 2], [0, 1, 2])), shape=(3, 40))
    with pytest.raises(ValueError, match="there are 2 users in the model and 3 here"):
        far.Popularity().fit(few).forget(singles)


def test_pairs_that_nobody_had() -> None:
    """Counts of single items fit, but their combination does not."""
    singles = sparse.csr_matrix(np.tile(np.eye(12, 40, dtype=np.float32), (9, 1)))
    together = sparse.csr_matrix(np.repeat(np.eye(12, 40, dtype=np.float32).sum(axis=0, keepdims=True), 8, axis=0))
    with pytest.raises(ValueError, match="together they have pairs of items that no such users"):
        far.EASE(0.1, updatable=True).fit(singles).forget(together)
    with pytest.raises(ValueError, match="their hidden units add up to more than those of all users"):
        make("default", normalize=None, factors=4).fit(singles + 0).forget(together)


def test_rows_of_masks() -> None:
    model = make("masks").fit(OLD)
    for rows, error, words in (
        ([0, 0], ValueError, "`rows` must hold one row for each of the 2 users, none of them twice, got 2 with 1 diff"),
        ([0], ValueError, "`rows` must hold one row for each of the 2 users"),
        ([0, 150], ValueError, r"`rows` must hold row numbers in \[0, 150\), got 150"),
        ([0.0, 1.0], TypeError, "`rows` must hold integer row numbers"),
    ):
        with pytest.raises(error, match=words):
            model.forget(OLD[:2], rows)


def test_training_has_no_place_in_an_exact_update() -> None:
    model = make("default").fit(OLD)
    for options in ({"epochs": 1}, {"learning_rate": 0.1}):
        with pytest.raises(ValueError, match="`epochs` and `learning_rate` must be left out for a model with"):
            model.partial_fit(NEW, **options)


def test_many_updates_do_not_drift() -> None:
    model, ease = make("default").fit(ALL), far.EASE(5.0, updatable=True).fit(ALL)
    first, weights = model.decoder_.copy(), ease.item_weights_.copy()
    for _ in range(30):
        for each in (model, ease):
            each.forget(NEW).partial_fit(NEW)
    np.testing.assert_allclose(model.decoder_, first, atol=2e-5 * np.abs(first).max())
    np.testing.assert_allclose(ease.item_weights_, weights, atol=1e-6 * np.abs(weights).max())


def test_users_who_have_more_than_before() -> None:
    """Learned again they count twice; forgotten before, the model is that of a fit to what they have now."""
    old = ALL[:3]
    now = old.maximum(sparse.csr_matrix(np.eye(3, ALL.shape[1], dtype=np.float32)))
    assert now.nnz > old.nnz
    twice = far.EASE(updatable=True).fit(ALL).partial_fit(now)
    assert twice.n_users_ == ALL.shape[0] + 3
    model = far.EASE(updatable=True).fit(ALL).forget(old).partial_fit(now)
    fresh = far.EASE().fit(sparse.vstack([now, ALL[3:]]))
    assert model.n_users_ == fresh.n_users_
    np.testing.assert_allclose(model.predict(HELD_OUT), fresh.predict(HELD_OUT), atol=1e-5)
    assert np.abs(twice.predict(HELD_OUT) - fresh.predict(HELD_OUT)).max() > 1e-3
