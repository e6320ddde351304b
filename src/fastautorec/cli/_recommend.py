"""The command ``fastautorec recommend``."""

from __future__ import annotations

import argparse

from fastautorec.cli import _lists as lists
from fastautorec.cli import _options as options
from fastautorec.cli._streams import say
from fastautorec.io import load


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    options.add_file_options(parser, counted="as when the model was fitted")
    lists.add_list_options(parser)
    lists.add_users(parser)
    options.add_dial(parser)


def run(args: argparse.Namespace) -> int:
    """Print lists for the users of FILE, or for some of them."""
    lists.check_place(args)
    model = load(args.model)
    n = lists.length(args, model)
    known = lists.histories(args, model)
    users = known.user_ids if args.users is None else known.user_ids[lists.rows_of(known, args.users)]
    table = model.recommend_table(
        known,
        n,
        None if args.users is None else users,
        cold_users="drop",
        popularity_discount=args.popularity_discount,
    )
    cold, full = len(table.cold_users), len(table.users) - len(table.cold_users) - int((table._lengths > 0).sum())
    if cold == len(users):
        raise ValueError(f"none of the {cold:,} users has an item that the model knows, so that there is no list")
    if cold:
        say(f"left out {cold:,} users without any item that the model knows")
    if not len(table):
        raise ValueError(f"each of the {full:,} users has all items of the model, so that there is no list")
    if full:
        say(f"left out {full:,} users who have all items of the model")
    rows = ((row.user, row.rank, row.item, row.score) for row in table)
    lists.write(lists.Answer(("user", "rank", "item", "score"), rows, table.to_arrow), args)
    return 0
