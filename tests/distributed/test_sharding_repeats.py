"""Pairs that come several times, in one file or in several: at which time they count, what shards know of it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rating_files import triples
from sharded import Elsewhere

import fastautorec as far
from fastautorec import distributed
from fastautorec.distributed import _sources

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
parquet = pytest.importorskip("pyarrow.parquet")

DRAWN = np.random.default_rng(2).integers((0, 0, 0), (40, 12, 30), (700, 3))


def table(rows: Any) -> Any:
    return pa.table(dict(zip(("user", "item", "timestamp"), np.array(rows).T, strict=True)))


def whole(repeats: str, rows: Any = DRAWN) -> far.Interactions:
    return far.Interactions.from_dataframe(table(rows), verbose=False, repeats=repeats)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def told(call: Any, *args: Any, **words: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(*args, **words)
    return [str(one.message) for one in caught if "at several times" in str(one.message)]


@pytest.mark.parametrize("repeats", ["last", "first"])
def test_files_and_row_groups_give_what_one_table_gives(
    repeats: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = tmp_path / "one.parquet"
    parquet.write_table(table(DRAWN), one, row_group_size=60)
    parts = [tmp_path / f"part-{number}.parquet" for number in range(4)]
    for number, path in enumerate(parts):
        parquet.write_table(table(DRAWN[number::4]), path)
    options: dict[str, Any] = {"n_shards": 3, "repeats": repeats, "verbose": False}
    shards = distributed.shard(one, tmp_path / "whole", **options)
    distributed.shard(parts, tmp_path / "parts", engine=Elsewhere(), **options)
    monkeypatch.setattr(_sources, "WHOLE_BYTES", 0)
    monkeypatch.setattr(_sources, "PIECE_ROWS", 150)
    distributed.shard(one, tmp_path / "groups", **options)
    for name in ("parts", "groups"):
        assert contents(tmp_path / name) == contents(tmp_path / "whole"), name
    opened = [far.Interactions.open(path) for path in shards]
    assert sorted(triple for data in opened for triple in triples(data)) == sorted(triples(whole(repeats)))
    assert sum(data._repeats.count for data in opened) == whole(repeats)._repeats.count > 100
    assert {data._repeats.which for data in opened} == {repeats}


def test_the_very_same_rows_in_two_files_are_no_repeats(tmp_path: Path) -> None:
    once = np.unique(DRAWN[:, :2], axis=0)
    rows = np.column_stack([once, np.arange(len(once))])
    for name in ("a", "b"):
        parquet.write_table(table(rows), tmp_path / f"{name}.parquet")
    files = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for path in distributed.shard(files, tmp_path / "out", n_shards=2, verbose=False):
        assert far.Interactions.open(path)._repeats is None


def test_what_is_held_out_over_shards_is_told_once(tmp_path: Path) -> None:
    parquet.write_table(table(DRAWN), tmp_path / "one.parquet")
    for repeats in ("last", "first"):
        distributed.shard(tmp_path / "one.parquet", tmp_path / repeats, n_shards=3, repeats=repeats, verbose=False)
        model = far.NCEAutoRecCV(factors=[2, 4])
        messages = told(distributed.fit, model, tmp_path / repeats)
        assert len(messages) == (repeats == "last")
        for message in messages:
            assert f"{whole('last')._repeats.count:,} pairs" in message
        assert told(distributed.fit, far.EASE(), tmp_path / repeats) == []


def test_the_first_time_needs_times(tmp_path: Path) -> None:
    parquet.write_table(table(DRAWN), tmp_path / "one.parquet")
    with pytest.raises(ValueError, match=r"one\.parquet: `repeats`='first' needs timestamps"):
        distributed.shard(tmp_path / "one.parquet", tmp_path / "out", timestamp=False, repeats="first", verbose=False)
    with pytest.raises(ValueError, match="`repeats` must be one of 'last', 'first', got 'all'"):
        distributed.shard(tmp_path / "one.parquet", tmp_path / "out", repeats="all", verbose=False)
