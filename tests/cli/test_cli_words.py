"""Words of the command line: columns, separator, header, ratios, thresholds, users."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from few_books import error_of
from scipy import sparse

import fastautorec as far
from fastautorec.cli import _files as files
from fastautorec.cli import main
from fastautorec.cli._options import one_by_one
from fastautorec.data._roles import Words

COMMANDS = ("fit", "recommend", "explain", "evaluate", "tune", "select")


@pytest.fixture
def lines() -> list[str]:
    matrix = far.datasets.synthetic(60, 30, 900, random_state=3).tocoo()
    stars = np.random.default_rng(0).integers(1, 6, matrix.nnz)
    rows = zip(matrix.row.tolist(), matrix.col.tolist(), stars.tolist(), strict=True)
    return [f"-L{u:02},i{i:02},{s}" for u, i, s in rows]


@pytest.fixture
def file(tmp_path: Path, lines: list[str]) -> Path:
    path = tmp_path / "ratings.csv"
    path.write_text("\n".join(["user,item,rating", *lines]) + "\n")
    return path


@pytest.fixture
def model(tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    path = tmp_path / "model.npz"
    assert main(["fit", str(file), "--model", "ease", "--output", str(path)]) == 0
    capsys.readouterr()
    return path


def output_of(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[list[dict[str, str]], str]:
    assert main([str(word) for word in argv]) == 0
    out, err = capsys.readouterr()
    return list(csv.DictReader(io.StringIO(out))), err


# --- columns, separator and header -----------------------------------------------------------------------------------


class Asked(Exception):  # noqa: N818  it is no error
    """Ends a command once it has asked for its file."""


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], {}),
        (["--user", "client", "--item", "sku"], {"user": "client", "item": "sku"}),
        (["--user", "0", "--item", "2"], {"user": 0, "item": 2}),
        (["--rating", "stars", "--timestamp", "3"], {"rating": "stars", "timestamp": 3}),
        (["--user", "-1", "--item", "²"], {"user": "-1", "item": "²"}),
        (["--sep", ";", "--header"], {"sep": ";", "header": True}),
        (["--sep", "\\t", "--no-header"], {"sep": "\t", "header": False}),
    ],
)
def test_what_the_reader_is_asked_for(
    command: str, words: list[str], expected: dict[str, Any], model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def read(path: str, **given: Any) -> None:
        asked.update(given)
        raise Asked

    monkeypatch.setattr(files, "read_ratings", read)
    more = {
        "fit": ["--output", str(model)],
        "recommend": ["--model", str(model)],
        "explain": ["--model", str(model)],
    }.get(command, [])
    with pytest.raises(Asked):
        main([command, "x.csv", *more, *words])
    nothing = Words()._asdict()
    assert asked == {"format": "auto", "threshold": None, "verbose": False, **nothing, **expected}


def test_what_was_taken_is_told_before_anything_is_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "sold.csv"
    file.write_text("".join(f"B{n % 7};c{n % 5};{n}\n" for n in range(40)))
    words = ["--user", "1", "--item", "0", "--sep", ";", "--no-header"]
    assert main(["fit", str(file), *words, "--model", "ease", "--output", str(tmp_path / "new.npz")]) == 0
    taken, held, *_ = capsys.readouterr().err.splitlines()
    assert taken.startswith("sold.csv: text, separated by ';', 3 columns: column 1 → user, column 0 → item (given)")
    assert held.startswith("5 users, 7 items, 35 interactions")
    assert far.load(tmp_path / "new.npz").item_ids_.tolist() == [f"B{n}" for n in range(7)]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_tells_positions_from_names(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "column of the users: its name, or its position, where 0 is the first" in text
    assert "--no-header" in text


# --- users -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ["--users", "-L03", "-L04", "-n", "2"],
        ["--users=-L03", "--users=-L04", "-n", "2"],
        ["-n2", "--users", "-L03", "-L04"],
        ["--users", "-L03", "--users", "-L04", "-n2"],
        ["--users", "-L03", "-L04", "--format=csv", "-n", "2"],
    ],
)
def test_ids_that_begin_with_a_minus(
    words: list[str], file: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, _ = output_of(capsys, "recommend", file, "--model", model, *words)
    assert [row["user"] for row in rows] == ["-L03", "-L03", "-L04", "-L04"]


def test_users_may_stand_before_the_file(file: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows, _ = output_of(capsys, "recommend", "--users", "-L03", "--model", model, "--", file)
    assert {row["user"] for row in rows} == {"-L03"}


def test_ids_that_are_options_are_given_one_by_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, model = tmp_path / "few.csv", tmp_path / "model.npz"
    file.write_text("user,item\n-n,a\n-n,b\n--model,a\n-nX,b\n-n5,a\n")
    assert main(["fit", str(file), "--model", "popularity", "--output", str(model)]) == 0
    capsys.readouterr()
    words = ["--users=-n", "--users=--model", "--users=-n5", "--users", "-nX", "-n1"]
    rows, _ = output_of(capsys, "recommend", file, "--model", model, *words)
    assert [row["user"] for row in rows] == ["--model", "-n5", "-nX"]  # -n has both items


def test_no_user_at_all(file: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = error_of(capsys, "recommend", file, "--model", model, "--users", "-L03", "-L99")
    assert "no user '-L99'" in message
    with pytest.raises(SystemExit):
        main(["recommend", str(file), "--model", str(model), "--modle", "x"])
    assert "unrecognized arguments: --modle" in capsys.readouterr().err
    assert one_by_one(["--users"], "--users", ["--users"]) == []


def test_texts_are_integers_only_where_they_print_alike(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, model = tmp_path / "few.csv", tmp_path / "model.npz"
    file.write_text("user,item\n7,1\n7,2\n-8,1\n10,2\n")
    assert main(["fit", str(file), "--model", "popularity", "--output", str(model)]) == 0
    capsys.readouterr()
    rows, _ = output_of(capsys, "recommend", file, "--model", model, "--users", "-8", "10", "-n", "1")
    assert [row["user"] for row in rows] == ["-8", "10"]
    for label in ("007", "+7", "1_0", "７", "7.0", "seven"):
        message = error_of(capsys, "recommend", file, "--model", model, "--users", label)
        assert f"no user {label!r}; the user ids are integers" in message


# --- no list ---------------------------------------------------------------------------------------------------------


def test_a_model_of_a_bare_matrix(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bare.npz"
    for data in (far.read_ratings(file).user_items, far.Interactions(far.read_ratings(file).user_items)):
        far.EASE().fit(data).save(path)
        message = error_of(capsys, "recommend", file, "--model", path)
        assert "knows none of the 30 items of" in message
        assert "by the numbers 0 to 29 alone, for it was fitted on a matrix without item ids" in message


def test_ids_that_count_from_0_are_ids(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, rows in (("a", "0,0\n0,1\n1,1\n1,2\n2,0\n2,2\n"), ("b", "0,00\n1,01\n")):
        (tmp_path / f"{name}.csv").write_text("user_id,item_id\n" + rows)
    model = str(tmp_path / "a.npz")
    assert main(["fit", str(tmp_path / "a.csv"), "--model", "ease", "--output", model]) == 0
    assert main(["recommend", str(tmp_path / "b.csv"), "--model", model]) == 2
    assert "the item ids of FILE are strings, those of the model integers" in capsys.readouterr().err


def test_strings_against_integers(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    numbers, texts, path = tmp_path / "numbers.csv", tmp_path / "texts.csv", tmp_path / "numbers.npz"
    numbers.write_text("user,item\n1,10\n1,20\n2,10\n2,30\n")
    texts.write_text("user,item\n1,i01\n1,i02\n2,i01\n")
    assert main(["fit", str(numbers), "--model", "popularity", "--output", str(path)]) == 0
    capsys.readouterr()
    message = error_of(capsys, "recommend", numbers, "--model", model)
    assert "(10, 20, 30)" in message
    assert "the item ids of FILE are integers, those of the model strings; write them alike" in message
    message = error_of(capsys, "recommend", texts, "--model", path, "-n", "1")
    assert "the item ids of FILE are strings, those of the model integers; write them alike" in message


def test_items_of_another_shop(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.csv"
    other.write_text("user,item\nann,novelty\nbob,novelty\n")
    message = error_of(capsys, "recommend", other, "--model", model)
    assert "knows none of the 1 items of" in message
    assert "('novelty')" in message
    assert "it has 30 items ('i00', 'i01', 'i02', ...): was the model fitted on other data" in message


def test_users_of_whom_nothing_is_known(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.csv"
    other.write_text("user,item\nann,i01\nbob,novelty\n")
    message = error_of(capsys, "recommend", other, "--model", model, "--users", "bob")
    assert "none of the 1 users has an item that the model knows" in message
    rows, err = output_of(capsys, "recommend", other, "--model", model, "-n", "3")
    assert [row["user"] for row in rows] == ["ann"] * 3
    assert "left out 1 users" in err


# --- the threshold ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["fit", "tune", "select"])
def test_the_threshold_is_in_the_model_file(
    command: str, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "four.npz"
    search = ["--space", "regularization=1,10"] if command == "tune" else []
    if search:
        pytest.importorskip("optuna", reason="tune is made of Optuna")
    assert main([command, str(file), "--model", "ease", "--threshold", "4", "--output", str(path), *search]) == 0
    assert far.load(path).threshold_ == 4
    capsys.readouterr()
    given, _ = output_of(capsys, "recommend", file, "--model", path, "--threshold", "4")
    taken, err = output_of(capsys, "recommend", file, "--model", path)
    everything, other = output_of(capsys, "recommend", file, "--model", path, "--threshold", "none")
    assert taken == given != everything
    assert "ratings >= 4 count, as when the model was fitted; --threshold changes that" in err
    assert "as when the model was fitted" not in other
    data = far.read_ratings(file, threshold=4)
    ids, _ = far.load(path).recommend(data.with_items(far.load(path).item_ids_), N=10)
    assert [row["item"] for row in taken] == far.load(path).item_ids_[ids[ids >= 0]].tolist()


def test_without_a_threshold_nothing_is_said(file: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert far.load(model).threshold_ is None
    _, err = output_of(capsys, "recommend", file, "--model", model)
    assert "ratings >=" not in err


def test_a_file_without_ratings_for_a_model_with_a_threshold(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, clicks = tmp_path / "four.npz", tmp_path / "clicks.csv"
    clicks.write_text("user,item\nann,i01\nann,i02\n")
    assert main(["fit", str(file), "--model", "ease", "--threshold", "4", "--output", str(path)]) == 0
    capsys.readouterr()
    assert error_of(capsys, "recommend", clicks, "--model", path).endswith(
        "has no column for them (on the command line: --threshold none); threshold=None takes every row "
        f"({path} was fitted with that threshold)"
    )
    rows, _ = output_of(capsys, "recommend", clicks, "--model", path, "--threshold", "none")
    assert {row["user"] for row in rows} == {"ann"}


def test_another_fit_forgets_the_threshold(file: Path, tmp_path: Path) -> None:
    path = tmp_path / "four.npz"
    assert main(["fit", str(file), "--model", "ease", "--threshold", "4", "--output", str(path)]) == 0
    assert far.load(path).fit(far.read_ratings(file)).threshold_ is None


@pytest.mark.parametrize("command", COMMANDS)
def test_a_threshold_that_leaves_nothing(
    command: str, file: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = {
        "fit": ["--output", tmp_path / "new.npz"],
        "recommend": ["--model", model],
        "explain": ["--model", model],
    }.get(command, [])
    message = error_of(capsys, command, file, *more, "--threshold", "9")
    assert f"{file}: `threshold` 9 leaves nothing, for the highest rating is 5; lower it" in message
    for text in ("nan", "inf", "four", ""):
        with pytest.raises(SystemExit) as stop:
            main([command, str(file), *map(str, more), "--threshold", text])
        assert stop.value.code == 2
        assert "a threshold is a number or 'none'" in capsys.readouterr().err


# --- short histories -------------------------------------------------------------------------------------------------


@pytest.fixture
def short(tmp_path: Path) -> Path:
    path = tmp_path / "short.csv"
    path.write_text("user,item\n" + "".join(f"u{u},i{(u + i) % 9}\n" for u in range(40) for i in (0, 1, 4)))
    return path


def test_short_histories_are_told_and_there_is_a_way_on(short: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = error_of(capsys, "evaluate", short, "--model", "ease")
    assert "part 3 of 3 is empty: for the ratios 0.5, 0.2, 0.3 users need 4 or more interactions" in message
    assert "0 of 40 have so many; the longest history has 3; give others with --ratios" in message
    assert message.endswith("for example --ratios 1 1 1")
    assert main(["evaluate", str(short), "--model", "ease", "--ratios", "1", "1", "1"]) == 0
    assert "fitted on 80 interactions, tested on 40 (random split)" in capsys.readouterr().out


def test_a_validation_part_that_is_not_needed_may_be_empty(short: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", str(short), "--ratios", "0.5", "0.1", "0.4"]  # 2, 0 and 1 of 3
    assert main([*words, "--model", "ease"]) == 0
    assert "tested on 40" in capsys.readouterr().out
    message = error_of(capsys, *words, "--model", "nce-plrec", "--set", "factors=3", "regularization=0.1,1")
    assert "part 2 of 3 is empty" in message


def test_ratios_of_fit_and_tune(short: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.npz"
    fit = ["fit", short, "--model", "nce-plrec", "--set", "factors=3", "regularization=0.1,1", "--output", path]
    assert "users need 5 or more interactions" in error_of(capsys, *fit)
    assert not path.exists()
    assert main([*map(str, fit), "--ratios", "2", "1"]) == 0
    capsys.readouterr()
    pytest.importorskip("optuna", reason="tune is made of Optuna")
    search = ["tune", short, "--model", "ease", "--space", "regularization=1,10"]
    assert "users need 5 or more interactions" in error_of(capsys, *search)
    assert main([*map(str, search), "--ratios", "0.6", "0.4"]) == 0


def test_ratios_that_are_none(short: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (
        ["0", "1", "1"],
        ["a", "1", "1"],
        ["1", "1"],
        ["inf", "1", "1"],
        ["nan", "1", "1"],
        ["0.5", "0.2", "0.2"],
        ["1", "0.5", "0.5"],
    ):
        with pytest.raises(SystemExit) as stop:
            main(["evaluate", str(short), "--ratios", *words])
        assert stop.value.code == 2
        assert "--ratios" in capsys.readouterr().err


def test_shares_are_those_of_the_library(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(file), "--model", "ease", "--ratios", "70", "10", "20", "-k", "5"]) == 0
    train, test = far.split(far.read_ratings(file), (0.8, 0.2), by="random")
    report = far.evaluate(far.EASE().fit(train), train, test, k=5)
    assert str(report) in capsys.readouterr().out


# --- what the machine cannot do --------------------------------------------------------------------------------------


def test_a_penalty_that_is_none(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for n in (4, 600):  # the inverse is made in one piece or in several
        data = sparse.csr_matrix(np.ones((9, n), np.float32))
        with pytest.raises(ValueError, match="`regularization` is too small for these data, 1e-16"):
            far.EASE(regularization=1e-16).fit(data)
        far.EASE(regularization=0.01).fit(data)
    path = tmp_path / "twins.csv"
    path.write_text("user,item\n" + "".join(f"{u},{i}\n" for u in range(9) for i in range(4)))
    words = ["fit", path, "--model", "ease", "--set", "regularization=1e-16", "--output", tmp_path / "m.npz"]
    assert "`regularization` is too small" in error_of(capsys, *words)


@pytest.mark.parametrize("setting", ["²", "١", "3.5", "-1", "0", "three", "9" * 20])
def test_a_number_of_threads_that_is_none(
    setting: str, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FASTAUTOREC_NUM_THREADS", setting)
    message = error_of(capsys, "fit", file, "--output", tmp_path / "m.npz")
    assert f"FASTAUTOREC_NUM_THREADS must be an integer >= 1, got {setting!r}" in message


def test_a_model_by_the_name_of_its_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, saved = tmp_path / "r.csv", tmp_path / "m.npz"
    file.write_text("user,item\n" + "".join(f"u{n},i{m}\n" for n in range(9) for m in range(n % 3 + 2)))
    assert main(["fit", str(file), "--model", "Popularity", "--output", str(saved)]) == 0
    assert type(far.load(saved)) is far.Popularity
    capsys.readouterr()
    assert main(["inspect", str(saved)]) == 2
    assert "m.npz: a NumPy archive, as models are saved in, and no rating file" in capsys.readouterr().err


def test_a_file_that_an_option_takes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["recommend", "--model", "m.npz", "--users", "ann", "bob", "shop.csv"])
    assert "required: FILE, before --users and --items, which take all words behind them" in capsys.readouterr().err
