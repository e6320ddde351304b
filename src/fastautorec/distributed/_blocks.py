"""Sums whose state is too large to go to every worker at once: made from blocks of its columns, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec._training.closed_form import Encoder, gram_part, ridge_part
from fastautorec._training.losses import SquaredError

Total = Callable[..., Any]


def in_blocks(total: Total, most: int | None, part: Callable[..., Any], *state: Any) -> Any:
    """Return ``total(part, *state)`` with states, and sums but for their Gram matrix, of about ``most`` bytes each.

    The columns of a block of vectors do not depend on each other. HᵀH is made from pairs of blocks: b of them take
    b (b − 1) / 2 passes over 2 / b of the state each, which is b − 1 times what is sent without blocks.
    """
    if most is None:
        return total(part, *state)
    if part is gram_part:
        return _gram(total, most, *state)
    if part is ridge_part:
        return _ridge(total, most, *state)
    return total(part, *state)


def _gram(total: Total, most: int, target: SquaredError, block: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    product = np.empty_like(block)
    for own in blocks_of(len(block), block.shape[1], most, 1):
        product[:, own] = total(gram_part, target, np.ascontiguousarray(block[:, own]))
    return product


def _ridge(total: Total, most: int, encoder: Encoder, dropout: float, seed: int, target: SquaredError) -> Any:
    n, k = encoder.weight.shape
    blocks = blocks_of(n, k, most, 2)
    if len(blocks) < 3:  # a pair of them is all
        return total(ridge_part, encoder, dropout, seed, target)
    gram, cross = np.empty((encoder.width, encoder.width)), np.empty((n, encoder.width), np.float32)
    squares = np.zeros(n)
    for pair in combinations(blocks, 2):
        units = np.concatenate(pair)
        own = np.append(units, np.arange(k, encoder.width))  # the intercept is in every pair
        bias = None if encoder.bias is None else encoder.bias[units]
        some = replace(encoder, weight=np.ascontiguousarray(encoder.weight[:, units]), bias=bias)
        gram[np.ix_(own, own)], cross[:, own], squares = total(ridge_part, some, dropout, seed, target)
    return gram, cross, squares


def blocks_of(n: int, width: int, most: int | None, together: int) -> list[npt.NDArray[np.int64]]:
    """Return the numbers of columns in blocks of about one size, so many of which are sent together."""
    if most is None or 4 * n * width <= most:
        return [np.arange(width)]
    columns = most // (4 * n * together)
    if columns == 0:
        raise ValueError(
            f"`state_bytes` must be at least {4 * n * together:,} for {n:,} items, of which {together} columns go to "
            f"the workers together, got {most:,}"
        )
    return np.array_split(np.arange(width), -(-width // columns))


def check_pairs(size: int, most: int | None) -> None:
    """Raise ValueError if the sums over pairs of items, which are not cut, take more bytes than may be sent."""
    if most is not None and size > most:
        raise ValueError(f"`state_bytes` must be at least {size:,}, the bytes of items × items, got {most:,}")
