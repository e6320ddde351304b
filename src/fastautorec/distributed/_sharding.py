"""Rating files into folders of interactions, one file and one shard in memory at a time.

Each file becomes a folder with its users in the order of a hash of their ids. A shard is a range of hashes, hence a
range of rows of each such folder, and is the sum of these.
"""

from __future__ import annotations

import math
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastautorec._checks import check_bool, check_choice, check_int, kind
from fastautorec._files import sync
from fastautorec.data import Interactions
from fastautorec.data._identity import picked
from fastautorec.data._layouts import FORMATS
from fastautorec.data._loading import load
from fastautorec.data._roles import Words
from fastautorec.data._texts import is_text, pack
from fastautorec.data._times import evident, other_unit
from fastautorec.distributed._engines import Local
from fastautorec.distributed._shards import SHARD_ENTRIES, check_new_folder

Ids = npt.NDArray[Any]
Hashes = npt.NDArray[np.uint64]

BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that no factor of a power is lost


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
    verbose: bool = True,
) -> list[Path]:
    r"""Read rating files that are parts of one data set, and write folders that `fit` takes; return their paths.

    A user may be in several files, and is in one shard, which a hash of the id decides. All shards have the same items:
    those of all files. A pair that occurs several times, in one file or in several, counts once, at its latest time and
    with the sum of its weights. In memory are one file or one shard at a time; on disk are the files once more while it
    runs.

    Parameters
    ----------
    files : path or list of paths
        Files that `fastautorec.read_ratings` reads, all with ids of one kind. A folder counts as one file. The order in
        which they are listed changes nothing.
    output : path
        A folder that does not exist yet, or is empty. It appears in one step, once all shards are complete. They are
        ``shard-00000``, ``shard-00001``, ..., each a folder that ``Interactions.open`` reads.
    n_shards : int, optional
        By default, one for each two million interactions.
    format, threshold, user, item, rating, timestamp, weights, sep, header
        As in `fastautorec.read_ratings`, for each file.
    verbose : bool
        Print what each file was taken for, and a line for each shard, to standard error.

    Returns
    -------
    list of Path
        The folders, in order. Users and items are ascending in each.

    Raises
    ------
    FileExistsError
        If there is something at ``output``.
    FileNotFoundError
        If a file, or the folder that ``output`` is to be in, is not there.
    RatingsFileError
        If a file cannot be read, is empty, or misses an id.
    TypeError, ValueError
        If an argument is not usable, a file is named twice, ids are integers in one file and texts in another, only
        some files have times or weights, ``threshold`` leaves nothing of a file, or a shard would have no users.

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
    words = Words(user, item, rating, timestamp, sep, header, weights)
    say = _to_stderr if check_bool("verbose", verbose) else _nowhere
    return write_shards(files, output, n_shards, lambda path: load(path, format, threshold, words), say)


def write_shards(
    files: Any, output: Any, n_shards: int | None, read: Callable[[Path], Interactions], say: Callable[[str], object]
) -> list[Path]:
    """Write shards of files that ``read`` reads; see `shard`."""
    paths = _distinct(files)
    if n_shards is not None:
        check_int("n_shards", n_shards, 1)
    shown = Path(output).absolute()
    target = shown.resolve()  # a symbolic link stays, and what it leads to is made
    check_new_folder("output", shown)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"`output` {target} is in a folder that does not exist; create it first")
    room = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        whole = room / "shards"
        whole.mkdir()  # with the permissions that others expect, which the room itself has not
        parts, item_ids, nnz = _sorted_parts(paths, room, read, say)
        borders = _borders(parts, n_shards or math.ceil(nnz / SHARD_ENTRIES))
        names = [f"shard-{number:05d}" for number in range(borders.shape[1] - 1)]
        for number, name in enumerate(names):
            data = _joined(parts, borders[:, number : number + 2], item_ids)
            data.to_disk(whole / name)
            say(f"{name}: {data.shape[0]:,} users, {data.shape[1]:,} items, {data.nnz:,} interactions")
            del data  # before the next one is made
        whole.replace(target)
        sync(target.parent)
    finally:
        shutil.rmtree(room, ignore_errors=True)
    return [shown / name for name in names]


class _Part(NamedTuple):
    """What a file was written to: its interactions, and the hashes of its users, ascending."""

    folder: Path
    hashes: Path


def _distinct(files: Any) -> list[Path]:
    """Return the paths in an order that does not depend on how they are listed."""
    one = isinstance(files, (str, PathLike))
    given = [files] if one else list(files) if isinstance(files, (list, tuple)) else []
    if not given or not all(isinstance(name, (str, PathLike)) for name in given):
        raise TypeError(f"`files` must be the path of a rating file or a list of such paths, got {kind(files)}")
    paths = sorted({Path(fspath(name)).resolve(): Path(fspath(name)) for name in given}.items())
    if len(paths) < len(given):
        raise ValueError(f"`files` must name each file once, got {len(given)} names of {len(paths)} files")
    for path, name in paths:
        if not path.exists():
            raise FileNotFoundError(f"`files` must name rating files, but {name} does not exist")
    return [name for _, name in paths]


def _sorted_parts(
    paths: list[Path], room: Path, read: Callable[[Path], Interactions], say: Callable[[str], object]
) -> tuple[list[_Part], Ids, int]:
    """Write each file with its users by their hashes; return the parts, the ids of all items, and the interactions."""
    parts: list[_Part] = []
    items: Ids | None = None
    first: _Facts | None = None
    nnz = 0
    for number, path in enumerate(paths):
        data = read(path)
        for line in data.describe().lines():
            say(line)
        facts = _Facts.of(path, data)
        first = first or facts
        first.require_alike(facts)
        if first.moment is None:
            first = first._replace(moment=facts.moment)
        items = data.item_ids if items is None else np.unique(np.concatenate((items, data.item_ids)))
        nnz += data.nnz
        hashes = hashes_of(data.user_ids)
        order = np.argsort(hashes, kind="stable")
        part = _Part(room / f"part-{number}", room / f"part-{number}.npy")
        picked(data, order, None).to_disk(part.folder)
        np.save(part.hashes, hashes[order])
        parts.append(part)
    assert items is not None
    return parts, items, nnz


class _Facts(NamedTuple):
    """What has to be the same in all files."""

    path: Path
    users: str
    items: str
    has: tuple[bool, bool]  # times, weights
    moment: Any  # a time that tells the unit of all; None where none does

    @classmethod
    def of(cls, path: Path, data: Interactions) -> _Facts:
        users, items = ("texts" if is_text(ids) else "integers" for ids in (data.user_ids, data.item_ids))
        has = data.timestamps is not None, data.weights is not None
        return cls(path, users, items, has, evident(data.timestamps))

    def require_alike(self, other: _Facts) -> None:
        """Raise ValueError where another file does not fit this one."""
        for role, mine, its in (("users", self.users, other.users), ("items", self.items, other.items)):
            if mine != its:
                raise ValueError(
                    f"`files` must have ids of one kind, but those of the {role} are {mine} in {self.path} and {its} "
                    f"in {other.path}; write them alike in all files"
                )
        for name, here, there in zip(("times", "weights"), self.has, other.has, strict=True):
            if here != there:
                has, lacks = (self.path, other.path) if here else (other.path, self.path)
                fix = "; leave them out with timestamp=False" if name == "times" else ""
                raise ValueError(f"`files` must all have {name} or none, but {has} has some and {lacks} has none{fix}")
        if unlike := other_unit(other.moment, self.moment):
            raise ValueError(f"`files` must have times of one unit, got {unlike}, in {other.path}; bring all to one")


def hashes_of(ids: Ids) -> Hashes:
    """Return numbers that look random, the same for an id wherever it stands.

    Those of texts come from a polynomial of their bytes; both are mixed as SplitMix64 does (Steele, Lea and Flood,
    2014).
    """
    if is_text(ids):
        packed = pack(ids)
        ends = np.flatnonzero(packed == 0)
        starts = np.concatenate(([0], ends[:-1] + 1))
        places = np.arange(len(packed)) - np.repeat(starts, ends - starts + 1)
        powers = np.cumprod(np.full(int((ends - starts).max()) + 1, BASE))
        sums = np.concatenate((np.zeros(1, np.uint64), np.cumsum(packed * powers[places], dtype=np.uint64)))
        numbers = sums[ends] - sums[starts]
    else:
        numbers = ids.astype(np.int64).view(np.uint64)
    z = numbers + BASE
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    hashes: Hashes = z ^ (z >> np.uint64(31))
    return hashes


def _borders(parts: list[_Part], n_shards: int) -> npt.NDArray[np.int64]:
    """Return where each shard begins in each part and the last one ends, (parts, n_shards + 1)."""
    inner = np.array([(number << 64) // n_shards for number in range(1, n_shards)], np.uint64)
    rows = []
    for part in parts:
        hashes = np.load(part.hashes, mmap_mode="r")
        rows.append(np.concatenate(([0], np.searchsorted(hashes, inner), [len(hashes)])))
    borders = np.array(rows, np.int64)
    empty = int(np.count_nonzero(np.diff(borders).sum(axis=0) == 0))
    if empty:
        raise ValueError(f"`n_shards` {n_shards} leaves {empty} shards without users; ask for fewer")
    return borders


def _joined(parts: list[_Part], borders: npt.NDArray[np.int64], item_ids: Ids) -> Interactions:
    """Return the interactions of a shard, which are rows borders[p, 0] .. borders[p, 1] of part p."""
    blocks = [
        Interactions.open(part.folder)._users_between(start, stop)
        for part, (start, stop) in zip(parts, borders.tolist(), strict=True)
        if start < stop
    ]
    users = np.unique(np.concatenate([block.user_ids for block in blocks]))
    joined: Interactions = Local().reduce(lambda block, _: block.with_items(item_ids).with_users(users), blocks, ())
    return joined


def _to_stderr(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _nowhere(_: str) -> None:
    """Say nothing."""
