"""What ``fastautorec inspect`` shows: what a rating file is taken for, and what is in it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from fastautorec._data.layouts import FORMATS
from fastautorec._data.loading import load
from fastautorec._data.roles import ROLES, Words


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("file", metavar="FILE", help="ratings, of any format that read_ratings takes")
    text = f"of FILE: {', '.join(FORMATS)} (default: auto)"
    parser.add_argument("--format", choices=FORMATS, default="auto", metavar="FORMAT", help=text)
    parser.add_argument("--threshold", type=float, metavar="X", help="count ratings >= X only")
    for role in ROLES:
        text = f"name or position, from 0, of the {role} column"
        parser.add_argument(f"--{role}", type=_column, metavar="COLUMN", help=text)
    parser.add_argument(
        "--sep", type=_separator, metavar="TEXT", help=r"what separates fields, for example ';' or '\t'"
    )
    parser.add_argument(
        "--header", action=argparse.BooleanOptionalAction, help="whether the first line names the columns"
    )


def run(args: argparse.Namespace, say: Callable[[str], None]) -> int:
    """Print the description of a file and return the exit status."""
    words = Words(args.user, args.item, args.rating, args.timestamp, args.sep, args.header)
    print(load(Path(args.file), args.format, args.threshold, words, count_ratings=True).describe())
    return 0


def _column(text: str) -> str | int:
    return int(text) if text.isascii() and text.isdecimal() else text


def _separator(text: str) -> str:
    return text.replace(r"\t", "\t")
