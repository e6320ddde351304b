"""What workers do to shard rating files: read a part, number its items, write a shard.

A part becomes arrays in the order of the hashes of its users; a range of hashes of all parts is a shard. All of it lies
in one folder, the room, which all workers see. What is there is finished, and is not done again.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec._compute.inputs import check_user_items
from fastautorec._files import replace_content, replace_file
from fastautorec.data import Interactions
from fastautorec.data._columns import factorize, sorted_unique
from fastautorec.data._identity import picked, places
from fastautorec.data._loading import load
from fastautorec.data._rearranging import rearranged
from fastautorec.data._texts import is_text, memory, pack, unpack
from fastautorec.distributed._facts import Facts, Reading
from fastautorec.distributed._joining import owned
from fastautorec.distributed._sources import Source
from fastautorec.exceptions import RatingsFileError

Ids = npt.NDArray[Any]
Hashes = npt.NDArray[np.uint64]

BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that no factor of a power is lost
CALL = "call.json"  # in the room: for whom it is
ITEMS = "items"
ROOM = r"call\.json|plan\.json|items|parts|shards"  # all that is in it
WITHIN = {  # there, and the names of what we write
    "parts/*": r"part-[0-9]{5,}",
    "parts/*/*": r"[a-z_]+\.npy|facts\.json|\.[a-z_]+\.(npy|json)\..*",
    "shards/*": r"shard-[0-9]{5,}|\.shard-.*",
}
FINAL = (RatingsFileError, FileNotFoundError, ImportError, TypeError, ValueError)  # to try again would not help


@dataclass(frozen=True)
class Items:
    """The ids of the items of some parts, ascending.

    Attributes
    ----------
    ids : array or None
        None where they are not of one kind, or take more than ``limit``.
    size : int
        Bytes that they take, or more than ``limit``.
    limit : int
    """

    ids: Ids | None
    size: int
    limit: int

    @classmethod
    def of(cls, ids: Ids, limit: int) -> Items:
        size = memory(ids)
        return cls(ids if size <= limit else None, size, limit)

    def __add__(self, other: Items) -> Items:
        """Return those of both."""
        if self.ids is None or other.ids is None or not len(other.ids) or not len(self.ids):
            return max(self, other, key=lambda items: (items.ids is None, items.size))
        if is_text(self.ids) != is_text(other.ids):
            return Items(None, 0, self.limit)
        return self.of(sorted_unique(np.concatenate((owned(self.ids), owned(other.ids)))), self.limit)


# --- places in the room ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Task:
    """A source and its number."""

    number: int
    source: Source


class Room:
    """Where what belongs to a part and to a shard is."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        self.items, self.shards, self.call = self.folder / ITEMS, self.folder / "shards", self.folder / CALL
        self.plan = self.folder / "plan.json"  # there once all parts are read

    def part(self, number: int) -> Path:
        """Return the folder with the arrays of a part."""
        return self.folder / "parts" / f"part-{number:05d}"

    def facts(self, number: int) -> Path:
        """Return the file that is there once the part is finished."""
        return self.part(number) / "facts.json"

    def keep(self, number: int, name: str, array: npt.NDArray[Any]) -> None:
        """Write an array of a part; a second time writes the same."""
        replace_file(self.part(number) / f"{name}.npy", lambda file: np.save(file, array))

    def array(self, task: Task, name: str) -> npt.NDArray[Any]:
        """Return an array of a part, mapped."""
        try:
            array: npt.NDArray[Any] = np.load(self.part(task.number) / f"{name}.npy", mmap_mode="r")
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"what was read of {task.source.name} is not there on {here()}: {error}; `output` must be at a path "
                "that all workers see, and nothing beside it may be removed until the end; begin again"
            ) from error
        return array

    def has(self, task: Task, name: str) -> bool:
        """Return whether a part has an array that not all of them have."""
        return (self.part(task.number) / f"{name}.npy").is_file()

    def item_ids(self, task: Task) -> Ids:
        """Return the ids of the items of a part."""
        return _ids_of(self.array(task, "item_ids"))

    def user_ids(self, task: Task, start: int, stop: int) -> Ids:
        """Return the ids of some users of a part, and read no others."""
        ids = self.array(task, "user_ids")
        if ids.dtype != np.uint8:
            return ids[start:stop]
        ends = self.array(task, "ends")
        return _ids_of(ids[ends[start - 1] + 1 if start else 0 : ends[stop - 1] + 1])

    def shard(self, number: int) -> Path:
        """Return the folder of a shard."""
        return self.shards / f"shard-{number:05d}"


def here() -> str:
    """Return who speaks, for errors that only one of several workers has."""
    return f"{socket.gethostname()} (process {os.getpid()})"


# --- the first pass: parts ------------------------------------------------------------------------------------------


def read_part(task: Task, state: tuple[Any, ...]) -> tuple[list[Any], Items]:
    """Have a part in the room; return its facts, or the error that they are not there for, and its items."""
    folder, reading, limit, say = state
    try:
        facts, ids = _part_in(Room(folder), task, reading)
    except FINAL as error:
        failure = told_of(task.source.name, error)
        if say is not None:
            raise failure from error
        return [failure], Items(None, 0, limit)
    for line in facts.lines if say is not None else ():
        say(line)
    return [facts], Items.of(ids, limit)


def told_of(name: str, error: Exception) -> Exception:
    """Return an error that travels and names the part or the shard."""
    text = str(error)
    kind = next(kind for kind in FINAL if isinstance(error, kind))
    failure: Exception = kind(text if name in text else f"{name}: {text}")
    return failure


def _part_in(room: Room, task: Task, reading: Reading) -> tuple[Facts, Ids]:
    """Return the facts and the items of a part, which is read unless it is there."""
    if not room.call.is_file():
        raise FileNotFoundError(f"no {room.folder} on {here()}: `output` must be at a path that all workers see")
    if room.facts(task.number).is_file():
        return Facts.stored(room.facts(task.number)), np.asarray(room.item_ids(task))
    try:
        task.source.require_same()
        data = load(task.source.file, reading.form, reading.threshold, reading.words)
        task.source.require_same()
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{task.source.name} cannot be read on {here()}: {error}; it must be at the same path on every worker, "
            "and stay there until the end"
        ) from error
    facts = Facts.of(task.source, data)
    hashes = hashes_of(data.user_ids)
    order = np.argsort(hashes, kind="stable")
    part = picked(data, order, None)
    matrix = check_user_items("data", part).rebased()
    arrays = {
        "hashes": hashes[order],
        "user_ids": pack(part.user_ids) if is_text(part.user_ids) else part.user_ids,
        "item_ids": pack(data.item_ids) if is_text(data.item_ids) else data.item_ids,
        "indptr": matrix.indptr,
        "indices": matrix.indices,
        "timestamps": part.timestamps,
        "weights": part.weights,
    }
    if data._repeats is not None and (moved := data._repeats.moved) is not None:
        whole = check_user_items("data", data).rebased()
        arrays["moved"] = rearranged(whole, moved, order, None, whole.n_cols)[1]
    if is_text(part.user_ids):
        arrays["ends"] = np.flatnonzero(arrays["user_ids"] == 0)
    room.part(task.number).mkdir(exist_ok=True)
    for name, array in arrays.items():
        if array is not None:
            room.keep(task.number, name, array)
    replace_content(room.facts(task.number), json.dumps(asdict(facts)))
    return facts, data.item_ids


def _ids_of(stored: npt.NDArray[Any]) -> Ids:
    """Return ids as they are kept: integers, or the bytes of texts."""
    return unpack(stored) if stored.dtype == np.uint8 else stored


def hashes_of(ids: Ids) -> Hashes:
    """Return numbers that look random, the same for an id wherever it stands.

    Those of texts come from a polynomial of their bytes; both are mixed as SplitMix64 does (Steele, Lea and Flood,
    2014).
    """
    if not len(ids):
        return np.empty(0, np.uint64)
    if is_text(ids):
        packed = pack(ids)
        ends = np.flatnonzero(packed == 0)
        starts = np.concatenate(([0], ends[:-1] + 1))
        places_of = np.arange(len(packed)) - np.repeat(starts, ends - starts + 1)
        powers = np.cumprod(np.full(int((ends - starts).max()) + 1, BASE))
        sums = np.concatenate((np.zeros(1, np.uint64), np.cumsum(packed * powers[places_of], dtype=np.uint64)))
        numbers = sums[ends] - sums[starts]
    else:
        numbers = ids.astype(np.int64).view(np.uint64)
    z = numbers + BASE
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    hashes: Hashes = z ^ (z >> np.uint64(31))
    return hashes


# --- the second pass: shards ----------------------------------------------------------------------------------------


def place_items(task: Task, state: tuple[Any, ...]) -> Exception | None:
    """Have the place of each item of a part among all items in the room."""
    room = Room(state[0])
    try:
        if not room.has(task, "places"):
            among = Interactions.open(room.items).item_ids
            room.keep(task.number, "places", places(np.asarray(room.item_ids(task)), among).astype(np.int32))
    except FINAL as error:
        return told_of(task.source.name, error)
    return None


def write_shard(number: int, state: tuple[Any, ...]) -> tuple[int, int, int] | Exception:
    """Have a shard in the room; return its users, items and interactions, or the error that it is not there for."""
    folder, tasks, borders, has, say = state
    room = Room(folder)
    try:
        if room.shard(number).is_dir():
            data = Interactions.open(room.shard(number))
        else:
            data = _joined(room, tasks, np.asarray(borders)[:, number : number + 2].tolist(), *has)
            data.to_disk(room.shard(number), overwrite=True)
    except FINAL as error:
        return told_of(room.shard(number).name, error)
    if say is not None:
        say(shown_shard(number, (*data.shape, data.nnz)))
    return *data.shape, data.nnz


def shown_shard(number: int, shape: Sequence[int]) -> str:
    """Return a line on a shard that is written."""
    users, items, nnz = shape
    return f"shard-{number:05d}: {users:,} users, {items:,} items, {nnz:,} interactions"


def _joined(
    room: Room, tasks: Sequence[Task], ranges: list[list[int]], dtype: str | None, weighted: bool, repeats: str
) -> Interactions:
    """Return the interactions of a shard, which are some rows of each part, with its users in ascending order."""
    ids: list[Any] = []
    lengths: list[Any] = []
    cols: list[Any] = []
    moved: list[Any] = []
    times: list[Any] | None = None if dtype is None else []
    weights: list[Any] | None = [] if weighted else None
    for task, (start, stop) in zip(tasks, ranges, strict=True):
        if start == stop:
            continue
        indptr = room.array(task, "indptr")[start : stop + 1]
        entries = slice(indptr[0], indptr[-1])
        ids.append(room.user_ids(task, start, stop))
        lengths.append(np.diff(indptr))
        cols.append(room.array(task, "places")[room.array(task, "indices")[entries]])
        if times is not None:
            times.append(room.array(task, "timestamps")[entries])
        if weights is not None:
            weights.append(room.array(task, "weights")[entries])
        n_pairs = int(indptr[-1] - indptr[0])
        there = room.has(task, "moved")
        moved.append(room.array(task, "moved")[entries] if there else np.zeros(n_pairs, bool))
    users, codes = factorize("user", _end_to_end(ids))
    rows = np.repeat(codes, _end_to_end(lengths))
    del codes, ids
    item_ids = Interactions.open(room.items).item_ids
    moments = None if times is None else _end_to_end(times).astype(dtype, copy=False)
    counted = None if weights is None else _end_to_end(weights)
    parts = (users, rows), (item_ids, _end_to_end(cols)), None, moments, None, counted
    return Interactions._from_columns(*parts, repeats, _end_to_end(moved))


def _end_to_end(parts: list[Any]) -> Any:
    """Return arrays one after the other, and forget them: they would take their memory twice."""
    whole = np.concatenate(parts)
    parts.clear()
    return whole
