"""What people write who think in names: it works where it is clear, or the message says what to write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from named_data import MATRIX, lists_of, named, rows_of

import fastautorec as far


@pytest.fixture(params=[True, False], ids=["texts", "integers"])
def data(request: pytest.FixtureRequest) -> far.Interactions:
    return named(request.param)


def frame_of(data: far.Interactions, user: str, item: str, **more: Any) -> pd.DataFrame:
    rows, columns = data.user_items.nonzero()
    return pd.DataFrame({user: data.user_ids[rows].tolist(), item: data.item_ids[columns].tolist(), **more})


@pytest.mark.parametrize("names", [("Customer ID", "Product"), ("CustomerID", "StockCode"), ("user", "item")])
def test_tables_are_read_as_those_of_fit(data: far.Interactions, names: tuple[str, str]) -> None:
    table = frame_of(data, *names)
    model = far.EASE().fit(far.Interactions.from_dataframe(table, verbose=False))
    found = model.recommend_table(table, N=4)
    assert rows_of(found) == rows_of(model.recommend_table(table.set_axis(["user_id", "item_id"], axis=1), N=4))
    alike = far.PureSVD(factors=4).fit(data).similar_users_table(None, table, N=2)
    assert alike["user"].tolist()[:2] == sorted(data.user_ids.tolist())[:1] * 2
    with pytest.raises(
        ValueError, match=r"`data` must have one column of users and one of items: no columns named user and"
    ):
        model.recommend_table(table.set_axis(["a", "b"], axis=1))
    with pytest.raises(
        ValueError, match=r"`data` must have one column of users and one of items: .* may each be the user"
    ):
        model.recommend_table(frame_of(data, "user", "item", buyer=1))


@pytest.mark.parametrize("given", ["a name", Path("shop.csv"), {"gus": ["git"]}, ["git"], [["git", "vim"]]], ids=repr)
@pytest.mark.parametrize("call", ["fit", "recommend", "explain", "partial_fit", "forget", "similar_users"])
def test_names_where_numbers_are_wanted(given: Any, call: str) -> None:
    model = far.EASE(updatable=True).fit(MATRIX)
    more = {"explain": [[0]], "similar_users": [MATRIX]}.get(call, [])
    file = isinstance(given, (str, Path))
    words = (
        r"read_ratings\(path\); .*data.select\(users=\[id\]\)" if file else r"from_dataframe.*recommend_table\(\{user: "
    )
    with pytest.raises(TypeError, match=words):
        getattr(model, call)(given, *more)


def test_users_of_a_library_that_keeps_them() -> None:
    model = far.PureSVD(factors=4).fit(MATRIX)
    with pytest.raises(TypeError, match=r"got int; the model keeps no users, .* data\.user_items\[\[7\]\]"):
        model.recommend(7, MATRIX[7])  # type: ignore[arg-type]
    with pytest.raises(
        TypeError, match=r"`data` must hold the histories.* similar_users\(data\.user_items\[\[row\]\], data\)"
    ):
        model.similar_users(0)


def test_numbers_of_items_by_id(data: far.Interactions) -> None:
    model = far.EASE().fit(data)
    ids = data.item_ids[[4, 0, 9]]
    assert model.item_index(ids.tolist()).tolist() == model.item_index(pd.Series(ids.tolist())).tolist() == [4, 0, 9]
    assert model.item_index(ids.tolist()[0]) == 4
    assert model.item_names(model.item_index(ids.tolist())).tolist() == ids.tolist()
    allowed: Callable[[], Any] = lambda: model.ranker(N=2, items=model.item_index(ids.tolist()))  # noqa: E731
    assert set(allowed().recommend_names([]).items) <= set(ids.tolist())
    with pytest.raises(KeyError, match="item"):
        model.item_index(["new"])
    if data.item_ids.dtype.kind != "i":
        with pytest.raises(TypeError, match=r"item_index\(ids\) of the model or of the data finds for ids"):
            model.explain(data, ids.tolist())
    bare = far.EASE().fit(MATRIX)
    assert bare.item_index([3, 1]).tolist() == [3, 1]
    with pytest.raises(far.NotFittedError):
        far.EASE().item_index([0])


def test_a_dict_is_no_list_of_users(data: far.Interactions) -> None:
    model, user = far.EASE().fit(data), data.user_ids.tolist()[0]
    for histories in (data, data.user_items, lists_of(data)):
        with pytest.raises(TypeError, match=r"`users` must be ids of users, got a dict; .* in place of data"):
            model.recommend_table(histories, users={user: [1]})


def test_lists_of_lists_and_gaps_in_baskets(data: far.Interactions) -> None:
    model, item = far.EASE().fit(data), data.item_ids.tolist()[0]
    for given in ([[item], [item]], [(item,)], np.array([[item]])):
        with pytest.raises(
            TypeError, match=r"`items` must be one list .* candidates of each user's own are \{user: \[items\]\}"
        ):
            model.recommend_table(lists_of(data), items=given)
        with pytest.raises(TypeError, match=r"`filter_items` must be one list of items.* got a list of lists$"):
            model.recommend_table(lists_of(data), filter_items=given)
    for ragged in ([[0], [1, 2]], np.array([[0, 1]])):
        with pytest.raises(
            TypeError, match="candidates of each user's own are a sparse matrix with a row for each history"
        ):
            model.recommend(data, items=ragged)
    for gap in (None, float("nan"), pd.NA):
        with pytest.raises(ValueError, match=r"`data` must hold ids, got .* in the place of one; leave it out"):
            model.recommend_table([[item, gap]])
    with pytest.raises(ValueError, match="`data` must hold integer or string ids"):
        model.recommend_table([[1.5]])


def test_tables_with_rows_that_lack_a_value_say_where_to_leave_them_out() -> None:
    sold = {"user": ["ann", "ann"], "item": ["tea", "salt"]}
    model = far.Popularity().fit(far.Interactions.from_dataframe(sold))
    table = pd.DataFrame({"user": ["ann", None], "item": ["tea", "salt"]})
    told = r"say missing='drop' to leave such rows out, in Interactions.from_dataframe\(df\), and pass .* as `data`$"
    with pytest.raises(ValueError, match=told):
        model.recommend_table(table, N=1)
    whole = far.Interactions.from_dataframe(table, missing="drop", verbose=False)
    assert model.recommend_table(whole, N=1)["item"].tolist() == ["salt"]
