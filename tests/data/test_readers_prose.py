"""Quoted texts of several lines, as reviews are: which come in, and which look like a stray quotation mark."""

import pytest
from rating_files import pairs

from fastautorec.cli import main
from fastautorec.data import read_ratings
from fastautorec.exceptions import RatingsFileError

pytestmark = pytest.mark.usefixtures("reader")


def test_prose_with_as_many_commas_as_a_row(write):
    text = 'user_id,item_id,text\n1,10,"good"\n2,10,"x\na, b, c"\n3,11,"one, two\nthree, four, five\n\nsix"\n'
    assert pairs(read_ratings(write(text))) == [(1, 10), (2, 10), (3, 11)]
    first = 'text,user_id,item_id\n"x\na, b, c",1,2\n"fine",3,4\n'
    assert pairs(read_ratings(write(first))) == [(1, 2), (3, 4)]


def test_lists_without_blanks_need_a_word(write, capsys):
    path = write('user_id,item_id,text\n1,10,"good\na,b,c"\n2,10,fine\n')
    message = "line 2: begins a quoted field that goes on into what looks like another row.*, or say sep=',' if it is"
    with pytest.raises(RatingsFileError, match=message):
        read_ratings(path)
    assert pairs(read_ratings(path, sep=",")) == [(1, 10), (2, 10)]
    assert main(["inspect", str(path)]) == 2
    assert "--sep ','" in capsys.readouterr().err
    assert main(["inspect", str(path), "--sep", ","]) == 0


STRAY = {
    "never closed": '1,10,"good\n2,10,bad\n3,11,fine\n',
    "closed within a field": '1,10,"good\n2,10,a "bad" one\n3,11,fine\n',
    "closed in an earlier field": '1,10,"good\n2,"10",bad\n3,11,fine\n',
    "closed far below": '1,10,"good\n' + "2,10,bad\n" * 200 + '3,11,fine"\n',
}


@pytest.mark.parametrize("sep", [None, ","])
@pytest.mark.parametrize("case", STRAY)
def test_stray_marks_are_faults_whatever_is_said(case, sep, write):
    with pytest.raises(
        RatingsFileError, match=r"line 2: (begins a quoted field that|has text behind the quot|must have)"
    ):
        read_ratings(write("user_id,item_id,text\n" + STRAY[case]), sep=sep)


def test_a_row_with_blanks_behind_commas_is_no_prose(write):
    with pytest.raises(RatingsFileError, match="goes on into what looks like another row"):
        read_ratings(write('user, item, text\n1, 10, "good\n2, 10, bad"\n3, 11, x\n'))


def test_a_sample_that_ends_within_a_text(write):
    review = '"' + "\n".join(f"line {k} of a long story" for k in range(700)) + '"'
    text = f"user_id,item_id,text\n1,10,{review}\n2,10,{review}\n"
    assert pairs(read_ratings(write(text))) == [(1, 10), (2, 10)]


def test_arguments_of_others_are_no_flags(write, capsys):
    path = write("user,item,time\n1,2,31.12.2024\n")
    assert main(["inspect", str(path)]) == 2
    told = capsys.readouterr().err
    assert "pandas.to_datetime(column, format=...)" in told
    assert "--file-format" not in told
    assert main(["inspect", str(write("acheteur,livre\nann,tea\nbob,milk\n"))]) == 2
    assert "--no-header or --user 'acheteur' --item 'livre'" in capsys.readouterr().err
