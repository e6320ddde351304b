"""Fitted state stays as it was, and what is not known is not made up; the contract of all models has the rest."""

from __future__ import annotations

import copy
import pickle
import threading
from typing import Any

import numpy as np
import pytest
from autoencoders import CASES, HELD_OUT, TRAIN, every_device, make, same_bits
from contract_state import another, answers
from devices import host
from scipy import sparse
from small_baselines import SMALL
from small_baselines import make as make_baseline

import fastautorec as far
from fastautorec._checks import Default, adapted, fitting
from fastautorec._compute.csr import singular_vectors
from fastautorec._compute.inputs import check_user_items
from fastautorec.baselines import _torch
from fastautorec.evaluation._evaluate import DEFAULT_K
from fastautorec.tuning._space import default_space

NEW = far.datasets.synthetic(10, 40, 100, random_state=2)
TINY = sparse.csr_matrix(np.eye(5, dtype=np.float32))


# --- parameters -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
def test_partial_fit_goes_on_as_the_model_was_fitted(case: str) -> None:
    params = {"popularity_discount": 0.2, "weight_decay": 0.5, "epochs": 1}
    expected = make(case, **params).fit(TRAIN).partial_fit(NEW)
    for name, value in expected.get_params().items():
        if name == "num_threads":
            continue
        model = make(case, **params).fit(TRAIN)
        setattr(model, name, another(value))
        same_bits(model.partial_fit(NEW), expected)
        assert model.get_params() == {**expected.get_params(), name: another(value)}


@pytest.mark.parametrize("seed", [3, "generator"])
def test_a_generator_is_used_up_and_kept(seed: Any) -> None:
    """fit uses the one that was given; the fitted model keeps it as it was before."""

    def fitted() -> tuple[Any, Any]:
        state = np.random.default_rng(3) if seed == "generator" else seed
        return make("NCEAutoRec full", init="svd", epochs=1, random_state=state).fit(TRAIN), state

    model, state = fitted()
    other, other_state = fitted()
    if seed == "generator":
        assert state.bit_generator.state != np.random.default_rng(3).bit_generator.state
        other_state.random(100)
    same_bits(model.partial_fit(NEW), other.partial_fit(NEW))


def test_a_model_that_is_fitted_again_elsewhere_answers_from_one_fit() -> None:
    wide = sparse.hstack([TRAIN, TRAIN]).tocsr()
    model = far.EASE(regularization=10.0).fit(TRAIN)
    expected = model.predict(TRAIN[:1])[0]
    stop, wrong = threading.Event(), []

    def refit() -> None:
        for _ in range(20):
            model.set_params(regularization=1.0).fit(wide)
            model.set_params(regularization=10.0).fit(TRAIN)
        stop.set()

    worker = threading.Thread(target=refit)
    worker.start()
    while not stop.is_set():
        try:
            ids, scores = model.recommend(TRAIN[:1], N=3)
        except ValueError as error:  # it was the wide one at that moment
            if "has 40 columns" not in str(error):
                wrong.append(error)
        else:
            if not np.array_equal(scores[0], expected[ids[0]]):
                wrong.append((ids, scores))
    worker.join()
    assert not wrong


def test_copies_and_pickles_keep_what_was_fitted() -> None:
    model = far.NCEAutoRec(factors=8).fit(TRAIN)
    expected = answers(model, TRAIN)
    model.set_params(activation="tanh", normalize=None, fit_intercept=False)
    for twin in (copy.copy(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert answers(twin, TRAIN) == expected
        assert twin.get_params() == model.get_params()
        assert repr(twin) == "NCEAutoRec(factors=8, activation='tanh', normalize=None, fit_intercept=False)"


def test_moving_a_model_takes_its_device_along(tmp_path: Any) -> None:
    model = far.EASE().fit(TRAIN).to("reference")
    assert model.fitted_params_["device"] == model.device == model.device_ == "reference"
    model.save(tmp_path / "model.npz")
    assert far.load(tmp_path / "model.npz").get_params() == model.get_params()


@pytest.mark.parametrize("method", ["evaluate", "tune"])
def test_others_ask_the_model_as_it_was_fitted(method: str) -> None:
    model = far.NCEAutoRec(factors=8).fit(TRAIN, validation=HELD_OUT)
    expected = far.evaluate(model, TRAIN, HELD_OUT)["NDCG"].per_user
    if method == "evaluate":
        model.set_params(activation="tanh", fit_intercept=False, normalize=None)
        np.testing.assert_array_equal(far.evaluate(model, TRAIN, HELD_OUT)["NDCG"].per_user, expected)
    else:
        pytest.importorskip("optuna")
        found = far.tune(far.PureSVD, TRAIN, HELD_OUT, {"factors": [4, 8]}, n_trials=2).best_model
        before = answers(found, TRAIN)
        assert answers(found.set_params(factors=30), TRAIN) == before


# --- models trained by PyTorch, whose fitted side needs none ----------------------------------------------------------


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let fit keep the weights that training would start from."""

    def start(self: Any, run: Any) -> dict[str, Any]:
        weights = self._start(*run.train.shape, np.random.default_rng(0))
        fitted = self._taken(weights, run.train) | {"n_users_": run.train.shape[0]}
        return fitted | {"best_epochs_": (1,), "trained_on_": "cpu"}

    monkeypatch.setattr(_torch.TorchModel, "_fit", start)


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize("cls", SMALL, ids=lambda cls: cls.__name__)
def test_parameters_of_models_trained_by_pytorch(cls: Any, tmp_path: Any) -> None:
    model = make_baseline(cls).fit(TRAIN)
    fitted, expected = model.get_params(), answers(model, TRAIN)
    for name, value in fitted.items():
        if name == "num_threads":
            continue
        model.set_params(**{name: another(value)})
        assert answers(model, TRAIN) == expected, name
        model.save(tmp_path / "model.npz")
        loaded = far.load(tmp_path / "model.npz")
        assert answers(loaded, TRAIN) == expected, name
        assert loaded.get_params() == fitted
        if name != "random_state":  # which the training itself checks
            with pytest.raises((TypeError, ValueError)):
                model.set_params(**{name: object()}).fit(TRAIN)
        assert answers(model, TRAIN) == expected, name
        model.set_params(**{name: value})


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize("cls", SMALL, ids=lambda cls: cls.__name__)
def test_items_without_users_and_names(cls: Any) -> None:
    some = TRAIN.toarray()
    some[:, 7] = 0
    model = make_baseline(cls).fit(sparse.csr_matrix(some))
    ids, _ = model.similar_items([7, 3], N=40)
    assert ids[:, 0].tolist() == [7, 3]
    if cls.__name__ != "CML":  # there each item has a place, as a negative too
        assert (ids[0, 1:] == -1).all()
        assert 7 not in ids[1]
    names = model.item_names(model.recommend(TRAIN, N=3, items=[1, 2])[0])
    assert set(names.ravel().tolist()) == {None, 1, 2}


# --- little data ------------------------------------------------------------------------------------------------------

WITH_FACTORS = {
    "NCEAutoRec": (far.NCEAutoRec, {}),
    "relu": (far.NCEAutoRec, {"activation": "relu"}),
    "AutoRec": (far.AutoRec, {"init": "svd", "epochs": 0}),
    "AutoRec, linear": (far.AutoRec, {"init": "svd", "epochs": 2, "activation": "identity"}),
    "OHNSAutoRec": (far.OHNSAutoRec, {"init": "svd", "epochs": 1}),
    "NSAutoRec": (far.NSAutoRec, {"init": "svd", "epochs": 1}),
    "PureSVD": (far.PureSVD, {}),
    "NCEPLRec": (far.NCEPLRec, {}),
}
LINEAR = dict.fromkeys(WITH_FACTORS, True) | dict.fromkeys(("relu", "AutoRec", "OHNSAutoRec", "NSAutoRec"), False)


@pytest.mark.parametrize("name", WITH_FACTORS)
def test_factors_adapt_or_are_refused(name: str, tmp_path: Any) -> None:
    cls, params = WITH_FACTORS[name]
    matrix = sparse.vstack([TINY[:4], sparse.csr_matrix((3, 5))]).tocsr()  # seven users, but four with interactions
    most = 4 if LINEAR[name] else 8  # mirrored pairs of four vectors
    model = cls(**params).fit(matrix)
    assert model.encoder_.shape == (5, most)
    explicit = cls(factors=most, **params).fit(matrix)
    np.testing.assert_array_equal(model.predict(matrix), explicit.predict(matrix))
    default = cls().factors
    for factors in (most + 2, int(default)):  # the same number, but asked for
        rule = rf"`factors`={factors} needs .* 4 users with interactions and 5 items has at most 4; use fewer"
        with pytest.raises(ValueError, match=rule):
            cls(factors=factors, **params).fit(matrix)
    with pytest.raises(ValueError, match="`factors`=300 needs"):
        cls(**params).set_params(factors=300).fit(matrix)
    assert model.get_params() == cls(**params).get_params()
    assert "factors" not in repr(model)
    model.save(tmp_path / "model.npz")
    loaded = far.load(tmp_path / "model.npz")
    assert loaded.get_params() == model.get_params()
    loaded.fit(matrix)  # the default is one again
    np.testing.assert_array_equal(loaded.predict(matrix), model.predict(matrix))
    assert cls(**params).plan(matrix).peak_bytes == cls(factors=most, **params).plan(matrix).peak_bytes


def test_factors_of_a_random_start_have_no_bound() -> None:
    assert far.AutoRec(epochs=1).fit(TINY).encoder_.shape == (5, 200)


def test_a_checkpoint_of_adapted_factors_continues(tmp_path: Any) -> None:
    def model() -> far.AutoRec:
        return far.AutoRec(init="svd", epochs=4, num_threads=1)

    def stop(record: dict[str, Any]) -> None:
        if record["epoch"] == 2:
            raise KeyboardInterrupt

    path = tmp_path / "fit.ckpt"
    with pytest.raises(KeyboardInterrupt):
        model().fit(TINY, callbacks=[stop], checkpoint=path)
    if not path.exists():
        pytest.skip("two epochs were too short for a checkpoint")
    same_bits(model().fit(TINY, resume=path), model().fit(TINY))


def test_a_default_is_a_number_like_any_other() -> None:
    ten = Default(10)
    assert ten == 10
    assert repr(ten) == str(ten) == f"{ten}" == "10"
    for twin in (copy.deepcopy(ten), pickle.loads(pickle.dumps(ten))):
        assert isinstance(twin, Default)
    assert (adapted(ten, 4), adapted(ten, 20), adapted(10, 4)) == (4, 10, 10)
    assert type(adapted(ten, 20)) is int
    assert fitting(DEFAULT_K, 25) == (5, 10, 20)
    assert fitting(DEFAULT_K, 3) == (3,)
    assert fitting((5, 30), 25) == (5, 30)


def test_one_count_of_singular_vectors() -> None:
    """Searches leave out what a fit would refuse."""
    few = check_user_items("few", sparse.vstack([TRAIN[:12], sparse.csr_matrix((90, 40))]).tocsr())
    assert singular_vectors(few) == 12
    assert default_space(far.PureSVD(), singular_vectors(few))["factors"] == [10]


def test_lengths_of_an_evaluation_adapt() -> None:
    model = far.Popularity().fit(TRAIN)
    assert far.evaluate(model, TRAIN, HELD_OUT).k == (5, 10, 20)
    lists, _ = model.recommend(TRAIN, N=12)
    assert far.evaluate_ranking(lists, TRAIN, HELD_OUT).k == (5, 10)
    assert far.evaluate_ranking(lists[:, :3], TRAIN, HELD_OUT).k == (3,)
    for k in (50, (5, 50)):
        with pytest.raises(ValueError, match="`k` must not exceed the number of items, 40, got 50"):
            far.evaluate(model, TRAIN, HELD_OUT, k=k)
    with pytest.raises(ValueError, match="`k` asks for lists of 20, but `item_ids` has 12 columns"):
        far.evaluate_ranking(lists, TRAIN, HELD_OUT, k=20)


# --- names ------------------------------------------------------------------------------------------------------------


def test_names_of_items() -> None:
    data = far.Interactions(sparse.csr_matrix([[1, 1, 0, 0], [1, 0, 1, 0]]), item_ids=["a", "b", "c", "d"])
    model = far.EASE().fit(data)
    ids, _ = model.recommend(data, N=3, items=[1, 2])
    assert data.item_names(ids).tolist() == [["c", None, None], ["b", None, None]]
    assert "d" not in data.item_names(ids)
    one = far.Interactions(sparse.csr_matrix([[1, 1, 1, 0]]), item_ids=["a", "b", "c", "d"])
    assert model.item_names(model.recommend(one, N=3)[0][0]).tolist() == ["d", None, None]


@pytest.mark.parametrize("labels", [np.array([7, 900]), np.array(["x", "yy"])], ids=["integers", "texts"])
def test_names_are_plain_and_keep_the_shape(labels: Any) -> None:
    data = far.Interactions(sparse.csr_matrix((1, 2)), item_ids=labels)
    for given in (np.array([[[1], [-1]]]), np.array([], np.int32), [], 0, np.uint8(1), [[-1, -1]]):
        names = data.item_names(given)
        assert isinstance(names, np.ndarray)
        assert names.dtype == object
        assert names.shape == np.shape(given)
    first = data.item_names([0, 1, -1]).tolist()
    assert first == [*labels.tolist(), None]
    assert type(first[0]) in (int, str)


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [([2], ValueError, r"in \[0, 2\), or -1 for none, got 2"), ([-2], ValueError, "got -2"),
     ([0.0], TypeError, "integer item numbers, got dtype float64"), (["a"], TypeError, "got dtype <U1"),
     ([True], TypeError, "got dtype bool")],
)  # fmt: skip
def test_what_has_no_name(ids: Any, error: type, message: str) -> None:
    data = far.Interactions(sparse.csr_matrix([[1, 0]]), item_ids=["a", "b"])
    for asked in (data, far.Popularity().fit(data)):
        with pytest.raises(error, match=message):
            asked.item_names(ids)
    with pytest.raises(far.NotFittedError):
        far.Popularity().item_names([0])


# --- nothing to go by, on every device --------------------------------------------------------------------------------


@every_device
@pytest.mark.parametrize("cls", [far.EASE, far.PureSVD, far.NCEPLRec, far.Popularity, far.NCEAutoRec])
def test_strangers_and_unknown_items_on_every_device(cls: Any, device: str) -> None:
    dense = TRAIN.toarray()
    dense[:, [11, 39]] = 0
    some = sparse.csr_matrix(dense)
    on_cpu, model = (cls(device=d).fit(some) for d in ("cpu", device))
    nothing, unknown = sparse.csr_matrix((1, 40)), sparse.csr_matrix(np.eye(40)[[11]])
    asked = sparse.vstack([some[:2], nothing, unknown, some[2:40]]).tocsr()
    for q in (3, 4, asked.shape[0]):
        for options in ({}, {"items": [4, 11, 30]}, {"filter_items": [0, 1]}, {"filter_already_liked_items": False}):
            expected, ids = (m.recommend(asked[:q], N=5, **options)[0] for m in (on_cpu, model))
            np.testing.assert_array_equal(host(ids)[2:4], expected[2:4])
    np.testing.assert_allclose(host(model.predict(asked))[2:4], on_cpu.predict(asked)[2:4], rtol=1e-3, atol=1e-5)
    ids, scores = model.similar_items([39, 11, 5], N=6)
    assert ids[:, 0].tolist() == [39, 11, 5]
    assert (ids[:2, 1:] == -1).all()
    assert np.isnan(scores[:2, 1:]).all()
    assert not {11, 39} & set(ids[2].tolist())


def test_popularity_knows_no_similarity() -> None:
    ids, scores = far.Popularity().fit(TRAIN).similar_items(3, N=2)
    assert ids.tolist() == [3, -1]
    np.testing.assert_array_equal(scores, [1, np.nan])


def test_many_strangers_at_once() -> None:
    model = far.EASE().fit(TRAIN)
    rows = sparse.vstack([sparse.csr_matrix((3000, 40)), TRAIN]).tocsr()
    ids, scores = model.recommend(rows, N=4)
    best = np.lexsort((np.arange(40), -TRAIN.sum(axis=0).A1))[:4]
    assert (ids[:3000] == best).all()
    np.testing.assert_array_equal(ids[3000:], model.recommend(TRAIN, N=4)[0])
    np.testing.assert_array_equal(scores[3000:], model.recommend(TRAIN, N=4)[1])


@every_device
def test_evaluations_judge_the_lists_that_strangers_get(device: str) -> None:
    dense = TRAIN.toarray()
    dense[:, [11, 39]] = 0
    fitted = sparse.csr_matrix(dense)
    dense[:6] = 0
    dense[:6, 11] = 1  # six users with an item without users
    asked, truth = sparse.csr_matrix(dense), sparse.csr_matrix(HELD_OUT)
    for cls in (far.EASE, far.PureSVD, far.NCEPLRec, far.Popularity):
        model = cls(device=device).fit(fitted)
        report = far.evaluate(model, asked, truth, k=(5, 20))
        expected = far.evaluate_ranking(model.recommend(asked, N=40)[0], asked, truth, k=(5, 20))
        for name in report:
            np.testing.assert_array_equal(report[name].per_user, expected[name].per_user)
        np.testing.assert_array_equal(report.heads, expected.heads)


def test_popularity_grows_with_new_users() -> None:
    model = make("AutoRec").fit(TRAIN)
    counts, users = model.item_counts_, model.n_users_
    model.partial_fit(NEW)
    np.testing.assert_array_equal(model.item_counts_, counts + NEW.sum(axis=0).A1)
    assert model.n_users_ == users + 10


# --- score ------------------------------------------------------------------------------------------------------------


def test_score_hides_the_smaller_half() -> None:
    model = far.EASE(regularization=10).fit(TRAIN)
    one_item = sparse.csr_matrix(np.eye(40, dtype=np.float32)[:3])
    with pytest.warns(UserWarning, match="is empty"), pytest.raises(ValueError, match="with items in both"):
        model.score(one_item)
    two = sparse.csr_matrix(np.eye(40, dtype=np.float32) + np.eye(40, k=1, dtype=np.float32))
    assert model.score(two) == model.score(sparse.vstack([two, one_item]).tocsr())
    assert 0 <= model.score(two) <= 1
    data = far.Interactions(TRAIN)
    assert model.score(data) == model.score(TRAIN) > far.Popularity().fit(TRAIN).score(TRAIN) / 2
    with pytest.raises(far.NotFittedError):
        far.EASE().score(TRAIN)


def test_scikit_learn_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.utils", None)
    model = far.EASE().fit(TRAIN)
    assert model.__sklearn_is_fitted__()
    assert not far.EASE().__sklearn_is_fitted__()
    assert model.score(TRAIN) > 0
