"""The command ``fastautorec evaluate``."""

from __future__ import annotations

import argparse

from fastautorec._checks import check_real
from fastautorec._compute.protocol import DEFINITIONS
from fastautorec.cli import _files as files
from fastautorec.cli import _modelling as modelling
from fastautorec.cli import _options as options
from fastautorec.cli._streams import check_output, say
from fastautorec.cli._trial import Trial, difference_lines, run_trial, trial_lines
from fastautorec.data import Interactions
from fastautorec.evaluation._evaluate import default_k
from fastautorec.models import Popularity, PureSVD, Recommender
from fastautorec.models._dial import DISCOUNT, require_discount
from fastautorec.models.linear import PURE_SVD_FACTORS


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    options.add_file_options(parser, "--format")
    options.add_model_options(parser)
    options.add_split_options(parser, "a random split")
    options.add_ratios(parser, options.TEST_RATIOS, "train, validation and test")
    parser.add_argument("--definition", choices=DEFINITIONS, default="standard", help="of the metrics")
    parser.add_argument("-k", type=int, nargs="+", metavar="K", help="list lengths (default: 5 10 20 50)")
    options.add_dial(parser)
    parser.add_argument("--baselines", action="store_true", help="compare with PureSVD and Popularity")


def run(args: argparse.Namespace) -> int:
    """Fit a model to the train and validation part of FILE, test it, and print the report."""
    check_output()
    files.check_at(args)
    model = modelling.make_model(args)
    if args.popularity_discount is not None:
        check_real(DISCOUNT, args.popularity_discount)
        require_discount(model, model.get_params())
    data = files.read(args, model)
    by = files.order(data, args.by)
    choice = modelling.has_choice(model)
    if by in ("date", "last"):
        train, *between, test = files.split_at(data, by, args.at, 3 if choice else 2, 3)
        validation = between[0] if between else train
        history = train + validation if between else train
    else:
        spare = () if choice else (1,)  # without validation data there is nothing to choose by
        train, validation, test = files.split_in(data, args.ratios, by, args.random_state, spare)
        seen = (args.ratios[0] + args.ratios[1], args.ratios[2])
        history, _ = files.split_in(data, seen, by, args.random_state)  # train and validation
    if choice:
        modelling.choose(model, train, validation)
    k = tuple(args.k) if args.k else default_k(data.shape[1])

    def trial(name: str, one: Recommender, discount: float | None = None) -> Trial:
        return run_trial(name, one, history, test, k=k, definition=args.definition, discount=discount, say=say)

    mine = trial(args.model, model, args.popularity_discount)
    print(f"{model!r}, fitted on {history.nnz:,} interactions, tested on {test.nnz:,} ({by} split)")
    print(mine.report)
    if args.baselines:
        others = [trial(name, one) for name, one in _baselines(data).items() if name != args.model]
        print("", *trial_lines([mine, *others]), sep="\n")
        for other in others:
            print("", *difference_lines(mine, other), sep="\n")
    return 0


def _baselines(data: Interactions) -> dict[str, Recommender]:
    return {"pure-svd": PureSVD(min(PURE_SVD_FACTORS, *data.shape)), "popularity": Popularity()}
