"""Two matrices meet: users and items are compared by id, put in order, or refused."""

from __future__ import annotations

import numpy as np
import pytest
from same_facts import (
    ITEMS,
    MATRIX,
    NUMBERED,
    REFUSED,
    TEST,
    TRAIN,
    USERS,
    K,
    M,
    N,
    bare,
    parts,
    renamed,
    shuffled,
    whole,
    without_times,
)

import fastautorec as far
from fastautorec import Interactions
from fastautorec.data import _identity as identity
from fastautorec.models import AutoRec

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


@pytest.mark.skipif(not hasattr(getattr(np, "dtypes", None), "StringDType"), reason="texts have one width in NumPy 1")
def test_texts_of_any_width():
    def wide(data):
        kept = np.dtypes.StringDType()
        ids = data.user_ids.astype(kept), data.item_ids.astype(kept)
        return Interactions._trusted(data.user_items, *ids, None, None)

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
