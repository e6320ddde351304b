"""Advice of commands: a command line can follow it, and it helps."""

from __future__ import annotations

from pathlib import Path

import pytest
from few_books import error_of

import fastautorec as far
from fastautorec.cli import _options as options
from fastautorec.cli import main
from fastautorec.experiments._reading import read_experiment


@pytest.fixture
def rated(tmp_path: Path) -> Path:
    """Ratings that are no numbers everywhere, and times that are none."""
    path = tmp_path / "rated.csv"
    rows = [
        f"u{u},i{i},{'bad' if u == i == 1 else 4},{'never' if u == i == 1 else 7}"
        for u in range(4)
        for i in (0, 1, u + 2)
    ]
    path.write_text("\n".join(["user,item,rating,timestamp", *rows]) + "\n")
    return path


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "plain.csv"
    path.write_text("user,item\n" + "".join(f"{u},{i}\n" for u in ("a", "b", "--") for i in (u, "x", "y", "z")))
    return path


# --- ratios ----------------------------------------------------------------------------------------------------------


def test_what_was_given_is_not_advised(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "two.csv"
    path.write_text("user,item\na,x\na,y\nb,x\nb,y\n")
    for words in ([], ["--ratios", "1", "1", "1"]):
        message = error_of(capsys, "evaluate", path, "--model", "popularity", *words)
        assert "2 have so many; the longest history has 2" in message
        assert message.endswith("; no --ratios help here, for 3 parts need 3 interactions of a user")
    one = tmp_path / "one.csv"
    one.write_text("user,item\na,x\nb,x\n")
    words = ["--model", "nce-plrec", "--set", "regularization=0.1,1", "--output", tmp_path / "m", "--ratios", "1", "1"]
    assert error_of(capsys, "fit", one, *words).endswith("for 2 parts need 2 interactions of a user")


@pytest.mark.parametrize("shares", [["1e308"] * 3, ["1e308", "1", "1"], ["1e16", "1", "1"]])
def test_shares_that_are_too_large(shares: list[str], plain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["evaluate", str(plain), "--ratios", *shares])
    assert f"a share is a number > 0 and <= 1e+15, got {shares[0]!r}" in capsys.readouterr().err


# --- times and columns -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["evaluate", "FILE"], ["evaluate", "FILE", "--no-timestamp"]])
def test_times_have_an_option(words: list[str], plain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = [str(plain) if word == "FILE" else word for word in words]
    message = error_of(capsys, *argv, "--model", "popularity", "--by", "time")
    assert message == (
        "`--by` time needs timestamps, but no column of FILE was taken for them; name it with --timestamp, or use "
        "--by random"
    )


def test_words_of_python_are_told_as_options(rated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = error_of(capsys, "inspect", rated)
    assert message.partition("(on the command line: --no-rating); ")[2].endswith("rating=False")
    message = error_of(capsys, "inspect", rated, "--no-rating")
    assert message.partition("(on the command line: --no-timestamp); ")[2].endswith("timestamp=False")
    assert main(["inspect", str(rated), "--no-rating", "--no-timestamp"]) == 0
    capsys.readouterr()
    model = tmp_path / "m"
    assert main(["fit", str(rated), "--no-rating", "--no-timestamp", "--model", "ease", "--output", str(model)]) == 0
    fitted = far.load(model)
    assert fitted.n_items_ == far.read_ratings(rated, rating=False, timestamp=False).shape[1]


def test_unclear_columns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "five.csv"
    path.write_text("1,2,3,4,5\n2,3,4,5,6\n")
    message = error_of(capsys, "inspect", path)
    told, _, advice = message.partition(" (on the command line: --user COLUMN --item COLUMN); ")
    assert told.endswith("got '1, 2, 3, 4, 5'")
    assert advice.endswith("each a position from 0 to 4")
    assert main(["inspect", str(path), "--user", "0", "--item", "1"]) == 0


def test_options_come_before_advice_for_python(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cart.csv"
    path.write_text("cart,ware\nA7,tea\nA9,salt\n")
    message = error_of(capsys, "inspect", path)
    assert " got cart, ware (on the command line: --user COLUMN --item 'ware' or --no-header); say which" in message
    assert message.index("--user") < message.index("read_ratings(")


def test_the_format_of_a_file_is_no_format_of_lists(plain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["recommend", str(plain), "--model", "m.npz", "--format", "movielens"])
    told = capsys.readouterr().err
    assert "it is the format of the output, csv or table; what FILE is: --file-format movielens" in told
    with pytest.raises(SystemExit):
        main(["recommend", str(plain), "--model", "m.npz", "--format", "html"])
    assert "invalid choice: 'html'" in capsys.readouterr().err


def test_a_folder_of_a_partition_is_no_word() -> None:
    message = "data/user=1/part.parquet: the file is empty"
    assert options.on_the_command_line(message) == message
    assert options.on_the_command_line("say sep=") == "say sep= (on the command line: --sep TEXT)"
    assert options.on_the_command_line("sep=' ' or format='lists'") == (
        "sep=' ' or format='lists' (on the command line: --sep ' ' or --file-format 'lists')"
    )
    for message, options_told in (
        ("user='a', item='b', or header=False if", "--user 'a' --item 'b' or --no-header"),
        ("header=True if it is such a header, or header=False if it is data", "--header or --no-header"),
        ("say which: item='a' or item='b'; or sep=' '", "--item 'a' or --item 'b' or --sep ' '"),
        ("say user='for', item='x', user='for' once more, rating=False", "--user 'for' --item 'x' --no-rating"),
        ("threshold=None takes every row", "--threshold none"),
    ):
        assert options.on_the_command_line(message) == f"{message} (on the command line: {options_told})"


# --- recommend -------------------------------------------------------------------------------------------------------


def test_an_id_of_two_dashes(plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "m"
    assert main(["fit", str(plain), "--model", "popularity", "--output", str(model)]) == 0
    capsys.readouterr()
    words = ["recommend", str(plain), "--model", str(model), "-n", "1"]
    assert main([*words, "--users=--"]) == 0
    assert [line.split(",")[0] for line in capsys.readouterr().out.splitlines()] == ["user", "--"]
    assert main([*words, "--users", "a", "--users=--"]) == 0
    assert [line.split(",")[0] for line in capsys.readouterr().out.splitlines()] == ["user", "a", "--"]


@pytest.mark.parametrize("form", ["csv", "table"])
def test_users_who_have_everything(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, model = tmp_path / "r.csv", tmp_path / "m"
    path.write_text("user,item\na,x\na,y\nb,x\nc,x\nc,y\n")
    assert main(["fit", str(path), "--model", "popularity", "--output", str(model)]) == 0
    words = ["recommend", path, "--model", model, "--format", form]
    capsys.readouterr()
    message = error_of(capsys, *words, "--users", "a", "c")
    assert message == "each of the 2 users has all items of the model, so that there is no list"
    assert main([str(word) for word in words]) == 0
    out, err = capsys.readouterr()
    assert "left out 2 users who have all items of the model" in err
    assert [line for line in out.splitlines() if line[0] in "ac"] == []
    assert "y" in out


# --- experiment files ------------------------------------------------------------------------------------------------


def test_an_experiment_in_another_encoding_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "e.toml"
    path.write_bytes('title = "Bücher"\n'.encode("latin-1"))
    assert error_of(capsys, "experiment", path) == (
        f"{path}: is not UTF-8 text (byte 10 is none of it); save it as UTF-8"
    )


def test_an_experiment_may_leave_ratings_out(rated: Path, tmp_path: Path) -> None:
    path = tmp_path / "e.toml"
    text = (
        '[[datasets]]\nname = "d"\nsource = "ratings"\npath = "rated.csv"\nrating = {}\ntimestamp = false\n'
        'by = "random"\n\n[[models]]\nname = "p"\nclass = "Popularity"\n'
    )
    path.write_text(text.format("false"))
    dataset = read_experiment(str(path)).datasets[0]
    assert (dataset.rating, dataset.timestamp) == (False, False)
    path.write_text(text.format("true"))
    with pytest.raises(ValueError, match=r"`rating` of .* must be the name of a column or its position.*got True"):
        read_experiment(str(path))
    path.write_text(text.format("false").replace("timestamp = false", "user = false"))
    with pytest.raises(ValueError, match=r"`user` of .* must be the name of a column"):
        read_experiment(str(path))
