"""Reading experiment files: what is refused, and in which words."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace

import pytest

import fastautorec as far
from fastautorec.experiments._config import OF_ROWS, paper_metrics
from fastautorec.experiments._reading import parse, read_experiment, shipped
from fastautorec.experiments._sources import load
from fastautorec.experiments._zoo import class_names

DATASET = '[[datasets]]\nname = "few"\nsource = "example"\nby = "random"\n'
MODEL = '[[models]]\nname = "POP"\nclass = "Popularity"\n'
PUBLISHED = "[[published]]\ndataset = 'few'\nsource = 'x'\nmetrics = ['NDCG']\n[published.rows]\n"


def read(text):
    return parse(text, default_name="test")


def error_of(text):
    with pytest.raises(ValueError, match=r".") as caught:
        read(text)
    return str(caught.value)


def test_what_is_left_out_has_a_default():
    experiment = read(DATASET + MODEL)
    assert (experiment.name, experiment.title, experiment.definition) == ("test", "test", "standard")
    assert experiment.lengths(50) == (5, 10, 20, 50)
    assert experiment.columns((5, 10)) == paper_metrics((5, 10))
    (entry,) = experiment.models
    assert (entry.seeds, entry.fit, entry.group) == ((0, 1, 2), "all", "")


def test_the_embedded_data_need_no_file(tmp_path):
    (dataset,) = read(DATASET + MODEL).datasets
    parts, data = load(dataset, tmp_path), far.datasets.load_example()
    assert (parts.train + parts.validation + parts.test != data.user_items).nnz == 0
    assert parts.user_ids.tolist() == data.user_ids.tolist()


def test_seeds_of_the_file_and_of_a_model():
    experiment = read(f"seeds = [7, 8]\n{DATASET}{MODEL}" + MODEL.replace("POP", "two") + "seeds = [3]\n")
    assert [entry.seeds for entry in experiment.models] == [(7, 8), (3,)]


def test_models_of_one_data_set_only():
    other = DATASET.replace("few", "other")
    experiment = read(DATASET + other + MODEL + 'datasets = ["few"]\n' + MODEL + 'datasets = ["other"]\n')
    assert [len(experiment.entries(name)) for name in ("few", "other")] == [1, 1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("seedz = [1]\n" + DATASET + MODEL, "the file has no key `seedz`; did you mean `seeds`?"),
        (DATASET + "treshold = 4\n" + MODEL, "[[datasets]] 'few' has no key `treshold`; did you mean `threshold`?"),
        (DATASET + MODEL + "parms = {}\n", "[[models]] 'POP' has no key `parms`; did you mean `params`?"),
        (DATASET + MODEL + "colour = 1\n", "there are `name`, `class`, `params`"),
        (DATASET + MODEL.replace('"Popularity"', '"PureSvd"'), "no model class 'PureSvd'; did you mean `PureSVD`?"),
        (
            DATASET + MODEL.replace('"Popularity"', '"PureSVD"') + "params = { factor = 3 }\n",
            "PureSVD has no parameter `factor`; did you mean `factors`?",
        ),
        (
            DATASET + MODEL.replace('"Popularity"', '"PureSVD"') + "params = { factors = 0 }\n",
            "[[models]] 'POP': `factors` must be >= 1, got 0",
        ),
        (
            DATASET + MODEL.replace('"Popularity"', '"PureSVD"') + "params = { random_state = 1 }\n",
            "`params` must not hold `random_state`",
        ),
        (DATASET + MODEL + "sweep = { beta = [1, 2] }\n", "Popularity has no parameter `beta`"),
        (DATASET + MODEL + "sweep = { beta = [1] }\n", "`beta` of `sweep` of [[models]] 'POP' must be a list of 2"),
        (DATASET + MODEL + "tune = { trials = 3 }\n", "must have fit = 'refit' or 'stop'"),
        (DATASET + MODEL + "fit = 'stop'\ntune = { trial = 3 }\n", "did you mean `trials`?"),
        (
            DATASET + MODEL + "fit = 'stop'\ntune = { space = { beta = { low = 1 } } }\n",
            "a range must have the key `high`",
        ),
        (DATASET + MODEL + "paper = true\n", "Popularity has no configuration of the paper"),
        (DATASET + MODEL + 'fit = "refitt"\n', "did you mean `refit`?"),
        (DATASET + MODEL + 'datasets = ["few "]\n', "names no data set 'few '; did you mean `few`?"),
        (DATASET + MODEL + MODEL, "two [[models]] are called 'POP' on few"),
        (DATASET + DATASET + MODEL, "two [[datasets]] have the same name"),
        (DATASET, "the file must have the key `models`"),
        (DATASET + '[[models]]\nname = "x"\n', "[[models]] 'x' must have the key `class`"),
        (DATASET.replace("example", "ratings") + MODEL, "must have the key `path`"),
        (DATASET + MODEL + "seeds = [1, 1]\n", "must not name anything twice"),
        (DATASET + "ratios = [0.4, 0.3, 0.2, 0.1]\n" + MODEL, "must be three numbers"),
        (DATASET + "sample_users = 0\n" + MODEL, "`sample_users` of [[datasets]] 'few' must be an integer >= 1, got 0"),
        ("seeds = []\n" + DATASET + MODEL, "`seeds` of the file must be a list of 1 or more, got []"),
        ("[evaluation]\nk = [5]\nmetrics = ['NDCG@10']\n" + DATASET + MODEL, "'NDCG@10' is not measured"),
        ("[evaluation]\ndefinition = 'papers'\n" + DATASET + MODEL, "did you mean `paper`?"),
        ("[figures]\nmodels = ['PoP']\n" + DATASET + MODEL, "[figures] names no model 'PoP'; did you mean `POP`?"),
        (
            DATASET
            + MODEL
            + "[[published]]\ndataset='few'\nsource='x'\nmetrics=['NDCG']\n[published.rows]\nPOP=[0.1]\n",
            "a published figure must be [mean, half-width], got 0.1",
        ),
        (
            DATASET + MODEL + PUBLISHED + "POP=[]\n",
            "must have 1 figures for POP",
        ),
        ("seeds = [", "not a TOML file"),
        ('extends = "ml1"', "`extends` of the file must be one of 'example', 'goodbooks-sample', "),
        ('extends = "ml1"', "got 'ml1'; did you mean `ml1m`?"),
        ('extends = "ml1m"\nwithout = ["ease"]', "`without` of the file names no model 'ease'; did you mean `EASE`?"),
        ('without = ["POP"]\n' + DATASET + MODEL, "the file must not have the key `without`"),
        ('extends = "ml1m"\n[[models]]\nname = "POP"\n', "[[models]] 'POP' must have the key `class`"),
        (
            'extends = "ml1m"\n[[models]]\nname = ["EASE"]\nclass = "EASE"\n',
            "`name` of [[models]] number 23 must be a text",
        ),
        ('extends = "ml1m"\n' + 2 * MODEL.replace("POP", "Popularity"), "two [[models]] are called 'Popularity'"),
        ('extends = "ml1m"\nmodels = 3', "`models` of the file must be a list"),
        ('extends = "ml1m"\nwithout = ["EASE"]\n', "[figures] names no model 'EASE'"),
    ],
)
def test_what_is_wrong_is_said(text, words):
    assert words in error_of(text)


def test_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no experiment file .*nothing\.toml; shipped are example"):
        read_experiment(str(tmp_path / "nothing.toml"))


def test_errors_name_the_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("seedz = 1\n")
    with pytest.raises(ValueError, match=r"mine\.toml: the file has no key `seedz`"):
        read_experiment(str(path))


def test_spaces_of_a_search():
    space = "{ factors = [1, 2], beta = { low = 0.5, high = 1.5 }, rate = { low = 1, high = 2, log = true } }"
    (entry,) = read(DATASET + MODEL + f"fit = 'refit'\ntune = {{ space = {space} }}\n").models
    assert entry.tune.trials == 30
    assert entry.tune.space == {"factors": [1, 2], "beta": (0.5, 1.5), "rate": (1, 2, "log")}


def test_a_file_that_extends_another_says_what_is_different():
    changes = """
        extends = "ml1m"
        without = ["PureSVD"]
        seeds = [7]
        [[models]]
        name = "EASE"
        params = { regularization = 3.0 }
        [[models]]
        name = "POP"
        class = "Popularity"
    """
    before, after = read_experiment("ml1m"), read(changes)
    old, new = ({entry.name: entry for entry in experiment.models} for experiment in (before, after))
    assert list(new) == [*(name for name in old if name != "PureSVD"), "POP"]
    assert new["EASE"] == replace(old["EASE"], params={"regularization": 3.0}, seeds=(7,))
    assert new["BPR"] == replace(old["BPR"], seeds=(7,))
    assert (after.name, after.title, after.datasets) == ("test", before.title, before.datasets)
    assert (after.published, after.drawn, after.k) == (before.published, before.drawn, before.k)


def test_the_text_of_an_experiment_holds_what_it_extends_and_can_be_run_again():
    text = read_experiment("paper-netflix").text
    assert 'extends = "paper-ml20m"\n' in text
    assert '\n# extends = "ml1m"\n' in text
    assert "\n# # learning_rate = 3e-05\n" in text
    assert replace(parse(text, "paper-netflix"), text="") == replace(read_experiment("paper-netflix"), text="")


# --- the shipped ones ------------------------------------------------------------------------------------------------


def test_all_are_shipped():
    paper = {"paper-goodbooks", "paper-ml20m", "paper-netflix", "paper-yahoo"}
    assert set(shipped()) == paper | {"example", "goodbooks-sample", "ml1m"}


@pytest.mark.parametrize("name", sorted(shipped()))
def test_shipped_experiments_are_valid(name):
    experiment = read_experiment(name)
    assert experiment.name == name
    for published in experiment.published:
        models = {entry.published or entry.name for entry in experiment.entries(published.dataset)}
        assert published.rows.keys() <= models


# Finished runs are found by what their files say, so another way to write one must say the same.
@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("example", "83129082feb3f253"),
        ("goodbooks-sample", "fbf000fb9ab637ce"),
        ("ml1m", "cbf9c7872ca7a0cf"),
        ("paper-goodbooks", "765c59321dd3e437"),
        ("paper-ml20m", "df53f1790d752123"),
        ("paper-netflix", "c7f3de4046e5708e"),
        ("paper-yahoo", "67c6652a3827306f"),
    ],
)
def test_shipped_experiments_say_what_they_always_did(name, digest):
    said = asdict(replace(read_experiment(name), text=""))
    assert {dataset.pop(word) for dataset in said["datasets"] for word in OF_ROWS} == {None}  # that came later
    assert hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16] == digest


@pytest.mark.parametrize("name", sorted(set(shipped()) - {"example"}))
def test_shipped_experiments_have_all_systems_of_the_paper(name):
    classes = {entry.cls for entry in read_experiment(name).models}
    later = {"DLAE", "DLAECV", "ItemKNN", "NCEAutoRecCV", "RP3beta"}  # of which the paper does not know
    assert set(class_names()) - classes - later <= ({"EASE"} if name == "paper-yahoo" else set())


@pytest.mark.parametrize("name", [name for name in shipped() if name.startswith("paper-")])
def test_experiments_of_the_paper_know_their_files(name):
    (dataset,) = read_experiment(name).datasets
    assert dataset.get
    assert dataset.files
    assert all(file.lines for file in dataset.files)
    assert dataset.interactions
