"""Early stopping, where it is decided."""

from __future__ import annotations

import math

import pytest

from fastautorec._training.stopping import Stopping


@pytest.mark.parametrize(
    ("values", "best", "stale"),
    [
        ([0.3], 1, 0),
        ([0.1, 0.3, 0.2, 0.3], 2, 2),  # as good is not better
        ([-3.0, -2.0, -2.5], 2, 1),  # losses with a minus sign
        ([-math.inf, -math.inf], 0, 2),
        ([math.nan, 0.1], 2, 0),
    ],
)
def test_the_best_epoch_and_how_long_ago_it_was(values: list[float], best: int, stale: int) -> None:
    stopping = Stopping()
    told = []
    for stopping.epoch, value in enumerate(values, start=1):
        told.append(stopping.judge(value))
    assert (stopping.best_epoch, stopping.stale) == (best, stale)
    assert stopping.stale == stopping.epoch - stopping.best_epoch
    assert [epoch for epoch, better in enumerate(told, start=1) if better][-1:] == ([best] if best else [])


def test_an_epoch_that_cannot_be_compared_is_the_best_so_far() -> None:
    stopping = Stopping(epoch=1)
    assert stopping.judge(-1.0)
    stopping.epoch = 2
    assert stopping.judge(-2.0, anyway=True)
    assert (stopping.best_epoch, stopping.best_metric, stopping.stale) == (2, -2.0, 0)
    stopping.epoch = 3
    assert stopping.judge(-1.5)
