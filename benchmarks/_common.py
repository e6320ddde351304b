"""Parts of all benchmarks: sizes, data, the taking of times, and the machine that they were taken on."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_info

import fastautorec as far
from fastautorec import _core
from fastautorec._compute import resolve_num_threads

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs" / "benchmarks"  # where results are published
SHARED = HERE.parents[1] / "shared" / "data"
THREADS = resolve_num_threads(None)
LOAD_BEFORE = os.getloadavg()[0]  # the machine is described at the end, after a load of our own
ROUNDS = 3, 200  # at least and at most
ROUNDS_IN_TURN = 5  # at least
KNOWN = 0.7  # share of a history above the median score; chance gives a half

PACKAGES = ("fastautorec", "numpy", "scipy", "implicit", "recbole", "scikit-learn", "torch", "cupy", "pytest-benchmark")

Shape = tuple[int, int, int]  # users, items, interactions


@dataclass(frozen=True)
class Sizes:
    """How much is worked on: the official sizes, or small ones that show whether everything runs.

    Attributes
    ----------
    quick : bool
        Small sizes, every call once, data always drawn.
    units : int
        k of the single operations and of the trained models.
    batches : tuple of int
        Users in a batch of the trained models.
    draws : int
        Negatives for each user.
    draw_counts : tuple of int
        Numbers of negatives whose cost is compared.
    sampled : (users, items, interactions)
        Of the data that negatives are drawn for.
    newcomers : (users, items, interactions)
        Of the data whose users come one at a time.
    factors : int
        Of the model that they ask, and of the fits by size.
    requests : int
        How many come.
    catalogue, catalogue_factors, catalogue_requests : (users, items, interactions), int, int
        The same for very many items.
    copied, product : int
        Numbers that are copied, and rows of a matrix product, to see what the machine can do.
    shrink : int
        What users and interactions of the paper's shapes are divided by.
    epochs, seconds : int, float
        Of a training to its best validation metric, at most.
    """

    quick: bool = False
    units: int = 200
    batches: tuple[int, ...] = (100, 500, 1024)
    draws: int = 500
    draw_counts: tuple[int, ...] = (5, 50, 500, 5_000, 50_000, 500_000)
    sampled: Shape = (53_418, 10_000, 4_000_000)
    newcomers: Shape = (20_000, 50_000, 2_000_000)
    factors: int = 200
    requests: int = 2_000
    catalogue: Shape = (20_000, 1_000_000, 2_000_000)
    catalogue_factors: int = 100
    catalogue_requests: int = 200
    copied: int = 64 << 20
    product: int = 1024
    shrink: int = 1
    epochs: int = 100
    seconds: float = 40.0


OFFICIAL = Sizes()
QUICK = Sizes(
    quick=True, units=16, batches=(100,), draws=50, draw_counts=(5, 50), sampled=(500, 100, 5_000),
    newcomers=(400, 1_000, 20_000), factors=16, requests=20, catalogue=(400, 3_000, 20_000), catalogue_factors=16,
    catalogue_requests=20, copied=1 << 16, product=64, shrink=400, epochs=2,
    seconds=1.0,
)  # fmt: skip


# --- data -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Data:
    """Interactions to fit on, some of the same users to validate on, and later ones to test on.

    ``known`` is what a final model is fitted on: training and validation data.
    """

    name: str
    train: sparse.csr_matrix
    validation: sparse.csr_matrix
    test: sparse.csr_matrix

    @property
    def known(self) -> sparse.csr_matrix:
        both = (self.train + self.validation).tocsr()
        both.sort_indices()
        return both


MOVIELENS = (6038, 3533), (289_149, 116_263, 169_869)  # shape and parts of ML-1M as split for the published tables
QUICK_DATA = (600, 400), (12_000, 5_000, 7_000)
GOWALLA: Shape = (29_858, 40_981, 810_128)
QUICK_GOWALLA: Shape = (300, 500, 6_000)


def movielens(quick: bool = False) -> Data:
    """Return ML-1M as split for the published tables, or drawn data of that size where it is missing."""
    folder = SHARED / "ml-1m-nceplrec"
    shape, counts = QUICK_DATA if quick else MOVIELENS
    if folder.is_dir() and not quick:
        parts = [sparse.load_npz(folder / f"R{part}.npz").tocsr() for part in ("train", "valid", "test")]
        name = "ML-1M"
    else:
        drawn = far.datasets.synthetic(*shape, sum(counts), random_state=0).tocoo()
        order = np.random.default_rng(0).permutation(drawn.nnz)
        parts = [
            sparse.csr_matrix((drawn.data[p], (drawn.row[p], drawn.col[p])), shape=shape)
            for p in np.split(order, np.cumsum(counts)[:-1])
        ]
        name = "small data for ML-1M" if quick else "drawn data of the size of ML-1M"
    for part, count in zip(parts, counts, strict=True):
        part.sort_indices()
        assert (part.shape, part.nnz) == (shape, count)
    return Data(name, *parts)


def gowalla(quick: bool = False) -> tuple[str, sparse.csr_matrix, sparse.csr_matrix]:
    """Return name, training and test part of Gowalla as split by NGCF and LightGCN, or drawn data of that size."""
    folder = SHARED / "gowalla"
    users, items, count = QUICK_GOWALLA if quick else GOWALLA
    if quick or not folder.is_dir():
        name = "small data for Gowalla" if quick else "drawn data of the size of Gowalla"
        drawn = far.datasets.synthetic(users, items, count * 5 // 4, random_state=0)
        train, test = far.split(drawn, (0.8, 0.2), by="random")
        return name, train, test
    parts = []
    for part in ("train", "test"):
        with np.load(folder / f"{part}.npz") as pairs:
            ones = np.ones(len(pairs["user"]), np.float32)
            parts.append(sparse.csr_matrix((ones, (pairs["user"], pairs["item"])), shape=(users, items)))
            parts[-1].sort_indices()
    assert parts[0].nnz == count
    return "Gowalla", parts[0], parts[1]


def knows(scores: Any, history: sparse.csr_matrix) -> bool:
    """Return whether most items of the histories get scores above the median of the user's scores."""
    above = scores > np.median(scores, axis=1, keepdims=True)
    return bool(above[history.nonzero()].mean() > KNOWN)


# --- times ------------------------------------------------------------------------------------------------------------


class Measure:
    """Warms up, times a call a number of times that fits the budget, and returns its answer for the test to check."""

    def __init__(self, benchmark: Any, seconds: float, sizes: Sizes) -> None:
        self._benchmark, self._seconds, self._sizes = benchmark, seconds, sizes

    def __call__(
        self,
        call: Callable[[], Any],
        *,
        table: str,
        row: str,
        column: str,
        once: bool = False,
        against: Callable[[], Any] | None = None,
    ) -> Any:
        """Time ``call``; ``table``, ``row`` and ``column`` say where the report shows it.

        ``once`` is for calls so slow that neither a warm-up nor a repetition would change the picture. ``against`` is
        what the call is compared with: both are timed in turn, for a machine is not as fast in every minute.
        """
        self._place(table, row, column)
        if against is not None:
            return self._in_turn(call, against)
        if once or self._sizes.quick or not self._seconds:
            return self._benchmark.pedantic(call, rounds=1)
        taken = _seconds(call)  # first touch of memory, lazy imports, thread pools
        if taken < self._seconds:
            taken = _seconds(call)
        return self._benchmark.pedantic(call, rounds=min(max(int(self._seconds / taken), ROUNDS[0]), ROUNDS[1]))

    def _in_turn(self, call: Callable[[], Any], against: Callable[[], Any]) -> Any:
        beside: list[float] = []
        rounds = 1
        if self._seconds and not self._sizes.quick:
            taken = min(_seconds(call) + _seconds(against) for _ in range(2))
            rounds = min(max(int(2 * self._seconds / taken), ROUNDS_IN_TURN), ROUNDS[1])
        answer = self._benchmark.pedantic(call, setup=lambda: beside.append(_seconds(against)), rounds=rounds)
        self.note(beside=beside)
        return answer

    def each(self, call: Callable[[Any], Any], arguments: Sequence[Any], *, table: str, row: str, column: str) -> None:
        """Time ``call`` once with each argument, after a warm-up with some of them."""
        self._place(table, row, column)
        for argument in arguments[: max(len(arguments) // 20, 1)]:
            call(argument)
        remaining = iter(arguments)
        self._benchmark.pedantic(call, setup=lambda: ((next(remaining),), {}), rounds=len(arguments))

    def told(
        self, call: Callable[[], Any], times: Callable[[Any], Sequence[float]], *, table: str, row: str, column: str
    ) -> Any:
        """Call once; the seconds that count are what ``times`` finds in the answer."""
        self._place(table, row, column)
        answer = self._benchmark.pedantic(call, rounds=1)
        self.note(times=list(times(answer)))
        return answer

    def note(self, **values: Any) -> None:
        """Store figures for the report next to the times."""
        self._benchmark.extra_info.update(values)

    def _place(self, table: str, row: str, column: str) -> None:
        self._benchmark.group = f"{table}: {row}"
        self.note(table=table, row=row, column=column)


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return max(time.perf_counter() - start, 1e-9)


# --- the machine ------------------------------------------------------------------------------------------------------


def machine(quick: bool) -> dict[str, Any]:
    """Return what the report says about the machine; ``signature`` is the same where times can be compared."""
    hardware = {
        "processor": _first_match(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo")) or platform.processor(),
        "cores": THREADS,
        "memory_gib": round(int(_first_match(r"MemTotal:\s*(\d+)", Path("/proc/meminfo")) or 0) / 2**20),
        "simd": str(_core.simd_level()),
        "blas": _blas_libraries(),
        "blas_settings": {name: value for name, value in os.environ.items() if name.startswith("OPENBLAS_")},
        "quick": quick,
    }
    return {
        **hardware,
        "signature": hashlib.sha256(repr(hardware).encode()).hexdigest()[:12],
        "load": LOAD_BEFORE,
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "compiler": _compiler(),
    }


def _blas_libraries() -> list[str]:
    """Return library, version and kernel of each BLAS of NumPy and SciPy (their wheels bring one each)."""
    libraries = []
    for library in threadpool_info():
        owner = Path(library["filepath"]).parent.name.partition(".")[0]
        if library["user_api"] == "blas" and owner != "torch":
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
