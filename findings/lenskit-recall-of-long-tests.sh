#!/usr/bin/env bash
# LensKit 2025.8.1: Recall@3 of one hit among eleven test items is 1/3, and Precision@10 of a list of three divides by 3.
#
# Recall divides by min(n, number of test items), so that a perfect short list has recall 1: for users with more test
# items than n it is what others call precision. Precision divides by the length of the list that was made, so a model
# that returns fewer items than asked for is not charged for the empty places. Both differ from the textbook exactly
# where data sets and models differ, in long test sets and short lists.
#
# Output seen with LensKit 2025.8.1, NumPy 2.4.6:
#   1 hit, 3 listed, 11 test items: Recall@3 0.333 (1/11 = 0.091), Precision@10 0.333 (1/10 = 0.100)
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet lenskit==2025.8.1 numpy==2.4.6 scipy==1.17.1
"$work/venv/bin/python" - <<'PYTHON'
from lenskit.data import ItemList
from lenskit.metrics import Precision, Recall

listed = ItemList(item_ids=[1, 2, 3], ordered=True)
wanted = ItemList(item_ids=[2, *range(7, 17)])
recall, precision = Recall(n=3).measure_list(listed, wanted), Precision(n=10).measure_list(listed, wanted)
print(f"1 hit, 3 listed, 11 test items: Recall@3 {recall:.3f} (1/11 = {1 / 11:.3f}), "
      f"Precision@10 {precision:.3f} (1/10 = {1 / 10:.3f})")
assert abs(recall - 1 / 3) < 1e-9 and abs(precision - 1 / 3) < 1e-9, "the behaviour has changed"
PYTHON
