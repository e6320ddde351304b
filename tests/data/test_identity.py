"""Two matrices meet: users and items are compared by id, put in order, or refused."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from scipy import sparse

import fastautorec as far
from fastautorec import Interactions
from fastautorec.baselines._torch import TorchModel
from fastautorec.data import _identity as identity
from fastautorec.models import AutoRec

M, N, K = 60, 25, 5
RNG = np.random.default_rng(0)
MATRIX = sparse.csr_matrix(RNG.random((M, N)) < 0.3).astype(np.float32)
USERS, ITEMS = [f"u{k}" for k in range(M)], [f"i{k}" for k in range(N)]
NUMBERED = range(100, 100 + M), range(500, 500 + N)


def whole(users=USERS, items=ITEMS):
    return Interactions(MATRIX, users, items, np.arange(MATRIX.nnz) * 3)


def parts(**ids):
    return far.split(whole(**ids), (0.7, 0.3), by="random")


def shuffled(data, users=True, items=True):
    """The same facts with users and items in another order, made from scratch."""
    rows = np.random.default_rng(1).permutation(data.shape[0]) if users else np.arange(data.shape[0])
    cols = np.random.default_rng(2).permutation(data.shape[1]) if items else np.arange(data.shape[1])
    times = None
    if data.timestamps is not None:
        matrix = data.user_items.copy()
        matrix.data = data.timestamps.astype(np.float64) + 1  # a sparse zero is no entry
        times = sparse.csr_matrix(matrix[rows][:, cols])
        times.data -= 1
    return Interactions(data.user_items[rows][:, cols], data.user_ids[rows], data.item_ids[cols], times)


def renamed(data, users=None, items=None):
    user_ids = data.user_ids.tolist() if users is None else users(data.user_ids.tolist())
    item_ids = data.item_ids.tolist() if items is None else items(data.item_ids.tolist())
    return Interactions(data.user_items, user_ids, item_ids)


def without_times(data):
    return renamed(data)


def bare(data):
    return Interactions(data.user_items)


def same(a, b):
    assert a.shape == b.shape
    assert np.array_equal(a.user_ids, b.user_ids)
    assert np.array_equal(a.item_ids, b.item_ids)
    assert np.array_equal(a.user_items.toarray(), b.user_items.toarray())
    assert (a.timestamps is None) == (b.timestamps is None)
    if a.timestamps is not None:
        assert np.array_equal(a.timestamps, b.timestamps)


TRAIN, TEST = parts()

REFUSED = {
    "another user": (
        renamed(TEST, users=lambda ids: [*ids[:7], "zoe", *ids[8:]]),
        r"`%(b)s` has other users than `%(a)s` \(1 of its 60 are not there, 1 of the 60 there are missing\): "
        r"row 7 is zoe, in `%(a)s` u7; use %(b)s\.with_users\(%(a)s\.user_ids\), or far\.align\(%(a)s, %(b)s",
    ),
    "another item": (
        renamed(TEST, items=lambda ids: ["kiwi", *ids[1:]]),
        r"has other items than `%(a)s` .*column 0 is kiwi, in `%(a)s` i0; use %(b)s\.with_items\(%(a)s\.item_ids\)",
    ),
    "fewer users": (
        Interactions(TEST.user_items[:50], USERS[:50], ITEMS),
        r"\(10 of the 60 there are missing\): it lacks u50, row 50 of `%(a)s`; use %(b)s\.with_users",
    ),
    "fewer users in another order": (
        Interactions(TEST.user_items[:50][::-1], USERS[:50][::-1], ITEMS),
        r"it lacks u50, row 50 of `%(a)s`; use %(b)s\.with_users",
    ),
    "more users": (
        TEST.with_users([*USERS, "zoe"]),
        r"\(1 of its 61 are not there\): row 60 is zoe; use %(b)s\.with_users",
    ),
    "integers for users": (
        renamed(TEST, users=lambda ids: range(len(ids))),
        r"the ids of the users of `%(b)s` are integers, those of `%(a)s` texts: row 0 is 0, in `%(a)s` 'u0'",
    ),
    "integers for items": (
        renamed(TEST, items=lambda ids: range(len(ids))),
        r"the ids of the items of `%(b)s` are integers, those of `%(a)s` texts: column 0 is 0, in `%(a)s` 'i0'",
    ),
}
LISTS = far.Popularity().fit(TRAIN).recommend(TRAIN, N=N)[0]
MEETINGS = {
    "evaluate": (lambda a, b: far.evaluate(far.EASE(50).fit(a), a, b, k=K).to_dict(), "train", "test"),
    "evaluate_ranking": (lambda a, b: far.evaluate_ranking(LISTS, a, b, k=K).to_dict(), "train", "test"),
    "fit": (
        lambda a, b: [
            r["metric"] for r in far.NCEPLRec(8, regularization=[1.0, 9.0]).fit(a, b).history_ if "metric" in r
        ],
        "user_items",
        "validation",
    ),
    "+": (lambda a, b: (a + b).user_items.toarray().tolist(), "a", "b"),
}


@pytest.fixture(params=sorted(MEETINGS))
def meeting(request):
    return MEETINGS[request.param]


class TestMeetings:
    @pytest.mark.parametrize(("users", "items"), [(True, False), (False, True), (True, True)])
    @pytest.mark.parametrize(
        "ids", [(USERS, ITEMS), NUMBERED, (USERS, NUMBERED[1])], ids=["texts", "integers", "mixed"]
    )
    def test_the_same_ones_in_another_order(self, meeting, users, items, ids):
        do, *_ = meeting
        train, test = parts(users=ids[0], items=ids[1])
        assert do(train, shuffled(test, users, items)) == do(train, test)

    @pytest.mark.parametrize("case", sorted(REFUSED))
    def test_others_are_refused(self, meeting, case):
        do, reference, name = meeting
        other, message = REFUSED[case]
        with pytest.raises(ValueError, match=message % {"a": reference, "b": name}):
            do(TRAIN, other)

    def test_bare_ones_are_not_compared(self, meeting):
        do, *_ = meeting
        strangers = renamed(TEST, users=lambda ids: [f"v{k}" for k in range(M)], items=lambda ids: range(N))
        train, test = without_times(TRAIN), without_times(TEST)
        expected = do(train, test)
        for pair in ((bare(train), strangers), (train, bare(test)), (bare(train), bare(test))):
            assert do(*pair) == expected

    def test_bare_shapes_name_the_way_on(self, meeting):
        do, reference, name = meeting
        few = Interactions(TEST.user_items[:50])
        train = bare(TRAIN)
        message = rf"`{name}` must have the shape of `{reference}`, \(60, 25\), got \(50, 25\).*far\.align"
        with pytest.raises(ValueError, match=message):
            do(train, few)

    def test_scipy_matrices_are_not_compared(self, meeting):
        do, _, name = meeting
        if name == "b":
            pytest.skip("SciPy adds its own")
        expected = do(TRAIN, TEST)
        assert do(TRAIN.user_items, TEST) == do(TRAIN, TEST.user_items) == expected

    def test_one_axis_may_be_bare(self, meeting):
        do, *_ = meeting
        users, items = (without_times(part) for part in (TRAIN, TEST)), (without_times(part) for part in (TRAIN, TEST))
        train, test = (Interactions(part.user_items, part.user_ids) for part in users)
        expected = do(train, test)
        assert do(train, shuffled(test, items=False)) == expected
        train, test = (Interactions(part.user_items, None, part.item_ids) for part in items)
        moved = shuffled(test, users=False)
        assert do(train, Interactions(moved.user_items, None, moved.item_ids)) == expected


def test_the_readme_of_a_split_from_elsewhere():
    def table(*pairs):
        users, items = zip(*pairs, strict=True)
        return Interactions.from_dataframe({"user": list(users), "item": list(items)}, "user", "item")

    train = table("ap", "aq", "bq", "br", "cp", "cr")
    test = table("ar", "bp", "ds")
    assert train.shape == test.shape
    model = far.EASE().fit(train)
    with pytest.raises(ValueError, match=r"row 2 is d, in `train` c.*far\.align\(train, test\)"):
        far.evaluate(model, train, test, k=1)
    with pytest.warns(UserWarning, match=r"of `others\[0\]` 1 of 3 users and 1 of 3 items, with 1 of 3 interactions"):
        train, test = far.align(train, test)
    assert far.evaluate(model, train, test, k=1)["Recall@1"].mean == 1.0


# --- data and a model -------------------------------------------------------------------------------------------------

OURS = {
    far.NCEAutoRec: {"factors": 6},
    far.NSAutoRec: {"factors": 6, "epochs": 2},
    far.OHNSAutoRec: {"factors": 6, "epochs": 2},
    far.AutoRec: {"factors": 6, "epochs": 2},
    far.EASE: {"regularization": 50.0},
    far.NCEPLRec: {"factors": 6},
    far.PureSVD: {"factors": 6},
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
    if "users" in weights:  # CDAE begins with zeros, which tell nobody from another
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
    ours = {value.__name__ for value in vars(far).values() if isinstance(value, type) and hasattr(value, "recommend")}
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
        models = [make(name).fit(TRAIN) for _ in range(2)]
        if not hasattr(models[0], "partial_fit") or not any(models[0].best_epochs_):  # the exact solution
            pytest.skip("it cannot go on")
        for model, data in zip(models, (TEST, shuffled(TEST, users=False)), strict=True):
            model.partial_fit(data)
        assert np.array_equal(models[0].predict(TRAIN), models[1].predict(TRAIN))

    def test_bare_data_are_not_compared(self, fitted, name):
        model = fitted(name)
        assert np.array_equal(model.predict(bare(TRAIN)), model.predict(TRAIN))
        unnamed = make(name).fit(bare(TRAIN))
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


# --- reports, searches and checkpoints --------------------------------------------------------------------------------


def test_compare_refuses_other_test_items():
    def report(seed):
        train, test = far.split(MATRIX, (0.7, 0.3), by="random", random_state=seed)
        return far.evaluate(far.Popularity().fit(train), train, test, k=K)

    first, second = report(0), report(1)
    assert np.array_equal(first.n_test_items, second.n_test_items)
    for pair in ((first, second), (first.at(k=3), second.at(k=3))):
        with pytest.raises(
            ValueError, match=r"other test items: of row 0 item \d+ and item \d+; evaluate both with the same"
        ):
            far.compare(*pair)
        with pytest.raises(ValueError, match="other test items"):
            far.evaluation.compare_users(*pair)
    assert far.compare(first, report(0))["NDCG"].difference == 0


def test_compare_takes_reports_of_one_split_in_any_order():
    reports = [far.evaluate(far.EASE(50).fit(TRAIN), TRAIN, test, k=K) for test in (TEST, shuffled(TEST))]
    assert far.compare(*reports)["NDCG"].difference == 0


def search(train, validation, **options):
    pytest.importorskip("optuna")
    return far.tune(far.EASE, train, validation, {"regularization": [1.0, 30.0]}, n_trials=2, **options)


def test_tune_takes_any_order_and_refuses_others():
    expected, moved = search(TRAIN, TEST), search(TRAIN, shuffled(TEST))
    assert [trial["metric"] for trial in moved.trials] == [trial["metric"] for trial in expected.trials]
    for case, (other, message) in REFUSED.items():
        with pytest.raises(ValueError, match=message % {"a": "train", "b": "validation"}):
            search(TRAIN, other)
        assert case
    with pytest.raises(ValueError, match=r"shape of `train`, \(60, 25\), got \(50, 25\).*far\.align"):
        search(TRAIN.user_items, TEST.user_items[:50])
    final = expected.refit(TRAIN + TEST)
    assert np.array_equal(final.predict(TRAIN), far.EASE(**expected.best_params).fit(whole()).predict(TRAIN))


def test_a_search_is_of_data_with_these_ids(tmp_path):
    search(TRAIN, TEST, storage=tmp_path / "search")
    search(TRAIN, shuffled(TEST), storage=tmp_path / "search")
    others = [Interactions(part.user_items, part.user_ids, ITEMS[::-1]) for part in (TRAIN, TEST)]
    with pytest.raises(ValueError, match="differs in its ids"):
        search(*others, storage=tmp_path / "search")


def test_a_checkpoint_is_of_data_with_these_ids(tmp_path):
    def model():
        return AutoRec(factors=4, epochs=2, num_threads=1)

    file = tmp_path / "checkpoint"
    expected = model().fit(TRAIN, checkpoint=file).predict(TRAIN)
    assert np.array_equal(model().fit(TRAIN, resume=file).predict(TRAIN), expected)
    others = Interactions(TRAIN.user_items, USERS, ITEMS[::-1])
    with pytest.raises(far.ModelFileError, match=r"its ids differ \(other ids\)"):
        model().fit(others, resume=file)
    with pytest.raises(far.ModelFileError, match=r"its ids differ \(some there\)"):
        model().fit(TRAIN.user_items, resume=file)


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="texts have one width in NumPy 1")
def test_texts_of_any_width():
    def wide(data):
        kept = np.dtypes.StringDType()
        ids = data.user_ids.astype(kept), data.item_ids.astype(kept)
        return Interactions._trusted(data.user_items, *ids, None)

    train, test, moved = (wide(data) for data in (TRAIN, TEST, shuffled(TEST)))
    expected = far.evaluate(far.EASE(50).fit(TRAIN), TRAIN, TEST, k=K).to_dict()
    for a, b in ((train, test), (train, moved), (TRAIN, moved), (train, shuffled(TEST))):
        assert far.evaluate(far.EASE(50).fit(a), a, b, k=K).to_dict() == expected
    assert identity.fingerprint(train) == identity.fingerprint(TRAIN)
    assert far.align(train, wide(renamed(TEST, users=lambda ids: [*ids[:-1], "zoe"])), unknown="keep")[1].shape == (
        61,
        N,
    )
    with pytest.raises(ValueError, match="row 7 is zoe, in `train` u7"):
        far.evaluate(far.EASE(50).fit(train), train, wide(REFUSED["another user"][0]), k=K)
    with pytest.raises(ValueError, match="are integers, those of `train` texts"):
        far.evaluate(far.EASE(50).fit(train), train, REFUSED["integers for users"][0], k=K)


def test_fingerprints():
    assert identity.fingerprint(TRAIN) == identity.fingerprint(TEST)
    assert identity.fingerprint(bare(TRAIN)) is identity.fingerprint(MATRIX) is None
    numbers, texts = ([Interactions(MATRIX, kind(range(M)))] for kind in (list, lambda some: [str(k) for k in some]))
    prints = {identity.fingerprint(data) for data in (*numbers, *texts, TRAIN, shuffled(TRAIN, items=False))}
    assert len(prints) == 4
