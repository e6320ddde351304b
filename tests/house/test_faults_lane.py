"""The lane of faults notices what it looks for: crashes, hangs, errors; and it can repeat a case."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import types
from pathlib import Path

import pytest
from faults import harness
from faults.harness import FaultError, at_event, at_line, fork, kill_self, run_group, value_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="made for Linux")


def test_what_a_child_comes_to():
    assert value_of(lambda: 7) == 7
    assert isinstance(fork(lambda: 1 / 0).error, ZeroDivisionError)
    with pytest.raises(FaultError, match="ZeroDivisionError"):
        value_of(lambda: 1 / 0)
    assert fork(kill_self).signal == signal.SIGKILL
    assert fork(lambda: time.sleep(60), kill_after=0.05).signal == signal.SIGKILL


def test_a_child_that_ends_just_before_it_is_killed(monkeypatch):
    kill = os.kill

    def late(pid, sent):
        time.sleep(0.3)
        kill(pid, sent)

    monkeypatch.setattr(os, "kill", late)
    ending = fork(lambda: time.sleep(0.1) or 7, kill_after=0.02)
    assert (ending.value, ending.signal) == (7, 0)


def test_crashes_and_hangs_are_faults():
    with pytest.raises(FaultError, match=f"ended with -{int(signal.SIGABRT)}"):
        fork(os.abort)
    with pytest.raises(FaultError, match=r"does not end within 0.2 s(.|\n)*in <lambda>"):
        fork(lambda: time.sleep(60), seconds=0.2)
    with pytest.raises(FaultError, match="ended with 3"):
        fork(lambda: os._exit(3))


def test_events_and_lines_are_counted_and_hit(tmp_path):
    def write():
        for name in "abc":
            (tmp_path / name).write_text(name)

    assert value_of(lambda: (at_event(None), write())[0]) == [1, 1, 1]
    assert fork(lambda: (at_event(2, kill_self), write())).signal == signal.SIGKILL
    assert (tmp_path / "a").read_text() == "a"

    def lines(n, act):
        with at_line((__file__,), n, act) as seen:
            write()
        return seen[0]

    assert value_of(lambda: lines(None, kill_self)) == 7
    assert fork(lambda: lines(5, kill_self)).signal == signal.SIGKILL


class StopError(Exception):
    pass


def stop():
    raise StopError


def test_the_end_of_a_block_is_no_line_of_its_own():
    """Python takes no signal there, and none is made up: what the block has taken is given back."""
    lock = threading.Lock()

    def returns():
        with lock:
            return len("value")

    def raises():
        with lock:
            int("value")

    def passes():
        with lock:
            len("value")

    for work in (returns, raises, passes):
        stopped = 0
        for n in range(1, 4):
            try:
                with at_line((__file__,), n, stop):
                    work()
            except StopError:
                stopped += 1
            except ValueError:
                pass
            assert not lock.locked(), (work, n)
        assert stopped == 2


@pytest.mark.filterwarnings("ignore")
def test_faults_are_counted_and_repeated(monkeypatch, capsys):
    draws = {}

    def prepare(shared: Path):
        assert shared.is_dir()

        def case(rng, number, folder):
            assert not list(folder.iterdir())
            draws.setdefault(number, []).append(rng.random())
            (folder / "left").touch()
            if number % 4 == 3:
                raise FaultError("one of four")
            return 10

        return case

    monkeypatch.setitem(sys.modules, "faults.made_up", types.SimpleNamespace(prepare=prepare))
    monkeypatch.setattr(harness, "SLOW", ())
    assert run_group("made_up", 5, 0.05) == 1
    said = capsys.readouterr().out
    assert len(draws) > 3
    wrong = [number for number in draws if number % 4 == 3]
    count = 10 * (len(draws) - len(wrong)) + len(wrong)
    assert f"{count:,} cases, {len(wrong)} faults, seed 5" in said
    assert f"first: case {wrong[0]}: one of four" in said
    assert f"python -m faults made_up --seed 5 --case {wrong[0]}" in said
    first = draws[wrong[0]][0]
    assert run_group("made_up", 5, 0, only=wrong[0]) == 1
    assert draws[wrong[0]] == [first, first]
    assert run_group("made_up", 5, 0, only=2) == 0
    assert "10 cases, 0 faults" in capsys.readouterr().out
