"""The command ``fastautorec recommend``."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec.cli import _files as files
from fastautorec.cli import _options as options
from fastautorec.cli._streams import check_output, say
from fastautorec.data import Interactions
from fastautorec.data import _identity as identity
from fastautorec.evaluation._tables import table_lines
from fastautorec.io import load
from fastautorec.models import Recommender
from fastautorec.models._table import RecommendationTable

LENGTH = 10  # length of a list, where the model has so many items
FEW = 3  # examples in a message

Ids = npt.NDArray[Any]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    options.add_file_options(parser, counted="as when the model was fitted")
    parser.add_argument("--model", required=True, metavar="MODEL", help="a file that `fastautorec fit` saved")
    parser.add_argument("-n", type=int, metavar="N", help=f"length of the lists (default: {LENGTH})")
    text = "ids of users of FILE, which may begin with '-' (default: all); --users=ID for one that is an option's name"
    parser.add_argument("--users", nargs="+", type=options.user_id, action="extend", metavar="ID", help=text)
    parser.add_argument("--format", choices=("csv", "table"), default="csv", help="of the output (default: csv)")


def run(args: argparse.Namespace) -> int:
    """Print lists for the users of FILE, or for some of them."""
    check_output()
    model = load(args.model)
    n = min(LENGTH, model.n_items_) if args.n is None else args.n
    if not 1 <= n <= model.n_items_:
        raise ValueError(f"`-n` must be between 1 and the number of items of the model, {model.n_items_}, got {n}")
    data = _read(args, model)
    item_ids = model.item_ids_ if model.item_ids_ is not None else np.arange(model.n_items_)
    users = data.user_ids if args.users is None else data.user_ids[_rows_of(data, args.users)]
    known = identity.renumbered(data, item_ids=item_ids)
    if not known.nnz:
        raise ValueError(_nothing_known(data, item_ids, args, bare=model.item_ids_ is None))
    if known.nnz < data.nnz:
        names = {str(item) for item in item_ids.tolist()}
        unknown = sum(str(item) not in names for item in data.item_ids.tolist())
        skipped = data.nnz - known.nnz
        say(f"skipped {skipped:,} of {data.nnz:,} interactions, with {unknown:,} items that the model does not know")
    table = model.recommend_table(known, n, None if args.users is None else users, cold_users="drop")
    cold, full = len(table.cold_users), len(table.users) - len(table.cold_users) - int((table._lengths > 0).sum())
    if cold == len(users):
        raise ValueError(f"none of the {cold:,} users has an item that the model knows, so that there is no list")
    if cold:
        say(f"left out {cold:,} users without any item that the model knows")
    if not len(table):
        raise ValueError(f"each of the {full:,} users has all items of the model, so that there is no list")
    if full:
        say(f"left out {full:,} users who have all items of the model")
    write = _write_csv if args.format == "csv" else _write_table
    write(table)
    return 0


def _read(args: argparse.Namespace, model: Recommender) -> Interactions:
    """Read FILE, counting the ratings that the model has counted if nothing else is said."""
    fitted = vars(model).get("threshold_")
    if args.threshold is not None or fitted is None:
        return files.read(args)
    args.threshold = fitted
    say(f"ratings >= {fitted:g} count, as when the model was fitted; --threshold changes that")
    try:
        return files.read(args)
    except ValueError as error:
        if "threshold`" not in str(error):
            raise
        told = "" if "threshold=None" in str(error) else f"; --threshold {options.EVERY_ROW} takes every row"
        raise ValueError(f"{error} ({args.model} was fitted with that threshold{told})") from None


def _rows_of(data: Interactions, labels: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return the rows of users named on the command line, where every id is a text."""
    integers = data.user_ids.dtype.kind in "iu"
    ids: list[int | str] = [int(label) if integers and _is_integer(label) else label for label in labels]
    try:
        rows: npt.NDArray[np.int64] = data.user_index(ids)
    except KeyError as error:
        raise ValueError(error.args[0]) from None
    return rows


def _is_integer(label: str) -> bool:
    """Return whether a text is an integer as it would be printed: 7 is one, 007 is none.

    >>> [_is_integer(label) for label in ("7", "-7", "007", "+7", "²", "1_0", "seven")]
    [True, True, False, False, False, False, False]
    """
    try:
        return str(int(label)) == label
    except ValueError:
        return False


def _nothing_known(data: Interactions, item_ids: Ids, args: argparse.Namespace, *, bare: bool) -> str:
    """Return why no list can be made: no item of FILE is one of the model."""
    ours, its = (ids.dtype.kind in "iu" for ids in (data.item_ids, item_ids))
    if bare:
        reason = (
            f"the model knows its items by the numbers 0 to {len(item_ids) - 1:,} alone, for it was fitted on a matrix "
            "without item ids; fit it on interactions with ids, for example with `fastautorec fit`"
        )
    elif ours != its:
        kinds = {True: "integers", False: "strings"}
        reason = f"the item ids of FILE are {kinds[ours]}, those of the model {kinds[its]}; write them alike"
    else:
        reason = "was the model fitted on other data, or --item another column?"
    return (
        f"the model knows none of the {data.shape[1]:,} items of {args.file} ({_few(data.item_ids)}), so that there is "
        f"no list; it has {len(item_ids):,} items ({_few(item_ids)}): {reason}"
    )


def _few(ids: Ids) -> str:
    return ", ".join([*map(repr, ids[:FEW].tolist()), *(["..."] if len(ids) > FEW else [])])


def _write_csv(table: RecommendationTable) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["user", "rank", "item", "score"])
    writer.writerows((row.user, row.rank, row.item, f"{row.score:.6g}") for row in table)


def _write_table(table: RecommendationTable) -> None:
    for user, rows in groupby(table, key=lambda row: row.user):
        cells = [[str(row.item), f"{row.score:.4f}"] for row in rows]
        print(user, *(f"  {place:3}. {line}" for place, line in enumerate(table_lines(cells), 1)), sep="\n")
