"""Weights that a rating file has: the same facts as of a table, in every format, and what is refused."""

import numpy as np
import pytest

from fastautorec import Interactions, read_ratings
from fastautorec.data import _files as files
from fastautorec.data import _parquet as parquet
from fastautorec.exceptions import RatingsFileError

ROWS = [("ann", "tea", 5, 30, 3), ("bob", "tea", 4, 10, 0.5), ("ann", "tea", 2, 40, 4), ("ann", "salt", 3, 20, 1e-3)]
NAMES = ("user", "item", "rating", "timestamp", "plays")
TABLE = dict(zip(NAMES, map(list, zip(*ROWS, strict=True)), strict=True))


def lines(separator, heads=NAMES, comma="."):
    rows = [separator.join(map(str, row)).replace(".", comma) for row in ROWS]
    return "".join(f"{row}\n" for row in [separator.join(heads), *rows])


def facts(data):
    entries = data.user_items.tocoo()
    names = zip(data.user_ids[entries.row].tolist(), data.item_ids[entries.col].tolist(), strict=True)
    return dict(zip(names, data.weights.tolist(), strict=True))


TYPED = ("user_id:token", "item_id:token", "rating:float", "timestamp:float", "plays:float")


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize(
    ("text", "more"),
    [
        (lines(","), {}),
        (lines("\t"), {"format": "tsv"}),
        (lines("::"), {"sep": "::"}),
        (lines(";", comma=","), {}),
        (lines("\t", TYPED), {}),
        (lines(",").replace("ann", '"ann"'), {}),
        (lines(",").replace("4,10,0.5", "4,10,5e-1"), {}),
    ],
)
@pytest.mark.parametrize("block", [40, 1 << 20])
def test_files_and_tables_agree(text, more, block, write, monkeypatch):
    monkeypatch.setattr(files, "BLOCK", block)
    for threshold in (None, 3):
        data = read_ratings(write(text), threshold=threshold, weights="plays", **more)
        expected = Interactions.from_dataframe(TABLE, weights="plays", threshold=threshold)
        assert facts(data) == facts(expected)
        assert facts(data)["ann", "tea"] == (3 if threshold else 7)
        assert data.weights.dtype == np.float32
        assert data.timestamps.tolist() == expected.timestamps.tolist()
        assert "plays" in data.describe().lines()[0].partition("→ weights (given)")[0]
    assert read_ratings(write(text), **more).weights is None


@pytest.mark.usefixtures("reader")
def test_positions_and_a_column_that_is_both(write):
    path = write("".join(f"{user},{item},{rating}\n" for user, item, rating in [(1, 7, 4), (2, 8, 0), (1, 7, 2)]))
    data = read_ratings(path, rating=2, weights=2, threshold=1)
    assert facts(data) == {(1, 7): 6}
    table = {"user": [1, 2, 1], "item": [7, 8, 7], "plays": [4, 0, 2]}
    both = {"rating": "plays", "weights": "plays", "threshold": 1}
    assert facts(Interactions.from_dataframe(table, **both)) == facts(data)
    with pytest.raises(ValueError, match=r"`threshold` needs ratings.* beside that of the weights; say rating=COLUMN"):
        read_ratings(path, weights=2, threshold=1)
    with pytest.raises(ValueError, match="column 'column 2' must hold weights > 0, got 0 in line 2; leave out"):
        read_ratings(path, weights=2)
    with pytest.raises(ValueError, match="`item` and `weights` must name different columns, both are 1"):
        read_ratings(path, user=0, item=1, weights=1)


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("0", "column 'plays' must hold weights > 0, got 0 in line 3; leave out what did not happen"),
        ("-2", "column 'plays' must hold weights > 0, got -2 in line 3"),
        ("1e-60", "column 'plays' must hold weights > 0, got 0 in line 3"),
        ("nan", r"line 3: has no weight \(1 of 2 lines lack a value: 1 in plays\), got .*; say missing='drop'"),
        ("many", "line 3: must have a finite number as its weight, got .*, or say which column holds the weights"),
        ("", "line 3: has no weight"),
        ("1e60", "`plays` must hold only finite numbers .in float32., got 1e.60"),
    ],
)
def test_weights_that_are_refused(value, message, write):
    path = write(f"user,item,plays\nann,tea,3\nbob,tea,{value}\n")
    with pytest.raises(RatingsFileError, match=message):
        read_ratings(path, weights="plays")


@pytest.mark.usefixtures("reader")
def test_columns_that_hold_no_weights(write):
    rows = "".join(f"ann,t{number},word\n" for number in range(5))
    with pytest.raises(RatingsFileError, match=r"'note', taken as the weights, holds no number.*weights=COLUMN"):
        read_ratings(write(f"user,item,note\n{rows}"), weights="note")
    rows = "".join(f"ann;t{number};1,500\n" for number in range(5))
    with pytest.raises(RatingsFileError, match=r"weights such as '1,500' may be 1500 or 1.500; .*, or leave them out$"):
        read_ratings(write(f"user;item;plays\n{rows}"), weights="plays")
    with pytest.raises(ValueError, match="`weights` must name a column of the file, got 'pieces'"):
        read_ratings(write(lines(",")), weights="pieces")
    with pytest.raises(TypeError, match="`weights` must be the name or the position of a column, got False"):
        read_ratings(write(lines(",")), weights=False)


def test_formats_without_a_column_for_them(write):
    for name, text in (("lists", "ann tea salt\nbob tea\n"), ("netflix", "1:\n5,3,2005-01-01\n")):
        with pytest.raises(ValueError, match=f"`weights` must name a column, but .* is of the format '{name}', which"):
            read_ratings(write(text), format=name, weights=1)


@pytest.mark.parametrize("reader", ["polars", "pyarrow"])
def test_parquet(reader, tmp_path, monkeypatch):
    polars = pytest.importorskip("polars", reason="polars is not installed")
    pytest.importorskip(reader, reason=f"{reader} is not installed")
    monkeypatch.setattr("fastautorec.data._readers._POLARS", reader == "polars")
    assert parquet.PYARROW or reader == "polars"
    frame = polars.DataFrame(TABLE, strict=False)
    expected = facts(Interactions.from_dataframe(frame, weights="plays"))
    (tmp_path / "parts").mkdir()
    frame.write_parquet(tmp_path / "one.parquet")
    for part, rows in enumerate((frame[:1].cast({"plays": polars.Int8}), frame[1:])):
        rows.write_parquet(tmp_path / "parts" / f"{part}.parquet")
    for path in (tmp_path / "one.parquet", tmp_path / "parts"):
        assert facts(read_ratings(path, weights="plays")) == expected
        assert read_ratings(path).weights is None
    frame.with_columns(plays=polars.lit(0)).write_parquet(tmp_path / "parts" / "2.parquet")
    with pytest.raises(RatingsFileError, match="column 'plays' must hold weights > 0, got 0 in row 4"):
        read_ratings(tmp_path / "parts", weights="plays")


def test_the_account_of_rows_that_came_before(write):
    told = str(read_ratings(write(lines(",")), weights="plays").describe())
    assert "1 rows, each pair counted once, at its latest time, with the sum of its weights" in told
