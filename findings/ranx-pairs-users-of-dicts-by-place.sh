#!/usr/bin/env bash
# ranx 0.3.21: given plain dicts, evaluate pairs users by their place, not by their key: perfect lists have a recall of 0.
#
# evaluate takes Qrels and Run objects or dicts of dicts. It checks that both dicts have the same keys, in any order, and
# then looks at their values alone, in the order in which each dict was filled: the first user's test items are compared
# with the first list, whoever's it is. Test items in the order of a log and lists in the order of sorted ids, or of the
# workers that made them, give the figures of a poor model and no error. Qrels(...) and Run(...) of the same dicts sort
# users first. With the dicts, `make_comparable=True` has no effect either.
#
# Output seen with ranx 0.3.21, NumPy 2.4.6, Numba 0.68.1:
#   dicts, users in the same order:    recall@1 1.0, ndcg@1 1.0, mrr 1.0
#   dicts, users in another order:     recall@1 0.0, ndcg@1 0.0, mrr 0.0
#   Qrels and Run of the latter dicts: recall@1 1.0, ndcg@1 1.0, mrr 1.0
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet ranx==0.3.21 numpy==2.4.6 numba==0.68.1
IR_DATASETS_HOME="$work" "$work/venv/bin/python" -W ignore - <<'PYTHON'
from ranx import Qrels, Run, evaluate

wanted = {"ann": {"tent": 1}, "bob": {"lamp": 1}, "eve": {"rope": 1}}
lists = {user: {next(iter(items)): 0.9, "cup": 0.1} for user, items in wanted.items()}
turned = {user: lists[user] for user in ("eve", "ann", "bob")}
assert turned == lists, "dicts with the same keys and values"


def figures(*pair: object, **options: bool) -> str:
    """Return three metrics of a pair of test items and lists."""
    found = evaluate(*pair, ["recall@1", "ndcg@1", "mrr"], **options)
    return ", ".join(f"{name} {value:.1f}" for name, value in found.items())


same, other, objects = figures(wanted, lists), figures(wanted, turned), figures(Qrels(wanted), Run(turned))
print("dicts, users in the same order:   ", same)
print("dicts, users in another order:    ", other)
print("Qrels and Run of the latter dicts:", objects)
assert same == objects == "recall@1 1.0, ndcg@1 1.0, mrr 1.0", "the behaviour has changed"
assert other == "recall@1 0.0, ndcg@1 0.0, mrr 0.0", "the behaviour has changed"
assert figures(wanted, turned, make_comparable=True) == other, "the behaviour has changed"
PYTHON
