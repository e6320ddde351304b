#!/usr/bin/env bash
# SciPy 1.10 to 1.12: eigh(driver="evd") cannot take a matrix of one row and column; the default driver can.
#
# The wrapper of LAPACK's syevd asks LAPACK how much workspace it wants, gets 1 for a matrix of one number, and then
# refuses that itself, for it wants 1 + 6n + 2n². The error is one of f2py and names no argument of eigh. Whoever asks
# for "evd" for its speed meets it with the smallest data only, such as a rank of one. SciPy 1.13 has it mended.
#
# Output seen with NumPy 1.26.4:
#   1.12.0  evd, 1 x 1: error  evd, 2 x 2: [1. 3.]  evr, 1 x 1: [2.]
#   1.13.1  evd, 1 x 1: [2.]  evd, 2 x 2: [1. 3.]  evr, 1 x 1: [2.]
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
for version in 1.12.0 1.13.1; do
  "$work/venv/bin/pip" install --quiet "scipy==$version" numpy==1.26.4
  "$work/venv/bin/python" - "$version" <<'PYTHON'
import sys

import numpy as np
import scipy
from scipy.linalg import eigh

one, two = np.full((1, 1), 2.0), np.array([[2.0, 1.0], [1.0, 2.0]])


def tried(matrix, driver):
    try:
        return str(np.round(eigh(matrix, driver=driver)[0], 6))
    except Exception:  # _flapack.error, which is no public class
        return "error"


found = [tried(one, "evd"), tried(two, "evd"), tried(one, "evr")]
print(f"{scipy.__version__}  evd, 1 x 1: {found[0]}  evd, 2 x 2: {found[1]}  evr, 1 x 1: {found[2]}")
assert found[1:] == ["[1. 3.]", "[2.]"], "the behaviour has changed"
assert found[0] == ("error" if sys.argv[1] == "1.12.0" else "[2.]"), "the behaviour has changed"
PYTHON
done
