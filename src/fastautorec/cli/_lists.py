"""What commands that answer with lists share: the model and the histories they ask, and how they write what it says."""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastautorec._extras import require
from fastautorec._files import replace_file
from fastautorec.cli import _files as files
from fastautorec.cli import _folders as folders
from fastautorec.cli import _options as options
from fastautorec.cli._streams import check_output, say
from fastautorec.data import Interactions
from fastautorec.data import _identity as identity
from fastautorec.data._layouts import FORMATS
from fastautorec.evaluation._tables import table_lines
from fastautorec.models import Recommender
from fastautorec.models._labels import check_distinct

LENGTH = 10  # length of a list, where the model has so many items
FEW = 3  # examples in a message
SUFFIXES = (".csv", ".jsonl", ".parquet")
PRINTED = ("csv", "table")

Ids = npt.NDArray[Any]


class Answer(NamedTuple):
    """A table to write: its first column says whose rows they are.

    Attributes
    ----------
    columns : sequence of str
    rows : iterable of tuple
        Values of Python.
    arrow : callable
        Returns the columns as a pyarrow Table.
    """

    columns: Sequence[str]
    rows: Iterable[Sequence[Any]]
    arrow: Callable[[], Any]


def add_list_options(parser: argparse.ArgumentParser) -> None:
    """Add the model, the length of lists and where they go."""
    parser.add_argument("--model", required=True, metavar="MODEL", help="a file that `fastautorec fit` saved")
    parser.add_argument("-n", type=int, metavar="N", help=f"length of the lists (default: {LENGTH})")
    text = f"write to a file instead of standard output, in the format of its name: {', '.join(SUFFIXES)}"
    parser.add_argument("--output", metavar="LISTS", help=text)
    text = f"format of the output where there is no --output: {' or '.join(PRINTED)} (default: csv)"
    parser.add_argument("--format", type=_printed, choices=PRINTED, default="csv", help=text)


def add_users(parser: argparse.ArgumentParser) -> None:
    """Add the users of FILE who are asked for."""
    text = "ids of users of FILE, which may begin with '-' (default: all); --users=ID for one that is an option's name"
    parser.add_argument("--users", nargs="+", type=options.user_id, action="extend", metavar="ID", help=text)


def _printed(text: str) -> str:
    """Return a format of the output, or say where that of FILE belongs."""
    if text in FORMATS and text not in PRINTED:
        raise argparse.ArgumentTypeError(
            f"here it is the format of the output, {' or '.join(PRINTED)}; what FILE is: --file-format {text}"
        )
    return text


def check_place(args: argparse.Namespace) -> None:
    """Raise before any work is done if there is nowhere to write to."""
    if args.output is None:
        check_output()
        return
    suffix = Path(args.output).suffix
    if suffix not in SUFFIXES:
        raise ValueError(f"`--output` must end in {', '.join(SUFFIXES)}, which says the format, got {args.output!r}")
    files.writable(args, "output")
    if Path(args.model).exists() and files.same(Path(args.output), Path(args.model)):
        raise ValueError(f"`--output` {args.output} is MODEL, which would be destroyed; name another file")
    if suffix == ".parquet":
        require("pyarrow.parquet", "--output lists.parquet", "data")


def length(args: argparse.Namespace, model: Recommender) -> int:
    """Return the length of lists."""
    n = min(LENGTH, model.n_items_) if args.n is None else int(args.n)
    if not 1 <= n <= model.n_items_:
        raise ValueError(f"`-n` must be between 1 and the number of items of the model, {model.n_items_}, got {n}")
    return n


# --- histories --------------------------------------------------------------------------------------------------------


def histories(args: argparse.Namespace, model: Recommender) -> Interactions:
    """Read FILE with the items of the model, and say what of it is left out."""
    data = _read(args, model)
    item_ids = model.item_ids_ if model.item_ids_ is not None else np.arange(model.n_items_)
    known: Interactions = identity.renumbered(data, item_ids=item_ids)
    if not known.nnz:
        raise ValueError(_nothing_known(data, item_ids, args, bare=model.item_ids_ is None))
    if known.nnz < data.nnz:
        names = {str(item) for item in item_ids.tolist()}
        unknown = sum(str(item) not in names for item in data.item_ids.tolist())
        skipped = data.nnz - known.nnz
        say(f"skipped {skipped:,} of {data.nnz:,} interactions, with {unknown:,} items that the model does not know")
    return known


def _read(args: argparse.Namespace, model: Recommender) -> Interactions:
    """Read FILE, counting the ratings that the model has counted if nothing else is said."""
    fitted = vars(model).get("threshold_")
    if fitted is not None and folders.folder_of(args) is not None:
        say(f"ratings >= {fitted:g} counted when the model was fitted; in FILE all that is there counts")
        return files.read(args, model)
    if args.threshold is not None or fitted is None:
        if fitted is not None and files.limit(args) != fitted:
            say(f"ratings >= {fitted:g} counted when the model was fitted, unlike --threshold {args.threshold}")
        return files.read(args, model)
    args.threshold = fitted
    say(f"ratings >= {fitted:g} count, as when the model was fitted; --threshold changes that")
    try:
        return files.read(args, model)
    except ValueError as error:
        if "threshold`" not in str(error):
            raise
        told = "" if "threshold=None" in str(error) else f"; --threshold {options.EVERY_ROW} takes every row"
        raise ValueError(f"{error} ({args.model} was fitted with that threshold{told})") from None


def rows_of(data: Interactions, labels: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return the rows of users named on the command line, where every id is a text."""
    try:
        rows: npt.NDArray[np.int64] = data.user_index(as_ids(labels, data.user_ids))
    except KeyError as error:
        raise ValueError(error.args[0]) from None
    return rows


def as_ids(labels: Sequence[str], among: Ids) -> list[int | str]:
    """Return words of the command line as ids of the type that others have."""
    integers = among.dtype.kind in "iu"
    return [int(label) if integers and _is_integer(label) else label for label in labels]


def item_ids(labels: Sequence[str], model: Recommender) -> list[int | str]:
    """Return the ids of items named on the command line, all of the model and none twice."""
    own = model.item_ids_ if model.item_ids_ is not None else np.arange(model.n_items_)
    ids, known = as_ids(labels, own), set(own.tolist())
    unknown = [label for label in ids if label not in known]
    if unknown:
        raise ValueError(
            f"`--items` must be items of the model, but it does not know {len(unknown):,} of {len(ids):,} "
            f"({_few(np.array(unknown, object))}); its own are such as {_few(own)}"
        )
    check_distinct(ids, "--items")
    return ids


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


# --- writing ----------------------------------------------------------------------------------------------------------


def write(answer: Answer, args: argparse.Namespace) -> None:
    """Write a table to the file that was named, in one step, or to standard output."""
    if args.output is None:
        (_write_csv if args.format == "csv" else _write_table)(answer, sys.stdout)
        return
    path = Path(args.output)
    if path.suffix == ".parquet":
        table = answer.arrow().select(list(answer.columns))
        replace_file(path, lambda file: require("pyarrow.parquet", "--output").write_table(table, file))
    else:
        replace_file(path, lambda file: _write_text(answer, file, path.suffix))
    say(f"wrote {path}, {path.stat().st_size / 1e6:,.1f} MB")


def _write_text(answer: Answer, file: IO[bytes], suffix: str) -> None:
    text = io.TextIOWrapper(file, "utf-8", newline="")
    (_write_csv if suffix == ".csv" else _write_jsonl)(answer, text)
    text.flush()
    text.detach()


def _write_csv(answer: Answer, file: IO[str]) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(answer.columns)
    writer.writerows([f"{cell:.6g}" if isinstance(cell, float) else cell for cell in row] for row in answer.rows)


def _write_jsonl(answer: Answer, file: IO[str]) -> None:
    for row in answer.rows:
        cells = [float(f"{cell:.6g}") if isinstance(cell, float) else cell for cell in row]
        file.write(json.dumps(dict(zip(answer.columns, cells, strict=True)), ensure_ascii=False) + "\n")


def _write_table(answer: Answer, file: IO[str]) -> None:
    """Write the rows of each user below the user, without the ranks that they have as list places."""
    ranked = answer.columns[1] == "rank"
    for whose, rows in groupby(answer.rows, key=lambda row: row[0]):
        cells = [[_shown(cell) for cell in row[1 + ranked :]] for row in rows]
        lines = (f"  {place:3}. {line}" if ranked else f"  {line}" for place, line in enumerate(table_lines(cells), 1))
        print(whose, *lines, sep="\n", file=file)


def _shown(cell: Any) -> str:
    return f"{cell:.4f}" if isinstance(cell, float) else str(cell)
