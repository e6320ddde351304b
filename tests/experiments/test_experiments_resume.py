"""Experiments that go on: cache, interruption, damaged files, and the lock of a folder."""

from __future__ import annotations

import errno
import fcntl
import subprocess
import sys

import pytest
from few_books import DATA, MODELS, STABLE, error_of, prepare, run

import fastautorec as far
from fastautorec.cli import main
from fastautorec.experiments import _runner as runner
from fastautorec.experiments import _trials as trials
from fastautorec.experiments._store import Store


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The current folder, with data."""
    prepare(tmp_path, monkeypatch)
    return tmp_path


# --- cache and resumption --------------------------------------------------------------------------------------------


def test_a_second_run_fits_nothing_and_says_the_same(folder, monkeypatch):
    pytest.importorskip("matplotlib", reason="figures are an extra")
    output = run(folder, DATA + MODELS)
    before = {path: path.read_bytes() for path in sorted(output.rglob("*")) if path.is_file()}
    monkeypatch.setattr(trials, "run", None)
    run(folder, DATA + MODELS)
    after = {path: path.read_bytes() for path in sorted(output.rglob("*")) if path.is_file()}
    assert [path.name for path in after if before.get(path) != after[path]] == []
    assert before.keys() == after.keys()


def test_what_a_result_depends_on_is_fitted_again(folder, no_figures, monkeypatch):
    run(folder, DATA + MODELS)
    fitted = []
    monkeypatch.setattr(trials, "run", lambda entry, seed, *rest: fitted.append((entry.name, seed)))
    monkeypatch.setattr(runner, "_mean", lambda stored: 0.0)

    def again(text, *options):
        fitted.clear()
        path = folder / "test.toml"
        path.write_text(text)
        main(["experiment", str(path), "--output", str(folder / "out"), *options])
        return fitted

    with pytest.raises(AttributeError):  # there is nothing to keep
        again(DATA + MODELS.replace("epochs = 4", "epochs = 5"))
    assert fitted == [("AutoRec", 0)]
    with pytest.raises(AttributeError):
        again(DATA.replace("k = [5, 10]", "k = [5]") + MODELS)
    assert fitted == [("POP", 0)]
    with pytest.raises(AttributeError):
        again(DATA + MODELS, "--users", "100")
    assert fitted == [("POP", 0)]
    assert again(DATA + MODELS.replace("Trained", "Other group")) == []


@pytest.mark.parametrize("at", [("AutoRec", 0), ("AutoRec", 1), ("NCE-AutoRec", 0)])
def test_interrupted_and_resumed_is_as_if_it_had_not_been(folder, no_figures, monkeypatch, capsys, at):
    output = run(folder, DATA + MODELS)
    expected = {name: (output / name).read_bytes() for name in STABLE}
    whole = trials.run

    def interrupted(entry, seed, *rest):
        if (entry.name, seed) == at:
            raise KeyboardInterrupt
        return whole(entry, seed, *rest)

    path, other = folder / "test.toml", folder / "other"
    monkeypatch.setattr(trials, "run", interrupted)
    assert main(["experiment", str(path), "--output", str(other)]) == 130
    assert "finished runs are kept" in capsys.readouterr().err
    assert not (other / "report.html").exists()
    monkeypatch.setattr(trials, "run", whole)
    assert main(["experiment", str(path), "--output", str(other)]) == 0
    assert "POP, seed 0: finished before" in capsys.readouterr().err
    assert {name: (other / name).read_bytes() for name in STABLE} == expected


def test_training_goes_on_where_it_was_interrupted(folder, no_figures, monkeypatch):
    output = run(folder, DATA + MODELS)
    expected = {name: (output / name).read_bytes() for name in STABLE}
    fit, resumed = far.AutoRec.fit, []

    def cut_short(self, train, validation=None, checkpoint=None, resume=None):
        def stop(record):
            if record["epoch"] == 2 and resume is None:
                raise KeyboardInterrupt

        resumed.append(resume is not None)
        return fit(self, train, validation, callbacks=[stop], checkpoint=checkpoint, resume=resume)

    monkeypatch.setattr(far.AutoRec, "fit", cut_short)
    monkeypatch.setattr(far.AutoRec.__mro__[0], "fit", cut_short)
    command = ["experiment", str(folder / "test.toml"), "--output", str(folder / "other")]
    assert main(command) == 130
    assert list((folder / "other" / "runs").glob("*.unfinished"))
    monkeypatch.setattr(far.AutoRec, "fit", fit)
    assert main(command) == 0
    assert not list((folder / "other" / "runs").glob("*.unfinished"))
    assert {name: (folder / "other" / name).read_bytes() for name in STABLE} == expected


def test_a_damaged_result_is_made_again(folder, no_figures):
    output = run(folder, DATA + MODELS)
    expected = {name: (output / name).read_bytes() for name in STABLE}
    for path in (output / "runs").glob("*.npz"):
        path.write_bytes(path.read_bytes()[:-200])
    run(folder, DATA + MODELS)
    assert {name: (output / name).read_bytes() for name in STABLE} == expected


# --- the lock --------------------------------------------------------------------------------------------------------


def test_two_runs_at_once_on_one_folder_are_refused(folder, capsys):
    path = folder / "test.toml"
    path.write_text(DATA + MODELS)
    program = "import sys, time; from pathlib import Path; from fastautorec.experiments._store import Store\n"
    program += "with Store(Path(sys.argv[1])): print('in', flush=True); time.sleep(60)"
    other = subprocess.Popen([sys.executable, "-c", program, str(folder / "out")], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "in\n"
        message = error_of(capsys, "experiment", path, "--output", folder / "out")
        assert f"another run, process {other.pid}, is working in" in message
        assert "--output" in message
    finally:
        other.kill()
        other.communicate(timeout=30)
    with Store(folder / "out"):  # a process that was killed holds no lock
        pass


def test_the_lock_is_released(folder):
    for _ in range(2):
        with Store(folder / "out"):
            pass
    with pytest.raises(KeyError), Store(folder / "out"):
        raise KeyError
    with Store(folder / "out"):
        pass


def test_a_file_system_without_locks_is_not_called_another_run(tmp_path, monkeypatch):
    trouble = OSError(errno.ENOLCK, "No locks available")

    def fail(*_):
        raise trouble

    monkeypatch.setattr(fcntl, "flock", fail)
    with pytest.raises(OSError, match="No locks available") as raised, Store(tmp_path):
        pass
    assert raised.value is trouble
