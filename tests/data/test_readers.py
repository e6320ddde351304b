"""Rating files: every format, with polars and without; malformed ones."""

import numpy as np
import pytest
from rating_files import triples

from fastautorec.data import _netflix as netflix
from fastautorec.data import read_ratings
from fastautorec.data._texts import is_text
from fastautorec.exceptions import RatingsFileError

pytestmark = pytest.mark.usefixtures("reader")


FILES = {
    "u.data": ("196\t242\t3\t100\n22\t377\t5\t200\n196\t51\t4\t300\n", "movielens"),
    "ratings.dat": ("196::242::3::100\n22::377::5::200\n196::51::4::300\n", "movielens"),
    "ml.csv": ("userId,movieId,rating,timestamp\n196,242,3.0,100\n22,377,5.0,200\n196,51,4.0,300\n", "movielens"),
    "plain.csv": ("196,242,3,100\n22,377,5,200\n196,51,4,300\n", "csv"),
    "order.tsv": (
        "score\ttitle\titem_id\tuser_id\tdate\n3\tA\t242\t196\t100\n5\tB\t377\t22\t200\n4\tC\t51\t196\t300",
        "tsv",
    ),
    "windows.csv": (
        "\ufeffuser, item, rating, time\r\n196, 242, 3, 100\r\n\r\n22,377,5,200\r\n196,51,4,300\r\n\r\n",
        "csv",
    ),
    "semi.csv": ('"User-ID";"ISBN";"Book-Rating";"time"\n"196";"242";"3";"100"\n22;377;5;200\n196;51;4;300\n', "auto"),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("auto", [True, False])
def test_text_formats(name, auto, write):
    text, form = FILES[name]
    path = write(text, name)
    data = read_ratings(path, "auto" if auto else form, threshold=4)
    assert triples(data) == [(22, 377, 200), (196, 51, 300)]
    assert data.user_ids.dtype == data.item_ids.dtype == data.timestamps.dtype == np.int64
    assert triples(read_ratings(str(path))) == [(22, 377, 200), (196, 51, 300), (196, 242, 100)]


def test_goodbooks(write):
    path = write("user_id,book_id,rating\n1,258,5\n2,4081,2\n2,260,3\n")
    assert triples(read_ratings(path, "goodbooks", threshold=3)) == [(1, 258, None), (2, 260, None)]


def test_two_columns_with_and_without_header(write):
    assert triples(read_ratings(write("who,what\n1,2\n"))) == [(1, 2, None)]
    assert triples(read_ratings(write("ann,tea\nbob,tea\n"))) == [("ann", "tea", None), ("bob", "tea", None)]


def test_yahoo_never_play_again_is_never_positive(write):
    text = "1\t10\t90\n1\t11\t255\n2\t10\t30\n"
    assert triples(read_ratings(write(text), "yahoo", threshold=70)) == [(1, 10, None)]
    assert triples(read_ratings(write(text), "yahoo")) == [(1, 10, None), (2, 10, None)]
    assert read_ratings(write(text, "ydata-ymusic-user-artist-ratings-v1_0.txt"), threshold=70).nnz == 1
    assert read_ratings(write(text), threshold=70).nnz == 1
    assert read_ratings(write("1\t10\t90\n1\t11\t255\n2\t10\t254\n"), threshold=70).nnz == 3


NETFLIX = ("1:\n30,4,2005-09-06\n5,3,2005-05-13\n", "2:\n30,5,1970-01-02\n")


def test_netflix_file_and_folder(write, tmp_path):
    expected = [(5, 1, 1115942400), (30, 1, 1125964800), (30, 2, 86400)]
    assert triples(read_ratings(write("".join(NETFLIX)))) == expected
    for number, text in enumerate(NETFLIX, start=1):
        write(text.rstrip("\n"), f"mv_{number:07}.txt")
    for data in (read_ratings(tmp_path), read_ratings(tmp_path, "netflix")):
        assert triples(data) == expected
    assert triples(read_ratings(tmp_path, threshold=5)) == [(30, 2, 86400)]
    assert triples(read_ratings(tmp_path / "mv_0000002.txt")) == [(30, 2, 86400)]


def test_netflix_blocks_smaller_than_a_movie(write, monkeypatch):
    monkeypatch.setattr(netflix, "_BLOCK", 20)
    assert read_ratings(write("".join(NETFLIX))).nnz == 3


def test_ids_become_text_wherever_one_is(write):
    lines = "".join(f"{i},{i},1\n" for i in range(20_000))
    data = read_ratings(write("user,item,rating\n" + lines + "x1,7,1\n"))
    assert is_text(data.user_ids)
    assert data.item_ids.dtype == np.int64
    assert data.user_items[data.user_index("x1")].indices.tolist() == [data.item_index(7)]


def test_quotes_spaces_and_other_alphabets(write):
    data = read_ratings(write('user,item,rating\n"Doe, Jane", été ,4\nJosé,été,5\n'))
    assert triples(data) == [("Doe, Jane", "été", None), ("José", "été", None)]


def test_times_with_fractions_and_dates(write):
    assert triples(read_ratings(write("a,b,1,1200000000\nc,d,1,1200000000.5\n"))) == [
        ("a", "b", 1.2e9),
        ("c", "d", 1.2e9 + 0.5),
    ]
    assert triples(read_ratings(write("user,item,time\na,b,1970-01-01 00:00:01\n"))) == [("a", "b", 1.0)]


def test_repeated_lines_count_once(write):
    assert triples(read_ratings(write("1,2,5,100\n1,2,4,300\n1,2,1,400\n"), threshold=4)) == [(1, 2, 300)]


MALFORMED = {
    "text rating": ("1,2,3\n1,3,x\n", 2, "finite number as its rating"),
    "nan rating": ("1,2,3\n1,3,nan\n", 2, r"has no rating \(1 of 2 lines lack a value: 1 in column 2\)"),
    "no rating": ("1,2,3\n1,3,\n", 2, "has no rating .*say missing='drop' .*, or rating=False"),
    "few fields": ("user,item,rating\n1,2,3\n1,3\n", 3, "must have 3 fields, has 2"),
    "many fields": ("1,2,3\n1,3,4,5\n", 2, "must have 3 fields, has 4"),
    "no item": ("1,2\n\n1,\n", 3, "has no item id"),
    "no user": ("a::2::3::400\n::2::3::400\n", 2, "has no user id"),
    "no ids": (
        "user,item\n1,2\n\n,3\n2,3\n4,\n,5\n",
        4,
        r"has no user id \(3 of 5 lines lack a value: 2 in user, 1 in item\)",
    ),
    "no ids, and worse": ('user,item\n,3\n2,\n"3,4\n5,6\n', 2, r"has no user id \(at least 2 of 2 lines lack"),
    "wrong separator": ("1::2::3::400\n1:2::3::400\n", 2, "must have 4 fields, has 3"),
    "bad date": ("1,2,3,2005-01-01\n1,3,3,yesterday\n", 2, "ISO 8601 date"),
    "one field": ("hello\nworld\n", 1, "has one field only"),
    "no header": ("1,2,3,4,5\n", 1, "has 5 fields and no header"),
    "late bad line": ("1,2,3\n" * 5000 + "1;2;3\n", 5001, "must have 3 fields, has 1"),
    "latin-1": ("user,item\na,b\ncaf\xe9,b\n".encode("latin-1"), 3, "is not UTF-8, got 'caf\xe9,b'; .*iconv"),
    "netflix line": ("1:\n5,3,2005-01-01\n5,3\n", 3, "must be user,rating,date or a movie number"),
    "netflix rating": ("1:\n5,x,2005-01-01\n", 2, "finite number as its rating"),
    "netflix date": ("1:\n5,3,2005-13-01\n", 2, "ISO 8601 date"),
    "netflix user": ("1:\nx,3,2005-01-01\n", 2, "must be user,rating,date"),
}


@pytest.mark.parametrize("fault", MALFORMED)
def test_malformed_lines_are_named(fault, write):
    text, number, message = MALFORMED[fault]
    path = write(text)
    with pytest.raises(RatingsFileError, match=f"ratings.txt, line {number}: .*{message}") as error:
        read_ratings(path)
    assert str(path) in str(error.value)
    assert ", got '" in str(error.value)


def test_files_without_ratings(write, tmp_path):
    for text, message in [
        ("", "empty"),
        ("\n\n", "no text line"),
        ("user,item\n", "no rating"),
        (b"a,\0\0\0\n", "not text"),
    ]:
        with pytest.raises(RatingsFileError, match=message):
            read_ratings(write(text))
    with pytest.raises(FileNotFoundError, match=r"absent\.csv does not exist"):
        read_ratings(tmp_path / "absent.csv")
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileNotFoundError, match=r"must hold mv_\*\.txt"):
        read_ratings(tmp_path / "folder")
    with pytest.raises(IsADirectoryError, match="must name one file"):
        read_ratings(tmp_path / "folder", "csv")
    write("5,3,2005-01-01\n", "folder/mv_0000001.txt")
    with pytest.raises(RatingsFileError, match="line 1: must be a movie number"):
        read_ratings(tmp_path / "folder")


def test_wrong_arguments(write):
    path = write("1,2\n")
    with pytest.raises(ValueError, match="`format` must be one of 'auto', 'csv'"):
        read_ratings(path, "xml")
    with pytest.raises(ValueError, match="`threshold` needs ratings"):
        read_ratings(path, threshold=3)
    with pytest.raises(TypeError, match="threshold"):
        read_ratings(write("1,2,3\n"), threshold="3")
