"""The command ``fastautorec shard``: rating files into folders that a fit past one machine takes."""

from __future__ import annotations

import argparse

from fastautorec.cli import _files as files
from fastautorec.cli import _options as options
from fastautorec.cli._streams import check_output, say
from fastautorec.distributed._facts import Reading
from fastautorec.distributed._sharding import write_shards


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    options.add_file_options(parser, "--format", several=True)
    text = "the folder of shards, which does not exist yet or is empty; the same command goes on where it was stopped"
    parser.add_argument("--output", required=True, metavar="DIR", help=text)
    text = "number of shards (default: one for each two million interactions)"
    parser.add_argument("--n-shards", type=int, metavar="N", help=text)


def run(args: argparse.Namespace) -> int:
    """Write the shards, and print their paths."""
    check_output()
    reading = Reading(args.file_format, files.limit(args), files.words(args))
    shards = write_shards(args.file, args.output, args.n_shards, reading, say)
    print("\n".join(map(str, shards)))
    return 0
