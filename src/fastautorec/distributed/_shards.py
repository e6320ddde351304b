"""Shards: ranges of users of folders of interactions, and what a fit asks of the matrix that they are together."""

from __future__ import annotations

import copy
import hashlib
import itertools
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec._checks import check_int, kind
from fastautorec._compute import get_backend
from fastautorec._compute.csr import Csr
from fastautorec._compute.inputs import check_user_items
from fastautorec._compute.protocol import Backend
from fastautorec._version import __version__
from fastautorec.data import Interactions
from fastautorec.data import _store as store
from fastautorec.data._naming import locked, same_ids
from fastautorec.data._repeats import Repeats, joined
from fastautorec.data._texts import is_text
from fastautorec.distributed._engines import Engine, engine_of
from fastautorec.distributed._folders import paths_of
from fastautorec.distributed._joining import owned

SHARD_ENTRIES = 1 << 21  # interactions of a shard, about: sums of a shard cost as much as so many interactions or more
NAMED_ERRORS = (TypeError, ValueError, MemoryError)  # whose only argument is a message

Ids = npt.NDArray[Any]
Folder = str | os.PathLike[str] | Interactions
Folders = Folder | list[Folder] | tuple[Folder, ...]


@dataclass(frozen=True)
class Shard:
    """Consecutive users of a folder of interactions.

    Attributes
    ----------
    path : str
        The folder; every worker opens it.
    start, stop : int
        Rows of the folder.
    first_user : int
        Number of the first of them among the users of all folders: random masks are keyed by it.
    folder : (int, int, int, str)
        Users, items and interactions of the whole folder, and its token, which tell whether it was replaced.
    """

    path: str
    start: int
    stop: int
    first_user: int
    folder: tuple[Any, ...]

    def __str__(self) -> str:
        return f"users {self.start:,} to {self.stop:,} of {self.path}"

    def interactions(self) -> Interactions:
        """Return the interactions of these users, mapped from the folder.

        Raises
        ------
        FileNotFoundError, ValueError
            If the folder is not there, or is not the one that the shards were cut from.
        """
        try:
            whole = Interactions.open(self.path)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"{self} cannot be read on {socket.gethostname()} (process {os.getpid()}): {error}; the folder must be "
                "at the same path on every worker, and stay there until the end"
            ) from error
        if (found := marks_of(whole._csr)) != self.folder:
            raise ValueError(
                f"the folder has {found[:3]} users, items and interactions and the token {found[3]}, where "
                f"{self.folder[:3]} and {self.folder[3]} are expected: it was replaced meanwhile, or another folder is "
                "at this path on a worker; begin again"
            )
        users = whole._users_between(self.start, self.stop)
        if not whole._ids_given[0]:  # they are numbered through all folders
            users.user_ids = locked(np.arange(self.first_user, self.first_user + self.stop - self.start))
        return users

    def rows(self) -> Csr:
        """Return the same as a matrix of users who are numbered among all."""
        return self.numbered(self.interactions())

    def numbered(self, data: Interactions) -> Csr:
        """Return the matrix of these users."""
        rows = check_user_items("data", data)
        return replace(rows, users=np.arange(self.first_user, self.first_user + rows.shape[0], dtype=np.int64))


def marks_of(matrix: Any) -> tuple[Any, ...]:
    """Return what tells a folder of interactions from others."""
    return (*matrix.shape, matrix.nnz, matrix.token)


def folders_of(name: str, data: Any, *, empty: bool = False) -> tuple[dict[str, Csr], Ids | None]:
    """Return the matrices of folders of interactions by their paths, and the ids of the items where they have some.

    The output of `shard`, a folder of such folders, stands for the shards in it, in their order.
    With ``empty``, folders without interactions are taken.
    """
    one = isinstance(data, (str, os.PathLike, Interactions))
    given: list[Any] = [data] if one else list(data) if isinstance(data, (list, tuple)) else []
    if not given:
        raise TypeError(
            f"`{name}` must be a folder of interactions, such as data.to_disk(path) writes, or a list of such folders, "
            f"got {data!r}"
        )
    matrices: dict[str, Csr] = {}
    named: set[str] = set()  # one folder may have several paths
    tokens: dict[str, Path] = {}
    items: tuple[int, Ids | None] | None = None
    first: Path | None = None
    for path in itertools.chain.from_iterable(paths_of(name, folder) for folder in given):
        stored = store.read(path, verify=False)
        own = stored.matrix.n_cols, stored.item_ids if stored.ids_given[1] else None
        items, first = items or own, first or path
        if own[0] != items[0] or not same_ids(own[1], items[1]):
            raise ValueError(
                f"`{name}` must be folders with the same items in the same order, but "
                f"{_unlike(str(path), str(first), own, items)}: write it again from data.with_items(item_ids)"
            )
        if os.path.realpath(path) in named:
            raise ValueError(f"`{name}` must name each folder once, got {path} twice: its users would count twice")
        token = getattr(stored.matrix, "token", None) or str(path)  # a hash of the content; early versions have none
        if stored.ids_given[0] and token in tokens:
            raise ValueError(
                f"`{name}` must name the data of a user once, but {path} is a copy of {tokens[token]}: "
                "the ids and all else are the same; leave one out"
            )
        tokens[token] = path
        if stored.matrix.nnz == 0 and not empty:
            raise ValueError(f"`{name}` must be folders with interactions, got none in {path}; leave it out")
        matrices[str(path)] = stored.matrix
        named.add(os.path.realpath(path))
    assert items is not None
    return matrices, items[1]


def _unlike(path: str, other: str, own: tuple[int, Ids | None], others: tuple[int, Ids | None]) -> str:
    """Return in what the items of two folders differ."""
    (n, ids), (its_n, its_ids) = own, others
    if n != its_n:
        return f"{path} has {n:,} and {other} {its_n:,} of them"
    if ids is None or its_ids is None:
        with_ids, without = (path, other) if its_ids is None else (other, path)
        return f"those of {with_ids} have ids and those of {without} none"
    place = int(np.argmax(ids != its_ids)) if is_text(ids) == is_text(its_ids) else 0
    mine, theirs = (some[place : place + 1].tolist()[0] for some in (ids, its_ids))
    return f"item {place:,} is {mine!r} in {path} and {theirs!r} in {other}"


def cut_into_shards(matrices: dict[str, Csr], entries: int) -> list[Shard]:
    """Return the shards of folders, in order.

    Each folder is cut into ranges of users with about the same number of interactions, about ``entries`` or fewer. The
    borders depend on the row pointers alone, so that the result has the same bits whoever computes it.
    """
    shards: list[Shard] = []
    users = 0
    for path, matrix in matrices.items():
        marks = marks_of(matrix)
        shards += [Shard(path, start, stop, users + start, marks) for start, stop in _borders(matrix, entries)]
        users += matrix.shape[0]
    return shards


def place_for(name: str, given: Any) -> Path:
    """Return an absolute path for a folder that is to be made, whose own folder must be there."""
    if not isinstance(given, (str, os.PathLike)) or not os.fspath(given):
        raise TypeError(f"`{name}` must be the path of a folder, got {given!r}")
    path = Path(given).absolute()
    if not path.parent.is_dir():
        raise FileNotFoundError(f"`{name}`={str(given)!r} is in a folder that does not exist; create it first")
    return path


def check_new_folder(name: str, folder: Path) -> None:
    """Raise FileExistsError if there is something at a path, an empty folder aside."""
    if os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"`{name}` must be a new or an empty folder, got {folder}; name another, or remove it")


def _borders(matrix: Csr, entries: int) -> list[tuple[int, int]]:
    """Return ranges of rows with about the same number of entries, each with one at least."""
    count = max(1, -(-matrix.nnz // entries))
    wanted = np.arange(1, count) * (matrix.nnz / count)
    inner = np.searchsorted(matrix.indptr, wanted)
    filled = [border for border in dict.fromkeys(inner.tolist()) if 0 < matrix.indptr[border] < matrix.nnz]
    borders = [0, *filled, matrix.shape[0]]
    return list(itertools.pairwise(borders))


# --- what runs on a worker ------------------------------------------------------------------------------------------


def on_shard(work: Callable[..., Any], num_threads: int | None, shard: Any, state: tuple[Any, ...]) -> Any:
    """Return ``work(shard, backend, *state)``; an error tells of which shard.

    Nothing is kept on the worker, and the result depends on the arguments alone: it may be done again anywhere.
    """
    try:
        return work(shard, get_backend("cpu", num_threads), *owned(state))
    except NAMED_ERRORS as error:
        raise type(error)(f"{shard}: {error}") from error


def over_shards(
    work: Callable[..., Any], engine: Any, num_threads: Any, shards: list[Any], model: Any, *state: Any
) -> list[Any]:
    """Return ``work(shard, backend, fitted, *state)`` of each shard, for a fitted model."""
    threads = threads_of(engine, num_threads, model)
    return mapped(engine_of(engine), partial(on_shard, work, threads), shards, (Fitted(model), *state))


def mapped(engine: Engine, work: Callable[..., Any], shards: list[Any], state: tuple[Any, ...]) -> list[Any]:
    """Return what an engine's ``map`` gives, which must be one result for each shard, in their order."""
    parts = engine.map(partial(_numbered, work), list(enumerate(shards)), state)
    if not isinstance(parts, (list, tuple)) or [*map(_number_of, parts)] != list(range(len(shards))):
        found = f"{len(parts)} that are others" if isinstance(parts, (list, tuple)) else kind(parts)
        raise ValueError(
            f"`engine`.map must return a list with one result for each of the {len(shards)} shards, in their order, "
            f"got {found}"
        )
    return [result for _, result in parts]


def _numbered(work: Callable[..., Any], shard: tuple[int, Any], state: tuple[Any, ...]) -> tuple[int, Any]:
    return shard[0], work(shard[1], state)


def _number_of(part: Any) -> Any:
    return part[0] if isinstance(part, tuple) and len(part) == 2 else None


def _mark(shard: Shard) -> int:
    """Return a number whose sum over shards tells that each is in it once, also where one is lost and another twice."""
    return int.from_bytes(hashlib.blake2b(str(shard.first_user).encode(), digest_size=16).digest(), "big")


def threads_of(engine: Any, num_threads: Any, model: Any) -> int | None:
    """Return the number of threads of the work on one shard, None for all."""
    wanted = getattr(model, "num_threads", None) if num_threads is None else check_int("num_threads", num_threads, 1)
    return 1 if wanted is None and not isinstance(engine, str) else wanted


class Fitted:
    """A fitted model that travels."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def here(self, backend: Backend) -> Any:
        """Return the model with arrays that are this process's own, to be used with the threads of a backend."""
        model = copy.copy(self._model)
        model.__dict__.update({name: owned(value) for name, value in vars(model).items() if name.endswith("_")})
        model.num_threads = backend.host.num_threads
        return model


def part_of_shard(shard: Shard, backend: Backend, part: Callable[..., Any], *state: Any) -> Any:
    """Return the sums over the users of a shard who have interactions, the number of shards in them, and the marks."""
    rows = shard.rows()
    users = np.flatnonzero(rows.row_lengths())
    active = rows if len(users) == rows.shape[0] else rows.take_rows(users)
    return part(backend, active, no_step, *state), 1, _mark(shard)


def no_step(name: str) -> None:
    """Show nothing: the bar is the driver's, and moves with each pass."""


def describe(
    shard: Shard, backend: Backend
) -> tuple[tuple[str, str], bool, Repeats | None, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the versions on the worker, if there are timestamps, what is remembered of pairs, and all counts."""
    rows, data = shard.rows(), shard.interactions()
    timed = data.timestamps is not None
    return (__version__, np.__version__), timed, data._repeats, rows.row_lengths(), backend.count_items(rows)


def rows_of_shard(shard: Shard, _: Backend, users: npt.NDArray[np.int64]) -> Csr:
    """Return those of the users who are in a shard."""
    first, last = np.searchsorted(users, (shard.first_user, shard.first_user + shard.stop - shard.start))
    return shard.rows().take_rows(users[first:last] - shard.first_user).rebased()


# --- the matrix of all users ----------------------------------------------------------------------------------------


class Shards:
    """What a fit asks of the matrix of all users, who stay where they are.

    Attributes
    ----------
    engine : Engine
    shards : list of Shard
    counts : int64 (n,)
        Users of each item.
    timed : set of bool
        Whether interactions have timestamps.
    repeats : Repeats or None
    num_threads : int or None
        For the work on one shard.
    """

    def __init__(self, engine: Engine, shards: Sequence[Shard], num_threads: int | None) -> None:
        """Ask the workers, who must have the versions that are here."""
        self.engine, self.shards, self.num_threads = engine, list(shards), num_threads
        versions, timed, marks, lengths, counts = zip(*owned(self.map(describe)), strict=True)
        for other in set(versions) - {(__version__, np.__version__)}:
            raise ValueError(
                f"`engine` has a worker with fastautorec {other[0]} and NumPy {other[1]}, but the fit is asked "
                f"for with {__version__} and {np.__version__}: the bits could differ; install the same on all"
            )
        self.timed, self.counts = set(timed), np.sum(counts, axis=0)
        folders = {shard.path: mark for shard, mark in zip(self.shards, marks, strict=True)}
        self.repeats = joined(folders.values())
        self._lengths = np.concatenate(lengths)
        self._users = np.arange(len(self._lengths))
        self.n_cols = len(self.counts)

    def map(self, work: Callable[..., Any], *state: Any, shards: Sequence[Any] | None = None) -> list[Any]:
        """Return ``work(shard, backend, *state)`` of each shard, or of what is given in their place."""
        given = self.shards if shards is None else list(shards)
        return mapped(self.engine, partial(on_shard, work, self.num_threads), given, state)

    def total(self, part: Callable[..., Any], *state: Any) -> Any:
        """Return the sums over all users."""
        work = partial(on_shard, part_of_shard, self.num_threads)
        sums = self.engine.reduce(work, self.shards, (part, *state))
        whole = len(self.shards), sum(map(_mark, self.shards))
        if not isinstance(sums, tuple) or len(sums) != 3 or sums[1:] != whole:
            tagged = isinstance(sums, tuple) and len(sums) == 3
            found = f"that of {sums[1]}, not each once" if tagged else kind(sums)
            raise ValueError(
                f"`engine`.reduce must return the sum of what `work` returns of each of the {len(self.shards)} shards, "
                f"as fastautorec.distributed.tree joins them, got {found}"
            )
        return owned(sums[0])

    @property
    def shape(self) -> tuple[int, int]:
        """Users and items."""
        return len(self._users), self.n_cols

    @property
    def nnz(self) -> int:
        """Number of interactions."""
        return int(self._lengths.sum())

    def row_lengths(self) -> npt.NDArray[np.int64]:
        """Return the number of interactions of each user, int64 (m,)."""
        return self._lengths[self._users]

    def entries(self) -> list[int]:
        """Return the number of interactions of each shard."""
        before = np.concatenate(([0], np.cumsum(self._lengths)))
        return [int(before[one.first_user + one.stop - one.start] - before[one.first_user]) for one in self.shards]

    def only(self, users: npt.NDArray[np.int64]) -> Shards:
        """Return the same without users who have no interactions, whom the sums leave out anyway."""
        kept = copy.copy(self)
        kept._users = self._users[users]
        return kept

    def take_rows(self, users: npt.NDArray[np.int64]) -> Csr:
        """Return a few rows (ascending)."""
        parts = self.map(rows_of_shard, self._users[users])
        indptr = np.concatenate(([0], np.cumsum(np.concatenate([part.row_lengths() for part in parts]))))
        return Csr(indptr, np.concatenate([part.indices for part in parts]), None, self.n_cols)
