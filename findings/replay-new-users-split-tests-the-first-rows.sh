#!/usr/bin/env bash
# RePlay 0.22.0: NewUsersSplitter with a session column tests the first rows of the table, not those of the new users.
#
# The splitter is to put users whose first interaction is late into the test set. With `session_id_column`, which is to
# keep sessions whole, and a pandas table, it counts the rows of the new users, and then marks that many rows from the
# top of the table. A session has one user, so sessions should not change who is tested; in a table sorted by user or by
# time, the oldest users become the test set, and the new ones, with what they did last, are trained on. The table that
# was handed in has an additional column "is_test" afterwards. The same table in Polars, or without sessions, is split
# as described.
#
# Output seen with replay-rec 0.22.0, pandas 2.3.3, Polars 1.44.2, NumPy 2.4.6; ten users who begin one after the other:
#   pandas, without sessions: users 9 and 10 are tested, training ends at 83
#   pandas, with sessions:    users 1 and 2 are tested, training ends at 103
#   Polars, with sessions:    users 9 and 10 are tested, training ends at 83
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet replay-rec==0.22.0 pandas==2.3.3 polars==1.44.2 numpy==2.4.6
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import pandas as pd
import polars as pl
from replay.splitters import NewUsersSplitter

rows = [(user, row, 10 * user + row, 2 * user + row // 2) for user in range(1, 11) for row in range(4)]
columns = ["query_id", "item_id", "timestamp", "session_id"]


def split(name: str, table: object, **options: str) -> tuple[list[int], int]:
    """Return the users who are tested, and when the training data end."""
    train, test = NewUsersSplitter(test_size=0.2, **options).split(table)
    tested, end = sorted(set(test["query_id"])), train["timestamp"].max()
    print(f"{name:<25} users {tested[0]} and {tested[-1]} are tested, training ends at {end}")
    return tested, end


with_sessions = pd.DataFrame(rows, columns=columns)
plain = split("pandas, without sessions:", with_sessions.copy())
pandas = split("pandas, with sessions:", with_sessions, session_id_column="session_id")
polars = split("Polars, with sessions:", pl.DataFrame(rows, columns, orient="row"), session_id_column="session_id")
assert plain == polars == ([9, 10], 83), "the behaviour has changed"
assert pandas == ([1, 2], 103), "the behaviour has changed"
assert list(with_sessions.columns) == [*columns, "is_test"], "the behaviour has changed"
PYTHON
