"""Fields that are hardly meant as they are written: quotation marks where there is no quoting, gaps, mixed times."""

import csv

import numpy as np
import pytest
from rating_files import pairs, triples

import fastautorec as far
from fastautorec.data import _files as files
from fastautorec.data import read_ratings
from fastautorec.exceptions import RatingsFileError

SEPARATORS = ("\t", "|", " ", "::")
reads = pytest.mark.usefixtures("reader")


# --- quotation marks -------------------------------------------------------------------------------------------------


@reads
@pytest.mark.parametrize("separator", SEPARATORS)
@pytest.mark.parametrize(
    "lines",
    [
        ['"user" "item"', '"u1" "i1"', '"u2" "i2"'],
        ['"u1" "i1"', '"u2" "i2"'],
        ['"u1" "i1"'],
        ['"user" "item"', "u1 i1", "u2 i2"],
        ["user item rating", '"u1" i1 4', '"u2" i2 5'],
        ['"user" "item" "rating"', '"u1" "i1" 4', '"u2" "i2" 5'],
        ['"u1" "i1" "4"', '"u2" "i2" "5"'],
    ],
)
def test_quoted_columns_where_there_is_no_quoting(separator, lines, write):
    path = write("\n".join(lines).replace(" ", separator) + "\n")
    with pytest.raises(
        RatingsFileError, match=r"has .\w+. in quotation marks, which .*in R quote=FALSE.*csv\.QUOTE_NO"
    ):
        read_ratings(path)


@reads
@pytest.mark.parametrize("separator", SEPARATORS)
def test_row_names_of_r(separator, write):
    text = '"user" "item" "rating"\n"1" "u1" "i1" 4\n"2" "u2" "i2" 5\n'.replace(" ", separator)
    with pytest.raises(
        RatingsFileError, match=r"has 3 fields where the lines below have 4.*row\.names=FALSE, quote=FALSE"
    ):
        read_ratings(write(text))


@reads
@pytest.mark.parametrize("separator", [",", ";"])
def test_quoted_columns_where_there_is_quoting(separator, write):
    text = '"user","item","rating"\n"u1","a","4"\n"u2","b","5"\n'.replace(",", separator)
    assert pairs(read_ratings(write(text), threshold=4)) == [("u1", "a"), ("u2", "b")]


@reads
@pytest.mark.parametrize("late", [0, 1000])
@pytest.mark.parametrize("separator", SEPARATORS)
def test_one_item_with_and_without_quotation_marks(separator, late, write, monkeypatch):
    monkeypatch.setattr(files, "BLOCK", 1 << 14)
    lines = ["u0 b", "u0 c"] * late + ["u1 a", 'u2 "a"', "u3 b"]
    with pytest.warns(
        UserWarning, match="the item 'a' also occurs in quotation marks, as another item; if that is the same"
    ):
        data = read_ratings(write("\n".join(lines).replace(" ", separator)))
    assert pairs(data)[-3:] == [("u1", "a"), ("u2", '"a"'), ("u3", "b")]
    lines = ["u0 b", "u0 c"] * late + ["u1 a", '"u1" b', "u3 b", "u9 b", '"u9" a']
    with pytest.warns(UserWarning, match="the user 'u1' and 1 more also occurs in quotation marks, as another user"):
        read_ratings(write("\n".join(lines).replace(" ", separator)))


@reads
def test_titles_keep_their_quotation_marks(write):
    titles = ['"Heroes', '"Weird Al" Yankovic', "Abba", '"Heroes"', '12" Mixes', '"', '""', '"A" and "B"']
    data = read_ratings(write("".join(f"u{row}\t{title}\n" for row, title in enumerate(titles))))
    assert pairs(data) == [(f"u{row}", title) for row, title in enumerate(titles)]


@reads
def test_doubled_quotation_marks(write, tmp_path):
    with (tmp_path / "t.tsv").open("w", newline="") as file:  # csv.QUOTE_MINIMAL
        csv.writer(file, delimiter="\t").writerows([("u1", 'say "a"'), ("u2", "b")])
    with pytest.raises(RatingsFileError, match=r'the item "say ""a""" is written with quotation marks around it'):
        read_ratings(tmp_path / "t.tsv")


@reads
def test_quoted_users_of_lists(write):
    with pytest.raises(RatingsFileError, match='the user "u1" is written with quotation marks around it'):
        read_ratings(write('"u1" 1 2 3\n"u2" 4\n'), format="lists")


@reads
def test_marks_in_csv_and_frames_are_the_owner_s(write):
    assert pairs(read_ratings(write('u1,"""a"""\nu2,a\n'))) == [("u1", '"a"'), ("u2", "a")]
    data = far.Interactions.from_dataframe({"u": ["u1", "u2"], "i": ['"a"', "a"]}, "u", "i")
    assert pairs(data) == [("u1", '"a"'), ("u2", "a")]


# --- no value --------------------------------------------------------------------------------------------------------

GAPS = ("nan", "NaN", "NaT", "<NA>", "None", "null", "NULL", "NA", "N/A", "\\N", "-", "--", "?")
GAPS = (*GAPS, "#N/A", "#NV", "(null)", "undefined", "nil")


def written(column, kind, tmp_path):
    """Return a reader of a table of one column of users, and of items 5, 6, ..."""
    table = {"user": column, "item": [5 + row for row in range(len(column))]}
    if kind == "frame":
        return lambda: far.Interactions.from_dataframe(table, "user", "item")
    if kind == "parquet":
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow.parquet import write_table

        write_table(pyarrow.table(table), tmp_path / "t.parquet")
        return lambda: read_ratings(tmp_path / "t.parquet")
    separator = {"csv": ",", "tab": "\t"}[kind]
    rows = ["user,item", *(f"{user},{item}" for user, item in zip(*table.values(), strict=True))]
    (tmp_path / "t.csv").write_text("\n".join(rows).replace(",", separator))
    return lambda: read_ratings(tmp_path / "t.csv")


@reads
@pytest.mark.parametrize("gap", GAPS)
@pytest.mark.parametrize("kind", ["csv", "tab", "frame", "parquet"])
def test_ids_that_may_stand_for_none(kind, gap, tmp_path):
    read = written(["ann", "a name of more than fifteen", gap, "bob", gap], kind, tmp_path)
    with pytest.warns(
        UserWarning, match=r"\(2 of 5 rows, first in .*\) may stand for no user, but counts as one"
    ) as told:
        data = read()
    assert data.user_index(gap) >= 0
    place = "line 4" if kind in ("csv", "tab") else "row 2"
    assert len(told) == 1
    assert f"among the user ids, {gap!r} (2 of 5 rows, first in {place})" in str(told[0].message)
    read = written(["7", gap, "12"], kind, tmp_path)
    with pytest.raises(ValueError, match=r"the user ids are integers but for .* \(1 of 3 rows, first in \w+ [13]\)"):
        read()


@reads
def test_names_that_only_begin_so(write):
    data = read_ratings(write("nancy,1\nnull island,2\nNone of us,3\nna,4\n---,5\n"))
    assert data.shape == (5, 5)


@reads
def test_the_line_of_a_gap(write, monkeypatch):
    text = 'user,item,note\n\na,1,"two\nlines"\n,,\nb,2,x\n' + "c,3,y\n" * 50 + "\n,,\nNULL,4,z\nnan,4,z\n"
    line = text.split("\n").index("NULL,4,z") + 1
    for size in (1 << 22, 64, 16):
        monkeypatch.setattr(files, "BLOCK", size)
        for end in ("\n", "\r\n"):
            with pytest.warns(
                UserWarning, match=rf"'nan' \(.* first in line {line + 1}\) and 'NULL' \(.* line {line}\)"
            ):
                read_ratings(write(text.replace("\n", end)))


@reads
def test_rows_without_a_known_line_are_not_given_one(write):
    """Yahoo!'s dislikes are left out before ids are looked at."""
    with pytest.warns(UserWarning, match=r"'NULL' \(1 of 2 rows, first in row 1\)"):
        read_ratings(write("a\t1\t255\nb\t1\t90\nNULL\t2\t80\n"))


# --- times -----------------------------------------------------------------------------------------------------------

MIXED = {
    "days beside dates": (["2024-01-02", "2024-01-03", "20240104"], 2),
    "dates beside days": (["20240102", "2024-01-03", "20240104"], 1),
    "seconds beside dates": (["2024-01-02T10:00:00", "1704276000"], 1),
    "dates beside fractions": (["1704276000.5", "2024-01-02"], 1),
    "milliseconds beside seconds": (["1704276000", "1704276001", "1704276002123"], 2),
    "seconds beside milliseconds": (["1704276002123", "1704276000"], 1),
    "nanoseconds beside seconds": (["1704276000", "1704276002000000001"], 1),
    "fractions beside milliseconds": (["1704276000.5", "1704276002123"], 1),
    "seconds beside days": (["20240102", "1704276000"], 1),
    "zero beside two units": (["1704276000", "1704276002123", "0"], 1),
    "zero first": (["0", "1704276000", "0", "1704276002123"], 3),
    "minus one beside two units": (["-1", "1704276002123", "-1", "1704276000", "-1"], 3),
    "zero beside days and seconds": (["0", "20240102", "1704276000"], 2),
    "three units": (["1704276002123", "1704276000", "1704276002000000001", "0"], 1),
    "another time beside two units": (["5", "1704276002123", "1704276000"], 2),
}  # fmt: skip


@reads
@pytest.mark.parametrize("kind", ["csv", "tab", "frame", "parquet", "numbers"])
@pytest.mark.parametrize("case", MIXED)
def test_times_of_several_kinds(case, kind, tmp_path):
    texts, row = MIXED[case]
    read, numbers = timed(texts, kind, tmp_path)
    if kind == "numbers" and not numbers:
        return
    place = (
        rf"line {row + 2}: has .*as its time|line {row + 2}: has the time"
        if kind in ("csv", "tab")
        else f"in row {row};"
    )
    with pytest.raises(ValueError, match=place):
        read()


def timed(texts, kind, tmp_path):
    """Return what reads a table with a column of times, and whether they are numbers."""
    table = {"user": list(range(len(texts))), "item": [5] * len(texts), "timestamp": texts}
    numbers = not any("-" in text for text in texts)
    names = {"user": "user", "item": "item", "timestamp": "timestamp"}
    if kind == "frame":
        return lambda: far.Interactions.from_dataframe(table, **names), numbers
    if kind == "numbers":
        values = [float(text) if "." in text else int(text) for text in texts] if numbers else []
        return lambda: far.Interactions.from_dataframe(table | {"timestamp": np.array(values)}, **names), numbers
    if kind == "parquet":
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow.parquet import write_table

        write_table(pyarrow.table(table), tmp_path / "t.parquet")
        return lambda: read_ratings(tmp_path / "t.parquet"), numbers
    rows = [",".join(map(str, row)) for row in zip(*table.values(), strict=True)]
    text = "\n".join(["user,item,timestamp", *rows])
    (tmp_path / "t.csv").write_text(text.replace(",", "\t") if kind == "tab" else text)
    return lambda: read_ratings(tmp_path / "t.csv"), numbers


@reads
@pytest.mark.parametrize("kind", ["csv", "frame", "parquet"])
@pytest.mark.parametrize(
    "texts",
    [
        ["0", "1704276000", "0", "1704276002"],
        ["0", "1", "20240102", "1704276000"],  # counts from somewhere, as it may
        ["1704276000", "90000000000", "1704276002123"],
        ["20240102", "20240103"],
        ["1704276000", "1704276001.5"],
        ["789652009", "1427784002"],  # as in MovieLens
        ["2024-01-02", "2024-01-02 10:15", "2024-01-02T00:00:00+02:00"],
        ["1", "5", "20000000", "1000000000"],
    ],
)
def test_times_of_one_kind(texts, kind, tmp_path):
    read, numbers = timed(texts, kind, tmp_path)
    found = [time for _, _, time in triples(read())]
    assert found == ([float(text) for text in texts] if numbers else [1704153600, 1704190500, 1704146400][: len(texts)])


@reads
def test_the_line_of_a_mixed_time_in_blocks(write, monkeypatch):
    text = "".join(f"{row % 7},{row},3,{1704276000 + row}\n" for row in range(500)) + "\n501,5,3,1704276000123\n"
    dates = "".join(f"{row % 7},{row},3,2024-01-02\n" for row in range(500)) + "\n501,5,3,20240103\n"
    for size in (1 << 22, 64):
        monkeypatch.setattr(files, "BLOCK", size)
        with pytest.raises(
            RatingsFileError, match=r"line 502: has the time 1704276000123, which looks like millis.*got '501"
        ):
            read_ratings(write(text))
        with pytest.raises(RatingsFileError, match="line 502: has a number as its time where lines before have a date"):
            read_ratings(write(dates))


# --- thousands -------------------------------------------------------------------------------------------------------


@reads
@pytest.mark.parametrize("separator", ["\t", ";", "|", " "])
def test_commas_that_may_set_off_thousands(separator, write):
    def file(*ratings):
        return write("".join(f"1 {row} {rating}\n" for row, rating in enumerate(ratings)).replace(" ", separator))

    for ratings in (("1,000", "2,500"), ("900", "1,200"), ("-1,000", "3")):
        with pytest.raises(
            RatingsFileError, match=r"may be -?1[02]00 or -?1\.[02]00; write them without the comma or with"
        ):
            read_ratings(file(*ratings), sep=separator)
        assert read_ratings(file(*ratings), sep=separator, rating=False).nnz == 2
    assert read_ratings(file("1,000", "2,5"), sep=separator, threshold=2).nnz == 1
    assert read_ratings(file("0,750", "1,000"), sep=separator, threshold=1).nnz == 1
    assert read_ratings(file("4,5", "3"), sep=separator, threshold=4).nnz == 1
