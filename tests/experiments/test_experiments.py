"""Whole experiments: what they write, what fails, and the data that they want."""

from __future__ import annotations

import csv
import importlib.util
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import numpy as np
import pytest
from few_books import BROKEN, DATA, MODELS, error_of, prepare, run

import fastautorec as far
from fastautorec.cli import main
from fastautorec.experiments import _runner as runner
from fastautorec.experiments._reading import parse
from fastautorec.experiments._sources import load
from fastautorec.experiments._store import Store


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The current folder, with data."""
    prepare(tmp_path, monkeypatch)
    return tmp_path


class Links(HTMLParser):
    """Collects what a page would fetch."""

    def __init__(self):
        super().__init__()
        self.links, self.tags = [], set()

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.links += [value for name, value in attributes if name in ("src", "href", "data", "srcset")]


def check_pages(output, title):
    """Check that the page fetches nothing and has every picture, each as PNG and SVG; return its text."""
    page = (output / "report.html").read_text("utf-8")
    parser = Links()
    parser.feed(page)
    assert "script" not in parser.tags
    assert all(link.startswith(("data:", "#")) for link in parser.links)
    pictures = sorted(path.stem for path in (output / "figures").glob("*.png"))
    assert len(pictures) >= 5
    assert pictures == sorted(path.stem for path in (output / "figures").glob("*.svg"))
    assert page.count("<img") == len(pictures)
    for path in (output / "figures").glob("*.svg"):
        assert ET.parse(path).getroot().tag.endswith("svg")
    assert (output / "report.md").read_text("utf-8").startswith(f"# {title}")
    return page


# --- the whole -------------------------------------------------------------------------------------------------------


@pytest.mark.grid
def test_the_shipped_example_at_small_size(folder):
    pytest.importorskip("matplotlib", reason="figures are an extra")
    output = folder / "out"
    assert main(["experiment", "example", "--users", "1050", "--output", str(output)]) == 0
    page = check_pages(output, "Debian packages")
    for words in ("Debian packages", "NCE-AutoRec", "Settings", "Times", "Failures", "Environment", "processor"):
        assert words in page


def test_per_user_figures_are_those_of_evaluate(folder, no_figures):
    output = run(folder, DATA + MODELS)
    (dataset,) = parse(DATA + MODELS, "x").datasets
    parts = load(dataset, folder)
    report = far.evaluate(far.Popularity().fit(parts.seen), parts.seen, parts.test, k=(5, 10))
    if importlib.util.find_spec("pyarrow"):
        from pyarrow import parquet

        rows = parquet.read_table(output / "per_user.parquet").to_pylist()
    else:
        with (output / "per_user.csv").open() as file:
            rows = list(csv.DictReader(file))
    pop = [row for row in rows if row["model"] == "POP"]
    assert [int(row["user"]) for row in pop] == parts.user_ids[report.users].tolist()
    for name in report:
        np.testing.assert_array_equal([float(row[name]) for row in pop], report[name].per_user)
    assert {row["seed"] for row in rows if row["model"] == "AutoRec"} == {0, 1}
    with (output / "summary.csv").open() as file:
        summary = {(row["model"], row["metric"]): row for row in csv.DictReader(file)}
    assert float(summary["POP", "NDCG"]["mean"]) == report["NDCG"].mean
    by_seed = [np.mean([row["NDCG"] for row in rows if row["model"] == "AutoRec" and row["seed"] == s]) for s in (0, 1)]
    assert float(summary["AutoRec", "NDCG"]["mean"]) == pytest.approx(np.mean(by_seed), abs=1e-12)
    assert float(summary["AutoRec", "NDCG"]["std_between_seeds"]) == pytest.approx(np.std(by_seed, ddof=1), abs=1e-12)
    assert "NDCG@50" not in (output / "tables" / "few-books.md").read_text("utf-8")


def test_without_pyarrow_per_user_figures_are_csv(folder, no_figures, monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pyarrow" else find_spec(name))
    output = run(folder, DATA + MODELS, "--only", "POP")
    assert not (output / "per_user.parquet").exists()
    with (output / "per_user.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert 100 < len(rows) <= 150
    assert {"dataset", "model", "seed", "user", "history_length", "n_test_items", "NDCG", "F1@10"} <= rows[0].keys()


def test_refit_takes_epochs_and_penalty_from_validation_data(folder, no_figures):
    text = DATA + MODELS.replace('fit = "stop"', 'fit = "refit"')
    settings = (run(folder, text) / "tables" / "few-books-settings.md").read_text("utf-8")
    (dataset,) = parse(text, "x").datasets
    parts = load(dataset, folder)
    stopped = far.AutoRec(8, epochs=4, patience=2, batch_size=50, random_state=0).fit(parts.train, parts.validation)
    assert f"epochs=[{stopped.best_epochs_[0]}]" in settings
    chosen = far.NCEAutoRec(12, regularization=[0.1, 1.0]).fit(parts.train, parts.validation).regularization_
    line = next(line for line in settings.splitlines() if line.startswith("| NCE-AutoRec"))
    assert "[0.1, 1.0]" not in line
    assert ("regularization" in line) == (chosen != 0.1)  # 0.1 is the default, which is not shown


def test_a_sweep_is_judged_on_validation_data(folder, no_figures):
    text = DATA + MODELS + "[models.sweep]\nbeta = [0.5, 1.0]\n"
    experiment = parse(text, "x")
    parts = load(experiment.datasets[0], folder)
    with Store(folder / "out") as store:
        results = runner.run_experiment(experiment, store, folder, only=["NCE-AutoRec"], say=lambda _: None)
    (sweep,) = results.outcomes[0].sweeps
    assert (sweep.model, sweep.parameter, list(sweep.reports)) == ("NCE-AutoRec", "beta", [0.5, 1.0])
    for beta, report in sweep.reports.items():
        model = far.NCEAutoRec(12, beta=beta, regularization=[0.1, 1.0]).fit(parts.train, parts.validation)
        fresh = far.evaluate(model, parts.train, parts.validation, k=(5, 10))
        np.testing.assert_array_equal(report["NDCG"].per_user, fresh["NDCG"].per_user)
        np.testing.assert_array_equal(report.ranks.ranks, fresh.ranks.ranks)
        assert report.to_dict() == fresh.to_dict()


def test_modes_and_sweeps_are_drawn(folder):
    pytest.importorskip("matplotlib", reason="figures are an extra")
    joint = "[[models]]\nname = 'NCE-AutoRec, joint'\nclass = 'NCEAutoRec'\nparams = { mode = 'joint', factors = 8 }\n"
    text = DATA + joint + joint.replace("joint", "full") + "[models.sweep]\nbeta = [0.5, 1.0]\n"
    output = run(folder, text)
    check_pages(output, "test")
    names = {path.stem for path in (output / "figures").glob("*.png")}
    assert {"few-books-modes", "few-books-effect-beta"} <= names


# --- search ----------------------------------------------------------------------------------------------------------


def test_tuned_on_validation_data(folder, no_figures):
    pytest.importorskip("optuna", reason="the search is an extra")
    entry = "[[models]]\nname = 'EASE'\nclass = 'EASE'\nfit = 'refit'\n"
    entry += "tune = { trials = 3, space = { regularization = [1.0, 1000.0, 100000.0] } }\n"
    settings = (run(folder, DATA + entry) / "tables" / "few-books-settings.md").read_text("utf-8")
    (dataset,) = parse(DATA + entry, "x").datasets
    parts = load(dataset, folder)
    best = far.tune(far.EASE, parts.train, parts.validation, {"regularization": [1.0, 1000.0, 100000.0]}, 3).best_model
    assert repr(best) in settings


# --- failures --------------------------------------------------------------------------------------------------------


def test_a_model_that_fails_is_reported_and_the_others_go_on(folder, no_figures, capsys):
    output = run(folder, DATA + BROKEN + MODELS, status=1)
    assert "2 failed runs" in capsys.readouterr().out
    for name in ("report.html", "report.md"):
        text = (output / name).read_text("utf-8")
        assert "Broken, seed 0, on Few books" in text
        assert "ValueError: `factors`" in text
    table = (output / "tables" / "few-books.md").read_text("utf-8")
    assert "NCE-AutoRec" in table
    assert "Broken" not in table


def test_an_experiment_of_failures_only(folder, no_figures):
    output = run(folder, DATA + BROKEN, status=1)
    assert "No run has finished." in (output / "report.html").read_text("utf-8")


def test_a_class_whose_library_is_missing_is_reported(folder, no_figures, monkeypatch):
    def missing(name):
        if name == "EASE":
            raise ImportError("`EASE` needs a library; pip install 'fastautorec[some]'")
        return far.Popularity

    for module in ("runner", "zoo"):
        monkeypatch.setattr(f"fastautorec.experiments._{module}.find_class", missing)
    text = DATA + MODELS.partition('[[models]]\nname = "AutoRec"')[0] + '[[models]]\nname = "EASE"\nclass = "EASE"\n'
    output = run(folder, text, status=1)
    assert "fastautorec[some]" in (output / "report.md").read_text("utf-8")


# --- data ------------------------------------------------------------------------------------------------------------


def test_a_missing_file_says_where_to_get_it_and_where_to_put_it(folder, capsys, monkeypatch):
    path = folder / "test.toml"
    path.write_text(DATA + MODELS)
    message = error_of(capsys, "experiment", path, "--data", folder / "elsewhere", "--output", folder / "out")
    for words in ("no file", "elsewhere/few.npz", "Ask the librarian, and put it there", "--data", "FASTAUTOREC_DATA"):
        assert words in message
    monkeypatch.setenv("FASTAUTOREC_DATA", str(folder / "of the environment"))
    assert "of the environment/few.npz" in error_of(capsys, "experiment", path, "--output", folder / "out")


def test_shipped_experiments_of_the_paper_want_their_files(folder, capsys):
    message = error_of(capsys, "experiment", "paper-ml20m", "--output", folder / "out")
    assert "grouplens.org" in message
    assert "ml-20m/ratings.csv" in message


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('files = [{ path = "few.npz", bytes = 3 }]', "bytes, expected 3"),
        ('files = [{ path = "few.npz", lines = 1 }]', "lines, expected 1;"),
        ('files = [{ path = "more.npz" }]', "no file more.npz"),
        ("interactions = 3001", "3,000 interactions are left, expected 3,001"),
        ("users = 200\ntolerance = 0.1", "150 users are left, expected 200"),
        ("threshold = 3", "`threshold`"),
    ],
)
def test_data_that_are_not_as_expected(folder, capsys, line, words):
    path = folder / "test.toml"
    path.write_text(DATA + line + "\n" + MODELS)
    assert words in error_of(capsys, "experiment", path, "--output", folder / "out")


def test_lines_are_counted_with_and_without_an_end(folder, no_figures):
    data = DATA.replace('source = "arrays"', 'source = "ratings"').replace("few.npz", "few.csv")
    rows, columns = far.datasets.synthetic(60, 30, 600).nonzero()
    lines = [f"{u},{i}" for u, i in zip(rows.tolist(), columns.tolist(), strict=True)]
    for end in ("", "\n"):
        (folder / "few.csv").write_text("\n".join(lines) + end)
        run(folder, data + 'files = [{ path = "few.csv", lines = 600 }]\n' + MODELS, "--only", "POP")


def test_a_split_that_was_made_before(folder, no_figures):
    from scipy import sparse

    parts = far.split(far.datasets.synthetic(80, 40, 1200), by="random")
    for name, part in zip(("a", "b", "c"), parts, strict=True):
        sparse.save_npz(folder / f"{name}.npz", part)
    text = '[[datasets]]\nname = "Few books"\nsource = "parts"\npath = "."\n'
    text += 'parts = { train = "a.npz", validation = "b.npz", test = "c.npz" }\n'
    (dataset,) = parse(text + MODELS, "x").datasets
    loaded = load(dataset, folder)
    for mine, given in zip((loaded.train, loaded.validation, loaded.test), parts, strict=True):
        assert (mine != given).nnz == 0


DAMAGES = {
    "cut": lambda content: content[: len(content) // 2],
    "changed": lambda content: content[:200] + b"\xff" * 20 + content[220:],
    "empty": lambda content: b"",
    "a text": lambda content: b"user,item\n1,2\n",
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("source", ["arrays", "parts"])
def test_files_of_arrays_that_are_damaged(folder, capsys, damage, source):
    from scipy import sparse

    text = DATA
    if source == "parts":
        for name, part in zip("abc", far.split(far.datasets.synthetic(80, 40, 1200), by="random"), strict=True):
            sparse.save_npz(folder / f"{name}.npz", part, compressed=False)
        text = text.replace('source = "arrays"\npath = "few.npz"', 'source = "parts"\npath = "."')
        text = text.replace('by = "random"', "")
        text += 'parts = { train = "a.npz", validation = "b.npz", test = "c.npz" }\n'
    path = folder / ("few.npz" if source == "arrays" else "b.npz")
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    (folder / "test.toml").write_text(text + MODELS)
    message = error_of(capsys, "experiment", folder / "test.toml", "--output", folder / "out")
    assert f"Few books: {path.name} cannot be read as a file of arrays" in message.replace(f"{folder}/", "")


def test_a_file_of_other_arrays(folder, capsys):
    np.savez(folder / "few.npz", users=[1, 2], items=[1, 2])
    (folder / "test.toml").write_text(DATA + MODELS)
    message = error_of(capsys, "experiment", folder / "test.toml", "--output", folder / "out")
    assert "it holds users, items, but no arrays `user` and `item`" in message


# --- options ---------------------------------------------------------------------------------------------------------


def test_only_names_models_of_the_experiment(folder, capsys):
    path = folder / "test.toml"
    path.write_text(DATA + MODELS)
    assert "no model 'PoP'; did you mean `POP`?" in error_of(capsys, "experiment", path, "--only", "PoP")
    assert "`--users` must be >= 1" in error_of(capsys, "experiment", path, "--users", "0")


def test_the_folder_is_named_after_the_experiment(folder, no_figures):
    (folder / "mine.toml").write_text(DATA + MODELS)
    assert main(["experiment", "mine.toml", "--only", "POP"]) == 0
    assert (folder / "experiments" / "mine" / "report.html").is_file()
