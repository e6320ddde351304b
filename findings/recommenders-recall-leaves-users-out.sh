#!/usr/bin/env bash
# recommenders 1.2.1: recall of a model that answers one user in two is 1.0; its NDCG is 0.5.
#
# precision_at_k, recall_at_k, map and map_at_k average over the users who have test items and recommendations. A model
# that returns nothing for users it does not know loses nothing by it. ndcg_at_k counts these users with 0, so that
# figures side by side in one table are about different users. r_precision_at_k also drops users who have
# recommendations of which none is right: it cannot see a failure for a whole user.
#
# Output seen with recommenders 1.2.1, pandas 2.3.3:
#   no list for the second user: recall 1.0, precision 1.0, map 1.0, r-precision 1.0, ndcg 0.5
#   a wrong list for that user:  recall 0.5, precision 0.5, map 0.5, r-precision 1.0, ndcg 0.5
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet recommenders==1.2.1 pandas==2.3.3
"$work/venv/bin/python" - <<'PYTHON'
import pandas as pd
from recommenders.evaluation import python_evaluation as metrics

wanted = pd.DataFrame({"userID": [1, 1, 2, 2], "itemID": [1, 2, 1, 2], "rating": [1.0] * 4})
right = [(1, 1, 0.9), (1, 2, 0.8)]
wrong = [(2, 7, 0.9), (2, 8, 0.8)]
seen = {}
for label, rows in ("no list for the second user:", right), ("a wrong list for that user: ", right + wrong):
    lists = pd.DataFrame(rows, columns=["userID", "itemID", "prediction"])
    names = ["recall", "precision", "map", "r_precision", "ndcg"]
    values = [float(getattr(metrics, f"{name}_at_k")(wanted, lists, k=2)) for name in names]
    print(label, ", ".join(f"{name.replace('_', '-')} {value}" for name, value in zip(names, values)))
    seen[len(rows)] = values
assert seen == {2: [1, 1, 1, 1, 0.5], 4: [0.5, 0.5, 0.5, 1, 0.5]}, "the behaviour has changed"
PYTHON
