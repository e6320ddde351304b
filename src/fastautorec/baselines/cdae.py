"""CDAE: the collaborative denoising autoencoder, which has a node for each user."""

from __future__ import annotations

from collections.abc import Iterator, Sequence  # noqa: F401  annotations of __init__ are resolved in this module
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.special import expit

from fastautorec._checks import check_choice
from fastautorec._compute.csr import Csr
from fastautorec._compute.protocol import ACTIVATIONS, Backend, FloatArray
from fastautorec._compute.top_lists import DotScorer
from fastautorec.baselines._torch import (
    Arrays,
    Tensors,
    UserModel,
    adam,
    check_autoencoder,
    encode,
    glorot,
    trained_rows,
    user_batches,
)

LOSSES = ("logistic", "squared")


@dataclass(repr=False, eq=False)
class CDAE(UserModel):
    r"""Collaborative denoising autoencoder: hidden units see a corrupted history and who the user is.

    .. math:: h_i = \text{act}(\tilde x_i W + b + p_i), \quad z_i = D h_i + c, \quad
              \min \; \frac{1}{|B|} \sum_{i \in B} \sum_j \ell(r_{ij}, z_{ij})
              + \frac{\lambda}{2} (\lVert W \rVert^2 + \lVert P \rVert^2 + \lVert D \rVert^2)

    where x̃ is the history with entries dropped, and ℓ is the logistic loss log(1 + eᶻ) − r z, or the squared error
    (r − σ(z))². All items count; the published model may draw some of the missing ones instead.

    Each training user has a node p. Where the data have ids, ``recommend``, ``predict`` and ``evaluate`` find users by
    them, any of them in any order; where they have none, row i is user i. New users need a new fit.

    Parameters
    ----------
    factors : int
        Hidden units.
    activation : {"sigmoid", "identity", "relu", "tanh"}
        Activation of the hidden units.
    loss : {"logistic", "squared"}
        ℓ.
    dropout : float
        Rate of corruption, in [0, 1); entries that stay are divided by 1 − rate.
    weight_decay : float
        λ ≥ 0; biases are free.
    learning_rate : float
        Of Adam.
    batch_size : int
        Users in a step. The scores of a batch, users × items, are formed: it bounds the memory.
    epochs : int or sequence of one int
        At most so many passes over the users.
    patience : int
        Training ends when so many epochs in a row were not better than the best one: by ``metric`` with validation
        data, whose best state is kept, and by the loss without.
    metric : str
        What validation data decide by: a metric of ``evaluate``, such as "NDCG" (lists of 50), "Recall@20".
    random_state : int or numpy.random.Generator
        Seed of initial weights, order of users and corruption. On the CPU it decides the result for a given number of
        threads.
    device : {"auto", "cpu", "cuda"}
        Where PyTorch trains.
    num_threads : int, optional
        Threads; by default all usable cores.

    Attributes
    ----------
    encoder_ : float32 (n, factors)
        W.
    encoder_bias_ : float32 (factors,)
        b.
    user_factors_ : float32 (m, factors)
        Nodes p of the users; 0 for those without interactions.
    decoder_ : float32 (n, factors + 1)
        D, with c in the last column.
    n_users_ : int
        m.
    user_ids_ : array (m,) or None
        Ids of the training users, where the data had some.
    best_epochs_ : tuple of int
        The epoch whose state was kept.
    trained_on_ : str
        The device of PyTorch.

    Notes
    -----
    PyTorch needs the extra ``pip install 'fastautorec[baselines]'``; loading and using a fitted model does not.

    References
    ----------
    Wu, DuBois, Zheng and Ester (2016), "Collaborative denoising auto-encoders for top-N recommender systems".

    Examples
    --------
    >>> import fastautorec as far
    >>> few = far.datasets.synthetic(300, 100, 3000, random_state=0)
    >>> ids, scores = far.baselines.CDAE(factors=8, epochs=3).fit(few).recommend(few, N=3)  # doctest: +SKIP
    >>> ids.shape  # doctest: +SKIP
    (300, 3)
    """

    _arrays: ClassVar[dict[str, str]] = {
        "encoder_": "float32 n k",
        "encoder_bias_": "float32 k",
        "user_factors_": "float32 m k",
        "decoder_": "float32 n k+",
    }

    encoder_: ClassVar[FloatArray]
    encoder_bias_: ClassVar[FloatArray]
    user_factors_: ClassVar[FloatArray]
    decoder_: ClassVar[FloatArray]

    factors: int = 200
    _: KW_ONLY
    activation: str = "sigmoid"
    loss: str = "logistic"
    dropout: float = 0.5
    weight_decay: float = 0.0
    learning_rate: float = 1e-2
    patience: int = 10

    def _check_params(self) -> None:
        super()._check_params()
        check_choice("activation", self.activation, ACTIVATIONS)
        check_choice("loss", self.loss, LOSSES)
        check_autoencoder(self.dropout, self.weight_decay)

    # --- training -----------------------------------------------------------------------------------------------------

    def _start(self, m: int, n: int, rng: np.random.Generator) -> dict[str, FloatArray]:
        k = self.factors
        return {
            "encoder": glorot(rng, n, k),
            "encoder bias": np.zeros(k, np.float32),
            "users": np.zeros((m, k), np.float32),
            "decoder": glorot(rng, n, k),
            "decoder bias": np.zeros(n, np.float32),
        }

    def _optimizer(self, torch: Any, weights: Tensors) -> Any:
        return adam(torch, weights, self.learning_rate, self.weight_decay)

    def _batches(self, train: Csr, rng: np.random.Generator, epoch: int) -> Iterator[Arrays]:
        return user_batches(train, self.batch_size, self.dropout, unit_length=False, rng=rng)

    def _loss(self, torch: Any, weights: Tensors, batch: Tensors) -> Any:
        linear = encode(torch, weights["encoder"], batch) + weights["encoder bias"] + weights["users"][batch["users"]]
        hidden = linear if self.activation == "identity" else getattr(torch, self.activation)(linear)
        scores = torch.addmm(weights["decoder bias"], hidden, weights["decoder"].T)
        if self.loss == "logistic":
            total = torch.nn.functional.softplus(scores).sum() - scores[batch["rows"], batch["items"]].sum()
        else:
            outputs = torch.sigmoid(scores)
            total = (outputs**2).sum() + (1 - 2 * outputs[batch["rows"], batch["items"]]).sum()
        return total / len(batch["users"])

    def _taken(self, weights: dict[str, FloatArray], train: Csr) -> dict[str, Any]:
        return {
            "encoder_": trained_rows(weights["encoder"], train),
            "encoder_bias_": weights["encoder bias"],
            "user_factors_": weights["users"],
            "decoder_": np.hstack([weights["decoder"], weights["decoder bias"][:, None]]),
        }

    def _sizes(self, m: int, n: int, nnz: int) -> tuple[int, int]:
        return (m + 2 * n) * self.factors, 6 * self.batch_size * n

    # --- scores -------------------------------------------------------------------------------------------------------

    def _scorer(self) -> DotScorer:
        return DotScorer(self._hidden, self.decoder_)

    def _hidden(self, backend: Backend, history: Csr) -> FloatArray:
        """Return hidden units and a last column of ones, float32 (q, factors + 1)."""
        hidden = np.ones((history.shape[0], self.factors + 1), np.float32)
        linear = backend.encode(history, self.encoder_, self.encoder_bias_)
        linear += self.user_factors_[history.user_numbers()]
        hidden[:, :-1] = activate(linear, self.activation)
        return hidden

    def _user_vectors(self, backend: Backend, history: Csr) -> FloatArray:
        return self._hidden(backend, history)[:, :-1]

    def _item_vectors(self) -> FloatArray:
        return self.encoder_


def activate(linear: FloatArray, activation: str) -> FloatArray:
    """Return act(linear)."""
    functions: dict[str, Any] = {
        "sigmoid": expit,
        "relu": lambda z: np.maximum(z, 0),
        "tanh": np.tanh,
        "identity": lambda z: z,
    }
    values: FloatArray = functions[activation](linear)
    return values
