"""Searches that run out of points, or whose points are no parameters of the model."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fastautorec as far
from fastautorec.cli import main
from fastautorec.tuning import _tune as _tuning
from fastautorec.tuning._space import all_points, count_points, distributions

optuna = pytest.importorskip("optuna", reason="tune is made of Optuna")
Int, Float = optuna.distributions.IntDistribution, optuna.distributions.FloatDistribution


@pytest.fixture(autouse=True)
def _no_hanging() -> Iterator[None]:
    """End a search that never returns, in place of waiting for ever."""

    def stop(*_: Any) -> None:
        raise AssertionError("the search did not return")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def parts() -> Any:
    return far.split(far.datasets.synthetic(200, 50, 2000, random_state=0), (0.8, 0.2), by="random")


@pytest.mark.parametrize(
    ("space", "tried"),
    [
        ({"factors": [4, 4]}, {4}),
        ({"factors": [4, 4.0, 5]}, {4, 5}),
        ({"factors": (4, 4)}, {4}),
        ({"factors": (4, 6)}, {4, 5, 6}),
        ({"factors": (4, 7, "log")}, {4, 5, 6, 7}),
        ({"factors": Int(2, 8, step=3)}, {2, 5, 8}),
        ({"factors": optuna.distributions.CategoricalDistribution([4, 4, 5])}, {4, 5}),
    ],
)
def test_each_point_is_tried_once(space: Any, tried: set[int], parts: Any) -> None:
    result = far.tune(far.PureSVD, *parts, space, n_trials=30)
    assert sorted(row["factors"] for row in result.trials) == sorted(tried)


@pytest.mark.parametrize(
    ("space", "tried"),
    [
        ({"regularization": [1, 1.0]}, {1}),
        ({"regularization": (3.0, 3.0)}, {3}),
        ({"regularization": (3.0, 3.0, "log")}, {3}),
        ({"regularization": Float(1.0, 2.0, step=0.25)}, {1, 1.25, 1.5, 1.75, 2}),
    ],
)
def test_numbers_that_are_no_integers(space: Any, tried: set[float], parts: Any) -> None:
    result = far.tune(far.EASE, *parts, space, n_trials=30)
    assert sorted(row["regularization"] for row in result.trials) == sorted(tried)


def test_two_parameters_and_a_file(parts: Any, tmp_path: Path) -> None:
    space = {"factors": (3, 5), "beta": [1.0, 1, 0.9]}
    path = tmp_path / "journal"
    for n_trials, expected in ((4, 4), (9, 6), (9, 6)):
        result = far.tune(far.NCEPLRec, *parts, space, n_trials=n_trials, storage=path)
        assert len({(row["factors"], row["beta"]) for row in result.trials}) == len(result.trials) == expected


def test_the_same_space_in_other_words_is_the_same_search(parts: Any, tmp_path: Path) -> None:
    for choices in ([1.0, 2.0], [1.0, 2.0, 1, 2]):
        result = far.tune(far.EASE, *parts, {"regularization": choices}, storage=tmp_path / "journal")
    assert len(result.trials) == 2


def test_a_range_of_hardly_any_numbers_ends(parts: Any) -> None:
    result = far.tune(far.EASE, *parts, {"regularization": (1.0, 1.0 + 2e-16)}, n_trials=5)
    assert {row["regularization"] for row in result.trials} <= {1.0, 1.0 + 2e-16}


def test_the_time_counts_while_new_points_are_looked_for(parts: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_tuning, "MAX_BLIND", 10**9)
    started = time.perf_counter()
    far.tune(far.EASE, *parts, {"regularization": (1.0, 1.0 + 2e-16)}, n_trials=9, timeout=0.5)
    assert time.perf_counter() - started < 20


@pytest.mark.parametrize(
    "space",
    [
        {"a": [1, 2, "x"], "b": (1, 4)},
        {"a": Float(0.0, 1.0, step=0.1)},
        {"a": (2, 9, "log"), "b": [None, True, False]},
        {"a": (1.0, 1.0)},
    ],
)
def test_points_are_as_many_as_are_counted(space: Any) -> None:
    kinds = distributions(space, optuna)
    points = list(all_points(kinds))
    assert len({tuple(point.items()) for point in points}) == count_points(kinds) == len(points)
    for point in points:
        for name, value in point.items():
            assert kinds[name]._contains(kinds[name].to_internal_repr(value))
    assert count_points(distributions({**space, "z": (0.0, 1.0)}, optuna)) is None


# --- what cannot be a parameter --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"factors": ["a"]}, "`space['factors']` holds 'a', but `factors` must be an integer, got str"),
        ({"factors": [4, None]}, "`space['factors']` holds None, but `factors` must be an integer, got NoneType"),
        ({"factors": (1.5, 4.0)}, "`space['factors']` holds 1.5, but `factors` must be an integer, got float"),
    ],
)
def test_choices_of_another_kind_are_refused_before_any_trial(space: Any, message: str, parts: Any) -> None:
    with pytest.raises(ValueError, match=r"`space") as caught:
        far.tune(far.PureSVD, *parts, space)
    assert str(caught.value) == message


def test_a_seed_that_is_none(parts: Any) -> None:
    with pytest.raises(ValueError, match=r"holds None, but `random_state` must be an integer, got NoneType"):
        far.tune(far.PureSVD, *parts, {"random_state": [None, 1]})


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    matrix = far.datasets.synthetic(100, 40, 1500, random_state=3).tocoo()
    file = tmp_path / "ratings.csv"
    file.write_text("\n".join(["user,item", *(f"{u},i{i:02}" for u, i in zip(matrix.row, matrix.col, strict=True))]))
    for words, message in (
        (["--space", "factors=a"], "`factors` must be an integer, got str"),
        (["--set", "random_state=None"], "`random_state` must be an integer, got NoneType"),
        (["--set", f"random_state={2**63}"], "`random_state` must be < 2**63"),
        (["--random-state", str(2**63)], "`random_state` must be < 2**63"),
        (["--random-state", "-1"], "`random_state` must be >= 0, got -1"),
    ):
        assert main(["tune", str(file), *words]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert message in err.splitlines()[-1]
    assert main(["tune", str(file), "--space", "factors=4,4", "beta=0.9", "dropout=0", "--trials", "5"]) == 0
    assert "1 trials" in capsys.readouterr().out
