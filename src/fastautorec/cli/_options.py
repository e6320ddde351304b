"""Options that several commands share, and what their words mean."""

from __future__ import annotations

import argparse
import ast
import math
import re
from collections.abc import Sequence
from typing import Any

from fastautorec.cli._folders import ONE
from fastautorec.cli._modelling import MODELS
from fastautorec.data._files import joined
from fastautorec.data._layouts import FORMATS
from fastautorec.data._missing import MISSING, RAISE
from fastautorec.data._repeats import LAST, REPEATS
from fastautorec.data._roles import SOUGHT, Words
from fastautorec.data._splits import shares
from fastautorec.data._splitting import KEPT, WAYS

EVERY_ROW = "none"  # the threshold that leaves nothing out
TEST_RATIOS = (0.5, 0.2, 0.3)  # train, validation, test, as in the paper
MOST = 1e15  # largest share
_DASHES = "\0--"  # stands for an id that is "--", which argparse would drop; no word of a command line has a NUL
_NAMES = "|".join((*Words._fields, "format", "threshold"))
_ARGUMENT = re.compile(rf"(?<![\w/.-])({_NAMES})=('[^']*'|\w*)")
_OR = re.compile(r"\bor\b|; (if|else)\b")
_PANDAS = re.compile(r"pandas\.\w+\([^()]*\)")  # whose arguments are not ours
_WORDS = re.compile(r"(?<![\w/.-])(missing|repeats)='(\w+)'")  # put in place, as nothing of Python is around them
_SEVERAL = re.compile(".*".join(map(re.escape, joined("\0").split("\0"))))
FIT_RATIOS = (0.8, 0.2)  # train and validation, where all of the file is for fitting


def add_file_options(
    parser: argparse.ArgumentParser, *names: str, counted: str = EVERY_ROW, several: bool = False
) -> None:
    """Add FILE and what says how to read it.

    ``names`` are further names of ``--file-format``, ``counted`` says which ratings count by default, and ``several``
    takes one file or more.
    """
    text = "ratings: csv, parquet, MovieLens, Goodbooks, Netflix, Yahoo! R1, RecBole's .inter, lists as of LightGCN"
    text += "" if several else "; or the folder of one shard that `fastautorec shard` wrote"
    parser.add_argument("file", metavar="FILE", nargs="+" if several else None, help=text)
    text = f"what FILE is: {', '.join(FORMATS)} (default: auto, told from FILE)"
    flags = ("--file-format", *names)
    parser.add_argument(*flags, dest="file_format", choices=FORMATS, default="auto", metavar="FORMAT", help=text)
    for role in SOUGHT:
        text = f"column of the {role}s: its name, or its position, where 0 is the first (default: told from FILE)"
        flags_of_role = (f"--{role}", "--time") if role == "timestamp" else (f"--{role}",)
        parser.add_argument(*flags_of_role, type=column, metavar="COLUMN", help=text)
        if role in ("rating", "timestamp"):
            text = f"read no {role}s, whatever the columns are called"
            parser.add_argument(f"--no-{role}", dest=role, action="store_const", const=False, help=text)
    text = "column of numbers above 0: how much each row counts (for the model wrmf; the others take rows as they are)"
    parser.add_argument("--weight", dest="weights", type=column, metavar="COLUMN", help=text)
    text = "what separates the columns, for example ';' or '\\t' (default: told from FILE)"
    parser.add_argument("--sep", type=separator, metavar="TEXT", help=text)
    text = "whether the first line of FILE names the columns (default: told from FILE)"
    parser.add_argument("--header", action=argparse.BooleanOptionalAction, help=text)
    text = (
        "at which time a pair counts that comes several times; 'first' keeps what a user has again from being tested "
        f"as if it were new (default: {LAST})"
    )
    parser.add_argument("--repeats", choices=REPEATS, default=LAST, help=text)
    text = f"refuse rows that lack a value, or leave them out (default: {RAISE})"
    parser.add_argument("--missing", choices=MISSING, default=RAISE, help=text)
    text = f"count ratings >= X only, or '{EVERY_ROW}': every row of FILE, whatever its rating (default: {counted})"
    parser.add_argument("--threshold", type=threshold, metavar="X", help=text)


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add the model and its parameters."""
    text = f"{', '.join(MODELS)} (default: nce-autorec)"
    parser.add_argument("--model", type=model_name, choices=MODELS, default="nce-autorec", metavar="NAME", help=text)
    text = "parameters of the model, for example factors=500 regularization=0.03,0.1,0.3 (the best is chosen)"
    parser.add_argument("--set", nargs="+", type=setting, action="extend", default=[], metavar="NAME=VALUE", help=text)


def add_ratios(parser: argparse.ArgumentParser, default: Sequence[float], parts: str) -> None:
    """Add the shares of the parts that each user's items are split into."""
    written = " ".join(f"{share:g}" for share in default)
    text = (
        f"shares of {parts} of each user's items, with sum 1, or whole numbers such as {' '.join('1' * len(default))} "
        f"for short histories (default: {written})"
    )
    parser.add_argument(
        "--ratios", nargs=len(default), type=_share, action=_Ratios, default=default, metavar="SHARE", help=text
    )


def add_split_options(parser: argparse.ArgumentParser, seed_of: str) -> None:
    """Add what decides a split, and its seed."""
    text = (
        "how to split: each user's items oldest first or at random, by shares; all users at the same date, with --at; "
        "or each user's last items held out, one for each part (default: by time where the file has times)"
    )
    parser.add_argument("--by", choices=WAYS, help=text)
    text = "with --by date: where the next part begins, such as 2024-02-01 or a number; two with validation"
    parser.add_argument("--at", nargs="+", metavar="TIME", help=text)
    parser.add_argument("--random-state", type=int, default=0, metavar="SEED", help=f"of {seed_of} (default: 0)")


def add_metric(parser: argparse.ArgumentParser) -> None:
    """Add the metric of a search."""
    parser.add_argument("--metric", default="NDCG", help="what is maximised, for example Recall@20 (default: NDCG)")


def add_dial(parser: argparse.ArgumentParser) -> None:
    """Add the popularity discount."""
    text = "exponent γ in place of the model's own one: more lists rarer items (models of the AutoRec family)"
    parser.add_argument("--popularity-discount", type=float, metavar="G", help=text)


def on_the_command_line(message: str) -> str:
    """Return a message with the options that stand for the arguments of Python which it speaks of.

    They come before its advice, which follows a semicolon, or at the end; what it says of ``missing`` and ``repeats``
    is put in other words.

    >>> on_the_command_line("say which, for example read_ratings(path, user=0, item=1)")
    'say which, for example read_ratings(path, user=0, item=1) (on the command line: --user 0 --item 1)'
    >>> on_the_command_line("no column of users; say user=COLUMN")
    'no column of users (on the command line: --user COLUMN); say user=COLUMN'
    >>> on_the_command_line("leave them out with rating=False, or say header=True")
    'leave them out with rating=False, or say header=True (on the command line: --no-rating or --header)'
    >>> on_the_command_line("3 lack a time; say missing='drop' to leave them out, or timestamp=False to read no times")
    '3 lack a time; say --missing drop to leave them out, or --no-timestamp to read no times'
    >>> on_the_command_line("no such file")
    'no such file'
    """
    message = _SEVERAL.sub(f"{ONE} joins several files, and FILE is DIR then", message.replace(KEPT, ""))
    message, say, way_on = _WORDS.sub(r"--\1 \2", message).partition("say --missing")
    way_on = say + _ARGUMENT.sub(lambda found: _flag(*found.groups()), way_on)
    told: set[str] = set()
    options, end, advice = "", 0, len(message)
    ours = _PANDAS.sub(lambda call: " " * len(call[0]), message)
    for found in _ARGUMENT.finditer(ours):
        flag = _flag(*found.groups())
        if not told:
            advice = place if (place := message.rfind("; ", 0, found.start())) >= 0 else advice
        if flag not in told:
            joint = " or " if _OR.search(message, end, found.start()) else " "
            options += flag if not told else f"{joint}{flag}"
            told.add(flag)
            end = found.end()
    return (f"{message[:advice]} (on the command line: {options}){message[advice:]}" if options else message) + way_on


def _flag(name: str, value: str) -> str:
    if value in ("True", "False"):
        return f"--{'no-' if value == 'False' else ''}{name}"
    option = {"format": "file-format", "weights": "weight"}.get(name, name)
    return f"--{option} {EVERY_ROW if value == 'None' else value or 'TEXT'}"


# --- words -----------------------------------------------------------------------------------------------------------


def column(text: str) -> str | int:
    """Return the name of a column, or its position."""
    return int(text) if text.isascii() and text.isdigit() else text


def separator(text: str) -> str:
    r"""Return a separator; a shell writes a tab as ``\t``."""
    return text.replace("\\t", "\t")


def threshold(text: str) -> float | str:
    """Return a threshold, or the word that means none."""
    if text == EVERY_ROW:
        return text
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"a threshold is a number or '{EVERY_ROW}', got {text!r}")
    return value


def setting(text: str) -> tuple[str, Any]:
    """Return name and value of a parameter."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"a parameter is given as name=value, got {text!r}")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return name, value  # a word such as relu


def trial_values(text: str) -> tuple[str, Any]:
    """Return the name and what to try: a list of choices, or a range as a tuple."""
    name, value = setting(text)
    if not isinstance(value, str):
        return name, list(value) if isinstance(value, tuple) else [value]
    ends = value.split(":")
    if len(ends) == 1:
        return name, [setting(f"{name}={word}")[1] for word in value.split(",")]
    return name, tuple(setting(f"{name}={end}")[1] for end in ends)


def model_name(text: str) -> str:
    """Return the name of a model, which may be given as that of its class.

    >>> model_name("NCEAutoRecCV"), model_name("ease"), model_name("none")
    ('nce-autorec-cv', 'ease', 'none')
    """
    return next((name for name, model in MODELS.items() if model.__name__ == text), text)


def user_id(text: str) -> str:
    """Return an id as it was given."""
    return "--" if text == _DASHES else text


def one_by_one(words: Sequence[str], option: str, others: Sequence[str]) -> list[str]:
    """Return the words of a command with each value of an option written as ``--option=value``.

    So values may begin with a minus. They end at the next word that is another option, or at the end.

    >>> one_by_one(["a.csv", "--users", "-Lu1", "-Lu2", "-n", "3"], "--users", ["--users", "-n"])
    ['a.csv', '--users=-Lu1', '--users=-Lu2', '-n', '3']
    """
    short = tuple(name for name in others if not name.startswith("--"))
    result: list[str] = []
    inside = False
    for word in words:
        name, value = word.partition("=")[0], word[2:]
        is_option = name in others or (word[:2] in short and value.isascii() and value.isdigit())  # such as -n5
        if is_option or word == "--":
            inside = word == option
            result += [] if inside else [f"{option}={_DASHES}" if word == f"{option}=--" else word]
        else:
            result.append(f"{option}={word}" if inside else word)
    return result


class _Ratios(argparse.Action):
    """Takes shares that fit together."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, *_: Any) -> None:
        try:
            setattr(namespace, self.dest, shares(values))
        except ValueError as error:
            raise argparse.ArgumentError(self, str(error)) from None


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= MOST:
        raise argparse.ArgumentTypeError(f"a share is a number > 0 and <= {MOST:g}, got {text!r}")
    return value
