"""Parquet in parts: names of files and folders, columns that contradict them, integers of several types."""

from datetime import datetime
from decimal import Decimal

import numpy as np
import pytest
from rating_files import pairs, triples

from fastautorec.data import read_ratings
from fastautorec.exceptions import RatingsFileError

pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
pytestmark = pytest.mark.usefixtures("reader")


@pytest.fixture
def save(tmp_path):
    from pyarrow.parquet import write_table

    def save_table(columns, name):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_table(columns if isinstance(columns, pyarrow.Table) else pyarrow.table(columns), path)
        return path

    return save_table


def test_parts_with_other_endings(save, tmp_path):
    for number, ending in enumerate(("parquet", "PARQUET", "parq", "Pq")):
        save({"user": [number], "item": [5]}, f"all/part-{number}.{ending}")
    (tmp_path / "all/notes.txt").write_text("no part")
    assert pairs(read_ratings(tmp_path / "all")) == [(0, 5), (1, 5), (2, 5), (3, 5)]


@pytest.mark.parametrize("ending", ["PARQUET", "parq", "pq"])
@pytest.mark.parametrize("words", [{}, {"format": "parquet"}])
def test_a_folder_of_one_other_ending(ending, words, save, tmp_path):
    save({"user": [3], "item": [5]}, f"one/year=2024/part.{ending}")
    assert pairs(read_ratings(tmp_path / "one", **words)) == [(3, 5)]


def test_parts_that_do_not_count(save, tmp_path):
    save({"user": [3], "item": [5]}, "one/_temporary/part.parquet")
    with pytest.raises(FileNotFoundError, match="has none that counts"):
        read_ratings(tmp_path / "one", format="parquet")


def test_parts_with_columns_in_another_order(save, tmp_path):
    save({"user": [1, 2], "item": [10, 20], "rating": [4, 5]}, "o/a=1/b=2/part-0.parquet")
    save({"rating": [1, 5], "item": [30, 10], "user": [3, 4]}, "o/b=2/a=1/part-1.parquet")
    expected = [(1, 10), (2, 20), (4, 10)]
    assert pairs(read_ratings(tmp_path / "o", threshold=4)) == expected
    assert pairs(read_ratings(tmp_path / "o", user=0, item="item", rating=2, threshold=4)) == expected
    save({"rating": [1], "item": [3], "client": [3]}, "o/a=1/b=2/part-9.parquet")
    with pytest.raises(
        RatingsFileError, match=r"part-9.parquet: has other columns than part-0.parquet: rating, item, client"
    ):
        read_ratings(tmp_path / "o")


def test_folders_that_contradict_a_column(save, tmp_path):
    save({"user": [9, 9], "item": [1, 2]}, "good/user=9/part.parquet")
    assert pairs(read_ratings(tmp_path / "good")) == [(9, 1), (9, 2)]
    save({"user": [9, 7], "item": [1, 2]}, "bad/user=9/part.parquet")
    with pytest.raises(RatingsFileError, match="the folder says user=9, but its column 'user' holds 7"):
        read_ratings(tmp_path / "bad")


def test_columns_that_are_named_alike(save):
    arrays = [pyarrow.array([k]) for k in range(4)]
    for names in (["user", "item", "item", "x"], ["user", "item", "x", "x"]):
        path = save(pyarrow.table(arrays, names=names), "twice.parquet")
        with pytest.raises(
            RatingsFileError, match=r"twice\.parquet: several of its columns have the same name; rename"
        ):
            read_ratings(path)


@pytest.mark.parametrize("role", ["user", "item", "timestamp"])
def test_parts_of_signed_and_unsigned_integers_are_exact(save, tmp_path, role):
    for number, kind in enumerate((np.int64, np.uint64)):
        table = {name: np.array([number], np.int64) for name in ("user", "item", "timestamp")}
        save(table | {role: np.array([2**53 + 1 + number], kind)}, f"all/part-{number}.parquet")
    data = read_ratings(tmp_path / "all")
    found = {"user": data.user_ids, "item": data.item_ids, "timestamp": data.timestamps}[role]
    assert found.tolist() == [2**53 + 1, 2**53 + 2]


def test_parts_of_integers_beyond_64_bits(save, tmp_path):
    save({"user": np.array([1]), "item": [1]}, "all/part-0.parquet")
    save({"user": np.array([2**63 + 5], np.uint64), "item": [1]}, "all/part-1.parquet")
    with pytest.raises(RatingsFileError, match=f"got {2**63 + 5} in row 1"):
        read_ratings(tmp_path / "all")


TYPES = ("float16", "float32", "float64", "int64", "decimal", "text")


def numbers_of(kind, values):
    if kind == "decimal":
        return pyarrow.array([Decimal(str(value)) for value in values], pyarrow.decimal128(20, 1))
    if kind == "text":
        return pyarrow.array([str(value) for value in values])
    return pyarrow.array(np.array(values, kind))


@pytest.mark.parametrize("first", TYPES)
@pytest.mark.parametrize("second", TYPES)
def test_ratings_of_each_part_are_compared_in_their_own_type(first, second, save, tmp_path):
    values = {kind: [3, 4] if kind == "int64" else [3.2, 3.3] for kind in TYPES}
    for number, kind in enumerate((first, second)):
        save(
            {"user": [2 * number, 2 * number + 1], "item": [1, 1], "rating": numbers_of(kind, values[kind])},
            f"p/{number}.pq",
        )
    assert pairs(read_ratings(tmp_path / "p", threshold=3.3)) == [(1, 1), (3, 1)]


@pytest.mark.parametrize("other", ["int64", "float64", "uint64", "decimal", "float32"])
def test_ids_of_each_part_are_as_exact_as_their_own_type(other, save, tmp_path):
    save({"user": numbers_of("float32", [2**24 - 1]), "item": [1]}, "p/0.parquet")
    save({"user": numbers_of(other, [7]), "item": [1]}, "p/1.parquet")
    assert pairs(read_ratings(tmp_path / "p")) == [(7, 1), (2**24 - 1, 1)]
    save({"user": numbers_of("float32", [3, 2**24]), "item": [1, 1]}, "p/0.parquet")
    with pytest.raises(
        RatingsFileError, match=r"0\.parquet: column 'user' must hold integer .*got 16777216\.0 in row 1"
    ):
        read_ratings(tmp_path / "p")


def moments_of(kind):
    second = 1_700_000_000
    return {
        "ns": pyarrow.array([second * 10**9], pyarrow.timestamp("ns")),
        "us": pyarrow.array([second * 10**6], pyarrow.timestamp("us", "UTC")),
        "s": pyarrow.array([second], pyarrow.timestamp("s")),
        "text": pyarrow.array(["2023-11-14T22:13:20"]),
    }[kind]


@pytest.mark.parametrize("first", ["ns", "us", "s", "text"])
@pytest.mark.parametrize("second", ["ns", "us", "s", "text"])
def test_dates_of_each_part_are_seconds(first, second, save, tmp_path):
    for number, kind in enumerate((first, second)):
        save({"user": [number], "item": [1], "time": moments_of(kind)}, f"p/{number}.parquet")
    assert triples(read_ratings(tmp_path / "p")) == [(0, 1, 1.7e9), (1, 1, 1.7e9)]


@pytest.mark.parametrize("units", [["ns"], ["ns", "ns"], ["ns", "s"], ["ms", "us"]])
def test_durations_of_each_part_are_seconds(units, save, tmp_path):
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
    for number, unit in enumerate(units):
        save(
            {"user": [number], "item": [1], "time": pyarrow.array([2 * per_second[unit]], pyarrow.duration(unit))},
            f"p/{number}.parquet",
        )
    data = read_ratings(tmp_path / "p")
    assert triples(data) == [(number, 1, 2.0) for number in range(len(units))]
    assert data.timestamps.dtype == np.float64


def test_times_of_parts_are_of_one_kind_and_unit_and_exact(save, tmp_path):
    save({"user": [1], "item": [1], "time": moments_of("ns")}, "p/0.parquet")
    for other, told in (
        (pyarrow.array([1_700_000_000]), "here are numbers and in 0.parquet dates"),
        (pyarrow.array(["1700000000"]), "here are numbers and in 0.parquet dates"),
        (pyarrow.array([5], pyarrow.duration("s")), "here are durations and in 0.parquet dates"),
    ):
        save({"user": [2], "item": [1], "time": other}, "p/1.parquet")
        with pytest.raises(RatingsFileError, match=f"1.parquet: column 'time' must hold times of one kind, but {told}"):
            read_ratings(tmp_path / "p")
    save(
        {
            "user": pyarrow.array([], pyarrow.int64()),
            "item": pyarrow.array([], pyarrow.int64()),
            "time": pyarrow.array([], pyarrow.int64()),
        },
        "p/1.parquet",
    )
    assert triples(read_ratings(tmp_path / "p")) == [(1, 1, 1.7e9)]
    save({"user": [1], "item": [1], "time": [1_700_000_000]}, "p/0.parquet")
    save({"user": [2], "item": [1], "time": [1_700_000_000_000.5]}, "p/1.parquet")
    with pytest.raises(RatingsFileError, match="must hold times of one unit"):
        read_ratings(tmp_path / "p")
    save({"user": [1], "item": [1], "time": [1_700_000_000_000_000_001]}, "p/0.parquet")
    save({"user": [2], "item": [1], "time": [1.7e18]}, "p/1.parquet")
    with pytest.raises(
        RatingsFileError, match=r"must have times of one type, got integers such as 1700000000000000001"
    ):
        read_ratings(tmp_path / "p")


def test_parts_with_more_columns_that_no_role_has(save, tmp_path):
    save({"user": [1], "item": [1], "rating": [5]}, "p/0.parquet")
    save({"note": ["x"], "item": [2], "rating": [4], "user": [2]}, "p/1.parquet")
    assert pairs(read_ratings(tmp_path / "p", threshold=4)) == [(1, 1), (2, 2)]
    assert pairs(read_ratings(tmp_path / "p", user=0, item=1)) == [(1, 1), (2, 2)]
    save({"user": [1], "item": [2], "rating": [4], "time": [5]}, "p/1.parquet")
    with pytest.raises(
        RatingsFileError, match=r"1\.parquet: has other columns than 0\.parquet: user, item, rating, time"
    ):
        read_ratings(tmp_path / "p")
    assert pairs(read_ratings(tmp_path / "p", timestamp=False)) == [(1, 1), (1, 2)]
    save({"user": [1], "item": [2], "rating": [4], "customer_id": [5]}, "p/1.parquet")
    with pytest.raises(RatingsFileError, match=r"1\.parquet: has other columns"):
        read_ratings(tmp_path / "p")
    assert pairs(read_ratings(tmp_path / "p", user="user")) == [(1, 1), (1, 2)]


NS, BERLIN = pyarrow.timestamp("ns"), pyarrow.timestamp("s", "Europe/Berlin")
FOLDERS = {
    "a date and time": ("2024-01-01%2000%3A00%3A00.000000", pyarrow.array([1704067200 * 10**9], NS), 1704067200),
    "of another zone": ("2024-01-01%2000%3A00%3A00.000000+01%3A00", pyarrow.array([1704063600], BERLIN), 1704063600),
    "a day": ("2024-01-01", pyarrow.array([19723], pyarrow.date32()), 1704067200),
    "a fraction": ("4.0", pyarrow.array([4.0]), 4.0),
    "a whole number": ("4", pyarrow.array([4.0]), 4.0),
    "a narrow number": ("3.3", pyarrow.array(np.array([3.3], np.float32)), float(np.float32(3.3))),
}


@pytest.mark.parametrize("case", FOLDERS)
def test_folders_that_repeat_a_column_in_other_words(case, save, tmp_path):
    folder, column, expected = FOLDERS[case]
    save({"user": [1], "item": [1], "time": column}, f"h/time={folder}/part.parquet")
    assert triples(read_ratings(tmp_path / "h")) == [(1, 1, expected)]
    save({"user": [1], "item": [1], "time": column}, "bad/time=7/part.parquet")
    with pytest.raises(RatingsFileError, match="the folder says time=7, but its column 'time' holds"):
        read_ratings(tmp_path / "bad")


def test_folders_without_a_value_beside_a_column(save, tmp_path):
    folder = "time=__HIVE_DEFAULT_PARTITION__"
    for column, told in (([5], "but its column 'time' holds 5"), ([None], "must hold a time in every row")):
        save({"user": [1], "item": [1], "time": pyarrow.array(column, pyarrow.int64())}, f"h/{folder}/part.parquet")
        with pytest.raises(RatingsFileError, match=told):
            read_ratings(tmp_path / "h")


def test_folders_that_polars_writes(tmp_path):
    polars = pytest.importorskip("polars")
    times = [datetime(2024, 1, 1), datetime(2024, 1, 1, 8, 30, 0, 5)]
    frame = polars.DataFrame({"user": [1, 2], "item": [3, 4], "time": times, "rating": [3.3, 5]})
    frame.write_parquet(tmp_path / "t", partition_by="time", mkdir=True)
    assert triples(read_ratings(tmp_path / "t")) == [(1, 3, 1704067200.0), (2, 4, 1704097800.000005)]
    frame.with_columns(polars.col("rating").cast(polars.Float32)).write_parquet(
        tmp_path / "r", partition_by="rating", mkdir=True
    )
    assert pairs(read_ratings(tmp_path / "r", threshold=3.3)) == [(1, 3), (2, 4)]


def test_decimals_too_wide_for_polars(save, reader):
    path = save({"user": pyarrow.array([Decimal(1)], pyarrow.decimal256(60, 0)), "item": [1]}, "wide.parquet")
    if reader == "polars":
        with pytest.raises(
            RatingsFileError, match=r"wide\.parquet: polars cannot read one of its columns .*another type"
        ):
            read_ratings(path)
    else:
        assert pairs(read_ratings(path)) == [(1, 1)]
