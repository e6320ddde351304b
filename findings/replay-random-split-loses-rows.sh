#!/usr/bin/env bash
# RePlay 0.22.0: RandomSplitter loses rows of a pandas table whose row labels repeat, as they do after pd.concat.
#
# The training rows are drawn at random; the test rows are the rest by label, not by place. So a row whose label was
# drawn for another row is in neither part. Logs of twelve months, read one by one and joined, have most labels twelve
# times: of a test of 20 % hardly anything is left, all of it from the second half of the longest month, and nothing is
# raised or warned. After pd.concat(..., ignore_index=True) the split is as asked for.
#
# Output seen with replay-rec 0.22.0, pandas 2.3.3, NumPy 2.4.6; 11 months of 1,000 rows and one of 2,000:
#   labels repeat: 10400 rows in training, 194 in the test, 2406 in neither; months in the test: 12
#   own labels:    10400 rows in training, 2600 in the test, 0 in neither; months in the test: 1 2 3 4 5 6 7 8 9 10 11 12
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet replay-rec==0.22.0 pandas==2.3.3 polars==1.44.2 numpy==2.4.6
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import pandas as pd
from replay.splitters import RandomSplitter

rng = np.random.default_rng(0)
months = []
for month in range(1, 13):
    rows = 2000 if month == 12 else 1000
    ids = {"query_id": rng.integers(100, size=rows), "item_id": rng.integers(500, size=rows)}
    months.append(pd.DataFrame({**ids, "month": month}))


def split(name: str, table: pd.DataFrame) -> tuple[int, int, int]:
    """Return how many rows are in training, in the test and in neither."""
    train, test = RandomSplitter(test_size=0.2, seed=0).split(table)
    sizes = len(train), len(test), len(table) - len(train) - len(test)
    print(f"{name:<14} {sizes[0]} rows in training, {sizes[1]} in the test, {sizes[2]} in neither;",
          "months in the test:", *sorted(set(test["month"])))
    return sizes


repeated, own = split("labels repeat:", pd.concat(months)), split("own labels:", pd.concat(months, ignore_index=True))
assert own == (10400, 2600, 0), "the behaviour has changed"
assert repeated[0] == 10400 and repeated[1] < 400 and sum(repeated) == 13000, "the behaviour has changed"
PYTHON
