"""What notebooks show: well-formed tables with what `print` says, and nothing of a name is taken for HTML."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from drawn import HISTORIES, REPORTS, make_effect, make_tradeoff

import fastautorec as far
from fastautorec import evaluation

WILD = "<script>alert('&')</script>"


class Page(HTMLParser):
    """Checks that tags are closed in order, and collects tables and paragraphs."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.paragraphs: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        assert tag in ("table", "tr", "th", "td", "p")
        self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag == "p":
            self.paragraphs.append("")
        else:
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1] == "p":
            self.paragraphs[-1] += data
        else:
            self.tables[-1][-1][-1] += data


@pytest.fixture(scope="module")
def data() -> Any:
    names = [WILD, *(f"i{number}" for number in range(1, 40))]
    return far.Interactions(far.datasets.synthetic(60, 40, 800, random_state=1), item_ids=names)


def re_ranked(data: Any) -> Any:
    train, test = far.split(data, (0.7, 0.3), by="random")
    return far.evaluate(far.PureSVD(4).fit(train), train, test, k=10, rerank=far.rerank.MMR(0.2))


def results(data: Any) -> dict[str, Any]:
    wild = {WILD: REPORTS["A"], "B": REPORTS["B"]}
    report = re_ranked(data)
    return {
        "report": REPORTS["A"],
        "re-ranked": report,
        "receipt": report.receipt,
        "comparison": far.compare(*REPORTS.values(), names=(WILD, "B")),
        "users": evaluation.compare_users(*REPORTS.values(), names=(WILD, "B")),
        "popularity": evaluation.popularity_distribution(wild),
        "history": evaluation.by_history_length(wild),
        "items": evaluation.by_item_popularity(wild),
        "effect": make_effect((5, 50)),
        "at k": evaluation.metric_at_k(wild),
        "convergence": evaluation.convergence(HISTORIES),
        "tradeoff": make_tradeoff(),
        "description": data.describe(),
    }


def words(text: str) -> list[str]:
    return re.sub(r"\s+", " ", text).split(" ")


def test_results_show_what_they_print(data: Any) -> None:
    for name, result in results(data).items():
        page = Page(result._repr_html_())
        assert page.tables, name
        for table in page.tables:
            assert len({len(row) for row in table}) == 1, name
        said = words(" ".join([*page.paragraphs, *(cell for table in page.tables for row in table for cell in row)]))
        assert sorted(filter(None, said)) == sorted(filter(None, words(str(result)))), name
        if name in ("comparison", "users", "history", "description"):
            assert WILD in html.unescape(result._repr_html_())


def test_searches_show_their_trials() -> None:
    pytest.importorskip("optuna", reason="tune is made of Optuna")
    parts = far.split(far.datasets.synthetic(100, 40, 1500), (0.8, 0.2), by="random")
    result = far.tune(far.PureSVD, *parts, {"factors": [5, 5000]})
    page = Page(result._repr_html_())
    assert page.tables[0][0] == ["trial", "NDCG", "factors", "epochs", "seconds"]
    assert "failed" in page.paragraphs[-1]


def test_data(data: Any, tmp_path: Any) -> None:
    page = Page(data._repr_html_())
    assert page.tables[0][:3] == [["users", "60"], ["items", "40"], ["interactions", "800 (33.3 % of all pairs)"]]
    timed = far.Interactions(data, timestamps=np.arange(800) + 10**9)
    assert "2001-09-09" in str(Page(timed._repr_html_()).tables)
    timed.to_disk(tmp_path / "folder")
    stored = Page(far.Interactions.open(tmp_path / "folder")._repr_html_())
    assert stored.tables[0][:3] == page.tables[0][:3]
    assert "times" not in [row[0] for row in stored.tables[0]]


def test_models(data: Any) -> None:
    model = far.NCEAutoRec(factors=7, metric=WILD)
    page = Page(model._repr_html_())
    assert page.paragraphs == ["NCEAutoRec, not fitted"]
    assert page.tables[0][:2] == [["parameter", "value", "default"], ["factors", "7", "300"]]
    assert ["metric", repr(WILD), "'NDCG'"] in page.tables[0]
    assert [row[0] for row in page.tables[0][1:]] == list(model.get_params())
    assert Page(far.EASE().fit(data)._repr_html_()).paragraphs == ["EASE, fitted to 60 users and 40 items"]


def test_plans() -> None:
    plan = far.NCEAutoRec().plan((1000, 500, 20_000))
    page = Page(plan._repr_html_())
    assert page.paragraphs == ["NCEAutoRec: 1,000 users × 500 items, 20,000 interactions"]
    parts, tiles, device = page.tables
    assert parts[-4] == ["predicted peak", f"{plan.peak_bytes / 1e6:,.1f}"]
    assert parts[-3] == ["with Python and its libraries", f"{plan.process_bytes / 1e6:,.1f}"]
    later = ["later: unit vectors, for similar items", "later: codes of items, for lists"]
    assert [row[0] for row in parts[-2:]] == later
    assert [row[0] for row in parts[1:-4]] == list(plan.parts)
    assert [row[0] for row in tiles[1:]] == list(plan.tiles)
    assert device[-1][1] == f"{plan.device_bytes / 1e6:,.1f}"
