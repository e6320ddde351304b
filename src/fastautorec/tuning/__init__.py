"""Search for parameters: what is tried, in which order, what it found."""

from fastautorec.tuning._result import TuningResult
from fastautorec.tuning._tune import tune

__all__ = ["TuningResult", "tune"]
