"""CML: collaborative metric learning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence  # noqa: F401  annotations of __init__ are resolved in this module
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from fastautorec._checks import check_int, check_real
from fastautorec._compute.csr import Csr
from fastautorec._compute.protocol import Backend, FloatArray
from fastautorec._compute.top_lists import DotScorer
from fastautorec.baselines._torch import Arrays, Tensors, UserModel

TINY = 1e-10  # added to the root of AdaGrad


@dataclass(repr=False, eq=False)
class CML(UserModel):
    r"""Collaborative metric learning: users and items are points, and a user's items are nearer than the others.

    .. math:: \min_{U, V} \; \frac{1}{|B|} \sum_{(i,j) \in B} w_{ij}
              [\text{margin} + \lVert u_i - v_j \rVert^2 - \min_{l \in L_{ij}} \lVert u_i - v_l \rVert^2]_+
              + \omega \sum_{a \ne b} C_{ab}^2

    over batches B of interactions, with all points in the unit ball. L_ij holds ``negatives`` items drawn uniformly,
    without those of user i. The weight w_ij = log(1 + rank) grows with the approximate rank of item j: n times the
    share of L_ij that violates the margin. C is the covariance of the points u and v of a batch. Scores are −‖u − v‖².

    Each training user has a point. Where the data have ids, ``recommend``, ``predict`` and ``evaluate`` find users by
    them, any of them in any order; where they have none, row i is user i. New users need a new fit.

    Parameters
    ----------
    factors : int
        Dimensions.
    margin : float
        Above 0.
    negatives : int
        Items drawn for each interaction.
    covariance_weight : float
        ω ≥ 0: decorrelates the dimensions.
    learning_rate : float
        Of AdaGrad, as published; only the points of a batch move.
    batch_size : int
        Interactions in a step.
    epochs : int or sequence of one int
        At most so many passes over the interactions.
    patience, metric
        As in `CDAE`.
    random_state : int or numpy.random.Generator
        Seed of initial points, order of interactions and negatives. On the CPU it decides the result for a given number
        of threads.
    device, num_threads
        As in `CDAE`.

    Attributes
    ----------
    user_factors_ : float32 (m, factors)
        Points of the users; those without interactions stand at the mean of the others.
    item_factors_ : float32 (n, factors)
        Points of the items.
    n_users_, user_ids_, best_epochs_, trained_on_
        As in `CDAE`.

    Notes
    -----
    PyTorch needs the extra ``pip install 'fastautorec[baselines]'``; loading and using a fitted model does not.

    References
    ----------
    Hsieh, Yang, Cui, Lin, Belongie and Estrin (2017), "Collaborative metric learning".

    Examples
    --------
    >>> import fastautorec as far
    >>> few = far.datasets.synthetic(300, 100, 3000, random_state=0)
    >>> ids, scores = far.baselines.CML(factors=8, epochs=3).fit(few).recommend(few, N=3)  # doctest: +SKIP
    >>> ids.shape  # doctest: +SKIP
    (300, 3)
    """

    _arrays: ClassVar[dict[str, str]] = {"user_factors_": "float32 m k", "item_factors_": "float32 n k"}
    _unexplained: ClassVar[str] = "its scores come from the point of a training user, not from the items of a history"

    user_factors_: ClassVar[FloatArray]
    item_factors_: ClassVar[FloatArray]

    factors: int = 100
    _: KW_ONLY
    margin: float = 1.0
    negatives: int = 20
    covariance_weight: float = 1.0
    learning_rate: float = 0.1
    batch_size: int = 5000

    def _check_params(self) -> None:
        super()._check_params()
        check_real("margin", self.margin, 0, above=True)
        check_int("negatives", self.negatives, 1)
        check_real("covariance_weight", self.covariance_weight, 0)

    # --- training -----------------------------------------------------------------------------------------------------

    def _start(self, m: int, n: int, rng: np.random.Generator) -> dict[str, FloatArray]:
        scale = self.factors**-0.5  # points of about unit length
        users, items = (rng.normal(0, scale, (rows, self.factors)).astype(np.float32) for rows in (m, n))
        return {"users": into_ball(users), "items": into_ball(items)}

    def _optimizer(self, torch: Any, weights: Tensors) -> Any:
        return BallAdagrad(torch, weights, self.learning_rate)

    def _batches(self, train: Csr, rng: np.random.Generator, epoch: int) -> Iterator[Arrays]:
        m, n = train.shape
        own = train.rebased()
        users = np.repeat(np.arange(m), own.row_lengths())
        known = users * n + own.indices  # ascending
        for entries in np.array_split(rng.permutation(own.nnz), -(-own.nnz // self.batch_size)):
            entries.sort()  # so that look-ups in `known` go forward
            negatives = rng.integers(n, size=(len(entries), self.negatives))
            yield {
                "users": users[entries],
                "items": own.indices[entries].astype(np.int64),
                "negatives": negatives,
                "allowed": ~contains(known, users[entries, None] * n + negatives),
                "done": np.asarray(round(m * len(entries) / own.nnz)),
            }

    def _loss(self, torch: Any, weights: Tensors, batch: Tensors) -> Any:
        n = len(weights["items"])
        with torch.no_grad():  # only the nearest of the negatives has a gradient
            distances = squared_distances(weights["users"][batch["users"]], weights["items"], batch["negatives"])
            distances.masked_fill_(~batch["allowed"], torch.inf)
            nearest = distances.argmin(dim=1, keepdim=True)
        users, positives, negatives = (
            torch.nn.functional.embedding(ids, weights[name], sparse=True)
            for name, ids in (
                ("users", batch["users"]),
                ("items", batch["items"]),
                ("items", batch["negatives"].gather(1, nearest)[:, 0]),
            )
        )
        near = ((users - positives) ** 2).sum(dim=1)
        with torch.no_grad():
            violations = (self.margin + near[:, None] > distances).sum(dim=1)
            rank = n * violations / batch["allowed"].sum(dim=1).clamp(min=1)
            rank_weight = torch.log1p(rank) * batch["allowed"].any(dim=1)
        far = ((users - negatives) ** 2).sum(dim=1)
        loss = (rank_weight * (self.margin + near - far).clamp(min=0)).mean()
        if self.covariance_weight:
            loss = loss + self.covariance_weight * covariance_penalty(torch, torch.cat([users, positives]))
        return loss

    def _taken(self, weights: dict[str, FloatArray], train: Csr) -> dict[str, Any]:
        users, active = weights["users"], train.row_lengths() > 0
        users[~active] = users[active].mean(axis=0)
        return {"user_factors_": users, "item_factors_": weights["items"]}

    def _sizes(self, m: int, n: int, nnz: int) -> tuple[int, int]:
        batch = self.batch_size * (self.negatives + 8) * (self.factors + 4)
        return (m + n) * self.factors, batch + 6 * nnz  # order, users and keys of the interactions

    # --- scores -------------------------------------------------------------------------------------------------------

    def _scorer(self) -> DotScorer:
        """Return −‖u − v‖² = [u, 1, −‖u‖²] · [2v, −‖v‖², 1]."""
        items = self.item_factors_
        ones = np.ones((len(items), 1), np.float32)
        decoder = np.hstack([2 * items, -np.einsum("ij,ij->i", items, items)[:, None], ones])
        return DotScorer(self._user_points, decoder)

    def _user_points(self, backend: Backend, history: Csr) -> FloatArray:
        users = self.user_factors_[history.user_numbers()]
        ones = np.ones((len(users), 1), np.float32)
        return np.hstack([users, ones, -np.einsum("ij,ij->i", users, users)[:, None]])

    def _user_vectors(self, backend: Backend, history: Csr) -> FloatArray:
        vectors: FloatArray = self.user_factors_[history.user_numbers()]
        return vectors

    def _item_vectors(self) -> FloatArray:
        return self.item_factors_


class BallAdagrad:
    """AdaGrad for points in the unit ball that moves, and touches, only the points that a batch has a gradient for."""

    def __init__(self, torch: Any, weights: Tensors, learning_rate: float) -> None:
        self._torch, self._learning_rate = torch, learning_rate
        self._states = [(points, torch.zeros_like(points, requires_grad=False)) for points in weights.values()]

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for points, _ in self._states:
            points.grad = None

    def step(self) -> None:
        """Move the points by their sparse gradients, and back into the ball."""
        with self._torch.no_grad():
            for points, squares in self._states:
                grad = points.grad.coalesce()
                rows, values = grad.indices()[0], grad.values()
                total = squares[rows] + values**2
                moved = points[rows] - self._learning_rate * values / (total.sqrt() + TINY)
                squares[rows] = total
                points[rows] = moved / moved.norm(dim=1, keepdim=True).clamp(min=1)


def squared_distances(users: Any, items: Any, chosen: Any) -> Any:
    """Return ‖u − v‖² (B, N) of points u (B, k) and the ``chosen`` (B, N) of the items v (n, k)."""
    products = (items[chosen] @ users[:, :, None])[:, :, 0]
    return (users**2).sum(dim=1, keepdim=True) - 2 * products + (items**2).sum(dim=1)[chosen]


def covariance_penalty(torch: Any, points: Any) -> Any:
    """Return the sum of the squared covariances of different dimensions of points (B, k)."""
    centred = points - points.mean(dim=0)
    covariance = centred.T @ centred / len(points)
    return (covariance**2).sum() - (torch.diagonal(covariance) ** 2).sum()


def into_ball(points: FloatArray) -> FloatArray:
    """Return points of length at most 1, the others moved to the sphere."""
    lengths = np.sqrt(np.einsum("ij,ij->i", points, points))[:, None]
    inside: FloatArray = points / np.maximum(lengths, 1)
    return inside


def contains(ascending: npt.NDArray[np.int64], values: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Return whether each value is among the ascending ones."""
    places = np.searchsorted(ascending, values).clip(max=len(ascending) - 1)
    found: npt.NDArray[np.bool_] = ascending[places] == values
    return found
