"""The command ``fastautorec recommend``."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
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

LENGTH = 10  # length of a list, where the model has so many items
USERS = 1 << 14  # users whose lists are written at a time
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
    rows = np.arange(data.shape[0]) if args.users is None else _rows_of(data, args.users)
    known = identity.renumbered(data, item_ids=item_ids)
    if not known.nnz:
        raise ValueError(_nothing_known(data, item_ids, args, bare=model.item_ids_ is None))
    if known.nnz < data.nnz:
        names = {str(item) for item in item_ids.tolist()}
        unknown = sum(str(item) not in names for item in data.item_ids.tolist())
        skipped = data.nnz - known.nnz
        say(f"skipped {skipped:,} of {data.nnz:,} interactions, with {unknown:,} items that the model does not know")
    history = known.user_items[rows]
    empty = np.diff(history.indptr) == 0
    if empty.all():
        raise ValueError(f"none of the {len(rows):,} users has an item that the model knows, so that there is no list")
    if empty.any():
        say(f"left out {empty.sum():,} users without any item that the model knows")
    ids, scores = model.recommend(history[~empty], N=n)
    full = np.asarray((ids < 0).all(axis=1))
    if full.all():
        raise ValueError(f"each of the {len(full):,} users has all items of the model, so that there is no list")
    if full.any():
        say(f"left out {full.sum():,} users who have all items of the model")
    rows, ids, scores = rows[~empty][~full], ids[~full], scores[~full]
    write = _write_csv if args.format == "csv" else _write_table
    write(data.user_ids[rows], item_ids, ids, scores)
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


def _write_csv(users: Ids, item_ids: Ids, ids: npt.NDArray[np.int32], scores: npt.NDArray[np.float32]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["user", "rank", "item", "score"])
    for start in range(0, len(users), USERS):
        block = slice(start, start + USERS)
        real = ids[block] >= 0  # lists may have free places
        owners = np.repeat(users[block], real.sum(axis=1))
        ranks = np.nonzero(real)[1] + 1
        texts = map("{:.6g}".format, scores[block][real].tolist())
        writer.writerows(zip(owners.tolist(), ranks.tolist(), item_ids[ids[block][real]].tolist(), texts, strict=True))


def _write_table(users: Ids, item_ids: Ids, ids: npt.NDArray[np.int32], scores: npt.NDArray[np.float32]) -> None:
    for user, items, values in zip(users.tolist(), ids, scores, strict=True):
        rows = [[str(item_ids[item]), f"{value:.4f}"] for item, value in zip(items, values, strict=True) if item >= 0]
        print(user, *(f"  {place:3}. {line}" for place, line in enumerate(table_lines(rows), 1)), sep="\n")
