"""Parquet: a file, or a folder of parts with the columns that the names of its folders tell (hive partitions)."""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import numpy as np
import numpy.typing as npt

from fastautorec.data import _columns as columns
from fastautorec.data import _files as files
from fastautorec.data import _missing as missing
from fastautorec.data import _plain as plain
from fastautorec.data._arrays import is_missing, is_polars_failure
from fastautorec.data._roles import NUMBERS, Roles, UnclearColumnsError, Words, find_roles
from fastautorec.data._times import NUMBER
from fastautorec.exceptions import RatingsFileError

Array = npt.NDArray[Any]

PYARROW = importlib.util.find_spec("pyarrow") is not None
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class Part:
    """One file of a data set, to be read by itself.

    Attributes
    ----------
    name : str
        What messages call it.
    path : str
        Where it is, in the file system.
    folders : dict
        What the names of its folders say, as ``{"year": "2024"}`` of ``year=2024/part-0.parquet``.
    whole : frozenset
        Those of them that are whole numbers in all parts.
    filesystem : pyarrow.fs.FileSystem or None
        None for a file on this machine.
    groups : (int, int) or None
        The first of the row groups to read and the one after the last; None for all.
    first_row : int
        Number of their first row in the file.
    """

    name: str
    path: str
    folders: Mapping[str, str]
    whole: frozenset[str]
    filesystem: Any = None
    groups: tuple[int, int] | None = None
    first_row: int = 0

    def __str__(self) -> str:
        return self.name


class _Column(NamedTuple):
    """A column of a part."""

    part: Any
    values: Any
    place: Callable[[int], str]  # names a row


def row_of_file(path: Path | Part, row: int) -> str:
    """Return how messages name a row that was read."""
    return f"row {getattr(path, 'first_row', 0) + row}"


def read_parquet(path: Path | Part, words: Words, polars: bool) -> tuple[dict[str, Any], Roles, list[str]]:
    """Return the columns, their roles, and the names of all columns.

    Rows that lack a value and are left out are counted as "lacking", and "place" names the others.
    """
    quick = polars
    polars = polars and getattr(path, "filesystem", None) is None and getattr(path, "groups", None) is None
    if not polars and not PYARROW:
        raise ImportError("reading Parquet needs polars or pyarrow: pip install 'fastautorec[data]'")
    given: list[tuple[Any, Mapping[str, str]]]
    if isinstance(path, Part):
        given = [(Path(path.path) if path.filesystem is None and path.groups is None else path, path.folders)]
    else:
        given = list(_parts(path))
    parts = [(part, _names(part, polars), folders) for part, folders in given]
    first, names, folders = parts[0]
    known = _known(names, folders)
    try:
        roles = find_roles(known, len(known), words)
    except UnclearColumnsError as error:
        raise RatingsFileError(
            f"{path}: {error}; or load it with your data-frame library and call Interactions.from_dataframe"
        ) from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    wanted = {role: known[i] for role, i in roles.position.items()}
    for part, others, other_folders in parts[1:]:
        _refuse_other_roles(part, _known(others, other_folders), first, known, wanted, words)
    found: dict[str, list[_Column]] = {role: [] for role in wanted}
    left_out: missing.Counts = Counter()
    left: list[tuple[int, Any]] = []  # the rows of each part that are left, behind so many
    n_read = 0
    whole = path.whole if isinstance(path, Part) else whole_numbers_in([own for _, _, own in parts])
    for part, names, own in parts:
        table = _table(part, [name for name in dict.fromkeys(wanted.values()) if name in names], polars)
        n_rows = _height(part, table, polars)
        given_columns = {}
        for role, name in wanted.items():
            if name in names:
                _refuse_other_value(part, name, table[name], own.get(name))
                column = _quick_texts(table[name]) if quick and not polars and role in ("user", "item") else table[name]
            else:
                column = _repeated(own[name], n_rows, name in whole)
            given_columns[role] = column
        try:
            kept = missing.whole_rows(given_columns, wanted, words.missing, partial(row_of_file, part))
        except missing.MissingError as error:
            raise RatingsFileError(f"{part}: {error}") from None
        left_out += kept.counts
        left.append((n_read, range(n_rows) if kept.rows is None else kept.rows))
        n_read += n_rows
        place = _place_of(part, kept.rows)
        for role, column in kept.columns.items():
            found[role].append(_Column(part, column, place))
    columns_of = {role: _joined(path, role, wanted[role], some) for role, some in found.items()}
    if not left_out:
        return columns_of, roles, known
    numbers = np.concatenate([before + np.asarray(rows, np.int64) for before, rows in left])
    if getattr(path, "groups", None) is None:  # of a few row groups nothing may be left
        missing.require_some(path, len(numbers), left_out, wanted)
    return {**columns_of, "lacking": left_out, "place": _place_of(path, numbers)}, roles, known


def folders_of(parts: Sequence[str]) -> dict[str, str]:
    """Return what the names of folders say."""
    pairs = (folder.partition("=") for folder in parts)
    return {unquote(key): unquote(value) for key, equals, value in pairs if equals}


def whole_numbers_in(folders: Sequence[Mapping[str, str]]) -> frozenset[str]:
    """Return the names to which all folders give whole numbers."""
    names = {name for own in folders for name in own}
    told = {name: [text for own in folders if (text := own.get(name, "")) != _NO_VALUE] for name in names}
    return frozenset(name for name, texts in told.items() if plain.integers(texts) is not None)


def _known(names: list[str], folders: Mapping[str, str]) -> list[str]:
    return [*names, *(key for key in folders if key not in names)]


def _refuse_other_roles(
    part: Path, others: list[str], first: Path, known: list[str], wanted: dict[str, str], words: Words
) -> None:
    """Raise if a part does not have the same columns for user, item, rating and time; others may be there or not."""
    if {*others} == {*known}:
        return
    by_name: dict[str, Any] = {role: wanted[role] for role, value in words.given().items() if value is not False}
    try:
        position = find_roles(others, len(others), words._replace(**by_name)).position
    except ValueError:
        position = {}
    if {role: others[i] for role, i in position.items()} != wanted:
        raise RatingsFileError(f"{part}: has other columns than {first.name}: {', '.join(others)}")


def _parts(path: Path) -> list[tuple[Path, dict[str, str]]]:
    """Return the files, each with what its folders say, as ``{"year": "2024"}`` of ``year=2024/part-0.parquet``."""
    if path.is_file():
        return [(path, {})]
    found = [(part, folders_of(part.relative_to(path).parts[:-1])) for part in files.parquet_parts(path)]
    if not found:
        raise FileNotFoundError(f"`path` must hold *.parquet files, the folder {path} has none that counts")
    return found


def bytes_of(path: Path | Part) -> Any:
    """Return what pyarrow reads."""
    if isinstance(path, Path):
        return path
    return path.path if path.filesystem is None else path.filesystem.open_input_file(path.path)


def _names(path: Any, polars: bool) -> list[str]:
    """Return the names of the columns; raise where a file cannot be read."""

    def names() -> list[str]:
        if polars:
            import polars as pl  # noqa: PLC0415  (optional, and slow to import)

            return list(pl.scan_parquet(path, glob=False, hive_partitioning=False).collect_schema().names())
        from pyarrow import parquet  # noqa: PLC0415

        return list(parquet.read_schema(bytes_of(path)).names)

    found = list(_guarded(path, names))
    if len(set(found)) < len(found):
        raise _named_alike(path)
    return found


def _table(path: Any, names: list[str], polars: bool) -> Any:
    def table() -> Any:
        if polars:
            import polars as pl  # noqa: PLC0415

            return pl.read_parquet(path, columns=names, glob=False, hive_partitioning=False)
        from pyarrow import parquet  # noqa: PLC0415

        file, groups = parquet.ParquetFile(bytes_of(path)), getattr(path, "groups", None)
        read = file.read(columns=names) if groups is None else file.read_row_groups(range(*groups), columns=names)
        read.validate(full=True)  # texts that are not UTF-8 would fail later, when the file is not known any more
        return read

    frame = _guarded(path, table)
    for name in names:
        kind = frame[name].dtype if polars else frame[name].type
        if kind.is_nested() if polars else _is_nested(kind):
            raise RatingsFileError(
                f"{path}: column {name!r} holds lists or records ({kind}); explode it to one value in a row first"
            )
    return frame


def _quick_texts(column: Any) -> Any:
    """Return texts that pyarrow has read as a column of polars, in whose hands they need no Python objects."""
    import polars as pl  # noqa: PLC0415
    import pyarrow  # noqa: PLC0415

    text = pyarrow.types.is_string(column.type) or pyarrow.types.is_large_string(column.type)
    return pl.from_arrow(column) if text else column


def _is_nested(kind: Any) -> bool:
    import pyarrow  # noqa: PLC0415

    return bool(pyarrow.types.is_nested(kind))


def _height(path: Path, table: Any, polars: bool) -> int:
    if table.shape[1]:
        return int(table.shape[0])
    if polars:
        import polars as pl  # noqa: PLC0415

        return int(pl.scan_parquet(path, glob=False).select(pl.len()).collect().item())
    return int(table.num_rows)


def _guarded(path: Path | Part, read: Any) -> Any:
    """Return what ``read`` returns; what it says of the bytes becomes our error, other trouble passes."""
    try:
        return read()
    except BaseException as error:  # polars' panics are no Exception
        if type(error).__name__ == "DuplicateError":
            raise _named_alike(path) from None
        in_store = isinstance(path, Part) and path.filesystem is not None
        passing = isinstance(error, OSError) and (error.errno is not None or in_store)
        if passing or not (isinstance(error, (ValueError, OSError, NotImplementedError)) or is_polars_failure(error)):
            raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if type(error).__name__ == "InvalidOperationError":  # the file is whole: polars has no such type
            raise RatingsFileError(
                f"{path}: polars cannot read one of its columns ({reason}); write it with another type, such as "
                "integers or texts"
            ) from error
        raise RatingsFileError(f"{path}: not a readable Parquet file ({reason}); was it cut off on the way?") from error


def _named_alike(path: Path | Part) -> RatingsFileError:
    return RatingsFileError(
        f"{path}: several of its columns have the same name; rename them, or write only one of them"
    )


def _refuse_other_value(path: Path, name: str, column: Any, told: str | None) -> None:
    """Raise if a column says something else than the name of the folder, which may write it in another way."""
    if told is None:
        return
    array = columns.as_array(name, column)
    distinct = set(array.tolist()) if array.dtype.kind in "OUT" else np.unique(array)
    others = [value for value in distinct if not _is_written(value, told)]
    if others:
        raise RatingsFileError(
            f"{path}: the folder says {name}={told}, but its column {name!r} holds {min(map(str, others))}; remove one "
            "of the two"
        )


def _is_written(value: Any, text: str) -> bool:
    """Return whether a text is a way to write a value: 4 for 4.0, 2024-01-01 00:00:00 for the date, true for True."""
    if text == _NO_VALUE:
        return is_missing(value)
    if str(value) == text or isinstance(value, str):
        return str(value) == text
    try:
        if isinstance(value, (bool, np.bool_)):
            return str(value).lower() == text.lower()
        if isinstance(value, np.datetime64):
            return bool(columns.times("", np.array([value]))[0] == columns.parse_time(text))
        return NUMBER.fullmatch(text) is not None and Decimal(str(value)) == Decimal(text)
    except (ValueError, ArithmeticError):
        return False


def _repeated(text: str, n_rows: int, whole: bool) -> Any:
    """Return a column of what the name of a folder says, which may be that there is no value."""
    if text == _NO_VALUE or not text:
        return np.full(n_rows, None, object)
    return np.full(n_rows, int(text)) if whole else np.full(n_rows, text, object)


def _place_of(path: Path | Part, rows: Array | None) -> Callable[[int], str]:
    """Return what names a row, of those that are left where some were left out."""
    return lambda row: row_of_file(path, row if rows is None else int(rows[row]))


def _joined(path: Path | Part, role: str, name: str, parts: list[_Column]) -> Any:
    """Return the columns of all parts as one, each taken by the rules for its own type."""
    if len(parts) == 1:
        return parts[0].values
    if role == "timestamp":
        _refuse_other_kind(name, parts)
    arrays = [_converted(role, name, column) for column in parts]
    arrays = [array for array in arrays if len(array)] or arrays[:1]
    if role in NUMBERS:
        return np.concatenate(arrays if len({a.dtype for a in arrays}) == 1 else [columns.widened(a) for a in arrays])
    if role == "timestamp":
        try:
            columns.check_joinable(f"column {name!r}", arrays)
        except ValueError as error:
            raise RatingsFileError(f"{path}: {error}") from None
        return np.concatenate(arrays)
    arrays = [_signed(array) for array in arrays]
    if {array.dtype.kind for array in arrays} in ({"i"}, {"u"}):
        return np.concatenate(arrays)
    return np.array([value for array in arrays for value in array.tolist()], object)


def _converted(role: str, name: str, column: _Column) -> Array:
    convert = {**dict.fromkeys(NUMBERS, columns.numbers), "timestamp": columns.times}.get(role, columns.whole_numbers)
    try:
        return convert(name, column.values)
    except ValueError as error:
        raise RatingsFileError(f"{column.part}: {missing.with_places(column.place, error)}") from None


def _refuse_other_kind(name: str, parts: list[_Column]) -> None:
    """Raise if one part has dates where another has numbers or durations."""
    kinds = [(one.part, kind) for one in parts if (kind := columns.time_kind(name, one.values))]
    for part, kind in kinds[1:]:
        if kind != kinds[0][1]:
            raise RatingsFileError(
                f"{part}: column {name!r} must hold times of one kind, but here are {kind} and in "
                f"{kinds[0][0].name} {kinds[0][1]}; make all of them numbers, or dates, or durations"
            )


def _signed(array: Array) -> Array:
    """Return unsigned integers as int64 where they fit."""
    fits = array.dtype.kind == "u" and (not array.size or int(array.max()) <= np.iinfo(np.int64).max)
    return array.astype(np.int64) if fits else array
