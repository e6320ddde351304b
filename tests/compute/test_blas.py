"""BLAS has one thread inside our regions and its own number outside, whichever threads open and close them."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import fastautorec as far
from fastautorec._compute import host as _parallel
from fastautorec._compute.blas import single_threaded_blas


def blas_threads():
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


@pytest.fixture
def two_threads():
    with threadpool_limits(2, user_api="blas"):
        if blas_threads() != {2}:
            pytest.skip("BLAS has one thread here")
        yield


def in_thread(function):
    """Return what the function returns in a thread that is not the main one."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


def inside():
    with single_threaded_blas:
        return blas_threads()


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("caller", [lambda function: function(), in_thread], ids=["main", "other"])
def test_one_thread_inside(caller):
    assert inside() == {1}  # so that the main thread came first
    assert blas_threads() == {2}
    assert caller(inside) == {1}
    assert blas_threads() == {2}


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("threads", [1, 2])
def test_one_thread_in_blocks_of_another_thread(threads):
    seen = []
    in_thread(lambda: _parallel.run_blocks(lambda *_: seen.append(blas_threads()), 8, 1, threads))
    assert seen == [{1}] * 8
    assert blas_threads() == {2}


@pytest.mark.usefixtures("two_threads")
def test_first_in_and_last_out_are_different_threads():
    entered, leave = threading.Event(), threading.Event()

    def stay():
        with single_threaded_blas:
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=stay)
    with single_threaded_blas:
        thread.start()
        assert entered.wait(10)
    assert blas_threads() == {1}
    leave.set()
    thread.join()
    assert blas_threads() == {2}


@pytest.mark.usefixtures("two_threads")
def test_regions_nest_and_exceptions_leave_them():
    with pytest.raises(ZeroDivisionError), single_threaded_blas, single_threaded_blas:
        raise ZeroDivisionError
    assert blas_threads() == {2}


@pytest.mark.usefixtures("two_threads")
def test_any_thread_gets_the_same_bits():
    train = far.datasets.synthetic(600, 400, 12_000, random_state=0)
    for model in (far.EASE(), far.NCEAutoRec(factors=20, random_state=0)):

        def lists(model=model):
            return model.fit(train).recommend(train[:300])

        for here, there in zip(lists(), in_thread(lists), strict=True):
            np.testing.assert_array_equal(here, there)


@pytest.mark.usefixtures("two_threads")
def test_signals_leave_the_number_of_threads():
    """A handler that raises anywhere, also between the limit and the block that it is for."""

    class StopError(Exception):
        pass

    def handler(*_):
        raise StopError

    before, rng = signal.signal(signal.SIGALRM, handler), np.random.default_rng(0)
    stopped = 0
    try:
        for _ in range(400):
            try:
                signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-5, 1e-3))
                for _ in range(1_000_000):
                    with single_threaded_blas:
                        pass
                signal.setitimer(signal.ITIMER_REAL, 0)
            except StopError:
                stopped += 1
            assert inside() == {1}
            assert blas_threads() == {2}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert stopped == 400


FORK = """
import os, sys, threading, warnings
from threadpoolctl import threadpool_info
from fastautorec._compute.blas import single_threaded_blas

def blas_threads():
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}

number = blas_threads()
entered, leave = threading.Event(), threading.Event()

def stay():
    with single_threaded_blas:
        entered.set()
        leave.wait(20)

thread = threading.Thread(target=stay)
thread.start()
entered.wait(20)
child = os.fork()
if child == 0:
    same = blas_threads() == number
    with single_threaded_blas:
        same = same and blas_threads() == {1}
    os._exit(0 if same and blas_threads() == number else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
leave.set()
thread.join()
assert blas_threads() == number
child = os.fork()
if child == 0:
    os._exit(0)
os.waitpid(child, 0)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGCHLD"), reason="this system has no fork")
def test_a_child_forked_while_another_thread_is_inside():
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("RuntimeWarning: this process was forked while another thread") == 1, done.stderr
