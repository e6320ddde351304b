"""The process ends, by itself or by Ctrl-C, while daemon threads are inside the library: no crash, and nothing said."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from lanes import keeping

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "1"))  # of each case

PROGRAM = """
import os, signal, sys, threading, time
import fastautorec as far

train = far.datasets.synthetic(2000, 600, 40_000, random_state=0)
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
time.sleep(0.1)
if sys.argv[2] == "interrupted":
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    threads[0].join()
"""


WORK = ("one user", "many users", "epochs", "item-item")
CASES = [(work, end) for work in WORK for end in ("by itself", "interrupted")]


@pytest.mark.parametrize(("work", "end"), keeping([("many users", "by itself"), ("epochs", "interrupted")], CASES))
def test_the_process_ends_while_threads_work(work, end):
    for _ in range(ROUNDS):
        command = [sys.executable, "-c", PROGRAM, work, end]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if end == "by itself":
            assert (done.returncode, done.stderr) == (0, "")
        else:
            assert (done.returncode, done.stderr.splitlines()[-1:]) == (-2, ["KeyboardInterrupt"])
