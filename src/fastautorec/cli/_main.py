"""The command ``fastautorec`` and its subcommands."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import fastautorec
from fastautorec.cli import _evaluate as evaluate
from fastautorec.cli import _experiment as experiment
from fastautorec.cli import _explain as explain
from fastautorec.cli import _fit as fit
from fastautorec.cli import _inspect as inspect
from fastautorec.cli import _options as options
from fastautorec.cli import _recommend as recommend
from fastautorec.cli import _select as select
from fastautorec.cli import _shard as shard
from fastautorec.cli import _similar as similar
from fastautorec.cli import _streams as streams
from fastautorec.cli import _tune as tune
from fastautorec.cli._folders import ONE
from fastautorec.cli._modelling import MODELS
from fastautorec.cli._streams import say
from fastautorec.exceptions import BackendUnavailableError, DivergedError

__all__ = ["MODELS", "main"]

MORE = "unrecognized arguments: "
USER_ERROR, INTERRUPTED, BROKEN_PIPE = 2, 130, 141
USER_ERRORS = (OSError, ValueError, ImportError, MemoryError, BackendUnavailableError, DivergedError)

IDS = {"recommend": ("--users",), "similar": ("--items",), "explain": ("--users", "--items")}  # may begin with "-"

Command = Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0, or 2 after one line about what was wrong with the request."""
    words = list(sys.argv[1:] if argv is None else argv)
    told = str if words[:1] == ["experiment"] else options.on_the_command_line  # the file has the words of Python
    with streams.ready(told):
        try:
            args = _parse(words)
            command: Command = args.command
            status = command(args)
            sys.stdout.flush()
        except KeyboardInterrupt:
            say("fastautorec: interrupted")
            return INTERRUPTED
        except BrokenPipeError:
            streams.silence_output()
            return BROKEN_PIPE
        except USER_ERRORS as error:
            say(f"fastautorec: error: {told(_one_line(error))}")
            streams.silence_output()  # the disk may be full, which Python would tell again at exit
            return USER_ERROR
        return status


def _demo(args: argparse.Namespace) -> int:
    from fastautorec.cli import _demo as demo  # noqa: PLC0415

    demo.run(Path(args.output), say=say)
    return 0


def _doctor(args: argparse.Namespace) -> int:
    from fastautorec.cli import _doctor as doctor  # noqa: PLC0415

    streams.check_output()
    lines, good = doctor.report()
    print("\n".join(lines))
    return 0 if good else 1


# --- the command line itself -----------------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    """Says so if help or version cannot be printed, which argparse passes over, and where FILE may have gone."""

    def error(self, message: str) -> NoReturn:
        if message.endswith("required: FILE") and "--users" in self._option_string_actions:
            message += ", before --users and --items, which take all words behind them"
        if message.startswith(MORE) and Path(message[len(MORE) :].partition(" ")[0]).exists():
            message += f"; one FILE is read, and {ONE} joins several"
        super().error(message)

    def _print_message(self, message: str, file: Any = None) -> None:
        if file is not sys.stdout:
            super()._print_message(message, file)
        elif message:
            streams.check_output()
            file.write(message)
            file.flush()


def _parse(words: list[str]) -> argparse.Namespace:
    parser, known = _parser()
    for option in IDS.get(words[0], ()) if words else ():
        words = options.one_by_one(words, option, known[words[0]])
    return parser.parse_args(words)


def _parser() -> tuple[argparse.ArgumentParser, dict[str, list[str]]]:
    """Return the parser, and the options of each command."""
    parser = _Parser(
        prog="fastautorec", description="Recommendations from one-class feedback: fit, evaluate, recommend."
    )
    parser.add_argument("--version", action="version", version=f"fastautorec {fastautorec.__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    subs: dict[str, argparse.ArgumentParser] = {}

    def add(name: str, command: Command, text: str) -> argparse.ArgumentParser:
        subs[name] = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        subs[name].set_defaults(command=command)
        return subs[name]

    demo = add("demo", _demo, "compare the models on the embedded data, recommend, and draw a picture")
    demo.add_argument("--output", default=".", metavar="DIR", help="where to save popularity.png (default: here)")
    inspect.add_options(add("inspect", inspect.run, "tell what a rating file is taken for, and what is in it"))
    fit.add_options(add("fit", fit.run, "fit a model to a rating file and save it"))
    recommend.add_options(add("recommend", recommend.run, "recommend items for the histories in a rating file"))
    similar.add_options(add("similar", similar.run, "tell which items are like others, by a saved model"))
    explain.add_options(add("explain", explain.run, "tell which items of a history speak for what is recommended"))
    text = "split a rating file, fit on train and validation data, and test"
    evaluate.add_options(add("evaluate", evaluate.run, text))
    experiment.add_options(add("experiment", experiment.run, "run models × data sets × seeds from a file, and report"))
    tune.add_options(add("tune", tune.run, "search for the parameters of a model that do best on held-out ratings"))
    select.add_options(add("select", select.run, "tell which model is best for a rating file: tune each, compare all"))
    shard.add_options(add("shard", shard.run, "write parts of a data set as shards, for fits past one machine"))
    add("doctor", _doctor, "report versions, BLAS, threads, SIMD level and GPU, and check the results")
    return parser, {name: list(sub._option_string_actions) for name, sub in subs.items()}


def _one_line(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return f"not enough memory{f': {error}' if str(error) else ''}; `plan` of the model tells what a fit needs"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename is not None else error.strerror
    return " ".join(str(error).split())
