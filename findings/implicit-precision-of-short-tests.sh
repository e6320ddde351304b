#!/usr/bin/env bash
# implicit 0.7.3: precision_at_k is 1.0 for lists of which two items in three are wrong.
#
# implicit.evaluation divides the hits by min(K, number of the user's test items), summed over the users, and not by K.
# With one test item for each user, as in leave-one-out, its "precision" is the hit rate, up to K times what the word
# means in other libraries.
#
# Output seen with implicit 0.7.3, NumPy 2.4.6:
#   lists of 3 with one hit each: precision_at_k 1.0, hits / K 0.333
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet implicit==0.7.3 numpy==2.4.6 scipy==1.17.1
OPENBLAS_NUM_THREADS=1 "$work/venv/bin/python" - <<'PYTHON'
import numpy as np
from implicit.als import AlternatingLeastSquares
from implicit.evaluation import precision_at_k
from scipy import sparse

train = sparse.csr_matrix(np.array([[1, 1, 0, 0, 0], [0, 1, 1, 0, 0], [1, 1, 1, 0, 0]], np.float32))
test = sparse.csr_matrix(np.array([[0, 0, 1, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 1, 0]], np.float32))
model = AlternatingLeastSquares(factors=2, random_state=0, num_threads=1, use_gpu=False)
model.fit(train, show_progress=False)
lists, _ = model.recommend(np.arange(2), train[:2], N=3)
test = sparse.vstack([test[:2], sparse.csr_matrix((1, 5), dtype=np.float32)]).tocsr()
hits = sum(int(test[user, item]) for user in range(2) for item in lists[user])
given = precision_at_k(model, train, test, K=3, show_progress=False, num_threads=1)
print(f"lists of 3 with one hit each: precision_at_k {given}, hits / K {hits / 2 / 3:.3f}")
assert hits == 2 and given == 1.0, "the behaviour has changed"
PYTHON
