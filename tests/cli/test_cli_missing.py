"""Rows that lack a value, on the command line and in experiments: --missing, and what inspect tells."""

from __future__ import annotations

import numpy as np
import pytest
from few_books import error_of

import fastautorec as far
from fastautorec.cli import main
from fastautorec.experiments._reading import parse
from fastautorec.experiments._sources import load


@pytest.fixture
def sold(tmp_path):
    drawn = np.random.default_rng(0).integers((0, 0, 1), (30, 12, 28), (400, 3))
    lines = [f"u{u},i{i},2024-01-{day:02}" for u, i, day in drawn]
    lines[3:3] = [",i1,2024-01-01", "u1,i2,", "u2,,"]
    path = tmp_path / "sold.csv"
    path.write_text("\n".join(["user,item,date", *lines]) + "\n")
    return path


def test_commands_refuse_them_and_say_the_option(sold, tmp_path, capsys):
    told = error_of(capsys, "fit", sold, "--model", "popularity", "--output", tmp_path / "m.npz")
    assert "line 5: has no user id (3 of 403 lines lack a value: 1 in user, 1 in item, 2 in date)" in told
    assert told.endswith("; say --missing drop to leave such lines out")
    text = sold.read_text()
    sold.write_text("user,item,date\nu1,i2,\n")
    told = error_of(capsys, "inspect", sold)
    assert told.endswith("; name other columns, or say timestamp=False to read no times")
    told = error_of(capsys, "fit", sold, "--model", "popularity", "--output", tmp_path / "m.npz")
    assert told.endswith("; say --missing drop to leave such lines out, or --no-timestamp to read no times")
    sold.write_text(text)
    assert (
        main(["fit", str(sold), "--model", "popularity", "--output", str(tmp_path / "m.npz"), "--missing", "drop"]) == 0
    )
    assert "3 rows left out for missing values (1 in user, 1 in item, 2 in date)" in capsys.readouterr().err


def test_inspect_tells_of_them(sold, capsys):
    assert main(["inspect", str(sold)]) == 0
    told = capsys.readouterr().out
    assert "left out        3 rows: missing values (1 in user, 1 in item, 2 in date)\n" in told
    note = "3 rows lack a value: they are left out here, and refused without --missing drop"
    assert f"note            {note}\n" in told
    assert main(["inspect", str(sold), "--missing", "drop"]) == 0
    assert note not in capsys.readouterr().out
    sold.write_text("user,item\nu1,i1\nu2,i1\n")
    assert main(["inspect", str(sold)]) == 0
    assert "lack a value" not in capsys.readouterr().out


EXPERIMENT = """
[[datasets]]
name = "sold"
source = "{source}"
path = "{path}"
by = "random"
missing = "{missing}"
[[models]]
name = "POP"
class = "Popularity"
"""


@pytest.mark.parametrize("source", ["ratings", "arrays"])
def test_experiments(source, sold, tmp_path):
    data = far.read_ratings(sold, missing="drop", verbose=False)
    if source == "arrays":
        rows = np.array([line.split(",") for line in sold.read_text().splitlines()[1:]])
        np.savez(tmp_path / "sold.npz", user=rows[:, 0], item=rows[:, 1], timestamp=rows[:, 2].astype("M8[D]"))
    path = "sold.csv" if source == "ratings" else "sold.npz"
    (given,) = parse(EXPERIMENT.format(source=source, path=path, missing="drop"), default_name="t").datasets
    parts = load(given, tmp_path)
    assert (parts.train + parts.validation + parts.test != data.user_items).nnz == 0
    (given,) = parse(EXPERIMENT.format(source=source, path=path, missing="raise"), default_name="t").datasets
    with pytest.raises(ValueError, match=r"3 of 403 .* lack a value"):
        load(given, tmp_path)
    with pytest.raises(ValueError, match="missing"):
        parse(EXPERIMENT.format(source=source, path=path, missing="skip"), default_name="t")
