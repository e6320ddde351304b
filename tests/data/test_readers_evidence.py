"""Evidence in the first lines of text files: files that cannot be what their order or header would make of them."""

import pytest
from rating_files import pairs, triples

from fastautorec.data import read_ratings
from fastautorec.exceptions import RatingsFileError

pytestmark = pytest.mark.usefixtures("reader")

SAY = r"say which columns they are: read_ratings\(path, user=COLUMN, item=COLUMN"


def lines(form, n=30):
    """Return n lines, each from its number."""
    return "".join(f"{form(k)}\n" for k in range(n))


HEADERLESS = {
    "date first": (
        "2024-04-01,7,31\n2024-04-02,8,31\n",
        rf"column 0 holds what looks like times, such as 2024-04-01, "
        rf"where the user is expected; {SAY}, timestamp=0\), each a position from 0 to 2",
    ),
    "seconds first": ("1396800000,7,31\n1396800017,8,31\n", rf"column 0 holds .*times.*{SAY}, timestamp=0\)"),
    "milliseconds first": (
        "1677657600000\ta\tapp.8\tclick\n1677659820000\tb\tapp.1\tclick\n",
        "column 0 .*timestamp=0",
    ),
    "date second": ("7,2024-04-01,31\n8,2024-04-02,32\n", "column 1 .* where the item is expected; .*timestamp=1"),
    "moment second": ("1,2014-04-07T10:51:09.277Z,31,0\n1,2014-04-07T10:54:09.868Z,32,0\n", "column 1 .*timestamp=1"),
    "date and item": ("2024-04-01,7\n2024-04-02,8\n", r"column 0 .*timestamp=0\), each a position from 0 to 1"),
    "other dates": ("03/01/2023;7;31\n03/02/2023;8;31\n", "column 0 holds what looks like times.*timestamp=0"),
    "date third": ("7,31,01.02.2024\n8,31,13.02.2024\n", "column 2 .* where the rating is expected; .*timestamp=2"),
    "loans": ("2024-03-01,20190082,9780000000030\n2024-03-01,20190005,9780000000011\n", "column 0 .*timestamp=0"),
    "large": ("12,5,214536502\n13,5,314536502\n", rf"column 2 holds numbers as large as 214536502, .*{SAY}\), each"),
    "check-ins": (
        "0\t2010-10-19T23:55:27Z\t30.23\t-97.79\t22847\n0\t2010-10-18T22:17:43Z\t30.26\t-97.76\t420315\n",
        rf"has 5 fields and no header.*{SAY}, timestamp=1\)",
    ),
    "text third": (
        "ann16,B,Thing8\neve28,C,Thing10\n",
        f"column 2 holds text, such as 'Thing8', where the rating .*{SAY}",
    ),
    "text fourth": ("1,2,3,food\n1,3,3,toys\n", f"column 3 holds text, such as 'food', where the timestamp .*{SAY}"),
    "line numbers": (
        lines(lambda k: f"{k},{k % 3},5"),
        "column 0 counts the lines while column 1 repeats, so .* may be an index",
    ),
    "row ids": (
        lines(lambda k: f"r{k},{k % 7},{k % 5}"),
        "column 0 is another one in each line while column 1 repeats",
    ),
    "order numbers": (
        lines(lambda k: f"{500 + 3 * k},{k % 7},{k % 5},{1400000000 + k}"),
        "column 0 is another one in each line",
    ),
    "days first": ("20240401,7,31\n20240402,8,31\n", r"column 0 holds what looks like times, such as 20240401, .*=0\)"),
    "days and item": ("20240401,7\n20240402,8\n", r"column 0 holds what looks like times, .*timestamp=0\)"),
    "days second": ("7,20240401,31\n8,20240402,31\n", r"column 1 holds what looks like times, .*timestamp=1\)"),
    "days third": ("7,31,20240401\n8,31,20240402\n", r"column 2 .*times.* the rating is expected; .*timestamp=2\)"),
    "seconds before 2000": ("881250949,7,3\n891717742,8,4\n", r"column 0 holds what looks like times, .*timestamp=0\)"),
    "seconds before 2000 third": ("7,3,881250949\n7,4,891717742\n", "column 2 .*times.* the rating is expected"),
    "seconds with fractions": ("1396800000.5,7,31\n1396800017.25,8,31\n", "column 0 holds what looks like times"),
    "seconds with fractions third": ("7,31,1396800000.5\n8,31,1396800017.25\n", "column 2 holds what looks like times"),
    "microseconds first": ("1396800000123456,7,31\n1396800017123456,8,31\n", "column 0 holds what looks like times"),
    "nanoseconds second": (
        "7,1396800000123456789,3\n8,1396800017123456789,3\n",
        "column 1 holds what looks like times",
    ),
    "clock first": ("12:30:05,7,31\n12:31:05,8,31\n", "column 0 holds what looks like times, such as 12:30:05"),
    "clock second": ("7,9:30\n8,12:31\n", "column 1 holds what looks like times, such as 9:30"),
    "clock third": ("7,31,12:30:05\n8,31,12:31:05.5\n", "column 2 holds what looks like times, such as 12:30:05"),
    "ratings first": ("3.5,7,8\n4,7,9\n", "column 0 holds numbers with a decimal point, such as 3.5, where the user"),
    "ratings with zeros first": ("3.0,7,8\n4.0,7,9\n", "column 0 holds numbers with a decimal point, such as 3.0"),
    "shares second": ("7,0.25\n8,0.75\n", "column 1 holds numbers with a decimal point, such as 0.25, where the item"),
    "events second": ("u1,view,5\nu2,buy,6\n", "column 1 holds kinds of events, such as 'view', where the item"),
    "events first": ("add_to_cart,u1\nPurchase,u2\n", "column 0 holds kinds of events, such as 'add_to_cart'"),
    "pairs of events": ("u1,like\nu2,like\n", "column 1 holds kinds of events, such as 'like', where the item"),
    "zeros and ones": ("0,1,1\n1,0,1\n", rf"has 3 columns of numbers, .*SciPy.*; if they are none, {SAY}"),
    "four of zeros and ones": ("0,1,1,0\n1,0,1,1\n", "has 4 columns of numbers, which looks like a users x items"),
    "named zeros and ones": (lines(lambda k: f"u{k},{k % 2},{k % 3 % 2}", 5), "has 3 columns of numbers, which looks"),
    "two of zeros and ones": (
        lines(lambda k: f"{k % 2},{k % 3 % 2}", 20),
        "has 2 columns of numbers, which looks like",
    ),
    "a matrix": (
        lines(lambda k: f"{k},0,1,1,0,0,1,0,1,1"),
        "looks like a users x items matrix; give Interactions a SciPy",
    ),
}


@pytest.mark.parametrize("case", HEADERLESS)
def test_columns_that_do_not_fit_their_position(case, write):
    text, message = HEADERLESS[case]
    with pytest.raises(RatingsFileError, match=message) as error:
        read_ratings(write(text))
    assert "user=0" not in str(error.value)


FITTING = {
    "large ids": "7000000000,9780000000030\n7000000001,9780000000031\n",
    "ids like times, and times": lines(lambda k: f"{1400000000 + k * 7 % 31},{k % 7},5,{1500000000 + k}"),
    "ids like times alone": "1400000000,7\n1400000001,8\n",
    "review files": lines(lambda k: f"A{k},{k % 7},5.0,{1365811200 + k}"),
    "addresses": "10.0.0.1,a\n10.0.0.2,b\n",
    "versions": "1.2.3,2.1.10-b\n1.2.4,1.0.0\n",
    "items that sound like events": "u1,show1\nu2,play 2\n",
    "floats that are whole": "1.0,7\n1,8\n",
    "pairs of zeros and ones": "0,1\n1,0\n1,1\n",
    "days of no month": "20240182,7\n20240183,8\n",
    "few lines": lines(lambda k: f"u{k},{k % 7},5", 19),
    "numbers of days": "1,2,5,20240101\n2,3,4,20240102\n",
    "no rating in one line": "1,2,3,2024-01-01\n1,3,4,2024-01-02T08:00:00Z\n",
}


@pytest.mark.parametrize("case", FITTING)
@pytest.mark.filterwarnings("ignore:.*ids are texts such as '1.0'")  # that is told, in another test
def test_columns_that_may_be_what_they_are_taken_for(case, write):
    text = FITTING[case]
    data = read_ratings(write(text))
    first = text.split("\n")[0].split(",")
    assert (first[0], first[1]) in [(str(user), str(item)) for user, item in pairs(data)]
    assert data.nnz == text.count("\n")


def test_what_the_message_says_can_be_done(write):
    path = write("2024-04-01,7,31\n2024-04-02,8,31\n")
    assert triples(read_ratings(path, user=1, item=2, timestamp=0)) == [(7, 31, 1711929600), (8, 31, 1712016000)]
    assert pairs(read_ratings(path, user=0, item=1)) == [("2024-04-01", 7), ("2024-04-02", 8)]
    with pytest.raises(RatingsFileError, match="column 0 holds what looks like times"):
        read_ratings(path, rating=False)
    assert pairs(read_ratings(write("1,2,food\n1,3,toys\n"), rating=False)) == [(1, 2), (1, 3)]


def test_a_line_without_a_rating_where_the_order_told_what_is_what(write):
    for text, message in (
        ("1,2,3\n1,3,x\n", "line 2: must have a finite number as its rating"),
        ("1,2,3,5\n1,3,4,x\n", "line 2: must have a number or an ISO 8601 date as its time"),
    ):
        with pytest.raises(RatingsFileError, match=rf"{message}.*say which columns are which with user= and item="):
            read_ratings(write(text))


MATRIX = "user," + ",".join(f"item{i}" for i in range(20)) + "\n"


@pytest.mark.parametrize("head", [MATRIX, MATRIX.replace("user", ""), MATRIX.replace("item0", "movie")])
def test_a_matrix_is_no_list_of_pairs(head, write):
    body = "".join(f"u{k}" + ",0,1" * 10 + "\n" for k in range(5))
    text = head + body
    if "movie" in head:  # a user and an item: other columns are no matter
        assert read_ratings(write(text)).shape == (5, 1)
        return
    with pytest.raises(RatingsFileError, match="has 21 columns of numbers, which looks like a users x items matrix"):
        read_ratings(write(text))


def test_a_header_that_counts_the_columns(write):
    for text in ("0,1,2\n68,30,1\n84,10,3\n", "0,1\n" + lines(lambda k: f"{(k * 7) % 31 + 1},{k % 3}")):
        path = write(text)
        with pytest.raises(RatingsFileError, match=r"line 1: counts '0, 1.*say header=True .* or header=False"):
            read_ratings(path)
        with pytest.raises(RatingsFileError, match="counts '0, 1"):
            read_ratings(path, user=0, item=1)
        data = read_ratings(path, user=0, item=1, header=True)
        assert data.nnz == text.count("\n") - 1
        assert pairs(read_ratings(path, user="0", item="1")) == pairs(data)
        assert read_ratings(path, header=False).nnz == text.count("\n")
    assert pairs(read_ratings(write("0,1\n0,2\n3,1\n"))) == [(0, 1), (0, 2), (3, 1)]
    assert read_ratings(write("0,1\n" + lines(lambda k: f"{k},{k % 3}"))).nnz == 31  # 0,1 and 0,0 and so on


def test_hours_are_no_times(write):
    path = write("user,item,time\n" + lines(lambda k: f"{k % 5},{k},{k % 24}", 40))
    with pytest.raises(RatingsFileError, match=r"'time' holds whole numbers from 0 to 23, .*timestamp='time'.*=False"):
        read_ratings(path)
    assert read_ratings(path, timestamp=False).timestamps is None
    assert read_ratings(path, timestamp="time").timestamps.max() == 23
    assert read_ratings(write("user,item,time\n" + lines(lambda k: f"{k % 5},{k},{k}", 20))).timestamps.max() == 19


def test_columns_without_a_role_are_named(write):
    path = write("user,video,vote,comment\n1,2,5,x\n2,3,4,y\n")
    data = read_ratings(path)
    assert data.describe().lines()[0].endswith("user → user, video → item (by name); ignored: vote, comment")
    assert "\nignored         vote, comment\n" in str(data.describe())
    with pytest.raises(ValueError, match=r"known to hold them; say rating='vote' \(columns not used: vote, comment\)"):
        read_ratings(path, threshold=4)
    assert read_ratings(path, rating="vote", threshold=5).nnz == 1
    path = write("".join(f"1,2,{','.join('789')},{','.join(map(str, range(k, k + 12)))}\n" for k in range(3)))
    data = read_ratings(path, user=0, item=1, rating=2)
    assert data.describe().lines()[0].endswith("; ignored: column 3, column 4, column 5, column 6, column 7 and 9 more")
    with pytest.raises(ValueError, match=r"say rating=COLUMN .columns not used: column 2, .*column 11 and 5 more"):
        read_ratings(path, user=0, item=1, threshold=4)
    assert read_ratings(path, user=0, item=1, rating=2, threshold=4).nnz == 1
    path = write("1,2,x,5\n2,3,y,6\n")
    with pytest.raises(ValueError, match=r"say rating=3 \(columns not used: column 3, column 2\)"):
        read_ratings(path, user=0, item=1, threshold=4)
    with pytest.raises(ValueError, match="has no column for them; threshold=None takes every row"):
        read_ratings(write("user,item\n1,2\n"), threshold=4)


def test_dates_in_another_form(write):
    for date in ("01.03.2023", "03/01/2023 08:37", "1-3-2023", "1/3/23 8:00", "2023/3/1"):
        with pytest.raises(RatingsFileError, match=r"line 2: .*write dates as 2024-02-01.*to_datetime.*=False"):
            read_ratings(write(f"user;item;date\n1;2;{date}\n"))
