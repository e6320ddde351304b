"""The fit over shards: the models' own, with sums that an engine adds up."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from os import PathLike
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from fastautorec._checks import check_bool, check_int, kind
from fastautorec._compute import get_backend
from fastautorec._compute.csr import LazyRows
from fastautorec._training.checkpoint import identity
from fastautorec._training.run import FitRun, ProgressBar
from fastautorec.distributed._blocks import check_pairs, in_blocks
from fastautorec.distributed._choosing import divided, histories_of, metric_over, validation_of
from fastautorec.distributed._engines import engine_of
from fastautorec.distributed._passes import Passes
from fastautorec.distributed._shards import (
    SHARD_ENTRIES,
    Folders,
    Shards,
    cut_into_shards,
    folders_of,
    no_step,
    place_for,
    threads_of,
)
from fastautorec.models._recommender import Recommender
from fastautorec.models.ease import pairs_part

Model = TypeVar("Model", bound=Recommender)


class _ShardedRun(FitRun):
    """A run whose rows are in shards."""

    train: Any  # these are `Shards`, which have what a fit asks of a matrix
    known: Any
    validation: Any

    def __init__(
        self,
        rows: Any,
        validation: Any,
        passes: Passes | None,
        progress: ProgressBar,
        num_threads: int | None,
        state_bytes: int | None,
    ) -> None:
        super().__init__(get_backend("cpu", num_threads), rows, validation, (), progress)
        self._given = passes, progress, num_threads, state_bytes
        self._passes, self._state_bytes, self.item_counts = passes, state_bytes, rows.counts
        self.step = no_step  # a step of the bar is a pass, which `total` counts
        progress.step("counting")

    def keep_users(self, users: npt.NDArray[np.int64]) -> None:
        """Train on some of the users only."""
        self.train = self.train.only(users)

    def on(self, train: Any, validation: Any) -> _ShardedRun:
        """Return a run on other shards that goes on with the passes, the bar and the records of this one."""
        other = _ShardedRun(train, validation, *self._given)
        other.history = self.history
        return other

    def split(self, rng: np.random.Generator) -> _ShardedRun:
        """Return a run on the same users, of each of whom a part is held out."""
        return self.on(*divided(self.known, rng))

    def histories(self, users: npt.NDArray[np.int64]) -> tuple[LazyRows, LazyRows]:
        """Return the known and the held-out rows of some users, in the order given."""
        return histories_of(self.known, users), histories_of(self.validation, users)

    def measured(self, model: Any, metric: str) -> float:
        """Return a metric of a fitted model on the validation data."""
        self.progress.step(metric)
        size = sum(value.nbytes for value in vars(model).values() if isinstance(value, np.ndarray))
        if self._state_bytes is not None and size > self._state_bytes:
            raise ValueError(
                f"`state_bytes` must be at least {size:,}, the bytes of a model that validation data judge, got "
                f"{self._state_bytes:,}; fit one value without validation data"
            )
        return metric_over(self.known, self.validation, model, metric)

    def total(self, part: Callable[..., Any], *state: Any, on_host: bool = False) -> Any:
        """Return sums over all users, in one pass or block by block."""
        most = self._state_bytes
        if part is pairs_part:
            check_pairs(np.dtype(state[0]).itemsize * self.train.n_cols**2, most)
        return in_blocks(self._pass, most, part, *state)

    def _pass(self, part: Callable[..., Any], *state: Any) -> Any:
        """Return sums over all users: of an earlier run that was interrupted, or from the engine."""
        sums = None if self._passes is None else self._passes.take()
        if sums is None:
            sums = self.train.total(part, *state)
            if self._passes is not None:
                self._passes.keep(sums)
        self.progress.step(part.__name__.removesuffix("_part"))
        return sums


def fit(
    model: Model,
    data: Folders,
    validation: Folders | None = None,
    *,
    engine: object = "local",
    shard_entries: int = SHARD_ENTRIES,
    num_threads: int | None = None,
    state_bytes: int | None = None,
    checkpoint: str | PathLike[str] | None = None,
    show_progress: bool = False,
) -> Model:
    """Fit a model to interactions on disk, with sums over users that an engine adds up; return the model.

    It is the model's own fit: the same steps on the same sums. The result has the same bits on every engine, for any
    number of workers, and after any of them was killed; it differs from that of ``model.fit`` in rounding, for the sums
    are joined shard by shard.

    Parameters
    ----------
    model : recommender
        `NCEAutoRec` and `AutoRec` as exact solutions (``init="svd"``, ``epochs=0``), `NCEAutoRecCV`, `NCEPLRec`,
        `PureSVD`, `EASE` or `Popularity`. It is changed once the fit is over.
    data : path, Interactions or list of them
        Folders that ``Interactions.to_disk`` or ``Interactions.write`` has written, with the same items, each at a path
        that all workers see. Several folders are one after the other. The output of `shard` is all of its shards.
    validation : path, Interactions or list of them, optional
        Folders with the same users and items in the same rows and columns, to choose among several values of
        ``regularization`` or ``factors`` by: validation folder i holds what the users of folder i chose later. Without
        them `NCEAutoRecCV` holds out a part of each history, the same as on one machine.
    engine : "local", distributed.Client, module ray, SparkSession, or Engine
        Who does the work over shards. "local" is this process with all its threads.
    shard_entries : int
        Interactions of a shard, about: folders are cut into ranges of users. The borders belong to the data, as a
        batch size does: others give other last bits.
    num_threads : int, optional
        Threads of the work on one shard, by default those of the model. Where that has none: all with "local", and one
        elsewhere, where an engine runs as many tasks as it has cores.
    state_bytes : int, optional
        What goes to every worker in a pass, and comes back from a shard, has about so many bytes at most: above it, the
        n × k arrays are cut into blocks of columns, which take more passes. `plan` says how many. The borders of
        blocks change the last bits, as those of shards do. By default nothing is cut.
    checkpoint : path, optional
        A folder for the sums of the passes that are over. The same call goes on from them after an interruption, on
        any engine, with the same bits. It is removed at the end.
    show_progress : bool
        Show a progress bar with a step for each pass over the shards that is over.

    Returns
    -------
    model
        The ordinary model, fitted.

    Raises
    ------
    TypeError, ValueError
        If an argument or a parameter of the model is not usable, if folders have different items or validation data
        other users, or if a worker has another version of fastautorec or NumPy; an error on a worker names its shard.
    FileNotFoundError
        If a folder is not there, for this process or for a worker.
    FileExistsError
        If ``checkpoint`` holds something else, or another call is using it.
    ModelFileError
        If ``checkpoint`` belongs to another fit, or is damaged.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import fastautorec as far
    >>> from fastautorec import distributed
    >>> with TemporaryDirectory() as folder:
    ...     far.datasets.load_example().to_disk(folder + "/packages")
    ...     model = distributed.fit(far.NCEAutoRec(factors=16), folder + "/packages")
    >>> model.n_users_
    17330
    """
    worker, most = checked(model), None if state_bytes is None else check_int("state_bytes", state_bytes, 1)
    matrices, item_ids = folders_of("data", data)
    shards = cut_into_shards(matrices, check_int("shard_entries", shard_entries, 1))
    with ExitStack() as stack:
        progress = stack.enter_context(ProgressBar(type(model).__name__, check_bool("show_progress", show_progress)))
        rows = Shards(engine_of(engine), shards, threads_of(engine, num_threads, worker))
        held_out = None if validation is None else validation_of(rows, matrices, validation, item_ids)
        passes = None
        if checkpoint is not None:
            if getattr(worker, "timeout", None) is not None:
                raise ValueError(
                    f"`timeout` must be None for a search with a checkpoint, got {worker.timeout}: what it would try "
                    "depends on the clock, and the sums that are kept on what it tries"
                )
            settings = worker.get_params() | {"state_bytes": most}
            held_marks = None if held_out is None else _marks(held_out)
            mark = identity(type(model).__name__, settings, _marks(rows), held_marks)
            passes = stack.enter_context(Passes.opened(place_for("checkpoint", checkpoint), mark))
        run = _ShardedRun(rows, held_out, passes, progress, worker.num_threads, most)
        model._take(worker, run, {"item_ids_": item_ids})
    return model


def _marks(rows: Shards) -> list[Any]:
    return [(shard.path, shard.start, shard.stop, *shard.folder) for shard in rows.shards]


def checked(model: Recommender) -> Any:
    """Return a model to work on, which is one that sums over users solve."""
    if not isinstance(model, Recommender):
        raise TypeError(f"`model` must be a recommender of fastautorec, got {kind(model)}")
    worker = model._at_work()
    worker._check_params()
    if not worker._solved_by_sums():
        raise ValueError(
            f"`model` must be an exact solution from sums over users: NCEAutoRec or AutoRec with init='svd' and "
            f"epochs=0, NCEAutoRecCV, NCEPLRec, PureSVD, EASE or Popularity, got {model!r}; fit this one on one machine"
        )
    if getattr(worker, "device", "auto") == "cuda":
        raise ValueError("`device` must be 'auto' or 'cpu' for a fit over shards, got 'cuda'")
    return worker
