"""The fit over shards: the models' own, with sums that an engine adds up."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from fastautorec._checks import check_bool, check_int, kind
from fastautorec._compute import get_backend
from fastautorec._training.checkpoint import identity
from fastautorec._training.run import FitRun, ProgressBar
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

Model = TypeVar("Model", bound=Recommender)


class _ShardedRun(FitRun):
    """A run whose rows are in shards."""

    train: Any  # of `Shards`, which are what a fit asks of a matrix

    def __init__(self, rows: Any, passes: Passes | None, progress: ProgressBar, num_threads: int | None) -> None:
        super().__init__(get_backend("cpu", num_threads), rows, None, (), progress)
        self._passes, self.item_counts = passes, rows.counts
        self.step = no_step  # a step of the bar is a pass, which `total` counts
        progress.step("counting")

    def keep_users(self, users: npt.NDArray[np.int64]) -> None:
        """Train on some of the users only."""
        self.train.keep(users)

    def total(self, part: Callable[..., Any], *state: Any, on_host: bool = False) -> Any:
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
    *,
    engine: object = "local",
    shard_entries: int = SHARD_ENTRIES,
    num_threads: int | None = None,
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
        `NCEAutoRec` and `AutoRec` as exact solutions (``init="svd"``, ``epochs=0``), `NCEPLRec`, `PureSVD`, `EASE` or
        `Popularity`, with one value for ``regularization``. It is changed once the fit is over.
    data : path, Interactions or list of them
        Folders that ``Interactions.to_disk`` or ``Interactions.write`` has written, with the same items, each at a path
        that all workers see. Several folders are one after the other.
    engine : "local", distributed.Client, module ray, SparkSession, or Engine
        Who does the work over shards. "local" is this process with all its threads.
    shard_entries : int
        Interactions of a shard, about: folders are cut into ranges of users. The borders belong to the data, as a
        batch size does: others give other last bits.
    num_threads : int, optional
        Threads of the work on one shard, by default those of the model. Where that has none: all with "local", and one
        elsewhere, where an engine runs as many tasks as it has cores.
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
        If an argument or a parameter of the model is not usable, if folders have different items, or if a worker has
        another version of fastautorec or NumPy; an error on a worker names its shard.
    FileNotFoundError
        If a folder is not there, for this process or for a worker.
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
    worker = _checked(model)
    matrices, item_ids = folders_of("data", data)
    shards = cut_into_shards(matrices, check_int("shard_entries", shard_entries, 1))
    with ProgressBar(type(model).__name__, check_bool("show_progress", show_progress)) as progress:
        rows = Shards(engine_of(engine), shards, threads_of(engine, num_threads, worker))
        passes = None
        if checkpoint is not None:
            parts = [(shard.path, shard.start, shard.stop, *shard.folder) for shard in shards]
            passes = Passes(
                place_for("checkpoint", checkpoint), identity(type(model).__name__, worker.get_params(), parts)
            )
        run = _ShardedRun(rows, passes, progress, worker.num_threads)
        model._take(worker, run, {"item_ids_": item_ids})
    if passes is not None:
        passes.finish()
    return model


def _checked(model: Recommender) -> Any:
    """Return a model to work on, which is one that sums over users solve."""
    if not isinstance(model, Recommender):
        raise TypeError(f"`model` must be a recommender of fastautorec, got {kind(model)}")
    worker = model._at_work()
    worker._check_params()
    if not worker._solved_by_sums():
        raise ValueError(
            f"`model` must be an exact solution from sums over users: NCEAutoRec or AutoRec with init='svd' and "
            f"epochs=0, NCEPLRec, PureSVD, EASE or Popularity, got {model!r}; fit this one on one machine"
        )
    if getattr(worker, "device", "auto") == "cuda":
        raise ValueError("`device` must be 'auto' or 'cpu' for a fit over shards, got 'cuda'")
    return worker
