"""Parquet: a file, or a folder of parts with the columns that the names of its folders tell (hive partitions)."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import numpy.typing as npt

from fastautorec.data import _columns as columns
from fastautorec.data import _files as files
from fastautorec.data import _plain as plain
from fastautorec.data._arrays import is_polars_failure
from fastautorec.data._roles import Roles, UnclearColumnsError, Words, find_roles
from fastautorec.exceptions import RatingsFileError

Array = npt.NDArray[Any]

PYARROW = importlib.util.find_spec("pyarrow") is not None
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


def read_parquet(path: Path, words: Words, polars: bool) -> tuple[dict[str, Any], Roles, list[str]]:
    """Return the columns, their roles, and the names of all columns."""
    if not polars and not PYARROW:
        raise ImportError("reading Parquet needs polars or pyarrow: pip install 'fastautorec[data]'")
    parts = _parts(path)
    schemas = [(part, _names(part, polars), folders) for part, folders in parts]
    first, names, folders = schemas[0]
    for part, others, other_folders in schemas[1:]:
        if {*others} != {*names} or {*other_folders} != {*folders}:  # in any order
            raise RatingsFileError(
                f"{part}: has other columns than {first.name}: {', '.join([*others, *other_folders])}"
            )
    known = [*names, *(key for key in folders if key not in names)]
    try:
        roles = find_roles(known, len(known), words)
    except UnclearColumnsError as error:
        raise RatingsFileError(
            f"{path}: {error}; or load it with your data-frame library and call Interactions.from_dataframe"
        ) from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    wanted = {role: known[i] for role, i in roles.position.items()}
    found: dict[str, list[Any]] = {role: [] for role in wanted}
    whole = {key for key in folders if plain.integers([own[key] for _, _, own in schemas]) is not None}
    for part, _, own in schemas:
        table = _table(part, [name for name in dict.fromkeys(wanted.values()) if name in names], polars)
        n_rows = _height(part, table, polars)
        for role, name in wanted.items():
            if name in names:
                _refuse_other_value(part, name, table[name], own.get(name))
                found[role].append(table[name])
            else:
                found[role].append(_repeated(part, name, own[name], n_rows, name in whole))
    return {role: _joined(role, some) for role, some in found.items()}, roles, known


def _parts(path: Path) -> list[tuple[Path, dict[str, str]]]:
    """Return the files, each with what its folders say, as ``{"year": "2024"}`` of ``year=2024/part-0.parquet``."""
    if path.is_file():
        return [(path, {})]
    found = []
    for part in files.parquet_parts(path):
        pairs = (folder.partition("=") for folder in part.relative_to(path).parts[:-1])
        found.append((part, {unquote(key): unquote(value) for key, equals, value in pairs if equals}))
    if not found:
        raise FileNotFoundError(f"`path` must hold *.parquet files, the folder {path} has none that counts")
    return found


def _names(path: Path, polars: bool) -> list[str]:
    """Return the names of the columns; raise where a file cannot be read."""

    def names() -> list[str]:
        if polars:
            import polars as pl  # noqa: PLC0415  (optional, and slow to import)

            return list(pl.scan_parquet(path, glob=False, hive_partitioning=False).collect_schema().names())
        from pyarrow import parquet  # noqa: PLC0415

        return list(parquet.read_schema(path).names)

    found = list(_guarded(path, names))
    if len(set(found)) < len(found):
        raise _named_alike(path)
    return found


def _table(path: Path, names: list[str], polars: bool) -> Any:
    def table() -> Any:
        if polars:
            import polars as pl  # noqa: PLC0415

            return pl.read_parquet(path, columns=names, glob=False, hive_partitioning=False)
        from pyarrow import parquet  # noqa: PLC0415

        read = parquet.ParquetFile(path).read(columns=names)
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


def _guarded(path: Path, read: Any) -> Any:
    """Return what ``read`` returns; what it says of the bytes becomes our error, other trouble passes."""
    try:
        return read()
    except BaseException as error:  # polars' panics are no Exception
        if type(error).__name__ == "DuplicateError":
            raise _named_alike(path) from None
        passing = isinstance(error, OSError) and error.errno is not None
        if passing or not (isinstance(error, (ValueError, OSError, NotImplementedError)) or is_polars_failure(error)):
            raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RatingsFileError(f"{path}: not a readable Parquet file ({reason}); was it cut off on the way?") from error


def _named_alike(path: Path) -> RatingsFileError:
    return RatingsFileError(
        f"{path}: several of its columns have the same name; rename them, or write only one of them"
    )


def _refuse_other_value(path: Path, name: str, column: Any, told: str | None) -> None:
    """Raise if a column says something else than the name of the folder."""
    if told is None:
        return
    others = {str(value) for value in columns.as_array(name, column).tolist()} - {told}
    if others:
        raise RatingsFileError(
            f"{path}: the folder says {name}={told}, but its column {name!r} holds {min(others)}; remove one of the two"
        )


def _repeated(path: Path, name: str, text: str, n_rows: int, whole: bool) -> Any:
    if text == _NO_VALUE or not text:
        raise RatingsFileError(f"{path}: the folder gives no value for {name!r}")
    return np.full(n_rows, int(text)) if whole else np.full(n_rows, text, object)


def _joined(role: str, parts: list[Any]) -> Any:
    if len(parts) == 1:
        return parts[0]
    arrays = [_signed(columns.as_array(role, part)) for part in parts]
    if len({array.dtype.kind for array in arrays} & {"i", "u"}) == 2:  # NumPy would make floats of them
        arrays = [array.astype(object) if array.dtype.kind in "iu" else array for array in arrays]
    if len({array.dtype.kind in "iuf" for array in arrays}) == 1 and all(a.dtype.kind in "iufM" for a in arrays):
        return np.concatenate(arrays)
    return np.array([value for array in arrays for value in array.tolist()], object)


def _signed(array: Array) -> Array:
    """Return unsigned integers as int64 where they fit."""
    fits = array.dtype.kind == "u" and (not array.size or int(array.max()) <= np.iinfo(np.int64).max)
    return array.astype(np.int64) if fits else array
