"""One training by this library and by PyTorch, from one start: the same network, losses, steps and settings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from benchmarks._common import THREADS
from fastautorec._compute import get_backend
from fastautorec._training.fit import AutoencoderFit
from fastautorec._training.losses import NegativeSampling
from fastautorec._training.network import Network
from fastautorec._training.run import FitRun, ProgressBar, Seeds

if TYPE_CHECKING:
    from benchmarks import dense_torch

Epoch = Callable[[], dict[str, float]]  # trains on every user once; mean loss of each head


class Training:
    """What a model would train on a matrix.

    Parameters
    ----------
    model : trained model
        Says what is trained, and how.
    train : CSR (m, n)
    validation : CSR (m, n), optional
    backend : optional
        Where ours is trained; by default the CPU.
    """

    def __init__(
        self,
        model: Any,
        train: sparse.csr_matrix,
        validation: sparse.csr_matrix | None = None,
        backend: Any = None,
    ) -> None:
        self.model, self.train = model, train
        backend = backend or get_backend()
        held_out = None if validation is None else backend.inputs.user_items("validation", validation)
        checked = backend.inputs.user_items("train", train, fitting=True)
        self.run = FitRun(backend, checked, held_out, (), ProgressBar("", show=False))
        self.fit = AutoencoderFit(self.run, model._objective(), model._options(), Seeds.drawn(np.random.default_rng(0)))
        self.phases = list(model._objective().phases)

    def ours(self) -> Epoch:
        """Return the epochs of the first phase, from the random start."""
        phase, fit = self.phases[0], self.fit
        fit.network = fit.random_network().copy(self.run.backend)
        loop = fit.loop(self.model.batch_size, epochs=(10**6,), patience=10**6)
        loop.begin(0, phase, lambda: None)
        return lambda: loop.epoch(phase)

    def torch(self, *, drawn: bool = True, lookup: bool = True, fused: bool = True, device: str | None = None) -> Epoch:
        """Return PyTorch's epochs of the first phase, in the same order of users.

        It draws negatives itself, or gets ours of the first epoch to be compared. With ``device`` the interactions and
        the batches are there too.
        """
        network, losses = self.torch_network(lookup).to(device or "cpu"), self.torch_losses(drawn, device)
        trainer = self.torch_trainer(network, losses, self.phases[0], fused, device)
        users, numbers = np.flatnonzero(np.diff(self.train.indptr)), iter(range(1, 10**6))
        seed = self.fit.seeds.order
        return lambda: trainer.epoch(np.random.default_rng([seed, next(numbers)]).permutation(users))

    def torch_network(self, lookup: bool = True) -> dense_torch.AutoRec:
        torch, peer = _torch()
        torch.set_num_threads(THREADS)
        down, drawn = self.run.backend.to_host, self.fit.random_network()
        start = Network(down(drawn.encoder), down(drawn.bias), {name: down(w) for name, w in drawn.heads.items()})
        return peer.AutoRec(start, self.model.activation, self.model.intercept, lookup)

    def torch_losses(self, drawn: bool = True, device: str | None = None) -> dict[str, dense_torch.HeadLoss]:
        _, peer = _torch()
        losses = {}
        for head, loss in self.fit.losses.items():
            if isinstance(loss, NegativeSampling):
                popularity = self.run.backend.count_items(self.run.train)
                counts = peer.multinomial_counts(popularity, self.model.negatives) if drawn else self._counts(loss)
                losses[head] = peer.negative_sampling(counts, loss.out)
            else:
                weights = None if loss.item_weights is None else self.run.backend.to_host(loss.item_weights)
                losses[head] = peer.squared_error(weights, loss.user_weight, device or "cpu")
        return losses

    def torch_trainer(
        self, network: Any, losses: Any, phase: Any, fused: bool = True, device: str | None = None
    ) -> dense_torch.Trainer:
        peer = _torch()[1]
        kind = peer.Trainer if device is None else partial(peer.DeviceTrainer, device)
        return kind(
            network, losses, self.train, self.model.batch_size, phase.steps, phase.encoder, fused=fused,
            normalize=self.model.normalize == "l2",
        )  # fmt: skip

    def _counts(self, loss: NegativeSampling) -> dense_torch.Counts:
        """Return our negatives of the first epoch."""
        torch, _ = _torch()

        def counts(users: npt.NDArray[np.int64]) -> Any:
            pattern, values = self.run.backend.sample_negatives(loss.sampler, users, None, loss.seed, 1)
            rows = sparse.csr_matrix((values, pattern.indices, pattern.indptr), shape=pattern.shape)
            return torch.from_numpy(rows.toarray().astype(np.float32))

        return counts


def _torch() -> tuple[Any, Any]:
    """Return PyTorch and the peer made with it; only called where it is installed."""
    import torch  # noqa: PLC0415

    from benchmarks import dense_torch  # noqa: PLC0415

    return torch, dense_torch
