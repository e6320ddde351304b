"""The logger "fastautorec": silent unless somebody asks, and what it tells then."""

from __future__ import annotations

import logging
import re
import subprocess
import sys

import pytest

import fastautorec as far

DATA = far.datasets.synthetic(60, 40, 800, random_state=1)


def test_nothing_is_shown_by_default() -> None:
    program = (
        "import logging, fastautorec as far; far.EASE().fit(far.datasets.synthetic(60, 40, 800)); "
        "logging.getLogger('fastautorec').warning('to nobody'); print(logging.getLogger().handlers)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_fit_tells_its_end_and_its_records(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "fastautorec"):
        model = far.AutoRec(factors=4, epochs=2).fit(DATA)
    *records, last = caplog.records
    assert last.levelno == logging.INFO
    end = r"AutoRec\(factors=4, epochs=2\) fitted to 60 users, 40 items, 800 interactions in \d+\.\d{3} s"
    assert re.fullmatch(end, last.getMessage())
    told = [record.getMessage() for record in records if record.levelno == logging.DEBUG]
    assert len(told) == len(model.history_)
    for text, entry in zip(told, model.history_, strict=True):
        assert f"'epoch': {entry['epoch']}" in text


def test_a_failed_fit_tells_no_end(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "fastautorec"), pytest.raises(ValueError, match="factors"):
        far.PureSVD(factors=5000).fit(DATA)
    assert not caplog.records


def test_searches_tell_each_trial(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("optuna", reason="tune is made of Optuna")
    parts = far.split(DATA, (0.8, 0.2), by="random")
    with caplog.at_level(logging.INFO, "fastautorec"):
        result = far.tune(far.PureSVD, *parts, {"factors": [5, 5000]})
    told = [record.getMessage() for record in caplog.records if record.getMessage().startswith("tune")]
    expected = []
    for row in result.trials:
        value = "" if row["metric"] is None else f", NDCG {row['metric']:.4f}"
        expected.append(f"tune PureSVD: trial {row['trial']} {row['state']}{value}, {{'factors': {row['factors']}}}")
    assert told == expected
