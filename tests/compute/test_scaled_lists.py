"""Lists by several rows of factors from one reading of the scores, against a list of the products for each row."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from fastautorec._compute.cpu import CpuBackend
from fastautorec._compute.inputs import check_user_items
from fastautorec._compute.reference import ReferenceBackend

USERS = 37


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("n_top", [1, 5, 60])
@pytest.mark.parametrize("widths", [(3,), (17, 5), (300, 257, 300), (2000, 1, 900)])
def test_as_lists_of_the_products(widths: tuple[int, ...], n_top: int, threads: int) -> None:
    rng, n = np.random.default_rng(len(widths) + n_top), sum(widths)
    scores = np.round(rng.normal(size=(USERS, n)), 1).astype(np.float32)  # many are equal
    scores[20:] += np.linspace(0, 4, n, dtype=np.float32)  # most of the best are in the last tile
    scores[rng.random(scores.shape) < 0.02] = np.nan
    scores[rng.random(scores.shape) < 0.02] = -np.inf
    scores[3] = -np.inf
    scores[4] = np.nan
    scores[5] = 0
    scores[6] = -0.0
    factors = np.stack([rng.integers(1, 40, n) ** power for power in (0.0, -0.7, 0.4)]).astype(np.float32)
    exclude = check_user_items("exclude", sparse.random(USERS, n, 0.1, "csr", np.float32, random_state=1).ceil())
    backend, plain = CpuBackend(threads), ReferenceBackend()
    for left_out in (None, exclude):
        found, expected, first = None, [None] * len(factors), 0
        for width in widths:
            tile, own = scores[:, first : first + width], factors[:, first : first + width]
            found = backend.scaled_top_items(tile, own, n_top, left_out, first, found)
            expected = [
                plain.top_items(tile * row, n_top, left_out, first, best)
                for row, best in zip(own, expected, strict=True)
            ]
            first += width
        for part in (0, 1):
            np.testing.assert_array_equal(found[part], np.concatenate([best[part] for best in expected]))


def test_sizes_that_do_not_fit_are_refused() -> None:
    backend, scores = CpuBackend(), np.zeros((2, 5), np.float32)
    with pytest.raises(ValueError, match="factors must have the columns of scores"):
        backend.scaled_top_items(scores, np.ones((3, 4), np.float32), 2, None, 0, None)
    best = np.zeros((5, 2), np.int32), np.zeros((5, 2), np.float32)
    with pytest.raises(ValueError, match=r"ids and best must be \(factors \* users, n_top\)"):
        backend.scaled_top_items(scores, np.ones((3, 5), np.float32), 2, None, 0, best)
