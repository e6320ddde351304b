"""Splits in time on the command line: by date, of last items."""

from __future__ import annotations

import numpy as np
import pytest
from few_books import error_of

from fastautorec.cli import main


@pytest.fixture
def dated(tmp_path):
    """Return a file of 30 users who each take one item in a day, the popular ones again and again."""
    rng = np.random.default_rng(0)
    rows = [f"u{u},i{i},2024-01-{day + 1:02}" for u in range(30) for day, i in enumerate(rng.permutation(12)[:8])]
    path = tmp_path / "dated.csv"
    path.write_text("\n".join(["user,item,date", *rows]) + "\n")
    return path


@pytest.mark.parametrize(
    ("words", "fitted", "tested"),
    [
        (["--by", "date", "--at", "2024-01-07"], 180, 60),
        (["--by", "date", "--at", "2024-01-05", "2024-01-08"], 210, 30),
        (["--by", "date", "--at", "1704585600"], 180, 60),
        (["--by", "last"], 210, 30),
    ],
)
def test_splits_by_date_and_of_last_items(words, fitted, tested, dated, capsys):
    assert main(["evaluate", str(dated), "--model", "popularity", *words]) == 0
    assert f"fitted on {fitted} interactions, tested on {tested} ({words[1]} split)" in capsys.readouterr().out
    choice = ["--model", "ease", "--space", "regularization=1,10", "--trials", "1"]
    if "2024-01-05" not in words:
        assert main(["tune", str(dated), *choice, *words]) == 0


def test_a_choice_needs_validation_data(dated, capsys):
    model = ["--model", "nce-plrec", "--set", "factors=4", "regularization=0.1,1"]
    words = ["--by", "date", "--at", "2024-01-07"]
    assert "`--by` date needs 2 points in time, got 1" in error_of(capsys, "evaluate", dated, *model, *words)
    assert "for example --at 2024-02-01" in error_of(capsys, "evaluate", dated, "--model", "popularity", *words[:2])
    assert "`--at` belongs to --by date" in error_of(capsys, "evaluate", dated, "--model", "popularity", *words[2:])
    assert main(["evaluate", str(dated), *model, *words, "2024-01-08"]) == 0
    assert main(["evaluate", str(dated), *model, "--by", "last"]) == 0


def test_what_is_only_in_the_later_part_is_told(dated, capsys):
    dated.write_text(dated.read_text() + "late,i1,2024-01-08\nlate,i2,2024-01-08\n")
    assert main(["evaluate", str(dated), "--model", "popularity", "--by", "date", "--at", "2024-01-08"]) == 0
    assert "note: part 2 has 1 users and 0 items that nothing before it has" in (told := capsys.readouterr().err)
    assert "interactions: kept\n" in told
    assert "unknown=" not in told
