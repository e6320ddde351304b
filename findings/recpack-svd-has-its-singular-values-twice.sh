#!/usr/bin/env bash
# RecPack 0.3.6: the scores of SVD are U S² V, not U S V: the singular values are in them twice.
#
# Its documentation takes U for the users and S V for the items. But the users come from fit_transform of scikit-learn's
# TruncatedSVD, which returns U S. So it is not the best approximation of the data that is ranked: the first component,
# mostly popularity, outweighs the others by the square of what it should, and each further one counts less. Lists are
# others than those of the SVD that was asked for, the more so the more components there are. Here they are the better
# ones, but the best number of components is another too, so figures of one library say nothing about "SVD" in another.
#
# Output seen with recpack 0.3.6, scikit-learn 1.9.1, SciPy 1.17.1, NumPy 1.26.4, pandas 2.3.3, torch 2.14.1:
#    8 components: U S V False, U S² V True;  of ten items 6.9 are the same;  recall 0.34, of U S V 0.32
#   16 components: U S V False, U S² V True;  of ten items 5.5 are the same;  recall 0.36, of U S V 0.30
#   32 components: U S V False, U S² V True;  of ten items 3.7 are the same;  recall 0.35, of U S V 0.19
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet recpack==0.3.6 scikit-learn==1.9.1 scipy==1.17.1 numpy==1.26.4 pandas==2.3.3 \
    torch==2.14.1
"$work/venv/bin/python" -W ignore - 2>"$work/log" <<'PYTHON' || { cat "$work/log"; exit 1; }
import logging

import numpy as np
import scipy.sparse as sp
from recpack.algorithms import SVD
from sklearn.decomposition import TruncatedSVD

logging.getLogger("recpack").setLevel(logging.WARNING)
rng = np.random.default_rng(0)
users, items, groups = 600, 200, 8
popularity = (1 / (1 + np.arange(items))) ** 0.8
kind, taste = rng.integers(groups, size=items), rng.integers(groups, size=users)
chances = popularity * np.where(kind == taste[:, None], 6, 0.5)
train, test = np.zeros((users, items)), np.zeros((users, items))
for user in range(users):
    train[user, rng.choice(items, 15, replace=False, p=chances[user] / chances[user].sum())] = 1
for user in range(users):
    held = rng.choice(np.flatnonzero(train[user]), 4, replace=False)
    train[user, held], test[user, held] = 0, 1
data = sp.csr_matrix(train)


def lists(scores: np.ndarray) -> np.ndarray:
    """Return the ten best items of each user that are not in the training data."""
    return np.argsort(-np.where(train > 0, -np.inf, scores), axis=1)[:, :10]


def recall(scores: np.ndarray) -> float:
    """Return the recall of these lists."""
    return np.take_along_axis(test, lists(scores), axis=1).sum() / test.sum()


for rank in (8, 16, 32):
    scores = SVD(num_components=rank, seed=0).fit(data).predict(data).toarray()
    model = TruncatedSVD(rank, n_iter=7, random_state=0)
    factors = model.fit_transform(data)
    once, twice = factors @ model.components_, factors * model.singular_values_ @ model.components_
    same = np.mean([len(np.intersect1d(*pair)) for pair in zip(lists(scores), lists(once))])
    print(f"{rank:>2} components: U S V {np.allclose(scores, once)}, U S² V {np.allclose(scores, twice)};  "
          f"of ten items {same:.1f} are the same;  recall {recall(scores):.2f}, of U S V {recall(once):.2f}")
    assert np.allclose(scores, twice) and not np.allclose(scores, once), "the behaviour has changed"
    assert same < 8, "the behaviour has changed"
PYTHON
