#!/usr/bin/env bash
# Cornac 3.0.1: the AUC of a model that cannot tell items apart is 0, not one half.
#
# A pair of a test item and another item with equal scores counts as lost; elsewhere it counts as half won. Models with
# few distinct scores lose most by it: popularity among rarely used items, neighbourhood models with zeros, anything
# that was rounded. 0 reads as "always wrong".
#
# Output seen with Cornac 3.0.1, scikit-learn 1.9.1, NumPy 2.4.6:
#   equal scores: AUC 0.0, scikit-learn 0.5
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet cornac==3.0.1 numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1
"$work/venv/bin/python" - <<'PYTHON'
import numpy as np
import sklearn
from cornac.metrics import AUC
from sklearn.metrics import roc_auc_score

scores, wanted = np.ones(6), np.array([1, 4])
own = AUC().compute(item_indices=np.arange(6), pd_scores=scores, gt_pos=wanted)
other = roc_auc_score(np.isin(np.arange(6), wanted), scores)
print(f"equal scores: AUC {own}, scikit-learn {other} ({sklearn.__version__})")
assert own == 0 and other == 0.5, "the behaviour has changed"
PYTHON
