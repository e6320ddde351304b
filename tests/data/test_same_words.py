"""The two readers of text files agree where polars alone would take what the other refuses."""

import pytest

from fastautorec.data import _files as files
from fastautorec.data import read_ratings
from fastautorec.exceptions import RatingsFileError

pytestmark = pytest.mark.usefixtures("reader")


def test_a_decimal_point_in_a_later_block(write, monkeypatch):
    monkeypatch.setattr(files, "BLOCK", 20)
    lines = "".join(f"{user};10;4,5\n" for user in range(9))
    with pytest.raises(RatingsFileError, match=r"line 10: has a decimal point in '3\.5' where other ratings have a"):
        read_ratings(write(lines + "10;10;3.5\n" * 5))
    assert read_ratings(write(lines + "11;10;3\n" * 5), threshold=4.5).shape == (9, 1)


@pytest.mark.parametrize("date", ["-005-01-01", "02024-1-01", "2024-1-001", "2024/01/01"])
def test_dates_of_netflix(write, date):
    with pytest.raises(RatingsFileError, match="line 3: must have an ISO 8601 date as its time"):
        read_ratings(write(f"1:\n5,3,2005-01-01\n6,3,{date}\n", "mv_0000001.txt"))


def test_ratings_of_netflix_are_compared_in_their_type(write):
    path = write("1:\n5,3.3,2005-01-01\n6,3.2,2005-01-01\n", "mv_0000001.txt")
    assert read_ratings(path, threshold=3.3).user_ids.tolist() == [5]
