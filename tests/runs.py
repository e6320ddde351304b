"""A run of a fit over given rows, for tests of what is in one."""

from __future__ import annotations

from fastautorec._compute.csr import Csr
from fastautorec._compute.protocol import Backend
from fastautorec._training.run import FitRun, ProgressBar


def run_on(backend: Backend, rows: Csr, held_out: Csr | None = None) -> FitRun:
    """Return a run without a bar."""
    return FitRun(backend, rows, held_out, (), ProgressBar("", show=False))
