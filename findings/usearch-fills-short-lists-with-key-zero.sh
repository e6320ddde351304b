#!/usr/bin/env bash
# usearch 2.26.6: a search for several vectors fills lists that are too short with key 0, which is the key of an item.
#
# An index of 5 items is asked for the 10 nearest of 3 vectors. `keys` has 10 columns, and the 5 that nothing was found
# for hold 0: the key of the first item, which is in the list already. Other indexes put -1 there (faiss), shorten the
# lists, or refuse (hnswlib). One has to know `counts`, or that a distance is NaN. A search for a single vector gives a
# list of 5 instead. Whoever takes `keys` for item numbers, as recommenders do, recommends item 0 five times over.
#
# Output seen with usearch 2.26.6, NumPy 2.4.6:
#   single vector: keys [4 0 2 3 1]
#   batch, first row: keys [4 0 2 3 1 0 0 0 0 0], counts [5 5 5], distances that are NaN: 5 a row
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet usearch==2.26.6 numpy==2.4.6
"$work/venv/bin/python" - <<'PYTHON'
import numpy as np
from usearch.index import Index

rng = np.random.default_rng(0)
items, queries = rng.standard_normal((5, 8)).astype(np.float32), rng.standard_normal((3, 8)).astype(np.float32)
index = Index(ndim=8, metric="ip", dtype="f32")
index.add(np.arange(5), items)

single, batch = index.search(queries[0], 10), index.search(queries, 10)
empty = np.isnan(np.asarray(batch.distances))
print("single vector: keys", single.keys)
print(f"batch, first row: keys {batch.keys[0]}, counts {batch.counts}, distances that are NaN: {empty.sum(axis=1)[0]} a row")
assert len(single.keys) == 5, "the behaviour has changed"
assert batch.keys.shape == (3, 10) and (np.asarray(batch.counts) == 5).all(), "the behaviour has changed"
assert (np.asarray(batch.keys)[:, 5:] == 0).all() and empty[:, 5:].all(), "the behaviour has changed"
assert (np.sort(np.asarray(batch.keys)[:, :5]) == np.arange(5)).all(), "the behaviour has changed"
PYTHON
