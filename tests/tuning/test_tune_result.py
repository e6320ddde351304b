"""What a search gives back, and the command that runs one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from scipy import sparse

import fastautorec as far
from fastautorec.cli import main

pytest.importorskip("optuna", reason="the search is Optuna's")

Parts = tuple[sparse.csr_matrix, sparse.csr_matrix, sparse.csr_matrix]


@pytest.fixture(scope="module")
def result(parts: Parts) -> far.TuningResult:
    train, validation, _ = parts
    space = {"factors": (4, 12), "learning_rate": (1e-4, 0.1, "log"), "activation": ["tanh", "relu"]}
    return far.tune(far.AutoRec(epochs=4), train, validation, space, n_trials=8)


def test_refit_trains_as_long(result: far.TuningResult, parts: Parts) -> None:
    train, validation, _ = parts
    model = result.refit(train + validation)
    assert model is not result.best_model
    assert model.best_epochs_ == tuple(result.best_model.best_epochs_)
    assert {name: getattr(model, name) for name in result.best_params} == result.best_params


def test_refit_keeps_the_penalty(parts: Parts) -> None:
    train, validation, _ = parts
    found = far.tune(far.NCEAutoRec, train, validation, {"factors": [6], "regularization": [0.1, 1.0]})
    model = found.refit(train + validation)
    assert model.regularization == model.regularization_ == found.best_params["regularization"]


def test_text(result: far.TuningResult) -> None:
    lines = str(result).splitlines()
    assert lines[0].startswith("AutoRec: 8 trials (")
    assert lines[0].endswith(f"best NDCG {result.best_metric:.4f}")
    assert lines[1].split() == ["trial", "NDCG", "factors", "learning_rate", "activation", "epochs", "seconds"]
    assert f"{result.best_metric:.4f}" in lines[2]


def test_frame(result: far.TuningResult) -> None:
    pytest.importorskip("pandas", reason="to_frame makes a pandas DataFrame")
    frame = result.to_frame()
    assert frame.index.name == "trial"
    assert frame["metric"].max() == result.best_metric


def test_plot(result: far.TuningResult, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="pictures are matplotlib's")
    figure = result.plot(tmp_path / "search.png")
    assert (tmp_path / "search.png").read_bytes()[:4] == b"\x89PNG"
    labels = [axes.get_xlabel() for axes in figure.axes if axes.get_visible()]
    assert labels == ["trial", "factors", "learning_rate", "activation"]
    assert figure.axes[2].get_xscale() == "log"


def test_without_matplotlib(result: far.TuningResult, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"`plot` needs the package matplotlib; pip install 'fastautorec\[plot\]'"):
        result.plot()


# --- the command -------------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    matrix = far.datasets.synthetic(100, 40, 1500, random_state=3).tocoo()
    path = tmp_path / "ratings.csv"
    path.write_text("\n".join(["user,item", *(f"{u},i{i:02}" for u, i in zip(matrix.row, matrix.col, strict=True))]))
    return path


def test_command(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output, plot = tmp_path / "model.npz", tmp_path / "search.png"
    words = ["--set", "dropout=0.5", "--space", "factors=4,8", "beta=0.9:1.1", "activation=relu,tanh", "--trials", "4"]
    words += ["--storage", str(tmp_path / "journal")]
    assert main(["tune", str(file), *words, "--output", str(output), "--plot", str(plot)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("NCEAutoRec: 4 trials (4 complete), best NDCG")
    assert f"{output}: NCEAutoRec(" in out
    assert plot.exists()
    model = far.load(output)
    assert f"factors={model.factors}" in out
    assert model.dropout == 0.5
    assert 0.9 <= model.beta <= 1.1
    assert main(["tune", str(file), *words]) == 0
    assert capsys.readouterr().out.startswith("NCEAutoRec: 8 trials")


def test_command_with_bad_space(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tune", str(file), "--space", "factor=4,8"]) == 2
    assert "must hold parameters of NCEAutoRec, got 'factor'" in capsys.readouterr().err
    assert main(["tune", str(file), "--space", "factors=8:4"]) == 2
    assert "must be a list of choices, (low, high)" in capsys.readouterr().err
