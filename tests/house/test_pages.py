"""The code of the pages runs as it stands and says what the pages say; links lead somewhere; the API is complete."""

from __future__ import annotations

import ast
import importlib
import re
import runpy
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import fastautorec as far
from fastautorec import cli
from fastautorec.cli import _main as cli_parser

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
OUTSIDE = ("README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
PAGES = sorted([*DOCS.rglob("*.md"), *(ROOT / name for name in OUTSIDE)])
pytestmark = pytest.mark.skipif(not DOCS.exists(), reason="the documentation is not beside the tests")
# What has a test of its own, here or elsewhere, takes minutes, or needs a cluster.
OWN_TESTS = {"coming_from.md", "metrics.md", "quickstart.md", "updating.md", "your_data.md", "export.md", "serving.md"}
NOT_RUN = {"path.md", "select.md", "distributed.md"}
NEEDS = {
    "coming_from.md": ("pandas",),
    "quickstart.md": ("pandas",),
    "tuning.md": ("optuna", "sklearn"),
    "your_data.md": ("pandas", "implicit"),
}


def code(page: Path, before: str | None = None) -> list[str]:
    """Return the blocks of a page, or those before a heading."""
    text = page.read_text("utf-8")
    return re.findall(r"```python\n(.*?)```", text if before is None else text.split(before)[0], flags=re.DOTALL)


def run(name: str, before: str | None = None) -> dict[str, Any]:
    for package in NEEDS.get(name, ()):
        pytest.importorskip(package)
    names: dict[str, Any] = {}
    for block in code(DOCS / name, before):
        exec(compile(block, name, "exec"), names)
    return names


def shown(name: str, begins: str) -> str:
    (output,) = re.findall(rf"```\n({begins}.*?)```", (DOCS / name).read_text("utf-8"), flags=re.DOTALL)
    return str(output)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


OTHERS = [page.name for page in DOCS.glob("*.md") if page.name not in OWN_TESTS | NOT_RUN and code(page)]


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_code_runs(name: str) -> None:
    run(name)


def test_quickstart(capsys: pytest.CaptureFixture[str]) -> None:
    names = run("quickstart.md")
    printed = capsys.readouterr().out
    assert shown("quickstart.md", "user +item +rank") in printed
    assert "NCE-AutoRec is better than Popularity: NDCG +" in printed
    assert "predicted peak" in printed
    assert (names["same"].decoder_ == names["model"].decoder_).all()


def test_your_data(capsys: pytest.CaptureFixture[str]) -> None:
    names = run("your_data.md")
    assert shown("your_data.md", r"sold\.csv: ") in capsys.readouterr().err
    assert (names["music"].nnz, names["films"].nnz, names["songs"].nnz) == (1, 2, 2)
    assert names["known"].shape == names["hidden"].shape == (3, 4)
    assert names["wrmf"].item_factors_.shape[1] == 16
    Path("cart.csv").write_text("cart,ware\nA7,tea\nA9,salt\n")
    with pytest.raises(far.RatingsFileError) as refused:
        far.read_ratings("cart.csv")
    assert str(refused.value).split() == shown("your_data.md", r"cart\.csv, line 1").split()


def test_coming_from() -> None:
    names = run("coming_from.md")
    assert names["ids"].shape == (1, 2)
    assert names["report"]["NDCG@10"].per_user.size == names["report"].n_users
    assert len(names["folds"]) == 1
    assert list(names["table"]["user"]) == ["ann", "ann"]


def test_metrics(capsys: pytest.CaptureFixture[str]) -> None:
    run("metrics.md")
    printed = capsys.readouterr().out
    assert printed
    assert f"```\n{printed}```" in (DOCS / "metrics.md").read_text("utf-8")


def test_updating() -> None:
    names = run("updating.md")
    assert names["model"].updatable
    assert names["search"].n_users_ == names["model"].n_users_


def test_users_who_have_bought_more_are_as_in_a_new_fit() -> None:
    names = run("updating.md", before="## New products")
    model = names["model"]
    everything = far.Interactions.from_dataframe(
        {
            "user": ["ann"] * 3 + ["bob"] * 2 + ["cleo"] * 3 + ["dora"] * 2 + ["eve"] * 2,
            "item": ["tent", "stove", "lamp", "tent", "lamp", "stove", "lamp", "tent", "lamp", "tent", "stove", "lamp"],
        },
        verbose=False,
    )
    counts = far.Popularity().fit(everything.with_items(model.item_ids_)).item_counts_
    assert model.n_users_ == 5
    assert (model.item_counts_ == counts).all()


OF_PACKAGE = {"sklearn": "scikit-learn", "pydantic": "fastapi"}  # where a page names another word


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_begins_with_what_its_code_needs(page: Path) -> None:
    nodes = [node for block in code(page) for node in ast.walk(ast.parse(block))]
    modules = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    modules |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    brought = {"fastautorec", "numpy", "scipy", *sys.stdlib_module_names}
    told = re.split(r"^##|^```", page.read_text("utf-8"), maxsplit=1, flags=re.MULTILINE)[0].lower()
    for module in {name.partition(".")[0] for name in modules} - brought:
        assert "pip install" in told, module
        assert OF_PACKAGE.get(module, module) in told


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_names_exist_and_links_lead_somewhere(page: Path) -> None:
    text = page.read_text("utf-8")
    for block in code(page):
        ast.parse(block)
    for name in re.findall(r"\bfar\.((?:\w+\.)*\w+)", text):
        value: Any = far
        for part in name.split("."):
            value = getattr(value, part)
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)):
        if re.match(r"https?:", target):
            continue
        path, _, anchor = target.partition("#")
        other = (page.parent / path) if path else page
        assert other.exists(), target
        headings = re.findall(r"^#+ (.*)$", other.read_text("utf-8"), flags=re.MULTILINE) if anchor else []
        anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert not anchor or anchor in anchors, target


def test_commands_of_the_page_run(capsys: pytest.CaptureFixture[str]) -> None:
    ratings = far.datasets.synthetic(60, 30, 900, random_state=3).tocoo()
    rows = [f"u{row},i{column},{3 + row * column % 3}" for row, column in zip(ratings.row, ratings.col, strict=True)]
    Path("ratings.csv").write_text("\n".join(["user,item,rating", *rows]) + "\n")
    table = (DOCS / "command_line.md").read_text("utf-8")
    commands = [line.split() for line in re.findall(r"^\| `fastautorec ([^`]*)`", table, flags=re.MULTILINE)]
    on_ratings = [words for words in commands if "ratings.csv" in words or "model.npz" in words]
    run_here = [words for words in on_ratings if words[0] not in ("select", "tune")]  # which take long
    assert {words[0] for words in run_here} == {"inspect", "fit", "recommend", "similar", "explain", "evaluate"}
    for words in run_here:
        assert cli.main(words) == 0, (words, capsys.readouterr().err)
        assert capsys.readouterr().out
    for words in commands:
        assert cli_parser._parse(words).command


def test_metrics_are_no_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    core = pytest.importorskip("docutils.core")
    converter = ModuleType("latex2mathml.converter")
    monkeypatch.setattr(converter, "convert", None, raising=False)
    monkeypatch.setitem(sys.modules, "latex2mathml", ModuleType("latex2mathml"))
    monkeypatch.setitem(sys.modules, "latex2mathml.converter", converter)
    text = "The metric Recall@20, as (NDCG@10). Write to ann@example.org.\n"
    document = core.publish_doctree(text, settings_overrides={"report_level": 5})
    assert document.pformat().count("mailto:") == 3
    runpy.run_path(str(DOCS / "conf.py"))["unlink_metrics"](None, document)
    assert document.pformat().count("mailto:") == 1
    assert document.astext() == text.strip()


def test_the_api_has_every_public_name() -> None:
    told = set(re.findall(r"^   ([\w.]+)$", (DOCS / "api.md").read_text("utf-8"), flags=re.MULTILINE))
    rooms = [
        "baselines",
        "datasets",
        "distributed",
        "evaluation",
        "model_selection",
        "ops",
        "plots",
        "rerank",
        "tuning",
    ]
    wanted: dict[int, str] = {}
    for room in [*rooms, ""]:  # a name of the package itself comes last and counts
        module = importlib.import_module(f"fastautorec.{room}".rstrip("."))
        for name in module.__all__:
            value = getattr(module, name)
            if not isinstance(value, (ModuleType, str)):
                wanted[id(value)] = f"{room}.{name}".lstrip(".")
    assert told == {*wanted.values(), "reference.pure"}, "docs/api.md names what is public, and nothing else"
