"""Parquet: files, folders of parts, hive partitions, and what is no Parquet or no column of ids."""

import numpy as np
import pytest
from rating_files import pairs, triples

from fastautorec.data import _parquet as parquet
from fastautorec.data import _readers as readers
from fastautorec.data import read_ratings
from fastautorec.exceptions import RatingsFileError

pytestmark = pytest.mark.usefixtures("reader")


@pytest.fixture
def save(tmp_path):
    """Write a table and return its path."""
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    from pyarrow.parquet import write_table

    def save_table(columns, name="ratings.parquet"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_table(pyarrow.table(columns), path)
        return path

    return save_table


TABLE = {"rating": [4.0, 2.0], "userId": ["a", "b"], "movieId": [1, 2], "timestamp": [5, 6]}


def test_one_file(save, write):
    path = save(TABLE)
    assert triples(read_ratings(path, threshold=3)) == [("a", 1, 5)]
    assert read_ratings(path).describe().lines()[0] == (
        "ratings.parquet: parquet, 4 columns: userId → user, movieId → item, rating → rating, timestamp → timestamp "
        "(by name)"
    )
    assert triples(read_ratings(path, user="movieId", item=1, timestamp=False)) == [(1, "a", None), (2, "b", None)]
    with pytest.raises(RatingsFileError, match="not a readable Parquet file"):
        read_ratings(write(path.read_bytes()[:-9], "cut.parquet"))


def test_names_are_those_of_text_files(save):
    text = {"sku": ["B1", "B2"], "customer": ["ann", "ann"], "quantity": [1, 2], "bought_at": ["1970-01-01"] * 2}
    assert triples(read_ratings(save(text))) == [("ann", "B1", 0.0), ("ann", "B2", 0.0)]
    path = save(dict(zip("abcd", TABLE.values(), strict=True)))
    with pytest.raises(
        RatingsFileError, match=r"no columns named user and item, got a, b, c, d; .*user=COLUMN, item=COLUMN"
    ):
        read_ratings(path)
    assert pairs(read_ratings(path, user="b", item="c")) == [("a", 1), ("b", 2)]
    with pytest.raises(ValueError, match="`user` must name a column of the file, got 'x'; it has a, b, c, d"):
        read_ratings(path, user="x", item="b")
    with pytest.raises(RatingsFileError, match=r"only item: product_id.*user=COLUMN, item='product_id'"):
        read_ratings(save({"order_id": [1], "product_id": [2], "reordered": [0]}))


def test_ids_are_those_of_the_file(save):
    assert pairs(read_ratings(save({"user": ["007", "7"], "item": [1, 1]}))) == [("007", 1), ("7", 1)]
    times = [1700000000000000100, 1700000000000000050]
    data = read_ratings(save({"user": [1, 2], "item": [1, 1], "time": times}))
    assert data.timestamps.dtype == np.int64
    assert data.timestamps.tolist() == times


def test_never_play_again(save):
    path = save({"user": [1, 2, 3], "item": ["a", "b", "c"], "rating": [90, 255, 30]})
    data = read_ratings(path)
    assert pairs(data) == [(1, "a"), (2, "b"), (3, "c")]
    assert "; 1 ratings of 255 stand beside ratings up to 90; " in data.describe().lines()[1]


def test_hours_are_no_times(save):
    path = save({"user": [k % 5 for k in range(40)], "item": list(range(40)), "time": [k % 24 for k in range(40)]})
    with pytest.raises(RatingsFileError, match="'time' holds whole numbers from 0 to 23"):
        read_ratings(path)
    assert read_ratings(path, timestamp="time").timestamps.max() == 23
    assert read_ratings(path, timestamp=False).timestamps is None


def test_columns_without_a_role_are_named(save):
    path = save({"user": [1], "vote": [5], "item": [2], "comment": ["x"]})
    assert read_ratings(path).describe().lines()[0].endswith("item → item (by name); ignored: vote, comment")
    with pytest.raises(ValueError, match=r"say rating=COLUMN \(columns not used: vote, comment\)"):
        read_ratings(path, threshold=3)


def test_lists_are_refused(save):
    with pytest.raises(RatingsFileError, match=r"column 'items' holds lists or records .*; explode it"):
        read_ratings(save({"user": [1, 2], "items": [[1, 2], [3]]}), user="user", item="items")
    assert pairs(read_ratings(save({"user": [1], "item": [2], "tags": [["x"]]}))) == [(1, 2)]


def test_folder_of_parts(save, tmp_path):
    for number in range(3):
        save({"user": [number, 7], "item": [10, number], "x": [0, 0]}, f"all/part-{number}.parquet")
    (tmp_path / "all/_SUCCESS").write_text("")
    save({"other": [1]}, "all/_metadata.parquet")
    expected = [(0, 10), (1, 10), (2, 10), (7, 0), (7, 1), (7, 2)]
    assert pairs(read_ratings(tmp_path / "all")) == pairs(read_ratings(tmp_path / "all", "parquet")) == expected
    odd = save({"user": [0], "what": [10], "x": [0]}, "all/part-9.parquet")
    with pytest.raises(RatingsFileError, match=rf"{odd.name}: has other columns than part-0\.parquet: user, what, x"):
        read_ratings(tmp_path / "all")
    with pytest.raises(IsADirectoryError, match="must name one file"):
        read_ratings(tmp_path / "all", "csv")


@pytest.mark.parametrize(("ids", "expected"), [(("7", "12"), [7, 12]), (("007", "12"), ["007", "12"])])
def test_hive_partitions(ids, expected, save, tmp_path):
    for number, label in enumerate(ids):
        save({"item": [number, 5], "rating": [5, 1]}, f"hive/year=2024/user={label}/part.parquet")
    data = read_ratings(tmp_path / "hive")
    assert sorted(pairs(data), key=str) == sorted(
        [(expected[0], 0), (expected[0], 5), (expected[1], 1), (expected[1], 5)], key=str
    )
    assert pairs(read_ratings(tmp_path / "hive", threshold=2)) == [(expected[0], 0), (expected[1], 1)]


def test_hive_partitions_escaped_and_empty(save, tmp_path):
    save({"item": [1, 2]}, "hive/user=a%2Fb c/part.parquet")
    assert pairs(read_ratings(tmp_path / "hive")) == [("a/b c", 1), ("a/b c", 2)]
    save({"item": [1, 2]}, "hive/user=__HIVE_DEFAULT_PARTITION__/part.parquet")
    with pytest.raises(
        RatingsFileError, match=r"column 'user' must hold a user id in every row, got None in row 0 \(2 of 2 rows"
    ):
        read_ratings(tmp_path / "hive")


def test_names_with_signs_of_patterns(save):
    assert pairs(read_ratings(save({"user": [1], "item": [2]}, "a[1]*/b[0].parquet"))) == [(1, 2)]
    assert pairs(read_ratings(save({"user": [1], "item": [2]}, "c[1]*/b[0].parquet").parent)) == [(1, 2)]


def test_flipped_bytes_are_refused_or_read(save, write, capfd):
    whole = save({"user": list(range(50)), "item": [f"i{k % 7}" for k in range(50)]}).read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for place in rng.choice(len(whole), 250, replace=False).tolist():
        flipped = bytearray(whole)
        flipped[place] ^= 1 << int(rng.integers(8))
        try:
            read_ratings(write(bytes(flipped), "flipped.parquet"), "parquet", verbose=False)
        except RatingsFileError:
            refused += 1
    assert refused > 50
    capfd.readouterr()  # where polars tells of its panics


def test_a_text_that_is_not_utf_8(save):
    path = save({"user": ["ab", "cd", "ab"], "item": [1, 2, 3]})
    path.write_bytes(path.read_bytes().replace(b"cd", b"c\xff"))
    with pytest.raises(RatingsFileError, match=r"ratings\.parquet: not a readable Parquet file"):
        read_ratings(path)


class PanicException(BaseException):
    """What polars raises where its own code fails."""


def test_a_panic_of_polars_is_an_error_like_others(save, reader, monkeypatch):
    if reader != "polars":
        pytest.skip("about polars")
    import polars as pl

    path = save(TABLE)

    def panic(*_, **__):
        raise PanicException("range end index 9 out of range")

    monkeypatch.setattr(pl, "read_parquet", panic)
    with pytest.raises(RatingsFileError, match=r"not a readable Parquet file .range end index 9 out of range"):
        read_ratings(path)

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(pl, "read_parquet", interrupt)
    with pytest.raises(KeyboardInterrupt):
        read_ratings(path)


def test_other_trouble_passes(save, monkeypatch):
    def fail(*_, **__):
        raise PermissionError(13, "Permission denied")

    path = save(TABLE)
    monkeypatch.setattr(parquet, "_names", lambda path, polars: parquet._guarded(path, fail))
    with pytest.raises(PermissionError):
        read_ratings(path)


def test_without_a_reader(write, monkeypatch):
    monkeypatch.setattr(readers, "_POLARS", False)
    monkeypatch.setattr(parquet, "PYARROW", False)
    with pytest.raises(ImportError, match=r"pip install 'fastautorec\[data\]'"):
        read_ratings(write(b"PAR1"))
