#!/usr/bin/env bash
# implicit 0.7.3: recommend(filter_already_liked_items=True) lists items that the user already likes.
#
# Where fewer than N items are left, the list is filled up with the very items that were to be left out. Their score is
# -3.4028235e+38, the smallest float32, and nothing else marks them: ids are valid, the shape is (N,). The same with
# `items=`: a choice among items that are all liked returns them all. Evaluations and shops that read the ids alone
# show a user what they have.
#
# Output seen with implicit 0.7.3, NumPy 2.4.6:
#   N=3, one item left: ids [2 1 0], of which [1 0] are liked, scores of these [-3.4028235e+38 -3.4028235e+38]
#   items=[0, 1], both liked: ids [1 0]
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet implicit==0.7.3 numpy==2.4.6 scipy==1.17.1
OPENBLAS_NUM_THREADS=1 "$work/venv/bin/python" - <<'PYTHON'
import numpy as np
from implicit.als import AlternatingLeastSquares
from scipy import sparse

likes = sparse.csr_matrix(np.array([[1, 1, 0], [1, 1, 1], [0, 1, 1], [1, 0, 1]], np.float32))
model = AlternatingLeastSquares(factors=2, random_state=0, num_threads=1, use_gpu=False)
model.fit(likes, show_progress=False)
ids, scores = model.recommend(0, likes[0], N=3, filter_already_liked_items=True)
liked = np.isin(ids, likes[0].indices)
print(f"N=3, one item left: ids {ids}, of which {ids[liked]} are liked, scores of these {scores[liked]}")
assert sorted(ids[liked]) == [0, 1] and (scores[liked] == np.finfo(np.float32).min).all(), "the behaviour has changed"
ids, _ = model.recommend(0, likes[0], N=2, filter_already_liked_items=True, items=[0, 1])
print(f"items=[0, 1], both liked: ids {ids}")
assert sorted(ids) == [0, 1], "the behaviour has changed"
PYTHON
