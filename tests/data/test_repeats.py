"""At which time a pair counts that comes several times, and what is told where data are cut by time."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pytest
from rating_files import triples
from scipy import sparse

import fastautorec as far
from fastautorec import Interactions, read_ratings

ROWS = [
    ("ann", "tea", 5, 30), ("ann", "tea", 5, 10), ("ann", "tea", 4, 20), ("ann", "salt", 4, 15), ("bob", "tea", 5, 40),
    ("bob", "tea", 5, 40), ("bob", "rice", 1, 5), ("bob", "rice", 5, 25), ("bob", "salt", 3, 11),
]  # fmt: skip
NAMES = ("user", "item", "rating", "timestamp")
TABLE = dict(zip(NAMES, map(list, zip(*ROWS, strict=True)), strict=True))
TIMES = {"last": (30, 25), "first": (10, 5)}  # of ann's tea and bob's rice


def expected(repeats: str, rows: Any = ROWS) -> dict[tuple[str, str], int]:
    """Return the time of each pair by the plain definition."""
    best, found = {"last": max, "first": min}[repeats], {}
    for user, item, _, time in rows:
        found[user, item] = best(found.get((user, item), time), time)
    return found


def times_in(data: Interactions) -> dict[tuple[str, str], int]:
    return {(user, item): time for user, item, time in triples(data)}


def told(call: Any, *args: Any, **words: Any) -> list[str]:
    """Return what is said of pairs that repeat."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = call(*args, **words)
        list(result) if call is far.rolling else None
    return [str(one.message) for one in caught if "at several times" in str(one.message)]


def text(separator: str = ",", heads: Any = NAMES) -> str:
    return "".join(f"{separator.join(map(str, row))}\n" for row in [heads, *ROWS])


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("repeats", ["last", "first"])
@pytest.mark.parametrize(
    ("separator", "more"), [(",", {}), ("\t", {"format": "tsv"}), ("::", {"sep": "::"}), (",", {"weights": "rating"})]
)
def test_text_files(separator, more, repeats, tmp_path):
    path = tmp_path / "sold.csv"
    path.write_text(text(separator))
    assert times_in(read_ratings(path, verbose=False, repeats=repeats, **more)) == expected(repeats)


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("repeats", ["last", "first"])
def test_rows_below_the_threshold_do_not_count(repeats, tmp_path):
    path = tmp_path / "sold.csv"
    path.write_text(text())
    data = read_ratings(path, threshold=5, verbose=False, repeats=repeats)
    kept = [row for row in ROWS if row[2] >= 5]
    assert times_in(data) == expected(repeats, kept)
    assert times_in(data)["bob", "rice"] == 25
    frame = Interactions.from_dataframe(TABLE, threshold=5, verbose=False, repeats=repeats)
    assert triples(frame) == triples(data)
    assert (data._repeats.count, frame._repeats.count) == (1, 1)


@pytest.mark.parametrize("repeats", ["last", "first"])
@pytest.mark.parametrize("kind", ["dict", "pandas", "polars", "pyarrow"])
def test_tables(kind, repeats):
    made = {"dict": ("builtins", "dict"), "pandas": ("pandas", "DataFrame"), "polars": ("polars", "DataFrame"),
            "pyarrow": ("pyarrow", "table")}[kind]  # fmt: skip
    table = getattr(pytest.importorskip(made[0]), made[1])(TABLE)
    data = Interactions.from_dataframe(table, rating=False, verbose=False, repeats=repeats)
    assert times_in(data) == expected(repeats)


@pytest.mark.parametrize("repeats", ["last", "first"])
def test_parquet_files_and_folders(repeats, tmp_path, reader):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    (tmp_path / "parts").mkdir()
    parquet.write_table(pa.table(TABLE), tmp_path / "one.parquet")
    for number in range(3):
        some = {name: values[number::3] for name, values in TABLE.items()}
        parquet.write_table(pa.table(some), tmp_path / "parts" / f"{number}.parquet")
    for name in ("one.parquet", "parts"):
        data = read_ratings(tmp_path / name, verbose=False, repeats=repeats)
        assert times_in(data) == expected(repeats)


@pytest.mark.usefixtures("reader")
def test_netflix(tmp_path):
    path = tmp_path / "combined_data_1.txt"
    path.write_text("1:\n7,4,2005-09-06\n7,3,2005-09-05\n8,3,2005-09-01\n")
    last, first = (read_ratings(path, repeats=repeats, verbose=False) for repeats in ("last", "first"))
    assert (last.timestamps - first.timestamps).tolist() == [86_400, 0]


@pytest.mark.parametrize("repeats", ["last", "first"])
def test_matrices_with_entries_that_are_stored_twice(repeats):
    pairs = sparse.coo_matrix((np.ones(4), ([0, 0, 1, 0], [1, 1, 0, 0])), shape=(2, 2))
    data = Interactions(pairs, timestamps=[7, 3, 5, 1], repeats=repeats)
    assert data.timestamps.tolist() == [1, {"last": 7, "first": 3}[repeats], 5]
    assert data._repeats.count == 1
    assert Interactions(data)._repeats is data._repeats
    assert Interactions(data, timestamps=[1, 2, 3])._repeats is None


def test_random_rows_as_pandas_groups_them(rng, tmp_path):
    pandas = pytest.importorskip("pandas")
    for kind in ("int", "float", "dates"):
        n = 400
        times = rng.integers(0, 40, n) + (0.5 if kind == "float" else 0)
        frame = pandas.DataFrame({"user": rng.integers(0, 9, n), "item": rng.integers(0, 30, n), "timestamp": times})
        if kind == "dates":
            frame["timestamp"] = pandas.Timestamp("2026-01-01") + pandas.to_timedelta(times, unit="D")
        frame.to_csv(tmp_path / "rows.csv", index=False)
        groups = frame.groupby(["user", "item"])["timestamp"]
        for repeats, wanted in (("last", groups.max()), ("first", groups.min())):
            named = {(user, item): time for (user, item), time in wanted.items()}
            for data in (
                Interactions.from_dataframe(frame, verbose=False, repeats=repeats),
                read_ratings(tmp_path / "rows.csv", verbose=False, repeats=repeats),
            ):
                found = times_in(data)
                if kind == "dates":
                    found = {pair: pandas.Timestamp(time, unit="s") for pair, time in found.items()}
                assert found == named
                assert data._repeats.count == int((groups.max() != groups.min()).sum())
                assert data.describe().source.repeated == n - len(named)


def test_descriptions_tell_the_time(capsys):
    for repeats, word in (("last", "latest"), ("first", "first")):
        data = Interactions.from_dataframe(TABLE, rating=False, verbose=False, repeats=repeats)
        assert f"4 rows, each pair counted once, at its {word} time" in str(data.describe())
    untimed = Interactions.from_dataframe(TABLE, rating=False, timestamp=False, verbose=False)
    assert "4 rows, each pair counted once\n" in str(untimed.describe())


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("reader")
def test_the_first_time_needs_times(tmp_path):
    for name, content, more in (("a.csv", "user,item\n1,2\n1,3\n2,2\n", {}), ("b.txt", "1 2 3\n2 3\n", {})):
        (tmp_path / name).write_text(content)
        with pytest.raises(ValueError, match="`repeats`='first' needs timestamps, got none; name their column with"):
            read_ratings(tmp_path / name, repeats="first", verbose=False, **more)
    with pytest.raises(ValueError, match="`repeats`='first' needs timestamps"):
        Interactions.from_dataframe(TABLE, rating=False, timestamp=False, repeats="first")
    with pytest.raises(ValueError, match="`repeats`='first' needs timestamps, got none; give `timestamps`"):
        Interactions(sparse.csr_matrix([[1]]), repeats="first")
    with pytest.raises(ValueError, match=r"\(pairs of Interactions count once already: read their rows with repeats="):
        Interactions(Interactions.from_dataframe(TABLE, verbose=False), repeats="first")


def test_other_words_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text(text())
    frames, matrix = Interactions.from_dataframe, sparse.csr_matrix([[1]])
    for call, given in ((read_ratings, tmp_path / "a.csv"), (frames, TABLE), (Interactions, matrix)):
        with pytest.raises(ValueError, match="`repeats` must be one of 'last', 'first', got 'none'"):
            call(given, repeats="none")


# --- what is told ----------------------------------------------------------------------------------------------------


def data_of(**words: Any) -> Interactions:
    return Interactions.from_dataframe(TABLE, rating=False, verbose=False, **words)


CUTS = [
    (far.split, {}), (far.split, {"by": "last"}), (far.split, {"by": "date", "at": 12}),
    (far.rolling, {"period": 20, "folds": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("cut", "words"), CUTS)
def test_cuts_by_time_tell_once(cut, words):
    data = data_of()
    (message,) = told(cut, data, **words)
    assert message.startswith("in the rows that were read, 2 pairs of user and item came at several times")
    assert message.endswith("read the rows with repeats='first'")
    for again, others in CUTS:
        assert told(again, data, **others) == []


@pytest.mark.parametrize(("cut", "words"), CUTS)
def test_nothing_is_told_where_nothing_can_be_wrong(cut, words):
    assert told(cut, data_of(repeats="first"), **words) == []
    alike = {**TABLE, "timestamp": [10, 10, 10, 15, 40, 40, 25, 25, 11]}  # rows that repeat at the very same time
    assert told(cut, Interactions.from_dataframe(alike, rating=False, verbose=False), **words) == []


def test_random_splits_tell_nothing_and_pass_it_on():
    train = far.split(data := data_of(), (0.6, 0.4), by="random")[0]
    assert told(far.split, data, (0.6, 0.4), by="random") == []
    assert len(told(far.split, train)) == 1
    assert told(far.split, data) == []


def test_what_is_made_of_the_same_rows_knows_it(tmp_path):
    data_of().to_disk(tmp_path / "data")
    Interactions.write(tmp_path / "blocks", data_of().blocks(1))
    made = [
        Interactions.open(tmp_path / "data"),
        Interactions.open(tmp_path / "blocks"),
        next(data_of().blocks(2)),
        pickle.loads(pickle.dumps(data_of())),
        data_of().with_items(["tea", "salt", "rice"]),
        data_of().select(users=["bob", "ann"]),
        data_of().filter(2, verbose=False),
        far.split_users(data_of(), 0.5)[0] + far.split_users(data_of(), 0.5)[0],
        far.align(data_of(), data_of())[0],
    ]
    for number, data in enumerate(made):
        counts = {7: 4}.get(number, 2)  # two data of the same rows, but who knows
        assert data._repeats.count == counts, number
        (message,) = told(far.split, data)
        assert f"{counts} pairs" in message


def test_the_rule_is_kept_on_disk(tmp_path):
    data = data_of(repeats="first")
    data.to_disk(tmp_path / "data")
    opened = Interactions.open(tmp_path / "data", verify=True)
    assert (opened._repeats.which, opened._repeats.count) == ("first", 2)
    plain = Interactions.from_dataframe({"user": ["a", "b"], "item": [1, 2], "timestamp": [3, 4]}, verbose=False)
    plain.to_disk(tmp_path / "plain")
    assert "repeats" not in (tmp_path / "plain" / "header.json").read_text()
    header = tmp_path / "data" / "header.json"
    header.write_text(header.read_text().replace('"first"', '"sometimes"'))
    with pytest.raises(far.exceptions.InteractionsFileError, match="how pairs count that repeat"):
        Interactions.open(tmp_path / "data")


@pytest.mark.parametrize("repeats", ["last", "first"])
def test_sums_are_like_all_rows_at_once(repeats):
    halves = [{name: values[start::2] for name, values in TABLE.items()} for start in (0, 1)]
    words = {"rating": False, "verbose": False, "repeats": repeats}
    parts = [Interactions.from_dataframe(half, **words) for half in halves]
    total = sum(far.align(*parts, unknown="keep"))
    assert times_in(total) == expected(repeats)
    assert len(told(far.split, total)) == (repeats == "last")
    assert total._repeats.which == repeats
    which = "latest" if repeats == "last" else "first"
    told_of = (
        f"repeated pairs  {total._repeats.count} at several times in the rows that were read, each counted once, at "
    )
    assert f"{told_of}its {which} time\n" in str(total.describe())


def test_a_sum_of_both_rules_counts_the_latest():
    total = data_of() + data_of(repeats="first")
    assert times_in(total) == expected("last")
    assert total._repeats.which == "last"


def test_parts_of_a_whole_are_told_once():
    with pytest.warns(UserWarning, match="at several times"):
        train, test = far.split(data_of(), (0.6, 0.4))
    assert told(far.split, train) == told(far.split, train + test) == []
    assert (train + test)._repeats.count == 2
