"""Commands that answer with lists: their files, the dial, similar items, explanations, and what ends with an error."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from few_books import error_of

import fastautorec as far
from fastautorec.cli import main

N_USERS, N_ITEMS = 60, 30


@pytest.fixture(scope="module")
def data() -> far.Interactions:
    matrix = far.datasets.synthetic(N_USERS, N_ITEMS, 700, random_state=3)
    return far.Interactions(matrix, [f"-L{u:02}" for u in range(N_USERS)], [f"-é{i:02}" for i in range(N_ITEMS)])


@pytest.fixture
def file(tmp_path: Path, data: far.Interactions) -> Path:
    entries = data.user_items.tocoo()
    rows = [
        f"{data.user_ids[u]},{data.item_ids[i]},{1 + (u + i) % 5}"
        for u, i in zip(entries.row, entries.col, strict=True)
    ]
    path = tmp_path / "ratings.csv"
    path.write_text("\n".join(["user,item,rating", *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def model(tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    path = tmp_path / "model.npz"
    assert main(["fit", str(file), "--output", str(path), "--set", "factors=8"]) == 0
    capsys.readouterr()
    return path


def rows_of(capsys: pytest.CaptureFixture[str], *argv: object) -> list[dict[str, str]]:
    assert main([str(word) for word in argv]) == 0
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["recommend", "explain", "similar"])
def test_files_hold_what_is_printed(
    command: str, file: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    words = [command, "--model", model, "-n", 3, "--items", "-é01", "-é04"]
    words = [*words[:5]] if command == "recommend" else words
    words = words if command == "similar" else [command, file, *words[1:]]
    printed = rows_of(capsys, *words)
    for suffix in ("csv", "jsonl", "parquet"):
        path = tmp_path / f"lists.{suffix}"
        assert main([str(word) for word in (*words, "--output", path)]) == 0
        out, err = capsys.readouterr()
        assert out == ""
        assert f"wrote {path}" in err
        if suffix == "csv":
            assert list(csv.DictReader(io.StringIO(path.read_text("utf-8")))) == printed
            continue
        if suffix == "jsonl":
            rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        else:
            rows = pandas.read_parquet(path).to_dict("records")
        texts = [
            {name: f"{cell:.6g}" if isinstance(cell, float) else str(cell) for name, cell in row.items()}
            for row in rows
        ]
        assert texts == printed


@pytest.mark.parametrize("command", ["recommend", "explain", "similar"])
def test_files_that_may_not_be_written(
    command: str, file: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (
        ["similar", "--model", model, "--items", "-é01"] if command == "similar" else [command, file, "--model", model]
    )
    assert "must end in .csv, .jsonl, .parquet" in error_of(capsys, *words, "--output", tmp_path / "lists.txt")
    assert "no folder" in error_of(capsys, *words, "--output", tmp_path / "absent" / "lists.csv")
    moved = tmp_path / "model.csv"
    moved.write_bytes(model.read_bytes())
    words[words.index(model)] = moved
    assert "is MODEL, which would be destroyed" in error_of(capsys, *words, "--output", moved)
    assert moved.read_bytes() == model.read_bytes()
    if command != "similar":
        assert "is FILE, which would be destroyed" in error_of(capsys, *words, "--output", file)


# --- the dial ---------------------------------------------------------------------------------------------------------


def test_recommend_with_another_discount(
    file: Path, model: Path, data: far.Interactions, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = rows_of(capsys, "recommend", file, "--model", model, "-n", 3, "--popularity-discount", 0.9)
    fitted = far.load(model)
    histories = far.read_ratings(file, items=fitted.item_ids_, verbose=False)
    table = fitted.recommend_table(histories, N=3, popularity_discount=0.9)
    assert [row["item"] for row in rows] == table["item"].tolist()
    assert [row["item"] for row in rows] != [
        row["item"] for row in rows_of(capsys, "recommend", file, "--model", model, "-n", 3)
    ]
    assert "must be finite, got nan" in error_of(
        capsys, "recommend", file, "--model", model, "--popularity-discount", "nan"
    )


def test_evaluate_with_another_discount(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", str(file), "--set", "factors=6", "-k", "5", "--by", "random"]
    shown = []
    for more in ([], ["--popularity-discount", "0.15"], ["--popularity-discount", "1.5"]):
        assert main([*words, *more]) == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1]  # 0.15 is what the model has
    assert shown[0] != shown[2]
    for wrong, text in (("nan", "must be finite, got nan"), ("1e9", "must keep pop^(−γ) between")):
        assert text in error_of(capsys, *words, "--popularity-discount", wrong)
    for name in ("ease", "popularity", "pure-svd"):
        words = ["evaluate", str(file), "--model", name, "--popularity-discount", "0.5"]
        assert "`popularity_discount` must be left out for" in error_of(capsys, *words)


# --- similar ----------------------------------------------------------------------------------------------------------


def test_similar_agrees_with_the_library(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = rows_of(capsys, "similar", "--model", model, "--items", "-é01", "-é04", "-n", 3)
    table = far.load(model).similar_table(["-é01", "-é04"], N=3)
    assert [(row["item"], row["similar"]) for row in rows] == list(zip(table["item"], table["similar"], strict=True))
    assert [float(row["score"]) for row in rows] == pytest.approx(table["score"].tolist(), rel=1e-5)
    assert main(["similar", "--model", str(model), "--items=-é01", "-n", "2", "--format", "table"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "-é01"
    assert lines[1].split() == ["1.", "-é01", "1.0000"]
    assert len(lines) == 3


def test_similar_refuses(file: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["similar", "--model", model, "--items"]
    assert "does not know 1 of 2 ('zed'); its own are such as '-é00'" in error_of(capsys, *words, "-é01", "zed")
    assert "`--items` must be distinct, got '-é01' more than once" in error_of(capsys, *words, "-é01", "-é01")
    assert "`-n` must be between 1 and the number of items of the model, 30" in error_of(
        capsys, *words, "-é01", "-n", 31
    )
    popular = tmp_path / "popular.npz"
    assert main(["fit", str(file), "--output", str(popular), "--model", "popularity"]) == 0
    capsys.readouterr()
    assert "none of the 2 items is like another to Popularity" in error_of(
        capsys, "similar", "--model", popular, "--items", "-é01", "-é02"
    )
    with pytest.raises(SystemExit) as ended:
        main(["similar", "--model", str(model)])
    assert ended.value.code == 2


def test_integer_ids_of_a_model_are_written_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.npz"
    matrix = far.datasets.synthetic(N_USERS, N_ITEMS, 700, random_state=3)
    far.PureSVD(factors=5).fit(far.Interactions(matrix, item_ids=np.arange(100, 130))).save(path)
    assert rows_of(capsys, "similar", "--model", path, "--items", "107", "-n", 1)[0]["similar"] == "107"
    assert "does not know 1 of 1 ('007')" in error_of(capsys, "similar", "--model", path, "--items", "007")


# --- explain ----------------------------------------------------------------------------------------------------------


def test_explain_agrees_with_the_library(
    file: Path, model: Path, data: far.Interactions, capsys: pytest.CaptureFixture[str]
) -> None:
    users = data.user_ids[[3, 1]].tolist()
    rows = rows_of(capsys, "explain", file, "--model", model, "-n", 2, "--reasons", 2, "--users", *users)
    fitted: Any = far.load(model)
    history = data.user_items[[3, 1]]
    ids, _ = fitted.recommend(history, N=2)
    told = fitted.explain(history, ids, N=2)
    expected = [
        (users[u], name, because)
        for u in range(2)
        for name, reasons in zip(told.item_names[u], told.because_names[u], strict=True)
        for because in reasons
    ]
    assert [(row["user"], row["item"], row["because"]) for row in rows] == expected
    assert [float(row["contribution"]) for row in rows] == pytest.approx(told.contributions.ravel().tolist(), rel=1e-5)
    one = rows_of(capsys, "explain", file, "--model", model, "--users", users[0], "--items", "-é07")
    assert {(row["user"], row["item"]) for row in one} == {(users[0], "-é07")}
    assert len(one) == 3
    dialled = rows_of(
        capsys, "explain", file, "--model", model, "-n", 2, "--users", users[0], "--popularity-discount", 0.9
    )
    ids, scores = fitted.recommend(history[:1], N=2, popularity_discount=0.9)
    assert [row["item"] for row in dialled[::3]] == fitted.item_names(ids)[0].tolist()
    assert [float(row["score"]) for row in dialled[::3]] == pytest.approx(scores[0].tolist(), rel=1e-5)
    words = ["explain", file, "--model", model, "--users", users[0], "--format", "table", "-n", 1]
    assert main([str(word) for word in words]) == 0
    assert capsys.readouterr().out.splitlines()[0] == users[0]


def test_explain_refuses(file: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["explain", file, "--model", model]
    assert "does not know 1 of 1 ('zed')" in error_of(capsys, *words, "--items", "zed")
    assert "zed" in error_of(capsys, *words, "--users", "zed")
    assert "`N` must be between 1 and 30, got 0" in error_of(capsys, *words, "--reasons", 0)
    popular = tmp_path / "popular.npz"
    assert main(["fit", str(file), "--output", str(popular), "--model", "popularity"]) == 0
    capsys.readouterr()
    assert "Popularity has no explanations" in error_of(capsys, "explain", file, "--model", popular)
    other = tmp_path / "other.csv"
    other.write_text("user,item\nann,of-another-shop\n")
    assert "the model knows none of the 1 items" in error_of(capsys, "explain", other, "--model", model)


# --- words ------------------------------------------------------------------------------------------------------------


def test_time_is_a_short_name_of_timestamp(tmp_path: Path, data: far.Interactions) -> None:
    entries = data.user_items.tocoo()
    path = tmp_path / "when.csv"
    rows = [f"{u},{i},{n}" for n, (u, i) in enumerate(zip(entries.row, entries.col, strict=True))]
    path.write_text("\n".join(["who,what,when", *rows]) + "\n")
    words = ["--user", "who", "--item", "what", "--time", "when", "--set", "factors=5", "-k", "5"]
    assert main(["evaluate", str(path), *words, "--by", "time"]) == 0


def test_another_threshold_than_that_of_the_fit_is_told(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.npz"
    assert main(["fit", str(file), "--output", str(path), "--model", "ease", "--threshold", "3"]) == 0
    for words, told in (
        ([], "ratings >= 3 count, as when the model was fitted"),
        (["--threshold", "2"], "ratings >= 3 counted when the model was fitted, unlike --threshold 2"),
        (["--threshold", "none"], "ratings >= 3 counted when the model was fitted, unlike --threshold none"),
    ):
        capsys.readouterr()
        assert main(["recommend", str(file), "--model", str(path), *words]) == 0
        assert told in capsys.readouterr().err
    capsys.readouterr()
    assert main(["recommend", str(file), "--model", str(path), "--threshold", "3"]) == 0
    assert "unlike" not in capsys.readouterr().err
