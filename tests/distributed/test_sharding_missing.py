"""Shards of rows that lack a value: left out they are as if they had never been there, however a file is cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sharded import Elsewhere

from fastautorec import distributed
from fastautorec.distributed import _sources
from fastautorec.exceptions import RatingsFileError

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
parquet = pytest.importorskip("pyarrow.parquet")

DRAWN = np.random.default_rng(3).integers((0, 0, 0), (40, 12, 30), (600, 3)).tolist()
GROUP = 60
NAMES = ("user", "item", "timestamp")


def with_gaps() -> list[list[Any]]:
    """Return the rows with others among them that lack something; nothing is left of the third row group."""
    rows: list[list[Any]] = []
    for number, row in enumerate(DRAWN):
        if number % 7 == 0:
            rows.append([None if place == number % 3 else value for place, value in enumerate(row)])
        rows.append(row)
    return [*rows[: 2 * GROUP], *([None, 1, 1] for _ in range(GROUP)), *rows[2 * GROUP :]]


def table(rows: Any) -> Any:
    return pa.table(
        {name: pa.array(values, pa.int64()) for name, values in zip(NAMES, zip(*rows, strict=True), strict=True)}
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_shards_without_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = with_gaps()
    parquet.write_table(table(DRAWN), tmp_path / "clean.parquet")
    parquet.write_table(table(rows), tmp_path / "gaps.parquet", row_group_size=GROUP)
    texts = [tmp_path / f"part-{number}.csv" for number in range(3)]
    for number, path in enumerate(texts):
        lines = [",".join("" if x is None else str(x) for x in row) for row in rows[number::3]]
        path.write_text("\n".join([",".join(NAMES), *lines]) + "\n")
    options: dict[str, Any] = {"n_shards": 3, "verbose": False}
    distributed.shard(tmp_path / "clean.parquet", tmp_path / "clean", **options)
    distributed.shard(tmp_path / "gaps.parquet", tmp_path / "whole", missing="drop", **options)
    distributed.shard(texts, tmp_path / "texts", missing="drop", engine=Elsewhere(), **options)
    monkeypatch.setattr(_sources, "WHOLE_BYTES", 0)
    monkeypatch.setattr(_sources, "PIECE_ROWS", GROUP)
    distributed.shard(tmp_path / "gaps.parquet", tmp_path / "groups", missing="drop", **options)
    for name in ("whole", "texts", "groups"):
        assert contents(tmp_path / name) == contents(tmp_path / "clean"), name


def test_rows_are_those_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [*DRAWN[:130], [7, None, 1], *DRAWN[130:]]
    parquet.write_table(table(rows), tmp_path / "one.parquet", row_group_size=GROUP)
    monkeypatch.setattr(_sources, "WHOLE_BYTES", 0)
    monkeypatch.setattr(_sources, "PIECE_ROWS", GROUP)
    with pytest.raises(
        RatingsFileError, match=r"column 'item' .* got None in row 130 \(1 of 60 rows lack a value: 1 in item\)"
    ):
        distributed.shard(tmp_path / "one.parquet", tmp_path / "out", n_shards=2, verbose=False)
    with pytest.raises(ValueError, match="`missing` must be one of 'raise', 'drop', got 'skip'"):
        distributed.shard(tmp_path / "one.parquet", tmp_path / "out", missing="skip", verbose=False)


@pytest.mark.parametrize("threshold", [None, 0])
def test_a_large_file_of_which_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threshold: int | None
) -> None:
    parquet.write_table(table(DRAWN), tmp_path / "whole.parquet", row_group_size=GROUP)
    parquet.write_table(table([[1, None, 5]] * 2 * GROUP), tmp_path / "gaps.parquet", row_group_size=GROUP)
    options: dict[str, Any] = {"threshold": threshold, "rating": "timestamp", "timestamp": False, "verbose": False}
    files = [tmp_path / "whole.parquet", tmp_path / "gaps.parquet"]
    for rows in (1 << 20, GROUP):  # as a whole and in runs of row groups
        monkeypatch.setattr(_sources, "WHOLE_BYTES", 0)
        monkeypatch.setattr(_sources, "PIECE_ROWS", rows)
        told = r"gaps\.parquet: `missing`='drop' leaves nothing, for all 120 rows lack a value: 120 in item;"
        with pytest.raises(RatingsFileError, match=told):
            distributed.shard(files, tmp_path / "out", missing="drop", **options)


def test_what_is_left_out_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.csv").write_text("user,item\n1,2\n,2\n3,2\n3,\n")
    distributed.shard(tmp_path / "a.csv", tmp_path / "out", n_shards=1, missing="drop")
    assert "2 rows left out for missing values (1 in user, 1 in item)" in capsys.readouterr().err
