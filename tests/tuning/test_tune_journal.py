"""The file of a search: cut, damaged, of another kind, or shared with others who are writing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import pytest

import fastautorec as far
from fastautorec.cli import main

optuna = pytest.importorskip("optuna", reason="tune is made of Optuna")
SPACE = {"regularization": [1.0, 10.0, 100.0, 1000.0]}


@pytest.fixture(scope="module")
def parts() -> Any:
    return far.split(far.datasets.synthetic(200, 50, 2000, random_state=0), (0.8, 0.2), by="random")


@pytest.fixture
def journal(parts: Any, tmp_path: Path) -> Path:
    path = tmp_path / "s.journal"
    far.tune(far.EASE, *parts, SPACE, n_trials=2, storage=path)
    return path


def tune(parts: Any, path: Path | str, n_trials: int = 1) -> far.TuningResult:
    return far.tune(far.EASE, *parts, SPACE, n_trials=n_trials, storage=path)


def test_a_cut_journal_goes_on_and_can_be_written_to(parts: Any, journal: Path) -> None:
    journal.write_bytes(journal.read_bytes()[:-20])  # the machine went down
    with pytest.warns(UserWarning, match=r"the last line of .*s\.journal was cut.* has been dropped"):
        result = tune(parts, journal)
    assert [row["state"] for row in result.trials] == ["complete", "complete"]  # the second had not been told
    assert all(json.loads(line) for line in journal.read_bytes().splitlines())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(tune(parts, journal, 9).trials) == 4


def test_every_cut_can_be_gone_on_from(parts: Any, journal: Path) -> None:
    whole = journal.read_bytes()
    for size in [0, 1, 9, *range(20, len(whole), 211), len(whole) - 1]:
        journal.write_bytes(whole[:size])
        clean = size == 0 or whole[size - 1 : size] == b"\n"
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = tune(parts, journal)
        assert [str(w.message) for w in caught if "was cut" in str(w.message)] == [] or not clean
        assert clean or any("was cut" in str(w.message) for w in caught)
        assert result.trials


def test_another_line_that_cannot_be_read_is_named(parts: Any, journal: Path) -> None:
    lines = journal.read_bytes().splitlines(keepends=True)
    for change in (lines[3][:30] + b"\n", b"\xff" + lines[3][1:], b"[1]\n", b"\n", lines[3][:-1] + lines[4]):
        journal.write_bytes(b"".join([*lines[:3], change, *lines[5:]]))
        before = journal.read_bytes()
        with pytest.raises(ValueError, match=r"line 4 of `storage` .*s\.journal cannot be read"):
            tune(parts, journal)
        assert journal.read_bytes() == before


def test_lines_that_do_not_fit_together(parts: Any, journal: Path) -> None:
    lines = journal.read_bytes().splitlines(keepends=True)
    for change in (b'{"op_code":99,"worker_id":"x"}\n', b'{"op_code":4,"worker_id":"x"}\n'):
        journal.write_bytes(b"".join([*lines[:3], change, *lines[4:]]))
        with pytest.raises(ValueError, match=r"s\.journal is a journal whose lines do not fit together"):
            tune(parts, journal)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (0, "line 1 is about what is not there: the search that it belongs to is not made before it"),
        (1, "the search 'EASE' has trials, but not what was searched"),
        (2, "line 3 is about what is not there: trial 0 is not made before it"),
        (3, "trial 0 of 'EASE' lacks regularization"),
        (4, "line 5 is about what is not there: the end of trial 0 is not told before it"),
        (5, "line 6 is about what is not there: trial 1 is not made before it"),
        (6, "trial 1 of 'EASE' lacks regularization"),
    ],
)
def test_a_line_that_is_lost_is_noticed(line: int, reason: str, parts: Any, journal: Path) -> None:
    lines = journal.read_bytes().splitlines(keepends=True)
    assert len(lines) == 8
    journal.write_bytes(b"".join([*lines[:line], *lines[line + 1 :]]))
    before = journal.read_bytes()
    with pytest.raises(ValueError, match="the journal is damaged") as caught:
        tune(parts, journal)
    assert str(caught.value) == (
        f"the journal is damaged: `storage` {journal}, {reason}; take a copy of before, or another file"
    )
    if "is about" in reason:
        assert journal.read_bytes() == before


def test_a_chosen_penalty_that_is_lost_is_noticed(parts: Any, tmp_path: Path) -> None:
    path = tmp_path / "s.journal"
    space = {"factors": [4, 8], "regularization": [0.1, 1.0]}
    result = far.tune(far.NCEPLRec, *parts, space, n_trials=2, storage=path)
    assert {*result.best_params} == {"factors", "regularization"}
    lines = path.read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if b'"op_code":8' not in line]
    assert len(lines) - len(kept) == 2
    path.write_bytes(b"".join(kept))
    with pytest.raises(
        ValueError, match=r"journal is damaged: .*s\.journal, trial 0 of 'NCEPLRec' lacks regularization"
    ):
        far.tune(far.NCEPLRec, *parts, space, n_trials=1, storage=path)


def test_searches_in_one_file_and_one_that_was_removed(parts: Any, journal: Path) -> None:
    far.tune(far.EASE, *parts, SPACE, n_trials=1, storage=journal, study_name="other")
    backend = optuna.storages.journal.JournalFileBackend(str(journal))
    optuna.delete_study(study_name="EASE", storage=optuna.storages.JournalStorage(backend))
    assert len(far.tune(far.EASE, *parts, SPACE, n_trials=1, storage=journal, study_name="other").trials) == 2
    assert len(tune(parts, journal, 2).trials) == 2
    assert len(tune(parts, journal, 2).trials) == 4


def test_trials_of_another_kind_may_overlap(parts: Any, journal: Path) -> None:
    """Several trials at a time are allowed in a search that Optuna was asked for directly."""
    backend = optuna.storages.journal.JournalFileBackend(str(journal))
    study = optuna.create_study(study_name="mine", storage=optuna.storages.JournalStorage(backend))
    waiting = [study.ask(), study.ask()]
    for trial in waiting:
        study.tell(trial, 1.0)
    assert len(tune(parts, journal).trials) == 3


def test_flipped_bytes_are_refused_or_do_no_harm(parts: Any, journal: Path) -> None:
    whole = journal.read_bytes()
    refused = 0
    for place in range(3, len(whole), 97):
        journal.write_bytes(whole[:place] + bytes([whole[place] ^ 0x90]) + whole[place + 1 :])
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tune(parts, journal)
        except ValueError as error:
            refused += "s.journal" in str(error) or "`storage`" in str(error)
    assert refused > 10


@pytest.mark.parametrize(
    "content",
    [b"user,item\n1,2\n", b"user,item", b"PK\x03\x04", b"\x00\xff\n", b'{"datasets": 1}\n', b"[1, 2]\n", b"\n"],
)
def test_what_is_no_journal(content: bytes, parts: Any, tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"`storage` .*ratings\.csv is not a journal of a search: it begins with"):
        tune(parts, path)
    assert path.read_bytes() == content
    assert [file.name for file in tmp_path.iterdir()] == ["ratings.csv"]


def test_folders_and_pipes_are_no_journals(parts: Any, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("", "pipe"):
        with pytest.raises(ValueError, match="`storage` must be a file"):
            tune(parts, tmp_path / name)


def test_a_writer_in_the_middle_of_a_line_is_waited_for(parts: Any, journal: Path) -> None:
    """Another process holds Optuna's lock while its line is half there; it is no line that was cut."""
    whole = journal.read_bytes()
    last = whole.splitlines(keepends=True)[-1]
    lock = optuna.storages.journal.JournalFileSymlinkLock(str(journal))
    journal.write_bytes(whole[:-20])
    lock.acquire()

    def finish() -> None:
        time.sleep(0.3)
        with journal.open("ab") as file:
            file.write(whole[-20:])
        lock.release()

    thread = threading.Thread(target=finish)
    thread.start()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tune(parts, journal)
    thread.join()
    assert last in journal.read_bytes()


def test_a_relative_path_and_a_link(parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    tune(parts, "sub/s.journal")
    (tmp_path / "link").symlink_to("sub/s.journal")
    assert len(tune(parts, "link").trials) == 2


def test_a_killed_search_goes_on(tmp_path: Path) -> None:
    program = (
        "import sys, fastautorec as far; data = far.datasets.synthetic(200, 50, 2000, random_state=0); "
        "far.tune(far.EASE, *far.split(data, (.8, .2), by='random'), {'regularization': (1., 1e3)}, 10**6, "
        "storage=sys.argv[1])"
    )
    path = tmp_path / "s.journal"
    process = subprocess.Popen([sys.executable, "-c", program, path])
    while not path.exists() or path.stat().st_size < 5000:
        time.sleep(0.01)
    process.kill()
    process.wait()
    path.with_name("s.journal.lock").unlink(missing_ok=True)  # Optuna waits half a minute for the dead
    data = far.split(far.datasets.synthetic(200, 50, 2000, random_state=0), (0.8, 0.2), by="random")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = far.tune(far.EASE, *data, {"regularization": (1.0, 1e3)}, 1, storage=path)
    assert len(result.trials) > 2


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    matrix = far.datasets.synthetic(100, 40, 1500, random_state=3).tocoo()
    file, path = tmp_path / "ratings.csv", tmp_path / "s.journal"
    file.write_text("\n".join(["user,item", *(f"{u},i{i:02}" for u, i in zip(matrix.row, matrix.col, strict=True))]))
    words = ["tune", str(file), "--model", "ease", "--space", "regularization=1,10,100", "--storage"]
    assert main([*words, str(path), "--trials", "2"]) == 0
    path.write_bytes(path.read_bytes()[:-20])
    capsys.readouterr()
    assert main([*words, str(path), "--trials", "1"]) == 0
    assert "fastautorec: note: the last line of" in capsys.readouterr().err
    other = tmp_path / "other.csv"
    other.write_bytes(file.read_bytes())
    assert main([*words, str(other), "--trials", "1"]) == 2
    assert "is not a journal of a search: it begins with 'user,item" in capsys.readouterr().err.splitlines()[-1]


def test_a_search_whose_current_folder_changes(parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)

    class Away(optuna.pruners.NopPruner):  # type: ignore[misc, name-defined]
        def prune(self, study: Any, trial: Any) -> bool:
            os.chdir(tmp_path / "elsewhere")
            return bool(super().prune(study, trial))

    space = {"learning_rate": [0.1, 0.2]}
    model = far.NSAutoRec(factors=4, epochs=1)
    far.tune(model, *parts, space, n_trials=2, storage="s.journal", pruner=Away())
    assert Path.cwd() == tmp_path / "elsewhere"
    assert list(Path.cwd().iterdir()) == []
    assert (tmp_path / "s.journal").stat().st_size > 0
