"""Rating files into folders of interactions: two passes over them that an engine makes.

Each file, or each run of row groups of a large one, becomes a folder with its users in the order of a hash of their
ids. A shard is a range of hashes, hence a range of rows of each such folder, and is the sum of these. A call that was
stopped goes on from what is finished.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from fastautorec._checks import check_bool, check_choice, check_int, check_real
from fastautorec._files import replace_content, sync
from fastautorec._version import __version__
from fastautorec.data import Interactions
from fastautorec.data._layouts import FORMATS
from fastautorec.data._missing import RAISE
from fastautorec.data._repeats import LAST
from fastautorec.data._roles import Words
from fastautorec.distributed._engines import Engine, engine_of
from fastautorec.distributed._facts import Reading, require_alike, require_none
from fastautorec.distributed._parts import (
    FINAL,
    ROOM,
    WITHIN,
    Items,
    Room,
    Task,
    place_items,
    read_part,
    shown_shard,
    write_shard,
)
from fastautorec.distributed._rooms import remove, taken
from fastautorec.distributed._shards import SHARD_ENTRIES, check_new_folder, mapped
from fastautorec.distributed._sources import Source, pieces_of, sources_of, stores_of

ITEM_BYTES = 1 << 30

Say = Callable[[str], object]


def shard(
    files: str | PathLike[str] | Sequence[str | PathLike[str]],
    output: str | PathLike[str],
    *,
    n_shards: int | None = None,
    format: str = "auto",  # noqa: A002
    threshold: float | None = None,
    user: str | int | None = None,
    item: str | int | None = None,
    rating: str | int | bool | None = None,
    timestamp: str | int | bool | None = None,
    weights: str | int | None = None,
    sep: str | None = None,
    header: bool | None = None,
    repeats: str = LAST,
    missing: str = RAISE,
    engine: object = "local",
    item_bytes: int = ITEM_BYTES,
    filesystem: object = None,
    verbose: bool = True,
) -> list[Path]:
    r"""Read rating files that are parts of one data set, and write folders that `fit` takes; return their paths.

    A user may be in several files, and is in one shard, which a hash of the id decides. All shards have the same items:
    those of all files. A pair that occurs several times, in one file or in several, counts once, at the time that
    ``repeats`` says and with the sum of its weights. The bytes are the same on every engine, for any number of workers.

    A worker has one file or one shard in memory at a time; of a large Parquet file, some of its row groups. While it
    runs, the data are there once more, in a folder beside ``output`` that is called ``output.unfinished``. The same
    call goes on from there after it was stopped; it begins anew where files or arguments are others.

    Parameters
    ----------
    files : path, address or list of them
        Files that `fastautorec.read_ratings` reads, all with ids of one kind. A folder of Parquet files is its parts,
        with what the names of its folders say (``year=2024``); parts without rows do not matter. Each file is at the
        same path on all workers. Addresses such as ``"s3://bucket/ratings"`` lead to Parquet in whatever
        ``pyarrow.fs`` or else ``fsspec`` opens; of its parts only the columns that count are read. The order in which
        files are listed changes nothing.
    output : path
        A folder that does not exist yet, or is empty, in a place that all workers see. It appears in one step, once all
        shards are complete. They are ``shard-00000``, ``shard-00001``, ..., each a folder that ``Interactions.open``
        reads.
    n_shards : int, optional
        By default, one for each two million interactions.
    format, threshold, user, item, rating, timestamp, weights, sep, header, repeats, missing
        As in `fastautorec.read_ratings`, for each file.
    engine : "local", distributed.Client, module ray, SparkSession, or Engine
        Who reads the files and writes the shards, as in `fit`.
    item_bytes : int
        Bytes that the ids of all items may take: every worker has them in memory.
    filesystem : pyarrow.fs.FileSystem or fsspec file system, optional
        What ``files`` are paths in, where an address does not say all, such as keys or an endpoint.
    verbose : bool
        Print what each file was taken for, and a line for each shard, to standard error; on an engine, once all of
        them are read or written.

    Returns
    -------
    list of Path
        The folders, in order. Users and items are ascending in each.

    Raises
    ------
    FileExistsError
        If there is something at ``output``, or another call is making it.
    FileNotFoundError
        If a file, or the folder that ``output`` is to be in, is not there, for this process or for a worker.
    RatingsFileError
        If a file cannot be read, is empty, or misses an id.
    TypeError, ValueError
        If an argument is not usable, a file is named twice or changes meanwhile, ids are integers in one file and texts
        in another, only some files have times or weights, columns are other ones than in the first file, ``threshold``
        or ``missing`` leaves nothing of a file, items take more than ``item_bytes``, or a shard would have no users.
        Such errors name the file, and nothing is left of the call.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import fastautorec as far
    >>> from fastautorec import distributed
    >>> with TemporaryDirectory() as folder:
    ...     files = [Path(folder, "may.csv"), Path(folder, "june.csv")]
    ...     _ = files[0].write_text("user,item\n1,10\n1,20\n2,10\n3,20\n4,10\n")
    ...     _ = files[1].write_text("user,item\n1,10\n2,30\n3,10\n5,30\n6,20\n")
    ...     shards = distributed.shard(files, folder + "/shards", n_shards=2, verbose=False)
    ...     model = distributed.fit(far.Popularity(), shards)
    >>> [path.name for path in shards]
    ['shard-00000', 'shard-00001']
    >>> model.item_ids_.tolist(), model.item_counts_.tolist()
    ([10, 20, 30], [4, 3, 2])
    """
    check_choice("format", format, FORMATS)
    words = Words(user, item, rating, timestamp, sep, header, weights, repeats, missing)
    words.check()
    reading = Reading(format, None if threshold is None else check_real("threshold", threshold), words)
    say = _to_stderr if check_bool("verbose", verbose) else _nowhere
    return write_shards(files, output, n_shards, reading, say, engine, item_bytes, filesystem)


def write_shards(
    files: Any,
    output: Any,
    n_shards: int | None,
    reading: Reading,
    say: Say,
    engine: Any = "local",
    item_bytes: int = ITEM_BYTES,
    filesystem: Any = None,
) -> list[Path]:
    """Write shards of files that are read so; see `shard`."""
    item_bytes = check_int("item_bytes", item_bytes, 1)
    n_shards = None if n_shards is None else check_int("n_shards", n_shards, 1)
    work = _Work(engine_of(engine), isinstance(engine, str), say, item_bytes)
    if "://" in str(output):
        raise ValueError(f"`output` must be the path of a folder that all workers see, got the address {output}")
    shown = Path(output).absolute()
    target = shown.resolve()  # a symbolic link stays, and what it leads to is made
    check_new_folder("output", shown)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"`output` {target} is in a folder that does not exist; create it first")

    def listed() -> list[Source]:
        return sources_of(files, filesystem, reading.form)

    pieces = listed() if reading.words.weights is not None else pieces_of(listed(), reading.form)
    tasks = [Task(number, source) for number, source in enumerate(pieces)]
    call = {
        "fastautorec": __version__,
        "numpy": np.__version__,
        "files": [[task.source.key, list(task.source.mark), task.source.groups] for task in tasks],
        "stores": stores_of([task.source for task in tasks]),
        "reading": [*reading[:2], list(reading.words)],
        "n_shards": n_shards,
    }
    room = Room(fspath(target.with_name(f"{target.name}.unfinished")))
    with taken(room.folder, ROOM, "`output` is made in a folder of its own", "output", WITHIN):
        _prepare(room, call, say)
        try:
            check_new_folder("output", shown)  # another call may have ended meanwhile
            count = _filled(room, tasks, n_shards, reading, work, listed)
            shutil.rmtree(room.folder / "parts", ignore_errors=True)
            room.shards.replace(target)
            sync(target.parent)
        except (*FINAL, FileExistsError):
            shutil.rmtree(room.folder, ignore_errors=True)  # other files or arguments are asked for
            raise
        shutil.rmtree(room.folder, ignore_errors=True)  # while no other call can have it
    return [shown / room.shard(number).name for number in range(count)]


def _prepare(room: Room, call: dict[str, Any], say: Say) -> None:
    """Keep what an earlier call of the same kind has left in a room that is taken, or empty it."""
    known = json.loads(json.dumps(call))
    if room.call.is_file() and _read(room.call) == known:
        say(f"{room.folder.name}: goes on from what is there")
        return
    if any(room.folder.iterdir()):
        say(f"{room.folder.name}: left by another call, begins anew")
    room.call.unlink(missing_ok=True)  # first: without it nothing counts
    for path in room.folder.iterdir():
        remove(path)
    room.part(0).parent.mkdir()
    room.shards.mkdir()
    replace_content(room.call, json.dumps(known))


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except ValueError:
        return None


@dataclass(frozen=True)
class _Work:
    """Who does the work, and who is told of it."""

    engine: Engine
    is_here: bool
    say: Say
    item_bytes: int

    @property
    def told(self) -> Say | None:
        """Who is told by the work itself: nobody where it travels."""
        return self.say if self.is_here else None


def _filled(
    room: Room,
    tasks: list[Task],
    n_shards: int | None,
    reading: Reading,
    work: _Work,
    listed: Callable[[], list[Source]],
) -> int:
    """Have all shards in the room; return how many there are."""
    folder = fspath(room.folder)
    if not room.plan.is_file():
        state = (folder, reading, work.item_bytes, work.told)
        facts, items = work.engine.reduce(read_part, tasks, state)
        has = require_alike(facts, [task.source for task in tasks], reading)
        if not work.is_here:
            for line in (line for part in facts for line in part.lines):
                work.say(line)
        _write_items(room, items)
        require_none(mapped(work.engine, place_items, tasks, (folder,)))
        _require_same(tasks, listed())
        borders = _borders(room, tasks, n_shards or math.ceil(sum(part.shape[2] for part in facts) / SHARD_ENTRIES))
        plan = {"borders": borders.tolist(), "has": has}
        replace_content(room.plan, json.dumps(plan))
    plan = json.loads(room.plan.read_text("utf-8"))
    borders = np.array(plan["borders"], np.int64)
    numbers = list(range(borders.shape[1] - 1))
    has = (*plan["has"], reading.words.repeats)
    shapes = mapped(work.engine, write_shard, numbers, (folder, tasks, borders, has, work.told))
    require_none(shapes)
    for number, shape in enumerate(() if work.is_here else shapes):
        work.say(shown_shard(number, shape))
    return len(numbers)


def _require_same(tasks: list[Task], again: list[Source]) -> None:
    """Raise unless all files are there that were read, as they were."""
    found = {source.key: source for source in again}
    for task in tasks:
        if task.source.key not in found:
            raise FileNotFoundError(f"{task.source.name} is gone since it was read; begin again when all are there")
        task.source.require_mark(found[task.source.key].mark)


def _write_items(room: Room, items: Items) -> None:
    """Write the ids of all items, for all workers."""
    if items.ids is None:
        raise ValueError(
            f"`item_bytes` {items.limit:,} is less than what the ids of the items take, which is {items.size:,} bytes "
            "or more; every worker has them in memory: allow more, or leave out items that hardly occur"
        )
    nobody = sparse.csr_matrix((0, len(items.ids)), dtype=np.float32)
    Interactions(nobody, None, items.ids).to_disk(room.items, overwrite=True)


def _borders(room: Room, tasks: list[Task], n_shards: int) -> npt.NDArray[np.int64]:
    """Return where each shard begins in each part and the last one ends, (parts, n_shards + 1)."""
    most = sum(len(room.array(task, "hashes")) for task in tasks)  # a user may be in several parts
    if n_shards > most:  # before anything is as long as that
        raise ValueError(f"`n_shards` {n_shards} leaves {n_shards - most} or more shards without users; ask for fewer")
    inner = np.array([(number << 64) // n_shards for number in range(1, n_shards)], np.uint64)
    rows = []
    for task in tasks:
        hashes = room.array(task, "hashes")
        rows.append(np.concatenate(([0], np.searchsorted(hashes, inner), [len(hashes)])))
    borders = np.array(rows, np.int64)
    empty = int(np.count_nonzero(np.diff(borders).sum(axis=0) == 0))
    if empty:
        raise ValueError(f"`n_shards` {n_shards} leaves {empty} shards without users; ask for fewer")
    return borders


def _to_stderr(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _nowhere(_: str) -> None:
    """Say nothing."""
