"""Names out: the candidates of `recommend_table`, the table that it returns, every model."""

from __future__ import annotations

import pickle
import sys
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from named_data import ITEMS, MATRIX, USERS, expected, lists_of, named, rows_of
from scipy import sparse

import fastautorec as far
from fastautorec.models import _table


@pytest.fixture
def model(data: far.Interactions) -> far.EASE:
    return far.EASE().fit(data)


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
    with pytest.raises(KeyError, match="no column 'items'; the table has user, item, rank, score"):
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
    assert ">&lt;ann&gt;</td><td>fig</td><td>1</td><td>0.0000</td>" in table._repr_html_()
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
