"""Columns of tables: gaps that hide, tables of NumPy, times of a wrong unit or of several kinds, narrow ratings."""

import datetime
from decimal import Decimal

import numpy as np
import pytest
from scipy import sparse

from fastautorec.data import Interactions
from fastautorec.data import _columns as columns
from fastautorec.data._texts import text_array


def refusal(column):
    with pytest.raises((ValueError, TypeError)) as error:
        Interactions.from_dataframe({"u": column, "i": range(len(column))}, "u", "i")
    return str(error.value)


def moments(column):
    n = len(column)
    return Interactions.from_dataframe({"u": [1] * n, "i": range(n), "t": column}, "u", "i", timestamp="t").timestamps


# -- what is missing, whatever holds the column -----------------------------------------------------------------------


@pytest.mark.parametrize("library", ["dict", "pandas", "polars", "pyarrow"])
def test_rows_with_gaps_are_counted(library):
    table = {"who": ["a", None, "b", None], "what": ["x", None, "y", "z"], "more": [None] * 4, "t": ["2024"] * 4}
    table["t"][1] = None
    if library != "dict":
        frames = pytest.importorskip(library, reason=f"{library} is not installed")
        table = (frames.table if library == "pyarrow" else frames.DataFrame)(table)
    for times, more in ((None, ""), ("t", ", 1 in t")):
        told = rf"in row 1 \(2 of 4 rows lack a value: 2 in who, 1 in what{more}\); say missing='drop' to leave such"
        with pytest.raises(ValueError, match=told):
            Interactions.from_dataframe(table, "who", "what", timestamp=times)


@pytest.mark.parametrize("chunks", [1, 2])
@pytest.mark.parametrize("role", ["u", "i", "r", "t"])
def test_gaps_of_dictionary_columns_of_arrow(chunks, role):
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    values = {"u": ["a", None, "b", "a"], "i": ["x", None, "y", "z"], "r": [5.0, None, 4.0, 5.0], "t": [7, None, 8, 9]}
    gaps = pa.chunked_array([pa.array(values[role]).dictionary_encode()] * chunks)
    full = {name: [some[0] if x is None else x for x in some] * chunks for name, some in values.items()}
    good = {name: pa.chunked_array([pa.array(some).dictionary_encode()]) for name, some in full.items()}
    names = {"user": "u", "item": "i", "rating": "r", "timestamp": "t"}
    assert Interactions.from_dataframe(pa.table(good), **names).user_ids.tolist() == ["a", "b"]
    with pytest.raises(ValueError, match="in row 1"):
        Interactions.from_dataframe(pa.table(good | {role: gaps}), **names)


def test_a_gap_within_the_dictionary_of_arrow():
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    column = pa.DictionaryArray.from_arrays(pa.array([0, 0, 1]), pa.array(["a", None]))
    for given in (column, pa.chunked_array([column])):
        assert "got None in row 2" in refusal(given)


@pytest.mark.parametrize("role", ["u", "i", "r", "t"])
@pytest.mark.parametrize("values", [np.array([3, 1, 2]), np.array([3.0, 1.0, 2.0]), np.array(["3", "1", "2"])])
def test_masked_values_are_missing(role, values):
    names = {"user": "u", "item": "i", "rating": "r", "timestamp": "t"}
    table = {"u": [1, 2, 3], "i": [1, 2, 3], "r": [1, 2, 3], "t": [1, 2, 3]}
    if role == "r" and values.dtype.kind == "U":
        values = values.astype(float)
    whole = Interactions.from_dataframe(table | {role: np.ma.masked_array(values, [False] * 3)}, **names)
    assert whole.nnz == 3
    with pytest.raises(ValueError, match="in row 1"):
        Interactions.from_dataframe(table | {role: np.ma.masked_array(values, [False, True, True])}, **names)


def test_masked_values_in_other_places():
    assert "got masked in row 1" in refusal([1, np.ma.masked]).replace("masked (MaskedConstant)", "masked")
    dates = np.ma.masked_array(np.array(["2024-01-01", "2024-01-02"], "M8[D]"), [False, True])
    with pytest.raises(ValueError, match=r"got masked in row 1 \("):
        moments(dates)
    with pytest.raises(ValueError, match=r"'user_ids' .* in row 0"):
        Interactions(sparse.identity(2, format="csr"), np.ma.masked_array([1, 2], [True, False]))


def test_structured_arrays_are_tables():
    rows = np.array([(7, "x", 3.0), (5, "y", 4.0)], [("u", int), ("i", "U1"), ("r", "f4")])
    for table in (rows, rows.view(np.recarray)):
        data = Interactions.from_dataframe(table, "u", "i", "r", threshold=4)
        assert (data.user_ids.tolist(), data.item_ids.tolist()) == ([5], ["y"])
    with pytest.raises(ValueError, match="it has u, i, r"):
        Interactions.from_dataframe(rows, "u", "j")
    with pytest.raises(ValueError, match="in row 1"):
        Interactions.from_dataframe(np.ma.masked_array(rows, [(0, 0, 0), (0, 1, 0)]), "u", "i")
    with pytest.raises(TypeError, match=r"an array without names of columns, of shape \(2, 2\)"):
        Interactions.from_dataframe(np.eye(2), "u", "i")


def test_texts_in_ascending_runs():
    """NumPy 2.4 sorts such texts by a way that ends the process."""
    run = sorted(f"user-{number}" for number in range(20_000))
    ids = [*run, *(f"{text}!" for text in run)]
    data = Interactions(sparse.csr_matrix((len(ids), 2), dtype=np.float32), text_array(ids))
    assert data.user_ids.tolist() == ids


def test_an_empty_text_is_no_id():
    for column in (["b", "", "a"], np.array(["b", "", "a"])):
        assert "got '' in row 1" in refusal(column)
    with pytest.raises(ValueError, match=r"'item_ids' .* empty text in row 1"):
        Interactions(sparse.identity(2, format="csr"), item_ids=["a", ""])


# -- times and ratings ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "row"),
    [
        (np.array([0, 1_700_000_000_000_000_000], "M8[ms]"), 1),
        (np.array([1_700_000_000_000_000_000, 0], "M8[us]"), 0),
        (np.array([0, 99_999_999_999], "M8[Y]"), 1),
        (np.array([0, 8030], "M8[Y]"), 1),
        (np.array([0, -1971], "M8[Y]"), 1),
        (np.array([0, 2**62], "m8[D]"), 1),
    ],
)
def test_dates_that_only_a_wrong_unit_can_mean(column, row):
    with pytest.raises(ValueError, match=f"in row {row}; its unit, {np.datetime_data(column.dtype)[0]}, looks wrong"):
        moments(column)


def test_dates_at_the_ends():
    for unit in ("s", "ms", "us", "ns"):
        days = np.array(["1700-01-01", "2024-01-01", "2250-01-01"], f"M8[{unit}]")
        assert moments(days).tolist() == [-8_520_336_000, 1_704_067_200, 8_835_955_200]
    ends = np.array(["0001-01-01", "9999-12-31"], "M8[D]")
    assert moments(ends).tolist() == [-62_135_596_800, 253_402_300_800 - 86_400]
    years = np.array(["0001", "9999"], "M8[Y]")
    assert moments(years).tolist() == [-62_135_596_800, 253_402_300_800 - 365 * 86_400]


@pytest.mark.parametrize(
    ("column", "row"),
    [
        ([5, datetime.date(2024, 1, 1)], 1),
        ([datetime.date(2024, 1, 1), "2024-01-02", datetime.timedelta(1)], 2),
        (["20240102", "20240103", "2024-01-01"], 2),
        (np.array(["2024-01-01", "20240102"]), 1),
        ([5, 6.5, "2024-01-01"], 2),
    ],
)
def test_times_of_several_kinds(column, row):
    with pytest.raises(ValueError, match=f"times of one kind, got .* in row 0 and .* in row {row}"):
        moments(column)


@pytest.mark.parametrize("unit", ["s", "us", "ns"])
def test_times_of_pandas_in_a_zone(unit):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    moments = pandas.date_range("2024-10-27", periods=8, freq="30min", tz="Europe/Berlin")  # clocks go back
    moments = moments.as_unit(unit)
    expected = [moment.timestamp() for moment in moments]
    for column in (moments, moments.to_series(index=range(8)), moments.tz_convert("Asia/Tokyo")):
        values = columns.times("t", column)
        assert values.tolist() == expected
        assert columns.as_array("t", column).dtype == f"M8[{unit}]"  # no object for each row
    gaps = moments.to_series(index=range(8)).mask(np.arange(8) == 3)
    with pytest.raises(ValueError, match="got NaT in row 3"):
        columns.times("t", gaps)


def test_times_of_one_kind_written_in_several_ways():
    days = [datetime.date(1970, 1, 2), "1970-01-03", datetime.datetime(1970, 1, 4)]
    assert moments(days).tolist() == [86_400, 2 * 86_400, 3 * 86_400]
    assert moments([5, 6.5, "7", Decimal(8)]).tolist() == [5, 6.5, 7, 8]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_threshold_is_compared_in_the_type_of_the_ratings(dtype):
    table = {"u": [1, 2, 3], "i": [1, 2, 3], "r": np.array([3.3, 3.2, 3.3], dtype)}
    assert Interactions.from_dataframe(table, "u", "i", "r", threshold=3.3).user_ids.tolist() == [1, 3]


@pytest.mark.filterwarnings("error")
def test_a_threshold_beyond_the_type_of_the_ratings():
    table = {"u": [1, 2, 3], "i": [1, 2, 3], "r": np.array([3.3, 3.2, 3.3], np.float32)}
    assert Interactions.from_dataframe(table, "u", "i", "r", threshold=-1e39).nnz == 3
    with pytest.raises(ValueError, match=r"leaves nothing, for the highest rating is 3\.3"):
        Interactions.from_dataframe(table, "u", "i", "r", threshold=1e39)


def test_rows_that_ratings_leave_out_are_told(capsys):
    table = {"u": [1, 2, 3], "i": [1, 2, 3], "r": [1, 0, 5]}
    data = Interactions.from_dataframe(table, "u", "i", "r", threshold=1)
    told = [
        "dict: table, 3 columns: u → user, i → item, r → rating (given)",
        "2 users, 2 items, 2 interactions; 1 rows left out for ratings below 1",
    ]
    assert data.describe().lines() == told
    assert capsys.readouterr().err.splitlines() == told
    Interactions.from_dataframe(table, "u", "i", "r", threshold=1, verbose=False)
    Interactions.from_dataframe(table, "u", "i", "r", threshold=0)  # which leaves nothing out
    assert capsys.readouterr().err == ""
    Interactions.from_dataframe(table, "u", "i", "r")
    assert "ratings from 0 to 5 are not used" in capsys.readouterr().err
