"""Ids that may stand for no value: all parts and row groups together say whether the other ids are integers."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastautorec import distributed
from fastautorec.distributed import _sources

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
parquet = pytest.importorskip("pyarrow.parquet")

ROWS = 60
NUMBERS = [str(number % 30) for number in range(ROWS)]
ODD = ["null"] * ROWS


def write(path: Path, role: str, ids: list[str]) -> Path:
    other = {"user": "item", "item": "user"}[role]
    content = pa.table({role: ids, other: [number % 17 for number in range(len(ids))]})
    parquet.write_table(content, path, row_group_size=ROWS)
    return path


@pytest.fixture(params=["whole", "row groups", "files"])
def files(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return what writes ids to one file that is read as a whole or by row groups, or to several files."""
    if request.param == "row groups":
        monkeypatch.setattr(_sources, "WHOLE_BYTES", 0)
        monkeypatch.setattr(_sources, "PIECE_ROWS", ROWS)

    def made(role: str, *parts: list[str]) -> list[Path]:
        if request.param == "files":
            return [write(tmp_path / f"{number}.parquet", role, ids) for number, ids in enumerate(parts)]
        return [write(tmp_path / "one.parquet", role, [one for ids in parts for one in ids])]

    return made


@pytest.mark.filterwarnings("ignore:.*may stand for no")
@pytest.mark.parametrize("parts", [(ODD, NUMBERS), (NUMBERS, ODD), (NUMBERS, [*NUMBERS[1:], "null"])])
@pytest.mark.parametrize("role", ["user", "item"])
def test_gaps_among_integers_are_refused(role: str, parts: tuple[list[str], ...], files, tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=f"the {role} ids are integers but for 'null' .*, which may stand for no {role}"
    ):
        distributed.shard(files(role, *parts), tmp_path / "out", n_shards=2, verbose=False)
    assert not (tmp_path / "out").exists()


@pytest.mark.filterwarnings("ignore:.*may stand for no")
@pytest.mark.parametrize("role", ["user", "item"])
def test_gaps_among_texts_are_told(role: str, files, tmp_path: Path) -> None:
    parts = ODD, [f"a{number}" for number in NUMBERS]
    assert distributed.shard(files(role, *parts), tmp_path / "out", n_shards=2, verbose=False)


@pytest.mark.filterwarnings("ignore:.*may stand for no")
def test_a_gap_among_the_integers_of_a_few_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sources, "WHOLE_BYTES", 0)
    monkeypatch.setattr(_sources, "PIECE_ROWS", ROWS)
    ids = [*NUMBERS[1:], "NA", *(f"a{number}" for number in NUMBERS)]
    assert distributed.shard(write(tmp_path / "one.parquet", "user", ids), tmp_path / "out", n_shards=2, verbose=False)


def test_a_store_that_tells_no_size_gives_whole_files() -> None:
    source = _sources.Source("a.parquet", "a.parquet", Path("a.parquet"), (None, None))
    assert _sources.pieces_of([source], "parquet") == [source]
