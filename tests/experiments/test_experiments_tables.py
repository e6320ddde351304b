"""Tables of results made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from fastautorec.evaluation import evaluate_ranking
from fastautorec.experiments import _html as html
from fastautorec.experiments import _tables as tables
from fastautorec.experiments._config import Dataset, Entry, Published
from fastautorec.experiments._runner import Outcome, Row
from fastautorec.experiments._store import Stored
from fastautorec.experiments._tables import Cell, Table

N_USERS, N_ITEMS = 200, 40


def row(name, hits, train, test, group="", seconds=1.0, published=""):
    """A model whose lists begin with the one test item for the first ``hits`` users, and miss it for the others."""
    lists = np.tile(np.array([1, 2], np.int64), (N_USERS, 1))
    lists[:hits, 0] = 0
    report = evaluate_ranking(lists, train, test, k=(1, 2))
    metrics = np.stack([report[metric].per_user for metric in report], axis=1)
    values = {
        "names": list(report), "model": f"{name}()", "notes": [], "validation_metric": None, "history": [],
        "choose_seconds": 0.0, "fit_seconds": seconds, "evaluate_seconds": 0.0,
    }  # fmt: skip
    return Row(Entry(name, name, group=group, published=published), {0: Stored(values, {"metrics": metrics})}, report)


@pytest.fixture
def outcome():
    """Item 0 is everybody's test item; the models find it for 150, 149 and 20 users."""
    train = sparse.csr_matrix((np.ones(N_USERS), (np.arange(N_USERS), np.full(N_USERS, 3))), (N_USERS, N_ITEMS))
    test = sparse.csr_matrix((np.ones(N_USERS), (np.arange(N_USERS), np.zeros(N_USERS, int))), (N_USERS, N_ITEMS))
    rows = (
        row("Bad", 20, train, test, "Old ones", seconds=3.0),
        row("Good & cheap", 149, train, test, "New ones"),
        row("Best", 150, train, test, "New ones", published="Winner"),
    )
    return Outcome(Dataset("Few", "example"), None, rows)


def test_best_second_and_marks(outcome):
    table = tables.accuracy(outcome, ("NDCG", "Recall@1"))
    cells = {line[0]: line[1:] for line in table.body}
    assert [cell.rank for cell in cells["Best"]] == [1, 1]
    assert [cell.rank for cell in cells["Good & cheap"]] == [2, 2]
    assert [cell.rank for cell in cells["Bad"]] == [0, 0]
    assert cells["Best"][1].mean == 0.75
    # one user more of 200 is chance, 130 are not
    assert [cells[name][0].mark for name in ("Best", "Good & cheap", "Bad")] == ["", tables.TIED, ""]
    assert "4 in this table" in table.note


def test_the_best_is_marked_where_it_is_clear(outcome):
    two = Outcome(outcome.dataset, None, (outcome.rows[0], outcome.rows[2]))
    table = tables.accuracy(two, ("NDCG",))
    assert [line[1].mark for line in table.body] == ["", tables.BEST]


def test_one_model_alone_has_no_marks(outcome):
    table = tables.accuracy(Outcome(outcome.dataset, None, outcome.rows[:1]), ("NDCG",))
    assert table.body[0][1].mark == ""
    assert "tests" not in table.note


def test_markdown(outcome):
    lines = tables.markdown(tables.accuracy(outcome, ("Recall@1",))).splitlines()
    assert lines[:2] == ["| model | Recall@1 |", "| --- | --: |"]
    assert lines[2] == "| *Old ones* |  |"
    assert lines[3].startswith("| Bad | 0.1000 ± 0.0417 |")
    assert lines[4] == "| *New ones* |  |"
    assert lines[5].startswith("| Good & cheap | <u>0.7450</u> ± 0.06")
    assert lines[6].startswith("| Best | **0.7500** ± 0.06")


def test_latex(outcome):
    text = tables.latex(tables.accuracy(outcome, ("Recall@1",)), "100 % of it")
    assert "\\toprule" in text
    assert "\\caption{100 \\% of it}" in text
    assert "Good \\& cheap & \\underline{0.7450}$\\pm$0.06" in text
    assert "$^{\\circ}$ \\\\" in text
    assert "Best & \\textbf{0.7500}$\\pm$0.06" in text
    assert "\\multicolumn{2}{l}{\\textit{New ones}}" in text
    assert text.count("{") == text.count("}")


def test_published_figures_beside_ours(outcome):
    figures = Published("Few", "a paper", {"Winner": {"Recall@1": (0.6, 0.05)}, "Absent": {"Recall@1": (0.2, 0.01)}})
    table = tables.published(outcome, figures)
    assert [line[0] for line in table.body] == ["published", "ours: Best", "difference", "published"]
    assert table.groups == ("Winner", "Winner", "Winner", "Absent")
    assert table.body[2][1] == f"+0.1500{tables.BEST}"
    near = Published("Few", "a paper", {"Winner": {"Recall@1": (0.75001, 0.05)}})
    assert tables.published(outcome, near).body[2][1] == "+0.0000"


def test_times_and_shares(outcome):
    table = tables.times(outcome)
    assert [line[-1] for line in table.body] == ["60.0 %", "20.0 %", "20.0 %"]
    assert "Old ones 60.0 %; New ones 40.0 %" in table.note


def test_html_escapes_what_it_is_given():
    text = html.table(Table(("<a>",), (("<script>",), (Cell(0.5, 0.1, 1, "*"),)), ("<g>", "<g>"), "<n>"))
    assert "<script>" not in text
    assert text.count("&lt;g&gt;") == 1
    assert '<b>0.5000</b> <span class="half">± 0.1000</span><span class="mark">*</span>' in text
    page = html.page("<t>", "<lead>", [html.Section("<s>", html.failure("<f>", "<e>", "<trace>"))])
    assert not {"<t>", "<lead>", "<s>", "<f>", "<e>", "<trace>"} & set(page.split())
    assert page.count("&lt;trace&gt;") == 1
