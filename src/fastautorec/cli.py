"""The command ``fastautorec``: demo, fit, recommend, evaluate, tune and doctor."""

from __future__ import annotations

import argparse
import ast
import contextlib
import csv
import io
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

import fastautorec
from fastautorec._backends.protocol import DEFINITIONS
from fastautorec._commands import experiment
from fastautorec._commands.trial import Trial, difference_lines, run_trial, trial_lines
from fastautorec._data.layouts import FORMATS
from fastautorec._data.texts import is_text
from fastautorec._report import table_lines
from fastautorec.data import Interactions, read_ratings, split
from fastautorec.evaluation import DEFAULT_K
from fastautorec.exceptions import BackendUnavailableError, DivergedError
from fastautorec.models import (
    EASE,
    AutoRec,
    NCEAutoRec,
    NCEPLRec,
    NSAutoRec,
    OHNSAutoRec,
    Popularity,
    PureSVD,
    Recommender,
)

MODELS: dict[str, type[Recommender]] = {
    "nce-autorec": NCEAutoRec,
    "ns-autorec": NSAutoRec,
    "ohns-autorec": OHNSAutoRec,
    "autorec": AutoRec,
    "ease": EASE,
    "nce-plrec": NCEPLRec,
    "pure-svd": PureSVD,
    "popularity": Popularity,
}
TEST_RATIOS = (0.5, 0.2, 0.3)  # train, validation, test, as in the paper
FIT_RATIOS = (0.8, 0.2)  # train and validation, where all of the file is for fitting
CSV_USERS = 1 << 14  # written at a time

USER_ERROR, INTERRUPTED, BROKEN_PIPE = 2, 130, 141
USER_ERRORS = (OSError, ValueError, ImportError, MemoryError, BackendUnavailableError, DivergedError)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0, or 2 after one line about what was wrong with the request."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # an id that the terminal cannot show is no reason to stop
    args = _parser().parse_args(argv)
    command: Callable[[argparse.Namespace], int] = args.command
    try:
        status = command(args)
        sys.stdout.flush()
    except KeyboardInterrupt:
        say("fastautorec: interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        _silence_stdout()
        return BROKEN_PIPE
    except USER_ERRORS as error:
        say(f"fastautorec: error: {_one_line(error)}")
        return USER_ERROR
    return status


def say(text: str) -> None:
    """Print a line about progress or trouble; results alone go to standard output."""
    print(text, file=sys.stderr, flush=True)


# --- commands --------------------------------------------------------------------------------------------------------


def _demo(args: argparse.Namespace) -> int:
    from fastautorec._commands import demo  # noqa: PLC0415

    demo.run(Path(args.output), say=say)
    return 0


def _doctor(args: argparse.Namespace) -> int:
    from fastautorec._commands import doctor  # noqa: PLC0415

    lines, good = doctor.report()
    print("\n".join(lines))
    return 0 if good else 1


def _fit(args: argparse.Namespace) -> int:
    output = _writable(Path(args.output))
    model = _make_model(args)
    data = _read(args)
    start = time.perf_counter()
    if _has_choice(model):
        _choose(model, *split(data, FIT_RATIOS, by=_order(data, None)))
    model.fit(data, show_progress=sys.stderr.isatty())
    seconds = time.perf_counter() - start
    model.save(output)
    print(f"{output}: {model!r} fitted in {seconds:.2f} s, {output.stat().st_size / 1e6:,.1f} MB")
    return 0


def _recommend(args: argparse.Namespace) -> int:
    model = fastautorec.load(args.model)
    if not 1 <= args.n <= model.n_items_:
        raise ValueError(f"`-n` must be between 1 and the number of items of the model, {model.n_items_}, got {args.n}")
    data = _read(args)
    item_ids = model.item_ids_ if model.item_ids_ is not None else np.arange(model.n_items_)
    rows = np.arange(data.shape[0]) if args.users is None else _rows_of(data, args.users)
    history = _in_columns_of(item_ids, data)[rows]
    empty = np.diff(history.indptr) == 0
    if empty.any():
        say(f"left out {empty.sum():,} users without any item that the model knows")
    ids, scores = model.recommend(history[~empty], N=args.n)
    write = _write_csv if args.format == "csv" else _write_table
    write(data.user_ids[rows[~empty]], item_ids, ids, scores)
    return 0


def _experiment(args: argparse.Namespace) -> int:
    return experiment.run(args, say=say)


def _evaluate(args: argparse.Namespace) -> int:
    model = _make_model(args)
    data = _read(args)
    by = _order(data, args.by)
    train, validation, test = split(data, TEST_RATIOS, by=by, random_state=args.random_state)
    share = TEST_RATIOS[0] + TEST_RATIOS[1]
    history, _ = split(data, (share, 1 - share), by=by, random_state=args.random_state)  # train and validation
    if _has_choice(model):
        _choose(model, train, validation)
    k = tuple(args.k or [value for value in DEFAULT_K if value <= data.shape[1]] or [data.shape[1]])

    def trial(name: str, one: Recommender) -> Trial:
        return run_trial(name, one, history, test, k=k, definition=args.definition, say=say)

    mine = trial(args.model, model)
    print(f"{model!r}, fitted on {history.nnz:,} interactions, tested on {test.nnz:,} ({by} split)")
    print(mine.report)
    if args.baselines:
        others = [trial(name, one) for name, one in _baselines(data).items() if name != args.model]
        print("", *trial_lines([mine, *others]), sep="\n")
        for other in others:
            print("", *difference_lines(mine, other), sep="\n")
    return 0


def _tune(args: argparse.Namespace) -> int:
    output = None if args.output is None else _writable(Path(args.output))
    plot = None if args.plot is None else _writable(Path(args.plot))
    model = _make_model(args)
    data = _read(args)
    train, validation = split(data, FIT_RATIOS, by=_order(data, args.by), random_state=args.random_state)
    result = fastautorec.tune(
        model, train, validation, dict(args.space) or None, args.trials, args.timeout, metric=args.metric,
        storage=args.storage, study_name=args.study, random_state=args.random_state, show_progress=sys.stderr.isatty(),
    )  # fmt: skip
    print(result)
    print("best:", *(f"{name}={value}" for name, value in result.best_params.items()))
    if plot is not None:
        result.plot(plot)
    if output is not None:
        final = result.refit(data)
        final.save(output)
        print(f"{output}: {final!r} fitted on all of {args.file}")
    return 0


# --- models ----------------------------------------------------------------------------------------------------------


def _make_model(args: argparse.Namespace) -> Recommender:
    """Return the model that was asked for, its parameters checked before a large file is read."""
    try:
        model = MODELS[args.model]().set_params(**dict(args.set))
        model._check_params()
        model._backend()
    except TypeError as error:  # of a value like dropout=high
        raise ValueError(str(error)) from error
    return model


def _baselines(data: Interactions) -> dict[str, Recommender]:
    svd = PureSVD()
    return {"pure-svd": svd.set_params(factors=min(svd.factors, *data.shape)), "popularity": Popularity()}


def _has_choice(model: Recommender) -> bool:
    return isinstance(model.get_params().get("regularization"), (tuple, list))


def _choose(model: Recommender, train: Interactions, validation: Interactions) -> None:
    """Set the regularization to the one of several that does best on validation data."""
    chosen = getattr(model.fit(train, validation=validation), "regularization_", None)
    if chosen is None:
        raise ValueError(f"{type(model).__name__} takes one `regularization`, got several")
    say(f"regularization {chosen:g} is best on validation data")
    model.set_params(regularization=chosen)


# --- files -----------------------------------------------------------------------------------------------------------


def _read(args: argparse.Namespace) -> Interactions:
    start = time.perf_counter()
    data = read_ratings(args.file, format=args.file_format, threshold=args.threshold)
    m, n = data.shape
    seconds = time.perf_counter() - start
    say(f"{args.file}: {m:,} users, {n:,} items, {data.nnz:,} interactions, read in {seconds:.2f} s")
    return data


def _writable(path: Path) -> Path:
    """Return the path of a file to write, or raise before any work is done."""
    if not path.parent.is_dir():
        raise FileNotFoundError(f"no folder {path.parent} to write {path.name} to")
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise PermissionError(f"cannot write a file at {path}")
    return path


def _order(data: Interactions, by: str | None) -> str:
    if by is None:
        return "random" if data.timestamps is None else "time"
    return by


def _rows_of(data: Interactions, labels: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return the rows of users named on the command line, where every id is a text."""
    integers = not is_text(data.user_ids)
    ids: list[int | str] = [int(label) if integers and label.lstrip("-").isdecimal() else label for label in labels]
    try:
        rows: npt.NDArray[np.int64] = data.user_index(ids)
    except KeyError as error:
        raise ValueError(error.args[0]) from None
    return rows


def _in_columns_of(item_ids: npt.NDArray[Any], data: Interactions) -> sparse.csr_matrix:
    """Return the histories with the columns of a model, and tell what could not be kept."""
    kept = data.with_items(item_ids)
    if kept.nnz < data.nnz:
        known = set(map(str, item_ids.tolist()))
        unknown = sum(str(item) not in known for item in data.item_ids.tolist())
        skipped = data.nnz - kept.nnz
        say(f"skipped {skipped:,} of {data.nnz:,} interactions, with {unknown:,} items that the model does not know")
    return kept.user_items


def _write_csv(
    users: npt.NDArray[Any], item_ids: npt.NDArray[Any], ids: npt.NDArray[Any], scores: npt.NDArray[Any]
) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["user", "rank", "item", "score"])
    for start in range(0, len(users), CSV_USERS):
        block = slice(start, start + CSV_USERS)
        real = ids[block] >= 0  # lists may have free places
        owners = np.repeat(users[block], real.sum(axis=1))
        ranks = np.nonzero(real)[1] + 1
        texts = map("{:.6g}".format, scores[block][real].tolist())
        writer.writerows(zip(owners.tolist(), ranks.tolist(), item_ids[ids[block][real]].tolist(), texts, strict=True))


def _write_table(
    users: npt.NDArray[Any], item_ids: npt.NDArray[Any], ids: npt.NDArray[Any], scores: npt.NDArray[Any]
) -> None:
    for user, items, values in zip(users.tolist(), ids, scores, strict=True):
        rows = [[str(item_ids[item]), f"{value:.4f}"] for item, value in zip(items, values, strict=True) if item >= 0]
        print(user, *(f"  {place:3}. {line}" for place, line in enumerate(table_lines(rows), 1)), sep="\n")


# --- the command line itself -----------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fastautorec", description="Recommendations from one-class feedback: fit, evaluate, recommend."
    )
    parser.add_argument("--version", action="version", version=f"fastautorec {fastautorec.__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(name: str, command: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        sub.set_defaults(command=command)
        return sub

    demo = add("demo", _demo, "compare the models on the embedded data, recommend, and draw a picture")
    demo.add_argument("--output", default=".", metavar="DIR", help="where to save popularity.png (default: here)")

    fit = add("fit", _fit, "fit a model to a rating file and save it")
    _add_file_options(fit, "--format")
    fit.add_argument("--output", required=True, metavar="MODEL", help="where to save the model, for example model.npz")
    _add_model_options(fit)

    recommend = add("recommend", _recommend, "recommend items for the histories in a rating file")
    _add_file_options(recommend)
    recommend.add_argument("--model", required=True, metavar="MODEL", help="a file that `fastautorec fit` saved")
    recommend.add_argument("-n", type=int, default=10, metavar="N", help="length of the lists (default: 10)")
    recommend.add_argument("--users", nargs="+", metavar="ID", help="users of FILE (default: all)")
    recommend.add_argument("--format", choices=("csv", "table"), default="csv", help="of the output (default: csv)")

    evaluate = add("evaluate", _evaluate, "split a rating file, fit on train and validation data, and test")
    _add_file_options(evaluate, "--format")
    _add_model_options(evaluate)
    by = "order of each user's items, oldest first or random (default: by time where the file has times)"
    evaluate.add_argument("--by", choices=("time", "random"), help=by)
    evaluate.add_argument("--definition", choices=DEFINITIONS, default="standard", help="of the metrics")
    evaluate.add_argument("-k", type=int, nargs="+", metavar="K", help="list lengths (default: 5 10 20 50)")
    evaluate.add_argument("--random-state", type=int, default=0, metavar="SEED", help="of a random split (default: 0)")
    evaluate.add_argument("--baselines", action="store_true", help="compare with PureSVD and Popularity")

    experiment.add_options(add("experiment", _experiment, "run models × data sets × seeds from a file, and report"))

    tune = add("tune", _tune, "search for the parameters of a model that do best on held-out ratings")
    _add_file_options(tune, "--format")
    _add_model_options(tune)
    text = "what to try: choices a,b,c or a range low:high or low:high:log (default: the grid of the paper)"
    tune.add_argument(
        "--space", nargs="+", type=_trial_values, action="extend", default=[], metavar="NAME=VALUES", help=text
    )
    tune.add_argument("--trials", type=int, default=30, metavar="N", help="number of trials (default: 30)")
    tune.add_argument("--timeout", type=float, metavar="SECONDS", help="begin no trial after so long")
    tune.add_argument("--metric", default="NDCG", help="what is maximised, for example Recall@20 (default: NDCG)")
    tune.add_argument("--storage", metavar="PATH", help="keep the trials here; the same command goes on with them")
    tune.add_argument("--study", metavar="NAME", help="name of the search in that file (default: the model's class)")
    tune.add_argument("--by", choices=("time", "random"), help=by)
    tune.add_argument("--random-state", type=int, default=0, metavar="SEED", help="of search and split (default: 0)")
    tune.add_argument("--output", metavar="MODEL", help="fit the best on all ratings and save it here")
    tune.add_argument("--plot", metavar="PNG", help="save a picture of the search here")

    add("doctor", _doctor, "report versions, BLAS, threads, SIMD level and GPU, and check the results")
    return parser


def _add_file_options(parser: argparse.ArgumentParser, *names: str) -> None:
    parser.add_argument("file", metavar="FILE", help="ratings: csv, parquet, MovieLens, Goodbooks, Netflix, Yahoo! R1")
    text = f"of FILE: {', '.join(FORMATS)} (default: auto)"
    flags = ("--file-format", *names)
    parser.add_argument(*flags, dest="file_format", choices=FORMATS, default="auto", metavar="FORMAT", help=text)
    text = "count ratings >= X only (default: every row of FILE, whatever its rating)"
    parser.add_argument("--threshold", type=float, metavar="X", help=text)


def _add_model_options(parser: argparse.ArgumentParser) -> None:
    text = f"{', '.join(MODELS)} (default: nce-autorec)"
    parser.add_argument("--model", choices=MODELS, default="nce-autorec", metavar="NAME", help=text)
    text = "parameters of the model, for example factors=500 regularization=0.03,0.1,0.3 (the best is chosen)"
    parser.add_argument("--set", nargs="+", type=_setting, action="extend", default=[], metavar="NAME=VALUE", help=text)


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"a parameter is given as name=value, got {text!r}")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value  # a word such as relu


def _trial_values(text: str) -> tuple[str, Any]:
    """Return the name and what to try: a list of choices, or a range as a tuple."""
    name, value = _setting(text)
    if not isinstance(value, str):
        return name, list(value) if isinstance(value, tuple) else [value]
    ends = value.split(":")
    if len(ends) == 1:
        return name, [_setting(f"{name}={word}")[1] for word in value.split(",")]
    return name, tuple(_setting(f"{name}={end}")[1] for end in ends)


def _one_line(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return f"not enough memory{f': {error}' if str(error) else ''}; `plan` of the model tells what a fit needs"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename is not None else error.strerror
    return " ".join(str(error).split())


def _silence_stdout() -> None:
    """Let the reader of our pipe go without a word, at exit too, when Python flushes what is left."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
