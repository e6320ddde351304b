"""Folders of interactions in the place of FILE: several files become one model."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from few_books import error_of

import fastautorec as far
from fastautorec.cli import main

PAGE = Path(__file__).parents[2] / "docs" / "command_line.md"


@pytest.fixture(autouse=True)
def years(tmp_path, monkeypatch):
    """Make the folder of two files, y2024.csv and y2025.csv, the current one."""
    monkeypatch.chdir(tmp_path)
    for year in (2024, 2025):
        drawn = np.random.default_rng(year).integers((0, 0, 1, 1, 1), (30, 12, 6, 13, 28), (600, 5))
        rows = [f"u{u},i{i},{stars},{year}-{month:02}-{day:02}" for u, i, stars, month, day in drawn.tolist()]
        Path(f"y{year}.csv").write_text("\n".join(["user,item,rating,date", *rows]) + "\n")


@pytest.fixture
def shard(capsys):
    """Return what makes the folder sh of both files."""

    def make(*words):
        assert main(["shard", "y2024.csv", "y2025.csv", "--repeats", "first", "--output", "sh", *words]) == 0
        capsys.readouterr()

    return make


def test_the_page(capsys):
    commands = re.search(r"```sh\n(fastautorec shard .*?)```", PAGE.read_text("utf-8"), re.DOTALL)[1].splitlines()
    for command in commands:
        assert main(shlex.split(command)[1:]) == 0
    out, err = capsys.readouterr()
    assert "(date split)" in out
    assert "user,rank,item,score\nu1,1," in out
    assert "both: a folder of interactions\n30 users, 12 items, " in err
    assert far.load("model.npz").n_items_ == 12


@pytest.mark.parametrize("folder", ["sh", "sh/shard-00000", "data"])
def test_every_command_takes_a_folder(folder, shard, capsys):
    shard("--n-shards", "1")
    data = far.Interactions.open("sh/shard-00000")
    data.to_disk("data")
    model = ["--model", "m.npz"]
    assert main(["fit", folder, "--model", "ease", "--output", "m.npz"]) == 0
    expected = far.EASE().fit(data).recommend_table(data, 3, ["u1"])
    capsys.readouterr()
    assert main(["recommend", folder, *model, "--users", "u1", "-n", "3"]) == 0
    assert [line.split(",")[2] for line in capsys.readouterr().out.split()[1:]] == [row.item for row in expected]
    for words in (
        ["explain", folder, *model, "--users", "u1"],
        ["evaluate", folder, "--model", "popularity", "--by", "last"],
        ["tune", folder, "--model", "ease", "--space", "regularization=1,10", "--trials", "1"],
        ["select", folder, "--models", "popularity", "item-knn"],
        ["inspect", folder],
    ):
        assert main(words) == 0
    assert "\nrepeated pairs  " in capsys.readouterr().out


def test_what_cannot_be_done_with_a_folder(shard, capsys):
    shard("--n-shards", "3")
    told = error_of(capsys, "inspect", "sh")
    assert (
        "sh has 3 shards; write one with `fastautorec shard FILES --n-shards 1 --output DIR`, or fit a model to" in told
    )
    words = ["--threshold", "4", "--no-timestamp", "--repeats", "first", "--weight", "w", "--format", "csv"]
    told = error_of(capsys, "inspect", "sh/shard-00000", *words)
    assert "`--no-timestamp --weight --repeats --threshold --file-format` belong" in told
    assert told.endswith("; give them to the `fastautorec shard` that writes the folder")
    assert main(["shard", "y2024.csv", "--no-timestamp", "--output", "bare"]) == 0
    capsys.readouterr()
    told = error_of(capsys, "evaluate", "bare", "--by", "time")
    assert "needs timestamps, but FILE, a folder, has none; give --timestamp to the `fastautorec shard`" in told


def test_thresholds_of_models_are_not_asked_of_folders(shard, capsys):
    shard()
    assert main(["fit", "y2024.csv", "--threshold", "4", "--model", "ease", "--output", "m"]) == 0
    assert main(["recommend", "sh", "--model", "m", "--users", "u1"]) == 0
    assert "ratings >= 4 counted when the model was fitted; in FILE all that is there counts" in capsys.readouterr().err


def test_several_files_have_a_way_on(capsys):
    way = "`fastautorec shard FILES --n-shards 1 --output DIR` joins several"
    with pytest.raises(SystemExit):
        main(["evaluate", "y2024.csv", "y2025.csv"])
    assert f"unrecognized arguments: y2025.csv; one FILE is read, and {way}\n" in capsys.readouterr().err
    for file in (".", "y*.csv"):
        told = error_of(capsys, "evaluate", file)
        assert told.endswith(f"{way} files, and FILE is DIR then")
        assert "far." not in told
