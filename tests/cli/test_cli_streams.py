"""Standard streams that are closed, full, or left by their reader: as in cron, and behind head."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lanes import keeping

import fastautorec as far

pytestmark = pytest.mark.skipif(os.name != "posix", reason="streams of another kind")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("streams") / "ratings.csv"
    matrix = far.datasets.synthetic(60, 30, 900, random_state=3).tocoo()
    path.write_text("user,item\n" + "".join(f"{u},i{i}\n" for u, i in zip(matrix.row, matrix.col, strict=True)))
    return path


@pytest.fixture(scope="module")
def model(file: Path) -> Path:
    path = file.with_name("model.npz")
    far.EASE().fit(far.read_ratings(file)).save(path)
    return path


def shell(redirection: str, *words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command as a shell does with that redirection."""
    script = f'exec "$@" {redirection}'
    command = ["sh", "-c", script, "sh", sys.executable, "-m", "fastautorec", *map(str, words)]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    options = {"env": buffered, **options}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)


@pytest.mark.parametrize(
    "closed",
    keeping(
        [">&- 2>&-", "2>/dev/full"],
        [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", "2>/dev/full", ">/dev/null 2>/dev/full", "<&-"],
    ),
)
def test_a_model_is_written_all_the_same(closed: str, file: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    run = shell(closed, "fit", file, "--model", "ease", "--output", path)
    assert run.returncode == 0, run.stderr
    assert isinstance(far.load(path), far.EASE)
    assert "Traceback" not in run.stderr
    assert [name.name for name in tmp_path.iterdir()] == ["model.npz"]


@pytest.mark.parametrize("closed", keeping([">&- 2>&-"], [">&- 2>&-", "2>&-"]))
def test_a_search_is_saved_all_the_same(closed: str, file: Path, tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="tune is made of Optuna")
    path = tmp_path / "model.npz"
    words = ["--model", "ease", "--space", "regularization=1,10", "--output", path, "--storage", tmp_path / "journal"]
    assert shell(closed, "tune", file, *words).returncode == 0
    assert isinstance(far.load(path), far.EASE)


@pytest.mark.parametrize("command", keeping(["recommend"], ["recommend", "evaluate"]))
def test_a_result_that_goes_nowhere_is_no_success(command: str, file: Path, model: Path) -> None:
    words = ["--model", model] if command == "recommend" else ["--model", "ease"]
    run = shell(">&-", command, file, *words)
    assert run.returncode == 2
    assert run.stderr == (
        "fastautorec: error: standard output is closed, so that there is nowhere to write the result; redirect it to "
        "a file\n"
    )
    assert shell(">/dev/null", command, file, *words).returncode == 0
    assert shell("2>&-", command, file, *words).stdout


@pytest.mark.parametrize(
    ("words", "unbuffered"),
    keeping(
        [("inspect FILE", ""), ("--help", "1")],
        [(words, "") for words in ("tune FILE", "inspect FILE", "doctor", "--version", "fit --help")]
        + [("--help", "1")],
    ),
)
def test_what_gives_text_alone_needs_somewhere_to_put_it(words: str, unbuffered: str, file: Path) -> None:
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    argv = [str(file) if word == "FILE" else word for word in words.split()]
    closed = shell(">&-", *argv, env=environment)
    assert closed.returncode == 2
    assert closed.stderr == (
        "fastautorec: error: standard output is closed, so that there is nowhere to write the result; redirect it to "
        "a file\n"
    )
    if argv[0] not in ("tune", "doctor"):  # which take a while
        full = shell(">/dev/full", *argv, env=environment)
        assert full.returncode == 2
        assert full.stderr.splitlines()[-1] == "fastautorec: error: No space left on device"
        assert "Exception ignored" not in full.stderr


def test_a_search_that_is_kept_needs_no_output(file: Path, tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="tune is made of Optuna")
    words = ["--model", "ease", "--space", "regularization=1,10", "--storage", tmp_path / "journal"]
    assert shell(">&-", "tune", file, *words).returncode == 0
    assert (tmp_path / "journal").stat().st_size


def test_a_full_disk_is_one_line(file: Path, model: Path) -> None:
    run = shell(">/dev/full", "recommend", file, "--model", model)
    assert run.returncode == 2
    assert run.stderr.splitlines()[-1] == "fastautorec: error: No space left on device"
    assert "Traceback" not in run.stderr
    assert "Exception ignored" not in run.stderr


def test_a_full_disk_for_the_last_line_of_fit(file: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    run = shell(">/dev/full", "fit", file, "--model", "ease", "--output", path)
    assert run.returncode == 2
    assert run.stderr.splitlines()[-1] == "fastautorec: error: No space left on device"
    assert isinstance(far.load(path), far.EASE)


@pytest.mark.parametrize("closed", keeping([">&- 2>&-"], ["2>&-", ">&- 2>&-", "2>/dev/full"]))
def test_errors_without_anybody_to_hear_them(closed: str, file: Path, tmp_path: Path) -> None:
    assert shell(closed, "fit", tmp_path / "absent.csv", "--output", tmp_path / "m.npz").returncode == 2
    assert shell(closed, "fit", file).returncode == 2  # argparse's own


def test_a_reader_of_the_messages_that_has_gone(file: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "fastautorec", "fit", str(file), "--model", "ease", "--output", str(path)]
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=writer, timeout=120, check=False)
    os.close(writer)
    assert run.returncode == 0
    assert isinstance(far.load(path), far.EASE)


def test_a_reader_of_the_result_that_has_gone(file: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "fastautorec", "fit", str(file), "--model", "ease", "--output", str(path)]
    run = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    os.close(writer)
    assert run.returncode == 141
    assert "rror" not in run.stderr
    assert isinstance(far.load(path), far.EASE)


def test_files_do_not_get_the_number_of_a_closed_stream(file: Path, tmp_path: Path) -> None:
    """With 1 and 2 closed, the next file that is opened would be 1, and everything printed would go into it."""
    path = tmp_path / "m.npz"
    program = (
        "import sys, os; from fastautorec.cli import main; from pathlib import Path; "
        "status = main(sys.argv[1:]); os.write(1, b'x' * 9); os.write(2, b'x' * 9); sys.exit(status)"
    )
    command = ["sh", "-c", 'exec "$@" >&- 2>&-', "sh", sys.executable, "-c", program, "fit", file, "--output", path]
    run = subprocess.run([*map(str, command), "--model", "ease"], timeout=120, check=False)
    assert run.returncode == 0
    assert isinstance(far.load(path), far.EASE)
