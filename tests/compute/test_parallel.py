"""Threads: errors come out, BLAS threads are put back, and forks and other Python threads do no harm."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy import sparse
from threadpoolctl import threadpool_info, threadpool_limits

from fastautorec import ops
from fastautorec._compute import host as _parallel

FORK = """
import os, sys
import numpy as np
from scipy import sparse
from fastautorec import ops

user_items = sparse.random(3000, 200, 0.1, format="csr", dtype=np.float32, random_state=0)
weight = np.ones((200, 128), np.float32)
expected = ops.encode(user_items, weight, num_threads=3)

def same():
    return all(np.array_equal(ops.encode(user_items, weight, num_threads=t), expected) for t in (3, 5, 1))

child = os.fork()
if child == 0:
    os._exit(0 if same() else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert same()
"""


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_blocks_cover_the_range_once(threads):
    covered = np.zeros(1003, int)

    def task(start, stop):
        covered[start:stop] += 1

    _parallel.run_blocks(task, 1003, 10, threads)
    assert (covered == 1).all()


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_an_exception_cancels_the_rest(threads):
    started = []

    def task(start, stop):
        started.append(start)
        raise ZeroDivisionError(f"block {start}")

    with pytest.raises(ZeroDivisionError, match=r"block \d+"):
        _parallel.run_blocks(task, 1000, 1, threads)
    assert len(started) < 1000


def blas_threads():
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def test_blas_has_one_thread_inside_and_its_own_number_outside():
    seen = []
    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        with _parallel.single_threaded_blas:
            _parallel.run_blocks(lambda start, stop: seen.append(blas_threads()), 4, 1, 2)
        assert blas_threads() == before
        with pytest.raises(ZeroDivisionError):
            _parallel.run_blocks(lambda start, stop: 1 / 0, 4, 1, 2)
        assert blas_threads() == before
    assert all(set(threads) <= {1} for threads in seen)


def test_calls_from_several_python_threads():
    user_items = sparse.random(2000, 150, 0.1, format="csr", dtype=np.float32, random_state=0)
    weight = np.random.default_rng(0).standard_normal((150, 100)).astype(np.float32)
    expected = ops.gram_product(user_items, weight, num_threads=1)
    barrier = threading.Barrier(8)

    def call(_):
        barrier.wait()
        return all(np.array_equal(ops.gram_product(user_items, weight, num_threads=3), expected) for _ in range(20))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(call, range(8)))


def test_operations_inside_of_blocks():
    user_items = sparse.random(2000, 150, 0.1, format="csr", dtype=np.float32, random_state=0)
    weight = np.ones((150, 40), np.float32)
    hidden = np.empty((2000, 40), np.float32)

    def task(start, stop):
        hidden[start:stop] = ops.encode(user_items[start:stop], weight, num_threads=2)

    _parallel.run_blocks(task, 2000, 100, 4)
    np.testing.assert_array_equal(hidden, ops.encode(user_items, weight, num_threads=1))


def test_more_threads_than_tasks():
    user_items = sparse.random(50, 20, 0.2, format="csr", dtype=np.float32, random_state=0)
    weight = np.ones((20, 3), np.float32)
    many = ops.encode(user_items, weight, num_threads=1000)
    np.testing.assert_array_equal(many, ops.encode(user_items, weight, num_threads=1))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_forked_child_can_use_the_pool_after_its_parent():
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
