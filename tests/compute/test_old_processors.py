"""Inverses with the kernels that OpenBLAS takes on processors without AVX, and where it does not know the processor."""

from __future__ import annotations

import os
import subprocess
import sys

SCRIPT = """
import numpy as np
from fastautorec._compute.symmetric import invert_spd

rng = np.random.default_rng(0)
for dtype in (np.float32, np.float64):
    for n in (*range(1, 270, 4), 449, 513):
        matrix = rng.random((n, n)).astype(dtype)
        matrix = matrix @ matrix.T / n + np.eye(n, dtype=dtype)
        inverse = invert_spd(matrix.copy(), 2)
        assert np.abs(inverse @ matrix - np.eye(n)).max() < 1e-3, n
"""


def test_inverses_of_all_sizes() -> None:
    """A lower triangle of 193, 201 or 203 rows ended the process."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "OPENBLAS_CORETYPE": "Prescott"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
