#!/usr/bin/env bash
# Optuna 5.0.0: the lock of a journal that is named by a relative path in a folder is a link that leads nowhere, so a
# process that waits for it tries thousands of times a second, and its grace period is not looked at.
#
# JournalFileBackend locks the journal by a symbolic link beside it, whose target is the path as it was given. A link is
# followed from its own folder, so "studies/s.log" is looked for in studies/studies. Who waits for the lock asks the
# link's target for the time of its last change, to tell whether the holder is alive; that fails, and the loop goes on at
# once, past the pause between two attempts and past the grace period after which a lock that was left behind is released.
# With an absolute path, or without a folder, a waiting process sleeps, and a lock that was left behind is released.
#
# Output seen with Optuna 5.0.0, a lock that is held for one second by another thread:
#   absolute        11 attempts, the lock leads to the journal: True
#   studies/s.log   281,428 attempts, the lock leads to the journal: False
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet optuna==5.0.0
cd "$work" && mkdir studies && touch studies/s.log
"$work/venv/bin/python" - <<'PYTHON'
import os
import threading

from optuna.storages.journal import JournalFileSymlinkLock

link, attempts = os.symlink, 0


def counted(*paths):
    global attempts
    attempts += 1
    return link(*paths)


os.symlink = counted
found = {}
for name, path in (("absolute", os.path.abspath("studies/s.log")), ("studies/s.log", "studies/s.log")):
    holder, waiter = JournalFileSymlinkLock(path), JournalFileSymlinkLock(path)
    holder.acquire()
    leads = os.path.exists(path + ".lock")
    attempts = 0
    threading.Timer(1.0, holder.release).start()
    waiter.acquire()
    waiter.release()
    found[name] = leads, attempts
    print(f"{name:15} {attempts:,} attempts, the lock leads to the journal: {leads}")
assert found["absolute"][0] and found["absolute"][1] < 50
assert not found["studies/s.log"][0] and found["studies/s.log"][1] > 500, "the behaviour has changed"
PYTHON
