"""Options and fixtures of the benchmarks, and what the file of results holds beside the times."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from benchmarks._common import OFFICIAL, QUICK, Data, Measure, Sizes, machine, movielens

collect_ignore_glob = ["*.py"]  # only benchmarks that are named are run

DURATIONS: dict[str, float] = defaultdict(float)  # seconds of each file
LEFT_OUT: dict[str, list[str]] = defaultdict(list)  # reason: tests


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--seconds", type=float, default=2.0, help="time budget of one benchmark (default: 2; 0: every call once)"
    )
    parser.addoption("--quick", action="store_true", help="small data, every call once: does everything run?")


@pytest.fixture(scope="session")
def sizes(request: pytest.FixtureRequest) -> Sizes:
    return QUICK if request.config.getoption("--quick") else OFFICIAL


@pytest.fixture
def measure(benchmark: Any, request: pytest.FixtureRequest, sizes: Sizes) -> Measure:
    return Measure(benchmark, request.config.getoption("--seconds"), sizes)


@pytest.fixture(scope="session")
def data(sizes: Sizes) -> Data:
    return movielens(sizes.quick)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    file, _, test = report.nodeid.partition("::")
    DURATIONS[Path(file).name] += report.duration
    if report.skipped:
        LEFT_OUT[report.longrepr[2].removeprefix("Skipped: ")].append(f"{Path(file).name}: {test}")


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    machine_info["report"] = machine(config.getoption("--quick"))


def pytest_benchmark_update_json(config: pytest.Config, benchmarks: Any, output_json: dict[str, Any]) -> None:
    output_json["durations"], output_json["left_out"] = dict(DURATIONS), dict(LEFT_OUT)
