"""Headings that tell little: sessions, titles, averages; the question, and the columns that answer it."""

import pytest
from rating_files import pairs

from fastautorec.cli import main
from fastautorec.data import read_ratings
from fastautorec.exceptions import RatingsFileError

pytestmark = pytest.mark.usefixtures("reader")

ASKED = {
    "session_id,besucher,product": ("user", "session_id", "besucher", "1,a,x\n1,a,y\n2,a,x\n3,b,x\n"),
    "device_id,lid,song_id": ("user", "device_id", "lid", "1,7,x\n2,8,y\n"),
    "sales_person,cust_id,product_id": ("user", "sales_person", "cust_id", "A,1,x\nA,1,y\nA,2,x\nB,3,y\n"),
    "account,customer_ref,article": ("user", "account", "customer_ref", "9,1,x\n9,1,y\n8,2,x\n"),
    "customer_id,stock,part_number": ("item", "stock", "part_number", "1,a40,B1\n1,a12,B2\n2,a40,B1\n"),
    "user_id,album,photo_id": ("item", "album", "photo_id", "1,a,B1\n1,a,B2\n2,b,B3\n"),
    "customer_id,title,thing": ("item", "title", "thing", "1,Toy,B1\n1,Die,B2\n2,Toy,B1\n"),
    "user_id,page,doc": ("item", "page", "doc", "1,Toy,B1\n1,Die,B2\n2,Toy,B1\n"),
    "customer_id,location,dish": ("item", "location", "dish", "1,Toy,B1\n1,Toy,B2\n2,Toy,B1\n"),
    "user_id,brand,modell": ("item", "brand", "modell", "1,Toy,B1\n1,Toy,B2\n2,Toy,B1\n"),
    "user_id,app,screen": ("item", "app", "screen", "1,Toy,B1\n1,Toy,B2\n2,Toy,B1\n"),
}


@pytest.mark.parametrize("header", ASKED)
def test_weak_words_beside_unknown_ones(header, write, capsys):
    role, weak, other, below = ASKED[header]
    path = write(f"{header}\n{below}")
    message = f"'{weak}' may be the {role}, or a property of what '{other}' holds; say which: {role}='{weak}' or "
    with pytest.raises(RatingsFileError, match=f"line 1: {message}{role}='{other}'"):
        read_ratings(path)
    rows = [dict(zip(header.split(","), line.split(","), strict=True)) for line in below.splitlines()]
    for name in (weak, other):
        column = read_ratings(path, **{role: name}).user_ids if role == "user" else None
        if column is not None:
            assert {str(value) for value in column.tolist()} == {row[name] for row in rows}
        else:
            assert set(read_ratings(path, item=name).item_ids.tolist()) == {row[name] for row in rows}
    assert main(["inspect", str(path)]) == 2
    assert f"--{role} '{weak}' or --{role} '{other}'" in capsys.readouterr().err


def test_weak_words_in_parquet(tmp_path):
    polars = pytest.importorskip("polars")
    path = tmp_path / "a.parquet"
    polars.DataFrame({"session_id": [1, 1], "besucher": ["a", "a"], "product": ["x", "y"]}).write_parquet(path)
    with pytest.raises(RatingsFileError, match=r"'session_id' may be the user, .* 'besucher' holds"):
        read_ratings(path)
    assert pairs(read_ratings(path, user="besucher")) == [("a", "x"), ("a", "y")]
    table = {"user": [1], "movie": [2], "movie_rating": [4.5], "__index_level_0__": [0]}
    polars.DataFrame(table).write_parquet(path)
    with pytest.raises(RatingsFileError, match=r"a\.parquet: 'movie_rating' may be what the user gave or the average"):
        read_ratings(path)
    table = {"session_id": [1], "item_id": [2], "category": ["x"], "price": [4.5], "__index_level_0__": [0]}
    polars.DataFrame(table).write_parquet(path)
    assert pairs(read_ratings(path)) == [(1, 2)]


LINES = "".join(f"{k % 7},{k},{k % 3}\n" for k in range(30))
PLAIN = {
    "alone": ("session_id,item_id\n", "1,2\n2,3\n"),
    "a category": ("Session ID,Timestamp,Item ID,Category\n", "1,2014-04-07T10:51:09.277Z,21,0\n"),
    "what differs within a session": ("session_id,item_id,spot\n", "1,2,30\n1,3,40\n2,2,9\n"),
    "kinds": ("session_id,item_id,kanaal\n", LINES),
    "a title and the user's name": ("customer_id,title,vorname\n", "1,Toy,Ann\n1,Die,Ann\n2,Toy,Bob\n"),
    "a title and properties": ("user_id,title,genre,year,country\n", "1,Toy,fun,1999,US\n1,Die,war,1989,UK\n"),
    "retail": (
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n",
        "536365,85123A,A HOLDER,6,2010-12-01 08:26:00,2.55,17850,UK\n"
        "536366,71053,LANTERN,6,2010-12-01 08:28:00,3.3,17850,UK\n",
    ),
    "a title beside an id": ("user_id,podcast_id,title\n", "1,2,x\n1,3,y\n"),
    "ids of places": ("user_id,venue_id,bezirk\n", "1,a,x\n1,b,y\n"),
}


@pytest.mark.parametrize("case", PLAIN)
def test_weak_words_with_nothing_beside_them(case, write):
    header, below = PLAIN[case]
    data = read_ratings(write(header + below))
    assert data.nnz == below.count("\n")
    assert "(by name)" in data.describe().lines()[0]


def test_two_ids_of_one_noun(write):
    path = write("customer_id,customer_unique_id,product_id\na,X,1\nb,X,2\n")
    with pytest.raises(RatingsFileError, match="'customer_id' and 'customer_unique_id' may each be the user"):
        read_ratings(path)
    assert pairs(read_ratings(path, user="customer_unique_id")) == [("X", 1), ("X", 2)]
    ga = read_ratings(write("session_id,user_pseudo_id,item_id\ns1,A,p1\ns2,A,p2\n"))
    assert pairs(ga) == [("A", "p1"), ("A", "p2")]


LANGUAGES = (
    *("utente,articolo", "usuario,pelicula", "klant,product", "Kunde,Vare", "Kundenummer;Varenummer", "用户ID,商品ID"),
    *("cliente,livro", "cod_cliente,cod_produto", "steamid,appid", "user_pseudo_id,item_id", "msno,song_id"),
)


@pytest.mark.parametrize("header", LANGUAGES)
def test_headings_of_other_languages(header, write):
    sign = ";" if ";" in header else ","
    assert pairs(read_ratings(write(f"x{sign}{header}\n1{sign}2{sign}3\n"))) == [(2, 3)]


def test_ratings_that_may_be_averages(write, capsys):
    path = write("user_id,movie_id,movie_rating\n1,2,4.1\n2,2,4.1\n1,3,3.9\n")
    for command in ("movie_rating", "Book-Rating"):
        same = write(path.read_text().replace("movie_rating", command), "same.csv")
        with pytest.raises(RatingsFileError, match=f"'{command}' may be what the user gave or the average of the item"):
            read_ratings(same)
    assert pairs(read_ratings(path, rating="movie_rating", threshold=4)) == [(1, 2), (2, 2)]
    assert pairs(read_ratings(path, rating=False)) == [(1, 2), (1, 3), (2, 2)]
    assert main(["inspect", str(path)]) == 2
    assert "--rating 'movie_rating' or --no-rating" in capsys.readouterr().err
    varied = write("user_id,movie_id,movie_rating\n1,2,4\n2,2,5\n1,3,3\n")
    assert pairs(read_ratings(varied, threshold=4)) == [(1, 2), (2, 2)]


COUNTED = ("0,1\nann,tea\nbob,milk\n", "0,1\nann,5\nbob,6\n", "0,1\n5,tea\n6,milk\n", "0\t1\nann\ttea\n")


@pytest.mark.parametrize("text", COUNTED)
def test_numbers_of_columns_above_texts(text, write):
    path = write(text)
    with pytest.raises(RatingsFileError, match="line 1: counts '0, 1', as data-frame libraries head columns"):
        read_ratings(path)
    assert read_ratings(path, user=0, item=1, header=True).nnz == text.count("\n") - 1
    assert read_ratings(path, header=False).nnz == text.count("\n")


def test_the_pair_of_0_and_1(write):
    assert pairs(read_ratings(write("0,1\n0,2\n1,1\n"))) == [(0, 1), (0, 2), (1, 1)]
    assert pairs(read_ratings(write("0,1,4\n1,2,5\n"))) == [(0, 1), (1, 2)]


def test_an_index_in_front_of_numbered_columns(write):
    path = write(",0,1\n0,ann,tea\n1,bob,milk\n")
    with pytest.raises(RatingsFileError, match=r"read_ratings\(path, user='0', item='1'\)"):
        read_ratings(path)
    assert pairs(read_ratings(path, user="0", item="1")) == [("ann", "tea"), ("bob", "milk")]
