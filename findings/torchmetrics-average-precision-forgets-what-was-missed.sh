#!/usr/bin/env bash
# torchmetrics 1.9.0: with top_k, average precision divides by what was found, so a worse list can have a higher value.
#
# The usual denominator of average precision at k is min(k, number of test items). Here it is the number of test items
# among the first k, and what was missed costs nothing: one hit at rank 1 is 1.0, with four test items too, and the same
# list with one more hit further down has less. Early stopping by RetrievalMAP(top_k=...) prefers the former.
#
# Output seen with torchmetrics 1.9.0, torch 2.13.0, NumPy 2.4.6:
#   4 test items, top_k 5: hit at 1 is 1.000, hits at 1 and 5 are 0.700; over min(k, 4): 0.250, 0.350
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torchmetrics==1.9.0 torch==2.13.0 numpy==2.4.6
"$work/venv/bin/python" - <<'PYTHON'
import torch
from torchmetrics.functional.retrieval import retrieval_average_precision

scores = torch.linspace(1.0, 0.1, 9)
one, two = torch.tensor([1, 0, 0, 0, 0, 0, 1, 1, 1]), torch.tensor([1, 0, 0, 0, 1, 0, 0, 1, 1])
first, second = (float(retrieval_average_precision(scores, wanted, top_k=5)) for wanted in (one, two))
print(f"4 test items, top_k 5: hit at 1 is {first:.3f}, hits at 1 and 5 are {second:.3f}; "
      f"over min(k, 4): {1 / 4:.3f}, {(1 + 2 / 5) / 4:.3f}")
assert first == 1 and abs(second - 0.7) < 1e-6, "the behaviour has changed"
PYTHON
