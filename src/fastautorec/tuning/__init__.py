"""Search for parameters: what is tried, in which order, what it found; models chosen among, and over several splits."""

from fastautorec.tuning._cross_validate import CrossValidation, PooledReport, cross_validate
from fastautorec.tuning._result import TuningResult
from fastautorec.tuning._select import select
from fastautorec.tuning._selection import Selection
from fastautorec.tuning._tune import tune

__all__ = ["CrossValidation", "PooledReport", "Selection", "TuningResult", "cross_validate", "select", "tune"]
