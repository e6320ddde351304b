"""Files that commands write: none of them is the file that is read, another output, or no file at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import fastautorec as far
from fastautorec.cli import _files as files
from fastautorec.cli import main


@pytest.fixture
def file(tmp_path: Path) -> Path:
    matrix = far.datasets.synthetic(60, 30, 900, random_state=3).tocoo()
    path = tmp_path / "r.csv"
    path.write_text("user,item\n" + "".join(f"{u},i{i}\n" for u, i in zip(matrix.row, matrix.col, strict=True)))
    return path


def refusal(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert main([str(word) for word in words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1, "refused before anything was read"
    return err


COMMANDS = [
    ("fit", "output"), ("tune", "output"), ("tune", "plot"), ("tune", "storage"), ("select", "output"),
    ("select", "plot"),
]  # fmt: skip


@pytest.mark.parametrize("name", ["r.csv", "link.csv", "hard.csv", "folder/../r.csv", "dangling"])
@pytest.mark.parametrize(("command", "option"), COMMANDS)
def test_the_ratings_are_not_destroyed(
    name: str, command: str, option: str, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = file.read_bytes()
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.csv").symlink_to(file)
    os.link(file, tmp_path / "hard.csv")
    words = [command, file, "--model", "ease", *(["--output", tmp_path / "m"] if option != "output" else [])]
    if name == "dangling":
        (tmp_path / name).symlink_to(tmp_path / "none.csv")
        words[1] = tmp_path / "none.csv"
    message = refusal(capsys, *words, f"--{option}", tmp_path / name)
    assert f"`--{option}` {tmp_path / name} is FILE, which would be destroyed; name another file" in message
    assert file.read_bytes() == before


@pytest.mark.parametrize(("command", "option"), COMMANDS)
def test_nor_those_in_a_folder(command: str, option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    part = tmp_path / "parts" / "year=1" / "part.parquet"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"PAR1")
    words = [] if option == "output" else ["--output", tmp_path / "m"]
    message = refusal(capsys, command, tmp_path / "parts", *words, f"--{option}", part)
    assert f"`--{option}` {part} is in the folder FILE" in message
    assert part.read_bytes() == b"PAR1"


@pytest.mark.parametrize(("first", "second"), [("output", "plot"), ("output", "storage"), ("plot", "storage")])
def test_two_outputs_are_two_files(
    first: str, second: str, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "one.png"
    words = ["tune", file, f"--{second}", path, f"--{first}", path]
    assert f"`--{first}` and `--{second}` name one file, {path}; name two" in refusal(capsys, *words)
    assert not path.exists()


@pytest.mark.parametrize(("command", "option"), COMMANDS)
def test_an_output_that_is_no_regular_file(
    command: str, option: str, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    words = [] if option == "output" else ["--output", tmp_path / "m"]
    message = refusal(capsys, command, file, *words, f"--{option}", fifo)
    assert f"{fifo} is no regular file" in message
    assert fifo.is_fifo()


@pytest.mark.parametrize("name", ["p.csv", "p", ".png", "p.PNGG"])
def test_the_format_of_a_picture_is_checked_before_the_search(
    name: str, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="pictures are made of Matplotlib")
    message = refusal(capsys, "tune", file, "--plot", tmp_path / name)
    assert "the suffix of a picture tells its format, one of " in message
    assert ".png, " in message
    assert f"got {name!r}" in message


@pytest.mark.parametrize("name", ["p.svg", "p.PNG"])
def test_a_picture_in_a_format_that_is_known(name: str, file: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="pictures are made of Matplotlib")
    pytest.importorskip("optuna", reason="tune is made of Optuna")
    words = ["tune", file, "--model", "ease", "--space", "regularization=1,10", "--trials", "1"]
    assert main([*map(str, words), "--plot", str(tmp_path / name)]) == 0
    assert (tmp_path / name).stat().st_size > 1000


def test_pictures_need_matplotlib_before_the_search(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(*_: object) -> None:
        raise ImportError("no matplotlib")

    monkeypatch.setattr(files, "require", missing)
    assert "no matplotlib" in refusal(capsys, "tune", file, "--plot", tmp_path / "p.png")
