"""The command ``fastautorec inspect``: it shows how a rating file is read, and what is in it."""

from __future__ import annotations

import argparse
from pathlib import Path

from fastautorec.cli import _files as files
from fastautorec.cli import _folders as folders
from fastautorec.cli import _options as options
from fastautorec.cli._streams import check_output
from fastautorec.data._loading import load
from fastautorec.data._missing import DROP, RAISE, ROWS


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    options.add_file_options(parser, "--format")


def run(args: argparse.Namespace) -> int:
    """Print the description of FILE."""
    check_output()
    data = folders.opened(args)
    if data is not None:
        print(data.describe())
        return 0
    words = files.words(args)
    what = Path(args.file), args.file_format, files.limit(args), words._replace(missing=DROP)
    told = load(*what, count_ratings=True).describe()
    if words.missing == RAISE and told.source is not None and told.source.lacking[ROWS]:
        count = told.source.lacking[ROWS]
        told.source.notes.append(
            f"{count:,} rows lack a value: they are left out here, and refused without --missing {DROP}"
        )
    print(told)
    return 0
