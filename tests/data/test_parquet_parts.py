"""Parquet in parts: names of files and folders, columns that contradict them, integers of several types."""

import numpy as np
import pytest
from rating_files import pairs

from fastautorec.data import read_ratings
from fastautorec.exceptions import RatingsFileError

pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
pytestmark = pytest.mark.usefixtures("reader")


@pytest.fixture
def save(tmp_path):
    from pyarrow.parquet import write_table

    def save_table(columns, name):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_table(columns if isinstance(columns, pyarrow.Table) else pyarrow.table(columns), path)
        return path

    return save_table


def test_parts_with_other_endings(save, tmp_path):
    for number, ending in enumerate(("parquet", "PARQUET", "parq", "Pq")):
        save({"user": [number], "item": [5]}, f"all/part-{number}.{ending}")
    (tmp_path / "all/notes.txt").write_text("no part")
    assert pairs(read_ratings(tmp_path / "all")) == [(0, 5), (1, 5), (2, 5), (3, 5)]


@pytest.mark.parametrize("ending", ["PARQUET", "parq", "pq"])
@pytest.mark.parametrize("words", [{}, {"format": "parquet"}])
def test_a_folder_of_one_other_ending(ending, words, save, tmp_path):
    save({"user": [3], "item": [5]}, f"one/year=2024/part.{ending}")
    assert pairs(read_ratings(tmp_path / "one", **words)) == [(3, 5)]


def test_parts_that_do_not_count(save, tmp_path):
    save({"user": [3], "item": [5]}, "one/_temporary/part.parquet")
    with pytest.raises(FileNotFoundError, match="has none that counts"):
        read_ratings(tmp_path / "one", format="parquet")


def test_parts_with_columns_in_another_order(save, tmp_path):
    save({"user": [1, 2], "item": [10, 20], "rating": [4, 5]}, "o/a=1/b=2/part-0.parquet")
    save({"rating": [1, 5], "item": [30, 10], "user": [3, 4]}, "o/b=2/a=1/part-1.parquet")
    expected = [(1, 10), (2, 20), (4, 10)]
    assert pairs(read_ratings(tmp_path / "o", threshold=4)) == expected
    assert pairs(read_ratings(tmp_path / "o", user=0, item="item", rating=2, threshold=4)) == expected
    save({"rating": [1], "item": [3], "client": [3]}, "o/a=1/b=2/part-9.parquet")
    with pytest.raises(
        RatingsFileError, match=r"part-9.parquet: has other columns than part-0.parquet: rating, item, client"
    ):
        read_ratings(tmp_path / "o")


def test_folders_that_contradict_a_column(save, tmp_path):
    save({"user": [9, 9], "item": [1, 2]}, "good/user=9/part.parquet")
    assert pairs(read_ratings(tmp_path / "good")) == [(9, 1), (9, 2)]
    save({"user": [9, 7], "item": [1, 2]}, "bad/user=9/part.parquet")
    with pytest.raises(RatingsFileError, match="the folder says user=9, but its column 'user' holds 7"):
        read_ratings(tmp_path / "bad")


def test_columns_that_are_named_alike(save):
    arrays = [pyarrow.array([k]) for k in range(4)]
    for names in (["user", "item", "item", "x"], ["user", "item", "x", "x"]):
        path = save(pyarrow.table(arrays, names=names), "twice.parquet")
        with pytest.raises(
            RatingsFileError, match=r"twice\.parquet: several of its columns have the same name; rename"
        ):
            read_ratings(path)


@pytest.mark.parametrize("role", ["user", "item", "timestamp"])
def test_parts_of_signed_and_unsigned_integers_are_exact(save, tmp_path, role):
    for number, kind in enumerate((np.int64, np.uint64)):
        table = {name: np.array([number], np.int64) for name in ("user", "item", "timestamp")}
        save(table | {role: np.array([2**53 + 1 + number], kind)}, f"all/part-{number}.parquet")
    data = read_ratings(tmp_path / "all")
    found = {"user": data.user_ids, "item": data.item_ids, "timestamp": data.timestamps}[role]
    assert found.tolist() == [2**53 + 1, 2**53 + 2]


def test_parts_of_integers_beyond_64_bits(save, tmp_path):
    save({"user": np.array([1]), "item": [1]}, "all/part-0.parquet")
    save({"user": np.array([2**63 + 5], np.uint64), "item": [1]}, "all/part-1.parquet")
    with pytest.raises(RatingsFileError, match=f"got {2**63 + 5} in row 1"):
        read_ratings(tmp_path / "all")
