"""Interactions, from_dataframe, split and split_users."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from fastautorec.data import Interactions, split, split_users

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"

EMPTY = pytest.mark.filterwarnings("ignore:part . of . is empty")  # which is told, and right


def small():
    matrix = sparse.csr_matrix([[1, 0, 1, 1], [0, 1, 0, 0]], dtype=np.float64)
    return Interactions(matrix, ["ann", "bob"], ["a", "b", "c", "d"], timestamps=[30, 10, 20, 5])


@pytest.fixture(params=["dict", "pandas", "polars", "pyarrow"])
def make_frame(request):
    if request.param == "dict":
        return dict
    library = pytest.importorskip(request.param, reason=f"{request.param} is not installed")
    return library.table if request.param == "pyarrow" else library.DataFrame


# -- Interactions --------------------------------------------------------------------------------------------------


def test_interactions_attributes():
    data = small()
    assert data.shape == (2, 4)
    assert data.nnz == 4
    assert data.user_items.dtype == np.float32
    assert data.user_items.has_canonical_format
    assert repr(data) == "Interactions(2 users, 4 items, 4 interactions, density 50 %)"
    assert Interactions(sparse.csr_matrix((0, 0))).shape == (0, 0)


def test_interactions_without_ids_number_rows_and_columns():
    data = Interactions(sparse.csr_matrix((2, 3)))
    assert data.user_ids.tolist() == [0, 1]
    assert data.item_ids.tolist() == [0, 1, 2]


def test_index_of_one_and_several():
    data = small()
    assert data.item_index("c") == 2
    assert data.item_index(["d", "a"]).tolist() == [3, 0]
    assert data.item_index(data.item_ids).tolist() == [0, 1, 2, 3]
    assert data.item_index([]).dtype == np.int64
    assert data.user_index("bob") == 1
    assert Interactions(sparse.csr_matrix((2, 1)), user_ids=[7, 5]).user_index(np.int32(5)) == 1


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("anne", "no user 'anne'; did you mean 'ann'"),
        ("zzz", "among the 2"),
        (3, "no user 3; the user ids are strings"),
    ],
)
def test_unknown_id(label, message):
    with pytest.raises(KeyError, match=message):
        small().user_index(label)


@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
def test_times_follow_the_stored_entries_of_any_form(form):
    matrix = sparse.csr_matrix([[0, 1, 1], [1, 0, 1]]).asformat(form)
    entries = matrix.tocoo()
    data = Interactions(matrix, timestamps=entries.row * 10 + entries.col)
    assert data.timestamps.tolist() == [1, 2, 10, 12]


def test_unsorted_duplicates_and_zeros_keep_their_times():
    matrix = sparse.csr_matrix(([1, 1, 1, 0], [2, 0, 2, 1], [0, 4]), shape=(1, 3))
    data = Interactions(matrix, timestamps=[5, 7, 9, 1])
    assert data.user_items.indices.tolist() == [0, 2]
    assert data.timestamps.tolist() == [7, 9]


def test_times_as_a_matrix():
    matrix = sparse.csr_matrix([[1, 0, 1]])
    assert Interactions(matrix, timestamps=sparse.csr_matrix([[4, 0, 3]])).timestamps.tolist() == [4, 3]
    with pytest.raises(ValueError, match="exactly where `user_items` has one"):
        Interactions(matrix, timestamps=sparse.csr_matrix([[4, 3, 0]]))
    with pytest.raises(ValueError, match=r"shape of `user_items`, \(1, 3\), got \(3, 1\)"):
        Interactions(matrix, timestamps=sparse.csr_matrix([[4, 0, 3]]).T)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"user_ids": ["a"]}, "one id for each of the 2 rows"),
        ({"item_ids": ["a", "b", "a"]}, "distinct, got a more than once"),
        ({"item_ids": ["a", 2, "c"]}, "mixes integer and string"),
        ({"timestamps": [1]}, "one value for each of the 2 stored entries"),
        ({"timestamps": [1.0, np.nan]}, "finite"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        Interactions(sparse.csr_matrix([[1, 0, 0], [0, 0, 1]]), **arguments)


def test_wrong_matrices():
    with pytest.raises(TypeError, match="scipy sparse"):
        Interactions(np.eye(2))
    with pytest.raises(ValueError, match="only 0 and 1"):
        Interactions(sparse.csr_matrix([[5.0]]))


# -- from_dataframe ------------------------------------------------------------------------------------------------


def test_from_dataframe(make_frame):
    df = make_frame({"u": ["b", "a", "b", "c"], "i": [30, 10, 10, 20], "r": [4.0, 5.0, 3.5, 1.0], "t": [3, 2, 1, 9]})
    data = Interactions.from_dataframe(df, "u", "i", "r", "t", threshold=3.5)
    assert data.user_ids.tolist() == ["a", "b"]
    assert data.item_ids.tolist() == [10, 30]
    assert data.user_items.toarray().tolist() == [[1, 0], [1, 1]]
    assert data.timestamps.tolist() == [2, 1, 3]
    assert Interactions.from_dataframe(df, user="u", item="i", rating="r").shape == (3, 3)


def test_repeated_pairs_count_once_at_the_latest_positive_time(make_frame):
    df = make_frame({"u": [1, 1, 1, 1], "i": [2, 2, 2, 3], "r": [5, 4, 1, 1], "t": [10, 20, 30, 40]})
    data = Interactions.from_dataframe(df, "u", "i", "r", "t", threshold=4)
    assert data.shape == (1, 1)
    assert data.timestamps.tolist() == [20]
    assert Interactions.from_dataframe(df, "u", "i").nnz == 2


def test_dates_become_seconds(make_frame):
    days = np.array(["1970-01-02", "1970-01-03"], "datetime64[us]")
    for column in (days, ["1970-01-02", "1970-01-03T00:00:00Z"]):
        data = Interactions.from_dataframe(make_frame({"u": [1, 1], "i": [1, 2], "t": column}), "u", "i", timestamp="t")
        assert data.timestamps.tolist() == [86400, 172800]


def test_threshold_that_nothing_reaches():
    table = {"u": [1, 2], "i": [1, 2], "r": [1, 1.5]}
    with pytest.raises(ValueError, match=r"`threshold` 2 leaves nothing, for the highest rating is 1.5; lower it"):
        Interactions.from_dataframe(table, "u", "i", "r", threshold=2)
    assert Interactions.from_dataframe(table, "u", "i", "r", threshold=1.5).shape == (1, 1)
    assert Interactions.from_dataframe({"u": [], "i": [], "r": []}, "u", "i", "r", threshold=2).shape == (0, 0)


def test_missing_values_name_column_and_row(make_frame):
    df = make_frame({"u": ["a", None], "i": [1, 2], "r": [1.0, float("nan")]})
    with pytest.raises(ValueError, match=r"column 'u' .* in row 1"):
        Interactions.from_dataframe(df, "u", "i")
    with pytest.raises(ValueError, match=r"column 'r' .* nan in row 1"):
        Interactions.from_dataframe(df, "i", "i", "r")


def test_wrong_columns(make_frame):
    df = make_frame({"u": [1], "i": [1]})
    with pytest.raises(ValueError, match="`item` must name a column of `df`, got 'x'; it has u, i"):
        Interactions.from_dataframe(df, "u", "x")
    with pytest.raises(ValueError, match="`threshold` needs a column of ratings"):
        Interactions.from_dataframe(df, "u", "i", threshold=1)
    with pytest.raises(TypeError, match="data frame"):
        Interactions.from_dataframe(3, "u", "i")


@pytest.mark.parametrize("ids", [[5, -3, 5, 10**15], ["b", "a", "b", "é"], np.array([3, 1, 3], np.uint8)])
def test_ids_of_any_kind_keep_their_rows(ids):
    data = Interactions.from_dataframe({"u": ids, "i": np.arange(len(ids))}, "u", "i")
    assert data.user_ids.tolist() == sorted(set(np.asarray(ids).tolist()))
    assert data.user_ids[data.user_items.tocoo().row][np.argsort(data.user_items.indices)].tolist() == list(ids)


# -- split ---------------------------------------------------------------------------------------------------------


def test_split_by_time_takes_the_oldest_first():
    train, test = split(small(), ratios=(0.5, 0.5))
    assert train.item_ids[train.user_items[0].indices].tolist() == ["c", "d"]
    assert train.timestamps.tolist() == [10, 20, 5]
    assert test.timestamps.tolist() == [30]
    assert test.user_ids.tolist() == ["ann", "bob"]


@pytest.mark.parametrize("times", [[1, 1, 1, 1], [0.25, 0.25, 0.25, 0.25]])
def test_ties_in_time_go_by_item(times):
    train, _ = split(Interactions(sparse.csr_matrix(np.ones((1, 4))), timestamps=times), ratios=(0.5, 0.5))
    assert train.user_items.indices.tolist() == [0, 1]


@EMPTY
@pytest.mark.parametrize(
    ("n", "sizes"), [(1, [1, 0, 0]), (2, [1, 1, 0]), (5, [3, 1, 1]), (10, [5, 2, 3]), (45, [23, 9, 13])]
)
def test_split_sizes(n, sizes):
    parts = split(sparse.csr_matrix(np.ones((1, n))), by="random")
    assert [part.nnz for part in parts] == sizes


@EMPTY
def test_split_keeps_the_type():
    for form in ("csr", "csc", "coo"):
        for matrix in (sparse.csr_matrix(np.eye(5, 6)).asformat(form), sparse.csr_array(np.eye(5, 6)).asformat(form)):
            part = split(matrix, by="random")[0]
            assert type(part) is type(matrix)
            assert part.shape == (5, 6)


@EMPTY
@given(
    lengths=st.lists(st.integers(0, 12), min_size=1, max_size=8),
    ratios=st.sampled_from([(0.5, 0.2, 0.3), (0.9, 0.1), (0.25, 0.25, 0.25, 0.25), (1 / 3, 2 / 3)]),
    seed=st.integers(0, 2**32),
    by=st.sampled_from(["time", "random"]),
)
@settings(max_examples=60, deadline=None)
def test_split_is_a_partition_with_the_given_shares(lengths, ratios, seed, by):
    rng = np.random.default_rng(seed)
    rows = np.repeat(np.arange(len(lengths)), lengths)
    cols = np.concatenate([rng.permutation(12)[:length] for length in lengths]).astype(int)
    matrix = sparse.csr_matrix((np.ones(len(rows)), (rows, cols)), shape=(len(lengths), 12))
    data = Interactions(matrix, timestamps=rng.integers(0, 5, len(rows)))
    parts = split(data, ratios, by, random_state=seed)
    assert abs(sum(part.user_items for part in parts) - data.user_items).nnz == 0
    ends = np.cumsum([np.diff(part.user_items.indptr) for part in parts], axis=0)
    for end, share in zip(ends, np.cumsum(ratios), strict=True):
        np.testing.assert_array_equal(end, np.ceil(np.array(lengths) * share - 1e-6))
    if by == "time":
        for earlier, later in pairwise(parts):
            for row in range(len(lengths)):
                before, after = (p.timestamps[slice(*p.user_items.indptr[row : row + 2])] for p in (earlier, later))
                assert not before.size or not after.size or before.max() <= after.min()


def test_random_split_is_deterministic_and_blocks_change_nothing(monkeypatch):
    matrix = sparse.csr_matrix(np.ones((50, 40)))
    one, same, other = (split(matrix, by="random", random_state=seed)[0] for seed in (0, 0, 1))
    assert (one != same).nnz == 0
    assert (one != other).nnz > 0
    monkeypatch.setattr("fastautorec.data._splits.BLOCK", 90)
    assert (split(matrix, by="random", random_state=0)[0] != one).nnz == 0


def test_random_split_is_fair():
    train = split(sparse.csr_matrix(np.ones((4000, 6))), (0.5, 0.5), by="random")[0]
    np.testing.assert_allclose(np.asarray(train.mean(axis=0)), 0.5, atol=0.04)


@pytest.mark.parametrize("times", [[0.5, 0.1, 0.9], [2**62, -(2**62), 2**63 - 1]])
def test_times_too_wide_to_pack(times):
    train, _ = split(Interactions(sparse.csr_matrix(np.ones((1, 3))), timestamps=times), (0.3, 0.7))
    assert train.user_items.indices.tolist() == [1]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"ratios": (0.5, 0.6)}, ValueError, "sum 1"),
        ({"ratios": (1.0,)}, ValueError, "two or more"),
        ({"ratios": (1.5, -0.5)}, ValueError, "positive"),
        ({"ratios": 0.5}, TypeError, "sequence of numbers"),
        ({"by": "user"}, ValueError, "'time', 'random'"),
        ({"by": "time"}, ValueError, "needs timestamps"),
        ({"by": "random", "random_state": -1}, ValueError, "random_state"),
    ],
)
def test_split_refuses(arguments, error, message):
    with pytest.raises(error, match=message):
        split(sparse.csr_matrix([[1, 1]]), **arguments)


def test_split_reproduces_the_published_movielens_split():
    folder = SHARED / "ml-1m-nceplrec"
    if not folder.is_dir():
        pytest.skip("the published MovieLens-1M split is not here")
    times = sparse.load_npz(folder / "Rtime.npz").tocsr()
    pattern = times.astype(bool)
    for part, name in zip(split(Interactions(pattern, timestamps=times)), ("Rtrain", "Rvalid", "Rtest"), strict=True):
        published = sparse.load_npz(folder / f"{name}.npz").tocsr()
        np.testing.assert_array_equal(np.diff(part.user_items.indptr), np.diff(published.indptr))
        assert part.user_items.multiply(published).nnz > 0.95 * published.nnz  # ties in time were broken otherwise


# -- split_users ---------------------------------------------------------------------------------------------------


def test_split_users():
    matrix = sparse.csr_matrix((np.random.default_rng(1).random((40, 9)) < 0.4).astype(float))
    data = Interactions(matrix, [f"u{i}" for i in range(40)], timestamps=np.arange(matrix.nnz))
    train, held = split_users(data, 0.1)
    assert (train.shape, held.shape) == ((36, 9), (4, 9))
    assert sorted([*train.user_ids, *held.user_ids]) == sorted(data.user_ids)
    for part in (train, held):
        rows = data.user_index(part.user_ids)
        assert (np.diff(rows) > 0).all()
        assert (part.user_items != data.user_items[rows]).nnz == 0
        whole = sparse.csr_matrix((data.timestamps + 1, data.user_items.indices, data.user_items.indptr), data.shape)
        np.testing.assert_array_equal(whole[rows].data - 1, part.timestamps)
    assert split_users(matrix, 0.001)[1].shape == (1, 9)
    assert split_users(matrix, 0.999)[0].shape == (1, 9)


def test_split_users_refuses():
    with pytest.raises(ValueError, match="fraction"):
        split_users(sparse.csr_matrix((3, 3)), 1.0)
    with pytest.raises(ValueError, match="two users"):
        split_users(sparse.csr_matrix((1, 3)))


def test_a_table_is_no_matrix():
    frame = pytest.importorskip("pandas").DataFrame({"who": [1, 2], "what": [3, 4]})
    with pytest.raises(TypeError, match=r"one row per interaction comes in by Interactions\.from_dataframe"):
        Interactions(frame)
