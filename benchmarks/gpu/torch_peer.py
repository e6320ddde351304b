"""The networks of `dense_torch.py` on a GPU: the interactions stay there, and dense batches are made there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse

from benchmarks import dense_torch
from fastautorec._training.network import Network

VARIANTS = {"dense input": False, "items looked up": True}  # of the first layer; the faster one is the peer


@contextmanager
def precision(tf32: bool) -> Iterator[None]:
    """Let float32 products be rounded to TF32, or not."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def squared_error(item_weights: npt.NDArray[np.float32] | None, device: str) -> dense_torch.HeadLoss:
    """Return Σ‖t − z‖² with t = R, or R* where the weights of items are given."""
    w = None if item_weights is None else torch.from_numpy(item_weights).to(device)

    def loss(z: torch.Tensor, r: torch.Tensor, users: npt.NDArray[np.int64]) -> torch.Tensor:
        return torch.nn.functional.mse_loss(z, r if w is None else r * w, reduction="sum")

    return loss


class Trainer(dense_torch.Trainer):
    """Makes its batches on ``device`` without waiting for it."""

    def __init__(self, device: str, *arguments: Any, **options: Any) -> None:
        self.device = torch.device(device)
        with self.device:
            super().__init__(*arguments, **options)
        self._pointers = self.train.indptr.astype(np.int64)
        self._begin, self._ids = (torch.from_numpy(a).to(device) for a in (self._pointers, self.train.indices))

    def epoch(self, order: npt.NDArray[np.int64]) -> dict[str, float]:
        with self.device:
            return super().epoch(order)

    def _batch(self, users: npt.NDArray[np.int64]) -> dense_torch.Batch:
        size = int((self._pointers[users + 1] - self._pointers[users]).sum())  # known, so that nothing waits for it
        rows = torch.from_numpy(users).to(self.device, non_blocking=True)
        begin, lengths = self._begin[rows], self._begin[rows + 1] - self._begin[rows]
        offsets = lengths.cumsum(0) - lengths
        row_of = torch.repeat_interleave(torch.arange(len(users)), lengths, output_size=size)
        ids = self._ids[(begin - offsets)[row_of] + torch.arange(size)].long()
        dense = self._dense[: len(users)].zero_()
        dense.view(-1)[row_of * self.train.shape[1] + ids] = 1
        values = lengths.float().rsqrt()[row_of] if self.normalize else None
        return dense_torch.Batch(ids, offsets, values, lengths.float(), dense)


def epochs(
    train: sparse.csr_matrix,
    start: Network,
    item_weights: dict[str, npt.NDArray[np.float32] | None],
    steps: tuple[tuple[str, ...], ...],
    batch_size: int,
    device: str,
    lookup: bool,
) -> Callable[[npt.NDArray[np.int64]], dict[str, float]]:
    """Return what trains the network of a relu model for one epoch on an order of users.

    Parameters
    ----------
    train : CSR (m, n)
    start : Network
        NumPy arrays.
    item_weights : dict of str to float32 (n,) or None
        Of the squared error of each head.
    steps, batch_size, lookup
        As in `dense_torch`.
    device : str
    """
    network = dense_torch.AutoRec(start, lookup=lookup).to(device)
    losses = {name: squared_error(weights, device) for name, weights in item_weights.items()}
    return Trainer(device, network, losses, train, batch_size, steps).epoch
