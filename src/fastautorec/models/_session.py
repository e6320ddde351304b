"""One training of an autoencoder: where it starts, how its phases follow each other, what is kept."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fastautorec._compute.protocol import FloatArray
from fastautorec._training.closed_form import Encoder
from fastautorec._training.epochs import EMBEDDING, PREDICTION, Head, Phase, Settings, Trainer
from fastautorec._training.network import Network, contiguous, random_network
from fastautorec._training.run import FitRun
from fastautorec.models._heads import RidgeHead, check_penalties, svd_encoder, typical_size, validation_metric

if TYPE_CHECKING:
    from fastautorec.models._autoencoder import AutoencoderModel

Saved = tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]  # header and arrays of a checkpoint

BATCH_SIZE = 500  # where the model leaves it open
MAX_DISCOUNT = 18  # powers of ten that scores are multiplied or divided by: their products with weights are float32


@dataclass(frozen=True)
class Seeds:
    """Seeds of the random streams, the same for all models and modes of one ``random_state``."""

    weights: int
    order: int
    dropout: int
    negatives: int
    masks: int

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Seeds:
        """Return seeds drawn from a generator."""
        return cls(*(int(seed) for seed in rng.integers(2**63, size=5)))


class Session:
    """One call of ``fit`` or ``partial_fit``: the network from its start to the fitted attributes."""

    network: Network

    def __init__(
        self,
        model: AutoencoderModel,
        run: FitRun,
        seeds: Seeds,
        known_counts: npt.NDArray[np.int64] | int = 0,
        known_users: int = 0,
    ) -> None:
        """Take what to fit, and the item counts and number of the users that the model has learned from before."""
        self._model, self._run, self.seeds = model, run, seeds
        users = np.flatnonzero(run.train.row_lengths())
        self._users, self._skipped = len(users), run.train.shape[0] - len(users)
        if self._skipped:
            run.keep_users(users)
        self._counts = run.item_counts + known_counts
        self._all_users = known_users + self._users
        losses = model._losses(self._counts, self._all_users, seeds.negatives)
        for loss in losses.values():
            loss.check(run.train)
        self.losses = {name: loss.on(run.backend) for name, loss in losses.items()}
        discount(self._counts, model.popularity_discount)  # refuses what the scores would not be numbers with
        self._penalties: list[float] = []
        self._decays: dict[str, tuple[float, float]] = {}  # λ / m of exactly solved heads and of their biases

    def fit(self, rng: np.random.Generator, saved: Saved | None) -> dict[str, Any]:
        """Train from the start, or from the state of a checkpoint, and return the fitted attributes."""
        batch_size = self._batch_size()
        self._penalties = check_penalties(self._model.regularization, self._run.validation is not None)
        if saved is None and self._model.init == "svd":
            self._start_exactly(rng)
        else:
            self.network = self.random_network()
        epochs = self._model._epochs_of_phases()
        if not any(epochs):
            return self.fitted() | {"best_epochs_": epochs}
        self.network = self.network.copy(self._run.backend)
        if saved is not None:
            self._take_up(saved[0]["notes"])
        trainer = self.trainer(batch_size, epochs, self._model.patience)
        phases = self._model._phases()
        if saved is not None:
            trainer.restore(phases, *saved)
        for number in range(trainer.progress.phase, len(phases)):
            if number > 0 and phases[number].name == PREDICTION and trainer.progress.phase != number:
                self._end_embedding(trainer)
                if trainer.interrupted or (self._model._solves_prediction() and not phases[number].encoder):
                    break
            trainer.train(number, phases[number], partial(self._validate, phases[number]))
        kept = trainer.progress.kept
        return self.fitted() | {"best_epochs_": kept + (0,) * (len(epochs) - len(kept))}

    def go_on(self, network: Network, phase: Phase, epochs: int) -> dict[str, Any]:
        """Train a fitted network for some epochs of one phase and return the fitted attributes that change."""
        model, self.network = self._model, network.copy(self._run.backend)
        before = model.n_users_ + model.skipped_users_
        self._run.train = self._run.train.numbered_from(before)  # new users have masks and negatives of their own
        self._take_up({"penalties": [model.regularization_], "decays": model.decays_})
        batch_size = min(model.batch_size or BATCH_SIZE, self._users)
        self.trainer(batch_size, (epochs,), epochs).train(0, phase, lambda: None)
        return self.fitted() | {"skipped_users_": model.skipped_users_ + self._skipped}

    def fitted(self, head: str | None = None, weights: FloatArray | None = None) -> dict[str, Any]:
        """Return the fitted attributes with a head, or with other weights of it, for the scores."""
        model, heads = self._model, self.network.heads
        head = head or model.output_head
        weights = heads[head] if weights is None else weights
        if model.popularity_discount and head == model.output_head:
            weights = weights * self._run.backend.to_device(discount(self._counts, model.popularity_discount))
        trained = bool(self.network.bias.any())
        return {
            "encoder_": self._trained_rows(contiguous(self.network.encoder)),
            "encoder_bias_": self.network.bias[0].copy() if trained else None,
            "decoder_": contiguous(weights),
            "embedding_head_": contiguous(heads[EMBEDDING]) if len(heads) > 1 else None,
            "item_counts_": self._counts,
            "regularization_": self._penalties[0] if self._decays else None,
            "decays_": dict(self._decays),
            "n_users_": self._all_users,
            "skipped_users_": self._skipped,
        }

    def _trained_rows(self, encoder: FloatArray) -> FloatArray:
        """Return the encoder with zeros for items that nobody has: theirs are the numbers that the start drew."""
        seen = self._counts > 0
        if seen.all():
            return encoder
        trained: FloatArray = encoder * self._run.backend.to_device(seen.astype(np.float32)[:, None])
        return trained

    # --- the start ----------------------------------------------------------------------------------------------------

    def random_network(self) -> Network:
        model = self._model
        return random_network(
            self._run.backend, self._run.train.n_cols, model.factors, tuple(self.losses), model.fit_intercept,
            self.seeds.weights,
        )  # fmt: skip

    def _start_exactly(self, rng: np.random.Generator) -> None:
        """Take the encoder from a truncated SVD of the first head's target, and the heads from ridge regression."""
        model, run = self._model, self._run
        pairs, linear = model.activation == "relu", model.activation == "identity"
        target = next(iter(self.losses.values())).start
        rank = model.factors // 2 if pairs else model.factors
        weight = svd_encoder(run, target, rank, model.factors, model._spectrum_power(), rng, any_basis=linear)
        weight /= typical_size(run.backend, self._encoder_of(weight, None), run.train)
        weight = np.hstack([weight, -weight]) if pairs else weight
        run.record(EMBEDDING)
        self.network = Network(weight, run.backend.zeros(1, model.factors), {})
        solved = {model.output_head: self._solve(model.output_head, report=True)}
        if any(model._epochs_of_phases()):
            solved |= {head: self._solve(head) for head in self.losses if head not in solved}
        self.network.heads = {head: solved[head] for head in self.losses if head in solved}

    def _solve(self, head: str, report: bool = False) -> FloatArray:
        """Return the exact solution of a head; several penalties are decided by validation data, once and for all."""
        model, run = self._model, self._run
        ridge = RidgeHead(
            run, self._encoder(), model.dropout, self.seeds.masks, model.intercept_penalty,
            self.losses[head].start,
        )  # fmt: skip
        if not report:
            solution = ridge.solve(self._penalties[0])
        else:
            penalty, solution = ridge.choose(
                self._penalties,
                lambda weights: self._metric(self.fitted(head, weights)),
                lambda penalty, metric: run.record(head, regularization=penalty, metric=metric),
            )
            self._penalties[:] = [penalty]  # checkpoints hold the same list
        own, last = ridge.penalties(self._penalties[0])
        self._decays[head] = own / self._users, last / self._users
        return solution

    # --- training -----------------------------------------------------------------------------------------------------

    def trainer(self, batch_size: int, epochs: tuple[int, ...], patience: int) -> Trainer:
        model, seeds = self._model, self.seeds
        decay = model.weight_decay / self._all_users
        settings = Settings(
            model.optimizer, model.learning_rate, model.schedule, batch_size, epochs, patience, model.dropout, decay,
            seeds.order, seeds.dropout,
        )  # fmt: skip
        notes = {"seeds": asdict(seeds), "penalties": self._penalties, "decays": self._decays}
        return Trainer(self._run, self.network, self._encoder(), self._heads(), settings, notes)

    def _heads(self) -> dict[str, Head]:
        """Return what each head is trained on; one that was solved exactly keeps the penalty of its solution."""
        heads = {}
        for name, loss in self.losses.items():
            weight = self._model._head_weight(name)
            if name in self._decays:
                own, last = self._decays[name]
                heads[name] = Head(loss, weight, weight * own, weight * last)
            else:
                heads[name] = Head(loss, weight, self._model.weight_decay / self._all_users)
        return heads

    def _take_up(self, notes: dict[str, Any]) -> None:
        self._penalties = notes["penalties"]
        self._decays = {head: (own, last) for head, (own, last) in notes["decays"].items()}

    def _end_embedding(self, trainer: Trainer) -> None:
        """Solve the prediction head on the encoder that the embedding phase has found, where it is not trained."""
        if self._model._solves_prediction() or trainer.interrupted:
            self.network.heads[PREDICTION][...] = self._solve(PREDICTION, report=True)
            trainer.heads = self._heads()

    def _validate(self, phase: Phase) -> float | None:
        """Return the metric of the present network: in an embedding phase, of the prediction head that would follow."""
        if self._run.validation is None:
            return None
        if phase.name != EMBEDDING or self._model.output_head == EMBEDDING:
            return self._metric(self.fitted())
        if self._model._solves_prediction():
            self.network.heads[PREDICTION][...] = self._solve(PREDICTION)
            return self._metric(self.fitted())
        return self._metric(self.fitted(EMBEDDING))

    def _metric(self, fitted: dict[str, Any]) -> float:
        return validation_metric(self._model, fitted, self._run, self._model.metric)

    def _batch_size(self) -> int:
        given = self._model.batch_size
        if given is not None and given > self._users:
            raise ValueError(
                f"`batch_size` must be at most the number of users with interactions, {self._users}, got {given}; "
                "leave it None to have it chosen"
            )
        return given or min(BATCH_SIZE, self._users)

    def _encoder(self) -> Encoder:
        return self._encoder_of(self.network.encoder, self.network.bias[0])

    def _encoder_of(self, weight: FloatArray, bias: FloatArray | None) -> Encoder:
        model = self._model
        return Encoder(weight, bias, model._activation(), model._normalize(), model._intercept())


def discount(counts: npt.NDArray[np.int64], exponent: float) -> FloatArray:
    """Return pop^(−exponent) as a column; raise ValueError where scores times that would not be float32."""
    most = max(int(counts.max(initial=1)), 1)
    if abs(exponent) * math.log10(most) > MAX_DISCOUNT:
        raise ValueError(
            f"`popularity_discount` must keep pop^(−γ) between 1e-{MAX_DISCOUNT} and 1e{MAX_DISCOUNT}, which is |γ| ≤ "
            f"{MAX_DISCOUNT / math.log10(most):.3g} for the {most} users of the most popular item, got {exponent:g}"
        )
    return (np.maximum(counts, 1).astype(np.float64) ** -exponent).astype(np.float32)[:, None]
