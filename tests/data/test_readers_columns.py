"""Roles of columns: by the caller's words, by name, by position; and refusals of what is not clear."""

import numpy as np
import pytest
from lanes import keeping
from rating_files import pairs, triples

import fastautorec as far
from fastautorec.data import read_ratings
from fastautorec.exceptions import RatingsFileError

pytestmark = pytest.mark.usefixtures("reader")


BY_NAME = {
    "swapped": ("movieId,viewer,rating\n10,1,4\n10,2,5\n20,1,3\n", [(1, 10), (1, 20), (2, 10)]),
    "an index column": (",user_id,content_id,rating\n0,5,77,4\n1,5,78,3\n2,6,77,1\n", [(5, 77), (5, 78), (6, 77)]),
    "rating first": ("rating,user_id,content\n3,5,77\n4,6,78\n", [(5, 77), (6, 78)]),
    "typed, blanks": ("item_id:token user_id:token rating:float\n1 2 3\n1 3 4\n", [(2, 1), (3, 1)]),
    "typed, tab": ("item_id:token\tuser_id:token\trating:float\n1\t2\t3\n1\t3\t4\n", [(2, 1), (3, 1)]),
    "title first": ("title,user_id\nabc,x\ndef,y\n", [("x", "abc"), ("y", "def")]),
    "texts": ("user_id,sku\nc1,a\nc1,b\nc2,a\n", [("c1", "a"), ("c1", "b"), ("c2", "a")]),
    "sequences beside": (
        "user_id:token\titem_id_list:token_seq\titem_id:token\n1\t10 11 12\t13\n2\t11 12\t9\n",
        [(1, 13), (2, 9)],
    ),
    "exact before like": ("userId,movieId,title,user_name\n1,2,x,y\n", [(1, 2)]),
    "quoted, Windows": ('\ufeff"User-ID";"ISBN"\r\n"1";"2"\r\n', [(1, 2)]),
    "after blank lines": ("\n \n,\nuser,item\n1,2\n", [(1, 2)]),
}


@pytest.mark.parametrize("case", BY_NAME)
def test_columns_by_name(case, write):
    text, expected = BY_NAME[case]
    data = read_ratings(write(text))
    assert pairs(data) == expected
    assert "(by name)" in data.describe().lines()[0]


def test_times_by_name_are_no_ratings(write):
    text = "user_id:token\titem_id:token\ttimestamp:float\n1\t10\t97000\n2\t11\t97001\n"
    assert triples(read_ratings(write(text))) == [(1, 10, 97000), (2, 11, 97001)]
    with pytest.raises(ValueError, match="`threshold` needs ratings"):
        read_ratings(write(text), threshold=3)
    text = "sku,customer,quantity,bought_at\nB1,ann,2,1970-01-01\nB2,ann,1,1970-01-02\n"
    assert triples(read_ratings(write(text))) == [("ann", "B1", 0.0), ("ann", "B2", 86400.0)]
    text = "bought_at,customer,sku\n1970-01-01,ann,B1\n1970-01-02,ann,B2\n"
    assert triples(read_ratings(write(text))) == [("ann", "B1", 0.0), ("ann", "B2", 86400.0)]


PLAIN_ENOUGH = {
    "an id beside a word": ("item_id,sku,user_id,customer\n1,2,3,4\n", (3, 1)),
    "a title beside": ("userId,movieId,title\n1,2,Up\n", (1, 2)),
    "a page beside": ("user_id,product,url\n1,2,x\n", (1, 2)),
    "a session beside": ("session,user,item\n7,1,2\n", (1, 2)),
    "an address beside": ("customer_id,email,product\n1,a@b,2\n", (1, 2)),
    "the same thing named": ("customer,customer_id,product,product_id\nAnn,1,Tea,2\n", (1, 2)),
    "German": ("Bestellnr;Kundennummer;Artikelnummer;Menge\n9;1;2;3\n", (1, 2)),
    "more German": ("Matrikelnummer;ArtNr\n1;2\n", (1, 2)),
    "Italian": ("utente;prodotto\n1;2\n", (1, 2)),
    "Spanish": ("fecha;cliente_id;producto\n2024-01-01;1;2\n", (1, 2)),
    "French": ("utilisateur;produit\n1;2\n", (1, 2)),
    "accounts": ("username,listing_id\n1,2\n", (1, 2)),
    "isbn13": ("login,isbn13\n1,2\n", (1, 2)),
}


@pytest.mark.parametrize("case", PLAIN_ENOUGH)
def test_names_that_are_plain_enough(case, write):
    text, expected = PLAIN_ENOUGH[case]
    assert pairs(read_ratings(write(text))) == [expected]


SEVERAL = {
    "user,customer_id,product": "'user' and 'customer_id' may each be the user; say which: user='user' or user='cust",
    "customer_id,item,sku": "'item' and 'sku' may each be the item; say which: item='item' or item='sku'",
    "user_id,isbn,sku": "'isbn' and 'sku' may each be the item",
    "user_id,artist,track": "'artist' and 'track' may each be the item",
    "user_id,title,url": "'title' and 'url' may each be the item",
    "user_id,isbn10,isbn13": "'isbn10' and 'isbn13' may each be the item",
    "order_id,item_id,x": "no columns named user and item .only item: item_id., .*user=COLUMN, item='item_id'",
}


@pytest.mark.parametrize("header", SEVERAL)
def test_two_columns_for_one_role(header, write):
    with pytest.raises(RatingsFileError, match=SEVERAL[header]):
        read_ratings(write(f"{header}\n1,2,3\n"))


TIMES = (
    *("fecha", "Datum", "dt", "when", "date_created", "timestamp_ms", "time_utc", "t_dat", "date_achat"),
    *("purchased_at", "bought_at", "created", "event_time", "created_at", "InvoiceDate", "Order Date", "review_date"),
)
PROPERTIES = (
    *("release_date", "signup_date", "birth_date", "expiry_date", "updated_at", "published", "published_at"),
    *("time_on_page", "born_at", "DateOfBirth", "runtime"),
)


@pytest.mark.parametrize("name", TIMES + PROPERTIES)
def test_names_of_times(name, write):
    data = read_ratings(write(f"user,item,{name}\n1,2,1970-01-02\n"))
    assert triples(data) == [(1, 2, 86400 if name in TIMES else None)]


RATED = ("rating", "Ratings", "score", "stars", "Book-Rating", "overall", "review_overall", "Bewertung", "rating:float")
NOT_RATED = (
    *("average_rating", "avg_rating", "num_ratings", "rating_count", "predicted_rating", "risk_score"),
    *("credit_score", "sentiment_score", "age_rating"),
)


@pytest.mark.parametrize("name", RATED + NOT_RATED)
def test_names_of_ratings(name, write):
    path = write(f"user,item,{name}\n1,2,3\n1,3,5\n")
    if name in RATED:
        assert pairs(read_ratings(path, threshold=4)) == [(1, 3)]
        return
    assert read_ratings(path).nnz == 2
    with pytest.raises(ValueError, match="`threshold` needs ratings"):
        read_ratings(path, threshold=4)


HEADERS = (
    *("sku,client", "client,sku", "buyer,product_id", "account,article_no", "user_name,item_name"),
    *("CustomerID,StockCode", "user,sku", "member_id,item_id", "device_id,app_id", "session,item", "playlist,track"),
    *("kunde,artikel", "KundenNr,ArtikelNr", "reader,book_title", "visitor id,page url"),
)


@pytest.mark.parametrize("header", HEADERS)
def test_no_header_is_taken_for_data(header, write):
    data = read_ratings(write(f"{header}\nB1,ann\nB2,ann\nB1,bob\n"))
    expected = [("B1", "ann"), ("B1", "bob"), ("B2", "ann")]
    if header == "sku,client":
        expected = [("ann", "B1"), ("ann", "B2"), ("bob", "B1")]
    assert pairs(data) == expected


UNCLEAR = {
    "half named": (
        ",usr_id,code_id,amt_trx\n0,5,77,4\n1,5,78,3\n",
        r"only user: usr_id\), got '', usr_id, code_id, amt_trx; .*read_ratings\(path, user='usr_id', item=COLUMN\)",
    ),
    "a basket": (
        "order_id,product_id,add_to_cart_order,reordered\n1,2,1,0\n1,3,2,1\n",
        r"only item: product_id\).*read_ratings\(path, user=COLUMN, item='product_id'\)",
    ),
    "names without a role": ("foo,bar,rating\n1,2,3\n", r"got foo, bar, rating; .*user=COLUMN, item=COLUMN"),
    "single letters": ("u,i\n1,2\n", r"got u, i; say which they are.*header=False"),
    "one role, texts": ("ann,book\nbob,pen\n", r"only item: book.*header=False if the first line is no header"),
    "a list": ("user_id:token\titem_id_list:token_seq\n1\t10 11\n2\t11\n", "'item_id_list:token_seq' holds a list"),
    "two items": ("user,movie,book\n1,2,3\n", "'movie' and 'book' may each be the item; say which.*item='movie'"),
    "two times": ("user,item,created_at,purchased_at\n1,2,3,4\n", "may each be the timestamp.*or timestamp=False"),
    "times in third place": ("ann,tea,1700000000\nbob,milk,1700000001\n", "column 2 holds what looks like times"),
    "dates in third place": ("ann,tea,2024-01-01\nbob,milk,2024-01-02\n", "column 2 holds what looks like times"),
    "an index": (
        "0,5,77,4\n1,5,78,3\n2,6,77,1\n3,6,78,2\n4,7,77,5\n",
        r"column 0 counts the lines.*user=COLUMN, item=COLUMN",
    ),
    "five columns": (
        "u1,1,2,3,4\nu2,3,4,5,6\n",
        r"has 5 fields and no header.*read_ratings\(path, user=COLUMN, item=COLUMN\)",
    ),
}


@pytest.mark.parametrize("case", UNCLEAR)
def test_unclear_columns_are_refused_with_the_words_to_say(case, write):
    text, message = UNCLEAR[case]
    with pytest.raises(RatingsFileError, match=rf"ratings\.txt, line 1: .*{message}"):
        read_ratings(write(text))


def test_the_words_of_the_messages_work(write):
    path = write("order_id,product_id,add_to_cart_order,reordered\n1,2,1,0\n1,3,2,1\n")
    assert triples(read_ratings(path, user="order_id", item="product_id")) == [(1, 2, None), (1, 3, None)]
    assert pairs(read_ratings(write("ann,book\nbob,pen\n"), header=False)) == [("ann", "book"), ("bob", "pen")]
    path = write("ann,tea,1700000000\nbob,milk,1700000001\n")
    assert triples(read_ratings(path, user=0, item=1, timestamp=2)) == [
        ("ann", "tea", 1700000000),
        ("bob", "milk", 1700000001),
    ]
    path = write("user,item,created_at,updated_at\n1,2,3,4\n")
    assert triples(read_ratings(path, timestamp="updated_at")) == [(1, 2, 4)]
    assert triples(read_ratings(path, timestamp=False)) == [(1, 2, None)]
    assert pairs(read_ratings(write("u1,1,2,3,4\nu2,3,4,5,6\n"), user=4, item=0)) == [(4, "u1"), (6, "u2")]
    path = write("user_id:token\tseq:token_seq\titem:token\n1\t2 3\t4\n")
    assert pairs(read_ratings(path, user="user_id", item="item")) == [(1, 4)]
    with pytest.raises(RatingsFileError, match="`item` cannot be 'seq:token_seq', which holds a list"):
        read_ratings(path, user="user_id", item="seq")


def test_a_word_for_one_role_leaves_the_others_to_be_found(write):
    for text, message in (
        ("u1,1,2,3,4\nu2,3,4,5,6\n", "has 5 fields and no header"),
        ("".join(f"{i},{i % 3},7,1\n" for i in range(9)), "column 0 counts the lines"),
    ):
        with pytest.raises(RatingsFileError, match=message):
            read_ratings(write(text), rating=False)
    path = write("ann,tea,1700000000\nbob,milk,1700000001\n")
    data = read_ratings(path, timestamp=2)
    assert pairs(data) == [("ann", "tea"), ("bob", "milk")]
    assert data.timestamps.tolist() == [1700000000, 1700000001]
    assert (
        data.describe()
        .lines()[0]
        .endswith("column 0 → user (by position), column 1 → item (by position), column 2 → timestamp (given)")
    )


def test_a_word_that_takes_the_place_of_user_or_item(write):
    path = write("2024-04-01,7,31\n2024-04-02,8,31\n")
    for words, missing in (
        ({"timestamp": 0}, "`user`"),
        ({"timestamp": 1}, "`item`"),
        ({"timestamp": 0, "rating": 1}, "`user` and `item`"),
        ({"timestamp": 0, "user": 1}, "`item`"),
    ):
        with pytest.raises(RatingsFileError, match=f"no header, so {missing} must be given too, as a position from 0"):
            read_ratings(path, **words)
    assert triples(read_ratings(path, timestamp=0, user=1, item=2))[0] == (7, 31, 1711929600)


def test_words_are_taken_as_they_are(write, capsys):
    path = write("client,sku,quantity,user\nann,B1,3,x\nbob,B2,4,y\n")
    data = read_ratings(path, user="client", item="sku", rating="quantity", threshold=4)
    assert pairs(data) == [("bob", "B2")]
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith("4 columns: client → user, sku → item, quantity → rating (given); ignored: user")
    assert second == "1 users, 1 items, 1 interactions; 1 rows left out for ratings below 4"
    read_ratings(path, item="sku", user="client", verbose=False)
    assert capsys.readouterr().err == ""
    read_ratings(write("client,sku,quantity\nann,B1,3\n"), item="sku")
    assert "client → user (by name), sku → item (given)" in capsys.readouterr().err


def test_a_first_line_with_a_number_is_data(write):
    assert pairs(read_ratings(write("u1,5\n2,7\n"))) == [("2", 7), ("u1", 5)]
    assert pairs(read_ratings(write("x,1_0\ny,b\n"))) == [("x", "1_0"), ("y", "b")]
    with pytest.raises(RatingsFileError, match="line 1: must have a finite number as its rating"):
        read_ratings(write("u1,i1,1_0\nu2,i2,3\n"))


def test_two_headed_files_in_one(write):
    for form in ("user,item\na,x\nb,y\nuser,item\nc,z\n", "user,item,rating\n1,2,3\nuser,item,rating\n4,5,6\n"):
        with pytest.raises(RatingsFileError, match=r"line [34]: repeats the header, got 'user,item"):
            read_ratings(write(form))
    late = "user,item\n" + "ann,tea\n" * 20_000 + "user,item\n"
    with pytest.raises(RatingsFileError, match="line 20002: repeats the header"):
        read_ratings(write(late))


def test_wrong_words(write):
    path = write("user,item,x\n1,2,3\n")
    for words, error, message in (
        ({"user": "name"}, ValueError, "`user` must name a column of the file, got 'name'; it has user, item, x"),
        ({"item": 3}, ValueError, "`item` must be a position from 0 to 2, got 3"),
        ({"item": -1}, ValueError, "`item` must be a position from 0 to 2, got -1"),
        ({"user": "x", "item": 2}, ValueError, "`user` and `item` must name different columns"),
        ({"user": True}, TypeError, "`user` must be the name or the position of a column, got True"),
        ({"rating": 1.5}, TypeError, "`rating` must be .*, or False for none, got 1.5"),
        ({"user": "user", "header": False}, ValueError, "`user` must name a column of the file.*it has no header"),
        ({"user": 0, "header": False}, RatingsFileError, "no header, so `item` must be given too"),
        ({"sep": ""}, ValueError, "`sep` must be what stands between fields"),
        ({"sep": "a"}, ValueError, "`sep` must be what stands between fields"),
        ({"sep": 1}, TypeError, "`sep` must be a string"),
        ({"sep": ";"}, RatingsFileError, "line 1: no ';' in it, got 'user,item,x'"),
        ({"header": 1}, TypeError, "`header` must be True, False or None"),
        ({"verbose": 1}, TypeError, "verbose"),
    ):
        with pytest.raises(error, match=message):
            read_ratings(path, **words)
    with pytest.raises(ValueError, match="must name a column name that occurs once, got 'a'"):
        read_ratings(write("a,a,b\n1,2,3\n"), user="a", item="b")


def test_ready_made_parts_have_one_numbering(write):
    train = read_ratings(write("a,p\na,q\nb,q\nb,r\nc,p\nc,r\n", "train.csv"))
    test = read_ratings(write("a,r\nb,p\nd,s\n", "test.csv"), items=train.item_ids, header=False)
    assert test.item_ids.tolist() == train.item_ids.tolist() == ["p", "q", "r"]
    assert pairs(test) == [("a", "r"), ("b", "p")]
    assert test.describe().lines()[1].endswith("; 1 rows left out for items that `items` does not name")
    train = read_ratings(write("1,10\n2,20\n", "train.csv"))
    assert pairs(read_ratings(write("3,20\n", "test.csv"), items=train.item_ids)) == [(3, 20)]
    texts = r"the ids of the file are integers, such as 20, and those of `items` texts, such as '010'"
    for items, message in (
        (["010", "020"], f"`items` names none of the items of .*test.csv: {texts}"),
        ([7, 8], "`items` names none of .*: those of the file are such as 20, those of `items` such as 7"),
        ([], "`items` names none of .*: it is empty"),
    ):
        with pytest.raises(ValueError, match=message):
            read_ratings(write("3,20\n", "test.csv"), items=items)
    with pytest.raises(ValueError, match="distinct"):
        read_ratings(write("3,20\n", "test.csv"), items=[20, 20])


def test_leading_zeros_meet_a_model_fitted_on_them(write):
    fit = read_ratings(write("user,isbn\n1,0195153448\n1,080410526X\n2,0195153448\n"))
    new = read_ratings(write("user,isbn\n9,0195153448\n", "new.csv"))
    assert new.with_items(fit.item_ids).nnz == 1
    model = far.Popularity().fit(fit)
    assert fit.item_ids[model.recommend(new.with_items(fit.item_ids), N=1)[0]].tolist() == [["080410526X"]]


IDS = {
    "leading zeros": (["007", "7", "12"], False),
    "minus zero": (["-0", "0"], False),
    "plus": (["+4", "4"], False),
    "underscore": (["1_0", "10"], False),
    "other digits": (["3", "٣"], False),
    "decimal point": (["1.0", "1"], False),
    "beyond 64 bits": (["9223372036854775808", "1"], False),
    "19 digits": (["9148955329465708066", "9223372036854775807", "-9223372036854775808"], True),
    "negative": (["-1", "0", "5"], True),
}


@pytest.mark.parametrize("case", IDS)
@pytest.mark.parametrize("header", ["user,item\n", ""])
@pytest.mark.parametrize("late", keeping([False], [False, True]))
@pytest.mark.filterwarnings("ignore:.*ids are texts such as '1.0'")  # that is told, in another test
def test_an_integer_prints_as_it_was_written(case, header, late, write):
    texts, integers = IDS[case]
    body = "1,1\n" * 30_000 * late + "".join(f"{text},{text}\n" for text in texts)
    data = read_ratings(write(header + body))
    distinct = set(texts) | ({"1"} if late else set())
    expected = sorted(map(int, distinct)) if integers else sorted(distinct)
    assert data.user_ids.tolist() == data.item_ids.tolist() == expected
    assert data.user_ids.dtype == np.int64 or not integers


@pytest.mark.parametrize("gap", ["NULL", "nan", "None", "\\N"])
@pytest.mark.parametrize("late", [False, True])
def test_no_value_among_integers_is_refused(gap, late, write):
    text = "user,item\n1,2\n" + "3,4\n" * 20_000 * late + f"{gap},7\n5,6\n"
    with pytest.raises(RatingsFileError, match=r"the user ids are integers but for .*, which may stand for no user"):
        read_ratings(write(text))
    with pytest.warns(UserWarning, match=f"first in line {text.count(chr(10)) - 1}\\) may stand for no user"):
        data = read_ratings(write(text.replace("5,6", "ann,6")))
    assert {gap, "ann"} < set(data.user_ids.tolist())
    with pytest.warns(UserWarning, match="1 of 1 rows, first in line 2"):
        assert pairs(read_ratings(write(f"user,item\n{gap},2\n"))) == [(gap, 2)]


def test_a_user_for_each_line_is_no_index(write):
    assert read_ratings(write("".join(f"{i},{i + 7},1\n" for i in range(9)))).shape == (9, 9)
    assert read_ratings(write("".join(f"{i},{i % 3}\n" for i in range(9)))).shape == (9, 3)
    indexed = write("".join(f"{i},{i % 3},5\n" for i in range(9)))
    assert pairs(read_ratings(indexed, user=0, item=1, rating=2))[:2] == [(0, 0), (1, 1)]


def test_nanoseconds_stay_exact(write):
    text = "user,item,time\na,x,1700000000000000100\na,y,1700000000000000200\na,z,1700000000000000050\n"
    data = read_ratings(write(text))
    assert data.timestamps.dtype == np.int64
    assert data.timestamps.tolist() == [1700000000000000100, 1700000000000000200, 1700000000000000050]


def test_columns_that_cannot_be_read_can_be_left_out(write):
    path = write("Datum;Kunde;Artikel;Menge;score\n02.01.2024;C1;P1;2;good\n03.01.2024;C2;P1;1;bad\n")
    with pytest.raises(RatingsFileError, match=r"line 2: must have a finite number .*, or leave .* with rating=False"):
        read_ratings(path)
    with pytest.raises(RatingsFileError, match=r"line 2: must have a number or .*, or leave .* with timestamp=False"):
        read_ratings(path, rating=False)
    assert triples(read_ratings(path, rating=False, timestamp=False)) == [("C1", "P1", None), ("C2", "P1", None)]


@pytest.mark.parametrize("text", ["inf", "1_0", "٣", "x", "2024-13-01"])
def test_what_is_no_time(text, write):
    with pytest.raises(RatingsFileError, match="line 3: must have a number or an ISO 8601 date as its time"):
        read_ratings(write(f"user,item,time\na,x,5\na,y,{text}\n"))
