"""What a fit over shards will need: bytes on driver, worker and wire, and from what size an engine pays."""

from __future__ import annotations

import math
from dataclasses import dataclass
from os import PathLike
from typing import Any, NamedTuple

import numpy as np

from fastautorec._checks import check_int, check_penalties, kind, sizes_of
from fastautorec._compute import resolve_num_threads
from fastautorec._training.closed_form import check_rank, usual_passes
from fastautorec._training.subspace import OVERSAMPLING
from fastautorec.data import Interactions
from fastautorec.distributed._blocks import blocks_of, check_pairs
from fastautorec.distributed._engines import engine_of
from fastautorec.distributed._fit import checked
from fastautorec.distributed._shards import SHARD_ENTRIES, Folders, cut_into_shards, folders_of
from fastautorec.models import EASE, NCEAutoRecCV, Popularity, PureSVD
from fastautorec.models._autoencoder import Autoencoder
from fastautorec.models._memory_plan import PANEL_BYTES, PROCESS, PROCESS_BYTES
from fastautorec.models._recommender import Recommender
from fastautorec.models.ease import SMALL
from fastautorec.models.linear import PURE_SVD_PASSES, LinearModel

SECONDS = 1e-9  # of a core, for an interaction and a column of a pass; measured on an Intel Xeon
WIRE = 1e9  # bytes a second between machines
COUNTED = 2  # passes over validation data before models are judged by them
PASSES_OF_JUDGES = 6  # two parts of the users are counted, and two lots of judges fetched from both


class Cost(NamedTuple):
    """What an engine takes: bytes of both processes, and arrays of n × k floats that each of them holds at the peak.

    All of it was measured.
    """

    driver_process: int
    driver_arrays: float
    worker_process: int
    worker_arrays: float


COSTS = {
    "dask": Cost(140 << 20, 2.1, 74 << 20, 9.1),
    "ray": Cost(176 << 20, 2.0, 172 << 20, 2.1),  # its store, which processes share, not included
    "spark": Cost(146 << 20, 6.6, 116 << 20, 3.9),  # Java not included
}
EMPTY_PASS = {"dask": 0.15, "ray": 0.05, "spark": 1.0}  # seconds


@dataclass(frozen=True)
class ClusterPlan:
    """Predicted bytes and passes of a fit over shards.

    Attributes
    ----------
    model, engine : str
    shape : (int, int)
        Users and items.
    nnz : int
        Interactions.
    workers, shards : int
    passes : int
        Over all shards; of a search, at least.
    message_bytes : int
        The array that every worker gets in a pass, and that comes of a shard, at most.
    wire_bytes : int
        All messages of a pass together, at most.
    driver, worker : dict of str to int
        Bytes by purpose at the peak of the whole process that asks and of that of a worker, with Python and its
        libraries, as in ``process_bytes`` of the plan of ``model.plan``. With ``engine="local"`` there is no worker.
        The shared memory of Ray's store, and the Java process of Spark, are not included.
    pays_from : int or None
        Interactions from which a pass takes less time than with the threads of this machine alone; None where none are
        enough, for the workers have no more threads than it, or the model takes no products.

    Examples
    --------
    >>> import fastautorec as far
    >>> from fastautorec import distributed
    >>> plan = distributed.plan(far.NCEAutoRec(factors=200), (10**8, 10**6, 10**10), engine="dask", workers=64)
    >>> plan.message_bytes
    804000000
    """

    model: str
    engine: str
    shape: tuple[int, int]
    nnz: int
    workers: int
    shards: int
    passes: int
    message_bytes: int
    wire_bytes: int
    driver: dict[str, int]
    worker: dict[str, int]
    pays_from: int | None

    @property
    def driver_bytes(self) -> int:
        """Predicted peak of the whole process that asks, bytes."""
        return sum(self.driver.values())

    @property
    def worker_bytes(self) -> int:
        """Predicted peak of the whole process of a worker, bytes."""
        return sum(self.worker.values())

    def __str__(self) -> str:
        """Return a table."""
        (m, n), rows = self.shape, []
        place = f"on {self.engine}" if self.worker else "in this process"
        rows.append(f"{self.model} {place}: {m:,} users × {n:,} items, {self.nnz:,} interactions")
        workers = f"{self.workers:,} workers, " if self.worker else ""
        rows.append(f"  {self.shards:,} shards, {workers}{self.passes:,} passes")
        for title, parts, total in (
            ("driver", self.driver, self.driver_bytes),
            ("a worker", self.worker, self.worker_bytes),
        ):
            rows += [f"  {title + ': ' + name:<52}{size / 1e6:12,.1f} MB" for name, size in parts.items()]
            rows += [f"  {title + ', predicted peak':<52}{total / 1e6:12,.1f} MB"] if parts else []
        if not self.worker:
            return "\n".join(rows)
        rows.append(f"  {'a message':<52}{self.message_bytes / 1e6:12,.1f} MB")
        rows.append(f"  {'on the wire in a pass, at most':<52}{self.wire_bytes / 1e6:12,.1f} MB")
        if self.pays_from is not None:
            time = f"less than on this machine alone from {self.pays_from:,} interactions on"
        elif self.message_bytes:
            time = "not less than on this machine alone, for the workers have no more threads than it"
        else:
            time = "not less than on this machine alone, for there are no products to share"
        return "\n".join([*rows, f"  time of a pass: {time}"])


def plan(
    model: Recommender,
    data: Folders | tuple[int, int, int],
    *,
    engine: object = "local",
    workers: int = 1,
    num_threads: int = 1,
    shard_entries: int = SHARD_ENTRIES,
    state_bytes: int | None = None,
) -> ClusterPlan:
    """Return what `fit` is predicted to need of memory, messages and passes.

    Memory is that of a whole process, here and on a worker. ``model.plan`` has the same of a fit with ``model.fit`` as
    ``process_bytes``; its ``peak_bytes`` is without Python.

    Parameters
    ----------
    model : recommender
    data : (users, items, interactions), or as in `fit`
    engine : {"local", "dask", "ray", "spark"}, or as in `fit`
        What an engine itself takes was measured with two workers on one machine.
    workers : int
        Worker processes.
    num_threads : int
        Threads of the work on one shard.
    shard_entries, state_bytes
        As in `fit`.

    Returns
    -------
    ClusterPlan
        Printing it gives a table.

    Raises
    ------
    TypeError, ValueError, FileNotFoundError
        As in `fit`, and for an engine that was not measured.

    Notes
    -----
    Several values of ``regularization`` or ``factors`` count with the validation data that `fit` needs for them; what
    validation data add to a single value, or to a search, is not counted.

    Examples
    --------
    >>> import fastautorec as far
    >>> from fastautorec import distributed
    >>> plan = distributed.plan(far.NCEAutoRec(), (1_876_280, 44_865, 24_400_000), engine="ray", workers=8)
    >>> plan.shards, plan.passes
    (12, 7)
    """
    worker, name = checked(model), _name_of(engine)
    entries, count = check_int("shard_entries", shard_entries, 1), check_int("workers", workers, 1)
    threads = check_int("num_threads", num_threads, 1)
    if isinstance(data, tuple) and not isinstance(next(iter(data), None), (str, PathLike, Interactions)):
        m, n, nnz = sizes_of("data", data, "folders as in `fit`")
        users, shards = m, -(-nnz // entries)
    else:
        matrices, _ = folders_of("data", data)
        m, nnz = (sum(sizes) for sizes in zip(*((one.shape[0], one.nnz) for one in matrices.values()), strict=True))
        n, shards = next(iter(matrices.values())).n_cols, len(cut_into_shards(matrices, entries))
        users = sum(int(np.count_nonzero(one.row_lengths())) for one in matrices.values())
    worker._adapt_to(min(users, n))
    most = None if state_bytes is None else check_int("state_bytes", state_bytes, 1)
    columns, sent, passes = _work(worker, users, n, most)
    array, message, packed = 4 * n * columns, 4 * n * sent, 2 * PANEL_BYTES * n
    lists = {"users and items": 16 * m + 24 * n}
    own = {"interactions of a shard": 4 * (nnz // shards), "packed columns of the threads": packed * threads}
    at_work, pays, wire = {}, None, message * (count + shards)
    if name == "local":
        waiting = (shards - 1).bit_length() + 2  # groups that wait for the next shard, its own sums, and a result
        sums = message * waiting
        if sent < columns:  # the whole product, and a block by itself; or the sums, and the solution of the head
            sums = max(array + message + sums, 2 * array)
        driver = {PROCESS: PROCESS_BYTES, **lists, **own, "encoder": array, "sums of groups": sums}
        count, wire = 1, 0
    else:
        cost = COSTS[name]
        here, there = resolve_num_threads(None), count * threads
        if there > here and sent:
            saved = sent * SECONDS * (1 / here - 1 / there)  # of an interaction
            pays = math.ceil((EMPTY_PASS[name] + wire / WIRE) / saved)
        driver = {
            PROCESS: cost.driver_process, **lists, "packed columns": packed,
            "arrays": int(cost.driver_arrays * array),
        }  # fmt: skip
        at_work = {PROCESS: cost.worker_process, **own, "arrays": int(cost.worker_arrays * message)}
    title = type(model).__name__
    return ClusterPlan(title, name, (m, n), nnz, count, shards, passes, message, wire, driver, at_work, pays)


def _name_of(engine: object) -> str:
    """Return the name of an engine that was measured."""
    name = engine if isinstance(engine, str) else type(engine_of(engine)).__name__.lower()
    if name != "local" and name not in EMPTY_PASS:
        raise ValueError(
            f"`engine` must be 'local', {', '.join(map(repr, EMPTY_PASS))} or one of them, got {kind(engine)}"
        )
    return name


def _work(model: Any, users: int, n: int, most: int | None) -> tuple[int, int, int]:
    """Return the columns of the largest array, those of the largest message, and the passes of a fit."""
    if isinstance(model, Popularity):
        return 0, 0, 1
    if isinstance(model, EASE):
        double = model.updatable or n <= SMALL
        columns = n * (2 if double else 1)  # of float32
        check_pairs(4 * n * columns, most)
        penalties = len(check_penalties(model.regularization, above=True))
        counts = penalties if double else 1  # float64 matrices are not kept
        return columns, columns, 1 + counts + (COUNTED + penalties if penalties > 1 else 0)
    search, family = isinstance(model, NCEAutoRecCV), isinstance(model, Autoencoder)
    k = int(np.max(model.factors))
    rank = k // 2 if family and model.activation == "relu" else k
    check_rank(k, rank, users, n)
    any_basis = family and model.activation == "identity" and model._objective().spectrum_power == 1
    width = min(rank if any_basis else rank + OVERSAMPLING, n)
    heads = 0 if isinstance(model, PureSVD) else 1
    border = 0 if isinstance(model, LinearModel) or not model.fit_intercept else 1
    gram, pairs = blocks_of(n, width, most, 1), blocks_of(n, k, most, 2)
    ridge = len(pairs) * (len(pairs) - 1) // 2 if len(pairs) > 2 else 1
    units = max(map(len, pairs)) * (2 if len(pairs) > 2 else 1) if len(pairs) != 2 else k
    passes = (
        len(gram) * (PURE_SVD_PASSES if isinstance(model, PureSVD) else usual_passes(rank, n, any_basis))
        + heads * ridge
    )
    columns, sent = max(width, heads * (k + border)), max(*map(len, gram), heads * (units + border))
    passes = 1 + passes * (1 + search) + (family or search) + search * PASSES_OF_JUDGES
    if search:
        return columns, sent, passes
    ranks = len(model._ranks()) if isinstance(model, LinearModel) else 1
    penalties = 0 if isinstance(model, PureSVD) else len(check_penalties(model.regularization))
    figures = ranks * penalties + (ranks if ranks > 1 else 0)
    return columns, sent, passes + (COUNTED + figures if figures > 1 else 0)
