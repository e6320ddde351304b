"""Shards of one large Parquet file: its row groups are read by themselves, with the bytes of the file as a whole."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sharded import Elsewhere, Stopping

import fastautorec as far
from fastautorec import distributed
from fastautorec.data._missing import with_places
from fastautorec.data._parquet import Part, row_of_file
from fastautorec.distributed import _parts, _sources

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
parquet = pytest.importorskip("pyarrow.parquet")
from parquet_parts import DRAWN, bytes_in, data_set, table  # noqa: E402

ROWS, GROUP = 150, 60  # of a piece and of a row group: pieces of two groups


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int] | None]:
    """Cut all files of more rows, and return what is read: row groups, or None for a whole file."""
    read: list[tuple[int, int] | None] = []
    load = _parts.load

    def noted(file: Any, *given: Any) -> far.Interactions:
        read.append(getattr(file, "groups", None))
        return load(file, *given)

    monkeypatch.setattr(_sources, "WHOLE_BYTES", 0)
    monkeypatch.setattr(_sources, "PIECE_ROWS", ROWS)
    monkeypatch.setattr(_parts, "load", noted)
    return read


def large(path: Path, content: Any, rows: int = GROUP) -> Path:
    parquet.write_table(content, path, row_group_size=rows)
    return path


@pytest.mark.parametrize("threshold", [None, 3])
@pytest.mark.parametrize("texts", [False, True], ids=["integers", "texts"])
def test_row_groups_give_the_bytes_of_the_file(texts: bool, threshold: float | None, tmp_path: Path, cut: Any) -> None:
    one = large(tmp_path / "one.parquet", table(DRAWN, texts), len(DRAWN))
    several = large(tmp_path / "several.parquet", table(DRAWN, texts))
    options: dict[str, Any] = {"n_shards": 3, "threshold": threshold, "verbose": False}
    distributed.shard(one, tmp_path / "whole", **options)
    assert cut == [None], "a row group is not cut"
    cut.clear()
    distributed.shard(several, tmp_path / "local", **options)
    assert cut == [(start, min(start + 2, 15)) for start in range(0, 15, 2)]
    distributed.shard(several, tmp_path / "elsewhere", engine=Elsewhere(), **options)
    distributed.shard(several.as_uri(), tmp_path / "store", **options)
    distributed.shard(data_set(tmp_path / "parts", texts), tmp_path / "files", **options)
    for name in ("local", "elsewhere", "store", "files"):
        assert bytes_in(tmp_path / name) == bytes_in(tmp_path / "whole"), name


def test_row_groups_of_a_part_with_folders(tmp_path: Path, cut: Any) -> None:
    folder = tmp_path / "ratings" / "item=7"
    folder.mkdir(parents=True)
    large(folder / "a.parquet", pa.table({"user": range(500)}), 100)
    (path,) = distributed.shard(tmp_path / "ratings", tmp_path / "out", verbose=False)
    assert len(cut) == 5
    data = far.Interactions.open(path)
    assert (data.nnz, data.item_ids.tolist()) == (500, [7])


def test_groups_that_are_read_are_not_read_again(tmp_path: Path, cut: Any) -> None:
    file = large(tmp_path / "a.parquet", table(DRAWN, texts=True))
    with pytest.raises(ConnectionError):
        distributed.shard(file, tmp_path / "out", n_shards=2, engine=Stopping(3), verbose=False)
    assert len(cut) == 3
    distributed.shard(file, tmp_path / "out", n_shards=2, verbose=False)
    assert len(cut) == len(set(cut)) == 8


def test_a_threshold_may_leave_nothing_of_some_groups(tmp_path: Path, cut: Any) -> None:
    ratings = [1] * 300 + [5] * 100
    content = pa.table({"user": range(400), "item": [number % 7 for number in range(400)], "rating": ratings})
    file = large(tmp_path / "a.parquet", content)
    (path,) = distributed.shard(file, tmp_path / "out", threshold=4, verbose=False)
    assert far.Interactions.open(path).user_ids.tolist() == list(range(300, 400))
    assert len(cut) == 4
    good = large(tmp_path / "b.parquet", content.set_column(2, "rating", pa.array([9] * 400)))
    with pytest.raises(ValueError, match=r"a\.parquet: `threshold` 6 leaves nothing; lower it"):
        distributed.shard([file, good], tmp_path / "none", threshold=6, verbose=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.parquet", "b.parquet", "out"]


def test_what_is_wrong_is_told_with_its_groups(tmp_path: Path, cut: Any) -> None:
    users = pa.array([*range(299), None, *range(100)])
    file = large(tmp_path / "a.parquet", pa.table({"user": users, "item": range(400)}), 100)
    with pytest.raises(ValueError, match=r"a\.parquet \(row group 2\): column 'user' .* in row 299"):
        distributed.shard(file, tmp_path / "out", verbose=False)
    good = large(file, pa.table({"user": range(400), "item": range(400)}), 100).read_bytes()
    file.write_bytes(good[:4] + b"\xff" * 900 + good[904:])
    with pytest.raises(far.RatingsFileError, match=r"a\.parquet \(row group 0\): not a readable Parquet file"):
        distributed.shard(file, tmp_path / "out", verbose=False)
    file.write_bytes(good[:-4])
    with pytest.raises(far.RatingsFileError, match=r"a\.parquet: not a readable Parquet file"):
        distributed.shard(file, tmp_path / "out", verbose=False)


def test_rows_in_messages_are_those_of_the_file(tmp_path: Path, cut: Any) -> None:
    names = [f"u{number}" for number in range(400)]

    def refused(column: str, values: Any) -> str:
        content = pa.table({"user": names, "item": names, "rating": [1.0] * 400, "timestamp": [10**9] * 400})
        place = content.column_names.index(column)
        large(tmp_path / "a.parquet", content.set_column(place, column, pa.array(values)), 100)
        with pytest.raises(ValueError, match=r"a\.parquet \(row group 3\): ") as error:
            distributed.shard(tmp_path / "a.parquet", tmp_path / "out", threshold=1, verbose=False)
        return str(error.value)

    assert "got None in row 350" in refused("user", [None if name == "u350" else name for name in names])
    assert "in row 350" in refused("item", ["in row 7\0" if name == "u350" else name for name in names])
    assert "in row 350" in refused("rating", [None if name == "u350" else 1.0 for name in names])
    assert "in row 350" in refused("timestamp", [None if name == "u350" else 10**9 for name in names])
    among = [*map(str, range(300)), *("NA" if number == 50 else str(number) for number in range(100))]
    with pytest.warns(UserWarning, match="'NA' .1 of 100 rows, first in row 350. may stand for no user"):
        told = refused("user", among)
    assert "'NA' (1 of 100 rows, first in row 350)" in told


@pytest.mark.parametrize("text", ["'in row 7'", '"it\'s in row 7"', r"'a\'s in row 7'"])
def test_values_in_messages_stay_as_they_are(text: str) -> None:
    part = Part("a", "a", {}, frozenset(), groups=(1, 2), first_row=100)
    assert (
        with_places(partial(row_of_file, part), ValueError(f"got {text} in row 5; fix"))
        == f"got {text} in row 105; fix"
    )
    assert with_places(partial(row_of_file, Path("a")), ValueError(f"got {text} in row 5")) == f"got {text} in row 5"


def test_weights_are_summed_in_the_file_as_a_whole(tmp_path: Path, cut: Any) -> None:
    file = large(tmp_path / "a.parquet", table(DRAWN, texts=False))
    distributed.shard(file, tmp_path / "out", n_shards=2, weights="other", verbose=False)
    assert cut == [None]
