"""Rows and columns by id: `with_users`, `with_items`, `align` and sums."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from drawn_interactions import M, N, facts, random_data, texts
from scipy import sparse

import fastautorec as far
from fastautorec import Interactions
from fastautorec.data import _rearranging as rearranging
from fastautorec.data._identity import places

# Tests of what is left take it that something is left out; that this is told is tested in test_renumbering.
pytestmark = pytest.mark.filterwarnings("ignore:with_(users|items) has left out")


def check_canonical(data):
    matrix = data.user_items
    assert data.shape == matrix.shape == (len(data.user_ids), len(data.item_ids))
    keys = matrix.tocoo().row.astype(np.int64) * data.shape[1] + matrix.indices
    assert (np.diff(keys) > 0).all()
    assert matrix.data.dtype == np.float32
    assert (matrix.data == 1).all()
    assert data.timestamps is None or len(data.timestamps) == matrix.nnz


@pytest.fixture(params=["whole", "small blocks"])
def blocks(request, monkeypatch):
    if request.param == "small blocks":
        monkeypatch.setattr(rearranging, "BLOCK", 7)


@pytest.fixture(params=["memory", "disk", "block"])
def stored(request, tmp_path):
    """Put data into memory, on disk or into a block."""

    def put(data):
        if request.param == "disk":
            data.to_disk(tmp_path / "data", overwrite=True)
            return Interactions.open(tmp_path / "data")
        return next(data.blocks(1000)) if request.param == "block" else data

    return put


# --- with_users and with_items ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("times", [False, True])
@pytest.mark.parametrize("kind", ["texts", "integers"])
def test_rows_and_columns_by_id(stored, times, kind):
    numbers = kind == "integers"
    users = np.random.default_rng(1).permutation(M) + 7 if numbers else texts(7, M, "u")
    items = np.random.default_rng(2).permutation(N) - 3 if numbers else texts(-3, N, "i")
    data = stored(random_data(0, users, items, times))
    wanted_users = np.array([5, 30, 12, 46, 90]) if numbers else ["u5", "u30", "u12", "u46", "u90"]
    wanted_items = np.array([8, -3, 70, 2]) if numbers else ["i8", "i-3", "i70", "i2"]
    for result, users_now, items_now in (
        (data.with_users(wanted_users), wanted_users, items),
        (data.with_items(wanted_items), users, wanted_items),
        (data.with_users(wanted_users).with_items(wanted_items), wanted_users, wanted_items),
        (data.with_items(wanted_items).with_users(wanted_users), wanted_users, wanted_items),
    ):
        check_canonical(result)
        assert result.user_ids.tolist() == list(users_now)
        assert result.item_ids.tolist() == list(items_now)
        expected = {pair: time for pair, time in facts(data).items() if pair[0] in users_now and pair[1] in items_now}
        assert facts(result) == expected
        assert expected


def test_there_and_back(stored):
    data = stored(random_data(3, texts(0, M, "u"), texts(0, N, "i")))
    moved = data.with_users(data.user_ids[::-1]).with_items(data.item_ids[::-1])
    assert facts(moved) == facts(data)
    back = moved.with_users(data.user_ids).with_items(data.item_ids)
    assert np.array_equal(back.user_items.toarray(), data.user_items.toarray())
    assert np.array_equal(back.timestamps, data.timestamps)


def test_integers_find_the_texts_that_they_print_as():
    data = Interactions(sparse.eye(4, format="csr"), ["7", "007", "-1", "x"], [1, 2, 3, 4], [10, 20, 30, 40])
    both = data.with_users([-1, 7]).with_items(["4", "3", "1", "01"])
    assert both.user_items.toarray().tolist() == [[0, 1, 0, 0], [0, 0, 1, 0]]
    assert both.timestamps.tolist() == [30, 10]


@pytest.mark.parametrize("ids", [[], np.array([], str)])
def test_no_ids(ids):
    data = random_data(0, texts(0, M, "u"), texts(0, N, "i"))
    assert data.with_users(ids).shape == (0, N)
    assert data.with_items(ids).shape == (M, 0)
    assert data.with_users(ids).nnz == data.with_items(ids).nnz == len(data.with_users(ids).timestamps) == 0
    assert data.with_users(ids).with_users(data.user_ids).shape == (M, N)


def test_repeated_ids_are_refused():
    data = random_data(0)
    with pytest.raises(ValueError, match="`user_ids` must be distinct, got 3 more than once"):
        data.with_users([1, 3, 3])
    with pytest.raises(ValueError, match="`item_ids` must be distinct, got 3 more than once"):
        data.with_items([1, 3, 3])


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint16, str])
def test_places(dtype):
    rng = np.random.default_rng(0)
    among = rng.permutation(200)[:90]
    ids = rng.permutation(250)[:120]
    expected = [among.tolist().index(value) if value in among else -1 for value in ids.tolist()]
    for those in (among, np.sort(among)):
        found = places(ids.astype(dtype), those.astype(dtype))
        assert found.dtype == np.int64
        assert those[found[found >= 0]].tolist() == ids[found >= 0].tolist()
        assert ((found < 0) == ~np.isin(ids, those)).all()
    assert places(ids.astype(dtype), among.astype(dtype)).tolist() == expected
    assert places(ids.astype(str), among.astype(np.int64)).tolist() == expected
    assert places(ids.astype(dtype), among[:0].astype(dtype)).tolist() == [-1] * 120


# --- sums -------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("times", [False, True])
def test_sums(stored, times):
    users, items = texts(0, M, "u"), texts(0, N, "i")
    a, b = random_data(1, users, items, times), random_data(2, users, items, times)
    turned = b.with_users(users[::-1]).with_items(items[::-1])
    for other in (b, turned):
        both = stored(a) + other
        check_canonical(both)
        assert both.user_ids.tolist() == users.tolist()
        assert both.item_ids.tolist() == items.tolist()
        latest = (
            {key: max((d[key] for d in (facts(a), facts(b)) if key in d), default=0) for key in facts(both)}
            if times
            else {}
        )
        assert facts(both) == (latest if times else facts(a) | facts(b))
        assert facts(both).keys() == facts(a).keys() | facts(b).keys()
    assert any(key in facts(b) for key in facts(a))


def test_parts_make_the_whole(stored):
    data = random_data(4, texts(0, M, "u"), texts(0, N, "i"))
    pieces = far.split(stored(data), by="time")
    for total in (sum(pieces), pieces[2] + (pieces[1] + pieces[0])):
        assert np.array_equal(total.user_items.toarray(), data.user_items.toarray())
        assert np.array_equal(total.timestamps, data.timestamps)
        assert np.array_equal(total.user_ids, data.user_ids)


def test_histories_of_a_final_test():
    data = random_data(4, texts(0, M, "u"), texts(0, N, "i"), density=0.6)
    train, validation, test = far.split(data, by="random")
    model = far.EASE(50).fit(train, validation)
    expected = far.evaluate(model, (train.user_items + validation.user_items), test, k=3)
    lists, _ = model.recommend(train + validation, N=N)
    turned = validation.with_items(data.item_ids[::-1])
    for history in (train + validation, validation + train, train + turned):
        assert far.evaluate(model, history, test, k=3).to_dict() == expected.to_dict()
    assert far.evaluate_ranking(lists, train + validation, test, k=3).to_dict() == expected.to_dict()
    assert (turned + train).item_ids.tolist() == data.item_ids[::-1].tolist()


def test_sums_that_have_no_meaning():
    users, items = texts(0, M, "u"), texts(0, N, "i")
    data, untimed = random_data(1, users, items), random_data(1, users, items, times=False)
    with pytest.raises(ValueError, match="both have timestamps or neither, but only `a` has; give `b` some"):
        data + untimed
    with pytest.raises(ValueError, match=r"but only `b` has; give `a` some, or take Interactions\(b\.user_items"):
        untimed + data
    for wrong in (data.user_items, 3, "x", None):
        with pytest.raises(TypeError, match="`\\+` joins Interactions with Interactions, got "):
            data + wrong
        with pytest.raises(TypeError, match="`\\+` joins Interactions with Interactions, got "):
            wrong + data
    told = r"it lacks .*; use far\.align\(a, b, unknown='keep'\), with all .*, or b\.with_users\(a\.user_ids\), without"
    with pytest.raises(ValueError, match=told):
        data + data.with_users(users[3:])
    with pytest.raises(ValueError, match=r"`b` must have the shape of `a`, \(40, 17\), got \(9, 17\)"):
        random_data(1) + Interactions(sparse.csr_matrix((9, N)), timestamps=[])
    assert np.array_equal((0 + data).timestamps, data.timestamps)


def test_ids_come_from_the_side_that_has_some():
    users, items = texts(0, M, "u"), texts(0, N, "i")
    named, bare = random_data(1, users, items), random_data(2)
    for total in (named + bare, bare + named):
        assert total.user_ids.tolist() == users.tolist()
        assert total.item_ids.tolist() == items.tolist()
        assert total._ids_given == (True, True)
    assert (bare + bare)._ids_given == (False, False)


# --- align ------------------------------------------------------------------------------------------------------------


def apart():
    """Training, validation and test data that share some users and items."""
    return (
        random_data(1, texts(0, M, "u"), texts(0, N, "i")),
        random_data(2, texts(5, M, "u"), texts(2, N, "i")),
        random_data(3, texts(20, M, "u"), texts(1, N, "i")),
    )


@pytest.mark.parametrize("count", [1, 2])
def test_align_drops_what_train_does_not_know(count):
    train, *others = apart()[: count + 1]
    with pytest.warns(
        UserWarning, match=r"`train` does not know: of `others\[0\]` 5 of 40 users and 2 of 17 items, with \d+ of"
    ):
        first, *rest = far.align(train, *others)
    assert first is train
    for result, data in zip(rest, others, strict=True):
        check_canonical(result)
        assert result.user_ids is train.user_ids
        assert result.item_ids is train.item_ids
        known = set(train.user_ids), set(train.item_ids)
        assert facts(result) == {
            key: time for key, time in facts(data).items() if key[0] in known[0] and key[1] in known[1]
        }


def test_align_keeps_what_train_does_not_know():
    train, *others = apart()
    results = far.align(train, *others, unknown="keep")
    for result, data in zip(results, (train, *others), strict=True):
        check_canonical(result)
        assert facts(result) == facts(data)
        assert result.user_ids.tolist() == results[0].user_ids.tolist()
        assert result.item_ids.tolist() == results[0].item_ids.tolist()
    assert results[0].shape == (60, 19)
    assert results[0].user_ids[:M].tolist() == train.user_ids.tolist()
    assert results[0].user_ids[M : M + 5].tolist() == [
        u for u in others[0].user_ids.tolist() if u not in train.user_ids
    ]
    report = far.evaluate(far.Popularity().fit(results[0]), results[0], results[2], k=5)
    assert report.n_without_train == 20


def test_align_refuses_what_train_does_not_know():
    train, other, _ = apart()
    stranger = next(row for row, user in enumerate(other.user_ids.tolist()) if user not in set(train.user_ids.tolist()))
    message = rf"`others\[0\]` has other users than `train` .*row {stranger} is {other.user_ids[stranger]}, in `train`"
    with pytest.raises(ValueError, match=message):
        far.align(train, other, unknown="raise")
    with pytest.raises(ValueError, match="has other items"):
        far.align(train, other.with_users(train.user_ids), unknown="raise")
    some = other.with_users(train.user_ids[3:9]).with_items(train.item_ids[:5])
    assert far.align(train, some, unknown="raise")[1].shape == train.shape


def test_align_changes_nothing_where_nothing_differs():
    train, validation, test = far.split(apart()[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [a is b for a, b in zip(far.align(train, validation, test), (train, validation, test), strict=True)] == [
            True
        ] * 3
        turned = validation.with_users(train.user_ids[::-1]).with_items(train.item_ids[::-1])
        _, back = far.align(train, turned)
    assert facts(back) == facts(validation)


def test_align_of_texts_and_integers():
    numbers = random_data(1, range(M), range(N))
    strings = random_data(2, [str(k) for k in range(5, 5 + M)], [str(k) for k in range(N)])
    with pytest.warns(UserWarning, match="5 of 40 users and 0 of 17 items"):
        _, result = far.align(numbers, strings)
    assert {(str(user), str(item)): time for (user, item), time in facts(result).items()}.items() <= facts(
        strings
    ).items()
    assert result.nnz > 0
    message = r"the ids of the users of `others\[0\]` are texts, those of `train` integers.* convert the ids of one of"
    with pytest.raises(ValueError, match=message) as error:
        far.align(numbers, strings, unknown="keep")
    assert "'keep'" not in str(error.value)


@pytest.mark.parametrize("unknown", ["drop", "keep", "raise"])
def test_align_of_rows_without_ids(unknown):
    train, other, bare = random_data(1, texts(0, M, "u"), texts(0, N, "i")), random_data(2), random_data(3)
    for result in far.align(train, other, unknown=unknown)[1:]:
        assert np.array_equal(result.user_items.toarray(), other.user_items.toarray())
        assert result.user_ids is train.user_ids
    assert far.align(bare, other, unknown=unknown) == (bare, other)
    if unknown == "keep":
        more = train.with_users([*train.user_ids, "zoe"])
        first, _, last = far.align(train, more, other, unknown=unknown)
        assert first.shape == last.shape == (M + 1, N)
        assert np.array_equal(last.user_items[:M].toarray(), other.user_items.toarray())


def test_bad_arguments_of_align():
    train, other, _ = apart()
    for wrong in ((train, other.user_items), (train.user_items, other)):
        with pytest.raises(TypeError, match="must be Interactions, which know the ids"):
            far.align(*wrong)
    with pytest.raises(ValueError, match="`unknown` must be one of 'drop', 'keep', 'raise', got 'ignore'"):
        far.align(train, other, unknown="ignore")
    bare = Interactions(other.user_items[:9])
    for pair, name in (((train, bare), r"others\[0\]"), ((bare, train), "train")):
        with pytest.raises(ValueError, match=f"`{name}` must have ids of its users to be aligned"):
            far.align(*pair)
    strangers = Interactions(other.user_items, texts(0, M, "v"), texts(0, N, "i"))
    with pytest.raises(
        ValueError, match=r"nothing is left of `others\[0\]`: `train` knows 0 of its 40 users and 17 of its 17"
    ):
        far.align(train, strangers)
    assert far.align(train) == (train,)
