"""Texts that hold a list in each row, and numbers and first lines that are refused with words that lead on."""

import numpy as np
import pytest
from rating_files import pairs, triples
from scipy import sparse

from fastautorec.cli import main
from fastautorec.data import Interactions, read_ratings
from fastautorec.data import _files as files
from fastautorec.exceptions import RatingsFileError

pytestmark = pytest.mark.usefixtures("reader")

LISTS = {
    "as pandas writes them": ("item_ids", ["[1, 2, 3]", "[4]", "[]"]),
    "as NumPy writes them": ("item", ["[1 2 3]", "[4 5]", "[6]"]),
    "one in each": ("item", ["[1]", "[2]", "[3]"]),
    "tuples": ("movieId", ["(1, 2)", "(3,)"]),
    "sets of texts": ("item", ["{'a', 'b'}", "{'c'}"]),
    "json": ("item", ['["a", "b"]', '["c"]']),
    "commas": ("item_ids", ["1,2,3", "4"  , "5,6"]),
    "semicolons": ("products", ["12;13", "14;15"]),
    "bars": ("songs", ["a|b|c", "d|e"]),
    "blanks": ("product_ids", ["12 13 14", "15 16"]),
    "texts": ("movies", ["Heat, Alien, Up", "Up, Heat"]),
}  # fmt: skip
KINDS = ("csv", "tab", "frame", "parquet", "command")


def reading(kind, role, heading, values, tmp_path):
    """Return what reads a table with these values as the users or items."""
    other = "item" if role == "user" else "user"
    table = {other: list(range(len(values))), heading: values}
    words = {role: heading, other: other}
    if kind == "frame":
        return lambda: Interactions.from_dataframe(table, **words)
    if kind == "parquet":
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow.parquet import write_table

        write_table(pyarrow.table(table), tmp_path / "t.parquet")
        return lambda: read_ratings(tmp_path / "t.parquet", **words)
    path = tmp_path / "t.csv"
    separator = "\t" if kind == "tab" else ","
    fields = values if kind == "tab" else ['"' + value.replace('"', '""') + '"' for value in values]
    rows = [separator.join(map(str, row)) for row in enumerate(fields)]
    path.write_text("\n".join([separator.join((other, heading)), *rows, ""]))
    return lambda: read_ratings(path, **words, sep=separator)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", LISTS)
def test_lists_written_as_texts_are_refused(case, kind, tmp_path, capsys):
    heading, values = LISTS[case]
    read = reading("csv" if kind == "command" else kind, "item", heading, values, tmp_path)
    told = f"column '{heading}', taken as the item, holds lists, such as "
    if kind == "command":
        assert main(["inspect", str(tmp_path / "t.csv"), "--item", heading, "--user", "user"]) != 0
        assert told in capsys.readouterr().err
        return
    with pytest.raises(ValueError, match=rf"{told}.*; explode it to one value in a row first"):
        read()


@pytest.mark.parametrize("kind", KINDS[:-1])
def test_lists_of_users_and_without_a_header(kind, tmp_path, write):
    with pytest.raises(ValueError, match="column 'users', taken as the user, holds lists, such as"):
        reading(kind, "user", "users", ["[7, 8]", "[9]"], tmp_path)()
    path = write("u1\t[1, 2]\nu2\t[3]\n" * 5)
    with pytest.raises(RatingsFileError, match=r"what separates the fields is not clear.*format='lists'"):
        read_ratings(path, header=False)
    with pytest.raises(RatingsFileError, match="column 'column 1', taken as the item, holds lists"):
        read_ratings(path, header=False, sep="\t")


ORDINARY = {
    "one title in brackets": ("item", ["[REC]"]),
    "a title in brackets among others": ("item", ["[REC]", "(500) Days of Summer", "Heat"]),
    "brackets at both ends": ("item", ["(500) Days (of Summer)", "Up, down", "Heat"]),
    "names with commas": ("item", ["Doe, Jane", "Roe, Max"]),
    "names with commas under several": ("items", ["Doe, Jane", "Roe, Max"]),
    "titles of several words under several": ("items", ["Green Tea", "Black Tea Strong", "Milk"]),
    "single ids under several": ("item_ids", ["a1", "b2", "c3"]),
    "codes with bars": ("item_id", ["a|b", "c|d|e"]),
    "a noun that ends so": ("news", ["a1,b2,c3", "d4,e5"]),
}


@pytest.mark.parametrize("kind", KINDS[:-1])
@pytest.mark.parametrize("case", ORDINARY)
def test_texts_that_are_no_lists(case, kind, tmp_path):
    heading, values = ORDINARY[case]
    assert sorted(reading(kind, "item", heading, values, tmp_path)().item_ids.tolist()) == sorted(values)


# --- the first line ---------------------------------------------------------------------------------------------------


def test_a_comment_that_names_the_columns(write):
    path = write("#user,item\nann,1\nbob,2\n")
    with pytest.raises(
        RatingsFileError, match=r"looks like a comment, .*say header=True if it names the columns"
    ) as told:
        read_ratings(path)
    assert "header=False" not in str(told.value)
    assert pairs(read_ratings(path, header=True)) == [("ann", 1), ("bob", 2)]
    with pytest.raises(
        RatingsFileError, match=r"looks like a comment, .*or the '#' alone if the line names the columns"
    ):
        read_ratings(write("# user item\nann 1\nbob 2\n"))
    with pytest.raises(
        RatingsFileError, match="say header=True if the line names the columns, header=False if it is da"
    ):
        read_ratings(write("#acheteur,livre\nann,1\nbob,2\n"))


# --- commas in ratings ------------------------------------------------------------------------------------------------


def test_commas_that_may_set_off_thousands_in_a_comma_file(write):
    for number in ("1,234", "-12,500"):
        told = f"line 3: must have a finite number as its rating, but '{number}' may be {number.replace(',', '')} or "
        with pytest.raises(RatingsFileError, match=f"{told}{number.replace(',', '.')}, .*with a decimal point"):
            read_ratings(write(f'user,item,rating\na,1,7\nb,2,"{number}"\n'))
    with pytest.raises(RatingsFileError, match=r"line 3: .*'4,5' has a decimal comma, .*write a decimal point"):
        read_ratings(write('user,item,rating\na,1,7\nb,2,"4,5"\n'))


@pytest.mark.parametrize("separator", [";", "\t", "|"])
@pytest.mark.parametrize("size", [1 << 22, 64])
def test_decimal_commas_after_the_first_lines(separator, size, write, monkeypatch):
    monkeypatch.setattr(files, "BLOCK", size)
    monkeypatch.setattr(files, "SAMPLE_BYTES", 200)
    monkeypatch.setattr(files, "SAMPLE_LINES", 2)
    words = {"user": 0, "item": 1, "rating": 2, "header": False}

    def path(*ratings):
        rows = [f"{row};{row % 7};3" for row in range(100)] + [f"{100 + row};1;{x}" for row, x in enumerate(ratings)]
        return write("".join(f"{row}\n" for row in rows).replace(";", separator))

    data = read_ratings(path("4,5", "3,0", "1,250"), **words, threshold=4.5)
    assert pairs(data) == [(100, 1)]
    assert "decimal comma" in data.describe().lines()[0]
    for number in ("1,250", "3,1,2"):
        with pytest.raises(RatingsFileError, match="line 101: must have a finite number as its rating"):
            read_ratings(path(number, "4,5"), **words)
    with pytest.raises(
        RatingsFileError, match=r"line 101: has a decimal point in '3\.5' where other ratings have a comma"
    ):
        read_ratings(path("3.5", "4,5"), **words)
    assert pairs(read_ratings(path("4.5", "3.5"), **words, threshold=4.5)) == [(100, 1)]


def test_decimal_commas_after_decimal_points(write):
    with pytest.raises(
        RatingsFileError, match="line 2: must have a finite number as its rating, but '4,5' has a decimal"
    ):
        read_ratings(write('1,1,3.5\n1,2,"4,5"\n'))


# --- numbers of many digits -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("digits", [19, 20, 308, 309, 310, 5000])
@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize("header", ["", "user,item,rating,timestamp\n"])
@pytest.mark.parametrize("role", [0, 1, 2, 3])
def test_numbers_of_many_digits_name_their_line(digits, sign, header, role, write):
    row = ["7", "8", "3", "1700000000"]
    row[role] = sign + "9" * digits
    for before, after in ((30, 0), (0, 30), (0, 0)):
        text = header + "1,2,3,1700000000\n" * before + ",".join(row) + "\n" + "1,2,3,1700000000\n" * after
        path = write(text)
        if role > 1 and digits > 308:
            with pytest.raises(RatingsFileError, match=r"ratings\.txt, line [0-9]+: .*9"):
                read_ratings(path, rating=2, timestamp=3, user=0, item=1, header=bool(header))
            continue
        data = read_ratings(path, rating=2, timestamp=3, user=0, item=1, header=bool(header))
        if role != 2:
            found = {value for triple in triples(data) for value in triple}
            assert (row[role] if role < 2 else float(row[role])) in found


# --- texts of numbers in frames, and ids that are none ----------------------------------------------------------------


@pytest.mark.parametrize("text", ["1_0", "٣", "0x1", "inf", "-nan", "1,5"])
def test_texts_that_are_no_ratings(text, write):
    table = {"user": [1, 2], "item": [1, 2], "rating": ["4.5", text]}
    with pytest.raises(ValueError, match=r"column 'rating' must hold finite numbers, got .* in row 1"):
        Interactions.from_dataframe(table, "user", "item", rating="rating")
    with pytest.raises(RatingsFileError, match="line 3: must have a finite number"):
        read_ratings(write(f'user,item,rating\n1,1,4.5\n2,2,"{text}"\n'))
    good = {**table, "rating": [" 4.5", "1e1"]}
    assert pairs(Interactions.from_dataframe(good, "user", "item", rating="rating", threshold=9)) == [(2, 2)]


@pytest.mark.parametrize("text", ["1_0", "٣"])
def test_texts_that_are_no_times(text):
    table = {"user": [1, 2], "item": [1, 2], "time": ["4", text]}
    with pytest.raises(ValueError, match="column 'time' must hold a time in every row"):
        Interactions.from_dataframe(table, "user", "item", timestamp="time")


def test_ids_that_are_none(write):
    data = Interactions(sparse.csr_matrix(np.eye(2)), ["a", "b"], [1, 2])
    path = write("a,1\nb,2\n")
    for wrong in (5, None, 2.5, "ab", b"ab", iter([1])):
        for name, use in (("item_ids", data.with_items), ("user_ids", data.with_users)):
            with pytest.raises(TypeError, match=f"`{name}` must be ids of (items|users), as a list or an array, got"):
                use(wrong)
        if wrong is not None:
            with pytest.raises(TypeError, match="`items` must be ids of items, as a list or an array, got"):
                read_ratings(path, header=False, items=wrong)
    with pytest.raises(TypeError, match=r"`item_ids` must be ids of items, got .*Interactions; pass its item_ids"):
        data.with_items(data)
    with pytest.raises(TypeError, match=r"`user_ids` must be ids of users, got .*Interactions; pass its user_ids"):
        data.with_users(data)
    with pytest.raises(TypeError, match=r"`items` must be ids of items, got .*Interactions; pass its item_ids"):
        read_ratings(path, header=False, items=data)
    for right in ([2, 1], (2, 1), np.array([2, 1])):
        assert data.with_items(right).item_ids.tolist() == [2, 1]
        assert read_ratings(path, header=False, items=right).item_ids.tolist() == [2, 1]
