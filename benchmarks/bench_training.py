"""Seconds per epoch against PyTorch with the same architecture; the first epoch from one start must give one loss."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy import sparse

import fastautorec as far
from fastautorec._backends import get_backend
from fastautorec._fitting import FitRun, Progress
from fastautorec._losses import NegativeSampling
from fastautorec._parallel import resolve_num_threads
from fastautorec._training import EMBEDDING, PREDICTION
from fastautorec._validation import check_user_items
from fastautorec.models._session import Session

BATCHES = (100, 500, 1024)
SAME = 1e-3  # relative difference of losses after an epoch of float32
FASTEST = "PyTorch, items looked up"
PEERS = {  # what differs from the fastest version in benchmarks/dense_torch.py
    FASTEST: {},
    "PyTorch, dense input": {"lookup": False},
    "PyTorch, dense input, default Adam": {"lookup": False, "fused": False},
}


class Epochs:
    """Epochs of one model, each a call that returns the mean loss of each head; the same start every time."""

    def __init__(self, model, train):
        self.model, self.train = model, train
        self.run = FitRun(
            get_backend(), check_user_items("train", train, fitting=True), None, (), Progress("", show=False)
        )
        self.session = Session(model, self.run, model._seeds())
        (self.phase,) = model._phases()

    def ours(self):
        self.session.network = self.session.random_network().copy(self.run.backend)
        trainer = self.session.trainer(self.model.batch_size, epochs=(10**6,), patience=10**6)
        trainer.begin(0, self.phase, lambda: None)
        return lambda: trainer.epoch(self.phase)

    def torch(self, *, drawn=True, lookup=True, fused=True):
        """Return PyTorch's epochs; it draws negatives itself, or gets ours in order to be compared."""
        import dense_torch  # noqa: PLC0415  only where PyTorch is installed

        model = self.model
        network = dense_torch.AutoRec(self.session.random_network(), model.activation, model.intercept, lookup)
        losses = {}
        for name, loss in self.session.losses.items():
            if isinstance(loss, NegativeSampling):
                pop = self.run.backend.count_items(self.run.train)
                counts = dense_torch.multinomial_counts(pop, model.negatives) if drawn else self.given_counts(loss)
                losses[name] = dense_torch.negative_sampling(counts, loss.out)
            else:
                losses[name] = dense_torch.squared_error(loss.item_weights, loss.user_weight)
        trainer = dense_torch.Trainer(
            network, losses, self.train, model.batch_size, self.phase.steps, fused=fused,
            normalize=model.normalize == "l2",
        )  # fmt: skip
        seed, users, number = (
            self.session.seeds.order,
            np.flatnonzero(np.diff(self.train.indptr)),
            iter(range(1, 10**6)),
        )
        return lambda: trainer.epoch(np.random.default_rng([seed, next(number)]).permutation(users))

    def given_counts(self, loss):
        """Return our negatives of the first epoch."""
        import torch  # noqa: PLC0415

        def counts(users):
            pattern, values = self.run.backend.sample_negatives(loss.sampler, users, None, loss.seed, 1)
            rows = sparse.csr_matrix((values, pattern.indices, pattern.indptr), shape=pattern.shape)
            return torch.from_numpy(rows.toarray().astype(np.float32))

        return counts


def models(batch):
    """The models as the paper trains them, all of them in one step for a batch."""
    settings = {"factors": 200, "batch_size": batch}
    return {
        "NCEAutoRec, joint": far.NCEAutoRec.paper(mode="joint", **settings),
        "NSAutoRec, joint, N = 500": far.NSAutoRec.paper(mode="joint", negatives=500, **settings),
        "AutoRec": far.AutoRec.paper(**settings),
    }


CASES = [(name, batch) for name in models(100) for batch in BATCHES]


@pytest.fixture(scope="module")
def epochs(data):
    """Return the epochs of a model, and what ours gives for the first one."""

    @cache
    def made(name, batch):
        each = Epochs(models(batch)[name], data.train)
        return each, each.ours()()

    return made


@pytest.mark.parametrize(("name", "batch"), CASES)
def test_epoch(epochs, measure, name, batch):
    each, first = epochs(name, batch)
    epoch = each.ours()
    assert epoch() == first
    last = measure(epoch, table="training", row=f"{name}, batch {batch}", column="fastautorec")
    assert last.keys() == set(each.phase.heads) <= {EMBEDDING, PREDICTION}
    assert sum(last.values()) < sum(first.values())


@pytest.mark.parametrize("column", PEERS)
@pytest.mark.parametrize(("name", "batch"), CASES)
def test_epoch_by_torch(epochs, measure, name, batch, column):
    torch = pytest.importorskip("torch", reason="the peer is PyTorch; pip install 'fastautorec[torch]'")
    if column != FASTEST and not name.startswith("NCE"):
        pytest.skip("the slower versions are timed with one model")
    torch.set_num_threads(resolve_num_threads(None))
    each, first = epochs(name, batch)
    options = PEERS[column]
    assert each.torch(drawn=False, **options)() == pytest.approx(first, rel=SAME)
    measure(each.torch(**options), table="training", row=f"{name}, batch {batch}", column=column)
