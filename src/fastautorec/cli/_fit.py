"""The command ``fastautorec fit``."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from fastautorec.cli import _files as files
from fastautorec.cli import _modelling as modelling
from fastautorec.cli import _options as options


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    options.add_file_options(parser, "--format")
    text = "where to save the model, for example model.npz"
    parser.add_argument("--output", required=True, metavar="MODEL", help=text)
    options.add_model_options(parser)
    options.add_ratios(parser, options.FIT_RATIOS, "train and validation, to choose among several regularizations,")


def run(args: argparse.Namespace) -> int:
    """Fit a model to all of FILE and save it."""
    files.writable(args, "output")
    output = Path(args.output)
    model = modelling.make_model(args)
    data = files.read(args, model)
    start = time.perf_counter()
    if modelling.has_choice(model):
        modelling.choose(model, *files.split_in(data, args.ratios, files.order(data, None)))
    model.fit(data, show_progress=sys.stderr.isatty())
    seconds = time.perf_counter() - start
    files.keep_threshold(model, args)
    model.save(output)
    print(f"{output}: {model!r} fitted in {seconds:.2f} s, {output.stat().st_size / 1e6:,.1f} MB")
    return 0
