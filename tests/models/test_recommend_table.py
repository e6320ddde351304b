"""Names in, names out: `recommend_table` against `recommend`, for every form of histories, candidates and users."""

from __future__ import annotations

import pickle
import sys
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse

import fastautorec as far
from fastautorec.models import _labels, _table

USERS, ITEMS = 40, 30
MATRIX = far.datasets.synthetic(USERS, ITEMS, 400, random_state=3)


def named(texts: bool) -> far.Interactions:
    """Return data whose ids are in no order: texts, or integers that are no numbers of rows and columns."""
    order = np.random.default_rng(1).permutation(max(USERS, ITEMS))
    users, items = (order[order < n] + start for n, start in ((USERS, 1000), (ITEMS, 7)))
    if texts:
        return far.Interactions(MATRIX, [f"u{i}" for i in users], [f"SKU-{i}" for i in items])
    return far.Interactions(MATRIX, users, items)


@pytest.fixture(params=[True, False], ids=["texts", "integers"])
def data(request: pytest.FixtureRequest) -> far.Interactions:
    return named(request.param)


@pytest.fixture
def model(data: far.Interactions) -> far.EASE:
    return far.EASE().fit(data)


def lists_of(data: far.Interactions, rows: Any = None) -> dict[Any, list[Any]]:
    """Return the history of each user by name."""
    rows = range(data.shape[0]) if rows is None else rows
    return {data.user_ids[u : u + 1].tolist()[0]: data.item_ids[data.user_items[u].indices].tolist() for u in rows}


def expected(model: Any, data: far.Interactions, **options: Any) -> list[tuple[Any, Any, int, float]]:
    """Return the rows that a table must have, from `recommend` by a plain loop."""
    ids, scores = model.recommend(data.user_items, **options)
    return [
        (user, model.item_names(item).item(), rank, score)
        for user, items, values in zip(data.user_ids.tolist(), ids, scores.tolist(), strict=True)
        for rank, (item, score) in enumerate(zip(items, values, strict=True), 1)
        if item >= 0
    ]


def rows_of(table: far.RecommendationTable) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in table]


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
        ({"ann": ["SKU-7", None]}, ValueError, "got None in row 1"),
        ({"ann": [["SKU-7"]]}, ValueError, "make one row of each of its values"),
        ({"ann": [True]}, ValueError, "True"),
        ({"ann": ["SKU-7", 7]}, ValueError, "mixes integer and string ids"),
        ({"ann": [], 7: []}, ValueError, "mixes integer and string ids"),
        ({None: []}, ValueError, "got None"),
        ({"user": ["a"], "item": ["SKU-7"]}, ValueError, "two users, or the columns of a table"),
        (
            pd.DataFrame({"who": ["a"], "item": ["SKU-7"]}),
            ValueError,
            "one column called 'user' or 'user_id', got only",
        ),
        (pd.DataFrame({"user": ["a"], "userId": ["a"], "item": ["b"]}), ValueError, "got several: user, userId"),
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
    nobody, other, kinds = ("zed", 1003, "texts, such as 'u10") if text else (3, "1003", "integers, such as 10")
    with pytest.raises(ValueError, match=f"`users` must be distinct, got {first!r} more than once"):
        model.recommend_table(given, users=[first, first])
    with pytest.raises(ValueError, match=f"1 of 2 are not among its 40, such as {nobody!r}; a new user is asked for"):
        model.recommend_table(given, users=[first, nobody])
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
    with pytest.warns(UserWarning, match="its own items are such as .*: was it fitted on other data"):
        table = model.recommend_table({"ann": [new]}, N=3)
    assert table.to_dict() == {"ann": popular(data, 3)}
    with pytest.warns(UserWarning, match="no list"):
        assert len(model.recommend_table({"ann": [new]}, cold_users="drop")) == 0


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


def test_items_that_nobody_had_say_nothing() -> None:
    wider = far.Interactions(sparse.hstack([MATRIX, sparse.csr_matrix((USERS, 1))]), item_ids=range(100, 101 + ITEMS))
    model = far.EASE().fit(wider)
    table = model.recommend_table({"ann": [100 + ITEMS], "bob": [100, 100 + ITEMS]}, N=2)
    assert (table.cold_users.tolist(), table.unknown_items) == (["ann"], [])


# --- candidates -------------------------------------------------------------------------------------------------------

SELECTIONS: dict[str, Any] = {
    "list": lambda ids, _: ids.tolist(),
    "array": lambda ids, _: ids,
    "set": lambda ids, _: set(ids.tolist()),
    "dict keys": lambda ids, _: dict.fromkeys(ids.tolist()).keys(),
    "pandas": lambda ids, _: pd.Series(ids.tolist()),
    "polars": lambda ids, _: pl.Series(ids.tolist()),
    "arrow": lambda ids, _: pa.chunked_array([ids.tolist()]),
    "mask": lambda _, mask: mask,
    "mask as a list": lambda _, mask: mask.tolist(),
    "pandas mask": lambda _, mask: pd.Series(mask).astype("boolean"),
    "arrow mask": lambda _, mask: pa.array(mask.tolist()),
}


@pytest.mark.parametrize("form", SELECTIONS)
def test_candidates_in_every_form(form: str, data: far.Interactions, model: far.EASE) -> None:
    numbers = np.array([3, 8, 11, 20, 25])
    given = SELECTIONS[form](data.item_ids[numbers], np.isin(np.arange(ITEMS), numbers))
    for name in ("items", "filter_items"):
        assert rows_of(model.recommend_table(data, N=6, **{name: given})) == expected(
            model, data, N=6, **{name: numbers}
        )


def test_candidates_of_a_model_without_ids_are_numbers() -> None:
    model = far.EASE().fit(MATRIX)
    table = model.recommend_table(MATRIX, N=3, items={5, 6, 7})
    ids, _ = model.recommend(MATRIX, N=3, items=[5, 6, 7])
    assert table["item"].tolist() == ids[ids >= 0].tolist()
    assert len(table) < 3 * USERS  # short lists are short
    with pytest.raises(ValueError, match=r"`items` must hold item numbers in \[0, 30\), got 30"):
        model.recommend_table(MATRIX, items=[30])
    with pytest.raises(TypeError, match="got the id 'SKU-1' in `filter_items`"):
        model.recommend_table(MATRIX, filter_items=["SKU-1"])


def test_candidates_that_are_unknown_or_leave_nothing(data: far.Interactions, model: far.EASE) -> None:
    new = "SKU-x" if data.item_ids.dtype.kind != "i" else 10_000
    one = data.item_ids[:1].tolist()
    with pytest.warns(UserWarning, match=f"does not know 1 of the 2 ids in `items`, such as {new!r}, and leaves"):
        table = model.recommend_table(data, items=[*one, new])
    assert set(table["item"].tolist()) == set(one)
    with pytest.warns(UserWarning, match="1 of the 1 ids in `filter_items`"):
        assert len(model.recommend_table(data, N=2, filter_items=new)) == 2 * USERS
    with pytest.raises(ValueError, match=f"`items` names no item that the model knows, got {new!r}; its items are"):
        model.recommend_table(data, items=[new])
    for nothing in ({"items": []}, {"items": [False] * ITEMS}, {"filter_items": data.item_ids}):
        with pytest.raises(ValueError, match="leave no item to recommend"):
            model.recommend_table(data, **nothing)
    for name in ("items", "filter_items"):
        with pytest.raises(ValueError, match=f"`{name}` is a mask of length 29, but the model has 30 items"):
            model.recommend_table(data, **{name: [True] * 29})


# --- the table --------------------------------------------------------------------------------------------------------


def test_short_lists_are_short_and_empty_ones_are_none(data: far.Interactions, model: far.EASE) -> None:
    every = data.item_ids.tolist()
    table = model.recommend_table({"all": every, "most": every[1:], "few": every[:1]}, N=ITEMS)
    assert [len(items) for items in table.to_dict().values()] == [0, 1, ITEMS - 1]
    assert table["rank"].tolist() == [1, *range(1, ITEMS)]
    assert not np.isnan(table["score"]).any()
    assert table.users.tolist() == ["all", "most", "few"]


def test_columns_and_frames_hold_the_same(
    data: far.Interactions, model: far.EASE, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = model.recommend_table(data, N=4)
    wanted = {name: table[name].tolist() for name in ("user", "item", "rank", "score")}
    assert table.columns == tuple(wanted)
    assert (table["rank"].dtype, table["score"].dtype) == (np.int32, np.float32)
    assert table["item"].dtype == data.item_ids.dtype
    assert table.to_pandas().to_dict("list") == wanted
    assert table.to_polars().to_dict(as_series=False) == wanted
    assert table.to_arrow().to_pydict() == wanted
    again = far.Interactions.from_dataframe(table, user="user", item="item")
    assert again.nnz == len(table)
    with pytest.raises(KeyError, match="no column 'items'; a table of recommendations has user, item, rank, score"):
        table["items"]
    with monkeypatch.context() as patch:  # rows in several blocks
        patch.setattr(_table, "BLOCK", 7)
        assert rows_of(table) == list(zip(*wanted.values(), strict=True))
    assert rows_of(pickle.loads(pickle.dumps(table))) == rows_of(table)
    assert model.recommend_table(table.to_dict(), N=2).users.tolist() == data.user_ids.tolist()


@pytest.mark.parametrize("package", ["pandas", "polars", "pyarrow"])
def test_a_missing_library_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table = far.Popularity().fit(MATRIX).recommend_table(MATRIX)
    monkeypatch.setitem(sys.modules, package, None)
    method = f"to_{package.removeprefix('py')}"
    with pytest.raises(ImportError, match=f"`{method}` needs the package {package}; pip install"):
        getattr(table, method)()


def test_what_is_printed() -> None:
    data = far.Interactions(sparse.csr_matrix([[1, 1, 0], [1, 0, 0]]), ["<ann>", "bob"], ["pear", "plum", "fig"])
    table = far.Popularity().fit(data).recommend_table(data)
    assert repr(table).splitlines() == [
        "user   item  rank   score",
        "<ann>   fig     1  0.0000",
        "bob    plum     1  1.0000",
        "bob     fig     2  0.0000",
    ]
    assert "<td>&lt;ann&gt;</td><td>fig</td><td>1</td><td>0.0000</td>" in table._repr_html_()
    assert "3 recommendations for 2 users" in table._repr_html_()
    long = far.Popularity().fit(MATRIX).recommend_table(MATRIX, N=3)
    assert len(repr(long).splitlines()) == 12
    assert repr(long).endswith(f"... {len(long) - 10:,} more rows")
    assert repr(far.Popularity().fit(data).recommend_table([])) == "user  item  rank  score"


# --- models -----------------------------------------------------------------------------------------------------------


def test_a_new_fit_has_its_own_ids(data: far.Interactions, model: far.EASE) -> None:
    before = pickle.dumps(model)
    model.recommend_table(lists_of(data))
    assert len(pickle.dumps(model)) < len(before) + 500  # what was looked up stays here
    model.fit(far.Interactions(MATRIX, item_ids=[f"new {i}" for i in range(ITEMS)]))
    assert model.recommend_table({"ann": ["new 3"]}, N=2)["item"].tolist()[0].startswith("new ")


def test_before_fit_and_lengths(data: far.Interactions, model: far.EASE) -> None:
    with pytest.raises(far.NotFittedError):
        far.EASE().recommend_table(data)
    assert len(model.recommend_table(data)) == 10 * USERS
    for wrong, error in ((0, ValueError), (ITEMS + 1, ValueError), (2.0, TypeError)):
        with pytest.raises(error, match="`N`"):
            model.recommend_table(data, N=wrong)
    kept = model.recommend_table(data, N=ITEMS, filter_already_liked_items=False)
    assert len(kept) == ITEMS * USERS


@pytest.mark.parametrize("cls", [far.Popularity, far.PureSVD, far.NCEPLRec, far.EASE, far.NCEAutoRec, far.AutoRec])
def test_every_model_answers(cls: Any, tmp_path: Any) -> None:
    data = named(True)
    params = {"factors": 6} if "factors" in cls().get_params() else {}
    model = cls(**params).fit(data)
    assert rows_of(model.recommend_table(data, N=3)) == expected(model, data, N=3)
    model.save(tmp_path / "model.npz")
    loaded = far.load(tmp_path / "model.npz")
    assert rows_of(loaded.recommend_table(lists_of(data), N=3)) == expected(model, data, N=3)


def test_interactions_on_disk(data: far.Interactions, model: far.EASE, tmp_path: Any) -> None:
    data.to_disk(tmp_path / "data")
    stored = far.Interactions.open(tmp_path / "data")
    assert rows_of(model.recommend_table(stored, N=3)) == expected(model, data, N=3)
    one = data.user_ids[4:5].tolist()
    assert rows_of(model.recommend_table(stored, N=3, users=one)) == expected(model, data, N=3)[12:15]
