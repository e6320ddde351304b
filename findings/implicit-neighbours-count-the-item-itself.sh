#!/usr/bin/env bash
# implicit 0.7.3: of the K neighbours that its nearest-neighbour models keep for an item, one is the item itself.
#
# CosineRecommender(K=20), TFIDFRecommender and BM25Recommender keep the K largest entries of each row of the similarity
# matrix, the diagonal among them. So there are K - 1 other items in a row, and the scores of recommend, which leaves out
# the items that a user has, are sums over K - 1 neighbours: a K that was tuned with another library, or taken from a
# paper, is one too small here. With K=1 a model knows nothing of other items: it lists five items with a score of 0 for
# everybody, without a word.
#
# Output seen with implicit 0.7.3:
#   CosineRecommender(K=5): 5 kept for each item, the item itself among them 30 times of 30, 4 other ones
#   TFIDFRecommender(K=5): 5 kept for each item, the item itself among them 30 times of 30, 4 other ones
#   BM25Recommender(K=5): 5 kept for each item, the item itself among them 30 times of 30, 4 other ones
#   CosineRecommender(K=1): 5 items are recommended, with scores [0.0]
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet implicit==0.7.3 numpy==2.4.6 scipy==1.17.1
"$work/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, TFIDFRecommender
from scipy import sparse

liked = sparse.csr_matrix((np.random.default_rng(0).random((200, 30)) < 0.3).astype(np.float32))
for kind in (CosineRecommender, TFIDFRecommender, BM25Recommender):
    model = kind(K=5)
    model.fit(liked, show_progress=False)
    kept, own = np.diff(model.similarity.indptr), np.count_nonzero(model.similarity.diagonal())
    others = set((kept - (model.similarity.diagonal() != 0)).tolist())
    print(f"{kind.__name__}(K=5): {kept.max()} kept for each item, the item itself among them {own} times of 30, "
          f"{others.pop()} other ones")
    assert set(kept.tolist()) == {5} and own == 30 and not others, "the behaviour has changed"
model = CosineRecommender(K=1)
model.fit(liked, show_progress=False)
ids, scores = model.recommend(0, liked[0], N=5)
print(f"CosineRecommender(K=1): {len(ids)} items are recommended, with scores {sorted(set(scores.tolist()))}")
assert len(ids) == 5 and not scores.any(), "the behaviour has changed"
PYTHON
