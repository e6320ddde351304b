"""Early stopping: the decision which epoch is the best so far, and how long ago that was."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass
class Stopping:
    """Epochs of a phase so far.

    Attributes
    ----------
    epoch : int
    best_epoch : int
        The best one, or 0, the start.
    best_metric : float
        What it was judged by: a metric, or minus the loss where there is nothing to validate on.
    stale : int
        Epochs since then; a phase ends when they are as many as the model's ``patience``.
    """

    epoch: int = 0
    best_epoch: int = 0
    best_metric: float = -math.inf
    stale: int = 0

    def judge(self, value: float, anyway: bool = False) -> bool:
        """Take the value of an epoch and return whether it is the best so far; ``anyway`` makes it the best."""
        if value > self.best_metric or anyway:
            self.best_metric, self.best_epoch, self.stale = value, self.epoch, 0
            return True
        self.stale += 1
        return False
