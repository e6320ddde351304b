"""Splits that leave nothing: who has too few interactions, and how many are needed."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import sparse

import fastautorec as far
from fastautorec.data._splits import empty_part


def histories(*lengths):
    rows = np.repeat(np.arange(len(lengths)), lengths)
    columns = np.concatenate([np.arange(length) for length in lengths])
    return sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), (len(lengths), max(*lengths, 12)))


@pytest.mark.parametrize(
    ("ratios", "needed"),
    [((0.5, 0.2, 0.3), 4), ((0.8, 0.2), 5), ((0.5, 0.5), 2), ((1 / 3, 1 / 3, 1 / 3), 3), ((0.8, 0.1, 0.1), 10)],
)
def test_the_number_that_is_needed_is_the_least_that_is_enough(ratios, needed):
    short, long = histories(*[needed - 1] * 3), histories(*range(needed, needed + 30))
    with pytest.warns(UserWarning, match=rf"users need {needed} or more .* 0 of 3 have so many; .* {needed - 1}; give"):
        far.split(short, ratios, by="random")
    for row in range(long.shape[0]):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert all(part.nnz for part in far.split(long[row], ratios, by="random"))


def test_enough_is_enough_for_every_length_beyond():
    """With a small share in the middle some longer histories have nothing there, though shorter ones have."""
    ratios = (0.75, 0.05, 0.2)
    text = empty_part(histories(10, 10).indptr, ratios)
    needed = int(text.split("need ")[1].split()[0].replace(",", ""))
    assert empty_part(histories(8).indptr, ratios) == ""
    for length in range(needed, needed + 200):
        assert empty_part(histories(length).indptr, ratios) == ""
    assert empty_part(histories(needed - 1).indptr, ratios) != ""


def test_the_part_is_named_and_one_user_is_enough():
    assert empty_part(histories(3, 3).indptr, (0.5, 0.2, 0.3)).startswith("part 3 of 3 is empty")
    assert empty_part(histories(1, 1).indptr, (0.5, 0.2, 0.3)).startswith("part 2 of 3 is empty")
    assert empty_part(histories(3, 3, 4).indptr, (0.5, 0.2, 0.3)) == ""
    assert empty_part(np.zeros(4, np.int64), (0.5, 0.5)) == ""  # nothing in, nothing out


def test_a_share_of_next_to_nothing_takes_no_memory():
    assert "need 2,000,000,000 or more" in empty_part(histories(3).indptr, (1 - 1e-9, 1e-9))


def test_evaluation_and_fit_say_what_is_needed():
    data = histories(3, 3, 3, 4)
    with pytest.warns(UserWarning, match="part 2 of 2 is empty"):
        train, test = far.split(data, (0.8, 0.2), by="random")
    needed = "users need 5 or more interactions to have one in every part, and 0 of 4 have so many"
    with pytest.raises(ValueError, match=needed):
        far.evaluate(far.Popularity().fit(train), train, test, k=3)
    with pytest.raises(ValueError, match=needed):
        far.evaluation.evaluate_ranking(np.zeros((4, 3), int), train, test, k=3)
    with pytest.raises(ValueError, match=needed):
        far.EASE().fit(train, validation=test)
    with pytest.raises(ValueError, match=f"the first one: .*{needed}"):
        far.tune(far.EASE, train, test, {"regularization": [1.0]})
