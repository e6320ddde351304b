"""The code of these pages in docs runs as it stands, and says what the pages say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


def run(name: str, before: str | None = None) -> dict[str, Any]:
    """Return the names after the blocks of a page, or after those before a heading."""
    page = DOCS / name
    if not page.exists():
        pytest.skip("the documentation is not beside the tests")
    names: dict[str, Any] = {}
    text = page.read_text("utf-8")
    for block in re.findall(r"```python\n(.*?)```", text if before is None else text.split(before)[0], flags=re.DOTALL):
        exec(compile(block, str(page), "exec"), names)
    return names


def test_first_steps(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pandas")
    pytest.importorskip("sklearn")
    pytest.importorskip("implicit")
    names = run("first_steps.md")
    assert "NCE-AutoRec is better than Popularity: NDCG +" in capsys.readouterr().out
    assert names["wrmf"].item_factors_.shape[1] == 16
    assert names["search"].best_score_ > 0


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
    far, model = names["far"], names["model"]
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
