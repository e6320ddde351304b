#!/usr/bin/env bash
# irspack 0.5.2: split_dataframe_partial_user_holdout(rating_column=...) keeps the ratings of validation and test users
# and sets those of the training users to 1.
#
# Only without a rating column are all interactions to count 1. With one, the matrix of the training users, by far the
# largest, is still made of ones, while the histories of validation and test users have the ratings. Models that use
# values are fitted to one kind of data and asked with another, and the matrix for the last fit, training and validation
# users stacked, holds both: with the ratings below, a validation user counts 4.5 times as much as a training user.
#
# Output seen with irspack 0.5.2, pandas 3.1.1, NumPy 2.4.6, SciPy 1.17.1; every user has one item of each rating 1 to 8:
#   train   80 users, mean rating 1.0, highest 1
#   val     10 users, mean rating 4.5, highest 8
#   test    10 users, mean rating 4.5, highest 8
#   training and validation users stacked: 11 % of the users have 36 % of the weight
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet irspack==0.5.2 pandas==3.1.1 numpy==2.4.6 scipy==1.17.1
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import pandas as pd
from irspack.split import split_dataframe_partial_user_holdout

rng = np.random.default_rng(0)
rows = [(user, item, rating) for user in range(100)
        for rating, item in enumerate(rng.choice(40, 8, replace=False), start=1)]
table = pd.DataFrame(rows, columns=["user", "item", "rating"])
parts, _ = split_dataframe_partial_user_holdout(table, "user", "item", rating_column="rating", random_state=0)
for name, part in parts.items():
    ratings = part.X_all.data
    print(f"{name:6} {part.n_users:3} users, mean rating {ratings.mean():.1f}, highest {ratings.max():.0f}")
train, val, test = (parts[name].X_all for name in ("train", "val", "test"))
print(f"training and validation users stacked: {val.shape[0] / (train.shape[0] + val.shape[0]):.0%} of the users "
      f"have {val.sum() / (train.sum() + val.sum()):.0%} of the weight".replace("%", " %"))
assert train.shape[0] == 80 and train.nnz == 640 and (train.data == 1).all(), "the behaviour has changed"
assert val.data.mean() == test.data.mean() == 4.5 and val.data.max() == 8, "the behaviour has changed"
PYTHON
