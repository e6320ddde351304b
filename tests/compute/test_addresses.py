"""Limits of addresses: no more threads multiply than there is room for, and what is missing is said."""

from __future__ import annotations

import subprocess
import sys

import pytest

import fastautorec as far
from fastautorec import _compute
from fastautorec._compute import addresses as _addresses

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits as Linux has them")

PROGRAM = """
import resource, sys
import numpy as np
from pathlib import Path
from fastautorec import EASE, NCEAutoRec, datasets
used = int(Path("/proc/self/status").read_text().partition("VmSize:")[2].split()[0]) * 1024
data = datasets.synthetic(3000, 300, 40_000)
limit = used + int(sys.argv[1]) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for threads in (1, 2, 7):
    try:
        model = NCEAutoRec(factors=20, num_threads=threads).fit(data)
        EASE(num_threads=threads).fit(data).recommend(data)
    except MemoryError as error:
        print("MemoryError")
        continue
    print("fitted")
"""


@pytest.mark.parametrize("extra", [5, 30, 90, 150, 250, 400])
def test_a_limit_ends_no_process(extra: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(extra)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "OpenBLAS" not in done.stderr
    lines = done.stdout.split()
    assert set(lines) <= {"fitted", "MemoryError"}
    assert lines == (["MemoryError"] * 3 if extra <= 30 else lines)
    assert lines == (["fitted"] * 3 if extra >= 250 else lines)


def test_what_is_to_be_set_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_addresses, "_known", 0)
    monkeypatch.setattr(_compute, "_addresses_are_limited", lambda: True)
    monkeypatch.setattr(_addresses, "_is_room", lambda size: False)
    with pytest.raises(MemoryError, match=r"`ulimit -v`.* raise it, or set OPENBLAS_NUM_THREADS=1"):
        far.Popularity().fit(far.datasets.synthetic(50, 20, 300))
    monkeypatch.setattr(_addresses, "_is_room", lambda size: size < 300 << 20)
    assert 1 <= _compute.resolve_num_threads(100) < 10
    monkeypatch.setattr(_addresses, "_calls", tuple)  # another BLAS
    assert _compute.resolve_num_threads(100) == 100


@pytest.mark.parametrize("threads", [2**31, 10**30])
def test_more_threads_than_a_number_holds(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = far.datasets.synthetic(50, 20, 300)
    with pytest.raises(ValueError, match="`num_threads` must be"):
        far.Popularity(num_threads=threads).fit(data)
    monkeypatch.setenv(_compute.ENVIRONMENT_VARIABLE, str(threads))
    with pytest.raises(ValueError, match="FASTAUTOREC_NUM_THREADS must be an integer >= 1"):
        far.Popularity().fit(data)


def test_a_penalty_that_floats_hardly_hold() -> None:
    with pytest.raises(ValueError, match=r"`regularization`=4\.94066e-324 leaves the linear system singular"):
        far.NCEPLRec(regularization=5e-324).fit(far.datasets.synthetic(60, 40, 900))
