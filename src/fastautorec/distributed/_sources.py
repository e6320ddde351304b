"""Rating files, and the parts of Parquet data sets on disk and in object stores: what there is to read."""

from __future__ import annotations

import hashlib
import itertools
import pickle
import secrets
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from os import PathLike, fspath
from pathlib import Path, PurePosixPath
from typing import Any

from fastautorec._checks import kind
from fastautorec._extras import require
from fastautorec.data import _files as files
from fastautorec.data._parquet import PYARROW, Part, bytes_of, folders_of, whole_numbers_in

Mark = tuple[Any, ...]
# What stores of fsspec tell of a file that is another one once it is written again.
STAMPS = ("ETag", "etag", "LastModified", "last_modified", "updated", "created", "generation", "version_id", "md5")
WHOLE_BYTES = 1 << 25  # a smaller file is one piece of work, and its footer is not looked at
PIECE_ROWS = 1 << 23  # of a larger one, at most, unless a row group has more; each piece numbers its ids anew
FOOTERS = 16  # that are fetched at once
LOCAL = ("local", "py::fsspec+('file', 'local')", "py::fsspec+file", "py::fsspec+local")


@dataclass(frozen=True)
class Source:
    """A rating file or a part of a data set, which is read by itself.

    Attributes
    ----------
    name : str
        What messages call it.
    key : str
        Where it is: sources are in the order of these.
    file : Path or Part
        What a reader takes.
    mark : tuple
        Size and time, which tell whether it was changed.
    dataset : str
        The data set that it is a part of; empty for a file of its own.
    """

    name: str
    key: str
    file: Path | Part
    mark: Mark
    dataset: str = ""

    @property
    def place(self) -> str:
        """Path of the file, of which the source may be some row groups."""
        return self.file.path if isinstance(self.file, Part) else str(self.file)

    @property
    def groups(self) -> tuple[int, int] | None:
        """The first of the row groups to read and the one after the last; None for the whole file."""
        return self.file.groups if isinstance(self.file, Part) else None

    def require_same(self) -> None:
        """Raise unless the file is there and as it was.

        Raises
        ------
        FileNotFoundError, ValueError
            If it is gone, or was changed.
        """
        self.require_mark(mark_of(self.file))

    def require_mark(self, found: Mark) -> None:
        """Raise ValueError unless size and time are as they were."""
        if found != self.mark:
            raise ValueError(
                f"{self.name} was changed while it was read: size and time are {list(found)}, and were "
                f"{list(self.mark)}; begin again when it is complete"
            )


def mark_of(file: Path | Part) -> Mark:
    """Return size and time of a file, or of all files in a folder."""
    filesystem = file.filesystem if isinstance(file, Part) else None
    if isinstance(file, Part) and filesystem is not None:
        _forget_listings(filesystem)
        info = filesystem.get_file_info(file.path)
        if info.type != require("pyarrow.fs", "files", "data").FileType.File:
            raise FileNotFoundError(f"{file} is not there any more")
        return info.size, _written(filesystem, info)
    path = Path(file.path) if isinstance(file, Part) else file
    within = sorted(path.rglob("*")) if path.is_dir() else [path]
    states = [one.stat() for one in within]
    return sum(state.st_size for state in states), max((state.st_mtime_ns for state in states), default=0), len(states)


def _written(filesystem: Any, info: Any) -> Any:
    """Return when a file in a store was written, or what else becomes another when it is; None where nothing does."""
    if info.mtime_ns is not None:
        return info.mtime_ns
    store = _of_fsspec(filesystem)
    told = {} if store is None else store.info(info.path)  # pyarrow takes no more than "mtime" of it
    return ", ".join(f"{name} {told[name]}" for name in STAMPS if told.get(name) is not None) or None


def _of_fsspec(filesystem: Any) -> Any:
    """Return the file system of fsspec behind one of pyarrow; None where there is none."""
    return getattr(getattr(filesystem, "handler", None), "fs", None)


def _forget_listings(filesystem: Any) -> None:
    """Have a store of fsspec ask again: it answers from what it has listed once, as long as the process lives."""
    beneath = filesystem
    while hasattr(beneath, "base_fs"):  # a folder as a file system of its own
        beneath = beneath.base_fs
    forget = getattr(_of_fsspec(beneath), "invalidate_cache", None)
    if callable(forget):
        forget()


def stores_of(sources: Sequence[Source]) -> list[str]:
    """Return what tells the stores of a call from others; of what cannot be told, something new each time."""
    files = [source.file for source in sources]
    stores = {id(file.filesystem): file.filesystem for file in files if isinstance(file, Part) and file.filesystem}
    try:
        if all(source.mark[1] is not None for source in sources):
            # hashed, for there are keys among what it is made of
            return [hashlib.sha256(pickle.dumps(store, 4)).hexdigest() for store in stores.values()]
    except (pickle.PicklingError, TypeError, AttributeError):
        pass
    return [secrets.token_hex()]


def pieces_of(sources: Sequence[Source], form: str) -> list[Source]:
    """Return the same with large Parquet files cut into runs of row groups, which depend on the files alone."""
    if not PYARROW or form not in ("auto", "parquet"):
        return list(sources)
    with ThreadPoolExecutor(FOOTERS) as threads:  # a store takes its time for each
        return list(itertools.chain.from_iterable(threads.map(_pieces, sources)))


def _pieces(source: Source) -> list[Source]:
    if (source.mark[0] or 0) <= WHOLE_BYTES or not files.is_parquet(source.place):
        return [source]
    from pyarrow import parquet  # noqa: PLC0415  (optional)

    file = source.file
    part = file if isinstance(file, Part) else Part(source.name, str(file), {}, frozenset())
    try:
        with parquet.ParquetFile(bytes_of(part)) as opened:
            groups = [opened.metadata.row_group(number).num_rows for number in range(opened.num_row_groups)]
    except (OSError, ValueError):  # which the reader will tell of
        return [source]
    runs, rows = [0], 0
    before = [0, *itertools.accumulate(groups)]
    for number, more in enumerate(groups):
        if rows and rows + more > PIECE_ROWS:
            runs, rows = [*runs, number], 0
        rows += more
    if len(runs) == 1:
        return [source]
    found = []
    for start, stop in itertools.pairwise([*runs, len(groups)]):
        told = f"row group {start}" if stop == start + 1 else f"row groups {start} to {stop - 1}"
        name = f"{source.name} ({told})"
        piece = replace(part, name=name, groups=(start, stop), first_row=before[start])
        found.append(replace(source, name=name, file=piece, dataset=source.dataset or source.name))
    return found


def sources_of(given: Any, filesystem: Any, form: str) -> list[Source]:
    """Return what is to be read, in an order that does not depend on how it is listed.

    A folder of Parquet files, or an object that is one, is its parts.
    """
    one = isinstance(given, (str, PathLike))
    named = [given] if one else list(given) if isinstance(given, (list, tuple)) else []
    if not named or not all(isinstance(name, (str, PathLike)) for name in named):
        raise TypeError(f"`files` must be the path of a rating file or a list of such paths, got {kind(given)}")
    stores = _filesystem(filesystem)
    sources: list[Source] = []
    for name in named:
        if stores is not None or "://" in str(name):
            _require_parquet(str(name), form)
            filesystem, path = _of_uri(str(name)) if stores is None else (stores, _path_in(stores, str(name)))
            local = filesystem.type_name in LOCAL  # a path, so that it is known by any other name
            sources += _on_disk(Path(path), form) if local else _in_store(str(name), filesystem, path)
        else:
            sources += _on_disk(Path(fspath(name)), form)
    sources.sort(key=lambda source: source.key)
    _require_no_links(sources)
    for before, source in itertools.pairwise(sources):
        if before.key == source.key:
            raise ValueError(f"`files` must name each file once, got {source.name} twice: its rows would count twice")
    return sources


def _require_no_links(sources: Sequence[Source]) -> None:
    """Raise ValueError where two files are one file on disk with two names."""
    names: dict[tuple[int, int], str] = {}
    for source in sources:
        if not isinstance(source.file, Part) or source.file.filesystem is None:
            state = Path(source.key).stat()
            known = names.setdefault((state.st_dev, state.st_ino), source.name)
            if known != source.name and state.st_nlink > 1:
                raise ValueError(f"`files` must name each file once, got {known} and {source.name}, which are one file")


# --- on disk --------------------------------------------------------------------------------------------------------


def _on_disk(path: Path, form: str) -> Iterator[Source]:
    if not path.exists():
        raise FileNotFoundError(f"`files` must name rating files, but {files.not_there(path, 'files')}")
    # an absolute path is the same on every worker, whatever folder that is in
    parts = files.parquet_parts(path.absolute()) if path.is_dir() and form in ("auto", "parquet") else []
    if not parts:
        yield Source(str(path), str(path.resolve()), path.absolute(), mark_of(path))
        return
    below = [folders_of(part.relative_to(path.absolute()).parts[:-1]) for part in parts]
    whole = whole_numbers_in(below)
    for part, folders in zip(parts, below, strict=True):
        file = Part(str(part), str(part), folders, whole)
        yield Source(file.name, str(part.resolve()), file, mark_of(file), str(path))


# --- in object stores -----------------------------------------------------------------------------------------------


def _require_parquet(name: str, form: str) -> None:
    if form not in ("auto", "parquet"):
        raise ValueError(f"`format` must be 'auto' or 'parquet' for what is in a store, got {form!r} for {name}")


def _filesystem(given: Any) -> Any:
    """Return a file system of pyarrow, or None where there is none."""
    if given is None:
        return None
    fs = require("pyarrow.fs", "filesystem=", "data")
    if isinstance(given, fs.FileSystem):
        return given
    if callable(getattr(given, "info", None)) and callable(getattr(given, "find", None)):  # one of fsspec
        return fs.PyFileSystem(fs.FSSpecHandler(given))
    raise TypeError(f"`filesystem` must be a file system of pyarrow.fs or fsspec, got {kind(given)}")


def _of_uri(uri: str) -> tuple[Any, str]:
    """Return the file system that an address names, of pyarrow or else of fsspec, and the path in it."""
    fs = require("pyarrow.fs", f"reading {uri}", "data")
    try:
        found: tuple[Any, str] = fs.FileSystem.from_uri(uri)
    except ValueError as error:  # pyarrow knows no such scheme, or not this form of it
        fsspec = require("fsspec.core", f"reading {uri}")
        try:
            filesystem, path = fsspec.url_to_fs(uri)
        except ValueError:
            raise ValueError(f"`files` must name what pyarrow.fs or fsspec can open, got {uri!r} ({error})") from None
        return fs.PyFileSystem(fs.FSSpecHandler(filesystem)), path
    return found


def _path_in(filesystem: Any, name: str) -> str:
    """Return a path as a file system lists it: those of fsspec take addresses, and list paths without a scheme."""
    store = _of_fsspec(filesystem)
    return name if store is None else str(store._strip_protocol(name))


def _in_store(name: str, filesystem: Any, root: str) -> Iterator[Source]:
    fs = require("pyarrow.fs", f"reading {name}", "data")
    _forget_listings(filesystem)
    info = filesystem.get_file_info(root)
    if info.type == fs.FileType.NotFound:
        raise FileNotFoundError(f"`files` must name rating files, but {name} does not exist")
    if info.type == fs.FileType.Directory:
        infos = _parts_below(fs, filesystem, root)
        if not infos:
            raise FileNotFoundError(f"`files` must hold *.parquet files, {name} has none that counts")
    else:
        infos = [info]
        if not files.is_parquet(info.path):
            raise ValueError(f"`files` in a store must be Parquet files, got {name}; download others first")
    below = [PurePosixPath(_within(each.path, root)) for each in infos]
    folders = [folders_of(place.parts[:-1]) for place in below]
    whole = whole_numbers_in(folders)
    for each, place, told in zip(infos, below, folders, strict=True):
        shown = f"{name.rstrip('/')}/{place}" if place.parts else name
        file = Part(shown, each.path, told, whole, filesystem)
        yield Source(shown, f"{filesystem.type_name}:{each.path}", file, (each.size, _written(filesystem, each)), name)


def _within(path: str, root: str) -> str:
    return path.strip("/")[len(root.strip("/")) :].strip("/")


def _parts_below(fs: Any, filesystem: Any, root: str) -> Sequence[Any]:
    found = filesystem.get_file_info(fs.FileSelector(root, recursive=True))
    below = [(info, PurePosixPath(_within(info.path, root))) for info in found if info.type == fs.FileType.File]
    return [info for info, place in sorted(below, key=lambda pair: pair[1].parts) if files.counts(place)]
