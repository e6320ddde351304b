"""The fit of an autoencoder, from what a model says of its objective to the fitted attributes."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec._checks import check_penalties
from fastautorec._compute.protocol import Backend, FloatArray
from fastautorec._training.closed_form import (
    Encoder,
    RidgeHead,
    accumulate_ridge,
    contiguous,
    svd_encoder,
    typical_size,
)
from fastautorec._training.epochs import EMBEDDING, MODES, PREDICTION, EpochLoop, Head, Options, Phase
from fastautorec._training.losses import LossOf, squared_error
from fastautorec._training.network import Network, random_network
from fastautorec._training.run import FitRun, Seeds
from fastautorec._training.updates import Sums, ridge_sums, updated_ridge

Fitted = dict[str, Any]  # attributes of a model

BATCH_SIZE = 500  # used where the model has None
MAX_DISCOUNT = 18  # scores may be scaled by 10^-18 to 10^18: their products with weights must fit float32


@dataclass(frozen=True)
class Objective:
    """What a model minimises; `Options` say how.

    Attributes
    ----------
    losses : dict of str to LossOf
        The loss of each head; an exact start takes the encoder from the target of the first one.
    phases : tuple of Phase
        What is trained, one after the other.
    output : str
        The head that recommends.
    weights : dict of str to float
        Factors of the heads' losses, 1 where there is none.
    solves_prediction : bool
        Whether the prediction head is solved exactly once the embedding phase is over.
    spectrum_power : float
        Exponent p of the singular values in W = V Σᵖ of an exact start.
    """

    losses: dict[str, LossOf]
    phases: tuple[Phase, ...]
    output: str = PREDICTION
    weights: dict[str, float] = field(default_factory=dict)
    solves_prediction: bool = False
    spectrum_power: float = 1.0

    def ends_exactly(self, epochs: tuple[int, ...]) -> bool:
        """Return whether the head that recommends is an exact solution of the squared error to the interactions."""
        trained_on = any(epochs) and (not self.solves_prediction or len(self.phases) == 1 or self.phases[-1].encoder)
        return not trained_on and self.losses[self.output] is squared_error

    @classmethod
    def one_headed(cls, head: str, loss: LossOf) -> Objective:
        """Return the objective of a model whose only head recommends."""
        return cls({head: loss}, (Phase(head, ((head,),)),), head)

    @classmethod
    def two_headed(
        cls, embedding: LossOf, mode: str, solver: str, embedding_weight: float, spectrum_power: float = 1.0
    ) -> Objective:
        """Return the objective of a model with an embedding head beside one of squared error that recommends."""
        losses = {EMBEDDING: embedding, PREDICTION: squared_error}
        weights = {EMBEDDING: embedding_weight}
        return cls(losses, MODES[mode], PREDICTION, weights, solver == "exact", spectrum_power)


def fit_autoencoder(
    run: FitRun,
    objective: Objective,
    options: Options,
    rng: np.random.Generator,
    metric: Callable[[Fitted], float],
) -> Fitted:
    """Train from the start, or from the state of a checkpoint, and return the fitted attributes.

    Parameters
    ----------
    run : FitRun
    objective : Objective
    options : Options
    rng : numpy.random.Generator
        For the exact start; all other streams have seeds that a copy of it draws.
    metric : callable
        The metric that a model with these attributes has on the validation data of the run, if there are any.
    """
    saved = None if run.checkpoint is None else run.checkpoint.load()
    seeds = Seeds.drawn(copy.deepcopy(rng)) if saved is None else Seeds(**saved[0]["notes"]["seeds"])
    fit = AutoencoderFit(run, objective, options, seeds, metric=metric)
    batch_size = fit.batch_size()
    fit.penalties = check_penalties(options.regularization, run.validation is not None)
    if saved is None and options.init == "svd":
        fit.start_exactly(rng)
    else:
        fit.network = fit.random_network()
    if not any(options.epochs):
        return fit.fitted(in_place=True) | {"best_epochs_": options.epochs}
    fit.network = fit.network.copy(run.backend)
    if saved is not None:
        fit.take_up(saved[0]["notes"])
    loop = fit.loop(batch_size, options.epochs, options.patience)
    if saved is not None:
        loop.restore(objective.phases, *saved)
    for number in range(loop.state.phase, len(objective.phases)):
        phase = objective.phases[number]
        if number > 0 and phase.name == PREDICTION and loop.state.phase != number:
            fit.end_embedding(loop)
            if loop.interrupted or (objective.solves_prediction and not phase.encoder):
                break
        loop.train(number, phase, partial(fit.validate, phase))
    kept = loop.state.kept
    return fit.fitted() | {"best_epochs_": kept + (0,) * (len(options.epochs) - len(kept))}


def go_on(run: FitRun, objective: Objective, options: Options, seeds: Seeds, epochs: int, fitted: Fitted) -> Fitted:
    """Train for some epochs of the last phase on new users and return the attributes that change.

    ``fitted`` are the attributes of the users before.
    """
    counts, backend = fitted["item_counts_"], run.backend
    assert counts is not None  # every version has stored the counts of this family
    weights = fitted["decoder_"]
    if options.popularity_discount:
        weights = weights / backend.to_device(discount(counts, options.popularity_discount))
    fit = AutoencoderFit(run, objective, options, seeds, counts, fitted["n_users_"])
    fit.network = _network_of(backend, fitted, {objective.output: weights}).copy(backend)
    # new users have masks and negatives of their own
    run.train = run.train.numbered_from(fitted["n_users_"] + fitted["skipped_users_"])
    fit.take_up({"penalties": [fitted["regularization_"]], "decays": fitted["decays_"]})
    batch_size = min(options.batch_size or BATCH_SIZE, run.train.shape[0])
    fit.loop(batch_size, (epochs,), epochs).train(0, objective.phases[-1], lambda: None)
    return fit.fitted() | {"skipped_users_": fitted["skipped_users_"] + fit.skipped}


def update_exactly(run: FitRun, objective: Objective, options: Options, fitted: Fitted, sign: int) -> Fitted:
    """Add the users of a run to an exact solution or, with ``sign`` -1, take them away; return what changes.

    ``fitted`` are the attributes of the users before, with their sums.
    """
    seeds = Seeds(0, 0, 0, 0, 0)  # nothing is drawn but masks, of which the sums have the seed
    fit = AutoencoderFit(run, objective, options, seeds, fitted["item_counts_"], fitted["n_users_"], sign=sign)
    fit.network = _network_of(run.backend, fitted, {})
    fit.take_up({"penalties": [fitted["regularization_"]], "decays": fitted["decays_"]})
    fit.update(fitted["sums_"], sign)
    # whoever is forgotten becomes one without interactions, so that the rows of others keep their numbers
    skipped = fitted["skipped_users_"] + (fit.skipped if sign > 0 else fit.users)
    return fit.fitted(in_place=True) | {"skipped_users_": skipped}


def _network_of(backend: Backend, fitted: Fitted, heads: dict[str, FloatArray]) -> Network:
    """Return the network of fitted attributes, with the head that recommends among ``heads``."""
    if fitted["embedding_head_"] is not None:
        heads = {**heads, EMBEDDING: fitted["embedding_head_"]}
    encoder, bias = fitted["encoder_"], fitted["encoder_bias_"]
    return Network(encoder, backend.zeros(1, encoder.shape[1]) if bias is None else bias[None], heads)


class AutoencoderFit:
    """The network of a fit and what it is trained on, from the start to the fitted attributes."""

    network: Network

    def __init__(
        self,
        run: FitRun,
        objective: Objective,
        options: Options,
        seeds: Seeds,
        known_counts: npt.NDArray[np.int64] | int = 0,
        known_users: int = 0,
        sign: int = 1,
        metric: Callable[[Fitted], float] = lambda fitted: math.nan,
    ) -> None:
        """Take what to fit, and the counts of earlier users, from which ``sign`` -1 takes those of the run away."""
        self._run, self._objective, self._options, self.seeds, self._metric = run, objective, options, seeds, metric
        users = np.flatnonzero(run.train.row_lengths())
        self.users, self.skipped = len(users), run.train.shape[0] - len(users)
        if self.skipped:
            run.keep_users(users)
        self._counts = known_counts + sign * run.item_counts
        self._all_users = known_users + sign * self.users
        losses = {name: of(self._counts, self._all_users, seeds.negatives) for name, of in objective.losses.items()}
        for loss in losses.values():
            loss.check(run.train)
        self.losses = {name: loss.on(run.backend) for name, loss in losses.items()}
        check_discount(self._counts, options.popularity_discount)
        self.sums: Sums | None = None
        self.penalties: list[float] = []
        self._decays: dict[str, tuple[float, float]] = {}  # λ / m of exactly solved heads and of their biases

    def fitted(self, head: str | None = None, weights: FloatArray | None = None, in_place: bool = False) -> Fitted:
        """Return the fitted attributes with a head, or with other weights of it, for the scores.

        With ``in_place`` these weights are given up: they become the decoder, which then takes no memory of its own.
        """
        heads, output, exponent = self.network.heads, self._objective.output, self._options.popularity_discount
        head = head or output
        weights = heads[head] if weights is None else weights
        if exponent and head == output:
            factors = self._run.backend.to_device(discount(self._counts, exponent))
            if in_place:
                weights *= factors
            else:
                weights = weights * factors
        trained = bool(self.network.bias.any())
        return {
            "encoder_": self._trained_rows(contiguous(self.network.encoder)),
            "encoder_bias_": self.network.bias[0].copy() if trained else None,
            "decoder_": contiguous(weights),
            "embedding_head_": contiguous(heads[EMBEDDING]) if len(heads) > 1 else None,
            "item_counts_": self._counts,
            "regularization_": self.penalties[0] if self._decays else None,
            "decays_": dict(self._decays),
            "n_users_": self._all_users,
            "skipped_users_": self.skipped,
            "sums_": self.sums,
        }

    def _trained_rows(self, encoder: FloatArray) -> FloatArray:
        """Return the encoder with zeros for items without users, whose rows still hold the random start."""
        seen = self._counts > 0
        if seen.all():
            return encoder
        trained: FloatArray = encoder * self._run.backend.to_device(seen.astype(np.float32)[:, None])
        return trained

    # --- the start ----------------------------------------------------------------------------------------------------

    def batch_size(self) -> int:
        """Return the number of users in a step."""
        given = self._options.batch_size
        if given is not None and given > self.users:
            raise ValueError(
                f"`batch_size` must be at most the number of users with interactions, {self.users}, got {given}; "
                "leave it None to have it chosen"
            )
        return given or min(BATCH_SIZE, self.users)

    def random_network(self) -> Network:
        """Return the weights of a random start."""
        options, backend = self._options, self._run.backend
        intercept = options.intercept is not None
        return random_network(
            backend, self._run.train.n_cols, options.factors, tuple(self.losses), intercept, self.seeds.weights
        )

    def start_exactly(self, rng: np.random.Generator) -> None:
        """Take the encoder from a truncated SVD of the first head's target, and the heads from ridge regression."""
        options, run, output = self._options, self._run, self._objective.output
        pairs, linear = options.activation == "relu", options.activation == "identity"
        target = next(iter(self.losses.values())).start
        rank = options.factors // 2 if pairs else options.factors
        power = self._objective.spectrum_power
        weight = svd_encoder(run, target, rank, options.factors, power, rng, any_basis=linear)
        weight /= typical_size(run.backend, self._encoder_of(weight, None), run.train)
        weight = np.hstack([weight, -weight]) if pairs else weight
        run.record(EMBEDDING)
        self.network = Network(weight, run.backend.zeros(1, options.factors), {})
        solved = {output: self._solve(output, report=True)}
        if any(options.epochs):
            solved |= {head: self._solve(head) for head in self.losses if head not in solved}
        self.network.heads = {head: solved[head] for head in self.losses if head in solved}

    def _solve(self, head: str, report: bool = False) -> FloatArray:
        """Return the exact solution of a head; validation data choose among several penalties, once."""
        options, run = self._options, self._run
        ridge = accumulate_ridge(run, self._encoder(), options.dropout, self.seeds.masks, self.losses[head].start)
        if report and options.updatable:
            self.sums = ridge_sums(ridge, run.train, self.seeds.masks, run.backend)
        if report:
            solve = partial(ridge.solve, run.backend, intercept_penalty=options.intercept_penalty)
            penalty, solution = run.choose(
                head, self.penalties, solve, lambda solution: self._metric(self.fitted(head, solution))
            )
            self.penalties[:] = [penalty]  # checkpoints hold the same list
        else:
            solution = ridge.solve(run.backend, self.penalties[0], options.intercept_penalty)
        self._note_decays(head, ridge)
        return solution

    def update(self, sums: Sums, sign: int) -> None:
        """Solve the head that recommends from these sums and those of the users here."""
        options, run, head = self._options, self._run, self._objective.output
        self.sums, ridge = updated_ridge(sums, run, self._encoder(), options.dropout, sign, self._counts)
        self.network.heads[head] = ridge.solve(run.backend, self.penalties[0], options.intercept_penalty)
        self._note_decays(head, ridge)

    def _note_decays(self, head: str, ridge: RidgeHead) -> None:
        own, last = ridge.penalties(self.penalties[0], self._options.intercept_penalty)
        self._decays[head] = own / self._all_users, last / self._all_users

    def _encoder(self) -> Encoder:
        return self._encoder_of(self.network.encoder, self.network.bias[0])

    def _encoder_of(self, weight: FloatArray, bias: FloatArray | None) -> Encoder:
        options = self._options
        return Encoder(weight, bias, options.activation, options.normalize, options.intercept)

    # --- training -----------------------------------------------------------------------------------------------------

    def loop(self, batch_size: int, epochs: tuple[int, ...], patience: int) -> EpochLoop:
        """Return the loop that trains the network."""
        options = replace(self._options, batch_size=batch_size, epochs=epochs, patience=patience)
        decay = options.weight_decay / self._all_users
        notes = {"seeds": asdict(self.seeds), "penalties": self.penalties, "decays": self._decays}
        return EpochLoop(self._run, self.network, self._encoder(), self._heads(), options, self.seeds, decay, notes)

    def _heads(self) -> dict[str, Head]:
        """Return what each head is trained on; one that was solved exactly keeps the penalty of its solution."""
        heads = {}
        for name, loss in self.losses.items():
            weight = self._objective.weights.get(name, 1.0)
            if name in self._decays:
                own, last = self._decays[name]
                heads[name] = Head(loss, weight, weight * own, weight * last)
            else:
                heads[name] = Head(loss, weight, self._options.weight_decay / self._all_users)
        return heads

    def take_up(self, notes: dict[str, Any]) -> None:
        """Take the penalties of an earlier start."""
        self.penalties = notes["penalties"]
        self._decays = {head: (own, last) for head, (own, last) in notes["decays"].items()}

    def end_embedding(self, loop: EpochLoop) -> None:
        """Solve the prediction head on the encoder that the embedding phase has found, where it is not trained."""
        if self._objective.solves_prediction or loop.interrupted:
            self.network.heads[PREDICTION][...] = self._solve(PREDICTION, report=True)
            loop.heads = self._heads()

    def validate(self, phase: Phase) -> float | None:
        """Return the metric of the present network: in an embedding phase, of the prediction head that would follow."""
        if self._run.validation is None:
            return None
        if phase.name != EMBEDDING or self._objective.output == EMBEDDING:
            return self._metric(self.fitted())
        if self._objective.solves_prediction:
            self.network.heads[PREDICTION][...] = self._solve(PREDICTION)
            return self._metric(self.fitted())
        return self._metric(self.fitted(EMBEDDING))


def check_discount(counts: npt.NDArray[np.int64], exponent: float) -> None:
    """Raise ValueError where scores times pop^(−exponent) would not be float32."""
    most = max(int(counts.max(initial=1)), 1)
    if abs(exponent) * math.log10(most) > MAX_DISCOUNT:
        raise ValueError(
            f"`popularity_discount` must keep pop^(−γ) between 1e-{MAX_DISCOUNT} and 1e{MAX_DISCOUNT}, which is |γ| ≤ "
            f"{MAX_DISCOUNT / math.log10(most):.3g} for the {most} users of the most popular item, got {exponent:g}"
        )


def powers(counts: npt.NDArray[np.int64], exponent: float) -> FloatArray:
    """Return pop^exponent, float32; an item without users counts as one with one user."""
    most = int(counts.max(initial=1))
    few = most < len(counts)  # then many items are as popular as others
    popularity = np.maximum(np.arange(most + 1) if few else counts, 1).astype(np.float64)
    values: FloatArray = (popularity**exponent).astype(np.float32)
    return values[counts] if few else values


def discount(counts: npt.NDArray[np.int64], exponent: float) -> FloatArray:
    """Return pop^(−exponent) as a column; raise ValueError where scores times that would not be float32."""
    check_discount(counts, exponent)
    return powers(counts, -exponent)[:, None]
