"""Shards of several files: together the data of one file, whatever the order, and all of them or nothing."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastautorec as far
from fastautorec import distributed
from fastautorec.cli import main
from fastautorec.data._texts import text_array
from fastautorec.distributed._parts import hashes_of

HEAD = "user,item,rating,timestamp"
DRAWN = np.random.default_rng(0).integers((0, 0, 1, 100), (40, 15, 6, 999), (600, 4))  # with repeated pairs


def rows_of(texts: bool) -> list[str]:
    """Return lines; of the texts, some look like integers."""
    name = (lambda n: f"u{n}" if n % 3 else str(n)) if texts else str
    return [f"{name(u)},{name(i)},{r},{t}" for u, i, r, t in DRAWN.tolist()]


def written(path: Path, rows: list[str], head: str = HEAD) -> Path:
    path.write_text("\n".join([head, *rows]) + "\n")
    return path


def three_files(folder: Path, texts: bool = False) -> list[Path]:
    rows = rows_of(texts)
    return [written(folder / f"{name}.csv", rows[start::3]) for start, name in enumerate("abc")]


def contents(folder: Path) -> dict[str, Any]:
    """Return what each shard holds."""
    return {path.name: interactions_in(far.Interactions.open(path, verify=True)) for path in sorted(folder.iterdir())}


def interactions_in(data: far.Interactions) -> tuple[Any, ...]:
    matrix = data.user_items
    arrays = (data.user_ids, data.item_ids, matrix.indptr, matrix.indices, data.timestamps)
    return tuple(array.tolist() for array in arrays)


def triples(*parts: far.Interactions) -> list[tuple[Any, ...]]:
    found = []
    for data in parts:
        pairs = data.user_items.tocoo()
        found += zip(
            data.user_ids[pairs.row].tolist(), data.item_ids[pairs.col].tolist(), data.timestamps.tolist(), strict=True
        )
    return sorted(found)


@pytest.mark.parametrize("texts", [False, True], ids=["integers", "texts"])
def test_shards_are_the_data_of_one_file(texts: bool, tmp_path: Path) -> None:
    files = three_files(tmp_path, texts)
    whole = far.read_ratings(written(tmp_path / "whole.csv", rows_of(texts)), threshold=3, verbose=False)
    paths = distributed.shard(files, tmp_path / "out", n_shards=4, threshold=3, verbose=False)
    assert paths == sorted((tmp_path / "out").iterdir())
    shards = [far.Interactions.open(path) for path in paths]
    assert triples(*shards) == triples(whole)
    assert [shard.item_ids.tolist() for shard in shards] == [whole.item_ids.tolist()] * 4
    users = [shard.user_ids.tolist() for shard in shards]
    assert users == [sorted(some) for some in users]
    assert sorted(itertools.chain(*users)) == whole.user_ids.tolist(), "each user is in one shard"
    model = distributed.fit(far.Popularity(), paths)
    assert model.item_counts_.tolist() == far.Popularity().fit(whole).item_counts_.tolist()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "b.csv", "c.csv", "out", "whole.csv"]


def test_the_order_changes_nothing(tmp_path: Path) -> None:
    files = three_files(tmp_path)
    expected = None
    for number, order in enumerate(itertools.permutations(files)):
        distributed.shard(order, tmp_path / str(number), n_shards=3, verbose=False)
        found = contents(tmp_path / str(number))
        expected = expected or found
        assert found == expected
    rows = [row for file in files for row in file.read_text().splitlines()[1:]]
    cut = [written(tmp_path / "x.csv", rows[:50]), written(tmp_path / "y.csv", rows[50:][::-1])]
    distributed.shard(cut, tmp_path / "cut", n_shards=3, verbose=False)
    assert contents(tmp_path / "cut") == expected, "nor does it matter which file has which rows"


def test_hashes_of_ids() -> None:
    def splitmix(number: int) -> int:
        z = (number + 0x9E3779B97F4A7C15) % 2**64
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        return z ^ (z >> 31)

    def of_text(text: str) -> int:
        return splitmix(sum(b * pow(0x9E3779B97F4A7C15, place + 1, 2**64) for place, b in enumerate(text.encode())))

    numbers = np.array([0, 1, -1, 2**63 - 1, -(2**63)])
    assert hashes_of(numbers).tolist() == [splitmix(number % 2**64) for number in numbers.tolist()]
    texts = ["a", "b", "ab", "ba", "käse", "a" * 100]
    ids = text_array(texts)
    assert hashes_of(ids).tolist() == [of_text(text) for text in texts]
    shares = np.bincount((hashes_of(np.arange(80_000)) >> np.uint64(61)).astype(int))
    assert np.abs(shares - 10_000).max() < 400, "four standard deviations"


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(file) for file in three_files(tmp_path)]
    words = ["--threshold", "3", "--n-shards", "2", "--no-timestamp"]
    assert main(["shard", *files, "--output", str(tmp_path / "out"), *words]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [str(tmp_path / "out" / f"shard-0000{number}") for number in range(2)]
    steps = [line.partition(":")[0] for line in err.splitlines()]
    assert [steps.count(name) for name in ("a.csv", "b.csv", "c.csv", "shard-00000", "shard-00001")] == [1] * 5
    assert far.Interactions.open(tmp_path / "out" / "shard-00000").timestamps is None
    assert main(["shard", *files, "--output", str(tmp_path / "out")]) == 2
    assert "must be a new or an empty folder" in capsys.readouterr().err


def test_what_is_refused(tmp_path: Path) -> None:
    files = three_files(tmp_path)
    cases = {
        "users are integers in .* and texts in": [*files, written(tmp_path / "text.csv", ["u7,1,3,100", "u8,2,3,100"])],
        "items are integers in .* and texts in": [*files, written(tmp_path / "item.csv", ["7,i1,3,100", "8,i2,3,100"])],
        "all have times or none": [*files, written(tmp_path / "bare.csv", ["7,1,3"], "user,item,rating")],
        "times of one unit": [
            written(tmp_path / "s.csv", ["7,1,3,1700000000"]),
            written(tmp_path / "ms.csv", ["7,1,3,1700000000000"]),
        ],
        "which looks like seconds, where the first is 17.* in .*ms.csv, in .*odd.csv": [
            written(tmp_path / "odd.csv", ["7,1,3,1700000000", "7,2,3,77"]),
            tmp_path / "ms.csv",
        ],
        "times of one kind, but those in .*a.csv are numbers and those in .*iso.csv dates": [
            *files,
            written(tmp_path / "iso.csv", ["7,1,3,2024-02-01"]),
        ],
        "null.csv": [*files, written(tmp_path / "null.csv", ["7,1,3,100", ",2,3,100"])],
        "empty.csv": [*files, written(tmp_path / "empty.csv", [])],
        "name each file once": [*files, tmp_path / "." / "a.csv"],
        "nothing.csv does not exist": [*files, tmp_path / "nothing.csv"],
    }
    before = {path.name for path in tmp_path.iterdir()}
    for words, given in cases.items():
        with pytest.raises((ValueError, FileNotFoundError), match=words):
            distributed.shard(given, tmp_path / "out", n_shards=2, verbose=False)
    for n_shards in (40, 100, 10**18):
        with pytest.raises(ValueError, match=rf"`n_shards` {n_shards} leaves .* shards without users"):
            distributed.shard(files, tmp_path / "out", n_shards=n_shards, verbose=False)
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="`n_shards`"):
            distributed.shard(files, tmp_path / "out", n_shards=wrong)
    with pytest.raises(TypeError, match="`files` must be"):
        distributed.shard([], tmp_path / "out")
    with pytest.raises(FileNotFoundError, match="does not exist; create it"):
        distributed.shard(files, tmp_path / "no" / "out")
    with pytest.raises(FileExistsError, match="must be a new or an empty folder"):
        distributed.shard(files, files[0])
    assert {path.name for path in tmp_path.iterdir()} == before, "nothing is left of what was refused"


def test_files_with_a_header_and_without(tmp_path: Path) -> None:
    first = written(tmp_path / "a.csv", ["100,0", "101,1"], "item,user")
    rest = written(tmp_path / "b.csv", ["101,3"], "100,2")  # as split writes it
    other = written(tmp_path / "c.csv", ["100,2", "101,3"], "movie,reader")
    for second in (rest, other):
        with pytest.raises(
            ValueError, match=rf"same columns, but .*'user'.* in .*a\.csv and .* in .*{second.name}; give"
        ):
            distributed.shard([first, second], tmp_path / "out", verbose=False)
        (path,) = distributed.shard([first, second], tmp_path / second.stem, user=1, item=0, verbose=False)
        data = far.Interactions.open(path)
        assert (data.user_ids.tolist(), data.item_ids.tolist()) == ([0, 1, 2, 3], [100, 101])
    rated = [written(tmp_path / f"{name}.csv", ["1,2,3"], f"user,item,{name}") for name in ("rating", "stars")]
    distributed.shard(rated, tmp_path / "unused", verbose=False)
    with pytest.raises(ValueError, match=r"same columns, but .*'stars'"):
        distributed.shard(rated, tmp_path / "out", threshold=3, verbose=False)


def test_scalars_of_numpy(tmp_path: Path) -> None:
    files = three_files(tmp_path)
    plain = {"n_shards": 2, "threshold": 3.0, "item_bytes": 1 << 20}
    distributed.shard(files, tmp_path / "plain", **plain, verbose=False)
    given = {"n_shards": np.int64(2), "threshold": np.float32(3), "item_bytes": np.int64(1 << 20)}
    distributed.shard(files, tmp_path / "given", **given, verbose=False)
    assert contents(tmp_path / "given") == contents(tmp_path / "plain")
    with pytest.raises(TypeError, match="`user` must be the name or the position"):
        distributed.shard(files, tmp_path / "out", user=np.int64(0), verbose=False)


def test_parts_of_parquet(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow as pa

    def part(name: str, users: list[Any], items: list[Any]) -> Path:
        parquet.write_table(pa.table({"user": users, "item": items}), tmp_path / name)
        return tmp_path / name

    first = part("0.parquet", [1, 2, 2], [10, 10, 20])
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (path,) = distributed.shard([first, part("1.parquet", [3, 2], [30, 20])], tmp_path / "link", verbose=False)
    assert path == tmp_path / "link" / "shard-00000"
    assert (tmp_path / "link").is_symlink()
    assert far.Interactions.open(path).user_items.toarray().tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 1]]
    for name, users, words in (("a", ["u1", "u2"], "of one kind"), ("b", [4, None], "b.parquet: .*user")):
        with pytest.raises(ValueError, match=words):
            distributed.shard([first, part(f"{name}.parquet", users, [1, 2])], tmp_path / "out", verbose=False)
    assert not (tmp_path / "out").exists()
