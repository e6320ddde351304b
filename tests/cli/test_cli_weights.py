"""Weights on the command line: a column of FILE, for the one model that takes them."""

import numpy as np
import pytest
from few_books import error_of

import fastautorec as far
from fastautorec.cli import main


@pytest.fixture
def file(tmp_path):
    matrix = far.datasets.synthetic(60, 30, 900, random_state=1).tocoo()
    plays = np.random.default_rng(0).integers(1, 200, matrix.nnz).tolist()
    rows = zip(matrix.row.tolist(), matrix.col.tolist(), plays, strict=True)
    path = tmp_path / "plays.csv"
    path.write_text("user,item,plays\n" + "".join(f"{u},i{i},{p}\n" for u, i, p in rows))
    return path


def test_a_model_that_takes_weights(file, tmp_path, capsys):
    pytest.importorskip("implicit", reason="implicit is not installed")
    path, lists = tmp_path / "model.npz", tmp_path / "lists.csv"
    words = ["--model", "wrmf", "--set", "factors=4", "regularization=1.0", "--weight", "plays"]
    assert main(["fit", str(file), "--output", str(path), *words]) == 0
    assert main(["recommend", str(file), "--model", str(path), "-n", "3", "--weight", "2", "--output", str(lists)]) == 0
    err = capsys.readouterr().err
    assert "plays → weights (given)" in err
    assert "--weight" not in err
    data = far.read_ratings(file, weights="plays", verbose=False)
    model = far.baselines.WRMF(factors=4, regularization=1.0).fit(data)
    assert far.load(path).item_factors_.tobytes() == model.item_factors_.tobytes()
    expected = model.recommend_table(data, N=3)
    got = np.loadtxt(lists, str, delimiter=",", skiprows=1)
    assert got[:, 2].tolist() == expected["item"].tolist()
    bare = far.baselines.WRMF(factors=4, regularization=1.0).fit(data.user_items)
    assert bare.item_factors_.tobytes() != model.item_factors_.tobytes()


def test_one_that_does_not_says_so(file, tmp_path, capsys):
    path = tmp_path / "model.npz"
    words = ["fit", str(file), "--output", str(path), "--model", "ease"]
    assert main([*words, "--weight", "plays"]) == 0
    assert "--weight changes nothing here: EASE takes interactions as binary" in capsys.readouterr().err
    weights = far.load(path).item_weights_
    assert main(words) == 0
    assert "--weight" not in capsys.readouterr().err
    assert far.load(path).item_weights_.tobytes() == weights.tobytes()


def test_inspect_shows_the_column(file, capsys):
    assert main(["inspect", str(file), "--weight", "plays"]) == 0
    assert "plays → weights (given)" in capsys.readouterr().out


def test_a_column_without_weights(tmp_path, capsys):
    file = tmp_path / "notes.csv"
    file.write_text("user,item,note\n" + "".join(f"{user},tea,fine\n" for user in range(5)))
    text = error_of(capsys, "inspect", file, "--weight", "note")
    assert "'note', taken as the weights, holds no number" in text
    assert " (on the command line: --weight COLUMN); " in text
