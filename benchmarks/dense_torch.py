"""The AutoRec family in PyTorch with dense batches, as a good user would write it: the peer of the training benchmarks.

Tried on ML-1M (NCE-AutoRec, joint, 200 units, relu) and kept: the fused Adam; `embedding_bag` over lists of items as
the first layer, in place of a product with the dense batch (a sparse CSR product costs the same); one buffer for the
dense targets of all batches. Tried without a gain: `foreach` Adam (between the default and the fused one), weights in
`nn.Linear` or as (n, k) matrices, `torch.compile` of the losses. ``lookup=False`` is the version with a dense input.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from torch import nn
from torch.nn import functional as F  # noqa: N812  its usual name

from fastautorec._training.network import Network

Counts = Callable[[npt.NDArray[np.int64]], torch.Tensor]  # users of a batch -> negatives (q, n)
HeadLoss = Callable[[torch.Tensor, torch.Tensor, npt.NDArray[np.int64]], torch.Tensor]  # scores, R (q, n), users

ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": F.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "identity": lambda a: a,
}  # fmt: skip


class AutoRec(nn.Module):
    """One encoder, one or two linear heads; ``intercept="history"`` scales the biases of heads by ‖r‖₁^(−½)."""

    def __init__(self, start: Network, activation: str = "relu", intercept: str = "constant", lookup: bool = True):
        super().__init__()
        k = start.encoder.shape[1]
        self.activation, self.intercept, self.lookup = ACTIVATIONS[activation], intercept, lookup
        self.encoder = nn.Parameter(torch.from_numpy(start.encoder.copy()))  # (n, k)
        self.encoder_bias = nn.Parameter(torch.from_numpy(start.bias[0].copy()))
        self.weights = nn.ParameterDict({h: nn.Parameter(torch.tensor(w[:, :k])) for h, w in start.heads.items()})
        self.biases = nn.ParameterDict({h: nn.Parameter(torch.tensor(w[:, k])) for h, w in start.heads.items()})

    def hidden(self, batch: Batch) -> torch.Tensor:
        """Return H (q, k)."""
        if self.lookup:
            a = F.embedding_bag(batch.indices, self.encoder, batch.offsets, mode="sum", per_sample_weights=batch.values)
            return self.activation(a + self.encoder_bias)
        x = batch.dense if batch.values is None else batch.dense / batch.lengths.sqrt()[:, None]
        return self.activation(torch.addmm(self.encoder_bias, x, self.encoder))

    def scores(self, head: str, hidden: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Return the scores of all items (q, n)."""
        if self.intercept == "constant":
            return F.linear(hidden, self.weights[head], self.biases[head])
        return torch.addr(hidden @ self.weights[head].T, batch.lengths.rsqrt(), self.biases[head])


@dataclass
class Batch:
    """Histories of some users: item lists, values (None: ones), and dense R."""

    indices: torch.Tensor
    offsets: torch.Tensor
    values: torch.Tensor | None
    lengths: torch.Tensor
    dense: torch.Tensor


def squared_error(
    item_weights: npt.NDArray[np.float32] | None = None, user_weight: float = 0.0, device: str = "cpu"
) -> HeadLoss:
    """Return Σ‖t − z‖² with t = R, or R* where the weights of items are given (Eq. 8 and 17)."""
    w = None if item_weights is None else torch.from_numpy(item_weights).to(device)

    def loss(z: torch.Tensor, r: torch.Tensor, users: npt.NDArray[np.int64]) -> torch.Tensor:
        target = r if w is None else r * w
        if user_weight:
            target = target * r.sum(1, keepdim=True) ** -user_weight
        return F.mse_loss(z, target, reduction="sum")

    return loss


def negative_sampling(counts: Counts, out: str = "sigmoid") -> HeadLoss:
    """Return the loss of Eq. 7, or with ``out="logsigmoid"`` of Eq. 3."""

    def loss(z: torch.Tensor, r: torch.Tensor, users: npt.NDArray[np.int64]) -> torch.Tensor:
        s = counts(users)
        share = r.sum(1, keepdim=True) / s.sum(1, keepdim=True)
        if out == "logsigmoid":
            return torch.sum(share * s * -F.logsigmoid(-z) - r * F.logsigmoid(z))
        o = torch.sigmoid(z) if out == "sigmoid" else torch.tanh(z)
        return torch.sum(torch.addcmul(-r, share, s) * o)

    return loss


def multinomial_counts(popularity: npt.NDArray[np.int64], negatives: int) -> Counts:
    """Return a function that draws ``negatives`` items for each user, by popularity, with replacement."""
    p, n = torch.from_numpy(popularity.astype(np.float32)), len(popularity)

    def counts(users: npt.NDArray[np.int64]) -> torch.Tensor:
        drawn = torch.multinomial(p, len(users) * negatives, replacement=True).view(len(users), negatives)
        cells = drawn.add_(n * torch.arange(len(users))[:, None]).view(-1)
        return torch.bincount(cells, minlength=len(users) * n).view(len(users), n).float()

    return counts


@dataclass
class Trainer:
    """Trains a network for one phase of a mode.

    Attributes
    ----------
    steps : tuple of tuples of str
        The steps taken for each batch, each on the sum of the losses of some heads.
    encoder : bool
        Whether the steps change the encoder too.
    decay : float
        λ / m.
    normalize : bool
        Whether rows of the input have unit length.
    fused : bool
        Whether Adam goes over the parameters once, in C++.
    """

    network: AutoRec
    losses: dict[str, HeadLoss]
    train: sparse.csr_matrix
    batch_size: int
    steps: tuple[tuple[str, ...], ...]
    encoder: bool = True
    learning_rate: float = 1e-3
    decay: float = 0.0
    normalize: bool = False
    fused: bool = True
    optimizer: torch.optim.Optimizer = field(init=False)

    def __post_init__(self) -> None:
        network, heads = self.network, {head for step in self.steps for head in step}
        for own in (network.encoder, network.encoder_bias):
            own.requires_grad_(self.encoder)
        penalised = [*([network.encoder] if self.encoder else []), *(network.weights[head] for head in heads)]
        free = [*([network.encoder_bias] if self.encoder else []), *(network.biases[head] for head in heads)]
        groups = [{"params": penalised, "weight_decay": 2 * self.decay}, {"params": free}]
        self.optimizer = torch.optim.Adam(groups, lr=self.learning_rate, fused=self.fused)
        self._dense = torch.empty(self.batch_size, self.train.shape[1])

    def epoch(self, order: npt.NDArray[np.int64]) -> dict[str, float]:
        """Train on every user of ``order`` once and return the mean loss of each head."""
        totals = {head: torch.zeros(()) for step in self.steps for head in step}
        for start in range(0, len(order), self.batch_size):
            users = order[start : start + self.batch_size]
            batch = self._batch(users)
            for step in self.steps:
                hidden = self.network.hidden(batch)
                losses = {
                    head: self.losses[head](self.network.scores(head, hidden, batch), batch.dense, users)
                    for head in step
                }
                self.optimizer.zero_grad(set_to_none=True)
                (sum(losses.values()) / len(users)).backward()
                self.optimizer.step()
                for head, loss in losses.items():
                    totals[head] += loss.detach()
        return {head: total.item() / len(order) for head, total in totals.items()}

    def _batch(self, users: npt.NDArray[np.int64]) -> Batch:
        rows = self.train[users]
        lengths = np.diff(rows.indptr)
        dense = self._dense[: len(users)].zero_()
        cells = np.repeat(np.arange(len(users)) * self.train.shape[1], lengths) + rows.indices
        dense.view(-1)[torch.from_numpy(cells)] = 1
        values = torch.from_numpy(np.repeat(lengths**-0.5, lengths).astype(np.float32)) if self.normalize else None
        indices, offsets = torch.from_numpy(rows.indices), torch.from_numpy(rows.indptr[:-1])
        return Batch(indices, offsets, values, torch.from_numpy(lengths).float(), dense)


class DeviceTrainer(Trainer):
    """Keeps the interactions on ``device`` and makes dense batches there, without waiting for it."""

    def __init__(self, device: str, *arguments: Any, **options: Any) -> None:
        self.device = torch.device(device)
        with self.device:
            super().__init__(*arguments, **options)
        self._pointers = self.train.indptr.astype(np.int64)
        self._begin, self._ids = (torch.from_numpy(a).to(device) for a in (self._pointers, self.train.indices))

    def epoch(self, order: npt.NDArray[np.int64]) -> dict[str, float]:
        with self.device:
            return super().epoch(order)

    def _batch(self, users: npt.NDArray[np.int64]) -> Batch:
        size = int((self._pointers[users + 1] - self._pointers[users]).sum())  # known, so that nothing waits for it
        rows = torch.from_numpy(users).to(self.device, non_blocking=True)
        begin, lengths = self._begin[rows], self._begin[rows + 1] - self._begin[rows]
        offsets = lengths.cumsum(0) - lengths
        row_of = torch.repeat_interleave(torch.arange(len(users)), lengths, output_size=size)
        ids = self._ids[(begin - offsets)[row_of] + torch.arange(size)].long()
        dense = self._dense[: len(users)].zero_()
        dense.view(-1)[row_of * self.train.shape[1] + ids] = 1
        values = lengths.float().rsqrt()[row_of] if self.normalize else None
        return Batch(ids, offsets, values, lengths.float(), dense)
