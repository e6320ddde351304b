"""The command ``fastautorec select``."""

from __future__ import annotations

import argparse
import sys

from fastautorec.cli import _files as files
from fastautorec.cli import _options as options
from fastautorec.cli._modelling import MODELS
from fastautorec.cli._streams import check_output
from fastautorec.tuning._select import select


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    options.add_file_options(parser, "--format")
    text = f"the candidates, of {', '.join(MODELS)} (default: those that are sensible for so much data)"
    parser.add_argument(
        "--models", nargs="+", type=options.model_name, choices=MODELS, action="extend", metavar="NAME", help=text
    )
    options.add_metric(parser)
    text = "try no further setting of a candidate after so long"
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help=text)
    text = "of what is held out and of who searches (default: 0)"
    parser.add_argument("--random-state", type=int, default=0, metavar="SEED", help=text)
    parser.add_argument("--output", metavar="MODEL", help="save the best, fitted on all ratings, here")
    parser.add_argument("--plot", metavar="PNG", help="save a picture of the comparison here")


def run(args: argparse.Namespace) -> int:
    """Tune and compare models, print which is the best, and save it where that is wanted."""
    output, plot = files.writable(args, "output", "plot")
    if output is plot is None:
        check_output()
    files.check_picture(plot)
    models = None if args.models is None else [MODELS[name]() for name in dict.fromkeys(args.models)]
    data = files.read(args)
    found = select(
        data, models, metric=args.metric, timeout=args.timeout, random_state=args.random_state,
        show_progress=sys.stderr.isatty(),
    )  # fmt: skip
    if plot is not None:
        found.plot(plot)
    if output is not None:  # before anything is printed, for the reader may be gone
        files.keep_threshold(found.best_model, args)
        found.best_model.save(output)
    print(found)
    if output is not None:
        print(f"{output}: {found.best_model!r} fitted on all of {args.file}")
    return 0
