"""Names in: `recommend_table` against `recommend` for every form of histories and users, and what is not known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from named_data import ITEMS, MATRIX, USERS, expected, lists_of, named, rows_of
from scipy import sparse

import fastautorec as far
from fastautorec.models import _labels


@pytest.fixture
def model(data: far.Interactions) -> far.EASE:
    return far.EASE().fit(data)


# --- histories in every form ------------------------------------------------------------------------------------------


def frame(data: far.Interactions, user: str = "user", item: str = "item") -> dict[str, list[Any]]:
    entries = data.user_items.tocoo()
    return {user: data.user_ids[entries.row].tolist(), item: data.item_ids[entries.col].tolist()}


FORMS: dict[str, Any] = {
    "interactions": lambda data: data,
    "dict of lists": lists_of,
    "dict of arrays": lambda data: {user: data.item_ids[data.item_index(x)] for user, x in lists_of(data).items()},
    "dict of sets": lambda data: {user: set(items) for user, items in lists_of(data).items()},
    "dict of series": lambda data: {user: pd.Series(items) for user, items in lists_of(data).items()},
    "items in another order": lambda data: data.with_items(data.item_ids[::-1]),
}
FRAMES: dict[str, Any] = {
    "pandas": lambda data: pd.DataFrame(frame(data)),
    "polars": lambda data: pl.DataFrame(frame(data, "user_id", "item_id")),
    "lazy": lambda data: pl.LazyFrame(frame(data)),
    "pyarrow": lambda data: pa.table(frame(data, "userId", "itemId")),
    "shuffled, with more columns": lambda data: (
        pd.DataFrame(frame(data)).assign(price=1).sample(frac=1, random_state=0)
    ),
    "repeats": lambda data: pd.concat([pd.DataFrame(frame(data))] * 2),
}


@pytest.mark.parametrize("form", FORMS)
def test_lists_are_those_of_recommend_with_names(form: str, data: far.Interactions, model: far.EASE) -> None:
    table = model.recommend_table(FORMS[form](data), N=4)
    assert rows_of(table) == expected(model, data, N=4)
    assert len(table) == 4 * USERS
    assert (table.unknown_items, len(table.cold_users)) == ([], 0)


def test_ratings_of_a_frame_are_told_and_not_used(data: far.Interactions, model: far.EASE) -> None:
    table = frame(data) | {"stars": [1.0] * data.nnz, "rating": [1.0] * data.nnz}
    with pytest.warns(UserWarning, match=r"column 'stars' of `data` is not used: every row counts.*threshold=\.\.\."):
        found = model.recommend_table(pd.DataFrame(table), N=3)
    assert found.to_dict() == model.recommend_table(data, N=3).to_dict()


@pytest.mark.parametrize("form", FRAMES)
def test_a_frame_has_its_users_in_ascending_order(form: str, data: far.Interactions, model: far.EASE) -> None:
    table = model.recommend_table(FRAMES[form](data), N=4)
    assert table.users.tolist() == sorted(data.user_ids.tolist())
    assert sorted(rows_of(table)) == sorted(expected(model, data, N=4))


def test_users_without_ids_are_numbered(data: far.Interactions, model: far.EASE) -> None:
    wanted = [row[1:] for row in expected(model, data, N=3)]
    numbers = np.repeat(np.arange(USERS), 3).tolist()
    for given in (list(lists_of(data).values()), data.user_items, tuple(map(tuple, lists_of(data).values()))):
        table = model.recommend_table(given, N=3)
        assert [row[1:] for row in rows_of(table)] == wanted
        assert table["user"].tolist() == numbers


def test_a_model_without_ids_has_numbers() -> None:
    model = far.EASE().fit(MATRIX)
    ids, _ = model.recommend(MATRIX, N=3)
    coo = MATRIX.tocoo()
    for given in (MATRIX, far.Interactions(MATRIX), [row.indices.tolist() for row in sparse.csr_matrix(MATRIX)]):
        assert model.recommend_table(given, N=3)["item"].tolist() == ids.ravel().tolist()
    for given in (
        pd.DataFrame({"user": coo.row, "item": coo.col}),
        far.Interactions(MATRIX, item_ids=np.arange(ITEMS)),
    ):
        assert model.recommend_table(given, N=3)["item"].tolist() == ids.ravel().tolist()


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ([["SKU-1"]], TypeError, r"without item ids and knows its items by the numbers 0 to 29 .* 'SKU-1' in `data`"),
        ([[3, 30]], ValueError, r"`data` must hold item numbers in \[0, 30\), got 30"),
        ([[-1]], ValueError, r"`data` must hold item numbers in \[0, 30\), got -1"),
        ([[2**70]], ValueError, "64 bits|item numbers"),
        (far.Interactions(MATRIX, item_ids=np.arange(ITEMS)[::-1]), TypeError, "knows its items by the numbers"),
        (named(True), TypeError, "knows its items by the numbers"),
        (pd.DataFrame({"user": [1], "item": ["a"]}), TypeError, "knows its items by the numbers"),
        (pd.DataFrame({"user": [1], "item": [30]}), ValueError, r"item numbers in \[0, 30\), got 30"),
    ],
)
def test_a_model_without_ids_refuses_ids(given: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        far.EASE().fit(MATRIX).recommend_table(given)


def test_one_user_in_one_line(data: far.Interactions, model: far.EASE) -> None:
    items = data.item_ids[[4, 2]].tolist()
    for history in (items, items[::-1], items * 3):
        table = model.recommend_table({"ann": history}, N=5)
        ids, scores = model.recommend(sparse.csr_matrix(np.isin(np.arange(ITEMS), [2, 4])[None, :]), N=5)
        assert table.to_dict() == {"ann": data.item_ids[ids[0]].tolist()}
        assert table["score"].tolist() == scores[0].tolist()


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (["SKU-7", "SKU-8"], TypeError, r"for each user, got the list of items \['SKU-7', 'SKU-8'\]; write"),
        ([["SKU-7"], "SKU-8"], TypeError, r"a list of items for each user, got 'SKU-8' \(str\) for user 1"),
        ({"ann": "SKU-7"}, TypeError, "got 'SKU-7' .* for user 'ann'; write "),
        ({"ann": 7}, TypeError, r"got 7 \(int\) for user 'ann'"),
        ({"ann": None}, TypeError, "for user 'ann'"),
        ({"ann": ["SKU-7", None]}, ValueError, "got None in the place of one; leave it out"),
        ({"ann": [["SKU-7"]]}, ValueError, "make one row of each of its values"),
        ({"ann": [True]}, ValueError, "True"),
        ({"ann": ["SKU-7", 7]}, ValueError, "mixes integer and string ids"),
        ({"ann": [], 7: []}, ValueError, "mixes integer and string ids"),
        ({None: []}, ValueError, "got None"),
        ({"user": ["a"], "item": ["SKU-7"]}, ValueError, "two users, or the columns of a table"),
        (
            pd.DataFrame({"zone": ["a"], "item": ["SKU-7"]}),
            ValueError,
            "one column of users and one of items: no columns named user",
        ),
        (pd.DataFrame({"user": ["a"], "buyer": ["a"], "item": ["b"]}), ValueError, "may each be the user"),
        (np.eye(ITEMS), TypeError, "sparse"),
        (7, TypeError, "`data` must be a dict or a list of lists of items, a data frame .*, got int"),
        ("SKU-7", TypeError, "`data` must be a dict .*, got str"),
        (MATRIX[:, :5], ValueError, "5 columns"),
    ],
)
def test_what_is_no_history_is_refused(given: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        far.EASE().fit(named(True)).recommend_table(given)


@pytest.mark.parametrize("form", ["dict", "frame", "interactions", "items", "filter_items"])
def test_ids_of_another_type_are_shown_beside_the_models(form: str) -> None:
    for texts, there, own in ((False, "'7'", "integers such as [0-9]+"), (True, "7", "texts such as 'SKU-[0-9]+'")):
        model, item = far.EASE().fit(named(texts)), "7" if not texts else 7
        words = f"such as {there}, those of the model {own.replace(' such', ', such')}; convert them with "
        words += "int" if not texts else "str"
        selection = {form: [item]} if form in ("items", "filter_items") else {}
        given = {
            "dict": {"a": [item]},
            "frame": pd.DataFrame({"user": ["a"], "item": [item]}),
            "interactions": far.Interactions(sparse.csr_matrix([[1]]), item_ids=[item]),
        }.get(form, named(texts))
        with pytest.raises(TypeError, match=words):
            model.recommend_table(given, **selection)


def test_integers_that_no_array_holds_are_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    model, huge = far.EASE().fit(named(False)), 2**70
    known = model.item_ids_[:3].tolist()
    for many in (0, 100):
        monkeypatch.setattr(_labels, "MANY", many)
        with pytest.warns(UserWarning, match=f"1 items in `data`, such as {huge}"):
            table = model.recommend_table({2: [huge, *known], 1: known}, N=2)
        assert table.unknown_items == [huge]
        assert table.to_dict()[2] == table.to_dict()[1]
    with pytest.raises(ValueError, match=f"'user' must hold .* got {huge} in row 1; integers beyond 64 bits"):
        model.recommend_table({1: known, huge: known})


# --- users ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["interactions", "dict of lists", "pandas", "polars"])
def test_chosen_users_in_the_order_given(form: str, data: far.Interactions, model: far.EASE) -> None:
    rows = [17, 3, 30]
    users = data.user_ids[rows].tolist()
    wanted = expected(model, data, N=3)
    wanted = [row for user in users for row in wanted if row[0] == user]
    given = (FORMS | FRAMES)[form](data)
    for some in (users, tuple(users), data.user_ids[rows], pd.Series(users), pl.Series(users), pa.array(users)):
        table = model.recommend_table(given, N=3, users=some)
        assert rows_of(table) == wanted
        assert table.users.tolist() == users
    assert rows_of(model.recommend_table(given, N=3, users=users[0])) == wanted[:3]
    assert len(model.recommend_table(given, users=[])) == 0


def test_row_numbers_where_users_have_no_ids(data: far.Interactions, model: far.EASE) -> None:
    wanted = [row[1:] for row in expected(model, data, N=2)]
    bare = far.Interactions(MATRIX, item_ids=data.item_ids)
    for given in (MATRIX, bare, list(lists_of(data).values())):
        table = model.recommend_table(given, N=2, users=[5, 1])
        assert [row[1:] for row in rows_of(table)] == wanted[10:12] + wanted[2:4]
        assert table.users.tolist() == [5, 1]
        for wrong in ([-1], [USERS]):
            with pytest.raises(ValueError, match="row numbers in"):
                model.recommend_table(given, users=wrong)
        with pytest.raises(TypeError, match="have no ids, only the row numbers 0 to 39, got the id 'ann' in `users`"):
            model.recommend_table(given, users=["ann"])
        with pytest.raises(ValueError, match="`users` must be distinct, got 1 more than once"):
            model.recommend_table(given, users=[1, 2, 1])


@pytest.mark.parametrize("form", ["interactions", "dict of lists", "pandas"])
def test_wrong_users(form: str, data: far.Interactions, model: far.EASE) -> None:
    given = (FORMS | FRAMES)[form](data)
    first, text = data.user_ids[:1].tolist()[0], data.user_ids.dtype.kind != "i"
    unknown, other, kinds = ("zed", 1003, "texts, such as 'u10") if text else (3, "1003", "integers, such as 10")
    with pytest.raises(ValueError, match=f"`users` must be distinct, got {first!r} more than once"):
        model.recommend_table(given, users=[first, first])
    with pytest.raises(ValueError, match=f"1 of 2 are not among its 40, such as {unknown!r}; a new user is asked for"):
        model.recommend_table(given, users=[first, unknown])
    with pytest.raises(TypeError, match=f"such as {other!r}, those of `data` {kinds}"):
        model.recommend_table(given, users=[other])


# --- what is not known ------------------------------------------------------------------------------------------------


def popular(data: far.Interactions, n: int) -> list[Any]:
    ids, _ = far.Popularity().fit(data).recommend(sparse.csr_matrix((1, ITEMS)), N=n)
    listed: list[Any] = data.item_ids[ids[0]].tolist()
    return listed


@pytest.mark.parametrize("form", ["dict", "frame", "interactions"])
def test_unknown_items_are_counted_and_left_out(form: str, data: far.Interactions, model: far.EASE) -> None:
    text = data.item_ids.dtype.kind != "i"
    new = ["SKU-x", "SKU-y"] if text else [10_000, 20_000]
    known = data.item_ids[:2].tolist()
    lists = {"ann": [known[0], new[0], known[1]], "bob": [new[1], new[0]]}
    pairs = [(user, item) for user, items in lists.items() for item in items]
    table = {"user": [user for user, _ in pairs], "item": [item for _, item in pairs]}
    given = {
        "dict": lists,
        "frame": pd.DataFrame(table),
        "interactions": far.Interactions.from_dataframe(table, user="user", item="item"),
    }[form]
    words = (
        f"does not know 2 items in `data`, such as .*{new[0]}.*; of 1 of 2 users it knows nothing, so that they get "
    )
    with pytest.warns(UserWarning, match=words + "the popular items"):
        got = model.recommend_table(given, N=3)
    assert sorted(got.unknown_items) == new
    assert got.cold_users.tolist() == ["bob"]
    assert got.to_dict() == {
        "ann": model.recommend_table({"ann": known}, N=3).to_dict()["ann"],
        "bob": popular(data, 3),
    }
    with pytest.warns(UserWarning, match=words + "no list"):
        dropped = model.recommend_table(given, N=3, cold_users="drop")
    assert dropped.to_dict() == {"ann": got.to_dict()["ann"], "bob": []}
    assert dropped.users.tolist() == ["ann", "bob"]
    with pytest.raises(
        ValueError, match=rf"nothing is known of 1 of 2 users, such as 'bob'.*{new[0]}.*'popular' or 'drop'"
    ):
        model.recommend_table(given, N=3, cold_users="raise")
    with pytest.warns(UserWarning, match="1 items in `data`"):
        assert model.recommend_table(given, users=["ann"]).unknown_items == new[:1]


def test_nothing_known_at_all_says_what_the_model_has(data: far.Interactions, model: far.EASE) -> None:
    new = "of another shop" if data.item_ids.dtype.kind != "i" else 10**9
    for cold_users in ("popular", "drop"):
        with pytest.raises(
            ValueError, match=r"none of the 1 items in `data`.* its own are such as .*: was it fitted on oth"
        ):
            model.recommend_table({"ann": [new]}, N=3, cold_users=cold_users)
    with pytest.warns(UserWarning, match="does not know 1 items in `data`"):
        assert len(model.recommend_table({"ann": [new], "bob": data.item_ids[:1].tolist()}, cold_users="drop")) == 10


def test_swapped_columns_are_refused(data: far.Interactions, model: far.EASE) -> None:
    rows, columns = data.user_items.nonzero()
    swapped = pd.DataFrame({"user": data.item_ids[columns].tolist(), "item": data.user_ids[rows].tolist()})
    for call in (
        model.recommend_table,
        lambda given: far.PureSVD(factors=4).fit(data).similar_users_table(None, given),
    ):
        with pytest.raises(
            ValueError, match=r"knows none of the 40 items in `data`.* do users and items stand in each oth"
        ):
            call(swapped)


def test_empty_histories_are_cold_without_a_warning(data: far.Interactions, model: far.EASE) -> None:
    for given in ({"ann": []}, pd.DataFrame({"user": [], "item": []}), {}, []):
        table = model.recommend_table(given, N=3)
        users = len(given) if isinstance(given, (dict, list)) else 0
        assert (len(table), len(table.cold_users)) == (3 * users, users)
    assert model.recommend_table({"ann": []}, N=3).to_dict() == {"ann": popular(data, 3)}
    with pytest.raises(ValueError, match="nothing is known of 1 of 1 users, such as 'ann'"):
        model.recommend_table({"ann": []}, cold_users="raise")
    with pytest.raises(ValueError, match="`cold_users` must be one of"):
        model.recommend_table({"ann": []}, cold_users="ignore")


def test_items_without_users_say_nothing() -> None:
    wider = far.Interactions(sparse.hstack([MATRIX, sparse.csr_matrix((USERS, 1))]), item_ids=range(100, 101 + ITEMS))
    model = far.EASE().fit(wider)
    table = model.recommend_table({"ann": [100 + ITEMS], "bob": [100, 100 + ITEMS]}, N=2)
    assert (table.cold_users.tolist(), table.unknown_items) == (["ann"], [])


def test_a_table_without_rows_has_the_types_of_others() -> None:
    data = named(True)
    model = far.EASE().fit(data)
    empty, full = model.recommend_table(data, users=[]), model.recommend_table(data, N=1)
    assert empty.to_polars().schema == full.to_polars().schema
    assert empty.to_arrow().schema == full.to_arrow().schema
    assert len(pa.concat_tables([full.to_arrow(), empty.to_arrow()])) == len(full)
