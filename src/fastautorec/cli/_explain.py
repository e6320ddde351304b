"""The command ``fastautorec explain``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastautorec._extras import require
from fastautorec.cli import _lists as lists
from fastautorec.cli import _options as options
from fastautorec.data import Interactions
from fastautorec.io import load
from fastautorec.models import Recommender
from fastautorec.models._explain import REASONS

COLUMNS = ("user", "item", "score", "base", "because", "contribution")
BLOCK = 4096  # users who are explained at the same time


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    options.add_file_options(parser, counted="as when the model was fitted")
    lists.add_list_options(parser)
    lists.add_users(parser)
    text = "ids of items to explain for every user (default: those that are recommended, -n of them)"
    parser.add_argument("--items", nargs="+", type=options.user_id, action="extend", metavar="ID", help=text)
    text = f"how many items of the history to name (default: {REASONS})"
    parser.add_argument("--reasons", type=int, default=REASONS, metavar="R", help=text)
    options.add_dial(parser)


def run(args: argparse.Namespace) -> int:
    """Print which items of the histories speak for an item, and how much each adds to its score."""
    lists.check_place(args)
    model = load(args.model)
    model._require_explained()
    n = lists.length(args, model)
    known = lists.histories(args, model)
    rows = np.arange(known.shape[0]) if args.users is None else lists.rows_of(known, args.users)
    spoken = np.diff(known.user_items.indptr)[rows] > 0
    if not spoken.any():
        raise ValueError(f"none of the {len(rows):,} users has an item that the model knows: nothing to explain")
    asked = None if args.items is None else known.item_index(lists.item_ids(args.items, model))
    reasons = _reasons(model, known, rows[spoken], asked, n, args.reasons, args.popularity_discount)
    first = next(reasons, None)
    if first is None:
        raise ValueError(f"no item speaks for those of the {int(spoken.sum()):,} users: nothing to explain")

    def everything() -> Iterator[tuple[Any, ...]]:
        yield first
        yield from reasons

    def arrow() -> Any:
        columns = zip(*everything(), strict=True)
        return require("pyarrow", "--output").table(dict(zip(COLUMNS, map(list, columns), strict=True)))

    lists.write(lists.Answer(COLUMNS, everything(), arrow), args)
    return 0


def _reasons(
    model: Recommender, data: Interactions, rows: Any, asked: Any, n: int, n_named: int, discount: float | None
) -> Iterator[tuple[Any, ...]]:
    """Yield a row for each reason."""
    for start in range(0, len(rows), BLOCK):
        some = rows[start : start + BLOCK]
        history = data.user_items[some]
        items = model.recommend(history, n, popularity_discount=discount)[0] if asked is None else asked
        told = model.explain(history, items, n_named, discount)
        places = np.nonzero(told.because >= 0)
        user, place, _ = places
        yield from zip(
            data.user_ids[some[user]].tolist(),
            told.item_names[user, place].tolist(),
            told.scores[user, place].tolist(),
            told.base[user, place].tolist(),
            told.because_names[places].tolist(),
            told.contributions[places].tolist(),
            strict=True,
        )
