"""Explanations, against scores that are taken apart user by user and item by item in plain NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from autoencoders import TRAIN, make
from cuda_emulation import EmulatedCsr, EmulatedDevice
from devices import host
from lanes import marked
from scipy import sparse
from scipy.special import expit

import fastautorec as far
from fastautorec.baselines.cdae import CDAE
from fastautorec.baselines.cml import CML
from fastautorec.baselines.vaecf import VAECF
from fastautorec.exceptions import NotFittedError

ACTIVATE: dict[str, Callable[[Any], Any]] = {
    "identity": lambda z: z, "relu": lambda z: np.maximum(z, 0), "tanh": np.tanh, "sigmoid": expit,
}  # fmt: skip
LINEAR: dict[str, Any] = {
    "PureSVD": lambda **p: far.PureSVD(factors=6, **p),
    "NCEPLRec": lambda **p: far.NCEPLRec(factors=6, **p),
    "EASE": lambda **p: far.EASE(regularization=20.0, **p),
    "NCEAutoRec": lambda **p: far.NCEAutoRec(factors=6, **p),
    "constant intercept": lambda **p: far.NCEAutoRec(factors=6, intercept="constant", **p),
    "no intercept": lambda **p: far.NCEAutoRec(factors=6, fit_intercept=False, **p),
    "plain input": lambda **p: far.NCEAutoRec(factors=6, normalize=None, **p),
    "trained": lambda **p: make("AutoRec", activation="identity", **p),
}
OTHERS: dict[str, Any] = {
    "relu": lambda **p: make("AutoRec", activation="relu", **p),
    "tanh": lambda **p: make("NSAutoRec joint", activation="tanh", **p),
    "sigmoid": lambda **p: make("OHNSAutoRec", activation="sigmoid", normalize=None, **p),
    "constant intercept": lambda **p: make("NCEAutoRec full", activation="relu", intercept="constant", **p),
    "no intercept": lambda **p: make("NCEAutoRec joint", activation="relu", fit_intercept=False, **p),
}
ITEMS = [3, 17, 39, 0]
LONGEST = int(np.diff(TRAIN.indptr).max())


def score(model: Any, history: np.ndarray, item: int) -> float:
    """Return a score by the formula of the model."""
    if isinstance(model, far.EASE):
        return float(host(model.item_weights_).astype(float)[history, item].sum())
    weight, decoder = host(model.encoder_).astype(float), host(model.decoder_)[item].astype(float)
    root = 1 / np.sqrt(max(len(history), 1))
    params = {"normalize": None, "fit_intercept": False, "activation": "identity", **model.fitted_params_}
    units = weight[history].sum(axis=0) * (root if params["normalize"] else 1)
    units += 0 if model.encoder_bias_ is None else host(model.encoder_bias_)
    units = ACTIVATE[params["activation"]](units)
    if params["fit_intercept"]:
        units = np.append(units, root if params["intercept"] == "history" else 1)
    return float(units @ decoder)


def rows_of(matrix: Any) -> list[np.ndarray]:
    return [matrix.indices[matrix.indptr[u] : matrix.indptr[u + 1]] for u in range(matrix.shape[0])]


def check_order(explained: Any, each: dict[int, float], user: int, place: int, size: float) -> None:
    """Check that the largest contributions come first, with their values."""
    because, values = explained.because[user, place], explained.contributions[user, place]
    named = because[because >= 0]
    assert len(named) == min(len(each), len(because))
    np.testing.assert_allclose(values[: len(named)], [each[j] for j in named], rtol=0, atol=size)
    expected = sorted(each.values(), reverse=True)[: len(named)]
    np.testing.assert_allclose(values[: len(named)], expected, rtol=0, atol=size)
    assert np.isnan(values[len(named) :]).all()


devices = pytest.mark.parametrize("device", ["cpu", "reference", marked("cuda-emulated")], indirect=True)


@devices
@pytest.mark.parametrize("name", LINEAR)
def test_linear_scores_are_taken_apart_exactly(name: str, device: str) -> None:
    model = LINEAR[name](device=device).fit(TRAIN)
    whole = model.explain(TRAIN, ITEMS, N=LONGEST)
    assert whole.additive
    scores = model.predict(TRAIN, ITEMS)
    size = float(2e-6 * np.abs(scores).max())
    np.testing.assert_allclose(whole.scores, scores, rtol=0, atol=size)
    np.testing.assert_allclose(np.nansum(whole.contributions, axis=2) + whole.base, whole.scores, rtol=0, atol=size)
    for user, history in enumerate(rows_of(TRAIN)):
        for place, item in enumerate(ITEMS):
            total, at = score(model, history, item), whole.base[user, place]
            assert whole.scores[user, place] == pytest.approx(total, abs=size)
            each = contributions_of(model, history, item)
            assert at == pytest.approx(total - sum(each.values()), abs=size)
            check_order(whole, each, user, place, size)
    few = model.explain(TRAIN, ITEMS)
    assert few.because.shape == few.contributions.shape == (60, 4, 3)
    np.testing.assert_array_equal(few.because, whole.because[:, :, :3])
    np.testing.assert_array_equal(few.contributions, whole.contributions[:, :, :3])


def contributions_of(model: Any, history: np.ndarray, item: int) -> dict[int, float]:
    """Return what each item adds to a linear score, the length of the history being what it is."""
    if isinstance(model, far.EASE):
        return {int(j): float(host(model.item_weights_)[j, item]) for j in history}
    weight, decoder = host(model.encoder_).astype(float), host(model.decoder_)[item].astype(float)
    scale = 1 / np.sqrt(len(history)) if getattr(model, "normalize", None) else 1
    return {int(j): float(scale * weight[j] @ decoder[: weight.shape[1]]) for j in history}


@devices
@pytest.mark.parametrize("name", OTHERS)
def test_other_scores_lose_what_an_item_leaves_out(name: str, device: str) -> None:
    model = OTHERS[name](device=device).fit(TRAIN)
    explained = model.explain(TRAIN, ITEMS, N=5)
    assert not explained.additive
    scores = model.predict(TRAIN, ITEMS)
    size = float(4e-6 * np.abs(scores).max())
    np.testing.assert_allclose(explained.scores, scores, rtol=0, atol=size)
    for user, history in enumerate(rows_of(TRAIN)):
        for place, item in enumerate(ITEMS):
            total = score(model, history, item)
            each = {int(j): total - score(model, history[history != j], item) for j in history}
            check_order(explained, each, user, place, size)
            assert explained.base[user, place] == pytest.approx(score(model, history[:0], item), abs=size)


@pytest.mark.parametrize("name", ["WRMF", "VAECF", "CDAE"])
def test_models_that_encode_anew_lose_what_an_item_leaves_out(name: str) -> None:
    if name == "WRMF":
        pytest.importorskip("implicit")
        model: Any = far.baselines.WRMF(factors=5, regularization=1.0, epochs=3).fit(TRAIN)
    else:
        model = drawn({"VAECF": VAECF, "CDAE": CDAE}[name])
    explained, scores = model.explain(TRAIN, ITEMS, N=4), model.predict(TRAIN, ITEMS)
    size = float(1e-5 * np.abs(scores).max())
    np.testing.assert_allclose(explained.scores, scores, rtol=0, atol=size)
    np.testing.assert_allclose(explained.base, without_all(model), rtol=0, atol=size)
    for user in (0, 7, 59):
        history = rows_of(TRAIN)[user]
        without = []
        for item in history:
            shorter = TRAIN.toarray()
            shorter[user, item] = 0
            without.append(scores[user] - model.predict(sparse.csr_matrix(shorter), ITEMS)[user])
        for place in range(len(ITEMS)):
            each = {int(j): float(lost[place]) for j, lost in zip(history, without, strict=True)}
            check_order(explained, each, user, place, size)


def drawn(cls: type) -> Any:
    """Return a model as if PyTorch had fitted it, with weights that are drawn."""
    rng = np.random.default_rng(0)
    shapes = {
        VAECF: {"encoder_": (40, 8), "mean_": (4, 9), "decoder_hidden_": (8, 5), "decoder_": (40, 9)},
        CDAE: {"encoder_": (40, 6), "user_factors_": (60, 6), "decoder_": (40, 7)},
        CML: {"user_factors_": (60, 6), "item_factors_": (40, 6)},
    }[cls]
    model: Any = cls(factors=4, hidden=8) if cls is VAECF else cls(factors=6)
    vars(model).update({name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()})
    if "encoder_" in shapes:
        model.encoder_bias_ = rng.normal(size=shapes["encoder_"][1]).astype(np.float32)
    model.fitted_params_, model.device_, model.item_ids_ = model.get_params(), "cpu", None
    model.n_users_, model.n_items_ = TRAIN.shape
    model.item_counts_ = np.asarray(TRAIN.sum(axis=0)).ravel().astype(np.int64)
    return model


def without_all(model: Any) -> np.ndarray:
    """Return the scores of empty histories, without popularity in their place."""
    scorer, empty = model._scorer(), model._check_history(sparse.csr_matrix(TRAIN.shape))
    scores: np.ndarray = scorer.prepare(model._backend(), empty) @ scorer.decoder[ITEMS].T
    return scores


def test_each_user_has_items_of_its_own() -> None:
    model = far.NCEAutoRec(factors=6).fit(TRAIN)
    ids, scores = model.recommend(TRAIN, N=4, items=[1, 2, 3, 4, 5])
    assert (ids == -1).any()
    explained = model.explain(TRAIN, ids, N=2)
    np.testing.assert_array_equal(explained.items, ids)
    np.testing.assert_allclose(explained.scores, scores, rtol=0, atol=2e-6 * np.nanmax(np.abs(scores)))
    for user in range(60):
        for place in range(4):
            if ids[user, place] < 0:
                assert (explained.because[user, place] == -1).all()
                assert np.isnan(explained.base[user, place])
                assert np.isnan(explained.contributions[user, place]).all()
                continue
            alone = model.explain(TRAIN[user], int(ids[user, place]), N=2)
            np.testing.assert_array_equal(alone.because[0, 0], explained.because[user, place])
            np.testing.assert_allclose(alone.contributions[0, 0], explained.contributions[user, place], rtol=1e-5)


def test_threads_and_blocks_change_no_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    model = far.NCEAutoRec(factors=6, num_threads=1).fit(TRAIN)
    expected = model.explain(TRAIN, ITEMS)
    monkeypatch.setattr(far.models._contributions, "BLOCK_BYTES", 1)
    again = model.set_params(num_threads=3).explain(TRAIN, ITEMS)
    np.testing.assert_array_equal(again.because, expected.because)
    np.testing.assert_allclose(again.contributions, expected.contributions, rtol=1e-5)


@pytest.mark.parametrize("name", ["EASE", "NCEAutoRec"])
def test_histories_of_a_device(emulation: EmulatedDevice, name: str) -> None:
    model = LINEAR[name](device="cuda").fit(TRAIN)
    there, here = (model.explain(matrix, ITEMS) for matrix in (EmulatedCsr.of(emulation, TRAIN), TRAIN))
    np.testing.assert_array_equal(there.because, here.because)
    np.testing.assert_array_equal(there.contributions, here.contributions)


def test_equal_contributions_are_named_by_ascending_id() -> None:
    twins = TRAIN.toarray()
    twins[:, 5] = twins[:, 2]
    model = far.EASE(regularization=20.0).fit(sparse.csr_matrix(twins))
    model.item_weights_[5] = model.item_weights_[2]
    asked = np.zeros((1, 40), np.float32)
    asked[0, [2, 5, 9]] = 1
    because = model.explain(sparse.csr_matrix(asked), [20], N=3).because[0, 0].tolist()
    assert because.index(5) == because.index(2) + 1


@pytest.mark.parametrize("name", ["EASE", "PureSVD", "NCEPLRec", "no intercept"])
def test_histories_that_say_nothing_have_the_popularity(name: str) -> None:
    some = TRAIN.toarray()
    some[:, 9] = 0
    model = LINEAR[name]().fit(sparse.csr_matrix(some))
    asked = np.zeros((3, 40), np.float32)
    asked[1, 9] = asked[2, 4] = 1
    histories = sparse.csr_matrix(asked)
    explained = model.explain(histories, ITEMS)
    assert explained.silent.tolist() == [True, True, False]
    np.testing.assert_allclose(explained.scores, model.predict(histories, ITEMS), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(explained.base[:2], explained.scores[:2])
    assert (explained.because[:2] == -1).all()
    assert explained.because[2, 0].tolist() == [4, -1, -1]
    assert "popular; the history says nothing to the model" in str(explained)


@devices
@pytest.mark.parametrize("name", ["NCEAutoRec", "relu", "constant intercept", "DLAE"])
@pytest.mark.parametrize("discount", [0.0, 0.9, -0.5])
def test_the_dial_scales_what_is_explained(name: str, discount: float, device: str) -> None:
    make_one = {**LINEAR, **OTHERS, "DLAE": far.DLAE}[name]
    model = make_one(device=device, popularity_discount=0.2).fit(TRAIN)
    told = model.explain(TRAIN, ITEMS, LONGEST, popularity_discount=discount)
    refitted = make_one(device=device, popularity_discount=discount).fit(TRAIN).explain(TRAIN, ITEMS, LONGEST)
    scores = model.predict(TRAIN, ITEMS, popularity_discount=discount)
    size = float(4e-6 * np.abs(scores).max())
    np.testing.assert_allclose(told.scores, scores, rtol=0, atol=size)
    if told.additive:
        np.testing.assert_allclose(np.nansum(told.contributions, axis=2) + told.base, scores, rtol=0, atol=size)
    for part in ("base", "contributions"):
        np.testing.assert_allclose(getattr(told, part), getattr(refitted, part), rtol=0, atol=size)
    ids, listed = model.recommend(TRAIN, N=5, popularity_discount=discount)
    np.testing.assert_allclose(model.explain(TRAIN, ids, 1, discount).scores, listed, rtol=0, atol=size)


def test_the_dial_of_explanations_at_its_own_value_and_where_there_is_none() -> None:
    model = far.NCEAutoRec(factors=6, popularity_discount=0.3).fit(TRAIN)
    plain, same = model.explain(TRAIN, ITEMS), model.explain(TRAIN, ITEMS, popularity_discount=0.3)
    for part in ("because", "contributions", "base", "scores"):
        np.testing.assert_array_equal(getattr(same, part), getattr(plain, part))
    bare = LINEAR["no intercept"]().fit(TRAIN)
    empty = sparse.csr_matrix((1, 40))
    told = bare.explain(empty, ITEMS, popularity_discount=2.0)  # popularity in place of an answer has no discount
    np.testing.assert_array_equal(told.scores, bare.predict(empty, ITEMS, popularity_discount=2.0))
    with pytest.raises(ValueError, match="`popularity_discount` must be left out for EASE"):
        far.EASE().fit(TRAIN).explain(TRAIN, ITEMS, popularity_discount=0.5)
    for wrong, error in ((float("nan"), ValueError), ("0.5", TypeError)):
        with pytest.raises(error, match="`popularity_discount` must be"):
            model.explain(TRAIN, ITEMS, popularity_discount=wrong)


def test_an_empty_history_has_the_answer_of_the_model() -> None:
    model = far.NCEAutoRec(factors=6).fit(TRAIN)
    empty = sparse.csr_matrix((1, 40))
    explained = model.explain(empty, ITEMS)
    assert not explained.silent.any()
    np.testing.assert_allclose(explained.base, model.predict(empty, ITEMS), rtol=1e-5)
    np.testing.assert_array_equal(explained.base, explained.scores)
    assert "because of nothing in the history" in str(explained)
    none = model.explain(sparse.csr_matrix((0, 40)), ITEMS)
    assert none.because.shape == (0, 4, 3)


def test_names_and_sentences() -> None:
    data = far.Interactions(TRAIN, item_ids=[f"book {j}" for j in range(40)])
    model = far.EASE(regularization=20.0).fit(data)
    explained = model.explain(data.user_items[:2], [3, 8], N=2)
    assert explained.item_names.tolist() == [["book 3", "book 8"]] * 2
    assert explained.because_names[1, 0].tolist() == [f"book {j}" for j in explained.because[1, 0]]
    first, second, *_ = str(explained).splitlines()
    assert first == "row 0:"
    why = [
        f"book {j} {value:+.4g}"
        for j, value in zip(explained.because[0, 0], explained.contributions[0, 0], strict=True)
    ]
    assert second == f"book 3 {explained.scores[0, 0]:.4g} because of {', '.join(why)}; base +0"
    assert repr(explained) == "<Explanation of 2 items for 2 users>"
    assert str(model.explain(TRAIN, ITEMS)).endswith("... and 220 more")
    assert far.EASE().fit(TRAIN).explain(TRAIN[:1], 3).item_names.tolist() == [[3]]


def test_as_a_frame() -> None:
    pytest.importorskip("pandas")
    data = far.Interactions(TRAIN, item_ids=[f"book {j}" for j in range(40)])
    explained = far.EASE(regularization=20.0).fit(data).explain(data, ITEMS, N=2)
    frame = explained.to_frame()
    assert list(frame) == ["row", "item", "score", "base", "rank", "because", "contribution"]
    assert len(frame) == (explained.because >= 0).sum()
    assert frame.iloc[1].tolist()[:2] == [0, "book 3"]
    assert frame["because"][1] == explained.because_names[0, 0, 1]


def test_models_that_do_not_score_from_items_of_a_history_say_why() -> None:
    with pytest.raises(ValueError, match="Popularity has no explanations: everybody gets the same scores"):
        far.Popularity().fit(TRAIN).explain(TRAIN, 3)


def test_baselines_that_do_not_score_from_items_of_a_history_say_why() -> None:
    with pytest.raises(ValueError, match="CML has no explanations: its scores come from the point"):
        drawn(CML).explain(TRAIN, 3)
    pytest.importorskip("implicit")
    with pytest.raises(ValueError, match="BPR has no explanations: the vector of a training user was learned"):
        far.baselines.BPR(factors=4, epochs=1).fit(TRAIN).explain(TRAIN, 3)


@pytest.mark.parametrize(
    ("items", "error", "message"),
    [
        ([3, 40], ValueError, r"`items` must hold item ids in \[0, 40\), got 40"),
        (-1, ValueError, r"`items` must hold item ids in \[0, 40\), got -1"),
        (np.full((2, 3), -2), ValueError, r"`items` must hold item ids in \[0, 40\), got -2"),
        (np.full((2, 3), 40), ValueError, r"`items` must hold item ids in \[0, 40\), got 40"),
        (np.zeros((3, 3), int), ValueError, r"a row for each of the 2 histories, got shape \(3, 3\)"),
        (np.zeros((2, 1, 1), int), ValueError, r"got shape \(2, 1, 1\)"),
        ([0.5], TypeError, "`items` must"),
        ([[0.5], [1.5]], TypeError, "`items` must"),
        (["book"], TypeError, "`items` must"),
    ],
)
def test_bad_items(items: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        far.EASE().fit(TRAIN).explain(TRAIN[:2], items)


@pytest.mark.parametrize("n", [0, 41, 2.0])
def test_bad_numbers_of_reasons(n: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="`N` must be"):
        far.EASE().fit(TRAIN).explain(TRAIN, 3, N=n)


def test_bad_histories_and_unfitted_models() -> None:
    with pytest.raises(NotFittedError, match=r"is not fitted; call fit\(user_items\) first"):
        far.EASE().explain(TRAIN, 3)
    with pytest.raises(NotFittedError):
        far.Popularity().explain(TRAIN, 3)
    with pytest.raises(ValueError, match="`history` has 7 columns but the model was fitted on 40 items"):
        far.EASE().fit(TRAIN).explain(TRAIN[:, :7], 3)


def test_little_data_has_fewer_reasons() -> None:
    tiny = sparse.csr_matrix(np.eye(2, dtype=np.float32))
    assert far.EASE().fit(tiny).explain(tiny, 1).because.shape == (2, 1, 2)
