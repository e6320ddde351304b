"""A Parquet data set in parts, for tests of shards; it needs pyarrow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

import fastautorec as far

DRAWN = np.random.default_rng(1).integers((0, 0, 1, 100), (60, 20, 6, 999), (900, 4))  # with repeated pairs


def table(rows: Any, texts: bool) -> Any:
    users, items, ratings, times = np.array(rows).reshape(-1, 4).T
    named = [[f"user {n}" for n in users], [f"käse {n}" for n in items]] if texts else [users, items]
    types = [pa.string() if texts else pa.int64()] * 2
    columns = [pa.array(ids, kind) for ids, kind in zip(named, types, strict=True)]
    return pa.table([*columns, ratings, times, ratings * 0.1], ["user", "item", "rating", "timestamp", "other"])


def data_set(folder: Path, texts: bool = False) -> Path:
    """Write parts in folders, one of them without rows, and one that does not count."""
    for number in range(4):
        part = folder / f"day={number}" / f"part-{number}.parquet"
        part.parent.mkdir(parents=True)
        pa.parquet.write_table(table(DRAWN[number:720:3] if number < 3 else DRAWN[:0], texts), part)
    pa.parquet.write_table(table(DRAWN[720:], texts), folder / "day=3" / "late.PARQUET")
    (folder / "_temporary.parquet").write_bytes(b"not yet")
    return folder


def whole(texts: bool = False) -> far.Interactions:
    return far.Interactions.from_dataframe(table(DRAWN, texts), "user", "item", timestamp="timestamp", rating=False)


def bytes_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
