"""Validation data over shards: what is held out, who judges by it, and what a model is worth to all of them."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec._compute.csr import Csr, LazyRows
from fastautorec._compute.protocol import Backend
from fastautorec._training.run import check_held_out, with_length
from fastautorec.data._identity import USERS, own_ids
from fastautorec.data._naming import same_ids
from fastautorec.data._splits import held_counts, last_entries, random_order
from fastautorec.distributed._shards import Fitted, Ids, Shard, Shards, cut_into_shards, folders_of
from fastautorec.evaluation import evaluate


@dataclass(frozen=True)
class Divided(Shard):
    """A shard of which a part of each history is held out: that part, or what is left.

    Attributes
    ----------
    counts : unsigned (users,)
        How many interactions of each user are held out: the latest, or at random where there are no timestamps.
    rng : numpy.random.Generator
        As it is before it draws for these users.
    held : bool
    """

    counts: npt.NDArray[Any] = field(compare=False)
    rng: np.random.Generator = field(compare=False)
    held: bool

    def rows(self) -> Csr:
        data = self.interactions()
        rows = self.numbered(data)
        order = random_order(rows.nnz, copy.deepcopy(self.rng)) if data.timestamps is None else data.timestamps
        chosen = last_entries(rows.rebased().indptr, self.counts, order)
        return rows.entries(chosen if self.held else ~chosen)


@dataclass(frozen=True)
class Pair:
    """What some users have in the training and in the validation data."""

    train: Shard
    held: Shard

    def __str__(self) -> str:
        return str(self.train)


def divided(shards: Shards, rng: np.random.Generator) -> tuple[Shards, Shards]:
    """Return what is left of each history, and what is held out of it: the same as on one machine, for any shards."""
    if len(shards.timed) > 1:
        raise ValueError(
            "`data` must have timestamps in all folders or in none, for a part of each history is held out: the "
            "latest, or at random; write some of them again, or pass `validation`"
        )
    if shards.timed == {True} and shards.repeats is not None:
        shards.repeats.tell()
    before = []
    for nnz in shards.entries():
        before.append(copy.deepcopy(rng))
        if shards.timed == {False}:
            random_order(nnz, rng)  # a worker draws them again, so that they do not travel
    lengths = shards.row_lengths()
    counts = held_counts(lengths, rng)
    most = int(counts.max(initial=0))
    check_held_out("data", most, lengths)
    counts = counts.astype(np.min_scalar_type(most))

    def part(held: bool) -> Shards:
        own = [
            Divided(**vars(shard), counts=counts[shard.first_user :][: shard.stop - shard.start], rng=rng, held=held)
            for shard, rng in zip(shards.shards, before, strict=True)
        ]
        return Shards(shards.engine, own, shards.num_threads)

    return part(False), part(True)


def same_users(
    name: str, given: Any, reference_name: str, matrices: dict[str, Csr], shards: list[Shard]
) -> tuple[list[Shard], Ids | None]:
    """Return the users of shards in other folders, of as many users and items, and the ids of their items."""
    others, items = folders_of(name, given, empty=True)
    shapes, found = ([matrix.shape for matrix in some.values()] for some in (matrices, others))
    if shapes != found:
        raise ValueError(
            f"`{name}` must have a folder for each one of `{reference_name}`, with the same users and items in the "
            f"same rows and columns, but these have {shapes} users and items and `{name}` has {found}"
        )
    whole = dict(zip(matrices, cut_into_shards(others, 1 << 62), strict=True))
    own = [replace(whole[one.path], start=one.start, stop=one.stop, first_user=one.first_user) for one in shards]
    return own, items


def check_users(name: str, given: Any, reference_name: str, reference: Any) -> None:
    """Raise ValueError if the users of some rows have other ids than those of a reference."""
    if not same_ids(own_ids(reference, USERS), own_ids(given, USERS)):
        raise ValueError(
            f"`{name}` must have the users of `{reference_name}` in the same rows, but their ids differ; write it "
            f"again from {name}.with_users({reference_name}.user_ids)"
        )


def validation_of(rows: Shards, matrices: dict[str, Csr], given: Any, item_ids: Ids | None) -> Shards:
    """Return validation data for the users of shards, whose ids must be the same."""
    held, items = same_users("validation", given, "data", matrices, rows.shards)
    if not same_ids(item_ids, items):
        raise ValueError(
            "`validation` must have the items of `data` in the same order, but their ids differ; write it again from "
            "validation.with_items(data.item_ids)"
        )
    if not any(rows.map(users_in_both, shards=pairs_of(rows.shards, held))):
        raise ValueError(
            "`validation` must hold an interaction of a user who has some in `data`, got none; split each user's "
            "interactions with split(data)"
        )
    return Shards(rows.engine, held, rows.num_threads)


def pairs_of(train: list[Shard], held: list[Shard]) -> list[Pair]:
    """Return what is known and what is held out of the users of each shard."""
    return [Pair(*pair) for pair in zip(train, held, strict=True)]


def users_in_both(pair: Pair, _: Backend) -> int:
    """Return how many users of a pair have training and validation data."""
    check_users("validation", pair.held.interactions(), "data", pair.train.interactions())
    return int(np.count_nonzero(pair.train.rows().row_lengths() * pair.held.rows().row_lengths()))


def judged(pair: Pair, backend: Backend, fitted: Fitted, length: int, name: str) -> npt.NDArray[np.float64]:
    """Return a metric of a model for each user of a pair who has training and validation data."""
    known, held = pair.train.rows(), pair.held.rows()
    if not (known.row_lengths() * held.row_lengths()).any():
        return np.empty(0)
    return evaluate(fitted.here(backend), known, held, k=(length,)).metric(name).per_user


def metric_over(known: Shards, held: Shards, model: Any, metric: str) -> float:
    """Return the mean of a metric ("standard" definition) over all users, as ``FitRun.measured`` does."""
    length, name = with_length(metric, model.n_items_)
    parts = known.map(judged, Fitted(model), length, name, shards=pairs_of(known.shards, held.shards))
    values = np.concatenate(parts)
    return float(values[~np.isnan(values)].mean())


def histories_of(rows: Shards, users: npt.NDArray[np.int64]) -> LazyRows:
    """Return the rows of a few users in the order given, fetched at once."""
    ascending = np.sort(users)
    return LazyRows.picked(rows.take_rows(ascending), np.searchsorted(ascending, users))
