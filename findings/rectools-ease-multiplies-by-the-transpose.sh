#!/usr/bin/env bash
# RecTools 0.19.0: EASEModel scores users with the transpose of the matrix that it has fitted.
#
# EASE predicts X by X B, with B = -P / diag(P), column by column, where P is the inverse of X'X + lambda I. `weight` holds
# this B, but the ranker takes rows for items: the scores are X B'. B is not symmetric: an entry is divided by the diagonal
# of the wrong item, so what one popular item says of a rare one changes places with what the rare one says of it. With
# lambda far above the counts of items all diagonals are about equal and nothing is seen; the smaller lambda is, the more is
# lost: at 1, lists are worse here than those of popularity. It concerns `recommend`, not `recommend_to_items`, which takes
# rows for the item that is asked about, as it should. After `model.weight = model.weight.T.copy()`, `recommend` is right.
#
# Output seen with RecTools 0.19.0, NumPy 1.26.4; 600 users, 120 items, 3 of each user's 12 held out, recall of 10:
#   lambda 1     scores are X B: False, X B': True   recall 0.283, of X B 0.419, of popularity 0.322
#   lambda 10    scores are X B: False, X B': True   recall 0.368, of X B 0.458, of popularity 0.322
#   lambda 500   scores are X B: False, X B': True   recall 0.477, of X B 0.475, of popularity 0.322
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet rectools==0.19.0 numpy==1.26.4 scipy==1.17.1 pandas==2.3.3
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import pandas as pd
from rectools.dataset import Dataset
from rectools.models import EASEModel

rng = np.random.default_rng(0)
users, items, groups = 600, 120, 6
popularity = (1 / (1 + np.arange(items))) ** 0.8
kind, taste = rng.integers(groups, size=items), rng.integers(groups, size=users)
chances = popularity * np.where(kind == taste[:, None], 6, 0.5)
train, test = np.zeros((users, items)), np.zeros((users, items))
for user in range(users):
    train[user, rng.choice(items, 12, replace=False, p=chances[user] / chances[user].sum())] = 1
for user in range(users):
    held = rng.choice(np.flatnonzero(train[user]), 3, replace=False)
    train[user, held], test[user, held] = 0, 1

row, column = train.nonzero()
table = pd.DataFrame({"user_id": row, "item_id": column, "weight": 1.0, "datetime": pd.Timestamp("2026-01-01")})
data = Dataset.construct(table)


def scores_of(model: EASEModel) -> np.ndarray:
    """Return the scores of `recommend` as a matrix of users and items."""
    lists = model.recommend(users=np.arange(users), dataset=data, k=items, filter_viewed=False)
    scores = np.full((users, items), np.nan)
    scores[lists["user_id"], lists["item_id"]] = lists["score"]
    return scores


def recall(scores: np.ndarray) -> float:
    """Return the recall of the ten best items that are not in the training data."""
    best = np.argsort(-np.where(train > 0, -np.inf, scores), axis=1)[:, :10]
    return np.take_along_axis(test, best, axis=1).sum() / test.sum()


for regularization in (1, 10, 500):
    model = EASEModel(regularization=regularization).fit(data)
    inverse = np.linalg.inv(train.T @ train + regularization * np.eye(items))
    B = -inverse / np.diag(inverse)
    np.fill_diagonal(B, 0)
    scores = scores_of(model)
    right, transposed = (np.allclose(scores, train @ matrix, atol=1e-4) for matrix in (B, B.T))
    found, possible, popular = recall(scores), recall(train @ B), recall(np.tile(train.sum(axis=0), (users, 1)))
    print(f"lambda {regularization:<4}  scores are X B: {right}, X B': {transposed}   "
          f"recall {found:.3f}, of X B {possible:.3f}, of popularity {popular:.3f}")
    assert transposed and not right, "the behaviour has changed"
    assert regularization > 1 or found < popular < possible, "the behaviour has changed"
    model.weight = model.weight.T.copy()
    assert np.allclose(scores_of(model), train @ B, atol=1e-4), "the behaviour has changed"
PYTHON
