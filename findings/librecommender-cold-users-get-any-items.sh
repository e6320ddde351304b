#!/usr/bin/env bash
# LibRecommender 1.5.2: users who are new get items drawn from the whole catalogue, and some twice, not the average
# user's.
#
# For unknown users, cold_start="average" is the default and documented as a representation by the mean of all
# embeddings. The items are ranked by that mean once, and the first 2,000 are kept; but a list is a draw from these, all
# equally likely and with replacement. A catalogue of up to 2,000 items is drawn from as a whole: ten of 200 items hold
# no more of the ten best than chance gives, one list in five holds an item twice, and the next call gives other items.
# So whatever model is behind it, new users get random items. cold_start="popular", documented as a sample of popular
# items, draws from the 100 most popular ones in the same way, so more than a third of the lists repeat an item.
#
# Output seen with LibRecommender 1.5.2, TensorFlow 2.21.0, torch 2.14.1, NumPy 1.26.4, SciPy 1.17.1, pandas 3.0.6:
#   average: of the average user's ten best 0.5 are listed; 200 items of 200 are; 22 % of the lists hold an item twice
#   popular: of the average user's ten best 1.0 are listed; 100 items of 200 are; 38 % of the lists hold an item twice
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet librecommender==1.5.2 tensorflow-cpu==2.21.0 torch==2.14.1 numpy==1.26.4 \
    scipy==1.17.1 pandas==3.0.6 scikit-learn==1.9.1
TF_CPP_MIN_LOG_LEVEL=3 "$work/venv/bin/python" -W ignore - 2>"$work/log" <<'PYTHON' || { cat "$work/log"; exit 1; }
import contextlib
import io

import numpy as np
import pandas as pd
from libreco.algorithms import ALS
from libreco.data import DatasetPure

rng = np.random.default_rng(0)
chances = 1 / (1 + np.arange(200))
pairs = [(user, item) for user in range(300) for item in rng.choice(200, 10, replace=False, p=chances / chances.sum())]
data, info = DatasetPure.build_trainset(pd.DataFrame(pairs, columns=["user", "item"]).assign(label=1.0))
model = ALS("ranking", info, embed_size=8, n_epochs=10, reg=5.0, alpha=10, seed=1)
with contextlib.redirect_stdout(io.StringIO()):
    model.fit(data, neg_sampling=True, verbose=0)
scores = model.get_item_embedding() @ model.get_user_embedding().mean(axis=0)
best = [info.id2item[item] for item in np.argsort(-scores)[:10]]
found = {}
for cold_start in ("average", "popular"):
    with contextlib.redirect_stdout(io.StringIO()):
        lists = [model.recommend_user(user="new", n_rec=10, cold_start=cold_start)["new"] for _ in range(1000)]
    hits = np.mean([len(np.intersect1d(items, best)) for items in lists])
    different = len(np.unique(np.concatenate(lists)))
    repeats = np.mean([len(np.unique(items)) < 10 for items in lists])
    found[cold_start] = hits, different, repeats
    print(f"{cold_start}: of the average user's ten best {hits:.1f} are listed; {different} items of 200 are; "
          f"{100 * repeats:.0f} % of the lists hold an item twice")
assert found["average"][0] < 1 and found["average"][1] == 200, "the behaviour has changed"
assert found["popular"][1] == 100, "the behaviour has changed"
assert min(repeats for *_, repeats in found.values()) > 0.1, "the behaviour has changed"
PYTHON
