"""``fastautorec select``: what it prints and saves is what `select` finds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import fastautorec as far
from fastautorec.cli import main


@pytest.fixture
def file(tmp_path: Path) -> Path:
    matrix = far.datasets.synthetic(80, 40, 1500, random_state=3).tocoo()
    path = tmp_path / "ratings.csv"
    path.write_text("user,item\n" + "".join(f"u{u},i{i}\n" for u, i in zip(matrix.row, matrix.col, strict=True)))
    return path


def test_the_best_is_printed_and_saved(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="pictures are of matplotlib")
    output, plot = tmp_path / "best.npz", tmp_path / "models.svg"
    words = ["--models", "popularity", "ease", "item-knn", "popularity", "--metric", "Recall@5", "--random-state", "4"]
    assert main(["select", str(file), *words, "--output", str(output), "--plot", str(plot)]) == 0
    data = far.read_ratings(file)
    found = far.select(data, [far.Popularity(), far.EASE(), far.ItemKNN()], metric="Recall@5", random_state=4)
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith(f"{found.best} has the best Recall@5, ")
    assert [line.split()[0] for line in out[3:6]] == [row["model"] for row in found.rows]
    assert out[-1] == f"{output}: {found.best_model!r} fitted on all of {file}"
    np.testing.assert_array_equal(far.load(output).predict(data), found.best_model.predict(data))
    assert plot.stat().st_size > 1000


def test_candidates_by_default(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["select", str(file), "--timeout", "0"]) == 0
    out = capsys.readouterr().out
    for name in ("Popularity", "ItemKNN", "RP3beta", "EASE", "DLAECV", "NCEAutoRecCV"):
        assert f"\n{name}() " in out


def test_what_is_wrong_is_one_line(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["select", str(file), "--models", "ease", "--metric", "AUC"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("fastautorec: error: `metric` must be ")
    with pytest.raises(SystemExit):
        main(["select", str(file), "--models", "als"])
