"""Data meet a fitted model: items, and users where it knows them, are compared by id, put in order, or refused."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from same_facts import ITEMS, REFUSED, TEST, TRAIN, USERS, K, M, bare, shuffled

import fastautorec as far
from fastautorec import Interactions
from fastautorec.baselines._torch import TorchModel
from fastautorec.models import Recommender

OURS = {
    far.NCEAutoRec: {"factors": 6},
    far.NSAutoRec: {"factors": 6, "epochs": 2},
    far.OHNSAutoRec: {"factors": 6, "epochs": 2},
    far.AutoRec: {"factors": 6, "epochs": 2},
    far.EASE: {"regularization": 50.0},
    far.NCEPLRec: {"factors": 6},
    far.PureSVD: {"factors": 6},
    far.NCEAutoRecCV: {"factors": 6, "dropout": [0.0, 0.5], "regularization": [0.1, 1.0]},
    far.DLAE: {},
    far.DLAECV: {"regularization": [1.0, 10.0]},
    far.RP3beta: {},
    far.ItemKNN: {},
    far.Popularity: {},
}
BASELINES = {
    "BPR": {"factors": 6, "epochs": 2},
    "WRMF": {"factors": 6, "epochs": 2},
    "CML": {"factors": 6, "epochs": 2, "negatives": 4},
    "CDAE": {"factors": 6, "epochs": 2},
    "VAECF": {"factors": 4, "hidden": 8, "epochs": 2, "annealing": 1},
}
KNOW_USERS = ("CML", "CDAE")
NEEDS_IMPLICIT = ("BPR", "WRMF")
MADE = {cls.__name__: (cls, params) for cls, params in OURS.items()}
MADE |= {name: (getattr(far.baselines, name), params) for name, params in BASELINES.items()}


def untrained(model, run):
    """Fit as the models of PyTorch do where there is none: with the weights that training starts from."""
    rng = np.random.default_rng(3)
    weights = model._start(*run.train.shape, rng)
    if "users" in weights:  # CDAE begins with zeros, which tell no user from another
        weights["users"] = rng.normal(size=weights["users"].shape).astype(np.float32)
    return model._taken(weights, run.train) | {
        "n_users_": run.train.shape[0],
        "best_epochs_": (0,),
        "trained_on_": "cpu",
    }


@pytest.fixture(scope="module", autouse=True)
def _without_torch():
    with pytest.MonkeyPatch.context() as patch:
        if importlib.util.find_spec("torch") is None:
            patch.setattr(TorchModel, "_fit", untrained)
        yield


def make(name):
    if name in NEEDS_IMPLICIT:
        pytest.importorskip("implicit")
    cls, params = MADE[name]
    return cls(**params, device="cpu", num_threads=1)


@pytest.fixture(scope="module")
def fitted():
    models = {}

    def get(name):
        if name not in models:
            models[name] = make(name).fit(TRAIN)
        return models[name]

    return get


def test_every_model_is_here():
    assert set(far.baselines.__all__) == set(BASELINES)
    public = [getattr(far, name) for name in far.__all__]
    ours = {value.__name__ for value in public if isinstance(value, type) and issubclass(value, Recommender)}
    assert ours == {cls.__name__ for cls in OURS}


@pytest.mark.parametrize("name", sorted(MADE))
class TestModels:
    def test_fit_brings_validation_to_its_order(self, name):
        expected, moved = make(name).fit(TRAIN, TEST), make(name).fit(TRAIN, shuffled(TEST))
        metrics = [[record.get("metric") for record in model.history_] for model in (expected, moved)]
        assert metrics[0] == metrics[1]
        assert np.array_equal(moved.predict(TRAIN), expected.predict(TRAIN))

    def test_fit_refuses_other_users(self, name):
        with pytest.raises(ValueError, match="`validation` has other users than `user_items`"):
            make(name).fit(TRAIN, REFUSED["another user"][0])

    def test_evaluate_takes_any_order(self, fitted, name):
        model = fitted(name)
        expected = far.evaluate(model, TRAIN, TEST, k=K)
        users = shuffled(TRAIN, items=False)
        for train, test in ((TRAIN, shuffled(TEST)), (shuffled(TRAIN, users=False), TEST), (users, shuffled(TEST))):
            report = far.evaluate(model, train, test, k=K)
            rows = TRAIN.user_index(train.user_ids[report.users])
            assert np.array_equal(np.sort(rows), expected.users)
            for metric in expected:
                by_row = dict(zip(expected.users.tolist(), expected[metric].per_user, strict=True))
                assert np.allclose(report[metric].per_user, [by_row[row] for row in rows.tolist()], atol=1e-12)
            names = dict(zip(expected.users.tolist(), TRAIN.item_ids[expected.heads].tolist(), strict=True))
            assert train.item_ids[report.heads].tolist() == [names[row] for row in rows.tolist()]

    def test_evaluate_compares_test_items_with_the_model_where_train_has_none(self, fitted, name):
        model = fitted(name)
        expected = far.evaluate(model, TRAIN, TEST, k=K).to_dict()
        for test in (TEST, shuffled(TEST, users=False)):
            assert far.evaluate(model, TRAIN.user_items, test, k=K).to_dict() == expected
        with pytest.raises(ValueError, match=r"`test` has other items than the model .*column 0 is kiwi"):
            far.evaluate(model, TRAIN.user_items, REFUSED["another item"][0], k=K)

    def test_what_counts_columns_wants_their_order(self, fitted, name):
        model, moved = fitted(name), shuffled(TRAIN, users=False)
        for answer in (model.recommend, model.predict):
            with pytest.raises(
                ValueError, match=r"items of the model in another order.*with_items\(model\.item_ids_\)"
            ):
                answer(moved)
        assert np.array_equal(model.predict(moved.with_items(model.item_ids_)), model.predict(TRAIN))

    @pytest.mark.parametrize("case", ["another item", "integers for items"])
    def test_other_items_are_refused(self, fitted, name, case):
        model, (other, _) = fitted(name), REFUSED[case]
        calls = [model.recommend, model.predict, lambda data: far.evaluate(model, data, data, k=K)]
        calls += [getattr(model, way) for way in ("embed", "partial_fit") if hasattr(model, way)]
        message = {
            "another item": "column 0 is kiwi, in the model i0",
            "integers for items": "are integers, those of the",
        }
        for call in calls:
            with pytest.raises(ValueError, match=message[case]):
                call(other)

    def test_embed_takes_any_order(self, fitted, name):
        model = fitted(name)
        if not hasattr(model, "embed"):
            pytest.skip("it has no vectors of users")
        moved = model.embed(shuffled(TRAIN, users=False))
        assert np.array_equal(moved, model.embed(TRAIN))

    def test_partial_fit_takes_any_order(self, name):
        exactly = {"updatable": True} if name in ("EASE", "NCEAutoRec", "NCEPLRec") else {}
        models = [make(name).set_params(**exactly).fit(TRAIN) for _ in range(2)]
        for model, data in zip(models, (TEST, shuffled(TEST, users=False)), strict=True):
            try:
                model.partial_fit(data)
            except ValueError as error:
                if "cannot learn from new users" not in str(error):
                    raise
                pytest.skip("it cannot go on")
        assert np.array_equal(models[0].predict(TRAIN), models[1].predict(TRAIN))

    def test_bare_data_are_not_compared(self, fitted, name):
        judged = name.endswith("CV")  # by the latest interactions, which bare data do not tell
        model = make(name).fit(TRAIN, validation=TEST) if judged else fitted(name)
        assert np.array_equal(model.predict(bare(TRAIN)), model.predict(TRAIN))
        unnamed = make(name).fit(bare(TRAIN), validation=bare(TEST) if judged else None)
        assert unnamed.item_ids_ is None
        assert np.array_equal(unnamed.predict(TRAIN), model.predict(TRAIN))

    def test_ids_are_saved(self, fitted, name, tmp_path):
        model = fitted(name)
        model.save(tmp_path / "model.npz")
        loaded = far.load(tmp_path / "model.npz")
        assert np.array_equal(loaded.item_ids_, TRAIN.item_ids)
        if name in KNOW_USERS:
            assert np.array_equal(loaded.user_ids_, TRAIN.user_ids)
            assert np.array_equal(
                loaded.predict(shuffled(TRAIN, items=False)), model.predict(shuffled(TRAIN, items=False))
            )


@pytest.mark.parametrize("name", KNOW_USERS)
class TestModelsThatKnowUsers:
    def test_users_are_found_by_id(self, fitted, name):
        model = fitted(name)
        scores = model.predict(TRAIN)
        for rows in (np.arange(M)[::-1], np.array([7, 3, 50])):
            some = Interactions(TRAIN.user_items[rows], TRAIN.user_ids[rows], TRAIN.item_ids)
            np.testing.assert_allclose(
                model.predict(some), scores[rows], atol=1e-5
            )  # few rows are multiplied another way
            assert np.array_equal(model.recommend(some)[0], model.recommend(TRAIN)[0][rows])

    def test_other_users_are_refused(self, fitted, name):
        model = fitted(name)
        for call in (model.recommend, model.predict, lambda data: far.evaluate(model, data, data, k=K)):
            with pytest.raises(
                ValueError, match=r"row 7 is zoe, in the model u7; use .*fit again to take in new users"
            ):
                call(REFUSED["another user"][0])
            with pytest.raises(ValueError, match=r"users of `\w+` are integers, those of the model texts"):
                call(REFUSED["integers for users"][0])

    def test_bare_rows_are_counted(self, fitted, name):
        model = fitted(name)
        for few in (TRAIN.user_items[:9], Interactions(TRAIN.user_items[:9], None, ITEMS)):
            with pytest.raises(ValueError, match=r"one row for each of the 60 users.*Interactions with user_ids"):
                model.recommend(few)
        unnamed = make(name).fit(bare(TRAIN))
        assert unnamed.user_ids_ is None
        with pytest.raises(ValueError, match="one row for each of the 60 users"):
            unnamed.recommend(Interactions(TRAIN.user_items[:9], USERS[:9], ITEMS))

    def test_files_without_user_ids(self, fitted, name, tmp_path, monkeypatch):
        model = fitted(name)
        monkeypatch.setattr(type(model), "_stored_arrays", classmethod(lambda cls: (*cls._arrays, "item_ids_")))
        model.save(tmp_path / "old.npz")
        monkeypatch.undo()
        old = far.load(tmp_path / "old.npz")
        assert old.user_ids_ is None
        assert np.array_equal(old.predict(TRAIN), model.predict(TRAIN))


@pytest.mark.usefixtures("emulation")
@pytest.mark.parametrize("name", ["EASE", "NCEAutoRec", "NSAutoRec"])
def test_a_device_sees_what_is_in_order(name):
    cls, params = MADE[name]
    models = [cls(**params, device="cuda").fit(TRAIN, test) for test in (TEST, shuffled(TEST))]
    metrics = [[record.get("metric") for record in model.history_] for model in models]
    assert metrics[0] == metrics[1]
    expected = far.evaluate(models[0], TRAIN, TEST, k=K)
    train = shuffled(TRAIN, users=False)
    report = far.evaluate(models[0], train, shuffled(TEST), k=K)
    assert report.to_dict() == expected.to_dict()
    assert train.item_ids[report.heads].tolist() == TRAIN.item_ids[expected.heads].tolist()
    with pytest.raises(ValueError, match="column 0 is kiwi, in the model i0"):
        models[0].recommend(REFUSED["another item"][0])
