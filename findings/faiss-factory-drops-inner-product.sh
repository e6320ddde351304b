#!/usr/bin/env bash
# faiss-cpu 1.15.1: index_factory forgets METRIC_INNER_PRODUCT for "HNSW…_PQ…", "HNSW…_N+PQ…" and "NSG…_PQ…".
#
# The index that comes back ranks by Euclidean distance, smallest first, though the inner product was asked for. Nothing
# is raised or warned. The neighbours of these strings do as asked ("HNSW…", "HNSW…_SQ8", "NSG…_SQ8", "PQ…"), other
# strings that cannot ("Residual…", "IMI…") raise, and the class IndexHNSWPQ itself takes the metric as an argument. Of
# 4,000 vectors with lengths as different as those of items, "PQ16x6" alone found 85 % of the ten best, "HNSW32_PQ16x6"
# 25 %. It was asked about for HNSW with PQ years ago; it holds in this version, and for NSG and the two-level string too.
#
# Output seen with faiss-cpu 1.15.1, NumPy 2.4.6 (metric_type 0 is the inner product, 1 the Euclidean distance):
#   PQ8x6           metric_type 0  scores fall
#   HNSW32_SQ8      metric_type 0  scores fall
#   NSG32_SQ8       metric_type 0  scores fall
#   HNSW32_PQ8x6    metric_type 1  scores rise
#   HNSW32_16+PQ8   metric_type 1  scores rise
#   NSG32_PQ8x6     metric_type 1  scores rise
#   IndexHNSWPQ     metric_type 0  scores fall
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet faiss-cpu==1.15.1 numpy==2.4.6
"$work/venv/bin/python" - <<'PYTHON'
import faiss
import numpy as np

faiss.omp_set_num_threads(1)
rng = np.random.default_rng(0)
items = rng.standard_normal((10000, 16)) * rng.lognormal(0, 0.5, (10000, 1))
items, queries = items.astype(np.float32), rng.standard_normal((100, 16)).astype(np.float32)


def seen(index):
    index.train(items)
    index.add(items)
    scores, _ = index.search(queries, 10)
    steps = np.diff(scores, axis=1)
    return index.metric_type, "fall" if (steps <= 0).all() else "rise" if (steps >= 0).all() else "jump"


kinds = {name: seen(faiss.index_factory(16, name, faiss.METRIC_INNER_PRODUCT))
         for name in ("PQ8x6", "HNSW32_SQ8", "NSG32_SQ8", "HNSW32_PQ8x6", "HNSW32_16+PQ8", "NSG32_PQ8x6")}
kinds["IndexHNSWPQ"] = seen(faiss.IndexHNSWPQ(16, 8, 32, 6, faiss.METRIC_INNER_PRODUCT))
for name, (metric, order) in kinds.items():
    print(f"{name:15} metric_type {metric}  scores {order}")
dropped = [name for name, kind in kinds.items() if kind == (faiss.METRIC_L2, "rise")]
assert dropped == ["HNSW32_PQ8x6", "HNSW32_16+PQ8", "NSG32_PQ8x6"], "the behaviour has changed"
assert sum(kind == (faiss.METRIC_INNER_PRODUCT, "fall") for kind in kinds.values()) == 4, "the behaviour has changed"
PYTHON
