"""Advice that can be followed: what messages tell to do gives the right data."""

import pickle
import sqlite3
import zipfile

import pytest
from rating_files import pairs, triples

import fastautorec as far
from fastautorec.data import read_ratings
from fastautorec.exceptions import RatingsFileError

reads = pytest.mark.usefixtures("reader")

pytestmark = pytest.mark.usefixtures("reader")

# --- ratings of two values --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("True", "False"), ("true", "false")])
@pytest.mark.parametrize("header", ["user,item,rating\n", ""])
def test_booleans_are_1_and_0(words, header, write):
    text = header + "".join(f"{k % 5},{k},{words[k % 2]}\n" for k in range(40))
    given = {} if header else {"user": 0, "item": 1, "rating": 2}
    data = read_ratings(write(text), threshold=1, **given)
    assert pairs(data) == sorted((k % 5, k) for k in range(0, 40, 2))
    assert read_ratings(write(text), **given).nnz == 40


def test_booleans_beside_numbers(write):
    with pytest.raises(RatingsFileError, match=r"line 3: must have a finite number .*; write 1 and 0 for such ratings"):
        read_ratings(write("user,item,rating\n1,2,True\n1,3,5\n"))
    with pytest.raises(
        RatingsFileError, match=r"line 500: must have a finite number .*; write 1 and 0 for such ratings"
    ):
        read_ratings(write("user,item,rating\n" + "1,2,5\n" * 498 + "1,3,True\n"))


@pytest.mark.parametrize("words", [("like", "dislike"), ("yes", "no"), ("TRUE", "FALSE"), ("thumbs up", "thumbs down")])
@pytest.mark.parametrize("n", [1, 6])
def test_other_words_for_two_values(words, n, write):
    text = "user,item,rating\n" + "".join(f"{k},{k},{words[k % 2]}\n" for k in range(n))
    with pytest.raises(RatingsFileError, match="write 1 and 0 for such ratings") as told:
        read_ratings(write(text))
    assert "rating=False" not in str(told.value)
    assert read_ratings(write(text.replace(words[1], "0").replace(words[0], "1")), threshold=1).nnz == (n + 1) // 2


# --- other files ------------------------------------------------------------------------------------------------------


def test_json_keeps_its_ids(write):
    pandas = pytest.importorskip("pandas")
    path = write('{"user": "007", "item": "1"}\n{"user": "7", "item": "2"}\n', "a.jsonl")
    with pytest.raises(RatingsFileError, match=r"pandas\.read_json\(path, lines=True, dtype=False\)"):
        read_ratings(path)
    data = far.Interactions.from_dataframe(pandas.read_json(path, lines=True, dtype=False), "user", "item")
    assert pairs(data) == [("007", "1"), ("7", "2")]
    path = write('[{"user": "007", "item": "1"},\n {"user": "7", "item": "2"}]\n', "a.json")
    with pytest.raises(RatingsFileError, match=r"pandas\.read_json\(path, dtype=False\)"):
        read_ratings(path)
    data = far.Interactions.from_dataframe(pandas.read_json(path, dtype=False), "user", "item")
    assert pairs(data) == [("007", "1"), ("7", "2")]


def test_binary_files_are_named(tmp_path, write):
    with sqlite3.connect(tmp_path / "a.db") as base:
        base.execute("create table t (user, item)")
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"user": [1]}))
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w") as archive:
        archive.writestr("[Content_Types].xml", "<x/>")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.csv", "1,2\n")
    (tmp_path / "a.feather").write_bytes(b"ARROW1\0\0" + bytes(200))
    kinds = {
        "db": r"an SQLite database; .*pandas\.read_sql or",
        "pkl": r"a pickle; .*pandas\.read_pickle",
        "xlsx": r"an Excel file; .*pandas\.read_excel",
        "zip": "a zip archive; .* unpack it first",
        "feather": r"a Feather file; .*pandas\.read_feather",
    }
    for ending, message in kinds.items():
        for words in ({}, {"user": 0, "item": 1}, {"format": "csv"}):
            with pytest.raises(RatingsFileError, match=rf"a\.{ending}: {message}"):
                read_ratings(tmp_path / f"a.{ending}", **words)


@pytest.mark.parametrize("path", ["https://x.org/a.csv", "s3://bucket/a.csv", "ftp://x.org/a.csv"])
def test_addresses_are_no_paths(path):
    with pytest.raises(FileNotFoundError, match="is an address; download it first"):
        read_ratings(path)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_ratings("no/such.csv")


def test_an_encoding_is_to_be_looked_up(write):
    for text in ("user,item\ncaf\xe9,b\n", "caf\xe9,item\na,b\n"):
        with pytest.raises(RatingsFileError, match=r"command `file` .*iconv -f ENCODING -t UTF-8, .* likely cp1252"):
            read_ratings(write(text.encode("cp1252")))
        assert read_ratings(write(text.encode("cp1252").decode("cp1252")), user=0, item=1, header=True).nnz == 1


# --- lists ------------------------------------------------------------------------------------------------------------

FORMS = {
    "colons": ("u0: i5 i0\nu1: i3\n", "a colon behind each user, such as 'u0:'; remove it"),
    "values": ("1 5:1 7:1\n2 5:1\n3 9:0.5 1:2\n", "items with values, such as '5:1'; write the items alone"),
    "commas": ("1 10,20,30\n2 10,40\n", "several items in one field, such as '10,20,30'; write blanks between them"),
    "commas behind a tab": ("1\t10,20,30\n2\t5\n", "several items in one field, such as '10,20,30'; write blanks"),
}


@pytest.mark.parametrize("case", FORMS)
def test_lists_of_another_form(case, write):
    text, message = FORMS[case]
    with pytest.raises(RatingsFileError, match=f"must hold `user item item ...`, but they have {message}"):
        read_ratings(write(text), "lists")


def test_lists_of_texts_with_such_signs(write):
    assert pairs(read_ratings(write("a: x\nb y:1 z,2\n"), "lists")) == [("a:", "x"), ("b", "y:1"), ("b", "z,2")]


# --- times and ids ----------------------------------------------------------------------------------------------------


def test_days_and_times_in_one_number(write):
    data = read_ratings(write("user,item,time\n1,2,20240131235959\n1,3,20240201000000\n"))
    assert triples(data) == [(1, 2, 20240131235959), (1, 3, 20240201000000)]
    shuffled = "20240131235959,1,2\n20240201000000,1,3\n"
    with pytest.raises(RatingsFileError, match="column 0 holds what looks like times, such as 20240131235959"):
        read_ratings(write(shuffled))
    assert "times 20240131235959 to 20240201000000" in data.describe().lines()[1]


def test_databases_write_utc(write, tmp_path):
    text = "user,item,time\n1,2,1970-01-02 00:00:00 UTC\n1,3,1970-01-02 00:00:01.5 UTC\n1,4,1970-01-02 02:00:00.25+02\n"
    text += "1,5,1970-01-02 00:00:00-0130\n"
    assert triples(read_ratings(write(text))) == [(1, 2, 86400.0), (1, 3, 86401.5), (1, 4, 86400.25), (1, 5, 91800.0)]
    frame = {"u": [1], "i": [2], "t": ["1970-01-02 00:00:00 UTC"]}
    assert triples(far.Interactions.from_dataframe(frame, "u", "i", timestamp="t")) == [(1, 2, 86400.0)]


def test_texts_that_are_whole_floats(write):
    with pytest.warns(UserWarning, match=r"the item ids are texts such as '1\.0', as pandas writes") as told:
        data = read_ratings(write("user,item\n1,1.0\n2,2.0\n"))
    assert len(told) == 1
    assert pairs(data) == [(1, "1.0"), (2, "2.0")]
    assert pairs(read_ratings(write("user,item\n1,1.0\n2,2.5\n"))) == [(1, "1.0"), (2, "2.5")]
    with pytest.warns(UserWarning, match="the u"):
        far.Interactions.from_dataframe({"u": ["1.0", "2.0"], "i": [1, 2]}, "u", "i")


@reads
@pytest.mark.parametrize(
    ("ids", "told"),
    [
        (["99999", "1e+05", "100001"], r"1 of the item ids are texts such as '1e\+05'"),
        (["9,78014E+12", "9,78316E+12"], r"the item ids are texts such as '9,78014E\+12'"),
        (["1", "1.0", "2", "2.0"], r"2 of the item ids are texts such as '1\.0'"),
    ],
)
def test_integers_that_r_excel_and_pandas_rewrite(ids, told, write):
    with pytest.warns(UserWarning, match=told):
        data = read_ratings(write("user;item\n" + "".join(f"u{row};{text}\n" for row, text in enumerate(ids))))
    assert data.item_ids.tolist() == sorted(ids)


@reads
def test_texts_that_look_like_exponents_only(write):
    data = read_ratings(write("user,item\nu1,10e5\nu2,1e+05a\nu3,77\n"))
    assert data.item_ids.tolist() == ["10e5", "1e+05a", "77"]


@reads
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("user_id,movie_uid,movie_title\n1,5,A\n1,6,A\n2,5,A\n", [(1, 5), (1, 6), (2, 5)]),
        ("user_uid,item_uid,rating\n1,5,3\n2,5,3\n", [(1, 5), (2, 5)]),
        ("uid,item_id\n1,5\n2,5\n", [(1, 5), (2, 5)]),
    ],
)
def test_a_uid_is_an_id_of_what_stands_before_it(text, expected, write):
    assert pairs(read_ratings(write(text))) == expected


@reads
def test_products_with_a_uid_are_no_users(write):
    with pytest.raises(RatingsFileError, match="only item: product_uid"):
        read_ratings(write("contact_id,product_uid,product_name\n1,5,A\n1,6,B\n2,5,A\n2,7,C\n"))


@reads
def test_joined_numbers_are_lists_and_keys_of_two_parts_are_none(write):
    with pytest.raises(RatingsFileError, match="taken as the item, holds lists, such as '10,11,12'"):
        read_ratings(write('user_id,item_id\n1,"10,11,12"\n2,"10,13"\n3,"11,13"\n'))
    assert pairs(read_ratings(write("user_id,item_id\n1,12|3\n2,12|4\n3,5|6\n")))[0] == (1, "12|3")


def test_json_that_is_one_object_is_not_read_line_by_line(write):
    with pytest.raises(RatingsFileError, match=r"pandas\.read_json\(path, dtype=False\)"):
        read_ratings(write('{"user_id":{"0":1},"item_id":{"0":2}}\n'))
