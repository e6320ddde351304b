"""The process ends while daemon threads are inside the library: by itself, or by Ctrl-C, without a crash or a word."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from random import Random

from faults.harness import PATIENCE, Case, require

PROGRAM = """
import os, random, signal, sys, threading, time
import fastautorec as far

train = far.datasets.synthetic(600, 300, 9000, random_state=0)
model = far.NCEAutoRec(factors=20).fit(train)
work = {
    "one user": lambda: model.recommend(train[:1]),
    "many users": lambda: model.recommend(train[:300]),
    "epochs": lambda: far.NSAutoRec(factors=20, epochs=20).fit(train),
    "item-item": lambda: far.EASE().fit(train),
}[sys.argv[1]]
begun = threading.Event()

def for_ever():
    while True:
        begun.set()
        work()

threads = [threading.Thread(target=for_ever, daemon=True) for _ in range(3)]
for thread in threads:
    thread.start()
begun.wait()
time.sleep(float(sys.argv[3]))
if sys.argv[2] == "interrupted":
    threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGINT)).start()
    threads[0].join()
"""
WORK = ("one user", "many users", "epochs", "item-item")


ENDS = ("by itself", "interrupted")


def run(work: str, end: str, seconds: float) -> subprocess.CompletedProcess[str]:
    """Run a process whose threads work for some seconds before its end."""
    return subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", PROGRAM, work, end, str(seconds)],
        capture_output=True, text=True, timeout=PATIENCE, check=False,
        # a job in the background has Ctrl-C ignored, and its children too
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def is_good(done: subprocess.CompletedProcess[str], end: str) -> bool:
    """Return whether a process has ended as it was told, without a word of the library."""
    if end == "by itself":
        return (done.returncode, done.stderr) == (0, "")
    return done.returncode == -signal.SIGINT and done.stderr.endswith("KeyboardInterrupt\n")


def prepare(shared: Path) -> Case:
    del shared

    def case(rng: Random, number: int, folder: Path) -> None:
        work, end = WORK[number % len(WORK)], ENDS[number // len(WORK) % 2]
        try:
            done = run(work, end, rng.uniform(0, 0.2))
        except subprocess.TimeoutExpired:
            require(False, f"{work}, {end}: the process does not end")
        require(is_good(done, end), f"{work}, {end}: {done.returncode} {done.stderr}")

    return case
