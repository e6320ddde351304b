"""What all benchmarks share: the data, how a time is taken, and the machine that it was taken on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from threadpoolctl import threadpool_info

import fastautorec as far
from fastautorec import _core
from fastautorec._parallel import resolve_num_threads

ML_1M = Path(__file__).resolve().parents[2] / "shared" / "data" / "ml-1m-nceplrec"
SHAPE, N_TRAIN, N_TEST = (6038, 3533), 405_412, 169_869  # of ML-1M as split for the published tables

sys.path.append(str(Path(__file__).parent))  # for dense_torch
collect_ignore = [file.name for file in Path(__file__).parent.glob("*.py") if not file.name.startswith("bench_")]

PACKAGES = ("fastautorec", "numpy", "scipy", "implicit", "scikit-learn", "torch", "pytest-benchmark")
LOAD_BEFORE = os.getloadavg()[0]  # machine_info is asked for at the end, after a load of our own
ROUNDS = (3, 200)  # at least and at most


@dataclass(frozen=True)
class Data:
    """Interactions to fit on, and later ones of the same users to test on."""

    name: str
    train: sparse.csr_matrix
    test: sparse.csr_matrix


class Measure:
    """Warms up, times a call a number of times that fits the budget, and returns its answer for the test to check."""

    def __init__(self, benchmark: Any, seconds: float) -> None:
        self._benchmark, self._seconds = benchmark, seconds

    def __call__(self, call: Callable[[], Any], *, table: str, row: str, column: str, once: bool = False) -> Any:
        """Time ``call``; ``table``, ``row`` and ``column`` say where the report shows it.

        ``once`` is for calls so slow that neither a warm-up nor a repetition would change the picture.
        """
        self._benchmark.group = f"{table}: {row}"
        self.note(table=table, row=row, column=column)
        if once or self._benchmark.disabled:
            return self._benchmark.pedantic(call, rounds=1)
        call()  # first touch of memory, lazy imports, thread pools
        start = time.perf_counter()
        call()
        fitting = int(self._seconds / max(time.perf_counter() - start, 1e-9))
        return self._benchmark.pedantic(call, rounds=min(max(fitting, ROUNDS[0]), ROUNDS[1]))

    def note(self, **values: Any) -> None:
        """Store figures for the report next to the times."""
        self._benchmark.extra_info.update(values)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seconds", type=float, default=3.0, help="time budget of one benchmark (default: 3)")


@pytest.fixture
def measure(benchmark: Any, request: pytest.FixtureRequest) -> Measure:
    return Measure(benchmark, request.config.getoption("--seconds"))


@pytest.fixture(scope="session")
def data() -> Data:
    """ML-1M, train + validation to fit and the test part to test; synthetic data of that size where it is missing."""
    if ML_1M.is_dir():
        train, valid, test = (sparse.load_npz(ML_1M / f"R{part}.npz").tocsr() for part in ("train", "valid", "test"))
        whole = Data(data_name(), (train + valid).tocsr(), test)
    else:
        drawn = far.datasets.synthetic(*SHAPE, N_TRAIN + N_TEST, random_state=0).tocoo()
        order = np.random.default_rng(0).permutation(drawn.nnz)
        parts = (
            sparse.csr_matrix((drawn.data[p], (drawn.row[p], drawn.col[p])), shape=SHAPE)
            for p in (order[:N_TRAIN], order[N_TRAIN:])
        )
        whole = Data(data_name(), *parts)
    for part, count in ((whole.train, N_TRAIN), (whole.test, N_TEST)):
        part.sort_indices()
        assert (part.shape, part.nnz) == (SHAPE, count)
    return whole


def data_name() -> str:
    return "ML-1M" if ML_1M.is_dir() else "synthetic data of the size of ML-1M"


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """Add to the JSON file what the report says about the machine."""
    machine_info["report"] = {
        "processor": _first_match(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo")) or platform.processor(),
        "cores": resolve_num_threads(None),
        "memory_kb": int(_first_match(r"MemTotal:\s*(\d+)", Path("/proc/meminfo")) or 0),
        "load": LOAD_BEFORE,
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "blas": _blas_libraries(),
        "blas_settings": {name: value for name, value in os.environ.items() if name.startswith("OPENBLAS_")},
        "simd": str(_core.simd_level()),
        "compiler": _compiler(),
        "data": data_name(),
    }


def _blas_libraries() -> list[str]:
    """Return library, version and kernel of each BLAS loaded (NumPy's and SciPy's wheels bring one each)."""
    libraries = []
    for library in threadpool_info():
        if library["user_api"] == "blas":
            owner = Path(library["filepath"]).parent.name.partition(".")[0]
            kernel = library.get("architecture", "unknown kernel")
            libraries.append(f"{owner}: {library['internal_api']} {library['version']}, {kernel}")
    return sorted(libraries)


def _compiler() -> str:
    found = re.findall(rb"GCC: \([^)]*\) [\d.]+|clang version [\d.]+", Path(_core.__file__).read_bytes())
    return found[-1].decode() if found else "unknown"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _first_match(pattern: str, file: Path) -> str | None:
    match = re.search(pattern, file.read_text()) if file.is_file() else None
    return match[1].strip() if match else None
