"""Data with ids in no order, and the rows that `recommend_table` must give for it, by a plain loop."""

from __future__ import annotations

from typing import Any

import numpy as np

import fastautorec as far

USERS, ITEMS = 40, 30
MATRIX = far.datasets.synthetic(USERS, ITEMS, 400, random_state=3)


def named(texts: bool) -> far.Interactions:
    """Return data whose ids are in no order: texts, or integers that are no numbers of rows and columns."""
    order = np.random.default_rng(1).permutation(max(USERS, ITEMS))
    users, items = (order[order < n] + start for n, start in ((USERS, 1000), (ITEMS, 7)))
    if texts:
        return far.Interactions(MATRIX, [f"u{i}" for i in users], [f"SKU-{i}" for i in items])
    return far.Interactions(MATRIX, users, items)


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
