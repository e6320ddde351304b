"""Parts of the tests of rating files."""

from __future__ import annotations

from typing import Any

from fastautorec.data import Interactions


def triples(data: Interactions) -> list[tuple[Any, Any, Any]]:
    """Return user, item and time of every interaction."""
    entries = data.user_items.tocoo()
    times = [None] * data.nnz if data.timestamps is None else data.timestamps.tolist()
    return list(zip(data.user_ids[entries.row].tolist(), data.item_ids[entries.col].tolist(), times, strict=True))


def pairs(data: Interactions) -> list[tuple[Any, Any]]:
    """Return user and item of every interaction."""
    return [(user, item) for user, item, _ in triples(data)]
