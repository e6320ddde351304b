"""Columns with an index, as pandas has: masks and groups go by the labels, or are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from named_data import MATRIX, lists_of, named, rows_of

import fastautorec as far
from fastautorec import ops

CAPPED: dict[str, Any] = {"N": 8, "n_candidates": 30}


@pytest.fixture(params=[True, False], ids=["texts", "integers"])
def data(request: pytest.FixtureRequest) -> far.Interactions:
    return named(request.param)


def mask_of(data: far.Interactions) -> pd.Series:
    ids = data.item_ids.tolist()
    return pd.Series(np.arange(len(ids)) % 3 == 0, index=ids)


@pytest.mark.parametrize("argument", ["items", "filter_items"])
def test_masks_go_by_their_labels(data: far.Interactions, argument: str) -> None:
    model, mask = far.EASE().fit(data), mask_of(data)
    listed = data.item_ids[mask.to_numpy()].tolist()
    shuffled = mask.sample(frac=1, random_state=0)
    asked = data.item_ids[:4].tolist()
    expected: Any = model.recommend_table(data, N=5, **{argument: listed})
    alike: Any = model.similar_table(asked, N=5, **{argument: listed})
    for given in (
        mask,
        shuffled,
        shuffled.astype("boolean"),
        mask.to_numpy(),
        mask.tolist(),
        mask.reset_index(drop=True),
    ):
        assert rows_of(model.recommend_table(data, N=5, **{argument: given})) == rows_of(expected)
        assert rows_of(model.similar_table(asked, N=5, **{argument: given})) == rows_of(alike)
    assert {row.item in set(listed) for row in expected} == {argument == "items"}


def test_masks_of_more_items_and_of_fewer(data: far.Interactions) -> None:
    model, mask = far.EASE().fit(data), mask_of(data)
    texts = data.item_ids.dtype.kind != "i"
    strange: Any = ["new", "old"] if texts else [5000, 5001]
    wider = pd.concat([pd.Series([True, False], index=strange), mask])
    with pytest.warns(UserWarning, match=rf"does not know 1 of the 11 ids in `items`, such as {strange[0]!r}"):
        table = model.recommend_table(data, N=5, items=wider)
    assert rows_of(table) == rows_of(model.recommend_table(data, N=5, items=mask.to_numpy()))
    with pytest.raises(
        ValueError, match=r"`items` must have a value for each of the 30 items.* got none for 2 of them"
    ):
        model.recommend_table(data, items=mask.iloc[2:])
    with pytest.raises(ValueError, match=r"`items` must have one value for each item, got .* more than once"):
        model.recommend_table(data, items=pd.concat([mask, mask]))
    with pytest.raises(ValueError, match=r"mask of length 29"):
        model.recommend_table(data, items=mask.iloc[1:].reset_index(drop=True))


def test_rows_or_ids() -> None:
    """An index of 0, 1, 2, ... names the items too where these are the ids, in an order of their own."""
    ids = np.roll(np.arange(30), 3)
    model = far.EASE().fit(far.Interactions(MATRIX, item_ids=ids))
    mask = pd.Series(np.arange(30) < 10)
    with pytest.raises(
        ValueError, match=r"`items` has an index of 0 to 29, which may count its rows or name the items"
    ):
        model.recommend_table([[0]], items=mask)
    by_id, by_place = (
        model.recommend_table([[0]], items=mask.reindex(ids)),
        model.recommend_table([[0]], items=mask.to_numpy()),
    )
    assert {row.item for row in by_id} == set(range(1, 10))
    assert {row.item for row in by_place} == {27, 28, 29, *range(1, 7)}
    groups = dict(enumerate(mask.tolist()))
    assert sum(row.item < 10 for row in model.recommend_table([[29]], rerank=far.rerank.Caps(groups, 2), **CAPPED)) == 2
    with pytest.raises(ValueError, match="`groups` has an index of 0 to 29"):
        model.recommend_table([[0]], rerank=far.rerank.Caps(mask.astype(int), 2), **CAPPED)
    bare = far.EASE().fit(MATRIX)
    assert rows_of(bare.recommend_table([[0]], items=mask.iloc[::-1])) == rows_of(
        bare.recommend_table([[0]], items=mask)
    )


def test_groups_go_by_their_labels(data: far.Interactions) -> None:
    model = far.EASE().fit(data)
    groups = pd.Series([f"g{number % 3}" for number in range(30)], index=data.item_ids.tolist())
    shuffled = groups.sample(frac=1, random_state=1)
    expected = model.recommend(data, rerank=far.rerank.Caps(groups.tolist(), 2), **CAPPED)
    train, test = far.split(data, ratios=(0.5, 0.5), by="random")
    reports = []
    for given in (groups.tolist(), groups, shuffled, shuffled.to_dict(), shuffled.to_dict() | {"more": "g1"}):
        caps = far.rerank.Caps(given, 2)
        np.testing.assert_array_equal(model.recommend(data, rerank=caps, **CAPPED), expected)
        table = model.recommend_table(lists_of(data), rerank=caps, **CAPPED)
        assert max(groups[items].value_counts().max() for items in table.to_dict().values()) == 2
        reports.append(far.evaluate(model, train, test, k=5, rerank=caps)["NDCG"].mean)
    assert set(reports) == {reports[0]}
    with pytest.raises(
        ValueError, match=r"`groups` must have a value for each of the 30 items.* got none for 1 of them"
    ):
        model.recommend(data, rerank=far.rerank.Caps(shuffled.iloc[1:], 2))


def test_one_re_ranker_for_two_models() -> None:
    texts = named(True)
    turned = texts.with_items(texts.item_ids[::-1])
    groups = {item: f"g{number % 3}" for number, item in enumerate(texts.item_ids.tolist())}
    caps = far.rerank.Caps(groups, 2)
    for data in (texts, turned, texts):
        table = far.EASE().fit(data).recommend_table(lists_of(texts), rerank=caps, **CAPPED)
        for items in table.to_dict().values():
            assert max(pd.Series([groups[item] for item in items]).value_counts()) == 2


def test_what_else_stood_for_a_mask_without_a_word(data: far.Interactions) -> None:
    model = far.EASE().fit(data)
    bare = far.EASE().fit(MATRIX)
    zeros_and_ones = mask_of(data).to_numpy().astype(int)
    words = r"`items` must name items, got 30 values that are all 0 or 1.* np.flatnonzero\(items\)"
    for call in (bare.recommend, bare.recommend_table, bare.ranker):
        history: Any = () if call == bare.ranker else (MATRIX[:2],)
        with pytest.raises(ValueError, match=words):
            call(*history, items=zeros_and_ones)
    with pytest.raises(ValueError, match="`history` must name items, got 30 values"):
        bare.ranker().recommend(zeros_and_ones)
    with pytest.raises(
        TypeError, match="`filter_items` must be ids of items or a mask, got a dict; of a dict of True and"
    ):
        model.recommend_table(data, filter_items=mask_of(data).to_dict())


def test_weights_of_items_come_in_the_order_of_columns() -> None:
    weights = pd.Series(np.arange(30.0), index=[f"SKU-{i}" for i in range(30)])
    with pytest.raises(ValueError, match=r"`weights` must have its values in the order of the columns.* 'SKU-0'"):
        ops.sample_negatives(MATRIX, 3, seed=1, weights=weights)
    plain, column = (
        ops.sample_negatives(MATRIX, 3, seed=1, weights=w) for w in (np.arange(30.0), pd.Series(np.arange(30.0)))
    )
    assert (plain != column).nnz == 0


def test_columns_of_a_dict_have_one_index() -> None:
    user = pd.Series(["a", "b", "c"], index=[7, 8, 9])
    item = pd.Series(["x", "y", "z"], index=[9, 8, 7])
    with pytest.raises(ValueError, match="columns 'user' and 'item' must have the same index, got two that differ"):
        far.Interactions.from_dataframe({"user": user, "item": item}, "user", "item")
    data = far.Interactions.from_dataframe({"user": user, "item": item.to_numpy()}, "user", "item")
    assert lists_of(data) == {"a": ["x"], "b": ["y"], "c": ["z"]}
    joined = far.Interactions.from_dataframe(pd.DataFrame({"user": user, "item": item}), "user", "item")
    assert lists_of(joined) == {"a": ["z"], "b": ["y"], "c": ["x"]}
