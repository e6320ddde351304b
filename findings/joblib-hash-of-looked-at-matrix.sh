#!/usr/bin/env bash
# joblib 1.6.0 with SciPy 1.17.1: reading a property of a CSR matrix changes its hash, so caches compute again.
#
# SciPy answers `has_canonical_format` once and keeps the answer as an attribute of the matrix; joblib.hash takes every
# attribute in. No value has changed, but joblib.Memory no longer knows the matrix: a function of it runs a second time
# because somebody in between asked the matrix a question. Any library that checks its input does so.
#
# Output seen with joblib 1.6.0, SciPy 1.17.1, NumPy 2.4.6:
#   equal matrices: True, equal hashes: False, runs of the cached function: 2
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet joblib==1.6.0 numpy==2.4.6 scipy==1.17.1
cat >"$work/look.py" <<'PYTHON'
import sys

import joblib
from scipy import sparse

runs = []


def total(matrix):
    runs.append(1)
    return matrix.sum()


cached = joblib.Memory(sys.argv[1], verbose=0).cache(total)
matrix = sparse.csr_matrix(([1.0, 2.0, 3.0], [0, 2, 1], [0, 2, 3]), shape=(2, 3))
before, copy = joblib.hash(matrix), matrix.copy()
cached(matrix)
matrix.has_canonical_format  # only looked at
cached(matrix)
same = before == joblib.hash(matrix)
print(f"equal matrices: {(matrix != copy).nnz == 0}, equal hashes: {same}, runs of the cached function: {len(runs)}")
assert not same and len(runs) == 2, "the behaviour has changed"
PYTHON
"$work/venv/bin/python" "$work/look.py" "$work/cache"
