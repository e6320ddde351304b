"""Pairs that come several times, on the command line and in experiments: --repeats, and what is told of them."""

from __future__ import annotations

import numpy as np
import pytest
from few_books import error_of

import fastautorec as far
from fastautorec.cli import main
from fastautorec.experiments._reading import parse
from fastautorec.experiments._sources import load

TOLD = "pairs of user and item came at several times"


@pytest.fixture
def sold(tmp_path):
    drawn = np.random.default_rng(0).integers((0, 0, 1), (30, 12, 28), (400, 3))
    path = tmp_path / "sold.csv"
    path.write_text("user,item,date\n" + "".join(f"u{u},i{i},2024-01-{day:02}\n" for u, i, day in drawn))
    return path


@pytest.mark.filterwarnings("default:in the rows")
@pytest.mark.parametrize(
    "words",
    [["evaluate"], ["evaluate", "--by", "last"], ["evaluate", "--by", "date", "--at", "2024-01-20"]],
    ids=["time", "last", "date"],
)
def test_a_split_by_time_tells_once_and_the_option_helps(words, sold, capsys):
    command = [words[0], str(sold), "--model", "popularity", *words[1:]]
    assert main(command) == 0
    told = capsys.readouterr().err
    assert told.count(TOLD) == 1
    assert "as if it were new; to test what is new" in told
    assert "read the rows with --repeats first" in told
    assert main([*command, "--repeats", "first"]) == 0
    assert TOLD not in capsys.readouterr().err


def test_random_splits_tell_nothing(sold, capsys):
    assert main(["evaluate", str(sold), "--model", "popularity", "--by", "random"]) == 0
    assert TOLD not in capsys.readouterr().err


def test_inspect_and_shard_take_it(sold, tmp_path, capsys):
    assert main(["inspect", str(sold), "--repeats", "first"]) == 0
    assert "each pair counted once, at its first time" in capsys.readouterr().out
    assert main(["shard", str(sold), "--output", str(tmp_path / "out"), "--repeats", "first", "--n-shards", "1"]) == 0
    shard = far.Interactions.open(tmp_path / "out" / "shard-00000")
    same = far.read_ratings(sold, repeats="first", verbose=False)
    assert shard.timestamps.tolist() == same.timestamps.tolist()
    capsys.readouterr()
    assert "needs timestamps, got none" in error_of(capsys, "inspect", sold, "--no-timestamp", "--repeats", "first")


EXPERIMENT = """
[[datasets]]
name = "sold"
source = "{source}"
path = "{path}"
{more}
[[models]]
name = "POP"
class = "Popularity"
"""


@pytest.mark.parametrize("source", ["ratings", "arrays"])
def test_experiments(source, sold, tmp_path):
    data = {repeats: far.read_ratings(sold, repeats=repeats, verbose=False) for repeats in ("last", "first")}
    if source == "arrays":
        rows = np.array([line.split(",") for line in sold.read_text().splitlines()[1:]])
        days = rows[:, 2].astype("M8[D]")
        np.savez(tmp_path / "sold.npz", user=rows[:, 0], item=rows[:, 1], timestamp=days)
    path = "sold.csv" if source == "ratings" else "sold.npz"
    for repeats, more in (("last", ""), ("first", 'repeats = "first"')):
        (dataset,) = parse(EXPERIMENT.format(source=source, path=path, more=more), default_name="t").datasets
        if repeats == "last":
            with pytest.warns(UserWarning, match=TOLD):
                parts = load(dataset, tmp_path)
        else:
            parts = load(dataset, tmp_path)
        with pytest.warns(UserWarning, match=TOLD) if repeats == "last" else pytest.MonkeyPatch.context():
            wanted = far.split(data[repeats])
        assert (parts.test != wanted[2].user_items).nnz == 0


def test_experiments_refuse_other_words():
    with pytest.raises(ValueError, match="repeats"):
        parse(EXPERIMENT.format(source="ratings", path="x", more='repeats = "all"'), default_name="t")
    with pytest.raises(ValueError, match="must not have the key `repeats`, which tells how to take the rows"):
        parse(EXPERIMENT.format(source="parts", path="x", more='repeats = "first"'), default_name="t")
