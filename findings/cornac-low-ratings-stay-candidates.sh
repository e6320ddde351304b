#!/usr/bin/env bash
# Cornac 3.0.1: with a rating threshold, ranking evaluation lets items from the training data compete with the test items.
#
# rating_threshold says which test ratings are positive. The same threshold decides which training items are left out of
# the ranking: those rated below it stay candidates although the user has had them. A model that scores what a user has
# seen highly is punished for it; the same scores and the same one test item give another recall when the threshold moves
# below all ratings. With one-star ratings in the training data, every table "at rating >= 4" has this effect.
#
# Output seen with Cornac 3.0.1, NumPy 2.4.6:
#   threshold 1: Recall@1 1.0, MRR 1.0
#   threshold 4: Recall@1 0.0, MRR 0.5
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet cornac==3.0.1 numpy==2.4.6 scipy==1.17.1
"$work/venv/bin/python" - <<'PYTHON'
import numpy as np
from cornac.data import Dataset
from cornac.eval_methods.base_method import ranking_eval
from cornac.metrics import MRR, Recall
from cornac.models import Recommender


class Fixed(Recommender):
    """Scores that are the same for everybody."""

    def score(self, user_idx, item_idx=None):
        scores = np.array([4.0, 3.0, 2.0, 1.0])
        return scores if item_idx is None else scores[item_idx]


# The user has rated "bad" with one star and "good" with five; "next" is what comes later. Scores fall in this order.
train = Dataset.from_uir([("u", "bad", 1.0), ("u", "good", 5.0), ("v", "next", 5.0), ("v", "other", 4.0)])
test = Dataset.build([("u", "next", 5.0)], global_uid_map=train.uid_map, global_iid_map=train.iid_map)
model = Fixed("fixed").fit(train)
seen = {}
for threshold in (1, 4):
    recall, rank = ranking_eval(model, [Recall(k=1), MRR()], train, test, rating_threshold=threshold)[0]
    seen[threshold] = (float(recall), float(rank))
    print(f"threshold {threshold}: Recall@1 {recall}, MRR {rank}")
assert seen == {1: (1.0, 1.0), 4: (0.0, 0.5)}, "the behaviour has changed"
PYTHON
