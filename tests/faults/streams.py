"""Commands whose standard streams are closed, full or without a reader: exit status and files are right."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import numpy as np

import fastautorec as far
from faults.harness import PATIENCE, Case, require, value_of
from faults.writers import CONFIG, CommandFit, small

BROKEN = 141
COMMANDS = {  # words, the file that is written, and whether there is nothing else to give than text
    "inspect": ("inspect FILE", "", True),
    "fit": ("fit FILE --model ease --output OUT", "OUT", False),
    "recommend": ("recommend FILE --model MODEL", "", True),
    "evaluate": ("evaluate FILE --model ease", "", True),
    "tune": ("tune FILE --model ease --space regularization=1,10", "", True),
    "tune --output": ("tune FILE --model ease --space regularization=1,10 --output OUT", "OUT", False),
    "experiment": ("experiment CONFIG --data HERE --output FOLDER", "FOLDER/summary.csv", False),
    "--version": ("--version", "", True),
    "--help": ("--help", "", True),
    "wrong": ("fit ABSENT --output OUT", "", True),
}
OUTPUT = {"": None, ">&-": 2, ">/dev/full": 2, "| gone": BROKEN}  # what becomes of text on it, and the exit status
ERRORS = ("", "2>&-", "2>/dev/full")
STRIDE = 7  # so that a short run sees some of each
WAYS = [(output, error, stdin) for output in OUTPUT for error in ERRORS for stdin in ("", "<&-")]


def prepare(shared: Path) -> Case:
    writer = value_of(lambda: CommandFit(shared / "fit"))  # leaves its files
    del writer
    rows, columns = small(1).nonzero()
    np.savez(shared / "few.npz", user=rows, item=columns)
    (shared / "few.toml").write_text('name = "few"\n' + CONFIG)

    def case(rng: Random, number: int, folder: Path) -> None:
        name = list(COMMANDS)[number % len(COMMANDS)]
        turn = number // len(COMMANDS)
        output, error, stdin = WAYS[turn * STRIDE % len(WAYS)]
        unbuffered = str(rng.choice(("", "1")))
        text, written, only_text = COMMANDS[name]
        names = {
            "FILE": shared / "fit" / "1.csv",
            "MODEL": shared / "fit" / "old" / "model.npz",
            "CONFIG": shared / "few.toml",
            "HERE": shared,
            "ABSENT": folder / "absent.csv",
            "OUT": folder / "out.npz",
            "FOLDER": folder / "out",
        }
        words = [str(names.get(word, word)) for word in text.split()]
        status, said = _run(words, output, error, stdin, unbuffered)
        told = f"{name} {output} {error} {stdin} unbuffered={unbuffered!r}: {status} {said}"
        if name == "wrong":
            require(status == 2, told)
        elif output == ">&-" and not only_text:
            require(status == 0, told)  # there is a file to give
        else:
            require(status == (OUTPUT[output] or 0), told)
        require("Traceback" not in said and "Exception ignored" not in said, told)
        if written:
            first, *rest = written.split("/")
            path = Path(names[first], *rest)
            require(path.exists(), f"{told}; there is no {written}")
            if first == "OUT":
                value_of(lambda: far.load(path))

    return case


def _run(words: list[str], output: str, error: str, stdin: str, unbuffered: str) -> tuple[int, str]:
    gone = None
    if output == "| gone":
        reader, gone = os.pipe()
        os.close(reader)
        output = f">&{gone}"
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    command = ["bash", "-c", f'exec "$@" {stdin} {output} {error}', "bash", sys.executable, "-m", "fastautorec", *words]
    try:
        done = subprocess.run(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment, timeout=2 * PATIENCE,
            check=False, pass_fds=[] if gone is None else [gone],
            preexec_fn=lambda: signal.signal(signal.SIGPIPE, signal.SIG_DFL),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return -1, "does not end"
    finally:
        if gone is not None:
            os.close(gone)
    return done.returncode, done.stderr.decode(errors="replace")
