"""Search for parameters: what is tried, in which order, what it found; and models over several splits."""

from fastautorec.tuning._cross_validate import CrossValidation, PooledReport, cross_validate
from fastautorec.tuning._result import TuningResult
from fastautorec.tuning._tune import tune

__all__ = ["CrossValidation", "PooledReport", "TuningResult", "cross_validate", "tune"]
