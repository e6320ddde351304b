"""Random small files: the two readers agree on every one, and a table is the same from a frame, Parquet and csv.

FASTAUTOREC_FUZZ sets how many files; FASTAUTOREC_TEST_SEED sets which.
"""

import importlib.util
import os
import random
import warnings

import pytest
from conftest import SEED

import fastautorec as far
from fastautorec.data import _fast as fast
from fastautorec.data import _files as files
from fastautorec.data import _netflix as netflix
from fastautorec.data import _readers as readers
from fastautorec.data import read_ratings
from fastautorec.exceptions import RatingsFileError

FILES = int(os.environ.get("FASTAUTOREC_FUZZ", "600"))
HAVE_POLARS = importlib.util.find_spec("polars") is not None

SEPARATORS = (",", ",", "\t", ";", "::", " ", "|")
HEADINGS = (
    "user item rating timestamp", "user_id item_id rating timestamp", "userId movieId rating time", "client sku x y",
    "movieId viewer rating date", " user_id content_id rating", "user_id:token item_id:token rating:float time:float",
    "rating user_id content when", "title user_id a b", "customer item sku fecha", "0 1 2 3",
    "u i r t", "User-ID ISBN Book-Rating z", "who what how when", "acheteur livre note quand", "node1 node2 x y",
)  # fmt: skip
IDS = (
    ("1", "2", "3", "10", "77"),
    ("1", "2", "-3", "0", "9223372036854775807"),
    ("007", "7", "12", "+4", "-0"),
    ("a", "b", "user", "item", "client"),
    ("u1", "u2", "é", "日本", "x y"),
    ("1", "2", "x", " 3", "3 ", "\u00a04"),
    ("9223372036854775808", "1", "1_0", "1.0", "٣"),
    ('"Doe, Jane"', '"a""b"', '""', '"x', 'y"', '"1"', '"007"', '"p"q', 'a"b', ' "a, b" ', ' "x'),
    ("a:b", "a::b", "a,b", "a;b", "a\tb", "a|b", ":", ""),
    ("a", "b", "NULL", "None", "nan"),
    ("1", "2", "-", "\\N"),
    ('"a"', '"b"', '"c d"'),
    ('"a"', "a", '"b"', "b", '"say ""a"""'),
    ("{", "[", "#x", "nan", "NULL", "\x1c5", "\x0b6", "\u200b"),
)
RATINGS = (
    ("1", "2", "5"),
    ("4.5", "3", "1e0", "+2", ".5", "5."),
    ("4,5", "3,0", "1"),
    ("1,000", "2,500", "900"),
    ("255", "100", "90", "0"),
    ("nan", "inf", "1_0", "x", "", "1e400", "0x1", "٣", " 4 ", "-1"),
    ("1000000000", "1000000001"),
)
TIMES = (
    ("100", "200", "978300760"),
    ("1700000000000000100", "1700000000000000050"),
    ("2024-01-02", "2024-01-02 10:15:30", "2024-01-02T00:00:00Z", "2024-01-02T00:00:00+02:00"),
    ("0.5", "1", "1e3", "007", "+5", "9223372036854775808"),
    ("2024-01-02", "20240102", "1700000000", "1700000000123", "1700000001.5", "19991231"),
    ("yesterday", "nan", "inf", "", "1_0", "2024-13-01", "20240102"),
)

NONE = ("", "", "", " ", '""', "NULL", "nan", "NaN", "-")


def random_file(rng, gaps):
    """Return the bytes of a file that has most likely one or two things that are out of order, or also gaps."""
    separator = rng.choice(SEPARATORS)
    n_fields = rng.choice((2, 2, 3, 3, 4, 4, 5))
    kinds = [rng.choice(IDS[: 5 if rng.random() < 0.7 else None]) for _ in range(2)]
    kinds += [rng.choice(RATINGS[: 4 if rng.random() < 0.7 else None])]
    kinds += [rng.choice(TIMES[: 3 if rng.random() < 0.7 else None])]
    kinds += [rng.choice(IDS)]
    order = list(range(n_fields)) if rng.random() < 0.8 else rng.sample(range(5), n_fields)
    gaps = rng.choice((0.02, 0.1, 0.2)) * gaps
    lines = [
        separator.join(rng.choice(NONE if rng.random() < gaps else kinds[i]) for i in order)
        for _ in range(rng.randrange(1, 12))
    ]
    if rng.random() < 0.6:
        names = [*rng.choice(HEADINGS).split(" "), "e", "comment"][:5]
        lines.insert(0, separator.join(names[i] for i in order))
    if rng.random() < 0.08:  # as R and csv.QUOTE_ALL write
        first = rng.choice((0, 0, 1, len(lines) // 2))
        lines[first:] = [separator.join(f'"{field}"' for field in line.split(separator)) for line in lines[first:]]
    for _ in range(rng.choice((0, 0, 0, 1, 1, 2))):
        at = rng.randrange(len(lines))
        lines[at] = disturbed(rng, lines[at], separator)
    if rng.random() < 0.1:
        lines.insert(rng.randrange(len(lines) + 1), rng.choice(("", " ", separator, lines[0], "\t", separator * 3)))
    if rng.random() < 0.05:
        lines.insert(
            0,
            rng.choice(
                (
                    f"sep={separator}",
                    f'"sep={separator}"',
                    "sep=;",
                    "# a comment",
                    "<!doctype html>",
                    "Report for May",
                    "9 9 9",
                )
            ),
        )
    end = rng.choice(("\n", "\n", "\n", "\r\n", "\r"))
    text = end.join(lines) + rng.choice(("", end, end + end))
    if rng.random() < 0.03:
        text = text.replace(end, rng.choice("\r\n"), 1)
    data = text.encode()
    if rng.random() < 0.02:
        at = rng.randrange(len(data) + 1)
        data = data[:at] + rng.choice((b"\0", b"\xe9", b"\xff\xfe", b"\xef\xbb\xbf")) + data[at:]
    return (b"\xef\xbb\xbf" if rng.random() < 0.1 else b"") + data


def disturbed(rng, line, separator):
    at = rng.randrange(len(line) + 1)
    fields = line.split(separator)
    return rng.choice((
        line + separator + "7",
        line + separator,
        separator.join(fields[:-1]),
        line[:at] + rng.choice(('"', ":", ",", "\t", ";", " ", "\r", separator, "0", "-", "\v", "\x1e")) + line[at:],
        separator.join(f'"{field}"' for field in fields),
        separator.join([*fields[:-1], '"multi' + rng.choice(("\n", f"\n1{separator}2", "\n\n")) + 'line"']),
        line + line,
        line[:at],
    ))  # fmt: skip


def outcome(path, words):
    """Return what a file gives: ids, pairs and times, and what is said of them; or the error."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            data = read_ratings(path, verbose=False, **words)
        except (ValueError, TypeError) as error:
            return type(error).__name__, str(error)
    return *facts(data), data.describe().lines(), [str(warning.message) for warning in told]


def facts(data):
    """Return ids, pairs and times, with their kinds."""
    entries = data.user_items.tocoo()
    times = None if data.timestamps is None else (data.timestamps.dtype.kind, data.timestamps.tolist())
    return data.user_ids.tolist(), data.item_ids.tolist(), entries.row.tolist(), entries.col.tolist(), times


WORDS = (
    {}, {}, {}, {}, {"header": False}, {"header": True}, {"user": 0, "item": 1}, {"user": 1, "item": 0, "timestamp": 3},
    {"user": "client", "item": "sku"}, {"rating": False, "timestamp": False}, {"sep": ","}, {"sep": "|"}, {"sep": "::"},
    {"sep": " "}, {"sep": "\t"}, {"sep": ";"}, {"format": "csv"}, {"format": "lists"}, {"threshold": 2},
    {"user": 0, "item": 1, "rating": False, "header": False}, {"timestamp": 0}, {"rating": 1, "header": False},
)  # fmt: skip


DROP, BOTH = {"missing": "drop"}, {"missing": "drop", "repeats": "first"}
RULES = ({}, {}, {}, DROP, DROP, DROP, BOTH, {"repeats": "first"})


@pytest.mark.skipif(not HAVE_POLARS, reason="polars is not installed")
@pytest.mark.parametrize("kind", ["text", "netflix"])
def test_two_readers_agree(kind, tmp_path, monkeypatch):
    rng = random.Random(SEED)
    make = random_file if kind == "text" else random_netflix
    n_files = FILES if kind == "text" else FILES // 4
    taken = {"fast": 0, "read": 0}
    for owner, name in ((fast.FastReader, "read"), (netflix, "_by_polars")):
        monkeypatch.setattr(owner, name, counted(getattr(owner, name), taken))
    path = tmp_path / "file.txt"
    whole = files.BLOCK
    for number in range(n_files):
        rules = rng.choice(RULES)
        data = make(rng, rules in (DROP, BOTH))
        path.write_bytes(data)
        words = {**(rng.choice(WORDS) if kind == "text" else {"format": "netflix"}), **rules}
        monkeypatch.setattr(files, "BLOCK", rng.choice((whole, whole, 16, 40)))
        monkeypatch.setattr(readers, "_POLARS", True)
        by_polars = outcome(path, words)
        monkeypatch.setattr(readers, "_POLARS", False)
        by_python = outcome(path, words)
        assert by_polars == by_python, f"file {number} of seed {SEED}, {words}: {data!r}"
        monkeypatch.setattr(files, "BLOCK", whole)
        at_once = outcome(path, words)
        assert len(at_once) == len(by_python), f"file {number} of seed {SEED}, {words}, in blocks: {data!r}"
        assert len(at_once) == 2 or at_once == by_python, f"file {number} of seed {SEED}, {words}, in blocks: {data!r}"
        taken["read"] += len(by_python) > 2
    assert taken["read"] > n_files / 12, taken
    assert taken["fast"] > n_files / 12, taken


def counted(read, taken):
    """Return a reader that counts how often it is not left to the plain one."""

    def counting(*args):
        found = read(*args)
        taken["fast"] += found is not None
        return found

    return counting


NAMES = (
    "acheteur",
    "livre",
    "source",
    "target",
    "from",
    "to",
    "node1",
    "node2",
    "用户",
    "商品",
    "md5_user",
    "id 1",
    "w",
)
FORMS = (
    lambda rng: "".join(rng.choice("abcdefg") for _ in range(rng.randrange(1, 8))),
    lambda rng: f"{rng.choice(('u', 'user_', 'n', ''))}{rng.randrange(50)}",
    lambda rng: f"{rng.randrange(16**8):08x}",
    lambda rng: f"/{rng.choice('pqr')}/{rng.randrange(99)}",
    lambda rng: f"{rng.choice(('ann', 'bob', 'cy'))}@{rng.choice('xyz')}.org",
    lambda rng: f"B{rng.randrange(36**5)}{rng.choice('ABC')}",
)


@pytest.mark.usefixtures("reader")
def test_a_header_of_unknown_words_is_never_data(tmp_path):
    rng, path = random.Random(SEED), tmp_path / "file.txt"
    asked = 0
    for number in range(FILES):
        header, forms = rng.sample(NAMES, 2), rng.choices(FORMS, k=2)
        separator = rng.choice((",", "\t", ";", "|"))
        body = [separator.join(form(rng) for form in forms) for _ in range(rng.randrange(1, 30))]
        path.write_text("\n".join((separator.join(header), *body)), encoding="utf-8")
        try:
            data = read_ratings(path, verbose=False)
        except RatingsFileError as error:
            asked += "nothing tells whether the first line" in str(error)
            continue
        assert header[0] not in data.user_ids.tolist(), f"file {number} of seed {SEED}: {path.read_text('utf-8')!r}"
    assert asked > FILES / 4


NETFLIX_ODD = (
    *("007,4,2005-09-06", "7,4,2005-9-06", "7,4,2005-09- 6", "7,4,2005-13-06", "7,nan,2005-09-06", "7,4", "", " "),
    *("7,,2005-09-06", "7,4,2005-09-06,1", "-7,4,2005-09-06", "x:", "01:", "3:,,", "3:,,2005-09-06", ",,", "7,4,"),
    *("2147483648,4,2005-09-06", "7,1e40,2005-09-06", "7, 4,2005-09-06", "7,4,2005-09-06 ", "\u00a0", "7,4,+005-09-06"),
    *("7,4.5,2005-09-06", '"7",4,2005-09-06', "7:,4,2005-09-06", "3:,4,2005-09-06"),
)


def random_netflix(rng, gaps):
    """Return the bytes of a file of the Netflix Prize, rarely quite in order."""
    lines = ["1:"]
    for _ in range(rng.randrange(1, 10)):
        user = rng.choice(("6", "7", "30", "2147483647"))
        lines.append(
            rng.choice((f"{user},{rng.randrange(1, 6)},2005-09-0{rng.randrange(1, 9)}",) * 4 + ("2:", "17770:"))
        )
    if rng.random() < 0.4:
        at = rng.randrange(len(lines))
        lines[at] = rng.choice((*NETFLIX_ODD, disturbed(rng, lines[at], ",")))
    if gaps:
        lines.insert(rng.randrange(len(lines) + 1), rng.choice(("7,,2005-09-06", "7,4,", " ,4,2005-09-06", "7, ,")))
    end = rng.choice(("\n", "\n", "\r\n", "\r"))
    data = (end.join(lines) + rng.choice(("", end, end + end))).encode()
    if rng.random() < 0.05:
        at = rng.randrange(len(data) + 1)
        data = data[:at] + rng.choice((b"\0", b"\xe9", b"\xef\xbb\xbf")) + data[at:]
    return data


# --- one table, many forms -------------------------------------------------------------------------------------------

WHOLE = (0, 1, -1, 5, 77, 2**31, 2**40, 2**63 - 1, -(2**63))
TEXT = ("a", "b", "é", "日本", "007", "-0", "x y", "a,b", "a;b", 'say "a"', "::", "u1", "1.0", "nan", "{", "x" * 40)
MOMENTS = ([100, 200, 2**40, 2**62 + 1, -5], [0.5, 1.5, 1e9 + 0.25], ["2024-01-02", "2024-01-02T10:15:30"])


@pytest.mark.usefixtures("reader")
@pytest.mark.filterwarnings("ignore:.*may stand for no:UserWarning")
def test_a_table_is_the_same_from_frame_parquet_and_csv(tmp_path):
    pandas = pytest.importorskip("pandas")
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import csv as arrow_csv
    from pyarrow.parquet import write_table

    rng = random.Random(SEED)
    for number in range(max(FILES // 10, 20)):
        n = rng.randrange(1, 30)
        columns = {
            role: [rng.choice(WHOLE) for _ in range(n)]
            if rng.random() < 0.5
            else [rng.choice(TEXT) for _ in range(n - 1)] + ["a"]  # no column of texts that are all integers
            for role in ("user", "item")
        }
        columns["rating"] = [*(rng.choice((1, 2.5, 4, 5)) for _ in range(n - 1)), 5]
        if rng.random() < 0.6:
            moments = rng.choice(MOMENTS)
            columns["timestamp"] = [rng.choice(moments) for _ in range(n)]
        names = {role: role for role in columns}
        gaps = rng.random() < 0.5
        for column in columns.values() if gaps else ():
            for row in range(n - 1):
                if rng.random() < 0.1:
                    column[row] = None
        words = {"threshold": rng.choice((None, None, 2, 4)), "missing": "drop" if gaps else "raise"}
        words["repeats"] = rng.choice(("last", "first")) if "timestamp" in columns else "last"
        expected = facts(far.Interactions.from_dataframe(columns, **names, **words))
        order = rng.sample(list(columns), len(columns))
        table = pyarrow.table({name: columns[name] for name in order})
        write_table(table, tmp_path / "table.parquet")
        arrow_csv.write_csv(table, tmp_path / "arrow.csv")
        frame = pandas.DataFrame(columns, dtype=object if gaps else None)[order]
        for separator, name in ((",", "table.csv"), (";", "table.txt")):
            frame.to_csv(tmp_path / name, sep=separator, index=False)
        frame.to_csv(tmp_path / "table.csv.gz", index=False)
        for name in ("table.parquet", "arrow.csv", "table.csv", "table.txt", "table.csv.gz"):
            data = read_ratings(tmp_path / name, **words, verbose=False)
            assert facts(data) == expected, f"table {number} of seed {SEED}, {name}: {columns}"
        for given in (frame, table):
            assert facts(far.Interactions.from_dataframe(given, **names, **words)) == expected
