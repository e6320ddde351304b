"""Files of an experiment are written in one step each: a full disk leaves the former report, and nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from few_books import DATA, MODELS, prepare, run

from fastautorec import _files as _replacing
from fastautorec.cli import main
from fastautorec.experiments import _drawings as drawings
from fastautorec.experiments import _files as files

FILES = ("experiment.toml", "summary.csv", "report.md", "report.html", "tables/few-books.md", "tables/few-books.tex")


@pytest.mark.parametrize("place", [*FILES, "per_user.parquet", "per_user.csv"])
def test_a_disk_that_is_full_in_the_middle_of_a_file(tmp_path, monkeypatch, capsys, place):
    prepare(tmp_path, monkeypatch)
    monkeypatch.setattr(drawings, "can_draw", lambda: False)
    if place.endswith(".csv") and place != "summary.csv":
        monkeypatch.setattr(files.importlib.util, "find_spec", lambda name: None)
    elif place.endswith(".parquet"):
        pytest.importorskip("pyarrow", reason="Parquet is an extra")
    output = run(tmp_path, DATA + MODELS)
    before = {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}
    assert output / place in before

    def full(file):
        if Path(f"/proc/self/fd/{file}").readlink().name.startswith(f".{Path(place).name}."):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(_replacing.os, "fsync", full)
    (tmp_path / "test.toml").write_text(DATA + MODELS.replace("POP", "Popular"))
    assert main(["experiment", str(tmp_path / "test.toml"), "--output", str(output)]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"fastautorec: error: No space left on device: {output / place}"
    after = {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}
    assert after.keys() == before.keys()
    assert after[output / place] == before[output / place]


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="files are told by /proc")
