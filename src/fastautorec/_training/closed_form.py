"""Exact solutions: an encoder from the leading singular vectors of a sparse matrix, and the ridge head on it.

Both walk the users in tiles, or the items where that is cheaper, and keep only item-side arrays, so memory is
O(items × units) whatever the number of users.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec._compute.csr import BLOCK_ENTRIES, Csr
from fastautorec._compute.protocol import Backend, FloatArray
from fastautorec._compute.symmetric import DOUBTFUL, inverse_or_none
from fastautorec._compute.top_lists import DotScorer
from fastautorec._training.item_sums import items_are_cheaper, sums_by_items
from fastautorec._training.losses import SquaredError
from fastautorec._training.run import FitRun
from fastautorec._training.subspace import OVERSAMPLING, PASSES, leading_eigenvectors, low_rank_root

Float64Array = npt.NDArray[np.float64]

INTERACTIONS = SquaredError()  # whose target is R itself

# Where the span alone counts, that many vectors, and that part of the items, need two passes fewer: validation NDCG
# .20085 and then .20075 for 1,000 of 3,533 (mean of six seeds), .48001 and .47992 for 2,000 of 5,460; but .2043 and
# .2035 for 1,000 of 9,990.
MANY, MANY_SHARE = 1000, 0.25
WIDE = 2000  # singular vectors of which a fourth pass changed validation NDCG by .00013 at most (rank 2,000, two sets)
TILE_BYTES = 32 << 20  # bytes of a tile of hidden units; long tiles mean few products with the (items, units) arrays
DROPOUT_MASKS = 4
SCALE_USERS = 512


# --- truncated SVD --------------------------------------------------------------------------------------------------


def svd_encoder(
    run: FitRun,
    target: SquaredError,
    rank: int,
    factors: int,
    spectrum_power: float,
    rng: np.random.Generator,
    passes: int | None = None,
    any_basis: bool = False,
) -> FloatArray:
    """Return W = V Σᵖ (n, rank) of the truncated SVD of the target, up to its scale.

    ``any_basis`` says that W Q will do for any rotation Q, as for linear units under a ridge penalty: then V Σ needs no
    eigenvectors.
    """
    check_rank(factors, rank, int(np.count_nonzero(run.train.row_lengths())), run.train.n_cols)
    target = target.relative()
    if any_basis and spectrum_power == 1:
        return _subspace(run, target, rank, rng, passes or usual_passes(rank, run.train.n_cols, any_basis))
    vectors, singular = right_singular_vectors(run, target, rank, rng, passes or usual_passes(rank, run.train.n_cols))
    largest = singular[0] if singular[0] > 0 else 1.0
    relative = np.maximum(singular / largest, np.finfo(np.float32).tiny)
    vectors *= run.backend.to_device(np.where(singular > 0, relative**spectrum_power, 0).astype(np.float32))
    return vectors


def check_rank(factors: object, rank: int, users: int, n: int) -> None:
    """Raise ValueError if a matrix of so many users with interactions and n items has fewer singular vectors."""
    if rank > min(users, n):
        raise ValueError(
            f"`factors`={factors} needs {rank} singular vectors, but a matrix of {users} users with interactions and "
            f"{n} items has at most {min(users, n)}; use fewer factors, or leave `factors` out to have them chosen"
        )


def usual_passes(rank: int, n: int, any_basis: bool = False) -> int:
    """Return the number of passes over the data for so many singular vectors of n items, or for any basis of them."""
    if any_basis:
        return PASSES - 2 * (rank >= MANY and rank >= MANY_SHARE * n)
    return PASSES - (rank >= WIDE)


def right_singular_vectors(
    run: FitRun, target: SquaredError, rank: int, rng: np.random.Generator, passes: int
) -> tuple[FloatArray, Float64Array]:
    """Return V (n, rank) and the singular values (rank,) of T, descending, by randomized subspace iteration.

    References
    ----------
    Halko, Martinsson and Tropp (2011), "Finding structure with randomness", algorithms 4.4 and 5.5.
    """
    root = _subspace(run, target, min(rank + OVERSAMPLING, run.train.n_cols), rng, passes)
    vectors, eigenvalues = leading_eigenvectors(run.backend, root, rank)
    return vectors, np.sqrt(eigenvalues)


def _subspace(run: FitRun, target: SquaredError, width: int, rng: np.random.Generator, passes: int) -> FloatArray:
    """Return B (n, width) with B Bᵀ ≈ TᵀT, which is V Σ up to a rotation. The (users, rank) factor never exists."""
    return low_rank_root(
        run.backend, partial(run.total, gram_part, target), run.train.n_cols, width, rng, passes, run.step
    )


def gram_part(
    backend: Backend, rows: Csr, step: Callable[[str], None], target: SquaredError, block: FloatArray
) -> FloatArray:
    """Return TᵀT block (n, width) of some users."""
    return target.gram_product(backend, rows, block)


# --- ridge head -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Encoder:
    """H₁ = [act(X W + b), g]: hidden units of user histories, and a column for the intercept where there is one.

    Attributes
    ----------
    weight : float32 (n, k)
    bias : float32 (k,) or None
    activation : str
    normalize : {"l2", None}
        Whether each row of X has unit length.
    intercept : {"history", "constant", None}
        Last column g: "history" is g_i = ‖r_i‖₁^(-½), so that popularity counts most for the users of whom least is
        known; "constant" is 1; without one there is no such column.
    """

    weight: FloatArray
    bias: FloatArray | None
    activation: str
    normalize: str | None
    intercept: str | None

    @property
    def width(self) -> int:
        """Columns of H₁."""
        return int(self.weight.shape[1]) + (self.intercept is not None)

    @property
    def input_power(self) -> float:
        """The power of a history's length that its row of X is divided by."""
        return 0.0 if self.normalize is None else 0.5

    @property
    def intercept_power(self) -> float | None:
        """The power of a history's length that its g is divided by; None without an intercept."""
        return None if self.intercept is None else 0.5 if self.intercept == "history" else 0.0

    def inputs(self, history: Csr) -> Csr:
        """Return X of binary histories."""
        return history.weighted(None, self.input_power) if self.input_power else history

    def hidden(self, backend: Backend, inputs: Csr, out: FloatArray | None = None) -> FloatArray:
        """Return H₁ (q, width) of already normalised inputs."""
        k = self.weight.shape[1]
        if out is None:
            out = backend.empty(inputs.shape[0], self.width)
        backend.encode(inputs, self.weight, self.bias, self.activation, out=out[:, :k])
        if self.intercept_power is not None:
            inputs.length_powers(self.intercept_power, out[:, k])
        return out

    def units(self, backend: Backend, history: Csr) -> FloatArray:
        """Return hidden units of binary histories without the column of an intercept, (q, k)."""
        return contiguous(self.hidden(backend, self.inputs(history))[:, : self.weight.shape[1]])

    def scorer(self, decoder: FloatArray) -> DotScorer:
        """Return the scorer H₁ D₁ᵀ of histories."""
        return DotScorer(lambda backend, history: self.hidden(backend, self.inputs(history)), decoder)


def contiguous(matrix: FloatArray) -> FloatArray:
    """Return a matrix whose rows follow each other without gaps: itself, if it is one, or a copy."""
    return matrix if matrix.flags.c_contiguous else matrix.copy()


def typical_size(backend: Backend, encoder: Encoder, train: Csr) -> float:
    """Return the root mean square of XW over evenly spaced users, which act() should see as about 1."""
    users = np.arange(0, train.shape[0], -(-train.shape[0] // SCALE_USERS))
    sample = train.take_rows(users).rows(0, len(users))  # this brings them to a device, wherever the other rows are
    linear = backend.encode(encoder.inputs(sample), encoder.weight)
    size = math.sqrt(backend.sum_of_squares(linear) / linear.size)
    return size if size > 0 else 1.0


@dataclass
class RidgeHead:
    """What the exact solution of a head needs of the data; one pass over them serves every penalty."""

    gram: Float64Array  # H₁ᵀH₁ (k + 1, k + 1)
    cross: FloatArray  # TᵀH₁ (n, k + 1)
    noise: Float64Array  # what input dropout adds to the first block of the Gram matrix, (k, k)
    mean_degree: float  # interactions per user

    def penalties(self, regularization: float, intercept_penalty: float = 0.0) -> tuple[float, float]:
        """Return λ and λ₀ of penalties that are relative to the data, so that a value means the same on every set.

        λ is that of `relative_penalty`, and λ₀ = ``intercept_penalty`` × Σ g_i².
        """
        k = len(self.noise)
        own = relative_penalty(regularization, self.mean_degree, np.diag(self.gram)[:k])
        return own, intercept_penalty * float(self.gram[k, k]) if len(self.gram) > k else 0.0

    def solve(self, backend: Backend, regularization: float, intercept_penalty: float) -> FloatArray:
        """Return D₁ (n, k + 1), the minimiser of Σ‖t_i − D₁h_i‖² + λ‖D‖² + λ₀‖c‖² with relative penalties."""
        inverse = self.inverse(backend, regularization, intercept_penalty)
        return backend.matmul(self.cross, inverse, np.empty_like(self.cross))

    def inverse(self, backend: Backend, regularization: float, intercept_penalty: float) -> npt.NDArray[Any]:
        """Return (H₁ᵀH₁ + noise + penalties)⁻¹ (k + 1, k + 1), float32 where that is precise enough."""
        k = len(self.noise)
        system = self.gram.copy()
        penalty, last_penalty = self.penalties(regularization, intercept_penalty)
        system[:k, :k] += self.noise
        system[np.arange(k), np.arange(k)] += penalty
        if len(system) > k:
            system[k, k] += last_penalty
        return inverse_of_system(system.astype, regularization, backend.host.num_threads)


def relative_penalty(regularization: float, mean_degree: float, squares: Float64Array) -> float:
    """Return λ = ``regularization`` × √(interactions per user) × tr(HᵀH) / k, for the diagonal of HᵀH (k,).

    Units that are all 0 have nothing to be relative to, for example where every user has every item: then 1 stands for
    their size, and any λ > 0 gives them decoders of 0.
    """
    size = float(squares.sum())
    return regularization * math.sqrt(mean_degree) * (size if size > 0 else 1.0) / len(squares)


def inverse_of_system(
    system: Callable[[type], npt.NDArray[Any]], regularization: float, num_threads: int
) -> npt.NDArray[Any]:
    """Return the inverse of a linear system, which is made in the type asked for: float32 where that will do.

    Raises
    ------
    ValueError
        If the system is singular in double precision.
    """
    for precision, doubtful in ((np.float32, DOUBTFUL), (np.float64, np.inf)):
        with np.errstate(over="ignore"):  # what float32 cannot hold is left to float64
            made = system(precision)
        inverse = inverse_or_none(made, num_threads, doubtful)
        if inverse is not None:
            return inverse
    raise ValueError(
        f"`regularization`={regularization:g} leaves the linear system singular; use another value > 0, "
        "for example 0.01"
    )


def accumulate_ridge(
    run: FitRun, encoder: Encoder, dropout: float, seed: int, target: SquaredError = INTERACTIONS
) -> RidgeHead:
    """Return what the exact solution of a head needs, for input dropout with rate ``dropout``.

    For the identity activation the expectation over all masks is exact: it adds q / (1 − q) Wᵀ diag(XᵀX) W to HᵀH and
    nothing to RᵀH. Other activations average a few masks.
    """
    total, cross, squares = run.total(ridge_part, encoder, dropout, seed, target)
    k = encoder.weight.shape[1]
    noise = np.zeros((k, k))
    if dropout and squares.any():
        deviations = np.sqrt(squares * (dropout / (1 - dropout))).astype(np.float32)
        weighted = encoder.weight * run.backend.to_device(deviations)[:, None]
        noise = run.backend.cross_product(weighted, weighted)
    return RidgeHead(total, cross, noise, run.train.nnz / run.train.shape[0])


def ridge_part(
    backend: Backend,
    user_items: Csr,
    step: Callable[[str], None],
    encoder: Encoder,
    dropout: float,
    seed: int,
    target: SquaredError,
) -> tuple[Float64Array, FloatArray, Float64Array]:
    """Return H₁ᵀH₁, TᵀH₁ and, where the expectation over masks is exact, Σ x² of each item, of some users."""
    exact = encoder.activation == "identity" or dropout == 0
    masks = 1 if exact else DROPOUT_MASKS
    (m, n), nnz, k, width = user_items.shape, user_items.nnz, encoder.weight.shape[1], encoder.width
    tile = tile_users(width, m, nnz) * backend.tile_factor
    linear = encoder.activation == "identity" and (encoder.bias is None or not encoder.bias.any())
    if linear and items_are_cheaper(m, n, nnz, k):
        step("prediction")
        powers = encoder.input_power, encoder.intercept_power
        return sums_by_items(backend, user_items, encoder.weight, *powers, target, tile)
    total = np.zeros((width, width))
    cross = backend.empty(n, width)
    cross.fill(0)
    squares = np.zeros(n)
    buffer = None
    tiles = -(-m // tile)

    def products(rows: Csr, mask: int, hidden: FloatArray) -> tuple[Float64Array, Float64Array | int]:
        """Return H₁ᵀH₁ and Σ x² of some users, and add their TᵀH₁ to ``cross``; nothing else of a tile outlives it."""
        inputs = encoder.inputs(rows)
        encoder.hidden(backend, inputs if exact else backend.drop_entries(inputs, dropout, seed, mask), hidden)
        gram = backend.cross_product(hidden, hidden) / masks
        more_squares = inputs.column_squares() if exact and dropout else 0
        backend.encode_backward(target.target(rows), hidden, out=cross)  # allocates before it adds
        return gram, more_squares

    for mask in range(masks):
        start = 0
        while start < m:
            stop = min(start + tile, m)
            step(f"prediction {mask * tiles + stop * tiles // m}/{masks * tiles}")
            try:
                if buffer is None:
                    buffer = backend.empty(min(tile, m), width)
                gram, more_squares = products(user_items.rows(start, stop), mask, buffer[: stop - start])
            except backend.out_of_memory:  # nothing was added yet: the same users come again in smaller tiles
                buffer, tile = None, backend.halved(stop - start)
                continue
            total += gram
            squares += more_squares
            start = stop
    cross /= masks
    return total, cross, squares


def tile_users(width: int, m: int, nnz: int) -> int:
    """Return the number of users in a tile of hidden units, which limits their interactions too."""
    return max(1024, min(TILE_BYTES // (4 * max(width, 1)), BLOCK_ENTRIES * m // max(nnz, 1)))
