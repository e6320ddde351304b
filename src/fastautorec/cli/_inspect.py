"""The command ``fastautorec inspect``: it shows how a rating file is read, and what is in it."""

from __future__ import annotations

import argparse
from pathlib import Path

from fastautorec.cli import _files as files
from fastautorec.cli import _options as options
from fastautorec.cli._streams import check_output
from fastautorec.data._loading import load
from fastautorec.data._roles import Words


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    options.add_file_options(parser, "--format")


def run(args: argparse.Namespace) -> int:
    """Print the description of FILE."""
    check_output()
    words = Words(args.user, args.item, args.rating, args.timestamp, args.sep, args.header, args.weights)
    print(load(Path(args.file), args.file_format, files.limit(args), words, count_ratings=True).describe())
    return 0
