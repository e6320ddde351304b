"""The command ``fastautorec inspect``: it shows how a rating file is read, and what is in it."""

from __future__ import annotations

import argparse
from pathlib import Path

from fastautorec.cli import _files as files
from fastautorec.cli import _options as options
from fastautorec.cli._streams import check_output
from fastautorec.data._loading import load


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    options.add_file_options(parser, "--format")


def run(args: argparse.Namespace) -> int:
    """Print the description of FILE."""
    check_output()
    print(load(Path(args.file), args.file_format, files.limit(args), files.words(args), count_ratings=True).describe())
    return 0
