"""Interactions as data: parts of them by id or number, the k-core, tables out and in."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy import sparse

import fastautorec as far
from fastautorec import Interactions
from fastautorec.data import _frames as frames

TABLE = [("ann", 10, 3), ("ann", 30, 1), ("bob", 20, 2), ("cleo", 10, 5), ("cleo", 20, 4), ("cleo", 30, 6)]


def given(ids="texts", times=True):
    """Return interactions of three users with three items and with one that nobody has."""
    matrix = sparse.csr_matrix([[1, 0, 1, 0], [0, 1, 0, 0], [1, 1, 1, 0]])
    users = {"texts": ["ann", "bob", "cleo"], "integers": [7, 5, 9], "none": None}[ids]
    items = None if ids == "none" else [10, 20, 30, 40]
    return Interactions(matrix, users, items, [3, 1, 2, 5, 4, 6] if times else None)


def rows_of(data):
    """Return a row for each interaction, by a plain loop."""
    return [
        (user, item, *([] if data.timestamps is None else [data.timestamps[place].item()]))
        for row, user in enumerate(data.user_ids.tolist())
        for place in range(*data.user_items.indptr[row : row + 2])
        for item in data.item_ids[data.user_items.indices[place : place + 1]].tolist()
    ]


@pytest.fixture(params=["memory", "disk"])
def placed(request, tmp_path):
    """Return what puts interactions where the test wants them."""

    def place(data):
        if request.param == "disk":
            data.to_disk(tmp_path / "data")
            return Interactions.open(tmp_path / "data")
        return data

    return place


def test_length_is_the_number_of_interactions(placed):
    assert len(placed(given())) == 6
    assert len(Interactions(sparse.csr_matrix((3, 2)))) == 0


@pytest.mark.parametrize("ids", ["texts", "integers", "none"])
@pytest.mark.parametrize("times", [True, False])
def test_selections(ids, times, placed):
    data = placed(given(ids, times))
    users, items = data.user_ids[[2, 0]].tolist(), data.item_ids[[3, 2, 0]].tolist()
    everything = rows_of(data)
    for chosen in (data.select(users, items), data.select([2, 0], np.array([3, 2, 0]), by="number")):
        assert (chosen.user_ids.tolist(), chosen.item_ids.tolist()) == (users, items)
        found = rows_of(chosen)
        assert sorted(found) == sorted(row for row in everything if row[0] in users and row[1] in items)
        assert [row[0] for row in found] == sorted((row[0] for row in found), key=users.index)
    assert data.select(users).item_ids.tolist() == data.item_ids.tolist()
    assert rows_of(data.select(items=items[1])) == [row for row in everything if row[1] == items[1]]
    assert rows_of(data.select()) == everything
    assert data.select([]).shape == (0, 4)


def test_integers_are_ids_unless_numbers_are_asked_for():
    data = given("integers")
    assert data.select(9).user_ids.tolist() == [9]
    assert data.select(1, by="number").user_ids.tolist() == [5]
    bare = given("none").select([2, 0])
    assert bare.user_ids.tolist() == [2, 0]
    assert bare.select(2).shape == (1, 4)  # who they were is known from now on


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"users": "anna"}, KeyError, "no user 'anna'; did you mean 'ann'"),
        ({"users": [7]}, KeyError, "the user ids are strings"),
        ({"users": ["bob", "ann", "bob"]}, ValueError, "`users` must be distinct, got bob more than once"),
        ({"items": [10, 10]}, ValueError, "`items` must be distinct, got 10 more than once"),
        ({"users": [True, False, True]}, TypeError, "np.flatnonzero gives a mask's numbers"),
        ({"users": np.array([True, False, True]), "by": "number"}, TypeError, "np.flatnonzero gives"),
        ({"users": [0.0], "by": "number"}, TypeError, "`users` must be numbers of rows, got"),
        ({"users": [-1], "by": "number"}, ValueError, "`users` must be numbers of rows below 3, got -1"),
        ({"items": [4], "by": "number"}, ValueError, "`items` must be numbers of columns below 4, got 4"),
        ({"users": "ann", "by": "row"}, ValueError, "`by` must be one of 'id', 'number'"),
    ],
)
def test_selections_that_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        given().select(**options)


def plain_core(pairs, min_items, min_users):
    """Return the pairs of the core, by taking one user or item after the other out."""
    while True:
        users, items = [u for u, _ in pairs], [i for _, i in pairs]
        few = {u for u in users if users.count(u) < min_items}
        rare = {i for i in items if items.count(i) < min_users}
        if few:
            pairs = [pair for pair in pairs if pair[0] != min(few)]
        elif rare:
            pairs = [pair for pair in pairs if pair[1] != min(rare)]
        else:
            return pairs


@pytest.mark.parametrize("limits", [(1, 1), (3, 1), (1, 4), (3, 3), (2, 4)])
@pytest.mark.parametrize("texts", [False, True])
def test_the_core(limits, texts, placed):
    rng = np.random.default_rng(0)
    matrix = sparse.csr_matrix(rng.random((20, 15)) < 0.25)
    order = rng.permutation(20)
    users = [f"u{i}" for i in order] if texts else order + 100
    data = placed(Interactions(matrix, users, rng.permutation(15), rng.integers(0, 9, matrix.nnz)))
    everything = rows_of(data)
    core = data.filter(*limits, verbose=False)
    pairs = {*plain_core([row[:2] for row in everything], *limits)}
    assert rows_of(core) == [row for row in everything if row[:2] in pairs]
    assert {*core.user_ids.tolist()} == {user for user, _ in pairs}
    assert {*core.item_ids.tolist()} == {item for _, item in pairs}


def test_a_core_tells_what_it_has_left_out(capsys):
    # bob has one item; without him item 20 has one user; without it cleo has two items, as ann
    core = given().filter(min_items=2, min_users=2)
    assert capsys.readouterr().err == (
        "filter: left out 1 of 3 users, 2 of 4 items and 2 of 6 interactions in 2 rounds\n"
    )
    assert rows_of(core) == [("ann", 10, 3), ("ann", 30, 1), ("cleo", 10, 5), ("cleo", 30, 6)]
    given().filter(verbose=False)
    assert capsys.readouterr().err == ""
    bare = given("none").filter(verbose=False)
    assert (bare.item_ids.tolist(), bare._ids_given) == ([0, 1, 2], (False, True))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"min_items": 0}, ValueError, "`min_items` must be >= 1, got 0"),
        ({"min_users": 2.0}, TypeError, "`min_users` must be an integer"),
        ({"verbose": 1}, TypeError, "`verbose` must be True or False"),
        (
            {"min_items": 3, "min_users": 2},
            ValueError,
            "`min_items`=3 and `min_users`=2 leave nothing of 6 interactions",
        ),
    ],
)
def test_cores_that_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        given().filter(**options)


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
@pytest.mark.parametrize("texts", [True, False])
def test_tables_out_and_in(library, texts, placed):
    pytest.importorskip(library, reason=f"{library} is not installed")
    data = placed(given("texts" if texts else "integers"))
    frame = getattr(data, {"pyarrow": "to_arrow"}.get(library, f"to_{library}"))()
    names = list(getattr(frame, "column_names", frame.columns))
    assert names == ["user", "item", "timestamp"]
    found = [[getattr(value, "as_py", lambda value=value: value)() for value in frame[name]] for name in names]
    assert list(zip(*found, strict=True)) == rows_of(data)
    again = Interactions.from_dataframe(frame, verbose=False)
    assert sorted(rows_of(again)) == sorted(rows_of(data))


def test_texts_in_several_chunks_of_arrow(monkeypatch):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    data = Interactions(sparse.csr_matrix(np.ones((3, 4))), ["ann", "björk", "c" * 9], list("wxyz"))
    whole = data.to_arrow()
    monkeypatch.setattr(frames, "CHUNK_BYTES", 50)
    cut = data.to_arrow()
    assert cut.equals(whole)
    assert cut["user"].num_chunks == 3, "five rows of nine bytes in each"


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_few_rows_of_many_ids(library):
    pytest.importorskip(library, reason=f"{library} is not installed")
    data = Interactions(sparse.csr_matrix(([1.0], ([2], [1])), (3, 4)), list("abc"), list("wxyz"))
    frame = getattr(data, {"pyarrow": "to_arrow"}.get(library, f"to_{library}"))()
    assert [[str(value) for value in frame[name].to_numpy()] for name in ("user", "item")] == [["c"], ["x"]]


def test_a_frame_is_one_of_pandas():
    pd = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = given(times=False).to_frame()
    assert isinstance(frame, pd.DataFrame)
    assert frame.to_dict("list") == {"user": [u for u, _, _ in TABLE], "item": [i for _, i, _ in TABLE]}
    nothing = Interactions(sparse.csr_matrix((2, 3)), ["ann", "bob"]).to_frame()
    assert (list(nothing.columns), len(nothing)) == (["user", "item"], 0)


def test_columns_are_told_by_name(capsys):
    table = {"customer_id": ["b", "a"], "shop": ["x", "y"], "sku": [20, 10], "order_date": ["2024-01-02", "2024-01-01"]}
    data = Interactions.from_dataframe(table)
    assert rows_of(data) == [("a", 10, 1704067200.0), ("b", 20, 1704153600.0)]
    lines = capsys.readouterr().err.splitlines()
    assert lines == data.describe().lines()
    assert lines == [
        "dict: table, 4 columns: customer_id → user, sku → item, order_date → timestamp (by name); ignored: shop",
        "2 users, 2 items, 2 interactions, 2024-01-01 to 2024-01-02",
    ]
    assert Interactions.from_dataframe(table, verbose=False, timestamp=False).timestamps is None
    assert Interactions.from_dataframe(table, "shop", verbose=False).user_ids.tolist() == ["x", "y"]
    assert capsys.readouterr().err == ""


def test_what_was_said_is_not_looked_for(capsys):
    table = {"user": [1, 2], "item": [1, 2], "timestamp": [5, 6], "rating": [1, 5]}
    data = Interactions.from_dataframe(table, "user", "item")
    assert (data.timestamps, capsys.readouterr().err) == (None, "")
    data = Interactions.from_dataframe(table, threshold=3)
    assert rows_of(data) == [(2, 2, 6)]
    assert "1 rows left out for ratings below 3" in capsys.readouterr().err


def test_lazy_frames_are_collected():
    pl = pytest.importorskip("polars", reason="polars is not installed")
    read = []

    def tags(column):
        read.append(column)
        return column

    lazy = pl.LazyFrame({"user_id": ["a", "b"], "item_id": [1, 2], "score": [1.0, 2.0], "tags": ["x", "y"]})
    lazy = lazy.with_columns(pl.col("tags").map_batches(tags, return_dtype=pl.String))
    data = Interactions.from_dataframe(lazy, verbose=False, threshold=2)
    assert rows_of(data) == [("b", 2)]
    assert not read  # columns that nobody asked for are not made


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        ({"a": [1], "b": [2]}, {}, "no columns named user and item, got a, b; say which they are: "
         "Interactions.from_dataframe(df, user=COLUMN, item=COLUMN)"),
        ({"user": [1], "b": [2]}, {}, "(only user: user), got user, b; say which they are: "
         "Interactions.from_dataframe(df, user='user', item=COLUMN)"),
        ({"user_id": [1], "item": [2]}, {"user": "who"}, "`user` must name a column of `df`, got 'who'; it has"),
        ({"user": [1], "item": [2], "date": [1], "created_at": [2]}, {}, "may each be the timestamp; say which"),
        ({"user": [1], "item": [2]}, {"user": "item"}, "(only user: item), got user, item"),
    ],
)  # fmt: skip
def test_columns_that_are_not_clear(table, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Interactions.from_dataframe(table, **options)


def test_tables_that_are_none():
    class Query:
        columns = ("user", "item")

        def collect(self):
            return []

        def __getitem__(self, name):
            return []

    with pytest.raises(TypeError, match=r"must be a data frame or a dict of columns, got .*Query; convert it first"):
        Interactions.from_dataframe(Query())
    for given_instead in ([[1, 2]], "user", None, np.zeros((2, 2))):
        with pytest.raises(TypeError, match="`df` must be a data frame or a dict of columns, got"):
            Interactions.from_dataframe(given_instead)
    assert far.Interactions is Interactions
