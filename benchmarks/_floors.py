"""What whole fits and epochs cannot do without: dense arithmetic, and rows out of the caches for the stored entries."""

from __future__ import annotations

from fastautorec._training.closed_form import OVERSAMPLING, PASSES

FLOAT = 4  # bytes


def closed_form(m: int, n: int, nnz: int, k: int) -> dict[str, int]:
    """Return the needs of ``NCEAutoRec(k)``: the passes of the subspace iteration, then the ridge head."""
    width = k + OVERSAMPLING
    embedding = PASSES * 2 * n * width**2  # half a symmetric product and one with a triangle, after each pass
    head = m * k**2 + n * k**2 + 2 * n * k**2
    rows = PASSES * 2 * nnz * width + 2 * nnz * k
    return {"flop": embedding + head, "gathered": FLOAT * rows}


def joint_epoch(m: int, n: int, nnz: int, k: int, batch: int, heads: int) -> dict[str, int]:
    """Return the needs of an epoch of Adam with ``heads`` heads of squared error, each the cheaper way."""
    steps = -(-m // batch)
    tiles = 6 * n * batch * k
    gram = n * k**2 + batch * k**2 + 2 * n * k**2 + 2 * batch * k**2
    by_gram = gram < tiles
    rows = nnz * k * (2 + (2 * heads if by_gram else 0))  # encoder to and fro, at each head T D and T^T H
    weights_and_moments = 6 * n * k * (1 + heads) * steps  # read and written
    return {"flop": steps * heads * min(gram, tiles), "gathered": FLOAT * (rows + weights_and_moments)}
