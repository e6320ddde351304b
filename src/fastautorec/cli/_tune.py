"""The command ``fastautorec tune``."""

from __future__ import annotations

import argparse
import sys

from fastautorec.cli import _files as files
from fastautorec.cli import _modelling as modelling
from fastautorec.cli import _options as options
from fastautorec.cli._streams import check_output
from fastautorec.tuning._tune import tune


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    options.add_file_options(parser, "--format")
    options.add_model_options(parser)
    text = "what to try: choices a,b,c or a range low:high or low:high:log (default: the grid of the paper)"
    parser.add_argument(
        "--space", nargs="+", type=options.trial_values, action="extend", default=[], metavar="NAME=VALUES", help=text
    )
    parser.add_argument("--trials", type=int, default=30, metavar="N", help="number of trials (default: 30)")
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="begin no trial after so long")
    options.add_metric(parser)
    parser.add_argument("--storage", metavar="PATH", help="keep the trials here; the same command goes on with them")
    parser.add_argument("--study", metavar="NAME", help="name of the search in that file (default: the model's class)")
    options.add_split_options(parser, "search and split")
    options.add_ratios(parser, options.FIT_RATIOS, "train and validation")
    parser.add_argument("--output", metavar="MODEL", help="fit the best on all ratings and save it here")
    parser.add_argument("--plot", metavar="PNG", help="save a picture of the search here")


def run(args: argparse.Namespace) -> int:
    """Search for the parameters of a model, print what was found, and save the best where that is wanted."""
    output, plot, _ = files.writable(args, "output", "plot", "storage")
    if output is plot is args.storage is None:
        check_output()
    files.check_picture(plot)
    files.check_at(args)
    model = modelling.make_model(args)
    data = files.read(args, model)
    by = files.order(data, args.by)
    if by in ("date", "last"):
        train, validation = files.split_at(data, by, args.at, 2, 2)
    else:
        train, validation = files.split_in(data, args.ratios, by, args.random_state)
    result = tune(
        model, train, validation, dict(args.space) or None, args.trials, args.timeout, metric=args.metric,
        storage=args.storage, study_name=args.study, random_state=args.random_state, show_progress=sys.stderr.isatty(),
    )  # fmt: skip
    done = []
    if plot is not None:
        result.plot(plot)
    if output is not None:  # before anything is printed, for the reader may be gone
        final = result.refit(data)
        files.keep_threshold(final, args)
        final.save(output)
        done = [f"{output}: {final!r} fitted on all of {args.file}"]
    print(result)
    print("best:", *(f"{name}={value}" for name, value in result.best_params.items()))
    print(*done, sep="\n", end="\n" if done else "")
    return 0
