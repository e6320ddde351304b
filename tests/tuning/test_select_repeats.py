"""What is held out by time of data with pairs that repeat: told once, and not where nothing is held out by time."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import numpy as np
import pytest

import fastautorec as far

DRAWN = np.random.default_rng(0).integers((0, 0, 0), (60, 20, 99), (900, 3))
ROWS = dict(zip(("user", "item", "timestamp"), DRAWN.T, strict=True))


def told(call: Any, *args: Any, **words: Any) -> int:
    """Return how often pairs that repeat are spoken of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(*args, **words)
    return sum("at several times" in str(one.message) for one in caught)


def data_of(repeats: str = "last") -> far.Interactions:
    return far.Interactions.from_dataframe(ROWS, verbose=False, repeats=repeats)


CHOOSING = far.NCEAutoRecCV(factors=[2, 4])


@pytest.mark.parametrize(("repeats", "times"), [("last", 1), ("first", 0)])
def test_select_and_the_models_that_hold_out_tell_once(repeats: str, times: int) -> None:
    data, words = data_of(repeats), {"models": [far.Popularity(), CHOOSING], "show_progress": False}
    assert told(far.select, data, **words) == times
    assert told(CHOOSING.fit, data) == 0
    assert told(CHOOSING.fit, data_of(repeats)) == times
    assert told(far.EASE().fit, data_of(repeats)) == 0
    assert told(far.cross_validate, CHOOSING, data_of(repeats), folds=3, k=5) == times
    windows = partial(far.rolling, data_of(repeats), 10, 2)
    assert told(lambda: far.cross_validate(CHOOSING, folds=windows(), k=5)) == times


def test_without_times_nothing_is_told() -> None:
    bare = far.Interactions.from_dataframe(ROWS, timestamp=False, verbose=False)
    assert told(far.select, bare, models=[far.Popularity(), CHOOSING], show_progress=False) == 0
