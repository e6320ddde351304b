"""Rows and columns in another order: ids far apart, all at once, what leaves nothing, times of another unit."""

import re
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from fastautorec import Interactions
from fastautorec._compute.csr import Csr
from fastautorec.data import _rearranging as rearranging
from fastautorec.data._identity import places

M, N = 40, 17


@pytest.mark.parametrize("stored", [False, True])
def test_ids_that_leave_nothing(stored, tmp_path):
    data = Interactions(sparse.csr_matrix([[1, 0, 0], [1, 1, 0]]), ["ann", "bob"], ["1", "02", "x"])
    if stored:
        data.to_disk(tmp_path / "data")
        data = Interactions.open(tmp_path / "data")
    for ask, ids, told in (
        (
            data.with_items,
            [2, 3],
            "the ids of these data are texts, such as '1', and those of `item_ids` integers, such as 2",
        ),
        (data.with_items, ["y"], "those of these data are such as '1', those of `item_ids` such as 'y'"),
        (data.with_items, ["x", "y"], "of its 3 items, 1 are among `item_ids`, but nothing belongs to them"),
        (data.with_users, ["Ann", "Bob"], "those of these data are such as 'ann', those of `user_ids` such as 'Ann'"),
    ):
        message = f"{ask.__name__} has left none of 3 interactions: {told}"
        with pytest.warns(UserWarning, match=re.escape(message)) as warned:
            assert ask(ids).nnz == 0
        assert [Path(warning.filename).name for warning in warned] == ["test_renumbering.py"]
    with pytest.warns(
        UserWarning, match=r"with_items has left out \d of \d interactions: of the 3 items .* are not in `item_ids"
    ):
        assert data.with_items([1]).nnz == 2
    nothing = Interactions(sparse.csr_matrix((2, 3)), ["ann", "bob"], ["1", "02", "x"])
    assert nothing.with_items(["y"]).nnz == 0


@pytest.mark.parametrize("far_apart", [[], [2**63 - 1], [-(2**63), 2**63 - 1]])
def test_places_of_integers_far_apart(far_apart):
    among = np.array([*far_apart, 5, -7, 40, 3])
    ids = np.array([40, -(2**63), 2**63 - 1, 4, 5, -8, 41, -7])
    known = among.tolist()
    assert places(ids, among).tolist() == [known.index(value) if value in known else -1 for value in ids.tolist()]


@pytest.mark.parametrize("times", [False, True])
@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("block", [7, None])
def test_rows_and_columns_at_once(wide, times, block, monkeypatch):
    """Permutations, and what is none, in keys of four and of eight bytes."""
    monkeypatch.setattr(rearranging, "BLOCK", block or rearranging.BLOCK)
    rng = np.random.default_rng(5)
    n_cols = 2**28 if wide else N
    matrix = sparse.csr_matrix(rng.random((M, N)) < 0.3)
    csr = Csr(matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), None, n_cols)
    moments = np.arange(csr.nnz) * 1.5 if times else None
    columns = rng.permutation(N) + n_cols - N
    for rows in (rng.permutation(M), np.append(rng.permutation(M)[: M - 1], -1), rng.permutation(M)[: M // 2]):
        for new in (columns, np.where(columns == columns[3], -1, columns)):
            moved, its = rearranging.rearranged(csr, moments, rows, new, n_cols)
            expected = [
                sorted(
                    (new[item], place)
                    for place in range(*csr.indptr[row : row + 2])
                    if new[item := csr.indices[place]] >= 0
                )
                if row >= 0
                else []
                for row in rows.tolist()
            ]
            assert np.diff(moved.indptr).tolist() == list(map(len, expected))
            assert moved.indices.tolist() == [item for some in expected for item, _ in some]
            assert moved.indices.dtype == np.int32
            assert (its is None) == (moments is None)
            if times:
                assert its.tolist() == [moments[place] for some in expected for _, place in some]


def test_times_of_another_unit_are_not_added():
    def data(*times):
        return Interactions.from_dataframe({"u": ["ann", "bob"], "i": [1, 2], "t": times}, "u", "i", timestamp="t")

    seconds, more, milliseconds = data(1704276000, 1704276001), data(1704276009, 0), data(1704276000123, 1704276000456)
    told = (
        "must have times of one unit, got 1704276000123, which looks like milliseconds, where the first is 1704276000"
    )
    with pytest.raises(ValueError, match=told):
        seconds + milliseconds
    with pytest.raises(ValueError, match="must have times of one unit"):
        sum([milliseconds, seconds])
    assert (seconds + more).timestamps.tolist() == [1704276009, 1704276001]
    with pytest.raises(ValueError, match="must have times of one unit"):
        more + milliseconds  # 0 stands for a time that is missing
    counted = data(1704276009, 5)  # who knows what counts from 5
    assert (counted + milliseconds).timestamps.tolist() == [1704276000123, 1704276000456]

    assert (seconds + data(1704276003.5, 1704276000.5)).timestamps.tolist() == [1704276003.5, 1704276001]
    nothing = Interactions(sparse.csr_matrix((2, 2)), ["ann", "bob"], [1, 2], np.zeros(0))
    assert (seconds + nothing).nnz == 2


def test_times_of_integers_are_not_rounded_by_floats():
    def data(time):
        return Interactions.from_dataframe({"u": ["ann"], "i": [1], "t": [time]}, "u", "i", timestamp="t")

    whole, fraction = data(1_700_000_000_000_000_001), data(1.7e18)
    for one, other in ((whole, fraction), (fraction, whole)):
        with pytest.raises(
            ValueError, match="`a` and `b` must have times of one type, got integers such as 17000000000"
        ):
            one + other
    assert (whole + data(1_700_000_000_000_000_003)).timestamps.tolist() == [1_700_000_000_000_000_003]
    assert (data(3) + data(4.5)).timestamps.tolist() == [4.5]
