"""The command ``fastautorec similar``."""

from __future__ import annotations

import argparse

from fastautorec.cli import _lists as lists
from fastautorec.cli import _options as options
from fastautorec.cli._streams import say
from fastautorec.io import load


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    lists.add_list_options(parser)
    text = "ids of items of the model, which may begin with '-'; --items=ID for one that is an option's name"
    parser.add_argument(
        "--items", nargs="+", type=options.user_id, action="extend", metavar="ID", required=True, help=text
    )


def run(args: argparse.Namespace) -> int:
    """Print the items that are like those that were named, which come first."""
    lists.check_place(args)
    model = load(args.model)
    n = lists.length(args, model)
    table = model.similar_table(lists.item_ids(args.items, model), n)
    alone = int((table._lengths < min(n, 2)).sum())
    if n > 1 and alone == len(args.items):
        raise ValueError(f"none of the {alone:,} items is like another to {type(model).__name__}")
    if n > 1 and alone:
        say(f"{alone:,} items stand alone: nothing is like them")
    rows = ((row.item, row.rank, row.similar, row.score) for row in table)
    lists.write(lists.Answer(("item", "rank", "similar", "score"), rows, table.to_arrow), args)
    return 0
