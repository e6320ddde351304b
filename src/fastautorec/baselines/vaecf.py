"""VAE-CF: the variational autoencoder with multinomial likelihood."""

from __future__ import annotations

from collections.abc import Iterator, Sequence  # noqa: F401  annotations of __init__ are resolved in this module
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np

from fastautorec._checks import check_int, check_real
from fastautorec._compute.csr import Csr
from fastautorec._compute.host import matmul
from fastautorec._compute.inputs import UserItems
from fastautorec._compute.protocol import Backend, FloatArray
from fastautorec._compute.top_lists import DotScorer
from fastautorec._training.closed_form import Encoder
from fastautorec.baselines._torch import (
    Arrays,
    Tensors,
    TorchModel,
    adam,
    check_autoencoder,
    encode,
    glorot,
    trained_rows,
    user_batches,
)


@dataclass(repr=False, eq=False)
class VAECF(TorchModel):
    r"""Variational autoencoder with multinomial likelihood (Mult-VAE).

    .. math:: \max \; \frac{1}{|B|} \sum_{i \in B} \Big( \sum_j r_{ij} \log \text{softmax}_j(z_i)
              - \beta \, \text{KL}(q(f_i | x_i) \,\|\, \mathcal N(0, I)) \Big)

    x is the history, scaled to unit length and, in training, with entries dropped. It goes through tanh units to the
    mean and the variance of q, a draw f from there through tanh units to the scores z. A fitted model uses the mean.
    Histories of new users need no training.

    Parameters
    ----------
    factors : int
        Dimensions of f.
    hidden : int
        tanh units before and after f.
    beta : float
        β ≥ 0, in the end.
    annealing : int
        β grows from 0 in so many epochs; 0 for all of β from the start.
    dropout : float
        Rate of input dropout, in [0, 1); entries that stay are divided by 1 − rate.
    weight_decay : float
        λ ≥ 0: λ/2 times the squared weights is added to the loss; biases are free.
    learning_rate : float
        Of Adam.
    batch_size, epochs, patience, metric
        As in `CDAE`; without validation data the loss decides only once β has grown.
    random_state : int or numpy.random.Generator
        Seed of initial weights, order of users, dropout and draws. On the CPU it decides the result for a given number
        of threads.
    device, num_threads
        As in `CDAE`.

    Attributes
    ----------
    encoder_ : float32 (n, hidden)
        From items to the first tanh units.
    encoder_bias_ : float32 (hidden,)
    mean_ : float32 (factors, hidden + 1)
        From there to the mean of f, the bias in the last column.
    decoder_hidden_ : float32 (hidden, factors + 1)
        From f to the second tanh units, the bias in the last column.
    decoder_ : float32 (n, hidden + 1)
        From there to the scores, the bias in the last column.
    n_users_ : int
        Rows of the matrix in ``fit``.
    best_epochs_, trained_on_
        As in `CDAE`.

    Notes
    -----
    PyTorch needs the extra ``pip install 'fastautorec[baselines]'``; loading and using a fitted model does not.

    References
    ----------
    Liang, Krishnan, Hoffman and Jebara (2018), "Variational autoencoders for collaborative filtering".

    Examples
    --------
    >>> import fastautorec as far
    >>> few = far.datasets.synthetic(300, 100, 3000, random_state=0)
    >>> model = far.baselines.VAECF(factors=8, hidden=16, epochs=3).fit(few)  # doctest: +SKIP
    >>> model.embed(few[:2]).shape  # doctest: +SKIP
    (2, 8)
    """

    _arrays: ClassVar[dict[str, str]] = {
        "encoder_": "float32 n h",
        "encoder_bias_": "float32 h",
        "mean_": "float32 k h+",
        "decoder_hidden_": "float32 h k+",
        "decoder_": "float32 n h+",
    }

    encoder_: ClassVar[FloatArray]
    encoder_bias_: ClassVar[FloatArray]
    mean_: ClassVar[FloatArray]
    decoder_hidden_: ClassVar[FloatArray]
    decoder_: ClassVar[FloatArray]

    factors: int = 200
    _: KW_ONLY
    hidden: int = 600
    beta: float = 0.2
    annealing: int = 20
    dropout: float = 0.5
    weight_decay: float = 0.0

    def embed(self, user_items: UserItems) -> FloatArray:
        """Return the means of f for histories.

        Parameters
        ----------
        user_items : Interactions or scipy sparse (q, n)

        Returns
        -------
        float32 (q, factors)
            One row for each history.
        """
        model = self._as_fitted()
        return model._mean(model._backend(), model._check_history(model._in_order(user_items)))

    def _check_params(self) -> None:
        super()._check_params()
        check_int("hidden", self.hidden, 1)
        check_real("beta", self.beta, 0)
        check_int("annealing", self.annealing, 0)
        check_autoencoder(self.dropout, self.weight_decay)

    # --- training -----------------------------------------------------------------------------------------------------

    def _start(self, m: int, n: int, rng: np.random.Generator) -> dict[str, FloatArray]:
        k, h = self.factors, self.hidden
        shapes = {
            "encoder": (n, h),
            "mean": (k, h),
            "log variance": (k, h),
            "decoder hidden": (h, k),
            "decoder": (n, h),
        }
        outputs = {"encoder": h, "mean": k, "log variance": k, "decoder hidden": h, "decoder": n}
        weights = {name: glorot(rng, *shape) for name, shape in shapes.items()}
        return weights | {f"{name} bias": np.zeros(size, np.float32) for name, size in outputs.items()}

    def _optimizer(self, torch: Any, weights: Tensors) -> Any:
        return adam(torch, weights, self.learning_rate, self.weight_decay)

    def _batches(self, train: Csr, rng: np.random.Generator, epoch: int) -> Iterator[Arrays]:
        active = np.count_nonzero(train.row_lengths())
        done = epoch - 1.0  # epochs, the parts of this one included
        for batch in user_batches(train, self.batch_size, self.dropout, unit_length=True, rng=rng):
            size = len(batch["users"])
            done += size / active
            batch["noise"] = rng.standard_normal((size, self.factors), np.float32)
            batch["beta"] = np.float32(self.beta * min(1.0, done / self.annealing) if self.annealing else self.beta)
            yield batch

    def _annealing_epochs(self) -> int:
        return self.annealing if self.beta else 0

    def _loss(self, torch: Any, weights: Tensors, batch: Tensors) -> Any:
        def layer(name: str, inputs: Any) -> Any:
            return torch.addmm(weights[f"{name} bias"], inputs, weights[name].T)

        first = torch.tanh(encode(torch, weights["encoder"], batch) + weights["encoder bias"])
        mean, log_variance = layer("mean", first), layer("log variance", first)
        draw = mean + torch.exp(log_variance / 2) * batch["noise"]
        scores = layer("decoder", torch.tanh(layer("decoder hidden", draw)))
        lengths = torch.bincount(batch["rows"], minlength=len(scores))
        likelihood = scores[batch["rows"], batch["items"]].sum() - (lengths * torch.logsumexp(scores, dim=1)).sum()
        divergence = (torch.exp(log_variance) + mean**2 - 1 - log_variance).sum() / 2
        return (batch["beta"] * divergence - likelihood) / len(scores)

    def _taken(self, weights: dict[str, FloatArray], train: Csr) -> dict[str, Any]:
        def with_bias(name: str) -> FloatArray:
            return np.hstack([weights[name], weights[f"{name} bias"][:, None]])

        return {
            "encoder_": trained_rows(weights["encoder"], train),
            "encoder_bias_": weights["encoder bias"],
            "mean_": with_bias("mean"),
            "decoder_hidden_": with_bias("decoder hidden"),
            "decoder_": with_bias("decoder"),
        }

    def _sizes(self, m: int, n: int, nnz: int) -> tuple[int, int]:
        return self.hidden * (2 * n + 3 * self.factors), 6 * self.batch_size * n

    # --- scores -------------------------------------------------------------------------------------------------------

    def _mean(self, backend: Backend, history: Csr) -> FloatArray:
        encoder = Encoder(self.encoder_, self.encoder_bias_, "tanh", "l2", "constant")
        first = encoder.hidden(backend, encoder.inputs(history))
        return matmul(first, self.mean_.T, np.empty((len(first), self.factors), np.float32), backend.num_threads)

    def _hidden(self, backend: Backend, history: Csr) -> FloatArray:
        """Return the second tanh units and a last column of ones, float32 (q, hidden + 1)."""
        mean = self._mean(backend, history)
        hidden = np.ones((len(mean), self.hidden + 1), np.float32)
        matmul(mean, self.decoder_hidden_[:, :-1].T, hidden[:, :-1], backend.num_threads)
        hidden[:, :-1] = np.tanh(hidden[:, :-1] + self.decoder_hidden_[:, -1])
        return hidden

    def _scorer(self) -> DotScorer:
        return DotScorer(self._hidden, self.decoder_)

    def _user_vectors(self, backend: Backend, history: Csr) -> FloatArray:
        return self._mean(backend, history)

    def _item_vectors(self) -> FloatArray:
        return self.encoder_
