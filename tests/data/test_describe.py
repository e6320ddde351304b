"""Descriptions of data: ``describe``, the lines that read_ratings prints, and ``fastautorec inspect``."""

import pickle

import pytest
from scipy import sparse

import fastautorec as far
from fastautorec import cli
from fastautorec.data import read_ratings

pytestmark = pytest.mark.usefixtures("reader")

TEXT = (
    "client;sku;stars;when\nann;B1;4;2024-01-02\nbob;B2;2;2024-03-01\nann;B1;5;2024-02-01\nann;B3;5;2024-01-05\n"
    "cleo;B1;4;2024-01-07\n"
)
LINES = [
    "r.csv: text, separated by ';', 4 columns: client → user, sku → item, stars → rating, when → timestamp (given)",
    "2 users, 2 items, 3 interactions, 2024-01-05 to 2024-02-01; 1 rows left out for ratings below 3",
]
WORDS = {"user": "client", "item": "sku", "rating": "stars", "timestamp": "when"}


def test_two_lines_are_printed(write, capsys):
    data = read_ratings(write(TEXT, "r.csv"), threshold=3, **WORDS)
    assert data.describe().lines() == LINES
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == LINES


def test_long_form(write):
    path = write(TEXT, "r.csv")
    data = read_ratings(path, threshold=3, **WORDS, verbose=False)
    assert (
        str(data.describe())
        == repr(data.describe())
        == (
            f"file            {path}\n"
            "format          text, separated by ';', 4 columns\n"
            "columns         client → user (given)\n"
            "                sku → item (given)\n"
            "                stars → rating (given)\n"
            "                when → timestamp (given)\n"
            "users           2\n"
            "items           2\n"
            "interactions    3 (75 % of all pairs)\n"
            "repeated pairs  1 rows, each pair counted once, at its latest time\n"
            "times           2024-01-05 to 2024-02-01\n"
            "left out        1 rows: ratings below 3\n"
            "first           user 'ann', item 'B1' at 2024-02-01\n"
            "                user 'ann', item 'B3' at 2024-01-05\n"
            "                user 'cleo', item 'B1' at 2024-01-07"
        )
    )


def test_inspect(write, capsys):
    path = write(TEXT, "r.csv")
    words = [word for role, name in WORDS.items() for word in (f"--{role}", name)]
    assert cli.main(["inspect", str(path), *words]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "\nratings         2 (1), 4 (2), 5 (2)\n" in out
    assert "\nrepeated pairs  1 rows, each pair counted once, at its latest time\n" in out
    assert "\nleft out        nothing\n" in out
    assert "\nusers           3\n" in out
    path = write("a|b\n1|2\n", "p.txt")
    assert cli.main(["inspect", str(path), "--sep", "|", "--user", "1", "--item", "0", "--no-header"]) == 0
    assert "first           user '2', item '1'\n" in capsys.readouterr().out
    assert cli.main(["inspect", str(write("a\tb\n1\t2\n", "p.tsv")), "--sep", r"\t", "--user", "b", "--item", "a"]) == 0


def test_inspect_says_what_to_say(write, capsys):
    assert cli.main(["inspect", str(write("foo,bar,rating\n1,2,3\n"))]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    words = (
        "no columns named user and item, got foo, bar, rating (on the command line: --user COLUMN --item COLUMN); say"
    )
    assert words in err


def test_other_formats(write):
    lines = read_ratings(write("1:\n30,4,2005-09-06\n")).describe().lines()
    assert lines == [
        "ratings.txt: netflix: user → user, item → item, rating → rating, timestamp → timestamp",
        "1 users, 1 items, 1 interactions, 2005-09-06 to 2005-09-06; ratings of 4 are not used: without a threshold "
        "every row counts",
    ]
    text = read_ratings(write("1,2,3,400\n1,3,3,500\n")).describe().lines()
    assert text[0].endswith("column 0 → user, column 1 → item, column 2 → rating, column 3 → timestamp (by position)")
    assert text[1].startswith("1 users, 2 items, 2 interactions, times 400 to 500; ratings of 3 are not used")


def test_data_that_come_from_elsewhere(write):
    data = far.Interactions(sparse.csr_matrix([[1, 0, 1], [0, 0, 0], [1, 1, 1]]), timestamps=[5, 6, 7, 8, 9])
    lines = data.describe().lines()
    assert lines == ["interactions that were not read from a file", "3 users, 3 items, 5 interactions, times 5 to 9"]
    assert "user 2, item 0 at 7" in str(data.describe())
    assert "\ntimes         5 to 9\n" in str(data.describe())
    moments = far.Interactions(sparse.csr_matrix([[1, 1]]), timestamps=[1677657600000, 1677744000000])
    assert moments.describe().lines()[1].endswith(", 2023-03-01 to 2023-03-02")
    empty = far.Interactions(sparse.csr_matrix((2, 3)))
    assert empty.describe().lines()[1] == "2 users, 3 items, 0 interactions"
    train, _ = far.split(read_ratings(write("1,2\n1,3\n1,4\n")), (0.5, 0.5), by="random")
    assert train.describe().lines()[0] == "interactions that were not read from a file"


def test_the_account_is_pickled_with_the_data(write):
    data = read_ratings(write("1,2\n3,4\n"))
    assert pickle.loads(pickle.dumps(data)).describe().lines() == data.describe().lines()
