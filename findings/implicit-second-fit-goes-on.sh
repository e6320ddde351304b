#!/usr/bin/env bash
# implicit 0.7.3: a second fit() does not begin anew; the result depends on what was fitted before.
#
# fit() keeps user and item factors that are there. The same model with the same random_state, fitted to the same data
# twice, gives other factors than fitted once; and after a fit to other data of the same shape, the factors of that data
# are the start. A loop that refits one object every night therefore cannot be repeated from its data and seed.
#
# Output seen with implicit 0.7.3, NumPy 2.4.6:
#   same data, same seed: fitted once and twice equal: False; fitted to other data first equal: False
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet implicit==0.7.3 numpy==2.4.6 scipy==1.17.1
OPENBLAS_NUM_THREADS=1 "$work/venv/bin/python" - <<'PYTHON'
import numpy as np
from implicit.als import AlternatingLeastSquares
from scipy import sparse

rng = np.random.default_rng(0)
data, other = (sparse.csr_matrix((rng.random((60, 20)) < 0.3).astype(np.float32)) for _ in range(2))


def fitted(*matrices):
    model = AlternatingLeastSquares(factors=4, iterations=3, random_state=0, num_threads=1, use_gpu=False)
    for matrix in matrices:
        model.fit(matrix, show_progress=False)
    return model.item_factors


once = fitted(data)
assert np.array_equal(once, fitted(data)), "one fit is no longer repeatable"
twice, after_other = np.allclose(once, fitted(data, data)), np.allclose(once, fitted(other, data))
print(f"same data, same seed: fitted once and twice equal: {twice}; fitted to other data first equal: {after_other}")
assert not twice and not after_other, "the behaviour has changed"
PYTHON
