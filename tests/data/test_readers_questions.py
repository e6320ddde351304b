"""Text files whose first lines leave open what they hold: the question, and that its words work."""

import random

import pytest
from rating_files import pairs, triples

from fastautorec.cli import main
from fastautorec.data import read_ratings
from fastautorec.exceptions import RatingsFileError

pytestmark = pytest.mark.usefixtures("reader")

# --- a first line of unknown words ------------------------------------------------------------------------------------

UNKNOWN = (
    *("acheteur,livre", "source,target", "from,to", "node1,node2", "用户,商品", '"acheteur","livre"', "id 1,id 2"),
    *("md5_user,md5_item", "a,b", "покупатель,товар", "acheteur,livre,avis"),
)
BELOW = (
    "ann,tea\nbob,milk\n",
    "n1,n52\nn7,n63\nn1,n71\n",
    "9b2f9a,10bc\n77cf01,2a0b\n",
    "a@b.org,/p/1\nc@d.org,/p/2\n",
)


@pytest.mark.parametrize("header", UNKNOWN)
@pytest.mark.parametrize("below", BELOW)
def test_a_header_of_unknown_words_above_texts(header, below, write):
    lines = below.replace("\n", ",x\n") if header.count(",") == 2 else below
    path = write(f"{header}\n{lines}")
    user, item = header.replace('"', "").split(",")[:2]
    message = rf"line 1: nothing tells whether the first line, .* user='{user}', item='{item}'\)"
    with pytest.raises(RatingsFileError, match=message):
        read_ratings(path)
    expected = sorted(tuple(line.split(",")) for line in below.splitlines())
    assert pairs(read_ratings(path, user=user, item=item)) == expected
    with pytest.raises(RatingsFileError, match="say header=True if it does, or header=False if it is data"):
        read_ratings(path, user=0, item=1)
    assert pairs(read_ratings(path, user=0, item=1, header=True)) == expected
    if header.count(",") == 1:
        assert pairs(read_ratings(path, header=False)) == sorted([*expected, (user, item)])


def test_names_that_are_no_words_to_say(write):
    with pytest.raises(RatingsFileError, match=r"nothing tells .*'a, a'.*read_ratings\(path, user=0, item=1\)"):
        read_ratings(write("a,a\nx,y\n"))
    with pytest.raises(RatingsFileError, match=r"nothing tells .*', 101, 102'.*read_ratings\(path, user=0, item='101'"):
        read_ratings(write(",101,102\n1,5,3\n"))
    with pytest.raises(RatingsFileError, match=r"nothing tells .*'user, 1, 2, 3'"):
        read_ratings(write("user,1,2,3\nu1,5,3,1\nu2,4,1,2\n"))


def test_two_files_with_one_unknown_header(write):
    with pytest.raises(RatingsFileError, match="nothing tells whether the first line"):
        read_ratings(write("acheteur,livre\nann,tea\nacheteur,livre\nbob,milk\n"))


ORDINARY = {
    "a user again": "ann,tea\nann,milk\nbob,salt\n",
    "an item again": "ann,tea\nbob,milk\nbob,tea\n",
    "a user again, further down": "ann,tea\n" + "".join(f"x{k},y{k}\n" for k in range(300)) + "ann,salt\n",
    "a word of a header that is there again": "ann,book\nann,pen\n",
    "letters and numbers": "u1,i1\nu2,i2\n",
    "words and numbers": "user_1,film 1\nuser_7,film 9\n",
    "codes": "B00X4WHP5E,A1\nB00ABCDEF9,A2\n",
    "hashes": "9b2f9a61,f00d\n77cf01aa,0bad\n",
    "addresses": "ann@x.org,/p/one\nbob@y.org,/p/two\n",
    "names with a comma": '"Doe, J",tea\n"Roe, R",milk\n',
    "another script": "用户甲,苹果\n用户甲,梨\n",
    "numbers": "1,10\n2,11\n",
    "numbers and texts": "1,tea\n2,milk\n",
    "a separator of two signs": "ann::tea\nann::milk\n",
    "bars": "C001|P17\nC002|P18\n",
    "blanks": "ann tea\nann milk\n",
}


@pytest.mark.parametrize("case", ORDINARY)
def test_first_lines_that_are_like_the_others_are_data(case, write):
    text = ORDINARY[case]
    data = read_ratings(write(text))
    assert data.nnz == text.count("\n")
    assert "(by position)" in data.describe().lines()[0]


def test_a_fault_comes_before_the_question(write):
    with pytest.raises(RatingsFileError, match="line 2: begins a quoted field that does not end"):
        read_ratings(write('acheteur,livre\nann,"tea\n'))
    with pytest.raises(RatingsFileError, match="line 2: holds a NUL byte"):
        read_ratings(write("acheteur,livre\nann,tea\0\n"))


# --- columns by position ----------------------------------------------------------------------------------------------


def random_lines(form, n=300):
    """Return n lines of numbers drawn by chance: rng(n) gives one from 1 to n."""
    rng = random.Random(0)
    return "".join(f"{form(lambda most: rng.randint(1, most))}\n" for _ in range(n))


LARGE = {
    "user, item, rating": lambda rng: f"{rng(90)},{rng(300)},{rng(5)}",
    "few users": lambda rng: f"{rng(5)},{rng(300)},{rng(5)}",
    "few users, fractions": lambda rng: f"{rng(5)},{rng(300)},{rng(999) / 100:.2f}",
    "few users, an order": lambda rng: f"{rng(5)},{rng(300)},{rng(5)},{rng(9999)}",
    "few items": lambda rng: f"{rng(90)},{rng(8)},{rng(5)}",
    "few items, fractions": lambda rng: f"{rng(90)},{rng(8)},{rng(999) / 100:.2f}",
    "few items, times": lambda rng: f"{rng(90)},{rng(8)},{rng(5)},{1500000000 + rng(10**7)}",
    "pairs of few items": lambda rng: f"{rng(90)},{rng(8)}",
    "counts": lambda rng: f"{rng(90)},{rng(300)},{rng(400)}",
    "ratings 0 and 1": lambda rng: f"{rng(90)},{rng(300)},{rng(2) - 1}",
    "days": lambda rng: f"{rng(90)},{rng(30)},{rng(5)},{rng(700)}",
    "dates as numbers": lambda rng: f"{rng(90)},{rng(30)},{rng(5)},202401{rng(20) + 10}",
    "an old time": lambda rng: f"{rng(90)},{rng(30)},{rng(5)},{874724710 + rng(10**6)}",
    "microseconds": lambda rng: f"{rng(90)},{rng(30)},{rng(5)},{1400000000 * 10**6 + rng(10**12)}",
    "long numbers": lambda rng: f"{10**16 + rng(10**16)},{9780000000000 + rng(10**9)},{rng(5)}",
}


@pytest.mark.parametrize("case", LARGE)
def test_lines_in_the_usual_order_are_read_without_a_question(case, write):
    text = random_lines(LARGE[case])
    expected = {tuple(map(int, line.split(",")[:2])) for line in text.splitlines()}
    assert pairs(read_ratings(write(text))) == sorted(expected)


OUT_OF_ORDER = {
    "event second": (lambda rng: f"{rng(90)},{'abc'[rng(3) - 1]},{rng(300)}", "column 1 holds a few values in turn"),
    "rating second": (lambda rng: f"{rng(90)},{rng(5)},{rng(300)}", "column 1 holds a few values in turn"),
    "rating first": (lambda rng: f"{rng(5)},{rng(90)},{rng(300)}", "column 0 holds a few values in turn"),
    "a zip code": (
        lambda rng: f"{(u := rng(30))},{rng(90)},{rng(5)},{55000 + u}",
        "column 3 holds the same number in a",
    ),
    "a year": (lambda rng: f"{rng(90)},{(i := rng(30))},{rng(5)},{1950 + i}", "column 3 holds the same number in all"),
}


@pytest.mark.parametrize("case", OUT_OF_ORDER)
def test_lines_in_another_order(case, write):
    form, message = OUT_OF_ORDER[case]
    with pytest.raises(RatingsFileError, match=rf"line 1: no header, and {message}"):
        read_ratings(write(random_lines(form)))


DOUBTFUL_TIMES = {
    "a decimal comma": ("1,10,4,5\n1,11,3,0\n", r"numbers below 100, such as 5, .*Is it the part behind a decimal"),
    "ages": (
        "1;10;4;25\n1;11;3;31\n",
        "numbers below 100, such as 25, where the timestamp is expected; say timestamp=3",
    ),
    "prices": ("1,10,4,112.99\n1,11,3,250\n", "numbers that are negative or have fractions, such as 112.99"),
    "no time": ("1,10,4,-1\n1,11,3,500\n", "numbers that are negative or have fractions, such as -1"),
}


@pytest.mark.parametrize("case", DOUBTFUL_TIMES)
def test_a_fourth_column_that_is_hardly_a_time(case, write):
    text, message = DOUBTFUL_TIMES[case]
    path = write(text)
    with pytest.raises(RatingsFileError, match=f"column 3 holds {message}"):
        read_ratings(path)
    last = [float(line.replace(";", ",").split(",")[3]) for line in text.splitlines()]
    assert triples(read_ratings(path, timestamp=3)) == [(1, 10, last[0]), (1, 11, last[1])]
    assert triples(read_ratings(path, timestamp=False)) == [(1, 10, None), (1, 11, None)]


SIZES = {
    "of ratings": ("40 3000 300\n", lambda rng: f"{rng(40)} {rng(3000)} {rng(5)}"),
    "of ratings with fractions": ("40,3000,300\n", lambda rng: f"{rng(40)},{rng(3000)},{rng(9) / 2}"),
    "of a larger file": ("40,3000,100000\n", lambda rng: f"{rng(40) - 1},{rng(3000) - 1},{rng(5)}"),
    "of few ratings": ("40,3000,3\n", lambda rng: f"{rng(40)},{rng(3000)},{rng(5)}"),
    "of pairs": ("40\t3000\n", lambda rng: f"{rng(40)}\t{rng(3000)}"),
}


@pytest.mark.parametrize("case", SIZES)
def test_a_first_line_of_sizes(case, write):
    sizes, form = SIZES[case]
    body = random_lines(form, 3 if ",3\n" in sizes else 300)
    path = write(sizes + body)
    with pytest.raises(
        RatingsFileError, match=r"the first line, '40, 3000.*may hold the numbers of users and items; r"
    ):
        read_ratings(path)
    assert read_ratings(path, header=False).nnz == read_ratings(write(body, "body.txt")).nnz + 1


def test_sizes_of_another_form(write):
    with pytest.raises(RatingsFileError, match=r"line 1: has 3 fields where the lines below have 2.*title or sizes"):
        read_ratings(write("40,3000,300\n" + random_lines(lambda rng: f"{rng(40)},{rng(3000)}")))
    with pytest.raises(RatingsFileError, match=r"begins with '%%MatrixMarket.*Interactions\(scipy\.io\.mmread\(path\)"):
        read_ratings(write("%%MatrixMarket matrix coordinate integer general\n%\n40 3000 2\n1 2 3\n"))
    downwards = "".join(f"{k},{k},5\n" for k in range(40, 0, -1))
    assert read_ratings(write(downwards)).nnz == 40


COUNTED = ("u1,2,a,b\nu2,1,c\n", "u1;2;a;b\nu2;2;c;d\nu3;2;a;c\n", "0,2,553,912\n1,2,77,888\n2,2,77,553\n")


@pytest.mark.parametrize("text", [*COUNTED, *(text.replace(",", " ") for text in (COUNTED[0], "0,2,55,91\n1,1,77\n"))])
def test_lists_with_their_number_of_items(text, write):
    with pytest.raises(RatingsFileError, match="every line has the number of what follows as its second field; if th"):
        read_ratings(write(text))
    with pytest.raises(RatingsFileError, match="every line has the number of what follows as its first field; if the"):
        read_ratings(write("3,7,8,9\n2,8,9\n1,7\n"))
    if " " in text:
        with pytest.raises(RatingsFileError, match="every line has the number of what follows as its second field"):
            read_ratings(write(text), "lists")


def test_three_columns_where_the_second_is_constant(write):
    assert pairs(read_ratings(write("1,1,5\n2,1,3\n3,1,4\n"))) == [(1, 1), (2, 1), (3, 1)]
    path = write("1,2,5,1500000000\n2,2,3,1500000001\n3,2,4,1500000002\n")
    assert pairs(read_ratings(path)) == [(1, 2), (2, 2), (3, 2)]


# --- the file as a whole ----------------------------------------------------------------------------------------------

TITLES = {
    "a title": ("Report for May\nuser,item\nann,tea\nbob,milk\n", "has 1 field where .* 2, .*remove the first line if"),
    "a comma in it": (
        "Report, May 2024\nuser,item,rating\n1,2,3\n4,5,6\n",
        "has 2 fields where the lines below have 3",
    ),
    "two lines": (
        "Report for May\nby Ann\nuser,item\n1,2\n3,4\n",
        "has 1 field .*remove the first 2 lines if they are",
    ),
    "above one line": (
        "Report\n1;2\n",
        "has 1 field where the lines below have 2, got 'Report'; remove the first line",
    ),
    "above data": ("Report for May\n1;2\n3;4\n", "has 1 field where the lines below have 2, got 'Report for May'"),
    "a blank line": ("Report\n\nuser\titem\n1\t2\n", "has 1 field where the lines below have 2, got 'Report'; remove"),
    "a header that is too short": ("user,item\n1,2,3\n4,5,6\n", "has 2 fields .*; a header must name every column"),
}


@pytest.mark.parametrize("case", TITLES)
def test_lines_above_the_header(case, write):
    text, message = TITLES[case]
    with pytest.raises(RatingsFileError, match=f"line 1: {message}"):
        read_ratings(write(text))


def test_faulty_lines_are_no_titles(write):
    for text in ("1,2,3\n4,5,6\n7,8\n9,10\n", "user,item\n1,2\n3,4\n5,6,7\n8,9,10\n11,12,13\n"):
        with pytest.raises(RatingsFileError, match=r"line [34]: must have [23] fields"):
            read_ratings(write(text))
    assert pairs(read_ratings(write("user,item\n1,a;b;c\n2,c;d;e\n"))) == [(1, "a;b;c"), (2, "c;d;e")]


EMPTY = {
    "no number": (
        "user,item,rating\n1,2,good\n1,3,bad\n2,3,fine\n",
        "'rating', taken .* no number, but 'good'",
        "rating",
    ),
    "no rating": (
        "user,item,rating\n1,2,\n1,3,\n2,3,\n",
        "'rating', taken as the rating, holds nothing in all",
        "rating",
    ),
    "no time": (
        "user,item,time\n1,2,soon\n1,3,late\n2,3,now\n",
        "'time', taken .* no time, but 'soon' and",
        "timestamp",
    ),
    "no header": ("1,2,\n1,3,\n2,3,\n", "column 2, taken as the rating, holds nothing in all", "rating"),
}


@pytest.mark.parametrize("case", EMPTY)
def test_columns_that_hold_in_no_line_what_they_are_taken_for(case, write):
    text, message, role = EMPTY[case]
    path = write(text)
    with pytest.raises(RatingsFileError, match=rf"{message}.* of the first 3 lines; leave it out with {role}=False"):
        read_ratings(path)
    assert pairs(read_ratings(path, **{role: False})) == [(1, 2), (1, 3), (2, 3)]


def test_an_id_column_without_ids(write):
    with pytest.raises(RatingsFileError, match=r"'user', taken as the user, holds nothing .*; say which .*user=COLUMN"):
        read_ratings(write("user,item,who\n,1,a\n,2,b\n,3,a\n"))


def test_a_matrix_that_is_not_wide(write):
    with pytest.raises(RatingsFileError, match=r"only user: user.*; if each column is an item, .*pandas\.melt does"):
        read_ratings(write("user,Matrix,Up,Alien\n1,5,3,\n2,,1,4\n"))
    for head, gap in (("user,", ""), ("name,", "-"), (",", "nan")):
        numbers = ",".join(f"{number}" for number in range(101, 110)) + "\n"
        body = "".join(f"{k},5,{gap},3,4,{gap},1,2,{gap},5\n" for k in range(6))
        for header in (head + numbers, "who,a,b,c,d,e,f,g,h,j\n"):
            with pytest.raises(RatingsFileError, match=r"has 10 columns of numbers, which looks .*pandas\.melt does"):
                read_ratings(write(header + body))
    with pytest.raises(RatingsFileError, match=r"item=COLUMN\)$"):
        read_ratings(write("user,height,year,price\n1,180,1999,12.5\n"))


def test_columns_of_one_name(write):
    path = write("user,item,item\n1,2,3\n")
    with pytest.raises(RatingsFileError, match="'item' and 'item' may each be the item; say which: item=1 or item=2"):
        read_ratings(path)
    assert pairs(read_ratings(path, item=2)) == [(1, 3)]
    with pytest.raises(ValueError, match="a column name that occurs once, got 'item'; it has user, item, item; say i"):
        read_ratings(path, item="item")


VALUES = {
    "vote": "4",
    "average_vote": "4",
    "price": "4.99",
    "zip": "55455",
    "year": "1999",
    "age": "31",
    "stall_id": "4",
}


@pytest.mark.parametrize("name", VALUES)
def test_a_threshold_without_ratings(name, write):
    path = write(f"user,item,{name},note\n1,2,{VALUES[name]},x\n1,3,5,y\n")
    told = r"them; say rating='vote' \(" if name == "vote" else r"them; if another one does, say rating=COLUMN \("
    with pytest.raises(ValueError, match=rf"{told}columns not used: {name}, note\)"):
        read_ratings(path, threshold=3)


def test_two_columns_that_look_like_ratings(write):
    path = write("user,item,vote,helpful,price\n1,2,4,1,9.5\n1,3,5,0,8\n")
    with pytest.raises(ValueError, match=r"them; say rating=COLUMN \(columns not used: vote, helpful, price\)"):
        read_ratings(path, threshold=3)


# --- through every door -----------------------------------------------------------------------------------------------


def test_the_command_line_asks_in_its_own_words(write, capsys):
    path = str(write("acheteur,livre\nann,tea\nbob,milk\n"))
    for command in (["inspect", path], ["fit", path, "--output", f"{path}.npz"]):
        assert main(command) == 2
        flags, _, asked = (
            capsys.readouterr().err.splitlines()[-1].partition(" (on the command line: ")[2].partition("); ")
        )
        assert asked.endswith("read_ratings(path, user='acheteur', item='livre')")
        assert "--no-header" in flags
        assert "--user 'acheteur' --item 'livre'" in flags
    assert main(["inspect", path, "--user", "acheteur", "--item", "livre"]) == 0
    assert "user 'ann', item 'tea'" in capsys.readouterr().out
    assert main(["inspect", path, "--no-header"]) == 0
    assert "user 'acheteur', item 'livre'" in capsys.readouterr().out
    path = str(write("1,10,4,5\n1,11,3,0\n"))
    assert main(["inspect", path]) == 2
    flags = capsys.readouterr().err.partition(" (on the command line: ")[2]
    assert "--timestamp 3" in flags
    assert "--no-timestamp" in flags
    assert main(["inspect", path, "--no-timestamp"]) == 0


def test_experiments_ask_too(write, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FASTAUTOREC_DATA", raising=False)
    write("acheteur,livre\n" + "".join(f"u{k % 20},i{k * k % 17}\n" for k in range(200)), "sold.csv")
    text = (
        'seeds = [0]\n[evaluation]\nk = [2]\n[[datasets]]\nname = "Sold"\nsource = "ratings"\npath = "sold.csv"\n'
        'by = "random"\n{}\n[[models]]\nname = "POP"\nclass = "Popularity"\n'
    )
    path = write(text.format(""), "test.toml")
    assert main(["experiment", str(path), "--output", "out"]) != 0
    assert "nothing tells whether the first line, 'acheteur, livre'" in "".join(capsys.readouterr())
    path = write(text.format('user = "acheteur"\nitem = "livre"'), "test.toml")
    assert main(["experiment", str(path), "--output", "out"]) == 0
