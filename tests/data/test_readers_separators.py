"""What separates the fields of a text file: the question where two signs may do so, and what the words give."""

import pytest
from rating_files import pairs, triples

from fastautorec.cli import main
from fastautorec.data import read_ratings
from fastautorec.exceptions import RatingsFileError

pytestmark = pytest.mark.usefixtures("reader")

DECIMALS = {
    "numbers": ("1 10 4,5\n2 10 3,0\n1 20 3,5\n", [(1, 10), (1, 20), (2, 10)]),
    "texts": ("ann tea 4,5\nbob tea 3,0\nann milk 3,5\n", [("ann", "milk"), ("ann", "tea"), ("bob", "tea")]),
    "one line": ("1 10 4,5\n", [(1, 10)]),
    "a time": ("1 10 4,5 881250949\n2 10 3,0 881250950\n", [(1, 10), (2, 10)]),
}


@pytest.mark.parametrize("case", DECIMALS)
def test_blanks_around_a_decimal_comma(case, write):
    text, expected = DECIMALS[case]
    path = write(text)
    with pytest.raises(
        RatingsFileError, match=r"what separates the fields is not clear: ',' leaves .* sep=' ' or sep="
    ):
        read_ratings(path)
    assert pairs(read_ratings(path, sep=" ")) == expected
    assert pairs(read_ratings(path, sep=" ", threshold=4)) == [expected[0] if case != "texts" else expected[1]]
    assert len(pairs(read_ratings(path, sep=","))) == text.count("\n")


@pytest.mark.parametrize("first", ["\t", ";", "|", ":", " "])
@pytest.mark.parametrize("body", [("1", "10,20,30", "2", "10,40,50"), ("1", "10,20", "2", "10,40,50", "3", "7")])
def test_lists_of_items_behind_another_separator(first, body, write):
    lines = [f"10{user}{first}{items}" for user, items in zip(body[::2], body[1::2], strict=True)]
    path = write("\n".join(lines) + "\n")
    with pytest.raises(
        RatingsFileError, match=r"what separates the fields is not clear: .*sep=.*blanks between them and say format='l"
    ):
        read_ratings(path)


def test_a_tab_within_the_second_of_three_fields(write):
    path = write("a;1\tx;1\nb;2\tx;1\na;1\ty;2\n")
    with pytest.raises(RatingsFileError, match=r"';' leaves '1\\tx' as the second field .* sep='\\t' or sep=';'"):
        read_ratings(path)
    assert pairs(read_ratings(path, sep="\t")) == [("a;1", "x;1"), ("a;1", "y;2"), ("b;2", "x;1")]


def test_lists_of_texts(write):
    for text in ("u1\ti1,i2\nu2\ti3\n", "ann;tea|milk\nbob;tea|salt|oil\n", "ann,tea;milk\nbob,tea;salt;oil\n"):
        with pytest.raises(RatingsFileError, match=r"what separates the fields is not clear: .* as the second field"):
            read_ratings(write(text))


CLEAR = {
    "titles with commas": "1\tAlien\n2\tThe Good, the Bad and the Ugly\n",
    "names with commas in each line": "1\tDoe, J.\n2\tRoe, R., Jr\n",
    "titles with blanks": "1,Toy Story\n2,Die Hard 2\n",
    "titles with numbers": "1,2 Fast 2 Furious\n2,12 Monkeys\n",
    "users with numbers": "user 1,10\nuser 2,20\n",
    "users of two words and a number": "big user 1,milk\nbig user 2,tea\n",
    "ISO times": "1,10,5,2024-01-01 10:00:00\n2,10,4,2024-01-02 11:30:00\n",
    "ISO times behind tabs": "1\t10\t5\t2024-01-01 10:00:00\n2\t10\t4\t2024-01-02 11:30:00\n",
    "decimal commas": "1;10;4,5\n2;10;3,0\n",
    "decimal commas behind tabs": "1\t10\t4,5\n2\t10\t3,0\n",
    "some addresses": "1,http://x.org/?a=1;b=2\n2,http://x.org/\n",
    "one code with a comma": "1\ta1\n2\tb2,c3\n3\td4\n",
    "quoted commas": '"Doe, J",tea\n"Roe, R",milk\n',
    "ids with their kind": "user:1,film:10\nuser:2,film:20\n",
}


@pytest.mark.parametrize("case", CLEAR)
def test_signs_that_are_part_of_a_field(case, write):
    assert read_ratings(write(CLEAR[case])).nnz == CLEAR[case].count("\n")


def test_a_header_tells_what_separates(write):
    assert triples(read_ratings(write("user item rating\n1 10 4,5\n2 10 3,0\n"), threshold=4)) == [(1, 10, None)]
    assert pairs(read_ratings(write("user,item\n1,a;b\n2,c;d\n"))) == [(1, "a;b"), (2, "c;d")]


def test_the_command_line_says_how(write, capsys):
    path = str(write("1 10 4,5\n2 10 3,0\n1 20 3,5\n"))
    assert main(["inspect", path]) == 2
    assert "--sep ' ' or --sep ','" in capsys.readouterr().err
    assert main(["inspect", path, "--sep", " "]) == 0
    assert "user 1, item 10" in capsys.readouterr().out
