"""The process ends, by itself or by Ctrl-C, while daemon threads are inside the library: no crash, and nothing said."""

from __future__ import annotations

import os
from itertools import product

import pytest
from faults.ends import ENDS, WORK, is_good, run
from lanes import keeping

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "1"))  # of each case


@pytest.mark.parametrize(
    ("work", "end"), keeping([("many users", "by itself"), ("epochs", "interrupted")], [*product(WORK, ENDS)])
)
def test_the_process_ends_while_threads_work(work, end):
    for _ in range(ROUNDS):
        done = run(work, end, 0.1)
        assert is_good(done, end), (done.returncode, done.stderr)
