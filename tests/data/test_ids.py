"""Ids from any column: exact, or refused with the right row; and texts of any length."""

import datetime
import enum
import uuid
from decimal import Decimal

import numpy as np
import pytest
from scipy import sparse

import fastautorec as far
from fastautorec.data import Interactions
from fastautorec.data import _texts as texts

INT_TYPES = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", ">i4", ">i8", ">u2"]


@pytest.fixture(params=["variable", "fixed"])
def width(request, monkeypatch):
    """Both types of texts, of which NumPy 1 knows one."""
    if request.param == "variable" and not texts.VARIABLE_WIDTH:
        pytest.skip("this NumPy has no texts of variable width")
    monkeypatch.setattr(texts, "VARIABLE_WIDTH", request.param == "variable")
    return request.param


def users(column):
    """Return the ids and, for each row, its id, of a table with this column of users."""
    data = Interactions.from_dataframe({"u": column, "i": range(len(column))}, "u", "i")
    entries = data.user_items.tocoo()
    rows = np.empty(len(column), object)
    rows[data.item_ids[entries.col]] = data.user_ids[entries.row].tolist()
    return data.user_ids, rows.tolist()


def refusal(column, **others):
    with pytest.raises((ValueError, TypeError)) as error:
        Interactions.from_dataframe({"u": column, "i": range(2 if column is None else len(column))} | others, "u", "i")
    return str(error.value)


# -- integers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", INT_TYPES)
def test_integers_of_every_width_are_exact(dtype):
    info = np.iinfo(dtype)
    high = min(info.max, 2**63 - 1)
    near = np.array([*range(info.min, info.min + 100), *range(high - 99, high + 1)], dtype)
    dense = np.arange(max(info.min, -90_000), min(high, 90_000) + 1, 7).astype(dtype)
    rng = np.random.default_rng(0)
    for column in (near, dense, near[:1], near[-1:]):
        given = rng.permutation(np.concatenate([column, column[: len(column) // 2]]))
        ids, rows = users(given)
        assert ids.dtype == np.int64
        assert ids.tolist() == sorted(set(given.tolist()))
        assert rows == given.tolist()


def test_the_cases_that_wrapped():
    guests = [-1, *range(128)]
    assert users(np.array(guests, np.int8))[0].tolist() == guests
    assert users(np.array([-1, 5, 32767], np.int16))[0].tolist() == [-1, 5, 32767]
    labels = np.arange(-100, 101).astype(np.int8)
    data = Interactions(sparse.csr_matrix((1, 201)), item_ids=labels)
    assert data.item_ids.tolist() == labels.tolist()
    assert Interactions(sparse.csr_matrix(np.ones((1, 201))), item_ids=range(-100, 101)).with_items(labels).nnz == 201


@pytest.mark.parametrize("value", [2**63, 2**63 + 5, 2**64 - 1])
def test_integers_beyond_64_bits_are_refused(value):
    for column in ([1, value], np.array([1, value], np.uint64), np.array([1, value], object)):
        message = refusal(column)
        assert f"got {value} in row 1" in message
        assert "strings" in message
    assert f"got {-value - 1} in row 0" in refusal([-value - 1, 1])


def test_floats_that_are_whole_numbers():
    assert users(np.array([3.0, -2.0, 2.0**53 - 1]))[0].tolist() == [-2, 3, 2**53 - 1]
    assert users(np.array([3.0, -0.0], np.float32))[0].tolist() == [0, 3]
    assert users([3.0, 2, np.float64(7)])[0].tolist() == [2, 3, 7]
    for dtype, limit in ((np.float64, 2.0**53), (np.float32, 2.0**24), (np.float16, 2.0**11)):
        assert users(np.array([limit - 1], dtype))[0].tolist() == [int(limit) - 1]
        for bad in (limit, -limit):
            assert "in row 1" in refusal(np.array([1, bad], dtype))
            assert "in row 1" in refusal([1, dtype(bad)])
    assert "got 1.5 in row 1" in refusal(np.array([1.0, 1.5]))
    assert "got 1e+19 in row 0" in refusal(np.array([1e19, 2.0]))
    assert "got inf in row 1" in refusal(np.array([1.0, np.inf]))


def test_decimals_that_are_whole_numbers():
    assert users([Decimal("3.00"), Decimal(2)])[0].tolist() == [2, 3]
    assert "in row 1" in refusal([Decimal(3), Decimal("2.5")])
    assert "in row 1" in refusal([Decimal(3), Decimal("NaN")])
    assert "in row 0" in refusal([Decimal("sNaN"), Decimal(1)])
    assert f"got {10**30} in row 1" in refusal([Decimal(3), Decimal("1E+30")])


@pytest.mark.parametrize("n", [0, 1, 3])
@pytest.mark.parametrize("missing", [None, np.nan, float("nan"), np.datetime64("NaT"), Decimal("NaN")])
def test_what_is_missing_is_named_first(missing, n):
    """Also where another value is wrong before it."""
    for good in ("a", 5, 5.0):
        assert f"in row {n}" in refusal(np.array([*[good] * n, missing, good], object))
    assert f"in row {n + 1}" in refusal([1.5, *[5] * n, missing])
    assert f"in row {n + 1}" in refusal([True, *["a"] * n, missing])


def test_the_first_bad_row_is_named():
    assert "got True in row 1" in refusal([1, True, 0.5])  # a set would hold 1 and True as one
    assert "got True in row 0" in refusal(np.array([True, False]))
    assert "got b'x' in row 1" in refusal(["a", b"x"])
    assert "decode" in refusal(np.array([b"x"]))
    assert "in row 0" in refusal([uuid.uuid4()])
    assert "str(x)" in refusal([uuid.uuid4()])
    assert "got 2024-01-01 in row 0" in refusal(np.array(["2024-01-01"], "M8[D]"))
    assert "got NaT in row 1" in refusal(np.array(["2024-01-01", "NaT"], "M8[ns]"))
    assert "explode" in refusal([[1], [2, 3]])
    assert "mixes integer and string ids, such as 2 and 'a'" in refusal([2, "a"])
    assert "one dimension" in refusal(np.zeros((2, 2), int))
    assert "got a set" in refusal(None, u={1, 2})


def test_text_ids(width):
    with pytest.warns(
        UserWarning, match=r"'nan' \(1 of 8 rows, first in row 4\) and 'None' \(1 of 8 rows, first in row 5"
    ):
        ids, rows = users(["b", "a", "é", " ", "nan", "None", "1.0", "9148955329465708066"])
    assert ids.dtype.kind == ("T" if width == "variable" else "U")
    assert ids.tolist() == [" ", "1.0", "9148955329465708066", "None", "a", "b", "nan", "é"]
    assert rows == ["b", "a", "é", " ", "nan", "None", "1.0", "9148955329465708066"]

    class Kind(str, enum.Enum):
        BOOK = "book"

    assert users([Kind.BOOK, "a", np.str_("c")])[0].tolist() == ["a", "book", "c"]
    for column in (np.array(["b", "a"]), texts.text_array(["b", "a"]), np.array(["b", "a"], object)):
        assert users(column)[0].tolist() == ["a", "b"]
        assert Interactions(sparse.csr_matrix((2, 2)), column, column).item_ids.tolist() == ["b", "a"]
    assert "zero character in row 1" in refusal(["a", "b\0"])
    assert "surrogate) in row 1" in refusal(["a", "\ud800"])


def test_one_long_id_does_not_set_the_width_of_all():
    if not texts.VARIABLE_WIDTH:
        pytest.skip("this NumPy has no texts of variable width")
    items = [f"/p/{k}" for k in range(3999)] + ["/p/x?" + "q" * 20_000]
    data = Interactions.from_dataframe({"u": range(4000), "i": items}, "u", "i")
    assert data.item_ids.tolist() == sorted(items)
    assert texts.memory(data.item_ids) < 2.5 * sum(map(len, items))


def test_a_fixed_width_that_would_be_huge_is_refused(monkeypatch):
    monkeypatch.setattr(texts, "VARIABLE_WIDTH", False)
    items = [f"/p/{k}" for k in range(20_000)] + ["q" * 20_000]
    assert "would take 1.6 GB" in refusal(items)
    assert "column 'u'" in refusal(items)
    assert users(["q" * 20_000] * 3)[0].tolist() == ["q" * 20_000]


# -- the columns of other libraries -----------------------------------------------------------------------------------


def test_pandas_columns():
    pd = pytest.importorskip("pandas", reason="pandas is not installed")
    guests = pd.to_numeric(pd.Series([-1, *range(128)]), downcast="integer")
    assert guests.dtype == np.int8
    assert users(guests)[0].tolist() == [-1, *range(128)]
    column = pd.DataFrame({"u": [*range(1000, 1010), None]})["u"]
    for _ in range(8):
        assert "got nan in row 10" in refusal(column)
    assert "in row 1" in refusal(pd.Series([1, pd.NA, 3], dtype="Int64"))
    assert "in row 1" in refusal(pd.Series([1, pd.NA, 3], dtype=object))
    assert "in row 1" in refusal(pd.Series(["a", None]))
    assert "in row 1" in refusal(pd.Series(["a", None], dtype="category"))
    assert "in row 2" in refusal(pd.Series(["a", "b", pd.NaT], dtype=object))
    assert users(pd.Series(["b", "a"], dtype="category"))[0].tolist() == ["a", "b"]
    assert users(pd.Series([7, 2], dtype="Int64"))[0].tolist() == [2, 7]
    assert users(pd.Index(["b", "a"]))[0].tolist() == ["a", "b"]
    assert "str(x)" in refusal(pd.Series(pd.period_range("2024-01", periods=2, freq="M")))


def test_polars_columns():
    pl = pytest.importorskip("polars", reason="polars is not installed")
    for dtype in (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt64, pl.Int128, pl.Decimal(20, 2)):
        assert users(pl.Series([3, 1, 127], dtype=dtype))[0].tolist() == [1, 3, 127]
    for dtype in (pl.String, pl.Categorical, pl.Enum(["b", "a"])):
        assert users(pl.Series(["b", "a"], dtype=dtype))[0].tolist() == ["a", "b"]
        assert "got None in row 1" in refusal(pl.Series(["b", None], dtype=dtype))
    assert f"got {2**70} in row 1" in refusal(pl.Series([1, 2**70], dtype=pl.Int128))
    assert "got None in row 1" in refusal(pl.Series([1, None], dtype=pl.Int128))
    assert "in row 0" in refusal(pl.Series([None, 1, 2]))
    assert "decode" in refusal(pl.Series([b"a"]))
    assert "explode" in refusal(pl.Series([[1], [2, 3]]))
    assert "zero character in row 1" in refusal(pl.Series(["a", "b\0c"]))


def test_arrow_columns():
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    columns = {
        "texts": pa.array(["b", "a"]),
        "large": pa.array(["b", "a"], pa.large_string()),
        "dictionary": pa.array(["b", "a"]).dictionary_encode(),
        "int8": pa.array([-1, 127], pa.int8()),
        "uint64": pa.array([1, 2**63 - 1], pa.uint64()),
        "decimal": pa.array([Decimal("2.00"), Decimal("1.00")]),
    }
    for column in columns.values():
        expected = sorted(x if isinstance(x, str) else int(x) for x in column.to_pylist())
        for form in (column, pa.chunked_array([column[:1], column[1:]])):
            assert users(form)[0].tolist() == expected
            assert Interactions(sparse.csr_matrix((2, 2)), form, form).user_ids.tolist()[::-1] in (
                expected,
                expected[::-1],
            )
    batch = pa.record_batch({"u": columns["texts"], "i": columns["dictionary"]})
    assert Interactions.from_dataframe(batch, "u", "i").user_ids.tolist() == ["a", "b"]
    assert "got 9223372036854775808 in row 0" in refusal(pa.array([2**63], pa.uint64()))
    assert "in row 1" in refusal(pa.array(["a", None]))
    assert "in row 1" in refusal(pa.array([1, None]))
    assert "decode" in refusal(pa.array([b"a"]))
    assert "explode" in refusal(pa.array([[1], [2]]))
    data = Interactions(sparse.csr_matrix((1, 2)), item_ids=["b", "a"])
    assert data.item_index(pa.array(["a", "b"])).tolist() == [1, 0]


def test_lazy_frames():
    pl = pytest.importorskip("polars", reason="polars is not installed")
    assert Interactions.from_dataframe(pl.LazyFrame({"u": [1], "i": [2], "x": [[3]]}), "u", "i").item_ids.tolist() == [
        2
    ]
    with pytest.raises(TypeError, match=r"call collect\(\) first"):
        Interactions(sparse.csr_matrix((1, 2)), item_ids=pl.LazyFrame({"i": [1, 2]}))


# -- times ------------------------------------------------------------------------------------------------------------


def moments(column, make=dict):
    n = len(column)
    return Interactions.from_dataframe(
        make({"u": [1] * n, "i": range(n), "t": column}), "u", "i", timestamp="t"
    ).timestamps


def no_time(column):
    with pytest.raises(ValueError, match="column 't' must hold a time in every row") as error:
        moments(column)
    return str(error.value)


@pytest.mark.parametrize("bad", ["nan", "NaN", "inf", "-inf", "1e999", "NaT", "", "01/02/2024", "1_000", "soon", None])
def test_texts_that_are_no_times(bad):
    message = no_time(["2024-01-02", bad, "2024-01-01"])
    assert f"got {bad!r} in row 1" in message
    for library in ("pandas", "polars", "pyarrow"):
        module = pytest.importorskip(library, reason=f"{library} is not installed")
        array = module.array if library == "pyarrow" else module.Series
        assert "in row 1" in no_time(array(["2024-01-02", bad, "2024-01-01"]))


def test_the_first_text_that_is_no_time_is_named():
    assert "got 'z' in row 1; " in no_time(["2024-01-02", "z", "a", "z"])
    assert "could mean several days" in no_time(["01/02/2024"])


def test_numbers_that_are_no_times():
    assert "got nan in row 1 (" in no_time(np.array([1.0, np.nan]))
    assert "got inf in row 0" in no_time([float("inf"), 1.0])
    assert "got None in row 1" in no_time([1, None])
    assert "got True in row 1" in no_time(np.array([1, True], object))
    assert "got True in row 0" in no_time([True, False])
    assert "got NaT in row 1 (" in no_time(np.array(["2024-01-01", "NaT"], "M8[s]"))
    assert f"got {2**63} in row 1" in no_time(np.array([1, 2**63], np.uint64))


def test_times_of_every_kind_are_seconds():
    day = datetime.datetime(2024, 1, 2)
    seconds = 1704153600
    assert moments([day, day.date(), day.replace(tzinfo=datetime.timezone.utc)]).tolist() == [seconds] * 3
    assert moments(["2024-01-02", "2024-01-02T01:00:00+01:00"]).tolist() == [seconds] * 2
    assert moments([f"{seconds}", f"{seconds}.0"]).tolist() == [seconds] * 2
    exact = [1_700_000_000_000_000_100, 1_700_000_000_000_000_050]
    for column in (exact, [str(x) for x in exact], np.array(exact), np.array(exact, object)):
        assert moments(column).dtype == np.int64
        assert moments(column).tolist() == exact


@pytest.mark.parametrize("unit", ["D", "h", "s", "ms", "us", "ns"])
def test_durations_are_seconds_whatever_the_unit(unit):
    day = np.array([1, 2], "m8[D]").astype(f"m8[{unit}]")
    assert moments(day).tolist() == [86_400, 172_800]
    assert moments([datetime.timedelta(days=1), datetime.timedelta(days=2)]).tolist() == [86_400, 172_800]
    pd = pytest.importorskip("pandas", reason="pandas is not installed")
    assert moments(pd.Series(day)).tolist() == [86_400, 172_800]
    pl = pytest.importorskip("polars", reason="polars is not installed")
    assert moments(pl.Series(day if unit in ("ms", "us", "ns") else day.astype("m8[us]"))).tolist() == [86_400, 172_800]
    assert "got NaT in row 1" in no_time(np.array([1, "NaT"], f"m8[{unit}]"))


def test_times_of_pandas():
    pd = pytest.importorskip("pandas", reason="pandas is not installed")
    aware = pd.Series(pd.to_datetime(["2024-01-02 01:00:00+01:00", "2024-01-02 00:00:00Z"], utc=True))
    assert moments(aware).tolist() == [1704153600, 1704153600]
    assert "got NaT in row 1 (" in no_time(pd.Series(pd.to_datetime(["2024-01-02", None], utc=True)))
    assert "got NaT in row 1 (" in no_time(pd.Series(pd.to_datetime(["2024-01-02", None])))
    assert "to_timestamp" in no_time(pd.Series(pd.period_range("2024-01", periods=2, freq="M")))


def test_ratings_say_which_row_is_no_number():
    for column, message in (
        (["4", "good"], "got 'good' in row 1"),
        (np.array(["2024-01-01", "2024-01-02"], "M8[D]"), "got 2024-01-01 in row 0"),
        ([1, [2]], r"got \[2\] \(list\) in row 1"),
    ):
        with pytest.raises(ValueError, match=f"column 'r' must hold finite numbers, {message}"):
            Interactions.from_dataframe({"u": [1, 2], "i": [1, 2], "r": column}, "u", "i", "r")


# -- ids that are looked up or compared -------------------------------------------------------------------------------


def test_looking_up_what_is_no_id():
    data = Interactions(sparse.csr_matrix((2, 2)), [7, 5], ["a", "b"])
    with pytest.raises(TypeError, match="flatnonzero"):
        data.user_index([True, False])
    with pytest.raises(TypeError, match="got list"):
        data.user_index([[7]])
    with pytest.raises(KeyError, match="b'a'; the item ids are strings"):
        data.item_index(b"a")
    with pytest.raises(KeyError, match=r"UUID.*; the item ids are strings"):
        data.item_index(uuid.uuid4())
    with pytest.raises(TypeError, match="a set"):
        Interactions(sparse.csr_matrix((2, 2)), item_ids={1, 2})


def test_strings_and_integers_are_told_apart(width):
    matrix = sparse.csr_matrix(np.eye(3))
    numbers, words = (Interactions(matrix, item_ids=ids) for ids in ([0, 1, 2], ["0", "1", "2"]))
    model = far.EASE().fit(numbers)
    with pytest.raises(
        ValueError, match=r"`user_items` are texts, those of the model integers: column 0 is '0', .* 0;"
    ):
        model.recommend(words, N=1)
    model = far.EASE().fit(words)
    with pytest.raises(
        ValueError, match=r"`user_items` are integers, those of the model texts: column 0 is 0, .* '0';"
    ):
        model.recommend(numbers, N=1)


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ({1, 2}, "sorted"),
        (frozenset({1}), "sorted"),
        (np.array([True, False, True]), "flatnonzero"),
        ([True, False, True], "flatnonzero"),
        (["a", "b"], "item_index"),
        ([uuid.UUID(int=1)], "item_index"),
        ([1.0], "dtype float64"),
    ],
)
def test_items_that_are_no_numbers(items, message):
    model = far.EASE().fit(sparse.csr_matrix(np.eye(3)))
    for call in (
        lambda: model.recommend(sparse.csr_matrix(np.eye(3)), N=1, items=items),
        lambda: model.predict(sparse.csr_matrix(np.eye(3)), items=items),
        lambda: model.similar_items(items, N=1),
    ):
        with pytest.raises(TypeError, match=message):
            call()


def test_a_column_of_which_polars_panics(monkeypatch):
    pl = pytest.importorskip("polars")

    class PanicException(BaseException):
        """As polars raises where it cannot start its threads."""

    def panic(name, column):
        raise PanicException("could not spawn threads")

    monkeypatch.setattr("fastautorec.data._ids._factorize_polars", panic)
    frame = pl.DataFrame({"u": ["b", "a", "b"], "i": ["x", "y", "z"]})
    data = far.Interactions.from_dataframe(frame, "u", "i")
    assert data.user_ids.tolist() == ["a", "b"]
    assert data.user_items.toarray().tolist() == [[0, 1, 0], [1, 0, 1]]
