"""Splits by points in time, of last interactions and in windows, against plain loops over what was written down."""

from __future__ import annotations

import warnings
from datetime import date, datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

import fastautorec as far
from fastautorec import Interactions

DAY = 86_400
START = 1_704_067_200  # 2024-01-01


def drawn(texts=False, times=None, seed=0):
    """Return interactions of 12 users and 9 items with many equal times, and users of every length from 1 on."""
    rng = np.random.default_rng(seed)
    full = rng.random((12, 9)) < 0.5
    full[0] = np.arange(9) == 3
    matrix = sparse.csr_matrix(full)
    moments = rng.integers(0, 12, matrix.nnz) if times is None else times(rng, matrix.nnz)
    ids = ([f"u{i}" for i in range(12)], [f"SKU-{i}" for i in range(9)]) if texts else (range(100, 112), range(9))
    return Interactions(matrix, *ids, timestamps=moments)


def on_disk(data, folder):
    data.to_disk(folder / "data")
    return Interactions.open(folder / "data")


def triples(data):
    """Return what is in interactions as a set of (user, item, time)."""
    rows = np.repeat(np.arange(data.shape[0]), np.diff(data.user_items.indptr))
    return set(
        zip(
            data.user_ids[rows].tolist(), data.item_ids[data.user_items.indices].tolist(), data.timestamps.tolist(),
            strict=True,
        )
    )  # fmt: skip


def quietly(call, *args, **options):
    """Return what a call returns, whatever it tells."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return call(*args, **options)


def dropped(parts):
    """Return the parts without what a later one has of users or items that none before has."""
    users, items, kept = set(), set(), []
    for number, part in enumerate(parts):
        kept.append({(u, i, t) for u, i, t in part if number == 0 or (u in users and i in items)})
        users |= {u for u, _, _ in kept[-1]}
        items |= {i for _, i, _ in kept[-1]}
    return kept


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("texts", [False, True])
@pytest.mark.parametrize("at", [5, [3, 8], np.array([2.5, 9.0]), (4, 4.5, 7)])
def test_all_users_are_cut_at_the_same_time(at, texts, stored, tmp_path):
    data = drawn(texts)
    everything, borders = triples(data), [-np.inf, *np.atleast_1d(at).tolist(), np.inf]
    data = on_disk(data, tmp_path) if stored else data
    expected = [{row for row in everything if first <= row[2] < end} for first, end in pairwise(borders)]
    if not all(expected):  # between 4 and 4.5 there is nothing
        with pytest.raises(ValueError, match="part 2 of 4 empty"):
            far.split(data, by="date", at=at)
        return
    parts = quietly(far.split, data, by="date", at=at)
    assert [triples(part) for part in parts] == expected
    assert all(part.shape == data.shape and far.data._identity.same_ids(part.user_ids, data.user_ids) for part in parts)
    assert [triples(part) for part in quietly(far.split, data, by="date", at=at, unknown="drop")] == dropped(expected)


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("n", [1, 2, (1, 1), (2, 1, 1)])
def test_the_last_interactions_of_each_user(n, stored, tmp_path):
    data = drawn()
    everything, counts = triples(data), n if isinstance(n, tuple) else (n,)
    expected = [set() for _ in range(len(counts) + 1)]
    for user in data.user_ids.tolist():
        own = sorted((row for row in everything if row[0] == user), key=lambda row: (row[2], row[1]))
        if len(own) <= sum(counts):
            expected[0] |= set(own)
            continue
        for number in range(len(counts), 0, -1):
            expected[number] |= set(own[-counts[number - 1] :])
            own = own[: -counts[number - 1]]
        expected[0] |= set(own)
    data = on_disk(data, tmp_path) if stored else data
    short = int((np.diff(data.user_items.indptr) <= sum(counts)).sum())
    with pytest.warns(
        UserWarning, match=rf"{short} of 12 users have {sum(counts)} interactions or fewer.* stay in part 1"
    ):
        parts = far.split(data, by="last", n=n)
    assert [triples(part) for part in parts] == expected


def test_one_is_left_out_by_default():
    data = drawn()
    first, second = quietly(far.split, data, by="last"), quietly(far.split, data, by="last", n=1)
    assert [triples(part) for part in first] == [triples(part) for part in second]


def small():
    """Return what is counted by hand: user 2 and item 3 come late."""
    table = {"u": [1, 1, 1, 3, 3, 2, 2, 4, 4], "i": [1, 2, 3, 1, 2, 1, 3, 2, 1]}
    return Interactions.from_dataframe(table | {"t": [10, 20, 30, 10, 20, 30, 40, 10, 40]}, "u", "i", timestamp="t")


NEW = "has 1 users and 1 items that nothing before it has, with"


def test_what_only_the_later_part_has_is_kept_left_out_or_refused():
    data, what = small(), f"^part 2 {NEW} 3 of its 4 interactions"
    with pytest.warns(UserWarning, match=what + ": kept .unknown='drop' leaves them out") as warned:
        train, test = far.split(data, by="date", at=30)
    assert Path(warned[0].filename).name == Path(__file__).name
    assert (train.nnz, test.nnz) == (5, 4)
    with pytest.warns(UserWarning, match=what + ": left out .unknown='keep' keeps them"):
        train, test = far.split(data, by="date", at=30, unknown="drop")
    assert train.nnz == 5
    assert triples(test) == {(4, 1, 40)}
    with pytest.raises(ValueError, match=what + "; unknown='keep' keeps them, unknown='drop' leaves them out"):
        far.split(data, by="date", at=30, unknown="raise")


def test_what_leaves_nothing_of_a_part_is_refused():
    data = Interactions(sparse.csr_matrix([[1, 1]]), timestamps=[1, 2])
    for by, words in (("date", {"at": 2}), ("last", {}), ("time", {"ratios": (0.5, 0.5)})):
        with pytest.raises(ValueError, match="unknown='drop' leaves nothing of it; use unknown='keep'"):
            far.split(data, by=by, **words, unknown="drop")


@pytest.mark.parametrize("by", ["time", "random"])
def test_shares_take_the_option_too(by):
    data = drawn()
    ratios = (0.4, 0.3, 0.3)
    plain = far.split(data, ratios, by=by)
    assert [triples(part) for part in quietly(far.split, data, ratios, by=by, unknown="drop")] == dropped(
        [triples(part) for part in plain]
    )


@pytest.mark.parametrize(
    "at",
    [
        START + DAY,
        float(START + DAY),
        str(START + DAY),
        "2024-01-02",
        "2024-01-02 02:00:00+02:00",
        date(2024, 1, 2),
        datetime(2024, 1, 2),
        datetime(2024, 1, 1, 19, tzinfo=timezone(timedelta(hours=-5))),
        np.datetime64("2024-01-02"),
        np.array("2024-01-02"),
    ],
    ids=repr,
)
def test_points_in_time_as_people_write_them(at):
    data = drawn(times=lambda rng, size: START + DAY * rng.integers(0, 4, size))
    expected = quietly(far.split, data, by="date", at=START + DAY)
    assert [triples(part) for part in quietly(far.split, data, by="date", at=at)] == [*map(triples, expected)]
    seconds = Interactions(data, timestamps=data.timestamps.astype(float))
    assert [triples(part) for part in quietly(far.split, seconds, by="date", at=at)] == [*map(triples, expected)]


def test_points_of_pandas():
    pd = pytest.importorskip("pandas", reason="pandas is not installed")
    data = drawn(times=lambda rng, size: START + DAY * rng.integers(0, 4, size))
    expected = quietly(far.split, data, by="date", at=[START + DAY, START + 2 * DAY])
    days = pd.to_datetime(["2024-01-02", "2024-01-03"])
    for at in (days, days.tz_localize("UTC"), days.tz_localize("UTC").tz_convert("Asia/Tokyo"), days.to_series()):
        assert [triples(part) for part in quietly(far.split, data, by="date", at=at)] == [*map(triples, expected)]


def test_a_large_integer_is_not_rounded():
    late = 1_700_000_000_000_000_001
    data = Interactions(sparse.csr_matrix(np.ones((2, 2))), timestamps=[late - 1, late, late - 2, late + 1])
    train, test = quietly(far.split, data, by="date", at=late)
    assert (train.timestamps.tolist(), test.timestamps.tolist()) == ([late - 1, late - 2], [late, late + 1])


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("kind", [int, float])
@pytest.mark.parametrize(("period", "folds"), [(3, 3), (2.5, 2), (1, 8)])
def test_windows(period, folds, kind, stored, tmp_path):
    data = drawn()
    data = Interactions(data, timestamps=data.timestamps.astype(kind))
    everything, last = triples(data), data.timestamps.max()
    data = on_disk(data, tmp_path) if stored else data
    found = quietly(list, far.rolling(data, period, folds))
    dropping = quietly(list, far.rolling(data, period, folds, unknown="drop"))
    assert len(found) == len(dropping) == folds
    for number, pair in enumerate(found):
        end = last - period * (folds - 1 - number)
        train = {row for row in everything if row[2] <= end - period}
        test = {row for row in everything if end - period < row[2] <= end}
        assert [triples(part) for part in pair] == [train, test]
        assert [triples(part) for part in dropping[number]] == dropped([train, test])


def test_windows_of_days():
    data = drawn(times=lambda rng, size: START + DAY * rng.integers(0, 14, size))
    expected = [[triples(part) for part in pair] for pair in quietly(list, far.rolling(data, 5 * DAY, 2))]
    for period in (timedelta(days=5), np.timedelta64(5, "D"), np.timedelta64(120, "h")):
        assert [[triples(part) for part in pair] for pair in quietly(list, far.rolling(data, period, 2))] == expected
    days = Interactions(data, timestamps=20240101 + (data.timestamps - START) // DAY)
    with pytest.raises(ValueError, match="`period` may be a duration only where the timestamps are seconds since 1970"):
        far.rolling(days, timedelta(days=5), 2)


@pytest.mark.parametrize("kind", [np.int64, np.float64])
@pytest.mark.parametrize("per_second", [10**3, 10**6, 10**9])
def test_dates_and_durations_beside_fractions_of_seconds(per_second, kind):
    seconds = drawn(times=lambda rng, size: START + DAY * rng.integers(0, 14, size))
    data = Interactions(seconds, timestamps=(seconds.timestamps * per_second).astype(kind))

    def users_and_items(parts):
        return [{row[:2] for row in triples(part)} for part in parts]

    for at in ("2024-01-05", datetime(2024, 1, 5, 0, 0, 0, 250_000), np.datetime64("2024-01-05")):
        found, expected = (quietly(far.split, one, by="date", at=at) for one in (data, seconds))
        assert users_and_items(found) == users_and_items(expected)
    expected = quietly(list, far.rolling(seconds, 5 * DAY, 2))
    found = quietly(list, far.rolling(data, timedelta(days=5), 2))
    assert [users_and_items(pair) for pair in found] == [users_and_items(pair) for pair in expected]
    assert quietly(far.split, data, by="date", at="2024-01-02")[0].nnz == (seconds.timestamps < START + DAY).sum()


def test_windows_of_seconds_where_days_are_meant():
    data = drawn(times=lambda rng, size: START + DAY * rng.integers(0, 14, size))
    with pytest.raises(ValueError, match=r"`period` is a number .* like seconds, so that 5 is.*timedelta\(days=5\)"):
        far.rolling(data, 5, 2)
    two_days = Interactions(data, timestamps=START + DAY * (data.timestamps == data.timestamps.max()))
    with pytest.raises(
        ValueError, match=r"leaves window 1 of 2 empty, from 1704067201 \(2024-01-01 00:00:01\) on: nothing"
    ):
        far.rolling(two_days, DAY / 2, 2)
    far.rolling(drawn(times=lambda rng, size: START + rng.integers(0, 9, size)), timedelta(seconds=3), 2)


def test_warnings_of_windows_point_to_the_program():
    with pytest.warns(UserWarning, match="^window 1 of 2") as told:
        far.cross_validate(far.Popularity(), folds=far.rolling(small(), period=10, folds=2))
    assert {warning.filename for warning in told} == {__file__}


def test_windows_tell_what_is_new():
    windows = far.rolling(small(), period=10, folds=2)
    with pytest.warns(UserWarning, match=f"^window 1 of 2 {NEW} 2 of its 2 interactions: kept") as warned:
        next(windows)
    assert Path(warned[0].filename).name == Path(__file__).name
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train, test = next(windows)
    assert (train.nnz, test.nnz) == (7, 2)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"by": "date"}, ValueError, "`at` must say where the next part begins"),
        (
            {"by": "date", "at": 5, "ratios": (0.5, 0.5)},
            ValueError,
            "`ratios` belongs to by='time' and by='random', got",
        ),
        ({"by": "time", "at": 5}, ValueError, "`at` belongs to by='date', got at=5 and by='time'"),
        ({"by": "date", "at": 5, "n": 1}, ValueError, "`n` belongs to by='last', got n=1"),
        ({"by": "date", "at": 0}, ValueError, "interactions before and from each point on, got .0., but the times go"),
        ({"by": "date", "at": 12}, ValueError, "`at` must have interactions before and from each point on"),
        ({"by": "date", "at": [5, 5]}, ValueError, "`at` must ascend"),
        ({"by": "date", "at": []}, ValueError, "`at` must be a point in time or several, got none"),
        ({"by": "date", "at": None}, ValueError, "`at` must say where"),
        ({"by": "date", "at": float("nan")}, TypeError, "`at` must be a number in the unit"),
        ({"by": "date", "at": True}, TypeError, "`at` must be a number in the unit"),
        ({"by": "date", "at": "01/02/2024"}, TypeError, "`at` must be a number in the unit .* got '01/02/2024'"),
        ({"by": "date", "at": timedelta(days=1)}, TypeError, "`at` must be a number in the unit"),
        ({"by": "date", "at": [5, "2024-01-01"]}, TypeError, "`at` must be a number in the unit"),
        ({"by": "date", "at": "2024-01-01"}, ValueError, "`at` may be a date only where the timestamps are seconds"),
        ({"by": "last", "n": 0}, ValueError, "`n` must be >= 1, got 0"),
        ({"by": "last", "n": 1.0}, TypeError, "`n` must be an integer"),
        ({"by": "last", "n": ()}, TypeError, "`n` must be an integer or a sequence"),
        ({"by": "last", "n": "1"}, TypeError, "`n` must be an integer or a sequence"),
        ({"by": "last", "n": 9}, ValueError, "`n` leaves part 2 of 2 empty: .* longest history has 8"),
        ({"by": "last", "unknown": "forget"}, ValueError, "`unknown` must be one of 'drop', 'keep', 'raise'"),
        ({"by": "week"}, ValueError, "`by` must be one of 'time', 'random', 'date', 'last'"),
    ],
)
def test_splits_that_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        far.split(drawn(), **options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"period": 0}, ValueError, "`period` must be > 0, got 0"),
        ({"period": "7D"}, TypeError, "`period` must be a number in the unit .*days=7.*got '7D'"),
        ({"period": np.timedelta64("NaT")}, ValueError, "`period` must be a span of time, got NaT"),
        ({"period": 1, "folds": 0}, ValueError, "`folds` must be >= 1"),
        ({"period": 4, "folds": 3}, ValueError, "more time than there is: the times go from 0 to 11; at most 2 fit"),
        ({"period": 40, "folds": 1}, ValueError, "from 0 to 11; give a shorter `period`"),
        ({"period": 0.25, "folds": 3}, ValueError, "`period` 0.25 leaves window 1 of 3 empty"),
        ({"period": 1, "unknown": None}, ValueError, "`unknown` must be one of"),
    ],
)
def test_windows_that_are_refused_before_the_first(options, error, message):
    with pytest.raises(error, match=message):
        far.rolling(drawn(), **options)


def test_units_that_differ():
    data = drawn(times=lambda rng, size: 1000 * (START + DAY * rng.integers(0, 4, size)))
    with pytest.raises(
        ValueError, match=r"`at` must be in the unit of the timestamps, got \d+, which looks like seconds"
    ):
        far.split(data, by="date", at=START + DAY)
    days = Interactions(data, timestamps=20240101 + data.timestamps % 4)
    with pytest.raises(
        ValueError, match="`at` may be a date only where the timestamps are seconds since 1970, or thousan"
    ):
        far.split(days, by="date", at="2024-01-02")


def test_data_without_times():
    bare = Interactions(sparse.csr_matrix([[1, 1], [1, 1]]))
    for by, words in (("date", {"at": 3}), ("last", {}), ("time", {})):
        with pytest.raises(ValueError, match=f"`by='{by}'` needs timestamps, and `data` has none; .*by='random'"):
            far.split(bare, by=by, **words)
        with pytest.raises(ValueError, match=f"`by='{by}'` needs timestamps"):
            far.split(bare.user_items, by=by, **words)
    with pytest.raises(ValueError, match="`rolling` needs timestamps"):
        far.rolling(bare, 3)
    with pytest.raises(TypeError, match=r"`data` must be Interactions with timestamps, got scipy\.sparse"):
        far.rolling(bare.user_items, 3)
    nothing = Interactions(sparse.csr_matrix((2, 2)), timestamps=np.zeros(0))
    with pytest.raises(ValueError, match="there are no interactions"):
        far.split(nothing, by="date", at=3)
    with pytest.raises(ValueError, match="`n` leaves part 1 of 2 empty"):
        far.split(nothing, by="last")
    with pytest.raises(ValueError, match="`data` must hold interactions"):
        far.rolling(nothing, 3)
