"""Forked workers that are killed at any moment harm neither their parent nor each other; few threads are enough."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest
from lanes import keeping

import fastautorec as far
from fastautorec._training import run as _run

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "1"))

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


def run(program, *arguments):
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


KILLED = """
import os, random, signal, sys, time
import fastautorec as far

train = far.datasets.synthetic(50, 30, 300, random_state=0)
model, show = far.Popularity(), sys.argv[1] == "shown"
model.fit(train, show_progress=show)
random.seed(0)
for _ in range(int(sys.argv[2])):
    child = os.fork()
    if child == 0:
        while True:
            model.fit(train, show_progress=show)
    time.sleep(random.uniform(0.01, 0.03))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    model.fit(train, show_progress=show)
"""


@pytest.mark.parametrize("bar", keeping(["shown"], ["hidden", "shown"]))
def test_a_killed_worker_leaves_no_lock(bar):
    done = run(KILLED, bar, str(100 * ROUNDS))
    assert done.returncode == 0, done.stderr


def test_no_bar_and_no_thread_unless_shown(monkeypatch):
    made = []
    monkeypatch.setattr(_run, "_Bar", lambda **options: made.append(options))
    before = threading.active_count()
    train = far.datasets.synthetic(50, 30, 300, random_state=0)
    far.NSAutoRec(factors=4, epochs=1, num_threads=1).fit(train)
    far.NCEAutoRec(factors=4, num_threads=1).fit(train)
    assert not made
    assert threading.active_count() <= before + 1  # one for LAPACK


FEW_THREADS = """
import sys, threading
import numpy as np
import fastautorec as far

left = int(sys.argv[1])
start = threading.Thread.start

def start_while_there_are_some(self):
    global left
    if left == 0:
        raise RuntimeError("can't start new thread")
    left -= 1
    start(self)

threading.Thread.start = start_while_there_are_some
train = far.datasets.synthetic(3000, 600, 40_000, random_state=0)
models = [far.EASE(), far.NCEAutoRec(factors=20), far.NSAutoRec(factors=8, epochs=1)]
for model in models:
    model.num_threads = 8
    few = model.fit(train).recommend(train)
    model.num_threads = 1
    one = model.fit(train).recommend(train)
    assert all(np.array_equal(a, b) for a, b in zip(few, one)), model
"""


@pytest.mark.parametrize("threads", keeping([0], [0, 1, 2]))
def test_no_more_threads_to_be_had(threads):
    done = run(FEW_THREADS, str(threads))
    assert done.returncode == 0, done.stderr
