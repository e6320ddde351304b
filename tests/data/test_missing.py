"""Rows that lack a value: refused with their number and the way out, or left out and counted, however they come."""

from __future__ import annotations

import random
import warnings
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from conftest import SEED
from rating_files import pairs, triples

from fastautorec import Interactions, read_ratings
from fastautorec.data import _files as files
from fastautorec.data._missing import ROWS
from fastautorec.exceptions import RatingsFileError

HEAD = "client,item,rating,bought_at\n"
TEXT = (
    HEAD
    + "ann,tea,5,2024-01-01\n,tea,4,2024-01-02\nbob,tea,4,\nbob,salt,NA,2024-01-03\n\n ,salt,,\n,,,\n"
    + "cy,salt,3,2024-02-01\n"
)
KEPT = [("ann", "tea"), ("cy", "salt")]
COUNTS = "2 in client, 2 in rating, 2 in bought_at"


@pytest.fixture
def write(tmp_path):
    def written(text, name="rows.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return written


# --- text files -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("block", [None, 24])
def test_text_files(write, monkeypatch, block):
    path = write(TEXT)
    if block:
        monkeypatch.setattr(files, "BLOCK", block)
    with pytest.raises(RatingsFileError) as refused:
        read_ratings(path)
    assert str(refused.value) == (
        f"{path}, line 3: has no user id (4 of 6 lines lack a value: {COUNTS}), got ',tea,4,2024-01-02'; say "
        "missing='drop' to leave such lines out"
    )
    data = read_ratings(path, missing="drop", verbose=False)
    assert pairs(data) == KEPT
    assert f"4 rows left out for missing values ({COUNTS})" in data.describe().lines()[1]
    assert f"left out        4 rows: missing values ({COUNTS})\n" in str(data.describe())


@pytest.mark.usefixtures("reader")
def test_columns_that_are_not_read_may_lack_values(write):
    path = write(HEAD + "ann,tea,,\nbob,tea,4,\n")
    assert len(read_ratings(path, rating=False, timestamp=False, verbose=False)) == 2
    told = r"has no rating \(2 of 2 lines .*: 1 in rating, 2 in bought_at\).*, or rating=False and timestamp=False to "
    with pytest.raises(RatingsFileError, match=told + "read no ratings and times$"):
        read_ratings(path)
    with pytest.raises(RatingsFileError, match=r"lines out, or timestamp=False to read no times$"):
        read_ratings(path, rating=False)
    told = (
        "leaves nothing, for all 2 rows lack a value: 1 in rating, 2 in bought_at; name .*, or say rating=False and t"
    )
    with pytest.raises(RatingsFileError, match=told):
        read_ratings(path, missing="drop")
    assert len(read_ratings(path, missing="drop", timestamp=False, verbose=False)) == 1


@pytest.mark.usefixtures("reader")
def test_what_is_left_decides_what_columns_hold(write):
    path = write("user,item,rating,time\nx1,,5,\n1,7,4,2024-01-01\nx2,8,NULL,yesterday\n2,7,3,2024-01-02\n")
    data = read_ratings(path, missing="drop", verbose=False)
    assert (data.user_ids.tolist(), data.item_ids.tolist()) == ([1, 2], [7])
    late = write("user,item,time\n" + "u,i,\n" * 3000 + "1,2,5\n")
    assert triples(read_ratings(late, missing="drop", verbose=False)) == [(1, 2, 5)]
    commas = write("user;item;rating\na;b;\na;b;3\na;c;4,5\n")
    assert pairs(read_ratings(commas, missing="drop", threshold=4, verbose=False)) == [("a", "c")]


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize(
    ("text", "words", "kept"),
    [
        ("a,b,1,100\na,,1,100\nc,b,,200\n", {}, [("a", "b")]),
        ("a\tb\t1\n\tb\t1\nc\tb\t1\n", {}, [("a", "b"), ("c", "b")]),
        ("a::b::1\n::b::1\nc::b::\n", {}, [("a", "b")]),
        ('user,item\n"a","b"\n"","b"\n" ",c\nd,"e, f"\n', {}, [("a", "b"), ("d", "e, f")]),
        ("user|item|n\na|b|3\na|c|\n|d|0\n", {"weights": "n"}, [("a", "b")]),
    ],
)
def test_other_layouts(text, words, kept, write):
    path = write(text)
    with pytest.raises(RatingsFileError, match="lines lack a value"):
        read_ratings(path, **words)
    assert pairs(read_ratings(path, missing="drop", verbose=False, **words)) == kept


@pytest.mark.usefixtures("reader")
def test_ids_that_may_stand_for_no_value_keep_their_rule(write):
    path = write("user,item\n,x\nann,x\nNULL,y\n")
    with pytest.warns(UserWarning, match=r"'NULL' \(1 of 2 rows, first in line 4\) may stand for no user"):
        data = read_ratings(path, missing="drop", verbose=False)
    assert data.user_ids.tolist() == ["NULL", "ann"]
    with pytest.raises(RatingsFileError, match="the user ids are integers but for 'NULL'"):
        read_ratings(write("user,item\n,1\n7,1\nNULL,2\n"), missing="drop")


@pytest.mark.usefixtures("reader")
def test_malformed_lines_stay_refused(write):
    for line in ("c,d", "c,d,5,5,5", "c,d,x,5", "c,d,5,yesterday"):
        with pytest.raises(RatingsFileError, match="line 4: must have"):
            read_ratings(write(f"user,item,rating,time\na,b,5,\na,b,5,7\n{line}\n"), missing="drop")


@pytest.mark.usefixtures("reader")
def test_netflix_and_lists(write):
    path = write("1:\n7,4,2005-09-06\n7,,2005-09-06\n8,4,\n,4,2005-09-06\n9,3,2005-09-07\n", "combined_data_1.txt")
    with pytest.raises(RatingsFileError, match="line 3: must have a finite number as its rating"):
        read_ratings(path)
    data = read_ratings(path, missing="drop", verbose=False)
    assert data.user_ids.tolist() == [7, 9]
    assert "3 rows: missing values (1 in user, 1 in rating, 1 in timestamp)" in str(data.describe())
    with pytest.raises(RatingsFileError, match="leaves nothing, for all 1 rows"):
        read_ratings(write("1:\n7,,2005-09-06\n", "combined_data_1.txt"), missing="drop")
    assert len(read_ratings(write("1 2 3\n2 3\n"), format="lists", missing="drop", verbose=False)) == 3


# --- tables -----------------------------------------------------------------------------------------------------------

LARGE = 2**53 + 1  # no float
TABLE: dict[str, list[Any]] = {
    "u": [LARGE, None, LARGE + 1, LARGE + 2, LARGE], "i": ["a", "b", None, "", "b"],
    "r": [5.0, 4.0, 3.0, 2.0, float("nan")], "t": ["2024-01-01", "2024-01-02", "2024-01-03", None, "2024-01-04"],
}  # fmt: skip
ROLES = {"user": "u", "item": "i", "rating": "r", "timestamp": "t"}


def made(kind: str, table: Any) -> Any:
    if kind == "arrays":
        return {name: np.array(values, object) for name, values in table.items()}
    if kind == "dict":
        return table
    library = pytest.importorskip(kind)
    if kind == "pandas":
        return library.DataFrame(table, dtype=object)
    return (library.table if kind == "pyarrow" else library.DataFrame)(table)


@pytest.mark.parametrize("kind", ["dict", "pandas", "polars", "pyarrow", "arrays"])
def test_tables(kind):
    table = made(kind, TABLE)
    told = (
        r"^column 'u' must hold a user id in every row, got (None|nan|<NA>) in row 1 \(4 of 5 rows lack a value: "
        r"1 in u, 2 in i, 1 in r, 1 in t\); say missing='drop' to leave such rows out$"
    )
    with pytest.raises(ValueError, match=told):
        Interactions.from_dataframe(table, **ROLES)
    data = Interactions.from_dataframe(table, **ROLES, missing="drop", verbose=False)
    assert triples(data) == [(LARGE, "a", 1704067200.0)]
    assert "4 rows: missing values (1 in u, 2 in i, 1 in r, 1 in t)" in str(data.describe())
    some = Interactions.from_dataframe(table, user="u", item="i", rating=False, timestamp=False, missing="drop")
    assert pairs(some) == [(LARGE, "a"), (LARGE, "b")]


def test_tables_of_other_kinds():
    masked = np.ma.masked_array([1, 2, 3], [False, True, False])
    assert pairs(Interactions.from_dataframe({"u": masked, "i": [4, 5, 6]}, "u", "i", missing="drop")) == [
        (1, 4),
        (3, 6),
    ]
    days = np.array(["2024-01-01", "NaT", "2024-01-03"], "M8[D]")
    data = Interactions.from_dataframe(
        {"u": [1, 2, 3], "i": [4, 5, 6], "t": days}, "u", "i", timestamp="t", missing="drop"
    )
    assert data.user_ids.tolist() == [1, 3]
    odd = {"u": [1, Decimal("NaN"), np.nan, 2], "i": ["a", "b", "c", "d"]}
    assert pairs(Interactions.from_dataframe(odd, "u", "i", missing="drop", verbose=False)) == [(1, "a"), (2, "d")]
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"u": [1.0, None, 3.0], "i": pandas.Categorical(["a", "b", None])}, index=[9, 9, 7])
    assert pairs(Interactions.from_dataframe(frame, "u", "i", missing="drop", verbose=False)) == [(1, "a")]
    texts = {"u": ["a", "b", "c"], "i": [1, 2, 3], "r": ["4", "NA", " "]}
    assert pairs(Interactions.from_dataframe(texts, "u", "i", "r", missing="drop", verbose=False)) == [("a", 1)]


@pytest.mark.parametrize("kind", ["string_view", "run_end_encoded"])
def test_columns_that_arrow_cannot_filter(kind):
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    if kind == "string_view" and not hasattr(pa, kind):
        pytest.skip("pyarrow has no texts as views")
    users = pa.array(["a", None, "b"], pa.string_view()) if kind == "string_view" else None
    if users is None:
        users = pa.RunEndEncodedArray.from_arrays(pa.array([1, 2, 3], pa.int32()), pa.array([LARGE, None, 1]))
    table = pa.table({"u": users, "i": [1, 2, 3]})
    assert pairs(Interactions.from_dataframe(table, "u", "i", missing="drop", verbose=False)) == sorted(
        zip([users[0].as_py(), users[2].as_py()], [1, 3], strict=True)
    )
    with pytest.raises(ValueError, match=r"got None in row 1 \(1 of 3 rows lack a value: 1 in u\)"):
        Interactions.from_dataframe(table, "u", "i")


def test_what_tables_refuse_names_the_rows_that_they_have():
    table = {"u": [None, "a", None, "b"], "i": [1, 2, 3, 4], "r": [1, 2, 3, np.inf]}
    with pytest.raises(ValueError, match="column 'r' must hold finite numbers, got inf in row 3"):
        Interactions.from_dataframe(table, "u", "i", "r", missing="drop")
    with pytest.warns(UserWarning, match="first in row 3"):
        Interactions.from_dataframe({"u": [None, "a", None, "NULL"], "i": [1, 2, 3, 4]}, "u", "i", missing="drop")
    with pytest.raises(ValueError, match="dict: `missing`='drop' leaves nothing, for all 2 rows lack a value: 2 in u"):
        Interactions.from_dataframe({"u": [None, None], "i": [1, 2]}, "u", "i", missing="drop")
    with pytest.raises(ValueError, match="without gaps, got None in row 0"):
        Interactions.from_dataframe({"u": [None, 1], "i": [1]}, "u", "i", missing="drop")
    with pytest.raises(ValueError, match="`missing` must be one of 'raise', 'drop', got 'skip'"):
        Interactions.from_dataframe({"u": [1], "i": [1]}, "u", "i", missing="skip")


# --- Parquet ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("reader")
def test_parquet_files_and_folders(tmp_path):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pa.table(TABLE), tmp_path / "one.parquet")
    (tmp_path / "parts").mkdir()
    for number in range(2):
        some = {name: values[number::2] for name, values in TABLE.items()}
        parquet.write_table(pa.table(some), tmp_path / "parts" / f"{number}.parquet")
    with pytest.raises(
        RatingsFileError, match=r"one\.parquet: column 'u' must hold .* got None in row 1 \(4 of 5 rows lack"
    ):
        read_ratings(tmp_path / "one.parquet", **ROLES)
    with pytest.raises(RatingsFileError, match=r"0\.parquet: column 'i' must hold an? .* in row 1 \(2 of 3 rows lack"):
        read_ratings(tmp_path / "parts", **ROLES)
    for name in ("one.parquet", "parts"):
        data = read_ratings(tmp_path / name, **ROLES, missing="drop", verbose=False)
        assert triples(data) == [(LARGE, "a", 1704067200.0)]
        assert "4 rows: missing values (1 in u, 2 in i, 1 in r, 1 in t)" in str(data.describe())


@pytest.mark.usefixtures("reader")
def test_parquet_names_the_rows_that_it_has(tmp_path):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    for name, half in (
        ("one", TABLE),
        ("a", {"u": [None, "x"], "i": [1, 2]}),
        ("b", {"u": [None, "null"], "i": [1, 2]}),
    ):
        folder = tmp_path / ("one" if name == "one" else "two")
        folder.mkdir(exist_ok=True)
        parquet.write_table(pa.table(half), folder / f"{name}.parquet")
    with pytest.warns(UserWarning, match=r"'null' \(1 of 2 rows, first in row 3\)"):
        read_ratings(tmp_path / "two", user="u", item="i", missing="drop", verbose=False)
    table = {"u": [None, 1, 2], "i": [1, 2, 3], "r": [1.0, 2.0, np.inf]}
    parquet.write_table(pa.table(table), tmp_path / "inf.parquet")
    with pytest.raises(RatingsFileError, match="got inf in row 2"):
        read_ratings(tmp_path / "inf.parquet", user="u", item="i", rating="r", missing="drop")
    parquet.write_table(pa.table({"u": pa.array([None, None], pa.int64()), "i": [1, 2]}), tmp_path / "none.parquet")
    with pytest.raises(RatingsFileError, match=r"none\.parquet: `missing`='drop' leaves nothing, for all 2 rows"):
        read_ratings(tmp_path / "none.parquet", user="u", item="i", missing="drop")


@pytest.mark.usefixtures("reader")
def test_folders_that_give_no_value(tmp_path):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    for name in ("7", "__HIVE_DEFAULT_PARTITION__"):
        folder = tmp_path / f"user={name}"
        folder.mkdir()
        parquet.write_table(pa.table({"item": [1, 2]}), folder / "part.parquet")
    with pytest.raises(
        RatingsFileError, match=r"column 'user' must hold a user id in every row, got None in row 0 \(2 of 2"
    ):
        read_ratings(tmp_path)
    assert pairs(read_ratings(tmp_path, missing="drop", verbose=False)) == [(7, 1), (7, 2)]


# --- the same as pandas leaves ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("reader")
def test_random_tables_are_what_pandas_leaves_of_them(tmp_path):
    pandas = pytest.importorskip("pandas")
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rng = random.Random(SEED)
    path = tmp_path / "table.csv"
    for number in range(40):
        n, share = rng.randrange(2, 60), rng.choice((0.02, 0.1, 0.3))
        drawn = {
            "user": [rng.randrange(9) for _ in range(n)],
            "item": [rng.choice(("a", "b b", "é")) for _ in range(n)],
            "rating": [rng.choice((1.5, 2.0, 5.0)) for _ in range(n)],
            "timestamp": [rng.randrange(10**9, 10**9 + 50) for _ in range(n)],
        }
        table = {name: [None if rng.random() < share else x for x in values] for name, values in drawn.items()}
        for name, values in drawn.items():
            table[name][0] = values[0]
        frame = pandas.DataFrame(table, dtype=object)
        frame.to_csv(path, index=False)
        parquet.write_table(pa.table(table), tmp_path / "table.parquet")
        words = {"threshold": rng.choice((None, 1.0)), "repeats": rng.choice(("last", "first"))}
        expected = triples(Interactions.from_dataframe(frame.dropna(), verbose=False, **words))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for given in (path, tmp_path / "table.parquet"):
                data = read_ratings(given, missing="drop", verbose=False, **words)
                assert triples(data) == expected, f"table {number} of seed {SEED}, {given.name}"
                blank = int(frame.isna().all(axis=1).sum()) * (given == path)  # which are no lines of a text file
                assert data.describe().source.lacking[ROWS] == n - len(frame.dropna()) - blank
            for given in (frame, table):
                assert triples(Interactions.from_dataframe(given, missing="drop", verbose=False, **words)) == expected
