"""Names in experiments: like ones, empty ones, paths and markup; and words for reading, few items, short histories."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
from few_books import MODELS, error_of, run

import fastautorec as far
from fastautorec.cli import main
from fastautorec.experiments import _sources as sources
from fastautorec.experiments._names import folder_of, stems
from fastautorec.experiments._reading import parse
from fastautorec.experiments._tables import escape_markdown

POP = '[[models]]\nname = "Pop"\nclass = "Popularity"\n'
TOP = "seeds = [0]\nevaluation = { k = [5, 10] }\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with clicks.csv: 40 items, ratings 1 to 5."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FASTAUTOREC_DATA", raising=False)
    matrix = far.datasets.synthetic(80, 40, 1600, random_state=4).tocoo()
    rows = zip(matrix.row.tolist(), matrix.col.tolist(), strict=True)
    lines = [f"{u},{i},{1 + (u * 7 + i * 3) % 5}" for u, i in rows]
    (tmp_path / "clicks.csv").write_text("user,item,rating\n" + "\n".join(lines) + "\n")
    return tmp_path


def dataset(name: str, threshold: int | None = None, more: str = "") -> str:
    rule = "" if threshold is None else f"threshold = {threshold}\n"
    source = "source = 'ratings'\npath = 'clicks.csv'\nby = 'random'\n"
    return f"[[datasets]]\nname = '''{name}'''\n{source}{rule}{more}"


def ndcg_of(table: str) -> float:
    head, _, row = (re.split(r"(?<!\\)\|", line) for line in table.splitlines()[:3])
    return float(re.findall(r"0\.\d+", row[[cell.strip() for cell in head].index("NDCG")])[0])


# --- one file for one name -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [("Clicks 4+", "Clicks 4"), ("日本", "中国"), ("clicks", "Clicks!"), ("clicks", "clicks settings"), ("a/b", "a b")],
)
def test_data_sets_with_like_names_have_tables_of_their_own(
    names: tuple[str, str], folder: Path, no_figures: None
) -> None:
    output = run(folder, TOP + dataset(names[0], 4) + dataset(names[1], 2) + POP)
    with (output / "summary.csv").open(encoding="utf-8") as file:
        summary = {row["dataset"]: float(row["mean"]) for row in csv.DictReader(file) if row["metric"] == "NDCG"}
    stem = stems(names)
    assert len(set(summary.values())) == 2
    for name in names:
        table = (output / "tables" / f"{stem[name]}.md").read_text("utf-8")
        assert ndcg_of(table) == pytest.approx(summary[name], abs=5e-5)
    first, second = kinds_in(output / "tables", stem.values())
    assert first == second >= {".md", ".tex", "-settings.md", "-times.tex"}


def test_figures_too(folder: Path) -> None:
    pytest.importorskip("matplotlib", reason="figures are an extra")
    names = ("日本", "中国")
    output = run(folder, TOP + dataset(names[0], 4) + dataset(names[1], 2) + POP)
    first, second = kinds_in(output / "figures", stems(names).values())
    assert first == second >= {"-f1.svg", "-popularity.png"}


def kinds_in(folder: Path, stem: Collection[str]) -> list[set[str]]:
    """Return for each stem the ends of its files' names; each file has one owner."""
    kinds: dict[str, set[str]] = {one: set() for one in stem}
    for path in folder.iterdir():
        owner = next(one for one in sorted(stem, key=len, reverse=True) if re.match(f"{one}[-.]", path.name))
        kinds[owner].add(path.name.removeprefix(owner))
    return list(kinds.values())


@pytest.mark.parametrize(
    "name", ["../../x", "/tmp/x", "..", ".", "a/../../b", "a\\b", "C:x", "~", "x\x01", "a" * 300, " "]
)
def test_no_name_is_a_path(name: str, tmp_path: Path) -> None:
    for part in (folder_of(name), stems([name])[name]):
        assert Path(part).name == part
        assert part not in ("", ".", "..")
        assert len(part.encode()) < 200
        assert (tmp_path / part).resolve().parent == tmp_path.resolve()


def test_distinct_names_have_distinct_folders() -> None:
    names = ["x", "../x", "../../x", "/x", "x/", "x.", "X y", "x-y", "日本", "中国", "..", "/", ".x"]
    assert len({folder_of(name) for name in names}) == len(names)
    assert [folder_of(name) for name in ("mine", "Goodbooks 10k, v1.2", "日本")] == [
        "mine",
        "Goodbooks 10k, v1.2",
        "日本",
    ]


@pytest.mark.parametrize("name", ["../../x", "..", "/tmp/of an experiment"])
def test_an_experiment_stays_in_its_folder(name: str, folder: Path, no_figures: None) -> None:
    inner = folder / "inner"
    inner.mkdir()
    (inner / "e.toml").write_text(f"name = {name!r}\n{TOP}{dataset(name, 2)}{POP}")
    before = set(folder.rglob("*"))
    assert main(["experiment", str(inner / "e.toml")]) == 0
    new = set(folder.rglob("*")) - before
    home = folder / "experiments" / folder_of(name)
    assert all(path == folder / "experiments" or path == home or home in path.parents for path in new)
    assert (home / "report.html").is_file()
    assert not Path("/tmp/of an experiment").exists()


# --- markup ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("NCE-AutoRec, full_mode", "NCE-AutoRec, full_mode"),
        ("a*b* `c`", r"a\*b\* \`c\`"),
        ("<script>alert(1)</script> &amp;", r"\<script>alert(1)\</script> \&amp;"),
        ("[a](http://b)", r"[a\](http://b)"),
        ("[0.1, 1.0]", "[0.1, 1.0]"),
        ("_a_ b", r"\_a\_ b"),
        ("a\n\n# b", "a # b"),
        ("# b", r"\# b"),
        ("a\\b", r"a\\b"),
    ],
)
def test_markdown_shows_names_as_they_are(text: str, escaped: str) -> None:
    assert escape_markdown(text) == escaped


def test_names_with_markup_do_no_harm(folder: Path, no_figures: None) -> None:
    name = "<img src=x>|*b*"
    text = f"title = '{name}'\n" + TOP + dataset(name) + POP.replace("Pop", name, 1)
    output = run(folder, text)
    report, page = (output / "report.md").read_text("utf-8"), (output / "report.html").read_text("utf-8")
    assert report.startswith(r"# \<img src=x>|\*b\*" + "\n")
    assert not re.search(r"(?<!\\)<img", report)
    assert "<img src=x>" not in page
    rows = [line for line in report.splitlines() if line.startswith(r"| \<img")]
    assert rows
    for row in rows:
        assert row.startswith(r"| \<img src=x>\|\*b\* | ")
    table = next((output / "tables").glob("*-settings.md")).read_text("utf-8").splitlines()
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table[:3]}) == 1


# --- few items, short histories, a threshold -------------------------------------------------------------------------


def test_the_usual_lists_are_as_long_as_the_items_go(folder: Path, no_figures: None) -> None:
    (folder / "tiny.csv").write_text(
        "user,item\n" + "".join(f"{u},{(u * i) % 7}\n" for u in range(30) for i in range(7))
    )
    tiny = dataset("tiny").replace("clicks.csv", "tiny.csv")
    assert main_status(folder, "seeds = [0]\n" + dataset("clicks") + tiny + POP) == 0
    report = (folder / "out" / "report.md").read_text("utf-8")
    assert "lists of 5, 10, 20." in report
    with (folder / "out" / "summary.csv").open(encoding="utf-8") as file:
        names = {(row["dataset"], row["metric"]) for row in csv.DictReader(file)}
    assert {k for name, metric in names if name == "clicks" for k in re.findall(r"Recall@(\d+)", metric)} == {
        "5",
        "10",
        "20",
    }
    assert {k for name, metric in names if name == "tiny" for k in re.findall(r"Recall@(\d+)", metric)} == {"5"}
    heads = [line for line in report.splitlines() if line.startswith("| model | R-Precision")]
    assert ["Recall@20" in head for head in heads] == [True, False]


def main_status(folder: Path, text: str) -> int:
    (folder / "e.toml").write_text(text)
    return main(["experiment", "e.toml", "--output", str(folder / "out")])


@pytest.mark.parametrize(
    ("evaluation", "words"),
    [
        ("k = [5, 50]", "clicks: `k` of [evaluation] asks for lists of 50, but it has 40 items; give shorter ones"),
        (
            "metrics = ['NDCG', 'Recall@50']",
            "clicks: `metrics` of [evaluation] asks for Recall@50, but it has 40 items",
        ),
    ],
)
def test_lists_that_are_asked_for_are_not_cut(
    evaluation: str, words: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "e.toml").write_text(f"[evaluation]\n{evaluation}\n{dataset('clicks')}{POP}")
    assert words in error_of(capsys, "experiment", "e.toml")


def test_a_threshold_and_ratios_that_leave_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for more, words in (
        ("threshold = 9\n", "clicks.csv: `threshold` 9 leaves nothing, for the highest rating is 5; lower it"),
        (
            "ratios = [0.9, 0.09, 0.01]\n",
            "clicks: part 3 of 3 is empty: for the ratios 0.9, 0.09, 0.01 users need 100 or",
        ),
    ):
        (folder / "e.toml").write_text(TOP + dataset("clicks", more=more) + POP)
        assert words in error_of(capsys, "experiment", "e.toml")


def test_whole_numbers_are_weights(folder: Path, no_figures: None) -> None:
    (folder / "short.csv").write_text(
        "user,item\n" + "".join(f"{u},{(u * i) % 11}\n" for u in range(1, 11) for i in (1, 2, 3))
    )
    text = "seeds = [0]\n" + dataset("short", more="ratios = [1, 1, 1]\n").replace("clicks.csv", "short.csv") + POP
    (given,) = parse(text, "x").datasets
    parts = sources.load(given, folder)
    assert parts.train.nnz == parts.validation.nnz == parts.test.nnz == 10
    assert main_status(folder, text) == 0
    assert "33.3 / 33.3 / 33.3 %" in (folder / "out" / "report.html").read_text("utf-8")
    with pytest.raises(ValueError, match=r"with sum 1, got \(0\.5, 0\.2, 0\.2\), or whole numbers such as \[1, 1, 1\]"):
        parse(dataset("x", more="ratios = [0.5, 0.2, 0.2]\n") + POP, "x")


def test_a_validation_part_may_be_empty(folder: Path, no_figures: None) -> None:
    (folder / "short.csv").write_text(
        "user,item\n" + "".join(f"{u},{(u * i) % 11}\n" for u in range(1, 40) for i in (1, 2, 3))
    )
    text = (
        "seeds = [0]\n" + dataset("short", more="ratios = [0.5, 0.1, 0.4]\n").replace("clicks.csv", "short.csv") + POP
    )
    assert main_status(folder, text) == 0


# --- words for reading -----------------------------------------------------------------------------------------------


def test_the_reader_is_asked_in_the_words_of_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}
    data = far.read_ratings(folder / "clicks.csv")

    def read(path: Path, *_: Any, **given: Any) -> far.Interactions:
        asked.update(given)
        return data

    monkeypatch.setattr(sources, "read_ratings", read)
    more = "user = 'client'\nitem = 0\nrating = 'stars'\ntimestamp = 3\nsep = \"\\t\"\nheader = false\n"
    (given,) = parse(dataset("clicks", more=more) + MODELS, "x").datasets
    sources.load(given, folder)
    assert asked == {"user": "client", "item": 0, "rating": "stars", "timestamp": 3, "sep": "\t", "header": False}
    asked.clear()
    (plain,) = parse(dataset("clicks") + MODELS, "x").datasets
    sources.load(plain, folder)
    assert asked == {}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (
            "user = -1\n",
            "`user` of [[datasets]] 'clicks' must be the name of a column or its position, 0 the first, got -1",
        ),
        ("user = true\n", "must be the name of a column or its position, 0 the first, got True"),
        ("item = ''\n", "`item` of [[datasets]] 'clicks' must be a text"),
        ("sep = ''\n", "`sep` of [[datasets]] 'clicks' must be a text"),
        ("header = 'no'\n", "`header` of [[datasets]] 'clicks' must be true or false"),
        ("usr = 'a'\n", "has no key `usr`; did you mean `user`?"),
        (f"seed = {2**63}\n", "`seed` of [[datasets]] 'clicks' must be < 2**63"),
    ],
)
def test_words_that_are_none(more: str, words: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse(dataset("clicks", more=more) + POP, "x")
    assert words in str(caught.value)


def test_words_belong_to_rating_files() -> None:
    text = "[[datasets]]\nname = 'few'\nsource = 'example'\nuser = 'a'\n"
    with pytest.raises(ValueError, match="must not have the key `user`, which tells how to read source = 'ratings'"):
        parse(text + POP, "x")
