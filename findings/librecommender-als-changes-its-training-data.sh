#!/usr/bin/env bash
# LibRecommender 1.5.2: fitting ALS changes the training data, so the next model is fitted to other data.
#
# For the task "ranking", fit turns each value r into its confidence alpha r + 1, in the data set itself. A second model
# on the same data set starts from these: with alpha 10 the confidence of a pair is 11 for the first model, 111 for the
# second, then 1111. Nothing is raised or warned. A search over sizes or regularizations builds the data once and fits
# many models, so each trial is another model than its arguments say, the later the more, and the best arguments give
# another one when they are fitted alone. Building the data set anew for each model avoids it.
#
# Output seen with LibRecommender 1.5.2, TensorFlow 2.21.0, torch 2.14.1, NumPy 1.26.4, SciPy 1.17.1, pandas 3.0.6:
#   model 1: values before the fit 1, after it 11; of the first model's five items 0.0 are gone
#   model 2: values before the fit 11, after it 111; of the first model's five items 2.9 are gone
#   model 3: values before the fit 111, after it 1111; of the first model's five items 4.0 are gone
#   model 4: values before the fit 1111, after it 11111; of the first model's five items 4.9 are gone
#   the data set built anew: same lists as the first model: True
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
chances = 1 / (1 + np.arange(100))
pairs = [(user, item) for user in range(200) for item in rng.choice(100, 12, replace=False, p=chances / chances.sum())]
table = pd.DataFrame(pairs, columns=["user", "item"]).assign(label=1.0)


def lists(data: object, info: object) -> np.ndarray:
    """Fit a new model with the same arguments and seed, and return the first five items of each user."""
    model = ALS("ranking", info, embed_size=8, n_epochs=10, reg=5.0, alpha=10, seed=1)
    with contextlib.redirect_stdout(io.StringIO()):
        model.fit(data, neg_sampling=True, verbose=0)
    items = model.recommend_user(user=list(range(200)), n_rec=5)
    return np.array([items[user] for user in range(200)])


data, info = DatasetPure.build_trainset(table)
first, seen = None, []
for number in range(1, 5):
    before = data.sparse_interaction.data.max()
    found = lists(data, info)
    first = found if first is None else first
    other = np.mean([len(np.setdiff1d(*pair)) for pair in zip(first, found)])
    seen.append((before, other))
    print(f"model {number}: values before the fit {before:.0f}, after it {data.sparse_interaction.data.max():.0f};",
          f"of the first model's five items {other:.1f} are gone")
anew = np.array_equal(first, lists(*DatasetPure.build_trainset(table)))
print("the data set built anew: same lists as the first model:", anew)
assert anew and [before for before, _ in seen] == [1, 11, 111, 1111], "the behaviour has changed"
assert seen[-1][1] > 1, "the behaviour has changed"
PYTHON
