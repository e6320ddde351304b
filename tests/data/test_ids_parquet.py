"""Ids and times in Parquet files, with either library: what a data frame gives, or the same refusal."""

from decimal import Decimal

import pytest

from fastautorec.data import Interactions, read_ratings
from fastautorec.data import _readers as readers
from fastautorec.exceptions import RatingsFileError

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")


@pytest.fixture(params=["polars", "pyarrow"], autouse=True)
def library(request, monkeypatch):
    pytest.importorskip(request.param, reason=f"{request.param} is not installed")
    monkeypatch.setattr(readers, "_POLARS", request.param == "polars")


@pytest.fixture
def write(tmp_path):
    from pyarrow import parquet

    def write_file(table):
        parquet.write_table(table, tmp_path / "ratings.parquet")
        return tmp_path / "ratings.parquet"

    return write_file


@pytest.mark.parametrize(
    "column",
    [
        pa.array([-1, *range(128)], pa.int8()),
        pa.array([-1, 5, 32767], pa.int16()),
        pa.array([-(2**31), 5, 2**31 - 1], pa.int32()),
        pa.array([255, 0], pa.uint8()),
        pa.array([2**63 - 1, 0], pa.uint64()),
        pa.array([2.0**53 - 1, 0], pa.float64()),
        pa.array([Decimal("1.00"), Decimal("-7.00")]),
        pa.array(["b", "a", "007", "7"]),
        pa.array(["b", "a", "b"]).dictionary_encode(),
    ],
    ids=str,
)
def test_ids_are_exact(write, column):
    table = pa.table({"user": column, "item": range(len(column)), "timestamp": range(len(column))})
    values = [x if isinstance(x, str) else int(x) for x in column.to_pylist()]
    for data in (read_ratings(write(table)), Interactions.from_dataframe(table, "user", "item")):
        assert data.user_ids.tolist() == sorted(set(values))
        entries = data.user_items.tocoo()
        pairs = zip(data.user_ids[entries.row].tolist(), data.item_ids[entries.col].tolist(), strict=True)
        assert sorted(pairs) == sorted(zip(values, range(len(values)), strict=True))


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([1, 2**63 + 5], pa.uint64()), f"got {2**63 + 5} in row 1.*strings"),
        (pa.array([1, None, None]), r"got None in row 1 \(2 of 3 rows lack a value: 2 in user\); say missing="),
        (pa.array([1.0, 1.5]), "got 1.5 in row 1"),
        (pa.array([1.0, 2.0**53]), "got 9007199254740992.0 in row 1"),
        (pa.array(["a", None]), r"got None in row 1 \(1 of 2 rows lack"),
        (pa.array([b"a", None]), r"got None in row 1 \(1 of 2 rows lack"),
        (pa.array([b"a", b"b"]), "got b'a' in row 0; decode"),
        (pa.array([[1], [2, 3]]), "lists or records .* explode"),
        (pa.array([[1, 2], [2, 3]], pa.list_(pa.int64(), 2)), "lists or records .* explode"),
        (pa.array([{"a": 1}]), "lists or records .* explode"),
        (pa.array([True]), "got True in row 0"),
        (pa.array([1], pa.date32()), "got 1970-01-02 in row 0"),
        (pa.array([Decimal("1.50")]), r"got Decimal\('1.50'\)"),
    ],
    ids=str,
)
def test_ids_that_are_refused(write, column, message):
    with pytest.raises(RatingsFileError, match=rf"ratings\.parquet: .*{message}"):
        read_ratings(write(pa.table({"user": column, "item": range(len(column))})))


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array(["2024-01-02", "nan", "2024-01-01"]), r"got 'nan' in row 1 \(1 of 3 rows lack"),
        (pa.array(["2024-01-02", "inf"]), "got 'inf' in row 1"),
        (pa.array(["2024-01-02", "01/02/2024"]), "got '01/02/2024' in row 1; its parts"),
        (pa.array([1.0, float("nan")]), "got nan in row 1"),
        (pa.array(["5", None]), "got None in row 1"),
        (pa.array([0, None], pa.timestamp("us")), "got None in row 1"),
        (pa.array([0, None], pa.timestamp("us", "UTC")), "got None in row 1"),
        (pa.array([0], pa.time32("ms")), "in row 0; convert"),
    ],
    ids=str,
)
def test_times_that_are_refused(write, column, message):
    n = len(column)
    with pytest.raises(RatingsFileError, match=f"column 'timestamp' must hold a time in every row.*{message}"):
        read_ratings(write(pa.table({"user": range(n), "item": range(n), "timestamp": column})))


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_are_seconds_whatever_the_unit(write, unit):
    factor = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    for kind in (pa.duration(unit), pa.timestamp(unit), pa.timestamp(unit, "Europe/Paris")):
        column = pa.array([5 * factor, 3 * factor], kind)
        data = read_ratings(write(pa.table({"user": [1, 1], "item": [1, 2], "timestamp": column})))
        assert data.timestamps.tolist() == [5, 3]


@pytest.mark.parametrize("role", ["user", "item", "rating", "timestamp"])
def test_gaps_of_dictionary_columns(write, role):
    values = {"user": ["a", "b", "b"], "item": ["x", "y", "z"], "rating": [5.0, 4.0, 5.0], "timestamp": [7, 8, 9]}
    encoded = {name: pa.array(column).dictionary_encode() for name, column in values.items()}
    assert read_ratings(write(pa.table(encoded)), threshold=5).nnz == 2
    gaps = pa.array([values[role][0], None, values[role][2]]).dictionary_encode()
    with pytest.raises(RatingsFileError, match="in row 1"):
        read_ratings(write(pa.table(encoded | {role: gaps})))


def test_narrow_ratings_are_compared_in_their_type(write):
    table = pa.table({"user": [1, 2], "item": [1, 2], "rating": pa.array([3.3, 3.2], pa.float32())})
    assert read_ratings(write(table), threshold=3.3).user_ids.tolist() == [1]


def test_an_empty_text_is_no_id(write):
    with pytest.raises(RatingsFileError, match=r"column 'user' .* got '' in row 1"):
        read_ratings(write(pa.table({"user": ["a", ""], "item": [1, 2]})))


def test_dates_of_a_wrong_unit(write):
    column = pa.array([0, 1_700_000_000_000_000_000], pa.timestamp("ms"))
    with pytest.raises(RatingsFileError, match=r"in row 1; its unit, ms, looks wrong"):
        read_ratings(write(pa.table({"user": [1, 2], "item": [1, 2], "timestamp": column})))
