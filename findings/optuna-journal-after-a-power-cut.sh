#!/usr/bin/env bash
# Optuna 5.0.0: a journal whose last record was cut opens without a word, and the first thing written to it makes it
# unreadable for good.
#
# JournalStorage appends one line of JSON for each event, under a lock, so that many processes share a file. When the
# machine goes down in the middle of a line, the next process passes over the half line as one that is still being
# written, and then appends its own record behind it, on the same line. The study can then no longer be opened: a
# JSONDecodeError that names neither file nor line, although the trials before the cut are whole.
#
# Output seen with Optuna 5.0.0:
#   opened after the cut: 3 trials
#   one more trial, and the file opened again: JSONDecodeError, line 10 holds 2 records
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet optuna==5.0.0
cat >"$work/look.py" <<'PYTHON'
import json
import sys
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

optuna.logging.set_verbosity(optuna.logging.ERROR)
path = Path(sys.argv[1])


def open_study():
    storage = JournalStorage(JournalFileBackend(str(path)))
    return optuna.create_study(study_name="s", storage=storage, load_if_exists=True)


study = open_study()
study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
path.write_bytes(path.read_bytes()[:-20])  # what a power cut leaves
number = path.read_bytes().count(b"\n") + 1
study = open_study()
print(f"opened after the cut: {len(study.trials)} trials")
outcome = "no error"
try:
    study.tell(study.ask(), 0.5)
    open_study()
except json.JSONDecodeError as error:
    outcome = type(error).__name__
records = path.read_text().splitlines()[number - 1].count('"op_code"')
print(f"one more trial, and the file opened again: {outcome}, line {number} holds {records} records")
assert outcome == "JSONDecodeError" and records >= 2, "the behaviour has changed"
PYTHON
"$work/venv/bin/python" "$work/look.py" "$work/study.journal"
