"""Training equals PyTorch: the same start, batches, negatives and masks give the same weights and losses.

The oracle is written from Eq. 7-9 and 17 with dense matrices, float64 autograd and one `torch.optim.Adam`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import fastautorec as far
from fastautorec._compute import get_backend
from fastautorec._compute.inputs import check_user_items
from fastautorec._compute.sampling import make_sampler, popularity_weights
from fastautorec._training.network import random_network
from fastautorec._training.run import Seeds

torch = pytest.importorskip("torch", reason="compares with PyTorch; pip install 'fastautorec[torch]'")

EMBEDDING, PREDICTION = "embedding", "prediction"
USERS, ITEMS, K, BATCH = 97, 61, 7, 25  # nothing divides anything
STEPS = {  # of each phase: which heads a step trains, and whether it trains the encoder
    "joint": [([(EMBEDDING, PREDICTION)], True)],
    "alternating": [([(EMBEDDING,), (PREDICTION,)], True)],
    "limited": [([(EMBEDDING,)], True), ([(PREDICTION,)], False)],
    "full": [([(EMBEDDING,)], True), ([(PREDICTION,)], True)],
}
ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "identity": lambda a: a}
SETTINGS: dict[str, Any] = {
    "factors": K, "init": "random", "dropout": 0.0, "popularity_discount": 0.0, "batch_size": BATCH, "epochs": 1,
    "weight_decay": 2.0, "learning_rate": 0.01, "activation": "relu", "random_state": 5,
}  # fmt: skip


@pytest.fixture(scope="module")
def train() -> sparse.csr_matrix:
    drawn = far.datasets.synthetic(USERS - 2, ITEMS, 1400, random_state=3)
    return sparse.vstack([drawn[:40], sparse.csr_matrix((2, ITEMS)), drawn[40:]]).tocsr()  # two users without items


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # these matrices are small
    yield
    torch.set_num_threads(before)


def tensor(array: Any) -> torch.Tensor:
    return torch.from_numpy(np.array(array, np.float64))


@dataclass
class Oracle:
    """A model of this library, trained by PyTorch."""

    model: Any
    train: sparse.csr_matrix
    weights: dict[str, torch.Tensor] = field(default_factory=dict)
    losses: list[dict[str, float]] = field(default_factory=list)  # of each epoch, mean over its users

    def __post_init__(self) -> None:
        model = self.model
        self.seeds = Seeds.drawn(np.random.default_rng(model.random_state))
        self.R = tensor(self.train.toarray())
        self.lengths = self.R.sum(1)
        self.pop = np.bincount(self.train.indices, minlength=ITEMS)
        heads = {far.AutoRec: (PREDICTION,), far.OHNSAutoRec: (EMBEDDING,)}.get(type(model), (EMBEDDING, PREDICTION))
        start = random_network(get_backend("cpu"), ITEMS, K, heads, model.fit_intercept, self.seeds.weights)
        self.weights = {name: tensor(value).requires_grad_() for name, value in start.arrays().items()}
        self.phases = STEPS[model.mode] if len(heads) > 1 else [([heads], True)]

    def fit(self) -> Oracle:
        users = np.flatnonzero(self.lengths)
        decay = 2 * self.model.weight_decay / len(users)
        total = 0
        for steps, with_encoder in self.phases:
            for name, value in self.weights.items():
                value.requires_grad_(with_encoder or name not in ("encoder", "bias"))
            optimizer = self.optimizer()
            for _ in range(self.model.epochs):
                total += 1
                order = np.random.default_rng([self.seeds.order, total]).permutation(users)
                x, negatives = self.inputs(total), self.negatives(total)
                sums = dict.fromkeys((head for step in steps for head in step), 0.0)
                for first in range(0, len(order), BATCH):
                    batch = order[first : first + BATCH]
                    for step in steps:
                        optimizer.zero_grad(set_to_none=True)
                        hidden = self.hidden(x[batch], batch)
                        losses = {head: self.loss(head, hidden, batch, negatives) for head in step}
                        objective = sum(self.weight(head) * loss for head, loss in losses.items()) / len(batch)
                        objective.backward()
                        self.add_penalty(decay)
                        optimizer.step()
                        for head, loss in losses.items():
                            sums[head] += loss.item()
                self.losses.append({head: value / len(order) for head, value in sums.items()})
        return self

    def optimizer(self) -> torch.optim.Optimizer:
        rule = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[self.model.optimizer]
        return rule(self.weights.values(), lr=self.model.learning_rate)

    def add_penalty(self, decay: float) -> None:
        """Add the gradient of the penalty on weights, not on the biases in the last columns of heads."""
        for name, value in self.weights.items():
            if value.grad is not None and name != "bias":
                value.grad[:, :K] += decay * value.detach()[:, :K]

    def inputs(self, epoch: int) -> torch.Tensor:
        x = self.R
        if self.model.normalize == "l2":
            x = x / self.lengths.clamp(min=1).sqrt()[:, None]
        if self.model.dropout:
            kept = get_backend("reference").drop_entries(
                check_user_items("train", self.train), self.model.dropout, self.seeds.dropout, epoch
            )
            x = x * tensor(kept.to_scipy().toarray())
        return x

    def hidden(self, x: torch.Tensor, batch: np.ndarray) -> torch.Tensor:
        hidden = ACTIVATIONS[self.model.activation](x @ self.weights["encoder"] + self.weights["bias"])
        if not self.model.fit_intercept:
            return hidden
        g = torch.ones(len(batch)) if self.model.intercept == "constant" else self.lengths[batch] ** -0.5
        return torch.hstack([hidden, g[:, None].double()])

    def negatives(self, epoch: int) -> torch.Tensor | None:
        if not hasattr(self.model, "negatives"):
            return None
        sampler = make_sampler(popularity_weights(self.pop, self.model.power), self.model.negatives)
        exclude = check_user_items("train", self.train) if self.model.exclude_positives else None
        users = np.arange(USERS)
        pattern, counts = get_backend("cpu").sample_negatives(sampler, users, exclude, self.seeds.negatives, epoch)
        return tensor(sparse.csr_matrix((counts, pattern.indices, pattern.indptr), shape=pattern.shape).toarray())

    def weight(self, head: str) -> float:
        return self.model.embedding_weight if head == EMBEDDING and len(self.weights) > 3 else 1.0

    def loss(self, head: str, hidden: torch.Tensor, batch: np.ndarray, negatives: torch.Tensor | None) -> torch.Tensor:
        z, r = hidden @ self.weights[head].T, self.R[batch]
        if head == PREDICTION:
            return (z - r).square().sum()  # Eq. 8
        if negatives is None:
            total = int((self.lengths > 0).sum()) if self.model.numerator == "users" else self.pop.sum()
            w = np.maximum(np.log(total) - self.model.beta * np.log(np.maximum(self.pop, 1)), 0)  # Eq. 16
            target = r * tensor(w) * self.lengths[batch, None] ** -self.model.user_weight
            return (z - target).square().sum()  # Eq. 17
        s = negatives[batch] * (self.lengths[batch] / negatives[batch].sum(1))[:, None]
        out = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "identity": lambda a: a}.get(self.model.out)
        if out is None:  # Eq. 3
            sigma = torch.nn.functional.logsigmoid
            return -(r * sigma(z) + s * sigma(-z)).sum()
        return -(r * out(z) - s * out(z)).sum()  # Eq. 7


def cases() -> list[Any]:
    listed: list[tuple[Any, dict[str, Any]]] = [
        (far.AutoRec, {}),
        (far.AutoRec, {"activation": "sigmoid", "epochs": 3, "optimizer": "sgd"}),
        (far.AutoRec, {"dropout": 0.4}),
        (far.AutoRec, {"fit_intercept": False, "normalize": None}),
        *((far.OHNSAutoRec, {"out": out, "negatives": 30}) for out in ("sigmoid", "logsigmoid", "tanh", "identity")),
    ]
    for mode in STEPS:
        gradient = {"mode": mode, "solver": "gradient"}
        listed += [
            (far.NCEAutoRec, gradient),
            (far.NCEAutoRec, {**gradient, "dropout": 0.5, "epochs": 2, "activation": "tanh", "embedding_weight": 0.3}),
            (far.NCEAutoRec, {**gradient, "intercept": "constant", "normalize": None, "user_weight": 0.0}),
            *((far.NSAutoRec, {**gradient, "out": out, "negatives": 40}) for out in ("sigmoid", "logsigmoid", "tanh")),
            (far.NSAutoRec, {**gradient, "negatives": 400, "exclude_positives": True, "power": 0.75, "dropout": 0.3}),
        ]
    return [
        pytest.param(model, params, id=f"{model.__name__} {' '.join(f'{k}={v}' for k, v in params.items())}")
        for model, params in listed
    ]


@pytest.mark.parametrize("device", ["cpu", "reference"])
@pytest.mark.parametrize(("model", "params"), cases())
def test_training_equals_torch(train: sparse.csr_matrix, model: Any, params: dict[str, Any], device: str) -> None:
    fitted = model(**{**SETTINGS, **params}, device=device).fit(train)
    oracle = Oracle(fitted, train).fit()
    expected = {name: value.detach().numpy() for name, value in oracle.weights.items()}

    actual = {
        "encoder": fitted.encoder_,
        "bias": fitted.encoder_bias_[None],
        fitted._objective().output: fitted.decoder_,
    }
    if fitted.embedding_head_ is not None:
        actual[EMBEDDING] = fitted.embedding_head_
    assert actual.keys() == expected.keys()
    for name, value in actual.items():
        moved = fitted.learning_rate * len(oracle.losses) * -(-USERS // BATCH)
        np.testing.assert_allclose(value, expected[name], rtol=1e-5, atol=2e-3 * moved, err_msg=name)

    epochs = [record for record in fitted.history_ if record["epoch"]]
    assert len(epochs) == len(oracle.losses)
    for record, losses in zip(epochs, oracle.losses, strict=True):
        if len(losses) > 1:
            assert {f"{head}_loss": pytest.approx(loss, rel=1e-5) for head, loss in losses.items()}.items() <= (
                record.items()
            )
        total = sum(oracle.weight(head) * loss for head, loss in losses.items())
        assert record["loss"] == pytest.approx(total, rel=1e-5, abs=1e-5)
