"""A small experiment: its file, its data, and how to run it."""

from __future__ import annotations

import numpy as np

import fastautorec as far
from fastautorec.cli import main

DATA = """
seeds = [0, 1]
[evaluation]
k = [5, 10]
[[datasets]]
name = "Few books"
source = "arrays"
path = "few.npz"
get = "Ask the librarian."
by = "random"
"""
MODELS = """
[[models]]
name = "POP"
class = "Popularity"
[[models]]
name = "AutoRec"
class = "AutoRec"
group = "Trained"
fit = "refit"
params = { factors = 8, epochs = 4, patience = 2, batch_size = 50 }
[[models]]
name = "NCE-AutoRec"
class = "NCEAutoRec"
seeds = [0]
fit = "stop"
params = { factors = 12, regularization = [0.1, 1.0] }
"""
BROKEN = """
[[models]]
name = "Broken"
class = "PureSVD"
params = { factors = 100000 }
"""
STABLE = ("summary.csv", "tables/few-books.md", "tables/few-books.tex", "tables/few-books-settings.md")


def prepare(folder, monkeypatch):
    """Put the data into a folder and make it the current one."""
    monkeypatch.chdir(folder)
    monkeypatch.delenv("FASTAUTOREC_DATA", raising=False)
    rows, columns = far.datasets.synthetic(150, 60, 3000, random_state=4).nonzero()
    np.savez(folder / "few.npz", user=rows, item=columns)


def run(folder, text, *options, status=0):
    """Run an experiment and return the folder of its results."""
    path = folder / "test.toml"
    path.write_text(text)
    assert main(["experiment", str(path), "--output", str(folder / "out"), *options]) == status
    return folder / "out"


def error_of(capsys, *argv):
    """Run a command that must fail, and return its one line of explanation."""
    assert main([str(word) for word in argv]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    last = err.splitlines()[-1]
    assert last.startswith("fastautorec: error: ")
    return last.removeprefix("fastautorec: error: ")
