#!/usr/bin/env bash
# LensKit 2025.8.1: RunAnalysis averages over the users with lists: who got none is left out, who has no test items is 0.
#
# Other libraries average over the users with test items. Here a model that answers fewer users loses nothing by it, and
# lists made for everybody, of whom some have no test items, have a lower mean than the same lists made for test users
# only. The second case logs a line, the first does not. Called for one list without test items, the metric itself is NaN.
#
# Output seen with LensKit 2025.8.1, NumPy 2.4.6:
#   all lists are right; test items of users 1 and 2
#   lists for 1 and 2: Recall@2 1.0; for 1: 1.0; for 1 to 4: 0.5
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet lenskit==2025.8.1 numpy==2.4.6 scipy==1.17.1
"$work/venv/bin/python" - <<'PYTHON'
from lenskit.data import ItemList, ItemListCollection
from lenskit.metrics import Recall, RunAnalysis


def collection(users: list[int]) -> ItemListCollection:
    """Return the same two items for each user."""
    lists = ItemListCollection(["user_id"])
    for user in users:
        lists.add(ItemList(item_ids=[1, 2], ordered=True), user_id=user)
    return lists


wanted = collection([1, 2])
means = []
for users in [1, 2], [1], [1, 2, 3, 4]:
    analysis = RunAnalysis()
    analysis.add_metric(Recall(n=2))
    means.append(float(analysis.measure(collection(users), wanted).list_summary().loc["Recall@2", "mean"]))
print("all lists are right; test items of users 1 and 2")
print(f"lists for 1 and 2: Recall@2 {means[0]}; for 1: {means[1]}; for 1 to 4: {means[2]}")
assert means == [1, 1, 0.5], "the behaviour has changed"
PYTHON
