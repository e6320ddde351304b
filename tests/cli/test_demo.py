import importlib.util

import numpy as np
import pytest

import fastautorec as far
from fastautorec.cli import _demo as demo
from fastautorec.cli import main


@pytest.fixture(scope="module")
def few_packages():
    """A tenth of the embedded data, with the rows that the demo names."""
    data = far.datasets.load_example()
    rows = np.union1d(np.arange(0, data.shape[0], 10), data.user_index(demo.PACKAGES))
    return far.Interactions(data.user_items[rows], user_ids=data.user_ids[rows], item_ids=data.item_ids)


def small_models():
    return {
        "NCE-AutoRec": far.NCEAutoRecCV(factors=(20, 40), dropout=0.7),
        "NCE-AutoRec, defaults": far.NCEAutoRec(factors=20),
        "NCE-PLRec, tuned": far.NCEPLRec(factors=20),
        "Popularity": far.Popularity(),
    }


def test_demo_compares_recommends_and_draws(few_packages, tmp_path, capsys):
    progress = []
    demo.run(tmp_path / "new folder", say=progress.append, data=few_packages, models=small_models())
    out = capsys.readouterr().out
    lines = out.splitlines()
    header = next(line for line in lines if line.startswith("model"))
    assert header.split() == ["model", "NDCG@50", "R-Precision", "Recall@10", "fit", "popularity@10", "coverage@10"]
    table = lines[lines.index(header) : lines.index(header) + 5]
    assert len({len(line) for line in table}) == 1
    assert "NCE-AutoRec minus NC" in out
    for name in (*demo.PACKAGES, *demo.NAMES, "a new package of yours"):
        assert name in out
    assert max(map(len, lines[:-1])) < 125  # the last one holds a path
    assert any("fitted in" in line for line in progress)
    if importlib.util.find_spec("matplotlib"):
        assert (tmp_path / "new folder" / demo.PICTURE).stat().st_size > 10_000


def test_figures_are_those_of_evaluate(few_packages, tmp_path, capsys):
    demo.run(tmp_path, say=lambda _: None, data=few_packages, models={"one": far.NCEAutoRec(factors=20)})
    train, test = far.split(few_packages, (0.7, 0.3), by="random", random_state=0)
    report = far.evaluate(far.NCEAutoRec(factors=20).fit(train), train, test, k=demo.CUTOFFS)
    out = capsys.readouterr().out
    for name in ("NDCG", "R-Precision", "Recall@10"):
        assert f"{report[name].mean:.4f} ±{report[name].half_width:.4f}" in out


def test_suggestions_are_neither_known_nor_the_package_itself(few_packages, capsys):
    train, test = far.split(few_packages, (0.7, 0.3), by="random", random_state=0)
    demo._print_recommendations(far.NCEAutoRec(factors=20).fit(train), train, test)
    text = capsys.readouterr().out
    for block in text.split("\n\n")[1:]:
        name = block.split()[0]
        suggested = block.partition("suggests")[2].replace("\n", " ").split(",")
        suggested = {word.strip().rstrip("*") for word in suggested}
        known = set(train.item_ids[train.user_items[train.user_index(name)].indices])
        assert len(suggested) == demo.LENGTH
        assert not suggested & (known | {name})


def test_demo_on_data_without_the_named_rows(tmp_path, capsys):
    data = far.Interactions(far.datasets.synthetic(200, 60, 3000))
    demo.run(tmp_path, say=lambda _: None, data=data, models={"NCE-AutoRec": far.NCEAutoRec(factors=8)})
    assert "Packages that go with" not in capsys.readouterr().out


def test_demo_without_matplotlib_tells_how_to_get_it(tmp_path, monkeypatch, capsys):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        demo.importlib.util, "find_spec", lambda name: None if name == "matplotlib" else find_spec(name)
    )
    data = far.Interactions(far.datasets.synthetic(200, 60, 3000))
    demo.run(tmp_path, say=lambda _: None, data=data, models={"Popularity": far.Popularity()})
    assert "pip install 'fastautorec[plot]'" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_the_command_passes_the_folder_on(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(demo, "run", lambda output, **_: calls.append(output))
    assert main(["demo", "--output", str(tmp_path)]) == 0
    assert calls == [tmp_path]


def test_contestants_are_the_models_that_the_text_names():
    assert [name for name in demo.contestants() if "tuned" in name] == ["EASE, tuned"]
    assert repr(demo.contestants()["NCE-AutoRec"]) == "NCEAutoRecCV()"
