"""Lines of text files: separators, quotation marks, decimal commas, lists, packing; and what is not text."""

import gzip

import numpy as np
import pytest
from rating_files import pairs, triples

import fastautorec as far
from fastautorec.data import _files as files
from fastautorec.data import read_ratings
from fastautorec.exceptions import RatingsFileError

pytestmark = pytest.mark.usefixtures("reader")

QUOTES = {
    "tab": ('u1\tBowie\nu2\t"Heroes\nu3\tAbba\n', [("u1", "Bowie"), ("u2", '"Heroes'), ("u3", "Abba")]),
    "tab, a pair of marks": ('u2\t"Heroes\nu3\tAbba\nu4\t"X\n', [("u2", '"Heroes'), ("u3", "Abba"), ("u4", '"X')]),
    "tab, a nickname": ('u1\t"Weird Al" Yankovic\nu2\tb\n', [("u1", '"Weird Al" Yankovic'), ("u2", "b")]),
    "tab, other column": (
        'user\titem\tcomment\n1\t2\t"great\n3\t4\tok\n5\t6\tnice\n',
        [(1, 2), (3, 4), (5, 6)],
    ),
    "colons": ('1::"a::5\n2::b::4\n', [(1, '"a'), (2, "b")]),
    "csv, within a field": ('u1,12" disk\nu2,b\n', [("u1", '12" disk'), ("u2", "b")]),
    "csv, doubled": ('u1,"12"" disk"\nu2,""""\n', [("u1", '12" disk'), ("u2", '"')]),
    "csv, separator": ('"Doe, Jane",tea\nbob,"a,b"\nbob,tea\n', [("Doe, Jane", "tea"), ("bob", "a,b"), ("bob", "tea")]),
    "csv, numbers": ('user,item\n"1","2"\n"03","4"\n', [("03", 4), ("1", 2)]),
    "csv, blanks around": ('u1, "Tea"\nu2 , "a, b"\n', [("u1", "Tea"), ("u2", "a, b")]),
    "csv, blanks all around": ('user , item\n "1" , "Item, 32" \n 2 ,  ab \n', [(1, "Item, 32"), (2, "ab")]),
    "csv, a comment over lines": ('user,item,comment\n1,2,"great\nreally"\n3,4,ok\n', [(1, 2), (3, 4)]),
    "csv, a comment with blank lines": ('user,item,comment\n1,2,"great\n\nso, so"\n3,4,ok\n', [(1, 2), (3, 4)]),
}


@pytest.mark.parametrize("case", QUOTES)
@pytest.mark.parametrize("size", [7, files.BLOCK])
def test_quotation_marks(case, size, write, monkeypatch):
    monkeypatch.setattr(files, "BLOCK", size)
    text, expected = QUOTES[case]
    assert pairs(read_ratings(write(text))) == expected


STRAY = {
    "blanks before": ('a,b\nc, "d" e\n', 2, "has text behind the quotation mark"),
    "blanks before, no end": ('a,b\nc, "d\n', 2, "begins a quoted field that does not end"),
    "no end": ('a,b\nc,"d\n', 2, "begins a quoted field that does not end"),
    "no end, far": ('a,b\nc,"d\n' + "x\n" * 3000, 2, "begins a quoted field that does not end"),
    "end further down": ('a,b\nc,"d\ne,f\ng,h"\n', 2, "goes on into what looks like another row"),
    "end in the next row": ('a,b\nc,"d\ne,f"\n', 2, "goes on into what looks like another row"),
    "a column not used": ('user,item,comment\n1,2,"great\n3,4,ok\n5,6,x\n', 2, "into what looks like another row"),
    "text behind": ('u1,a\nu2,"Weird Al" Yankovic\n', 2, "has text behind the quotation mark"),
    "an id over lines": ('user,item\n1,"a\nb"\n', 2, "begins an id that goes on in the next line"),
}


@pytest.mark.parametrize("case", STRAY)
@pytest.mark.parametrize("size", [7, files.BLOCK])
def test_stray_quotation_marks_are_named_by_line(case, size, write, monkeypatch):
    monkeypatch.setattr(files, "BLOCK", size)
    text, line, message = STRAY[case]
    with pytest.raises(RatingsFileError, match=f"line {line}: .*{message}.*remove the quotation mark, or double it"):
        read_ratings(write(text))


SEPARATORS = {
    "pipes": ("1|2\n3|4\n", [(1, 2), (3, 4)]),
    "pipes, stray marks": ('user|item|text\n1|2|12" screen\n3|"4|"great\n', [(1, "2"), (3, '"4')]),
    "pipes in titles": ("1,a|b\n2,c\n", [(1, "a|b"), (2, "c")]),
    "Excel's first line": ("sep=;\r\nKunde;Artikel;x\r\n1;a,b,c,d;2\r\n", [(1, "a,b,c,d")]),
    "Excel's first line, no header": ('\ufeff"sep=,"\n\n1,2\n3,4\n', [(1, 2), (3, 4)]),
    "Excel's first line, another separator": ("SEP=\t\n1\t2\n3\t4\n", [(1, 2), (3, 4)]),
    "most fields": ("1;10;4,5\n1;11;3,0\n2;10;1,5\n", [(1, 10), (1, 11), (2, 10)]),
    "colons in a title": ("1,a::b\n2,c\n", [(1, "a::b"), (2, "c")]),
    "colons in every title": ("1,a::b,3\n2,c::d,4\n", [(1, "a::b"), (2, "c::d")]),
    "tab in a title": ("u1,a\tb\nu2,c\n", [("u1", "a\tb"), ("u2", "c")]),
    "comma in titles": ("u1\ta, b\t3\nu2\tc, d\t4\n", [("u1", "a, b"), ("u2", "c, d")]),
    "blanks": ("1 2 5\n1 3 4\n2 2 1\n", [(1, 2), (1, 3), (2, 2)]),
    "runs of blanks": ("  1   2  5\n1\t3 4 \n2 2\t 1\n", [(1, 2), (1, 3), (2, 2)]),
    "blanks within csv": ("ann lee,tea\nbob ray,tea\n", [("ann lee", "tea"), ("bob ray", "tea")]),
    "one colon in an id": ("1::a:b::3\n2::c::4\n", [(1, "a:b"), (2, "c")]),
    "a time with colons": ("1::2::5::1970-01-01 00:01:30\n1::3::4::1970-01-01 00:03:20\n", [(1, 2), (1, 3)]),
}


@pytest.mark.parametrize("case", SEPARATORS)
def test_separator_of_most_fields_in_every_line(case, write):
    text, expected = SEPARATORS[case]
    assert pairs(read_ratings(write(text))) == expected


def test_a_byte_order_mark_where_a_block_begins(write, monkeypatch):
    text = "".join(f"u{row},i\n" for row in range(6)) + "\ufeffu1,i\n"
    for size in (1 << 22, 5, 10, 30):
        monkeypatch.setattr(files, "BLOCK", size)
        assert read_ratings(write(text)).user_ids.tolist() == [*(f"u{row}" for row in range(6)), "\ufeffu1"]


def test_lines_before_the_first_record_in_blocks_of_their_own(write, monkeypatch):
    monkeypatch.setattr(files, "BLOCK", 2)
    for text in ("\n\nsep=;\n\n ; \nuser;item\n1;2\n", "\n,\nuser,item\n1,2\n", "sep=,\n1,2\n"):
        assert pairs(read_ratings(write(text))) == [(1, 2)]


def test_other_separators_are_said(write):
    assert pairs(read_ratings(write("1^2\n3^4\n"), sep="^")) == [(1, 2), (3, 4)]
    assert pairs(read_ratings(write("1 - 2\n3 - 4\n"), sep=" - ")) == [(1, 2), (3, 4)]
    assert pairs(read_ratings(write("u1\ta, b\nu2\tc, d\n"), sep="\t")) == [("u1", "a, b"), ("u2", "c, d")]
    with pytest.raises(RatingsFileError, match=r"not clear: tab and ',' each give 2 fields.*say which.*sep='\\t'"):
        read_ratings(write("u1\ta, b\nu2\tc, d\n"))
    with pytest.raises(RatingsFileError, match="not clear: ',' and ';' give different numbers of fields"):
        read_ratings(write("1,2;3\n1,2\n3;4\n"))
    with pytest.raises(RatingsFileError, match="line 1: has one field only"):
        read_ratings(write("1^2\n3^4\n"))


LONG = {
    "two lines in one": ("1::10::5::978300760\n1::11::3::9783021092::10::4::978300055\n2::12::5::978301968\n", 4, 7),
    "one more": ("1::2\n3::4::5\n", 2, 3),
    "one more of four": ("1::2::5::100\n1::3::4::200::x\n", 4, 5),
    "an empty one more": ("1::2::5::100\n1::3::4::200::\n", 4, 5),
    "csv": ("1,2,3\n1,2,3,\n1,2\n", 3, 4),
    "csv, a column not used": ("user,item,x\n1,2,\n1,2,3,4\n1,2\n", 3, 4),
    "csv, one less": ("user,item,x\n1,2,\n1,2\n1,2,3,4\n", 3, 2),
    "tab": ("1\t2\t3\n1\t2\t3\t4\n", 3, 4),
}


@pytest.mark.parametrize("case", LONG)
def test_lines_of_another_length_are_refused(case, write):
    text, wanted, found = LONG[case]
    with pytest.raises(RatingsFileError, match=rf"line [23]: must have {wanted} fields, has {found}"):
        read_ratings(write(text))


def test_decimal_comma(write):
    path = write("1;10;4,5\n1;11;3,0\n2;10;1\n")
    assert pairs(read_ratings(path, threshold=4.5)) == [(1, 10)]
    with pytest.raises(
        ValueError, match=r"ratings\.txt: `threshold` 4.6 leaves nothing, .* highest rating is 4\.5; lower"
    ):
        read_ratings(path, threshold=4.6)
    assert "decimal comma" in read_ratings(path).describe().lines()[0]
    assert pairs(read_ratings(write("1\t10\t4,5\n1\t11\t3\n"), threshold=4.5)) == [(1, 10)]
    assert pairs(read_ratings(write("1|10|4,5\n1|11|3\n"), threshold=4.5)) == [(1, 10)]
    with pytest.raises(
        RatingsFileError, match=r"line 2: has a decimal point in '3\.5' where other ratings have a comma"
    ):
        read_ratings(write("1;10;4,5\n1;11;3.5\n"))
    with pytest.raises(RatingsFileError, match="line 2: must have a finite number as its rating, but '4,5' has a dec"):
        read_ratings(write('1,10,4.5\n1,11,"4,5"\n'))
    with pytest.raises(RatingsFileError, match="line 1: must have a finite number"):
        read_ratings(write("1;10;1.234,5\n1;11;3,5\n"))


def test_json_is_refused_with_advice(write):
    for text in ('{"user_id": "u1", "item_id": "a"}\n{"user_id": "u2", "item_id": "b"}\n', '[{"user": 1, "item": 2}]'):
        with pytest.raises(
            RatingsFileError, match=r"begins with '[{\[]', as JSON does; .*Interactions\.from_dataframe"
        ):
            read_ratings(write(text, "r.jsonl"))


def test_web_pages_and_comments(write):
    for text in ("<!DOCTYPE html>\n<html>a,b\n", "<html><body>Not found</body></html>\n"):
        with pytest.raises(
            RatingsFileError, match=r"begins with '<.*, as a web page does; was the file downloaded whole"
        ):
            read_ratings(write(text))
    for text in ("# user item rating\n83 31 2\n6 12 4\n", "% bip unweighted\n% 900 100\n83 31 1 1677657600\n"):
        with pytest.raises(RatingsFileError, match=r"line 1: looks like a comment, got '[#%].*; remove such lines"):
            read_ratings(write(text))
    assert pairs(read_ratings(write("#tea,1\n#milk,2\n"))) == [("#milk", 2), ("#tea", 1)]
    assert pairs(read_ratings(write("#tea,1\nmilk,2\n"), header=False)) == [("#tea", 1), ("milk", 2)]


def test_a_table_is_no_path():
    with pytest.raises(TypeError, match=r"`path` must name a file, got builtins\.dict; .*Interactions\.from_dataframe"):
        read_ratings({"user": [1], "item": [2]})


def test_several_files_are_no_path(tmp_path):
    folder, (may, june) = tmp_path / "files", ("ann,tea\nbob,tea\n", "bob,tea\ncid,salt\n")
    folder.mkdir()
    for name, text in (("may.csv", may), ("june.csv", june)):
        (folder / name).write_text("user,item\n" + text)
    pattern = str(folder / "*.csv")
    way = r"; far\.Interactions\.open\(far\.distributed\.shard\(FILES, 'NEW FOLDER', n_shards=1\)\[0\]\) joins"
    with pytest.raises(TypeError, match=r"`path` must name one file, got list" + way):
        read_ratings(sorted(folder.iterdir()))
    with pytest.raises(FileNotFoundError, match=r"the folder .*/files has none" + way):
        read_ratings(folder)
    with pytest.raises(
        FileNotFoundError, match=r"does not exist; patterns .* up: far\..*\(sorted\(glob\.glob\('.*\*\.csv'\)\)"
    ):
        read_ratings(pattern)
    data = far.Interactions.open(far.distributed.shard(sorted(folder.iterdir()), tmp_path / "new", n_shards=1)[0])
    assert data.user_ids.tolist() == ["ann", "bob", "cid"]
    assert data.nnz == 3
    with pytest.raises(FileNotFoundError, match=r"not looked up: pass sorted\(glob\.glob\('.*\*\.csv'\)\)"):
        far.distributed.shard(pattern, tmp_path / "other")


def test_a_header_in_another_encoding(write):
    for header in ("K\xe4ufer;Gr\xf6\xdfe\n", "sep=;\nK\xe4ufer;Gr\xf6\xdfe\n"):
        with pytest.raises(RatingsFileError, match=r"line 1: is not UTF-8, .*convert the file: iconv -f ENC.* cp1252"):
            read_ratings(write(f"{header}1;2\n".encode("latin-1")))


def test_gzip_is_unpacked(write):
    text = "userId,movieId,rating,timestamp\n" + "".join(f"{i % 7},{i},5,{i}\n" for i in range(3000))
    whole = gzip.compress(text.encode())
    data, plain = read_ratings(write(whole, "r.csv.gz")), read_ratings(write(text, "r.csv"))
    assert triples(data) == triples(plain)
    assert len(triples(data)) == 3000
    assert pairs(read_ratings(write(gzip.compress(b"1:\n30,4,2005-09-06\n"), "n.gz"))) == [(30, 1)]
    assert pairs(read_ratings(write(gzip.compress(b"0 1 2 3\n1 2\n"), "l.gz"))) == [(0, 1), (0, 2), (0, 3), (1, 2)]
    for broken in (whole[:-9], whole[:30], whole[:20] + b"x" * 200 + whole[220:]):
        with pytest.raises(RatingsFileError, match=r"r\.csv\.gz: not a readable gzip file"):
            read_ratings(write(broken, "r.csv.gz"))
    with pytest.raises(RatingsFileError, match=r"a zip archive; .*unpack it first"):
        read_ratings(write(b"PK\x03\x04 and more\n"))
    with pytest.raises(RatingsFileError, match="UTF-16; convert the file"):
        read_ratings(write("user,item\n1,2\n".encode("utf-16")))


@pytest.mark.parametrize("place", [0, 3, 20_000])
def test_nul_bytes_are_refused_anywhere(place, write):
    lines = [f"{i},{i}\n" for i in range(30_000)]
    lines[place] = lines[place].replace("\n", "\0\n")
    with pytest.raises(RatingsFileError, match=f"line {place + 1}: holds a NUL byte, so the file is not text"):
        read_ratings(write("".join(lines)))


def test_line_ends(write):
    expected = [(1, 2), (3, 4)]
    for text in ("1,2\r3,4\r", "1,2\r\n3,4\r\n", "1,2\n3,4", "1,2\r\n3,4\n", "1,2\r3,4\n", "\n\n1,2\n , \n3,4\n,\n\n"):
        assert pairs(read_ratings(write(text))) == expected
    assert pairs(read_ratings(write("a\u2028b,x\x1cy\nc,x\x1cy\n"))) == [("a\u2028b", "x\x1cy"), ("c", "x\x1cy")]


# --- lists -----------------------------------------------------------------------------------------------------------


def test_lists_are_told_from_the_file(write):
    data = read_ratings(write("0 1 2 3\n1 2\n2\n3 4 5 \n"))
    assert pairs(data) == [(0, 1), (0, 2), (0, 3), (1, 2), (3, 4), (3, 5)]
    assert data.user_ids.tolist() == [0, 1, 2, 3]  # 2 has no item and is kept
    assert data.shape == (4, 5)
    assert data.describe().lines()[0] == "ratings.txt: lists, separated by blanks: the first → user, each other → item"


def test_lists_by_word(write):
    data = read_ratings(write("ann tea salt\nbob\ncleo 5 tea\n"), "lists")
    assert pairs(data) == [("ann", "salt"), ("ann", "tea"), ("cleo", "5"), ("cleo", "tea")]
    assert data.user_ids.tolist() == ["ann", "bob", "cleo"]
    assert pairs(read_ratings(write("1 2 3\n4 5 6\n"), "lists")) == [(1, 2), (1, 3), (4, 5), (4, 6)]
    assert pairs(read_ratings(write("7 1 1\n7 2\n"), "lists")) == [(7, 1), (7, 2)]
    assert read_ratings(write("5 007\n6\nx\n"), "lists").user_ids.tolist() == ["5", "6", "x"]
    with pytest.raises(RatingsFileError, match=r"may be columns or `user item item \.\.\.`; say which: sep=' ' or f"):
        read_ratings(write("1 2 3\n4 5 6\n"))
    with pytest.raises(RatingsFileError, match="begins with the number of its items where a user is expected"):
        read_ratings(write("2 5 6\n1 3\n4 1 2 3 9\n"), "lists")
    with pytest.raises(RatingsFileError, match="no item in the file"):
        read_ratings(write("1\n2\n"), "lists")
    with pytest.raises(RatingsFileError, match="line 2: holds a NUL byte"):
        read_ratings(write("1 2\n2 3\0\n"), "lists")


BASKETS = ("milk\nbread\nbeer,salt,eggs\nmilk\nsalt,eggs\n", "u1,a,b,c\nu2,a\nu3,c,d\nu4,a,b\nu5,a\n")


@pytest.mark.parametrize("text", [*BASKETS, *(text.replace(",", ";") for text in BASKETS)])
def test_baskets_and_lists_of_another_form(text, write):
    with pytest.raises(
        RatingsFileError, match=r"the lines have [12] to [34] fields.*write blanks .*format='lists'; if "
    ):
        read_ratings(write(text))
    with pytest.raises(RatingsFileError, match=r"the lines have [12] to [34] fields.*the items, say format='lists'"):
        read_ratings(write(text.replace(",", " ").replace(";", " ")))
    assert read_ratings(write(text.replace(",", " ").replace(";", " ")), "lists").nnz > 0


def test_faulty_lines_among_many_are_no_baskets(write):
    text = "user,item,title\n" + "1,2,an old man\n3,4,up\n" * 9 + "1,2\n1,2,3,4\n1\n"
    with pytest.raises(RatingsFileError, match="line 20: must have 3 fields, has 2"):
        read_ratings(write(text))


def test_lists_of_train_and_test_have_one_numbering(write):
    train = read_ratings(write("0 10 11 12\n1 11\n2\n", "train.txt"))
    test = read_ratings(write("0 12 13 10\n1 10\n2 12\n", "test.txt"), items=train.item_ids)
    assert test.item_ids.tolist() == train.item_ids.tolist()
    assert pairs(test) == [(0, 10), (0, 12), (1, 10), (2, 12)]
    assert test.user_ids.tolist() == train.user_ids.tolist()


def test_a_line_longer_than_the_sample(write):
    items = " ".join(map(str, range(40_000)))
    data = read_ratings(write(f"0 {items}\n1 5\n"))
    assert data.shape == (2, 40_000)
    assert data.nnz == 40_001


# --- others ----------------------------------------------------------------------------------------------------------


def test_netflix_times_are_integers(write):
    data = read_ratings(write("1:\n30,4,2005-09-06\n5,3,2005-05-13\n"))
    assert data.timestamps.dtype == np.int64
    assert data.timestamps.tolist() == [1115942400, 1125964800]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("007,4,2005-09-06", "must be user,rating,date"),
        ("+7,4,2005-09-06", "must be user,rating,date"),
        ("7,4,2005-9-6", "ISO 8601 date"),
        ("7,4,2005-09- 6", "ISO 8601 date"),
        ("7,4,20050-9-6", "ISO 8601 date"),
        ("7,nan,2005-09-06", "finite number as its rating"),
        ("7,4,2005-09-06,x", "must be user,rating,date|ISO 8601 date"),
        ("01:", "must be user,rating,date"),
        ("7,4,2005-09-06\0", "NUL"),
    ],
)
def test_netflix_lines_in_another_form(line, message, write):
    with pytest.raises(RatingsFileError, match=f"line 3: .*({message})"):
        read_ratings(write(f"1:\n5,3,2005-01-01\n{line}\n6,3,2005-01-01\n"), "netflix")


def test_never_play_again_in_files_of_any_name(write):
    path = write("1\t10\t90\n1\t11\t255\n2\t10\t0\n2\t12\t100\n", "r.tsv")
    data = read_ratings(path)
    assert pairs(data) == [(1, 10), (2, 10), (2, 12)]
    left_out, ratings = data.describe().lines()[1].split("; ")[1:]
    assert left_out == '1 rows left out for the rating 255, Yahoo!\'s "never play again"'
    assert ratings == "ratings from 0 to 100 are not used: without a threshold every row counts"
    for other in ("101", "254", "2.5", "-1"):
        assert read_ratings(write(f"1,10,90\n1,11,255\n2,10,{other}\n")).nnz == 3
    assert read_ratings(write("1,10,255\n1,11,255\n")).nnz == 2


def test_255_in_a_column_with_a_name_is_kept_and_said(write):
    body = "1,10,90\n1,11,255\n2,10,0\n2,12,100\n"
    note = (
        '1 ratings of 255 stand beside ratings up to 100; if they are Yahoo!\'s "never play again", say format="yahoo"'
    )
    for text, words in (("user,item,rating\n" + body, {}), (body, {"user": 0, "item": 1, "rating": 2})):
        data = read_ratings(write(text), **words)
        assert data.nnz == 4
        assert f"; {note}; ratings from 0 to 255 are not used" in data.describe().lines()[1]
        assert f"\nnote            {note}\n" in str(data.describe())
        assert read_ratings(write(text), "yahoo", **words).nnz == 3
        assert "never" not in str(read_ratings(write(text.replace("90", "101")), **words).describe())


@pytest.mark.parametrize("text", ["3 1 2 3\n3 2 4 5\n3 7 8 9\n", "2 10 20\n2 11 21\n2 12 22\n"])
def test_lines_that_begin_with_their_number_of_items(text, write):
    path = write(text)
    with pytest.raises(RatingsFileError, match="begins with the number of what follows"):
        read_ratings(path)
    assert read_ratings(path, sep=" ", timestamp=False).shape[0] == 1
    with pytest.raises(RatingsFileError):
        read_ratings(path, format="lists")


def test_blanks_around_a_bar(write):
    data = read_ratings(write("1 | 2\n2 | 3\n"))
    assert (data.user_ids.tolist(), data.item_ids.tolist()) == ([1, 2], [2, 3])
