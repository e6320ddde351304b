#!/usr/bin/env bash
# torchmetrics 1.9.0: a test item whose score is not above zero counts as not retrieved, however high it ranks.
#
# The retrieval metrics precision, recall, average precision and reciprocal rank drop all scores <= 0 before they look at
# the order. Hit rate, NDCG, R-precision and fall-out do not. Log-probabilities are never above zero, dot products and
# centred scores often are not: such a model has recall 0 beside NDCG 1 for the same perfect lists, and adding a constant
# to all scores, which changes no list, changes four metrics of eight.
#
# Output seen with torchmetrics 1.9.0, torch 2.13.0, NumPy 2.4.6:
#   scores 1 to 4:   average_precision 1, reciprocal_rank 1, precision 1, recall 1, hit_rate 1, normalized_dcg 1
#   scores -9 to -6: average_precision 0, reciprocal_rank 0, precision 0, recall 0, hit_rate 1, normalized_dcg 1
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torchmetrics==1.9.0 torch==2.13.0 numpy==2.4.6
"$work/venv/bin/python" - <<'PYTHON'
import torch
from torchmetrics.functional import retrieval

wanted, scores = torch.tensor([0, 0, 1, 1]), torch.tensor([1.0, 2.0, 3.0, 4.0])
names = ["average_precision", "reciprocal_rank", "precision", "recall", "hit_rate", "normalized_dcg"]
seen = {}
for shift, label in (0, "scores 1 to 4:  "), (-10, "scores -9 to -6:"):
    metrics = [getattr(retrieval, f"retrieval_{name}") for name in names]
    seen[shift] = [int(metric(scores + shift, wanted, top_k=2)) for metric in metrics]
    print(label, ", ".join(f"{name} {value}" for name, value in zip(names, seen[shift])))
assert seen == {0: [1] * 6, -10: [0, 0, 0, 0, 1, 1]}, "the behaviour has changed"
PYTHON
